//! [`Revocation`]: what became of the list when a key was taken back, for whoever asked.

use crate::engine::Refusal;
use cosmosmesh_protocol::identity::Cause;
use serde::{Deserialize, Serialize};

/// The list of keys that were taken back, with one more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Its version.
    pub version: u64,
    /// How many keys are in it.
    pub keys: usize,
    /// The list as a line of a file of statements: who is told of it takes it at once, and not in its turn.
    pub statement: String,
}

/// The cause with this word.
///
/// # Errors
/// None has it.
pub(crate) fn cause(word: &str) -> Result<Cause, Refusal> {
    let known = Cause::ALL.into_iter().find(|cause| cause.word() == word);
    known.ok_or_else(|| Refusal::new("bad_field", "`cause`: allowed: superseded, blocked or compromised"))
}
