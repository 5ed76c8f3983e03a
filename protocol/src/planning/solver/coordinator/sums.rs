//! The sum of several contributions at once, when nobody but their assets knows them one by one.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Coordinator, Phase};
use crate::{
    id::NodeId,
    planning::{exchange::PlanError, message::Outcome, version::Version},
    time::Instant,
};

/// What is known of a contribution whose entries are masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The horizon.
    pub horizon: u64,
    /// The round of the request that it answers.
    pub round: u32,
    /// The round of the contribution that it replaces in the sum; 0 when there is none.
    pub base: u32,
}

/// What was agreed on before the sum began again.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    members: usize,
    prices: Vec<f64>,
}

impl Agreed {
    pub(super) fn prices(&self) -> &[f64] {
        &self.prices
    }
}

impl Coordinator {
    /// Whether a contribution with this heading would be taken. `false`: it is relative to nothing although one of the asset is in the
    /// sum, so the sum has to begin again ([`Coordinator::begin_again`]).
    ///
    /// # Errors
    /// As [`Coordinator::on_contribution`].
    pub fn admits(&self, from: NodeId, heading: Heading) -> Result<bool, PlanError> {
        let accepted = self.members[self.position(from)?].accepted;
        if heading.horizon != self.horizon {
            return Err(PlanError::Horizon { found: heading.horizon, expected: self.horizon });
        }
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(PlanError::Idle);
        }
        let (found, current) = (heading.round, self.round);
        if found > current {
            return Err(PlanError::FutureRound { found, current });
        }
        let late = self.method.rounds() && found < current;
        if late || found <= accepted || (heading.base != accepted && heading.base != 0) {
            return Err(PlanError::OldRound { found, current });
        }
        Ok(heading.base == accepted)
    }

    /// Empties the sum, and answers who is to be asked: everyone; nobody when no round is open.
    pub fn begin_again(&mut self, now: Instant) -> Vec<NodeId> {
        if !matches!(self.phase, Phase::Open { .. }) {
            return Vec::new();
        }
        self.agreed = self.agreement();
        self.forget();
        self.open(now);
        self.everyone(now)
    }

    /// What is agreed on in this horizon: by those in the sum, or by those who were before it had to begin again, if they were more and somebody is missing now.
    #[must_use]
    pub fn agreement(&self) -> Option<Agreed> {
        let members = self.members.iter().filter(|member| member.accepted > 0).count();
        match &self.agreed {
            Some(agreed) if agreed.members > members && members < self.members.len() => Some(agreed.clone()),
            _ => (members > 0).then(|| Agreed { members, prices: self.prices().to_vec() }),
        }
    }

    /// Goes on from what was agreed on in the same horizon, with other members or after a failure.
    #[must_use]
    pub fn going_on_from(self, agreed: Option<Agreed>) -> Self {
        Self { agreed, ..self }
    }

    /// How many members the plan that is agreed on counts.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.agreement().map_or(0, |agreed| agreed.members)
    }

    /// Whether as many as a version needs have agreed on something in this horizon.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.agreed() >= self.pace.quorum
    }

    /// Whether everyone that answers is in the sum, or as many as were before it began again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let members = self.members.iter().filter(|member| member.accepted > 0).count();
        let before = self.agreed.as_ref().is_some_and(|agreed| members >= agreed.members);
        before || self.members.iter().all(|member| member.retired || member.accepted > 0)
    }

    /// Somebody's answer is here under masks: it is not silent.
    pub fn hold(&mut self, node: NodeId) {
        if let Ok(place) = self.position(node) {
            (self.members[place].held, self.members[place].silent) = (true, 0);
        }
    }

    /// How many deadlines have passed since somebody last answered that answers still: of who is silent longest.
    #[must_use]
    pub fn silence(&self) -> u32 {
        let answers = self.members.iter().filter(|member| !member.retired);
        answers.map(|member| member.silent).max().unwrap_or(0)
    }

    /// How long a round waits, or a silent member before it is asked again.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.pace.deadline
    }

    /// Takes the running sum with contributions in it that were admitted, each of them with the round that it answers, and answers who
    /// is to be asked.
    ///
    /// # Errors
    /// [`PlanError`] when the sum has another length, a node is no member, or no round is open: nothing changed.
    pub fn on_sum(
        &mut self,
        now: Instant,
        answered: &[(NodeId, u32)],
        sum: &[i64],
    ) -> Result<Vec<NodeId>, PlanError> {
        let (found, expected) = (sum.len(), self.sum.len());
        if found != expected {
            return Err(PlanError::Couplings { found, expected });
        }
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(PlanError::Idle);
        }
        let places = answered.iter().map(|(node, _)| self.position(*node)).collect::<Result<Vec<_>, _>>()?;
        self.sum = sum.iter().map(|entry| *entry as u64).collect();
        for (place, (_, round)) in places.into_iter().zip(answered) {
            self.take(place, *round);
        }
        Ok(self.after(now))
    }

    /// A member answers no more in this horizon: what the sum holds of it stays, and nobody waits for it. Answers who is to be asked. When
    /// fewer than `least` members still answer, the plan is committed as [`Outcome::Absent`].
    pub fn retire(&mut self, now: Instant, node: NodeId, least: usize) -> Vec<NodeId> {
        let (Ok(place), Phase::Open { .. }) = (self.position(node), self.phase) else { return Vec::new() };
        self.members[place].retired = true;
        if self.members.iter().filter(|member| !member.retired).count() < least.max(1) {
            return self.commit(now, Outcome::Absent);
        }
        let complete = self.members.iter().all(|member| member.has_answered(self.round));
        if self.method.rounds() && complete { self.close(now) } else { Vec::new() }
    }

    /// Ends a plan that cannot go on: what was agreed on last is committed as [`Outcome::Absent`]. Answers who is to be told.
    pub fn end(&mut self, now: Instant) -> Vec<NodeId> {
        match self.phase {
            Phase::Open { .. } => self.commit(now, Outcome::Absent),
            Phase::Idle | Phase::Done(_) => Vec::new(),
        }
    }

    /// Whether an answer of a member is in the sum.
    #[must_use]
    pub fn has_share(&self, node: NodeId) -> bool {
        self.position(node).is_ok_and(|place| self.members[place].accepted > 0)
    }

    /// The version that was committed, if one was.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let (horizon, term, round) = (self.horizon, self.term, self.round);
        Some(Version { horizon, term, round, outcome: self.outcome()?, prices: self.prices().to_vec() })
    }

    /// Members that answer no more.
    pub fn retired(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().filter(|member| member.retired).map(|member| member.node)
    }

    /// Whether a round could be closed at its deadline once the answers of `waiting` members are in the sum.
    #[must_use]
    pub fn could_close(&self, waiting: impl Fn(NodeId) -> bool) -> bool {
        let fresh = |member: &&super::Member| member.has_answered(self.round) || waiting(member.node);
        let count = self.members.iter().filter(fresh).count();
        let known = self.members.iter().all(|member| member.is_known() || waiting(member.node));
        count == self.members.len()
            || known && count >= self.pace.quorum && !self.unconfirmed && !self.method.insists()
    }

    /// Whether a step needs everyone's answer to one question.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.method.rounds()
    }

    /// The entries of a contribution.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.sum.len()
    }
}
