//! Sealed messages at whole nodes: who reads them, and who does not any more.

use crate::fleet::{Fleet, keys};
use cosmosmesh_protocol::{
    envelope::{Parsed, Purpose, seal},
    id::NodeId,
    identity::Cause,
    node::{Audience, Input, Kept, SealingConfig},
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
    fleet.submit(2, 4, Purpose::Command, "not for you");
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["look"]);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_message_waits_for_the_groups_key_also_over_a_restart() {
    // Nothing passes between the keeper and member 3 but what member 2 carries, and the keeper's keys go to 3 directly.
    let mut fleet = fleet(&group());
    fleet.run_for(HOUR);
    for (a, b) in [(1, 3), (1, 4), (3, 4), (2, 3)] {
        fleet.meet(a, b, false);
    }
    fleet.input(1, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority");
    fleet.run_for(Duration::from_secs(5));
    assert_eq!(fleet.hosts[&2].node.group_epoch(), Some(2), "the next key is at member 2");
    assert_eq!(fleet.hosts[&3].node.group_epoch(), Some(1), "and not at member 3");
    // What member 2 signs now goes by the attacker's link, before anything else comes through.
    fleet.submit(2, 3, Purpose::Command, "dig");
    let pending = fleet.records(2, Kept::OutgoingMessage);
    let envelope = pending.iter().map(|record| record[17..].to_vec()).find(|envelope| {
        Parsed::parse(envelope).is_ok_and(|parsed| {
            parsed.header().purpose == Purpose::Command && parsed.header().destination == NodeId(3)
        })
    });
    assert_eq!(crate::fleet::refused(fleet.bring(3, 2, 78, envelope.expect("it is kept"))), None);
    assert!(fleet.texts(3).is_empty(), "it waits");
    assert_eq!(fleet.records(3, Kept::Sealed).len(), 1);
    fleet.restart(3);
    fleet.meet(2, 3, true);
    fleet.meet(1, 3, true);
    fleet.run_for(HOUR);
    assert_eq!(fleet.hosts[&3].node.group_epoch(), Some(2));
    assert_eq!(fleet.texts(3), ["dig"]);
    assert!(fleet.records(3, Kept::Sealed).is_empty());
}
