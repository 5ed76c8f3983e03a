//! Keys that are taken back: by the node that holds the authority's key, and by lists that are brought.

use super::{Engine, Refusal, command::Own};
use crate::{credential, revocation::Revocation};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Cause, Certificate, Statement},
    node::{Input, InputError},
};

impl Engine {
    /// Takes back the key in force of a member, if this node holds the authority's key. Its sessions end now.
    pub(super) fn revoke(&mut self, node: NodeId, cause: Cause, own: Own) -> Result<Revocation, Refusal> {
        if let Some(why) = &self.store_failing {
            // A list that only this process knows is soon forgotten, and another of its version may follow.
            return Err(Refusal::new("store", format!("the store cannot be written: {why}")));
        }
        if node == self.parts.config.node && own == Own::Keep {
            let problem = "this node itself: without its key nobody believes it any more, and nobody renews \
                 certificates. Say `--own` if that is meant";
            return Err(Refusal::new("own_key", problem));
        }
        let before = self.parts.node.keyring().map_or(0, |keyring| keyring.list_number());
        self.input(Input::Revoke { node, cause }).map_err(|error| refusal_of(&error))?;
        self.look_at_trust();
        let keyring = self.parts.node.keyring();
        let list = keyring.and_then(|keyring| Some((keyring.list(), keyring.list_after(before)?)));
        let (list, statement) = list.ok_or_else(|| {
            Refusal::new("revocations_refused", "the node does not take the list that it has signed")
        })?;
        Ok(Revocation {
            version: list.version,
            keys: list.keys.len(),
            statement: credential::line(&statement).trim_end().to_owned(),
        })
    }

    /// Takes what the authority has signed; what became of each statement.
    pub(super) fn learn(&mut self, statements: Vec<Statement>) -> Vec<Result<(), Refusal>> {
        let learned: Vec<_> = statements.into_iter().map(|statement| self.learn_one(statement)).collect();
        if learned.iter().any(Result::is_ok) {
            // Who lost the authority's word with it loses its sessions now.
            self.look_at_trust();
        }
        learned
    }

    /// A list that is no newer than the one in force and is not that one says something that does not hold here: whoever brings it is told so, for the
    /// keys in it may go on.
    fn learn_one(&mut self, statement: Statement) -> Result<(), Refusal> {
        let Err(error) = self.input(Input::Learn(statement.clone())) else { return Ok(()) };
        let keyring = self.parts.node.keyring().filter(|_| matches!(statement, Statement::Revocations(_)));
        let stale = matches!(error, InputError::Refused { reason: "trust_stale" });
        if let Some(keyring) = keyring.filter(|_| stale)
            && !keyring.lists_after(0).any(|known| known == statement)
        {
            let version = keyring.list().version;
            return Err(Refusal::new(
                "revocations_older",
                format!(
                    "another list is in force, of version {version}, and this one is no newer: what it takes back goes on. Where a node has the \
                     authority's key, `ctl revoke` there adds to the list in force"
                ),
            ));
        }
        if let (Statement::Certificate(bytes), true) = (&statement, stale)
            && let Some((node, keyring)) = Certificate::claimed_subject(bytes).zip(self.parts.node.keyring())
            && !keyring.credentials(node).contains(&statement)
        {
            return Err(Refusal::new(
                "certificate_older",
                format!(
                    "another certificate of node {node} is in force, and this one begins no later: it does not count. `certify issue` dates certificates five minutes back, for clocks that are behind; `--backdated-s 0` does not"
                ),
            ));
        }
        Err(refusal_of(&error))
    }
}

fn refusal_of(error: &InputError) -> Refusal {
    match error {
        InputError::Refused { reason } => Refusal::new(reason, error.to_string()),
        InputError::NotConfigured { .. } => Refusal::new("not_configured", error.to_string()),
        _ => Refusal::new("input", error.to_string()),
    }
}
