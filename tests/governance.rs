//! Whole runs: a vote while a link is broken for a day, and an orbiter whose silence is planned.

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

fn cosmosmesh(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cosmosmesh")).args(arguments).output().expect("the binary starts")
}

fn run(name: &str, folder: &Path) -> String {
    let scenario = format!("{}/scenarios/{name}.ron", env!("CARGO_MANIFEST_DIR"));
    let path = folder.join(name);
    let path = path.to_str().expect("UTF-8").to_owned();
    let output = cosmosmesh(&["run", &scenario, "--out", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

fn rows(path: &str, table: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(format!("{path}/{table}")).expect("a table");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn three_decide_while_the_fourth_is_cut_off_and_all_have_one_history() {
    let folder = TempDir::new().expect("a folder");
    let path = run("governed_camp", folder.path());
    let output = cosmosmesh(&["policy", "history", &path, "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let lines: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let first: Vec<&Value> =
        lines.iter().filter(|line| line["slot"] == 1 && line["step"] == "adopted").collect();
    assert!(first.iter().all(|line| line["by"] == "rover"), "the three's decision: {first:?}");
    let of =
        |asset: &str| first.iter().find(|line| line["asset"] == asset).map(|line| line["clock_s"].as_f64());
    let (rover, habitat) = (of("rover").flatten().expect("rover"), of("habitat").flatten().expect("habitat"));
    assert!((8.0 * 3600.0..12.0 * 3600.0).contains(&rover), "at once among the three: {rover}");
    assert!(habitat > 28.0 * 3600.0, "after the link is back: {habitat}");
    let second: Vec<&Value> = lines.iter().filter(|line| line["slot"] == 2).collect();
    let assets: Vec<&Value> = second.iter().map(|line| &line["asset"]).collect();
    for asset in ["habitat", "rover", "drill"] {
        assert!(assets.iter().any(|known| **known == *asset), "{asset} knows slot 2: {second:?}");
    }
    // What the drone signed after it was blocked came to nobody who knew.
    let late = rows(&path, "deliveries.csv").into_iter().filter(|row| {
        row[1] == "drone"
            && row[2] == "habitat"
            && row[3] == "telemetry"
            && row[0].parse::<f64>().expect("a time") > habitat + 3600.0
    });
    assert_eq!(late.count(), 0);
}

#[test]
fn a_version_of_a_contract_is_adopted_during_a_partition_and_one_that_breaks_it_is_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let path = run("voted_contract", folder.path());
    let output = cosmosmesh(&["policy", "history", &path, "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "one history: {text}");
    let lines: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let adopted: Vec<&Value> = lines.iter().filter(|line| line["step"] == "adopted").collect();
    assert_eq!(adopted.len(), 4, "one decision at four assets: {adopted:?}");
    assert!(adopted.iter().all(|line| line["by"] == "rover" && line["slot"] == 1), "{adopted:?}");
    let at = |asset: &str| {
        let line = adopted.iter().find(|line| line["asset"] == asset).expect("it knows");
        line["clock_s"].as_f64().expect("a time") / 3600.0
    };
    assert!((8.0..9.0).contains(&at("rover")) && (8.0..9.0).contains(&at("drone")), "during the partition");
    assert!(at("habitat") > 28.0, "after the link is back");
    let told = rows(&path, "decisions.csv").into_iter().filter(|row| row[3] == "adopted");
    assert!(told.clone().count() == 4 && told.into_iter().all(|row| row[5] == "schema"));
    let metrics: Value =
        serde_json::from_str(&fs::read_to_string(format!("{path}/metrics.json")).expect("metrics"))
            .expect("JSON");
    let refused = metrics["security.refused.contract_field_name"]["value"].as_f64();
    assert!(refused.is_some_and(|count| count >= 2.0), "when it came, and at its own door: {refused:?}");
    assert_eq!(metrics["governance.adopted"]["value"].as_f64(), Some(1.0));
}

#[test]
fn an_orbiter_behind_mars_is_silent_and_a_rover_that_fails_is_down_and_found_again() {
    let folder = TempDir::new().expect("a folder");
    let path = run("who_is_there", folder.path());
    let presence = rows(&path, "presence.csv");
    let of = |about: &str| -> Vec<(f64, String)> {
        let rows = presence.iter().filter(|row| row[1] == "rover-a" && row[2] == about);
        rows.map(|row| (row[0].parse().expect("a time"), row[3].clone())).collect()
    };
    let orbiter = of("orbiter");
    assert!(orbiter.iter().any(|(_, word)| word == "silent"), "{orbiter:?}");
    assert!(orbiter.iter().any(|(_, word)| word == "alive"), "{orbiter:?}");
    assert!(orbiter.iter().all(|(_, word)| word != "down"), "{orbiter:?}");
    let rover = of("rover-c");
    let down = rover.iter().find(|(_, word)| word == "down").expect("it failed");
    assert!((4.0 * 3600.0..5.0 * 3600.0).contains(&down.0), "{rover:?}");
    let last = rover.last().expect("a word");
    assert!(last.1 == "alive" && last.0 > 5.0 * 3600.0, "{rover:?}");
}
