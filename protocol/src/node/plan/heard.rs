//! What was last heard of a coordinator: where a successor goes on.

use super::{PlanStage, Planning};
use crate::{id::NodeId, node::Kept, planning::solver::Request, time::Instant};
use alloc::{vec, vec::Vec};

/// The kept part of what a coordinator without an asset knows: the second byte of the key, after [`Kept::Plan`].
pub(super) const LED: u8 = 2;

/// What a coordinator last said, without its question.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// When anything came of it last.
    pub(super) at: Instant,
    pub(super) term: u32,
    pub(super) horizon: u64,
    pub(super) round: u32,
    pub(super) prices: Vec<f64>,
    pub(super) committed: bool,
    /// It called for bids: rounds go on with whole requests.
    pub(super) calling: bool,
}

impl Heard {
    /// What is later has a greater mark.
    pub(super) fn mark(&self) -> (u32, u64, u32, bool) {
        (self.term, self.horizon, self.round, self.committed)
    }
}

/// The mark of a request.
pub(super) fn mark(request: &Request) -> (u32, u64, u32, bool) {
    (request.term, request.horizon, request.round, request.committed.is_some())
}

impl Planning {
    /// Nothing was heard in this horizon yet: whoever begins it begins from prices of zero.
    pub(super) fn unheard(&self, at: Instant) -> Heard {
        let horizon = PlanStage::relaxed(self.config.horizon).0;
        let prices = vec![0.0; self.config.couplings.len()];
        Heard { at, term: self.term, horizon, round: 0, prices, committed: false, calling: false }
    }

    /// Whether a stage is of the horizon that this node is in. Others' hosts may be ahead, and what was sent in the last horizon may
    /// be on its way for long.
    pub(super) fn is_current(&self, stage: PlanStage) -> bool {
        stage.horizon() == self.config.horizon
    }

    /// The coordinator is there, whatever it said.
    pub(super) fn is_alive(&mut self, now: Instant) {
        (self.joining, self.standing) = (None, None);
        match &mut self.heard {
            Some(heard) => heard.at = now,
            None => self.heard = Some(self.unheard(now)),
        }
    }

    /// A request of this horizon. One that was overtaken says only that its coordinator was there.
    pub(super) fn hear(&mut self, now: Instant, request: &Request) {
        self.is_alive(now);
        if self.heard.as_ref().is_some_and(|heard| heard.mark() > mark(request)) {
            return;
        }
        let Request { horizon, term, round, .. } = *request;
        let (committed, calling) = (request.committed.is_some(), false);
        let prices = request.prices.clone();
        self.heard = Some(Heard { at: now, term, horizon, round, prices, committed, calling });
    }

    /// A call for bids, or an allotment: rounds go on with whole requests. Prices are those heard before it.
    pub(super) fn hear_call(&mut self, now: Instant, stage: PlanStage, round: u32) {
        self.is_alive(now);
        let (term, horizon) = (self.term, stage.0);
        let Some(heard) = self.heard.as_mut().filter(|heard| heard.mark() < (term, horizon, round, false))
        else {
            return;
        };
        (heard.term, heard.horizon, heard.round) = (term, horizon, round);
        (heard.committed, heard.calling) = (false, true);
    }

    /// What a coordinator without an asset of its own has to keep: nothing else tells it after a crash where it was. `None` for others.
    pub(super) fn led(&mut self, now: Instant) -> Option<(Vec<u8>, Vec<u8>)> {
        let coordinator = self.coordinator.as_ref().filter(|_| self.asset.is_none())?;
        let stage = PlanStage(coordinator.horizon());
        if coordinator.round() > 0 && self.is_current(stage) {
            let (round, prices) = (coordinator.round(), coordinator.prices().to_vec());
            let (committed, calling) = (coordinator.outcome().is_some() && self.commit.is_some(), false);
            let (term, horizon) = (self.term, stage.0);
            self.heard = Some(Heard { at: now, term, horizon, round, prices, committed, calling });
        }
        let heard = self.heard.as_ref()?;
        let mut state = Vec::with_capacity(17 + 8 * heard.prices.len());
        state.extend_from_slice(&heard.term.to_be_bytes());
        state.extend_from_slice(&heard.horizon.to_be_bytes());
        state.extend_from_slice(&heard.round.to_be_bytes());
        state.push(u8::from(heard.committed));
        heard.prices.iter().for_each(|price| state.extend_from_slice(&price.to_bits().to_be_bytes()));
        if self.kept_led == state {
            return None;
        }
        self.kept_led.clone_from(&state);
        Some((vec![Kept::Plan as u8, LED], state))
    }

    /// Takes back what [`Planning::led`] kept. An asset's own record knows better.
    pub(super) fn take_back_led(&mut self, now: Instant, state: &[u8]) -> Option<()> {
        let (term, rest) = state.split_first_chunk::<4>()?;
        let (horizon, rest) = rest.split_first_chunk::<8>()?;
        let (round, rest) = rest.split_first_chunk::<4>()?;
        let (committed, words) = rest.split_first()?;
        if !words.len().is_multiple_of(8) {
            return None;
        }
        let price = |word: &[u8]| f64::from_bits(u64::from_be_bytes(word.try_into().unwrap_or_default()));
        let prices: Vec<f64> = words.chunks_exact(8).map(price).collect();
        let (term, horizon) = (u32::from_be_bytes(*term), u64::from_be_bytes(*horizon));
        self.term = self.term.max(term);
        if self.asset.is_some() {
            return Some(());
        }
        self.kept_led = state.to_vec();
        let fits =
            prices.len() == self.config.couplings.len() && prices.iter().all(|price| price.is_finite());
        // The plan may have gone on to another horizon meanwhile.
        let heard = if self.is_current(PlanStage(horizon)) && fits {
            let (round, committed) = (u32::from_be_bytes(*round), *committed != 0);
            Heard { at: now, term, horizon, round, prices, committed, calling: false }
        } else {
            self.unheard(now)
        };
        self.heard = Some(heard);
        Some(())
    }

    /// How many of those who take part are needed that two coordinators cannot both have so many.
    pub(super) fn majority(&self) -> usize {
        self.membership.electorate().count() / 2 + 1
    }

    /// Whether a node has a say in who coordinates.
    pub(super) fn elects(&self, node: NodeId) -> bool {
        self.membership.electorate().any(|one| one == node)
    }
}
