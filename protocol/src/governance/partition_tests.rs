//! Laws: whatever the links do and in whatever order records come, no two replicas ever disagree, and all agree when the links are back.

use super::{
    ledger_tests::{content, electorate, keys},
    *,
};
use crate::{id::NodeId, log::Hash};
use alloc::{collections::VecDeque, vec, vec::Vec};
use proptest::prelude::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The links of the fleet change: replicas of one side hear each other.
    Partition(Vec<bool>),
    /// A voter proposes.
    Propose(usize),
    /// A record comes through, of those that can: the `n`th.
    Deliver(u16),
    /// A voter has waited long enough.
    GiveUp(usize),
    /// A voter tells another what it has, and gets what it lacks.
    Exchange(usize, usize),
    /// A replica crashes and comes back with what it kept.
    Restart(usize),
    /// A liar says to some the opposite of what it says to others.
    Lie(usize, u32),
}

struct Fleet {
    replicas: Vec<Ledger>,
    wire: VecDeque<(usize, usize, Vec<u8>)>,
    side: Vec<bool>,
    proposed: u64,
    liars: usize,
    voters: u64,
}

impl Fleet {
    fn new(voters: u64, liars: usize) -> Self {
        let count = voters as usize;
        let replicas = vec![Ledger::new(electorate(voters)); count];
        Self { replicas, wire: VecDeque::new(), side: vec![true; count], proposed: 0, liars, voters }
    }

    fn node(place: usize) -> NodeId {
        NodeId(place as u64 + 1)
    }

    fn tell(&mut self, from: usize, record: &[u8]) {
        for to in 0..self.replicas.len() {
            if to != from {
                self.wire.push_back((from, to, record.to_vec()));
            }
        }
    }

    /// Every voter says what it has to say, then closes. Voters with even numbers reject every third proposal.
    fn settle(&mut self, voter: usize, give_up: bool) {
        let (own, keys) = (Self::node(voter), keys(voter as u64 + 1));
        let stance = |proposal: &Proposal| match &proposal.content {
            Content::Authority { since, .. } if since.0.is_multiple_of(3) && voter.is_multiple_of(2) => {
                Stance::Reject
            }
            _ => Stance::Approve,
        };
        let mut give_up = give_up;
        while let Some(next) = self.replicas[voter].next_ballot(own, stance, give_up) {
            let record = self.replicas[voter].vote(own, &keys, &[], next).expect("its own vote");
            self.tell(voter, &record);
            give_up = false;
            self.close(voter);
        }
        self.close(voter);
    }

    fn close(&mut self, voter: usize) {
        while let Some(decision) = self.replicas[voter].close() {
            let certificate = decision.certificate.clone();
            self.tell(voter, &certificate);
        }
    }

    fn take(&mut self, to: usize, record: &[u8]) {
        match self.replicas[to].insert(record) {
            Err(GovernanceError::Slot { .. } | GovernanceError::Parent { .. }) | Ok(_) => {}
            Err(error) => panic!("an honest record is refused: {error}"),
        }
        self.settle(to, false);
    }

    fn exchange(&mut self, a: usize, b: usize) {
        let said = GovernanceMessage::of(&self.replicas[a], true, Vec::new());
        let said = GovernanceMessage::decode(&said.encode()).expect("its own message");
        for record in self.replicas[b].lacking(&said).expect("one history") {
            self.take(a, &record);
        }
    }

    fn act(&mut self, step: &Step) {
        let count = self.replicas.len();
        match step {
            Step::Partition(side) => self.side = side[..count].to_vec(),
            Step::Propose(voter) => {
                let voter = voter % count;
                self.proposed += 1;
                let (own, keys) = (Self::node(voter), keys(voter as u64 + 1));
                if let Ok(record) = self.replicas[voter].propose(own, &keys, &[], &content(self.proposed)) {
                    self.tell(voter, &record);
                }
                self.settle(voter, false);
            }
            Step::Deliver(which) => {
                let passes = |(from, to, _): &&(usize, usize, Vec<u8>)| self.side[*from] == self.side[*to];
                let able = self.wire.iter().filter(passes).count();
                if able == 0 {
                    return;
                }
                let mut places = (0..self.wire.len()).filter(|place| passes(&&self.wire[*place]));
                let place = places.nth(usize::from(*which) % able).expect("one of them");
                let (_, to, record) = self.wire.remove(place).expect("looked at above");
                self.take(to, &record);
            }
            Step::GiveUp(voter) => self.settle(voter % count, true),
            Step::Exchange(a, b) => {
                let (a, b) = (a % count, b % count);
                if self.side[a] == self.side[b] {
                    self.exchange(a, b);
                }
            }
            Step::Restart(voter) => {
                let voter = voter % count;
                let mut back = Ledger::new(electorate(self.voters));
                for decision in self.replicas[voter].decisions() {
                    back.insert(&decision.certificate).expect("its own record");
                }
                back.restore(&self.replicas[voter].snapshot()).expect("its own records");
                self.replicas[voter] = back;
            }
            Step::Lie(liar, at) => {
                let Some(liar) = (self.liars > 0).then(|| liar % self.liars) else { return };
                let own = &self.replicas[liar];
                let choice = own.proposals().keys().next().copied().filter(|_| at % 2 == 0);
                let ballot = Ballot { slot: own.slot(), parent: own.head(), step: at % 3, choice };
                let record = record::sign_ballot(Self::node(liar), &keys(liar as u64 + 1), &[], &ballot);
                for to in (0..count).filter(|to| to % 2 == usize::from(at % 4 < 2)) {
                    self.wire.push_back((liar, to, record.clone()));
                }
            }
        }
    }

    fn heads(ledger: &Ledger) -> Vec<Hash> {
        ledger.decisions().iter().map(|decision| decision.head).collect()
    }

    fn agree_so_far(&self) -> bool {
        let longest = self.replicas.iter().map(Self::heads).max_by_key(Vec::len).unwrap_or_default();
        self.replicas.iter().all(|replica| longest.starts_with(&Self::heads(replica)))
    }

    fn heal(&mut self) {
        self.side = vec![true; self.replicas.len()];
        for round in 0..12 {
            while let Some((_, to, record)) = self.wire.pop_front() {
                self.take(to, &record);
            }
            for a in 0..self.replicas.len() {
                for b in 0..self.replicas.len() {
                    self.exchange(a, b);
                }
            }
            // Late in the day everybody loses patience, one after the other.
            if round >= 2 {
                for voter in 0..self.replicas.len() {
                    self.settle(voter, true);
                    while let Some((_, to, record)) = self.wire.pop_front() {
                        self.take(to, &record);
                    }
                }
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => prop::collection::vec(any::<bool>(), 7).prop_map(Step::Partition),
        2 => (0..7_usize).prop_map(Step::Propose),
        12 => any::<u16>().prop_map(Step::Deliver),
        2 => (0..7_usize).prop_map(Step::GiveUp),
        2 => ((0..7_usize), (0..7_usize)).prop_map(|(a, b)| Step::Exchange(a, b)),
        1 => (0..7_usize).prop_map(Step::Restart),
        1 => ((0..7_usize), any::<u32>()).prop_map(|(liar, at)| Step::Lie(liar, at)),
    ];
    prop::collection::vec(step, 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_two_replicas_ever_disagree_and_all_agree_when_the_links_are_back(voters in 1..=7_u64, steps in steps()) {
        // One of seven may lie.
        let liars = usize::from(voters == 7);
        let mut fleet = Fleet::new(voters, liars);
        for step in &steps {
            fleet.act(step);
            prop_assert!(fleet.agree_so_far(), "after {step:?}");
        }
        fleet.heal();
        prop_assert!(fleet.agree_so_far());
        let heads: Vec<Hash> = fleet.replicas.iter().map(Ledger::head).collect();
        prop_assert!(heads.iter().all(|head| *head == heads[0]), "one history");
        let idle = fleet.replicas.iter().filter(|replica| replica.is_idle()).count();
        prop_assert!(liars > 0 || idle == voters as usize, "nothing is left on the table: {idle} of {voters}");
    }
}

#[test]
fn a_minority_decides_nothing_and_takes_the_majoritys_decision_when_the_link_is_back() {
    let mut fleet = Fleet::new(4, 0);
    fleet.act(&Step::Partition(vec![false, true, true, true, true, true, true]));
    // The one that is cut off wants something, and so do the others.
    fleet.act(&Step::Propose(0));
    fleet.act(&Step::Propose(1));
    for _ in 0..100 {
        fleet.act(&Step::Deliver(0));
        fleet.act(&Step::GiveUp(0));
    }
    assert_eq!(fleet.replicas[0].decisions().len(), 0, "one of four");
    assert!(fleet.replicas[1..].iter().all(|replica| replica.decisions().len() == 1));
    let decided = fleet.replicas[1].decisions()[0].adopted.clone();
    assert_eq!(decided, Some((NodeId(2), content(2))));
    fleet.act(&Step::Partition(vec![true; 7]));
    fleet.exchange(0, 2);
    assert_eq!(fleet.replicas[0].head(), fleet.replicas[1].head());
    assert_eq!(fleet.replicas[0].decisions()[0].adopted, decided);
}

#[test]
fn halves_decide_nothing_and_all_of_them_do() {
    let mut fleet = Fleet::new(6, 0);
    fleet.act(&Step::Partition(vec![true, true, true, false, false, false, false]));
    fleet.act(&Step::Propose(1));
    fleet.act(&Step::Propose(4));
    for number in 0..200 {
        fleet.act(&Step::Deliver(number * 7));
        fleet.act(&Step::GiveUp(usize::from(number)));
    }
    assert!(fleet.replicas.iter().all(|replica| replica.decisions().is_empty()));
    fleet.heal();
    assert!(fleet.replicas.iter().all(|replica| replica.decisions().len() == 1 && replica.is_idle()));
}
