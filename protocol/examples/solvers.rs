//! Writes the table of solvers for `docs/BENCHMARKS.md`: slots and rounds to gaps of 1e-3 and 1e-6 on the published fleets.
//!
//! ```console
//! cargo run --release -p cosmosmesh-protocol --example solvers
//! ```
#![expect(clippy::print_stdout, reason = "the table is the output")]

use cosmosmesh_protocol::planning::{
    generate::{FleetSpec, Planted},
    solver::{
        Curvature, Kind, MethodSettings,
        slots::{Course, SlotModel, run},
    },
};

const SEEDS: core::ops::Range<u64> = 0..5;

/// The methods with the settings of the figures.
fn methods() -> Vec<(&'static str, MethodSettings)> {
    let of = |kind| MethodSettings { eps_abs: 1e-9, eps_rel: 1e-9, ..MethodSettings::of(kind) };
    let adaptation = Some(cosmosmesh_protocol::planning::Adaptation::default());
    let with = |kind, curvature| MethodSettings { curvature, ..of(kind) };
    let one = |curvature| MethodSettings { trials: 1, ..with(Kind::QuasiNewton, curvature) };
    vec![
        ("exchange, plain", MethodSettings { relaxation: 1.0, ..of(Kind::Exchange) }),
        ("exchange, over-relaxed", of(Kind::Exchange)),
        ("exchange, adapted", MethodSettings { adaptation, ..of(Kind::Exchange) }),
        ("consensus", of(Kind::Consensus)),
        ("consensus, adapted", MethodSettings { adaptation, ..of(Kind::Consensus) }),
        ("anderson", of(Kind::Anderson)),
        ("quasi-Newton, diagonal, one trial", one(Curvature::Diagonal)),
        ("quasi-Newton, matrix, one trial", one(Curvature::Matrix)),
        ("quasi-Newton, diagonal", with(Kind::QuasiNewton, Curvature::Diagonal)),
        ("quasi-Newton, matrix", with(Kind::QuasiNewton, Curvature::Matrix)),
        ("quasi-Newton, matrix, 8 trials", MethodSettings { trials: 8, ..of(Kind::QuasiNewton) }),
        ("asynchronous exchange", of(Kind::AsynchronousExchange)),
        ("asynchronous, diagonal", with(Kind::Asynchronous, Curvature::Diagonal)),
        ("asynchronous, matrix", with(Kind::Asynchronous, Curvature::Matrix)),
    ]
}

/// The median; what never came is later than all.
fn median(values: impl Iterator<Item = Option<usize>>) -> Option<usize> {
    let mut sorted: Vec<usize> = values.map(|value| value.unwrap_or(usize::MAX)).collect();
    sorted.sort_unstable();
    Some(sorted[sorted.len() / 2]).filter(|&value| value < usize::MAX)
}

fn shown(slots: Option<usize>) -> String {
    slots.map_or_else(|| "–".into(), |slots| slots.to_string())
}

fn table(title: &str, limit: usize, condition: f64, model: fn(u64, usize) -> SlotModel) {
    let fleets: Vec<Planted> =
        SEEDS.map(|seed| FleetSpec::published(seed, condition).draw().expect("valid")).collect();
    println!("\n{title}, condition number {condition:e}\n");
    println!(
        "| solver | to 1e-3 | to 1e-6 | seeds converged | 1e-6 by seed | bytes up to the end | bytes down |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, settings) in methods() {
        let courses: Vec<Course> = (fleets.iter().zip(SEEDS))
            .map(|(fleet, seed)| {
                run(&fleet.problem, fleet.best, settings, model(seed, limit)).expect("solvable")
            })
            .collect();
        let to = |limit: f64| median(courses.iter().map(|course| course.slots_to(limit)));
        let converged = courses.iter().filter(|course| course.slots_to(1e-6).is_some()).count();
        let each: Vec<String> = courses.iter().map(|course| shown(course.slots_to(1e-6))).collect();
        let bytes = |bytes: fn(&Course) -> usize| {
            median(courses.iter().map(|course| Some(bytes(course) / course.answers.max(1))))
        };
        println!(
            "| {name} | {} | {} | {converged} of {} | {} | {} | {} |",
            shown(to(1e-3)),
            shown(to(1e-6)),
            courses.len(),
            each.join(", "),
            shown(bytes(|course| course.bytes_up)),
            shown(bytes(|course| course.bytes_down)),
        );
    }
}

fn main() {
    for condition in [1e2, 1e4] {
        table("Rounds with everyone present", 150, condition, |_, limit| SlotModel::rounds(limit));
    }
    for condition in [1e2, 1e4] {
        let contact = |seed, limit| SlotModel { limit, ..SlotModel::published(seed) };
        table("Slots at 60 % contact and 4 slots of delay", 400, condition, contact);
    }
}
