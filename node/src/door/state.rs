//! Shared state, for who asks.

use super::{Door, PATIENCE, SLICE};
use crate::{
    clock::monotonic,
    engine::{Command, Refusal, shares_none},
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
        query.check().map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
        self.ask(|reply| Command::ReadState(query, reply))?
    }

    /// What others have written since `after`, which an answer before has given; waits for something at most for `patience`.
    pub(crate) fn state_changes(
        &self,
        after: Option<u64>,
        patience: Duration,
    ) -> Result<StateChanges, Refusal> {
        if self.config.shared_state.is_none() {
            return Err(shares_none());
        }
        let (begun, patience) = (monotonic(), patience.min(PATIENCE));
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let changes = self.shared.changes(after, left.min(SLICE));
            if after.is_none()
                || !changes.items.is_empty()
                || changes.missed
                || left.is_zero()
                || self.waits.is_over()
            {
                return Ok(changes);
            }
        }
    }
}
