//! LTP on a scenario's links: what it mends there, the ends need not send again. The binary flies tests/data/runs/lossy.ron as it is, and
//! with LTP in its link class; the oracles (exactly once, in order, conservation) hold in both.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Metrics of a run of lossy.ron with `convergence` in its link class.
fn fly(convergence: &str, seed: u64) -> Value {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs");
    let written = fs::read_to_string(data.join("lossy.ron")).expect("the scenario");
    let mtu = "mtu_bytes: 512,";
    assert!(written.contains(mtu));
    let changed = written.replace(mtu, &format!("{mtu} convergence: {convergence},"));
    fs::write(place.path().join("lossy.ron"), changed).expect("a scenario");
    fs::copy(data.join("lossy.ionrc"), place.path().join("lossy.ionrc")).expect("a plan");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(place.path().join("lossy.ron"))
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
    for seed in 1..=2 {
        let (frames, ltp) = (fly("SmallFrame", seed), fly("Ltp()", seed));
        let again = |run| metric(run, "delivery.retransmitted");
        assert!(again(&ltp) * 3.0 < again(&frames), "seed {seed}: {} and {}", again(&frames), again(&ltp));
        // Each message gets there, and sooner: without repair on the hops, some are given up.
        assert!(metric(&ltp, "delivery.ratio") > 0.999, "seed {seed}");
        let median = |run| metric(run, "delivery.latency_s.p50");
        assert!(
            median(&ltp) * 2.0 < median(&frames),
            "seed {seed}: {} and {}",
            median(&frames),
            median(&ltp)
        );
    }
}
