//! Links that carry whole bundles: the driver says what became of each.

use super::{
    super::{Followup, InputError, LinkId, LinkUp, Node, Transfer, WholeLink, strategy::Cargo},
    Layer, Link, has_room,
};
use crate::{id::NodeId, time::Instant};
use alloc::{collections::BTreeMap, vec::Vec};

#[derive(Debug)]
pub(super) struct Whole {
    window: u16,
    /// Transfers that wait for the driver's word.
    waiting: BTreeMap<Transfer, Cargo>,
    pub(super) peer: NodeId,
    next: u64,
}

impl Whole {
    pub(super) const fn new(peer: NodeId, settings: WholeLink) -> Self {
        Self { peer, window: settings.window, waiting: BTreeMap::new(), next: 0 }
    }

    /// Takes new settings, unless they are for another peer.
    pub(super) fn keeps(&mut self, peer: NodeId, settings: WholeLink) -> bool {
        self.window = settings.window;
        self.peer == peer
    }

    pub(super) fn take_back(&mut self) -> Vec<Cargo> {
        core::mem::take(&mut self.waiting).into_values().collect()
    }
}

impl Link {
    const fn whole(&mut self) -> Option<&mut Whole> {
        match &mut self.layer {
            Layer::Whole(whole) => Some(whole),
            Layer::SmallFrame(_) | Layer::Ltp(_) => None,
        }
    }
}

impl Node {
    /// The next bundle for a [`super::super::Convergence::Whole`] link that can take one at `now`, and its number; `None` when none is
    /// due, when as many as the window allows wait for the driver's word, or on another link.
    ///
    /// The bundle stays in the store until [`super::super::Input::Transmitted`]. After [`super::super::Input::TransmissionFailed`] it is
    /// tried again some time later; when the link goes down, it goes back to its queue.
    pub fn poll_bundle(&mut self, now: Instant, link: LinkId) -> Option<(Transfer, Vec<u8>)> {
        self.now = self.now.max(now);
        let up = self.links.get(link)?.up?;
        self.poll_whole(link, &up)
    }

    pub(super) fn poll_whole(&mut self, link: LinkId, up: &LinkUp) -> Option<(Transfer, Vec<u8>)> {
        if self.is_paused(link) {
            return None;
        }
        let whole = self.links.get_mut(link)?.whole()?;
        if whole.waiting.len() >= usize::from(whole.window) {
            return None;
        }
        let largest = up.mtu as usize;
        let (cargo, wire) = loop {
            let (cargo, wire) = self.next_departure(up, largest)?;
            if wire.len() <= largest {
                break (cargo, wire);
            }
            self.cannot_depart(up.peer, cargo);
        };
        let whole = self.links.get_mut(link)?.whole()?;
        let transfer = Transfer(whole.next);
        whole.next += 1;
        whole.waiting.insert(transfer, cargo);
        Some((transfer, wire))
    }

    /// A frame came in: a bundle. Its driver hears what became of it when that is durable, whatever it is.
    pub(super) fn on_whole_frame(
        &mut self,
        link: LinkId,
        peer: Option<NodeId>,
        bytes: &[u8],
    ) -> Result<(), InputError> {
        let fate = self.on_bundle(peer, bytes, 0);
        self.after_durable(Followup::FrameDone(link, has_room(&fate)));
        fate.map(drop)
    }

    /// The driver's word on a transfer.
    pub(in crate::node) fn on_transfer(
        &mut self,
        link: LinkId,
        transfer: Transfer,
        done: bool,
    ) -> Result<(), InputError> {
        let state = self.links.get_mut(link).ok_or(InputError::UnknownLink(link))?;
        let whole = state.whole().ok_or(InputError::UnknownTransfer(transfer))?;
        let cargo = whole.waiting.remove(&transfer).ok_or(InputError::UnknownTransfer(transfer))?;
        let peer = whole.peer;
        if done {
            self.departed(peer, cargo);
            self.on_success(link);
        } else {
            self.on_failed(link, peer, cargo);
        }
        Ok(())
    }
}
