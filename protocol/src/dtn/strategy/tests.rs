//! Each strategy's rule by itself.

use super::*;
use crate::{
    bundle::{BundleId, CreationTimestamp},
    dtn::store::Priority,
    time::DtnTime,
};
use alloc::vec;
use proptest::{
    prelude::{any, prop},
    prop_assert, prop_assert_eq, proptest,
};

fn name(sequence: u64) -> BundleId {
    let creation = CreationTimestamp { time: DtnTime(1), sequence };
    BundleId { source: NodeId(1).endpoint(1), creation, fragment: None }
}

fn with_copies(copies: u32) -> Carried {
    Carried { copies, ..Carried::new(name(0), NodeId(9), Priority::Normal, Instant::MAX) }
}

#[test]
fn direct_delivery_offers_nobody_else_a_copy() {
    assert!(!DirectDelivery.spreads() && !DirectDelivery.exchanges());
    assert!(!DirectDelivery.offers(NodeId(2), &with_copies(1)));
}

#[test]
fn epidemic_offers_everybody_a_copy_and_takes_none_from_it() {
    assert!(Epidemic.offers(NodeId(2), &with_copies(1)));
    assert_eq!(Epidemic.gives(1), 0);
}

#[test]
fn the_last_copy_waits_for_the_destination() {
    for binary in [false, true] {
        let spray = SprayAndWait::new(10, binary);
        assert_eq!(spray.initial_copies(), 10);
        assert!(spray.offers(NodeId(2), &with_copies(2)));
        assert!(!spray.offers(NodeId(2), &with_copies(1)));
        assert_eq!(spray.gives(1), 0);
    }
    assert_eq!(SprayAndWait::new(0, true).initial_copies(), 1);
}

#[test]
fn binary_spraying_gives_the_greater_half_and_the_other_kind_one() {
    // As The ONE's SprayAndWaitRouter: the receiver takes ⌈n/2⌉, the sender keeps ⌊n/2⌋.
    for (copies, binary, single) in [(10, 5, 1), (5, 3, 1), (3, 2, 1), (2, 1, 1)] {
        assert_eq!(SprayAndWait::new(10, true).gives(copies), binary);
        assert_eq!(SprayAndWait::new(10, false).gives(copies), single);
    }
}

#[test]
fn a_number_of_copies_survives_its_block_and_nonsense_does_not() {
    for copies in [1, 23, 24, 1000, u32::MAX] {
        assert_eq!(read_copies(&copies_data(copies)), Some(copies));
    }
    for data in [&[][..], &[0], &[0x18, 5], &[1, 1], &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0], &[0x20]] {
        assert_eq!(read_copies(data), None, "{data:x?}");
    }
}

#[test]
fn a_static_table_answers_by_destination_then_by_default_then_directly() {
    let line = |destination: Option<u64>, next| StaticRoute {
        destination: destination.map(NodeId),
        next: NodeId(next),
    };
    let table = StaticRoutes::new(&[line(Some(5), 2), line(None, 3), line(Some(5), 4)]);
    assert_eq!(table.next_hop(NodeId(5)), NodeId(4), "the later line holds");
    assert_eq!(table.next_hop(NodeId(6)), NodeId(3));
    assert_eq!(table.lines(), vec![line(Some(5), 4), line(None, 3)]);
    assert_eq!(StaticRoutes::default().next_hop(NodeId(6)), NodeId(6));
}

#[test]
fn the_contention_window_grows_with_the_signal() {
    // getCWsize: maps −20 … 10 dB to 3 … 8, in whole numbers.
    for (snr_db, exponent) in
        [(-128, 3), (-20, 3), (-15, 3), (-14, 4), (-5, 5), (0, 6), (9, 7), (10, 8), (127, 8)]
    {
        let flooding = ManagedFlooding::new(FloodingConfig { snr_db, ..FloodingConfig::default() });
        assert_eq!(flooding.window_exponent(), exponent, "{snr_db}");
    }
}

#[test]
fn routers_come_before_clients_and_late_ones_after() {
    let of = |role| ManagedFlooding::new(FloodingConfig { role, snr_db: 10, ..FloodingConfig::default() });
    let slot = FloodingConfig::default().slot;
    // getTxDelayMsecWeighted with CW 8: routers below 2·8 slots, the others from 2·8 slots on for 2^8 slots.
    assert_eq!(of(Role::Router).delay(u32::MAX), slot * 15);
    assert_eq!(of(Role::Router).delay(0), Duration::ZERO);
    assert_eq!(of(Role::Client).delay(0), slot * 16);
    assert_eq!(of(Role::Client).delay(u32::MAX), slot * (16 + 255));
    assert_eq!(of(Role::RouterLate).late_delay(0), slot * (16 + 256));
    assert_eq!(of(Role::ClientMute).broadcast_delay(false, None, 0), Broadcast::Never);
    assert_eq!(of(Role::ClientMute).broadcast_delay(true, None, 0), Broadcast::After(Duration::ZERO));
    // Who hears weakly is far, and comes first: CW 3 instead of 8.
    let last = |snr_db| of(Role::Client).broadcast_delay(false, snr_db, u32::MAX);
    assert_eq!(last(Some(-20)), Broadcast::After(slot * (16 + 7)));
    assert_eq!(last(None), Broadcast::After(slot * (16 + 255)));
    assert_eq!(of(Role::Client).on_overheard(0), Overheard::Suppress);
    assert_eq!(of(Role::Router).on_overheard(0), Overheard::Ignore);
    assert_eq!(of(Role::RouterLate).on_overheard(0), Overheard::Postpone(slot * (16 + 256)));
}

#[test]
fn a_full_memory_forgets_what_expires_first() {
    let (now, at) = (Instant::ZERO, Instant::from_nanos);
    let mut memory = Memory::new(2);
    memory.insert(now, name(1), at(30));
    memory.insert(now, name(2), at(20));
    memory.insert(now, name(3), at(40));
    assert_eq!([1, 2, 3].map(|n| memory.contains(&name(n))), [true, false, true]);
    memory.insert(at(30), name(4), at(50));
    assert_eq!(memory.after(None).cloned().collect::<Vec<_>>(), [name(3), name(4)]);
    memory.insert(at(30), name(5), at(30));
    assert!(!memory.contains(&name(5)), "what has expired is not worth remembering");
    memory.forget_expired(at(50));
    assert!(memory.is_empty());
}

proptest! {
    #[test]
    fn a_memory_never_exceeds_its_limit(names in prop::collection::vec((0_u64..50, 1_u64..1000), 0..200), limit in 0_usize..20) {
        let mut memory = Memory::new(limit);
        for (sequence, expires) in names {
            memory.insert(Instant::ZERO, name(sequence), Instant::from_nanos(expires));
            prop_assert!(memory.len() <= limit);
            prop_assert_eq!(memory.after(None).count(), memory.len());
        }
    }

    #[test]
    fn what_is_given_and_what_is_kept_make_the_whole(copies in 1_u32.., binary in any::<bool>()) {
        let gives = SprayAndWait::new(copies, binary).gives(copies);
        prop_assert!(gives < copies || copies == 1);
        prop_assert!(copies == 1 || gives >= 1);
    }

    #[test]
    fn a_power_in_fixed_point_is_near_the_true_one(millionths in 1_u32..1_000_000, exponent in 0_u64..5_000) {
        let p = Probability::from_millionths(millionths);
        let exact = libm::pow(f64::from(millionths) / 1e6, exponent as f64);
        let found = f64::from(p.power(exponent).0) / 4_294_967_296.0;
        // Each multiplication rounds down by at most 2^-32, each factor is off by as much; 2·log2(5000) < 26 of them,
        // and an error in a square counts as often as it is used.
        prop_assert!((found - exact).abs() < 5e-6, "{} {}", found, exact);
    }
}
