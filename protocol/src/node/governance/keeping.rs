//! How the ledger, and what this node's voter means to do, survive a restart.

use crate::{
    cbor::{self, CborError, Reader},
    governance::{Content, Decision, GovernanceError, MAX_LINKS},
    node::{InputError, Node, keep::Kept},
};
use alloc::{vec, vec::Vec};

use super::{Governing, MAX_OPINIONS, MAX_WANTED};

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
        self.advance_governance(false);
    }
}

impl Governing {
    /// `[applied, table, [digest, approves]…, [content, attempts]…, [succession…]]`.
    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, 5);
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
        out
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), GovernanceError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5)?;
        self.applied = reader.uint()?;
        self.ledger.restore(reader.bytes()?)?;
        for _ in 0..counted(&mut reader, MAX_OPINIONS + MAX_WANTED)? {
            reader.array_of(2)?;
            let (at, digest) = (reader.position(), reader.bytes()?);
            let digest = digest.try_into().map_err(|_| CborError::NotDeterministic { at })?;
            self.opinions.insert(digest, reader.uint()? == 1);
        }
        for _ in 0..counted(&mut reader, MAX_WANTED)? {
            reader.array_of(2)?;
            let content = Content::decode(reader.bytes()?)?;
            let attempts = u8::try_from(reader.uint()?).unwrap_or(u8::MAX);
            self.wanted.push_back((content, attempts));
        }
        for _ in 0..counted(&mut reader, MAX_LINKS + crate::identity::MAX_CHAIN)? {
            self.links.push(reader.bytes()?.to_vec());
        }
        Ok(reader.end()?)
    }
}

fn counted(reader: &mut Reader<'_>, max: usize) -> Result<u64, CborError> {
    let (at, found, expected) = (reader.position(), reader.array()?, max as u64);
    if found > expected { Err(CborError::Items { at, expected, found }) } else { Ok(found) }
}
