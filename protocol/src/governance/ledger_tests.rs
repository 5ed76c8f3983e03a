//! Single rules of the ledger.

use super::*;
use crate::{
    id::NodeId,
    identity::{Cause, KeyPair, Succession},
    log::Hash,
    time::DtnTime,
};
use alloc::{vec, vec::Vec};

pub(super) fn keys(voter: u64) -> KeyPair {
    KeyPair::from_seed([voter as u8; 32])
}

pub(super) fn electorate(count: u64) -> Electorate {
    Electorate::new((1..=count).map(|voter| (NodeId(voter), keys(voter).public().clone()))).unwrap()
}

/// Something to decide upon: it changes nobody's vote.
pub(super) fn content(number: u64) -> Content {
    let (key, since, cause) = (keys(100).public().clone(), DtnTime(number), Cause::Superseded);
    Content::Authority { key, since, cause }
}

fn digest(ledger: &Ledger) -> Hash {
    *ledger.proposals().keys().next().expect("a proposal")
}

fn vote(ledger: &mut Ledger, voter: u64, step: u32, choice: Choice) -> Vec<u8> {
    ledger.vote(NodeId(voter), &keys(voter), &[], (step, choice)).expect("a vote")
}

/// A ledger of four with a proposal that these have approved.
fn approved_by(voters: &[u64]) -> (Ledger, Hash) {
    let mut ledger = Ledger::new(electorate(4));
    ledger.propose(NodeId(1), &keys(1), &[], &content(1)).unwrap();
    let digest = digest(&ledger);
    for voter in voters {
        vote(&mut ledger, *voter, 0, Some(digest));
    }
    (ledger, digest)
}

const ALL: fn(&Proposal) -> Stance = |_| Stance::Approve;

#[test]
fn a_proposal_is_adopted_when_a_quorum_approves_and_commits() {
    let (mut ledger, digest) = approved_by(&[1, 2]);
    assert_eq!(ledger.next_ballot(NodeId(1), ALL, false), None, "two of four are no quorum");
    vote(&mut ledger, 3, 0, Some(digest));
    for voter in 1..=3 {
        assert_eq!(ledger.close(), None);
        assert_eq!(ledger.next_ballot(NodeId(voter), ALL, false), Some((1, Some(digest))));
        vote(&mut ledger, voter, 1, Some(digest));
    }
    let decision = ledger.close().expect("decided").clone();
    assert_eq!((decision.slot, decision.adopted), (1, Some((NodeId(1), content(1)))));
    assert_eq!((ledger.slot(), ledger.is_idle()), (2, true));
    let mut behind = Ledger::new(electorate(4));
    assert_eq!(behind.insert(&decision.certificate), Ok(Inserted::Decided));
    assert_eq!(behind.head(), ledger.head());
    assert_eq!(behind.insert(&decision.certificate), Ok(Inserted::Known));
}

#[test]
fn what_too_many_reject_is_closed_with_nothing() {
    let (mut ledger, digest) = approved_by(&[1]);
    vote(&mut ledger, 2, 0, None);
    assert_eq!(ledger.next_ballot(NodeId(2), ALL, false), None, "three may still approve");
    vote(&mut ledger, 3, 0, None);
    for voter in 1..=3 {
        assert_eq!(ledger.next_ballot(NodeId(voter), ALL, false), Some((1, None)));
        vote(&mut ledger, voter, 1, None);
    }
    assert_eq!(ledger.close().map(|decision| decision.adopted.clone()), Some(None));
    assert_ne!(ledger.head(), Ledger::new(electorate(4)).head());
    assert!(ledger.proposals().get(&digest).is_none());
}

#[test]
fn a_commitment_to_what_no_quorum_approved_counts_for_nothing() {
    let (mut ledger, digest) = approved_by(&[1, 2]);
    for voter in 1..=4 {
        vote(&mut ledger, voter, 1, Some(digest));
    }
    assert_eq!(ledger.close(), None);
    vote(&mut ledger, 3, 0, Some(digest));
    assert!(ledger.close().is_some(), "as soon as the approvals are there it does");
}

#[test]
fn what_may_have_been_decided_goes_on_and_nothing_else() {
    let (mut ledger, digest) = approved_by(&[1, 2, 3]);
    vote(&mut ledger, 1, 1, Some(digest));
    vote(&mut ledger, 2, 1, Some(digest));
    vote(&mut ledger, 3, 1, None);
    // The fourth may have committed too, and somebody may know.
    assert_eq!(ledger.next_ballot(NodeId(3), ALL, false), None);
    assert_eq!(ledger.next_ballot(NodeId(3), ALL, true), Some((2, Some(digest))));
    for voter in 1..=4 {
        vote(&mut ledger, voter, 2, None);
    }
    assert_eq!(ledger.close(), None, "ballots for nothing do not count in this step");
    let (mut ledger, digest) = approved_by(&[1, 2, 3]);
    for (voter, choice) in [(1, Some(digest)), (2, None), (3, None), (4, Some(digest))] {
        vote(&mut ledger, voter, 1, choice);
    }
    // Nobody can have decided: what a quorum wants goes on.
    assert_eq!(ledger.next_ballot(NodeId(2), ALL, false), Some((2, Some(digest))));
}

#[test]
fn two_ballots_in_one_step_are_a_proof_and_take_nothing_back() {
    let (mut ledger, digest) = approved_by(&[1, 2, 3]);
    let other = Ledger::new(electorate(4)).vote(NodeId(3), &keys(3), &[], (0, None)).unwrap();
    let Ok(Inserted::Exposed(exposure)) = ledger.insert(&other) else { panic!("not caught") };
    assert_eq!((exposure.voter, exposure.slot, exposure.one_key), (NodeId(3), 1, true));
    assert_eq!(ledger.approvals(Some(digest)), 3, "what others have seen stands");
    assert_eq!(ledger.next_ballot(NodeId(1), ALL, false), Some((1, Some(digest))));
    assert_eq!(ledger.insert(&other), Ok(Inserted::Known));
    // In a step of commitments it counts for both, and is one voter.
    for (voter, choice) in [(1, Some(digest)), (2, None), (3, Some(digest))] {
        vote(&mut ledger, voter, 1, choice);
    }
    let ballot = Ballot { slot: 1, parent: ledger.head(), step: 1, choice: None };
    let other = record::sign_ballot(NodeId(3), &keys(3), &[], &ballot);
    assert!(matches!(ledger.insert(&other), Ok(Inserted::Exposed(_))));
    assert_eq!(ledger.close(), None, "two for each, and three voters");
}

#[test]
fn of_a_liars_ballots_those_are_kept_that_others_make_matter() {
    let mut ledger = Ledger::new(electorate(7));
    ledger.propose(NodeId(1), &keys(1), &[], &content(1)).unwrap();
    let chosen = digest(&ledger);
    let (slot, parent) = (1, ledger.head());
    let lie =
        |step, choice| record::sign_ballot(NodeId(7), &keys(7), &[], &Ballot { slot, parent, step, choice });
    for junk in [1, 2] {
        ledger.insert(&lie(0, Some([junk; 32]))).unwrap();
    }
    assert_eq!(ledger.insert(&lie(0, Some(chosen))), Ok(Inserted::Known), "nobody else has said that");
    for voter in 1..=5 {
        vote(&mut ledger, voter, 0, Some(chosen));
    }
    assert!(matches!(ledger.insert(&lie(0, Some(chosen))), Ok(Inserted::Voted { .. })));
    assert_eq!(ledger.approvals(Some(chosen)), 6, "a quorum, as whoever got that ballot first has seen");
    assert_eq!(ledger.insert(&lie(0, Some([3; 32]))), Ok(Inserted::Known));
    for junk in [1, 2] {
        ledger.insert(&lie(1, Some([junk; 32]))).unwrap();
    }
    for choice in [None, Some(chosen)] {
        assert!(matches!(ledger.insert(&lie(1, choice)), Ok(Inserted::Voted { .. })), "{choice:?}");
    }
    assert_eq!(ledger.insert(&lie(1, Some([3; 32]))), Ok(Inserted::Known));
}

#[test]
fn records_of_strangers_other_slots_and_other_histories_are_refused() {
    let mut ledger = Ledger::new(electorate(4));
    let reason = |ledger: &mut Ledger, record: &[u8]| match ledger.insert(record) {
        Ok(_) => "taken",
        Err(error) => error.reason(),
    };
    let stranger = Ledger::new(electorate(5)).vote(NodeId(5), &keys(5), &[], (0, None)).unwrap();
    assert_eq!(reason(&mut ledger, &stranger), "governance_parent");
    let mut other = Ledger::new(electorate(4));
    other.propose(NodeId(1), &keys(1), &[], &content(1)).unwrap();
    let chosen = Some(digest(&other));
    for voter in 1..=3 {
        vote(&mut other, voter, 0, chosen);
        vote(&mut other, voter, 1, chosen);
    }
    other.close().unwrap();
    let later = vote(&mut other, 1, 0, None);
    assert_eq!(reason(&mut ledger, &later), "governance_slot");
    let forged = record::sign_ballot(
        NodeId(2),
        &keys(9),
        &[],
        &Ballot { slot: 1, parent: ledger.head(), step: 0, choice: None },
    );
    assert_eq!(reason(&mut ledger, &forged), "governance_signature");
    let no_voter = record::sign_ballot(
        NodeId(9),
        &keys(9),
        &[],
        &Ballot { slot: 1, parent: ledger.head(), step: 0, choice: None },
    );
    assert_eq!(reason(&mut ledger, &no_voter), "governance_no_vote");
    let beyond = record::sign_ballot(
        NodeId(1),
        &keys(1),
        &[],
        &Ballot { slot: 1, parent: ledger.head(), step: u32::MAX, choice: None },
    );
    assert_eq!(reason(&mut ledger, &beyond), "governance_malformed");
    assert!(ledger.is_idle());
}

#[test]
fn a_certificate_with_too_few_or_foreign_ballots_proves_nothing() {
    let (mut ledger, digest) = approved_by(&[1, 2, 3]);
    for voter in 1..=3 {
        vote(&mut ledger, voter, 1, Some(digest));
    }
    let whole = ledger.clone();
    let proposal = whole.records().next().unwrap().to_vec();
    let ballots: Vec<Vec<u8>> = whole.records().skip(4).map(<[u8]>::to_vec).collect();
    let refs = |which: &[usize]| which.iter().map(|place| ballots[*place].clone()).collect::<Vec<_>>();
    let build = |proposal: Option<&[u8]>, which: &[usize]| {
        let chosen = refs(which);
        let chosen: Vec<&[u8]> = chosen.iter().map(Vec::as_slice).collect();
        certificate::encode(1, proposal, &chosen)
    };
    let mut fresh = Ledger::new(electorate(4));
    for (proposal, which) in [
        (Some(&proposal[..]), &[0, 1][..]),
        (Some(&proposal[..]), &[0, 1, 1]),
        (None, &[0, 1, 2]),
        (Some(&ballots[0][..]), &[0, 1, 2]),
    ] {
        let error = fresh.insert(&build(proposal, which)).unwrap_err();
        assert_eq!(error.reason(), "governance_certificate", "{which:?}");
    }
    assert_eq!(fresh.insert(&build(Some(&proposal), &[0, 1, 2])), Ok(Inserted::Decided));
}

#[test]
fn two_certificates_for_one_slot_are_refused_and_told() {
    // Three of four lie.
    let decide = |choice: bool| {
        let (mut ledger, digest) = approved_by(&[1, 2, 3]);
        for voter in 1..=3 {
            vote(&mut ledger, voter, 1, choice.then_some(digest));
        }
        ledger.close().unwrap();
        ledger
    };
    let (mut one, two) = (decide(true), decide(false));
    let error = one.insert(&two.decisions()[0].certificate).unwrap_err();
    assert_eq!(error, GovernanceError::Split { slot: 1 });
    // What another says of its history is no proof; what it lacks then is all.
    let said = GovernanceMessage::asking(&two, 0);
    assert!(one.differs(&said));
    assert_eq!(one.lacking(&said), [one.decisions()[0].certificate.clone()]);
    assert!(!one.differs(&GovernanceMessage::asking(&one, 0)));
}

#[test]
fn who_gets_or_loses_a_vote_counts_from_the_next_slot_on() {
    let mut ledger = Ledger::new(electorate(4));
    let adopt = |ledger: &mut Ledger, voters: &[u64], content: &Content| {
        ledger.propose(NodeId(1), &keys(1), &[], content).unwrap();
        let chosen = Some(digest(ledger));
        for step in 0..2 {
            for voter in voters {
                vote(ledger, *voter, step, chosen);
            }
        }
        ledger.close().is_some()
    };
    let seat = Content::Seat { node: NodeId(5), key: keys(5).public().clone() };
    assert!(adopt(&mut ledger, &[1, 2, 3], &seat));
    assert_eq!((ledger.electorate().len(), ledger.electorate().quorum()), (5, 4));
    let block = Content::Block {
        node: NodeId(4),
        key: crate::identity::KeyId::of(keys(4).public()),
        since: DtnTime(1),
    };
    assert!(!adopt(&mut ledger.clone(), &[1, 2, 3], &block), "three of five are no quorum");
    assert!(adopt(&mut ledger, &[1, 2, 3, 5], &block));
    assert_eq!(ledger.electorate().key(NodeId(4)), None);
    let late = ledger.vote(NodeId(4), &keys(4), &[], (0, None));
    assert_eq!(late, Err(GovernanceError::NoVote { node: NodeId(4) }));
    // Whoever comes late learns electorate after electorate.
    let mut behind = Ledger::new(electorate(4));
    for certificate in ledger.lacking(&GovernanceMessage::asking(&behind, 0)) {
        assert_eq!(behind.insert(&certificate), Ok(Inserted::Decided));
    }
    assert_eq!((behind.head(), behind.electorate()), (ledger.head(), ledger.electorate()));
}

#[test]
fn a_voter_that_rotated_its_key_votes_with_the_chain_that_shows_it() {
    let mut ledger = Ledger::new(electorate(4));
    let link = Succession::sign(NodeId(2), 1, DtnTime(5), &keys(2), &keys(22));
    let without = ledger.vote(NodeId(2), &keys(22), &[], (0, None));
    assert_eq!(without, Err(GovernanceError::BadSignature { node: NodeId(2) }));
    let next = Succession::sign(NodeId(2), 2, DtnTime(6), &keys(22), &keys(23));
    assert!(ledger.vote(NodeId(2), &keys(23), &[link.clone(), next], (0, None)).is_ok());
    let stolen = Succession::sign(NodeId(3), 1, DtnTime(5), &keys(66), &keys(67));
    assert!(ledger.vote(NodeId(3), &keys(67), &[stolen], (0, None)).is_err());
    assert!(ledger.vote(NodeId(3), &keys(22), &[link], (0, None)).is_err(), "another's chain");
}

#[test]
fn a_ledger_survives_a_restart_with_its_ballots() {
    let (mut ledger, digest) = approved_by(&[1, 2, 3]);
    for voter in 1..=3 {
        vote(&mut ledger, voter, 1, Some(digest));
    }
    ledger.close().unwrap();
    ledger.propose(NodeId(2), &keys(2), &[], &content(2)).unwrap();
    vote(&mut ledger, 2, 0, None);
    let mut back = Ledger::new(electorate(4));
    for decision in ledger.decisions() {
        assert_eq!(back.insert(&decision.certificate), Ok(Inserted::Decided));
    }
    back.restore(&ledger.snapshot()).unwrap();
    assert_eq!((back.head(), back.snapshot()), (ledger.head(), ledger.snapshot()));
    assert!(back.has_approved(NodeId(2)) && !back.has_approved(NodeId(1)));
    assert!(back.restore(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
}

#[test]
fn who_is_seated_anew_votes_on_with_the_successions_since_alone() {
    let mut ledger = Ledger::new(electorate(4));
    let chain: Vec<Vec<u8>> = (0..9)
        .map(|n| Succession::sign(NodeId(2), n + 1, DtnTime(5), &keys(20 + n), &keys(21 + n)))
        .collect();
    let first = Succession::sign(NodeId(2), 1, DtnTime(5), &keys(2), &keys(20));
    let links: Vec<Vec<u8>> = [first].into_iter().chain(chain).collect();
    let last = |count: usize| keys(19 + count as u64);
    assert!(ledger.vote(NodeId(2), &last(8), &links[..8], (0, None)).is_ok(), "eight are walked");
    let far = ledger.vote(NodeId(2), &last(10), &links, (0, None));
    assert_eq!(far, Err(GovernanceError::Seat { node: NodeId(2) }), "with ten it is seated anew");
    for (seat, signs) in [(last(1), last(1)), (last(1), last(9)), (last(10), last(10)), (keys(99), keys(99))]
    {
        let mut ledger = Ledger::new(electorate(4));
        ledger.electorate.seat(NodeId(2), seat.public().clone());
        let known = links
            .iter()
            .position(|link| Succession::claims(link).is_ok_and(|(_, link)| link.next == *signs.public()));
        let had = &links[..known.map_or(links.len(), |place| place + 1)];
        assert!(ledger.vote(NodeId(2), &signs, had, (0, None)).is_ok(), "{seat:?} {signs:?}");
        assert!(ledger.propose(NodeId(2), &signs, had, &content(1)).is_ok());
    }
}

#[test]
fn two_ballots_of_two_keys_of_one_voter_are_no_proof_of_the_voter() {
    let mut ledger = Ledger::new(electorate(4));
    let link = Succession::sign(NodeId(2), 1, DtnTime(5), &keys(2), &keys(22));
    ledger.vote(NodeId(2), &keys(22), &[link], (0, Some([1; 32]))).unwrap();
    let ballot = Ballot { slot: 1, parent: ledger.head(), step: 0, choice: None };
    let stolen = record::sign_ballot(NodeId(2), &keys(2), &[], &ballot);
    let Ok(Inserted::Exposed(exposure)) = ledger.insert(&stolen) else { panic!("not told") };
    assert!(!exposure.one_key);
}

#[test]
fn a_table_with_more_records_than_a_message_names_comes_over_part_by_part() {
    let mut ledger = Ledger::new(electorate(20));
    for step in 1..=MAX_STEPS {
        for voter in 1..=20 {
            vote(&mut ledger, voter, step, None);
        }
    }
    let mut behind = Ledger::new(electorate(20));
    for turn in 0..8 {
        let said = GovernanceMessage::asking(&behind, turn);
        let said = GovernanceMessage::decode(&said.encode()).expect("its own");
        for record in ledger.lacking(&said) {
            behind.insert(&record).unwrap();
        }
    }
    assert_eq!(behind.records().count(), 640);
    // Who has all of it is told nothing more, whatever part it asks about.
    for turn in 0..3 {
        assert!(ledger.lacking(&GovernanceMessage::asking(&behind, turn)).is_empty());
    }
}

#[test]
fn one_proposer_does_not_fill_the_table() {
    let mut ledger = Ledger::new(electorate(4));
    let results: Vec<bool> =
        (0..3).map(|n| ledger.propose(NodeId(1), &keys(1), &[], &content(n)).is_ok()).collect();
    assert_eq!(results, vec![true, true, false]);
    assert!(ledger.propose(NodeId(2), &keys(2), &[], &content(1)).is_ok());
}

/// Proposals of voter 1 in the first slot of so many, each with its digest.
fn proposals_of_one(voters: u64, count: u64) -> Vec<(Hash, Vec<u8>)> {
    let alone = Ledger::new(electorate(voters));
    let sign = |n| record::sign_proposal(NodeId(1), &keys(1), &[], (1, &alone.head()), &content(n));
    let named = |record: Vec<u8>| {
        let mut alone = alone.clone();
        alone.insert(&record).unwrap();
        (digest(&alone), record)
    };
    (1..=count).map(|n| named(sign(n))).collect()
}

#[test]
fn a_third_proposal_that_more_than_the_liars_approve_has_room_and_none_goes_for_it() {
    let mut ledger = Ledger::new(electorate(7));
    let [(first, one), (second, two), (third, three)] = proposals_of_one(7, 3).try_into().expect("three");
    ledger.insert(&one).unwrap();
    ledger.insert(&two).unwrap();
    vote(&mut ledger, 2, 0, Some(first));
    let full = Err(GovernanceError::Full { what: "proposal" });
    assert_eq!(ledger.insert(&three), full);
    vote(&mut ledger, 3, 0, Some(third));
    assert_eq!(ledger.insert(&three), full, "one may lie");
    vote(&mut ledger, 4, 0, Some(third));
    assert!(matches!(ledger.insert(&three), Ok(Inserted::Proposed { .. })));
    assert!([first, second, third].iter().all(|digest| ledger.proposals().contains_key(digest)));
    let mut back = Ledger::new(electorate(7));
    back.restore(&ledger.snapshot()).unwrap();
    assert_eq!(back.snapshot(), ledger.snapshot(), "also after a restart");
    assert_eq!(back.proposals().len(), 3);
}

#[test]
fn a_proposal_whose_approvals_a_liar_has_taken_back_is_there_after_a_restart() {
    let mut ledger = Ledger::new(electorate(7));
    let [(_, one), (_, two), (third, three)] = proposals_of_one(7, 3).try_into().expect("three");
    ledger.insert(&one).unwrap();
    ledger.insert(&two).unwrap();
    let says = |ledger: &mut Ledger, choice| {
        let ballot = Ballot { slot: 1, parent: ledger.head(), step: 0, choice };
        ledger.insert(&record::sign_ballot(NodeId(1), &keys(1), &[], &ballot)).unwrap();
    };
    vote(&mut ledger, 3, 0, Some(third));
    says(&mut ledger, Some(third));
    ledger.insert(&three).unwrap();
    says(&mut ledger, None);
    for (proposer, voters) in [(4, [4, 5]), (6, [6, 7])] {
        let before: Vec<Hash> = ledger.proposals().keys().copied().collect();
        ledger.propose(NodeId(proposer), &keys(proposer), &[], &content(proposer)).unwrap();
        let new = *ledger.proposals().keys().find(|digest| !before.contains(digest)).expect("proposed");
        voters.into_iter().for_each(|voter| drop(vote(&mut ledger, voter, 0, Some(new))));
        says(&mut ledger, Some(new));
    }
    assert_eq!(ledger.approvals(Some(third)), 1, "the liar's word for it has made way");
    let mut back = Ledger::new(electorate(7));
    back.restore(&ledger.snapshot()).unwrap();
    assert_eq!(back.snapshot(), ledger.snapshot());
    assert!(back.proposals().contains_key(&third));
}

#[test]
fn a_proposal_that_a_quorum_comes_to_approve_is_here_whatever_liars_make_of_the_others() {
    // Voters 1 and 2 lie: 1 has made three proposals. Nine approve the first, each before it hears of the others.
    let mut proposals = proposals_of_one(13, 3);
    proposals.sort_by_key(|(digest, _)| *digest);
    let [(first, one), (second, two), (third, three)] = proposals.try_into().expect("three");
    let mut ledger = Ledger::new(electorate(13));
    ledger.insert(&one).unwrap();
    vote(&mut ledger, 3, 0, Some(first));
    ledger.insert(&two).unwrap();
    vote(&mut ledger, 12, 0, Some(second));
    for voter in [1, 2, 13] {
        vote(&mut ledger, voter, 0, Some(third));
    }
    ledger.insert(&three).unwrap();
    for voter in 4..=11 {
        vote(&mut ledger, voter, 0, Some(first));
    }
    for liar in [1, 2] {
        let ballot = Ballot { slot: 1, parent: ledger.head(), step: 0, choice: Some(first) };
        ledger.insert(&record::sign_ballot(NodeId(liar), &keys(liar), &[], &ballot)).unwrap();
    }
    for voter in 3..=13 {
        assert_eq!(ledger.next_ballot(NodeId(voter), ALL, false), Some((1, Some(first))));
        vote(&mut ledger, voter, 1, Some(first));
    }
    assert!(ledger.close().is_some(), "eleven of thirteen, and what they decided is known");
}

#[test]
fn a_split_that_lies_further_back_than_one_message_reaches_is_proven_part_by_part() {
    let close = |ledger: &mut Ledger, choice: Choice| {
        for voter in 1..=3 {
            vote(ledger, voter, 0, choice);
        }
        for voter in 1..=3 {
            vote(ledger, voter, 1, choice);
        }
        ledger.close().expect("decided");
    };
    let mut one = Ledger::new(electorate(4));
    while one.decisions().iter().map(|decision| decision.certificate.len()).sum::<usize>() <= MAX_MESSAGE_LEN
    {
        close(&mut one, None);
    }
    let mut other = one.clone();
    let slot = one.slot();
    other.propose(NodeId(1), &keys(1), &[], &content(1)).unwrap();
    let proposal = digest(&other);
    close(&mut one, None);
    close(&mut other, Some(proposal));
    let said = GovernanceMessage::asking(&other, 0);
    assert!(one.differs(&said));
    let (mut from, mut proven) = (0, Vec::new());
    while from < one.decisions().len() {
        let part = one.contrary(&said, from);
        assert!(!part.is_empty(), "a message has room for one at least");
        from += part.len();
        proven.extend(part.iter().filter_map(|certificate| other.insert(certificate).err()));
    }
    assert_eq!(proven, [GovernanceError::Split { slot }]);
    assert!(
        one.contrary(&said, 0).iter().all(|known| other.insert(known) == Ok(Inserted::Known)),
        "not in one"
    );
}
