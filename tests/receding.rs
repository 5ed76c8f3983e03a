//! A plan that goes on: horizons that follow one another, participants that join, leave and fall silent, and versions that are told.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn fly(scenario: &str, place: &Path, threads: u32) -> (Value, PathBuf) {
    let folder = place.join(threads.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(scenario))
        .args(["--json", "--threads", &threads.to_string(), "--out"])
        .arg(&folder)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (serde_json::from_slice(&output.stdout).expect("JSON"), folder)
}

/// The rows of a table, by column.
fn table(folder: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder.join(name)).expect("a table");
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("a heading").split(',').collect();
    lines
        .map(|line| {
            columns.iter().zip(line.split(',')).map(|(c, v)| ((*c).to_owned(), v.to_owned())).collect()
        })
        .collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {:?}", row[column]))
}

#[test]
fn a_receding_horizon_follows_its_optimum_while_participants_come_and_go() {
    let place = tempfile::tempdir().expect("a folder");
    let (one, folder) = fly("tests/data/receding.ron", place.path(), 1);
    let (two, _) = fly("tests/data/receding.ron", place.path(), 2);
    assert_eq!(one["fingerprint"], two["fingerprint"], "threads do not matter");
    // All of this under masks, as is the default: each horizon begins its sum anew, in the same epoch while answers are as long.
    assert!(one["metrics"]["privacy.windows_opened"]["value"].as_f64() > Some(4.0), "{:#}", one["metrics"]);

    let horizons = table(&folder, "horizons.csv");
    assert_eq!(horizons.len(), 4);
    // The newcomer comes after the first plan is committed, the doomed is gone in the third, and after that the guest leaves.
    let members: Vec<f64> = horizons.iter().map(|row| number(row, "members")).collect();
    assert_eq!(members, [6.0, 7.0, 6.0, 5.0]);
    for row in &horizons {
        assert!(number(row, "gap") < 1e-6, "{row:?}");
        assert_eq!(number(row, "versions"), 1.0, "{row:?}");
    }

    // Everybody who takes part holds the version of its horizon.
    let mut holders: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for row in table(&folder, "versions.csv") {
        assert_eq!(row["outcome"], "converged");
        holders.entry(number(&row, "horizon") as u64).or_default().insert(row["asset"].clone());
    }
    let counts: Vec<usize> = holders.values().map(BTreeSet::len).collect();
    assert_eq!(counts, [6, 7, 6, 5]);
    assert!(
        holders[&1].contains("newcomer") && !holders[&3].contains("guest") && !holders[&2].contains("doomed")
    );

    // What was done and what the last horizon plans keep the budgets of the whole span.
    let mut values: BTreeMap<(String, u64), f64> = BTreeMap::new();
    for row in table(&folder, "plans.csv").iter().filter(|row| row["quantity"] == "power") {
        values.insert((row["asset"].clone(), number(row, "slot") as u64), number(row, "value"));
    }
    let of = |asset: &str| -> Vec<f64> {
        values.iter().filter(|((name, _), _)| name == asset).map(|(_, value)| *value).collect()
    };
    let sum = |asset: &str| of(asset).iter().sum::<f64>();
    assert_eq!(of("reactor").len(), 20);
    assert!(sum("reactor") < 110.0 + 1e-4, "{}", sum("reactor"));
    assert!(sum("habitat") < -85.0 + 1e-4, "{}", sum("habitat"));
    let mut level = 8.0;
    for given in of("battery") {
        level -= given;
        assert!((2.0 - 1e-4..16.0 + 1e-4).contains(&level), "{level}");
    }
    let steps = of("reactor");
    assert!(steps.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 3.0 + 1e-4));
}

#[test]
fn a_plan_whose_coordinator_is_down_when_it_begins_has_an_elected_one_and_one_version() {
    let place = tempfile::tempdir().expect("a folder");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/receding.ron");
    let text = fs::read_to_string(path).expect("readable");
    // Down from the beginning; back in the second horizon, when another has long been elected. All of it under masks.
    let (from, to) =
        ("faults: [", "faults: [AssetDown(asset: \"habitat\", start: \"0 s\", end: \"2 h 20 min\"), ");
    assert!(text.contains(from));
    let path = place.path().join("headless.ron");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
    let (_, folder) = fly(path.to_str().expect("text"), place.path(), 1);
    let versions = table(&folder, "versions.csv");
    let terms: BTreeSet<u64> = versions.iter().map(|row| number(row, "term") as u64).collect();
    assert!(!terms.contains(&0) && !versions.is_empty(), "{terms:?}");
    let mut known: BTreeMap<(u64, u64, u64), BTreeSet<String>> = BTreeMap::new();
    let mut holders: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for row in &versions {
        let of = |column: &str| number(row, column) as u64;
        let name = (of("horizon"), of("term"), of("round"));
        known.entry(name).or_default().insert(row["version"].clone());
        holders.entry(name.0).or_default().insert(row["asset"].clone());
    }
    assert!(known.values().all(|digests| digests.len() == 1), "one version has one digest: {known:?}");
    assert!(holders.contains_key(&0), "the first horizon has a plan without its coordinator: {holders:?}");
    assert!(holders[&3].contains("habitat"), "which takes part when it is back: {holders:?}");
}

/// The downlink auction with something in it replaced: its metrics, who holds its version, and how much of a pass is taken, pass by pass.
fn auction(from: &str, to: &str) -> (Value, BTreeSet<String>, Vec<f64>) {
    let place = tempfile::tempdir().expect("a folder");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/downlink_auction.ron");
    let text = fs::read_to_string(path).expect("readable");
    assert_eq!(text.matches(from).count(), 1, "{from}");
    let path = place.path().join("auction.ron");
    fs::write(&path, text.replace(from, to)).expect("written");
    let (run, folder) = fly(path.to_str().expect("text"), place.path(), 1);
    let holders: BTreeSet<String> =
        table(&folder, "versions.csv").into_iter().map(|row| row["asset"].clone()).collect();
    let taken = table(&folder, "plans.csv").into_iter();
    let taken = taken.filter(|row| row["quantity"] != "data" && !row["slot"].is_empty());
    let passes = taken.filter(|row| holders.contains(&row["asset"])).map(|row| number(&row, "value"));
    let passes = passes.collect();
    (run["metrics"].clone(), holders, passes)
}

#[test]
fn the_downlink_auction_is_made_whole_by_its_nodes_as_the_central_rule_would() {
    // From sums alone, and where satellites bid and their bids are read.
    let masked = "privacy: Masked(committee: [\"@vaults\"], patience: \"10 min\")";
    for (to, opened) in [(masked, true), ("privacy: Off", false)] {
        let (metrics, holders, passes) = auction(masked, to);
        let metric = |name: &str| metrics[name]["value"].as_f64().unwrap_or(f64::NAN);
        assert!(metric("plan.optimality_gap") < 1e-5, "{to}: {}", metric("plan.optimality_gap"));
        let (own, central) = (metric("plan.integrality_gap"), metric("plan.integrality_gap_central"));
        assert!(own > 0.0 && own < 0.05 && own < central + 1e-5, "{to}: {own}, centrally {central}");
        assert_eq!(metric("plan.versions"), 1.0, "{to}");
        assert_eq!(metric("privacy.windows_opened") > 20.0, opened, "{to}");
        assert_eq!(holders.len(), 8, "{to}");
        assert!(passes.iter().all(|value| *value == 0.0 || *value == 1.0), "{to}");
        assert!(passes.iter().filter(|value| **value == 1.0).count() >= 20, "{to}");
    }
}

#[test]
fn under_masks_an_auction_goes_on_without_who_is_gone_or_late() {
    let planning = "    planning: (\n        coordinator";
    // With an imager, two more are left out, or sums with it and without would show what it wants. Who comes late is alone, and waits for another day.
    for (who, from, until, held) in [
        ("imager-5", "20 h", "96 h", 5),
        ("imager-5", "30 h", "96 h", 5),
        ("imager-5", "0 s", "13 h", 7),
        ("vault-2", "10 h", "30 h", 8),
    ] {
        let fault = format!("faults: [AssetDown(asset: \"{who}\", start: \"{from}\", end: \"{until}\")],");
        let (metrics, holders, passes) = auction(planning, &format!("    {fault}\n{planning}"));
        let what = format!("{who} from {from} to {until}");
        assert_eq!(holders.len(), held, "{what}: {holders:?}");
        assert!(passes.iter().all(|value| *value == 0.0 || *value == 1.0), "{what}");
        assert!(passes.iter().filter(|value| **value == 1.0).count() >= 3 * held, "{what}: {passes:?}");
        let metric = |name: &str| metrics[name]["value"].as_f64().unwrap_or(f64::NAN);
        assert!(metric("plan.optimality_gap") < 1e-5, "{what}: {}", metric("plan.optimality_gap"));
        let gap = metric("plan.integrality_gap");
        assert!(gap > 0.0 && gap < 0.06, "{what}: {gap}");
        assert_eq!(metric("plan.versions"), 1.0, "{what}");
    }
}

/// What `validate` says of the scenario with something in it replaced.
fn refused(from: &str, to: &str) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/receding.ron");
    let text = fs::read_to_string(path).expect("readable");
    assert!(text.contains(from), "{from}");
    let path = place.path().join("wrong.ron");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("validate")
        .arg(&path)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{to}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn numbers_beyond_the_fixed_point_are_told_before_a_run_by_their_field() {
    for (from, to, field) in [
        ("min: 0.0, max: 10.0, ramp", "min: 0.0, max: 3e5, ramp", "max"),
        ("curvature: 0.5, min: 0.0", "curvature: 1e-7, min: 0.0", "curvature"),
        ("preferred: -5.0, curvature: 1.0", "preferred: -2e5, curvature: 1.0", "curvature"),
    ] {
        let said = refused(from, to);
        assert!(said.contains("fixed point") && said.contains(field), "{to}: {said}");
    }
}

#[test]
fn a_horizon_is_a_whole_number_of_slots_and_begins_within_the_run() {
    for (from, to) in [
        ("every: \"2 h\"", "every: \"100 min\""),
        ("horizons: 4", "horizons: 6"),
        ("every: \"2 h\"", "every: \"5 h\""),
        ("leaves: \"4 h 30 min\"", "leaves: \"10 h\""),
    ] {
        let said = refused(from, to);
        assert!(!said.is_empty(), "{to}");
    }
}
