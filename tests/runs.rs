//! Whole runs by seed: fleets in trouble (tests/data/runs), watched by oracles that stand apart from the code under test.
//!
//! Every run is the real binary's; its exit code says whether the oracles held (exactly once and in order, nothing forged,
//! frames and messages conserved, replicas equal after healing). `COSMOSMESH_SEED=17` flies one seed alone, to look into it;
//! `COSMOSMESH_FIRST_SEED` moves the range, so that CI can vary it from commit to commit and still say which seed failed.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const SEEDS: u64 = 20;
/// Seeds that found a defect, flown every time: a participant of the plan that crashed before the plan was committed.
const FOUND: [u64; 2] = [112, 170];

/// What a run said.
struct Run {
    seed: u64,
    code: Option<i32>,
    json: Value,
    errors: String,
}

impl Run {
    fn metric(&self, name: &str) -> Option<f64> {
        self.json["metrics"][name]["value"].as_f64()
    }
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a seed is a number"));
    match number("COSMOSMESH_SEED") {
        Some(seed) => vec![seed],
        None => {
            let first = number("COSMOSMESH_FIRST_SEED").unwrap_or(1);
            (first..first + SEEDS).chain(FOUND).collect()
        }
    }
}

fn fly(name: &str, seed: u64, place: &Path) -> Run {
    fly_file(&scenario_file(name), seed, place)
}

fn scenario_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs").join(name).with_extension("ron")
}

fn fly_file(scenario: &Path, seed: u64, place: &Path) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(scenario)
        .args(["--json", "--threads", "1", "--seed", &seed.to_string(), "--out"])
        .arg(place.join(seed.to_string()))
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Run { seed, code: output.status.code(), json, errors }
}

/// Flies all seeds on two threads and gathers what `complaints` has to say of each, seed by seed.
fn hold(name: &str, complaints: impl Fn(&Run) -> Vec<String> + Sync) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (seeds, next) = (seeds(), AtomicUsize::new(0));
    let work = || {
        let mut found = Vec::new();
        loop {
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else { return found };
            let run = fly(name, seed, place.path());
            let mut said = judged(&run);
            if run.json != Value::Null {
                said.extend(complaints(&run));
            }
            found.extend(said.into_iter().map(|text| (run.seed, text)));
        }
    };
    let mut found: Vec<(u64, String)> = thread::scope(|scope| {
        let others = [scope.spawn(work), scope.spawn(work)];
        others.into_iter().flat_map(|other| other.join().expect("a worker does not panic")).collect()
    });
    found.sort();
    let lines: Vec<String> =
        found.iter().map(|(seed, text)| format!("{name}, seed {seed}: {text}")).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// What must hold of every run.
fn judged(run: &Run) -> Vec<String> {
    let mut said = Vec::new();
    let violations = run.json["run"]["oracles"]["violations"].as_array();
    for violation in violations.into_iter().flatten().take(3) {
        said.push(violation.to_string());
    }
    if run.code != Some(0) {
        said.push(format!("exit code {:?} {}", run.code, run.errors.trim()));
    } else if run.metric("delivery.duplicates_delivered") != Some(0.0) {
        said.push("a message was delivered twice".to_owned());
    }
    said
}

#[test]
fn a_storm_on_the_surface_breaks_no_promise() {
    hold("storm", |run| {
        let mut said = Vec::new();
        if run.metric("sync.replicas_diverged") != Some(0.0) {
            said.push(format!("replicas differ: {:?}", run.metric("sync.replicas_diverged")));
        }
        if run.metric("plan.optimality_gap").is_none_or(|gap| gap >= 1e-3) {
            said.push(format!("plan gap at the end: {:?}", run.metric("plan.optimality_gap")));
        }
        if run.metric("plan.time_to_gap_1e3_s").is_none() {
            said.push("the plan's gap does not stay below 1e-3".to_owned());
        }
        // The troubles were there.
        for name in ["burst", "random", "bit_errors", "half_duplex", "fault"] {
            if run.metric(&format!("link.frames_lost.{name}")).is_none_or(|lost| lost < 1.0) {
                said.push(format!("no frame was lost by {name}"));
            }
        }
        said
    });
}

#[test]
fn relays_that_crash_with_full_stores_break_no_promise() {
    hold("relays", |run| {
        let mut said = Vec::new();
        if run.metric("sync.replicas_diverged") != Some(0.0) {
            said.push(format!("replicas differ: {:?}", run.metric("sync.replicas_diverged")));
        }
        // Messages end eight hours before the run, and contacts come hourly: what is sent gets there.
        if run.metric("delivery.ratio").is_none_or(|ratio| ratio < 0.98) {
            said.push(format!("delivery ratio {:?}", run.metric("delivery.ratio")));
        }
        if run.metric("delivery.retransmitted").is_none_or(|count| count < 1.0) {
            said.push("nothing had to be sent again".to_owned());
        }
        said
    });
}

#[test]
fn relays_check_the_signatures_of_all_that_they_carry() {
    hold("signed", |run| {
        let mut said = Vec::new();
        if run.metric("delivery.ratio").is_none_or(|ratio| ratio < 0.98) {
            said.push(format!("delivery ratio {:?}", run.metric("delivery.ratio")));
        }
        said
    });
}

#[test]
fn signatures_take_room_on_the_air_and_nothing_else() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let text = fs::read_to_string(scenario_file("signed")).expect("a scenario");
    let unsigned = place.path().join("unsigned.ron");
    fs::write(&unsigned, text.replace("bundle_security: HopByHop", "bundle_security: Off")).expect("written");
    let plan = scenario_file("relays").with_extension("ionrc");
    fs::copy(plan, place.path().join("relays.ionrc")).expect("copied");
    let flights = [scenario_file("signed"), unsigned].map(|file| {
        let run = fly_file(&file, 3, &place.path().join(file.file_stem().expect("a name")));
        assert_eq!(judged(&run), Vec::<String>::new());
        ["delivery.bytes", "link.bytes_on_air"].map(|name| run.metric(name).expect("a metric"))
    });
    let [[signed_delivered, signed_sent], [delivered, sent]] = flights;
    assert_eq!(signed_delivered, delivered);
    assert!(signed_sent > 1.1 * sent, "{signed_sent} of {sent} bytes");
}
