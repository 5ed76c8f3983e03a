//! The published figure of the asynchronous method, flown: nodes with envelopes, bundles, acknowledgements and links that come and go, in
//! the contacts of `planning::solver::slots`.
//!
//! A slot is 1,000 s, and so is the light time twice over, nearly: what the coordinator says half a slot after slot `t − 2` began reaches an asset a
//! quarter of a slot after slot `t` began, which is when that asset is in contact, if it is; its answer arrives when slot `t + 2` begins.

use super::harness::{Setup, config, keys};
use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::NodeId,
    identity::Directory,
    node::{Change, Convergence, Input, LinkId, LinkUp, Node, NodeConfig, Output, PlanConfig, Requests},
    planning::{
        generate::{FleetSpec, Planted},
        solver::{Kind, MethodSettings, Pace, slots::SlotModel},
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const SLOT_MS: u64 = 1_000_000;
const RATE_BPS: u64 = 10_000_000;
const SLOTS: u64 = 56;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Up { node: u64, peer: u64 },
    Frame { to: u64, from: u64, bytes: Vec<u8> },
    Down { node: u64, peer: u64 },
}

struct Flight {
    planted: Planted,
    hub: u64,
    nodes: BTreeMap<u64, Node>,
    agenda: BTreeSet<(Instant, u64, Event)>,
    next: u64,
    up: BTreeSet<(u64, u64)>,
}

fn hub_config(id: u64, hub: u64, directory: &Arc<Directory>, planted: &Planted) -> NodeConfig {
    let Planted { problem, best, .. } = planted.clone();
    let requests = vec![Vec::new(); hub as usize];
    let kind = Kind::Asynchronous;
    let setup = Setup { problem, best, requests, ..Setup::planted(Some(kind)) };
    let day = Duration::from_secs(86_400);
    let base = config(id, directory, &setup);
    let problem = planted.problem.locals().iter().find(|(node, _)| node.0 == id);
    let pace = Pace {
        deadline: 100 * day,
        gather: Duration::from_millis(SLOT_MS / 10),
        quorum: planted.problem.locals().len(),
        max_rounds: 1 << 20,
        ..Pace::default()
    };
    NodeConfig {
        control_lifetime: day,
        plan: Some(PlanConfig {
            coordinator: NodeId(hub),
            successors: Vec::new(),
            joiners: Vec::new(),
            succession: None,
            participants: planted.problem.locals().iter().map(|(node, _)| *node).collect(),
            requests: Requests::default(),
            absence: None,
            settings: MethodSettings { eps_abs: 1e-9, eps_rel: 1e-9, ..MethodSettings::of(kind) },
            pace,
            problem: problem.map(|(_, problem)| problem.clone()),
            lifetime: day,
            ..base.plan.expect("the harness plans")
        }),
        ..base
    }
}

impl Flight {
    fn new(seed: u64) -> Self {
        let planted = FleetSpec::published(seed, 1e2).draw().expect("valid");
        let assets: Vec<u64> = planted.problem.locals().iter().map(|(node, _)| node.0).collect();
        let hub = assets.iter().max().expect("some") + 1;
        let members = assets.iter().copied().chain([hub]);
        let directory: Directory =
            members.clone().map(|id| (NodeId(id), keys(id).public().clone())).collect();
        let directory = Arc::new(directory);
        let nodes = members.map(|id| {
            let settings = hub_config(id, hub, &directory, &planted);
            (id, Node::new(settings, keys(id), [id as u8; 32], Instant::ZERO))
        });
        let nodes = nodes.collect();
        let (agenda, up) = (BTreeSet::new(), BTreeSet::new());
        let mut flight = Self { planted, hub, nodes, agenda, next: 0, up };
        flight.connect(seed, &assets);
        flight
    }

    /// Contacts by the slot model's chance, drawn as it draws them.
    fn connect(&mut self, seed: u64, assets: &[u64]) {
        let model = SlotModel::published(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(model.seed);
        let owlt = Duration::from_millis(SLOT_MS * 7 / 4);
        let mut contacts = Vec::new();
        for slot in 0..SLOTS {
            for asset in assets {
                let chance = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                if chance >= model.presence || slot < model.out as u64 {
                    continue;
                }
                let heard = slot * SLOT_MS + SLOT_MS / 4;
                for (from, to, start) in
                    [(self.hub, *asset, heard - SLOT_MS * 7 / 4), (*asset, self.hub, heard)]
                {
                    let (start, end) = (at(start), at(start + SLOT_MS * 2 / 5));
                    let (from_id, to_id) = (NodeId(from), NodeId(to));
                    contacts.push(PlannedContact {
                        from: from_id,
                        to: to_id,
                        start,
                        end,
                        rate_bps: RATE_BPS,
                        owlt,
                    });
                    self.push(start, Event::Up { node: from, peer: to });
                    self.push(end, Event::Down { node: from, peer: to });
                }
            }
        }
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            let (utc, uncertainty) = (DtnTime(800_000_000_000), Duration::from_millis(10));
            self.input(id, Instant::ZERO, Input::Civil(UtcEstimate { at: Instant::ZERO, utc, uncertainty }));
            self.input(id, Instant::ZERO, Input::ContactPlan(plan.clone()));
        }
    }

    fn push(&mut self, time: Instant, event: Event) {
        self.next += 1;
        self.agenda.insert((time, self.next, event));
    }

    fn input(&mut self, id: u64, now: Instant, input: Input<'_>) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.handle_input(now, input).expect("taken");
        loop {
            let mut tickets = Vec::new();
            while let Some(output) = node.poll_output() {
                if let Output::Persist(batch) = output {
                    assert!(
                        batch
                            .changes
                            .iter()
                            .all(|change| matches!(change, Change::Put { .. } | Change::Delete { .. }))
                    );
                    tickets.push(batch.ticket);
                }
            }
            if tickets.is_empty() {
                break;
            }
            for ticket in tickets {
                node.handle_input(now, Input::Persisted(ticket)).expect("tickets in order");
            }
        }
        let mut sent = Vec::new();
        for (_, peer) in self.up.range((id, 0)..=(id, u64::MAX)) {
            while let Some(frame) = node.poll_transmit(now, LinkId(*peer as u32)) {
                sent.push((*peer, frame));
            }
        }
        for (to, bytes) in sent {
            let airtime = Duration::from_nanos(bytes.len() as u64 * 8 * 1_000_000_000 / RATE_BPS);
            let arrival = now.saturating_add(airtime + Duration::from_millis(SLOT_MS * 7 / 4));
            self.push(arrival, Event::Frame { to, from: id, bytes });
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let timer = self.nodes.iter().filter_map(|(id, node)| Some((node.poll_timeout()?, *id))).min();
            let event = self.agenda.first().map(|(time, ..)| *time);
            let next = timer.map(|timer| timer.0).into_iter().chain(event).min();
            let Some(now) = next.filter(|next| *next < end) else { return };
            if event == Some(now) {
                let (_, _, event) = self.agenda.pop_first().expect("it is there");
                self.take(now, event);
            } else if let Some((_, id)) = timer {
                self.input(id, now, Input::Timeout);
            }
        }
    }

    fn take(&mut self, now: Instant, event: Event) {
        match event {
            Event::Up { node, peer } => {
                self.up.insert((node, peer));
                let up = LinkUp {
                    link: LinkId(peer as u32),
                    peer: NodeId(peer),
                    mtu: 1000,
                    rate_bps: RATE_BPS,
                    until: Some(now.saturating_add(Duration::from_millis(SLOT_MS * 2 / 5))),
                    convergence: Convergence::SmallFrame,
                    session: false,
                };
                self.input(node, now, Input::LinkUp(up));
            }
            Event::Down { node, peer } => {
                self.up.remove(&(node, peer));
                self.input(node, now, Input::LinkDown { link: LinkId(peer as u32) });
            }
            Event::Frame { to, from, bytes } => {
                self.input(to, now, Input::Frame { link: LinkId(from as u32), bytes: &bytes });
            }
        }
    }

    /// The gap of the plans that assets hold at the end of every slot.
    fn gaps(&mut self) -> Vec<f64> {
        self.input(self.hub, Instant::ZERO, Input::StartPlan);
        let gaps = (0..SLOTS).map(|slot| {
            self.run_until(at((slot + 1) * SLOT_MS));
            let locals = self.planted.problem.locals().iter();
            let held: Vec<&[f64]> =
                locals.map(|(node, _)| self.nodes[&node.0].plan_values().expect("a part")).collect();
            self.planted.problem.gap(&held, self.planted.best)
        });
        gaps.collect()
    }
}

/// The slots after which the gap stays at most `limit`, as `Course::slots_to` counts them.
fn slots_to(gaps: &[f64], limit: f64) -> usize {
    gaps.iter().rposition(|gap| gap.is_nan() || *gap > limit).map_or(1, |last| last + 2)
}

#[test]
fn flown_nodes_need_as_many_slots_as_the_published_figure_allows() {
    let courses: Vec<Vec<f64>> = (0..5).map(|seed| Flight::new(seed).gaps()).collect();
    for (limit, most) in [(1e-3, 30), (1e-6, 60)] {
        let mut slots: Vec<usize> = courses.iter().map(|gaps| slots_to(gaps, limit)).collect();
        slots.sort_unstable();
        assert!(slots[4] <= SLOTS as usize, "every fleet converges: {slots:?} to {limit:e}");
        assert!(slots[2] <= most, "{slots:?} slots to {limit:e}");
    }
}
