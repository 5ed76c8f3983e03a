//! Messages that wait for a group's key: durably, each sender a part of the room, and for a time.

use super::{Audience, Kept, Sealing};
use crate::{
    cbor,
    delivery::Message,
    dtn::store::Priority,
    id::NodeId,
    node::{Node, StreamKey, Timer, keep},
    time::{DtnTime, Instant},
};
use alloc::vec::Vec;
use core::time::Duration;

/// Most messages that wait for a group's key. With so many, further ones are refused.
const MAX_WAITING: usize = 256;
/// Most of one sender.
const MAX_OF_ONE: usize = 32;

/// A waiting message's name: its stream, the sender's incarnation, and its number.
pub(super) type Place = (StreamKey, u32, u64);

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The epoch of the group in which it is sealed.
    pub(super) sealed_in: u64,
    pub(super) message: Message,
    /// How often its key was asked for.
    pub(super) asked: u8,
    /// When it is given up.
    until: Instant,
}

impl Node {
    /// Keeps a message until its key comes.
    pub(super) fn wait_for_key(&mut self, key: StreamKey, epoch: u32, sealed_in: u64, message: Message) {
        let Some(sealing) = self.sealing.as_ref() else { return };
        let Audience::Group { lifetime, .. } = sealing.config.audience else { return };
        let of_sender = sealing.waiting.keys().filter(|(stream, ..)| stream.peer == key.peer).count();
        if sealing.waiting.len() >= MAX_WAITING || of_sender >= MAX_OF_ONE {
            return self.refuse_sealed("seal_no_room");
        }
        let place = (key, epoch, message.sequence);
        let mut value = Vec::with_capacity(64 + message.payload.len());
        self.put_expiry(&mut value, Priority::Normal, lifetime);
        value.extend_from_slice(&message.created.0.to_be_bytes());
        cbor::put_uint(&mut value, sealed_in);
        value.extend_from_slice(&message.payload);
        self.put(record_key(place), value);
        let until = self.now.saturating_add(lifetime);
        if let Some(sealing) = self.sealing.as_mut() {
            sealing.waiting.insert(place, Waiting { sealed_in, message, asked: 0, until });
        }
        self.timers.arm_by(Timer::Sealing, until);
        self.want_group_key();
    }

    /// Takes a waiting message out.
    pub(super) fn end_waiting(&mut self, place: Place) -> Option<Message> {
        let waiting = self.sealing.as_mut()?.waiting.remove(&place)?;
        self.delete(record_key(place));
        Some(waiting.message)
    }

    /// A member's key is taken back: what waits in its name goes.
    pub(in crate::node) fn forget_waiting(&mut self, node: NodeId) {
        let places = self.waiting_places(|(stream, ..), _| stream.peer == node);
        places.into_iter().for_each(|place| drop(self.end_waiting(place)));
    }

    /// What has waited long enough is given up.
    pub(super) fn expire_waiting(&mut self) {
        let now = self.now;
        for place in self.waiting_places(|_, waiting| waiting.until <= now) {
            drop(self.end_waiting(place));
            self.refuse_sealed("seal_key_never_came");
        }
        let next =
            self.sealing.as_ref().and_then(|it| it.waiting.values().map(|waiting| waiting.until).min());
        if let Some(next) = next {
            self.timers.arm_by(Timer::Sealing, next);
        }
    }

    /// Messages that wait for the key of an epoch.
    pub(super) fn waiting_for(&self, sealed_in: u64) -> Vec<Place> {
        self.waiting_places(|_, waiting| waiting.sealed_in == sealed_in)
    }

    fn waiting_places(&self, wanted: impl Fn(&Place, &Waiting) -> bool) -> Vec<Place> {
        let waiting = self.sealing.iter().flat_map(|sealing| &sealing.waiting);
        waiting.filter(|(place, waiting)| wanted(place, waiting)).map(|(place, _)| *place).collect()
    }

    /// Takes a kept message back.
    pub(super) fn take_back_waiting(&mut self, record: &[u8], value: &[u8]) -> Option<()> {
        let (record, epoch) = record.split_last_chunk::<4>()?;
        let (stream, sequence) = keep::parse_key(record)?;
        let (_, left, rest) = self.parse_expiry(value)?;
        let (created, rest) = rest.split_first_chunk::<8>()?;
        let mut reader = cbor::Reader::new(rest);
        let sealed_in = reader.uint().ok()?;
        let payload = rest.get(reader.position()..)?.to_vec();
        let message = Message { sequence, created: DtnTime(u64::from_be_bytes(*created)), payload };
        let until = self.now.saturating_add(left);
        let place = (stream, u32::from_be_bytes(*epoch), sequence);
        self.sealing.as_mut()?.waiting.insert(place, Waiting { sealed_in, message, asked: 0, until });
        self.timers.arm_by(Timer::Sealing, until);
        Some(())
    }
}

impl Sealing {
    /// How long a message can wait.
    pub(super) const fn lifetime(&self) -> Duration {
        match &self.config.audience {
            Audience::Recipient => Duration::ZERO,
            Audience::Group { lifetime, .. } => *lifetime,
        }
    }
}

/// `kind, peer, purpose, number, incarnation`: a sender in its next life has the same numbers.
fn record_key((stream, epoch, sequence): Place) -> Vec<u8> {
    let mut record = keep::key(Kept::Sealed, stream, sequence);
    record.extend_from_slice(&epoch.to_be_bytes());
    record
}
