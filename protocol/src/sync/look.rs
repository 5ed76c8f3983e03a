//! [`Look`]: what an application asks of a replica, and [`Item`]: what it is told.

use super::{Because, Kind, Replica};
use crate::{id::NodeId, time::DtnTime};
use alloc::vec::Vec;

/// The kinds in the order in which they are told.
const KINDS: [Kind; 4] = [Kind::Map, Kind::Register, Kind::Set, Kind::Counter];

/// What is asked for: all objects, an object, or a key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look<'a> {
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// This object, with what is in it; without it, the names of all.
    pub name: Option<&'a [u8]>,
    /// This key of a map, or member of a set.
    pub key: Option<&'a [u8]>,
    /// Only what comes after this key, member or name.
    pub after: Option<&'a [u8]>,
    /// At most so many.
    pub most: usize,
}

/// Something in a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The kind of its object: a map, a register, a set or a counter.
    pub kind: Kind,
    /// The object.
    pub name: Vec<u8>,
    /// The key of a map, the member of a set.
    pub key: Option<Vec<u8>>,
    /// The value of a register or of a map's key; none where it was removed.
    pub value: Option<Vec<u8>>,
    /// The value of a counter.
    pub count: Option<i64>,
    /// Whose write of the value stands, and when it was written by that writer's clock.
    pub written: Option<(NodeId, DtnTime)>,
    /// Concurrent writes of others that do not stand, and are not replaced.
    pub rivals: usize,
}

impl Item {
    fn of_object(kind: Kind, name: &[u8]) -> Self {
        Self { kind, name: name.to_vec(), key: None, value: None, count: None, written: None, rivals: 0 }
    }
}

impl Replica {
    /// What is there of what is asked for. An object that is not there has nothing in it.
    #[must_use]
    pub fn look(&self, look: &Look<'_>) -> Vec<Item> {
        let after = |key: &[u8]| look.after.is_none_or(|after| key > after);
        let kinds = KINDS.into_iter().filter(|kind| look.kind.is_none_or(|wanted| wanted == *kind));
        let Some(name) = look.name else {
            let objects = kinds.flat_map(|kind| {
                let names = self.names(kind).filter(|name| after(name));
                names.map(move |name| Item::of_object(kind, name))
            });
            return objects.take(look.most).collect();
        };
        let wanted = |key: &[u8]| after(key) && look.key.is_none_or(|wanted| wanted == key);
        let whole = look.key.is_none() && look.after.is_none();
        let mut items = Vec::new();
        for kind in kinds {
            let left = look.most - items.len().min(look.most);
            match kind {
                Kind::Map => {
                    let keys = self.map_entries(name).map(|(key, _)| key).filter(|key| wanted(key));
                    items.extend(keys.take(left).filter_map(|key| self.item(kind, name, key)));
                }
                Kind::Register if whole => items.extend(self.item(kind, name, &[])),
                Kind::Set => {
                    let members = self.set_members(name).filter(|member| wanted(member));
                    let item =
                        |member: &[u8]| Item { key: Some(member.to_vec()), ..Item::of_object(kind, name) };
                    items.extend(members.take(left).map(item));
                }
                Kind::Counter if whole => {
                    if self.names(Kind::Counter).any(|known| known == name) {
                        let sum = self.counter(name);
                        let count = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
                        items.push(Item { count: Some(count), ..Item::of_object(kind, name) });
                    }
                }
                Kind::Register | Kind::Counter | Kind::Dropped => {}
            }
        }
        items
    }

    /// How a register, or a key of a map, reads.
    #[must_use]
    pub fn item(&self, kind: Kind, name: &[u8], key: &[u8]) -> Option<Item> {
        let is_map = kind == Kind::Map;
        let explanation = if is_map { self.explain(name, key) } else { self.explain_register(name) }?;
        let write = explanation.stands;
        let rivals = explanation.others.iter().filter(|(_, why)| !matches!(why, Because::Replaced(_)));
        Some(Item {
            key: is_map.then(|| key.to_vec()),
            value: write.value,
            written: Some((write.dot.actor.node, write.clock.time())),
            rivals: rivals.count(),
            ..Item::of_object(kind, name)
        })
    }
}
