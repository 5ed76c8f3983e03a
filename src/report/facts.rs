//! What `run.json` and `timing.json` hold.

use crate::oracle::OracleReport;
use serde::{Deserialize, Serialize};

/// The identity of a run: equal for equal runs, whatever the machine and the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// [`RunFacts::FORMAT`].
    pub format: String,
    /// The scenario's name.
    pub scenario: String,
    /// SHA-256 of the scenario with its includes, hexadecimal.
    pub scenario_hash: String,
    /// What a reader of any figure must know (envelopes off, size-only payloads); absent for the whole protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// The seed.
    pub seed: u64,
    /// The program's version.
    pub version: String,
    /// Hash over the whole trace, hexadecimal; empty until the run is finished.
    pub fingerprint: String,
    /// The scenario's epoch, ISO 8601 UTC.
    pub epoch_utc: String,
    /// Simulated time, seconds.
    pub duration_s: f64,
    /// The assets, in order of their index.
    pub assets: Vec<AssetFacts>,
    /// What the fleet plans; absent when it plans nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanFacts>,
    /// What the oracles found; empty until the run is finished.
    pub oracles: OracleFacts,
}

/// An asset, as tables and plots name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetFacts {
    /// Its name, unique in the scenario.
    pub name: String,
    /// Its kind: rover, drone, habitat, satellite, ground station.
    pub kind: String,
}

/// The fleet's plan, as tables and plots name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanFacts {
    /// What is exchanged. The first variables of a local plan are its values by commodity, then slot.
    pub commodities: Vec<String>,
    /// Slots of the horizon.
    pub slots: u32,
    /// Length of a slot, seconds.
    pub slot_s: f64,
    /// The constraints that bind the fleet, in the order of their prices.
    pub constraints: Vec<String>,
    /// How many slots later than the last one a horizon begins; 0 when there is only one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shift: u32,
    /// The constraints of each later horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<Vec<String>>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The oracles' findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleFacts {
    /// How many violations there were.
    pub total: u64,
    /// The first of them, in plain words.
    pub violations: Vec<String>,
}

impl From<&OracleReport> for OracleFacts {
    fn from(report: &OracleReport) -> Self {
        Self { total: report.total, violations: report.violations.iter().map(ToString::to_string).collect() }
    }
}

/// What depends on the machine: the only file of a run folder that may differ between equal runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Wall time of the simulation, seconds.
    pub wall_s: f64,
    /// Threads used.
    pub threads: u32,
    /// Events handled.
    pub events: u64,
    /// Events per second of wall time.
    pub events_per_s: f64,
}

impl PlanFacts {
    /// Name and slot of variable `at` of a local plan of a horizon; a variable beyond the commodities' has no slot. Slots count from
    /// the first horizon's first.
    #[must_use]
    pub fn quantity(&self, horizon: u64, at: usize) -> (String, String) {
        let slots = self.slots.max(1) as usize;
        let first = self.shift as usize * horizon as usize;
        match self.commodities.get(at / slots) {
            Some(commodity) => (commodity.clone(), (first + at % slots).to_string()),
            None => (format!("x[{at}]"), String::new()),
        }
    }
}

impl PlanFacts {
    /// How many slots all horizons cover.
    #[must_use]
    pub fn span(&self) -> u32 {
        self.slots + self.shift * self.later.len() as u32
    }

    /// The constraints that bind the fleet in a horizon, in the order of their prices.
    #[must_use]
    pub fn binding(&self, horizon: u64) -> &[String] {
        let later = usize::try_from(horizon).ok().and_then(|horizon| horizon.checked_sub(1));
        later.and_then(|at| self.later.get(at)).unwrap_or(&self.constraints)
    }
}

impl RunFacts {
    /// The mark of a run folder.
    pub const FORMAT: &str = "cosmosmesh run 1";
}
