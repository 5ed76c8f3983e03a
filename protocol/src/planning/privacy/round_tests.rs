//! Rounds as they go well, and as they go late: sums, receipts, restarts, successors, sizes.

use alloc::{sync::Arc, vec, vec::Vec};

use proptest::prelude::*;

use super::{
    Asset, CommitteeMember, Deal, MaskSum, MaskedContribution, Occasion, PrivacyError, Receipt, Recover,
    Resolution, ReturnedShare, Survivor, Survivors, Taken, Terms, TermsParts,
    fleet_tests::{
        COORDINATOR, ENTRIES, Fleet, asset_node, asset_secret, parts, policy, seat_node, seat_secret,
    },
};

#[test]
fn the_running_sum_is_that_of_the_shares_that_are_counted() {
    let mut fleet = Fleet::new(parts());
    for asset in 0..5 {
        fleet.contribute(asset, [asset as i64, -7, 1 << 40]);
    }
    let opened = fleet.round();
    let survivors: Vec<_> = (0..5).map(|asset| (asset_node(asset), 1)).collect();
    assert_eq!((opened.round, opened.survivors), (1, survivors));
    assert_eq!(opened.sum, [10, -35, 5 << 40]);
    assert_eq!(opened.change, opened.sum);
    fleet.tell();
    // Two move, one joins, the others say nothing: what they said before stays in the sum.
    fleet.contribute(0, [100, 0, 0]);
    fleet.contribute(4, [0, 0, -1]);
    fleet.contribute(5, [1000, 1, 1]);
    let opened = fleet.round();
    assert_eq!(opened.change, [100 + 1000 - 4, 7 + 7 + 1, -(2 << 40) - 1 + 1]);
    assert_eq!(opened.sum, [100 + 1 + 2 + 3 + 1000, -21 + 1, (3 << 40) - 1 + 1]);
    assert_eq!(fleet.aggregator.sum(), [1106, -20, 3 << 40]);
}

#[test]
fn an_asset_withdraws_by_a_share_of_zeros() {
    let mut fleet = Fleet::new(parts());
    (0..4).for_each(|asset| fleet.contribute(asset, [10; ENTRIES]));
    fleet.round();
    fleet.tell();
    (0..2).for_each(|asset| fleet.contribute(asset, [11; ENTRIES]));
    fleet.contribute(3, [0; ENTRIES]);
    assert_eq!(fleet.round().sum, [32; ENTRIES]);
}

#[test]
fn what_comes_late_is_counted_in_a_later_round() {
    let mut fleet = Fleet::new(parts());
    let late = fleet.speak(3, [5, 5, 5]);
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    let survivors = fleet.aggregator.close().unwrap();
    // It comes while the committee is asked: the set does not change, and the next window has it.
    assert_eq!(fleet.aggregator.on_contribution(asset_node(3), &late), Ok(Taken::New));
    assert_eq!(survivors.at(3), None);
    for member in 0..4 {
        let reply = fleet.members[member].on_survivors(COORDINATOR, &survivors).unwrap();
        fleet.aggregator.on_mask_sum(seat_node(member), &reply).unwrap();
    }
    assert_eq!(fleet.aggregator.sum(), [3; ENTRIES]);
    let counted = Some(Resolution::Counted);
    assert_eq!(fleet.tell(), [counted, counted, counted, None, None, None]);
    (0..2).for_each(|asset| fleet.contribute(asset, [2; ENTRIES]));
    assert_eq!(fleet.round().sum, [2 + 2 + 1 + 5; ENTRIES]);
    assert_eq!(fleet.tell()[3], counted);
}

#[test]
fn a_contribution_that_is_repeated_counts_once() {
    let mut fleet = Fleet::new(parts());
    (0..3).for_each(|asset| fleet.contribute(asset, [4; ENTRIES]));
    let again = fleet.assets[1].repeat().unwrap();
    assert_eq!(fleet.aggregator.on_contribution(asset_node(1), &again), Ok(Taken::Known));
    let survivors = fleet.aggregator.close().unwrap();
    assert_eq!(fleet.aggregator.on_contribution(asset_node(1), &again), Ok(Taken::Known));
    for member in 0..4 {
        let reply = fleet.members[member].on_survivors(COORDINATOR, &survivors).unwrap();
        assert_eq!(
            fleet.members[member].on_survivors(COORDINATOR, &survivors),
            Ok(reply.clone()),
            "repeated"
        );
        fleet.aggregator.on_mask_sum(seat_node(member), &reply).unwrap();
    }
    assert_eq!(fleet.aggregator.sum(), [12; ENTRIES]);
    let replayed = PrivacyError::Replayed { node: asset_node(1), found: 1, floor: 1 };
    assert_eq!(fleet.aggregator.on_contribution(asset_node(1), &again), Err(replayed));
}

#[test]
fn a_new_horizon_begins_from_nothing() {
    let mut fleet = Fleet::new(parts());
    (0..4).for_each(|asset| fleet.contribute(asset, [4; ENTRIES]));
    fleet.round();
    fleet.tell();
    // One is under way, one waits in the window, and three are being opened, when the horizon ends.
    (0..3).for_each(|asset| fleet.contribute(asset, [5; ENTRIES]));
    fleet.ask(&[0, 1]).unwrap();
    fleet.contribute(4, [6; ENTRIES]);
    let late = fleet.speak(3, [5; ENTRIES]);
    fleet.aggregator.restart(1);
    assert_eq!(fleet.aggregator.drop_contribution(asset_node(3), &late), Ok(()));
    let dropped = Some(Resolution::Dropped);
    assert_eq!(fleet.tell(), [dropped, dropped, dropped, dropped, dropped, None]);
    (0..3).for_each(|asset| fleet.contribute(asset, [7; ENTRIES]));
    assert_eq!(fleet.round().sum, [21; ENTRIES]);
    fleet.tell();
    assert_eq!(fleet.assets[0].counted(), [7; ENTRIES]);
}

#[test]
fn newcomers_wait_for_their_cohort() {
    let mut fleet = Fleet::new(TermsParts { cohort: 2, ..parts() });
    (0..4).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.round();
    fleet.tell();
    (0..3).for_each(|asset| fleet.contribute(asset, [2; ENTRIES]));
    fleet.contribute(4, [50; ENTRIES]);
    assert_eq!(fleet.round().sum, [7; ENTRIES], "one newcomer would stand out");
    fleet.tell();
    fleet.contribute(0, [3; ENTRIES]);
    fleet.contribute(5, [60; ENTRIES]);
    assert_eq!(fleet.round().sum, [8 + 110; ENTRIES]);
}

#[test]
fn a_restarted_asset_says_the_same_again() {
    let mut fleet = Fleet::new(parts());
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.round();
    fleet.tell();
    let said = fleet.speak(2, [9; ENTRIES]);
    let snapshot = fleet.assets[2].snapshot();
    let mut again = Asset::new(Arc::clone(&fleet.terms), asset_node(2), &asset_secret(2), &policy()).unwrap();
    again.restore(&snapshot).unwrap();
    assert_eq!(again.repeat(), Some(said));
    assert_eq!(
        again.speak(&[10; ENTRIES], &fleet.occasion()),
        Err(PrivacyError::Outstanding { sequence: 2 })
    );
    assert_eq!((again.counted(), again.sequence()), ([1; ENTRIES].as_slice(), 2));
    for end in 0..snapshot.len() {
        assert!(again.restore(&snapshot[..end]).is_err());
    }
    let other = Arc::new(Terms::new(TermsParts { epoch: 4, ..parts() }).unwrap());
    let mut other = Asset::new(other, asset_node(2), &asset_secret(2), &policy()).unwrap();
    assert!(other.restore(&snapshot).is_err());
}

#[test]
fn terms_out_of_range_are_refused() {
    let reason = |parts: TermsParts| Terms::new(parts).map(|_| ()).unwrap_err().reason();
    for parts in [
        TermsParts { entries: 0, ..parts() },
        TermsParts { bits: 1, bound: 1, ..parts() },
        TermsParts { bits: 65, ..parts() },
        TermsParts { bound: 0, ..parts() },
        // Six shares of this bound reach 2^63.
        TermsParts { bound: (1 << 63) / 6 + 1, ..parts() },
        TermsParts { bits: 8, bound: 22, ..parts() },
        TermsParts { k_min: 1, ..parts() },
        TermsParts { k_min: 7, ..parts() },
        TermsParts { cohort: 0, ..parts() },
        TermsParts { changes: 0, ..parts() },
        TermsParts { threshold: 1, ..parts() },
        TermsParts { threshold: 4, ..parts() },
        TermsParts { recoveries: 3, ..parts() },
        TermsParts { committee: parts().committee[..1].to_vec(), threshold: 0, recoveries: 0, ..parts() },
        TermsParts { roster: parts().roster.into_iter().rev().collect(), ..parts() },
    ] {
        assert_eq!(reason(parts), "terms");
    }
    let mut weak = parts();
    weak.roster[2].key = [0; 32];
    assert_eq!(reason(weak.clone()), "weak_key");
    // 2 is the abscissa of a point of the twist.
    weak.roster[2].key[0] = 2;
    assert_eq!(Terms::new(weak), Err(PrivacyError::WeakKey { node: asset_node(2) }));
    assert!(Terms::new(TermsParts { bits: 8, bound: 21, ..parts() }).is_ok());
}

#[test]
fn a_node_that_the_terms_do_not_list_takes_no_part() {
    let terms = Arc::new(Terms::new(parts()).unwrap());
    let refused = Asset::new(Arc::clone(&terms), asset_node(0), &asset_secret(1), &policy());
    assert_eq!(refused.unwrap_err(), PrivacyError::NotEnrolled { node: asset_node(0) });
    let refused = CommitteeMember::new(Arc::clone(&terms), seat_node(0), seat_secret(1), COORDINATOR);
    assert_eq!(refused.unwrap_err(), PrivacyError::NotEnrolled { node: seat_node(0) });
}

#[test]
fn sums_are_exact_at_every_width() {
    for width in [4, 5, 8, 9, 13, 24, 31, 41, 57, 63, 64_u8] {
        let bound = (((1_u64 << (width - 1)) - 1) / 6) as i64;
        let mut fleet = Fleet::new(TermsParts { bits: width, bound: bound as u64, ..parts() });
        (0..6).for_each(|asset| fleet.contribute(asset, [bound, -bound, 1]));
        assert_eq!(fleet.round().sum, [6 * bound, -6 * bound, 6], "width {width}");
        fleet.tell();
        (0..6).for_each(|asset| fleet.contribute(asset, [-bound, bound, -bound]));
        assert_eq!(fleet.round().sum, [-6 * bound, 6 * bound, -6 * bound], "width {width}");
        assert!(fleet.assets[0].terms().check_share(&[0, bound + 1, 0]).is_err());
    }
}

/// Plain whole shares of an asset of the generated fleets (16 assets, 24 slots), as solvers send them, against masked ones of
/// the fewest bits for the fleet's greatest share.
#[test]
fn masking_adds_at_most_a_twentieth_to_a_contribution() {
    use crate::planning::{message::FRACTION_BITS, solver::Contribution};
    const SLOTS: usize = 24;
    for (assets, greatest) in [(16, 1.0), (16, 3.9), (16, 20.0), (16, 1000.0), (1000, 1.0), (1000, 20.0)] {
        // Shares spread evenly over ±greatest.
        let share: Vec<f64> = (0..SLOTS).map(|slot| greatest * (slot as f64 / 11.5 - 1.0)).collect();
        let step = f64::from(1_u32 << FRACTION_BITS);
        let entries = share.iter().map(|value| libm::rint(value * step) as i64).collect();
        let plain = Contribution { horizon: 1, term: 0, round: 12, base: 0, entries };
        let bound = (greatest * f64::from(1_u32 << FRACTION_BITS)) as u64;
        let bits = usize::from(Terms::fewest_bits(bound, assets).unwrap());
        let entries = vec![0xff; (SLOTS * bits).div_ceil(8)];
        let masked = MaskedContribution { epoch: 1, generation: 1, sequence: 12, entries };
        let (plain, masked) = (plain.encode().len(), masked.encode().len());
        assert!(
            20 * masked <= 21 * plain,
            "{assets} of ±{greatest}: {masked} of {plain} bytes at {bits} bits"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_order_of_arrival_gives_the_sum_of_shares(
        rounds in prop::collection::vec(prop::collection::vec((0..6_usize, -1_000_000..1_000_000_i64), 3..12), 1..4),
    ) {
        let mut fleet = Fleet::new(parts());
        let mut shares = [[0; ENTRIES]; 6];
        for round in rounds {
            for (asset, value) in round {
                let share = [value, -value, 2 * value];
                if fleet.assets[asset].repeat().is_none() {
                    fleet.contribute(asset, share);
                    shares[asset] = share;
                }
            }
            if fleet.aggregator.ready() < 3 {
                prop_assert_eq!(fleet.aggregator.close().unwrap_err().reason(), "too_few");
                continue;
            }
            let opened = fleet.round();
            let expected: Vec<i64> = (0..ENTRIES).map(|j| shares.iter().map(|share| share[j]).sum()).collect();
            prop_assert_eq!(opened.sum, expected);
            fleet.tell();
            for (asset, share) in fleet.assets.iter().zip(shares) {
                prop_assert_eq!(asset.counted(), share);
            }
        }
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_is_the_only_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..200_usize, to: u8) {
        let terms = Terms::new(parts()).unwrap();
        let occasion = Occasion { horizon: 256, generation: 2, question: Some([9; 32]) };
        let one = |place, sequence, from| Survivor { place, sequence, from };
        let entries = vec![one(0, 1, 0), one(4, 300, 299), one(9, 2, 0)];
        let survivors = Survivors { epoch: 3, round: 9, occasion, entries };
        let sum = MaskSum { epoch: 3, round: 9, seat: seat_node(1), set: [7; 32], entries: vec![5; 24] };
        let masked = MaskedContribution { epoch: 3, generation: 1, sequence: 500, entries: vec![200; 24] };
        let deal = Deal { epoch: 3, dealer: seat_node(1), commitments: vec![[3; 32]; 3], sealed: vec![[4; 48]; 3] };
        let examples = [survivors.encode(), sum.encode(), masked.encode(), deal.encode(), terms.encode()];
        for mut bytes in [vec![bytes], examples.to_vec()].concat() {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let read = [
                Survivors::decode(&bytes).map(|read| read.encode()),
                MaskSum::decode(&bytes, &terms).map(|read| read.encode()),
                MaskedContribution::decode(&bytes, &terms).map(|read| read.encode()),
                Receipt::decode(&bytes).map(|read| read.encode()),
                Deal::decode(&bytes).map(|read| read.encode()),
                Recover::decode(&bytes).map(|read| read.encode()),
                ReturnedShare::decode(&bytes).map(|read| read.encode()),
                Terms::decode(&bytes).map(|read| read.encode()),
            ];
            for again in read.into_iter().flatten() {
                prop_assert_eq!(&again, &bytes);
            }
        }
    }
}
