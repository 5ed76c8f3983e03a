//! What keeps a daemon from starting, beside stores that are gone.

use super::place::{Place, QUICK, free, pair, send, wait_until};
use cosmosmesh_node::{Client, Config, Daemon, DiskError, StartError};
use std::fs;

fn refusal(config: Config) -> StartError {
    Daemon::start(config).map(drop).expect_err("it does not start")
}

#[test]
fn a_copy_of_the_store_from_the_same_run_that_is_put_back_is_not_used() {
    let place = Place::new();
    let (one, other) = pair(&place);
    drop(other);
    let (path, sender) = (one.config().store_file(), Client::of(one));
    send(&sender, 2, "before the copy");
    let copy = place.path().join("copy");
    fs::copy(&path, &copy).expect("copied while it is used");
    send(&sender, 2, "after the copy");
    drop(sender);
    let config = || place.config(1, &format!("peers: [{}], {QUICK}", place.peer(2, "Inbound")));
    let whole = fs::read(&path).expect("a store");
    fs::copy(&copy, &path).expect("put back");
    let error = refusal(config());
    assert!(matches!(&error, StartError::CorruptStore { source: DiskError::Older, .. }), "{error}");
    fs::write(&path, whole).expect("the newest");
    drop(Daemon::start(config()).unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn a_token_that_cannot_be_written_is_named_before_anything_else_is_begun() {
    let place = Place::new();
    place.did(1);
    let token = place.state(1).join("token");
    fs::create_dir_all(token.join("in the way")).expect("a folder");
    let error = refusal(place.config(1, &format!("control: \"{}\", {QUICK}", free())));
    assert!(matches!(&error, StartError::Key(_)), "{error}");
    assert!(error.to_string().contains("token"), "{error}");
}

#[test]
fn a_plan_that_nothing_keeps_is_told_to_who_takes_part() {
    let place = Place::new();
    let plan = "coordinators: [1], participants: [1, 2], slots: 3, commodities: [(name: \"power\")], answers: InTheClear,
        terms: [(commodity: \"power\", preferred: [1, 1, 1], curvature: 1, min: [0, 0, 0], max: [0, 9, 9], total_min: 9, ramp: 1)]";
    let peers = place.peer(2, "Inbound");
    let error = refusal(place.config(1, &format!("plan: ({plan}), peers: [{peers}], {QUICK}")));
    assert!(matches!(&error, StartError::Plan { .. }), "{error}");
}

#[test]
fn a_node_starts_without_the_plan_that_its_store_holds_and_has_it_again_when_it_is_configured_again() {
    let place = Place::new();
    let plan = "plan: (coordinators: [1], participants: [1, 2], slots: 1, commodities: [(name: \"power\")], answers: InTheClear,
        terms: [(commodity: \"power\", preferred: [1], curvature: 1, min: [0], max: [3])]),";
    let start = |plan: &str| {
        let peers = place.peer(2, "Inbound");
        Client::of(place.daemon(1, &format!("{plan} peers: [{peers}], {QUICK}")))
    };
    let view = |client: &Client| client.plan().expect("an answer");
    let with = start(plan);
    wait_until("it has begun", || view(&with).is_some_and(|plan| plan.round > 0));
    let round = view(&with).expect("a plan").round;
    send(&with, 2, "beside the plan");
    drop(with);
    let without = start("");
    assert_eq!(view(&without), None);
    send(&without, 2, "without a plan");
    drop(without);
    let again = start(plan);
    assert!(view(&again).is_some_and(|plan| plan.round >= round), "it goes on where it was");
    assert!(again.health().expect("health").ready);
}
