//! Why an item reads as it does: the write that stands, and what became of each other one.
//!
//! Two replicas that hold the same writes give the same explanation, whatever arrived first; [`Replica::differences`] names the items where
//! two do not.

use super::{
    cell::{Cell, Content, Kind},
    clock::{Hlc, Role},
    replica::Replica,
    resolve::{Writers, replaced_by, winner},
    version::{Actor, Dot},
};
use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;

/// A write of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub dot: Dot,
    /// The authority under which it was made.
    pub role: Role,
    /// When it was made.
    pub clock: Hlc,
    /// What was written; `None`: the item was removed.
    pub value: Option<Vec<u8>>,
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It wrote or removed a value.
    Value {
        /// A map or a register.
        kind: Kind,
        /// Which.
        name: Vec<u8>,
        /// The key; empty for a register.
        item: Vec<u8>,
        /// The write.
        write: Write,
        /// The writes that it saw and replaces.
        seen: Vec<Dot>,
    },
    /// It dropped its actor's writes from the first to the last of each.
    Dropped(Vec<(u64, u64)>),
    /// It changed a set or a counter.
    Sum,
}

/// Why a write does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The writer of this one had seen it.
    Replaced(Dot),
    /// The one that stands is concurrent with it and made under a greater role.
    Role,
    /// The one that stands is concurrent with it, of the same role, and its clock is later.
    Clock,
    /// The one that stands is concurrent with it, of the same role and clock, and its actor is greater.
    Actor,
}

/// Why an item of a map or a register reads as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The write that stands.
    pub stands: Write,
    /// The other writes that are still held, by actor, and why they do not.
    pub others: Vec<(Write, Because)>,
}

impl Replica {
    /// Why `key` of the map `name` reads as it does; `None` when nobody wrote it.
    #[must_use]
    pub fn explain(&self, name: &[u8], key: &[u8]) -> Option<Explanation> {
        explain(self.writers(Kind::Map, name, key)?)
    }

    /// What the write of a living dot did; `None` when it is not here, or was overwritten by its actor.
    #[must_use]
    pub fn written(&self, dot: Dot) -> Option<Written> {
        let (key, cell) = self.cell_at(dot)?;
        Some(match &cell.content {
            Content::Value { seen, .. } => Written::Value {
                kind: key.kind,
                name: key.name.to_vec(),
                item: key.item.to_vec(),
                write: write(key.actor, cell)?,
                seen: seen.iter().map(|(&actor, &sequence)| Dot { actor, sequence }).collect(),
            },
            Content::Dropped(spans) => Written::Dropped(spans.intervals().to_vec()),
            Content::Member { .. } | Content::Total { .. } => Written::Sum,
        })
    }

    /// Why the register `name` reads as it does; `None` when nobody wrote it.
    #[must_use]
    pub fn explain_register(&self, name: &[u8]) -> Option<Explanation> {
        explain(self.writers(Kind::Register, name, &[])?)
    }

    /// Of every register and every key of a map, in order: the object, the key (empty for a register), and why it reads as it does.
    pub fn explanations(&self) -> impl Iterator<Item = (Kind, &[u8], &[u8], Explanation)> {
        [Kind::Register, Kind::Map].into_iter().flat_map(move |kind| {
            self.names(kind).flat_map(move |name| {
                self.items(kind, name)
                    .filter_map(move |(item, writers)| Some((kind, name, item, explain(writers)?)))
            })
        })
    }

    /// The keys of the map `name` of which the two hold different writes, in order.
    #[must_use]
    pub fn differences(&self, other: &Self, name: &[u8]) -> Vec<Vec<u8>> {
        let keys = |replica: &Self| -> BTreeSet<Vec<u8>> {
            replica.items(Kind::Map, name).map(|(key, _)| key.to_vec()).collect()
        };
        let all: BTreeSet<Vec<u8>> = keys(self).union(&keys(other)).cloned().collect();
        let writers = |replica: &'_ Self, key: &[u8]| replica.writers(Kind::Map, name, key).cloned();
        all.into_iter().filter(|key| writers(self, key) != writers(other, key)).collect()
    }
}

fn explain(writers: &Writers) -> Option<Explanation> {
    let (first, cell) = winner(writers)?;
    let stands = write(first, cell)?;
    let mut others = Vec::new();
    for (&actor, cell) in writers.iter().filter(|(actor, _)| **actor != first) {
        let other = write(actor, cell)?;
        let because = match replaced_by(writers, actor, cell.sequence) {
            Some((actor, by)) => Because::Replaced(Dot { actor, sequence: by.sequence }),
            None if other.role != stands.role => Because::Role,
            None if other.clock != stands.clock => Because::Clock,
            None => Because::Actor,
        };
        others.push((other, because));
    }
    Some(Explanation { stands, others })
}

fn write(actor: Actor, cell: &Cell) -> Option<Write> {
    let Content::Value { role, clock, value, .. } = &cell.content else { return None };
    let value = value.as_deref().map(<[u8]>::to_vec);
    Some(Write { dot: Dot { actor, sequence: cell.sequence }, role: *role, clock: *clock, value })
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.actor, self.sequence)
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (role {}, clock {}) ", self.dot, self.role.0, self.clock)?;
        match &self.value {
            Some(value) => write!(f, "{}", value.escape_ascii()),
            None => f.write_str("removed"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stands", self.stands)?;
        for (other, because) in &self.others {
            write!(f, "\n{other} ")?;
            match because {
                Because::Replaced(by) => write!(f, "was seen and replaced by {by}")?,
                Because::Role => f.write_str("is concurrent and of a lesser role")?,
                Because::Clock => f.write_str("is concurrent and earlier")?,
                Because::Actor => f.write_str("is concurrent, of one time, and of a lesser actor")?,
            }
        }
        Ok(())
    }
}
