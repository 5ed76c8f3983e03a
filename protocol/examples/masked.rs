//! Writes the table of what masks cost, for `docs/PRIVACY.md`: slots to gaps of 1e-3 and 1e-6 on the published fleets (16 assets, 24 slots), with the
//! unmasking leg counted.
//!
//! ```console
//! cargo run --release -p cosmosmesh-protocol --example masked
//! ```
//!
//! With a word, only the methods whose name begins with it; with `noise`, only the price of noise.
#![expect(clippy::print_stdout, reason = "the table is the output")]

use cosmosmesh_protocol::planning::{
    generate::{FleetSpec, Planted},
    privacy::noise::{NoiseSettings, WhenSpent, epsilon},
    secure::slots::{MaskedCourse, Unmasking, run},
    solver::{
        Curvature, Kind, MethodSettings,
        slots::{self, Course, SlotModel},
    },
};

const SEEDS: core::ops::Range<u64> = 0..5;

/// The median; what never came is later than all.
fn median(values: impl Iterator<Item = Option<usize>>) -> String {
    let mut sorted: Vec<usize> = values.map(|value| value.unwrap_or(usize::MAX)).collect();
    sorted.sort_unstable();
    let median = sorted[sorted.len() / 2];
    if median == usize::MAX { "–".into() } else { median.to_string() }
}

fn row(name: &str, masks: &str, courses: &[Course], committee: &str) {
    let to = |limit: f64| median(courses.iter().map(|course| course.slots_to(limit)));
    let reached = courses.iter().filter(|course| course.slots_to(1e-6).is_some()).count();
    let ended = courses.iter().filter(|course| course.outcome.is_some()).count();
    let bytes = median(courses.iter().map(|course| Some(course.bytes_up / course.answers.max(1))));
    println!(
        "| {name} | {masks} | {} | {} | {reached} of {} | {ended} | {bytes} | {committee} |",
        to(1e-3),
        to(1e-6),
        courses.len()
    );
}

/// The price of privacy: exchange with everyone present and noise on every share, the gap against ε.
fn noise(fleets: &[Planted]) {
    println!(
        "\n| solver | σ in units | rounds | mean gap of the last 10 rounds (median of 5 seeds) | ρ | ε at δ = 1e-6 |"
    );
    println!("|---|---|---|---|---|---|");
    let shares = ("asynchronous exchange", MethodSettings::of(Kind::AsynchronousExchange), 0);
    let models = MethodSettings { curvature: Curvature::Diagonal, ..MethodSettings::of(Kind::Asynchronous) };
    let models = ("asynchronous, diagonal", models, 2);
    for (name, settings, slope_bits) in [shares, models] {
        for (rounds, log2) in [(10, 14), (10, 16), (10, 18), (10, 20), (30, 15), (30, 16), (30, 18), (30, 20)]
        {
            let noise = NoiseSettings {
                grain_bits: 14,
                clip: 32 << 16,
                norm: None,
                slope_bits,
                variance: 1 << (2 * log2),
                budget: u64::MAX,
                when_spent: WhenSpent::KeepLast,
            };
            let unmasking = Unmasking { noise: Some(noise), ..Unmasking::at_once(16) };
            let model = SlotModel::rounds(rounds);
            let mut gaps = Vec::new();
            let mut rho = 0.0;
            for fleet in fleets {
                let found = run(&fleet.problem, fleet.best, settings, model, unmasking).expect("solvable");
                let last = &found.course.gaps[found.course.gaps.len().saturating_sub(10)..];
                gaps.push(last.iter().sum::<f64>() / last.len() as f64);
                rho = found.rho;
            }
            gaps.sort_by(f64::total_cmp);
            let sigma = f64::from(1_u32 << log2) / 65536.0;
            println!(
                "| {name} | {sigma} | {rounds} | {:.2e} | {rho:.3e} | {:.3e} |",
                gaps[gaps.len() / 2],
                epsilon(rho, 1e-6)
            );
        }
    }
}

fn main() {
    let of = |kind| MethodSettings { eps_abs: 1e-7, eps_rel: 1e-7, ..MethodSettings::of(kind) };
    let methods = [
        ("quasi-Newton, matrix", MethodSettings { curvature: Curvature::Matrix, ..of(Kind::QuasiNewton) }),
        ("asynchronous, matrix", of(Kind::Asynchronous)),
        ("asynchronous exchange", of(Kind::AsynchronousExchange)),
    ];
    let only = std::env::args().nth(1);
    let fleets: Vec<Planted> =
        SEEDS.map(|seed| FleetSpec::published(seed, 1e2).draw().expect("valid")).collect();
    let model = |seed| SlotModel { limit: 400, ..SlotModel::published(seed) };
    println!(
        "| solver | masks | to 1e-3 | to 1e-6 | seeds at 1e-6 | seeds committed | bytes of an answer | bytes of a mask sum |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let wanted = |name: &str| only.as_ref().is_none_or(|word| name.starts_with(word.as_str()));
    for (name, settings) in methods.into_iter().filter(|(name, _)| wanted(name)) {
        let plain: Vec<Course> = (fleets.iter().zip(SEEDS))
            .map(|(fleet, seed)| {
                slots::run(&fleet.problem, fleet.best, settings, model(seed)).expect("solvable")
            })
            .collect();
        row(name, "none", &plain, "–");
        // What no masks could beat: every answer is a leg later, and nothing else waits for anything.
        for leg in [1, 2, 4] {
            let late: Vec<Course> = (fleets.iter().zip(SEEDS))
                .map(|(fleet, seed)| {
                    let model = SlotModel { back: model(seed).back + leg, ..model(seed) };
                    slots::run(&fleet.problem, fleet.best, settings, model).expect("solvable")
                })
                .collect();
            row(name, &format!("none, answers {leg} slots later"), &late, "–");
        }
        for (k_min, leg) in [(3, 0), (3, 1), (3, 2), (3, 4), (8, 1)] {
            let unmasking = Unmasking { slots: leg, ..Unmasking::at_once(k_min) };
            let masked: Vec<MaskedCourse> = (fleets.iter().zip(SEEDS))
                .map(|(fleet, seed)| {
                    run(&fleet.problem, fleet.best, settings, model(seed), unmasking).expect("solvable")
                })
                .collect();
            let each =
                median(masked.iter().map(|run| Some(run.bytes_of_committee / (4 * run.windows.max(1)))));
            let courses: Vec<Course> = masked.into_iter().map(|run| run.course).collect();
            row(name, &format!("k_min {k_min}, leg {leg}"), &courses, &each);
        }
    }
    if only.as_ref().is_none_or(|word| word == "noise") {
        noise(&fleets);
    }
}
