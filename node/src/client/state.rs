//! A client writes and reads shared state.

use super::{Client, ClientError, Way, ask, http::escape};
use crate::state::{StateChanges, StateDot, StateItem, StateQuery, StateWrite};
use std::{fmt::Write as _, time::Duration};

impl Client {
    /// Writes to the state that the fleet shares. Returns when it is durable here; it is told to the others by and by, whoever can be reached.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `not_configured` where the daemon shares none.
    pub fn write_state(&self, write: StateWrite) -> Result<StateDot, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().write_state(write)?),
            Way::Remote(connection) => {
                let body = serde_json::to_vec(&write).expect("texts and numbers can be written");
                ask(connection, "POST", "/v1/state", &body)
            }
        }
    }

    /// Reads the state that the fleet shares, as far as it has come here.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `not_configured` where the daemon shares none, `after_without_kind` ([`crate::QueryError`]) for a question that has no answer.
    pub fn read_state(&self, query: StateQuery) -> Result<Vec<StateItem>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().read_state(query)?),
            Way::Remote(connection) => {
                let StateQuery { kind, name, key, after, most } = query;
                let mut target = "/v1/state?".to_owned();
                let texts = [("name", name), ("key", key), ("after", after)];
                // Writing into a text cannot fail.
                for (field, bytes) in texts.into_iter().filter_map(|(field, bytes)| Some((field, bytes?))) {
                    let _ = write!(target, "{field}={}&", escape(&bytes.to_string()));
                }
                kind.iter().for_each(|kind| _ = write!(target, "kind={}&", kind.word()));
                most.iter().for_each(|most| _ = write!(target, "most={most}&"));
                ask(connection, "GET", target.trim_end_matches(['&', '?']), &[])
            }
        }
    }

    /// What others have written since `after`, the `next` of the answer before; waits for something at most for `patience`. Without `after`, nothing, and where to begin.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `not_configured` where the daemon shares none.
    pub fn state_changes(&self, after: Option<u64>, patience: Duration) -> Result<StateChanges, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().state_changes(after, patience)?),
            Way::Remote(connection) => {
                let after = after.map_or(String::new(), |after| format!("&after={after}"));
                let target = format!("/v1/state/changes?wait_ms={}{after}", patience.as_millis());
                ask(connection, "GET", &target, &[])
            }
        }
    }
}
