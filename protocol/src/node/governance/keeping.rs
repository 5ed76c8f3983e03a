//! How the ledger, and what this node's voter means to do, survive a restart.

use crate::{
    cbor::{self, CborError, Reader},
    governance::{Content, Decision, GovernanceError},
    id::NodeId,
    identity::{KeyId, MAX_CHAIN, Succession},
    node::{InputError, Node, Timer, keep::Kept},
    time::DtnTime,
};
use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::{Governing, MAX_WANTED};

impl Node {
    /// Before a batch leaves: what lies on the table after it.
    pub(in crate::node) fn keep_ballots(&mut self) {
        let Some(governing) = self.governing.as_mut().filter(|governing| governing.unsaved) else { return };
        governing.unsaved = false;
        let value = governing.snapshot();
        self.put(vec![Kept::Ballots as u8], value);
    }

    pub(super) fn keep_decision(&mut self, decision: &Decision) {
        let mut key = vec![Kept::Decision as u8];
        key.extend_from_slice(&decision.slot.to_be_bytes());
        if let Some(governing) = self.governing.as_mut() {
            governing.unsaved = true;
        }
        self.put(key, decision.certificate.clone());
    }

    /// Takes one kept record of governance back. `None`: this version did not write it.
    pub(in crate::node) fn take_back_governance(
        &mut self,
        kind: u8,
        value: &[u8],
    ) -> Result<Option<()>, InputError> {
        let missing = InputError::NotConfigured { what: "governance" };
        let governing = self.governing.as_mut().ok_or(missing)?;
        Ok(if kind == Kept::Decision as u8 {
            governing.ledger.insert(value).ok().map(drop)
        } else {
            governing.restore(value).ok()
        })
    }

    /// After everything was taken back: the decisions' effects that nothing else brings back, and the voter's duty.
    pub(in crate::node) fn restore_decisions(&mut self) {
        let Some(governing) = self.governing.as_mut() else { return };
        let decisions = governing.ledger.decisions().to_vec();
        let applied = governing.applied;
        let own = KeyId::of(self.keys.public());
        governing.keep_links_to(own);
        let authority =
            |decision: &Decision| matches!(decision.adopted, Some((_, Content::Authority { .. })));
        if decisions.iter().any(authority) {
            self.choose_issuer();
        }
        for decision in decisions {
            match &decision.adopted {
                Some((_, content)) if decision.slot <= applied => self.repeat_effect(content),
                // The crash came between a decision and the record that tells that it has taken effect.
                _ => self.take_effect(&decision),
            }
        }
        self.arm_governance();
        self.wait_on();
        self.advance_governance(false);
    }

    /// A voter that waited before a restart goes on waiting, and does not begin anew: as far as a clock tells.
    fn wait_on(&mut self) {
        let now = self.civil_now();
        let Some(governing) = self.governing.as_ref().filter(|it| !it.ledger.is_idle()) else { return };
        let since = governing.waits_since;
        if since == DtnTime::UNKNOWN || now < since {
            return;
        }
        let left = governing.config.patience.saturating_sub(Duration::from_millis(now.0 - since.0));
        let at = self.now.saturating_add(self.jittered(left));
        self.timers.arm(Timer::Patience, at);
    }
}

impl Governing {
    /// `[applied, table, [digest, approves]…, [content, attempts]…, [succession…], waits since, [voter that lost its seat with its key…]]`.
    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, 7);
        cbor::put_uint(&mut out, self.applied);
        cbor::put_bytes(&mut out, &self.ledger.snapshot());
        cbor::put_head(&mut out, cbor::ARRAY, self.opinions.len() as u64);
        for (digest, approves) in &self.opinions {
            cbor::put_head(&mut out, cbor::ARRAY, 2);
            cbor::put_bytes(&mut out, digest);
            cbor::put_uint(&mut out, u64::from(*approves));
        }
        cbor::put_head(&mut out, cbor::ARRAY, self.wanted.len() as u64);
        for (content, attempts) in &self.wanted {
            cbor::put_head(&mut out, cbor::ARRAY, 2);
            cbor::put_bytes(&mut out, &content.encode());
            cbor::put_uint(&mut out, u64::from(*attempts));
        }
        cbor::put_head(&mut out, cbor::ARRAY, self.links.len() as u64);
        self.links.iter().for_each(|link| cbor::put_bytes(&mut out, link));
        cbor::put_uint(&mut out, self.waits_since.0);
        cbor::put_head(&mut out, cbor::ARRAY, self.lost_with_key.len() as u64);
        self.lost_with_key.iter().for_each(|node| cbor::put_uint(&mut out, node.0));
        out
    }

    /// Drops links that do not lead, one after the other, to the node's key: its host may have given it another.
    fn keep_links_to(&mut self, key: KeyId) {
        let mut key = key;
        let mut leads = |link: &Vec<u8>| {
            let Ok((former, link)) = Succession::claims(link) else { return false };
            let leads = KeyId::of(&link.next) == key;
            key = former;
            leads
        };
        let count =
            self.links.iter().rev().take(MAX_CHAIN).map_while(|link| leads(link).then_some(())).count();
        self.links.drain(..self.links.len() - count);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), GovernanceError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(7)?;
        self.applied = reader.uint()?;
        self.ledger.restore(reader.bytes()?)?;
        // What is too much is let go, as it would have been before: a node does not fail to come back for what it thought of proposals.
        for _ in 0..reader.array()? {
            reader.array_of(2)?;
            let (at, digest) = (reader.position(), reader.bytes()?);
            let digest = digest.try_into().map_err(|_| CborError::NotDeterministic { at })?;
            let approves = reader.uint()? == 1;
            self.remember(digest, approves);
        }
        for _ in 0..reader.array()? {
            reader.array_of(2)?;
            let content = Content::decode(reader.bytes()?)?;
            let attempts = u8::try_from(reader.uint()?).unwrap_or(u8::MAX);
            if self.wanted.len() < MAX_WANTED {
                self.wanted.push_back((content, attempts));
            }
        }
        for _ in 0..reader.array()? {
            self.links.push(reader.bytes()?.to_vec());
        }
        self.waits_since = DtnTime(reader.uint()?);
        for _ in 0..reader.array()? {
            self.lost_with_key.insert(NodeId(reader.uint()?));
        }
        Ok(reader.end()?)
    }
}
