//! Versions of the plan as records of the contract `plan`: what a coordinator that shares state tells all its members of what was agreed on.

use super::{Runtime, Storage};
use crate::{engine::Record, units::SimTime};
use cosmosmesh_protocol::{
    contract::{MIN_CURVATURE, Record as Contract, Value},
    node::Report,
    planning::Version,
    sync::Op,
};

/// Prices in a record at most, as the contract has it.
const PRICES: usize = 1_024;

/// What this node, as a coordinator, has agreed on, and is to write.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    due: Option<Version>,
}

impl Agreed {
    /// Members hear of versions too: only the coordinator that committed one writes it, and only what it committed itself.
    pub(super) fn note(&mut self, report: &Report) {
        if let Report::PlanVersion(version) = report {
            self.due = Some(version.clone());
        }
    }
}

impl Runtime {
    /// Writes the version that was committed, if there is one and this asset shares state. Prices are published anyway; shares are nobody's to tell.
    pub(super) fn publish_plan(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        let Some(Version { round, prices, .. }) = self.agreed.due.take() else { return };
        let horizon = self.carried.horizon;
        let registry = self.node.as_ref().and_then(|node| node.registry());
        let Some(schema) = registry.and_then(|registry| registry.newest("plan")) else { return };
        let plan = self.fleet.scenario().planning.as_ref();
        // The contract knows no less: below that, the field is empty.
        let curvature = plan.map(|plan| plan.min_curvature).filter(|least| *least >= MIN_CURVATURE);
        let floats = |list: Vec<f64>| Value::Array(list.into_iter().map(Value::Float).collect());
        let mut record = Contract::new(schema)
            .with(1, Value::Uint(horizon))
            .with(2, Value::Uint(round.into()))
            .with(5, floats(curvature.into_iter().collect()));
        if prices.len() <= PRICES {
            record = record.with(3, floats(prices));
        }
        let (key, value) = (format!("horizon-{horizon}"), record.encode());
        self.input_write(now, Op::MapPut { name: b"plan", key: key.as_bytes(), value: &value }, storage, out);
    }
}
