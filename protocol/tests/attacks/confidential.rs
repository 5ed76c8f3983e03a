//! Sealed messages at whole nodes: who reads them, and who does not any more.

use crate::fleet::{BEGIN, DAY, Fleet, authority, certificate, keys};
use cosmosmesh_protocol::{
    envelope::{Parsed, Purpose, seal},
    id::NodeId,
    identity::{Cause, KeyId, RevocationList, Revoked, Statement},
    node::{Audience, Input, InputError, Kept, SealingConfig, SubmitError},
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const ALL: [(u64, u64, &[u64]); 4] =
    [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];

fn fleet(audience: &Audience) -> Fleet {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    Fleet::built(&ALL, &pairs, |_, config| {
        let purposes = [Purpose::Telemetry, Purpose::Command].into_iter().collect();
        config.sealing = Some(SealingConfig { purposes, audience: audience.clone() });
    })
}

fn group() -> Audience {
    let members = (1..=4).map(NodeId).collect();
    Audience::Group { keeper: NodeId(1), members, lifetime: 240 * HOUR }
}

#[test]
fn a_sealed_message_is_delivered_opened_and_what_is_not_sealed_is_refused() {
    let mut fleet = fleet(&Audience::Recipient);
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.submit(2, 3, Purpose::Event, "in the clear");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig", "in the clear"]);
    let header = fleet.header(2, 3, Purpose::Telemetry, 1);
    assert_eq!(
        fleet.forge(&keys(2), header, "plain"),
        None,
        "the envelope is good, what it says is not sealed"
    );
    assert_eq!(fleet.texts(3).len(), 2);
    assert!(
        fleet
            .module_refusals(3)
            .iter()
            .any(|reason| matches!(*reason, "malformed" | "seal_form" | "truncated"))
    );
}

#[test]
fn nobody_signs_anothers_sealed_payload_as_their_own() {
    use cosmosmesh_protocol::envelope::sealing::{binding, seal_to};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
    let mut fleet = fleet(&Audience::Recipient);
    let bound = binding(NodeId(2), Purpose::Telemetry);
    let stolen = seal_to(keys(3).public(), &bound, b"found ice", &mut ChaCha8Rng::from_seed([1; 32]));
    let header = fleet.header(4, 3, Purpose::Telemetry, 1);
    let envelope = seal(&keys(4), &header, &stolen);
    assert_eq!(crate::fleet::refused(fleet.bring(3, 4, 77, envelope)), None);
    assert!(fleet.texts(3).is_empty());
    assert_eq!(fleet.refusals(3, "seal_failed"), 1);
}

#[test]
fn a_rotated_key_still_opens_what_was_sealed_for_the_one_before() {
    let mut fleet = fleet(&Audience::Recipient);
    for other in [1, 2, 4] {
        fleet.meet(3, other, false);
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(Duration::from_secs(20));
    fleet.rotate(3, 33);
    fleet.restart(3);
    for other in [1, 2, 4] {
        fleet.meet(3, other, true);
    }
    fleet.run_for(24 * HOUR);
    assert_eq!(
        fleet.texts(3),
        ["dig"],
        "{:?} {:?}",
        fleet.module_refusals(3),
        fleet.hosts[&3].node.refusals()
    );
}

#[test]
fn a_group_gets_a_new_key_when_a_member_is_taken_out_who_cannot_read_on() {
    let mut fleet = fleet(&group());
    fleet.run_for(HOUR);
    for name in 1..=4 {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), Some(1), "at {name}");
    }
    fleet.submit(2, 4, Purpose::Command, "look");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["look"]);
    fleet.input(1, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority");
    fleet.run_for(2 * HOUR);
    for name in 1..=3 {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), Some(2), "at {name}");
    }
    assert_eq!(fleet.hosts[&4].node.group_epoch(), Some(1), "the key of the epoch before is all it has");
    let refused = fleet.try_submit(2, 4, Purpose::Command, "not for you");
    assert_eq!(refused, Err(InputError::Submit(SubmitError::Blocked(NodeId(4)))));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["look"]);
    assert_eq!(fleet.texts(3), ["dig"]);
    // Certified anew, it belongs to the group again, under a key that its former one does not open.
    let statement = Statement::Certificate(certificate(4, 44, 1, 30).issue(&authority()));
    for name in [1, 4] {
        fleet.input(name, Input::Learn(statement.clone())).expect("the authority's word");
    }
    fleet.input(4, Input::RotateKey(Box::new(keys(44)))).expect("certified");
    fleet.run_for(12 * HOUR);
    for name in 1..=4 {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), Some(3), "at {name}");
    }
    fleet.submit(2, 4, Purpose::Command, "again");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["look", "again"]);
}

/// A command of member 2, sealed in an epoch whose key member 3 has not, comes to member 3 by the attacker's link.
fn an_early_command() -> Fleet {
    let mut fleet = fleet(&group());
    fleet.run_for(HOUR);
    for (a, b) in [(1, 3), (1, 4), (3, 4), (2, 3)] {
        fleet.meet(a, b, false);
    }
    fleet.input(1, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority");
    fleet.run_for(Duration::from_secs(5));
    fleet.submit(2, 3, Purpose::Command, "dig");
    let pending = fleet.records(2, Kept::OutgoingMessage);
    let envelope = pending.iter().map(|record| record[17..].to_vec()).find(|envelope| {
        Parsed::parse(envelope).is_ok_and(|parsed| {
            parsed.header().purpose == Purpose::Command && parsed.header().destination == NodeId(3)
        })
    });
    assert_eq!(crate::fleet::refused(fleet.bring(3, 2, 78, envelope.expect("it is kept"))), None);
    assert_eq!(fleet.records(3, Kept::Sealed).len(), 1);
    fleet
}

#[test]
fn what_waits_for_a_key_goes_when_its_sender_is_blocked_also_over_a_restart() {
    for restarts in [false, true] {
        let mut fleet = an_early_command();
        let key = KeyId::of(keys(2).public());
        let revoked = Revoked { since: DtnTime(BEGIN), cause: Cause::Compromised };
        let list = RevocationList { version: 9, issued: DtnTime(BEGIN + DAY), ..RevocationList::default() };
        let list = RevocationList { keys: [((NodeId(2), key), revoked)].into_iter().collect(), ..list };
        let list = Statement::Revocations(list.issue(&authority()));
        if restarts {
            fleet.restart(3);
        }
        fleet.input(3, Input::Learn(list)).expect("the authority's list");
        assert!(fleet.records(3, Kept::Sealed).is_empty(), "it goes at once");
        fleet.restart(3);
        fleet.meet(1, 3, true);
        fleet.run_for(6 * HOUR);
        assert!(fleet.hosts[&3].node.group_epoch() >= Some(2), "the key has come");
        assert!(fleet.texts(3).is_empty(), "and opened nothing of what was there");
    }
}

#[test]
fn one_sender_with_made_up_epochs_takes_its_own_part_of_the_room() {
    use cosmosmesh_protocol::envelope::sealing::{GroupKey, binding};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
    let members = (1..=4).map(NodeId).collect();
    let mut fleet = fleet(&Audience::Group { keeper: NodeId(1), members, lifetime: 6 * HOUR });
    fleet.run_for(HOUR);
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let mut early = |fleet: &mut Fleet, from: u64, sequence: u64, epoch: u64| {
        let bound = binding(NodeId(from), Purpose::Telemetry);
        let payload = GroupKey::generate(epoch, &mut rng).seal(NodeId(from), &bound, b"x", &mut rng);
        let header = fleet.header(from, 3, Purpose::Telemetry, sequence);
        assert_eq!(fleet.forge_bytes(&keys(from), header, &payload), None, "a member's own envelope");
    };
    for sequence in 1..=300 {
        early(&mut fleet, 2, sequence, 2 + sequence % 3);
    }
    assert_eq!((fleet.records(3, Kept::Sealed).len(), fleet.refusals(3, "seal_no_room")), (32, 268));
    early(&mut fleet, 2, 301, 1 << 63);
    assert_eq!(fleet.refusals(3, "seal_epoch"), 1, "no such epoch is near");
    early(&mut fleet, 4, 1, 2);
    assert_eq!(fleet.records(3, Kept::Sealed).len(), 33, "another's still waits");
    // And none of it for ever.
    fleet.run_for(7 * HOUR);
    assert!(fleet.records(3, Kept::Sealed).is_empty());
}

#[test]
fn a_keeper_and_a_member_that_lost_their_disks_read_on_and_no_epoch_begins_again() {
    let mut fleet = fleet(&group());
    fleet.run_for(HOUR);
    fleet.lose_disk(3);
    fleet.run_for(6 * HOUR);
    assert_eq!(fleet.hosts[&3].node.group_epoch(), Some(1), "it has asked");
    fleet.lose_disk(1);
    fleet.run_for(6 * HOUR);
    let epoch = fleet.hosts[&1].node.group_epoch().expect("an epoch");
    assert!(epoch > 1, "the keeper does not know which epochs there were");
    for name in 2..=4 {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), Some(epoch), "at {name}");
    }
    fleet.submit(1, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn when_the_keeper_is_blocked_another_takes_its_place_and_the_keeper_reads_nothing_more() {
    let members = (1..=4).map(NodeId).collect();
    let mut fleet = fleet(&Audience::Group { keeper: NodeId(2), members, lifetime: 240 * HOUR });
    fleet.run_for(HOUR);
    assert!((1..=4).all(|name| fleet.hosts[&name].node.group_epoch() == Some(1)));
    fleet.input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised }).expect("the authority");
    fleet.run_for(12 * HOUR);
    let epoch = fleet.hosts[&1].node.group_epoch();
    assert!(epoch > Some(1));
    for name in [3, 4] {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), epoch, "at {name}");
    }
    assert_ne!(fleet.hosts[&2].node.group_epoch(), epoch);
    fleet.submit(4, 3, Purpose::Telemetry, "ice");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["ice"]);
}

#[test]
fn a_keeper_that_comes_back_before_it_hears_of_its_block_keeps_the_groups_keys() {
    let members = (1..=4).map(NodeId).collect();
    let mut fleet = fleet(&Audience::Group { keeper: NodeId(2), members, lifetime: 240 * HOUR });
    fleet.run_for(HOUR);
    let meet = |fleet: &mut Fleet, meets| [1, 3, 4].into_iter().for_each(|other| fleet.meet(2, other, meets));
    meet(&mut fleet, false);
    fleet.input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised }).expect("the authority");
    fleet.run_for(3 * HOUR);
    let meanwhile = fleet.hosts[&1].node.group_epoch();
    assert!(meanwhile > Some(1), "another keeps the keys meanwhile");
    // Its host gives it the next certificate and key; of the block it hears from the others.
    let statement = Statement::Certificate(certificate(2, 22, 1, 30).issue(&authority()));
    for name in [1, 2] {
        fleet.input(name, Input::Learn(statement.clone())).expect("the authority's word");
    }
    fleet.rotate(2, 22);
    fleet.run_for(HOUR);
    meet(&mut fleet, true);
    fleet.run_for(12 * HOUR);
    let epoch = fleet.hosts[&2].node.group_epoch();
    assert!(epoch > Some(1), "it has begun another");
    for name in [1, 3, 4] {
        assert_eq!(fleet.hosts[&name].node.group_epoch(), epoch, "at {name}");
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.submit(3, 4, Purpose::Telemetry, "ice");
    fleet.run_for(HOUR);
    assert_eq!((fleet.texts(3), fleet.texts(4)), (vec!["dig".to_owned()], vec!["ice".to_owned()]));
}

#[test]
fn a_message_waits_for_the_groups_key_also_over_a_restart() {
    // Nothing passes between the keeper and member 3 but what member 2 carries, and the keeper's keys go to 3 directly.
    let mut fleet = an_early_command();
    assert_eq!(fleet.hosts[&2].node.group_epoch(), Some(2), "the next key is at member 2");
    assert_eq!(fleet.hosts[&3].node.group_epoch(), Some(1), "and not at member 3");
    assert!(fleet.texts(3).is_empty(), "it waits");
    fleet.restart(3);
    fleet.meet(2, 3, true);
    fleet.meet(1, 3, true);
    fleet.run_for(HOUR);
    assert_eq!(fleet.hosts[&3].node.group_epoch(), Some(2));
    assert_eq!(fleet.texts(3), ["dig"]);
    assert!(fleet.records(3, Kept::Sealed).is_empty());
}

#[test]
fn what_is_sent_to_a_keeper_that_comes_back_is_read_by_it_before_it_has_given_a_key() {
    let members = (1..=4).map(NodeId).collect();
    let mut fleet = fleet(&Audience::Group { keeper: NodeId(2), members, lifetime: 240 * HOUR });
    fleet.run_for(HOUR);
    fleet.input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised }).expect("the authority");
    fleet.run_for(12 * HOUR);
    let successors = fleet.hosts[&3].node.group_epoch();
    assert!(successors > Some(1), "another keeps the keys meanwhile");
    let statement = Statement::Certificate(certificate(2, 22, 1, 30).issue(&authority()));
    for name in [2, 3] {
        fleet.input(name, Input::Learn(statement.clone())).expect("the authority's word");
    }
    // It has no key of the keeper's yet, and what it has the keeper has not.
    assert_eq!(fleet.hosts[&3].node.group_epoch(), successors);
    fleet.submit(3, 2, Purpose::Telemetry, "welcome back");
    fleet.rotate(2, 22);
    fleet.run_for(6 * HOUR);
    assert_eq!(fleet.texts(2), ["welcome back"]);
    assert_ne!(fleet.hosts[&2].node.group_epoch(), successors);
}

#[test]
fn a_key_of_an_epoch_that_was_skipped_is_given_to_whom_was_a_member_then_and_to_nobody_else() {
    use cosmosmesh_protocol::envelope::sealing::{GroupKey, binding};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
    let mut fleet = an_early_command();
    // The key of epoch 2 is given up on its way to member 3, which gets that of epoch 3 only.
    fleet.run_for(24 * HOUR);
    let statement = Statement::Certificate(certificate(4, 44, 1, 30).issue(&authority()));
    for name in [1, 4] {
        fleet.input(name, Input::Learn(statement.clone())).expect("the authority's word");
    }
    fleet.input(4, Input::RotateKey(Box::new(keys(44)))).expect("certified");
    fleet.run_for(24 * HOUR);
    assert_eq!(fleet.hosts[&1].node.group_epoch(), Some(3));
    assert_eq!(fleet.records(3, Kept::Sealed).len(), 1, "it waits");
    for (a, b) in [(1, 3), (1, 4), (2, 3)] {
        fleet.meet(a, b, true);
    }
    fleet.run_for(12 * HOUR);
    assert_eq!((fleet.hosts[&3].node.group_epoch(), fleet.hosts[&4].node.group_epoch()), (Some(3), Some(3)));
    assert_eq!(fleet.texts(3), ["dig"]);
    // Member 4 was none in epoch 2: it may ask for that key as often as it likes.
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let bound = binding(NodeId(2), Purpose::Telemetry);
    let payload = GroupKey::generate(2, &mut rng).seal(NodeId(2), &bound, b"x", &mut rng);
    let header = fleet.header(2, 4, Purpose::Telemetry, 1);
    assert_eq!(fleet.forge_bytes(&keys(2), header, &payload), None, "a member's own envelope");
    fleet.run_for(12 * HOUR);
    assert_eq!(fleet.records(4, Kept::Sealed).len(), 1, "nothing comes for it");
    assert_eq!(fleet.refusals(4, "seal_failed"), 0);
}

/// Member 4 is blocked and certified anew. Member 2 knows both, and not yet the key of the time without member 4, which the keeper has begun.
fn before_the_key_without_member_4() -> Fleet {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    let mut fleet = Fleet::built(&ALL, &pairs, |_, config| {
        let purposes = [Purpose::Telemetry, Purpose::Command].into_iter().collect();
        config.sealing = Some(SealingConfig { purposes, audience: group() });
        // Certificates must not come to the keeper meanwhile.
        config.trust.as_mut().expect("made by the fleet").interval = 240 * HOUR;
    });
    fleet.run_for(HOUR);
    for other in [1, 3, 4] {
        fleet.meet(2, other, false);
    }
    fleet.input(1, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority");
    fleet.run_for(HOUR);
    assert_eq!(fleet.hosts[&1].node.group_epoch(), Some(2));
    let list = fleet.hosts[&1].node.keyring().and_then(|ring| ring.list_after(0)).expect("a list");
    fleet.input(2, Input::Learn(list)).expect("the authority's list");
    fleet
}

fn certify_member_4(fleet: &mut Fleet, names: &[u64]) {
    let statement = Statement::Certificate(certificate(4, 44, 1, 30).issue(&authority()));
    for name in names {
        fleet.input(*name, Input::Learn(statement.clone())).expect("the authority's word");
    }
}

#[test]
fn a_key_that_comes_late_is_not_used_for_a_member_that_came_back_after_it() {
    let mut fleet = before_the_key_without_member_4();
    certify_member_4(&mut fleet, &[2]);
    // The key of the time without member 4 comes after its certificate; member 4 has none of that epoch, and never gets it.
    fleet.meet(1, 2, true);
    fleet.run_for(2 * HOUR);
    assert_eq!(fleet.hosts[&2].node.group_epoch(), Some(2));
    fleet.submit(2, 4, Purpose::Command, "welcome back");
    certify_member_4(&mut fleet, &[4]);
    fleet.rotate(4, 44);
    fleet.meet(2, 4, true);
    fleet.run_for(24 * HOUR);
    assert_eq!(fleet.texts(4), ["welcome back"], "{:?}", fleet.module_refusals(4));
}

#[test]
fn that_a_member_came_back_after_the_key_in_use_is_known_after_a_restart() {
    let mut fleet = before_the_key_without_member_4();
    fleet.meet(1, 2, true);
    fleet.run_for(HOUR);
    assert_eq!(fleet.hosts[&2].node.group_epoch(), Some(2));
    fleet.meet(1, 2, false);
    certify_member_4(&mut fleet, &[2, 4]);
    fleet.restart(2);
    fleet.submit(2, 4, Purpose::Command, "welcome back");
    fleet.rotate(4, 44);
    fleet.meet(2, 4, true);
    fleet.run_for(24 * HOUR);
    assert_eq!(fleet.texts(4), ["welcome back"], "{:?}", fleet.module_refusals(4));
}
