use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};
use core::time::Duration;

use super::{Gathering, MaskedAnswer, MaskedRequest, Masking, Party, SecureError, Suspicion, Window};
use crate::{
    id::NodeId,
    planning::{
        generate::{FleetSpec, Planted},
        message::{FRACTION_BITS, MAX_SHARE, Outcome},
        privacy::{
            self, Aggregator, AssetSecret, CommitteeMember, Enrolled, MaskSum, MaskedContribution, Policy,
            PrivacyError, Seat, SeatSecret, Terms, TermsParts,
        },
        qp::QpSettings,
        solver::{Asset, Coordinator, Heading, Kind, MethodSettings, Pace},
    },
    time::Instant,
};

const STEP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

fn seed(kind: u8, node: NodeId) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&node.0.to_be_bytes());
    seed
}

/// A party with the solver's halves that it works for.
struct Node {
    party: Party,
    asset: Asset,
    lead: Option<Coordinator>,
    asked: Vec<(NodeId, Vec<u8>)>,
}

impl Node {
    fn handle(&mut self, now: Instant, from: NodeId, bytes: &[u8]) -> Result<(), SecureError> {
        if let Ok(asked) = MaskedRequest::decode(bytes) {
            if from != self.party.coordinator() {
                return Err(PrivacyError::Sender { node: from }.into());
            }
            self.party.answer(&mut self.asset, &asked.request, asked.receipt)?;
            let asked = self.party.settle(now, self.lead.as_mut())?;
            return self.ask(now, asked);
        }
        let asked = self.party.handle(now, self.lead.as_mut(), from, bytes)?;
        self.ask(now, asked)
    }

    fn ask(&mut self, now: Instant, asked: Vec<NodeId>) -> Result<(), SecureError> {
        let own = self.party.node();
        for node in asked {
            let Some(request) = self.lead.as_ref().and_then(|lead| self.party.request(lead, node)) else {
                continue;
            };
            match node == own {
                true => self.handle(now, own, &request.encode())?,
                false => self.asked.push((node, request.encode())),
            }
        }
        Ok(())
    }

    fn start(&mut self, now: Instant) {
        self.party.deal().expect("deals");
        let asked = self.lead.as_mut().map(|lead| lead.start(now)).unwrap_or_default();
        self.ask(now, asked).expect("asks");
    }

    fn on_timeout(&mut self, now: Instant) {
        let Some(lead) = &mut self.lead else { return };
        let asked = self.party.on_timeout(now, lead).expect("goes on");
        self.ask(now, asked).expect("asks");
    }

    fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        self.party.poll_transmit().or_else(|| self.asked.pop())
    }
}

struct Mesh {
    planted: Planted,
    parties: Vec<Node>,
    /// Nodes that hear and say nothing.
    dead: BTreeSet<NodeId>,
    /// A member whose mask sums are none.
    liar: Option<NodeId>,
    /// An asset whose answers are none.
    spoiler: Option<NodeId>,
    now: Instant,
    refused: usize,
}

impl Mesh {
    /// The published fleet; its first four assets are the committee, and the first coordinates.
    fn new(kind: Kind) -> Self {
        Self::in_epoch(kind, 1)
    }

    fn in_epoch(kind: Kind, epoch: u64) -> Self {
        let planted = FleetSpec::published(1, 1e2).draw().expect("valid");
        let nodes: Vec<NodeId> = planted.problem.locals().iter().map(|(node, _)| *node).collect();
        let settings = MethodSettings { eps_abs: 1e-6, eps_rel: 1e-6, ..MethodSettings::of(kind) };
        let pace = Pace { quorum: 14, deadline: Duration::from_secs(20), ..Pace::default() };
        let coordinator = Coordinator::new(settings, pace, planted.problem.couplings(), nodes.clone());
        let coordinator = coordinator.expect("valid");
        let seats = &nodes[..4];
        let seat = |node: &NodeId| {
            let secret = SeatSecret::from_seed(seed(1, *node));
            Seat { node: *node, mask_key: secret.mask_key(), share_key: secret.share_key() }
        };
        let enrolled = |node: &NodeId| Enrolled {
            node: *node,
            key: AssetSecret::from_seed(seed(2, *node)).public_key(),
        };
        let terms = Terms::new(TermsParts {
            plan: 1,
            epoch,
            entries: coordinator.entries(),
            bits: 64,
            bound: (MAX_SHARE as u64) << FRACTION_BITS,
            total: None,
            grain: 0,
            k_min: 4,
            cohort: 4,
            changes: 4,
            threshold: 3,
            recoveries: 1,
            committee: seats.iter().map(seat).collect(),
            roster: nodes.iter().map(enrolled).collect(),
        });
        let terms = Arc::new(terms.expect("valid"));
        let policy = Policy {
            k_min: 3,
            tolerated: 1,
            cohort: 1,
            changes: 1,
            seats: seats.to_vec(),
            roster: nodes.clone(),
        };
        let gathering = Gathering::new(Aggregator::new(Arc::clone(&terms)), &coordinator).expect("fits");
        let mut lead = Some((coordinator, gathering));
        let party = |(node, problem): &(NodeId, _)| {
            let masks = privacy::Asset::new(
                Arc::clone(&terms),
                *node,
                &AssetSecret::from_seed(seed(2, *node)),
                &policy,
            );
            let asset = Asset::new(*node, Clone::clone(problem), QpSettings::default()).expect("solvable");
            let secret = SeatSecret::from_seed(seed(1, *node));
            let member = seats
                .contains(node)
                .then(|| CommitteeMember::new(Arc::clone(&terms), *node, secret, nodes[0]).expect("seated"));
            let (lead, gathering) = lead.take().unzip();
            let party = Party::new(*node, nodes[0], Arc::clone(&terms), PATIENCE)
                .with_masking(Some(Masking::new(masks.expect("enrolled"))))
                .with_member(member)
                .with_gathering(gathering);
            Node { party, asset, lead, asked: Vec::new() }
        };
        let parties = planted.problem.locals().iter().map(party).collect();
        Self {
            planted,
            parties,
            dead: BTreeSet::new(),
            liar: None,
            spoiler: None,
            now: Instant::ZERO,
            refused: 0,
        }
    }

    fn start(&mut self) {
        // Deals arrive before the first window closes: members start before the coordinator.
        for party in self.parties.iter_mut().rev() {
            party.start(self.now);
        }
    }

    /// Carries what is to be sent, in a second's time; then lets deadlines pass.
    fn step(&mut self) {
        self.now = self.now.saturating_add(STEP);
        let mut sent = Vec::new();
        for party in self.parties.iter_mut() {
            let from = party.party.node();
            while let Some((to, bytes)) = party.poll_transmit() {
                sent.push((from, to, bytes));
            }
        }
        for (from, to, bytes) in sent {
            let spoils = self.liar == Some(from) || self.spoiler == Some(from);
            let bytes = if spoils { self.spoilt(from, bytes) } else { bytes };
            let lost = self.dead.contains(&from) || self.dead.contains(&to);
            let party = self.parties.iter_mut().find(|party| party.party.node() == to).filter(|_| !lost);
            if let Some(party) = party {
                self.refused += usize::from(party.handle(self.now, from, &bytes).is_err());
            }
        }
        for party in self.parties.iter_mut() {
            party.on_timeout(self.now);
        }
    }

    /// Own mask sums, far from what they are.
    fn spoilt(&self, liar: NodeId, bytes: Vec<u8>) -> Vec<u8> {
        if self.spoiler == Some(liar) {
            return match MaskedAnswer::decode(&bytes, self.parties[0].party.terms()) {
                Ok(mut answer) => {
                    let entries = answer.masked.entries.iter_mut().enumerate();
                    entries.for_each(|(at, byte)| *byte ^= (at as u8).wrapping_mul(151).wrapping_add(73));
                    answer.encode()
                }
                _ => bytes,
            };
        }
        match MaskSum::decode(&bytes, self.parties[0].party.terms()) {
            Ok(mut reply) if reply.seat == liar => {
                reply.entries.iter_mut().skip(7).step_by(8).for_each(|highest| *highest ^= 0x55);
                reply.encode()
            }
            _ => bytes,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        self.parties[0].lead.as_ref().expect("leads").outcome()
    }

    fn gap(&self) -> f64 {
        let values: Vec<&[f64]> = self.parties.iter().map(|party| party.asset.values()).collect();
        self.planted.problem.gap(&values, self.planted.best)
    }

    fn run(&mut self, steps: usize) -> usize {
        (0..steps)
            .find(|_| {
                self.step();
                self.outcome().is_some()
            })
            .expect("ends")
    }
}

fn gathering(mesh: &Mesh) -> &Gathering {
    mesh.parties[0].party.gathering().expect("leads")
}

fn members(mesh: &Mesh) -> impl Iterator<Item = &CommitteeMember> {
    mesh.parties.iter().filter_map(|node| node.party.member())
}

#[test]
fn a_fleet_plans_by_messages_alone() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    mesh.run(200);
    assert_eq!((mesh.outcome(), mesh.refused), (Some(Outcome::Converged), 0));
    assert!(mesh.gap() < 1e-5, "{}", mesh.gap());
}

#[test]
fn a_member_that_falls_silent_is_recovered_and_the_plan_goes_on() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    (0..6).for_each(|_| mesh.step());
    assert_eq!(mesh.outcome(), None);
    let lost = mesh.parties[2].party.node();
    mesh.dead.insert(lost);
    // Its masks go on through its deputy; its asset is missing, so rounds close by quorum and end as absent or converged.
    let before = gathering(&mesh).aggregator().round();
    (0..120).for_each(|_| mesh.step());
    assert!(gathering(&mesh).aggregator().round() > before + 2, "windows are opened without it");
    let deputies: Vec<NodeId> = members(&mesh).flat_map(CommitteeMember::wards).collect();
    assert_eq!(deputies, [lost]);
}

#[test]
fn a_window_that_the_committee_cannot_open_is_given_up_and_asked_for_again() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    (0..6).for_each(|_| mesh.step());
    let lost: Vec<NodeId> = mesh.parties[2..4].iter().map(|node| node.party.node()).collect();
    mesh.dead.extend(lost);
    (0..60).for_each(|_| mesh.step());
    let round = |mesh: &Mesh| mesh.parties[0].lead.as_ref().unwrap().round();
    let stuck = round(&mesh);
    assert!(members(&mesh).all(|member| member.wards().next().is_none()));
    // With two of four seats lost nothing opens; when they are back, the plan goes on.
    mesh.dead.clear();
    (0..200).for_each(|_| mesh.step());
    assert!(mesh.outcome().is_some() || round(&mesh) > stuck);
    let windows: Vec<Window> = core::iter::from_fn(|| mesh.parties[0].party.poll_window()).collect();
    assert!(windows.contains(&Window::Unopened { reason: "committee_silent" }), "{windows:?}");
}

fn windows(mesh: &mut Mesh) -> Vec<Window> {
    core::iter::from_fn(|| mesh.parties[0].party.poll_window()).collect()
}

#[test]
fn a_member_that_spoils_sums_is_named_and_the_plan_goes_on() {
    // Who is audited, and by whom, is drawn by lot when all have answered; in each epoch one, and who is known to lie comes first.
    let (mut suspicion, mut named, mut pairs) = (Suspicion::default(), Vec::new(), BTreeSet::new());
    for epoch in 1..=4 {
        let mut mesh = Mesh::in_epoch(Kind::QuasiNewton, epoch);
        let own = mesh.parties.remove(0);
        mesh.parties.insert(0, Node { party: own.party.suspecting(suspicion), ..own });
        mesh.start();
        (0..6).for_each(|_| mesh.step());
        let liar = mesh.parties[2].party.node();
        mesh.liar = Some(liar);
        let exhausted = (0..200).any(|_| {
            mesh.step();
            mesh.outcome().is_some() || mesh.parties[0].party.take_exhausted()
        });
        let audits: Vec<(NodeId, NodeId, bool)> = (windows(&mut mesh).into_iter())
            .filter_map(|window| match window {
                Window::Audited { seat, deputy, differs } => Some((seat, deputy, differs)),
                _ => None,
            })
            .collect();
        let [(seat, deputy, differs)] = audits[..] else { panic!("one recovery, one audit: {audits:?}") };
        assert_eq!(differs, seat == liar, "the deputy recomputes what it is asked for");
        assert!(pairs.insert((seat, deputy)) && exhausted);
        // Where the liar was found its deputy speaks for it; else another epoch has keys to find it with.
        assert_eq!(mesh.outcome(), differs.then_some(Outcome::Converged), "{audits:?}");
        assert!(!differs || mesh.gap() < 1e-5, "{}", mesh.gap());
        suspicion = mesh.parties[0].party.suspicion().clone();
        named.push(differs);
        if differs {
            break;
        }
    }
    assert_eq!(named.last(), Some(&true), "{named:?}");
}

#[test]
fn an_asset_that_spoils_sums_ends_the_plan_and_not_more() {
    for kind in [Kind::QuasiNewton, Kind::AsynchronousExchange] {
        let mut mesh = Mesh::new(kind);
        mesh.start();
        while mesh.parties[0].lead.as_ref().expect("leads").agreed() < 16 {
            mesh.step();
        }
        let prices = mesh.parties[0].lead.as_ref().expect("leads").prices().to_vec();
        assert_eq!(mesh.outcome(), None, "{kind:?}");
        assert!(mesh.parties[0].lead.as_ref().expect("leads").is_agreed(), "{kind:?}");
        mesh.spoiler = Some(mesh.parties[9].party.node());
        mesh.run(2000);
        // Every sum that it is in is beyond all bounds: they are begun again a few times, ever more seldom, and then what was agreed last stands.
        assert_eq!(mesh.outcome(), Some(Outcome::Absent), "{kind:?}");
        let generation = gathering(&mesh).aggregator().occasion().generation;
        assert!((3..=12).contains(&generation), "{kind:?}: {generation}");
        let lead = mesh.parties[0].lead.as_ref().expect("leads");
        assert!(lead.agreed() >= 14 && lead.prices().len() == prices.len());
        let spoilt =
            windows(&mut mesh).into_iter().filter(|window| matches!(window, Window::Unopened { .. }));
        assert!(spoilt.count() <= 12);
    }
}

#[test]
fn a_fleet_that_agreed_on_nothing_goes_on_ever_more_seldom() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.spoiler = Some(mesh.parties[9].party.node());
    mesh.start();
    (0..600).for_each(|_| mesh.step());
    assert_eq!(mesh.outcome(), None, "there is nothing that it could end with");
    let generation = gathering(&mesh).aggregator().occasion().generation;
    assert!(generation < 40, "{generation}");
}

#[test]
fn a_lost_window_does_not_end_a_plan_without_rounds() {
    for step in [30, 35, 41] {
        let mut mesh = Mesh::new(Kind::AsynchronousExchange);
        mesh.start();
        (0..step).for_each(|_| mesh.step());
        assert!(mesh.outcome().is_none());
        let known = |mesh: &Mesh| mesh.parties[0].lead.as_ref().expect("leads").agreed();
        assert_eq!(known(&mesh), 16);
        // Two of four seats are out of contact until the sum has begun again.
        let lost: Vec<NodeId> = mesh.parties[2..4].iter().map(|node| node.party.node()).collect();
        mesh.dead.extend(lost);
        while gathering(&mesh).aggregator().occasion().generation == 1 {
            mesh.step();
        }
        mesh.dead.clear();
        windows(&mut mesh);
        (0..60).for_each(|_| mesh.step());
        // The blocks of the first generation are summed again, whoever answers first.
        let lead = mesh.parties[0].lead.as_ref().expect("leads");
        assert!(
            lead.outcome().is_none() || lead.outcome() == Some(Outcome::Converged),
            "{:?}",
            lead.outcome()
        );
        let counted = lead.members().filter(|member| lead.has_share(*member)).count();
        assert_eq!(counted, 16, "{:?}", windows(&mut mesh));
    }
}

#[test]
fn a_silent_asset_keeps_no_fleet_from_beginning() {
    let mut mesh = Mesh::new(Kind::AsynchronousExchange);
    let silent = mesh.parties[15].party.node();
    mesh.dead.insert(silent);
    mesh.start();
    // The last eleven wait for a cohort with it, until three deadlines have passed.
    (0..15).for_each(|_| mesh.step());
    let known = |mesh: &Mesh| {
        let lead = mesh.parties[0].lead.as_ref().expect("leads");
        lead.members().filter(|member| lead.has_share(*member)).count()
    };
    assert!(known(&mesh) < 15, "{}", known(&mesh));
    (0..120).for_each(|_| mesh.step());
    assert_eq!(known(&mesh), 15, "{:?}", windows(&mut mesh));
    // Too late, and alone, it waits for the next horizon, and nobody waits for it.
    mesh.dead.clear();
    (0..60).for_each(|_| mesh.step());
    let lead = mesh.parties[0].lead.as_ref().expect("leads");
    let (gone, outcome) = (lead.retired().collect::<Vec<_>>(), lead.outcome());
    assert_eq!((gone, known(&mesh)), (vec![silent], 15), "{outcome:?} {:?}", windows(&mut mesh));
    assert!(outcome != Some(Outcome::Absent), "the others go on");
    assert!(windows(&mut mesh).contains(&Window::Unopened { reason: "left_behind" }));
}

#[test]
fn who_waits_for_the_others_is_not_silent() {
    let mut mesh = Mesh::new(Kind::AsynchronousExchange);
    let dead: Vec<NodeId> = mesh.parties[3..].iter().map(|node| node.party.node()).collect();
    // The committee's last seat is out too: nothing opens. Three have answered, and wait.
    mesh.dead.extend(dead);
    mesh.start();
    (0..30).for_each(|_| mesh.step());
    let lead = mesh.parties[0].lead.as_mut().expect("leads");
    let due = lead.poll_timeout().expect("others are asked");
    let asked = lead.on_timeout(due);
    assert!(!asked.is_empty() && asked.iter().all(|node| mesh.dead.contains(node)), "{asked:?}");
}

#[test]
fn an_asset_cannot_make_the_fleet_begin_anew() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    let generation = gathering(&mesh).aggregator().occasion().generation;
    let from = mesh.parties[9].party.node();
    // A round is open, and its answer is not there yet.
    let asked = (0..50).find_map(|_| {
        mesh.step();
        let node = &mesh.parties[0];
        let asked = node.party.request(node.lead.as_ref().expect("leads"), from)?;
        Some(asked).filter(|asked| asked.request.accepted > 0 && asked.request.committed.is_none())
    });
    let asked = asked.expect("asked");
    let party = &mut mesh.parties[0];
    // It says that nothing of it is counted, in an answer to the question in force.
    let masked = MaskedContribution {
        epoch: 1,
        generation,
        sequence: asked.receipt.resolved + 1,
        entries: vec![7; party.party.terms().vector_len()],
    };
    let heading = Heading { horizon: 0, round: asked.request.round, base: 0 };
    let now = mesh.now;
    party.handle(now, from, &MaskedAnswer { heading, masked }.encode()).expect("taken as a farewell");
    let lead = party.lead.as_ref().expect("leads");
    assert_eq!(lead.retired().collect::<Vec<_>>(), [from]);
    assert!(lead.has_share(from), "its last answer stays");
    let round = lead.round();
    (0..15).for_each(|_| mesh.step());
    assert!(mesh.parties[0].lead.as_ref().expect("leads").round() > round + 2, "the others go on");
    assert_eq!(gathering(&mesh).aggregator().occasion().generation, generation);
}

#[test]
fn what_a_node_has_no_part_in_is_refused() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    let (coordinator, bystander) = (mesh.parties[0].party.node(), mesh.parties[9].party.node());
    let request =
        mesh.parties[0].party.request(mesh.parties[0].lead.as_ref().unwrap(), bystander).unwrap().encode();
    let now = mesh.now;
    let party = &mut mesh.parties[9];
    assert!(party.handle(now, NodeId(3_000), &request).is_err(), "not the coordinator");
    assert!(party.handle(now, coordinator, &[0x81, 0x01]).is_err(), "no seat");
    assert!(party.handle(now, coordinator, &[]).is_err());
    assert!(party.handle(now, coordinator, &[0x81, 0x18, 0x63]).is_err(), "no such message");
    assert_eq!(party.poll_transmit(), None);
    assert!(party.handle(now, coordinator, &request).is_ok());
    assert!(party.poll_transmit().is_some());
}
