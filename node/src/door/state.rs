//! Shared state, for who asks.

use super::{Door, PATIENCE};
use crate::{
    engine::{Command, Refusal},
    state::{StateChanges, StateDot, StateItem, StateQuery, StateWrite},
};
use std::time::Duration;

impl Door {
    /// Writes to shared state; returns when that is durable here.
    pub(crate) fn write_state(&self, write: StateWrite) -> Result<StateDot, Refusal> {
        self.ask(|reply| Command::WriteState(write, reply))?
    }

    /// Reads shared state as it is here.
    pub(crate) fn read_state(&self, query: StateQuery) -> Result<Vec<StateItem>, Refusal> {
        self.ask(|reply| Command::ReadState(query, reply))?
    }

    /// What others have written since `after`, which an answer before has given; waits for something at most for `patience`.
    pub(crate) fn state_changes(&self, after: Option<u64>, patience: Duration) -> StateChanges {
        self.shared.changes(after, patience.min(PATIENCE))
    }
}
