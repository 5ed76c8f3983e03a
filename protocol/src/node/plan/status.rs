//! Where the plan is, as this node knows it.

use super::Node;
use crate::{id::NodeId, planning::Outcome};

/// What this node knows of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanStatus<'a> {
    /// The horizon.
    pub horizon: u64,
    /// The greatest coordinator's term that is known.
    pub term: u32,
    /// Who coordinates in it.
    pub coordinator: NodeId,
    /// The last round heard of, 0 before the first.
    pub round: u32,
    /// The prices of that round, one per coupling.
    pub prices: &'a [f64],
    /// What this node's own asset plans; empty without a part.
    pub values: &'a [f64],
    /// How the plan of this horizon ended, once it has: at a node with a part, and at the coordinator.
    pub committed: Option<Outcome>,
}

impl Node {
    /// What this node knows of the plan; `None` when it has none, and before it began.
    #[must_use]
    pub fn plan_status(&self) -> Option<PlanStatus<'_>> {
        let planning = self.planning.as_ref()?;
        let heard = planning.heard.as_ref();
        let coordinator = planning.coordinator.as_ref().filter(|coordinator| coordinator.round() > 0);
        let (round, prices) = match (coordinator, heard) {
            (Some(own), _) => (own.round(), own.prices()),
            (None, Some(heard)) => (heard.round, heard.prices.as_slice()),
            (None, None) => return None,
        };
        let asset = planning.asset.as_ref();
        Some(PlanStatus {
            horizon: planning.config.horizon,
            term: planning.term,
            coordinator: planning.leader(planning.term),
            round,
            prices,
            values: asset.map_or(&[], |asset| asset.values()),
            committed: match asset {
                Some(asset) => asset.committed(),
                None => coordinator.and_then(|own| own.outcome()).filter(|_| planning.commit.is_some()),
            },
        })
    }
}
