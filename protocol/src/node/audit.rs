//! Audits of shared state between members: see `sync::Audit`.

use super::{InputError, Node, Report, shared_state::Sharing};
use crate::{
    id::NodeId,
    sync::{Actor, Audit, Audited, Delta, Finding, Symbol, SyncMessage},
};
use alloc::{collections::BTreeMap, vec::Vec};
use rand_chacha::rand_core::Rng as _;

/// Symbols in the first message of an audit: enough for about ten differences.
const FIRST_SYMBOLS: usize = 16;
/// Most audits by others at a time. When another begins, that of the least member is forgotten; it begins again at its next turn.
const MAX_AUDITED: usize = 4;

/// The audits under way.
#[derive(Debug, Default)]
pub(super) struct Audits {
    own: Option<Audit>,
    by_others: BTreeMap<NodeId, Audited>,
    /// How often in a row the state moved on before an audit ended: the next one begins with twice as many symbols.
    outrun: u32,
}

impl Node {
    /// Compares this node's replica with `peer`'s, whatever either says to cover.
    pub(super) fn audit_shared_state(&mut self, peer: NodeId) -> Result<(), InputError> {
        let is_member = |sharing: &Sharing| sharing.config.members.contains(&peer) && peer != self.config.id;
        if !self.shared.as_ref().is_some_and(is_member) {
            return Err(InputError::NotConfigured { what: "shared state with this node" });
        }
        self.start_audit(peer);
        Ok(())
    }

    pub(super) fn start_audit(&mut self, peer: NodeId) {
        let nonce = self.rng.next_u64();
        let Some(sharing) = self.shared.as_mut() else { return };
        let most = sharing.config.limits.symbols.max(1);
        let count = (FIRST_SYMBOLS << sharing.audits.outrun.min(16)).min(most);
        let (audit, message) = sharing.replica.audit(peer, nonce, count);
        sharing.audits.own = Some(audit);
        self.send_sync(peer, &message);
    }

    pub(super) fn on_audit(
        &mut self,
        source: NodeId,
        (nonce, cells, first): (u64, u64, u64),
        symbols: Vec<Symbol>,
    ) {
        self.sign_shared_state();
        let Some(sharing) = self.shared.as_mut() else { return };
        let before = sharing.audits.by_others.remove(&source);
        let taken = Audited::take(before, &sharing.replica, source, (nonce, cells, first), symbols);
        let audited = match taken {
            Ok(audited) => audited,
            Err(error) => return self.report(Report::ModuleRefused { reason: error.reason() }),
        };
        match audited.finding(&sharing.replica, sharing.config.max_delta) {
            Finding::Equal => {}
            Finding::Undecided(more) => {
                if sharing.audits.by_others.len() >= MAX_AUDITED {
                    sharing.audits.by_others.pop_first();
                }
                sharing.audits.by_others.insert(source, audited);
                self.send_sync(source, &more);
            }
            Finding::Differ { repair, rest } => {
                self.send_sync(source, &repair);
                self.send_all_of(source, &rest);
            }
            Finding::TooMuch => {
                self.report(Report::ModuleRefused { reason: "sync_audit_too_much" });
                let everyone: Vec<Actor> = self.replica().map_or_else(Vec::new, |replica| {
                    replica.version().iter().map(|(actor, _)| actor).collect()
                });
                self.tell_version(source, &everyone);
                self.send_all_of(source, &everyone);
            }
        }
    }

    pub(super) fn on_more_symbols(&mut self, source: NodeId, nonce: u64, first: u64, count: u64) {
        let Some(sharing) = self.shared.as_mut() else { return };
        let audit = sharing.audits.own.as_ref().filter(|audit| audit.is(source, nonce));
        let Some(audit) = audit else { return };
        match audit.more(&sharing.replica, first, count) {
            Some(message) => {
                self.send_sync(source, &message);
            }
            None => {
                sharing.audits.own = None;
                sharing.audits.outrun = sharing.audits.outrun.saturating_add(1);
            }
        }
    }

    pub(super) fn on_repair(&mut self, source: NodeId, nonce: u64, delta: &Delta, wanted: &[u64]) {
        self.sign_shared_state();
        let Some(sharing) = self.shared.as_mut() else { return };
        let Some(audit) = sharing.audits.own.take_if(|audit| audit.is(source, nonce)) else {
            return self.report(Report::ModuleRefused { reason: "sync_no_audit" });
        };
        sharing.audits.outrun = 0;
        let (lacking, rest) = audit.wanted(&sharing.replica, wanted, sharing.config.max_delta);
        if !lacking.is_empty() {
            self.send_sync(source, &SyncMessage::Delta(lacking));
        }
        self.send_all_of(source, &rest);
        self.on_delta(source, delta);
    }

    /// Sends a peer everything of these actors, as if it had nothing of them.
    fn send_all_of(&mut self, peer: NodeId, actors: &[Actor]) {
        if actors.is_empty() {
            return;
        }
        if let Some(sharing) = self.shared.as_mut() {
            sharing.suspect(peer, actors);
        }
        self.send_lacking(peer);
    }
}
