//! Daemons that plan together: over sockets, with a coordinator that is shut down, and seen by `ctl`.

use super::place::{Place, QUICK, free, program, wait_until};
use cosmosmesh_node::{Client, ClientError, Daemon, PlanView, Start, StartError};
use std::{fs, net::SocketAddr, sync::Arc};

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
        self.text_with(node, "InTheClear")
    }

    fn text_with(&self, node: u64, answers: &str) -> String {
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
                terms: [(commodity: \"power\", {term})], answers: {answers}, round_s: 1, succession_s: 2, absence_s: 40)"
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

#[test]
fn a_later_horizon_is_checked_by_who_asks_for_it_and_not_by_the_engine() {
    let mesh = Mesh::new();
    let daemon = mesh.start(1);
    let client = Client::of(daemon.clone());
    daemon.stop();
    assert!(daemon.wait());
    // There is no engine any more; what can be told without it is.
    let refused = client.next_horizon("(horizon: 1, shift: 9)").expect_err("more than there are");
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.reason == "horizon"), "{refused}");
}

/// The masks of everybody's answers.
const MASKED: &str = "Masked(keys: \"mask-keys\", committee: [1, 2, 3], most: 50)";

/// Makes the file of everybody's keys.
fn publish(mesh: &Mesh) -> String {
    let line = |node: u64| {
        // Whatever the plan is: it is not looked at.
        let config = mesh.place.file(node, &mesh.text_with(node, MASKED));
        let mut program = program();
        let output = program.args(["node", "--mask-keys", "8", "--config"]).arg(&config).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let lines: String = (1..=3).map(line).collect();
    fs::write(mesh.place.path().join("mask-keys"), &lines).expect("a file");
    lines
}

#[test]
fn under_noise_everybody_answers_until_its_budget_is_spent_and_tells_what_that_gave_away() {
    let mesh = Mesh::new();
    publish(&mesh);
    let noise = "noise: (clip: 10, epsilon: 1e6, answers: 30)";
    let answers = format!("{}, {noise}), solver: Exchange", MASKED.trim_end_matches(')'));
    let start = |node: u64| {
        let started = Daemon::start(mesh.place.config(node, &mesh.text_with(node, &answers)));
        Arc::new(started.unwrap_or_else(|error| panic!("{error}")))
    };
    let daemons = [1, 2, 3].map(start);
    let spent = |daemon: &Arc<Daemon>| plan(daemon).and_then(|plan| plan.spent);
    wait_until("everybody's budget is spent", || {
        daemons.iter().all(|daemon| spent(daemon).is_some_and(|spent| spent.exhausted))
    });
    for daemon in &daemons {
        let spent = spent(daemon).expect("it has answered");
        assert_eq!((spent.answers, spent.delta), (30, 1e-6));
        assert!(spent.epsilon > 0.95e6 && spent.epsilon <= 1e6, "{spent:?}");
    }
    wait_until("everyone holds a version", || daemons.iter().all(committed));
    let plans: Vec<PlanView> = daemons.iter().map(|daemon| plan(daemon).expect("a plan")).collect();
    assert!(plans.iter().all(|plan| plan.version == plans[0].version));
    assert_ne!(plans[0].committed.as_deref(), Some("converged"), "noise hides how near it is");
    assert!(plans[0].to_string().contains("given away by 30 answers: epsilon"), "{}", plans[0]);
    // As good as the noise lets it be: of nothing planned, slot 0 would be short by some units.
    for slot in 0..2 {
        let sum: f64 = plans.iter().map(|plan| plan.values[0].slots[slot]).sum();
        assert!(sum.abs() < 2.0 && sum.abs() > 1e-9, "slot {slot}: {sum}");
    }
    drop(daemons);
    let again = start(1);
    wait_until("it knows its plan", || plan(&again).is_some_and(|plan| plan.committed.is_some()));
    assert!(spent(&again).is_none_or(|spent| spent.answers == 30), "a restart gives nothing back");
}

#[test]
fn with_a_store_that_is_lost_or_set_aside_goes_the_seed_of_masks_so_that_none_is_used_twice() {
    let mesh = Mesh::new();
    publish(&mesh);
    let start = |set_aside_store| {
        let start = Start { set_aside_store, ..Start::default() };
        Daemon::start_with(mesh.place.config(1, &mesh.text_with(1, MASKED)), start)
    };
    drop(start(false).unwrap_or_else(|error| panic!("{error}")));
    let (seed, store) = (mesh.place.state(1).join("mask-seed"), mesh.place.state(1).join("store.redb"));
    for (number, damage) in [(1, None), (2, Some("this is no store"))] {
        let before = fs::read(&seed).expect("a seed");
        match damage {
            None => fs::remove_file(&store).expect("it was there"),
            Some(text) => fs::write(&store, text).expect("a file"),
        }
        let refused = |started: Result<Daemon, StartError>| started.map(drop).expect_err("it does not start");
        let error = refused(start(false));
        assert!(matches!(error, StartError::CorruptStore { .. }), "{error}");
        assert_eq!(fs::read(&seed).expect("a seed"), before, "nothing was asked for");
        let error = refused(start(true)).to_string();
        assert!(error.contains("other keys of this node"), "{error}");
        let aside = seed.with_extension(format!("redb.corrupt-{number}"));
        assert_eq!(fs::read(aside).expect("set aside"), before);
        assert_ne!(fs::read(&seed).expect("another one"), before);
        // With its new keys published, the node takes part again.
        publish(&mesh);
        drop(start(false).unwrap_or_else(|error| panic!("{error}")));
    }
}

#[test]
fn under_masks_daemons_agree_on_the_same_plan_with_the_keys_that_each_has_published() {
    let mesh = Mesh::new();
    let file = mesh.place.path().join("mask-keys");
    let lines = publish(&mesh);
    let start = |node: u64| Daemon::start(mesh.place.config(node, &mesh.text_with(node, MASKED)));
    let problem = |text: &str| {
        fs::write(&file, text).expect("a file");
        start(1).map(drop).expect_err("it does not start").to_string()
    };
    // Who has a node's keys in other words than its own gets nowhere.
    let [first, second] = [lines.find("mask-keys 1").unwrap(), lines.find("mask-keys 2").unwrap()];
    assert!(problem(&lines[first..second]).contains("no keys of node 2"));
    assert!(problem(&lines.replacen("mask-keys 2", "mask-keys 3", 1)).contains(":2: node 3 has not signed"));
    assert!(problem(&lines.replacen(" 8 ", " 7 ", 1)).contains(":1: not a line"));
    let twice = problem(&format!("{lines}{}", &lines[first..second]));
    assert!(twice.contains(":4: node 1 has a line already"), "{twice}");
    let stranger = problem(&lines.replacen("mask-keys 2", "mask-keys 77", 1));
    assert!(stranger.contains(":2: nobody here knows the key of node 77"), "{stranger}");
    fs::write(&file, &lines).expect("a file");
    let daemons = [1, 2, 3].map(|node| Arc::new(start(node).unwrap_or_else(|error| panic!("{error}"))));
    wait_until("everyone holds a version", || daemons.iter().all(committed));
    assert_agreed(&daemons.iter().collect::<Vec<_>>());
    roll(&daemons);
    drop(daemons);
    // A seed that was lost is another one: what was published is not its own.
    fs::remove_file(mesh.place.state(2).join("mask-seed")).expect("it was there");
    let other = start(2).map(drop).expect_err("other keys").to_string();
    assert!(other.contains("other keys of this node"), "{other}");
}

/// Begins the next horizon at everyone, the coordinator last, and waits until everyone holds a version of it.
fn roll(daemons: &[Arc<Daemon>; 3]) {
    let term = |node: usize| match node {
        1 => "preferred: [3, 6], curvature: 1, min: [0, 0], max: [10, 10]",
        2 => "preferred: [-2, -5], curvature: 0.5, min: [-8, -8], max: [0, 0]",
        _ => "preferred: [-4, -2], curvature: 2, min: [-8, -8], max: [0, 0]",
    };
    let text =
        |node: usize| format!("(horizon: 1, shift: 1, terms: [(commodity: \"power\", {})])", term(node));
    let client = |daemon: &Arc<Daemon>| Client::of(daemon.clone());
    let refused = client(&daemons[0]).next_horizon("(horizon: 0)").expect_err("it is planned already");
    assert!(refused.to_string().contains("0 is planned already"), "{refused}");
    // The coordinator last.
    for node in [2, 3, 1] {
        assert_eq!(client(&daemons[node - 1]).next_horizon(&text(node)).expect("it begins"), 1);
    }
    let in_first = |daemon: &Arc<Daemon>| {
        plan(daemon).and_then(|plan| plan.version).is_some_and(|version| version.horizon == 1)
    };
    wait_until("everyone holds a version of the next horizon", || daemons.iter().all(in_first));
    assert_agreed(&daemons.iter().collect::<Vec<_>>());
}

#[test]
fn a_later_horizon_is_planned_from_the_prices_of_the_one_before_and_is_there_after_a_restart() {
    let mesh = Mesh::new();
    let mut daemons = [1, 2, 3].map(|node| mesh.start(node));
    wait_until("everyone holds a version", || daemons.iter().all(committed));
    roll(&daemons);
    let before = plan(&daemons[2]).expect("a plan");
    assert_eq!(before.horizon, 1);
    // After a restart a member is in the horizon that it was told last.
    let other = daemons[0].clone();
    drop(std::mem::replace(&mut daemons[2], other));
    daemons[2] = mesh.start(3);
    wait_until("it knows its plan", || plan(&daemons[2]).is_some_and(|plan| plan.committed.is_some()));
    let after = plan(&daemons[2]).expect("a plan");
    assert_eq!((after.horizon, after.values), (1, before.values));
}

/// The names of what has a price at a daemon.
fn priced(daemon: &Arc<Daemon>) -> Vec<String> {
    plan(daemon).expect("a plan").prices.into_iter().map(|price| price.name).collect()
}

#[test]
fn what_a_later_horizon_leaves_out_is_as_in_the_one_before_also_after_a_restart() {
    let mesh = Mesh::new();
    let daemon = mesh.start(1);
    let term = "terms: [(commodity: \"power\", preferred: [3, 6], curvature: 1, min: [0, 0], max: [10, 10])]";
    let next = |daemon: &Arc<Daemon>, text: &str| Client::of(daemon.clone()).next_horizon(text);
    let feed =
        "constraints: [(name: \"feed\", commodity: \"power\", kind: Envelope, members: [1, 2], max: 3)]";
    assert_eq!(next(&daemon, &format!("(horizon: 1, {feed}, {term})")).expect("it begins"), 1);
    assert_eq!(next(&daemon, &format!("(horizon: 2, {term})")).expect("it begins"), 2);
    let there = ["power[0]", "power[1]", "feed[0]", "feed[1]"];
    wait_until("it is seen", || priced(&daemon) == there);
    drop(daemon);
    let again = mesh.start(1);
    assert_eq!(plan(&again).expect("a plan").horizon, 2);
    wait_until("it is seen", || !priced(&again).is_empty());
    assert_eq!(priced(&again), there);
}

#[test]
fn a_horizon_that_the_node_refuses_is_not_begun_at_the_next_start() {
    let mesh = Mesh::new();
    let kept = mesh.place.state(1).join("horizon.ron");
    let mut daemon = mesh.start(1);
    // Beyond what the node counts.
    let beyond = 1_u64 << 56;
    let term = "terms: [(commodity: \"power\", preferred: [3, 6], curvature: 1, min: [0, 0], max: [10, 10])]";
    for horizon in [0, 1] {
        if horizon > 0 {
            let text = format!("(horizon: {horizon}, {term})");
            assert_eq!(Client::of(daemon.clone()).next_horizon(&text).expect("it begins"), horizon);
        }
        let before = fs::read(&kept).ok();
        let refused = Client::of(daemon.clone()).next_horizon(&format!("(horizon: {beyond}, {term})"));
        refused.expect_err("the node does not count so far");
        assert_eq!(fs::read(&kept).ok(), before);
        drop(daemon);
        daemon = mesh.start(1);
        assert_eq!(plan(&daemon).map(|plan| plan.horizon), Some(horizon));
    }
}
