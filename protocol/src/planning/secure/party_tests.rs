use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};
use core::time::Duration;

use super::{Party, SecureAsset, SecureCoordinator};
use crate::{
    id::NodeId,
    planning::{
        generate::{FleetSpec, Planted},
        message::{FRACTION_BITS, MAX_SHARE, Outcome},
        privacy::{
            self, Aggregator, AssetSecret, CommitteeMember, Enrolled, Policy, Seat, SeatSecret, Terms,
            TermsParts,
        },
        qp::QpSettings,
        solver::{Asset, Coordinator, Kind, MethodSettings, Pace},
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

struct Mesh {
    planted: Planted,
    parties: Vec<Party>,
    /// Nodes that hear and say nothing.
    dead: BTreeSet<NodeId>,
    now: Instant,
    refused: usize,
}

impl Mesh {
    /// The published fleet; its first four assets are the committee, and the first coordinates.
    fn new(kind: Kind) -> Self {
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
            epoch: 1,
            entries: coordinator.entries(),
            bits: 64,
            bound: (MAX_SHARE as u64) << FRACTION_BITS,
            k_min: 4,
            cohort: 1,
            threshold: 3,
            recoveries: 1,
            committee: seats.iter().map(seat).collect(),
            roster: nodes.iter().map(enrolled).collect(),
        });
        let terms = Arc::new(terms.expect("valid"));
        let policy = Policy { k_min: 3, tolerated: 1, cohort: 1, seats: seats.to_vec() };
        let mut lead =
            Some(SecureCoordinator::new(coordinator, Aggregator::new(Arc::clone(&terms))).expect("fits"));
        let party = |(node, problem): &(NodeId, _)| {
            let masks = privacy::Asset::new(
                Arc::clone(&terms),
                *node,
                &AssetSecret::from_seed(seed(2, *node)),
                &policy,
            );
            let asset = Asset::new(*node, Clone::clone(problem), QpSettings::default()).expect("solvable");
            let mut party = Party::new(*node, nodes[0], Arc::clone(&terms), PATIENCE)
                .with_asset(SecureAsset::new(asset, masks.expect("enrolled")));
            if seats.contains(node) {
                let secret = SeatSecret::from_seed(seed(1, *node));
                let member = CommitteeMember::new(Arc::clone(&terms), *node, secret, nodes[0]);
                party = party.with_member(member.expect("seated"));
            }
            match lead.take() {
                Some(lead) => party.with_lead(lead),
                None => party,
            }
        };
        let parties = planted.problem.locals().iter().map(party).collect();
        Self { planted, parties, dead: BTreeSet::new(), now: Instant::ZERO, refused: 0 }
    }

    fn start(&mut self) {
        // Deals arrive before the first window closes: members start before the coordinator.
        for party in self.parties.iter_mut().rev() {
            party.start(self.now).expect("starts");
        }
    }

    /// Carries what is to be sent, in a second's time; then lets deadlines pass.
    fn step(&mut self) {
        self.now = self.now.saturating_add(STEP);
        let mut sent = Vec::new();
        for party in self.parties.iter_mut() {
            let from = party.node();
            while let Some((to, bytes)) = party.poll_transmit() {
                sent.push((from, to, bytes));
            }
        }
        for (from, to, bytes) in sent {
            let lost = self.dead.contains(&from) || self.dead.contains(&to);
            let party = self.parties.iter_mut().find(|party| party.node() == to).filter(|_| !lost);
            if let Some(party) = party {
                self.refused += usize::from(party.handle(self.now, from, &bytes).is_err());
            }
        }
        for party in self.parties.iter_mut() {
            party.on_timeout(self.now).expect("goes on");
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        self.parties[0].lead().expect("leads").coordinator().outcome()
    }

    fn gap(&self) -> f64 {
        let values: Vec<&[f64]> =
            self.parties.iter().map(|party| party.asset().expect("has one").asset().values()).collect();
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
    let lost = mesh.parties[2].node();
    mesh.dead.insert(lost);
    // Its masks go on through its deputy; its asset is missing, so rounds close by quorum and end as absent or converged.
    let before = mesh.parties[0].lead().unwrap().aggregator().progress().round;
    (0..120).for_each(|_| mesh.step());
    let lead = mesh.parties[0].lead().unwrap();
    assert!(lead.aggregator().progress().round > before + 2, "windows are opened without it");
    let deputies: Vec<NodeId> =
        mesh.parties.iter().filter_map(Party::member).flat_map(CommitteeMember::wards).collect();
    assert_eq!(deputies, [lost]);
}

#[test]
fn a_window_that_the_committee_cannot_open_is_given_up_and_asked_for_again() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    (0..6).for_each(|_| mesh.step());
    let lost: Vec<NodeId> = mesh.parties[2..4].iter().map(Party::node).collect();
    mesh.dead.extend(lost);
    (0..60).for_each(|_| mesh.step());
    let round = |mesh: &Mesh| mesh.parties[0].lead().unwrap().coordinator().round();
    let stuck = round(&mesh);
    assert!(mesh.parties.iter().filter_map(Party::member).all(|member| member.wards().next().is_none()));
    // With two of four seats lost nothing opens; when they are back, the plan goes on.
    mesh.dead.clear();
    (0..200).for_each(|_| mesh.step());
    assert!(mesh.outcome().is_some() || round(&mesh) > stuck);
}

#[test]
fn what_a_node_has_no_part_in_is_refused() {
    let mut mesh = Mesh::new(Kind::QuasiNewton);
    mesh.start();
    let (coordinator, bystander) = (mesh.parties[0].node(), mesh.parties[9].node());
    let request = mesh.parties[0].lead().unwrap().request(bystander).unwrap().encode();
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
