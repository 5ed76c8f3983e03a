//! What ranks concurrent writes: [`Role`], the hybrid logical clock [`Hlc`], and the actor.

use super::version::Actor;
use crate::{id::NodeId, identity, time::DtnTime};
use alloc::collections::BTreeMap;
use core::fmt;

/// The authority under which a write is made: of concurrent writes, the greater role's stands.
///
/// The numbers are the fleet's to give. A write names its role under its writer's signature, and is refused where the
/// writer was granted less ([`Roles`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(pub u8);

impl From<identity::Role> for Role {
    /// The rank of a member's role: observers write nothing of weight, and a fleet's own roles write as contributors do.
    fn from(role: identity::Role) -> Self {
        Self(match role {
            identity::Role::Observer => 0,
            identity::Role::Contributor | identity::Role::Own(_) => 1,
            identity::Role::Operator => 2,
            identity::Role::Admin => 3,
        })
    }
}

/// Which role each member was granted. All replicas of a fleet are told the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    granted: BTreeMap<NodeId, Role>,
    others: Role,
}

impl Roles {
    /// `granted` to these, and `others` to everyone else.
    #[must_use]
    pub const fn new(granted: BTreeMap<NodeId, Role>, others: Role) -> Self {
        Self { granted, others }
    }

    /// The role of `member`.
    #[must_use]
    pub fn of(&self, member: NodeId) -> Role {
        self.granted.get(&member).copied().unwrap_or(self.others)
    }
}

/// A reading of a hybrid logical clock (Kulkarni et al. 2014): milliseconds since 2000 in the upper 48 bits, a counter in the
/// lower 16. It never runs back, is later than everything its replica has seen, and stays near civil time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// Before all readings.
    pub const ZERO: Self = Self(0);

    /// The reading of these parts; `None` when the milliseconds do not fit into 48 bits.
    #[must_use]
    pub const fn new(time: DtnTime, counter: u16) -> Option<Self> {
        if time.0 >> 48 != 0 { None } else { Some(Self(time.0 << 16 | counter as u64)) }
    }

    /// The part that follows civil time.
    #[must_use]
    pub const fn time(self) -> DtnTime {
        DtnTime(self.0 >> 16)
    }

    /// The part that counts within a millisecond.
    #[must_use]
    pub const fn counter(self) -> u16 {
        self.0 as u16
    }

    /// The reading for the next write when the last one was `self` and civil time is `physical` (0: unknown).
    ///
    /// With 2^16 readings in a millisecond the counter carries into the next one.
    #[must_use]
    pub fn tick(self, physical: DtnTime) -> Self {
        match Self::new(physical, 0) {
            Some(now) if now > self => now,
            _ => Self(self.0.saturating_add(1)),
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time().as_millis(), self.counter())
    }
}

/// What decides between concurrent writes: role, then clock, then actor. A total order over the writes of an item, since
/// no actor has two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The writer's authority.
    pub role: Role,
    /// The writer's clock.
    pub clock: Hlc,
    /// The writer.
    pub actor: Actor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_civil_time_and_never_runs_back() {
        let noon = Hlc::ZERO.tick(DtnTime(1_000));
        assert_eq!((noon.time(), noon.counter()), (DtnTime(1_000), 0));
        let stepped_back = noon.tick(DtnTime(5));
        assert_eq!((stepped_back.time(), stepped_back.counter()), (DtnTime(1_000), 1));
        let unknown = stepped_back.tick(DtnTime::UNKNOWN);
        assert!(unknown > stepped_back);
        assert_eq!(unknown.tick(DtnTime(1_001)), Hlc::new(DtnTime(1_001), 0).unwrap());
        let full = Hlc::new(DtnTime(7), u16::MAX).unwrap().tick(DtnTime(7));
        assert_eq!((full.time(), full.counter()), (DtnTime(8), 0));
        assert_eq!(Hlc::new(DtnTime(1 << 48), 0), None);
    }
}
