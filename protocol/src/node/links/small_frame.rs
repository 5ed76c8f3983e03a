//! Links of small frames: a bundle has left when its last frame is taken.

use super::{
    super::{InputError, LinkId, LinkUp, Node, strategy::Cargo},
    Layer, Link,
};
use crate::convergence::small_frame::{
    Accepted, Fragmenter, Reassembler, ReassemblyLimits, WHOLE_HEADER_LEN, counted_frame, max_bundle_bytes,
    whole_frame,
};
use alloc::{collections::VecDeque, vec::Vec};

#[derive(Debug)]
pub(super) struct SmallFrames {
    /// The bundle whose frames are being sent: it stays in the store until its last frame is taken.
    sending: Option<Cargo>,
    /// Its frames that are not taken yet.
    waiting: VecDeque<Vec<u8>>,
    /// Number of the next transfer.
    transfer: u16,
    reassembler: Reassembler,
}

impl Default for SmallFrames {
    fn default() -> Self {
        let reassembler = Reassembler::new(ReassemblyLimits::default());
        Self { sending: None, waiting: VecDeque::new(), transfer: 0, reassembler }
    }
}

impl SmallFrames {
    /// The same for another peer: nothing of it has come in, and numbers go on.
    pub(super) fn anew(&self) -> Self {
        Self { transfer: self.transfer, ..Self::default() }
    }

    pub(super) fn take_back(&mut self) -> Vec<Cargo> {
        self.waiting.clear();
        self.sending.take().into_iter().collect()
    }
}

impl Link {
    const fn small_frames(&mut self) -> Option<&mut SmallFrames> {
        match &mut self.layer {
            Layer::SmallFrame(frames) => Some(frames),
            Layer::Whole(_) | Layer::Ltp(_) => None,
        }
    }
}

impl Node {
    /// Small frames of `link` for another peer, or after another layer.
    pub(super) fn small_frames_anew(&mut self, link: LinkId) -> SmallFrames {
        self.links
            .get_mut(link)
            .and_then(Link::small_frames)
            .map_or_else(SmallFrames::default, |frames| frames.anew())
    }

    pub(super) fn poll_small_frame(&mut self, link: LinkId, up: &LinkUp) -> Option<Vec<u8>> {
        while self.links.get_mut(link)?.small_frames()?.sending.is_none() {
            let (cargo, wire) = self.next_departure(up, max_bundle_bytes(up.mtu as usize))?;
            let shared = self.spread.as_ref().is_some_and(|spread| spread.shares_channel());
            let absent = self.absent(&cargo);
            let SmallFrames { sending, waiting, transfer, .. } = self.links.get_mut(link)?.small_frames()?;
            let next = if shared { &mut self.channel_transfer } else { transfer };
            let number = *next;
            *next = number.wrapping_add(1);
            if absent > 0 {
                // What is not carried needs no frames: the bundle is one, whatever the MTU.
                waiting.push_back(counted_frame(wire, absent));
                *sending = Some(cargo);
            } else if wire.len() + WHOLE_HEADER_LEN <= up.mtu as usize {
                waiting.push_back(whole_frame(wire));
                *sending = Some(cargo);
            } else if let Ok(cut) = Fragmenter::new(&wire, number, up.mtu as usize) {
                waiting.extend(cut);
                *sending = Some(cargo);
            } else {
                self.cannot_depart(up.peer, cargo);
            }
        }
        let frames = self.links.get_mut(link)?.small_frames()?;
        let cargo = frames.sending?;
        let frame = frames.waiting.pop_front();
        if frames.waiting.is_empty() && !up.session {
            frames.sending = None;
            self.departed(up.peer, cargo);
        }
        frame
    }

    /// On a link with sessions: the last frame has left.
    pub(in crate::node) fn on_sent(&mut self, link: LinkId) -> Result<(), InputError> {
        let state = self.links.get_mut(link).ok_or(InputError::UnknownLink(link))?;
        let Some(up) = state.up else { return Ok(()) };
        let Some(frames) = state.small_frames() else { return Ok(()) };
        if frames.waiting.is_empty()
            && let Some(cargo) = frames.sending.take()
        {
            self.departed(up.peer, cargo);
        }
        Ok(())
    }

    pub(super) fn on_small_frame(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), InputError> {
        let now = self.now;
        let Some(state) = self.links.get_mut(link) else { return Ok(()) };
        let peer = state.peer;
        let Some(frames) = state.small_frames() else { return Ok(()) };
        match frames.reassembler.accept(now, bytes) {
            Ok(Accepted::Bundle(bundle)) => self.on_bundle(peer, &bundle, 0).map(drop),
            Ok(Accepted::Counted(bundle, absent)) => self.on_bundle(peer, bundle, absent).map(drop),
            Ok(Accepted::Partial { .. } | Accepted::Duplicate) => Ok(()),
            Err(error) => Err(self.refuse(error.reason())),
        }
    }
}
