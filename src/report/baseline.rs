//! [`Baseline`]: what a scenario's run is compared with, as `reports/<scenario>.ron` holds it.

use crate::{metrics::MetricsSet, scenario};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{collections::BTreeMap, fmt, fs, path::Path, path::PathBuf};

/// The recorded figures of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`Baseline::VERSION`].
    pub version: u32,
    /// Why the figures were last renewed.
    pub reason: String,
    /// The run's fingerprint, hexadecimal.
    pub fingerprint: String,
    /// The figures, by name.
    #[serde(deserialize_with = "unique")]
    pub metrics: BTreeMap<String, Expected>,
}

/// What a metric should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its value; `None` where it has none (never reached).
    pub value: Option<f64>,
    /// How far it may move.
    pub tolerance: Tolerance,
    /// Which direction is good.
    pub better: Better,
}

/// How far a metric may move, either way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tolerance {
    /// By so much, in the metric's unit.
    Absolute(f64),
    /// By so large a share of its value.
    Relative(f64),
}

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Better {
    /// Smaller is better.
    Lower,
    /// Larger is better.
    Higher,
    /// Neither: it should stay.
    Either,
}

/// What became of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As recorded, or within the tolerance.
    Within,
    /// Better than the tolerance.
    Improved,
    /// Worse than the tolerance, or moved where it should stay.
    Worse,
    /// Recorded, but the run does not have it.
    Gone,
    /// The run has it, but it is not recorded.
    New,
}

/// A metric's comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The metric.
    pub name: String,
    /// The recorded value.
    pub expected: Option<f64>,
    /// The run's value.
    pub found: Option<f64>,
    /// The judgement.
    pub verdict: Verdict,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// It is not RON, or not a baseline.
    #[error("{}:{source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the reader says, with line and column.
        source: Box<ron::error::SpannedError>,
    },
    /// Its version is not ours.
    #[error("{}: version is {found}; allowed is {allowed}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is read.
        allowed: u32,
    },
    /// A number that cannot be.
    #[error("{}: {metric}: {field} is {found}; allowed is {allowed}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The metric.
        metric: String,
        /// The field.
        field: &'static str,
        /// What stands there.
        found: f64,
        /// What may.
        allowed: &'static str,
    },
}

impl Tolerance {
    const fn number(self) -> f64 {
        match self {
            Self::Absolute(number) | Self::Relative(number) => number,
        }
    }

    fn around(self, value: f64) -> f64 {
        match self {
            Self::Absolute(by) => by,
            Self::Relative(share) => share * value.abs(),
        }
    }
}

impl Expected {
    /// What to think of `found`. A value where there was none is an improvement for metrics with a good direction (a
    /// threshold that was never reached), and a value that vanished is worse.
    #[must_use]
    pub fn judge(&self, found: Option<f64>) -> Verdict {
        let (expected, found) = match (self.value, found) {
            (None, None) => return Verdict::Within,
            (None, Some(_)) if self.better == Better::Either => return Verdict::Worse,
            (None, Some(_)) => return Verdict::Improved,
            (Some(_), None) => return Verdict::Worse,
            (Some(expected), Some(found)) => (expected, found),
        };
        let moved = found - expected;
        if moved.abs() <= self.tolerance.around(expected) {
            return Verdict::Within;
        }
        match (self.better, moved > 0.0) {
            (Better::Lower, false) | (Better::Higher, true) => Verdict::Improved,
            (Better::Lower, true) | (Better::Higher, false) | (Better::Either, _) => Verdict::Worse,
        }
    }

    /// What the scenario says: the larger of its absolute and relative tolerance.
    fn stated(stated: &scenario::Tolerance, value: Option<f64>) -> Self {
        let tolerance = match value {
            _ if stated.absolute == 0.0 => Tolerance::Relative(stated.relative),
            Some(value) => Tolerance::Absolute(stated.absolute.max(stated.relative * value.abs())),
            None => Tolerance::Absolute(stated.absolute),
        };
        let better = match stated.better {
            scenario::Better::Lower => Better::Lower,
            scenario::Better::Higher => Better::Higher,
            scenario::Better::Neither => Better::Either,
        };
        Self { value, tolerance, better }
    }

    /// The tolerance and direction that a metric gets when it is recorded for the first time.
    fn first(name: &str, value: Option<f64>) -> Self {
        use Better::{Either, Higher, Lower};
        use Tolerance::{Absolute, Relative};
        let (tolerance, better) = match name {
            "delivery.ratio" | "attack.honest_ratio" => (Absolute(0.005), Higher),
            "delivery.delivered" | "delivery.bytes" => (Relative(0.01), Higher),
            "delivery.duplicates_delivered" | "sync.replicas_diverged" => (Absolute(0.0), Lower),
            "energy.min_state_of_charge" => (Absolute(0.01), Higher),
            // Below a millionth a gap is the stopping rule's choice, not a result.
            "plan.optimality_gap"
            | "plan.objective_gap"
            | "plan.constraint_violation"
            | "plan.worst_horizon_gap" => (Absolute(1e-6), Lower),
            "plan.versions" | "plan.horizons" | "plan.retired" | "plan.solver_chosen" => {
                (Absolute(0.0), Either)
            }
            "plan.primal_residual" | "plan.dual_residual" => (Relative(0.5), Lower),
            "sync.bytes" | "link.bytes_on_air" => (Relative(0.05), Lower),
            "delivery.abandoned" | "delivery.submissions_refused" | "sync.writes_incomplete" => {
                (Relative(0.05), Lower)
            }
            _ if name.starts_with("privacy.") => (Absolute(0.0), Lower),
            _ if name.starts_with("energy.") => (Relative(0.05), Lower),
            _ if name.contains("latency_s.") || name.starts_with("plan.") => (Relative(0.05), Lower),
            _ => (Relative(0.05), Either),
        };
        Self { value, tolerance, better }
    }
}

/// Whether a metric's name is the one stated, or begins with it up to a trailing `*`.
fn names(stated: &str, name: &str) -> bool {
    stated.strip_suffix('*').map_or(stated == name, |start| name.starts_with(start))
}

impl Baseline {
    /// The format's version.
    pub const VERSION: u32 = 1;

    /// A baseline of this run. Tolerances and directions are those of `before` where it has the metric, else of the scenario
    /// (`stated`) where it names it, else those that fit most fleets.
    #[must_use]
    pub fn of(
        before: Option<&Self>,
        stated: &[scenario::Tolerance],
        fingerprint: &str,
        metrics: &MetricsSet,
        reason: &str,
    ) -> Self {
        let metrics = metrics.iter().map(|(name, metric)| {
            let expected = match before.and_then(|before| before.metrics.get(name)) {
                Some(known) => Expected { value: metric.value, ..*known },
                None => match stated.iter().find(|stated| names(&stated.metric, name)) {
                    Some(stated) => Expected::stated(stated, metric.value),
                    None => Expected::first(name, metric.value),
                },
            };
            (name.to_owned(), expected)
        });
        Self {
            version: Self::VERSION,
            reason: reason.into(),
            fingerprint: fingerprint.into(),
            metrics: metrics.collect(),
        }
    }

    /// Judges every metric of the baseline and of the run, by name.
    #[must_use]
    pub fn compare(&self, metrics: &MetricsSet) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, expected) in &self.metrics {
            let found = metrics.get(name);
            let verdict = found.map_or(Verdict::Gone, |metric| expected.judge(metric.value));
            let found = found.and_then(|metric| metric.value);
            findings.push(Finding { name: name.clone(), expected: expected.value, found, verdict });
        }
        let new = metrics.iter().filter(|(name, _)| !self.metrics.contains_key(*name));
        findings.extend(new.map(|(name, metric)| Finding {
            name: name.into(),
            expected: None,
            found: metric.value,
            verdict: Verdict::New,
        }));
        findings.sort_by(|a, b| a.name.cmp(&b.name));
        findings
    }

    /// Reads a baseline; none when there is no such file.
    ///
    /// # Errors
    /// [`BaselineError`] when it is malformed or cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, BaselineError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BaselineError::Io { path: path.into(), source }),
        };
        let baseline: Self = ron::de::from_bytes(&bytes)
            .map_err(|source| BaselineError::Syntax { path: path.into(), source: Box::new(source) })?;
        baseline.check(path)?;
        Ok(Some(baseline))
    }

    /// Writes it, creating the folder.
    ///
    /// # Errors
    /// [`BaselineError::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let failed = |source| BaselineError::Io { path: path.into(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(path, self.to_ron()).map_err(failed)
    }

    /// The file's text: a line per metric.
    #[must_use]
    pub fn to_ron(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new().depth_limit(2).new_line("\n".to_owned());
        let text = ron::ser::to_string_pretty(self, pretty).expect("names and finite numbers serialise");
        format!(
            "// What `cosmosmesh check` expects of this scenario. Values are renewed by `check --bless --reason TEXT`;\n\
             // tolerances and directions are edited by hand and kept.\n{text}\n"
        )
    }

    fn check(&self, path: &Path) -> Result<(), BaselineError> {
        if self.version != Self::VERSION {
            let (found, allowed) = (self.version, Self::VERSION);
            return Err(BaselineError::Version { path: path.into(), found, allowed });
        }
        for (metric, expected) in &self.metrics {
            let refuse = |field, found, allowed| {
                Err(BaselineError::Value { path: path.into(), metric: metric.clone(), field, found, allowed })
            };
            if let Some(value) = expected.value.filter(|value| !value.is_finite()) {
                return refuse("value", value, "a finite number");
            }
            let tolerance = expected.tolerance.number();
            if !(0.0..f64::INFINITY).contains(&tolerance) {
                return refuse("tolerance", tolerance, "a finite number of at least 0");
            }
        }
        Ok(())
    }
}

/// A map whose keys occur once: RON itself lets the last one win.
fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Expected>, D::Error> {
    struct Unique;
    impl<'de> de::Visitor<'de> for Unique {
        type Value = BTreeMap<String, Expected>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of metrics")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, expected)) = entries.next_entry::<String, Expected>()? {
                if map.contains_key(&name) {
                    return Err(de::Error::custom(format_args!("metric {name:?} is recorded twice")));
                }
                map.insert(name, expected);
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(Unique)
}

#[cfg(test)]
mod stated_tests {
    use super::*;

    #[test]
    fn a_new_baseline_takes_the_tolerances_that_the_scenario_states() {
        let stated = [scenario::Tolerance {
            metric: "delivery.latency_s.*".into(),
            absolute: 2.0,
            relative: 0.1,
            better: scenario::Better::Lower,
        }];
        let mut metrics = MetricsSet::default();
        metrics.set("delivery.latency_s.p50", Some(50.0), "s");
        let baseline = Baseline::of(None, &stated, "", &metrics, "first");
        let expected = baseline.metrics["delivery.latency_s.p50"];
        assert_eq!((expected.tolerance, expected.better), (Tolerance::Absolute(5.0), Better::Lower));
    }
}
