//! Keyrings: renewal, rotation, revocation, in any order and over restarts.

use super::*;
use crate::identity::KeyPair;
use core::time::Duration;

const DAY: u64 = 86_400_000;
const BEGIN: u64 = 800_000_000_000;
const NODE: NodeId = NodeId(7);

fn keys(number: u8) -> KeyPair {
    KeyPair::from_seed([number; 32])
}

fn authority() -> KeyPair {
    keys(200)
}

fn day(day: u64) -> DtnTime {
    DtnTime(BEGIN + day * DAY)
}

fn at(number: u64) -> Clock {
    Clock::Between { earliest: day(number), latest: day(number) }
}

fn certificate(key: u8, from: u64, to: u64) -> Vec<u8> {
    Certificate {
        subject: NODE,
        key: keys(key).public().clone(),
        role: Role::Operator,
        scope: Scope::everything(),
        not_before: day(from),
        expires: day(to),
    }
    .issue(&authority())
}

fn link(number: u64, since: u64) -> Vec<u8> {
    Succession::sign(NODE, number, day(since), &keys(number as u8), &keys(number as u8 + 1))
}

fn list(version: u64, issued: u64, revoked: &[(u8, u64, Cause)]) -> Vec<u8> {
    let entry = |(key, since, cause): &(u8, u64, Cause)| {
        ((NODE, KeyId::of(keys(*key).public())), Revoked { since: day(*since), cause: *cause })
    };
    RevocationList { version, issued: day(issued), keys: revoked.iter().map(entry).collect() }
        .issue(&authority())
}

fn ring() -> Keyring {
    let mut ring = Keyring::new(authority().public().clone(), TimeRule::default(), 4);
    ring.install(&certificate(1, 0, 30), at(0)).unwrap();
    ring
}

/// Whether what `key` signs at `created` is taken when it comes at `now`.
fn taken(ring: &Keyring, key: u8, created: u64, now: u64) -> Result<bool, &'static str> {
    let signed = |candidate: &PublicKey| candidate == keys(key).public();
    ring.verify(NODE, day(created), at(now), signed)
        .map(|speaker| speaker.is_some())
        .map_err(|error| error.reason())
}

#[test]
fn a_renewal_takes_the_place_of_the_certificate_before_and_an_older_one_does_not() {
    let mut ring = ring();
    assert_eq!(ring.install(&certificate(1, 20, 50), at(20)), Ok(Learned::Certificate(NODE)));
    assert_eq!(ring.install(&certificate(1, 0, 30), at(21)), Err(TrustError::Stale));
    assert_eq!(ring.speaker(NODE, at(40)).map(|speaker| speaker.standing), Ok(Standing::Valid));
    let early = ring.install(&certificate(1, 60, 90), at(40)).unwrap_err();
    assert_eq!(early.reason(), "certificate_not_yet_valid");
}

#[test]
fn a_member_late_with_its_renewal_is_in_grace_and_then_out() {
    let mut ring = ring();
    ring.revoke(&list(1, 31, &[]), at(31)).unwrap();
    assert_eq!(ring.speaker(NODE, at(31)).map(|speaker| speaker.standing), Ok(Standing::Grace));
    assert_eq!(ring.speaker(NODE, at(44)).map_err(|error| error.reason()), Err("certificate_expired"));
    assert_eq!(ring.install(&certificate(1, 44, 74), at(45)), Ok(Learned::Certificate(NODE)));
    assert!(ring.speaker(NODE, at(45)).is_ok());
}

#[test]
fn a_node_offline_through_three_rotations_learns_the_key_in_force() {
    let mut ring = ring();
    for number in 1..=3 {
        assert_eq!(ring.succeed(&link(number, number), at(number)), Ok(Learned::Succession(NODE)));
    }
    assert_eq!(ring.key(NODE), Some(keys(4).public()));
    assert_eq!(taken(&ring, 4, 5, 5), Ok(true));
    assert_eq!(taken(&ring, 2, 1, 5), Ok(false), "two keys ago");
    // A renewal for the key in force: the row begins anew.
    ring.install(&certificate(4, 10, 40), at(10)).unwrap();
    assert_eq!((ring.key(NODE), ring.successions(NODE)), (Some(keys(4).public()), 0));
}

#[test]
fn what_was_signed_before_a_rotation_is_taken_while_it_drains() {
    let mut ring = ring();
    ring.succeed(&link(1, 10), at(10)).unwrap();
    assert_eq!(taken(&ring, 1, 9, 11), Ok(true), "in flight when the key changed");
    assert_eq!(taken(&ring, 1, 11, 11), Ok(false), "made after");
    assert_eq!(taken(&ring, 1, 9, 14), Ok(false), "three days are over");
}

#[test]
fn a_key_revoked_while_its_bundle_is_in_flight_is_judged_by_the_cause() {
    let superseded = |now| {
        let mut ring = ring();
        ring.revoke(&list(1, 10, &[(1, 10, Cause::Superseded)]), at(10)).unwrap();
        (taken(&ring, 1, 9, now), taken(&ring, 1, 11, now))
    };
    assert_eq!(superseded(12), (Ok(true), Err("key_superseded")));
    assert_eq!(superseded(14), (Err("key_superseded"), Err("key_superseded")));
    for (cause, reason) in [(Cause::Compromised, "key_compromised"), (Cause::Blocked, "key_blocked")] {
        let mut ring = ring();
        assert_eq!(taken(&ring, 1, 9, 9), Ok(true), "before the list came");
        ring.revoke(&list(1, 10, &[(1, 10, cause)]), at(10)).unwrap();
        assert_eq!(taken(&ring, 1, 9, 10), Err(reason), "a thief writes the time that he likes");
        let error = ring.install(&certificate(1, 11, 41), at(11)).unwrap_err();
        assert_eq!(error.reason(), reason, "no certificate makes it good again");
        assert_eq!(
            ring.succeed(&link(1, 11), at(11)).unwrap_err().reason(),
            reason,
            "nor does the thief's successor"
        );
        // The owner goes on under a new key.
        ring.install(&certificate(9, 12, 42), at(12)).unwrap();
        assert_eq!(taken(&ring, 9, 12, 12), Ok(true));
        assert_eq!(taken(&ring, 1, 9, 12), Ok(false), "the former key does not drain");
    }
}

#[test]
fn two_keys_that_follow_on_one_are_told_and_the_first_stands() {
    let mut ring = ring();
    ring.succeed(&link(1, 5), at(5)).unwrap();
    assert_eq!(ring.succeed(&link(1, 5), at(5)), Err(TrustError::Stale));
    let thief = Succession::sign(NODE, 1, day(5), &keys(1), &keys(66));
    assert_eq!(ring.succeed(&thief, at(5)), Err(TrustError::Forked { subject: NODE }));
    assert_eq!(ring.key(NODE), Some(keys(2).public()));
}

#[test]
fn an_older_or_foreign_list_changes_nothing() {
    let mut ring = ring();
    ring.revoke(&list(2, 5, &[]), at(5)).unwrap();
    assert_eq!(ring.revoke(&list(1, 9, &[(1, 0, Cause::Blocked)]), at(9)), Err(TrustError::Stale));
    let foreign = RevocationList { version: 9, ..RevocationList::default() }.issue(&keys(3));
    assert_eq!(ring.revoke(&foreign, at(6)).unwrap_err().reason(), "other_authority");
    assert_eq!(taken(&ring, 1, 6, 6), Ok(true));
}

#[test]
fn the_authority_rotates_too_and_what_it_signed_before_stays_signed() {
    let mut ring = ring();
    let new = keys(201);
    ring.succeed(&Succession::sign(AUTHORITY, 1, day(10), &authority(), &new), at(10)).unwrap();
    let issue = |by: &KeyPair, from: u64| {
        let subject = NodeId(from);
        let key = keys(from as u8).public().clone();
        let (role, scope) = (Role::Observer, Scope::everything());
        Certificate { subject, key, role, scope, not_before: day(from), expires: day(90) }.issue(by)
    };
    assert!(ring.install(&issue(&new, 11), at(11)).is_ok());
    assert!(ring.install(&issue(&authority(), 9), at(11)).is_ok(), "issued before");
    let late = ring.install(&issue(&authority(), 12), at(12)).unwrap_err();
    assert_eq!(late.reason(), "other_authority", "the old key signs no more");
    assert_eq!(ring.revoke(&list(1, 11, &[]), at(11)).unwrap_err().reason(), "other_authority");
    assert!(ring.revoke(&list(1, 10, &[]), at(10)).is_ok());
}

#[test]
fn a_keyring_gives_another_what_it_lacks_in_an_order_that_can_be_judged() {
    let mut full = ring();
    full.succeed(&link(1, 1), at(1)).unwrap();
    full.succeed(&link(2, 2), at(2)).unwrap();
    full.revoke(&list(3, 3, &[]), at(3)).unwrap();
    let mut empty = Keyring::new(authority().public().clone(), TimeRule::default(), 4);
    for statement in full.lacking(&empty.summary(), NODE, 4096) {
        empty.learn(&statement, at(4)).unwrap();
    }
    assert_eq!(empty.summary(), full.summary());
    assert!(full.lacking(&empty.summary(), NODE, 4096).is_empty());
    let little = full.lacking(&Summary::default(), NODE, 500);
    assert!(little.iter().map(|statement| statement.parts().1.len()).sum::<usize>() <= 500);
}

/// Gives each what it lacks of the other.
fn meet(one: &mut Keyring, other: &mut Keyring) {
    for statement in one.lacking(&other.summary(), NODE, 4096) {
        let _ = other.learn(&statement, at(6));
    }
    for statement in other.lacking(&one.summary(), NODE, 4096) {
        let _ = one.learn(&statement, at(6));
    }
}

#[test]
fn of_two_lists_of_one_version_both_count_with_whoever_meets_until_the_next_version_says_what_holds() {
    let holds = |revoked: &[(u8, u64, Cause)]| {
        let mut ring = ring();
        ring.revoke(&list(1, 5, revoked), at(5)).unwrap();
        ring
    };
    let first = [(7, 5, Cause::Blocked), (9, 5, Cause::Superseded)];
    let (mut one, mut other) = (holds(&first), holds(&[(8, 5, Cause::Blocked), (9, 5, Cause::Compromised)]));
    assert_ne!(one.list_number(), other.list_number());
    meet(&mut one, &mut other);
    meet(&mut one, &mut other);
    assert_eq!((one.list(), one.list_number()), (other.list(), other.list_number()));
    assert!(one.lacking(&other.summary(), NODE, 4096).is_empty());
    let causes: Vec<Cause> = one.list().keys.values().map(|revoked| revoked.cause).collect();
    assert_eq!(
        (causes.len(), one.list().get(NODE, KeyId::of(keys(9).public())).map(|found| found.cause)),
        (3, Some(Cause::Compromised))
    );
    // One that meets them has both, and so has one that was restarted.
    let mut third = ring();
    meet(&mut one, &mut third);
    assert_eq!((third.list(), third.has_rival_list()), (one.list(), true));
    let back = Keyring::restore(authority().public().clone(), TimeRule::default(), 4, &one.snapshot());
    assert_eq!(back.unwrap(), one);
    // What takes nothing more back is no news, and there is one such list at most.
    for revoked in [&first[..1], &[(9, 6, Cause::Blocked)], &[(6, 6, Cause::Blocked)]] {
        assert_eq!(one.revoke(&list(1, 6, revoked), at(6)), Err(TrustError::Stale));
    }
    // The next version is what it says.
    assert_eq!(one.next_version(), Some(2));
    one.revoke(&list(2, 6, &first), at(6)).unwrap();
    assert_eq!((one.list().keys.len(), one.has_rival_list()), (2, false));
    meet(&mut one, &mut other);
    assert_eq!(one.list(), other.list());
}

#[test]
fn a_list_of_nothing_gives_way_to_one_of_its_version_that_takes_something_back() {
    let mut ring = ring();
    assert_eq!(ring.revoke(&list(0, 5, &[]), at(5)), Err(TrustError::Stale));
    ring.revoke(&list(1, 5, &[]), at(5)).unwrap();
    let empty = ring.list_number();
    ring.revoke(&list(1, 5, &[(7, 5, Cause::Blocked)]), at(5)).unwrap();
    assert!(ring.list_number() > empty && ring.list().keys.len() == 1);
    let beyond = RevocationError::Version { found: 1 << 24 };
    assert_eq!(ring.revoke(&list(1 << 24, 5, &[]), at(5)), Err(beyond.into()));
}

#[test]
fn members_beyond_the_limit_are_refused() {
    let mut ring = Keyring::new(authority().public().clone(), TimeRule::default(), 0);
    assert_eq!(ring.install(&certificate(1, 0, 30), at(0)), Err(TrustError::Full { max: 0 }));
}

#[test]
fn a_keyring_survives_a_restart_and_its_revocations_with_it() {
    let mut ring = ring();
    ring.succeed(&link(1, 5), at(5)).unwrap();
    ring.install(&certificate(9, 6, 36), at(6)).unwrap();
    ring.revoke(&list(1, 7, &[(9, 7, Cause::Compromised)]), at(7)).unwrap();
    let back = |authority: KeyPair| {
        Keyring::restore(authority.public().clone(), TimeRule::default(), 4, &ring.snapshot())
    };
    let restored = back(authority()).unwrap();
    assert_eq!(restored, ring);
    assert_eq!(taken(&restored, 9, 6, 8), Err("key_compromised"));
    assert!(back(keys(1)).is_err(), "another authority's");
}

#[test]
fn summaries_survive_a_round_trip_and_disorder_is_refused() {
    let summary = ring().summary();
    let mut bytes = Vec::new();
    summary.encode(&mut bytes);
    assert_eq!(Summary::decode(&mut crate::cbor::Reader::new(&bytes), 4), Ok(summary));
    assert!(Summary::decode(&mut crate::cbor::Reader::new(&bytes), 0).is_err(), "too many");
    let twice = [0x84, 0, 0, 0x83, 7, 0, 0, 0x83, 7, 0, 0];
    assert!(Summary::decode(&mut crate::cbor::Reader::new(&twice), 4).is_err());
}

#[test]
fn a_longer_drain_is_the_fleets_to_set() {
    let rule = TimeRule { drain: Duration::from_secs(30 * 86_400), ..TimeRule::default() };
    let mut ring = Keyring::new(authority().public().clone(), rule, 4);
    ring.install(&certificate(1, 0, 90), at(0)).unwrap();
    ring.succeed(&link(1, 10), at(10)).unwrap();
    assert_eq!(taken(&ring, 1, 9, 39), Ok(true));
}

/// K1 hands over to K2 without a chain at the authority: what a thief of K1 does first.
#[test]
fn a_thief_who_rotates_before_the_revocation_does_not_escape_it() {
    for cause in [Cause::Compromised, Cause::Blocked] {
        let mut ring = ring();
        ring.succeed(&link(1, 5), at(5)).unwrap();
        assert_eq!(taken(&ring, 2, 6, 6), Ok(true), "nobody can know");
        // The authority has not heard of the second key.
        ring.revoke(&list(1, 7, &[(1, 7, cause)]), at(7)).unwrap();
        assert!(taken(&ring, 2, 8, 8).is_err() && taken(&ring, 1, 4, 8).is_err(), "the whole line");
        assert!(ring.speaker(NODE, at(8)).is_err() && ring.blocked(NODE).is_some());
        assert_eq!(ring.evidence_keys(NODE).count(), 0);
        assert!(ring.succeed(&link(2, 8), at(8)).is_err(), "nor what follows on it");
        assert!(ring.install(&certificate(2, 8, 38), at(8)).is_err(), "nor a renewal by mistake");
        // A key that the authority certifies afresh is no part of the line.
        ring.install(&certificate(9, 9, 39), at(9)).unwrap();
        assert_eq!((taken(&ring, 9, 9, 9), ring.blocked(NODE)), (Ok(true), None));
        assert_eq!(ring.line(NODE).count(), 1);
        assert_eq!((taken(&ring, 1, 6, 9), taken(&ring, 2, 6, 9)), (Ok(false), Ok(false)));
    }
}

#[test]
fn a_line_names_all_keys_that_its_holder_may_have() {
    let mut ring = ring();
    ring.succeed(&link(1, 5), at(5)).unwrap();
    ring.install(&certificate(2, 6, 36), at(6)).unwrap();
    ring.succeed(&link(2, 7), at(7)).unwrap();
    let names: Vec<KeyId> = [3, 2, 1].map(|key| KeyId::of(keys(key).public())).to_vec();
    assert_eq!(ring.line(NODE).collect::<Vec<_>>(), names, "over a renewal, too");
}

#[test]
fn a_line_that_was_learned_the_wrong_way_round_is_whole_again() {
    // The certificate for the second key comes first, the succession that led to it later.
    let mut ring = ring();
    ring.install(&certificate(2, 6, 36), at(6)).unwrap();
    assert_eq!(ring.line(NODE).count(), 1);
    ring.succeed(&link(1, 5), at(6)).unwrap();
    assert_eq!(ring.line(NODE).count(), 2);
    ring.revoke(&list(1, 7, &[(1, 7, Cause::Compromised)]), at(7)).unwrap();
    assert_eq!(taken(&ring, 2, 7, 7), Err("key_compromised"));
}

#[test]
fn a_renewal_that_crosses_a_rotation_leaves_the_newer_key_in_force() {
    let mut ring = ring();
    ring.succeed(&link(1, 1), at(1)).unwrap();
    // The authority renews on the second key while the member rotates to the third.
    ring.succeed(&link(2, 5), at(5)).unwrap();
    ring.install(&certificate(2, 4, 34), at(6)).unwrap();
    assert_eq!((ring.key(NODE), ring.successions(NODE)), (Some(keys(3).public()), 1));
    assert_eq!(taken(&ring, 3, 6, 6), Ok(true));
    // The other way round at another node.
    let mut other = self::ring();
    other.succeed(&link(1, 1), at(1)).unwrap();
    other.install(&certificate(2, 4, 34), at(4)).unwrap();
    assert_eq!(other.succeed(&link(2, 5), at(6)), Ok(Learned::Succession(NODE)));
    assert_eq!(other.summary(), ring.summary());
    let back =
        Keyring::restore(authority().public().clone(), TimeRule::default(), 4, &ring.snapshot()).unwrap();
    assert_eq!(back, ring);
    // An older renewal for the first key does not take the later ones away either.
    ring.install(&certificate(1, 7, 37), at(7)).unwrap();
    assert_eq!((ring.key(NODE), ring.successions(NODE)), (Some(keys(3).public()), 2));
}

#[test]
fn a_key_that_was_only_superseded_hands_over_and_leaves_its_owner_at_the_doors() {
    let mut ring = ring();
    ring.revoke(&list(1, 10, &[(1, 10, Cause::Superseded)]), at(10)).unwrap();
    assert!(ring.speaker(NODE, at(11)).is_ok(), "what it signed before is still to take effect");
    assert_eq!(ring.succeed(&link(1, 9), at(11)), Ok(Learned::Succession(NODE)), "the chain is walked");
    assert_eq!(taken(&ring, 2, 11, 11), Ok(true));
    assert_eq!(ring.blocked(NODE), None);
}

#[test]
fn what_is_heard_never_runs_backwards() {
    let mut ring = ring();
    ring.revoke(&list(1, 31, &[]), at(31)).unwrap();
    ring.revoke(&list(2, 0, &[]), at(31)).unwrap();
    assert_eq!(ring.heard(), day(31), "an authority without a clock takes nothing back");
    let back =
        Keyring::restore(authority().public().clone(), TimeRule::default(), 4, &ring.snapshot()).unwrap();
    assert_eq!(back.heard(), day(31));
    assert_eq!(ring.speaker(NODE, Clock::Unknown).map(|speaker| speaker.standing), Ok(Standing::Grace));
}

#[test]
fn nobody_says_by_himself_for_how_long_his_earlier_key_counts() {
    let mut ahead = ring();
    ahead.succeed(&link(1, 3000), at(5)).unwrap();
    assert_eq!(taken(&ahead, 1, 4, 6), Ok(true));
    assert_eq!(taken(&ahead, 1, 4, 9), Ok(false), "three days after it was heard of");
    let mut never = ring();
    let zero = Succession::sign(NODE, 1, DtnTime::UNKNOWN, &keys(1), &keys(2));
    never.succeed(&zero, at(5)).unwrap();
    let evidence: Vec<_> = never.evidence_keys(NODE).cloned().collect();
    assert_eq!(
        evidence,
        [keys(2).public().clone(), keys(1).public().clone()],
        "what it signed stays evidence"
    );
}

#[test]
fn a_key_that_the_authority_retired_long_ago_signs_nothing_new() {
    let mut ring = ring();
    ring.succeed(&Succession::sign(AUTHORITY, 1, day(10), &authority(), &keys(201)), at(10)).unwrap();
    let back_dated = certificate(66, 9, 90);
    assert_eq!(ring.install(&back_dated, at(40)).unwrap_err().reason(), "other_authority");
    assert_eq!(ring.revoke(&list(9, 9, &[]), at(40)).unwrap_err().reason(), "other_authority");
}

#[test]
fn a_fork_is_told_once_with_both_halves_and_a_forger_is_no_fork() {
    let mut ring = ring();
    ring.succeed(&link(1, 5), at(5)).unwrap();
    let forged = {
        let mut bytes = Succession::sign(NODE, 1, day(5), &keys(1), &keys(66));
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    };
    assert_eq!(ring.succeed(&forged, at(5)).unwrap_err().reason(), "bad_succession_signature");
    let thief = Succession::sign(NODE, 1, day(5), &keys(1), &keys(66));
    assert_eq!(ring.rival(&thief), Some(&link(1, 5)[..]));
    assert_eq!(ring.succeed(&thief, at(5)), Err(TrustError::Forked { subject: NODE }));
    assert_eq!(ring.succeed(&thief, at(5)), Err(TrustError::Stale), "once");
}
