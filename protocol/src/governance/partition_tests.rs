//! Laws: whatever the links do and in whatever order records come, no two replicas ever disagree, and all agree when the links are back.

use super::{
    ledger_tests::{content, electorate, keys},
    *,
};
use crate::{id::NodeId, identity::Succession, log::Hash, time::DtnTime};
use alloc::{collections::VecDeque, vec, vec::Vec};
use proptest::prelude::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The links of the fleet change: replicas of one side hear each other.
    Partition(Vec<bool>),
    /// A voter proposes a content of this kind.
    Propose(usize, u8),
    /// A record comes through, of those that can: the `n`th.
    Deliver(u16),
    /// A voter has waited long enough.
    GiveUp(usize),
    /// A voter tells another what it has, and gets what it lacks.
    Exchange(usize, usize),
    /// A replica crashes and comes back with what it kept.
    Restart(usize),
    /// A voter's key hands over to another.
    Rotate(usize),
    /// A liar says something else to some: in this step, this choice, to whom a bit is set.
    Lie { liar: usize, at: u32, says: u8, to: u16 },
    /// A liar tells some of one more proposal.
    Forge { liar: usize, to: u16 },
}

/// A voter's keys: the seed's number, and the successions that lead to it.
struct Signer {
    key: u64,
    links: Vec<Vec<u8>>,
}

struct Fleet {
    replicas: Vec<Ledger>,
    signers: Vec<Signer>,
    wire: VecDeque<(usize, usize, Vec<u8>)>,
    side: Vec<bool>,
    /// Who will never say anything again.
    gone: Vec<bool>,
    proposed: u64,
    liars: usize,
    voters: u64,
    turn: usize,
}

/// Rotations lead from key v to v + 30, and on.
const NEXT_KEY: u64 = 30;

impl Fleet {
    /// So many voters, the first few of whom lie; and one member that has no vote, to begin with.
    fn new(voters: u64, liars: usize) -> Self {
        let count = voters as usize + 1;
        let replicas = vec![Ledger::new(electorate(voters)); count];
        let signers = (1..=count as u64).map(|key| Signer { key, links: Vec::new() }).collect();
        let (side, gone) = (vec![true; count], vec![false; count]);
        Self { replicas, signers, wire: VecDeque::new(), side, gone, proposed: 0, liars, voters, turn: 0 }
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

    fn tell_some(&mut self, from: usize, record: &[u8], to: u16) {
        for to in (0..self.replicas.len()).filter(|place| to >> (place % 16) & 1 == 1) {
            self.wire.push_back((from, to, record.to_vec()));
        }
    }

    /// Every voter says what it has to say, then closes. Voters with even numbers reject every third proposal.
    fn settle(&mut self, voter: usize, give_up: bool) {
        if self.gone[voter] {
            return;
        }
        let own = Self::node(voter);
        let stance = |proposal: &Proposal| match &proposal.content {
            Content::Authority { since, .. } if since.0.is_multiple_of(3) && voter.is_multiple_of(2) => {
                Stance::Reject
            }
            _ => Stance::Approve,
        };
        let mut give_up = give_up;
        while let Some(next) = self.replicas[voter].next_ballot(own, stance, give_up) {
            let Signer { key, links } = &self.signers[voter];
            let record = self.replicas[voter].vote(own, &keys(*key), links, next).expect("its own vote");
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
        if self.gone[to] {
            return;
        }
        match self.replicas[to].insert(record) {
            Ok(_) | Err(GovernanceError::Slot { .. } | GovernanceError::Parent { .. }) => {}
            // Only a liar has more than two proposals, or speaks without a vote.
            Err(GovernanceError::Full { .. } | GovernanceError::NoVote { .. }) if self.liars > 0 => {}
            Err(error) => panic!("an honest record is refused: {error}"),
        }
        self.settle(to, false);
    }

    fn exchange(&mut self, a: usize, b: usize) {
        if self.gone[a] || self.gone[b] {
            return;
        }
        self.turn += 1;
        let said = GovernanceMessage::asking(&self.replicas[a], self.turn);
        let said = GovernanceMessage::decode(&said.encode()).expect("its own message");
        assert!(!self.replicas[b].differs(&said), "one history");
        for record in self.replicas[b].lacking(&said) {
            self.take(a, &record);
        }
    }

    /// What a voter proposes: something for all, or about a seat of its own or another's.
    fn wish(&self, kind: u8) -> Content {
        let place = usize::from(kind) / 4 % self.replicas.len();
        let (node, key) = (Self::node(place), keys(self.signers[place].key).public().clone());
        match kind % 4 {
            0 | 1 => content(self.proposed),
            2 => Content::Seat { node, key },
            // With a liar among them, a fleet that unseats an honest voter would bear none any more.
            _ => Content::Unseat { node: if self.liars > 0 { Self::node(place % self.liars) } else { node } },
        }
    }

    fn propose(&mut self, voter: usize, kind: u8) {
        self.proposed += 1;
        let (own, wish) = (Self::node(voter), self.wish(kind));
        let Signer { key, links } = &self.signers[voter];
        if let Ok(record) = self.replicas[voter].propose(own, &keys(*key), links, &wish) {
            self.tell(voter, &record);
        }
        self.settle(voter, false);
    }

    fn act(&mut self, step: &Step) {
        let count = self.replicas.len();
        match step {
            Step::Partition(side) => self.side = side[..count].to_vec(),
            Step::Propose(voter, kind) => self.propose(voter % count, *kind),
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
            Step::Restart(voter) => self.restart(voter % count),
            Step::Rotate(voter) => self.rotate(voter % count),
            Step::Lie { liar, at, says, to } => {
                let Some(liar) = (self.liars > 0).then(|| liar % self.liars) else { return };
                self.lie(liar, at % (MAX_STEPS + 1), *says, *to);
            }
            Step::Forge { liar, to } => {
                let Some(liar) = (self.liars > 0).then(|| liar % self.liars) else { return };
                self.proposed += 1;
                let own = &self.replicas[liar];
                let place = (own.slot(), &own.head());
                let signer = &self.signers[liar];
                let record = record::sign_proposal(
                    Self::node(liar),
                    &keys(signer.key),
                    &[],
                    place,
                    &content(self.proposed),
                );
                self.tell_some(liar, &record, *to);
            }
        }
    }

    fn lie(&mut self, liar: usize, step: u32, says: u8, to: u16) {
        let own = &self.replicas[liar];
        let proposals: Vec<Hash> = own.proposals().keys().copied().collect();
        let choice = match says % 4 {
            0 => None,
            1 => Some([says; 32]),
            _ => proposals.get(usize::from(says) / 4 % proposals.len().max(1)).copied(),
        };
        let ballot = Ballot { slot: own.slot(), parent: own.head(), step, choice };
        let record = record::sign_ballot(Self::node(liar), &keys(self.signers[liar].key), &[], &ballot);
        self.tell_some(liar, &record, to);
    }

    fn restart(&mut self, voter: usize) {
        let mut back = Ledger::new(electorate(self.voters));
        for decision in self.replicas[voter].decisions() {
            back.insert(&decision.certificate).expect("its own record");
        }
        back.restore(&self.replicas[voter].snapshot()).expect("its own records");
        self.replicas[voter] = back;
    }

    /// An honest voter's key hands over; as often as its seat bears it.
    fn rotate(&mut self, voter: usize) {
        if voter < self.liars {
            return;
        }
        let (own, signer) = (Self::node(voter), &mut self.signers[voter]);
        let next = signer.key + NEXT_KEY;
        let number = signer.links.len() as u64 + 1;
        let link = Succession::sign(own, number, DtnTime(5), &keys(signer.key), &keys(next));
        let links: Vec<Vec<u8>> = signer.links.iter().cloned().chain([link]).collect();
        let ledger = &self.replicas[voter];
        let seated = ledger.electorate().key(own).is_some();
        if next < 256 && (!seated || ledger.may_vote(own, &keys(next), &links)) {
            (signer.key, signer.links) = (next, links);
        }
    }

    fn heads(ledger: &Ledger) -> Vec<Hash> {
        ledger.decisions().iter().map(|decision| decision.head).collect()
    }

    fn agree_so_far(&self) -> bool {
        let longest = self.replicas.iter().map(Self::heads).max_by_key(Vec::len).unwrap_or_default();
        self.replicas.iter().all(|replica| longest.starts_with(&Self::heads(replica)))
    }

    /// The replicas that are not gone, and no liar's.
    fn honest(&self) -> impl Iterator<Item = usize> {
        (self.liars..self.replicas.len()).filter(|place| !self.gone[*place])
    }

    /// Whether those who are left could decide: a quorum of honest voters, and no more liars than are borne.
    fn can_decide(&self) -> bool {
        let Some(first) = self.honest().next() else { return false };
        let electorate = self.replicas[first].electorate();
        let here = self.honest().filter(|place| electorate.key(Self::node(*place)).is_some()).count();
        let liars = (0..self.liars).filter(|place| electorate.key(Self::node(*place)).is_some()).count();
        here >= electorate.quorum() && liars <= electorate.tolerated()
    }

    fn heal(&mut self) {
        self.side = vec![true; self.replicas.len()];
        for liar in 0..self.liars {
            self.gone[liar] = true;
        }
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

const MOST: usize = 11;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let voter = || 0..MOST;
    let step = prop_oneof![
        1 => prop::collection::vec(any::<bool>(), MOST).prop_map(Step::Partition),
        2 => (voter(), any::<u8>()).prop_map(|(voter, kind)| Step::Propose(voter, kind)),
        16 => any::<u16>().prop_map(Step::Deliver),
        2 => voter().prop_map(Step::GiveUp),
        2 => (voter(), voter()).prop_map(|(a, b)| Step::Exchange(a, b)),
        1 => voter().prop_map(Step::Restart),
        1 => voter().prop_map(Step::Rotate),
        2 => (any::<usize>(), 0..5_u32, any::<u8>(), any::<u16>())
            .prop_map(|(liar, at, says, to)| Step::Lie { liar, at, says, to }),
        1 => (any::<usize>(), any::<u16>()).prop_map(|(liar, to)| Step::Forge { liar, to }),
    ];
    prop::collection::vec(step, 1..120)
}

/// How many of so many voters may lie.
fn tolerated(voters: u64) -> usize {
    electorate(voters).tolerated()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn no_two_replicas_ever_disagree_and_all_agree_when_the_links_are_back(
        voters in prop::sample::select(vec![1_u64, 2, 3, 4, 4, 5, 6, 7, 7, 7, 8, 10]),
        lost in prop::collection::vec(0..MOST, 0..3),
        steps in steps(),
    ) {
        let liars = tolerated(voters);
        let mut fleet = Fleet::new(voters, liars);
        for step in &steps {
            fleet.act(step);
            prop_assert!(fleet.agree_so_far(), "after {step:?}");
        }
        // Some never come back.
        for place in lost {
            let place = place % fleet.replicas.len();
            fleet.gone[place] = true;
        }
        fleet.heal();
        prop_assert!(fleet.agree_so_far());
        let honest: Vec<usize> = fleet.honest().collect();
        let heads: Vec<Hash> = honest.iter().map(|place| fleet.replicas[*place].head()).collect();
        prop_assert!(heads.iter().all(|head| *head == heads[0]), "one history");
        let idle = honest.iter().all(|place| fleet.replicas[*place].is_idle());
        prop_assert!(idle || !fleet.can_decide(), "a quorum of honest voters leaves nothing on the table");
    }
}

/// Seven voters, of whom the first lies, and a proposal of the second that comes to all but the last.
fn seven_with_a_liar() -> (Fleet, Hash) {
    let mut fleet = Fleet::new(7, 1);
    fleet.act(&Step::Partition(vec![true, true, true, true, true, true, false, false]));
    fleet.act(&Step::Propose(1, 0));
    let digest = *fleet.replicas[1].proposals().keys().next().expect("a proposal");
    // The last is cut off, and wants something else.
    fleet.act(&Step::Propose(6, 0));
    (fleet, digest)
}

fn deliver_all(fleet: &mut Fleet) {
    for _ in 0..2000 {
        fleet.act(&Step::Deliver(0));
    }
}

#[test]
fn a_liar_that_takes_its_approval_back_stops_nobody() {
    let (mut fleet, digest) = seven_with_a_liar();
    fleet.wire.retain(|(_, to, _)| *to != 0);
    // The liar says yes to the five that are together: a quorum, which commits.
    let own = &fleet.replicas[0];
    let yes = Ballot { slot: 1, parent: own.head(), step: 0, choice: Some(digest) };
    let yes = record::sign_ballot(NodeId(1), &keys(1), &[], &yes);
    fleet.tell_some(0, &yes, 0b11_1110);
    deliver_all(&mut fleet);
    assert!(fleet.replicas[1].slot.ballots.contains_key(&(1, NodeId(2))), "it has committed");
    assert!(fleet.replicas[1].decisions().is_empty(), "five are no quorum of seven");
    // Then it says no to everybody.
    fleet.side = vec![true; 8];
    fleet.lie(0, 0, 0, u16::MAX);
    fleet.heal();
    let honest: Vec<usize> = fleet.honest().collect();
    assert_eq!(honest.len(), 7);
    assert!(honest.iter().all(|place| fleet.replicas[*place].decisions().len() == 1));
    assert!(honest.iter().all(|place| fleet.replicas[*place].is_idle()));
}

#[test]
fn a_proposer_with_three_proposals_stops_nobody() {
    let mut fleet = Fleet::new(13, 2);
    let place = (1, &fleet.replicas[0].head());
    let proposals: Vec<Vec<u8>> = (1..=3)
        .map(|n| record::sign_proposal(NodeId(1), &keys(1), &[], place, &content(n * 3 + 1)))
        .collect();
    // Two to voters 12 and 13, and the third to all others, who approve it with the liars: eleven of thirteen.
    for (number, record) in proposals.iter().enumerate() {
        let to = if number < 2 { 0b1_1000_0000_0000 } else { 0b0111_1111_1111 };
        fleet.tell_some(0, record, to);
    }
    for _ in 0..14 {
        fleet.act(&Step::Deliver(0));
    }
    let third = {
        let mut ledger = Ledger::new(electorate(13));
        ledger.insert(&proposals[2]).expect("a proposal");
        *ledger.proposals().keys().next().expect("a proposal")
    };
    for liar in [0, 1] {
        let ballot = Ballot { slot: 1, parent: fleet.replicas[2].head(), step: 0, choice: Some(third) };
        let record = record::sign_ballot(Fleet::node(liar), &keys(liar as u64 + 1), &[], &ballot);
        fleet.tell_some(liar, &record, u16::MAX);
    }
    assert_eq!(fleet.replicas[11].proposals().len(), 2);
    fleet.heal();
    let honest: Vec<usize> = fleet.honest().collect();
    for place in &honest {
        let ledger = &fleet.replicas[*place];
        assert_eq!((ledger.decisions().len(), ledger.is_idle()), (1, true), "at {place}");
        assert_eq!(ledger.decisions()[0].adopted, Some((NodeId(1), content(10))), "what a quorum approved");
    }
}

#[test]
fn a_split_with_a_voter_gone_for_good_has_a_way_on() {
    // Of seven one is gone; three hear the approvals in time and commit to them, three lose patience just before.
    let mut fleet = Fleet::new(7, 0);
    fleet.gone[6] = true;
    fleet.act(&Step::Propose(0, 0));
    let digest = *fleet.replicas[0].proposals().keys().next().expect("a proposal");
    for voter in 0..6 {
        let own = Fleet::node(voter);
        let choice = (voter < 3).then_some(digest);
        for (step, choice) in [(0, Some(digest)), (1, choice)] {
            if !fleet.replicas[voter].slot.ballots.contains_key(&(step, own)) {
                let key = keys(voter as u64 + 1);
                let record =
                    fleet.replicas[voter].vote(own, &key, &[], (step, choice)).expect("its own vote");
                fleet.tell(voter, &record);
            }
        }
    }
    fleet.heal();
    for place in fleet.honest() {
        let ledger = &fleet.replicas[place];
        assert_eq!((ledger.decisions().len(), ledger.is_idle()), (1, true), "at {place}");
    }
}

#[test]
fn a_minority_decides_nothing_and_takes_the_majoritys_decision_when_the_link_is_back() {
    let mut fleet = Fleet::new(4, 0);
    fleet.act(&Step::Partition(vec![false, true, true, true, true, true, true]));
    // The one that is cut off wants something, and so do the others.
    fleet.act(&Step::Propose(0, 0));
    fleet.act(&Step::Propose(1, 0));
    for _ in 0..140 {
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
    fleet.act(&Step::Propose(1, 0));
    fleet.act(&Step::Propose(4, 0));
    for number in 0..200 {
        fleet.act(&Step::Deliver(number * 7));
        fleet.act(&Step::GiveUp(usize::from(number)));
    }
    assert!(fleet.replicas.iter().all(|replica| replica.decisions().is_empty()));
    fleet.heal();
    assert!(fleet.replicas.iter().all(|replica| replica.decisions().len() == 1 && replica.is_idle()));
}
