//! Who is there: gossip with neighbours over signed envelopes, and the contact plan for all others.
//!
//! Gossip is not a stream. A packet goes to a neighbour whose link is up now, once; what is lost is lost. Everybody else is expected when the
//! contact plan says so.

use super::{Node, Report, Timer, forward::Origin};
use crate::{
    discovery::{Advert, Capabilities, Expectation, Membership, Pace, Presence},
    dtn::store::Priority,
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::PublicKey,
    time::{DtnTime, Instant},
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// How a node finds out who is there.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryConfig {
    /// How fast gossip goes.
    pub pace: Pace,
    /// A contact with a longer one-way light time is too slow for gossip.
    pub max_light_time: Duration,
    /// How long after the begin of a planned contact a first word may take.
    pub margin: Duration,
}

/// The membership at this node.
#[derive(Debug)]
pub(super) struct Discovering {
    config: DiscoveryConfig,
    membership: Membership,
    sequence: u64,
    /// When the last contact of each member to here began, of those that have ended.
    ended: BTreeMap<NodeId, Instant>,
    /// What was told of each member last.
    told: BTreeMap<NodeId, Presence>,
    /// This node's own advert, signed, and by which key.
    advert: Option<(Advert, PublicKey, Vec<u8>)>,
}

impl Discovering {
    pub(super) fn new(
        own: NodeId,
        incarnation: u32,
        config: DiscoveryConfig,
        members: usize,
        seed: [u8; 32],
    ) -> Self {
        // A stream of its own, so that what gossip draws changes nothing else.
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(GOSSIP_STREAM);
        let mut own_seed = [0; 32];
        rng.fill_bytes(&mut own_seed);
        let membership = Membership::new(own, incarnation, config.pace, members, own_seed);
        let ended = BTreeMap::new();
        Self { config, membership, sequence: 0, ended, told: BTreeMap::new(), advert: None }
    }
}

/// The longest light time that is reckoned with: across the orbit of Neptune.
const LONGEST_LIGHT_NS: u64 = 9 * 3_600_000_000_000;
/// Contacts that are looked at for what to expect of a member.
const MAX_CONTACTS: usize = 64;
/// Which stream of the seed's generator gossip draws its own seed from.
const GOSSIP_STREAM: u64 = 0x676f_7373_6970;

impl Node {
    /// What gossip knows, if this node gossips.
    #[must_use]
    pub fn membership(&self) -> Option<&Membership> {
        self.discovering.as_ref().map(|discovering| &discovering.membership)
    }

    /// What this node believes of a member, if it gossips.
    #[must_use]
    pub fn presence(&self, node: NodeId) -> Option<Presence> {
        let discovering = self.discovering.as_ref()?;
        let expected = match self.expected(node) {
            // What was due in a contact stays due when that is long ago, or the plan has forgotten it.
            Expectation::Silent { until, last } => {
                Expectation::Silent { until, last: last.max(discovering.ended.get(&node).copied()) }
            }
            expected => expected,
        };
        Some(discovering.membership.presence(self.now, node, expected, self.is_blocked(node)))
    }

    pub(super) fn start_discovery(&mut self) {
        if let Some(discovering) = &self.discovering {
            // Its own advert changes with its life alone.
            let at = self.now.saturating_add(discovering.config.pace.period);
            self.timers.arm(Timer::Membership, at);
        }
    }

    /// A neighbour's link is up.
    pub(super) fn greet(&mut self, peer: NodeId) {
        if self.is_fast(peer)
            && let Some(discovering) = self.discovering.as_mut()
        {
            discovering.membership.greet(self.now, peer);
            self.send_gossip();
        }
    }

    /// Whether a neighbour is near enough for gossip.
    fn is_fast(&self, peer: NodeId) -> bool {
        let Some(discovering) = &self.discovering else { return false };
        let max = discovering.config.max_light_time;
        let now = self.now;
        let contacts = self.plan.from_node(self.config.id, now).map(|(_, contact)| contact);
        let mut open = contacts.filter(|contact| contact.to == peer && contact.start <= now);
        // A neighbour that the plan does not know is near: it was met by chance.
        open.next().is_none_or(|contact| contact.owlt <= max)
    }

    /// What the contact plan lets this node expect of another: it is heard while its contacts to here last, and silent otherwise. Of whom the plan
    /// knows nothing a word is always due.
    fn expected(&self, node: NodeId) -> Expectation {
        let Some(discovering) = &self.discovering else { return Expectation::Heard };
        let (now, own) = (self.now, self.config.id);
        let (margin, max) = (discovering.config.margin, discovering.config.max_light_time);
        if self.links.is_up_to(node) && self.is_fast(node) {
            return Expectation::Heard;
        }
        // Contacts come in the order in which they end, from those that have not ended for longer than light takes: the first few tell.
        let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(LONGEST_LIGHT_NS));
        let contacts = self.plan.from_node(node, earliest).map(|(_, contact)| contact);
        let (mut next, mut last, mut slow): (Option<Instant>, Option<Instant>, _) = (None, None, None);
        for contact in contacts.filter(|contact| contact.to == own).take(MAX_CONTACTS) {
            let first = contact.start.saturating_add(contact.owlt).saturating_add(margin);
            let end = contact.end.saturating_add(contact.owlt);
            if first <= now && now < end {
                if contact.owlt <= max {
                    return Expectation::Heard;
                }
                slow = slow.or(Some(contact.start));
            } else if first > now {
                next = Some(next.map_or(first, |known| known.min(first)));
            } else {
                last = last.max(Some(contact.start));
            }
        }
        match (slow, next) {
            (Some(_), _) => Expectation::Slow { since: slow },
            _ if self.links.is_up_to(node) => Expectation::Slow { since: None },
            (None, Some(_)) => Expectation::Silent { until: next, last },
            _ if self.plan_knows(node) => Expectation::Silent { until: None, last },
            _ => Expectation::Heard,
        }
    }

    fn plan_knows(&self, node: NodeId) -> bool {
        self.plan.from_node(node, Instant::ZERO).next().is_some()
    }

    pub(super) fn on_membership_timer(&mut self) {
        let Some(mut discovering) = self.discovering.take() else { return };
        discovering.membership.on_deadline(self.now, |node| self.expected(node));
        self.discovering = Some(discovering);
        self.send_gossip();
    }

    /// A packet of a neighbour, whose envelope it has signed.
    pub(super) fn on_gossip(&mut self, source: NodeId, payload: &[u8]) -> Result<(), &'static str> {
        let Some(mut discovering) = self.discovering.take() else { return Err("discovery_not_configured") };
        let before: u64 = discovering.membership.refused().values().sum();
        let taken = discovering.membership.on_packet(
            self.now,
            source,
            payload,
            |node| self.key_of_member(node),
            |node| self.expected(node),
        );
        let after: u64 = discovering.membership.refused().values().sum();
        self.discovering = Some(discovering);
        if after > before {
            *self.refusals.entry("gossip_not_believed").or_default() += after - before;
            self.report(Report::ModuleRefused { reason: "gossip_not_believed" });
        }
        self.send_gossip();
        taken.map_err(|error| error.reason())
    }

    /// The key of a member that may be talked about: certified, and not blocked.
    fn key_of_member(&self, node: NodeId) -> Option<&PublicKey> {
        if self.is_blocked(node) {
            return None;
        }
        match self.keyring() {
            Some(keyring) => keyring.speaker(node, self.trust_clock()).ok().and_then(|_| keyring.key(node)),
            None => self.config.directory.key(node),
        }
    }

    /// Who was blocked meanwhile is forgotten.
    pub(super) fn forget_blocked(&mut self) {
        let blocked: Vec<NodeId> = self
            .config
            .directory
            .members()
            .map(|(node, _)| node)
            .filter(|node| self.is_blocked(*node))
            .collect();
        if let Some(discovering) = self.discovering.as_mut() {
            blocked.into_iter().for_each(|node| discovering.membership.block(self.now, node));
        }
        self.send_gossip();
    }

    /// A member is blocked by the directory.
    pub(super) fn forget_presence(&mut self, node: NodeId) {
        if let Some(discovering) = self.discovering.as_mut() {
            discovering.membership.block(self.now, node);
        }
        self.send_gossip();
    }

    /// Any verified message of a member tells that it was there when it made that: now, where one of the two has no clock, or where it came from that
    /// member itself, which may have kept it since long before their contact.
    pub(super) fn note_heard(&mut self, node: NodeId, created: DtnTime, from: Option<NodeId>) {
        let civil = self.civil_now();
        let clocks = created != DtnTime::UNKNOWN && civil != DtnTime::UNKNOWN && from != Some(node);
        let age = if clocks { civil.0.saturating_sub(created.0) } else { 0 };
        let at = self.now.as_nanos().saturating_sub(age.saturating_mul(1_000_000));
        if let Some(discovering) = self.discovering.as_mut() {
            discovering.membership.note_heard(Instant::from_nanos(at), node);
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::RELAY;
        let trust = self.trusting.as_ref().map(|trusting| &trusting.config);
        for (holds, capability) in [
            (self.config.bundles.custody.is_some(), Capabilities::CUSTODY),
            (self.shared.is_some(), Capabilities::SHARED_STATE),
            (self.planning.is_some(), Capabilities::PLAN),
            (trust.is_some_and(|trust| trust.witness), Capabilities::WITNESS),
            (trust.is_some_and(|trust| trust.issuer.is_some()), Capabilities::ISSUER),
            (self.governing.is_some(), Capabilities::GOVERNANCE),
        ] {
            if holds {
                can = can.with(capability);
            }
        }
        can
    }

    /// Sends what the gossip wants sent, tells what has changed, and arms the timer.
    fn send_gossip(&mut self) {
        let mut packets = Vec::new();
        if self.membership().is_some_and(Membership::has_packets) {
            let advert = self.signed_advert();
            if let Some(discovering) = self.discovering.as_mut() {
                while let Some(packet) = discovering.membership.poll_packet(&advert) {
                    packets.push(packet);
                }
            }
        }
        for packet in packets {
            if self.links.is_up_to(packet.to) && self.is_fast(packet.to) && !self.is_blocked(packet.to) {
                self.send_packet(packet.to, &packet.bytes);
            }
        }
        self.tell_presence();
        let Some(discovering) = &self.discovering else { return };
        // Where nothing is due the plan may still have changed what is to be believed.
        let next = self.now.saturating_add(discovering.config.pace.period);
        let at = discovering.membership.deadline().map_or(next, |due| due.clamp(self.now, next));
        self.timers.arm(Timer::Membership, at);
    }

    /// This node's own advert: signed anew when it, or the key, has changed.
    fn signed_advert(&mut self) -> Vec<u8> {
        let Some(membership) = self.membership() else { return Vec::new() };
        let (life, refuted) = (membership.life(), membership.refuted());
        let (capabilities, store_bytes) = (self.capabilities(), self.config.store.bytes);
        let known = self.discovering.as_ref().and_then(|discovering| discovering.advert.as_ref());
        let count = known.filter(|(said, ..)| said.life == life).map_or(0, |(said, ..)| said.count);
        let advert = Advert { life, refuted, count, capabilities, store_bytes };
        if let Some((_, _, bytes)) =
            known.filter(|(said, key, _)| *said == advert && key == self.keys.public())
        {
            return bytes.clone();
        }
        let advert = Advert { count: count.saturating_add(1), ..advert };
        let bytes = advert.sign(&self.keys);
        self.signatures.made += 1;
        if let Some(discovering) = self.discovering.as_mut() {
            discovering.advert = Some((advert, self.keys.public().clone(), bytes.clone()));
        }
        bytes
    }

    fn send_packet(&mut self, to: NodeId, payload: &[u8]) {
        let Some(discovering) = self.discovering.as_mut() else { return };
        discovering.sequence += 1;
        let (sequence, lifetime) = (discovering.sequence, discovering.config.pace.period);
        let header = Header {
            sender: self.config.id,
            incarnation: self.incarnation,
            purpose: Purpose::Membership,
            destination: to,
            sequence,
            created: self.civil_now(),
        };
        let sealed = seal(&self.keys, &header, payload);
        self.signatures.made += 1;
        let bundle = self.make_bundle(to, Priority::Normal, lifetime, sealed);
        // Without room for it, the packet is lost: gossip bears that.
        let _ = self.store_bundle(bundle, Priority::Normal, lifetime, Origin::Control);
    }

    /// Tells the driver whose presence has changed.
    fn tell_presence(&mut self) {
        let own = self.config.id;
        if self.discovering.is_none() {
            return;
        }
        let others = self.config.directory.members().map(|(node, _)| node).filter(|node| *node != own);
        let others: Vec<NodeId> = others.collect();
        for node in &others {
            if let Expectation::Silent { last: Some(last), .. } = self.expected(*node)
                && let Some(discovering) = self.discovering.as_mut()
            {
                let ended = discovering.ended.entry(*node).or_insert(last);
                *ended = last.max(*ended);
            }
        }
        let now: Vec<(NodeId, Presence)> =
            others.into_iter().filter_map(|node| Some((node, self.presence(node)?))).collect();
        let Some(discovering) = self.discovering.as_mut() else { return };
        let mut changed = Vec::new();
        for (node, presence) in now {
            let before = discovering.told.insert(node, presence).unwrap_or(Presence::Unknown);
            if before.word() != presence.word() {
                changed.push(Report::Presence { node, presence });
            }
        }
        changed.into_iter().for_each(|report| self.report(report));
    }
}
