use super::*;
use crate::planning::secure::EpochSeed;
use core::time::Duration;

const OWN: NodeId = NodeId(2);
const LEADER: NodeId = NodeId(1);

fn seed(node: u64) -> EpochSeed {
    EpochSeed::new([node as u8; 32])
}

fn private() -> Private {
    let mut enrolment = Enrolment {
        plan: 1,
        k_min: 2,
        cohort: 1,
        changes: 2,
        threshold: 3,
        recoveries: 1,
        greatest: 1 << 34,
        total: None,
        grain: 0,
        epochs: Vec::new(),
    };
    let members = |nodes: core::ops::Range<u64>| -> Vec<(NodeId, EpochSeed)> {
        nodes.map(|node| (NodeId(node), seed(node))).collect()
    };
    // This node has a part and a seat.
    enrolment.epochs = enrolment.published(&members(2..6), &members(1..4), 2);
    let config = PrivacyConfig {
        enrolment: Arc::new(enrolment),
        seed: seed(OWN.0),
        noise: None,
        delta: 1e-6,
        patience: Duration::from_secs(1),
        changes: 2,
    };
    Private::new(OWN, config)
}

const fn opening(epoch: u64, entries: usize) -> Opening {
    Opening { epoch, entries, width: Width::Shares }
}

#[test]
fn one_epoch_has_one_set_of_terms_and_is_not_begun_again() {
    let mut private = private();
    let mut open = |opening| {
        let opened = private.open(Instant::ZERO, opening, LEADER, true);
        opened.map_err(|error| error.reason())
    };
    assert_eq!(open(opening(1, 4)), Ok(()));
    assert_eq!(open(opening(1, 4)), Ok(()), "the same again");
    assert_eq!(open(opening(1, 5)), Err("epoch"));
    assert_eq!(open(Opening { width: Width::Any, ..opening(1, 4) }), Err("epoch"));
    assert_eq!(open(opening(2, 5)), Ok(()));
    assert_eq!(open(opening(1, 4)), Err("epoch"));
    assert_eq!(open(opening(3, 4)), Err("no_keys"));
    let party = private.party.as_ref().expect("open");
    assert!(party.masking().is_some() && party.member().is_some());
    assert_eq!(party.terms().parts().epoch, 2);
}

#[test]
fn what_was_spent_outlives_masks_that_do_not_fit() {
    let noise = privacy::noise::NoiseSettings {
        grain_bits: 8,
        clip: 1 << 20,
        norm: None,
        variance: 1 << 30,
        budget: u64::MAX,
        when_spent: privacy::noise::WhenSpent::KeepLast,
        slope_bits: 0,
    };
    let mut ledger = Ledger::new(u64::MAX);
    ledger.charge(500).expect("covered");
    // The masks' record is of other terms, and of no use; what was spent comes back before there are masks, or after.
    let key = [Kept::Plan as u8, LEDGER];
    for first in [true, false] {
        let mut private = private();
        private.config.noise = Some(noise);
        let take_back = |private: &mut Private| {
            private.take_back_loose(Instant::ZERO, &key, &ledger.snapshot()).expect("a ledger");
        };
        if first {
            take_back(&mut private);
        }
        private.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("opens");
        let masks = private.party.as_mut().expect("open").restore_masking(&[0x84, 2, 0x40]);
        assert!(masks.is_err());
        if !first {
            take_back(&mut private);
        }
        let found = private.ledger().expect("noise");
        assert_eq!((found.spent(), found.releases()), (500, 1));
        let kept = private.changes();
        assert!(kept.iter().any(|(part, state)| *part == LEDGER && *state == ledger.snapshot()));
        // Into a later epoch too.
        private.open(Instant::ZERO, opening(2, 5), LEADER, true).expect("opens");
        assert_eq!(private.ledger().map(Ledger::spent), Some(500));
    }
}

#[test]
fn deals_that_came_early_survive_a_crash() {
    let deal = |epoch| {
        let config = PrivacyConfig { seed: seed(3), ..private().config };
        let mut other = Private::new(NodeId(3), config);
        other.open(Instant::ZERO, opening(epoch, 4), LEADER, true).expect("opens");
        let party = other.party.as_mut().expect("open");
        core::iter::from_fn(|| party.poll_transmit()).find(|(to, _)| *to == OWN).expect("a deal").1
    };
    let (first, second) = (deal(1), deal(2));
    let mut private = private();
    // After a crash: the deal of the epoch that was open, and one that is for the next, in whatever order.
    for (part, deal) in [(EARLY, &second), (DEAL, &first)] {
        let key = deal_key(part, NodeId(3));
        private.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("opens");
        private.take_back_loose(Instant::ZERO, &key, deal).expect("a deal");
    }
    assert_eq!(private.early.get(&NodeId(3)), Some(&second));
    private.open(Instant::ZERO, opening(2, 4), LEADER, true).expect("opens");
    // It is of this epoch now: kept so, the dealer's deal for the next does not take its place.
    assert_eq!(private.drained, [(NodeId(3), second.clone())]);
    // It holds the share: asked to recover the dealer, it would answer.
    let recover = privacy::Recover { epoch: 2, lost: NodeId(3), deputy: NodeId(4) };
    let party = private.party.as_mut().expect("open");
    while party.poll_transmit().is_some() {}
    party.handle(Instant::ZERO, None, LEADER, &recover.encode()).expect("a share");
    assert!(party.poll_transmit().is_some_and(|(to, _)| to == NodeId(4)));
}

#[test]
fn an_asset_whose_part_comes_after_the_epoch_was_opened_gets_its_masks() {
    let mut private = private();
    private.open(Instant::ZERO, opening(1, 4), LEADER, false).expect("opens");
    let masks = |private: &Private| private.party.as_ref().and_then(Party::masking).cloned();
    assert!(masks(&private).is_none(), "a seat alone");
    private.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("the same");
    assert!(masks(&private).is_some_and(|masks| masks.masks().sequence() == 0));
    // What was said under them before a crash is not said anew.
    let mut said = masks(&private).expect("masks");
    let mut asset = privacy::Asset::new(
        private.party.as_ref().expect("open").terms().clone(),
        OWN,
        &seed(OWN.0).asset(1),
        &private.config.enrolment.policy(),
    )
    .expect("enrolled");
    asset.speak(&[1; 4], &privacy::Occasion::default()).expect("speaks");
    said = said.renewed(asset);
    let mut again = self::private();
    again.waiting = Some((opening(1, 4), said.snapshot()));
    again.open(Instant::ZERO, opening(1, 4), LEADER, false).expect("opens");
    assert!(again.waiting.is_some(), "no part yet");
    again.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("the same");
    assert!(masks(&again).is_some_and(|masks| masks.masks().sequence() == 1));
}

#[test]
fn what_changed_is_kept_once_and_deals_that_come_early_wait() {
    let mut private = private();
    let early = {
        let mut other = Private::new(NodeId(3), PrivacyConfig { seed: seed(3), ..private.config.clone() });
        other.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("opens");
        let party = other.party.as_mut().expect("open");
        core::iter::from_fn(|| party.poll_transmit()).find(|(to, _)| *to == OWN).expect("a deal").1
    };
    assert!(private.is_early(NodeId(3), &early) && !private.is_early(NodeId(9), &early), "no seat");
    private.early.insert(NodeId(3), early.clone());
    private.open(Instant::ZERO, opening(1, 4), LEADER, true).expect("opens");
    assert!(private.early.is_empty() && !private.is_early(NodeId(3), &early));
    let kept: Vec<u8> = private.changes().into_iter().map(|(part, _)| part).collect();
    assert_eq!(kept, [MASKING, SEAT]);
    assert_eq!(private.changes(), Vec::new());
}
