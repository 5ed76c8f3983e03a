//! A [`Keyring`] as bytes: what it tells others that it has, what it gives them, and how it survives a restart.

use super::{
    AuthorityKey, Clock, Keyring, Learned, PublicKey, Succession, TimeRule, TrustError,
    line::{Former, MAX_FORMERS, Member},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::{
        revocation::{MAX_LIST_LEN, MAX_REVOKED},
        succession::MAX_CHAIN,
        thumbprint::KeyId,
    },
    time::DtnTime,
};
use alloc::{collections::BTreeMap, vec::Vec};

const VERSION: u64 = 6;
/// With another list of the version in force.
const WITH_RIVAL: u64 = 7;

/// A signed statement on its way from one keyring to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A certificate.
    Certificate(Vec<u8>),
    /// A succession of keys.
    Succession(Vec<u8>),
    /// A revocation list.
    Revocations(Vec<u8>),
}

impl Statement {
    /// Its number on the wire, and its bytes.
    #[must_use]
    pub fn parts(&self) -> (u64, &[u8]) {
        match self {
            Self::Certificate(bytes) => (0, bytes),
            Self::Succession(bytes) => (1, bytes),
            Self::Revocations(bytes) => (2, bytes),
        }
    }

    /// The statement of this number; at most [`MAX_LIST_LEN`] bytes are taken.
    #[must_use]
    pub fn from_parts(number: u64, bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LIST_LEN {
            return None;
        }
        match number {
            0 => Some(Self::Certificate(bytes.to_vec())),
            1 => Some(Self::Succession(bytes.to_vec())),
            2 => Some(Self::Revocations(bytes.to_vec())),
            _ => None,
        }
    }
}

/// What a keyring has, in short: how two of them find out what one lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Which revocation list: see [`Keyring::list_number`].
    pub list: u64,
    /// Successions of the authority.
    pub authority: u64,
    /// For each member, when its certificate begins, and how many successions have followed on it.
    pub members: BTreeMap<NodeId, (DtnTime, u64)>,
}

impl Summary {
    /// Appends `[list, authority, [node, not before, successions]…]`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::ARRAY, 2 + self.members.len() as u64);
        cbor::put_uint(out, self.list);
        cbor::put_uint(out, self.authority);
        for (node, (from, successions)) in &self.members {
            cbor::put_head(out, cbor::ARRAY, 3);
            cbor::put_uint(out, node.0);
            cbor::put_uint(out, from.0 / 1000);
            cbor::put_uint(out, *successions);
        }
    }

    /// Reads what [`Summary::encode`] wrote, of at most `max` members.
    ///
    /// # Errors
    /// When it is something else, or members are out of order or too many.
    pub fn decode(reader: &mut Reader<'_>, max: usize) -> Result<Self, CborError> {
        let at = reader.position();
        let found = reader.array()?;
        if found < 2 || found - 2 > max as u64 {
            return Err(CborError::Items { at, expected: 2 + max as u64, found });
        }
        let (list, authority) = (reader.uint()?, reader.uint()?);
        let mut members = BTreeMap::new();
        for _ in 2..found {
            let at = reader.position();
            reader.array_of(3)?;
            let node = NodeId(reader.uint()?);
            if members.last_key_value().is_some_and(|(last, _)| *last >= node) {
                return Err(CborError::NotDeterministic { at });
            }
            let from = DtnTime(reader.uint()?.saturating_mul(1000));
            members.insert(node, (from, reader.uint()?));
        }
        Ok(Self { list, authority, members })
    }
}

/// Why bytes are no keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A statement in it does not hold.
    #[error(transparent)]
    Statement(#[from] TrustError),
    /// A version that this code does not know.
    #[error("version {found}, expected 6 or 7")]
    Version {
        /// The version found.
        found: u64,
    },
}

impl Keyring {
    /// What it has.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let member =
            |(node, member): (&NodeId, &Member)| (*node, (member.certificate.not_before, member.links()));
        Summary {
            list: self.list_number(),
            authority: self.authority_chain.len() as u64,
            members: self.members.iter().map(member).collect(),
        }
    }

    /// What another, that told its summary, lacks: in an order in which each statement can be judged, until `max_bytes` are full. `first` is the
    /// member whose certificate comes before those of others: the one who tells, whose word could not be taken without it. The revocation list
    /// comes last, whatever its length: it may end the certificates that are known, so that what renews them has to be there before.
    #[must_use]
    pub fn lacking(&self, other: &Summary, first: NodeId, max_bytes: usize) -> Vec<Statement> {
        let mut out = Lacking { statements: Vec::new(), left: max_bytes };
        let known = usize::try_from(other.authority).unwrap_or(usize::MAX);
        for link in self.authority_chain.iter().skip(known) {
            out.add(Statement::Succession(link.clone()));
        }
        let (first, others): (Vec<_>, Vec<_>) = self.members.iter().partition(|(node, _)| **node == first);
        for (node, member) in first.into_iter().chain(others) {
            let (from, links) = other.members.get(node).copied().unwrap_or((DtnTime::UNKNOWN, 0));
            let newer = member.certificate.not_before > from;
            if newer {
                out.add(Statement::Certificate(member.bytes.clone()));
            }
            let known = if newer { 0 } else { usize::try_from(links).unwrap_or(usize::MAX) };
            if newer || member.certificate.not_before == from {
                for link in member.chain().skip(known) {
                    out.add(Statement::Succession(link.to_vec()));
                }
            }
        }
        out.statements.extend(self.lists_after(other.list));
        out.statements
    }

    /// The revocation list in force, and the other one of its version where there is one, for who is known to have none newer than `known`.
    pub fn lists_after(&self, known: u64) -> impl Iterator<Item = Statement> {
        let rival = Some(&self.rival).filter(|rival| known < self.list_number() && !rival.is_empty());
        self.list_after(known).into_iter().chain(rival.cloned().map(Statement::Revocations))
    }

    /// The revocation list in force, for one that is known to have none newer than `known`, a [`Keyring::list_number`].
    #[must_use]
    pub fn list_after(&self, known: u64) -> Option<Statement> {
        (known < self.list_number()).then(|| Statement::Revocations(self.list_bytes.clone()))
    }

    /// What another needs in order to take a member's word: its certificate, and the successions since.
    #[must_use]
    pub fn credentials(&self, node: NodeId) -> Vec<Statement> {
        let member = self.members.get(&node).into_iter();
        let statements = member.flat_map(|member| {
            let certificate = core::iter::once(Statement::Certificate(member.bytes.clone()));
            certificate.chain(member.chain().map(|link| Statement::Succession(link.to_vec())))
        });
        statements.collect()
    }

    /// Takes a statement.
    ///
    /// # Errors
    /// As [`Keyring::install`], [`Keyring::succeed`] and [`Keyring::revoke`].
    pub fn learn(&mut self, statement: &Statement, clock: Clock) -> Result<Learned, TrustError> {
        match statement {
            Statement::Certificate(bytes) => self.install(bytes, clock),
            Statement::Succession(bytes) => self.succeed(bytes, clock),
            Statement::Revocations(bytes) => self.revoke(bytes, clock),
        }
    }

    /// The keyring as bytes: `[version, [generation, root or empty, [authority key, until, generation, stolen]…], [authority links], [until…], list, place of its key, [when each entry was heard of…], heard,
    /// [certificate, place of its key, key in force, [earlier key, until, link or empty, forked]…]…, [node, key, since]…]`; behind it the other list of the same
    /// version, in a version of its own, where there is one.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let has_rival = self.has_rival_list();
        cbor::put_head(&mut out, cbor::ARRAY, 10 + u64::from(has_rival));
        cbor::put_uint(&mut out, if has_rival { WITH_RIVAL } else { VERSION });
        self.put_root(&mut out);
        put_links(&mut out, &self.authority_chain);
        cbor::put_head(&mut out, cbor::ARRAY, self.formers.len() as u64);
        self.formers.iter().for_each(|former| cbor::put_uint(&mut out, former.until.0));
        cbor::put_bytes(&mut out, &self.list_bytes);
        cbor::put_uint(&mut out, self.list_signer as u64);
        cbor::put_head(&mut out, cbor::ARRAY, self.list_heard.len() as u64);
        self.list_heard.values().for_each(|heard| cbor::put_uint(&mut out, heard.0));
        cbor::put_uint(&mut out, self.heard.0);
        cbor::put_head(&mut out, cbor::ARRAY, self.members.len() as u64);
        for member in self.members.values() {
            cbor::put_head(&mut out, cbor::ARRAY, 4);
            cbor::put_bytes(&mut out, &member.bytes);
            cbor::put_uint(&mut out, member.certified as u64);
            cbor::put_bytes(&mut out, member.key.as_bytes());
            cbor::put_head(&mut out, cbor::ARRAY, member.formers.len() as u64);
            for former in &member.formers {
                cbor::put_head(&mut out, cbor::ARRAY, 4);
                cbor::put_bytes(&mut out, former.key.as_bytes());
                cbor::put_uint(&mut out, former.until.0);
                cbor::put_bytes(&mut out, &former.link);
                cbor::put_uint(&mut out, u64::from(former.forked));
            }
        }
        cbor::put_head(&mut out, cbor::ARRAY, self.blocked.len() as u64);
        for ((node, key), revoked) in &self.blocked {
            cbor::put_head(&mut out, cbor::ARRAY, 3);
            cbor::put_uint(&mut out, node.0);
            cbor::put_bytes(&mut out, &key.0);
            cbor::put_uint(&mut out, revoked.since.0);
        }
        if has_rival {
            cbor::put_bytes(&mut out, &self.rival);
        }
        out
    }

    fn put_root(&self, out: &mut Vec<u8>) {
        let before = self.before_root();
        cbor::put_head(out, cbor::ARRAY, 2 + before.len() as u64);
        cbor::put_uint(out, self.generation);
        cbor::put_bytes(out, if before.is_empty() { &[] } else { self.root.as_bytes() });
        for former in before {
            cbor::put_head(out, cbor::ARRAY, 4);
            cbor::put_bytes(out, former.key.as_bytes());
            cbor::put_uint(out, former.until.0);
            cbor::put_uint(out, former.generation);
            cbor::put_uint(out, u64::from(former.stolen));
        }
    }

    /// The keyring of a snapshot. Every statement in it is checked again, but for its time.
    ///
    /// # Errors
    /// [`KeyringError`] when the bytes are none, or of another authority.
    pub fn restore(
        authority: PublicKey,
        rule: TimeRule,
        max_members: usize,
        bytes: &[u8],
    ) -> Result<Self, KeyringError> {
        let mut ring = Self::new(authority, rule, max_members);
        let mut reader = Reader::new(bytes);
        let (at, items, found) = (reader.position(), reader.array()?, reader.uint()?);
        let expected = match found {
            VERSION => 10,
            WITH_RIVAL => 11,
            found => return Err(KeyringError::Version { found }),
        };
        if items != expected {
            return Err(CborError::Items { at, expected, found: items }.into());
        }
        ring.read_root(&mut reader)?;
        for link in links(&mut reader)? {
            ring.succeed(link, Clock::Unknown)?;
        }
        reader.array_of(ring.formers.len() as u64)?;
        for former in &mut ring.formers {
            former.until = DtnTime(reader.uint()?);
        }
        let list = reader.bytes()?;
        let signer = usize::try_from(reader.uint()?).unwrap_or(usize::MAX);
        let at = reader.position();
        let heard_of = (0..counted(&mut reader, MAX_REVOKED)?).map(|_| reader.uint().map(DtnTime));
        let heard_of = heard_of.collect::<Result<Vec<_>, _>>()?;
        let heard = DtnTime(reader.uint()?);
        for _ in 0..reader.array()? {
            reader.array_of(4)?;
            ring.restore_member(&mut reader)?;
        }
        // After the members: one whose key was blocked stays known, and refused.
        for _ in 0..reader.array()? {
            reader.array_of(3)?;
            let (node, at, key) = (NodeId(reader.uint()?), reader.position(), reader.bytes()?);
            let key = key.try_into().map_err(|_| CborError::NotDeterministic { at })?;
            ring.block(node, KeyId(key), DtnTime(reader.uint()?));
        }
        let rival = if found == WITH_RIVAL { Some(reader.bytes()?) } else { None };
        reader.end()?;
        if !list.is_empty() {
            ring.restore_list(list, signer)?;
        }
        if let Some(rival) = rival {
            ring.restore_list(rival, signer)?;
        }
        if heard_of.len() != ring.list_heard.len() {
            return Err(CborError::NotDeterministic { at }.into());
        }
        ring.list_heard.values_mut().zip(heard_of).for_each(|(known, heard)| *known = heard);
        // Last: what was kept of a key that the authority has retired since was taken in its time. And the list of a thief tells no time any more.
        ring.heard = heard;
        Ok(ring)
    }

    fn read_root(&mut self, reader: &mut Reader<'_>) -> Result<(), CborError> {
        let items = reader.array()?;
        self.generation = reader.uint()?;
        let (at, root) = (reader.position(), reader.bytes()?);
        let mut before = Vec::new();
        for _ in 2..items {
            reader.array_of(4)?;
            let (at, key) = (reader.position(), reader.bytes()?);
            let (key, until) = (read_key(at, key)?, DtnTime(reader.uint()?));
            let (generation, stolen) = (reader.uint()?, reader.uint()? != 0);
            before.push(AuthorityKey { key, until, generation, stolen });
        }
        if !root.is_empty() {
            self.restore_root(read_key(at, root)?, before);
        }
        Ok(())
    }

    fn restore_member(&mut self, reader: &mut Reader<'_>) -> Result<(), KeyringError> {
        let bytes = reader.bytes()?;
        let certificate = self.open_installed(bytes)?;
        let mut member = Member::new(certificate, bytes);
        let node = member.certificate.subject;
        let at = reader.position();
        let malformed = KeyringError::Cbor(CborError::NotDeterministic { at });
        let certified = usize::try_from(reader.uint()?).map_err(|_| malformed)?;
        member.key = key(reader)?;
        member.id = KeyId::of(&member.key);
        for _ in 0..counted(reader, MAX_FORMERS)? {
            reader.array_of(4)?;
            let key = key(reader)?;
            let (until, link, forked) =
                (DtnTime(reader.uint()?), reader.bytes()?.to_vec(), reader.uint()? != 0);
            let id = KeyId::of(&key);
            member.formers.push(Former { key, id, until, link, forked });
        }
        let formers = &member.formers;
        for (place, former) in formers.iter().enumerate() {
            if !former.link.is_empty() {
                let link = Succession::follow(&former.link, node, &former.key).map_err(TrustError::from)?;
                if link.next != *member.key_at(place + 1) {
                    return Err(malformed);
                }
            } else if place >= certified {
                return Err(malformed);
            }
        }
        if certified > formers.len() || *member.key_at(certified) != member.certificate.key {
            return Err(malformed);
        }
        member.certified = certified;
        if self.members.len() >= self.max_members {
            return Err(TrustError::Full { max: self.max_members }.into());
        }
        self.members.insert(node, member);
        Ok(())
    }
}

fn read_key(at: usize, bytes: &[u8]) -> Result<PublicKey, CborError> {
    let key = bytes.try_into().ok().and_then(|key| PublicKey::from_bytes(key).ok());
    key.ok_or(CborError::NotDeterministic { at })
}

struct Lacking {
    statements: Vec<Statement>,
    left: usize,
}

impl Lacking {
    /// Once one does not fit, no further one is taken: each may rest on those before it.
    fn add(&mut self, statement: Statement) {
        match self.left.checked_sub(statement.parts().1.len() + 4) {
            Some(left) => {
                self.left = left;
                self.statements.push(statement);
            }
            None => self.left = 0,
        }
    }
}

fn put_links(out: &mut Vec<u8>, links: &[Vec<u8>]) {
    cbor::put_head(out, cbor::ARRAY, links.len() as u64);
    links.iter().for_each(|link| cbor::put_bytes(out, link));
}

fn links<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, CborError> {
    (0..counted(reader, MAX_CHAIN)?).map(|_| reader.bytes()).collect()
}

fn counted(reader: &mut Reader<'_>, max: usize) -> Result<u64, CborError> {
    let (at, found) = (reader.position(), reader.array()?);
    if found > max as u64 { Err(CborError::Items { at, expected: max as u64, found }) } else { Ok(found) }
}

fn key(reader: &mut Reader<'_>) -> Result<PublicKey, CborError> {
    let at = reader.position();
    read_key(at, reader.bytes()?)
}
