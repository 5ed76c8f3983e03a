//! Masks at whole nodes: windows that are lost, members that come and go, restarts under other terms.

use super::{
    harness::{Fleet, NODES, Setup},
    members::{members, setup},
};
use cosmosmesh_protocol::{
    node::{Input, InputError, Report},
    planning::{Outcome, secure::Window, solver::Kind},
};
use std::time::Duration;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn windows(fleet: &Fleet, node: u64) -> Vec<Window> {
    let reports = fleet.hosts[&node].reports.iter();
    let windows = reports.filter_map(|report| match report {
        Report::PlanWindow(window) => Some(*window),
        _ => None,
    });
    windows.collect()
}

fn unopened(fleet: &Fleet, reason: &str) -> usize {
    let is = |window: &&Window| matches!(window, Window::Unopened { reason: found } if *found == reason);
    windows(fleet, 1).iter().filter(is).count()
}

fn refusals(fleet: &Fleet, node: u64, reason: &str) -> usize {
    let reports = fleet.hosts[&node].reports.iter();
    let is = |report: &&Report| matches!(report, Report::ModuleRefused { reason: found } if *found == reason);
    reports.filter(is).count()
}

fn wake(fleet: &mut Fleet, node: u64) {
    fleet.hosts.get_mut(&node).expect("a host").down = false;
    fleet.input(node, Input::Timeout);
}

#[test]
fn nobody_can_be_summed_and_the_plan_ends_with_what_was_agreed_last() {
    for (kind, first) in
        [(Kind::Exchange, 100), (Kind::AsynchronousExchange, 40), (Kind::AsynchronousExchange, 100)]
    {
        let mut fleet = Fleet::with(Setup { masks: Some(2), ..setup(kind) });
        fleet.start();
        fleet.run_for(seconds(first));
        assert!(fleet.committed(1).is_empty(), "{kind:?} {:?}", fleet.committed(1));
        // A member of the committee is silent until the sum begins again, and an asset is gone for good.
        fleet.put_down(3);
        fleet.put_down(4);
        fleet.run_for(seconds(260));
        assert!(unopened(&fleet, "committee_silent") > 0, "{kind:?}: {:?}", windows(&fleet, 1));
        wake(&mut fleet, 3);
        fleet.run_for(seconds(6000));
        assert_eq!(members(&fleet, 1), [(4, false, "absent_kept")], "{kind:?}: {:?}", windows(&fleet, 1));
        let version = fleet.committed(1);
        assert!(
            matches!(version[..], [(0, _, Outcome::Absent)]),
            "{kind:?}: {version:?} {:?} {:?}",
            windows(&fleet, 1),
            members(&fleet, 1)
        );
        assert!((2..=3).all(|node| fleet.committed(node) == version), "{kind:?}");
        // It ends: no generation after it, and nobody is asked anything.
        assert_eq!((refusals(&fleet, 1, "plan_no_quorum"), unopened(&fleet, "changes")), (0, 1), "{kind:?}");
        let before = windows(&fleet, 1).len();
        fleet.run_for(seconds(20_000));
        assert_eq!((windows(&fleet, 1).len(), fleet.committed(1)), (before, version), "{kind:?}");
        // The next horizon begins with whoever is there.
        fleet.enter_horizon(1, &[1, 2, 3]);
        fleet.run_for(seconds(20_000));
        assert!(matches!(fleet.committed(2).last(), Some((1, _, Outcome::Converged))), "{kind:?}");
    }
}

#[test]
fn members_that_come_and_go_do_not_empty_a_sum_that_cannot_begin_again() {
    for (kind, outcome) in
        [(Kind::AsynchronousExchange, Outcome::Converged), (Kind::Exchange, Outcome::Absent)]
    {
        let mut fleet = Fleet::with(Setup { masks: Some(2), quorum: 2, ..setup(kind) });
        fleet.start();
        fleet.run_for(seconds(40));
        // Two leave, and come back: the sum begins anew, with half of a block and then with all of it.
        for node in [3, 4] {
            fleet.input(node, Input::LeavePlan);
        }
        fleet.run_for(seconds(20));
        for node in [3, 4] {
            fleet.input(node, Input::JoinPlan);
        }
        fleet.run_for(seconds(30));
        let told = members(&fleet, 1);
        assert!(
            told.contains(&(4, false, "left")) && told.contains(&(4, true, "joined")),
            "{kind:?} {told:?}"
        );
        assert!(fleet.committed(1).is_empty(), "{kind:?}");
        // Two others leave. Members would not open what is left: the sum that works is kept.
        for node in [2, 3] {
            fleet.input(node, Input::LeavePlan);
        }
        fleet.run_for(seconds(20_000));
        let told = members(&fleet, 1);
        let kept = told[told.len() - 2..].iter().all(|(_, present, why)| !present && *why == "left_kept");
        // With a method of rounds all were summed together, and the two may not be left out of further questions one by one: it ends with what was
        // agreed last. Without, it may be that the two make the other one's blocks.
        let rounds = kind == Kind::Exchange;
        assert_eq!(
            (kept, unopened(&fleet, "changes")),
            (rounds, usize::from(rounds)),
            "{told:?} {:?} {:?}",
            windows(&fleet, 1),
            fleet.committed(1)
        );
        let version = fleet.committed(1);
        assert!(matches!(version[..], [(0, _, found)] if found == outcome), "{kind:?} {version:?}");
        assert_eq!(refusals(&fleet, 1, "plan_no_quorum"), 0, "{kind:?}");
    }
}

#[test]
fn masks_of_other_terms_are_dropped_at_a_restart_and_the_node_comes_back() {
    let mut fleet = Fleet::with(Setup { masks: Some(2), ..setup(Kind::Exchange) });
    fleet.start();
    fleet.run_for(seconds(60));
    // The mission changes its terms: this node comes back under other ones, with a seat and with a part.
    fleet.setup.masks = Some(1);
    fleet.restart(3);
    fleet.run_for(seconds(600));
    assert!(refusals(&fleet, 3, "plan_masks_dropped") > 0);
    // Bytes that are none still keep it from coming back as if nothing had been.
    let masks = fleet.hosts[&2].kept.keys().find(|key| key.get(1) == Some(&0x80)).cloned().expect("kept");
    let host = fleet.hosts.get_mut(&2).expect("a host");
    let record = host.kept.get_mut(&masks).expect("kept");
    record.truncate(record.len() - 1);
    assert_eq!(fleet.restored(2).err(), Some(InputError::Kept { kind: masks[0] }));
}

#[test]
fn a_node_without_a_part_in_a_horizon_comes_back_and_takes_its_masks_up_with_the_next_part() {
    let mut fleet = Fleet::with(Setup { masks: Some(2), ..setup(Kind::Exchange) });
    fleet.start();
    fleet.run_for(seconds(20_000));
    assert_eq!(fleet.committed(4).len(), 1);
    // In the next horizon node 3, which has a seat, has no problem: it restarts with its masks' record and no asset.
    fleet.setup.members = vec![1, 2, 4];
    fleet.enter_horizon(1, &[1, 2, 4]);
    fleet.restart(3);
    fleet.run_for(seconds(20_000));
    assert!(
        matches!(fleet.committed(2).last(), Some((1, _, Outcome::Converged))),
        "{:?}",
        fleet.committed(2)
    );
    // Then it has one again, in the same epoch.
    fleet.setup.members = (1..=NODES).collect();
    fleet.enter_horizon(2, &[1, 2, 3, 4]);
    fleet.input(3, Input::JoinPlan);
    fleet.run_for(seconds(20_000));
    // Alone it joins at the next one.
    fleet.enter_horizon(3, &[1, 2, 3, 4]);
    fleet.run_for(seconds(20_000));
    let refused =
        ["not_enrolled", "replayed", "plan_masks_dropped"].map(|reason| refusals(&fleet, 3, reason));
    assert_eq!(refused, [0; 3]);
    assert!(
        fleet.hosts[&3].reports.iter().any(|report| matches!(report, Report::PlanLocal { horizon: 3, .. }))
    );
    assert!(
        matches!(fleet.committed(3).last(), Some((3, _, Outcome::Converged))),
        "{:?}",
        fleet.committed(3)
    );
}
