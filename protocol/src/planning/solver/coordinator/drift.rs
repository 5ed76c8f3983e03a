//! Which answers still stand, so that nobody is asked in vain.
//!
//! A method without rounds takes a step at every answer, and would ask whoever answered at once again. Two nodes in contact would then
//! exchange the same question and answer as fast as the link can carry them, while all others are out of reach. An answer
//! *stands* while the question has not moved since by more than [`STILL`] tolerances: it would come out the same. Within a sweep a member
//! is asked once more only when the question has moved by [`PART`] of what it moved in the sweep before: until the others
//! are heard, closer is not better.
//!
//! How far the question moved since is bounded by the path's length, of which one number is enough for each round.

use alloc::{collections::VecDeque, vec::Vec};

use super::{Coordinator, Member};
use crate::{id::NodeId, planning::solver::method::Stir, time::Instant};

/// In tolerances.
const STILL: f64 = 0.1;
const PART: f64 = 0.1;
/// A step counts for no more, so that later ones can be told apart.
const LONGEST: f64 = 1e6;
/// Rounds whose place on the path is known. Answers to older questions do not stand.
const ROUNDS: usize = 512;

/// The path of the question.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    travelled: f64,
    /// In the last sweep.
    sweep: f64,
    /// Where the questions of the newest rounds were asked, oldest first.
    asked: VecDeque<(u32, f64)>,
    /// Whether the method tells how far its question moves.
    told: bool,
}

impl Drift {
    pub(super) fn step(&mut self, stir: Option<Stir>) {
        self.told = stir.is_some();
        let Some(Stir { step, sweep }) = stir else { return };
        // What is no number is far.
        self.travelled += if step < LONGEST { step } else { LONGEST };
        self.sweep = if sweep < LONGEST { sweep } else { LONGEST };
    }

    /// The question of a round is asked from here.
    pub(super) fn publish(&mut self, round: u32) {
        if self.asked.len() == ROUNDS {
            self.asked.pop_front();
        }
        self.asked.push_back((round, self.travelled));
    }

    /// Where a round's question was asked.
    pub(super) fn place(&self, round: u32) -> f64 {
        let at = self.asked.binary_search_by_key(&round, |(asked, _)| *asked);
        at.map_or(f64::NEG_INFINITY, |at| self.asked[at].1)
    }

    fn since(&self, place: f64) -> f64 {
        self.travelled - place
    }
}

impl Coordinator {
    /// Whether everyone has answered, and all answers stand: another step from the same answers is as good as one from new ones.
    pub(super) fn stands(&self) -> bool {
        self.drift.told && self.members.iter().all(|member| self.stands_by(member))
    }

    pub(super) fn stands_by(&self, member: &Member) -> bool {
        member.retired || member.accepted > 0 && self.drift.told && self.drift.since(member.place) <= STILL
    }

    /// Asks those whose answer is worth a new question. With masks, at least as many as may be opened together.
    pub(super) fn ask_anew(&mut self, now: Instant) -> Vec<NodeId> {
        let drift = &self.drift;
        let away = |member: &Member| if drift.told { drift.since(member.place) } else { f64::INFINITY };
        let worth = |member: &Member| {
            let moved = away(member);
            !drift.told || moved > STILL && (!member.swept || moved > PART * drift.sweep)
        };
        let free = |member: &Member| !member.retired && !member.owing;
        let mut asked: Vec<usize> = (0..self.members.len())
            .filter(|place| free(&self.members[*place]) && worth(&self.members[*place]))
            .collect();
        let owing = self.members.iter().filter(|member| member.owing && !member.retired).count();
        // Somebody has to be asked for the plan to go on.
        let least = if owing + asked.len() == 0 { self.members.len() } else { self.together };
        if owing + asked.len() < least {
            let mut others: Vec<usize> = (0..self.members.len())
                .filter(|place| free(&self.members[*place]) && !asked.contains(place))
                .collect();
            others.sort_by(|a, b| away(&self.members[*b]).total_cmp(&away(&self.members[*a])).then(a.cmp(b)));
            asked.extend(others.into_iter().take(least - owing - asked.len()));
            asked.sort_unstable();
        }
        for place in &asked {
            let member = &mut self.members[*place];
            (member.owing, member.asked) = (true, now);
        }
        asked.into_iter().map(|place| self.members[place].node).collect()
    }

    /// Whether a member that was last asked in `round` is worth asking again, now that there is a contact with it: the question has moved since, or its answer does
    /// not stand. If so it counts as asked.
    pub fn renew(&mut self, now: Instant, node: NodeId, round: u32) -> bool {
        let Ok(place) = self.position(node) else { return false };
        let (drift, member) = (&self.drift, &self.members[place]);
        let (from, later) = match member.owing {
            true => (drift.place(round), round < self.round),
            false => (member.place, !self.method.rounds()),
        };
        let moved = !drift.told || drift.since(from) > STILL;
        if self.outcome().is_some() || member.retired || !later || !moved {
            return false;
        }
        let member = &mut self.members[place];
        (member.owing, member.asked) = (true, now);
        true
    }

    /// Whether the plan goes on as soon as this member has answered, and not before.
    #[must_use]
    pub fn waits_for_only(&self, node: NodeId) -> bool {
        let mut owing = self.members.iter().filter(|member| member.owing && !member.retired);
        self.drift.told && owing.next().is_some_and(|member| member.node == node) && owing.next().is_none()
    }

    /// Asks at least so many together, if anybody: fewer answers would not be opened.
    #[must_use]
    pub fn together(self, together: usize) -> Self {
        let together = together.min(self.members.len());
        Self { together, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_as_long_as_its_steps_and_forgets_its_oldest_rounds() {
        let mut drift = Drift::default();
        for round in 1..=(ROUNDS as u32 + 2) {
            drift.publish(round);
            drift.step(Some(Stir { step: 0.5, sweep: f64::INFINITY }));
        }
        assert_eq!(drift.place(2), f64::NEG_INFINITY);
        assert_eq!(drift.since(drift.place(3)), 0.5 * ROUNDS as f64);
        assert_eq!(drift.place(9999), f64::NEG_INFINITY);
        drift.step(Some(Stir { step: f64::NAN, sweep: 1.0 }));
        assert!(drift.travelled >= LONGEST && drift.travelled.is_finite());
    }
}
