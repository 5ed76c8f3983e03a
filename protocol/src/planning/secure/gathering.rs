//! What lies under a coordinator's sum: windows of masked answers ([`Gathering`]).

use alloc::{collections::BTreeMap, vec::Vec};

use super::{MaskedAnswer, MaskedRequest, SecureError, masking::asked_of_all};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        privacy::{Aggregator, Audit, MaskSum, Opened, PrivacyError, Receipt, Recover, Survivors, Taken},
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
    /// The horizon and round whose question is in force.
    asks: Option<(u64, u32)>,
}

impl Gathering {
    /// For this coordinator.
    ///
    /// # Errors
    /// [`PlanError::Couplings`] when the terms' entries are not those of the method's contributions, and [`PlanError::NotMember`] when
    /// a member of the plan is not in the roster.
    pub fn new(aggregator: Aggregator, coordinator: &Coordinator) -> Result<Self, PlanError> {
        let mut gathering = Self { aggregator, waiting: BTreeMap::new(), asks: None };
        gathering.check(coordinator)?;
        gathering.align(coordinator);
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

    /// Follows the coordinator to the question in force, and to who may answer it. Answers to another question that wait are dropped: their assets are asked the
    /// new one.
    pub fn align(&mut self, coordinator: &Coordinator) {
        let retired: Vec<NodeId> = coordinator.retired().collect();
        self.aggregator.expect(coordinator.members().filter(|member| !retired.contains(member)));
        let asks = Some((coordinator.horizon(), coordinator.round()));
        if self.asks == asks {
            return;
        }
        let request = coordinator.members().next().and_then(|member| coordinator.request(member));
        let Some(request) = request else { return };
        self.asks = asks;
        for node in self.aggregator.turn(request.horizon, asked_of_all(&request)) {
            self.waiting.remove(&node);
        }
    }

    /// What a member is asked now; `None` for a stranger.
    #[must_use]
    pub fn request(&self, coordinator: &Coordinator, node: NodeId) -> Option<MaskedRequest> {
        Some(MaskedRequest { request: coordinator.request(node)?, receipt: self.receipt(node)? })
    }

    /// Adds an answer to the window, and answers who is to be asked again: nobody; or its asset, when it is too late for its round, horizon or generation and
    /// dropped. An asset that says that nothing of it is counted although something is, is retired: its last answer stays in the sum.
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
        self.align(coordinator);
        let (found, last) = (answer.masked.generation, self.aggregator.occasion().generation);
        let admitted = match coordinator.admits(from, answer.heading) {
            Ok(_) if found != last => Err(PrivacyError::Generation { found, last }.into()),
            other => other.map_err(SecureError::from),
        };
        match admitted {
            Err(error) => {
                // A repeated one is in a sum or waits for one: it is not dropped.
                match self.aggregator.drop_contribution(from, &answer.masked) {
                    Ok(()) if coordinator.outcome().is_none() => Ok(Vec::from([from])),
                    _ => Err(error),
                }
            }
            Ok(true) => {
                if self.aggregator.on_contribution(from, &answer.masked)? == Taken::New {
                    self.waiting.insert(from, answer.heading);
                    coordinator.hold(from);
                }
                Ok(Vec::new())
            }
            Ok(false) => {
                let _ = self.aggregator.drop_contribution(from, &answer.masked);
                Ok(self.on_spent(coordinator, now, from))
            }
        }
    }

    /// An asset answers no more: nobody waits for it. Answers who is to be asked.
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
        let enough = self.is_open() && least > 0 && self.waiting.len() >= least.max(k_min);
        enough && self.aggregator.ready() >= least.max(k_min)
    }

    /// Whether, at a deadline, the window should be closed with those who are there: when there are enough of them, and a round can be closed then. Opened too early,
    /// it would leave behind fewer than may be opened later; when nobody is waited for any more (`late`), it does.
    #[must_use]
    pub fn is_due_at_deadline(&self, coordinator: &Coordinator, late: bool) -> bool {
        let opened = self.aggregator.would_open(late);
        let enough = self.is_open() && opened.len() >= self.aggregator.terms().parts().k_min;
        let closes = |node| self.waiting.contains_key(&node) && opened.binary_search(&node).is_ok();
        enough && (!coordinator.waits() || coordinator.could_close(closes))
    }

    /// Whether the plan cannot go on: who waits may not be summed with whoever is here, and nobody else will come.
    #[must_use]
    pub fn is_stuck(&self, coordinator: &Coordinator) -> bool {
        if !coordinator.waits() || !self.is_open() || self.waiting.is_empty() {
            return self.aggregator.is_stuck();
        }
        let k_min = self.aggregator.terms().parts().k_min;
        let here = coordinator.missing().all(|member| self.waiting.contains_key(&member));
        here && self.waiting.len() >= k_min && self.aggregator.would_open(false).len() < self.waiting.len()
    }

    /// Leaves those behind that wait in vain and were in no sum of the horizon: nobody waits for them until the next. Answers who is to be asked; `None`
    /// when it is not for them that the plan cannot go on.
    pub fn leave_behind(&mut self, coordinator: &mut Coordinator, now: Instant) -> Option<Vec<NodeId>> {
        let left = self.aggregator.left_behind();
        if left.is_empty() {
            return None;
        }
        self.aggregator.leave_behind();
        let (mut asked, least) = (Vec::new(), self.aggregator.terms().parts().k_min);
        for node in left {
            self.waiting.remove(&node);
            asked.extend(coordinator.leave_behind(now, node, least));
        }
        Some(asked)
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

    /// Closes the window with those who are there, as [`Gathering::close`].
    ///
    /// # Errors
    /// As [`Gathering::close`].
    pub fn close_late(&mut self) -> Result<Survivors, PrivacyError> {
        self.aggregator.close_late()
    }

    /// Takes a member's mask sum. With the last one the window's sum goes to the method, and the answer is what was opened and who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] as [`Aggregator::on_mask_sum`]; after [`PrivacyError::Implausible`] the sum is to begin again ([`Gathering::begin_again`]).
    pub fn on_mask_sum(
        &mut self,
        coordinator: &mut Coordinator,
        now: Instant,
        from: NodeId,
        reply: &MaskSum,
    ) -> Result<Option<(Opened, Vec<NodeId>)>, SecureError> {
        let Some(opened) = self.aggregator.on_mask_sum(from, reply)? else { return Ok(None) };
        let answered: Vec<(NodeId, u32)> = (opened.survivors.iter())
            .filter_map(|(node, _)| Some((*node, self.waiting.remove(node)?.round)))
            .collect();
        let grain = self.aggregator.terms().parts().grain;
        let sum: Vec<i64> = opened.sum.iter().map(|value| value << grain).collect();
        let asked = coordinator.on_sum(now, &answered, &sum)?;
        self.align(coordinator);
        Ok(Some((opened, asked)))
    }

    /// The sum begins again, because a window stays closed: members may have summed what this coordinator does not know. Answers who is to be asked: everyone.
    pub fn begin_again(&mut self, coordinator: &mut Coordinator, now: Instant) -> Vec<NodeId> {
        let asked = coordinator.begin_again(now);
        self.restart(coordinator);
        asked
    }

    /// Compares what a deputy recomputed with what a member said ([`Aggregator::audit`]).
    ///
    /// # Errors
    /// As [`Aggregator::audit`].
    pub fn audit(&mut self, from: NodeId, recomputed: &MaskSum) -> Result<Audit, PrivacyError> {
        self.aggregator.audit(from, recomputed)
    }

    /// Names a deputy for a lost member ([`Aggregator::recover`]).
    ///
    /// # Errors
    /// As [`Aggregator::recover`].
    pub fn recover(&mut self, lost: NodeId, deputy: NodeId) -> Result<Recover, PrivacyError> {
        self.aggregator.recover(lost, deputy)
    }

    /// A later horizon begins, or the sum begins again: it is empty, and what waits is dropped.
    pub fn restart(&mut self, coordinator: &Coordinator) {
        self.aggregator.restart(coordinator.horizon());
        self.waiting.clear();
        self.asks = None;
        self.align(coordinator);
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
