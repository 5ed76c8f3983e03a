//! [`MetricsSet`]: named values with units, as `metrics.json` holds them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One figure of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The value, with [`MetricsSet::DIGITS`] significant digits; null where it does not exist (never reached, nothing
    /// measured, no such mechanism).
    pub value: Option<f64>,
    /// Its unit: `s`, `B`, `J/B`, `1` for ratios and counts.
    pub unit: String,
    /// Why there is no value, or what a reader of all values must know, where that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// All metrics of a run by name, in order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricsSet(BTreeMap<String, Metric>);

impl MetricsSet {
    /// Significant decimal digits that a value keeps: the last bits of a sum are no result.
    pub const DIGITS: usize = 12;

    /// Sets `name`; a value that is not finite counts as missing.
    pub fn set(&mut self, name: impl Into<String>, value: Option<f64>, unit: &str) {
        let value = value.filter(|value| value.is_finite()).map(round_digits);
        self.0.insert(name.into(), Metric { value, unit: unit.into(), note: None });
    }

    /// Sets `name` to a whole number.
    pub fn count(&mut self, name: impl Into<String>, value: u64, unit: &str) {
        self.set(name, Some(value as f64), unit);
    }

    /// Sets `name` to a value of which a reader must know more.
    pub fn noted(&mut self, name: impl Into<String>, value: f64, note: &str) {
        let (value, unit, note) = (Some(value), "1".into(), Some(note.into()));
        self.0.insert(name.into(), Metric { value, unit, note });
    }

    /// Sets `name` to null and says why.
    pub fn absent(&mut self, name: impl Into<String>, unit: &str, note: &str) {
        self.0.insert(name.into(), Metric { value: None, unit: unit.into(), note: Some(note.into()) });
    }

    /// Marks the run as a study, by one metric `study.*` of value 1 for each part of `caveat`, which commas divide.
    pub fn stamp(&mut self, caveat: &str) {
        for part in caveat.split(", ") {
            let name = format!("study.{}", part.replace([' ', '-'], "_"));
            self.0.insert(name, Metric { value: Some(1.0), unit: "1".into(), note: Some(part.into()) });
        }
    }

    /// The metric called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.0.get(name)
    }

    /// The value of `name`; none when it is null or missing.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(|metric| metric.value)
    }

    /// Names and metrics, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.0.iter().map(|(name, metric)| (name.as_str(), metric))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of `metrics.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.0).expect("names and finite numbers serialise");
        text.push('\n');
        text
    }
}

/// `value` with [`MetricsSet::DIGITS`] significant digits; negative zero becomes zero.
fn round_digits(value: f64) -> f64 {
    let rounded: f64 =
        format!("{value:.*e}", MetricsSet::DIGITS - 1).parse().expect("a formatted float parses");
    rounded + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_is_marked_part_by_part_and_reads_back() {
        let mut set = MetricsSet::default();
        set.stamp("envelopes off, size-only payloads");
        assert_eq!(set.value("study.envelopes_off"), Some(1.0));
        assert_eq!(set.value("study.size_only_payloads"), Some(1.0));
        let read: MetricsSet = serde_json::from_str(&set.to_json()).expect("it is its own form");
        assert_eq!(read, set);
    }
}
