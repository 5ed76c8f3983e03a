//! Every method against planted optima, and what a coordinator does with contributions that are late, lost or repeated.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use proptest::prelude::*;

use super::{
    slots::{Course, SlotModel, run},
    *,
};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        fleet::Couplings,
        generate::{Binding, FleetSpec, Planted},
        message::Outcome,
        qp::QpSettings,
    },
    time::Instant,
};

fn small(seed: u64, binding: Binding) -> Planted {
    let spec =
        FleetSpec { assets: 5, slots: 8, condition: 10.0, binding, ..FleetSpec::published(seed, 10.0) };
    spec.draw().expect("valid")
}

fn course(fleet: &Planted, settings: MethodSettings, model: SlotModel) -> Course {
    run(&fleet.problem, fleet.best, settings, model).expect("solvable")
}

#[test]
fn a_member_that_forgets_again_and_again_does_not_make_the_fleet_begin_anew() {
    let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let couplings = Couplings::balances(2).expect("valid");
    let settings = MethodSettings::of(Kind::Exchange);
    let mut lead = Coordinator::new(settings, Pace::default(), &couplings, nodes.clone()).expect("valid");
    lead.start(Instant::ZERO);
    let answer = |lead: &Coordinator, node, base| {
        let asked = lead.request(node).expect("a member");
        let entries = vec![1 << 20; lead.entries()];
        Contribution { horizon: 0, term: 0, round: asked.round, base, entries }
    };
    for forgets in 0..5 {
        // A round of its own: everyone answers it but the one that forgot, which then replaces nothing.
        for node in lead.missing().collect::<Vec<_>>() {
            let base = lead.request(node).expect("a member").accepted;
            let contribution = answer(&lead, node, base);
            lead.on_contribution(Instant::ZERO, node, &contribution).expect("taken");
        }
        let contribution = answer(&lead, nodes[0], 0);
        let asked = lead.on_contribution(Instant::ZERO, nodes[0], &contribution);
        let begun = asked.is_ok_and(|asked| asked.len() == 3 && !lead.has_share(nodes[1]));
        assert_eq!(begun, forgets < 3, "{forgets}");
        assert_eq!(lead.retired().count(), usize::from(forgets >= 3));
        assert!(lead.outcome().is_none());
    }
    assert!(lead.has_share(nodes[0]), "its last answer stays");
}

#[test]
fn every_method_finds_the_planted_optimum_in_rounds() {
    for binding in [Binding::Balance, Binding::Mixed] {
        let fleet = small(1, binding);
        for kind in Kind::ALL {
            let settings = MethodSettings { eps_abs: 1e-8, eps_rel: 1e-8, ..MethodSettings::of(kind) };
            let course = course(&fleet, settings, SlotModel::rounds(2000));
            assert_eq!(course.outcome, Some(Outcome::Converged), "{kind:?} {binding:?}");
            let gap = course.gaps.last().copied().expect("a round");
            assert!(gap < 1e-6, "{kind:?} {binding:?}: {gap}");
        }
    }
}

#[test]
fn every_method_finds_the_planted_optimum_over_broken_links() {
    let fleet = small(2, Binding::Mixed);
    for kind in Kind::ALL {
        let settings = MethodSettings { eps_abs: 1e-7, eps_rel: 1e-7, ..MethodSettings::of(kind) };
        let course = course(&fleet, settings, SlotModel { limit: 5000, ..SlotModel::published(2) });
        assert_eq!(course.outcome, Some(Outcome::Converged), "{kind:?}");
        let gap = course.gaps.last().copied().expect("a slot");
        assert!(gap < 1e-5, "{kind:?}: {gap}");
    }
}

#[test]
fn the_same_seed_gives_the_same_course() {
    let fleet = small(3, Binding::Mixed);
    let settings = MethodSettings::of(Kind::Asynchronous);
    let one = course(&fleet, settings, SlotModel::published(3));
    assert_eq!(one, course(&fleet, settings, SlotModel::published(3)));
    assert_ne!(one, course(&fleet, settings, SlotModel::published(4)));
}

/// A coordinator and its assets, without anything between them.
struct Fleet {
    coordinator: Coordinator,
    assets: Vec<Asset>,
    planted: Planted,
}

fn fleet(kind: Kind, pace: Pace) -> Fleet {
    let planted = small(4, Binding::Mixed);
    let assets = planted
        .problem
        .locals()
        .iter()
        .map(|(node, problem)| Asset::new(*node, problem.clone(), QpSettings::default()).expect("feasible"))
        .collect();
    let members = planted.problem.locals().iter().map(|(node, _)| *node).collect();
    let settings = MethodSettings { eps_abs: 1e-8, eps_rel: 1e-8, ..MethodSettings::of(kind) };
    let coordinator =
        Coordinator::new(settings, pace, planted.problem.couplings(), members).expect("valid settings");
    Fleet { coordinator, assets, planted }
}

impl Fleet {
    fn ask(&mut self, index: usize) -> Option<Contribution> {
        let request = self.coordinator.request(self.assets[index].node()).expect("a member");
        self.assets[index].on_request(&request).expect("solvable")
    }

    fn give(&mut self, index: usize, contribution: &Contribution) -> Result<Vec<NodeId>, PlanError> {
        self.coordinator.on_contribution(Instant::ZERO, self.assets[index].node(), contribution)
    }

    fn gap(&self) -> f64 {
        let values: Vec<&[f64]> = self.assets.iter().map(Asset::values).collect();
        self.planted.problem.gap(&values, self.planted.best)
    }

    /// Rounds with everyone until the plan is committed; how many.
    fn finish(&mut self) -> usize {
        for round in 0..3000 {
            for index in 0..self.assets.len() {
                if let Some(contribution) = self.ask(index) {
                    self.give(index, &contribution).expect("accepted");
                }
            }
            if self.coordinator.outcome().is_some() {
                return round + 1;
            }
        }
        panic!("not committed");
    }
}

#[test]
fn an_asset_in_doubt_repeats_its_answer_and_the_sum_counts_it_once() {
    let mut fleet = fleet(Kind::Asynchronous, Pace::default());
    fleet.coordinator.start(Instant::ZERO);
    let first = fleet.ask(0).expect("asked");
    // Prices do not move before four in five answered: the asset has nothing else to say meanwhile.
    let other = fleet.ask(1).expect("asked");
    fleet.give(1, &other).expect("accepted");
    assert_eq!(fleet.ask(0), Some(first.clone()), "the same again");
    fleet.give(0, &first).expect("accepted");
    let twice = fleet.give(0, &first);
    assert!(matches!(twice, Err(PlanError::OldRound { .. })), "{twice:?}");
    for index in 2..fleet.assets.len() {
        let other = fleet.ask(index).expect("asked");
        fleet.give(index, &other).expect("accepted");
    }
    let next = fleet.ask(0).expect("asked again");
    assert_eq!(next.base, first.round, "the next answer replaces the first");
    fleet.give(0, &next).expect("accepted");
    fleet.finish();
    assert!(fleet.gap() < 1e-6);
}

/// Over broken links on the published fleets: the figures of docs/BENCHMARKS.md, which are the targets of the issue.
#[test]
fn the_asynchronous_method_plans_the_published_fleets_over_broken_links() {
    let (mut rough, mut fine) = (Vec::new(), Vec::new());
    for seed in 0..5 {
        let fleet = FleetSpec::published(seed, 1e2).draw().expect("valid");
        let settings =
            MethodSettings { eps_abs: 1e-9, eps_rel: 1e-9, ..MethodSettings::of(Kind::Asynchronous) };
        let course = course(&fleet, settings, SlotModel { limit: 120, ..SlotModel::published(seed) });
        rough.push(course.slots_to(1e-3).expect("converged"));
        fine.push(course.slots_to(1e-6).expect("converged"));
    }
    rough.sort_unstable();
    fine.sort_unstable();
    assert!(rough[2] <= 30 && fine[2] <= 60, "{rough:?}, {fine:?}");
}

#[test]
fn in_rounds_the_asynchronous_method_meets_ill_conditioned_fleets() {
    for (condition, limit) in [(1e2, 10), (1e4, 30)] {
        let fleet = FleetSpec::published(1, condition).draw().expect("valid");
        let settings =
            MethodSettings { eps_abs: 1e-9, eps_rel: 1e-9, ..MethodSettings::of(Kind::Asynchronous) };
        let course = course(&fleet, settings, SlotModel::rounds(100));
        let rounds = course.slots_to(1e-6).expect("converged");
        assert!(rounds <= limit, "{condition}: {rounds}");
    }
}

#[test]
fn an_answer_on_its_way_is_renewed_and_the_sum_counts_one_of_them() {
    for lost in [false, true] {
        let mut fleet = fleet(Kind::Asynchronous, Pace::default());
        fleet.coordinator.start(Instant::ZERO);
        let first = fleet.ask(0).expect("asked");
        for index in 1..fleet.assets.len() {
            let other = fleet.ask(index).expect("asked");
            fleet.give(index, &other).expect("accepted");
        }
        let renewed = fleet.ask(0).expect("for newer prices");
        assert_eq!((renewed.base, renewed.round), (first.round, fleet.coordinator.round()));
        if lost {
            let refused = fleet.give(0, &renewed);
            assert!(
                matches!(refused, Err(PlanError::OldRound { .. })),
                "what it follows is missing: {refused:?}"
            );
            let whole = fleet.ask(0).expect("asked again");
            assert_eq!(whole.base, 0, "relative to what is in the sum");
            fleet.give(0, &whole).expect("accepted");
        } else {
            fleet.give(0, &first).expect("accepted");
            fleet.give(0, &renewed).expect("accepted");
        }
        fleet.finish();
        assert!(fleet.gap() < 1e-6, "{}", fleet.gap());
    }
}

#[test]
fn an_asset_renews_no_more_than_it_can_remember() {
    let mut fleet = fleet(Kind::Asynchronous, Pace::default());
    fleet.coordinator.start(Instant::ZERO);
    fleet.ask(0).expect("asked");
    let mut last = 0;
    for turn in 0..20 {
        for index in 1..fleet.assets.len() {
            if let Some(other) = fleet.ask(index) {
                fleet.give(index, &other).expect("accepted");
            }
        }
        let asked = fleet.ask(0).expect("on its way").round;
        assert!(turn < 3 || asked == last, "{turn}: {asked} after {last}");
        last = asked;
    }
}

#[test]
fn what_is_committed_is_what_is_in_the_sum_and_not_what_is_on_its_way() {
    let Fleet { coordinator, mut assets, .. } = fleet(Kind::Exchange, Pace::default());
    let open = coordinator.request(assets[0].node()).expect("a member");
    let asked = |round: u32, accepted: u32, price: f64| Request {
        round,
        accepted,
        prices: vec![price; open.prices.len()],
        ..open.clone()
    };
    let asset = &mut assets[0];
    asset.on_request(&asked(1, 0, 0.0)).expect("solvable").expect("an answer");
    let counted = asset.values().to_vec();
    asset.on_request(&asked(2, 1, 3.0)).expect("solvable").expect("an answer");
    assert_ne!(asset.values(), counted, "other prices, another plan");
    // After a crash too.
    let planted = small(4, Binding::Mixed);
    let (node, problem) = planted.problem.locals()[0].clone();
    let mut restored = Asset::new(node, problem, QpSettings::default()).expect("feasible");
    restored.restore(&asset.snapshot()).expect("its own");
    // Time is up: the second answer never came.
    let commit = Request { committed: Some(Outcome::RoundLimit), ..asked(3, 1, 3.0) };
    for asset in [asset, &mut restored] {
        assert_eq!(asset.on_request(&commit), Ok(None));
        assert_eq!(asset.values(), counted);
    }
}

#[test]
fn what_is_committed_of_a_model_is_the_plan_at_the_prices_agreed_on() {
    let Fleet { coordinator, mut assets, .. } = fleet(Kind::Asynchronous, Pace::default());
    let open = coordinator.request(assets[0].node()).expect("a member");
    let curvature = Curvature::Diagonal;
    let question = Question::Intercept { curvature, blend: 0.0, proximal: 0.0 };
    let asked = |round: u32, price: f64| Request {
        round,
        prices: vec![price; open.prices.len()],
        question: question.clone(),
        ..open.clone()
    };
    let asset = &mut assets[0];
    asset.on_request(&asked(1, 0.0)).expect("solvable").expect("an answer");
    let commit = Request { committed: Some(Outcome::Absent), accepted: 1, ..asked(2, 3.0) };
    assert_eq!(asset.on_request(&commit), Ok(None));
    let committed = asset.values().to_vec();
    let mut other = assets[0].clone();
    other.on_request(&Request { term: 1, ..asked(3, 3.0) }).expect("solvable").expect("an answer");
    let apart = committed.iter().zip(other.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-7, "{apart}");
}

#[test]
fn refused_contributions_change_nothing() {
    let mut fleet = fleet(Kind::Exchange, Pace::default());
    fleet.coordinator.start(Instant::ZERO);
    let good = fleet.ask(0).expect("asked");
    fleet.give(0, &good).expect("accepted");
    let before = alloc::format!("{:?}", fleet.coordinator);
    let next = fleet.ask(1).expect("asked");
    let stranger = NodeId(99);
    let answer = fleet.coordinator.on_contribution(Instant::ZERO, stranger, &next);
    assert_eq!(answer, Err(PlanError::NotMember { node: stranger }));
    let short = Contribution { entries: vec![0], ..next.clone() };
    assert!(matches!(fleet.give(1, &short), Err(PlanError::Couplings { found: 1, .. })));
    let later = Contribution { round: 2, ..next.clone() };
    assert_eq!(fleet.give(1, &later), Err(PlanError::FutureRound { found: 2, current: 1 }));
    let other = Contribution { horizon: 1, ..next.clone() };
    assert_eq!(fleet.give(1, &other), Err(PlanError::Horizon { found: 1, expected: 0 }));
    let foreign = Contribution { term: 3, ..next.clone() };
    assert_eq!(fleet.give(1, &foreign), Err(PlanError::Term { found: 3, expected: 0 }));
    let baseless = Contribution { base: 7, ..next };
    assert_eq!(fleet.give(1, &baseless), Err(PlanError::OldRound { found: 1, current: 1 }));
    assert_eq!(alloc::format!("{:?}", fleet.coordinator), before);
}

#[test]
fn an_asset_that_lost_its_memory_does_not_spoil_the_sum() {
    for kind in Kind::ALL {
        let mut fleet = fleet(kind, Pace::default());
        fleet.coordinator.start(Instant::ZERO);
        for _ in 0..3 {
            for index in 0..fleet.assets.len() {
                let contribution = fleet.ask(index).expect("asked");
                fleet.give(index, &contribution).expect("accepted");
            }
        }
        let (node, problem) = fleet.planted.problem.locals()[2].clone();
        fleet.assets[2] = Asset::new(node, problem, QpSettings::default()).expect("feasible");
        let contribution = fleet.ask(2).expect("asked");
        assert_eq!(contribution.base, 0, "it replaces nothing");
        let asked = fleet.give(2, &contribution).expect("accepted");
        assert_eq!(asked.len(), fleet.assets.len(), "everyone is asked for all of the last answer");
        fleet.finish();
        assert_eq!(fleet.coordinator.outcome(), Some(Outcome::Converged), "{kind:?}");
        assert!(fleet.gap() < 1e-5, "{kind:?}: {}", fleet.gap());
    }
}

#[test]
fn another_coordinator_goes_on_from_the_published_prices() {
    for kind in [Kind::QuasiNewton, Kind::Consensus, Kind::Exchange] {
        let mut whole = fleet(kind, Pace::default());
        whole.coordinator.start(Instant::ZERO);
        let rounds = whole.finish();

        let mut broken = fleet(kind, Pace::default());
        broken.coordinator.start(Instant::ZERO);
        let before = rounds / 2;
        for _ in 0..before {
            for index in 0..broken.assets.len() {
                if let Some(contribution) = broken.ask(index) {
                    broken.give(index, &contribution).expect("accepted");
                }
            }
        }
        // The first coordinator is gone: all that is left is what an asset was told last.
        let prices = broken.assets[0].prices().expect("asked").to_vec();
        let round = broken.assets.iter().map(Asset::round).max().expect("assets") + 1;
        let members = broken.coordinator.members().collect();
        let settings = MethodSettings { eps_abs: 1e-8, eps_rel: 1e-8, ..MethodSettings::of(kind) };
        let couplings: &Couplings = broken.planted.problem.couplings();
        broken.coordinator = Coordinator::new(settings, Pace::default(), couplings, members).expect("valid");
        broken.coordinator.resume(Instant::ZERO, 0, round, &prices).expect("later");
        let after = broken.finish();
        assert!(broken.gap() < 1e-6, "{kind:?}");
        // The trials of a round spread anew from the usual damping: a few rounds, wherever it goes on.
        assert!(after <= rounds + 4, "{kind:?}: {before} and {after}, without the loss {rounds}");
    }
}

#[test]
fn a_successor_that_heard_less_than_others_asks_anew() {
    for kind in [Kind::QuasiNewton, Kind::Consensus, Kind::Exchange] {
        let mut broken = fleet(kind, Pace::default());
        broken.coordinator.start(Instant::ZERO);
        let first = broken.ask(0).expect("asked");
        let (round, prices) = (broken.assets[0].round(), broken.assets[0].prices().expect("asked").to_vec());
        broken.give(0, &first).expect("accepted");
        // The others go on to the end, and hear of it.
        broken.finish();
        assert!((1..broken.assets.len()).all(|index| broken.ask(index).is_none()));
        assert!(broken.assets[1].committed().is_some() && broken.assets[1].round() > round + 1);

        let members = broken.coordinator.members().collect();
        let settings = MethodSettings { eps_abs: 1e-8, eps_rel: 1e-8, ..MethodSettings::of(kind) };
        let couplings: &Couplings = broken.planted.problem.couplings();
        let successor = Coordinator::new(settings, Pace::default(), couplings, members).expect("valid");
        broken.coordinator = successor.in_term(1);
        broken.coordinator.resume(Instant::ZERO, 0, round + 1, &prices).expect("later");
        broken.finish();
        assert_eq!(broken.coordinator.outcome(), Some(Outcome::Converged), "{kind:?}");
        assert!(broken.gap() < 1e-6, "{kind:?}: {}", broken.gap());
    }
}

#[test]
fn an_asset_comes_back_between_two_horizons() {
    let mut fleet = fleet(Kind::Exchange, Pace::default());
    fleet.coordinator.start(Instant::ZERO);
    fleet.finish();
    let (node, problem) = fleet.planted.problem.locals()[0].clone();
    let moved: Vec<Option<usize>> = (0..problem.couplings()).map(Some).collect();
    fleet.assets[0].replace_problem(1, problem.clone(), &moved).expect("later");
    let kept = fleet.assets[0].snapshot();
    let mut restored = Asset::new(node, problem, QpSettings::default()).expect("feasible");
    assert_eq!(restored.restore(&kept), Some(()));
    assert_eq!(restored.horizon(), 1);
}

#[test]
fn a_round_closes_without_the_missing_but_is_not_called_converged() {
    let pace = Pace { deadline: Duration::from_secs(1), quorum: 2, patience: 3, ..Pace::default() };
    let mut fleet = fleet(Kind::Exchange, pace);
    fleet.coordinator.start(Instant::ZERO);
    let mut now = Instant::ZERO;
    for _ in 0..3000 {
        for index in 0..fleet.assets.len() {
            // After some rounds the last asset is never in contact.
            if (index + 1 < fleet.assets.len() || fleet.coordinator.round() <= 40)
                && let Some(contribution) = fleet.ask(index)
            {
                fleet.give(index, &contribution).expect("accepted");
            }
        }
        if let Some(deadline) = fleet.coordinator.poll_timeout() {
            now = now.max(deadline);
            fleet.coordinator.on_timeout(now);
        }
    }
    assert_eq!(fleet.coordinator.outcome(), Some(Outcome::Absent), "nobody confirmed the balance");
    let reports: Vec<_> = core::iter::from_fn(|| fleet.coordinator.take_report()).collect();
    assert!(reports.iter().all(|report| report.stale <= 1));
    assert!(reports.iter().any(|report| report.stale == 1));
}

#[test]
fn a_silent_member_is_asked_again_and_given_up_at_last() {
    let pace = Pace { deadline: Duration::from_secs(1), patience: 2, ..Pace::default() };
    let mut fleet = fleet(Kind::Asynchronous, pace);
    fleet.coordinator.start(Instant::ZERO);
    for seconds in 1..=2 {
        let now = Instant::ZERO.saturating_add(Duration::from_secs(seconds));
        assert_eq!(fleet.coordinator.on_timeout(now).len(), fleet.assets.len());
    }
    let now = fleet.coordinator.poll_timeout().expect("open");
    fleet.coordinator.on_timeout(now);
    assert_eq!(fleet.coordinator.outcome(), Some(Outcome::Absent));
}

#[test]
fn a_later_horizon_starts_warm() {
    for kind in Kind::ALL {
        let mut fleet = fleet(kind, Pace::default());
        fleet.coordinator.start(Instant::ZERO);
        let cold = fleet.finish();
        let prices = fleet.coordinator.prices().to_vec();
        let moved: Vec<Option<usize>> = (0..prices.len()).map(Some).collect();
        for (asset, (_, problem)) in fleet.assets.iter_mut().zip(fleet.planted.problem.locals()) {
            asset.replace_problem(1, problem.clone(), &moved).expect("later");
        }
        fleet.coordinator.resume(Instant::ZERO, 1, 1, &prices).expect("later");
        let warm = fleet.finish();
        assert!(fleet.gap() < 1e-5, "{kind:?}: {}", fleet.gap());
        // Methods that damp by sweeps begin with full caution in either case.
        assert!(warm <= cold + 4, "{kind:?}: {warm} rounds warm, {cold} cold");
    }
}

#[test]
fn a_restored_asset_goes_on_where_it_was() {
    for kind in Kind::ALL {
        let mut fleet = fleet(kind, Pace::default());
        fleet.coordinator.start(Instant::ZERO);
        for round in 0..4 {
            for index in 0..fleet.assets.len() {
                let contribution = fleet.ask(index).expect("asked");
                let (node, problem) = fleet.planted.problem.locals()[index].clone();
                let kept = fleet.assets[index].snapshot();
                let mut restored = Asset::new(node, problem, QpSettings::default()).expect("feasible");
                assert_eq!(restored.restore(&kept), Some(()), "{kind:?} in round {round}");
                assert_eq!(restored.snapshot(), kept);
                fleet.assets[index] = restored;
                assert_eq!(fleet.ask(index).as_ref(), Some(&contribution), "the answer is repeated");
                fleet.give(index, &contribution).expect("accepted");
            }
        }
        fleet.finish();
        assert!(fleet.gap() < 1e-5, "{kind:?}");
    }
}

#[test]
fn bytes_that_are_no_snapshot_change_nothing() {
    let mut fleet = fleet(Kind::Exchange, Pace::default());
    fleet.coordinator.start(Instant::ZERO);
    fleet.ask(0).expect("asked");
    let kept = fleet.assets[0].snapshot();
    let asset = &mut fleet.assets[1];
    let before = alloc::format!("{asset:?}");
    for length in 0..kept.len() {
        assert_eq!(asset.restore(&kept[..length]), None);
    }
    for at in 0..kept.len().min(64) {
        let mut wrong = kept.clone();
        wrong[at] ^= 0xff;
        let _ = fleet.assets[2].restore(&wrong);
    }
    let asset = &mut fleet.assets[1];
    assert_eq!(asset.restore(&[kept, vec![0]].concat()), None);
    assert_eq!(alloc::format!("{asset:?}"), before);
}

#[test]
fn over_relaxation_takes_fewer_rounds_than_plain() {
    let rounds = |relaxation: f64| -> usize {
        let course = |seed| {
            let kind = MethodSettings::of(Kind::Exchange);
            let settings =
                MethodSettings { relaxation, adaptation: None, eps_abs: 1e-8, eps_rel: 1e-8, ..kind };
            let course = course(&small(seed, Binding::Balance), settings, SlotModel::rounds(3000));
            assert_eq!(course.outcome, Some(Outcome::Converged), "seed {seed}");
            course.gaps.len()
        };
        (0..6).map(course).sum()
    };
    let (plain, relaxed) = (rounds(1.0), rounds(1.6));
    assert!(relaxed < plain, "{relaxed} rounds against {plain}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Answers are lost, come twice, come rounds late, and in any order; rounds close at their deadlines with three of five.
    #[test]
    fn lost_repeated_and_reordered_answers_do_not_change_the_optimum(noise: u64) {
        for kind in [Kind::Exchange, Kind::Consensus, Kind::QuasiNewton] {
            let mut fleet = fleet(kind, Pace { quorum: 3, max_rounds: 5000, ..Pace::default() });
            let mut random = noise;
            let mut draw = |limit: u64| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (random >> 33) % limit
            };
            let mut now = Instant::ZERO;
            fleet.coordinator.start(now);
            let mut late: Vec<(NodeId, Contribution)> = Vec::new();
            while fleet.coordinator.outcome().is_none() {
                let mut arriving = core::mem::take(&mut late);
                for index in 0..fleet.assets.len() {
                    if draw(8) == 0 { continue; }
                    let Some(answer) = fleet.ask(index) else { continue };
                    let copies = match draw(8) { 0 => 0, 1 => 2, _ => 1 };
                    let queue = if draw(8) == 0 { &mut late } else { &mut arriving };
                    queue.extend((0..copies).map(|_| (fleet.assets[index].node(), answer.clone())));
                }
                let turn = draw(5) as usize;
                if !arriving.is_empty() { let k = turn % arriving.len(); arriving.rotate_left(k); }
                let round = fleet.coordinator.round();
                for (node, answer) in arriving {
                    match fleet.coordinator.on_contribution(now, node, &answer) {
                        Ok(_) | Err(PlanError::OldRound { .. } | PlanError::Idle) => {}
                        Err(error) => prop_assert!(false, "{kind:?}: {error}"),
                    }
                }
                if fleet.coordinator.outcome().is_none() && fleet.coordinator.round() == round {
                    now = fleet.coordinator.poll_timeout().expect("open");
                    fleet.coordinator.on_timeout(now);
                }
            }
            prop_assert_eq!(fleet.coordinator.outcome(), Some(Outcome::Converged), "{:?}", kind);
            prop_assert!(fleet.gap() <= 1e-6, "{kind:?}: {}", fleet.gap());
        }
    }
}
