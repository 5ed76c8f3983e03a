//! Links: what is up, what is being sent, what is being put together.

use super::{InputError, LinkId, LinkUp, Node, strategy::Cargo};
use crate::{
    convergence::small_frame::{Accepted, Fragmenter, Reassembler, ReassemblyLimits},
    dtn::store::Queue,
    id::NodeId,
    time::Instant,
};
use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

/// One link of the node.
#[derive(Debug)]
pub(super) struct Link {
    /// Facts while it is up.
    up: Option<LinkUp>,
    /// The bundle whose frames are being sent.
    sending: Option<Sending>,
    /// Number of the next transfer.
    transfer: u16,
    reassembler: Reassembler,
}

/// A bundle on its way out: it stays in the store until its last frame is taken.
#[derive(Debug)]
struct Sending {
    cargo: Cargo,
    frames: VecDeque<Vec<u8>>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            up: None,
            sending: None,
            transfer: 0,
            reassembler: Reassembler::new(ReassemblyLimits::default()),
        }
    }
}

impl Node {
    pub(super) fn on_link_up(&mut self, up: LinkUp) {
        self.links.entry(up.link).or_default().up = Some(up);
        // What was thought broken works again.
        let plan = &self.plan;
        self.broken.retain(|id, _| plan.get(*id).is_none_or(|contact| contact.to != up.peer));
        self.reroute(Queue::Limbo);
        self.meet(up.peer);
    }

    pub(super) fn on_link_down(&mut self, link: LinkId) -> Result<(), InputError> {
        let state = self.links.get_mut(&link).ok_or(InputError::UnknownLink(link))?;
        let Some(up) = state.up.take() else { return Ok(()) };
        if let Some(sending) = state.sending.take() {
            self.not_departed(up.peer, sending.cargo);
        }
        if !self.is_linked(up.peer) {
            self.mark_broken(up.peer);
            self.reroute(Queue::Hop(up.peer));
            self.part(up.peer);
        }
        Ok(())
    }

    /// Whether a link to `peer` is up.
    pub(super) fn is_linked(&self, peer: NodeId) -> bool {
        self.links.values().any(|link| link.up.is_some_and(|up| up.peer == peer))
    }

    /// The next frame for `link`, which is free at `now`; `None` when nothing is due on it.
    pub fn poll_transmit(&mut self, now: Instant, link: LinkId) -> Option<Vec<u8>> {
        self.now = self.now.max(now);
        let up = self.links.get(&link)?.up?;
        if self.links.get(&link)?.sending.is_none() {
            self.begin_bundle(link, &up)?;
        }
        let state = self.links.get_mut(&link)?;
        let sending = state.sending.as_mut()?;
        let frame = sending.frames.pop_front();
        if sending.frames.is_empty() {
            let cargo = sending.cargo;
            state.sending = None;
            self.departed(up.peer, cargo);
        }
        frame
    }

    /// Takes the most urgent bundle for the peer that still fits into the contact.
    fn begin_bundle(&mut self, link: LinkId, up: &LinkUp) -> Option<()> {
        let (cargo, wire) = self.next_departure(up)?;
        let state = self.links.get_mut(&link)?;
        let transfer = state.transfer;
        state.transfer = state.transfer.wrapping_add(1);
        match Fragmenter::new(&wire, transfer, up.mtu as usize) {
            Ok(frames) => state.sending = Some(Sending { cargo, frames: frames.collect() }),
            Err(_) => {
                self.cannot_depart(up.peer, cargo);
                return None;
            }
        }
        Some(())
    }

    /// Bytes from a link.
    pub(super) fn on_frame(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), InputError> {
        let now = self.now;
        let state = self.links.entry(link).or_default();
        let peer = state.up.map(|up| up.peer);
        match state.reassembler.accept(now, bytes) {
            Ok(Accepted::Bundle(bundle)) => self.on_bundle(peer, &bundle),
            Ok(Accepted::Partial { .. } | Accepted::Duplicate) => Ok(()),
            Err(error) => Err(self.refuse(error.reason())),
        }
    }
}

/// Whether a bundle that is started now is sent before the contact ends.
pub(super) fn fits(up: &LinkUp, now: Instant, bytes: u32) -> bool {
    let end = |until: Instant| now.saturating_add(serialisation(u64::from(bytes), up.rate_bps)) > until;
    !up.until.is_some_and(end)
}

fn serialisation(bytes: u64, rate_bps: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate_bps.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
