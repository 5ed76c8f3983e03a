//! Membership at whole nodes: over signed envelopes, with the contact plan.

use crate::fleet::{Fleet, keys, refused};
use cosmosmesh_protocol::{
    discovery::{Pace, Presence},
    dtn::contact_plan::{ContactPlan, PlannedContact},
    envelope::Purpose,
    id::NodeId,
    identity::Cause,
    node::{DiscoveryConfig, Input},
    time::Instant,
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

#[test]
fn who_delivers_what_it_has_kept_is_there_and_who_misses_a_contact_is_down_until_it_speaks() {
    let pace = Pace {
        period: Duration::from_secs(20),
        round_trip: Duration::from_secs(5),
        suspicion: Duration::from_secs(60),
    };
    let mut fleet = Fleet::built(&[(1, 1, &[]), (2, 2, &[])], &[], |_, config| {
        config.trust = None;
        let (max_light_time, margin) = (Duration::from_secs(1), Duration::from_secs(60));
        config.discovery = Some(DiscoveryConfig { pace, max_light_time, margin });
    });
    let hours = |hours: u64| Instant::ZERO.saturating_add(Duration::from_secs(hours * 3600));
    // An hour a day, and too far for gossip.
    let contact = |from: u64, to: u64, day: u64| PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start: hours(day * 24 + 1),
        end: hours(day * 24 + 2),
        rate_bps: 1_000_000,
        owlt: Duration::from_secs(10),
    };
    let contacts = (0..4).flat_map(|day| [contact(1, 2, day), contact(2, 1, day)]);
    let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
    for name in [1, 2] {
        fleet.input(name, Input::ContactPlan(plan.clone())).expect("a plan");
    }
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let word = |fleet: &Fleet| presence(fleet, 1, 2).word();
    fleet.run_for(minutes(30));
    fleet.submit(2, 1, Purpose::Telemetry, "kept for half an hour");
    fleet.run_for(minutes(32));
    fleet.meet(1, 2, true);
    fleet.run_for(minutes(20));
    assert_eq!((fleet.texts(1).len(), word(&fleet)), (1, "alive"), "in its contact");
    fleet.meet(1, 2, false);
    fleet.run_for(minutes(120));
    assert_eq!(word(&fleet), "silent", "after its contact, as planned");
    // Nothing comes in the next one.
    fleet.run_for(minutes(22 * 60));
    assert_eq!(word(&fleet), "suspect");
    for _ in 0..2 {
        fleet.run_for(minutes(11 * 60));
        assert_eq!(word(&fleet), "down", "also long after");
    }
    // And in the third it does.
    fleet.submit(2, 1, Purpose::Telemetry, "back");
    fleet.run_for(minutes(2 * 60));
    fleet.meet(1, 2, true);
    fleet.run_for(minutes(10));
    assert_eq!((fleet.texts(1).len(), word(&fleet)), (2, "alive"));
    fleet.meet(1, 2, false);
    fleet.run_for(minutes(120));
    assert_eq!(word(&fleet), "silent");
}
