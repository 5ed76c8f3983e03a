//! [`Checkpoint`]: what a log is at one moment, signed by its owner; [`Cosignature`]: signed by another who has seen it.

use super::hash::Hash;
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::{KeyPair, PublicKey, Sign1, Sign1Error, kid_node, node_kid, sign1},
    time::DtnTime,
};
use alloc::vec::Vec;

/// Longest signed checkpoint or cosignature in bytes.
pub const MAX_CHECKPOINT_LEN: usize = 256;

const CHECKPOINT: &[u8] = b"cosmosmesh-checkpoint-v1";
const COSIGNATURE: &[u8] = b"cosmosmesh-cosignature-v1";

/// Which log: a node that lost its disk begins another, and is known by the incarnation that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// Whose.
    pub node: NodeId,
    /// The incarnation that began it.
    pub born: u32,
}

/// The state of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub log: LogId,
    /// Entries in it.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// When it was signed, by the signer's clock; [`DtnTime::UNKNOWN`] without one.
    pub time: DtnTime,
}

/// Why bytes are no checkpoint, or no cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// Not the expected content.
    #[error(transparent)]
    Content(#[from] CborError),
    /// Somebody else than the log's owner is said to have signed.
    #[error("the signer is not the log's owner")]
    Signer,
    /// The signature does not hold.
    #[error("bad signature in the name of node {signer}")]
    BadSignature {
        /// Who is said to have signed.
        signer: NodeId,
    },
}

impl CheckpointError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::Content(error) => error.reason(),
            Self::Signer => "checkpoint_signer",
            Self::BadSignature { .. } => "bad_checkpoint_signature",
        }
    }
}

impl Checkpoint {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        cbor::put_head(&mut out, cbor::ARRAY, 5);
        cbor::put_uint(&mut out, self.log.node.0);
        cbor::put_uint(&mut out, u64::from(self.log.born));
        cbor::put_uint(&mut out, self.size);
        cbor::put_bytes(&mut out, &self.root);
        cbor::put_uint(&mut out, self.time.0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5)?;
        let node = NodeId(reader.uint()?);
        let at = reader.position();
        let born = u32::try_from(reader.uint()?).map_err(|_| CborError::NotDeterministic { at })?;
        let size = reader.uint()?;
        let (at, root) = (reader.position(), reader.bytes()?);
        let items = CborError::Items { at, expected: 32, found: root.len() as u64 };
        let root = root.try_into().map_err(|_| items)?;
        let time = DtnTime(reader.uint()?);
        reader.end()?;
        Ok(Self { log: LogId { node, born }, size, root, time })
    }

    /// The checkpoint, signed by the log's owner.
    #[must_use]
    pub fn sign(&self, keys: &KeyPair) -> Vec<u8> {
        sign1(keys, &node_kid(self.log.node), CHECKPOINT, &self.encode())
    }

    /// The checkpoint, signed by `witness`, who has seen that it grew out of every earlier one that it knows.
    #[must_use]
    pub fn cosign(&self, witness: NodeId, keys: &KeyPair) -> Vec<u8> {
        sign1(keys, &node_kid(witness), COSIGNATURE, &self.encode())
    }

    /// Whether two say the same of the log, whenever they were signed.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        (self.log, self.size, self.root) == (other.log, other.size, other.root)
    }
}

/// A signed checkpoint that was read, not yet proven.
#[derive(Clone, Copy, Debug)]
pub struct SignedCheckpoint<'a> {
    signed: Sign1<'a>,
    signer: NodeId,
    checkpoint: Checkpoint,
    domain: &'static [u8],
}

impl<'a> SignedCheckpoint<'a> {
    /// Reads a checkpoint without a look at any key.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything else, or when somebody else than the owner is said to have signed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let read = Self::parse_in(bytes, CHECKPOINT)?;
        if read.signer == read.checkpoint.log.node { Ok(read) } else { Err(CheckpointError::Signer) }
    }

    /// Reads a cosignature without a look at any key.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything else.
    pub fn parse_cosignature(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        Self::parse_in(bytes, COSIGNATURE)
    }

    fn parse_in(bytes: &'a [u8], domain: &'static [u8]) -> Result<Self, CheckpointError> {
        let signed = Sign1::parse(bytes, MAX_CHECKPOINT_LEN)?;
        let signer = kid_node(signed.kid()).ok_or(CheckpointError::Signer)?;
        let checkpoint = Checkpoint::decode(signed.payload())?;
        Ok(Self { signed, signer, checkpoint, domain })
    }

    /// Who is said to have signed.
    #[must_use]
    pub const fn signer(&self) -> NodeId {
        self.signer
    }

    /// What is said, unproven.
    #[must_use]
    pub const fn claimed(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint, if `key`, the signer's, signed it.
    ///
    /// # Errors
    /// [`CheckpointError::BadSignature`] otherwise.
    pub fn verify(&self, key: &PublicKey) -> Result<Checkpoint, CheckpointError> {
        if self.signed.verify(self.domain, key) {
            Ok(self.checkpoint)
        } else {
            Err(CheckpointError::BadSignature { signer: self.signer })
        }
    }
}
