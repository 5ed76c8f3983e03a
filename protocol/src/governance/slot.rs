//! [`Slot`]: what is on the table of the open slot, and what it amounts to.

use super::{ballot::Choice, electorate::Electorate};
use crate::{id::NodeId, log::Hash};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Most steps of a slot. One that is not decided by then stays open: that needs hands.
pub const MAX_STEPS: u32 = 32;

/// A ballot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cast {
    pub(super) choice: Choice,
    pub(super) record: Vec<u8>,
    /// A second, different one in the same step: the voter lies, and neither counts.
    pub(super) second: Option<Vec<u8>>,
}

/// The ballots of the open slot by step and voter. Bounded by [`MAX_STEPS`] times the electorate, twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) ballots: BTreeMap<(u32, NodeId), Cast>,
}

impl Slot {
    /// The ballots of a step that are not void.
    fn in_step(&self, step: u32) -> impl Iterator<Item = (NodeId, &Cast)> {
        let range = (step, NodeId(0))..=(step, NodeId(u64::MAX));
        let honest = |(_, cast): &(&(u32, NodeId), &Cast)| cast.second.is_none();
        self.ballots.range(range).filter(honest).map(|((_, voter), cast)| (*voter, cast))
    }

    /// How many have approved `choice`.
    pub(super) fn approvals(&self, choice: Choice) -> usize {
        self.in_step(0).filter(|(_, cast)| cast.choice == choice).count()
    }

    /// The proposal that a quorum has approved: there is one at most.
    pub(super) fn approved(&self, electorate: &Electorate) -> Option<Hash> {
        let choices: BTreeSet<Hash> = self.in_step(0).filter_map(|(_, cast)| cast.choice).collect();
        choices.into_iter().find(|digest| self.approvals(Some(*digest)) >= electorate.quorum())
    }

    /// Whether no proposal can be approved by a quorum any more, whatever those say who have not spoken.
    pub(super) fn is_hopeless(&self, electorate: &Electorate) -> bool {
        let spoken = self.in_step(0).count();
        let silent = electorate.len() - spoken.min(electorate.len());
        let best =
            self.in_step(0).filter_map(|(_, cast)| cast.choice).map(|digest| self.approvals(Some(digest)));
        best.max().unwrap_or(0) + silent < electorate.quorum()
    }

    /// The commitments that may count: see rule 3 of [the module](super).
    pub(super) fn tally(&self, electorate: &Electorate) -> Tally {
        let approved = self.approved(electorate);
        let mut tally = Tally { approved, steps: Vec::new() };
        for step in 1..=self.last_step() {
            let mut counted = [0; 2];
            for (place, choice) in tally.choices().into_iter().enumerate() {
                if tally.may_commit(electorate, step, choice) {
                    counted[place] = self.in_step(step).filter(|(_, cast)| cast.choice == choice).count();
                }
            }
            // Where no quorum has approved anything, both places are nothing's.
            if approved.is_none() {
                counted[0] = 0;
            }
            tally.steps.push(counted);
        }
        tally
    }

    /// What is decided: the choice, and the records of a quorum.
    pub(super) fn decided(&self, electorate: &Electorate) -> Option<(Choice, Vec<&[u8]>)> {
        let tally = self.tally(electorate);
        for step in 1..=self.last_step() {
            for choice in tally.choices() {
                if tally.count(step, choice) >= electorate.quorum() {
                    let chosen = self.in_step(step).filter(|(_, cast)| cast.choice == choice);
                    let records = chosen.map(|(_, cast)| cast.record.as_slice());
                    return Some((choice, records.take(electorate.quorum()).collect()));
                }
            }
        }
        None
    }

    fn last_step(&self) -> u32 {
        self.ballots.keys().next_back().map_or(0, |(step, _)| *step)
    }

    /// To what a voter commits next, and in which step; `None` while it is to wait. `give_up`: it has waited long enough for others.
    pub(super) fn next_commit(
        &self,
        electorate: &Electorate,
        voter: NodeId,
        give_up: bool,
    ) -> Option<(u32, Choice)> {
        let (quorum, tally) = (electorate.quorum(), self.tally(electorate));
        let own = (1..=MAX_STEPS).rev().find(|step| self.ballots.contains_key(&(*step, voter)));
        let full = (1..=self.last_step()).rev().find(|step| tally.total(*step) >= quorum);
        let Some(step) = own.max(full) else {
            return match tally.approved {
                Some(digest) => Some((1, Some(digest))),
                None => (give_up || self.is_hopeless(electorate)).then_some((1, None)),
            };
        };
        let counted = tally.total(step);
        let silent = electorate.len() - counted.min(electorate.len());
        let is_open = |choice: Choice| tally.count(step, choice) + silent >= quorum;
        let waits = !give_up && tally.choices().into_iter().any(is_open);
        if counted < quorum || waits || step >= MAX_STEPS {
            return None;
        }
        // First what a quorum wants.
        let goes_on = |choice: &Choice| tally.may_commit(electorate, step + 1, *choice);
        tally.choices().into_iter().find(goes_on).map(|choice| (step + 1, choice))
    }
}

/// The commitments that may count, step by step.
pub(super) struct Tally {
    /// The proposal that a quorum has approved.
    approved: Option<Hash>,
    /// From step 1 on: for that, and for nothing.
    steps: Vec<[usize; 2]>,
}

impl Tally {
    /// What one can commit to, what a quorum wants first; without that, twice nothing.
    const fn choices(&self) -> [Choice; 2] {
        [self.approved, None]
    }

    fn count(&self, step: u32, choice: Choice) -> usize {
        let counted = step.checked_sub(1).and_then(|place| self.steps.get(place as usize));
        let [approved, nothing] = counted.copied().unwrap_or_default();
        match choice {
            None => nothing,
            choice if choice == self.approved => approved,
            Some(_) => 0,
        }
    }

    fn total(&self, step: u32) -> usize {
        let counted = step.checked_sub(1).and_then(|place| self.steps.get(place as usize));
        counted.map_or(0, |counted| counted.iter().sum())
    }

    /// Whether a commitment to `choice` in `step` may count.
    fn may_commit(&self, electorate: &Electorate, step: u32, choice: Choice) -> bool {
        if choice.is_some() && choice != self.approved {
            return false;
        }
        let Some(before) = step.checked_sub(1).filter(|before| *before > 0) else { return step == 1 };
        let (n, q, f) = (electorate.len(), electorate.quorum(), electorate.tolerated());
        self.total(before) >= q && self.count(before, choice) > n - q + f
    }
}
