//! `energy.*`: what the fleet's radios cost.

use super::MetricsSet;
use crate::{
    engine::{Record, RecordKind},
    units::AssetIndex,
};
use std::collections::BTreeMap;

/// Keeps the last radio account of each asset and the lowest state of charge of all.
#[derive(Clone, Debug, Default)]
pub struct EnergyRecorder {
    radio_joules: BTreeMap<AssetIndex, f64>,
    min_state_of_charge: Option<f64>,
}

impl EnergyRecorder {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        let RecordKind::Energy { state_of_charge, radio_joules } = record.kind else { return };
        self.radio_joules.insert(record.asset, radio_joules);
        let lowest = self.min_state_of_charge.map_or(state_of_charge, |lowest| lowest.min(state_of_charge));
        self.min_state_of_charge = Some(lowest);
    }

    /// Writes `energy.*`, `delivered_bytes` being the application's payload that arrived.
    pub fn write(&self, delivered_bytes: u64, set: &mut MetricsSet) {
        let joules: f64 = self.radio_joules.values().sum();
        let known = !self.radio_joules.is_empty();
        let cost = (known && delivered_bytes > 0).then(|| joules / delivered_bytes as f64);
        set.set("energy.joules_per_delivered_byte", cost, "J/B");
        set.set("energy.radio_joules", known.then_some(joules), "J");
        set.set("energy.min_state_of_charge", self.min_state_of_charge, "1");
    }
}
