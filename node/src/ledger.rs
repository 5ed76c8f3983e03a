//! What others are shown of the node's log: [`LogHead`], signed, and [`LogProof`] that an entry is in it.

use crate::{engine::purpose_word, message::hex};
use cosmosmesh_protocol::{
    cbor::CborError,
    id::NodeId,
    identity::PublicKey,
    log::{
        CheckpointError, Entry, Event, Hash, MessageName, ProofError, SignedCheckpoint, leaf_hash,
        verify_inclusion,
    },
};
use serde::{Deserialize, Serialize};

/// The log as it is: its signed checkpoint, and what others' logs were when they were seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The incarnation of the node that began it.
    pub born: u32,
    /// Entries that are durable.
    pub size: u64,
    /// Segments that lie in the archive.
    pub archived_segments: u64,
    /// Bytes in the archive.
    pub archived_bytes: u64,
    /// The checkpoint, signed by the node.
    #[serde(rename = "checkpoint_hex", with = "hex")]
    pub checkpoint: Vec<u8>,
    /// Others' signed checkpoints that it has seen: the newest of each log, and both of those that exclude each other.
    pub seen_hex: Vec<String>,
    /// Others' signatures of its own checkpoints.
    pub cosignatures_hex: Vec<String>,
}

/// An entry of the log, and the proof that it is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogProof {
    /// Its number.
    pub index: u64,
    /// The entry: deterministic CBOR.
    #[serde(rename = "entry_hex", with = "hex")]
    pub entry: Vec<u8>,
    /// The proof of RFC 9162 §2.1.3.1, nearest sibling first: hashes of 32 bytes one after another.
    #[serde(rename = "proof_hex", with = "hex")]
    pub proof: Vec<u8>,
    /// The checkpoint that it leads to, signed by the node.
    #[serde(rename = "checkpoint_hex", with = "hex")]
    pub checkpoint: Vec<u8>,
}

/// Why a proof of an entry is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The checkpoint is not one that the node has signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the entry to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Not an entry.
    #[error(transparent)]
    Entry(#[from] CborError),
    /// The entry says to be another.
    #[error("entry {found} was given for entry {asked}")]
    Other {
        /// Which was asked for.
        asked: u64,
        /// Which it says to be.
        found: u64,
    },
    /// Not whole hashes.
    #[error("{bytes} bytes of proof are no number of hashes")]
    Ragged {
        /// How many bytes there are.
        bytes: usize,
    },
}

impl LogProof {
    /// The entry, if whoever has `key` has signed a log in which it has this number.
    ///
    /// # Errors
    /// [`LogProofError`].
    pub fn verify(&self, key: &PublicKey) -> Result<Entry, LogProofError> {
        let checkpoint = SignedCheckpoint::parse(&self.checkpoint)?.verify(key)?;
        let (hashes, rest) = self.proof.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(LogProofError::Ragged { bytes: self.proof.len() });
        }
        let hashes: &[Hash] = hashes;
        verify_inclusion(leaf_hash(&self.entry), self.index, checkpoint.size, hashes, &checkpoint.root)?;
        let entry = Entry::decode(&self.entry)?;
        if entry.index == self.index {
            Ok(entry)
        } else {
            Err(LogProofError::Other { asked: self.index, found: entry.index })
        }
    }
}

/// An entry of the log, as a program is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number.
    pub index: u64,
    /// When, by the node's clock, in milliseconds.
    pub clock_ms: u64,
    /// When, in milliseconds since 2000; 0 where nobody knew.
    pub time_ms: u64,
    /// What happened, in words.
    pub words: String,
    /// The entry itself: deterministic CBOR, as the log has it.
    #[serde(rename = "entry_hex", with = "hex")]
    pub entry: Vec<u8>,
}

impl LogLine {
    /// Of an entry; none of other bytes.
    #[must_use]
    pub fn of(entry: &[u8]) -> Option<Self> {
        let Entry { index, clock_ms, time, event, .. } = Entry::decode(entry).ok()?;
        Some(Self { index, clock_ms, time_ms: time.0, words: words(&event), entry: entry.to_vec() })
    }
}

/// What happened, in words.
pub(crate) fn words(event: &Event) -> String {
    let message = |name: &MessageName| format!("{} {}", purpose_word(name.purpose), name.sequence);
    match event {
        Event::Started { incarnation } => format!("started, incarnation {incarnation}"),
        Event::Sent { message: name, payload } => {
            format!("sent {} to node {}, digest {}", message(name), name.peer, hex::digits(&payload.0))
        }
        Event::Accepted { message: name, payload } => {
            format!("accepted {} of node {}, digest {}", message(name), name.peer, hex::digits(&payload.0))
        }
        Event::Refused { reason, count, .. } => format!("refused: {reason}, {count} times up to then"),
        Event::Denied { subject, action, rule } => format!("denied node {subject} {action}, by rule {rule}"),
        Event::PlanCommitted { horizon, term, round, outcome, .. } => {
            format!("committed the plan of horizon {horizon}: term {term}, round {round}, {outcome}")
        }
        Event::Reconciled { peer, writes, .. } => {
            format!("took {writes} writes to shared state from node {peer}")
        }
        Event::Learned { what, about: NodeId(0), .. } => format!("learned the authority's {what}"),
        Event::Learned { what, about, .. } => format!("learned a {what} of node {about}"),
        Event::Witnessed { peer, size, .. } => format!("saw the log of node {peer}, of {size} entries"),
        Event::Caught { peer, at, .. } => format!("caught node {peer}: {at}"),
        Event::Governed { slot, step, about, .. } => format!("slot {slot}: {step}, by node {about}"),
    }
}
