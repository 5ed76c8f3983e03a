//! [`TrustMessage`]: what members tell each other of identities and logs.
//!
//! The payload of an envelope of purpose `Trust`, in deterministic CBOR (RFC 8949 §4.2) described in CDDL (RFC 8610):
//!
//! ```cddl
//! trust-message = [
//!   version: 1,
//!   asks: 0..1,
//!   summary: [list: uint, authority: uint, * [node: uint, not-before: uint, successions: uint]],   ; nodes rising; seconds since 2000
//!   checkpoint: signed,                                  ; of the sender's log
//!   proofs: [0*5 [size: uint, hashes: bstr]],            ; that it grew out of these sizes: hashes of 32 bytes
//!   to-prove: [0*5 uint],                                ; sizes of the receiver's log that the sender asks about
//!   heard: [0*4 signed],                                 ; third parties' checkpoints
//!   statements: [0*256 [kind: 0..2, bstr]],              ; certificates, successions, the list of revocations
//!   cosignature: signed,                                 ; of the receiver's checkpoint, or empty
//! ]
//! signed = bstr .size (0..256)                           ; COSE_Sign1
//! ```

use crate::{
    cbor::{self, CborError, Reader},
    identity::{Statement, Summary},
    log::{Hash, MAX_CHECKPOINT_LEN, MAX_PENDING},
};
use alloc::vec::Vec;

const VERSION: u64 = 1;
/// Most third parties' checkpoints in a message.
pub(super) const MAX_HEARD: usize = 4;
/// Most sizes that are to be proven, or are: the newest, and those that wait.
const MAX_SIZES: u64 = 1 + MAX_PENDING as u64;
/// Most statements in a message.
const MAX_STATEMENTS: u64 = 256;
/// Most hashes in a proof.
const MAX_PROOF: usize = 128;

/// A message of one member to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TrustMessage {
    /// Whether an answer is asked for.
    pub(super) asks: bool,
    /// What the sender's keyring has.
    pub(super) summary: Summary,
    /// The sender's checkpoint, signed.
    pub(super) checkpoint: Vec<u8>,
    /// Proofs that the sender's log grew out of sizes that the receiver asked about.
    pub(super) proofs: Vec<(u64, Vec<Hash>)>,
    /// The sizes of the receiver's log that the sender knows, and asks about.
    pub(super) to_prove: Vec<u64>,
    /// Third parties' checkpoints.
    pub(super) heard: Vec<Vec<u8>>,
    /// Statements that the receiver lacks.
    pub(super) statements: Vec<Statement>,
    /// The sender's signature of the receiver's checkpoint, or nothing.
    pub(super) cosignature: Vec<u8>,
}

impl TrustMessage {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        cbor::put_head(&mut out, cbor::ARRAY, 9);
        cbor::put_uint(&mut out, VERSION);
        cbor::put_uint(&mut out, u64::from(self.asks));
        self.summary.encode(&mut out);
        cbor::put_bytes(&mut out, &self.checkpoint);
        cbor::put_head(&mut out, cbor::ARRAY, self.proofs.len() as u64);
        for (size, hashes) in &self.proofs {
            cbor::put_head(&mut out, cbor::ARRAY, 2);
            cbor::put_uint(&mut out, *size);
            cbor::put_head(&mut out, cbor::BYTES, hashes.len() as u64 * 32);
            hashes.iter().for_each(|hash| out.extend_from_slice(hash));
        }
        cbor::put_head(&mut out, cbor::ARRAY, self.to_prove.len() as u64);
        self.to_prove.iter().for_each(|size| cbor::put_uint(&mut out, *size));
        cbor::put_head(&mut out, cbor::ARRAY, self.heard.len() as u64);
        self.heard.iter().for_each(|checkpoint| cbor::put_bytes(&mut out, checkpoint));
        cbor::put_head(&mut out, cbor::ARRAY, self.statements.len() as u64);
        for statement in &self.statements {
            let (number, bytes) = statement.parts();
            cbor::put_head(&mut out, cbor::ARRAY, 2);
            cbor::put_uint(&mut out, number);
            cbor::put_bytes(&mut out, bytes);
        }
        cbor::put_bytes(&mut out, &self.cosignature);
        out
    }

    /// Reads a message about at most `members` members. Every length is checked before anything is allocated for it.
    pub(super) fn decode(bytes: &[u8], members: usize) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(9)?;
        let (at, found) = (reader.position(), reader.uint()?);
        if found != VERSION {
            return Err(CborError::Items { at, expected: VERSION, found });
        }
        let at = reader.position();
        let asks = match reader.uint()? {
            0 => false,
            1 => true,
            found => return Err(CborError::Items { at, expected: 1, found }),
        };
        let summary = Summary::decode(&mut reader, members)?;
        let checkpoint = short(&mut reader)?.to_vec();
        let mut proofs = Vec::new();
        for _ in 0..counted(&mut reader, MAX_SIZES)? {
            reader.array_of(2)?;
            let (size, at, hashes) = (reader.uint()?, reader.position(), reader.bytes()?);
            let (hashes, rest) = hashes.as_chunks::<32>();
            if !rest.is_empty() || hashes.len() > MAX_PROOF {
                return Err(CborError::Items { at, expected: MAX_PROOF as u64, found: hashes.len() as u64 });
            }
            proofs.push((size, hashes.to_vec()));
        }
        let mut to_prove = Vec::new();
        for _ in 0..counted(&mut reader, MAX_SIZES)? {
            to_prove.push(reader.uint()?);
        }
        let mut heard = Vec::new();
        for _ in 0..counted(&mut reader, MAX_HEARD as u64)? {
            heard.push(short(&mut reader)?.to_vec());
        }
        let mut statements = Vec::new();
        for _ in 0..counted(&mut reader, MAX_STATEMENTS)? {
            reader.array_of(2)?;
            let (at, number, bytes) = (reader.position(), reader.uint()?, reader.bytes()?);
            let unknown = CborError::Items { at, expected: 2, found: number };
            statements.push(Statement::from_parts(number, bytes).ok_or(unknown)?);
        }
        let cosignature = short(&mut reader)?.to_vec();
        reader.end()?;
        Ok(Self { asks, summary, checkpoint, proofs, to_prove, heard, statements, cosignature })
    }
}

fn counted(reader: &mut Reader<'_>, max: u64) -> Result<u64, CborError> {
    let (at, found) = (reader.position(), reader.array()?);
    if found > max { Err(CborError::Items { at, expected: max, found }) } else { Ok(found) }
}

fn short<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    let (at, bytes) = (reader.position(), reader.bytes()?);
    let (expected, found) = (MAX_CHECKPOINT_LEN as u64, bytes.len() as u64);
    if found > expected { Err(CborError::Items { at, expected, found }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_survives_a_round_trip_and_what_is_too_much_is_refused() {
        let message = TrustMessage {
            asks: true,
            checkpoint: [1; 150].to_vec(),
            proofs: [(5, [[1; 32], [2; 32]].to_vec()), (9, Vec::new())].to_vec(),
            to_prove: [1, u64::MAX].to_vec(),
            heard: [[3; 100].to_vec()].to_vec(),
            statements: [Statement::Certificate([4; 160].to_vec())].to_vec(),
            cosignature: [5; 150].to_vec(),
            ..TrustMessage::default()
        };
        assert_eq!(TrustMessage::decode(&message.encode(), 0).as_ref(), Ok(&message));
        let refused = |changed: TrustMessage| TrustMessage::decode(&changed.encode(), 0).is_err();
        assert!(refused(TrustMessage { to_prove: [1; 6].to_vec(), ..message.clone() }));
        assert!(refused(TrustMessage { checkpoint: [1; 257].to_vec(), ..message.clone() }));
        assert!(refused(TrustMessage { proofs: [(1, [[0; 32]; 129].to_vec())].to_vec(), ..message.clone() }));
        assert!(refused(TrustMessage { heard: [const { Vec::new() }; 5].to_vec(), ..message }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = TrustMessage::decode(&bytes, 4);
        }
    }
}
