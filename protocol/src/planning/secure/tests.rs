use proptest::prelude::*;

use super::{
    MaskedAnswer, MaskedRequest, Opening, SecureError, Spent, Width,
    slots::{MaskedCourse, Unmasking, run},
};
use crate::planning::{
    PlanError,
    generate::{FleetSpec, Planted},
    privacy::{
        MaskedContribution, PrivacyError, Receipt, Terms,
        noise::{Mechanism, NoiseSettings, WhenSpent},
    },
    solver::{
        Curvature, Heading, Kind, MethodSettings, Question, Request,
        slots::{self, SlotModel},
    },
};
use alloc::{vec, vec::Vec};

fn fleet(seed: u64) -> Planted {
    FleetSpec::published(seed, 1e2).draw().expect("valid")
}

fn settings(kind: Kind) -> MethodSettings {
    MethodSettings { eps_abs: 1e-9, eps_rel: 1e-9, ..MethodSettings::of(kind) }
}

fn masked(seed: u64, kind: Kind, model: SlotModel, unmasking: Unmasking) -> MaskedCourse {
    let fleet = fleet(seed);
    run(&fleet.problem, fleet.best, settings(kind), model, unmasking).expect("solvable")
}

#[test]
fn with_everyone_present_masks_change_no_bit_of_the_plan() {
    for kind in [Kind::QuasiNewton, Kind::Exchange, Kind::Anderson] {
        let fleet = fleet(1);
        let model = SlotModel::rounds(200);
        let plain = slots::run(&fleet.problem, fleet.best, settings(kind), model).expect("solvable");
        let unmasking = Unmasking::at_once(16);
        let masked = masked(1, kind, model, unmasking);
        assert_eq!(masked.course.gaps, plain.gaps, "{kind:?}");
        assert_eq!(masked.course.outcome, plain.outcome);
    }
}

#[test]
fn the_unmasking_leg_is_counted() {
    let course = |slots| {
        let model = SlotModel { limit: 600, ..SlotModel::published(2) };
        masked(2, Kind::QuasiNewton, model, Unmasking { slots, ..Unmasking::at_once(3) }).course
    };
    let ends: Vec<usize> =
        [0, 1, 4].into_iter().map(|leg| course(leg).slots_to(1e-6).expect("reached")).collect();
    assert!(ends[0] < ends[1] && ends[1] < ends[2], "{ends:?}");
    let fleet = fleet(2);
    let model = SlotModel { limit: 600, ..SlotModel::published(2) };
    let plain = slots::run(&fleet.problem, fleet.best, settings(Kind::QuasiNewton), model).expect("solvable");
    assert_eq!(plain.slots_to(1e-6), Some(ends[0]), "a committee that answers at once costs no slot");
}

#[test]
fn answers_of_any_age_are_summed_under_masks() {
    // Whatever the method makes of them: the sum is that of the answers that the assets take as counted.
    let model = SlotModel { limit: 40, ..SlotModel::published(1) };
    let found = masked(1, Kind::AsynchronousExchange, model, Unmasking { slots: 1, ..Unmasking::at_once(3) });
    assert!(found.windows > 10, "{} windows", found.windows);
    let (first, last) = (found.course.gaps[0], found.course.gaps[39]);
    assert!(last < first / 2.0, "the gap shrinks: {first} to {last}");
}

#[test]
fn a_narrower_width_gives_the_same_plan_for_fewer_bytes() {
    let model = SlotModel { limit: 40, ..SlotModel::published(3) };
    let course = |greatest| {
        masked(3, Kind::AsynchronousExchange, model, Unmasking { greatest, ..Unmasking::at_once(3) })
    };
    let (wide, narrow) = (course(4e6), course(30_000.0));
    assert_eq!(wide.course.gaps, narrow.course.gaps);
    assert!(narrow.course.bytes_up < wide.course.bytes_up);
}

#[test]
fn the_committee_weighs_the_same_whatever_the_assets_say() {
    let model = SlotModel { limit: 300, ..SlotModel::published(2) };
    let found =
        masked(2, Kind::Asynchronous, model, Unmasking { seats: 3, slots: 1, ..Unmasking::at_once(4) });
    let each = found.bytes_of_committee / (3 * found.windows);
    let answer = found.course.bytes_up / found.course.answers;
    assert!(each.abs_diff(answer) < 60, "a mask sum of {each} bytes, an answer of {answer}");
}

#[test]
fn messages_survive_a_round_trip_and_have_one_encoding() {
    let request = MaskedRequest {
        request: Request {
            horizon: 1,
            term: 0,
            round: 2,
            accepted: 1,
            committed: None,
            unit: 0.5,
            prices: vec![1.0, -2.0],
            question: Question::Intercept { curvature: Curvature::Diagonal, blend: 0.0, proximal: 1.0 },
        },
        receipt: Receipt { epoch: 3, generation: 2, counted: 4, resolved: 500 },
    };
    let bytes = request.encode();
    assert_eq!(MaskedRequest::decode(&bytes), Ok(request));
    let fleet =
        crate::planning::privacy::fleet_tests::Fleet::new(crate::planning::privacy::fleet_tests::parts());
    let terms: &Terms = &fleet.terms;
    let answer = MaskedAnswer {
        heading: Heading { horizon: 1, round: 70_000, base: 3 },
        masked: MaskedContribution {
            epoch: 3,
            generation: 1,
            sequence: 9,
            entries: vec![7; terms.vector_len()],
        },
    };
    let answer_bytes = answer.encode();
    assert_eq!(MaskedAnswer::decode(&answer_bytes, terms), Ok(answer));
    for end in 0..bytes.len() {
        assert!(MaskedRequest::decode(&bytes[..end]).is_err());
    }
    for end in 0..answer_bytes.len() {
        assert!(MaskedAnswer::decode(&answer_bytes[..end], terms).is_err());
    }
    let mut large = answer_bytes.clone();
    large.splice(2..2, [0x1b, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert!(MaskedAnswer::decode(&large, terms).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic_and_what_is_read_as_masked_is_the_only_encoding(
        bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0..120_usize, to: u8,
    ) {
        let terms = Terms::new(crate::planning::privacy::fleet_tests::parts()).expect("valid");
        let receipt = Receipt { epoch: 3, generation: 2, counted: 4, resolved: 500 };
        let question = Question::Proximal { rho: 1.0, shift: vec![0.5, -0.5] };
        let request = Request {
            horizon: 1, term: 0, round: 2, accepted: 1, committed: None, unit: 0.5, prices: vec![1.0, -2.0], question,
        };
        let masked = MaskedContribution { epoch: 3, generation: 300, sequence: 9, entries: vec![7; terms.vector_len()] };
        let heading = Heading { horizon: 1, round: 70_000, base: 3 };
        let opening = Opening { epoch: 7, entries: 300, width: Width::Any };
        let examples = [
            MaskedRequest { request, receipt }.encode(),
            MaskedAnswer { heading, masked }.encode(),
            opening.encode(),
            Spent { epoch: 500 }.encode(),
        ];
        for mut bytes in [vec![bytes], examples.to_vec()].concat() {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let read = [
                MaskedRequest::decode(&bytes).ok().map(|read| read.encode()),
                MaskedAnswer::decode(&bytes, &terms).ok().map(|read| read.encode()),
                Opening::decode(&bytes).ok().map(|read| read.encode()),
                Spent::decode(&bytes).ok().map(|read| read.encode()),
            ];
            for again in read.into_iter().flatten() {
                prop_assert_eq!(&again, &bytes);
            }
        }
    }
}

#[test]
fn a_masked_answer_is_little_longer_than_one_of_fixed_width() {
    // 24 entries of 33 bits, as 16 assets of a microgrid have them; counts as they are in the middle of a plan.
    let packed = vec![0; 99];
    let heading = Heading { horizon: 256, round: 100, base: 99 };
    let masked = MaskedContribution { epoch: 1, generation: 1, sequence: 50, entries: packed.clone() };
    let found = MaskedAnswer { heading, masked }.encode().len();
    // The same without masks: [horizon, term, round, base, entries: bstr].
    let mut plain = Vec::new();
    crate::cbor::put_head(&mut plain, crate::cbor::ARRAY, 5);
    [256, 0, 100, 99].into_iter().for_each(|value| crate::cbor::put_uint(&mut plain, value));
    crate::cbor::put_bytes(&mut plain, &packed);
    let most = plain.len() * 105 / 100;
    assert!(found > plain.len() && found <= most, "{found} bytes beside {}", plain.len());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let fleet = fleet(1);
    let unmasking = Unmasking::at_once(17);
    let refused = run(&fleet.problem, fleet.best, settings(Kind::Exchange), SlotModel::rounds(5), unmasking);
    assert!(matches!(refused, Err(SecureError::Privacy(PrivacyError::Terms { field: "k_min", .. }))));
    let parts =
        crate::planning::privacy::fleet_tests::Fleet::new(crate::planning::privacy::fleet_tests::parts());
    let members = fleet.problem.locals().iter().map(|(node, _)| *node).collect();
    let coordinator = crate::planning::solver::Coordinator::new(
        settings(Kind::Exchange),
        crate::planning::solver::Pace::default(),
        fleet.problem.couplings(),
        members,
    );
    let joined = super::SecureCoordinator::new(coordinator.expect("valid"), parts.aggregator);
    assert!(matches!(joined, Err(PlanError::Couplings { found: 3, .. })));
}

/// Noise with deviation σ of 2^`log2` grains of 2⁻¹⁶ units, on shares within ±32 units.
fn noise(log2: u32, releases: u64, when_spent: WhenSpent) -> NoiseSettings {
    let settings = NoiseSettings {
        grain_bits: 14,
        clip: 32 << 16,
        norm: None,
        slope_bits: 0,
        variance: 1 << (2 * log2),
        budget: u64::MAX,
        when_spent,
    };
    let cost = Mechanism::new(settings, fleet(1).problem.couplings().len()).expect("in range").cost();
    NoiseSettings { budget: cost.saturating_mul(releases), ..settings }
}

#[test]
fn more_noise_costs_less_privacy_and_a_worse_plan() {
    let course = |noise| {
        let unmasking = Unmasking { noise, ..Unmasking::at_once(16) };
        masked(1, Kind::AsynchronousExchange, SlotModel::rounds(60), unmasking)
    };
    let found: Vec<(f64, f64)> = [15, 18, 20]
        .map(|log2| course(Some(noise(log2, 1000, WhenSpent::KeepLast))))
        .iter()
        .map(|run| (run.rho, run.course.gaps[run.course.gaps.len() / 2..].iter().sum()))
        .collect();
    assert!(found.windows(2).all(|pair| pair[0].0 > pair[1].0 && pair[0].1 < pair[1].1), "{found:?}");
    let without = course(None);
    assert_eq!(without.rho, 0.0);
}

#[test]
fn a_spent_budget_ends_an_assets_answers_by_the_stated_rule() {
    for (when_spent, answers) in [(WhenSpent::KeepLast, 5), (WhenSpent::Leave, 6)] {
        let unmasking = Unmasking { noise: Some(noise(14, 5, when_spent)), ..Unmasking::at_once(16) };
        let found = masked(1, Kind::AsynchronousExchange, SlotModel::rounds(30), unmasking);
        assert_eq!(found.course.answers, 16 * answers, "{when_spent:?}");
    }
}
