//! An audit: two replicas find out wherein their cells differ without believing their versions, and mend it.
//!
//! The auditor sends symbols of its cells ([`Audit`]); the audited one tells the difference ([`Audited`]), or asks for more of them, and
//! answers with the cells that the auditor lacks and the hashes of those that it lacks itself. Every cell comes under its writer's
//! signature, so that an audit can bring back what was lost or damaged, and nothing that was never written. Whoever finds that the difference is
//! beyond its limit of symbols asks for everything instead.

use super::{
    cell::Leaf,
    delta::Delta,
    limits::SyncError,
    message::SyncMessage,
    rateless::{Difference, Element, Keys, Symbol, difference, symbols},
    replica::Replica,
    version::{Actor, Dot, VersionVector},
};
use crate::id::NodeId;
use alloc::{collections::BTreeSet, vec::Vec};
use sha2::{Digest, Sha256};

/// The keys of an audit, which nobody can know before it begins.
fn keys(auditor: NodeId, audited: NodeId, nonce: u64) -> Keys {
    let mut hash = Sha256::new();
    hash.update(b"cosmosmesh audit 1");
    [auditor.0, audited.0, nonce].iter().for_each(|part| hash.update(part.to_be_bytes()));
    Keys::new(hash.finalize().into())
}

/// The auditor's side.
#[derive(Clone, Debug)]
pub struct Audit {
    audited: NodeId,
    nonce: u64,
    /// What was audited: symbols of another state would not go with the ones before.
    version: VersionVector,
}

/// The audited side: what came of an audit so far.
#[derive(Clone, Debug)]
pub struct Audited {
    auditor: NodeId,
    nonce: u64,
    cells: u64,
    symbols: Vec<Symbol>,
}

/// What the audited replica does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The replicas are equal.
    Equal,
    /// Ask the auditor for more symbols, with this.
    Undecided(SyncMessage),
    /// They differ.
    Differ {
        /// What the auditor lacks, and what it is asked for.
        repair: SyncMessage,
        /// Send it all of these actors, too: it is too much for one message.
        rest: Vec<Actor>,
    },
    /// Too much differs: exchange everything.
    TooMuch,
}

impl Replica {
    fn elements(&self, keys: Keys) -> impl Iterator<Item = (Dot, Element)> {
        self.all_leaves().map(move |(dot, leaf): (Dot, &Leaf)| (dot, keys.element(leaf)))
    }

    /// Begins an audit of `audited` with so many symbols; `nonce` is drawn at random. The message goes there.
    #[must_use]
    pub fn audit(&self, audited: NodeId, nonce: u64, count: usize) -> (Audit, SyncMessage) {
        let audit = Audit { audited, nonce, version: self.version.clone() };
        let message = audit.symbols(self, 0, count);
        (audit, message)
    }
}

impl Audit {
    /// Whether it is this one.
    #[must_use]
    pub fn is(&self, audited: NodeId, nonce: u64) -> bool {
        self.audited == audited && self.nonce == nonce
    }

    fn symbols(&self, replica: &Replica, first: u64, count: usize) -> SyncMessage {
        let keys = keys(replica.actor.node, self.audited, self.nonce);
        let elements: Vec<Element> = replica.elements(keys).map(|(_, element)| element).collect();
        let symbols = symbols(&elements, first, count);
        SyncMessage::Audit { nonce: self.nonce, cells: elements.len() as u64, first, symbols }
    }

    /// More symbols, as asked for; `None` when they are too many, or the state has moved on: begin anew.
    #[must_use]
    pub fn more(&self, replica: &Replica, first: u64, count: u64) -> Option<SyncMessage> {
        let end = first.checked_add(count)?;
        (self.version == replica.version && end <= replica.limits.symbols as u64)
            .then(|| self.symbols(replica, first, count as usize))
    }

    /// What the audited one asked for, and the actors of whom it is too much for one message.
    #[must_use]
    pub fn wanted(&self, replica: &Replica, wanted: &[u64], max_bytes: usize) -> (Delta, Vec<Actor>) {
        let wanted: BTreeSet<u64> = wanted.iter().copied().collect();
        let keys = keys(replica.actor.node, self.audited, self.nonce);
        replica.patch(&named(replica, keys, &wanted), max_bytes)
    }
}

/// The dots of the cells with these hashes.
fn named(replica: &Replica, keys: Keys, hashes: &BTreeSet<u64>) -> BTreeSet<Dot> {
    let elements = replica.elements(keys);
    elements.filter(|(_, element)| hashes.contains(&element.hash)).map(|(dot, _)| dot).collect()
}

impl Audited {
    /// The first symbols, or the next ones, of `auditor`'s audit.
    ///
    /// # Errors
    /// [`SyncError::TooMany`] symbols or cells.
    pub fn take(
        before: Option<Self>,
        replica: &Replica,
        auditor: NodeId,
        (nonce, cells, first): (u64, u64, u64),
        symbols: Vec<Symbol>,
    ) -> Result<Self, SyncError> {
        let max = replica.limits.symbols;
        let goes_on = |audited: &Self| {
            (audited.auditor, audited.nonce, audited.cells) == (auditor, nonce, cells)
                && first == audited.symbols.len() as u64
        };
        let mut audited = match before.filter(goes_on) {
            Some(audited) => audited,
            None if first == 0 => Self { auditor, nonce, cells, symbols: Vec::new() },
            None => return Err(SyncError::TooMany { what: "symbols before", found: first as usize, max: 0 }),
        };
        let found = audited.symbols.len() + symbols.len();
        if found > max {
            return Err(SyncError::TooMany { what: "symbols", found, max });
        }
        audited.symbols.extend(symbols);
        Ok(audited)
    }

    /// What the symbols tell so far.
    #[must_use]
    pub fn finding(&self, replica: &Replica, max_bytes: usize) -> Finding {
        let keys = keys(self.auditor, replica.actor.node, self.nonce);
        let elements: Vec<Element> = replica.elements(keys).map(|(_, element)| element).collect();
        let Some(Difference { theirs, ours }) = difference(keys, &self.symbols, &elements) else {
            let have = self.symbols.len();
            // As many again: a stream that doubles ends after twice as many as needed, in a logarithm of round trips.
            let count = have.min(replica.limits.symbols.saturating_sub(have)) as u64;
            if count == 0 {
                return Finding::TooMuch;
            }
            let more = SyncMessage::More { nonce: self.nonce, first: have as u64, count };
            return Finding::Undecided(more);
        };
        if theirs.is_empty() && ours.is_empty() {
            return Finding::Equal;
        }
        let lacking = named(replica, keys, &ours.into_iter().collect());
        let (delta, rest) = replica.patch(&lacking, max_bytes);
        Finding::Differ { repair: SyncMessage::Repair { nonce: self.nonce, delta, wanted: theirs }, rest }
    }
}
