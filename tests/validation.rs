//! Our results beside those of another simulator: the rows of docs/VALIDATION.md.

#[path = "../examples/validation/rows.rs"]
mod rows;

use rows::{CASES, FOREMOST, fly, foremost};

#[test]
fn our_own_search_finds_the_foremost_journeys() {
    let found = foremost(&CASES[0].load());
    assert!(CASES[0].holds(found), "{found:?}, expected {FOREMOST:?}");
}

#[test]
fn constrained_runs_are_within_their_tolerances() {
    for case in CASES.iter().filter(|case| case.scenario == "helsinki_direct") {
        let ours = fly(&case.load(), None);
        assert!(case.holds(ours), "{}: {ours:?}, expected {:?}", case.title, case.theirs);
    }
}

#[test]
fn epidemic_routing_that_nothing_holds_back_is_foremost() {
    let ours = fly(&CASES[0].load(), None);
    assert!(CASES[0].holds(ours), "{ours:?}, expected {FOREMOST:?}");
}
