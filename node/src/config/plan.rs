//! The plan that this node takes part in: who coordinates, what binds the fleet, and what its own asset wants.

use super::{
    check::Mistakes,
    masks::{Masks, RawNoise, check_masks},
    place::Step,
    raw::RawConfig,
};
use cosmosmesh_protocol::{
    id::NodeId,
    node::{PlanConfig, Requests},
    planning::{
        Assembly, Commodity, CouplingKind, LocalProblem, QpSettings, Rule, Schedule,
        solver::{Asset, Coordinator, Kind, MethodSettings, Pace},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The most slots of a plan.
const MAX_SLOTS: usize = 1000;
/// The longest time that may be set, in seconds: a year.
const MAX_SECONDS: u32 = 365 * 86_400;

/// The plan, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the node is told.
    pub config: Box<PlanConfig>,
    /// The commodities' names, in order: the values of each follow one another in the asset's plan, slot by slot.
    pub commodities: Vec<String>,
    /// How many slots each has.
    pub slots: usize,
    /// What keeps the coordinator from reading each asset's answers; it reads them without.
    pub masks: Option<Masks>,
    /// What was written: later horizons differ from it in parts only.
    pub(super) raw: RawPlan,
}

impl Plan {
    /// Whether some plan keeps all that the asset of `node` wants. That is solved, which takes seconds where there are many slots: for who takes part, and not
    /// for everybody who reads the configuration.
    ///
    /// # Errors
    /// Why none does.
    pub(crate) fn check_own_part(&self, node: NodeId) -> Result<(), String> {
        let Some(problem) = &self.config.problem else { return Ok(()) };
        let asset = Asset::new(node, problem.clone(), QpSettings::default());
        asset.map(drop).map_err(|error| error.to_string())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Plan")]
pub(crate) struct RawPlan {
    /// The coordinator, then its successors in their order.
    coordinators: Vec<u64>,
    pub(super) participants: Vec<u64>,
    #[serde(default)]
    pub(super) joiners: Vec<u64>,
    /// The horizon that it is of.
    #[serde(default)]
    pub(super) horizon: u64,
    pub(super) slots: usize,
    pub(super) commodities: Vec<RawCommodity>,
    #[serde(default)]
    pub(super) constraints: Vec<RawConstraint>,
    #[serde(default)]
    pub(super) terms: Vec<RawTerm>,
    #[serde(default)]
    pub(super) solver: RawSolver,
    #[serde(default = "default_tolerance")]
    tolerance: f64,
    #[serde(default = "default_round_s")]
    pub(super) round_s: u32,
    #[serde(default)]
    succession_s: Option<u32>,
    #[serde(default)]
    absence_s: Option<u32>,
    #[serde(default = "default_lifetime_s")]
    lifetime_s: u32,
    /// Whether the coordinator reads every asset's answer: nobody's are in the clear by an oversight.
    pub(super) answers: RawAnswers,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum RawAnswers {
    InTheClear,
    Masked {
        keys: PathBuf,
        committee: Vec<u64>,
        most: f64,
        #[serde(default)]
        k_min: Option<usize>,
        #[serde(default)]
        cohort: Option<usize>,
        #[serde(default)]
        changes: Option<usize>,
        #[serde(default)]
        threshold: Option<usize>,
        #[serde(default)]
        recoveries: Option<usize>,
        #[serde(default)]
        patience_s: Option<u32>,
        #[serde(default)]
        noise: Option<RawNoise>,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Commodity")]
pub(super) struct RawCommodity {
    pub(super) name: String,
    /// Whether what is given of it equals what is taken, in every slot.
    #[serde(default = "yes")]
    balanced: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename = "Constraint")]
pub(super) struct RawConstraint {
    pub(super) name: String,
    pub(super) commodity: String,
    kind: RawKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<u64>>,
    /// First slot, and the one after the last; all slots without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<(usize, usize)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum RawKind {
    /// Of the sum over the window.
    Budget,
    /// Of each slot's sum.
    Exclusion,
    /// Of each slot's sum.
    Envelope,
    /// Of the sum over the window.
    Total,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename = "Term")]
pub(super) struct RawTerm {
    pub(super) commodity: String,
    pub(super) preferred: Vec<f64>,
    curvature: f64,
    pub(super) min: Vec<f64>,
    pub(super) max: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ramp: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) enum RawSolver {
    Exchange,
    Consensus,
    Anderson,
    #[default]
    QuasiNewton,
    Asynchronous,
    AsynchronousExchange,
}

const fn yes() -> bool {
    true
}

const fn default_tolerance() -> f64 {
    1e-6
}

const fn default_round_s() -> u32 {
    60
}

const fn default_lifetime_s() -> u32 {
    86_400
}

impl RawSolver {
    /// Whether it goes on as if there were no noise on answers.
    pub(super) const fn needs_shares_alone(self) -> bool {
        matches!(self, Self::Exchange | Self::AsynchronousExchange)
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Exchange => Kind::Exchange,
            Self::Consensus => Kind::Consensus,
            Self::Anderson => Kind::Anderson,
            Self::QuasiNewton => Kind::QuasiNewton,
            Self::Asynchronous => Kind::Asynchronous,
            Self::AsynchronousExchange => Kind::AsynchronousExchange,
        }
    }
}

pub(super) fn check_plan(raw: &RawConfig, folder: &Path, mistakes: &mut Mistakes<'_>) -> Option<Plan> {
    let plan = raw.plan.as_ref()?;
    let before = mistakes.found.len();
    check_members(raw, plan, mistakes);
    check_numbers(plan, mistakes);
    check_series(plan, mistakes);
    if mistakes.found.len() > before {
        return None;
    }
    let assembly = assembly(plan).map_err(|problem| mistakes.add(&at("constraints"), problem)).ok()?;
    let problem = own_problem(plan, NodeId(raw.node), &assembly);
    let problem = problem.map_err(|problem| mistakes.add(&at("terms"), problem)).ok()?;
    let known =
        |node: u64| node == raw.node || raw.peers.iter().any(|peer| peer.node == node && peer.did.is_some());
    let masks = check_masks(plan, known, folder, problem.as_ref(), mistakes);
    if mistakes.found.len() > before {
        return None;
    }
    let config = config(plan, &assembly, problem);
    let members = config.participants.clone();
    let settings = config.settings.fit(config.couplings.len(), usize::MAX);
    if let Err(error) = Coordinator::new(settings, config.pace, &config.couplings, members) {
        mistakes.add(&[Step::Field("plan")], error.to_string());
        return None;
    }
    let commodities = plan.commodities.iter().map(|one| one.name.clone()).collect();
    Some(Plan { config: Box::new(config), commodities, slots: plan.slots, masks, raw: plan.clone() })
}

/// This node's own problem, if it takes part.
pub(super) fn own_problem(
    plan: &RawPlan,
    node: NodeId,
    assembly: &Assembly,
) -> Result<Option<LocalProblem>, String> {
    let takes_part = plan.participants.contains(&node.0) || plan.joiners.contains(&node.0);
    takes_part.then(|| problem(plan, node, assembly)).transpose()
}

const fn at(name: &'static str) -> [Step; 2] {
    [Step::Field("plan"), Step::Field(name)]
}

/// Everyone who is named is this node or a member with a key, once.
fn check_members(raw: &RawConfig, plan: &RawPlan, mistakes: &mut Mistakes<'_>) {
    let known =
        |node: u64| node == raw.node || raw.peers.iter().any(|peer| peer.node == node && peer.did.is_some());
    let lists = [
        ("coordinators", &plan.coordinators),
        ("participants", &plan.participants),
        ("joiners", &plan.joiners),
    ];
    for (name, list) in lists {
        for (place, node) in list.iter().enumerate() {
            let steps = [Step::Field("plan"), Step::Field(name), Step::Item(place)];
            if !known(*node) {
                mistakes.add(&steps, format!("{node} is no member: no peer with a `did`"));
            }
            if list[..place].contains(node) {
                mistakes.add(&steps, format!("{node} is given twice"));
            }
        }
    }
    if plan.coordinators.is_empty() {
        mistakes.add(&at("coordinators"), "nobody coordinates".to_owned());
    }
    if plan.participants.len() < 2 {
        let problem = format!("{} of them: at least two share something", plan.participants.len());
        mistakes.add(&at("participants"), problem);
    }
    for (place, node) in plan.joiners.iter().enumerate().filter(|(_, node)| plan.participants.contains(node))
    {
        let steps = [Step::Field("plan"), Step::Field("joiners"), Step::Item(place)];
        mistakes.add(&steps, format!("{node} takes part from the beginning"));
    }
    for node in plan.coordinators.iter().skip(1).filter(|node| !plan.participants.contains(node)) {
        // Who is asked nothing hears nothing, and does not miss the coordinator.
        mistakes.add(&at("coordinators"), format!("{node} takes no part, so it cannot succeed"));
    }
    let (all, coordinator) = (plan.participants.len(), plan.coordinators.first());
    let others = plan.participants.iter().filter(|node| Some(*node) != coordinator).count();
    if plan.coordinators.len() > 1 && others < all / 2 + 1 {
        let problem = format!(
            "nobody can be elected: without the first, {others} of {all} participants is no majority"
        );
        mistakes.add(&at("coordinators"), problem);
    }
}

fn check_numbers(plan: &RawPlan, mistakes: &mut Mistakes<'_>) {
    if !(1..=MAX_SLOTS).contains(&plan.slots) {
        mistakes.add(&at("slots"), format!("{} is out of range: allowed are 1 to {MAX_SLOTS}", plan.slots));
    }
    if !(plan.tolerance > 0.0 && plan.tolerance <= 1.0) {
        mistakes.add(&at("tolerance"), format!("{} is out of range: above 0, at most 1", plan.tolerance));
    }
    let times = [("round_s", Some(plan.round_s)), ("succession_s", plan.succession_s)];
    let more = [("absence_s", plan.absence_s), ("lifetime_s", Some(plan.lifetime_s))];
    for (name, seconds) in times.into_iter().chain(more) {
        if seconds.is_some_and(|seconds| !(1..=MAX_SECONDS).contains(&seconds)) {
            mistakes.add(&at(name), format!("out of range: allowed are 1 to {MAX_SECONDS}"));
        }
    }
    if plan.commodities.is_empty() {
        mistakes.add(&at("commodities"), "nothing to plan".to_owned());
    }
}

fn check_series(plan: &RawPlan, mistakes: &mut Mistakes<'_>) {
    let known = |name: &String| plan.commodities.iter().any(|one| one.name == *name);
    for (place, term) in plan.terms.iter().enumerate() {
        let steps = |name| [Step::Field("plan"), Step::Field("terms"), Step::Item(place), Step::Field(name)];
        if !known(&term.commodity) {
            mistakes.add(&steps("commodity"), format!("{:?} is no commodity of the plan", term.commodity));
        }
        for (name, list) in [("preferred", &term.preferred), ("min", &term.min), ("max", &term.max)] {
            if list.len() != plan.slots {
                mistakes.add(&steps(name), format!("{} values, of {} slots", list.len(), plan.slots));
            }
        }
        if plan.terms[..place].iter().any(|other| other.commodity == term.commodity) {
            mistakes.add(&steps("commodity"), format!("{:?} has a term already", term.commodity));
        }
    }
    for (place, rule) in plan.constraints.iter().enumerate() {
        let steps =
            |name| [Step::Field("plan"), Step::Field("constraints"), Step::Item(place), Step::Field(name)];
        if !known(&rule.commodity) {
            mistakes.add(&steps("commodity"), format!("{:?} is no commodity of the plan", rule.commodity));
        }
    }
}

/// What binds the fleet: the same at every member whose file says the same. Slots are named from 0 on in each horizon.
pub(super) fn assembly(plan: &RawPlan) -> Result<Assembly, String> {
    assembly_beginning(plan, 0)
}

/// The same with slots named from `first_slot` on: as they were in the horizon before, where so many slots are over.
pub(super) fn assembly_beginning(plan: &RawPlan, first_slot: usize) -> Result<Assembly, String> {
    let place = |name: &str| plan.commodities.iter().position(|one| one.name == name).unwrap_or(0);
    let balanced = plan.commodities.iter().enumerate().filter(|(_, one)| one.balanced);
    let balances = balanced.map(|(at, one)| Rule::balance(one.name.clone(), at, plan.slots));
    let further = plan.constraints.iter().map(|one| {
        let (kind, each_slot) = match one.kind {
            RawKind::Budget => (CouplingKind::Budget, false),
            RawKind::Exclusion => (CouplingKind::MutualExclusion, true),
            RawKind::Envelope => (CouplingKind::SafetyEnvelope, true),
            RawKind::Total => (CouplingKind::Total, false),
        };
        let members = one.members.as_ref().map(|list| {
            let mut members: Vec<NodeId> = list.iter().copied().map(NodeId).collect();
            members.sort_unstable();
            members.dedup();
            members
        });
        let (first, end) = one.window.unwrap_or((0, plan.slots));
        Rule {
            name: one.name.clone(),
            kind,
            commodity: place(&one.commodity),
            members,
            window: first..end,
            each_slot,
            lower: one.min.unwrap_or(f64::NEG_INFINITY),
            upper: one.max.unwrap_or(f64::INFINITY),
        }
    });
    let rules = balances.chain(further).collect();
    Assembly::beginning(first_slot, plan.slots, rules).map_err(|error| error.to_string())
}

/// This node's own problem. What it has no term for it neither gives nor takes.
fn problem(plan: &RawPlan, node: NodeId, assembly: &Assembly) -> Result<LocalProblem, String> {
    let slots = plan.slots;
    let none = || Commodity {
        preferred: vec![0.0; slots],
        curvature: vec![1.0; slots],
        minimum: vec![0.0; slots],
        maximum: vec![0.0; slots],
        total_minimum: None,
        total_maximum: None,
        ramp: None,
    };
    let commodity = |name: &String| {
        let term = plan.terms.iter().find(|term| term.commodity == *name)?;
        Some(Commodity {
            preferred: term.preferred.clone(),
            curvature: vec![term.curvature; slots],
            minimum: term.min.clone(),
            maximum: term.max.clone(),
            total_minimum: term.total_min,
            total_maximum: term.total_max,
            ramp: term.ramp,
        })
    };
    let commodities = plan.commodities.iter().map(|one| commodity(&one.name).unwrap_or_else(none)).collect();
    let schedule = Schedule { slots, commodities };
    let mut parts = schedule.problem().map_err(|error| error.to_string())?.parts().clone();
    parts.shared = assembly.shared(node);
    parts.couplings = assembly.couplings().len();
    LocalProblem::new(parts).map_err(|error| error.to_string())
}

pub(super) fn config(plan: &RawPlan, assembly: &Assembly, problem: Option<LocalProblem>) -> PlanConfig {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let nodes = |list: &[u64]| list.iter().copied().map(NodeId).collect::<Vec<_>>();
    let coordinators = nodes(&plan.coordinators);
    let deadline = seconds(plan.round_s);
    PlanConfig {
        coordinator: coordinators[0],
        successors: coordinators[1..].to_vec(),
        succession: Some(plan.succession_s.map_or(deadline * 3, seconds)),
        participants: nodes(&plan.participants),
        joiners: nodes(&plan.joiners),
        horizon: plan.horizon,
        requests: Requests::default(),
        absence: Some(plan.absence_s.map_or(deadline * 10, seconds)),
        settings: MethodSettings {
            eps_abs: plan.tolerance,
            eps_rel: plan.tolerance,
            ..MethodSettings::of(plan.solver.kind())
        },
        auto: None,
        pace: Pace {
            deadline,
            gather: (deadline / 100).min(Duration::from_secs(10)),
            // A majority: no two coordinators of a fleet that is cut in two have one each.
            quorum: plan.participants.len() / 2 + 1,
            ..Pace::default()
        },
        couplings: assembly.couplings().clone(),
        problem,
        privacy: None,
        lifetime: seconds(plan.lifetime_s),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use cosmosmesh_protocol::id::NodeId;
    use std::path::Path;

    const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    const OTHER: &str = "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG";
    const TERMS: &str = "terms: [(commodity: \"power\", preferred: [3, 1], curvature: 1, min: [0, 0], max: [5, 5], total_max: 6)]";

    fn read(plan: &str) -> Result<Config, Vec<String>> {
        let text = format!(
            "(node: 1, state: \"state\", peers: [(node: 2, did: \"{DID}\", via: Inbound), (node: 3, via: Inbound), (node: 4, did: \"{OTHER}\", via: Inbound)], plan: ({plan}))"
        );
        Config::parse("node.ron", &text, Path::new("/folder"))
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_plan_is_read_with_what_binds_the_fleet_and_what_this_asset_wants() {
        let plan = format!(
            "coordinators: [2, 1], participants: [1, 2, 4], slots: 2, commodities: [(name: \"power\")], {TERMS}, answers: InTheClear,
             constraints: [(name: \"cable\", commodity: \"power\", kind: Envelope, members: [1], max: 4)], round_s: 5"
        );
        let plan = read(&plan).expect("it is right").plan.expect("it is there");
        let names: Vec<&str> = plan.config.couplings.as_slice().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["power[0]", "power[1]", "cable[0]", "cable[1]"]);
        let problem = plan.config.problem.as_ref().expect("it takes part");
        assert_eq!((problem.variables(), problem.couplings()), (2, 4));
        assert_eq!((plan.config.coordinator.0, plan.config.successors[0].0), (2, 1));
        assert_eq!((plan.config.pace.quorum, plan.config.succession.unwrap().as_secs()), (2, 15));
    }

    #[test]
    fn noise_is_for_methods_that_need_shares_alone_and_its_numbers_are_checked() {
        let plan = |solver: &str, noise: &str| {
            read(&format!(
                "coordinators: [1], participants: [1, 2], slots: 2, commodities: [(name: \"power\")], {TERMS}, solver: {solver},
                 answers: Masked(keys: \"mask-keys\", committee: [1, 2], most: 20, noise: ({noise}))"
            ))
        };
        let right = plan("Exchange", "clip: 5, epsilon: 10, answers: 8").expect("it is right");
        let noise =
            right.plan.and_then(|plan| plan.masks).and_then(|masks| masks.noise).expect("it is there");
        assert_eq!((noise.clip, noise.epsilon, noise.delta, noise.answers), (5.0, 10.0, 1e-6, 8));
        plan("AsynchronousExchange", "clip: 5, epsilon: 10, answers: 8, when_spent: Leave").expect("as well");
        for (solver, noise, told) in [
            ("QuasiNewton", "clip: 5, epsilon: 10, answers: 8", "plan.solver: noise"),
            ("Exchange", "clip: 0, epsilon: 10, answers: 8", "noise.clip"),
            ("Exchange", "clip: 5, norm: -1, epsilon: 10, answers: 8", "noise.norm"),
            ("Exchange", "clip: 5, epsilon: 1e8, answers: 8", "noise.epsilon"),
            ("Exchange", "clip: 5, epsilon: 10, delta: 1, answers: 8", "noise.delta"),
            ("Exchange", "clip: 5, epsilon: 10, answers: 0", "noise.answers"),
            ("Exchange", "clip: 5, epsilon: 10", "answers"),
        ] {
            let problems = plan(solver, noise).expect_err(told);
            assert!(problems[0].contains(told), "{problems:?}");
        }
    }

    #[test]
    fn a_seat_of_the_committee_that_is_given_twice_is_a_mistake() {
        let told = read(&format!(
            "coordinators: [1], participants: [1, 2, 4], slots: 2, commodities: [(name: \"power\")], {TERMS},
             answers: Masked(keys: \"mask-keys\", committee: [1, 2, 1], most: 20)"
        ));
        let told = told.expect_err("a mistake");
        assert!(told.len() == 1 && told[0].contains("committee: 1 is given twice"), "{told:?}");
    }

    #[test]
    fn who_asks_a_daemon_reads_its_configuration_without_building_its_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("node.ron");
        // Nothing keeps these terms, which building the problem finds.
        let plan = "coordinators: [1], participants: [1, 2], slots: 1, commodities: [(name: \"power\")], answers: InTheClear,
             terms: [(commodity: \"power\", preferred: [1], curvature: 1, min: [2], max: [3], total_max: 1)]";
        let peer = format!("(node: 2, did: \"{DID}\", via: Inbound)");
        let text = format!(
            "(node: 1, state: \"state\", control: \"127.0.0.1:7480\", peers: [{peer}], plan: ({plan}))"
        );
        std::fs::write(&file, text).expect("a file");
        assert!(Config::read(&file).expect_err("infeasible").to_string().contains("plan.terms"));
        let read = Config::read_without_plan(&file).expect("nobody has built it");
        assert!(read.plan.is_none() && read.control.is_some());
    }

    #[test]
    fn two_participants_of_whom_one_coordinates_have_no_successor() {
        let plan = |nodes: &str| {
            read(&format!(
                "{nodes}, slots: 2, commodities: [(name: \"power\")], {TERMS}, answers: InTheClear"
            ))
        };
        let told = plan("coordinators: [2, 1], participants: [1, 2]").expect_err("nobody can be elected");
        assert!(told[0].contains("1 of 2 participants is no majority"), "{told:?}");
        plan("coordinators: [2], participants: [1, 2]").expect("it names none");
        plan("coordinators: [4, 1], participants: [1, 2]").expect("both of them can elect");
    }

    #[test]
    fn what_is_wrong_in_a_plan_is_told_at_its_place() {
        let told = read(
            "coordinators: [3], participants: [1, 1], slots: 2, commodities: [(name: \"power\")], answers: InTheClear,
             terms: [(commodity: \"water\", preferred: [1], curvature: 1, min: [0, 0], max: [1, 1])]",
        );
        let told = told.expect_err("four mistakes");
        let fields = [
            "plan.coordinators[0]",
            "plan.participants[1]",
            "plan.terms[0].commodity",
            "plan.terms[0].preferred",
        ];
        assert_eq!(told.len(), fields.len(), "{told:?}");
        for (told, field) in told.iter().zip(fields) {
            assert!(told.contains(field), "{told}");
        }
        // What no plan keeps is told too, as far as it is seen without solving it; and nobody's answers are in the clear by an oversight.
        let beyond = "coordinators: [1], participants: [1, 2], slots: 1, commodities: [(name: \"power\")], answers: InTheClear,
             terms: [(commodity: \"power\", preferred: [1], curvature: 1, min: [2], max: [3], total_max: 1)]";
        assert!(read(beyond).expect_err("infeasible")[0].contains("plan.terms"));
        let beyond = "coordinators: [1], participants: [1, 2], slots: 3, commodities: [(name: \"power\")], answers: InTheClear,
             terms: [(commodity: \"power\", preferred: [1, 1, 1], curvature: 1, min: [0, 0, 0], max: [0, 9, 9], total_min: 9, ramp: 1)]";
        let plan = read(beyond).expect("nobody has solved it").plan.expect("it is there");
        assert!(plan.check_own_part(NodeId(1)).is_err(), "infeasible");
        assert!(
            read("coordinators: [1], participants: [1, 2], slots: 1, commodities: [(name: \"power\")]")
                .is_err()
        );
    }
}
