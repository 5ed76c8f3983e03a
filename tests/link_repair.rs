//! LTP on a scenario's links: what it mends there, the ends need not send again. The binary flies tests/data/runs/relays.ron as it is, and
//! with LTP in its link class; the oracles (exactly once, in order, conservation, equal replicas) hold in both.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Metrics of a run of relays.ron with `convergence` in its link class.
fn fly(convergence: &str, seed: u64) -> Value {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    let written = fs::read_to_string(data.join("relays.ron")).expect("the scenario");
    let mtu = "mtu_bytes: 1024,";
    assert!(written.contains(mtu));
    let changed = written.replace(mtu, &format!("{mtu} convergence: {convergence},"));
    fs::write(place.path().join("relays.ron"), changed).expect("a scenario");
    fs::copy(data.join("relays.ionrc"), place.path().join("relays.ionrc")).expect("a plan");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(place.path().join("relays.ron"))
        .args(["--json", "--threads", "1", "--seed", &seed.to_string(), "--out"])
        .arg(place.path().join("out"))
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "seed {seed}, {convergence}: {errors}");
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn metric(run: &Value, name: &str) -> f64 {
    run["metrics"][name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {}", run["metrics"]))
}

#[test]
fn ltp_on_the_links_spares_the_ends_retransmissions() {
    let (mut plain, mut mended) = (0.0, 0.0);
    for seed in 1..=3 {
        let (frames, ltp) = (fly("SmallFrame", seed), fly("Ltp()", seed));
        plain += metric(&frames, "delivery.retransmitted");
        mended += metric(&ltp, "delivery.retransmitted");
        let share = |run| metric(run, "delivery.ratio");
        assert!(share(&ltp) >= share(&frames) - 0.005, "seed {seed}: LTP delivers as much");
    }
    assert!(mended < plain / 2.0, "end-to-end retransmissions: {plain} without LTP, {mended} with it");
}
