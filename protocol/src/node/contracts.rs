//! Data contracts at a node: what it writes and sends must fit the schemas that it knows, and of what it gets only that is handed on.
//!
//! Published schemas are a map of the shared state, so that they travel, merge and are compacted as all of it does. A value that another member
//! wrote stays in the replica whatever it says, since its writer signed the outcome of all its writes; who reads it by
//! [`Node::record`] gets the record, or the reason for which it is none. What does not fit is counted by that reason when it comes.

use super::{InputError, Node, Report, SubmitError};
use crate::{
    access::Action,
    contract::{Breach, OBJECT, Record, Registry, Schema},
    envelope::Purpose,
    sync::{Delta, Op},
};
use alloc::{collections::BTreeSet, vec::Vec};

/// The schemas that a node knows.
#[derive(Debug)]
pub(super) struct Contracts {
    registry: Registry,
    /// Publications that were found not to count, by their keys: each is told once.
    told: BTreeSet<Vec<u8>>,
    /// Whether messages of applications are held against them.
    messages: bool,
}

impl Contracts {
    /// The built-in ones.
    pub(super) fn new(messages: bool) -> Self {
        Self { registry: Registry::standard(), told: BTreeSet::new(), messages }
    }
}

/// The contract of an application's messages.
pub(super) const fn contract(purpose: Purpose) -> Option<&'static [u8]> {
    match purpose {
        Purpose::Telemetry => Some(b"telemetry"),
        Purpose::Command => Some(b"command"),
        Purpose::Event => Some(b"event"),
        Purpose::Sync | Purpose::Plan | Purpose::Acknowledgement | Purpose::Trust => None,
        Purpose::Governance | Purpose::Membership | Purpose::GroupKey => None,
    }
}

impl Node {
    /// The schemas that this node knows, if it shares state or holds messages against them.
    #[must_use]
    pub fn registry(&self) -> Option<&Registry> {
        self.contracts.as_ref().map(|contracts| &contracts.registry)
    }

    /// The record under `key` of the map that bears its contract's name; `None` when there is nothing.
    #[must_use]
    pub fn record(&self, contract: &[u8], key: &[u8]) -> Option<Result<Record, Breach>> {
        let bytes = self.replica()?.map_get(contract, key)?;
        Some(self.registry()?.read_of(contract, bytes))
    }

    /// Whether this node may make a write.
    pub(super) fn admit_write(&mut self, operation: &Op<'_>) -> Result<(), InputError> {
        if matches!(operation, Op::MapPut { name: OBJECT, .. })
            && !self.admits_to(self.config.id, Action::ChangeSchema)
        {
            return Err(InputError::Refused { reason: "denied" });
        }
        self.may_write(operation.name())?;
        let registry = self.registry().ok_or(InputError::NotConfigured { what: "shared state" })?;
        registry.admit(operation).map_err(|breach| InputError::Contract { reason: breach.reason() })
    }

    /// Whether an application's message fits its contract, if that is asked for.
    pub(super) fn judge_message(&self, purpose: Purpose, payload: &[u8]) -> Result<(), SubmitError> {
        let Some(contracts) = self.contracts.as_ref().filter(|contracts| contracts.messages) else {
            return Ok(());
        };
        let Some(contract) = contract(purpose) else { return Ok(()) };
        let read = contracts.registry.read_of(contract, payload);
        read.map(drop).map_err(|breach| SubmitError::Contract { reason: breach.reason() })
    }

    /// Why a schema is not to be decided upon: it is not compatible with those that count here. Who knows of none has nothing against it.
    pub(super) fn breach_of_schema(&self, schema: &Schema) -> Option<&'static str> {
        self.registry()?.check(schema).err().map(|error| error.reason())
    }

    /// Takes schemas that came with a delta, and counts what does not fit.
    pub(super) fn judge_delta(&mut self, delta: &Delta) {
        if delta.values().any(|(name, _)| name == OBJECT) {
            self.refresh_contracts();
        }
        let Some(registry) = self.registry() else { return };
        let governed = delta.values().filter(|(name, _)| registry.governs(name));
        let breaches: Vec<&'static str> = governed
            .filter_map(|(name, value)| registry.read_of(name, value?).err())
            .map(|breach| breach.reason())
            .collect();
        for reason in breaches {
            self.report(Report::ModuleRefused { reason });
        }
    }

    /// Reads the published schemas anew, and tells which of them do not count.
    pub(super) fn refresh_contracts(&mut self) {
        // By role alone, whatever the time: equal replicas are to agree on it.
        let may = |writer| self.may_ever(writer, Action::ChangeSchema);
        let Some(registry) = self.replica().map(|replica| Registry::of_writers(replica, may)) else { return };
        let Some(contracts) = self.contracts.as_mut() else { return };
        let fresh = |key: &&Vec<u8>| !contracts.told.contains(*key);
        let refused: Vec<Vec<u8>> = registry.refused().keys().filter(fresh).cloned().collect();
        let reasons: Vec<&'static str> = refused
            .iter()
            .filter_map(|key| registry.refused().get(key))
            .map(|refused| refused.reason())
            .collect();
        contracts.told.extend(refused);
        contracts.told.retain(|key| registry.refused().contains_key(key));
        contracts.registry = registry;
        for reason in reasons {
            self.report(Report::ModuleRefused { reason });
        }
    }
}
