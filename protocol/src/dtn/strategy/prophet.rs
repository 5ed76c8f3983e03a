//! [`Prophet`]: delivery predictabilities from the history of encounters (RFC 6693).

use super::{Carried, Probability, Strategy};
use crate::{id::NodeId, time::Instant};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// The constants of RFC 6693 §3.3. The defaults are those of its figure 3, but for the two times, which the RFC leaves to the
/// deployment: ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProphetConfig {
    /// `P_encounter_max`: the weight of an encounter.
    pub encounter_max: Probability,
    /// `P_encounter_first`: the predictability after a first encounter.
    pub encounter_first: Probability,
    /// `P_first_threshold`: below it, an encounter counts as the first.
    pub first_threshold: Probability,
    /// β: the weight of what a neighbour tells.
    pub beta: Probability,
    /// γ: what is left of a predictability after one time unit.
    pub gamma: Probability,
    /// δ: how far from 1 a predictability stays.
    pub delta: Probability,
    /// The time unit of aging, more than 0.
    pub time_unit: Duration,
    /// `I_typ`: a typical interval between encounters. Those that follow faster weigh less (§2.1.2).
    pub typical_interval: Duration,
    /// Who gets a copy.
    pub forwarding: Forwarding,
    /// Most nodes of which a predictability is kept. When full, the least likely makes room if the new one is likelier.
    pub max_nodes: usize,
}

/// Who gets a copy (RFC 6693 §3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// GRTR: whoever is likelier to meet the destination.
    Greater,
    /// GTMX: as GRTR, to at most so many neighbours.
    GreaterUpTo(u32),
}

impl Default for ProphetConfig {
    fn default() -> Self {
        Self {
            encounter_max: Probability::from_millionths(700_000),
            encounter_first: Probability::from_millionths(500_000),
            first_threshold: Probability::from_millionths(100_000),
            beta: Probability::from_millionths(900_000),
            gamma: Probability::from_millionths(999_000),
            delta: Probability::from_millionths(10_000),
            time_unit: Duration::from_secs(1),
            typical_interval: Duration::from_secs(1800),
            forwarding: Forwarding::Greater,
            max_nodes: 4096,
        }
    }
}

/// What is known of meeting a node.
#[derive(Clone, Copy, Debug)]
struct Expectation {
    p: Probability,
    /// When it was met last; `None`: only heard of.
    met: Option<Instant>,
}

/// Below this a predictability is forgotten: half of the smallest value that the RFC's 16 bits on the wire can tell.
const FORGOTTEN: Probability = Probability(1 << 15);

/// One node's delivery predictabilities, and those that its present neighbours told.
#[derive(Clone, Debug)]
pub struct Prophet {
    id: NodeId,
    config: ProphetConfig,
    own: BTreeMap<NodeId, Expectation>,
    /// Up to when `own` is aged.
    aged: Instant,
    /// Of present neighbours, ascending by node.
    told: BTreeMap<NodeId, Vec<(NodeId, Probability)>>,
}

impl Prophet {
    /// A node that has met nobody.
    #[must_use]
    pub const fn new(id: NodeId, config: ProphetConfig) -> Self {
        Self { id, config, own: BTreeMap::new(), aged: Instant::ZERO, told: BTreeMap::new() }
    }

    /// P(this node, `node`), as of the last aging.
    #[must_use]
    pub fn predictability(&self, node: NodeId) -> Probability {
        self.own.get(&node).map_or(Probability::ZERO, |known| known.p)
    }

    /// How many predictabilities are kept.
    #[must_use]
    pub fn known(&self) -> usize {
        self.own.len()
    }

    /// Equation 2: P = P_old · γ^K, with K the whole time units since the last aging.
    fn age(&mut self, now: Instant) {
        let unit = self.config.time_unit.max(Duration::from_nanos(1)).as_nanos();
        let units = now.saturating_since(self.aged).as_nanos() / unit;
        if units == 0 {
            return;
        }
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        // Whole units only: what is left over counts towards the next aging.
        let passed = u64::try_from(unit * u128::from(units)).unwrap_or(u64::MAX);
        self.aged = self.aged.saturating_add(Duration::from_nanos(passed));
        let factor = self.config.gamma.power(units);
        self.own.retain(|_, known| {
            known.p = known.p.times(factor);
            known.p >= FORGOTTEN
        });
    }

    /// Equation 1: P = P_old + (1 − δ − P_old) · P_encounter; below the threshold P = P_encounter_first.
    fn meet(&mut self, now: Instant, peer: NodeId) {
        let config = &self.config;
        let known = self.own.get(&peer).copied().unwrap_or(Expectation { p: Probability::ZERO, met: None });
        let p = if known.p < config.first_threshold {
            config.encounter_first
        } else {
            let weight = known.met.map_or(config.encounter_max, |met| self.encounter(met, now));
            known.p.plus(Probability::MAX.minus(config.delta).minus(known.p).times(weight))
        };
        self.set(peer, Expectation { p, met: Some(now) });
    }

    /// §2.1.2: P_encounter falls linearly for encounters that follow each other faster than is typical.
    fn encounter(&self, met: Instant, now: Instant) -> Probability {
        let interval = now.saturating_since(met).as_nanos();
        let typical = self.config.typical_interval.as_nanos();
        let clip = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        self.config.encounter_max.share(clip(interval), clip(typical))
    }

    fn set(&mut self, node: NodeId, expectation: Expectation) {
        if !self.own.contains_key(&node) && self.own.len() >= self.config.max_nodes {
            let least =
                self.own.iter().min_by_key(|(_, known)| known.p).map(|(node, known)| (*node, known.p));
            match least {
                Some((weakest, p)) if p < expectation.p => self.own.remove(&weakest),
                _ => return,
            };
        }
        self.own.insert(node, expectation);
    }

    fn of_neighbour(&self, peer: NodeId, node: NodeId) -> Probability {
        let Some(told) = self.told.get(&peer) else { return Probability::ZERO };
        told.binary_search_by_key(&node, |(node, _)| *node).map_or(Probability::ZERO, |place| told[place].1)
    }
}

impl Strategy for Prophet {
    fn on_encounter(&mut self, now: Instant, peer: NodeId) {
        self.age(now);
        self.meet(now, peer);
    }

    fn on_parting(&mut self, peer: NodeId) {
        self.told.remove(&peer);
    }

    fn predictabilities(&mut self, now: Instant, max: usize) -> Vec<(NodeId, Probability)> {
        self.age(now);
        let mut all: Vec<_> = self.own.iter().map(|(node, known)| (*node, known.p)).collect();
        if all.len() > max {
            // The likeliest are worth telling.
            all.sort_by_key(|(node, p)| (core::cmp::Reverse(*p), *node));
            all.truncate(max);
            all.sort_by_key(|(node, _)| *node);
        }
        all
    }

    /// Equation 3: P(A,C) = max(P_old(A,C), P(A,B) · P(B,C) · β).
    fn on_predictabilities(&mut self, now: Instant, peer: NodeId, told: &[(NodeId, Probability)]) {
        self.age(now);
        let (own, beta) = (self.predictability(peer), self.config.beta);
        for (node, p) in told {
            if *node == self.id || *node == peer {
                continue;
            }
            let through = own.times(*p).times(beta);
            let known = self.own.get(node).copied();
            if through >= FORGOTTEN && known.is_none_or(|known| known.p < through) {
                self.set(*node, Expectation { p: through, met: known.and_then(|known| known.met) });
            }
        }
        self.told.insert(peer, told.to_vec());
    }

    fn offers(&self, peer: NodeId, carried: &Carried) -> bool {
        if let Forwarding::GreaterUpTo(most) = self.config.forwarding
            && carried.given >= most
        {
            return false;
        }
        self.of_neighbour(peer, carried.destination) > self.predictability(carried.destination)
    }
}

#[cfg(test)]
mod tests;
