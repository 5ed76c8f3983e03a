//! A client reads the daemon's log.

use super::{Client, ClientError, Way, ask, request};
use crate::{
    engine::Refusal,
    ledger::{LogHead, LogProof},
};
use cosmosmesh_protocol::cbor::Reader;

impl Client {
    /// The log as it is, signed.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `no_log` when the daemon keeps none.
    pub fn log(&self) -> Result<LogHead, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().log_head()?),
            Way::Remote(connection) => ask(connection, "GET", "/v1/log", &[]),
        }
    }

    /// Entries from number `first` on, at most `most`, in their order; none when there are no more. Fewer than are there may come at a time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn log_entries(&self, first: u64, most: u64) -> Result<Vec<Vec<u8>>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().log_entries(first, most)?),
            Way::Remote(connection) => {
                let target = format!("/v1/log/entries?first={first}&most={most}");
                let bytes = request(connection, "GET", &target, &[])?;
                let (mut reader, mut entries) = (Reader::new(&bytes), Vec::new());
                while reader.position() < bytes.len() {
                    let entry = reader.bytes().map_err(|error| Refusal::new("answer", error.to_string()))?;
                    entries.push(entry.to_vec());
                }
                Ok(entries)
            }
        }
    }

    /// An entry, and the proof that it is in the log: [`LogProof::verify`] checks it.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `log_moved_elsewhere` when the file of the archive that holds it is not there.
    pub fn log_proof(&self, index: u64) -> Result<LogProof, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().log_proof(index)?),
            Way::Remote(connection) => ask(connection, "GET", &format!("/v1/log/proof?index={index}"), &[]),
        }
    }
}
