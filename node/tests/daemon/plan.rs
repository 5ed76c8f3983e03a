//! Daemons that plan together: over sockets, with a coordinator that is shut down, and seen by `ctl`.

use super::place::{Place, QUICK, free, program, wait_until};
use cosmosmesh_node::{Client, Daemon, PlanView};
use std::{net::SocketAddr, sync::Arc};

/// Three daemons, each connected to the others, that share power in two slots. Node 1 gives; the others take.
struct Mesh {
    place: Place,
    addresses: [SocketAddr; 3],
    control: SocketAddr,
}

impl Mesh {
    fn new() -> Self {
        Self { place: Place::new(), addresses: [free(), free(), free()], control: free() }
    }

    fn text(&self, node: u64) -> String {
        let own = self.addresses[node as usize - 1];
        // Who has the greater number connects.
        let peers = (1..=3).filter(|peer| *peer != node).map(|peer| {
            let via = match peer < node {
                true => format!("Tcpcl(\"{}\")", self.addresses[peer as usize - 1]),
                false => "Inbound".to_owned(),
            };
            self.place.peer(peer, &via)
        });
        let peers: String = peers.collect();
        let term = match node {
            1 => "preferred: [6, 2], curvature: 1, min: [0, 0], max: [10, 10]",
            2 => "preferred: [-5, -1], curvature: 0.5, min: [-8, -8], max: [0, 0]",
            _ => "preferred: [-2, -4], curvature: 2, min: [-8, -8], max: [0, 0], total_max: -3",
        };
        let control = if node == 3 { format!("control: \"{}\",", self.control) } else { String::new() };
        format!(
            "{control} listen: (tcpcl: \"{own}\"), peers: [{peers}], {QUICK}, plan: (
                coordinators: [1, 2], participants: [1, 2, 3], slots: 2, commodities: [(name: \"power\")],
                constraints: [(name: \"reactor\", commodity: \"power\", kind: Budget, members: [1], max: 7)],
                terms: [(commodity: \"power\", {term})], answers: InTheClear, round_s: 1, succession_s: 2, absence_s: 40)"
        )
    }

    fn start(&self, node: u64) -> Arc<Daemon> {
        self.place.daemon(node, &self.text(node))
    }
}

fn plan(daemon: &Arc<Daemon>) -> Option<PlanView> {
    Client::of(daemon.clone()).plan().expect("an answer")
}

fn committed(daemon: &Arc<Daemon>) -> bool {
    plan(daemon).is_some_and(|plan| plan.version.is_some())
}

/// What everyone plans balances, keeps the budget, and is known by one digest.
fn assert_agreed(daemons: &[&Arc<Daemon>]) {
    let plans: Vec<PlanView> = daemons.iter().map(|daemon| plan(daemon).expect("a plan")).collect();
    for slot in 0..2 {
        let sum: f64 = plans.iter().map(|plan| plan.values[0].slots[slot]).sum();
        assert!(sum.abs() < 1e-4, "slot {slot}: {sum}");
    }
    let given: f64 = plans[0].values[0].slots.iter().sum();
    assert!((given - 7.0).abs() < 1e-4, "the budget binds: {given}");
    for plan in &plans {
        assert_eq!(plan.version, plans[0].version);
        assert_eq!(plan.committed.as_deref(), Some("converged"));
        let names: Vec<&str> = plan.prices.iter().map(|price| price.name.as_str()).collect();
        assert_eq!(names, ["power[0]", "power[1]", "reactor"]);
        assert!(plan.prices[2].price > 0.1, "what is scarce has a price: {:?}", plan.prices);
    }
}

#[test]
fn daemons_agree_on_a_plan_and_ctl_shows_it() {
    let mesh = Mesh::new();
    let daemons = [mesh.start(1), mesh.start(2), mesh.start(3)];
    wait_until("everyone holds a version", || daemons.iter().all(committed));
    assert_agreed(&daemons.iter().collect::<Vec<_>>());
    let first = plan(&daemons[0]).expect("a plan");
    assert_eq!((first.coordinator, first.solver.as_deref()), (1, Some("quasi_newton")));
    assert!(first.primal.is_some_and(|primal| primal <= 1.0), "{first:?}");
    let mut ctl = program();
    ctl.args(["ctl", "--control", &mesh.control.to_string(), "--token"])
        .arg(mesh.place.state(3).join("token"));
    let output = ctl.arg("plan").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let digest = &first.version.expect("committed").digest[..16];
    for part in
        ["node 1 coordinates in term 0", "committed: converged", digest, "price reactor", "own power:"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_coordinator_that_is_not_there_is_replaced_by_a_vote_and_follows_when_it_comes() {
    let mesh = Mesh::new();
    // Two of three are a majority; without the first one there is nothing to share, so it is waited for.
    let others = [mesh.start(2), mesh.start(3)];
    wait_until("the second one is elected", || {
        others.iter().all(|daemon| plan(daemon).is_some_and(|plan| (plan.coordinator, plan.term) == (2, 1)))
    });
    let first = mesh.start(1);
    wait_until("everyone holds a version", || committed(&first) && others.iter().all(committed));
    assert_agreed(&[&first, &others[0], &others[1]]);
    assert_eq!(plan(&first).map(|plan| plan.coordinator), Some(2));
    // What was agreed on is there after a restart.
    drop(first);
    let again = mesh.start(1);
    wait_until("it knows its plan", || plan(&again).is_some_and(|plan| plan.committed.is_some()));
    let given: f64 = plan(&again).expect("a plan").values[0].slots.iter().sum();
    assert!((given - 7.0).abs() < 1e-4, "{given}");
}
