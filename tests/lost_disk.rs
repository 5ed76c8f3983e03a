//! Assets that lose what they had kept, flown: what they send and are brought afterwards is told from what was before. The oracles hold in all.

use serde_json::Value;
use std::{fs, process::Command};

/// A probe that reaches its base by a relay alone, for which the relay waits an hour.
const BEHIND_A_RELAY: &str = r#"(
    version: 1,
    name: "behind_a_relay",
    epoch: "2026-11-01T00:00:00Z",
    duration: "5 h",
    // What the relay holds is not sent again meanwhile.
    protocol: (retransmission: (min_timeout: "3 h")),
    classes: [
        (
            name: "surface",
            frequency: "437 MHz",
            capacity: Fixed(rate: "64 kbit/s"),
            mtu_bytes: 512,
            max_range: "800 m",
            min_contact: "1 s",
        ),
    ],
    kits: [(name: "surface", radios: [(class: "surface", min_elevation_deg: -90.0)])],
    assets: [
        (name: "probe", kind: Rover, node: 1, kit: "surface", motion: Site(body: Mars, latitude_deg: 18.4446, longitude_deg: 77.4509)),
        (name: "relay", kind: Rover, node: 2, kit: "surface", motion: Site(body: Mars, latitude_deg: 18.4530, longitude_deg: 77.4509)),
        (name: "base", kind: Habitat, node: 3, kit: "surface", motion: Site(body: Mars, latitude_deg: 18.4614, longitude_deg: 77.4509)),
    ],
    traffic: [
        (
            name: "readings",
            kind: Telemetry,
            from: ["probe"],
            to: ["base"],
            size_bytes: (20, 200),
            arrivals: Periodic(interval: "1 min"),
            lifetime: "4 h",
            end: "50 min",
        ),
        (
            name: "orders",
            kind: Command,
            from: ["base"],
            to: ["probe"],
            size_bytes: (20, 60),
            arrivals: Periodic(interval: "3 min"),
            lifetime: "4 h",
            end: "2 h",
        ),
    ],
    faults: [
        LinkDown(links: Between(a: "relay", b: "base"), start: "0 s", end: "1 h"),
        FAULTS
    ],
)"#;

/// The metrics of a run in which all oracles held, and its deliveries.
fn fly(faults: &str) -> (Value, Vec<String>) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (scenario, out) = (place.path().join("lost.ron"), place.path().join("out"));
    fs::write(&scenario, BEHIND_A_RELAY.replace("FAULTS", faults)).expect("a scenario");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(&scenario)
        .args(["--json", "--threads", "1", "--out"])
        .arg(&out)
        .output()
        .expect("the binary starts");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{faults}: {errors}{said}");
    let deliveries = fs::read_to_string(out.join("deliveries.csv")).expect("deliveries");
    let run: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    (run["metrics"].clone(), deliveries.lines().skip(1).map(Into::into).collect())
}

fn metric(metrics: &Value, name: &str) -> f64 {
    metrics[name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[test]
fn what_a_relay_still_holds_of_a_sender_that_lost_its_disk_is_told_from_what_it_sends_anew() {
    let (metrics, deliveries) =
        fly(r#"AssetDown(asset: "probe", start: "10 min 5 s", end: "12 min", disk: Lost),"#);
    assert_eq!(metric(&metrics, "delivery.duplicates_delivered"), 0.0, "{metrics}");
    assert_eq!(metric(&metrics, "delivery.delivered") as usize, deliveries.len(), "{metrics}");
    // What was under way when the disk was lost waited for the relay's contact like the rest.
    assert!(metric(&metrics, "delivery.latency_s.max") > 3000.0, "{metrics}");
    assert!(deliveries.iter().all(|line| !line.ends_with(",0")), "{deliveries:?}");
    assert!(metric(&metrics, "delivery.ratio") > 0.8, "{metrics}");
}

#[test]
fn a_receiver_that_lost_its_disk_is_brought_what_it_had_and_that_is_neither_a_duplicate_nor_another_message()
{
    // The answers of the base are cut off with its disk.
    let fault = r#"AssetDown(asset: "base", start: "1 h 200 ms", end: "1 h 10 min", disk: Lost),"#;
    let (metrics, deliveries) = fly(fault);
    assert_eq!(metric(&metrics, "delivery.duplicates_delivered"), 0.0, "{metrics}");
    let (delivered, submitted) =
        (metric(&metrics, "delivery.delivered"), metric(&metrics, "delivery.submitted"));
    assert!(delivered <= submitted, "{metrics}");
    assert!(deliveries.len() as f64 > delivered, "{} deliveries of {delivered} messages", deliveries.len());
}
