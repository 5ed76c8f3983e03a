//! Adversaries in flight: every attack meets its answer, and honest messages arrive nearly as fast as without them.

use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Command};
use tempfile::TempDir;

/// By how much the latency of honest messages may grow, at the median, at 95 % and at 99 %, beside the same scenario without adversaries.
const LATENCY_FACTOR: f64 = 1.5;
/// The slowest honest message of all, in seconds: those that find out that a relay swallows are sent again, by another, after the least timeout of ten.
const SLOWEST_S: f64 = 25.0;

fn scenario() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/adversary.ron");
    fs::read_to_string(path).expect("readable")
}

/// The scenario with the same adversaries, who do nothing: they swallow for the last second of the run.
fn peaceful() -> String {
    let text = scenario();
    let begin = text.find("    adversaries: [").expect("adversaries");
    let idle = |asset: &str| {
        format!("(asset: \"{asset}\", attacks: [Swallow], interval: \"1 s\", start: \"3599 s\")")
    };
    format!("{}    adversaries: [{}, {}],\n)\n", &text[..begin], idle("eve"), idle("mallory"))
}

struct Flown {
    metrics: BTreeMap<String, f64>,
    folder: TempDir,
}

fn fly(text: &str, threads: &str) -> Flown {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("scenario.ron");
    fs::write(&path, text).expect("writable");
    let run = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(&path)
        .args(["--json", "--threads", threads, "--out"])
        .arg(&run)
        .output()
        .expect("the binary starts");
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The oracles hold: nothing forged was delivered, everything once and in order, every attack met its answer.
    assert_eq!(output.status.code(), Some(0), "{out}\n{errors}");
    let json: Value = serde_json::from_str(&out).expect("JSON");
    let metrics = json["metrics"].as_object().expect("metrics").iter();
    let metrics =
        metrics.filter_map(|(name, metric)| Some((name.clone(), metric["value"].as_f64()?))).collect();
    Flown { metrics, folder }
}

#[test]
fn every_attack_meets_its_answer_and_honest_messages_hardly_notice() {
    let (attacked, quiet) = (fly(&scenario(), "1"), fly(&peaceful(), "1"));
    let metric = |flown: &Flown, name: &str| {
        *flown.metrics.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", flown.metrics.keys()))
    };
    assert_eq!(metric(&attacked, "attack.unexpected_answers"), 0.0);
    // Twenty-two kinds, of which all but the swallowing of bundles are answered.
    let made: Vec<&String> =
        attacked.metrics.keys().filter(|name| name.starts_with("attack.made.")).collect();
    assert_eq!(made.len(), 22, "{made:?}");
    for name in &made {
        let attack = name.trim_start_matches("attack.made.");
        let answers = attacked.metrics.iter();
        let answered: f64 = answers
            .filter(|(answer, _)| answer.starts_with(&format!("attack.answer.{attack}.")))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(answered > 0.0, attack != "swallow", "{attack}: {answered}");
    }
    assert!(metric(&attacked, "attack.made_total") > 1000.0);
    // A flood from a valid member is held to its share.
    let answer = |name: &str| attacked.metrics.get(name).copied().unwrap_or(0.0);
    assert!(answer("attack.answer.flood.share_exceeded") > answer("attack.answer.flood.delivered"));
    // The stolen key is of no use once it is taken back.
    assert!(answer("attack.answer.flood.blocked_source") > 0.0);
    // What is honest arrives: all but what was sent in the last minutes.
    for flown in [&attacked, &quiet] {
        let (sent, arrived) =
            (metric(flown, "attack.honest_submitted"), metric(flown, "attack.honest_delivered"));
        assert!(sent > 500.0 && arrived == sent, "{arrived} of {sent}");
    }
    for quantile in ["p50", "p95", "p99"] {
        let name = format!("attack.honest_latency_s.{quantile}");
        let (with, without) = (metric(&attacked, &name), metric(&quiet, &name));
        assert!(with <= LATENCY_FACTOR * without, "{quantile}: {with} s beside {without} s");
    }
    assert!(metric(&attacked, "attack.honest_latency_s.max") <= SLOWEST_S);
    let table = fs::read_to_string(attacked.folder.path().join("run/attacks.csv")).expect("a table");
    assert!(table.lines().count() > 22, "{table}");
    let page = fs::read_to_string(attacked.folder.path().join("run/report.html")).expect("a page");
    assert!(page.contains("<h2>Attacks</h2>"));
    // The honest assets' logs hold, and hold what happened.
    let run = attacked.folder.path().join("run");
    let audit = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .args(["audit", run.to_str().expect("UTF-8"), "--incidents"])
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&audit.stdout);
    assert_eq!(audit.status.code(), Some(0), "{text}");
    assert!(text.contains("denied node 4 to command"), "{text}");
    assert!(text.contains("caught node 4: two_payloads"), "{text}");
}

#[test]
fn an_attacked_run_is_the_same_on_any_number_of_threads() {
    let trace = |threads: &str| {
        let flown = fly(&scenario(), threads);
        fs::read(flown.folder.path().join("run/metrics.json")).expect("metrics")
    };
    assert_eq!(trace("1"), trace("2"));
}
