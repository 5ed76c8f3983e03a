//! Writes the figures of solvers for `docs/BENCHMARKS.md`, in Markdown: which targets are met, and rounds and slots to gaps of 1e-3
//! and 1e-6 on the published fleets, seeds 0 to 4.
//!
//! ```console
//! cargo run --release -p cosmosmesh-protocol --example solvers
//! ```
//!
//! A word as its argument leaves only the solvers whose name has it, without the targets.
#![expect(clippy::print_stdout, reason = "the tables are the output")]

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
        ("quasi-Newton, diagonal, 32 trials", MethodSettings { trials: 32, ..one(Curvature::Diagonal) }),
        ("quasi-Newton, matrix, one trial", one(Curvature::Matrix)),
        ("quasi-Newton, matrix, 4 trials", MethodSettings { trials: 4, ..of(Kind::QuasiNewton) }),
        ("quasi-Newton, matrix, 8 trials", MethodSettings { trials: 8, ..of(Kind::QuasiNewton) }),
        ("asynchronous exchange", of(Kind::AsynchronousExchange)),
        ("asynchronous, diagonal", with(Kind::Asynchronous, Curvature::Diagonal)),
        ("asynchronous, matrix", of(Kind::Asynchronous)),
    ]
}

/// The contacts in which fleets of a condition number are planned.
#[derive(Clone, Copy, PartialEq)]
struct Load {
    condition: f64,
    rounds: bool,
}

/// What a method took on a load: slots to 1e-3 and to 1e-6 by seed, and bytes of an answer and of a request.
struct Taken {
    name: &'static str,
    rough: Vec<Option<usize>>,
    fine: Vec<Option<usize>>,
    bytes: [usize; 2],
}

impl Load {
    fn all() -> [Self; 4] {
        let load = |condition, rounds| Self { condition, rounds };
        [load(1e2, true), load(1e4, true), load(1e2, false), load(1e4, false)]
    }

    fn title(self) -> String {
        let contacts = if self.rounds {
            "Rounds with everyone present"
        } else {
            "Slots at 60 % contact and 4 slots of delay"
        };
        format!("{contacts}, condition number {}", thousands(self.condition))
    }

    fn model(self, seed: u64) -> SlotModel {
        if self.rounds {
            SlotModel::rounds(150)
        } else {
            SlotModel { limit: 400, ..SlotModel::published(seed) }
        }
    }

    fn measure(self, word: &str) -> Vec<Taken> {
        let draw = |seed| FleetSpec::published(seed, self.condition).draw().expect("valid");
        let fleets: Vec<Planted> = SEEDS.map(draw).collect();
        let chosen = methods().into_iter().filter(|(name, _)| name.contains(word));
        chosen.map(|(name, settings)| self.one(name, settings, &fleets)).collect()
    }

    fn one(self, name: &'static str, settings: MethodSettings, fleets: &[Planted]) -> Taken {
        let fly = |(fleet, seed): (&Planted, u64)| {
            run(&fleet.problem, fleet.best, settings, self.model(seed)).expect("solvable")
        };
        let courses: Vec<Course> = fleets.iter().zip(SEEDS).map(fly).collect();
        let to = |limit| courses.iter().map(|course| course.slots_to(limit)).collect();
        let each = |bytes: fn(&Course) -> usize| {
            median(
                &courses.iter().map(|course| Some(bytes(course) / course.answers.max(1))).collect::<Vec<_>>(),
            )
        };
        let bytes =
            [each(|course| course.bytes_up), each(|course| course.bytes_down)].map(Option::unwrap_or_default);
        Taken { name, rough: to(1e-3), fine: to(1e-6), bytes }
    }
}

/// The median; what never came is later than all.
fn median(values: &[Option<usize>]) -> Option<usize> {
    let mut sorted: Vec<usize> = values.iter().map(|value| value.unwrap_or(usize::MAX)).collect();
    sorted.sort_unstable();
    Some(sorted[sorted.len() / 2]).filter(|&value| value < usize::MAX)
}

fn shown(slots: Option<usize>) -> String {
    slots.map_or_else(|| "–".into(), |slots| slots.to_string())
}

fn thousands(value: f64) -> String {
    if value >= 1e3 {
        format!("{},{:03}", value as u64 / 1000, value as u64 % 1000)
    } else {
        value.to_string()
    }
}

fn table(load: Load, taken: &[Taken]) {
    println!("\n### {}\n", load.title());
    println!(
        "| solver | to 1e-3 | to 1e-6 | seeds converged | 1e-6 by seed | bytes of an answer | bytes of a request |"
    );
    println!("|---|---|---|---|---|---|---|");
    for Taken { name, rough, fine, bytes: [up, down] } in taken {
        let each: Vec<String> = fine.iter().map(|slots| shown(*slots)).collect();
        println!(
            "| {name} | {} | {} | {} of {} | {} | {up} | {down} |",
            shown(median(rough)),
            shown(median(fine)),
            fine.iter().flatten().count(),
            fine.len(),
            each.join(", "),
        );
    }
}

/// The targets, each with the best that was measured: by any solver, and by those that tell no more than a diagonal.
fn targets(loads: &[(Load, Vec<Taken>)]) {
    println!("| target | measured | |");
    println!("|---|---|---|");
    for (load, [rough, fine]) in [
        (Load { condition: 1e2, rounds: false }, [30, 60]),
        (Load { condition: 1e2, rounds: true }, [10, 15]),
        (Load { condition: 1e4, rounds: true }, [15, 30]),
    ] {
        let Some((_, taken)) = loads.iter().find(|(of, _)| *of == load) else { continue };
        let unit = if load.rounds { "rounds" } else { "slots" };
        line(&load.title(), (rough, fine, unit), taken.iter());
        if load.rounds {
            let title = format!("{}, telling no more than a diagonal", load.title());
            line(&title, (rough, fine, unit), taken.iter().filter(|taken| !taken.name.contains("matrix")));
        }
    }
}

fn line<'a>(title: &str, (rough, fine, unit): (usize, usize, &str), taken: impl Iterator<Item = &'a Taken>) {
    let key = |taken: &&Taken| median(&taken.fine).unwrap_or(usize::MAX);
    let Some(best) = taken.min_by_key(key) else { return };
    let (found, exact) = (median(&best.rough), median(&best.fine));
    let met = |found: Option<usize>, limit| found.is_some_and(|found| found <= limit);
    let every = best.fine.iter().all(Option::is_some);
    let verdict = if met(found, rough) && met(exact, fine) && every { "met" } else { "**missed**" };
    println!(
        "| {title}: 1e-3 in {rough} {unit}, 1e-6 in {fine}, every seed converged | {} and {} ({}) | {verdict} |",
        shown(found),
        shown(exact),
        best.name,
    );
}

fn main() {
    let word = std::env::args().nth(1).unwrap_or_default();
    let loads: Vec<(Load, Vec<Taken>)> =
        Load::all().into_iter().map(|load| (load, load.measure(&word))).collect();
    if word.is_empty() {
        targets(&loads);
    }
    loads.iter().for_each(|(load, taken)| table(*load, taken));
}
