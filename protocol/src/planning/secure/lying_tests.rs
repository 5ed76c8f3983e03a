//! What a coordinator that lies could learn of one asset, attacked.

use alloc::{vec, vec::Vec};

use super::{
    Enrolment, EpochSeed, MaskedAnswer, MaskedRequest, Masking, Reply, SecureError, Width,
    masking::asked_of_all,
};
use crate::{
    id::NodeId,
    planning::{
        Hessian, LocalProblem, ProblemParts, QpSettings, SharedTerm,
        message::FRACTION_BITS,
        privacy::{self, Aggregator, CommitteeMember, PrivacyError, Receipt, Survivor, Survivors},
        solver::{Asset, Curvature, Question, Request},
    },
};

const LIAR: NodeId = NodeId(99);
const SLOTS: usize = 2;

fn seed(node: u64) -> EpochSeed {
    EpochSeed::new([node as u8; 32])
}

struct Fleet {
    aggregator: Aggregator,
    assets: Vec<(NodeId, Asset, Masking)>,
    committee: Vec<CommitteeMember>,
}

fn fleet() -> Fleet {
    let mut enrolment = Enrolment {
        plan: 1,
        k_min: 3,
        cohort: 3,
        changes: 3,
        threshold: 3,
        recoveries: 1,
        greatest: 8 << FRACTION_BITS,
        total: None,
        grain: 0,
        epochs: Vec::new(),
    };
    let nodes =
        |nodes: core::ops::Range<u64>| nodes.map(|node| (NodeId(node), seed(node))).collect::<Vec<_>>();
    enrolment.epochs = enrolment.published(&nodes(20..24), &nodes(1..6), 2);
    let terms = enrolment.terms(1, SLOTS + 1, Width::Any).expect("published");
    let asset = |node: u64| {
        let problem = LocalProblem::new(ProblemParts {
            hessian: Hessian::Diagonal(vec![0.5 + node as f64; SLOTS]),
            linear: vec![-(node as f64), 0.3 * node as f64],
            constant: 0.0,
            lower: vec![-4.0; SLOTS],
            upper: vec![4.0; SLOTS],
            rows: vec![],
            shared: (0..SLOTS).map(|i| SharedTerm { variable: i, coupling: i, coefficient: 1.0 }).collect(),
            couplings: SLOTS,
        });
        let asset = Asset::new(NodeId(node), problem.expect("valid"), QpSettings::default());
        let masks =
            privacy::Asset::new(terms.clone(), NodeId(node), &seed(node).asset(1), &enrolment.policy());
        (NodeId(node), asset.expect("solvable"), Masking::new(masks.expect("enrolled")))
    };
    let member = |node: u64| Enrolment::member(&terms, NodeId(node), &seed(node), LIAR).expect("seated");
    Fleet {
        aggregator: Aggregator::new(terms.clone()),
        assets: (1..6).map(asset).collect(),
        committee: (20..24).map(member).collect(),
    }
}

fn asked(round: u32, accepted: u32, counted: u64, resolved: u64) -> MaskedRequest {
    let request = Request {
        horizon: 0,
        term: 0,
        round,
        accepted,
        committed: None,
        unit: 1.0,
        prices: vec![0.4, -0.7],
        question: Question::Response { curvature: Curvature::None, others: vec![] },
    };
    MaskedRequest { request, receipt: Receipt { epoch: 1, generation: 1, counted, resolved } }
}

impl Fleet {
    fn answer(&mut self, index: usize, asked: &MaskedRequest) -> Result<MaskedAnswer, SecureError> {
        let (_, asset, masking) = &mut self.assets[index];
        match masking.on_request(asset, asked)? {
            Some(Reply::Answer(answer)) => Ok(answer),
            other => panic!("{other:?} is no answer"),
        }
    }

    /// A round in which the liar asks each what it likes, and publishes that all answered what it asked the last. Answers what opens in this window alone.
    fn round(&mut self, asked: impl Fn(usize) -> MaskedRequest) -> Result<Vec<i64>, SecureError> {
        let all: Vec<usize> = (0..self.assets.len()).collect();
        self.round_of(&all, asked)
    }

    /// The survivor set of those who were asked, whatever an honest coordinator would publish.
    fn published(&mut self, those: &[usize]) -> Result<Survivors, SecureError> {
        match self.aggregator.close() {
            Err(PrivacyError::TooFew { .. }) => {}
            other => return Ok(other?),
        }
        let entries = those.iter().map(|index| {
            let (node, _, masking) = &self.assets[*index];
            let counted = self.aggregator.receipt(*node).expect("enrolled").counted;
            Survivor { place: *index, sequence: masking.masks().sequence(), from: counted }
        });
        let (round, occasion) = (self.aggregator.round() + 1, *self.aggregator.occasion());
        let survivors = Survivors { epoch: 1, round, occasion, entries: entries.collect() };
        // It would open, if members answered.
        for member in &mut self.committee {
            member.on_survivors(LIAR, &survivors)?;
        }
        panic!("members answered for a set that tells somebody apart");
    }

    /// The same of some assets: the others are not asked.
    fn round_of(
        &mut self,
        those: &[usize],
        asked: impl Fn(usize) -> MaskedRequest,
    ) -> Result<Vec<i64>, SecureError> {
        let last = asked(those[those.len() - 1]).request;
        self.aggregator.turn(0, asked_of_all(&last));
        for index in those.iter().copied() {
            let answer = self.answer(index, &asked(index))?;
            let node = self.assets[index].0;
            self.aggregator.on_contribution(node, &answer.masked)?;
        }
        let survivors = self.published(those)?;
        let mut opened = None;
        for member in &mut self.committee {
            let reply = member.on_survivors(LIAR, &survivors)?;
            opened = self.aggregator.on_mask_sum(member.node(), &reply)?;
        }
        Ok(opened.expect("all answered").change)
    }
}

/// Whether what opened is beyond all bounds, or what nobody says: whole shares are below 2²⁷ steps.
fn is_garbage(change: Result<Vec<i64>, SecureError>) -> bool {
    match change {
        Ok(change) => change.iter().all(|entry| entry.unsigned_abs() > 1 << 40),
        Err(error) => error.reason() == "implausible",
    }
}

#[test]
fn nobody_is_asked_anew_alone() {
    let mut fleet = fleet();
    fleet.round(|_| asked(1, 0, 0, 0)).expect("opens");
    // At the same prices the others' changes are exactly zero: what opens would be its share.
    let change = fleet.round(|index| asked(2, if index == 0 { 0 } else { 1 }, 1, 1));
    assert_eq!(change.map_err(|error| error.reason()), Err("base"));
    // Without the lie, a window at the same prices tells nothing.
    let mut fleet = self::fleet();
    fleet.round(|_| asked(1, 0, 0, 0)).expect("opens");
    assert_eq!(fleet.round(|_| asked(2, 1, 1, 1)), Ok(vec![0; SLOTS + 1]));
}

#[test]
fn nobody_is_told_alone_that_it_was_not_counted() {
    let mut fleet = fleet();
    fleet.round(|_| asked(1, 0, 0, 0)).expect("opens");
    let change = fleet.round(|index| match index {
        0 => asked(2, 0, 0, 1),
        _ => asked(2, 1, 1, 1),
    });
    // It says its whole share, but under masks that members do not take off.
    assert!(is_garbage(change));
}

#[test]
fn nobody_is_asked_at_other_prices_alone() {
    let mut fleet = fleet();
    fleet.round(|_| asked(1, 0, 0, 0)).expect("opens");
    let change = fleet.round(|index| {
        let mut asked = asked(2, 1, 1, 1);
        if index == 0 {
            asked.request.prices[1] += 0.25;
        }
        asked
    });
    assert!(is_garbage(change));
}

#[test]
fn an_answer_to_one_question_waits_for_nobody_who_answers_the_next() {
    let mut fleet = fleet();
    fleet.round(|_| asked(1, 0, 0, 0)).expect("opens");
    let late = fleet.answer(0, &asked(2, 1, 1, 1)).expect("answers");
    fleet.aggregator.turn(0, asked_of_all(&asked(2, 1, 1, 1).request));
    fleet.aggregator.on_contribution(NodeId(1), &late.masked).expect("new");
    // The question changes: what waits is dropped, and its asset told.
    let next = asked(3, 1, 1, 1);
    assert_eq!(fleet.aggregator.turn(0, asked_of_all(&next.request)), [NodeId(1)]);
    let receipt = fleet.aggregator.receipt(NodeId(1)).expect("enrolled");
    assert_eq!((receipt.counted, receipt.resolved), (1, 2));
    let again = fleet.answer(0, &MaskedRequest { receipt, ..next }).expect("answers");
    assert_eq!((again.masked.sequence, again.heading.base), (3, 1));
}

/// A round at a price, of which those who are not among `those` hear nothing. `rounds` is what is counted of each.
fn ask(
    fleet: &mut Fleet,
    rounds: &mut [u32; 5],
    round: u32,
    price: f64,
    those: &[usize],
) -> Result<Vec<i64>, SecureError> {
    let node = |index: &usize| NodeId(1 + *index as u64);
    let receipts: Vec<Receipt> =
        (0..5).map(|index| fleet.aggregator.receipt(node(&index)).expect("enrolled")).collect();
    let opened = fleet.round_of(those, |index| {
        let mut asked = asked(round, rounds[index], 0, 0);
        (asked.receipt, asked.request.prices[0]) = (receipts[index], price);
        asked
    })?;
    those.iter().for_each(|index| rounds[*index] = round);
    Ok(opened)
}

#[test]
fn fewer_than_changes_are_left_out_of_questions_that_others_answer() {
    let but = |out: usize| -> Vec<usize> { (0..5).filter(|index| *index != out).collect() };
    let all = [0, 1, 2, 3, 4];
    // At the prices of one round in the next, those who were in both do not move, and who was left out moves alone. This is what a fleet that waits
    // for nobody shows of whoever is late: of two assets in a horizon here.
    let begun = || {
        let mut fleet = fleet();
        let mut rounds = [0; 5];
        for (round, price, those) in [
            (1, 0.4, all.to_vec()),
            (2, 0.1, but(0)),
            (3, 0.1, all.to_vec()),
            (4, 0.4, but(1)),
            (5, 0.4, all.to_vec()),
        ] {
            ask(&mut fleet, &mut rounds, round, price, &those).expect("opens");
        }
        (fleet, rounds)
    };
    for out in 0..5 {
        let (mut fleet, mut rounds) = begun();
        let third = ask(&mut fleet, &mut rounds, 6, 0.2, &but(out));
        let found = third.map(|_| ()).map_err(|error| error.reason());
        assert_eq!(found, if out < 2 { Ok(()) } else { Err("left_out") }, "{out}");
    }
}
