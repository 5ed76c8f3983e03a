//! Links that speak LTP: a bundle is the next node's when that reports it.

use super::{
    super::{Followup, InputError, LinkId, LinkUp, LtpLink, Node, strategy::Cargo, timer::Timer},
    Layer, Link, has_room, serialisation,
};
use crate::{
    convergence::ltp::{
        BUNDLE_SERVICE, CancelReason, Config, Engine, Event, Limits, LinkPath, SessionId, Windows,
    },
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// An answer may wait for this many frames on its way.
const FRAMES_BEFORE_AN_ANSWER: u64 = 4;
/// Contacts of the peer that the engine knows ahead.
const MAX_WINDOWS: usize = 64;

#[derive(Debug)]
pub(super) struct Ltp {
    engine: Engine,
    pub(super) peer: NodeId,
    settings: LtpLink,
    /// What the engine's tokens stand for.
    under_way: BTreeMap<u64, Cargo>,
    next_token: u64,
    /// When what waits for reports is sent another way, while the link is down.
    give_up: Option<Instant>,
}

impl Ltp {
    /// Whether nothing but the light time or margin differs from `settings`.
    pub(super) fn is_set_to(&self, settings: LtpLink) -> bool {
        let LtpLink { light_time: _, margin: _, retransmissions, sessions } = self.settings;
        (retransmissions, sessions) == (settings.retransmissions, settings.sessions)
    }

    /// Gives up what was not sent in full, or all, and names the bundles.
    pub(super) fn take_back(&mut self, now: Instant, all: bool) -> Vec<Cargo> {
        let tokens: Vec<u64> =
            if all { self.engine.under_way().collect() } else { self.engine.unsent().collect() };
        for token in &tokens {
            self.engine.cancel(now, *token, CancelReason::System);
        }
        tokens.iter().filter_map(|token| self.under_way.remove(token)).collect()
    }
}

impl Link {
    fn ltp(&mut self) -> Option<&mut Ltp> {
        match &mut self.layer {
            Layer::Ltp(ltp) => Some(ltp),
            Layer::SmallFrame(_) | Layer::Whole(_) => None,
        }
    }
}

impl Node {
    pub(super) fn new_ltp(&mut self, peer: NodeId, settings: LtpLink) -> Ltp {
        use rand_chacha::rand_core::Rng as _;
        let limits = Limits {
            sessions_out: usize::from(settings.sessions),
            sessions_in: usize::from(settings.sessions).saturating_mul(2),
            retransmissions: settings.retransmissions,
            ..Limits::default()
        };
        let config = Config {
            engine: self.config.id.0,
            peer: Some(peer.0),
            client_service: BUNDLE_SERVICE,
            seed: self.rng.next_u64(),
            limits,
        };
        let engine = Engine::new(config, self.now);
        Ltp { engine, peer, settings, under_way: BTreeMap::new(), next_token: 0, give_up: None }
    }

    /// The link is up, or what is true of it changed.
    pub(super) fn resume_ltp(&mut self, up: LinkUp) {
        let now = self.now;
        let windows = self.windows_from(up.peer);
        let super::Convergence::Ltp(settings) = up.convergence else { return };
        let Some(ltp) = self.links.get_mut(up.link).and_then(Link::ltp) else { return };
        let frames = serialisation(u64::from(up.mtu) * FRAMES_BEFORE_AN_ANSWER, up.rate_bps);
        let margin = settings.margin.saturating_add(frames);
        ltp.settings = settings;
        ltp.give_up = None;
        ltp.engine.set_windows(windows);
        ltp.engine.link_up(now, LinkPath { mtu: up.mtu as usize, light_time: settings.light_time, margin });
        self.arm_ltp(up.link);
    }

    /// When `peer` can send to this node by the plan.
    fn windows_from(&self, peer: NodeId) -> Windows {
        let contacts = self.plan.from_node(peer, self.now).map(|(_, contact)| contact);
        let mut windows: Windows = contacts
            .filter(|contact| contact.to == self.config.id)
            .take(MAX_WINDOWS)
            .map(|contact| (contact.start, contact.end))
            .collect();
        windows.sort_unstable();
        windows.dedup_by(|next, last| {
            let overlap = next.0 <= last.1;
            if overlap {
                last.1 = last.1.max(next.1);
            }
            overlap
        });
        windows
    }

    /// The link is down: what was sent in full waits for its reports, in flight now or after the next contact's start.
    pub(super) fn suspend_ltp(&mut self, link: LinkId, up: &LinkUp) {
        let now = self.now;
        let contacts = self.plan.from_node(self.config.id, now).map(|(_, contact)| contact);
        let next = contacts.filter(|contact| contact.to == up.peer && contact.start > now);
        let next = next.map(|contact| contact.start).min();
        let patience = self.config.reroute_after;
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return };
        let in_flight = ltp.settings.light_time.saturating_mul(2).saturating_add(ltp.settings.margin);
        // A link that goes down before its time says nothing about when it works again.
        let planned = up.until.is_some_and(|until| now.saturating_add(Duration::from_secs(1)) >= until);
        let start = next.filter(|_| planned).map_or(now, |start| start.saturating_add(patience));
        ltp.give_up = Some(start.max(now.saturating_add(in_flight)));
        ltp.engine.link_down(now);
        self.arm_ltp(link);
    }

    /// The engine's timers, or the end of patience with a link that is down.
    pub(in crate::node) fn on_convergence_timer(&mut self, link: LinkId) {
        let now = self.now;
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return };
        ltp.engine.handle_timeout(now);
        let peer = ltp.peer;
        if ltp.give_up.is_some_and(|at| at <= now) {
            ltp.give_up = None;
            self.withdraw(link, peer, true);
            if !self.is_linked(peer) {
                self.reroute_stale(peer);
            }
        }
        // What a timer gave up holds no bundle that comes in.
        let _ = self.settle_ltp(link);
    }

    /// False for a bundle that expired or was acknowledged on the way: its message may have another by now.
    fn is_stored(&self, cargo: Cargo) -> bool {
        match cargo {
            Cargo::Bundle(key, _) => self.store.get(key).is_some(),
            Cargo::Copy(..) | Cargo::Summary => true,
        }
    }

    fn arm_ltp(&mut self, link: LinkId) {
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return };
        match ltp.engine.poll_timeout().into_iter().chain(ltp.give_up).min() {
            Some(at) => self.timers.arm(Timer::Convergence(link), at),
            None => self.timers.disarm(Timer::Convergence(link)),
        }
    }

    pub(super) fn poll_ltp(&mut self, link: LinkId, up: &LinkUp) -> Option<Vec<u8>> {
        let now = self.now;
        loop {
            let engine = &mut self.links.get_mut(link)?.ltp()?.engine;
            if let Some(segment) = engine.poll_segment(now) {
                self.arm_ltp(link);
                return Some(segment);
            }
            if engine.has_segment() || !engine.has_room() {
                return None;
            }
            if self.is_paused(link) {
                return None;
            }
            // One block at a time is cut, so that what is urgent waits for no more than the rest of one.
            let (cargo, wire) = self.next_departure(up, Limits::default().block)?;
            let ltp = self.links.get_mut(link)?.ltp()?;
            let token = ltp.next_token;
            ltp.next_token += 1;
            if ltp.engine.send(wire, token).is_ok() {
                ltp.under_way.insert(token, cargo);
            } else {
                self.cannot_depart(up.peer, cargo);
            }
        }
    }

    pub(super) fn on_ltp_segment(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), InputError> {
        let now = self.now;
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return Ok(()) };
        if let Err(error) = ltp.engine.handle_segment(now, bytes) {
            return Err(self.refuse(error.reason()));
        }
        self.settle_ltp(link)
    }

    /// What an arrival changed is durable: its last report may be sent.
    pub(in crate::node) fn on_block_durable(&mut self, link: LinkId, session: SessionId) {
        let now = self.now;
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return };
        ltp.engine.accept(now, session);
        self.arm_ltp(link);
    }

    fn refuse_block(&mut self, link: LinkId, session: SessionId) {
        let now = self.now;
        *self.refusals.entry("ltp_block_without_room").or_default() += 1;
        let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) else { return };
        ltp.engine.refuse(now, session);
    }

    /// Does what the engine says, and sets the timer. The first refused bundle is the answer.
    fn settle_ltp(&mut self, link: LinkId) -> Result<(), InputError> {
        let mut answer = Ok(());
        while let Some(ltp) = self.links.get_mut(link).and_then(Link::ltp) {
            let Some(event) = ltp.engine.poll_event() else { break };
            let peer = ltp.peer;
            let cargo = match event {
                Event::Delivered { token } | Event::Cancelled { token, .. } => ltp.under_way.remove(&token),
                Event::Block { .. } | Event::Green { .. } | Event::ReceptionCancelled { .. } => None,
            };
            match event {
                Event::Block { session, data } => {
                    let fate = self.on_bundle(Some(peer), &data, 0);
                    if has_room(&fate) {
                        self.after_durable(Followup::BlockTaken(link, session));
                    } else {
                        self.refuse_block(link, session);
                    }
                    answer = answer.and(fate.map(drop));
                }
                Event::Delivered { .. } => {
                    if let Some(cargo) = cargo.filter(|cargo| self.is_stored(*cargo)) {
                        self.departed(peer, cargo);
                    }
                    self.on_success(link);
                }
                Event::Cancelled { reason, .. } => {
                    *self.refusals.entry(reason.reason()).or_default() += 1;
                    if let Some(cargo) = cargo {
                        self.on_failed(link, peer, cargo);
                    }
                    if !self.is_linked(peer) {
                        self.reroute_stale(peer);
                    }
                }
                Event::ReceptionCancelled { reason, .. } => {
                    *self.refusals.entry(reason.reason()).or_default() += 1;
                }
                // Bundles are red.
                Event::Green { .. } => {}
            }
        }
        self.arm_ltp(link);
        answer
    }
}
