//! Membership at whole nodes: over signed envelopes, with the contact plan.

use crate::fleet::{Fleet, keys, refused};
use cosmosmesh_protocol::{
    discovery::{Pace, Presence},
    envelope::Purpose,
    id::NodeId,
    identity::Cause,
    node::{DiscoveryConfig, Input},
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const ALL: [(u64, u64, &[u64]); 4] =
    [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];

fn fleet() -> Fleet {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    let seconds = Duration::from_secs;
    let pace = Pace { period: seconds(20), round_trip: seconds(5), suspicion: seconds(60) };
    let discovery = DiscoveryConfig { pace, max_light_time: seconds(1), margin: seconds(60) };
    Fleet::built(&ALL, &pairs, |_, config| config.discovery = Some(discovery))
}

fn presence(fleet: &Fleet, at: u64, of: u64) -> Presence {
    fleet.hosts[&at].node.presence(NodeId(of)).expect("gossip")
}

#[test]
fn neighbours_find_each_other_and_who_falls_silent_against_the_plan_is_down() {
    let mut fleet = fleet();
    fleet.run_for(5 * MINUTE);
    for at in 1..=4 {
        for of in (1..=4).filter(|of| *of != at) {
            assert_eq!(presence(&fleet, at, of), Presence::Alive, "{of} at {at}");
        }
    }
    for other in [1, 2, 3] {
        fleet.meet(4, other, false);
    }
    fleet.run_for(10 * MINUTE);
    assert_eq!(presence(&fleet, 1, 4), Presence::Down);
    for other in [1, 2, 3] {
        fleet.meet(4, other, true);
    }
    fleet.run_for(15 * MINUTE);
    assert_eq!(presence(&fleet, 1, 4), Presence::Alive);
}

#[test]
fn gossip_that_a_member_has_not_signed_or_that_is_a_copy_is_refused() {
    let mut fleet = fleet();
    fleet.run_for(2 * MINUTE);
    let header = fleet.header(2, 3, Purpose::Membership, 1 << 20);
    assert_eq!(fleet.forge_bytes(&keys(66), header, b"\x82\x40\x80"), Some("bad_signature"));
    let refusal = fleet.forge_bytes(&keys(2), header, b"\x82\x40\x80");
    assert_eq!(refusal, Some("gossip_malformed"), "its own envelope, without gossip in it");
    assert!(fleet.forge_bytes(&keys(2), header, b"\x82\x40\x80").is_some(), "a copy");
    assert_eq!(presence(&fleet, 3, 2), Presence::Alive);
}

#[test]
fn a_block_by_the_authority_spreads_and_the_member_is_not_talked_about_any_more() {
    let mut fleet = fleet();
    fleet.run_for(5 * MINUTE);
    fleet.input(1, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority");
    fleet.run_for(15 * MINUTE);
    for at in 1..=3 {
        assert_eq!(presence(&fleet, at, 4), Presence::Blocked, "at {at}");
        assert!(fleet.hosts[&at].node.membership().expect("gossip").advert(NodeId(4)).is_none());
    }
    let header = fleet.header(4, 3, Purpose::Membership, 1 << 20);
    assert!(matches!(
        refused(fleet.bring(
            3,
            4,
            5,
            cosmosmesh_protocol::envelope::seal(&keys(4), &header, b"\x82\x40\x80")
        )),
        Some("blocked_source" | "key_blocked")
    ));
}
