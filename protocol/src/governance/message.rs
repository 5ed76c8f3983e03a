//! [`GovernanceMessage`]: what two replicas tell each other, and how one gets what it lacks.
//!
//! The payload of an envelope of purpose `Governance`, in deterministic CBOR (RFC 8949 §4.2) described in CDDL (RFC 8610):
//!
//! ```cddl
//! governance-message = [
//!   version: 1,
//!   asks: 0..1,
//!   decisions: uint,
//!   head: hash,
//!   range: bstr .size 16,               ; the first and the last name that it is about
//!   names: bstr .size (0..4096),        ; of records that the sender has in the open slot: the first 8 bytes of the SHA-256 of each
//!   records: [0*512 bstr],              ; certificates in order, then records
//! ]
//! hash = bstr .size 32
//!
//! record = [kind: 0..1, signed: bstr, links: [0*8 bstr]]       ; 0 a proposal, 1 a ballot; links: successions from the voter's seat on
//! ; `signed` is a COSE_Sign1 by the voter: of `proposal` for the domain "cosmosmesh-proposal-v1", of `ballot` for "cosmosmesh-ballot-v1"
//! proposal = [slot: uint, parent: hash, content: bstr .cbor content]
//! ballot = [slot: uint, parent: hash, step: uint, choice: hash / h'']
//! certificate = [2, slot: uint, proposal: bstr .cbor record / h'', ballots: [* bstr .cbor record]]
//!
//! content = policy / schema / seat / unseat / block / authority
//! policy = [0, bstr]                                           ; `access::Policy`
//! schema = [1, tstr]                                           ; CDDL in canonical form
//! seat = [2, node: uint, key: bstr .size 32]
//! unseat = [3, node: uint]
//! block = [4, node: uint, key-id: bstr .size 8, since: uint]
//! authority = [5, key: bstr .size 32, since: uint, cause: uint]
//! ```

use super::{
    certificate::MAX_CERTIFICATE_LEN, electorate::MAX_VOTERS, error::GovernanceError, ledger::Ledger,
    slot::MAX_STEPS,
};
use crate::{
    cbor::{self, CborError, Reader},
    log::{Brief, Hash},
};
use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Range;

/// The version of the message. What is signed in it has its own, in the domain of its signature.
const VERSION: u64 = 1;
/// Longest message in bytes.
pub const MAX_MESSAGE_LEN: usize = 61 * 1024;
/// Most names of records in a message. Who has more tells those of a range, and another range in its turn.
const MAX_NAMES: usize = 512;
/// Most records in a message.
const MAX_RECORDS: usize = 512;

/// A message of one replica to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernanceMessage {
    /// Whether an answer is asked for.
    pub asks: bool,
    /// Decisions that the sender has.
    pub decisions: u64,
    /// The head of its history.
    pub head: Hash,
    /// The range of names that this message is about, both ends included.
    pub range: (Brief, Brief),
    /// Short names of what it has of the open slot in that range, rising.
    pub names: Vec<Brief>,
    /// Certificates in order, then records.
    pub records: Vec<Vec<u8>>,
}

impl GovernanceMessage {
    /// What a replica has, and asks about. `turn`: counts such messages; with more records than one has room for, each is about others.
    #[must_use]
    pub fn asking(ledger: &Ledger, turn: usize) -> Self {
        let mut names: Vec<Brief> = ledger.names().collect();
        names.sort_unstable();
        let parts = names.len().div_ceil(MAX_NAMES).max(1);
        let from = turn % parts * MAX_NAMES;
        let first = if from == 0 { LEAST } else { names[from] };
        let last = names.get(from + MAX_NAMES).map_or(GREATEST, |next| before(*next));
        let names = names.into_iter().skip(from).take(MAX_NAMES).collect();
        Self { asks: true, names, range: (first, last), ..Self::giving(ledger, Vec::new()) }
    }

    /// What a replica gives.
    #[must_use]
    pub fn giving(ledger: &Ledger, records: Vec<Vec<u8>>) -> Self {
        let (range, names) = ((LEAST, GREATEST), Vec::new());
        Self { asks: false, decisions: ledger.slot() - 1, head: ledger.head(), range, names, records }
    }

    /// The message as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        cbor::put_head(&mut out, cbor::ARRAY, 7);
        cbor::put_uint(&mut out, VERSION);
        cbor::put_uint(&mut out, u64::from(self.asks));
        cbor::put_uint(&mut out, self.decisions);
        cbor::put_bytes(&mut out, &self.head);
        cbor::put_bytes(&mut out, &[self.range.0.0, self.range.1.0].concat());
        cbor::put_head(&mut out, cbor::BYTES, self.names.len() as u64 * 8);
        self.names.iter().for_each(|name| out.extend_from_slice(&name.0));
        cbor::put_head(&mut out, cbor::ARRAY, self.records.len() as u64);
        self.records.iter().for_each(|record| cbor::put_bytes(&mut out, record));
        out
    }

    /// Reads a message. Every length is checked before anything is allocated for it.
    ///
    /// # Errors
    /// [`GovernanceError`] for anything that [`GovernanceMessage::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, GovernanceError> {
        if bytes.len() > MAX_MESSAGE_LEN {
            return Err(GovernanceError::TooLong { found: bytes.len(), max: MAX_MESSAGE_LEN });
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(7)?;
        let found = reader.uint()?;
        if found != VERSION {
            return Err(GovernanceError::Version { found });
        }
        let asks = match reader.uint()? {
            0 => false,
            1 => true,
            found => return Err(GovernanceError::Unknown { found }),
        };
        let decisions = reader.uint()?;
        let at = reader.position();
        let head = super::ballot::read_hash(&mut reader)?;
        let head = head.ok_or(CborError::Items { at, expected: 32, found: 0 })?;
        let (at, range) = (reader.position(), reader.bytes()?);
        let [first, last] = *range.as_chunks::<8>().0 else {
            return Err(CborError::Items { at, expected: 16, found: range.len() as u64 }.into());
        };
        let range = (Brief(first), Brief(last));
        let (at, names) = (reader.position(), reader.bytes()?);
        let (names, rest) = names.as_chunks::<8>();
        if !rest.is_empty() || names.len() > MAX_NAMES {
            let (expected, found) = (MAX_NAMES as u64, names.len() as u64);
            return Err(CborError::Items { at, expected, found }.into());
        }
        let names = names.iter().map(|name| Brief(*name)).collect();
        let (at, found) = (reader.position(), reader.array()?);
        if found > MAX_RECORDS as u64 {
            return Err(CborError::Items { at, expected: MAX_RECORDS as u64, found }.into());
        }
        let mut records = Vec::new();
        for _ in 0..found {
            let record = reader.bytes()?;
            let (found, max) = (record.len(), MAX_CERTIFICATE_LEN);
            if found > max {
                return Err(GovernanceError::TooLong { found, max });
            }
            records.push(record.to_vec());
        }
        reader.end()?;
        Ok(Self { asks, decisions, head, range, names, records })
    }
}

impl Ledger {
    /// Whether the sender of a message says to have another history than this: unproven. What both have decided otherwise proves it.
    #[must_use]
    pub fn differs(&self, other: &GovernanceMessage) -> bool {
        self.head_at(other.decisions).is_some_and(|head| head != other.head)
    }

    /// What proves to the sender of a message, who has another history, which slot was decided otherwise: certificates of what both have decided, from
    /// the decision at place `from` on, until a message is full. Each can be judged by itself, so the next message goes on behind these.
    #[must_use]
    pub fn contrary(&self, other: &GovernanceMessage, from: usize) -> Vec<Vec<u8>> {
        let both = usize::try_from(other.decisions).unwrap_or(usize::MAX);
        let certificates = self.decisions.iter().take(both).skip(from);
        in_a_message(certificates.map(|decision| decision.certificate.as_slice()))
    }

    /// The certificates of the decisions at these places, in order: of more than a message has room for, the first, and at least one of any.
    #[must_use]
    pub fn certificates(&self, places: Range<usize>) -> Vec<Vec<u8>> {
        let decisions = self.decisions.get(places).unwrap_or_default().iter();
        in_a_message(decisions.map(|decision| decision.certificate.as_slice()))
    }

    /// What the sender of a message lacks, in an order in which each can be judged, until a message is full. Of whom has another history:
    /// [`Ledger::contrary`].
    #[must_use]
    pub fn lacking(&self, other: &GovernanceMessage) -> Vec<Vec<u8>> {
        if self.differs(other) {
            return self.contrary(other, 0);
        }
        let known = usize::try_from(other.decisions).unwrap_or(usize::MAX);
        let certificates = self.decisions.iter().skip(known).map(|decision| decision.certificate.as_slice());
        let names: BTreeSet<Brief> = other.names.iter().copied().collect();
        let same_slot = other.decisions < self.slot();
        let lacks = |record: &&[u8]| {
            let name = Brief::of(record);
            (other.range.0..=other.range.1).contains(&name) && !names.contains(&name)
        };
        let records = self.records().filter(|record| same_slot && lacks(record));
        in_a_message(certificates.chain(records))
    }
}

/// The first of these records, as many as a message has room for.
fn in_a_message<'r>(records: impl Iterator<Item = &'r [u8]>) -> Vec<Vec<u8>> {
    let mut left = MAX_MESSAGE_LEN - FRAME - MAX_NAMES * 8;
    let fits = |record: &&[u8]| {
        let room = left.checked_sub(record.len() + 5);
        left = room.unwrap_or(0);
        room.is_some()
    };
    records.take_while(fits).take(MAX_RECORDS).map(<[u8]>::to_vec).collect()
}

/// Everything but names and records.
const FRAME: usize = 96;
const LEAST: Brief = Brief([0; 8]);
const GREATEST: Brief = Brief([0xff; 8]);

/// The name before another in order.
const fn before(name: Brief) -> Brief {
    Brief(u64::from_be_bytes(name.0).saturating_sub(1).to_be_bytes())
}

const _: () =
    assert!(MAX_CERTIFICATE_LEN + FRAME + 5 + MAX_NAMES * 8 <= MAX_MESSAGE_LEN, "one certificate fits");
const _: () = assert!(MAX_STEPS as usize * MAX_VOTERS < 1 << 16, "a slot is bounded");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_survives_the_way_and_what_is_too_much_is_refused() {
        let message = GovernanceMessage {
            asks: true,
            decisions: 3,
            head: [7; 32],
            range: (Brief([0; 8]), Brief([9; 8])),
            names: [Brief([1; 8]), Brief([2; 8])].to_vec(),
            records: [[1, 2, 3].to_vec(), Vec::new()].to_vec(),
        };
        assert_eq!(GovernanceMessage::decode(&message.encode()).as_ref(), Ok(&message));
        let mut other = message.encode();
        other[1] = 2;
        assert_eq!(GovernanceMessage::decode(&other), Err(GovernanceError::Version { found: 2 }));
        let many = GovernanceMessage { names: [Brief([0; 8]); 513].to_vec(), ..message.clone() };
        assert!(GovernanceMessage::decode(&many.encode()).is_err());
        let many = GovernanceMessage { records: [const { Vec::new() }; 513].to_vec(), ..message };
        assert!(GovernanceMessage::decode(&many.encode()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = GovernanceMessage::decode(&bytes);
        }
    }
}
