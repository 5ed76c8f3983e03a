//! What lies under a coordinator's sum: windows of masked answers ([`Gathering`]).

use alloc::{collections::BTreeMap, vec::Vec};

use super::{MaskedAnswer, MaskedRequest, SecureError};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        privacy::{Aggregator, MaskSum, Opened, PrivacyError, Receipt, Recover, Survivors, Taken},
        solver::{Coordinator, Heading},
    },
    time::Instant,
};

/// Gathers masked answers into windows, and gives a solver's coordinator what opens: sums, and no contribution.
#[derive(Debug)]
pub struct Gathering {
    aggregator: Aggregator,
    /// What the contributions that wait answer, by asset: at most one for each.
    waiting: BTreeMap<NodeId, Heading>,
}

impl Gathering {
    /// For this coordinator.
    ///
    /// # Errors
    /// [`PlanError::Couplings`] when the terms' entries are not those of the method's contributions, and [`PlanError::NotMember`] when
    /// a member of the plan is not in the roster.
    pub fn new(aggregator: Aggregator, coordinator: &Coordinator) -> Result<Self, PlanError> {
        let gathering = Self { aggregator, waiting: BTreeMap::new() };
        gathering.check(coordinator)?;
        Ok(gathering)
    }

    /// Whether a coordinator's answers are those of the terms.
    ///
    /// # Errors
    /// As [`Gathering::new`].
    pub fn check(&self, coordinator: &Coordinator) -> Result<(), PlanError> {
        let terms = self.aggregator.terms();
        let (found, expected) = (terms.parts().entries, coordinator.entries());
        if found != expected {
            return Err(PlanError::Couplings { found, expected });
        }
        if let Some(node) = coordinator.members().find(|member| terms.position(*member).is_none()) {
            return Err(PlanError::NotMember { node });
        }
        Ok(())
    }

    /// What a member is asked now; `None` for a stranger.
    #[must_use]
    pub fn request(&self, coordinator: &Coordinator, node: NodeId) -> Option<MaskedRequest> {
        Some(MaskedRequest { request: coordinator.request(node)?, receipt: self.receipt(node)? })
    }

    /// Adds an answer to the window, and answers who is to be asked again: nobody; its asset, when it is too late for its round or horizon and dropped; everyone, when the
    /// sum begins again because an asset has forgotten what it last said.
    ///
    /// # Errors
    /// [`SecureError`] when the answer is refused.
    pub fn on_answer(
        &mut self,
        coordinator: &mut Coordinator,
        now: Instant,
        from: NodeId,
        answer: &MaskedAnswer,
    ) -> Result<Vec<NodeId>, SecureError> {
        match coordinator.admits(from, answer.heading) {
            Err(error) => {
                // A repeated one is in a sum or waits for one: it is not dropped.
                match self.aggregator.drop_contribution(from, &answer.masked) {
                    Ok(()) if coordinator.outcome().is_none() => Ok(Vec::from([from])),
                    _ => Err(error.into()),
                }
            }
            Ok(true) => {
                if self.aggregator.on_contribution(from, &answer.masked)? == Taken::New {
                    self.waiting.insert(from, answer.heading);
                }
                Ok(Vec::new())
            }
            Ok(false) => {
                self.restart();
                let _ = self.aggregator.drop_contribution(from, &answer.masked);
                Ok(coordinator.begin_again(now))
            }
        }
    }

    /// An asset's budget is spent: nobody waits for it any more. Answers who is to be asked.
    pub fn on_spent(&mut self, coordinator: &mut Coordinator, now: Instant, from: NodeId) -> Vec<NodeId> {
        coordinator.retire(now, from, self.aggregator.terms().parts().k_min)
    }

    /// Whether the window should be closed now: with a method that needs everyone, when nobody is missing; else when it may be.
    #[must_use]
    pub fn is_due(&self, coordinator: &Coordinator) -> bool {
        let k_min = self.aggregator.terms().parts().k_min;
        let least = match coordinator.waits() {
            true => coordinator.missing().count(),
            false => k_min,
        };
        self.is_open() && least > 0 && self.aggregator.ready() >= least.max(k_min)
    }

    /// Whether, at a round's deadline, the window should be closed with those who are there: when there are enough of them, and the round can be closed then. Opened too early,
    /// it would leave behind fewer than may be opened later.
    #[must_use]
    pub fn is_due_at_deadline(&self, coordinator: &Coordinator) -> bool {
        let enough = self.aggregator.ready() >= self.aggregator.terms().parts().k_min;
        self.is_open() && enough && coordinator.could_close(|node| self.waiting.contains_key(&node))
    }

    /// Whether no survivor set waits for the committee.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.aggregator.published().is_none()
    }

    /// Whether an answer of the asset waits to be opened.
    #[must_use]
    pub fn holds(&self, node: NodeId) -> bool {
        self.waiting.contains_key(&node)
    }

    /// Closes the window: its survivors are to be published to the committee.
    ///
    /// # Errors
    /// [`PrivacyError::TooFew`] or [`PrivacyError::Phase`], as [`Aggregator::close`].
    pub fn close(&mut self) -> Result<Survivors, PrivacyError> {
        self.aggregator.close()
    }

    /// Takes a member's mask sum. With the last one the window's sum goes to the method, and the answer is what was opened and who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] as [`Aggregator::on_mask_sum`]; after [`PrivacyError::Implausible`] everyone is to be asked again.
    pub fn on_mask_sum(
        &mut self,
        coordinator: &mut Coordinator,
        now: Instant,
        from: NodeId,
        reply: &MaskSum,
    ) -> Result<Option<(Opened, Vec<NodeId>)>, SecureError> {
        let published = self.published();
        let opened = match self.aggregator.on_mask_sum(from, reply) {
            Err(error @ PrivacyError::Implausible { .. }) => {
                self.waiting.retain(|node, _| !published.contains(node));
                return Err(error.into());
            }
            other => other?,
        };
        let Some(opened) = opened else { return Ok(None) };
        let answered: Vec<(NodeId, u32)> = (opened.survivors.iter())
            .filter_map(|(node, _)| Some((*node, self.waiting.remove(node)?.round)))
            .collect();
        let grain = self.aggregator.terms().parts().grain;
        let sum: Vec<i64> = opened.sum.iter().map(|value| value << grain).collect();
        let asked = coordinator.on_sum(now, &answered, &sum)?;
        Ok(Some((opened, asked)))
    }

    /// Gives a published window up, when a member is lost for good; answers who is to be asked again.
    ///
    /// # Errors
    /// [`PrivacyError::Phase`] when none is published.
    pub fn abandon(&mut self) -> Result<Vec<NodeId>, PrivacyError> {
        let dropped = self.published();
        self.aggregator.abandon()?;
        self.waiting.retain(|node, _| !dropped.contains(node));
        Ok(dropped)
    }

    /// Whose answers are in the survivor set that waits.
    fn published(&self) -> Vec<NodeId> {
        let roster = &self.aggregator.terms().parts().roster;
        let entries = self.aggregator.published().map(|survivors| survivors.entries.as_slice());
        entries.unwrap_or_default().iter().map(|(place, _)| roster[*place].node).collect()
    }

    /// Names a deputy for a lost member ([`Aggregator::recover`]).
    ///
    /// # Errors
    /// As [`Aggregator::recover`].
    pub fn recover(&mut self, lost: NodeId, deputy: NodeId) -> Result<Recover, PrivacyError> {
        self.aggregator.recover(lost, deputy)
    }

    /// A later horizon begins, or the sum begins again: it is empty, and what waits is dropped.
    pub fn restart(&mut self) {
        self.aggregator.restart();
        self.waiting.clear();
    }

    /// What the asset is told of its contributions.
    #[must_use]
    pub fn receipt(&self, node: NodeId) -> Option<Receipt> {
        self.aggregator.receipt(node)
    }

    /// The sums and who is in them.
    #[must_use]
    pub const fn aggregator(&self) -> &Aggregator {
        &self.aggregator
    }
}
