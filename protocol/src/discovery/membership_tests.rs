//! A handful of members in virtual time, and a liar among them.

use super::*;
use crate::{
    cbor,
    id::NodeId,
    identity::{KeyPair, PublicKey},
    time::Instant,
};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::time::Duration;
use foca::{Codec as _, Header, Member, Message, State};

const SECOND: u64 = 1_000_000_000;

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn pace() -> Pace {
    let seconds = Duration::from_secs;
    Pace { period: seconds(10), round_trip: seconds(2), suspicion: seconds(40) }
}

struct Fleet {
    now: u64,
    members: BTreeMap<u64, Membership>,
    publics: BTreeMap<u64, PublicKey>,
    /// Who is out of reach.
    gone: Vec<u64>,
    /// Who is silent as planned, and until when.
    silent: BTreeMap<u64, u64>,
    /// Blocked, or never certified.
    strangers: Vec<u64>,
}

impl Fleet {
    fn new(count: u64) -> Self {
        let publics = (1..=count).map(|node| (node, keys(node).public().clone())).collect();
        let member = |node: u64| (node, Membership::new(NodeId(node), 1, pace(), 16, [node as u8; 32]));
        let members = (1..=count).map(member).collect();
        let (gone, silent, strangers) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut fleet = Self { now: 0, members, publics, gone, silent, strangers };
        for node in 1..=count {
            for peer in 1..=count {
                if node != peer {
                    fleet.members.get_mut(&node).unwrap().greet(Instant::ZERO, NodeId(peer));
                }
            }
        }
        fleet
    }

    fn at(&self) -> Instant {
        Instant::from_nanos(self.now * SECOND)
    }

    fn expected(silent: &BTreeMap<u64, u64>, now: u64, node: NodeId) -> Expectation {
        match silent.get(&node.0) {
            Some(until) if now < *until => {
                Expectation::Silent { until: Some(Instant::from_nanos(until * SECOND)), last: None }
            }
            _ => Expectation::Heard,
        }
    }

    fn give(&mut self, from: u64, to: u64, bytes: &[u8]) -> Result<(), GossipError> {
        let (at, now) = (self.at(), self.now);
        let member = self.members.get_mut(&to).unwrap();
        let (publics, strangers, silent) = (&self.publics, &self.strangers, &self.silent);
        let key = |node: NodeId| publics.get(&node.0).filter(|_| !strangers.contains(&node.0));
        member.on_packet(at, NodeId(from), bytes, key, |node| Self::expected(silent, now, node))
    }

    fn advert(&self, node: u64) -> Vec<u8> {
        let (life, refuted) = (self.members[&node].life(), self.members[&node].refuted());
        let count = u32::from(refuted) + 1;
        Advert { life, refuted, count, capabilities: Capabilities::RELAY, store_bytes: 1 }.sign(&keys(node))
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            let (at, now) = (self.at(), self.now);
            for member in self.members.values_mut() {
                let silent = &self.silent;
                member.on_deadline(at, |node| Self::expected(silent, now, node));
            }
            for _ in 0..8 {
                let nodes: Vec<u64> = self.members.keys().copied().collect();
                for from in nodes {
                    let advert = self.advert(from);
                    while let Some(packet) = self.members.get_mut(&from).unwrap().poll_packet(&advert) {
                        let reaches = !self.gone.contains(&from) && !self.gone.contains(&packet.to.0);
                        if reaches && self.members.contains_key(&packet.to.0) {
                            let _ = self.give(from, packet.to.0, &packet.bytes);
                        }
                    }
                }
            }
        }
    }

    fn presence(&self, at: u64, of: u64) -> Presence {
        let expected = Self::expected(&self.silent, self.now, NodeId(of));
        self.members[&at].presence(self.at(), NodeId(of), expected, self.strangers.contains(&of))
    }

    /// A packet of member 1 with claims about others.
    fn claims(&self, to: u64, claims: &[Member<Life>], adverts: &[Vec<u8>]) -> Vec<u8> {
        self.packet(to, Message::Gossip, claims, adverts)
    }

    fn packet(
        &self,
        to: u64,
        message: Message<Life>,
        claims: &[Member<Life>],
        adverts: &[Vec<u8>],
    ) -> Vec<u8> {
        let header = Header {
            src: self.members[&1].life(),
            src_incarnation: 0,
            dst: self.members[&to].life(),
            message,
        };
        let mut gossip = Vec::new();
        codec::Plain.encode_header(&header, &mut gossip).unwrap();
        gossip.extend_from_slice(&(claims.len() as u16).to_be_bytes());
        for claim in claims {
            codec::Plain.encode_member(claim, &mut gossip).unwrap();
        }
        let mut bytes = Vec::new();
        cbor::put_head(&mut bytes, cbor::ARRAY, 2);
        cbor::put_bytes(&mut bytes, &gossip);
        cbor::put_head(&mut bytes, cbor::ARRAY, adverts.len() as u64);
        adverts.iter().for_each(|advert| cbor::put_bytes(&mut bytes, advert));
        bytes
    }

    fn refused(&self, at: u64, reason: &str) -> u64 {
        self.members[&at].refused().get(reason).copied().unwrap_or(0)
    }
}

#[test]
fn members_find_each_other_and_know_what_each_can_do() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    for at in 1..=4 {
        for of in (1..=4).filter(|of| *of != at) {
            assert_eq!(fleet.presence(at, of), Presence::Alive, "{of} at {at}");
            assert!(fleet.members[&at].advert(NodeId(of)).is_some());
        }
        assert_eq!(fleet.members[&at].dropped(), 0);
    }
}

#[test]
fn who_does_not_answer_is_suspected_then_down_and_alive_again_when_it_comes_back() {
    let mut fleet = Fleet::new(4);
    fleet.run(60);
    fleet.gone.push(4);
    let mut seen = Vec::new();
    for _ in 0..240 {
        fleet.run(1);
        let presence = fleet.presence(1, 4);
        if seen.last() != Some(&presence) {
            seen.push(presence);
        }
    }
    assert_eq!(seen, [Presence::Alive, Presence::Suspect, Presence::Down]);
    fleet.gone.clear();
    fleet.run(400);
    assert_eq!(fleet.presence(1, 4), Presence::Alive);
    assert_eq!(fleet.members[&4].life().renewal, 0, "its own word was enough");
}

#[test]
fn who_is_behind_mars_is_silent_and_not_dead() {
    let mut fleet = Fleet::new(4);
    fleet.run(60);
    fleet.gone.push(4);
    fleet.silent.insert(4, 60 + 3600);
    fleet.run(3500);
    let until = Some(Instant::from_nanos(3660 * SECOND));
    for at in 1..=3 {
        assert_eq!(fleet.presence(at, 4), Presence::Silent { until }, "at {at}");
    }
    fleet.gone.clear();
    fleet.run(300);
    for at in 1..=3 {
        assert_eq!(fleet.presence(at, 4), Presence::Alive, "at {at}");
    }
    assert_eq!(fleet.members[&4].life().renewal, 0, "nobody had buried it");
}

#[test]
fn a_forged_dead_for_a_healthy_node_is_a_suspicion_that_it_refutes() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    for _ in 0..20 {
        for to in [2, 3, 4] {
            let claim = Member::new(victim, 0, State::Down);
            let packet = fleet.claims(to, &[claim], &[fleet.advert(1)]);
            fleet.give(1, to, &packet).unwrap();
        }
        fleet.run(10);
        for at in [2, 4] {
            assert_ne!(fleet.presence(at, 3), Presence::Down, "at {at}");
        }
    }
    fleet.run(60);
    assert_eq!(fleet.presence(2, 3), Presence::Alive);
    assert_eq!(fleet.members[&3].life(), victim, "it did not even need a new life");
}

#[test]
fn the_greatest_incarnation_from_a_third_party_is_not_believed() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    for (to, state) in [(2, State::Suspect), (2, State::Alive), (2, State::Down), (3, State::Suspect)] {
        let before = fleet.refused(to, "gossip_incarnation");
        let packet = fleet.claims(to, &[Member::new(victim, u16::MAX, state)], &[fleet.advert(1)]);
        fleet.give(1, to, &packet).unwrap();
        assert_eq!(fleet.refused(to, "gossip_incarnation"), before + 1, "{state:?} to {to}");
    }
    fleet.run(60);
    assert_eq!((fleet.presence(2, 3), fleet.members[&3].life()), (Presence::Alive, victim));
}

#[test]
fn a_life_that_its_owner_has_not_signed_is_not_believed_and_keys_cannot_be_substituted() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    let later = Life { incarnation: u32::MAX, renewal: u16::MAX, ..victim };
    // The liar signs the advert itself, in the other's name.
    let forged =
        Advert { life: later, refuted: 0, count: 1, capabilities: Capabilities::RELAY, store_bytes: 1 };
    let forged = forged.sign(&keys(1));
    let packet = fleet.claims(2, &[Member::new(later, 0, State::Alive)], &[fleet.advert(1), forged]);
    fleet.give(1, 2, &packet).unwrap();
    assert_eq!((fleet.refused(2, "bad_advert_signature"), fleet.refused(2, "gossip_life")), (1, 1));
    assert_eq!(fleet.members[&2].advert(NodeId(3)).map(|advert| advert.life), Some(victim));
    fleet.run(60);
    assert_eq!(fleet.presence(2, 3), Presence::Alive);
}

#[test]
fn strangers_are_not_talked_about_and_who_is_blocked_is_gone() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let stranger = Life { node: NodeId(9), incarnation: 1, renewal: 0 };
    let packet = fleet.claims(2, &[Member::new(stranger, 0, State::Alive)], &[fleet.advert(1)]);
    fleet.give(1, 2, &packet).unwrap();
    assert_eq!(fleet.refused(2, "gossip_stranger"), 1);
    assert_eq!(fleet.presence(2, 9), Presence::Unknown);
    fleet.strangers.push(3);
    let at = fleet.at();
    for node in [1, 2, 4] {
        fleet.members.get_mut(&node).unwrap().block(at, NodeId(3));
    }
    fleet.run(200);
    for node in [1, 2, 4] {
        assert_eq!(fleet.presence(node, 3), Presence::Blocked);
        assert!(fleet.members[&node].advert(NodeId(3)).is_none());
    }
    assert_eq!(fleet.presence(1, 2), Presence::Alive);
}

#[test]
fn packets_in_anothers_name_and_broken_packets_are_refused() {
    let mut fleet = Fleet::new(3);
    fleet.run(60);
    let packet = fleet.claims(2, &[], &[fleet.advert(1)]);
    assert_eq!(fleet.give(3, 2, &packet), Err(GossipError::Name { named: NodeId(1) }));
    for length in 0..packet.len() {
        assert!(fleet.give(1, 2, &packet[..length]).is_err(), "{length}");
    }
    let mut oversize = Vec::new();
    cbor::put_head(&mut oversize, cbor::ARRAY, 2);
    cbor::put_bytes(&mut oversize, &vec![0; MAX_PACKET + 1]);
    assert!(fleet.give(1, 2, &oversize).is_err());
}

#[test]
fn nobody_ends_anothers_life_by_saying_that_it_is_dead() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    let packet = fleet.packet(3, Message::TurnUndead, &[], &[fleet.advert(1)]);
    for _ in 0..70_000_u32 {
        fleet.give(1, 3, &packet).unwrap();
    }
    assert_eq!(fleet.refused(3, "gossip_undead"), 70_000);
    assert_eq!(fleet.members[&3].life(), victim, "no life was spent");
    fleet.run(60);
    assert_eq!((fleet.presence(2, 3), fleet.presence(3, 2)), (Presence::Alive, Presence::Alive));
}

#[test]
fn made_up_incarnations_leave_a_healthy_node_able_to_refute_at_everybody() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    for round in 0..60_u16 {
        // To the victim: as suspected far ahead. To others: as alive, a little further each time, then suspected there.
        let packet =
            fleet.claims(3, &[Member::new(victim, u16::MAX - 1 - round, State::Suspect)], &[fleet.advert(1)]);
        fleet.give(1, 3, &packet).unwrap();
        for to in [2, 4] {
            for incarnation in 0..40 {
                let claim = Member::new(victim, round * 4 + incarnation, State::Alive);
                let packet = fleet.claims(to, &[claim], &[]);
                fleet.give(1, to, &packet).unwrap();
            }
            let suspect = |incarnation| Member::new(victim, incarnation, State::Suspect);
            for incarnation in (0..round * 4 + 40).rev() {
                let packet = fleet.claims(to, &[suspect(incarnation)], &[]);
                fleet.give(1, to, &packet).unwrap();
            }
        }
        fleet.run(10);
        for at in [2, 4] {
            assert_ne!(fleet.presence(at, 3), Presence::Down, "at {at} in round {round}");
        }
    }
    assert!(fleet.refused(3, "gossip_incarnation") >= 60);
    fleet.run(120);
    assert_eq!((fleet.presence(2, 3), fleet.presence(4, 3)), (Presence::Alive, Presence::Alive));
    assert_eq!(fleet.members[&3].life(), victim);
}

#[test]
fn a_third_partys_word_does_not_climb_beyond_what_the_owner_says() {
    let mut fleet = Fleet::new(4);
    fleet.run(120);
    let victim = fleet.members[&3].life();
    assert_eq!(fleet.members[&3].refuted(), 0);
    let before = fleet.refused(2, "gossip_incarnation");
    for incarnation in 0..40 {
        let claim = Member::new(victim, incarnation, State::Alive);
        let packet = fleet.claims(2, &[claim], &[]);
        fleet.give(1, 2, &packet).unwrap();
    }
    let taken = u64::from(MAX_STEP) + 1;
    assert_eq!(fleet.refused(2, "gossip_incarnation") - before, 40 - taken);
}

#[test]
fn an_older_advert_of_the_same_life_does_not_come_again() {
    let mut fleet = Fleet::new(3);
    fleet.run(60);
    let life = fleet.members[&3].life();
    let say = |count: u32, capabilities| {
        Advert { life, refuted: 0, count, capabilities, store_bytes: 1 }.sign(&keys(3))
    };
    let (older, newer) = (say(100, Capabilities::RELAY), say(101, Capabilities::WITNESS));
    for advert in [older.clone(), newer, older] {
        let packet = fleet.claims(2, &[], &[fleet.advert(1), advert]);
        fleet.give(1, 2, &packet).unwrap();
    }
    let known = fleet.members[&2].advert(NodeId(3)).map(|advert| advert.capabilities);
    assert_eq!(known, Some(Capabilities::WITNESS));
}

#[test]
fn who_is_outside_the_gossip_and_misses_its_contacts_is_not_alive_for_ever() {
    let mut member = Membership::new(NodeId(1), 1, pace(), 16, [1; 32]);
    let at = |seconds: u64| Instant::from_nanos(seconds * SECOND);
    member.note_heard(at(1000), NodeId(9));
    let believed = |now: u64, expected| member.presence(at(now), NodeId(9), expected, false);
    let slow = |since| Expectation::Slow { since: Some(at(since)) };
    let silent = |until, last| Expectation::Silent { until: Some(at(until)), last: Some(at(last)) };
    assert_eq!(believed(1500, slow(900)), Presence::Alive, "heard in this contact");
    let until = Some(at(5000));
    assert_eq!(believed(3000, silent(5000, 900)), Presence::Silent { until }, "between contacts");
    assert_eq!(believed(5600, slow(5000)), Presence::Suspect, "nothing yet in this one");
    assert_eq!(believed(8000, silent(9000, 5000)), Presence::Down, "the whole contact without a word");
    // Of whom the plan knows nothing a word is due in a while.
    assert_eq!(believed(1600, Expectation::Heard), Presence::Alive);
    assert_eq!(believed(1700, Expectation::Heard), Presence::Suspect);
    assert_eq!(believed(1000 + 1400, Expectation::Heard), Presence::Down);
}

#[test]
fn one_seed_gives_one_history() {
    let run = || {
        let mut fleet = Fleet::new(4);
        fleet.run(90);
        fleet.gone.push(2);
        fleet.run(120);
        (1..=4)
            .flat_map(|at| (1..=4).map(move |of| (at, of)))
            .map(|(at, of)| fleet.presence(at, of))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
