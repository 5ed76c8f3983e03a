//! The node's log, for who asks.

use super::{Door, PATIENCE};
use crate::{
    archive::ArchiveError,
    clock::monotonic,
    engine::{Command, Refusal, SignedLog},
    ledger::{LogHead, LogProof},
    message::hex,
};
use cosmosmesh_protocol::log::SignedCheckpoint;
use std::{thread, time::Duration};

/// Most entries that are told at once.
const MAX_ENTRIES: u64 = 4096;
/// How long the disk is left alone before it is asked again whether it has what the engine has.
const REST: Duration = Duration::from_millis(5);

impl Door {
    /// The log as it is, signed.
    pub(crate) fn log_head(&self) -> Result<LogHead, Refusal> {
        let (signed, size, born) = self.signed_log()?;
        let archived = self.store.log(|ledger| Ok((ledger.archived(), ledger.archived_bytes())))?;
        let (archived_segments, archived_bytes) = archived;
        let texts = |list: &[Vec<u8>]| list.iter().map(|bytes| hex::digits(bytes)).collect();
        Ok(LogHead {
            born,
            size,
            archived_segments,
            archived_bytes,
            seen_hex: texts(&signed.seen),
            cosignatures_hex: texts(&signed.cosignatures),
            checkpoint: signed.checkpoint,
        })
    }

    /// Entries from a number on.
    pub(crate) fn log_entries(&self, first: u64, most: u64) -> Result<Vec<Vec<u8>>, Refusal> {
        Ok(self.store.log(|ledger| ledger.entries(first, most.min(MAX_ENTRIES)))?)
    }

    /// An entry with its proof.
    pub(crate) fn log_proof(&self, index: u64) -> Result<LogProof, Refusal> {
        let (signed, size, _) = self.signed_log()?;
        let (entry, proof) = self.store.log(|ledger| ledger.inclusion(index, size))?;
        Ok(LogProof { index, entry, proof: proof.concat(), checkpoint: signed.checkpoint })
    }

    /// What the node signs of its log, once all of it is durable: what a crash could still undo is told to nobody.
    fn signed_log(&self) -> Result<(SignedLog, u64, u32), Refusal> {
        let begun = monotonic();
        let signed = self.ask(Command::SignLog)?.ok_or(ArchiveError::NoLog)?;
        let checkpoint = *SignedCheckpoint::parse(&signed.checkpoint)
            .map_err(|error| Refusal::new("input", error.to_string()))?
            .claimed();
        loop {
            match self.store.log(|ledger| Ok(ledger.size())) {
                Ok(durable) if durable >= checkpoint.size => break,
                // What the node has begun to write down since its start.
                Ok(_) | Err(ArchiveError::NoLog) => {}
                Err(error) => return Err(error.into()),
            }
            if begun.elapsed() > PATIENCE || self.waits.is_over() {
                return Err(super::unanswered());
            }
            thread::sleep(REST);
        }
        Ok((signed, checkpoint.size, checkpoint.log.born))
    }
}
