//! The coordinator's side of planning under masks: [`SecureCoordinator`].

use alloc::{collections::BTreeMap, vec::Vec};

use super::{MaskedAnswer, MaskedRequest, SecureError};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        privacy::{Aggregator, MaskSum, PrivacyError, Receipt, Recover, Survivors, Taken},
        solver::{Coordinator, Heading},
    },
    time::Instant,
};

/// A solver's coordinator that sees sums of windows, and no contribution.
#[derive(Debug)]
pub struct SecureCoordinator {
    coordinator: Coordinator,
    aggregator: Aggregator,
    /// What the contributions that wait answer, by asset: at most one for each.
    waiting: BTreeMap<NodeId, Heading>,
}

impl SecureCoordinator {
    /// Joins the two.
    ///
    /// # Errors
    /// [`PlanError::Couplings`] when the terms' entries are not those of the method's contributions, and [`PlanError::NotMember`] when
    /// a member of the plan is not in the roster.
    pub fn new(coordinator: Coordinator, aggregator: Aggregator) -> Result<Self, PlanError> {
        let terms = aggregator.terms();
        let (found, expected) = (terms.parts().entries, coordinator.entries());
        if found != expected {
            return Err(PlanError::Couplings { found, expected });
        }
        if let Some(node) = coordinator.members().find(|member| terms.position(*member).is_none()) {
            return Err(PlanError::NotMember { node });
        }
        Ok(Self { coordinator, aggregator, waiting: BTreeMap::new() })
    }

    /// Opens the first round, and answers who is to be asked.
    pub fn start(&mut self, now: Instant) -> Vec<NodeId> {
        self.coordinator.start(now)
    }

    /// What a member is asked now; `None` for a stranger.
    #[must_use]
    pub fn request(&self, node: NodeId) -> Option<MaskedRequest> {
        let receipt = self.aggregator.receipt(node)?;
        Some(MaskedRequest { request: self.coordinator.request(node)?, receipt })
    }

    /// Adds an answer to the window, and answers who is to be asked again: nobody, but everyone when the sum begins again because an asset has
    /// forgotten what it last said.
    ///
    /// # Errors
    /// [`SecureError`] when the answer is refused. One that is too late for its round or horizon is dropped, which its asset learns from its next receipt.
    pub fn on_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        answer: &MaskedAnswer,
    ) -> Result<Vec<NodeId>, SecureError> {
        match self.coordinator.admits(from, answer.heading) {
            Err(error) => {
                // A repeated one is in a sum or waits for one: it is not dropped.
                let _ = self.aggregator.drop_contribution(from, &answer.masked);
                Err(error.into())
            }
            Ok(true) => {
                if self.aggregator.on_contribution(from, &answer.masked)? == Taken::New {
                    self.waiting.insert(from, answer.heading);
                }
                Ok(Vec::new())
            }
            Ok(false) => {
                self.aggregator.restart();
                self.waiting.clear();
                let _ = self.aggregator.drop_contribution(from, &answer.masked);
                Ok(self.coordinator.begin_again(now))
            }
        }
    }

    /// Whether the window should be closed now: with a method that needs everyone, when nobody is missing; else when it may be.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let least = match self.coordinator.waits() {
            true => self.coordinator.missing().count(),
            false => self.aggregator.terms().parts().k_min,
        };
        self.aggregator.published().is_none() && least > 0 && self.aggregator.ready() >= least
    }

    /// Closes the window: its survivors are to be published to the committee.
    ///
    /// # Errors
    /// [`PrivacyError::TooFew`] or [`PrivacyError::Phase`], as [`Aggregator::close`].
    pub fn close(&mut self) -> Result<Survivors, PrivacyError> {
        self.aggregator.close()
    }

    /// Takes a member's mask sum. With the last one the window's sum goes to the method, and the answer is who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] as [`Aggregator::on_mask_sum`]; after [`PrivacyError::Implausible`] everyone is to be asked again.
    pub fn on_mask_sum(
        &mut self,
        now: Instant,
        from: NodeId,
        reply: &MaskSum,
    ) -> Result<Vec<NodeId>, SecureError> {
        let Some(opened) = self.aggregator.on_mask_sum(from, reply)? else { return Ok(Vec::new()) };
        let answered: Vec<(NodeId, u32)> = (opened.survivors.iter())
            .filter_map(|(node, _)| Some((*node, self.waiting.remove(node)?.round)))
            .collect();
        Ok(self.coordinator.on_sum(now, &answered, &opened.sum)?)
    }

    /// Takes a step, or closes or extends a round, whose time has come; answers who is to be asked. Where a round's deadline has come, the
    /// caller first closes the window with those who are there.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<NodeId> {
        self.coordinator.on_timeout(now)
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.coordinator.poll_timeout()
    }

    /// Gives a published window up, when a member is lost for good; answers who is to be asked again.
    ///
    /// # Errors
    /// [`PrivacyError::Phase`] when none is published.
    pub fn abandon(&mut self) -> Result<Vec<NodeId>, PrivacyError> {
        let published = self.aggregator.published().ok_or(PrivacyError::Phase { wanted: "published" })?;
        let roster = &self.aggregator.terms().parts().roster;
        let dropped: Vec<NodeId> = published.entries.iter().map(|(place, _)| roster[*place].node).collect();
        self.aggregator.abandon()?;
        dropped.iter().for_each(|node| {
            self.waiting.remove(node);
        });
        Ok(dropped)
    }

    /// Names a deputy for a lost member ([`Aggregator::recover`]).
    ///
    /// # Errors
    /// As [`Aggregator::recover`].
    pub fn recover(&mut self, lost: NodeId, deputy: NodeId) -> Result<Recover, PrivacyError> {
        self.aggregator.recover(lost, deputy)
    }

    /// Begins a later horizon, or goes on from another coordinator's prices: the sum is empty. Answers who is to be asked.
    ///
    /// # Errors
    /// As [`Coordinator::resume`].
    pub fn resume(
        &mut self,
        now: Instant,
        horizon: u64,
        round: u32,
        prices: &[f64],
    ) -> Result<Vec<NodeId>, PlanError> {
        let asked = self.coordinator.resume(now, horizon, round, prices)?;
        self.aggregator.restart();
        self.waiting.clear();
        Ok(asked)
    }

    /// What the asset is told of its contributions.
    #[must_use]
    pub fn receipt(&self, node: NodeId) -> Option<Receipt> {
        self.aggregator.receipt(node)
    }

    /// The solver's coordinator.
    #[must_use]
    pub const fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// The solver's coordinator, for its reports.
    pub const fn coordinator_mut(&mut self) -> &mut Coordinator {
        &mut self.coordinator
    }

    /// The sums and who is in them.
    #[must_use]
    pub const fn aggregator(&self) -> &Aggregator {
        &self.aggregator
    }
}
