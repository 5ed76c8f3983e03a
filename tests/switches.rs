//! Switches of a scenario that are seen in a run's results: the binary flies scenarios of tests/data/runs with one changed after the other.
//! The oracles (nothing delivered twice, conservation) hold in all.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

fn fly(changes: &[(&str, &str)]) -> Value {
    fly_scenario("switches.ron", changes)
}

/// A run of a scenario after `changes`, each of which is in its text once.
fn fly_scenario(name: &str, changes: &[(&str, &str)]) -> Value {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    let mut text = fs::read_to_string(data.join(name)).expect("the scenario");
    for (written, instead) in changes {
        assert_eq!(text.matches(written).count(), 1, "{written}");
        text = text.replace(written, instead);
    }
    fs::write(place.path().join(name), text).expect("a scenario");
    fs::copy(data.join("switches.ionrc"), place.path().join("switches.ionrc")).expect("a plan");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(place.path().join(name))
        .args(["--json", "--threads", "1", "--out"])
        .arg(place.path().join("out"))
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{changes:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn metric(run: &Value, name: &str) -> f64 {
    run["metrics"][name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {}", run["metrics"]))
}

const BY_TABLE: (&str, &str) = ("routing: Sabr", "routing: Static");
const NO_TABLE: (&str, &str) = ("routes: [(to: [\"@all\"], via: \"relay\")],", "");
const LOSSY: (&str, &str) = ("frame_loss: 0.0", "frame_loss: 0.15");
const IN_CUSTODY: (&str, &str) = ("custody: false", "custody: true");
const COMPRESSED: (&str, &str) = ("routing: Sabr", "routing: Sabr, compression: ()");

#[test]
fn a_table_sends_bundles_where_the_contact_plan_would_not() {
    let (planned, table, empty) = (fly(&[]), fly(&[BY_TABLE]), fly(&[BY_TABLE, NO_TABLE]));
    for run in [&planned, &table, &empty] {
        assert_eq!(metric(run, "delivery.ratio"), 1.0);
    }
    let frames = |run| metric(run, "link.frames_sent");
    let soonest = |run| metric(run, "delivery.latency_s.p50");
    // The plan's way is the direct one, a minute long; the table's takes every frame twice, over 80 s.
    assert_eq!(frames(&table), 2.0 * frames(&planned));
    assert!((60.0..80.0).contains(&soonest(&planned)), "{}", soonest(&planned));
    assert!(soonest(&table) > 80.0, "{}", soonest(&table));
    assert_eq!(frames(&empty), frames(&planned), "without a line, directly");
}

#[test]
fn custody_brings_plain_bundles_over_links_that_lose_every_seventh_frame() {
    let plain = fly(&[LOSSY]);
    let entrusted = fly(&[LOSSY, IN_CUSTODY]);
    let ratio = |run| metric(run, "delivery.ratio");
    // A bundle is one to seven frames, and nothing repeats them.
    assert!(ratio(&plain) < 0.7, "{}", ratio(&plain));
    assert_eq!(ratio(&entrusted), 1.0);
    assert_eq!(metric(&entrusted, "delivery.duplicates_delivered"), 0.0);
    assert!(metric(&entrusted, "link.frames_sent") > 1.5 * metric(&plain, "link.frames_sent"));
}

#[test]
fn compression_spares_the_air_and_delivers_the_same() {
    let (plain, compressed) = (fly(&[]), fly(&[COMPRESSED]));
    let noise = fly(&[COMPRESSED, ("content: Readings", "content: Random")]);
    let [bytes, on_air] = ["delivery.bytes", "link.bytes_on_air"]
        .map(|name| [&plain, &compressed].map(|run| metric(run, name)));
    assert_eq!(bytes[0], bytes[1]);
    assert!(on_air[1] < 0.5 * on_air[0], "{} of {}", on_air[1], on_air[0]);
    assert!(metric(&noise, "link.bytes_on_air") > metric(&noise, "delivery.bytes"), "nothing to gain");
}

#[test]
fn a_flood_on_the_channel_takes_one_transmission_of_each_node_and_few_nodes() {
    let channel = fly_scenario("mesh.ron", &[]);
    let links = fly_scenario("mesh.ron", &[("medium: Channel", "medium: Links")]);
    let per_message = |run: &Value| metric(run, "link.frames_sent") / metric(run, "delivery.submitted");
    // The source and one relay at least; each of eight nodes at most; far fewer when those who hear another keep quiet.
    assert!((2.0..5.0).contains(&per_message(&channel)), "{}", per_message(&channel));
    // A copy for each of six relays, before any of those sends it on.
    assert!(
        per_message(&links) > 6.0 && per_message(&links) > 2.0 * per_message(&channel),
        "{}",
        per_message(&links)
    );
    assert!(metric(&channel, "delivery.ratio") > 0.9, "{}", metric(&channel, "delivery.ratio"));
    assert_eq!(metric(&channel, "delivery.duplicates_delivered"), 0.0);
}
