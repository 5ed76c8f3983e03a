//! The lines of the threat model in `docs/PRIVACY.md`, each attacked.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    Asset, Audit, CommitteeMember, MaskSum, MaskedContribution, Occasion, Policy, PrivacyError, Receipt,
    Resolution, ReturnedShare, SEALED_LEN, Survivor, Survivors, Terms, TermsParts,
    fleet_tests::{
        COORDINATOR, ENTRIES, Fleet, asset_node, asset_secret, parts, policy, raw, seat_node, seat_secret,
    },
    keystream::{Sign, accumulate, signed},
};

const SECRET: [i64; ENTRIES] = [123_456, -654_321, 42];

/// What is asked first.
const FIRST: Occasion = Occasion { horizon: 0, generation: 1, question: None };

/// A set of places with counts, each a change of the contribution before it.
fn set(round: u64, entries: &[(usize, u64)]) -> Survivors {
    let one = |(place, sequence): &(usize, u64)| Survivor {
        place: *place,
        sequence: *sequence,
        from: sequence.saturating_sub(1),
    };
    Survivors { epoch: 3, round, occasion: FIRST, entries: entries.iter().map(one).collect() }
}

/// What `contribution` is once the masks of these seats are off.
fn unmasked_by(fleet: &Fleet, contribution: &MaskedContribution, asset: usize, seats: &[usize]) -> Vec<i64> {
    let mut entries = vec![0; ENTRIES];
    accumulate(&mut entries, &contribution.entries, 64, Sign::Add);
    for &seat in seats {
        let keys = seat_secret(seat).mask_keys(&fleet.terms, seat_node(seat)).unwrap();
        let key = keys[asset].bound(&FIRST.digest(), 0);
        key.apply(contribution.sequence, 64, Sign::Subtract, &mut entries);
    }
    entries.into_iter().map(|value| signed(value, 64)).collect()
}

#[test]
fn survivor_sets_that_differ_by_one_are_not_both_opened() {
    let mut fleet = Fleet::new(parts());
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.contribute(3, SECRET);
    let all = fleet.aggregator.close().unwrap();
    let without = Survivors { entries: all.entries[..3].to_vec(), ..all.clone() };
    for member in &mut fleet.members {
        member.on_survivors(COORDINATOR, &all).unwrap();
        let second = member.on_survivors(COORDINATOR, &without);
        assert_eq!(second, Err(PrivacyError::SecondSet { round: 1 }));
        // Nor under the name of another round: each contribution's mask is in one sum.
        let later = member.on_survivors(COORDINATOR, &Survivors { round: 2, ..without.clone() });
        assert_eq!(later, Err(PrivacyError::Replayed { node: asset_node(0), found: 1, floor: 1 }));
        let earlier = member.on_survivors(COORDINATOR, &Survivors { round: 0, ..without.clone() });
        assert_eq!(earlier, Err(PrivacyError::OldRound { found: 0, last: 1 }));
    }
}

#[test]
fn members_that_are_shown_different_sets_open_neither() {
    let mut fleet = Fleet::new(parts());
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.contribute(3, SECRET);
    let all = fleet.aggregator.close().unwrap();
    let without = Survivors { entries: all.entries[..3].to_vec(), ..all.clone() };
    // Three members see the one set, the fourth sees the other.
    for member in 0..3 {
        let reply = fleet.members[member].on_survivors(COORDINATOR, &all).unwrap();
        fleet.aggregator.on_mask_sum(seat_node(member), &reply).unwrap();
    }
    let other = fleet.members[3].on_survivors(COORDINATOR, &without).unwrap();
    let refused = fleet.aggregator.on_mask_sum(seat_node(3), &other);
    assert_eq!(refused, Err(PrivacyError::OtherSet { seat: seat_node(3) }));
    // And neither set can be completed any more.
    assert!(fleet.members[3].on_survivors(COORDINATOR, &all).is_err());
    assert!(fleet.members[0].on_survivors(COORDINATOR, &without).is_err());
}

#[test]
fn the_difference_of_two_rounds_tells_nothing_of_an_asset_that_is_missing_from_one() {
    let mut fleet = Fleet::new(parts());
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.contribute(3, SECRET);
    let before = fleet.round().sum;
    fleet.tell();
    // The others say the same again, and the asset is out of contact: were whole shares summed, the difference would be its share.
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    let after = fleet.round().sum;
    let difference: Vec<i64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(difference, [0; ENTRIES]);
}

#[test]
fn a_forged_survivor_set_is_refused() {
    let mut fleet = Fleet::new(parts());
    let honest = set(1, &[(0, 1), (1, 1), (2, 1)]);
    let member = &mut fleet.members[0];
    let mut refused =
        |from, survivors: &Survivors| member.on_survivors(from, survivors).unwrap_err().reason();
    assert_eq!(refused(seat_node(1), &honest), "sender");
    assert_eq!(refused(COORDINATOR, &Survivors { epoch: 4, ..honest.clone() }), "epoch");
    let with = |entries: &[(usize, u64)]| set(1, entries);
    assert_eq!(refused(COORDINATOR, &with(&[(0, 1), (1, 1), (6, 1)])), "entries", "not in the roster");
    assert_eq!(refused(COORDINATOR, &with(&[(0, 1), (0, 1), (1, 1)])), "entries", "one asset twice");
    assert_eq!(refused(COORDINATOR, &with(&[(0, 1), (0, 2), (1, 1)])), "entries", "one asset twice");
    assert_eq!(refused(COORDINATOR, &with(&[(0, 1), (1, 1), (2, 0)])), "replayed", "no contribution 0");
    assert!(fleet.members[0].on_survivors(COORDINATOR, &honest).is_ok(), "refusals change nothing");
}

#[test]
fn fewer_than_k_min_are_not_opened() {
    let mut fleet = Fleet::new(parts());
    (0..2).for_each(|asset| fleet.contribute(asset, SECRET));
    let too_few = PrivacyError::TooFew { found: 2, k_min: 3 };
    assert_eq!(fleet.aggregator.close(), Err(too_few));
    // A coordinator that closes all the same gets no answer.
    let survivors = set(1, &[(0, 1), (1, 1)]);
    for member in &mut fleet.members {
        assert_eq!(member.on_survivors(COORDINATOR, &survivors), Err(too_few));
    }
    // Nothing is lost: the third opens it.
    fleet.contribute(2, [0; ENTRIES]);
    assert_eq!(fleet.round().sum, SECRET.map(|value| 2 * value));
}

#[test]
fn one_newcomer_among_the_settled_is_not_opened() {
    let mut fleet = Fleet::new(TermsParts { cohort: 2, ..parts() });
    (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.round();
    let refused = fleet.members[0].on_survivors(COORDINATOR, &set(2, &[(0, 2), (1, 2), (2, 2), (3, 1)]));
    assert_eq!(refused, Err(PrivacyError::Cohort { found: 1, cohort: 2 }));
}

#[test]
fn a_dropped_contribution_is_uncounted_by_the_asset_and_the_coordinator_alike() {
    let mut fleet = Fleet::new(parts());
    (0..4).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    fleet.round();
    fleet.tell();
    (0..4).for_each(|asset| fleet.contribute(asset, [5; ENTRIES]));
    // Two members are lost for good: the round is given up, and the sum begins again, since the others have summed it.
    fleet.ask(&[0, 1]).unwrap();
    fleet.aggregator.restart(0);
    assert_eq!(fleet.aggregator.sum(), [0; ENTRIES]);
    assert_eq!(fleet.tell()[..4], [Some(Resolution::Dropped); 4]);
    assert!(fleet.assets[..4].iter().all(|asset| asset.counted() == [1; ENTRIES]));
    // The next change is measured from nothing, on both sides.
    (0..4).for_each(|asset| fleet.contribute(asset, [6; ENTRIES]));
    assert_eq!(fleet.round().sum, [24; ENTRIES]);
}

/// Lies that would have one asset say its share while the others stand still: all four of them.
#[test]
fn a_lie_about_what_is_asked_or_counted_opens_nothing() {
    // Masked with what is asked of one alone, or counted of it alone, its masks are not those that members take off.
    let opened = |lie: &dyn Fn(&mut Fleet) -> MaskedContribution, from: u64| {
        let mut fleet = Fleet::new(parts());
        (0..4).for_each(|asset| fleet.contribute(asset, SECRET));
        fleet.round();
        fleet.tell();
        let mut sum = vec![0; ENTRIES];
        let mut add = |contribution: &MaskedContribution| {
            accumulate(&mut sum, &contribution.entries, 64, Sign::Add);
        };
        add(&lie(&mut fleet));
        (1..4).for_each(|asset| add(&fleet.speak(asset, SECRET)));
        let mut asked = set(2, &[(0, 2), (1, 2), (2, 2), (3, 2)]);
        asked.entries[0].from = from;
        for member in &mut fleet.members {
            let reply = member.on_survivors(COORDINATOR, &asked).map_err(|error| error.reason())?;
            accumulate(&mut sum, &reply.entries, 64, Sign::Subtract);
        }
        Ok::<Vec<i64>, &'static str>(sum.into_iter().map(|value| signed(value, 64)).collect())
    };
    // Asked as the others are, its change is what all stand still with: the sum is its change, zero.
    assert_eq!(opened(&|fleet| fleet.speak(0, SECRET), 1), Ok(vec![0; ENTRIES]));
    let garbage = |found: Result<Vec<i64>, &str>| {
        let found = found.expect("answered");
        found.iter().zip(SECRET).all(|(seen, secret)| seen.abs_diff(secret) > 1 << 40)
    };
    // Told that it was not counted, it says all of its share. Members know better; and what they take for counted is not what it was told.
    let dropped = |fleet: &mut Fleet| {
        let mut fresh = Fleet::new(parts());
        let occasion = fleet.occasion();
        fresh.assets[0].speak(&[0; ENTRIES], &occasion).unwrap();
        let lie = Receipt { epoch: 3, generation: 1, counted: 0, resolved: 1 };
        assert_eq!(fresh.assets[0].on_receipt(&lie), Ok(Some(Resolution::Dropped)));
        fresh.speak(0, SECRET)
    };
    assert_eq!(opened(&dropped, 0), Err("base"));
    assert!(garbage(opened(&dropped, 1)));
    // Asked another question, or for another horizon or generation.
    for occasion in [
        Occasion { question: Some([1; 32]), ..FIRST },
        Occasion { horizon: 1, generation: 2, ..FIRST },
        Occasion { generation: 2, ..FIRST },
    ] {
        let lured = |fleet: &mut Fleet| fleet.assets[0].speak(&SECRET, &occasion).unwrap();
        assert!(garbage(opened(&lured, 1)));
        assert_eq!(opened(&lured, 0), Err("base"));
    }
}

#[test]
fn a_generation_of_the_sum_is_begun_once_and_by_nobody_alone() {
    let mut fleet = Fleet::new(TermsParts { cohort: 3, changes: 3, ..parts() });
    (0..6).for_each(|asset| fleet.contribute(asset, SECRET));
    fleet.round();
    fleet.tell();
    // An asset follows to later generations only, and knows which one it is in after a restart.
    let asset = &mut fleet.assets[0];
    assert_eq!(asset.begin(0, 1), Ok(()));
    assert_eq!(asset.counted(), SECRET);
    asset.begin(0, 4).unwrap();
    assert_eq!(asset.counted(), [0; ENTRIES]);
    let snapshot = asset.snapshot();
    let mut again = Asset::new(Arc::clone(&fleet.terms), asset_node(0), &asset_secret(0), &policy()).unwrap();
    again.restore(&snapshot).unwrap();
    for (horizon, generation) in [(0, 3), (0, 1), (1, 4)] {
        let over = Err(PrivacyError::Generation { found: generation, last: 4 });
        assert_eq!(again.begin(horizon, generation), over);
    }
    // Members open the next generation with whoever was in the last one, not without one of them.
    let next = Occasion { generation: 2, ..FIRST };
    let of = |places: &[usize], round| {
        let entries = places.iter().map(|place| Survivor { place: *place, sequence: 2, from: 0 }).collect();
        Survivors { epoch: 3, round, occasion: next, entries }
    };
    let member = &mut fleet.members[0];
    let without = member.on_survivors(COORDINATOR, &of(&[1, 2, 3, 4, 5], 2));
    assert_eq!(without, Err(PrivacyError::Changes { found: 1, least: 3 }));
    assert!(member.on_survivors(COORDINATOR, &of(&[0, 1, 2, 3, 4, 5], 2)).is_ok());
    let old = Survivors { round: 3, ..set(3, &[(0, 3), (1, 3), (2, 3)]) };
    assert_eq!(member.on_survivors(COORDINATOR, &old).unwrap_err().reason(), "generation");
}

#[test]
fn a_mask_is_used_once() {
    let mut fleet = Fleet::new(parts());
    let first = fleet.speak(0, SECRET);
    // Two different texts under one mask would give their difference.
    let again = fleet.assets[0].speak(&[0; ENTRIES], &FIRST);
    assert_eq!(again, Err(PrivacyError::Outstanding { sequence: 1 }));
    let dropped = Receipt { epoch: 3, generation: 1, counted: 0, resolved: 1 };
    assert_eq!(fleet.assets[0].on_receipt(&dropped), Ok(Some(Resolution::Dropped)));
    let second = fleet.speak(0, SECRET);
    assert_eq!((first.sequence, second.sequence), (1, 2));
    let masks = |contribution: &MaskedContribution| {
        raw(contribution).iter().zip(SECRET).map(|(y, x)| y.wrapping_sub(x)).collect::<Vec<_>>()
    };
    assert_ne!(masks(&first), masks(&second));
    // A receipt for what was never said would free a count for a second use.
    let forged = Receipt { epoch: 3, generation: 1, counted: 0, resolved: 9 };
    assert_eq!(fleet.assets[0].on_receipt(&forged).unwrap_err().reason(), "replayed");
}

#[test]
fn masks_of_other_epochs_plans_and_seats_are_unrelated() {
    let seen = |parts: TermsParts| raw(&Fleet::new(parts).speak(0, SECRET));
    let other =
        [seen(parts()), seen(TermsParts { epoch: 4, ..parts() }), seen(TermsParts { plan: 8, ..parts() })];
    assert!(other[0] != other[1] && other[1] != other[2] && other[0] != other[2]);
    let fleet = Fleet::new(parts());
    let keys = |seat| seat_secret(seat).mask_keys(&fleet.terms, seat_node(seat)).unwrap();
    let mask = |seat: usize, asset: usize| {
        let mut entries = [0; ENTRIES];
        keys(seat)[asset].bound(&FIRST.digest(), 0).apply(1, 64, Sign::Add, &mut entries);
        entries
    };
    assert!(mask(0, 0) != mask(1, 0) && mask(0, 0) != mask(0, 1));
}

#[test]
fn a_replayed_contribution_or_answer_is_refused() {
    let mut fleet = Fleet::new(parts());
    let old = fleet.speak(0, [9; ENTRIES]);
    fleet.aggregator.on_contribution(asset_node(0), &old).unwrap();
    (1..4).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
    let survivors = fleet.aggregator.close().unwrap();
    let replies: Vec<MaskSum> = fleet
        .members
        .iter_mut()
        .map(|member| member.on_survivors(COORDINATOR, &survivors).unwrap())
        .collect();
    for (seat, reply) in replies.iter().enumerate() {
        fleet.aggregator.on_mask_sum(seat_node(seat), reply).unwrap();
    }
    fleet.tell();
    assert_eq!(fleet.aggregator.on_contribution(asset_node(0), &old).unwrap_err().reason(), "replayed");
    // Under another's name it does not open either.
    (0..3).for_each(|asset| fleet.contribute(asset, [2; ENTRIES]));
    fleet.aggregator.close().unwrap();
    let stale = fleet.aggregator.on_mask_sum(seat_node(0), &replies[0]);
    assert_eq!(stale, Err(PrivacyError::OtherSet { seat: seat_node(0) }));
    let theirs = fleet.aggregator.on_mask_sum(seat_node(1), &replies[0]);
    assert_eq!(theirs, Err(PrivacyError::Sender { node: seat_node(1) }));
}

#[test]
fn a_restarted_member_still_refuses_a_second_set() {
    let mut fleet = Fleet::new(parts());
    let set = set(5, &[(0, 1), (1, 1), (2, 1), (3, 1)]);
    let answer = fleet.members[0].on_survivors(COORDINATOR, &set).unwrap();
    let snapshot = fleet.members[0].snapshot();
    let mut member =
        CommitteeMember::new(Arc::clone(&fleet.terms), seat_node(0), seat_secret(0), COORDINATOR).unwrap();
    member.restore(&snapshot).unwrap();
    assert_eq!(member.on_survivors(COORDINATOR, &set), Ok(answer));
    let without = Survivors { entries: set.entries[..3].to_vec(), ..set.clone() };
    assert_eq!(member.on_survivors(COORDINATOR, &without), Err(PrivacyError::SecondSet { round: 5 }));
    for end in 0..snapshot.len() {
        assert!(member.restore(&snapshot[..end]).is_err());
    }
    // A new coordinator is bound by what its predecessor opened.
    member.elect(seat_node(2));
    assert_eq!(member.on_survivors(COORDINATOR, &set).unwrap_err().reason(), "sender");
    assert_eq!(member.on_survivors(seat_node(2), &without).unwrap_err().reason(), "second_set");
}

#[test]
fn the_coordinator_and_all_members_but_one_read_nothing() {
    let mut fleet = Fleet::new(parts());
    let contribution = fleet.speak(0, SECRET);
    for honest in 0..4 {
        let corrupt: Vec<usize> = (0..4).filter(|seat| *seat != honest).collect();
        let seen = unmasked_by(&fleet, &contribution, 0, &corrupt);
        // What is left is the honest member's mask on the share: some other share is as likely as this.
        let mut mask = vec![0; ENTRIES];
        let keys = seat_secret(honest).mask_keys(&fleet.terms, seat_node(honest)).unwrap();
        keys[0].bound(&FIRST.digest(), 0).apply(1, 64, Sign::Add, &mut mask);
        let expected: Vec<i64> =
            mask.iter().zip(SECRET).map(|(mask, x)| (*mask as i64).wrapping_add(x)).collect();
        assert_eq!(seen, expected);
        assert!(seen.iter().zip(SECRET).all(|(seen, secret)| seen.abs_diff(secret) > 1 << 40));
    }
    // All of them read everything: the committee's honesty is what privacy stands on.
    assert_eq!(unmasked_by(&fleet, &contribution, 0, &[0, 1, 2, 3]), SECRET);
}

/// Shares that corrupt guardians hold of a member's key.
fn pooled(fleet: &Fleet, dealer: usize, guardians: &[usize]) -> curve25519_dalek::Scalar {
    let polynomial = seat_secret(dealer).polynomial(&fleet.terms);
    let share = |seat: &usize| (*seat as u8 + 1, super::sharing::share(&polynomial, *seat as u8 + 1));
    super::sharing::combine(&guardians.iter().map(share).collect::<Vec<_>>())
}

#[test]
fn members_below_the_threshold_cannot_rebuild_an_honest_members_key_and_members_at_it_can() {
    let fleet = Fleet::new(parts());
    let public = |key: curve25519_dalek::Scalar| {
        curve25519_dalek::EdwardsPoint::mul_base(&key).to_montgomery().to_bytes()
    };
    for pair in [[1, 2], [1, 3], [2, 3]] {
        assert_ne!(public(pooled(&fleet, 0, &pair)), seat_secret(0).mask_key());
    }
    assert_eq!(public(pooled(&fleet, 0, &[1, 2, 3])), seat_secret(0).mask_key());
    // With one recovery to give, a coalition of two could have the third guardian help it: one is what is tolerated.
    assert_eq!(fleet.terms.tolerated(), 1);
    assert_eq!(Terms::new(TermsParts { recoveries: 0, ..parts() }).unwrap().tolerated(), 2);
    assert_eq!(Terms::new(TermsParts { threshold: 0, recoveries: 0, ..parts() }).unwrap().tolerated(), 3);
}

#[test]
fn a_coordinator_cannot_collect_the_committee_by_calling_members_lost() {
    let mut fleet = Fleet::new(parts());
    let recover = fleet.aggregator.recover(seat_node(3), seat_node(0)).unwrap();
    let limit = Err(PrivacyError::Recoveries { limit: 1 });
    assert_eq!(fleet.aggregator.recover(seat_node(2), seat_node(0)), limit);
    fleet.members[1].on_recover(COORDINATOR, &recover).unwrap();
    for (lost, deputy) in [(3, 2), (2, 0), (0, 2)] {
        let more = super::Recover { epoch: 3, lost: seat_node(lost), deputy: seat_node(deputy) };
        assert_eq!(
            fleet.members[1].on_recover(COORDINATOR, &more),
            Err(PrivacyError::Recoveries { limit: 1 })
        );
    }
    // After a restart as well.
    let snapshot = fleet.members[1].snapshot();
    let mut member =
        CommitteeMember::new(Arc::clone(&fleet.terms), seat_node(1), seat_secret(1), COORDINATOR).unwrap();
    member.restore(&snapshot).unwrap();
    let deal = fleet.members[2].deal().unwrap().unwrap();
    member.on_deal(seat_node(2), &deal).unwrap();
    let more = super::Recover { epoch: 3, lost: seat_node(2), deputy: seat_node(0) };
    assert_eq!(member.on_recover(COORDINATOR, &more), Err(PrivacyError::Recoveries { limit: 1 }));
    // A member that lives does not help to replace itself, and others than the coordinator are not heard.
    let own = fleet.members[3].on_recover(COORDINATOR, &recover);
    assert_eq!(own.unwrap_err().reason(), "sender");
    assert_eq!(fleet.members[2].on_recover(seat_node(0), &recover).unwrap_err().reason(), "sender");
}

/// Rebuilds member `lost` at `deputy` with the help of all others.
fn stand_in(fleet: &mut Fleet, lost: usize, deputy: usize) {
    let recover = fleet.aggregator.recover(seat_node(lost), seat_node(deputy)).unwrap();
    let recover = super::Recover::decode(&recover.encode()).unwrap();
    let mut ready = false;
    for guardian in (0..4).filter(|guardian| *guardian != lost) {
        let share = fleet.members[guardian].on_recover(COORDINATOR, &recover).unwrap();
        if let Some(share) = share {
            let share = ReturnedShare::decode(&share.encode()).unwrap();
            // At the deputy the order does not matter: it hears the coordinator first or last.
            fleet.members[deputy].on_recover(COORDINATOR, &recover).unwrap();
            ready = fleet.members[deputy].on_share(seat_node(guardian), &share).unwrap();
        }
    }
    assert!(ready);
}

#[test]
fn a_lost_member_is_recovered_and_the_round_opens() {
    for (lost, deputy) in [(0, 1), (3, 0), (1, 3)] {
        let mut fleet = Fleet::new(parts());
        (0..5).for_each(|asset| fleet.contribute(asset, [asset as i64, 7, -1]));
        let alive: Vec<usize> = (0..4).filter(|member| *member != lost).collect();
        assert_eq!(fleet.ask(&alive), Ok(None));
        assert_eq!(fleet.aggregator.missing().collect::<Vec<_>>(), [seat_node(lost)]);
        stand_in(&mut fleet, lost, deputy);
        let survivors = fleet.aggregator.published().unwrap().clone();
        let reply = fleet.members[deputy].stand_in(COORDINATOR, seat_node(lost), &survivors).unwrap();
        // The deputy's answer is the one that the lost member would have given.
        assert_eq!(fleet.members[lost].on_survivors(COORDINATOR, &survivors), Ok(reply.clone()));
        let opened = fleet.aggregator.on_mask_sum(seat_node(deputy), &reply).unwrap().expect("complete");
        assert_eq!(opened.sum, [10, 35, -5]);
        // And it goes on doing so, for sets that it answers itself, and for no others.
        fleet.tell();
        (0..3).for_each(|asset| fleet.contribute(asset, [1; ENTRIES]));
        let before = Survivors { round: 2, ..survivors };
        let refused = fleet.members[deputy].stand_in(COORDINATOR, seat_node(lost), &before);
        assert_eq!(refused, Err(PrivacyError::SecondSet { round: 2 }));
        fleet.ask(&alive).unwrap();
        let survivors = fleet.aggregator.published().unwrap().clone();
        let reply = fleet.members[deputy].stand_in(COORDINATOR, seat_node(lost), &survivors).unwrap();
        assert!(fleet.aggregator.on_mask_sum(seat_node(deputy), &reply).unwrap().is_some());
    }
}

#[test]
fn a_member_that_lies_grossly_is_noticed_and_found_by_an_audit() {
    let mut fleet = Fleet::new(parts());
    (0..4).for_each(|asset| fleet.contribute(asset, SECRET));
    let survivors = fleet.aggregator.close().unwrap();
    let mut outcome = Ok(None);
    for member in 0..4 {
        let mut reply = fleet.members[member].on_survivors(COORDINATOR, &survivors).unwrap();
        if member == 2 {
            reply.entries[15] ^= 0x40;
        }
        outcome = fleet.aggregator.on_mask_sum(seat_node(member), &reply);
    }
    assert_eq!(outcome, Err(PrivacyError::Implausible { entry: 1, assets: 4 }));
    assert_eq!(fleet.aggregator.sum(), [0; ENTRIES], "nothing of the round is counted");
    assert_eq!(fleet.tell()[..4], [Some(Resolution::Dropped); 4]);
    stand_in(&mut fleet, 2, 0);
    let recomputed = fleet.members[0].stand_in(COORDINATOR, seat_node(2), &survivors).unwrap();
    assert_eq!(fleet.aggregator.audit(seat_node(0), &recomputed), Ok(Audit::Differs));
    assert_eq!(fleet.aggregator.audit(seat_node(1), &recomputed).unwrap_err().reason(), "sender");
}

#[test]
fn a_member_that_lies_slightly_is_found_by_an_audit_alone() {
    let mut fleet = Fleet::new(parts());
    (0..4).for_each(|asset| fleet.contribute(asset, [10; ENTRIES]));
    let survivors = fleet.aggregator.close().unwrap();
    let mut outcome = Ok(None);
    for member in 0..4 {
        let mut reply = fleet.members[member].on_survivors(COORDINATOR, &survivors).unwrap();
        if member == 1 {
            let low = i64::from_le_bytes(reply.entries[..8].try_into().unwrap()).wrapping_sub(5);
            reply.entries[..8].copy_from_slice(&low.to_le_bytes());
        }
        outcome = fleet.aggregator.on_mask_sum(seat_node(member), &reply);
    }
    assert_eq!(outcome.unwrap().unwrap().sum, [45, 40, 40], "the sum is wrong, and plausible");
    stand_in(&mut fleet, 1, 3);
    let recomputed = fleet.members[3].stand_in(COORDINATOR, seat_node(1), &survivors).unwrap();
    assert_eq!(fleet.aggregator.audit(seat_node(3), &recomputed), Ok(Audit::Differs));
    // An honest member stands the same test.
    let mut honest = Fleet::new(parts());
    (0..4).for_each(|asset| honest.contribute(asset, [10; ENTRIES]));
    honest.round();
    stand_in(&mut honest, 1, 3);
    let survivors = honest.members[3].answered().unwrap().clone();
    let recomputed = honest.members[3].stand_in(COORDINATOR, seat_node(1), &survivors).unwrap();
    assert_eq!(honest.aggregator.audit(seat_node(3), &recomputed), Ok(Audit::Agrees));
}

#[test]
fn a_dealer_that_shares_another_key_is_found_when_it_deals() {
    let mut fleet = Fleet::new(parts());
    let honest = fleet.members[0].deal().unwrap().unwrap();
    let bad = Err(PrivacyError::BadShare { dealer: seat_node(0) });
    let mut fresh =
        CommitteeMember::new(Arc::clone(&fleet.terms), seat_node(1), seat_secret(1), COORDINATOR).unwrap();
    for at in [0, SEALED_LEN - 1] {
        let mut deal = honest.clone();
        deal.sealed[0][at] ^= 1;
        assert_eq!(fresh.on_deal(seat_node(0), &deal), bad);
    }
    let mut deal = honest.clone();
    deal.commitments[0] = deal.commitments[1];
    assert_eq!(fresh.on_deal(seat_node(0), &deal), bad, "not the listed key");
    let mut deal = honest.clone();
    deal.commitments[1] = deal.commitments[2];
    assert_eq!(fresh.on_deal(seat_node(0), &deal), bad, "not the share's polynomial");
    assert_eq!(fresh.on_deal(seat_node(2), &honest).unwrap_err().reason(), "sender");
    assert_eq!(fresh.on_deal(seat_node(0), &honest), Ok(()));
    let known = &mut fleet.members[1];
    assert_eq!(known.on_deal(seat_node(0), &honest), Ok(()), "repeated");
}

#[test]
fn a_guardian_that_returns_another_share_is_named() {
    let mut fleet = Fleet::new(parts());
    let recover = fleet.aggregator.recover(seat_node(3), seat_node(0)).unwrap();
    fleet.members[0].on_recover(COORDINATOR, &recover).unwrap();
    let honest = fleet.members[1].on_recover(COORDINATOR, &recover).unwrap().unwrap();
    let mut forged = honest.clone();
    forged.sealed[3] ^= 1;
    let bad = Err(PrivacyError::BadShare { dealer: seat_node(3) });
    assert_eq!(fleet.members[0].on_share(seat_node(1), &forged), bad);
    assert_eq!(fleet.members[0].on_share(seat_node(2), &honest), bad, "another's share");
    // A share of a wrong value that is properly sealed fits no commitment.
    let own = &fleet.terms.parts().committee[0];
    let key = seat_secret(1).sealing_key(&fleet.terms, b"returned", seat_node(3), seat_node(1), own).unwrap();
    let wrong = zeroize::Zeroizing::new(curve25519_dalek::Scalar::from(5_u8));
    forged.sealed = super::recovery::seal(&key, wrong);
    assert_eq!(fleet.members[0].on_share(seat_node(1), &forged), bad);
    assert_eq!(fleet.members[0].on_share(seat_node(1), &honest), Ok(false));
    // Who was not named deputy collects nothing.
    assert_eq!(fleet.members[2].on_share(seat_node(1), &honest).unwrap_err().reason(), "sender");
}

#[test]
fn an_asset_refuses_terms_that_ask_less_than_its_policy() {
    let offered = |parts: TermsParts, policy: &Policy| {
        let terms = Arc::new(Terms::new(parts).unwrap());
        Asset::new(terms, asset_node(0), &asset_secret(0), policy).map(|_| ()).map_err(|error| error.reason())
    };
    assert_eq!(offered(parts(), &policy()), Ok(()));
    assert_eq!(offered(parts(), &Policy { k_min: 4, ..policy() }), Err("policy"));
    assert_eq!(offered(parts(), &Policy { tolerated: 2, ..policy() }), Err("policy"));
    // Whoever is counted first alone shows all that it has.
    let cohort = parts().cohort;
    assert_eq!(offered(parts(), &Policy { cohort: cohort + 1, ..policy() }), Err("policy"));
    // A coordinator that seats its own creatures.
    let trusted = Policy { seats: vec![seat_node(0), seat_node(1)], ..policy() };
    assert_eq!(offered(parts(), &trusted), Err("policy"));
    // Or that makes assets up, to be alone with an honest one.
    let known = Policy { roster: policy().roster[..5].to_vec(), ..policy() };
    assert_eq!(offered(parts(), &known), Err("policy"));
}

#[test]
fn secrets_do_not_appear_in_debug_output() {
    let mut fleet = Fleet::new(parts());
    fleet.speak(0, SECRET);
    let text = alloc::format!("{:?} {:?}", fleet.assets[0], fleet.members[0]);
    assert!(!text.contains("123456") && text.len() < 200, "{text}");
}
