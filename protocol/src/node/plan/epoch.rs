//! The next term of the same coordinator, for the sake of its epoch.

use super::{Node, PlanStage};
use crate::node::Report;

impl Node {
    /// Begins this coordinator's next term where a member spoils sums who cannot be found in this epoch: with keys of their own, as many members more may be audited. Whether it
    /// did.
    pub(super) fn begins_epoch(&mut self) -> bool {
        let id = self.config.id;
        let Some(planning) = self.planning.as_mut() else { return false };
        let candidates = planning.config.successors.len() as u32 + 1;
        let next = planning.term.saturating_add(candidates);
        let (Some(private), Some(coordinator)) = (&mut planning.private, &planning.coordinator) else {
            return false;
        };
        let exhausted = private.take_exhausted();
        if !exhausted || !private.covers(next) || coordinator.outcome().is_some() {
            return false;
        }
        let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round().saturating_add(1));
        let prices = coordinator.prices().to_vec();
        // Members hold each epoch's sums against themselves alone.
        let members = planning.all_of(stage);
        planning.term = next;
        self.report(Report::PlanTerm { term: next, coordinator: id });
        self.coordinate(stage, round, &prices, members)
    }
}
