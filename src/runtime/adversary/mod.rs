//! An asset whose host is an adversary: it has the asset's key and radios, and puts on air what it likes.
//!
//! What it sends goes over the same links as everything else, and meets the receivers' nodes as bytes. Its own node goes on: it relays, unless it
//! swallows, and neither keeps a log nor takes part in shared state or plans.

mod answer;
mod forge;

pub use answer::answer_of;

use super::{Fleet, Runtime};
use crate::{
    engine::{Record, RecordKind, Rng, Stream},
    scenario::Attack,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    bundle::Bundle,
    convergence::small_frame::Fragmenter,
    envelope::Purpose,
    id::{EndpointId, NodeId},
    node::{LinkUp, Node},
};
use std::collections::{BTreeMap, VecDeque};

/// Most bundles of others that it remembers.
const CAPTURED: usize = 16;
/// How old a captured bundle is at least when it comes again: by then its own way is over.
const STALE: SimTime = SimTime::from_secs(60);
/// Most frames that wait for one link; what is beyond is not sent.
const WAITING: usize = 1024;
/// Messages of one flood.
const FLOOD: usize = 40;

/// A link of the adversary that is up.
#[derive(Clone, Copy, Debug)]
struct Way {
    peer: NodeId,
    mtu: usize,
}

/// A bundle of others that came by.
#[derive(Clone, Debug)]
struct Captured {
    at: SimTime,
    link: u32,
    bytes: Vec<u8>,
}

/// A frame, and the attack that ends with it.
type Waiting = (Vec<u8>, Option<Attack>);

/// What an adversary remembers. All of it is bounded.
#[derive(Debug)]
pub(super) struct Mischief {
    rng: Rng,
    ways: BTreeMap<u32, Way>,
    /// What waits for a link.
    waiting: BTreeMap<u32, VecDeque<Waiting>>,
    captured: VecDeque<Captured>,
    /// The last number of its own streams.
    sequences: BTreeMap<(NodeId, Purpose), u64>,
    bundles: u64,
    transfers: u16,
    /// Turns taken, by item of the scenario.
    turns: BTreeMap<u32, usize>,
    /// Whether the rest of the transfer that its node is making vanishes.
    vanishes: bool,
    /// Bundles that vanished since the last record, by destination.
    swallowed: Vec<NodeId>,
    tag: Option<Attack>,
    departed: Option<Vec<u8>>,
}

impl Mischief {
    pub(super) fn new(fleet: &Fleet, asset: AssetIndex) -> Option<Box<Self>> {
        fleet.scenario().adversaries.iter().find(|adversary| adversary.asset == asset)?;
        Some(Box::new(Self {
            rng: fleet.streams.stream(Stream::Adversary, u64::from(asset.0)),
            ways: BTreeMap::new(),
            waiting: BTreeMap::new(),
            captured: VecDeque::new(),
            sequences: BTreeMap::new(),
            bundles: 0,
            transfers: 0,
            turns: BTreeMap::new(),
            vanishes: false,
            swallowed: Vec::new(),
            tag: None,
            departed: None,
        }))
    }

    pub(super) fn link_up(&mut self, up: &LinkUp) {
        self.ways.insert(up.link.0, Way { peer: up.peer, mtu: up.mtu as usize });
    }

    pub(super) fn link_down(&mut self, link: u32) {
        self.ways.remove(&link);
        self.waiting.remove(&link);
    }

    /// The next number of its own stream to a node.
    fn next(&mut self, to: NodeId, purpose: Purpose) -> u64 {
        let last = self.sequences.entry((to, purpose)).or_default();
        *last += 1;
        *last
    }

    fn link_to(&self, peer: NodeId) -> Option<u32> {
        self.ways.iter().find(|(_, way)| way.peer == peer).map(|(link, _)| *link)
    }

    /// Puts a bundle in line for a link. `attack`: whose answer its last frame brings.
    fn put(&mut self, link: u32, bundle: &[u8], attack: Option<Attack>) {
        let Some(way) = self.ways.get(&link).copied() else { return };
        // Its node counts from 0 up; nobody has sent so many.
        self.transfers = (self.transfers + 1) & 0x3fff;
        let Ok(frames) = Fragmenter::new(bundle, 0x8000 | self.transfers, way.mtu) else { return };
        let (line, last) = (self.waiting.entry(link).or_default(), frames.frames() - 1);
        if line.len() + last < WAITING {
            line.extend(frames.enumerate().map(|(at, frame)| (frame, attack.filter(|_| at == last))));
        }
    }

    fn capture(&mut self, now: SimTime, link: u32, bytes: &[u8]) {
        if self.captured.len() >= CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(Captured { at: now, link, bytes: bytes.to_vec() });
    }
}

impl Runtime {
    /// The adversary's turn in an item of the scenario.
    pub fn attack(&mut self, now: SimTime, item: u32, out: &mut Vec<Record>) {
        self.tell_swallowed(now, out);
        let fleet = self.fleet.clone();
        let Some(adversary) = fleet.scenario().adversaries.get(item as usize) else { return };
        let (Some(mischief), true) = (self.mischief.as_mut(), self.node.is_some()) else { return };
        let turn = *mischief.turns.get(&item).unwrap_or(&0);
        let attack = adversary.attacks[turn % adversary.attacks.len()];
        if attack == Attack::Swallow {
            mischief.turns.insert(item, turn + 1);
            return;
        }
        // Each attack meets each target; who is out of reach is passed over.
        let round = turn / adversary.attacks.len();
        let count = adversary.targets.len();
        let reachable = (0..count)
            .map(|step| adversary.targets[(round + step) % count])
            .find(|target| mischief.link_to(fleet.node(*target)).is_some());
        let Some(target) = reachable else { return };
        mischief.turns.insert(item, turn + 1);
        let made = mischief.make(&fleet, self.asset, now, attack, target);
        for kind in made {
            out.push(Record { time: now, asset: self.asset, kind });
        }
    }

    /// Whether it gives nothing on now.
    fn swallows(&self, now: SimTime) -> bool {
        let items = self.fleet.scenario().adversaries.iter();
        items
            .filter(|item| item.asset == self.asset && item.attacks.contains(&Attack::Swallow))
            .any(|item| item.start <= now && now < item.end)
    }

    /// The next frame of an adversary: its own before its node's.
    pub(super) fn poll_mischief(&mut self, now: SimTime, link: u32) -> Option<Vec<u8>> {
        let swallows = self.swallows(now);
        let mischief = self.mischief.as_mut()?;
        mischief.tag = None;
        if let Some((frame, attack)) = mischief.waiting.get_mut(&link).and_then(VecDeque::pop_front) {
            mischief.tag = attack;
            return Some(frame);
        }
        let own = self.fleet.node(self.asset);
        let node = self.node.as_mut()?;
        while let Some(frame) =
            node.poll_transmit(super::instant(now), cosmosmesh_protocol::node::LinkId(link))
        {
            let departure = node.poll_departure().map(|departure| departure.bundle);
            if let Some(bundle) = &departure {
                let foreign = foreign(bundle, own);
                mischief.vanishes = swallows && foreign.is_some();
                if let Some(destination) = foreign {
                    if swallows {
                        mischief.swallowed.push(destination);
                    } else {
                        mischief.capture(now, link, bundle);
                    }
                }
            }
            if !mischief.vanishes {
                mischief.departed = departure;
                return Some(frame);
            }
        }
        None
    }

    /// The attack that ended with the last frame.
    pub fn attacked(&mut self) -> Option<Attack> {
        self.mischief.as_mut()?.tag.take()
    }

    pub(super) fn mischief_departed(&mut self) -> Option<Vec<u8>> {
        self.mischief.as_mut()?.departed.take()
    }

    /// Tells of bundles that were not given on.
    pub(super) fn tell_swallowed(&mut self, now: SimTime, out: &mut Vec<Record>) {
        let Some(mischief) = self.mischief.as_mut() else { return };
        for destination in std::mem::take(&mut mischief.swallowed) {
            let target = self.fleet.asset(destination);
            let kind = RecordKind::AttackMade { attack: Attack::Swallow.word(), target };
            out.push(Record { time: now, asset: self.asset, kind });
        }
    }
}

/// An adversary's node keeps running, and is watched.
pub(super) fn watch(node: &mut Node) {
    node.watch_departures();
}

/// Where a bundle of somebody else goes.
fn foreign(bytes: &[u8], own: NodeId) -> Option<NodeId> {
    let bundle = Bundle::decode(bytes).ok()?;
    let node = |endpoint: &EndpointId| endpoint.node();
    let primary = bundle.primary();
    let source = node(&primary.source)?;
    node(&primary.destination).filter(|_| source != own)
}
