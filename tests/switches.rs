//! Switches of a scenario that are seen in a run's results: the binary flies scenarios of tests/data/runs with one changed after the other.
//! The oracles (nothing delivered twice, conservation) hold in all.

use cosmosmesh::{engine::RandomStreams, runtime::Fleet, scenario::Scenario, units::AssetIndex};
use cosmosmesh_protocol::bundle::Policy;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

fn fly(changes: &[(&str, &str)]) -> Value {
    fly_scenario("switches.ron", changes)
}

/// A run of a scenario after `changes`, each of which is in its text once.
fn fly_scenario(name: &str, changes: &[(&str, &str)]) -> Value {
    let output = start(name, changes);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{changes:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn start(name: &str, changes: &[(&str, &str)]) -> Output {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    let mut text = fs::read_to_string(data.join(name)).expect("the scenario");
    for (written, instead) in changes {
        assert_eq!(text.matches(written).count(), 1, "{written}");
        text = text.replace(written, instead);
    }
    fs::write(place.path().join(name), text).expect("a scenario");
    for plan in ["switches.ionrc", "parts.cp"] {
        fs::copy(data.join(plan), place.path().join(plan)).expect("a plan");
    }
    Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(place.path().join(name))
        .args(["--json", "--threads", "1", "--out"])
        .arg(place.path().join("out"))
        .output()
        .expect("the binary starts")
}

fn metric(run: &Value, name: &str) -> f64 {
    run["metrics"][name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {}", run["metrics"]))
}

const BY_TABLE: (&str, &str) = ("routing: Sabr", "routing: Static");
const NO_TABLE: (&str, &str) = ("routes: [(to: [\"@all\"], via: \"relay\")],", "");
const LOSSY: (&str, &str) = ("frame_loss: 0.0", "frame_loss: 0.15");
const IN_CUSTODY: (&str, &str) = ("custody: false", "custody: true");
const NODES: &str = "kits: [(name: \"node\", radios: [(class: \"link\")])]";
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

#[test]
fn a_bundle_larger_than_every_contact_goes_in_fragments_or_not_at_all() {
    let parts = fly_scenario("parts.ron", &[]);
    let whole = fly_scenario("parts.ron", &[("min_fragment_bytes: 1000, ", "")]);
    assert_eq!([&parts, &whole].map(|run| metric(run, "delivery.delivered")), [1.0, 0.0]);
    assert_eq!(metric(&parts, "delivery.bytes"), 500_000.0);
    assert_eq!(metric(&whole, "link.frames_sent"), 0.0);
    // Three contacts of each hop: the last part comes by the third.
    let latency = metric(&parts, "delivery.latency_s.p50");
    assert!((2509.0..2610.0).contains(&latency), "{latency}");
}

#[test]
fn what_a_run_did_not_deliver_is_not_called_under_way() {
    let output = start("parts.ron", &[("min_fragment_bytes: 1000, ", "")]);
    assert_eq!(output.status.code(), Some(0));
    let folder = tempfile::tempdir().expect("a folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    let text = fs::read_to_string(data.join("parts.ron")).expect("the scenario");
    fs::write(folder.path().join("parts.ron"), text.replace("min_fragment_bytes: 1000, ", ""))
        .expect("a scenario");
    fs::copy(data.join("parts.cp"), folder.path().join("parts.cp")).expect("a plan");
    let shown = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(folder.path().join("parts.ron"))
        .args(["--threads", "1", "--out"])
        .arg(folder.path().join("out"))
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("dropped or expired") && !text.contains("on their way"), "{text}");
}

#[test]
fn status_reports_go_to_the_sender_of_what_asks_for_them() {
    const SENT: (&str, &str) = ("custody: (signal_delay: \"2 s\")", "status_reports: ()");
    let asked = ("content: Readings", "content: Readings, reports: [Delivery]");
    let (silent, told) = (fly(&[SENT]), fly(&[SENT, asked]));
    for run in [&silent, &told] {
        assert_eq!(metric(run, "delivery.ratio"), 1.0);
    }
    let more = metric(&told, "link.frames_sent") - metric(&silent, "link.frames_sent");
    let reports = metric(&told, "delivery.delivered");
    assert!((reports..1.1 * reports).contains(&more), "{more} frames more for {reports} reports");
    let refused = start("switches.ron", &[asked]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && errors.contains("status_reports"), "{errors}");
}

#[test]
fn bundles_of_assets_without_a_clock_tell_their_age_and_arrive() {
    let timed = fly(&[]);
    let aged = fly(&[(NODES, "kits: [(name: \"node\", radios: [(class: \"link\")], clock: None)]")]);
    // The relay and the receiver have clocks, which say nothing of a bundle without a creation time.
    let mixed = fly(&[("name: \"west\", kind: Habitat,", "name: \"west\", kind: Habitat, clock: None,")]);
    for run in [&timed, &aged, &mixed] {
        assert_eq!(metric(run, "delivery.ratio"), 1.0);
    }
    let bytes = |run| metric(run, "link.bytes_on_air");
    assert_ne!(bytes(&aged), bytes(&timed));
    assert_eq!(bytes(&aged), bytes(&mixed));
    let short = ("end: \"20 h\"", "end: \"20 h\", lifetime: \"50 s\"");
    let late =
        fly(&[short, ("name: \"west\", kind: Habitat,", "name: \"west\", kind: Habitat, clock: None,")]);
    assert_eq!(
        metric(&late, "delivery.delivered"),
        0.0,
        "a minute of light time is longer than their lifetime"
    );
}

#[test]
fn datagrams_go_by_the_names_of_the_dtn_scheme() {
    let west =
        ("name: \"west\", kind: Habitat,", "name: \"west\", kind: Habitat, dtn_name: \"valley-west\",");
    let east =
        ("name: \"east\", kind: Habitat,", "name: \"east\", kind: Habitat, dtn_name: \"valley-east\",");
    let (numbers, names) = (fly(&[]), fly(&[west, east]));
    assert_eq!(metric(&names, "delivery.ratio"), 1.0);
    assert!(metric(&names, "link.bytes_on_air") > metric(&numbers, "link.bytes_on_air"));
    let twice =
        ("name: \"east\", kind: Habitat,", "name: \"east\", kind: Habitat, dtn_name: \"valley-west\",");
    assert_eq!(start("switches.ron", &[west, twice]).status.code(), Some(2));
}

#[test]
fn an_asset_judges_bundles_by_its_own_policy_its_kits_or_the_protocols() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    fs::copy(data.join("parts.cp"), place.path().join("parts.cp")).expect("a plan");
    let policies = |changes: &[(&str, &str)]| {
        let mut text = fs::read_to_string(data.join("parts.ron")).expect("the scenario");
        for (written, instead) in changes {
            assert_eq!(text.matches(written).count(), 1, "{written}");
            text = text.replace(written, instead);
        }
        let path = place.path().join("policy.ron");
        fs::write(&path, text).expect("a scenario");
        let scenario = Arc::new(Scenario::load(&path).expect("a scenario that holds"));
        let fleet = Fleet::new(scenario, RandomStreams::new(1)).expect("a fleet");
        [0, 1, 2].map(|asset| fleet.bundles(AssetIndex(asset)).policy)
    };
    const RELAY: (&str, &str) = ("kind: Satellite,", "kind: Satellite, policy: Strict,");
    const KIT: (&str, &str) =
        (NODES, "kits: [(name: \"node\", radios: [(class: \"link\")], policy: Lenient)]");
    let (strict, lenient) = (Policy::Strict, Policy::Lenient);
    assert_eq!(policies(&[]), [strict; 3]);
    const IN_KIT: (&str, &str) = ("queue_frames: 0)]", "queue_frames: 0)], policy: Lenient");
    assert_eq!(policies(&[IN_KIT, RELAY]), [lenient, strict, lenient]);
    assert_eq!(
        policies(&[("service: Datagrams(),", "service: Datagrams(), policy: Lenient,")]),
        [lenient; 3]
    );
    // What lenient assets send each other is what strict ones do.
    let judged = [fly(&[]), fly(&[KIT])].map(|run| metric(&run, "delivery.bytes"));
    assert_eq!(judged[0], judged[1]);
}
