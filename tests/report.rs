//! Metrics, oracles, run folders, baselines: a synthetic trace with known answers goes in, files come out.

use cosmosmesh::{
    cli::{
        CliError, Outcome,
        check::{CheckArgs, CheckedRun, execute_in},
        compare::{self, CompareArgs},
        report::{self as report_command, ReportArgs},
    },
    engine::{LossReason, MessageKind, Record, RecordKind},
    metrics::{Metrics, MetricsSet, PlanReference, RunShape},
    oracle::{CentralProblem, Oracles, Participant, Row, SharedTerm},
    report::{AssetFacts, OracleFacts, PlanFacts, ReportError, RunEnd, RunFacts, RunFolder, Timing},
    units::{AssetIndex, SimTime},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const fn at(seconds: i64, asset: u32, kind: RecordKind) -> Record {
    Record { time: SimTime::from_secs(seconds), asset: AssetIndex(asset), kind }
}

const fn submitted(seconds: i64, asset: u32, to: u32, sequence: u64) -> Record {
    let kind = MessageKind::Telemetry;
    at(seconds, asset, RecordKind::Submitted { sequence, destination: AssetIndex(to), kind, bytes: 100 })
}

const fn delivered(seconds: i64, asset: u32, from: u32, sequence: u64, latency_s: i64) -> Record {
    let latency = SimTime::from_secs(latency_s);
    let (source, kind) = (AssetIndex(from), MessageKind::Telemetry);
    at(seconds, asset, RecordKind::Delivered { source, sequence, kind, bytes: 100, latency })
}

fn metrics_of(shape: RunShape, records: &[Record], end_s: i64) -> MetricsSet {
    let mut metrics = Metrics::new(shape);
    records.iter().for_each(|record| metrics.record(record));
    metrics.finish(SimTime::from_secs(end_s))
}

fn violations_of(records: &[Record], end_s: i64) -> Vec<String> {
    let mut oracles = Oracles::new(Some(SimTime::from_secs(5)));
    records.iter().for_each(|record| oracles.record(record));
    let report = oracles.finish(SimTime::from_secs(end_s), true);
    assert_eq!(report.total, report.violations.len() as u64);
    report.violations.iter().map(ToString::to_string).collect()
}

/// Two assets trade one quantity: minimise ½(x−3)² + ½(y−1)² with x ≤ 10, y ≤ 10 and x − y = 0. By hand: x = y = 2,
/// f* = ½ + ½ = 1.
fn two_traders() -> CentralProblem {
    let side = |asset, target: f64, coefficient| Participant {
        asset: AssetIndex(asset),
        quadratic: vec![(0, 0, 1.0)],
        linear: vec![-target],
        constant: 0.5 * target * target,
        lower: vec![f64::NEG_INFINITY],
        upper: vec![10.0],
        rows: vec![],
        shared: vec![SharedTerm { coupling: 0, variable: 0, coefficient }],
    };
    CentralProblem::new(vec![side(1, 1.0, -1.0), side(0, 3.0, 1.0)]).expect("shapes fit")
}

mod delivery {
    use super::*;

    #[test]
    fn ratio_and_latency_count_application_messages_once() {
        let mut records: Vec<Record> = (0..10).map(|sequence| submitted(0, 0, 1, sequence)).collect();
        records.extend((0..8).map(|n| delivered(10 * (n + 1), 1, 0, n as u64, 10 * (n + 1))));
        records.push(delivered(90, 1, 0, 7, 90));
        let (destination, kind) = (AssetIndex(1), MessageKind::Telemetry);
        records.push(at(95, 0, RecordKind::Abandoned { destination, sequence: 8, kind }));
        let sync = RecordKind::Submitted { sequence: 0, destination, kind: MessageKind::Sync, bytes: 7 };
        records.push(at(96, 0, sync));
        let set = metrics_of(RunShape::default(), &records, 100);
        assert_eq!(set.value("delivery.ratio"), Some(0.8));
        assert_eq!(set.value("delivery.submitted"), Some(10.0));
        assert_eq!(set.value("delivery.duplicates_delivered"), Some(1.0));
        assert_eq!(set.value("delivery.in_flight_at_end"), Some(1.0));
        assert_eq!(set.value("delivery.latency_s.max"), Some(80.0));
        let median = set.value("delivery.latency_s.p50").expect("there are deliveries");
        assert!((median - 40.0).abs() <= 0.04, "{median}");
    }

    #[test]
    fn a_run_without_messages_has_no_ratio_and_no_latency() {
        let set = metrics_of(RunShape::default(), &[], 1);
        for name in ["delivery.ratio", "delivery.latency_s.p50", "delivery.latency_s.max", "privacy.epsilon"]
        {
            assert_eq!(set.get(name).expect("the name is always there").value, None, "{name}");
        }
        assert!(set.to_json().contains("\"value\": null"));
    }
}

mod sync {
    use super::*;

    fn visible(seconds: i64, asset: u32, sequence: u64) -> Record {
        let (actor, latency) = (AssetIndex(0), SimTime::ZERO);
        at(seconds, asset, RecordKind::SyncVisible { actor, sequence, latency })
    }

    #[test]
    fn a_write_counts_when_the_last_replica_sees_it() {
        let digest = |asset, digest| at(100, asset, RecordKind::ReplicaDigest { digest: [digest; 32] });
        let records = [
            at(10, 0, RecordKind::SyncWrite { sequence: 1 }),
            visible(12, 1, 1),
            at(20, 0, RecordKind::SyncWrite { sequence: 2 }),
            visible(40, 2, 1),
            visible(50, 1, 2),
            digest(0, 1),
            digest(1, 1),
            digest(2, 9),
            at(100, 0, RecordKind::SyncBytes { bytes: 30 }),
            at(100, 1, RecordKind::SyncBytes { bytes: 12 }),
        ];
        let replicas = [0, 1, 2].map(AssetIndex).to_vec();
        let shape = RunShape { duration: SimTime::from_secs(100), replicas, ..RunShape::default() };
        let mut metrics = Metrics::new(shape);
        let mut oldest = Vec::new();
        for record in &records {
            metrics.record(record);
            oldest.extend_from_slice(metrics.derived());
        }
        let set = metrics.finish(SimTime::from_secs(100));
        assert_eq!(set.value("sync.latency_s.max"), Some(30.0));
        assert_eq!(set.value("sync.writes_incomplete"), Some(1.0));
        assert_eq!(set.value("sync.replicas_diverged"), Some(1.0));
        assert_eq!(set.value("sync.bytes"), Some(42.0));
        // Sampled every 100 s / 240; replica 2 misses write 1 (of second 10) until 40, then write 2 (of 20).
        let staleness = |time_s: i64| {
            oldest
                .iter()
                .filter_map(|row| match row {
                    cosmosmesh::metrics::DerivedRow::Staleness(row) if row.asset == AssetIndex(2) => {
                        Some(row)
                    }
                    _ => None,
                })
                .find(|row| row.time >= SimTime::from_secs(time_s))
                .map(|row| (row.time.as_secs_f64(), row.staleness.as_secs_f64()))
                .expect("sampled to the end")
        };
        assert_eq!(staleness(5).1, 0.0);
        let (time, age) = staleness(30);
        assert!((age - (time - 10.0)).abs() < 1e-9);
        let (time, age) = staleness(45);
        assert!((age - (time - 20.0)).abs() < 1e-9);
    }
}

mod plan {
    use super::*;

    fn local(seconds: i64, asset: u32, round: u32, x: f64) -> Record {
        at(seconds, asset, RecordKind::PlanLocal { round, values: vec![x] })
    }

    #[test]
    fn the_central_optimum_is_the_one_found_by_hand() {
        let optimum = two_traders().solve().expect("solvable");
        assert_eq!(optimum.value, 1.0);
        assert!((optimum.solution[0][0] - 2.0).abs() < 1e-6 && optimum.violation < 1e-9);
        assert_eq!(two_traders().solve().expect("solvable"), optimum, "the same problem gives the same bits");
    }

    #[test]
    fn an_active_row_moves_the_optimum_as_it_should() {
        // x ≤ 1.5 by a row: x = y = 1.5, f* = ½ 1.5² + ½ 0.5² = 1.25.
        let mut participants = two_traders().participants().to_vec();
        participants[0].rows.push(Row { terms: vec![(0, 2.0)], lower: f64::NEG_INFINITY, upper: 3.0 });
        let problem = CentralProblem::new(participants).expect("shapes fit");
        assert_eq!(problem.solve().expect("solvable").value, 1.25);
    }

    #[test]
    fn an_infeasible_problem_has_no_optimum() {
        let mut participants = two_traders().participants().to_vec();
        participants[0].lower[0] = 9.0;
        participants[1].upper[0] = 1.0;
        assert!(CentralProblem::new(participants).expect("shapes fit").solve().is_err());
    }

    #[test]
    fn problems_whose_shapes_do_not_fit_are_refused() {
        let broken = |change: fn(&mut Participant)| {
            let mut participants = two_traders().participants().to_vec();
            change(&mut participants[0]);
            CentralProblem::new(participants).is_err()
        };
        assert!(broken(|p| p.lower.clear()));
        assert!(broken(|p| p.shared[0].variable = 1));
        assert!(broken(|p| p.quadratic.push((1, 0, 1.0))));
        assert!(broken(|p| p.asset = AssetIndex(1)));
        assert!(!broken(|_| {}));
    }

    #[test]
    fn the_time_to_a_gap_is_that_from_which_it_stays_below() {
        let problem = two_traders();
        let optimum = problem.solve().expect("solvable");
        let shape = RunShape {
            plan: Some(PlanReference { problem, optimum, requests: BTreeMap::new() }),
            ..RunShape::default()
        };
        let records = [
            local(1, 0, 1, 3.0),
            local(2, 1, 1, 1.0),
            // Below 1e-3 for a moment…
            local(3, 0, 2, 2.0),
            local(4, 1, 2, 2.0),
            // …then not: f = ½ 0.5² + ½ 1² and x − y = 0.5 over ‖b‖ = 10.
            local(5, 0, 3, 2.5),
            local(6, 0, 4, 2.01),
            at(
                7,
                0,
                RecordKind::PlanRound {
                    round: 5,
                    primal_residual: 0.25,
                    dual_residual: 0.5,
                    contributions: 2,
                    prices: vec![],
                },
            ),
            local(8, 0, 6, 2.0),
        ];
        let set = metrics_of(shape, &records, 10);
        assert_eq!(set.value("plan.time_to_gap_1e3_s"), Some(8.0));
        assert_eq!(set.value("plan.rounds_to_gap_1e3"), Some(6.0));
        assert_eq!(set.value("plan.rounds_to_gap_1e6"), Some(6.0));
        assert_eq!(set.value("plan.optimality_gap"), Some(0.0));
        assert_eq!(set.value("plan.primal_residual"), Some(0.25));
        assert_eq!(set.value("plan.dual_residual"), Some(0.5));
    }

    #[test]
    fn the_gap_is_the_larger_of_objective_and_violation() {
        let problem = two_traders();
        let optimum = problem.solve().expect("solvable");
        let shape = RunShape {
            plan: Some(PlanReference { problem, optimum, requests: BTreeMap::new() }),
            ..RunShape::default()
        };
        // f = 0 at the unconstrained minimum: |0 − 1| / 1 = 1; x − y = 2 over max(1, 10).
        let set = metrics_of(shape, &[local(1, 0, 1, 3.0), local(2, 1, 1, 1.0)], 10);
        assert_eq!(set.value("plan.objective_gap"), Some(1.0));
        assert_eq!(set.value("plan.constraint_violation"), Some(0.2));
        assert_eq!(set.value("plan.optimality_gap"), Some(1.0));
        assert_eq!(set.get("plan.time_to_gap_1e3_s").expect("there").value, None);
    }
}

mod links_and_energy {
    use super::*;

    #[test]
    fn bytes_airtime_losses_and_charge_add_up() {
        let peer = AssetIndex(1);
        let sent = |seconds| {
            at(seconds, 0, RecordKind::FrameSent { peer, bytes: 500, airtime: SimTime::from_secs(2) })
        };
        let from = AssetIndex(0);
        let energy = |asset, state_of_charge, radio_joules| {
            at(60, asset, RecordKind::Energy { state_of_charge, radio_joules })
        };
        let records = [
            at(0, 0, RecordKind::ContactOpened { peer, contact: 0 }),
            submitted(1, 0, 1, 0),
            sent(5),
            sent(8),
            at(9, 1, RecordKind::FrameReceived { peer: from, bytes: 500 }),
            at(10, 1, RecordKind::FrameLost { peer: from, bytes: 500, reason: LossReason::Collision }),
            delivered(11, 1, 0, 0, 10),
            at(20, 0, RecordKind::ContactClosed { peer, contact: 0, busy: SimTime::from_secs(4) }),
            at(50, 0, RecordKind::ContactOpened { peer, contact: 1 }),
            at(55, 1, RecordKind::InputRefused { reason: "replay" }),
            energy(0, 0.5, 30.0),
            energy(1, 0.9, 10.0),
            energy(0, 0.7, 40.0),
        ];
        let set = metrics_of(RunShape::default(), &records, 70);
        assert_eq!(set.value("link.bytes_on_air"), Some(1000.0));
        // 4 s on air in 20 s and 20 s of contact, the second still open at the end.
        assert_eq!(set.value("link.contact_utilisation"), Some(0.1));
        assert_eq!(set.value("link.frames_lost.collision"), Some(1.0));
        assert_eq!(set.value("energy.joules_per_delivered_byte"), Some(0.5));
        assert_eq!(set.value("energy.min_state_of_charge"), Some(0.5));
        assert_eq!(set.value("security.refused.replay"), Some(1.0));
        assert!(violations_of(&records[..8], 70).is_empty());
    }
}

mod oracles {
    use super::*;

    fn only(records: &[Record]) -> String {
        let mut violations = violations_of(records, 100);
        assert_eq!(violations.len(), 1, "{violations:?}");
        violations.remove(0)
    }

    #[test]
    fn a_sound_trace_passes() {
        let records = [
            submitted(1, 0, 1, 0),
            submitted(2, 0, 1, 1),
            delivered(5, 1, 0, 0, 4),
            delivered(5, 1, 0, 1, 3),
        ];
        assert_eq!(violations_of(&records, 100), Vec::<String>::new());
    }

    #[test]
    fn a_second_delivery_is_found() {
        let text = only(&[submitted(1, 0, 1, 0), delivered(2, 1, 0, 0, 1), delivered(3, 1, 0, 0, 2)]);
        assert!(text.contains("exactly-once") && text.contains("again"), "{text}");
    }

    #[test]
    fn a_delivery_out_of_order_is_found() {
        let text = only(&[
            submitted(1, 0, 1, 0),
            submitted(1, 0, 1, 1),
            delivered(2, 1, 0, 1, 1),
            delivered(3, 1, 0, 0, 2),
        ]);
        assert!(text.contains("out of order"), "{text}");
    }

    #[test]
    fn a_message_that_nobody_sent_is_found() {
        let text = only(&[delivered(2, 1, 0, 0, 1)]);
        assert!(text.contains("never submitted"), "{text}");
    }

    #[test]
    fn a_wrong_latency_is_found() {
        let text = only(&[submitted(1, 0, 1, 0), delivered(9, 1, 0, 0, 7)]);
        assert!(text.contains("latency of 7 s") && text.contains("it took 8 s"), "{text}");
    }

    #[test]
    fn an_acknowledged_message_that_is_skipped_is_found() {
        let acknowledged = RecordKind::Acknowledged {
            destination: AssetIndex(1),
            sequence: 0,
            kind: MessageKind::Telemetry,
        };
        let later =
            [submitted(1, 0, 1, 0), submitted(1, 0, 1, 1), at(2, 0, acknowledged), delivered(3, 1, 0, 1, 2)];
        let text = only(&later);
        assert!(text.contains("is delivered without it"), "{text}");
    }

    #[test]
    fn frames_from_nowhere_and_frames_that_vanish_are_found() {
        let peer = AssetIndex(0);
        let text = only(&[at(1, 1, RecordKind::FrameReceived { peer, bytes: 9 })]);
        assert!(text.contains("sent it 0"), "{text}");
        let sent = RecordKind::FrameSent { peer, bytes: 9, airtime: SimTime::from_secs(1) };
        let text = only(&[at(1, 1, sent.clone())]);
        assert!(text.contains("have no verdict"), "{text}");
        assert!(violations_of(&[at(97, 1, sent)], 100).is_empty(), "in flight at the end is no violation");
    }

    #[test]
    fn replicas_that_differ_after_healing_are_found() {
        let digest = |asset, digest| at(9, asset, RecordKind::ReplicaDigest { digest: [digest; 32] });
        let text = only(&[digest(0, 1), digest(1, 2), digest(2, 1)]);
        assert!(text.contains("asset 1's replica"), "{text}");
    }
}

/// A fleet of `assets` over `days`, with traffic, contacts, planning, sync and energy that look like something.
fn sample_records(assets: u32, days: i64) -> Vec<Record> {
    let end = days * 86_400;
    let mut records = Vec::new();
    let mut noise = 12_345_u64;
    let mut draw = move |range: i64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((noise >> 33) as i64) % range
    };
    let mut contact = 0;
    for from in 0..assets {
        for to in (0..assets).filter(|to| *to != from && (from + to) % 3 != 0) {
            let (period, offset) =
                (7_000 + 900 * i64::from((from * to) % 7), i64::from(from * 700 + to * 130));
            let mut start = offset;
            while start + 1500 < end {
                let (peer, busy) = (AssetIndex(to), SimTime::from_secs(draw(300)));
                records.push(at(start, from, RecordKind::ContactOpened { peer, contact }));
                records.push(at(
                    start + 600 + draw(800),
                    from,
                    RecordKind::ContactClosed { peer, contact, busy },
                ));
                contact += 1;
                start += period;
            }
        }
    }
    for source in 1..assets {
        for sequence in 0..200_u64 {
            let submit = sequence as i64 * (end / 220) + i64::from(source);
            let most = 1 + draw(20_000);
            let latency = 400 + draw(most);
            records.push(submitted(submit, source, 0, sequence));
            if submit + latency < end {
                records.push(delivered(submit + latency, 0, source, sequence, latency));
            }
        }
        for (sequence, write) in (0..end).step_by(14_400).enumerate() {
            let sequence = sequence as u64;
            records.push(at(write, source, RecordKind::SyncWrite { sequence }));
            for replica in (0..assets).filter(|replica| *replica != source) {
                let latency = 300 + draw(9000) * i64::from(1 + replica % 3);
                let visible = RecordKind::SyncVisible {
                    actor: AssetIndex(source),
                    sequence,
                    latency: SimTime::from_secs(latency),
                };
                if write + latency < end {
                    records.push(at(write + latency, replica, visible));
                }
            }
        }
    }
    for asset in 0..assets {
        for step in 0..days * 96 {
            let phase = ((step + i64::from(asset) * 7) % 96 - 48).abs() as f64 / 48.0;
            let state_of_charge = 0.95 - (0.1 + 0.05 * f64::from(asset % 9)) * phase;
            records.push(at(
                step * 900,
                asset,
                RecordKind::Energy { state_of_charge, radio_joules: step as f64 * 40.0 },
            ));
        }
    }
    let mut distance = 2.0;
    for round in 1..120_u32 {
        let time = i64::from(round) * (end / 125);
        records.push(at(time, 0, RecordKind::PlanLocal { round, values: vec![2.0 + distance] }));
        records.push(at(time + 700, 1, RecordKind::PlanLocal { round, values: vec![2.0 - 0.7 * distance] }));
        let (primal_residual, dual_residual) = (distance * 1.7, distance * 0.4);
        records.push(at(
            time + 900,
            0,
            RecordKind::PlanRound {
                round,
                primal_residual,
                dual_residual,
                contributions: 2,
                prices: vec![distance],
            },
        ));
        distance *= 0.86;
    }
    records.sort_by_key(|record| (record.time, record.asset));
    records
}

const NAMES: [&str; 11] = [
    "Habitat Jezero",
    "Rover Jezero",
    "Rover Gale",
    "Drone Jezero",
    "MRO",
    "MAVEN",
    "Trace Gas Orbiter",
    "Mars Express",
    "DSS-14 Goldstone",
    "DSS-43 Canberra",
    "DSS-63 Madrid",
];

fn facts(assets: u32, days: i64) -> RunFacts {
    let asset = |index: u32| AssetFacts {
        name: NAMES
            .get(index as usize)
            .map_or_else(|| format!("LoRa node {index}"), |name| (*name).to_owned()),
        kind: "rover".into(),
    };
    RunFacts {
        format: RunFacts::FORMAT.into(),
        scenario: "mars_relay <sample>".into(),
        scenario_hash: "00ff".repeat(16),
        caveat: None,
        seed: 7,
        version: "0.1.0".into(),
        fingerprint: String::new(),
        epoch_utc: "2026-11-21T00:00:00Z".into(),
        duration_s: (days * 86_400) as f64,
        assets: (0..assets).map(asset).collect(),
        plan: Some(PlanFacts {
            commodities: vec!["energy".into()],
            slots: 1,
            slot_s: 3600.0,
            constraints: vec!["energy[0]".into()],
            shift: 0,
            later: Vec::new(),
        }),
        oracles: OracleFacts::default(),
    }
}

/// Writes a run folder as `run` does.
fn write_run(out: &Path, assets: u32, days: i64, fingerprint: &str) -> Result<PathBuf, ReportError> {
    let problem = two_traders();
    let optimum = problem.solve().expect("solvable");
    let end = SimTime::from_secs(days * 86_400);
    let replicas = (0..assets).map(AssetIndex).collect();
    let mut metrics = Metrics::new(RunShape {
        duration: end,
        replicas,
        plan: Some(PlanReference { problem, optimum, requests: BTreeMap::new() }),
        ..RunShape::default()
    });
    let mut oracles = Oracles::new(None);
    let mut folder = RunFolder::create(out, facts(assets, days), "// <b>the scenario</b>\n(version: 1)\n")?;
    for record in sample_records(assets, days) {
        metrics.record(&record);
        oracles.record(&record);
        folder.record(&record, metrics.derived())?;
    }
    let set = metrics.finish(end);
    folder.finish(RunEnd {
        end,
        fingerprint: fingerprint.into(),
        metrics: &set,
        derived: metrics.derived(),
        links: metrics.links(),
        oracles: &oracles.finish(end, false),
        timing: Timing { wall_s: 1.0, threads: 1, events: 1, events_per_s: 1.0 },
    })
}

/// Where pictures can be looked at: `COSMOSMESH_KEEP=DIR cargo test --test report`.
fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let kept = std::env::var_os("COSMOSMESH_KEEP").map(|folder| PathBuf::from(folder).join(name));
    let path = kept.unwrap_or_else(|| temporary.path().join(name));
    (temporary, path)
}

/// Every file below `folder` with its bytes, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    found
}

mod run_folder {
    use super::*;

    #[test]
    fn it_holds_all_tables_pictures_and_a_page_that_fetches_nothing() {
        let (_guard, out) = place("mars");
        write_run(&out, 11, 7, "f1").expect("written");
        let mut found: Vec<String> = files(&out)
            .keys()
            .map(|path| path.strip_prefix(&out).expect("inside").display().to_string())
            .collect();
        found.sort();
        let expected = [
            "contacts.csv",
            "convergence.csv",
            "deliveries.csv",
            "drops.csv",
            "energy.csv",
            "held.csv",
            "horizons.csv",
            "links.csv",
            "metrics.json",
            "plans.csv",
            "plots/contacts.svg",
            "plots/convergence.svg",
            "plots/convergence_rounds.svg",
            "plots/energy.svg",
            "plots/latency.svg",
            "plots/plans.svg",
            "plots/prices.svg",
            "plots/rounds.svg",
            "plots/rounds_bytes.svg",
            "plots/staleness.svg",
            "prices.csv",
            "privacy.csv",
            "report.html",
            "rounds.csv",
            "run.json",
            "scenario.ron",
            "staleness.csv",
            "sync.csv",
            "timing.json",
            "versions.csv",
            "writes.csv",
        ];
        assert_eq!(found, expected);
        let page = fs::read_to_string(out.join("report.html")).expect("text");
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http") && !outside.contains("src=") && !outside.contains("url("));
        assert!(
            page.contains("&lt;b&gt;the scenario&lt;/b&gt;") && page.contains("mars_relay &lt;sample&gt;")
        );
        assert_eq!(page.matches("<svg ").count(), 10);
        assert!(page.contains("Not drawn: traffic by link (nothing was sent)."));
        let table = |name: &str| fs::read_to_string(out.join(name)).expect("text");
        let prices = table("prices.csv");
        assert!(
            prices.starts_with("time_s,round,constraint,price\n") && prices.contains(",1,energy[0],2e0\n")
        );
        assert_eq!(prices.lines().count(), 120, "a price for each round and constraint, and the heading");
        assert_eq!(table("rounds.csv").lines().count(), 120);
        let plans = table("plans.csv");
        assert!(
            plans.starts_with("asset,horizon,round,quantity,slot,value\nHabitat Jezero,0,119,energy,0,2.0"),
            "{plans}"
        );
        assert_eq!(plans.lines().count(), 3, "what each of two participants holds in the end");
        let deliveries = fs::read_to_string(out.join("deliveries.csv")).expect("text");
        assert!(deliveries.starts_with("delivered_s,source,destination,kind,sequence,bytes,latency_s\n"));
    }

    #[test]
    fn a_large_fleet_is_cut_to_what_is_legible() {
        let (_guard, out) = place("valley");
        write_run(&out, 60, 1, "f1").expect("written");
        let contacts = fs::read_to_string(out.join("plots/contacts.svg")).expect("text");
        assert!(contacts.contains("pairs are left out"));
        assert!(contacts.len() < 600_000, "{}", contacts.len());
        assert!(fs::read_to_string(out.join("plots/energy.svg")).expect("text").contains("53 other assets"));
    }

    #[test]
    fn equal_runs_write_equal_bytes_and_rendering_again_changes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        write_run(&a, 4, 1, "f1").expect("written");
        write_run(&b, 4, 1, "f1").expect("written");
        let inside = |folder: &Path| -> Vec<Vec<u8>> { files(folder).into_values().collect() };
        assert!(inside(&a) == inside(&b));
        let before = inside(&a);
        let args = ReportArgs { run: a.clone(), json: false };
        let mut out = Vec::new();
        assert_eq!(report_command::execute(&args, &mut out).expect("renders"), Outcome::Done);
        assert!(inside(&a) == before);
        assert!(String::from_utf8(out).expect("text").contains("fingerprint  f1"));
    }

    #[test]
    fn an_abandoned_run_leaves_nothing_and_the_old_run_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        write_run(&out, 3, 1, "old").expect("written");
        drop(RunFolder::create(&out, facts(3, 1), "").expect("a run folder may be replaced"));
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
        assert!(fs::read_to_string(out.join("run.json")).expect("text").contains("\"old\""));
        write_run(&out, 3, 1, "new").expect("replaced");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
        assert!(fs::read_to_string(out.join("run.json")).expect("text").contains("\"new\""));
    }

    #[test]
    fn a_folder_of_something_else_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("thesis.tex"), "years of work").expect("writable");
        let refused = RunFolder::create(folder.path(), facts(2, 1), "");
        assert!(matches!(refused.err(), Some(ReportError::Occupied { .. })));
        let file = folder.path().join("thesis.tex");
        let refused = RunFolder::create(&file, facts(2, 1), "");
        assert!(matches!(refused.err(), Some(ReportError::Occupied { .. })));
        assert!(file.exists());
    }

    #[test]
    fn malformed_folders_are_refused_with_file_and_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        let failure = |name: &str, text: &str| {
            write_run(&out, 3, 1, "f").expect("written");
            fs::write(out.join(name), text).expect("writable");
            let args = ReportArgs { run: out.clone(), json: false };
            let message = report_command::execute(&args, &mut Vec::new()).expect_err("malformed").to_string();
            fs::remove_dir_all(&out).expect("removable");
            message
        };
        assert!(failure("run.json", "{").contains("is not a run folder"));
        assert!(failure("metrics.json", "[]").contains("metrics.json"));
        let text = failure("energy.csv", "time_s,asset,state_of_charge,radio_joules\n0,Rover Jezero,NaN,1\n");
        assert!(text.contains("energy.csv line 2: state_of_charge is NaN"), "{text}");
        let text = failure("staleness.csv", "time_s,asset,staleness_s\n0,Nobody,1\n");
        assert!(text.contains("line 2: asset is \"Nobody\""), "{text}");
        let text = failure("contacts.csv", "from,to\n");
        assert!(text.contains("contacts.csv line 1") && text.contains("start_s"), "{text}");
        let text = failure("deliveries.csv", "kind,latency_s\ntelemetry,soon\n");
        assert!(text.contains("deliveries.csv") && text.contains("line: 2"), "{text}");
        let missing = ReportArgs { run: folder.path().join("nowhere"), json: false };
        let error = report_command::execute(&missing, &mut Vec::new()).expect_err("missing");
        assert!(matches!(error, CliError::Report(ReportError::NotARun { .. })));
    }

    #[test]
    fn runs_compare_by_fingerprint_and_metric() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = ["a", "b", "c", "d"].map(|name| folder.path().join(name));
        write_run(&paths[0], 3, 1, "f").expect("written");
        write_run(&paths[1], 3, 1, "f").expect("written");
        write_run(&paths[2], 3, 1, "g").expect("written");
        write_run(&paths[3], 4, 1, "f").expect("written");
        let compare = |second: usize, json: bool| {
            let args = CompareArgs { first: paths[0].clone(), second: paths[second].clone(), json };
            let mut out = Vec::new();
            let outcome = compare::execute(&args, &mut out).expect("comparable");
            (outcome, String::from_utf8(out).expect("text"))
        };
        assert_eq!(compare(1, false).0, Outcome::Done);
        assert_eq!(compare(2, false).0, Outcome::No);
        let (outcome, text) = compare(3, false);
        assert!(outcome == Outcome::No && text.contains("delivery.submitted"), "{text}");
        let (_, text) = compare(3, true);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["same"], false);
    }
}

mod check {
    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            fs::create_dir(folder.path().join("scenarios")).expect("writable");
            fs::write(folder.path().join("scenarios/smoke.ron"), "()").expect("writable");
            Self { folder }
        }

        fn args(&self) -> CheckArgs {
            CheckArgs {
                scenarios: vec![self.folder.path().join("scenarios/smoke.ron")],
                bless: false,
                reason: None,
                junit: None,
                strict: false,
                json: false,
                threads: 1,
                baselines: self.folder.path().join("reports"),
                scenario_folder: self.folder.path().join("scenarios"),
            }
        }

        fn baseline(&self) -> PathBuf {
            self.folder.path().join("reports/smoke.ron")
        }

        fn check(&self, args: &CheckArgs, run: &CheckedRun) -> Result<(Outcome, String), CliError> {
            let mut out = Vec::new();
            let outcome = execute_in(args, false, &|_| Ok(run.clone()), &mut out)?;
            Ok((outcome, String::from_utf8(out).expect("text")))
        }

        fn bless(&self, run: &CheckedRun, reason: &str) {
            let args = CheckArgs { bless: true, reason: Some(reason.into()), ..self.args() };
            assert_eq!(self.check(&args, run).expect("blessed").0, Outcome::Done);
        }
    }

    fn run(fingerprint: &str, ratio: f64, p50: Option<f64>) -> CheckedRun {
        let mut metrics = MetricsSet::default();
        metrics.set("delivery.ratio", Some(ratio), "1");
        metrics.set("delivery.latency_s.p50", p50, "s");
        metrics.absent("privacy.epsilon", "1", "none");
        CheckedRun { fingerprint: fingerprint.into(), metrics, tolerances: Vec::new() }
    }

    #[test]
    fn a_missing_baseline_fails_and_blessing_makes_one() {
        let bench = Bench::new();
        let (outcome, text) = bench.check(&bench.args(), &run("f", 1.0, Some(10.0))).expect("runs");
        assert!(outcome == Outcome::No && text.contains("no baseline"), "{text}");
        bench.bless(&run("f", 1.0, Some(10.0)), "The first");
        let (outcome, text) = bench.check(&bench.args(), &run("f", 1.0, Some(10.0))).expect("runs");
        assert!(outcome == Outcome::Done && text.starts_with("ok "), "{text}");
        let file = fs::read_to_string(bench.baseline()).expect("text");
        assert!(file.contains("reason: \"The first\"") && file.contains("\"delivery.ratio\": ("), "{file}");
    }

    #[test]
    fn worse_fails_better_is_told_and_within_passes() {
        let bench = Bench::new();
        bench.bless(&run("f", 0.9, Some(10.0)), "The first");
        let check = |ratio, p50| bench.check(&bench.args(), &run("f", ratio, p50)).expect("runs");
        assert_eq!(check(0.898, Some(10.4)).0, Outcome::Done);
        let (outcome, text) = check(0.8, Some(10.0));
        assert!(outcome == Outcome::No && text.contains("worse     delivery.ratio: 0.900 → 0.800"), "{text}");
        let (outcome, text) = check(0.9, Some(12.0));
        assert!(outcome == Outcome::No && text.contains("worse     delivery.latency_s.p50"), "{text}");
        let (outcome, text) = check(1.0, Some(5.0));
        assert!(outcome == Outcome::Done && text.matches("improved").count() == 2, "{text}");
        let (outcome, text) = check(0.9, None);
        assert!(outcome == Outcome::No && text.contains("10 → none"), "{text}");
    }

    #[test]
    fn a_metric_that_is_gone_fails_and_a_new_one_is_told() {
        let bench = Bench::new();
        bench.bless(&run("f", 1.0, Some(1.0)), "The first");
        let mut other = run("f", 1.0, Some(1.0));
        other.metrics.count("security.refused.replay", 3, "1");
        let (outcome, text) = bench.check(&bench.args(), &other).expect("runs");
        assert!(outcome == Outcome::Done && text.contains("new       security.refused.replay: 3"), "{text}");
        bench.bless(&other, "Replays are counted");
        let (outcome, text) = bench.check(&bench.args(), &run("f", 1.0, Some(1.0))).expect("runs");
        assert!(outcome == Outcome::No && text.contains("gone      security.refused.replay"), "{text}");
    }

    #[test]
    fn a_changed_fingerprint_warns_and_fails_when_strict() {
        let bench = Bench::new();
        bench.bless(&run("f", 1.0, Some(1.0)), "The first");
        let (outcome, text) = bench.check(&bench.args(), &run("g", 1.0, Some(1.0))).expect("runs");
        assert!(
            outcome == Outcome::Done && text.contains("warning: the fingerprint changed from f to g"),
            "{text}"
        );
        let strict = CheckArgs { strict: true, ..bench.args() };
        assert_eq!(bench.check(&strict, &run("g", 1.0, Some(1.0))).expect("runs").0, Outcome::No);
    }

    #[test]
    fn blessing_keeps_tolerances_that_a_person_has_set() {
        let bench = Bench::new();
        bench.bless(&run("f", 0.9, Some(10.0)), "The first");
        let file = fs::read_to_string(bench.baseline()).expect("text");
        fs::write(bench.baseline(), file.replace("Absolute(0.005)", "Absolute(0.25)")).expect("writable");
        bench.bless(&run("f", 0.8, Some(10.0)), "The second");
        let file = fs::read_to_string(bench.baseline()).expect("text");
        assert!(file.contains("Absolute(0.25)") && file.contains("The second"), "{file}");
        assert_eq!(bench.check(&bench.args(), &run("f", 0.6, Some(10.0))).expect("runs").0, Outcome::Done);
    }

    #[test]
    fn blessing_is_refused_in_continuous_integration_and_without_a_reason() {
        let bench = Bench::new();
        let never = |_: &Path| -> Result<CheckedRun, CliError> { panic!("nothing runs") };
        let args = CheckArgs { bless: true, reason: Some("Because".into()), ..bench.args() };
        assert!(execute_in(&args, true, &never, &mut Vec::new()).is_err());
        let args = CheckArgs { bless: true, reason: Some("  ".into()), ..bench.args() };
        assert!(execute_in(&args, false, &never, &mut Vec::new()).is_err());
        assert!(!bench.baseline().exists());
    }

    #[test]
    fn without_names_every_baseline_with_a_scenario_is_checked() {
        let bench = Bench::new();
        bench.bless(&run("f", 1.0, Some(1.0)), "The first");
        fs::copy(bench.baseline(), bench.folder.path().join("reports/elsewhere.ron")).expect("writable");
        let args = CheckArgs { scenarios: vec![], json: true, ..bench.args() };
        let (outcome, text) = bench.check(&args, &run("f", 1.0, Some(1.0))).expect("runs");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(outcome == Outcome::Done && json.as_array().is_some_and(|list| list.len() == 1), "{text}");
        fs::remove_file(bench.baseline()).expect("removable");
        let error = bench.check(&args, &run("f", 1.0, Some(1.0))).expect_err("nothing to check");
        assert!(matches!(error, CliError::Usage(_)));
    }

    #[test]
    fn junit_lists_a_case_per_metric() {
        let bench = Bench::new();
        bench.bless(&run("f", 1.0, Some(1.0)), "The first");
        let junit = bench.folder.path().join("out/check.xml");
        let args = CheckArgs { junit: Some(junit.clone()), ..bench.args() };
        bench.check(&args, &run("g", 0.5, Some(1.0))).expect("runs");
        let xml = fs::read_to_string(&junit).expect("text");
        assert!(
            xml.contains("tests=\"4\"") && xml.contains("failures=\"1\"") && !xml.contains("timestamp"),
            "{xml}"
        );
    }

    #[test]
    fn malformed_baselines_are_named_errors() {
        let bench = Bench::new();
        bench.bless(&run("f", 1.0, Some(1.0)), "The first");
        let good = fs::read_to_string(bench.baseline()).expect("text");
        let failure = |from: &str, to: &str| {
            assert!(good.contains(from), "{good}");
            fs::write(bench.baseline(), good.replacen(from, to, 1)).expect("writable");
            bench.check(&bench.args(), &run("f", 1.0, Some(1.0))).expect_err("malformed").to_string()
        };
        assert!(failure("version: 1", "version: 2").contains("version is 2; allowed is 1"));
        assert!(failure("Absolute(0.005)", "Absolute(-1.0)").contains("tolerance is -1"));
        assert!(failure("Absolute(0.005)", "Absolute(NaN)").contains("tolerance is NaN"));
        assert!(failure("\"privacy.epsilon\"", "\"delivery.ratio\"").contains("recorded twice"));
        assert!(failure("version", "varsion").contains("varsion"));
        assert!(failure("(", "").contains("smoke.ron:"));
    }
}
