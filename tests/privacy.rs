//! Plans under masks, flown: the binary flies tests/data/runs/private.ron with one thing changed after the other. The oracles hold in all.

use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// A run, and the plan that its assets hold at the end, by asset and slot: passes apart from the rest.
struct Flown {
    run: Value,
    passes: BTreeMap<(String, String), f64>,
    plan: BTreeMap<(String, String), f64>,
    page: String,
    deliveries: Vec<String>,
}

impl Flown {
    fn value(&self, name: &str) -> Option<f64> {
        self.run["metrics"][name]["value"].as_f64()
    }

    fn metric(&self, name: &str) -> f64 {
        self.value(name).unwrap_or_else(|| panic!("no {name} in {}", self.run["metrics"]))
    }

    fn refused(&self) -> Vec<&String> {
        let metrics = self.run["metrics"].as_object().expect("an object");
        let refused = metrics.keys().filter(|name| name.starts_with("security.refused."));
        refused.filter(|name| self.metric(name) > 0.0).collect()
    }
}

fn text(changes: &[(&str, &str)]) -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs/private.ron");
    let mut text = fs::read_to_string(data).expect("the scenario");
    for (written, instead) in changes {
        assert_eq!(text.matches(written).count(), 1, "{written}");
        text = text.replace(written, instead);
    }
    text
}

fn fly_on(threads: &str, changes: &[(&str, &str)]) -> Flown {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (scenario, out) = (place.path().join("private.ron"), place.path().join("out"));
    fs::write(&scenario, text(changes)).expect("a scenario");
    let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .arg("run")
        .arg(&scenario)
        .args(["--json", "--threads", threads, "--out"])
        .arg(&out)
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{changes:?}: {errors}");
    let plans = fs::read_to_string(out.join("plans.csv")).expect("plans");
    let (mut plan, mut passes) = (BTreeMap::new(), BTreeMap::new());
    for line in plans.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (asset, slot) = (fields[0].to_owned(), fields[fields.len() - 2].to_owned());
        let quantity = if fields[1..].contains(&"pass") { &mut passes } else { &mut plan };
        quantity.insert((asset, slot), fields[fields.len() - 1].parse().expect("a number"));
    }
    let page = fs::read_to_string(out.join("report.html")).expect("a page");
    let deliveries = fs::read_to_string(out.join("deliveries.csv")).expect("deliveries");
    let deliveries = deliveries.lines().skip(1).map(Into::into).collect();
    Flown { run: serde_json::from_slice(&output.stdout).expect("a summary"), passes, plan, page, deliveries }
}

fn fly(changes: &[(&str, &str)]) -> Flown {
    fly_on("1", changes)
}

const MASKS: &str = "privacy: Masked(committee: [\"seat-1\", \"seat-2\", \"seat-3\", \"seat-4\"])";
const OFF: (&str, &str) = (MASKS, "privacy: Off");
const EXCHANGE: &str = "solver: Exchange";

fn down(asset: &str, start: &str, end: &str) -> String {
    format!("faults: [AssetDown(asset: \"{asset}\", start: \"{start}\", end: \"{end}\")]")
}

#[test]
fn a_masked_run_gives_the_plan_of_the_unmasked_one_up_to_its_fixed_point() {
    for solver in ["Exchange", "Consensus", "Anderson", "QuasiNewton", "AsynchronousExchange"] {
        let solver = format!("solver: {solver}");
        let (masked, plain) = (fly(&[(EXCHANGE, &solver)]), fly(&[(EXCHANGE, &solver), OFF]));
        assert!(masked.metric("plan.optimality_gap") < 1e-4, "{solver}: {}", masked.run["metrics"]);
        assert_eq!(masked.plan.len(), 24);
        for (place, value) in &plain.plan {
            let apart = (masked.plan[place] - value).abs();
            assert!(apart < 1e-3, "{solver} {place:?}: {apart}");
        }
        assert!(masked.metric("privacy.windows_opened") > 1.0);
        assert!(plain.value("privacy.windows_opened").is_none() && !plain.page.contains("Privacy spent"));
        assert!(masked.page.contains("Privacy spent"));
        assert_eq!(masked.refused(), Vec::<&String>::new(), "{solver}");
        // The unmasking leg is counted apart from the answers.
        assert!(masked.metric("plan.committee_bytes_per_round") > 0.0);
        assert_eq!(plain.metric("plan.committee_bytes_per_round"), 0.0);
        assert!(plain.metric("plan.uplink_bytes_per_round") > 0.0);
    }
}

/// Six assets that also want passes of one antenna, at most two each.
fn auction() -> Vec<(String, String)> {
    let commodities = "commodities: [\"power\", \"pass\"],\n        balance: [\"power\"],\n        \
                       constraints: [Exclusion(name: \"antenna\", commodity: \"pass\")],";
    let mut changes = vec![("commodities: [\"power\"],".to_owned(), commodities.to_owned())];
    for (curvature, wanted) in
        [("0.6", 1.0), ("0.9", 0.7), ("1.2", 1.3), ("1.5", 0.7), ("1.8", 0.9), ("2.1", 0.4)]
    {
        let power = format!("curvature: {curvature}, min: -6.0, max: 6.0)");
        let pass = format!(
            "{power}, (commodity: \"pass\", preferred: {wanted}, curvature: {curvature}, min: 0.0, max: 1.0, \
             total_max: 2.0, requests: true)"
        );
        changes.push((power, pass));
    }
    changes
}

#[test]
fn under_masks_passes_are_taken_or_not_and_the_gap_is_reported() {
    let auction = auction();
    let auction: Vec<(&str, &str)> = auction.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let read = fly(&[auction.clone(), vec![OFF]].concat());
    for solver in ["Exchange", "QuasiNewton", "AsynchronousExchange", "Asynchronous"] {
        let solver = format!("solver: {solver}");
        let masked = fly(&[auction.clone(), vec![(EXCHANGE, &solver)]].concat());
        assert_eq!(masked.passes.len(), 24);
        let whole = masked.passes.values().all(|value| *value == 0.0 || *value == 1.0);
        assert!(whole, "{solver}: {:?}", masked.passes);
        for slot in 0..4 {
            let taken: f64 =
                masked.passes.iter().filter(|((_, at), _)| *at == slot.to_string()).map(|one| one.1).sum();
            assert!(taken <= 1.0, "{solver}: {taken} passes in slot {slot}");
        }
        // No worse than where bids are read, and no better than the relaxed plan.
        let (found, bids) = (masked.metric("plan.integrality_gap"), read.metric("plan.integrality_gap"));
        assert!(found > -1e-4 && found < bids + 0.05, "{solver}: {found}, and {bids} where bids are read");
        assert!(masked.metric("plan.optimality_gap") < 1e-3, "{solver}: {}", masked.run["metrics"]);
        assert!(masked.metric("privacy.windows_opened") > 1.0);
        assert_eq!(masked.refused(), Vec::<&String>::new(), "{solver}");
    }
}

#[test]
fn a_lost_member_of_the_committee_is_recovered_and_the_plan_goes_on() {
    let fault = down("seat-2", "300 ms", "20 min");
    let lost = fly(&[("faults: []", &fault)]);
    assert_eq!(lost.metric("privacy.members_recovered"), 1.0);
    assert!(lost.metric("plan.optimality_gap") < 1e-4, "{}", lost.run["metrics"]);
    // Two lost of four, with a threshold of three and one recovery: sums stay closed, and it is said.
    let two = "faults: [AssetDown(asset: \"seat-2\", start: \"300 ms\", end: \"20 min\"), AssetDown(asset: \"seat-3\", start: \"300 ms\", end: \"20 min\")]";
    let closed = fly(&[("faults: []", two)]);
    assert!(closed.metric("privacy.windows_unopened.committee_silent") > 0.0);
    assert!(closed.metric("privacy.windows_opened") < lost.metric("privacy.windows_opened"));
    assert!(closed.page.contains("committee silent"));
}

#[test]
fn an_asset_that_dies_in_a_round_does_not_stop_the_others() {
    let fault = down("asset-4", "300 ms", "20 min");
    let (alive, dead) = (fly(&[]), fly(&[("faults: []", &fault)]));
    // Rounds close at their deadline with those who are there, and its last answer in the sum.
    assert!(dead.metric("privacy.windows_opened") > 5.0, "{}", dead.run["metrics"]);
    assert!(dead.metric("plan.rounds") > 5.0);
    assert!(dead.metric("privacy.answers_per_window") < alive.metric("privacy.answers_per_window"));
}

#[test]
fn who_crashes_and_comes_back_says_nothing_twice() {
    for who in ["asset-4", "seat-2"] {
        let fault = down(who, "300 ms", "30 s");
        let back = fly(&[("faults: []", &fault)]);
        assert!(back.metric("plan.optimality_gap") < 1e-4, "{who}: {}", back.run["metrics"]);
        let told = back.refused();
        let reused = told.iter().any(|name| name.contains("replayed") || name.contains("second_set"));
        assert!(!reused, "{who}: {told:?}");
    }
}

#[test]
fn who_loses_the_counts_of_its_masks_takes_no_further_part_and_says_so() {
    let late = |flown: &Flown, who: &str| {
        let of = |line: &&String| {
            let fields: Vec<&str> = line.split(',').collect();
            let at: f64 = fields[0].parse().expect("a time");
            fields[1] == who && fields[3] == "plan" && at > 31.0
        };
        flown.deliveries.iter().filter(of).count()
    };
    for who in ["asset-4", "seat-2"] {
        let kept = down(who, "300 ms", "30 s");
        let lost = kept.replace("\"30 s\"", "\"30 s\", disk: Lost");
        let (kept, open) = (fly(&[("faults: []", &kept)]), fly(&[("faults: []", &lost), OFF]));
        let lost = fly(&[("faults: []", &lost)]);
        assert_eq!(late(&lost, who), 0, "{who} masks nothing under its earlier secret");
        assert_eq!(lost.metric("security.refused.plan_masks_lost"), 1.0, "{who}");
        assert!(late(&kept, who) > 0, "{who}, which has kept its counts, goes on");
        assert!(open.value("security.refused.plan_masks_lost").is_none());
        assert_eq!(late(&open, who) > 0, who == "asset-4", "without masks it goes on");
    }
}

#[test]
fn a_successor_opens_an_epoch_of_its_own() {
    let fault = down("asset-1", "300 ms", "2 min");
    let led = fly(&[("faults: []", &fault)]);
    assert!(led.metric("privacy.epochs") >= 2.0, "{}", led.run["metrics"]);
    assert!(led.metric("plan.optimality_gap") < 1e-4, "{}", led.run["metrics"]);
}

const NOISE: &str = "privacy: Masked(k_min: 3, committee: [\"seat-1\", \"seat-2\", \"seat-3\", \"seat-4\"], \
     noise: (clip: 6.0, epsilon: 1e6, answers: 12))";

#[test]
fn a_spent_budget_ends_the_plan_and_is_reported() {
    let noisy = [(MASKS, NOISE), (EXCHANGE, "solver: AsynchronousExchange")];
    let leaves = NOISE.replace("answers: 12", "answers: 12, when_spent: Leave");
    // With rounds too: squares behind the shares say nothing then.
    let rounds = (EXCHANGE, EXCHANGE);
    for (privacy, solver) in [(NOISE, noisy[1]), (&leaves, noisy[1]), (NOISE, rounds), (&leaves, rounds)] {
        let flown = fly(&[(MASKS, privacy), solver]);
        // Fewer than three still answer: the plan is committed as it is.
        assert!(flown.metric("privacy.exhausted") >= 4.0, "{}", flown.run["metrics"]);
        assert!(flown.metric("privacy.releases") <= 6.0 * 12.0);
        let spent = flown.metric("privacy.epsilon");
        assert!(spent <= 1e6 && spent > 0.9e6, "{spent}");
        assert_eq!(flown.metric("privacy.delta"), 1e-6);
        assert!(flown.page.contains("answer no more"));
    }
    // A crash in between neither forgets what was spent nor spends it twice.
    let fault = down("asset-4", "300 ms", "20 s");
    let crashed = fly(&[(MASKS, NOISE), noisy[1], ("faults: []", &fault)]);
    assert!(crashed.metric("privacy.releases") <= 6.0 * 12.0);
    assert!(crashed.metric("privacy.epsilon") <= 1e6);
    assert!(crashed.metric("privacy.exhausted") >= 4.0, "{}", crashed.run["metrics"]);
}

#[test]
fn masks_and_noise_do_not_depend_on_threads() {
    let changes = [(MASKS, NOISE), (EXCHANGE, "solver: AsynchronousExchange")];
    for changes in [&changes[..], &[]] {
        let (one, two) = (fly_on("1", changes), fly_on("2", changes));
        assert_eq!(one.run["fingerprint"], two.run["fingerprint"]);
        assert!(one.run["fingerprint"].is_string());
        assert_eq!(one.plan, two.plan);
    }
}

#[test]
fn what_masks_cannot_do_is_a_mistake_of_the_scenario() {
    let refused = |changes: &[(&str, &str)]| {
        let found = cosmosmesh::scenario::Scenario::parse("private.ron", &text(changes));
        found.expect_err("a mistake").to_string()
    };
    for (privacy, told) in [
        ("privacy: Masked(committee: [\"seat-1\"])", "2 to 16 seats"),
        ("privacy: Masked(k_min: 1)", "from 2 to 6"),
        ("privacy: Masked(k_min: 7)", "from 2 to 6"),
        ("privacy: Masked(threshold: 2)", "0, or 3 to 3"),
        ("privacy: Masked(recoveries: 2)", "from 0 to 1"),
        ("privacy: Masked(noise: (clip: 0.0, epsilon: 1.0, answers: 5))", "above zero"),
        ("privacy: Masked(noise: (clip: 1.0, epsilon: 1.0, delta: 1.0, answers: 5))", "below 1"),
        ("privacy: Maske", "Masked"),
    ] {
        let found = refused(&[(MASKS, privacy)]);
        assert!(found.contains(told), "{privacy}: {found}");
    }
    let noise = (MASKS, "privacy: Masked(noise: (clip: 1.0, epsilon: 1.0, answers: 5))");
    let spoilt = refused(&[noise, (EXCHANGE, "solver: QuasiNewton")]);
    assert!(spoilt.contains("Exchange, AsynchronousExchange or Auto"), "{spoilt}");
    let requests =
        ("curvature: 0.6, min: -6.0, max: 6.0", "curvature: 0.6, min: 0.0, max: 1.0, requests: true");
    assert!(refused(&[noise, requests]).contains("no requests under noise"));
}

#[test]
fn keys_last_for_the_horizons_or_the_scenario_is_refused() {
    use cosmosmesh::scenario::Scenario;
    // Three horizons, and a total that binds only the first: answers are shorter from the second on, which costs each candidate a turn.
    let rolling = "slots: 4,\n        rolling: (every: \"6 h\", horizons: 3),\n        constraints: [Total(name: \"early\", \
         commodity: \"power\", max: 100.0, slots: (first: 0, last: 0))],";
    let mut changes = vec![("duration: \"20 min\"", "duration: \"30 h\""), ("slots: 4,", rolling)];
    let lists = [
        "[4.0, 5.0, 3.0, 2.0]",
        "[-1.0, -2.0, -1.5, -1.0]",
        "[-2.0, -1.0, -2.5, -0.5]",
        "[1.0, 0.5, 2.0, 1.0]",
        "[-1.5, -0.5, -1.0, -2.0]",
        "[0.5, 1.0, -0.5, 0.0]",
    ];
    changes.extend(lists.iter().map(|list| (*list, "1.0")));
    let with = |coordinators: &str| {
        let masks = MASKS.replace("committee:", &format!("{coordinators}committee:"));
        let all = [changes.clone(), vec![(MASKS, masks.as_str())]].concat();
        Scenario::parse("private.ron", &text(&all)).map_err(|mistakes| mistakes.to_string())
    };
    let published =
        |scenario: Scenario| scenario.planning.expect("a plan").privacy.masks().expect("masks").epochs;
    assert_eq!(with("").map(published), Ok(8));
    assert_eq!(with("coordinators: 3, ").map(published), Ok(3));
    assert!(with("coordinators: 2, ").is_err_and(|told| told.contains("from 3 to 1024")));
}

#[test]
fn masks_are_on_where_somebody_can_open_them_and_off_with_a_reason_else() {
    use cosmosmesh::scenario::{PrivacySpec, Scenario};
    let privacy = |changes: &[(&str, &str)]| {
        let scenario = Scenario::parse("private.ron", &text(changes)).expect("valid");
        scenario.planning.expect("a plan").privacy
    };
    let spec = privacy(&[(MASKS, "max_rounds: 500")]);
    let masks = spec.masks().expect("on by default");
    assert_eq!((masks.committee.len(), masks.k_min, masks.threshold, masks.recoveries), (4, 3, 3, 1));
    let rovers: Vec<(String, String)> = (2..=4)
        .map(|seat| (format!("\"seat-{seat}\", kind: Habitat"), format!("\"seat-{seat}\", kind: Rover")))
        .collect();
    let mut changes: Vec<(&str, &str)> = rovers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    changes.push((MASKS, "max_rounds: 500"));
    assert!(matches!(privacy(&changes), PrivacySpec::Off { why } if why.starts_with("fewer than three")));
    assert!(matches!(privacy(&[OFF]), PrivacySpec::Off { why: "off in the scenario" }));
}
