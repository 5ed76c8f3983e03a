//! Shared state as an application sees it: what it writes ([`StateWrite`]), what it asks for ([`StateQuery`]), and what there is ([`StateItem`]).
//!
//! Names, keys and values are bytes. In JSON and on the command line they are text; what is no text, has control characters, or begins with `hex:`, is `hex:` and two
//! digits for each byte.

use crate::message::hex;
use cosmosmesh_protocol::sync::{Item, Kind, Look, Op, Replica};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

const PREFIX: &str = "hex:";
/// Most items that are told at once.
pub(crate) const MAX_ITEMS: usize = 1000;

/// Bytes that are text as a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// The bytes of a text, or of the digits behind `hex:`; none where those are no pairs of digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.strip_prefix(PREFIX) {
            Some(digits) => hex::bytes(digits).map(Self),
            None => Some(Self(text.as_bytes().to_vec())),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Whether a character may be shown: others would do something to a terminal.
fn is_shown(c: char) -> bool {
    matches!(c, '\n' | '\t') || !c.is_control()
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(PREFIX) && text.chars().all(is_shown) => f.write_str(text),
            _ => write!(f, "{PREFIX}{}", hex::digits(&self.0)),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| D::Error::custom("not pairs of hexadecimal digits"))
    }
}

/// A write to shared state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "write", rename_all = "snake_case", deny_unknown_fields)]
pub enum StateWrite {
    /// Writes a key of a map.
    Put {
        /// The map.
        map: Bytes,
        /// The key.
        key: Bytes,
        /// What to write.
        value: Bytes,
    },
    /// Removes a key of a map.
    Remove {
        /// The map.
        map: Bytes,
        /// The key.
        key: Bytes,
    },
    /// Writes a register.
    Register {
        /// The register.
        register: Bytes,
        /// What to write.
        value: Bytes,
    },
    /// Adds a member to a set.
    Add {
        /// The set.
        set: Bytes,
        /// The member.
        member: Bytes,
    },
    /// Removes those additions of a member to a set that are known here.
    Drop {
        /// The set.
        set: Bytes,
        /// The member.
        member: Bytes,
    },
    /// Adds to a counter.
    Count {
        /// The counter.
        counter: Bytes,
        /// How much.
        by: i64,
    },
}

impl StateWrite {
    /// What a node is told.
    #[must_use]
    pub fn op(&self) -> Op<'_> {
        match self {
            Self::Put { map, key, value } => Op::MapPut { name: &map.0, key: &key.0, value: &value.0 },
            Self::Remove { map, key } => Op::MapRemove { name: &map.0, key: &key.0 },
            Self::Register { register, value } => Op::Register { name: &register.0, value: &value.0 },
            Self::Add { set, member } => Op::SetAdd { name: &set.0, member: &member.0 },
            Self::Drop { set, member } => Op::SetRemove { name: &set.0, member: &member.0 },
            Self::Count { counter, by } => Op::Count { name: &counter.0, by: *by },
        }
    }

    /// Bytes of what it writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Put { map, key, value } => map.0.len() + key.0.len() + value.0.len(),
            Self::Remove { map: one, key: other }
            | Self::Register { register: one, value: other }
            | Self::Add { set: one, member: other }
            | Self::Drop { set: one, member: other } => one.0.len() + other.0.len(),
            Self::Count { counter, .. } => counter.0.len(),
        }
    }
}

/// The name of a write that is durable here: its writer's number, life and sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDot {
    /// Who wrote it.
    pub writer: u64,
    /// Which of its lives: another begins where its storage was lost.
    pub life: u32,
    /// Which of its writes.
    pub sequence: u64,
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// Keys with values.
    Map,
    /// One value.
    Register,
    /// Members.
    Set,
    /// A sum.
    Counter,
}

impl StateKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Map, Self::Register, Self::Set, Self::Counter];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Register => "register",
            Self::Set => "set",
            Self::Counter => "counter",
        }
    }

    const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Map => Some(Self::Map),
            Kind::Register => Some(Self::Register),
            Kind::Set => Some(Self::Set),
            Kind::Counter => Some(Self::Counter),
            // The replica's own.
            Kind::Dropped => None,
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Map => Kind::Map,
            Self::Register => Kind::Register,
            Self::Set => Kind::Set,
            Self::Counter => Kind::Counter,
        }
    }
}

impl std::str::FromStr for StateKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or(())
    }
}

/// What is asked for: all objects, an object, or a key of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateQuery {
    /// Of this kind only.
    pub kind: Option<StateKind>,
    /// This object, with what is in it; without it, the names of all.
    pub name: Option<Bytes>,
    /// This key of a map, or member of a set.
    pub key: Option<Bytes>,
    /// Only what comes after this key, member or name of a `kind`: to go on where an answer ended.
    pub after: Option<Bytes>,
    /// At most so many: 1000 without it, and at most.
    pub most: Option<usize>,
}

/// Something in shared state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// The kind of its object.
    pub kind: StateKind,
    /// The object.
    pub name: Bytes,
    /// The key of a map, the member of a set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Bytes>,
    /// The value of a register or of a map's key; none where it was removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Bytes>,
    /// The value of a counter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<i64>,
    /// Whose write of the value stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub writer: Option<u64>,
    /// When it was written by its writer's clock, in milliseconds since 2000.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub written_ms: Option<u64>,
    /// Concurrent writes of others that do not stand, and are not replaced.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub rivals: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl StateItem {
    /// What a replica tells; none of what is no application's.
    #[must_use]
    pub fn of(item: Item) -> Option<Self> {
        let Item { kind, name, key, value, count, written, rivals } = item;
        Some(Self {
            kind: StateKind::of(kind)?,
            name: Bytes(name),
            key: key.map(Bytes),
            value: value.map(Bytes),
            count,
            writer: written.map(|(node, _)| node.0),
            written_ms: written.map(|(_, time)| time.as_millis()),
            rivals,
        })
    }
}

impl fmt::Display for StateItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)?;
        self.key.iter().try_for_each(|key| write!(f, " {key}"))?;
        self.value.iter().try_for_each(|value| write!(f, " = {value}"))?;
        self.count.iter().try_for_each(|count| write!(f, " = {count}"))?;
        if let Some(writer) = self.writer {
            write!(f, "  (node {writer}")?;
            if self.rivals > 0 {
                write!(f, ", {} written at the same time", self.rivals)?;
            }
            write!(f, ")")?;
        }
        Ok(())
    }
}

/// Why a question about shared state has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Kinds are told one after another, each with its names and keys from the first one on.
    #[error("`after` goes on within a kind: which `kind` is to be said")]
    AfterWithoutKind,
}

impl QueryError {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AfterWithoutKind => "after_without_kind",
        }
    }
}

impl StateQuery {
    /// Whether it can be answered.
    ///
    /// # Errors
    /// [`QueryError`].
    pub const fn check(&self) -> Result<(), QueryError> {
        match (&self.after, self.kind) {
            (Some(_), None) => Err(QueryError::AfterWithoutKind),
            _ => Ok(()),
        }
    }

    /// What is asked of a replica.
    #[must_use]
    pub fn look(&self) -> Look<'_> {
        Look {
            kind: self.kind.map(StateKind::kind),
            name: slice(&self.name),
            key: slice(&self.key),
            after: slice(&self.after),
            most: self.most.unwrap_or(MAX_ITEMS).min(MAX_ITEMS),
        }
    }
}

fn slice(bytes: &Option<Bytes>) -> Option<&[u8]> {
    bytes.as_ref().map(|Bytes(bytes)| bytes.as_slice())
}

/// What is there of what is asked for. An object that is not there has nothing in it.
pub(crate) fn read(replica: &Replica, query: &StateQuery) -> Vec<StateItem> {
    replica.look(&query.look()).into_iter().filter_map(StateItem::of).collect()
}

/// What has changed since somebody last looked: registers, and keys of maps, that others have written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChanges {
    /// What to ask for next time.
    pub next: u64,
    /// Whether changes were missed: so many came that the first ones are forgotten, or the daemon was started anew.
    pub missed: bool,
    /// How they read now, the oldest change first.
    pub items: Vec<StateItem>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::{id::NodeId, sync::SyncLimits, time::DtnTime};

    fn bytes(text: &str) -> Bytes {
        Bytes::read(text).unwrap()
    }

    #[test]
    fn what_is_text_is_shown_as_text_and_all_else_in_digits_and_either_is_read_again() {
        for (held, shown) in [
            (&b"door"[..], "door"),
            ("Tür".as_bytes(), "Tür"),
            (b"", ""),
            (b"\xff\x00", "hex:ff00"),
            (b"hex:", "hex:6865783a"),
        ] {
            assert_eq!(Bytes::from(held).to_string(), shown);
            assert_eq!(bytes(shown).0, held);
        }
        assert_eq!(Bytes::read("hex:0"), None);
        let write = StateWrite::Put { map: bytes("a"), key: bytes("hex:00"), value: bytes("c") };
        let text = serde_json::to_string(&write).unwrap();
        assert_eq!(text, "{\"write\":\"put\",\"map\":\"a\",\"key\":\"hex:00\",\"value\":\"c\"}");
        assert_eq!(serde_json::from_str::<StateWrite>(&text).unwrap(), write);
    }

    #[test]
    fn objects_and_what_is_in_them_are_told_part_by_part() {
        let mut replica = Replica::new(NodeId(3), SyncLimits::default());
        for key in ["a", "b", "c"] {
            let put = StateWrite::Put { map: bytes("site"), key: bytes(key), value: bytes("open") };
            replica.write(put.op(), DtnTime(5)).unwrap();
        }
        for write in [
            StateWrite::Remove { map: bytes("site"), key: bytes("b") },
            StateWrite::Count { counter: bytes("trips"), by: -4 },
            StateWrite::Add { set: bytes("crew"), member: bytes("x") },
            StateWrite::Register { register: bytes("site"), value: bytes("here") },
        ] {
            replica.write(write.op(), DtnTime(5)).unwrap();
        }
        let told = |query: StateQuery| -> Vec<String> {
            read(&replica, &query).iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(StateQuery::default()), ["map site", "register site", "set crew", "counter trips"]);
        let site = StateQuery { name: Some(bytes("site")), ..StateQuery::default() };
        let all =
            ["map site a = open  (node 3)", "map site c = open  (node 3)", "register site = here  (node 3)"];
        assert_eq!(told(site.clone()), all);
        assert_eq!(told(StateQuery { kind: Some(StateKind::Map), most: Some(1), ..site.clone() }), all[..1]);
        let after = StateQuery { after: Some(bytes("a")), ..site.clone() };
        assert_eq!(after.check(), Err(QueryError::AfterWithoutKind));
        let after = StateQuery { kind: Some(StateKind::Map), ..after };
        assert_eq!(after.check(), Ok(()));
        assert_eq!(told(after), all[1..2]);
        assert_eq!(told(StateQuery { key: Some(bytes("c")), ..site }), all[1..2]);
        let trips = StateQuery { name: Some(bytes("trips")), ..StateQuery::default() };
        assert_eq!(told(trips), ["counter trips = -4"]);
    }
}
