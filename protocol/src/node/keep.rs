//! The records that the host keeps for the node, and how the node comes back from them.
//!
//! Keys sort by kind, then stream, then number, so that a host which hands them back in order hands a stream back before
//! its messages. All integers are big-endian.

use super::{
    InputError, Node, StreamKey, delivered,
    forward::{Origin, set_copies},
    shared_state,
};
use crate::{
    bundle::{Bundle, BundleId, Policy},
    delivery::{Incoming, Message, Outgoing, Pending, Place},
    dtn::store::{Priority, StoreKey, StoreMeta},
    envelope::Purpose,
    id::NodeId,
    time::{DtnTime, Instant},
};
use alloc::vec::Vec;
use core::time::Duration;

/// A change to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record `key` becomes `value`.
    Put {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// There is no record `key` any more.
    Delete {
        /// Its key.
        key: Vec<u8>,
    },
}

/// Kinds of kept records: the first byte of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// A sending stream: epoch, next number.
    OutgoingStream = 1,
    /// A message that is not acknowledged.
    OutgoingMessage = 2,
    /// A receiving stream: epoch, floor.
    IncomingStream = 3,
    /// A message beyond a gap.
    EarlyMessage = 4,
    /// Part of the replica of shared state.
    SharedState = 5,
    /// This node's part of the federated plan.
    Plan = 6,
    /// A bundle in the store that no record of a stream can bring back: another node's on its way, or an application's own.
    Bundle = 7,
    /// The name of a bundle that was delivered.
    DeliveredBundle = 8,
    /// A fragment for this node.
    Fragment = 9,
    /// A bundle in this node's custody.
    Custody = 10,
    /// The name of a bundle whose custody was taken.
    CustodyTaken = 11,
    /// An entry of the log, by its number. The node never asks for one again.
    LogEntry = 12,
    /// The log's state after its last entry.
    LogHead = 13,
    /// Who may speak for whom.
    Keyring = 14,
    /// The newest checkpoint of another's log.
    Checkpoint = 15,
    /// Two signed statements that exclude each other. The node never asks for them again.
    Proof = 16,
    /// A decision of the fleet, by its slot.
    Decision = 17,
    /// What lies on the table of the open slot, and what this node's voter means to do.
    Ballots = 18,
    /// The keys of the group for whose eyes messages are, and who has the newest.
    GroupKeys = 19,
    /// A message that waits for such a key.
    Sealed = 20,
}

pub(super) const KEY_LEN: usize = 18;

/// Marks the record of a bundle whose payload is counted and not carried.
const COUNTED: u8 = 0x80;

/// Priority, civil expiry, lifetime left.
const KEPT_HEADER: usize = 17;

/// `kind, peer, purpose, number`.
pub(super) fn key(kind: Kept, stream: StreamKey, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(KEY_LEN);
    key.push(kind as u8);
    key.extend_from_slice(&stream.peer.0.to_be_bytes());
    key.push(stream.purpose.number());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

impl Node {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch.changes.push(Change::Put { key, value });
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.batch.changes.push(Change::Delete { key });
    }

    pub(super) fn keep_outgoing_stream(&mut self, stream: StreamKey, epoch: u32, next: u64) {
        self.put(key(Kept::OutgoingStream, stream, 0), pair(epoch, next));
    }

    pub(super) fn keep_incoming_stream(&mut self, stream: StreamKey, epoch: u32, floor: u64) {
        self.put(key(Kept::IncomingStream, stream, 0), pair(epoch, floor));
    }

    /// `priority, civil expiry [ms] or 0, lifetime left [ms], envelope`.
    pub(super) fn keep_outgoing_message(&mut self, stream: StreamKey, sequence: u64, message: &Pending) {
        let mut value = Vec::with_capacity(KEPT_HEADER + message.sealed.len());
        self.put_expiry(&mut value, message.priority, message.expires.saturating_since(self.now));
        value.extend_from_slice(&message.sealed);
        self.put(key(Kept::OutgoingMessage, stream, sequence), value);
    }

    pub(super) fn keep_early_message(&mut self, stream: StreamKey, message: &Message) {
        let mut value = Vec::with_capacity(8 + message.payload.len());
        value.extend_from_slice(&message.created.0.to_be_bytes());
        value.extend_from_slice(&message.payload);
        self.put(key(Kept::EarlyMessage, stream, message.sequence), value);
    }

    /// `priority, civil expiry [ms] or 0, lifetime left [ms], bundle` under `kind, incarnation, store key`. Of a payload that is counted and
    /// not carried, bit 7 of the priority tells that its length (4 bytes) stands before the bundle.
    pub(super) fn keep_bundle(&mut self, key: StoreKey, meta: &StoreMeta, encoded: &[u8]) {
        let absent = self.store.get(key).map_or(0, |entry| entry.value.absent());
        let left = meta.expires.saturating_since(self.now);
        let mut value = Vec::with_capacity(KEPT_HEADER + encoded.len());
        self.put_expiry(&mut value, meta.priority, left);
        if absent > 0 {
            value[0] |= COUNTED;
            value.extend_from_slice(&absent.to_be_bytes());
        }
        value.extend_from_slice(encoded);
        self.put(self.bundle_key(key), value);
    }

    /// The bundle left the store: its record goes with the next batch. A crash before that sends it twice, which its receiver bears.
    pub(super) fn forget_bundle(&mut self, key: StoreKey) {
        self.delete(self.bundle_key(key));
    }

    fn bundle_key(&self, key: StoreKey) -> Vec<u8> {
        let mut record = Vec::with_capacity(13);
        record.push(Kept::Bundle as u8);
        record.extend_from_slice(&self.incarnation.to_be_bytes());
        record.extend_from_slice(&key.0.to_be_bytes());
        record
    }

    /// `civil expiry [ms] or 0, lifetime left [ms]` under `kind, name`.
    pub(super) fn keep_delivered(&mut self, id: &BundleId, left: Duration) {
        let mut value = Vec::with_capacity(KEPT_HEADER);
        self.put_expiry(&mut value, Priority::Normal, left);
        self.put(name_key(Kept::DeliveredBundle, id), value);
    }

    pub(super) fn forget_delivered(&mut self, id: &BundleId) {
        self.delete(name_key(Kept::DeliveredBundle, id));
    }

    fn take_back_delivered(&mut self, record_key: &[u8], value: &[u8]) -> Option<()> {
        let (_, left, _) = self.parse_expiry(value)?;
        let (kind, name) = record_key.split_first()?;
        let id = delivered::read_name(name)?;
        // What was remembered under a laxer bound, or by a clock that was wrong: see `Node::memorable`.
        let left = left.min(self.config.bundles.max_lifetime.saturating_mul(2));
        let memory =
            if *kind == Kept::CustodyTaken as u8 { &mut self.custody.taken } else { &mut self.delivered };
        // Whoever lowers the limit between two incarnations still gets nothing twice.
        memory.remember(id, self.now.saturating_add(left), None);
        Some(())
    }

    /// As [`Self::keep_delivered`].
    pub(super) fn keep_taken(&mut self, id: &BundleId, left: Duration) {
        let mut value = Vec::with_capacity(KEPT_HEADER);
        self.put_expiry(&mut value, Priority::Normal, left);
        self.put(name_key(Kept::CustodyTaken, id), value);
    }

    pub(super) fn forget_taken(&mut self, id: &BundleId) {
        self.delete(name_key(Kept::CustodyTaken, id));
    }

    /// `priority, civil expiry [ms] or 0, lifetime left [ms], bundle` under `kind, name, length of its part`.
    pub(super) fn keep_fragment(&mut self, bundle: &Bundle, left: Duration, entrusted: bool) {
        let encoded = bundle.encode();
        let mut value = Vec::with_capacity(KEPT_HEADER + 1 + encoded.len());
        self.put_expiry(&mut value, Priority::Normal, left);
        value.push(u8::from(entrusted));
        value.extend_from_slice(&encoded);
        self.put(fragment_key(bundle), value);
    }

    pub(super) fn forget_fragment(&mut self, bundle: &Bundle) {
        self.delete(fragment_key(bundle));
    }

    fn take_back_fragment(&mut self, value: &[u8]) -> Option<()> {
        let (_, left, rest) = self.parse_expiry(value)?;
        let (entrusted, encoded) = rest.split_first()?;
        let bundle = Bundle::decode_with(encoded, Policy::Lenient).ok()?;
        let id = BundleId { fragment: None, ..bundle.id() };
        self.add_fragment(id, bundle, left, true, *entrusted != 0);
        Some(())
    }

    /// `priority, civil expiry [ms] or 0, lifetime left [ms], custodian, bundle` under `kind, transmission ID`.
    pub(super) fn keep_custody(
        &mut self,
        transmission: u64,
        custodian: NodeId,
        priority: Priority,
        left: Duration,
        encoded: &[u8],
    ) {
        let mut value = Vec::with_capacity(KEPT_HEADER + 8 + encoded.len());
        self.put_expiry(&mut value, priority, left);
        value.extend_from_slice(&custodian.0.to_be_bytes());
        value.extend_from_slice(encoded);
        self.put(custody_key(transmission), value);
    }

    pub(super) fn forget_custody(&mut self, transmission: u64) {
        self.delete(custody_key(transmission));
    }

    fn take_back_custody(&mut self, record_key: &[u8], value: &[u8]) -> Option<()> {
        let transmission: [u8; 8] = record_key.get(1..)?.try_into().ok()?;
        let (priority, left, rest) = self.parse_expiry(value)?;
        let (custodian, encoded) = rest.split_first_chunk::<8>()?;
        let mut bundle = Bundle::decode_with(encoded, Policy::Lenient).ok()?;
        let kept: [u8; 8] = value.get(9..KEPT_HEADER)?.try_into().ok()?;
        grow_older(&mut bundle, kept, left);
        let custodian = NodeId(u64::from_be_bytes(*custodian));
        self.hold(u64::from_be_bytes(transmission), custodian, priority, left, bundle);
        Some(())
    }

    pub(super) fn put_expiry(&self, value: &mut Vec<u8>, priority: Priority, left: Duration) {
        let left = left.as_millis() as u64;
        let civil = self.civil_now();
        let expiry = if civil == DtnTime::UNKNOWN { 0 } else { civil.0.saturating_add(left) };
        value.push(priority as u8);
        value.extend_from_slice(&expiry.to_be_bytes());
        value.extend_from_slice(&left.to_be_bytes());
    }

    pub(super) fn parse_expiry<'a>(&self, value: &'a [u8]) -> Option<(Priority, Duration, &'a [u8])> {
        let (priority, rest) = value.split_first()?;
        let (expiry, rest) = rest.split_first_chunk::<8>()?;
        let (left, rest) = rest.split_first_chunk::<8>()?;
        let priority = Priority::ALL.into_iter().find(|known| *known as u8 == *priority)?;
        let (expiry, left) = (u64::from_be_bytes(*expiry), u64::from_be_bytes(*left));
        let civil = self.civil_now();
        // Without a clock on either side of the crash, time that passed in between cannot be counted. A clock that was set back makes nothing
        // last longer than it had left.
        let left = if expiry == 0 || civil == DtnTime::UNKNOWN {
            left
        } else {
            expiry.saturating_sub(civil.0).min(left)
        };
        Some((priority, Duration::from_millis(left), rest))
    }

    /// Where the store has no room for it now, its record waits for the next incarnation.
    fn take_back_bundle(&mut self, record_key: &[u8], value: &[u8]) -> Option<()> {
        let (first, rest) = value.split_first()?;
        let header = [&[first & !COUNTED], rest.get(..KEPT_HEADER - 1)?].concat();
        let (priority, left, _) = self.parse_expiry(&header)?;
        let mut encoded = rest.get(KEPT_HEADER - 1..)?;
        let mut absent = 0;
        if first & COUNTED != 0 {
            let (counted, bundle) = encoded.split_first_chunk::<4>()?;
            (absent, encoded) = (u32::from_be_bytes(*counted), bundle);
        }
        // It passed the policy of the link it came by.
        let mut bundle = Bundle::decode_with(encoded, Policy::Lenient).ok()?;
        if absent > 0 && bundle.payload().is_empty() {
            bundle.set_absent(absent);
        }
        let kept: [u8; 8] = rest.get(8..16)?.try_into().ok()?;
        grow_older(&mut bundle, kept, left);
        if self.spread.as_ref().is_some_and(|spread| spread.counts_copies()) {
            // Others may have the rest already: never more copies than there were.
            set_copies(&mut bundle, 1);
        }
        let encoded = bundle.encode();
        if left.is_zero() || self.store_bundle(bundle, priority, left, Origin::Kept(&encoded)).is_some() {
            self.delete(record_key.to_vec());
        }
        Some(())
    }

    /// Takes one kept record back.
    pub(super) fn take_back(&mut self, record_key: &[u8], value: &[u8]) -> Result<(), InputError> {
        let kind = record_key.first().copied().unwrap_or(0);
        let malformed = InputError::Kept { kind };
        if kind == Kept::SharedState as u8 {
            let sharing = self.shared.as_mut().ok_or(InputError::NotConfigured { what: "shared state" })?;
            return shared_state::take_back(sharing, record_key, value).ok_or(malformed);
        }
        if kind == Kept::Plan as u8 {
            let now = self.now;
            let planning = self.planning.as_mut().ok_or(InputError::NotConfigured { what: "planning" })?;
            planning.take_back(now, record_key, value).ok_or(malformed)?;
            self.watch_coordinator();
            return Ok(());
        }
        if kind == Kept::Bundle as u8 {
            return self.take_back_bundle(record_key, value).ok_or(malformed);
        }
        if kind == Kept::DeliveredBundle as u8 || kind == Kept::CustodyTaken as u8 {
            return self.take_back_delivered(record_key, value).ok_or(malformed);
        }
        if kind == Kept::Fragment as u8 {
            return self.take_back_fragment(value).ok_or(malformed);
        }
        if kind == Kept::Custody as u8 {
            return self.take_back_custody(record_key, value).ok_or(malformed);
        }
        if (Kept::LogEntry as u8..=Kept::Proof as u8).contains(&kind) {
            return self.take_back_trust(kind, value)?.ok_or(malformed);
        }
        if kind == Kept::Decision as u8 || kind == Kept::Ballots as u8 {
            return self.take_back_governance(kind, value)?.ok_or(malformed);
        }
        if kind == Kept::GroupKeys as u8 || kind == Kept::Sealed as u8 {
            return self.take_back_sealing(kind, record_key, value)?.ok_or(malformed);
        }
        let (stream, number) = parse_key(record_key).ok_or(InputError::Kept { kind })?;
        self.take_back_stream(kind, stream, number, value).ok_or(malformed)
    }

    fn take_back_stream(&mut self, kind: u8, stream: StreamKey, number: u64, value: &[u8]) -> Option<()> {
        let window = self.config.window;
        if kind == Kept::OutgoingStream as u8 {
            let (epoch, next) = parse_pair(value)?;
            self.outgoing.insert(stream, Outgoing::restored(epoch, window, next, self.now));
        } else if kind == Kept::OutgoingMessage as u8 {
            let message = self.parse_outgoing(value)?;
            self.outgoing.get_mut(&stream)?.restore_pending(number, message);
        } else if kind == Kept::IncomingStream as u8 {
            let (epoch, floor) = parse_pair(value)?;
            self.incoming.insert(stream, Incoming::restored(window, epoch, floor));
        } else if kind == Kept::EarlyMessage as u8 {
            let (created, payload) = value.split_first_chunk::<8>()?;
            let created = DtnTime(u64::from_be_bytes(*created));
            let message = Message { sequence: number, created, payload: payload.to_vec() };
            // Beyond the first gap of a stream whose floor is still zero there is no stream record yet.
            self.incoming.entry(stream).or_insert_with(|| Incoming::new(window)).restore_early(message);
        } else {
            return None;
        }
        Some(())
    }

    fn parse_outgoing(&self, value: &[u8]) -> Option<Pending> {
        let (priority, left, sealed) = self.parse_expiry(value)?;
        let expires = self.now.saturating_add(left);
        Some(Pending {
            sealed: sealed.to_vec(),
            priority,
            expires,
            attempts: 0,
            silences: 0,
            place: Place::AwaitingPersist,
        })
    }

    /// After everything was taken back: what is unacknowledged goes out again.
    pub(super) fn relaunch(&mut self) {
        let streams: Vec<(StreamKey, u64)> = self
            .outgoing
            .iter()
            .flat_map(|(key, stream)| stream.pending().map(|(sequence, _)| (*key, sequence)))
            .collect();
        for (stream, sequence) in streams {
            self.put_in_flight(stream, sequence, (self.now, self.now));
        }
        let peers: Vec<NodeId> = self.outgoing.keys().map(|stream| stream.peer).collect();
        for peer in peers {
            self.arm_control(peer);
        }
        // Writes that were not pushed before the crash.
        self.arm_push();
        self.arm_forgetting();
        self.arm_forgetting_custody();
        self.arm_reassembly();
    }

    /// Marks a message whose acknowledgement can be back at `due` as due again at `deadline`.
    pub(super) fn put_in_flight(
        &mut self,
        stream: StreamKey,
        sequence: u64,
        (due, deadline): (Instant, Instant),
    ) {
        if let Some(message) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence)) {
            let deadline = deadline.min(message.expires);
            message.place = Place::InFlight { sent: self.now, due, deadline };
            self.timers.arm(super::Timer::Retransmit(stream, sequence), deadline);
        }
    }
}

fn name_key(kind: Kept, id: &BundleId) -> Vec<u8> {
    let mut record = alloc::vec![kind as u8];
    delivered::put_name(&mut record, id);
    record
}

fn fragment_key(bundle: &Bundle) -> Vec<u8> {
    let mut record = name_key(Kept::Fragment, &bundle.id());
    record.extend_from_slice(&(bundle.payload().len() as u64).to_be_bytes());
    record
}

fn custody_key(transmission: u64) -> Vec<u8> {
    let mut record = alloc::vec![Kept::Custody as u8];
    record.extend_from_slice(&transmission.to_be_bytes());
    record
}

fn pair(epoch: u32, number: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(12);
    value.extend_from_slice(&epoch.to_be_bytes());
    value.extend_from_slice(&number.to_be_bytes());
    value
}

fn parse_pair(value: &[u8]) -> Option<(u32, u64)> {
    let (epoch, rest) = value.split_first_chunk::<4>()?;
    let number: [u8; 8] = rest.try_into().ok()?;
    Some((u32::from_be_bytes(*epoch), u64::from_be_bytes(number)))
}

pub(super) fn parse_key(record_key: &[u8]) -> Option<(StreamKey, u64)> {
    let (_, rest) = record_key.split_first()?;
    let (peer, rest) = rest.split_first_chunk::<8>()?;
    let (purpose, number) = rest.split_first()?;
    let purpose = Purpose::from_number(u64::from(*purpose))?;
    let number: [u8; 8] = number.try_into().ok()?;
    Some((StreamKey { peer: NodeId(u64::from_be_bytes(*peer)), purpose }, u64::from_be_bytes(number)))
}

/// A bundle grows older on the disk: `kept` is what was left of its lifetime when it was written, in milliseconds, `left` what is now.
fn grow_older(bundle: &mut Bundle, kept: [u8; 8], left: Duration) {
    if let Some(age) = bundle.age_ms() {
        let passed = u64::from_be_bytes(kept).saturating_sub(left.as_millis() as u64);
        bundle.set_age_ms(age.saturating_add(passed));
    }
}
