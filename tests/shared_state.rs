//! Shared state in whole runs, by the real binary: roles, data contracts, members that were away for long, and `cosmosmesh sync explain`.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

fn cosmosmesh(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cosmosmesh")).args(arguments).output().expect("the binary starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Flies a scenario of `tests/data/runs`, with one text in place of another; its folder and what it said.
fn fly(place: &TempDir, name: &str, change: (&str, &str)) -> (PathBuf, Value) {
    fly_until(place, name, change, "1000 d")
}

/// The same, to a moment before its end.
fn fly_until(place: &TempDir, name: &str, (from, to): (&str, &str), until: &str) -> (PathBuf, Value) {
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs").join(name).with_extension("ron");
    let scenario = fs::read_to_string(shipped).expect("a scenario");
    assert!(scenario.contains(from), "{name} holds {from}");
    let file = place.path().join(name).with_extension("ron");
    fs::write(&file, scenario.replace(from, to)).expect("written");
    let folder = place.path().join(format!("{name}-run"));
    let output = cosmosmesh(&[
        "run",
        text(&file),
        "--json",
        "--threads",
        "1",
        "--until",
        until,
        "--out",
        text(&folder),
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    (folder, serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn metric(run: &Value, name: &str) -> Option<f64> {
    run["metrics"][name]["value"].as_f64()
}

/// What `sync explain` says, and its exit code.
fn explain(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = cosmosmesh(&[&["sync", "explain", "--json", text(folder)], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().expect("an exit code"), json)
}

fn rows(folder: &Path, table: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join(table)).expect("a table");
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

#[test]
fn an_operators_write_stands_against_later_ones_of_contributors() {
    let place = TempDir::new().expect("a temporary folder");
    let (folder, run) = fly(&place, "apart", ("", ""));
    assert_eq!(metric(&run, "sync.replicas_diverged"), Some(0.0));
    let (code, said) = explain(&folder, &["goal"]);
    assert_eq!(
        (code, &said["agree"], &said["proven"]),
        (0, &Value::Bool(true), &Value::Bool(true)),
        "{said:#}"
    );
    let stands = said["replicas"][0]["stands"].as_str().expect("a write stands");
    assert!(stands.starts_with("base:"), "the ground station is the operator: {stands}");
    let writes = said["writes"].as_array().expect("writes");
    let winner = writes.iter().find(|write| write["write"] == stands).expect("it is told");
    assert_eq!(winner["role"], 2);
    let later: Vec<&Value> = writes
        .iter()
        .filter(|write| write["role"] == 1 && write["time_s"].as_f64() > winner["time_s"].as_f64())
        .collect();
    assert!(!later.is_empty(), "a contributor wrote later: {said:#}");
    let outranked = |write: &&&Value| write["at"][0][1]["in_what"] == "role";
    assert!(later.iter().any(|write| outranked(&write)), "{said:#}");
    assert!(
        rows(&folder, "writes.csv").iter().all(|row| row["asset"] != "watcher"),
        "an observer writes nothing"
    );

    // Without the role, the latest stands.
    let (folder, _) =
        fly(&place, "apart", ("kind: GroundStation,", "kind: GroundStation, role: Contributor,"));
    let (_, said) = explain(&folder, &["goal"]);
    let last = said["writes"].as_array().and_then(|writes| writes.last()).expect("a last write");
    assert_eq!(last["write"], said["replicas"][0]["stands"], "{said:#}");
}

#[test]
fn contracts_that_break_each_other_are_settled_alike_and_counted() {
    let place = TempDir::new().expect("a temporary folder");
    let (folder, run) = fly(&place, "apart", ("", ""));
    // Every member finds that one of the two does not count; records by it are refused wherever they come.
    assert_eq!(metric(&run, "security.refused.contract_field_name"), Some(4.0), "{:#}", run["metrics"]);
    assert!(metric(&run, "security.refused.record_refused_version") >= Some(1.0), "{:#}", run["metrics"]);
    let trades = rows(&folder, "writes.csv").iter().filter(|row| row["item"].starts_with("trade/")).count();
    assert!(trades > 5, "{trades}");
}

#[test]
fn records_of_every_built_in_contract_are_written_and_read_by_all() {
    let place = TempDir::new().expect("a temporary folder");
    let mix = "trade: 1.0, telemetry: 1.0, forecast: 1.0, command: 1.0, event: 1.0, plan: 1.0)";
    let (folder, run) = fly(&place, "apart", ("trade: 1.0)", mix));
    for contract in ["trade", "telemetry", "forecast", "command", "event", "plan"] {
        let of = format!("{contract}/");
        let written = rows(&folder, "writes.csv").iter().filter(|row| row["item"].starts_with(&of)).count();
        assert!(written > 0, "{contract}");
    }
    // Two versions of `trade` break each other; the others have one, and all that is written of them is a record.
    assert_eq!(metric(&run, "sync.replicas_diverged"), Some(0.0));
}

#[test]
fn who_was_away_for_longer_than_the_horizon_gets_everything_and_loses_nothing() {
    let place = TempDir::new().expect("a temporary folder");
    let (folder, run) = fly(&place, "away", ("", ""));
    assert_eq!(metric(&run, "sync.replicas_diverged"), Some(0.0));
    // The others dropped what it had not seen dropped, so that what it had did not fit to what came.
    let hours = |row: &BTreeMap<String, String>| row["time_s"].parse::<f64>().expect("a time") / 3600.0;
    let away = 26.0..60.0;
    let drops = rows(&folder, "drops.csv");
    assert!(drops.iter().any(|row| row["asset"] != "drone" && away.contains(&hours(row))), "{drops:?}");
    assert!(metric(&run, "security.refused.sync_does_not_fit") >= Some(1.0), "{:#}", run["metrics"]);
    // What it wrote while it was away has come to all of the others.
    let seen = |row: &&BTreeMap<String, String>| row["event"] == "visible" && row["actor"] == "drone";
    let late = rows(&folder, "sync.csv").iter().filter(seen).filter(|row| hours(row) > 60.0).count();
    assert!(late > 3 * 1_000, "{late}");
    // Whatever is read follows from the trail, at the one that was away as at the others.
    let items: Vec<String> =
        rows(&folder, "held.csv").into_iter().map(|row| row["item"].clone()).take(12).collect();
    assert!(items.len() == 12);
    for item in items {
        let (code, said) = explain(&folder, &[&item, "drone", "base"]);
        assert_eq!((code, &said["proven"]), (0, &Value::Bool(true)), "{said:#}");
    }
}

#[test]
fn before_they_meet_replicas_differ_and_the_explanation_says_what_lacks() {
    let place = TempDir::new().expect("a temporary folder");
    let (folder, _) = fly_until(&place, "apart", ("", ""), "61 min");
    let (code, said) = explain(&folder, &["goal", "rover", "drone"]);
    assert_eq!((code, &said["agree"]), (1, &Value::Bool(false)));
    let because = said["because"].as_str().expect("a text");
    assert!(because.contains("rover lacks drone:") && because.contains("drone lacks rover:"), "{because}");
    let words = cosmosmesh(&["sync", "explain", text(&folder), "goal", "rover", "drone"]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.starts_with("goal: 2 replicas differ: ") && words.contains("has not come"), "{words}");
}

#[test]
fn what_cannot_be_explained_is_told_with_what_can() {
    let place = TempDir::new().expect("a temporary folder");
    let (folder, _) = fly(&place, "apart", ("", ""));
    let refused = |arguments: &[&str]| {
        let output = cosmosmesh(&[&["sync", "explain"], arguments].concat());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&[text(&place.path().join("nowhere")), "goal"]);
    assert!(said.contains("run.json"), "{said}");
    let said = refused(&[text(&folder), "aim"]);
    assert!(said.contains("nobody wrote \"aim\"") && said.contains("goal"), "{said}");
    let said = refused(&[text(&folder), "goal", "rovers"]);
    assert!(said.contains("\"rovers\" holds no replica") && said.contains("watcher"), "{said}");
}

#[test]
fn the_trail_is_the_same_in_every_run() {
    let place = TempDir::new().expect("a temporary folder");
    let tables = ["writes.csv", "drops.csv", "held.csv", "sync.csv"];
    let read = |folder: &Path| tables.map(|table| fs::read(folder.join(table)).expect("a table"));
    let (folder, first) = fly(&place, "apart", ("", ""));
    let before = read(&folder);
    let (folder, again) = fly(&place, "apart", ("", ""));
    assert_eq!(before, read(&folder));
    assert_eq!(first["run"]["fingerprint"], again["run"]["fingerprint"]);
}
