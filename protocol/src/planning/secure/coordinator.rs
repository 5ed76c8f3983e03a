//! A coordinator with windows of masked answers under its sum, as one: [`SecureCoordinator`].

use alloc::vec::Vec;

use super::{Gathering, MaskedAnswer, MaskedRequest, SecureError};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        privacy::{Aggregator, MaskSum, PrivacyError, Survivors},
        solver::Coordinator,
    },
    time::Instant,
};

/// A solver's coordinator that sees sums of windows, and no contribution.
#[derive(Debug)]
pub struct SecureCoordinator {
    coordinator: Coordinator,
    gathering: Gathering,
}

impl SecureCoordinator {
    /// Joins the two.
    ///
    /// # Errors
    /// As [`Gathering::new`].
    pub fn new(coordinator: Coordinator, aggregator: Aggregator) -> Result<Self, PlanError> {
        let gathering = Gathering::new(aggregator, &coordinator)?;
        Ok(Self { coordinator, gathering })
    }

    /// Opens the first round, and answers who is to be asked.
    pub fn start(&mut self, now: Instant) -> Vec<NodeId> {
        self.coordinator.start(now)
    }

    /// What a member is asked now; `None` for a stranger.
    #[must_use]
    pub fn request(&self, node: NodeId) -> Option<MaskedRequest> {
        self.gathering.request(&self.coordinator, node)
    }

    /// As [`Gathering::on_answer`].
    ///
    /// # Errors
    /// As [`Gathering::on_answer`].
    pub fn on_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        answer: &MaskedAnswer,
    ) -> Result<Vec<NodeId>, SecureError> {
        self.gathering.on_answer(&mut self.coordinator, now, from, answer)
    }

    /// Whether the window should be closed now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.gathering.is_due(&self.coordinator)
    }

    /// Closes the window: its survivors are to be published to the committee.
    ///
    /// # Errors
    /// As [`Gathering::close`].
    pub fn close(&mut self) -> Result<Survivors, PrivacyError> {
        self.gathering.close()
    }

    /// Takes a member's mask sum; answers who is to be asked.
    ///
    /// # Errors
    /// As [`Gathering::on_mask_sum`].
    pub fn on_mask_sum(
        &mut self,
        now: Instant,
        from: NodeId,
        reply: &MaskSum,
    ) -> Result<Vec<NodeId>, SecureError> {
        let opened = self.gathering.on_mask_sum(&mut self.coordinator, now, from, reply)?;
        Ok(opened.map(|(_, asked)| asked).unwrap_or_default())
    }

    /// The solver's coordinator.
    #[must_use]
    pub const fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// The sums and who is in them.
    #[must_use]
    pub const fn aggregator(&self) -> &Aggregator {
        self.gathering.aggregator()
    }
}
