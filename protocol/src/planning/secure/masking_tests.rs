use alloc::{vec, vec::Vec};

use super::{
    Enrolment, EpochSeed, MaskedRequest, Masking, Opening, Reply, Spent, Width, masking::asked_of_all,
};
use crate::{
    id::NodeId,
    planning::{
        Couplings, Hessian, LocalProblem, ProblemParts, QpSettings, SharedTerm,
        message::FRACTION_BITS,
        privacy::{
            self, PrivacyError, Receipt,
            noise::{Mechanism, NoiseSettings, WhenSpent},
        },
        solver::{Asset, Coordinator, Curvature, Kind, MethodSettings, Pace, Question, Request},
    },
    time::Instant,
};

const OWN: NodeId = NodeId(3);
const ENTRIES: usize = 2;

fn seed(node: u64) -> EpochSeed {
    EpochSeed::new([node as u8; 32])
}

fn enrolment() -> Enrolment {
    let mut enrolment = Enrolment {
        plan: 1,
        k_min: 3,
        cohort: 1,
        changes: 1,
        threshold: 3,
        recoveries: 1,
        greatest: 8 << FRACTION_BITS,
        total: None,
        grain: 6,
        epochs: Vec::new(),
    };
    let members =
        |nodes: core::ops::Range<u64>| nodes.map(|node| (NodeId(node), seed(node))).collect::<Vec<_>>();
    enrolment.epochs = enrolment.published(&members(20..24), &members(1..6), 3);
    enrolment
}

fn masks(epoch: u64) -> privacy::Asset {
    masks_of(epoch, ENTRIES)
}

fn masks_of(epoch: u64, entries: usize) -> privacy::Asset {
    let enrolment = enrolment();
    let terms = enrolment.terms(epoch, entries, Width::Shares).expect("published");
    privacy::Asset::new(terms, OWN, &seed(OWN.0).asset(epoch), &enrolment.policy()).expect("enrolled")
}

fn asset() -> Asset {
    let problem = LocalProblem::new(ProblemParts {
        hessian: Hessian::Diagonal(vec![1.0; ENTRIES]),
        linear: vec![-1.0, 2.0],
        constant: 0.0,
        lower: vec![-4.0; ENTRIES],
        upper: vec![4.0; ENTRIES],
        rows: vec![],
        shared: (0..ENTRIES).map(|i| SharedTerm { variable: i, coupling: i, coefficient: 1.0 }).collect(),
        couplings: ENTRIES,
    });
    Asset::new(OWN, problem.expect("valid"), QpSettings::default()).expect("solvable")
}

fn settings() -> NoiseSettings {
    NoiseSettings {
        grain_bits: 8,
        clip: 1 << 24,
        norm: None,
        slope_bits: 0,
        variance: 1 << 30,
        budget: u64::MAX,
        when_spent: WhenSpent::KeepLast,
    }
}

fn noise(answers: u64, when_spent: WhenSpent) -> Mechanism {
    let settings = NoiseSettings { when_spent, ..settings() };
    let cost = Mechanism::new(settings, ENTRIES).expect("in range").cost();
    Mechanism::new(NoiseSettings { budget: cost * answers, ..settings }, ENTRIES).expect("in range")
}

fn asked(round: u32, accepted: u32, counted: u64, resolved: u64) -> MaskedRequest {
    let request = Request {
        horizon: 0,
        term: 0,
        round,
        accepted,
        committed: None,
        unit: 1.0,
        prices: vec![f64::from(round), -1.0],
        question: Question::Proximal { rho: 1.0, shift: vec![0.5 / f64::from(round), 0.25] },
    };
    MaskedRequest { request, receipt: Receipt { epoch: 1, generation: 1, counted, resolved } }
}

fn bytes(reply: Option<Reply>) -> Vec<u8> {
    match reply {
        Some(Reply::Answer(answer)) => answer.encode(),
        other => panic!("{other:?} is no answer"),
    }
}

#[test]
fn a_restarted_asset_neither_reuses_a_mask_nor_forgets_what_it_spent() {
    let fresh = || Masking::new(masks(1)).with_noise(noise(3, WhenSpent::KeepLast), seed(OWN.0).noise());
    let (mut solver, mut masking) = (asset(), fresh());
    let first = bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers"));
    let (solver_kept, masks_kept) = (solver.snapshot(), masking.snapshot());
    let ledger_kept = masking.ledger().expect("noise").snapshot();
    // It comes back, and is asked something else meanwhile: it says the same bytes again, and pays once.
    let (mut solver, mut masking) = (asset(), fresh());
    solver.restore(&solver_kept).expect("its own");
    masking.restore(&masks_kept).expect("its own");
    masking.restore_ledger(&ledger_kept).expect("its own");
    let again = bytes(masking.on_request(&mut solver, &asked(2, 0, 0, 0)).expect("answers"));
    assert_eq!(again, first);
    assert_eq!(masking.ledger().expect("noise").releases(), 1);
    // Counted, it answers the next one under the next mask.
    let second = bytes(masking.on_request(&mut solver, &asked(2, 1, 1, 1)).expect("answers"));
    assert_ne!(second, first);
    assert_eq!((masking.masks().sequence(), masking.ledger().expect("noise").releases()), (2, 2));
    // A crash before the answer was kept leaves the same noise for the same count: nobody saw the first draw.
    let (mut solver, mut masking) = (asset(), fresh());
    assert_eq!(bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers")), first);
    for end in 0..masks_kept.len() {
        assert!(fresh().restore(&masks_kept[..end]).is_err());
    }
}

#[test]
fn what_was_spent_stays_spent_in_the_next_epoch() {
    let (mut solver, masking) = (asset(), Masking::new(masks(1)));
    let mut masking = masking.with_noise(noise(2, WhenSpent::KeepLast), seed(OWN.0).noise());
    bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers"));
    bytes(masking.on_request(&mut solver, &asked(2, 1, 1, 1)).expect("answers"));
    assert!(masking.is_spent());
    let mut renewed = masking.renewed(masks(2));
    let mut later = asked(1, 0, 0, 0);
    (later.request.term, later.receipt.epoch) = (1, 2);
    assert_eq!(renewed.on_request(&mut solver, &later), Ok(Some(Reply::Spent)));
    assert_eq!(renewed.ledger().expect("noise").releases(), 2);
}

#[test]
fn noise_follows_answers_of_another_length() {
    let masking = Masking::new(masks(1)).with_noise(noise(8, WhenSpent::KeepLast), seed(OWN.0).noise());
    let (mut solver, mut masking) = (asset(), masking);
    bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers"));
    let spent = masking.ledger().expect("noise").spent();
    // The next horizon has another price, and answers are longer by as much.
    let enrolment = enrolment();
    let terms = enrolment.terms(2, ENTRIES + 1, Width::Shares).expect("published");
    let longer =
        privacy::Asset::new(terms, OWN, &seed(OWN.0).asset(2), &enrolment.policy()).expect("enrolled");
    let mut masking = masking.renewed(longer);
    let problem =
        LocalProblem::new(ProblemParts { couplings: ENTRIES + 1, ..asset().problem().parts().clone() });
    let mut solver = Asset::new(OWN, problem.expect("valid"), QpSettings::default()).expect("solvable");
    let mut later = asked(1, 0, 0, 0);
    (later.request.term, later.receipt.epoch) = (1, 2);
    later.request.prices.push(0.0);
    later.request.question = Question::Proximal { rho: 1.0, shift: vec![0.5; ENTRIES + 1] };
    bytes(masking.on_request(&mut solver, &later).expect("answers"));
    // Δ² grows with the number of entries: from two to three, the second answer costs half as much again.
    let ledger = masking.ledger().expect("noise");
    assert_eq!((ledger.releases(), ledger.spent()), (2, spent + spent / 2 * 3));
}

#[test]
fn under_noise_squares_say_nothing() {
    let fresh = || Masking::new(masks_of(1, ENTRIES + 2)).with_noise(noise(9, WhenSpent::KeepLast), [5; 32]);
    let exchange = |prices: f64| {
        let mut asked = asked(1, 0, 0, 0);
        asked.request.prices = vec![prices; ENTRIES];
        asked.request.question = Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; ENTRIES] };
        asked
    };
    let said = |prices: f64| {
        let (mut solver, mut masking) = (asset(), fresh());
        bytes(masking.on_request(&mut solver, &exchange(prices)).expect("answers"));
        assert_eq!(masking.ledger().expect("noise").spent(), noise(9, WhenSpent::KeepLast).cost());
        masking.masks().repeat().expect("outstanding");
        let limit = masking.masks().terms().total() / 5;
        (masking.masks().outstanding().expect("said")[ENTRIES..].to_vec(), limit as i64)
    };
    for prices in [-2.0, 0.0, 3.0] {
        let (squares, limit) = said(prices);
        assert_eq!(squares, vec![limit; 2], "whatever they are");
    }
}

#[test]
fn the_same_question_in_a_new_generation_gets_the_same_noise_and_costs_nothing() {
    let fresh = || Masking::new(masks(1)).with_noise(noise(1, WhenSpent::KeepLast), seed(OWN.0).noise());
    for outlasts in [false, true] {
        let (mut solver, mut masking) = (asset(), fresh());
        let said = |masking: &Masking| masking.masks().outstanding().expect("said").to_vec();
        bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers"));
        let first = said(&masking);
        for generation in 2..20 {
            let mut again = asked(1, 0, 0, generation - 1);
            again.receipt.generation = generation;
            if outlasts {
                // With a method without rounds the coordinator may be further: the last answer comes again.
                again.request.round = 7;
            }
            bytes(masking.on_request(&mut solver, &again).expect("answers"));
            assert_eq!(said(&masking), first);
        }
        assert_eq!(masking.ledger().expect("noise").releases(), 1);
        // Counted, the next question is another one, and the budget is spent.
        let mut next = asked(8, 1, 19, 19);
        next.receipt.generation = 19;
        assert_eq!(masking.on_request(&mut solver, &next), Ok(Some(Reply::Spent)));
    }
}

#[test]
fn a_budget_for_one_answer_is_one_whatever_stands_behind_its_shares() {
    // As a node makes it before it knows the method: for all entries, of which two are squares.
    let one = NoiseSettings { budget: noise(1, WhenSpent::KeepLast).cost(), ..settings() };
    let mechanism = Mechanism::new(one, ENTRIES + 2).expect("in range");
    let mut masking = Masking::new(masks_of(1, ENTRIES + 2)).with_noise(mechanism, [5; 32]);
    assert!(!masking.is_spent(), "not before it is known what an answer costs");
    let mut asked = asked(1, 0, 0, 0);
    asked.request.question = Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; ENTRIES] };
    bytes(masking.on_request(&mut asset(), &asked).expect("answers"));
    assert!(masking.is_spent());
}

#[test]
fn who_leaves_says_zeros_until_they_are_counted() {
    let (mut solver, masking) = (asset(), Masking::new(masks(1)));
    let mut masking = masking.with_noise(noise(1, WhenSpent::Leave), seed(OWN.0).noise());
    bytes(masking.on_request(&mut solver, &asked(1, 0, 0, 0)).expect("answers"));
    let zeros = bytes(masking.on_request(&mut solver, &asked(2, 1, 1, 1)).expect("answers"));
    // They were dropped: it says them again, under another mask.
    let again = bytes(masking.on_request(&mut solver, &asked(3, 1, 1, 2)).expect("answers"));
    assert_ne!(zeros, again);
    assert_eq!(masking.on_request(&mut solver, &asked(4, 3, 3, 3)), Ok(Some(Reply::Spent)));
}

#[test]
fn epochs_have_published_keys_and_no_more_than_that() {
    let enrolment = enrolment();
    let terms = |epoch| enrolment.terms(epoch, ENTRIES, Width::Shares);
    assert_eq!(terms(0).unwrap_err(), PrivacyError::NoKeys { epoch: 0, published: 3 });
    assert_eq!(terms(4).unwrap_err().reason(), "no_keys");
    let keys = |epoch| terms(epoch).expect("published").parts().roster[0].key;
    assert!(keys(1) != keys(2) && keys(2) != keys(3));
    // As wide as the published bounds ask, with the sum of all five: 8 · 2²⁴ · 5 and a sign.
    assert_eq!(terms(1).expect("published").parts().bits, 31);
    // Narrower where it is published that all together are less: 10 · 2²⁴ and a sign.
    let narrow = Enrolment { total: Some(10 << FRACTION_BITS), ..enrolment.clone() };
    let narrow = narrow.terms(1, ENTRIES, Width::Shares).expect("published");
    assert_eq!((narrow.parts().bits, narrow.parts().bound), (29, terms(1).expect("published").parts().bound));
    let wide = enrolment.terms(1, ENTRIES, Width::Any).expect("published");
    assert!(wide.parts().bits > 50 && wide.parts().grain == 0);
    assert!(enrolment.seats(NodeId(20)) && !enrolment.seats(OWN));
    assert_eq!(alloc::format!("{:?}", seed(7)), "EpochSeed(..)");
    let member = Enrolment::member(&terms(1).expect("published"), NodeId(21), &seed(21), NodeId(1));
    assert!(member.is_ok());
    let other = Enrolment::member(&terms(1).expect("published"), NodeId(21), &seed(22), NodeId(1));
    assert_eq!(other.unwrap_err().reason(), "not_enrolled");
}

#[test]
fn openings_and_notes_of_spent_budgets_have_one_encoding() {
    for width in [Width::Shares, Width::Any] {
        let opening = Opening { epoch: 7, entries: 300, width };
        let bytes = opening.encode();
        assert_eq!(Opening::decode(&bytes), Ok(opening));
        assert!(Opening::decode(&bytes[..bytes.len() - 1]).is_err());
    }
    assert!(Opening::decode(&Opening { epoch: 1, entries: 8193, width: Width::Any }.encode()).is_err());
    assert!(Opening::decode(&[0x84, 0x09, 0x01, 0x01, 0x02]).is_err(), "no such width");
    assert_eq!(Spent::decode(&Spent { epoch: 500 }.encode()), Ok(Spent { epoch: 500 }));
    assert!(Spent::decode(&[0x82, 0x09, 0x01]).is_err());
}

#[test]
fn nobody_waits_for_who_has_retired_and_too_few_end_the_plan() {
    let nodes: Vec<NodeId> = (1..=4).map(NodeId).collect();
    let pace = Pace { quorum: 2, ..Pace::default() };
    let begin = |kind| {
        let couplings = Couplings::balances(ENTRIES).expect("valid");
        let mut lead =
            Coordinator::new(MethodSettings::of(kind), pace, &couplings, nodes.clone()).expect("valid");
        lead.start(Instant::ZERO);
        lead
    };
    let mut lead = begin(Kind::Exchange);
    assert_eq!(lead.retire(Instant::ZERO, nodes[0], 3), Vec::new());
    assert_eq!(lead.missing().collect::<Vec<_>>(), nodes[1..]);
    let entries = vec![0; lead.entries()];
    let answered: Vec<(NodeId, u32)> = nodes[1..].iter().map(|node| (*node, 1)).collect();
    let asked = lead.on_sum(Instant::ZERO, &answered, &entries).expect("open");
    // The round closes without it, and it is asked no more.
    assert!(asked == nodes[1..] || lead.outcome().is_some());
    assert_eq!(lead.retired().collect::<Vec<_>>(), [nodes[0]]);
    let mut lead = begin(Kind::AsynchronousExchange);
    lead.retire(Instant::ZERO, nodes[0], 3);
    // A deadline is never due for who is not asked.
    let due = lead.poll_timeout().expect("others are asked");
    let late = due.saturating_add(pace.deadline);
    assert!(!lead.on_timeout(late).contains(&nodes[0]) && lead.poll_timeout().is_some_and(|due| due > late));
    let told = lead.retire(late, nodes[1], 3);
    assert_eq!((told, lead.outcome().is_some()), (nodes, true), "two of four are fewer than three");
}

#[test]
fn thresholds_are_a_part_of_the_question() {
    let whole =
        |threshold| Question::Whole { brackets: vec![(threshold, 9); 2], bins: 2, filler: 0, wide: true };
    let digest = |question| asked_of_all(&Request { question, ..asked(1, 0, 0, 0).request });
    assert!(digest(whole(3)).is_some());
    assert_ne!(
        digest(whole(3)),
        digest(whole(4)),
        "who is asked at another threshold answers under other masks"
    );
    assert_eq!(digest(asked(1, 0, 0, 0).request.question), None);
}

#[test]
fn an_affine_model_is_told_with_noise_on_its_slopes_too() {
    let question = Question::Intercept { curvature: Curvature::Diagonal, blend: 1.0, proximal: 1.0 };
    let asked =
        MaskedRequest { request: Request { question, ..asked(1, 0, 0, 0).request }, ..asked(1, 0, 0, 0) };
    let entries = asked.request.question.layout(ENTRIES).entries();
    let terms = enrolment().terms(1, entries, Width::Any).expect("published");
    let masks =
        privacy::Asset::new(terms, OWN, &seed(OWN.0).asset(1), &enrolment().policy()).expect("enrolled");
    let mut masking = Masking::new(masks).with_noise(noise(3, WhenSpent::KeepLast), seed(OWN.0).noise());
    let mut solver = asset();
    masking.on_request(&mut solver, &asked).expect("answers");
    let (exact, told) =
        (solver.answer().expect("an answer").to_vec(), masking.masks().outstanding().expect("said").to_vec());
    assert_eq!(told.len(), 2 * ENTRIES);
    assert!(exact.iter().zip(&told).all(|(exact, told)| exact != told), "every entry has its noise");
    // Twice as many entries cost twice as much.
    let cost = noise(3, WhenSpent::KeepLast).resized(2 * ENTRIES).expect("in range").cost();
    assert_eq!(masking.ledger().expect("noise").spent(), cost);
}
