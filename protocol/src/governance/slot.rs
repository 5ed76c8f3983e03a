//! [`Slot`]: what is on the table of the open slot, and what it amounts to.

use super::{ballot::Choice, electorate::Electorate};
use crate::{id::NodeId, log::Hash};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Most steps of a slot. One that is not decided by then stays open: that needs hands.
pub const MAX_STEPS: u32 = 32;

/// What a voter has said in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cast {
    /// Its ballots: one, or two different ones when it was caught.
    said: Vec<(Choice, Vec<u8>)>,
}

impl Cast {
    pub(super) fn new(choice: Choice, record: Vec<u8>) -> Self {
        Self { said: [(choice, record)].to_vec() }
    }

    /// Whether one of its ballots is for `choice`.
    pub(super) fn says(&self, choice: Choice) -> bool {
        self.said.iter().any(|(said, _)| *said == choice)
    }

    /// Whether it has said two things.
    pub(super) const fn is_exposed(&self) -> bool {
        self.said.len() > 1
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.said.iter().map(|(_, record)| record)
    }

    /// The ballot for `choice`.
    fn record(&self, choice: Choice) -> Option<&[u8]> {
        self.said.iter().find(|(said, _)| *said == choice).map(|(_, record)| record.as_slice())
    }

    pub(super) fn add(&mut self, choice: Choice, record: Vec<u8>) {
        self.said.push((choice, record));
    }

    pub(super) fn replace(&mut self, place: usize, choice: Choice, record: Vec<u8>) {
        self.said[place] = (choice, record);
    }
}

/// The ballots of the open slot by step and voter. Bounded by [`MAX_STEPS`] times the electorate, twice.
///
/// A voter that has said two things counts for both: so no count ever falls, and what one honest voter has seen others come to see, whatever a
/// liar releases later. Within the bound of liars that decides nothing twice: see [the module](super).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) ballots: BTreeMap<(u32, NodeId), Cast>,
}

impl Slot {
    fn in_step(&self, step: u32) -> impl Iterator<Item = (NodeId, &Cast)> {
        let range = (step, NodeId(0))..=(step, NodeId(u64::MAX));
        self.ballots.range(range).map(|((_, voter), cast)| (*voter, cast))
    }

    /// How many have said `choice` in a step.
    fn supporters(&self, step: u32, choice: Choice) -> usize {
        self.in_step(step).filter(|(_, cast)| cast.says(choice)).count()
    }

    /// How many have approved `choice`.
    pub(super) fn approvals(&self, choice: Choice) -> usize {
        self.supporters(0, choice)
    }

    /// The proposal that a quorum has approved: there is one at most.
    pub(super) fn approved(&self, electorate: &Electorate) -> Option<Hash> {
        let said = self.in_step(0).flat_map(|(_, cast)| &cast.said);
        let choices: BTreeSet<Hash> = said.filter_map(|(choice, _)| *choice).collect();
        choices.into_iter().find(|digest| self.approvals(Some(*digest)) >= electorate.quorum())
    }

    /// Whether no proposal can be approved by a quorum any more, whatever those say who have not spoken.
    pub(super) fn is_hopeless(&self, electorate: &Electorate) -> bool {
        let spoken = self.in_step(0).count();
        let silent = electorate.len() - spoken.min(electorate.len());
        let said = self.in_step(0).flat_map(|(_, cast)| &cast.said);
        let best = said.filter_map(|(choice, _)| *choice).map(|digest| self.approvals(Some(digest)));
        best.max().unwrap_or(0) + silent < electorate.quorum()
    }

    /// Of two ballots of a liar that are kept, the one that a third takes the place of; `None`: that one is not worth it. A liar can say as many
    /// things as it likes, and others may keep other two of them: those that others' ballots make matter must be there in the end.
    pub(super) fn weaker(
        &self,
        electorate: &Electorate,
        (step, voter): (u32, NodeId),
        choice: Choice,
    ) -> Option<usize> {
        let approved = self.approved(electorate);
        let others = |choice: Choice| {
            let by_others = |(node, cast): &(NodeId, &Cast)| *node != voter && cast.says(choice);
            self.in_step(step).filter(by_others).count()
        };
        let weight = |choice: Choice| match (step, choice) {
            // A rejection counts for nothing.
            (0, None) => 0,
            (0, Some(_)) => others(choice),
            _ => usize::from(choice.is_none() || choice == approved),
        };
        let cast = self.ballots.get(&(step, voter))?;
        let kept = cast.said.iter().map(|(choice, _)| weight(*choice)).enumerate();
        let (place, least) = kept.min_by_key(|(_, weight)| *weight)?;
        (weight(choice) > least).then_some(place)
    }

    /// The commitments that may count: see rule 3 of [the module](super).
    pub(super) fn tally(&self, electorate: &Electorate) -> Tally {
        let mut tally = Tally { approved: self.approved(electorate), steps: Vec::new() };
        for step in 1..=self.last_step() {
            let counts = tally.choices().filter(|choice| tally.may_commit(electorate, step, *choice));
            let counts: Vec<Choice> = counts.collect();
            let of = |choice: Choice| {
                if counts.contains(&choice) { self.supporters(step, choice) } else { 0 }
            };
            let any = |cast: &Cast| counts.iter().any(|choice| cast.says(*choice));
            let counted = Counted {
                approved: tally.approved.map_or(0, |digest| of(Some(digest))),
                nothing: of(None),
                voters: self.in_step(step).filter(|(_, cast)| any(cast)).count(),
            };
            tally.steps.push(counted);
        }
        tally
    }

    /// What is decided: the choice, and the records of a quorum, the shortest there are.
    pub(super) fn decided(&self, electorate: &Electorate) -> Option<(Choice, Vec<&[u8]>)> {
        let tally = self.tally(electorate);
        for step in 1..=self.last_step() {
            for choice in tally.choices() {
                if tally.count(step, choice) >= electorate.quorum() {
                    let mut records: Vec<&[u8]> =
                        self.in_step(step).filter_map(|(_, cast)| cast.record(choice)).collect();
                    records.sort_by_key(|record| record.len());
                    records.truncate(electorate.quorum());
                    return Some((choice, records));
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
        let waits = !give_up && tally.choices().any(is_open);
        if counted < quorum || waits || step >= MAX_STEPS {
            return None;
        }
        // First what a quorum wants.
        let goes_on = |choice: &Choice| tally.may_commit(electorate, step + 1, *choice);
        tally.choices().find(goes_on).map(|choice| (step + 1, choice))
    }
}

/// The commitments of a step that may count.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// For the proposal that a quorum has approved.
    approved: usize,
    /// For nothing.
    nothing: usize,
    /// Voters with one of these, or both.
    voters: usize,
}

/// The commitments that may count, step by step.
pub(super) struct Tally {
    /// The proposal that a quorum has approved.
    approved: Option<Hash>,
    /// From step 1 on.
    steps: Vec<Counted>,
}

impl Tally {
    /// What one can commit to, what a quorum wants first.
    fn choices(&self) -> impl Iterator<Item = Choice> + use<> {
        self.approved.map(Some).into_iter().chain([None])
    }

    fn of(&self, step: u32) -> Counted {
        let counted = step.checked_sub(1).and_then(|place| self.steps.get(place as usize));
        counted.copied().unwrap_or_default()
    }

    fn count(&self, step: u32, choice: Choice) -> usize {
        match choice {
            None => self.of(step).nothing,
            choice if choice == self.approved => self.of(step).approved,
            Some(_) => 0,
        }
    }

    fn total(&self, step: u32) -> usize {
        self.of(step).voters
    }

    /// Whether a commitment to `choice` in `step` may count.
    fn may_commit(&self, electorate: &Electorate, step: u32, choice: Choice) -> bool {
        if choice.is_some() && choice != self.approved {
            return false;
        }
        let Some(before) = step.checked_sub(1).filter(|before| *before > 0) else { return step == 1 };
        self.total(before) >= electorate.quorum() && self.count(before, choice) >= electorate.way_on()
    }
}
