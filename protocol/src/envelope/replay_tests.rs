use alloc::{collections::BTreeSet, vec::Vec};
use proptest::prelude::*;

use super::*;
use crate::{envelope::SnapshotError, time::DtnTime};

fn numbered(sequence: u64) -> Header {
    Header {
        sender: NodeId(1),
        incarnation: 3,
        purpose: Purpose::Event,
        destination: NodeId(2),
        sequence,
        created: DtnTime::UNKNOWN,
    }
}

#[test]
fn each_number_is_used_once() {
    let mut window = ReplayWindow::default();
    for sequence in [0, 5, 3, 1024, 900] {
        assert_eq!(window.commit(&numbered(sequence)), Ok(()));
        assert_eq!(window.check(&numbered(sequence)), Err(ReplayError::Replayed { sequence }));
    }
    assert_eq!(window.check(&numbered(4)), Ok(()));
}

#[test]
fn numbers_below_the_window_are_refused_and_at_least_its_width_is_judged() {
    let mut window = ReplayWindow::default();
    window.commit(&numbered(1_000_000)).unwrap();
    assert_eq!(window.check(&numbered(1_000_000 - 1023)), Ok(()));
    let refused = window.check(&numbered(1_000_000 - 1024 - 128));
    assert_eq!(refused.map_err(|error| error.reason()), Err("sequence_too_old"));
}

#[test]
fn purposes_and_senders_have_their_own_numbers() {
    let mut window = ReplayWindow::default();
    window.commit(&numbered(7)).unwrap();
    assert_eq!(window.commit(&Header { purpose: Purpose::Command, ..numbered(7) }), Ok(()));
    assert_eq!(window.commit(&Header { sender: NodeId(5), ..numbered(7) }), Ok(()));
}

#[test]
fn a_new_incarnation_starts_afresh_and_ends_the_old_one_for_every_purpose() {
    let mut window = ReplayWindow::default();
    window.commit(&numbered(7)).unwrap();
    let restarted = Header { incarnation: 4, ..numbered(7) };
    assert_eq!(window.check(&restarted), Ok(()));
    assert_eq!(window.commit(&numbered(8)), Ok(()), "a check changes nothing");
    assert_eq!(window.commit(&restarted), Ok(()));
    let refused = ReplayError::OldIncarnation { found: 3, current: 4 };
    assert_eq!(window.commit(&numbered(9)), Err(refused));
    assert_eq!(window.commit(&Header { purpose: Purpose::Sync, ..numbered(0) }), Err(refused));
    assert_eq!(window.incarnation(NodeId(1)), Some(4));
}

#[test]
fn a_jump_to_the_greatest_number_does_not_poison_the_window() {
    let mut window = ReplayWindow::default();
    let highest = (1 << 32) - 1;
    let refused = ReplayError::TooFarAhead { sequence: u64::MAX, highest };
    assert_eq!(window.commit(&numbered(u64::MAX)), Err(refused));
    assert_eq!(window.commit(&numbered(0)), Ok(()));
    assert_eq!(
        window.commit(&numbered(u64::MAX)),
        Err(ReplayError::TooFarAhead { sequence: u64::MAX, highest: 1 << 32 })
    );
    assert_eq!(window.commit(&numbered(1)), Ok(()));
}

#[test]
fn the_greatest_number_can_be_used_where_it_is_in_reach() {
    let mut window = ReplayWindow::new(ReplayLimits { max_jump: u64::MAX, ..ReplayLimits::default() });
    window.commit(&numbered(u64::MAX - 1)).unwrap();
    assert_eq!(window.commit(&numbered(u64::MAX)), Ok(()));
    assert_eq!(window.commit(&numbered(u64::MAX)), Err(ReplayError::Replayed { sequence: u64::MAX }));
    assert_eq!(window.commit(&numbered(u64::MAX - 500)), Ok(()));
}

#[test]
fn senders_beyond_the_limit_are_refused() {
    let mut window = ReplayWindow::new(ReplayLimits { max_senders: 1, ..ReplayLimits::default() });
    window.commit(&numbered(0)).unwrap();
    let other = Header { sender: NodeId(5), ..numbered(0) };
    assert_eq!(window.commit(&other), Err(ReplayError::Full { max: 1 }));
    assert_eq!(window.commit(&numbered(1)), Ok(()));
}

#[test]
fn a_replayed_number_is_refused_after_restart() {
    let mut window = ReplayWindow::default();
    window.commit(&numbered(7)).unwrap();
    let bytes = window.snapshot();
    let restored = ReplayWindow::restore(&bytes, ReplayLimits::default()).unwrap();
    assert_eq!(restored, window);
    assert_eq!(restored.check(&numbered(7)), Err(ReplayError::Replayed { sequence: 7 }));
    let wider = ReplayLimits { width: 2048, ..ReplayLimits::default() };
    assert_eq!(ReplayWindow::restore(&bytes, wider), Err(SnapshotError::Width { found: 136, expected: 264 }));
}

proptest! {
    #[test]
    fn the_window_agrees_with_a_set_of_all_used_numbers(
        width in 0..300_u32,
        steps in prop::collection::vec((0..4_u8, 0..400_u64), 1..200),
    ) {
        let mut window = ReplayWindow::new(ReplayLimits { width, ..ReplayLimits::default() });
        let (mut used, mut highest) = (BTreeSet::new(), 0_u64);
        for (direction, distance) in steps {
            let sequence = if direction == 0 { highest + distance } else { highest.saturating_sub(distance) };
            match window.commit(&numbered(sequence)) {
                Ok(()) => prop_assert!(used.insert(sequence)),
                Err(ReplayError::Replayed { .. }) => prop_assert!(used.contains(&sequence)),
                Err(ReplayError::TooOld { .. }) => prop_assert!(sequence + u64::from(width) <= highest),
                Err(error) => prop_assert!(false, "{error}"),
            }
            highest = highest.max(sequence);
            prop_assert_eq!(&ReplayWindow::restore(&window.snapshot(), window.limits).unwrap(), &window);
        }
    }

    #[test]
    fn no_snapshot_bytes_panic(bytes: Vec<u8>, edits: Vec<(prop::sample::Index, u8)>) {
        let _ = ReplayWindow::restore(&bytes, ReplayLimits::default());
        let mut window = ReplayWindow::default();
        window.commit(&numbered(7)).unwrap();
        let mut edited = window.snapshot();
        for (position, value) in edits {
            let at = position.index(edited.len());
            edited[at] = value;
        }
        if let Ok(mut restored) = ReplayWindow::restore(&edited, ReplayLimits::default()) {
            let _ = restored.commit(&numbered(8));
            prop_assert_eq!(ReplayWindow::restore(&restored.snapshot(), ReplayLimits::default()), Ok(restored));
        }
    }
}
