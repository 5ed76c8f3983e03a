//! Links: what is up, which bundle goes next, what comes in.

mod ltp;
mod retry;
mod small_frame;
mod table;
mod whole;

use super::{Convergence, InputError, LinkId, LinkUp, Node, custody, ingress::Fate, strategy::Cargo};
use crate::{
    bundle::Disposition,
    dtn::store::{Queue, StoreKey},
    id::NodeId,
    time::Instant,
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use ltp::Ltp;
use retry::Retry;
use small_frame::SmallFrames;
pub(super) use table::Links;
use whole::Whole;

/// One link of the node.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Facts while it is up.
    up: Option<LinkUp>,
    /// Who is, or last was, at its other end: what was in flight when it went down still comes in.
    peer: Option<NodeId>,
    layer: Layer,
    /// Bundles went to limbo because they do not fit into what is left of the contact, or failed.
    skipped: bool,
    retry: Retry,
}

/// The convergence layer's state. It outlives a time without the link: what was in flight then still comes in.
#[derive(Debug)]
enum Layer {
    SmallFrame(SmallFrames),
    Whole(Whole),
    Ltp(Box<Ltp>),
}

impl Default for Layer {
    fn default() -> Self {
        Self::SmallFrame(SmallFrames::default())
    }
}

impl Layer {
    /// Whose cargo it has, also while the link is down.
    const fn peer(&self) -> Option<NodeId> {
        match self {
            Self::SmallFrame(_) => None,
            Self::Whole(whole) => Some(whole.peer),
            Self::Ltp(ltp) => Some(ltp.peer),
        }
    }
}

impl Node {
    /// The host tells how strongly the peer of a link is heard.
    pub(super) fn on_heard(&mut self, link: LinkId, snr_db: i8) {
        let peer = self.links.get(link).and_then(|state| state.peer);
        if let (Some(peer), Some(spread)) = (peer, self.spread.as_mut()) {
            spread.on_signal(peer, snr_db);
        }
    }

    pub(super) fn on_link_up(&mut self, up: LinkUp) {
        if self.links.get(up.link).is_some_and(|link| link.up.is_some_and(|old| old.peer != up.peer)) {
            // Another neighbour: the contact with the one before is over.
            let _ = self.on_link_down(up.link);
        }
        self.set_layer(up);
        let link = self.links.named(up.link);
        let before = link.up.replace(up);
        (link.peer, link.skipped) = (Some(up.peer), false);
        if before.is_none() {
            self.links.came_up(up.peer);
        }
        self.end_pause(up.link);
        self.resume_ltp(up);
        self.mark_mended(up.peer);
        self.reroute_limbo();
        self.renew_requests(up.peer);
        self.meet(up.peer);
        self.greet(up.peer);
    }

    /// Gives a link the convergence layer that it is to speak, unless it speaks it already.
    fn set_layer(&mut self, up: LinkUp) {
        let (before, same) = {
            let link = self.links.named(up.link);
            let same = match (&mut link.layer, up.convergence) {
                // Parts of the peer before must not join those of this one.
                (Layer::SmallFrame(_), Convergence::SmallFrame) => {
                    link.peer.is_none_or(|peer| peer == up.peer)
                }
                (Layer::Whole(whole), Convergence::Whole(settings)) => whole.keeps(up.peer, settings),
                (Layer::Ltp(ltp), Convergence::Ltp(settings)) => {
                    ltp.peer == up.peer && ltp.is_set_to(settings)
                }
                (Layer::SmallFrame(_) | Layer::Whole(_) | Layer::Ltp(_), _) => false,
            };
            (link.layer.peer().or(link.up.map(|old| old.peer)), same)
        };
        if same {
            return;
        }
        let before = before.unwrap_or(up.peer);
        self.withdraw(up.link, before, true);
        if before != up.peer && !self.is_linked(before) {
            self.reroute_stale(before);
        }
        let layer = match up.convergence {
            Convergence::SmallFrame => Layer::SmallFrame(self.small_frames_anew(up.link)),
            Convergence::Whole(settings) => Layer::Whole(Whole::new(up.peer, settings)),
            Convergence::Ltp(settings) => Layer::Ltp(Box::new(self.new_ltp(up.peer, settings))),
        };
        self.links.named(up.link).layer = layer;
    }

    pub(super) fn on_link_down(&mut self, link: LinkId) -> Result<(), InputError> {
        let state = self.links.get_mut(link).ok_or(InputError::UnknownLink(link))?;
        let Some(up) = state.up.take() else { return Ok(()) };
        let skipped = core::mem::take(&mut state.skipped);
        self.links.went_down(up.peer);
        self.suspend_ltp(link, &up);
        self.withdraw(link, up.peer, false);
        if !self.is_linked(up.peer) {
            self.mark_broken(up.peer);
            self.reroute_stale(up.peer);
            self.part(up.peer);
        }
        if skipped {
            self.reroute_limbo();
        }
        Ok(())
    }

    /// Puts what was on its way over `link` back to the queue, for another link to the peer or another way. `all`: also what LTP has sent
    /// in full, and waits for the report on.
    fn withdraw(&mut self, link: LinkId, peer: NodeId, all: bool) {
        let now = self.now;
        let Some(state) = self.links.get_mut(link) else { return };
        let cargo = match &mut state.layer {
            Layer::SmallFrame(frames) => frames.take_back(),
            Layer::Whole(whole) => whole.take_back(),
            Layer::Ltp(ltp) => ltp.take_back(now, all),
        };
        for cargo in cargo {
            self.not_departed(peer, cargo);
        }
    }

    /// Whether a link to `peer` is up.
    pub(super) fn is_linked(&self, peer: NodeId) -> bool {
        self.links.is_up_to(peer)
    }

    /// The next frame for `link`, which is free at `now`; `None` when nothing is due on it.
    ///
    /// On a [`Convergence::Whole`] link it is a bundle, whose number [`Node::poll_bundle`] tells too.
    pub fn poll_transmit(&mut self, now: Instant, link: LinkId) -> Option<Vec<u8>> {
        self.now = self.now.max(now);
        let state = self.links.get(link)?;
        let up = state.up?;
        match state.layer {
            Layer::SmallFrame(_) => self.poll_small_frame(link, &up),
            Layer::Whole(_) => self.poll_whole(link, &up).map(|(_, bundle)| bundle),
            Layer::Ltp(_) => self.poll_ltp(link, &up),
        }
    }

    /// Takes the next bundle for the peer that is no longer than `largest` bytes and still fits into the contact.
    ///
    /// Those before it that do not fit wait in limbo until the link goes down or a link comes up, so that they hold nothing up and each is
    /// looked at once: O(log n) for each bundle that is taken or set aside.
    pub(super) fn next_bundle(&mut self, up: &LinkUp, largest: usize) -> Option<(Cargo, Vec<u8>)> {
        loop {
            let (key, _) = self.store.peek(Queue::Hop(up.peer))?;
            let part = self.fitting(key, up, largest);
            let key = part.unwrap_or(key);
            if part.is_some() {
                let entry = self.store.get(key)?;
                let (meta, own) = (entry.meta, entry.value.own);
                let wire = self.departing(key, meta.received, None)?;
                if wire.len() <= largest {
                    self.set_out(key, &meta);
                    self.store.assign(key, Queue::Sending(up.peer));
                    self.mark_handed(key);
                    return Some((Cargo::Bundle(key, own), wire));
                }
                // What forwarding writes made it too long for one transfer.
                if self.split_for_transfer(key, up, largest) {
                    continue;
                }
            }
            let left = up.until.map_or(u64::MAX, |until| bytes_until(self.now, until, up.rate_bps));
            // Where bundles may be cut, a large one does not mean that all are too large.
            if self.config.bundles.min_fragment.is_none()
                && self.waiting.all_exceed(up.peer, left.min(largest as u64))
            {
                // What waits for this contact is routed anew when it ends; all else waits for later ones.
                return None;
            }
            self.set_aside(up.link, key);
        }
    }

    fn set_aside(&mut self, link: LinkId, key: StoreKey) {
        self.lose_route(key);
        self.store.assign(key, Queue::Limbo);
        if let Some(state) = self.links.get_mut(link) {
            state.skipped = true;
        }
    }

    /// Bytes from a link.
    pub(super) fn on_frame(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), InputError> {
        let state = self.links.named(link);
        let peer = state.peer;
        match state.layer {
            Layer::SmallFrame(_) => self.on_small_frame(link, bytes),
            Layer::Whole(_) => self.on_whole_frame(link, peer, bytes),
            Layer::Ltp(_) => self.on_ltp_segment(link, bytes),
        }
    }
}

/// Whether a bundle that came in has found room here, or needs none. One for which there was none should stay with the peer.
fn has_room(fate: &Result<Fate, InputError>) -> bool {
    custody::disposition(fate) != Disposition::DEPLETED_STORAGE
}

/// Whether a bundle that is started now is sent before the contact ends.
pub(super) fn fits(up: &LinkUp, now: Instant, bytes: u32) -> bool {
    let end = |until: Instant| now.saturating_add(serialisation(u64::from(bytes), up.rate_bps)) > until;
    !up.until.is_some_and(end)
}

/// Whole bytes that leave from now until then.
fn bytes_until(now: Instant, until: Instant, rate_bps: u64) -> u64 {
    let bits = until.saturating_since(now).as_nanos().saturating_mul(u128::from(rate_bps)) / 1_000_000_000;
    u64::try_from(bits / 8).unwrap_or(u64::MAX)
}

fn serialisation(bytes: u64, rate_bps: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate_bps.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
