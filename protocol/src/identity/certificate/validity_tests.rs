//! Certificates under clocks that are right, wrong, drifting or missing.

use super::*;
use crate::{
    id::NodeId,
    identity::{KeyPair, Role, Scope},
};

const DAY: u64 = 86_400_000;
const BEGIN: u64 = 800_000_000_000;

fn certificate() -> Certificate {
    Certificate {
        subject: NodeId(7),
        key: KeyPair::from_seed([7; 32]).public().clone(),
        role: Role::Operator,
        scope: Scope::everything(),
        not_before: DtnTime(BEGIN),
        expires: DtnTime(BEGIN + 30 * DAY),
    }
}

fn at(day: i64) -> Clock {
    let time = DtnTime(BEGIN.checked_add_signed(day * DAY as i64).unwrap());
    Clock::Between { earliest: time, latest: time }
}

fn judged(clock: Clock, heard_day: Option<u64>) -> Result<Standing, &'static str> {
    let heard = heard_day.map_or(DtnTime::UNKNOWN, |day| DtnTime(BEGIN + day * DAY));
    TimeRule::default().judge(&certificate(), clock, heard).map_err(|error| error.reason())
}

#[test]
fn a_right_clock_sees_not_yet_valid_grace_and_the_end() {
    assert_eq!(judged(at(-1), None), Err("certificate_not_yet_valid"));
    assert_eq!(judged(at(0), None), Ok(Standing::Valid));
    assert_eq!(judged(at(29), Some(20)), Ok(Standing::Valid));
    assert_eq!(judged(at(30), Some(30)), Ok(Standing::Grace));
    assert_eq!(judged(at(43), Some(43)), Ok(Standing::Grace));
    assert_eq!(judged(at(44), Some(43)), Err("certificate_expired"));
}

#[test]
fn an_authority_that_is_silent_for_months_leaves_the_fleet_in_grace() {
    assert_eq!(judged(at(300), Some(29)), Ok(Standing::Grace));
    assert_eq!(judged(at(300), None), Ok(Standing::Grace));
    assert_eq!(judged(at(300), Some(31)), Err("certificate_expired"), "it spoke, and did not renew");
}

#[test]
fn a_clock_set_far_ahead_expires_nothing_that_the_authority_has_not_outlived() {
    assert_eq!(judged(at(10_000), Some(10)), Ok(Standing::Grace));
}

#[test]
fn a_clock_set_back_brings_nothing_back_to_life() {
    assert_eq!(judged(at(1), Some(44)), Err("certificate_expired"));
    assert_eq!(
        judged(at(-100), Some(20)),
        Ok(Standing::Valid),
        "what the authority signed tells that its time has come"
    );
}

#[test]
fn without_a_clock_only_the_authoritys_own_times_count() {
    assert_eq!(judged(Clock::Unknown, None), Ok(Standing::Valid));
    assert_eq!(judged(Clock::Unknown, Some(31)), Ok(Standing::Grace));
    assert_eq!(judged(Clock::Unknown, Some(44)), Err("certificate_expired"));
}

#[test]
fn a_clock_that_drifts_for_too_long_counts_as_none() {
    let rule = TimeRule::default();
    let utc = DtnTime(BEGIN);
    let estimate = UtcEstimate { at: Instant::ZERO, utc, uncertainty: Duration::from_secs(1) };
    let after = |days: u64| rule.clock(Some(estimate), Instant::from_nanos(days * DAY * 1_000_000));
    let width = |days: u64| match after(days) {
        Clock::Between { earliest, latest } => latest.0 - earliest.0,
        Clock::Unknown => u64::MAX,
    };
    assert_eq!(width(0), 2000);
    // 50 ppm are 4.32 s a day, either way.
    assert_eq!(width(10), 2 * (1000 + 43_200));
    assert_eq!(after(834), Clock::Unknown, "an hour wrong after 833 days");
    assert_eq!(rule.clock(None, Instant::ZERO), Clock::Unknown);
    let unsure = UtcEstimate { uncertainty: Duration::from_secs(7200), ..estimate };
    assert_eq!(rule.clock(Some(unsure), Instant::ZERO), Clock::Unknown);
}

#[test]
fn an_uncertain_clock_gives_the_benefit_of_the_doubt_at_both_ends() {
    let between =
        |from: u64, to: u64| Clock::Between { earliest: DtnTime(BEGIN + from), latest: DtnTime(BEGIN + to) };
    assert_eq!(
        judged(Clock::Between { earliest: DtnTime(BEGIN - 10), latest: DtnTime(BEGIN) }, None),
        Ok(Standing::Valid)
    );
    assert_eq!(judged(between(30 * DAY - 1, 30 * DAY + 9), Some(29)), Ok(Standing::Valid));
}
