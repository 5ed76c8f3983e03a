//! [`Role`]: what a member is trusted with.

use core::fmt;

/// First number of the roles that a fleet defines itself.
const OWN: u8 = 16;

/// As what a member acts. What a role may do is the policy's to say (`access`); a certificate says who has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads what is for everybody.
    #[default]
    Observer,
    /// Sends what it measures, takes part in plans and in shared state.
    Contributor,
    /// Commands assets, too.
    Operator,
    /// Changes policy, schemas and membership, too.
    Admin,
    /// A role of the fleet's own, 16 to 255: its policy names it.
    Own(OwnRole),
}

/// The number of a role of the fleet's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnRole(u8);

impl OwnRole {
    /// The fleet's own role with this number, counted from 0 to 239.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        match OWN.checked_add(index) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Which one it is, counted from 0.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0 - OWN
    }
}

impl Role {
    /// The roles that every fleet has.
    pub const BUILT_IN: [Self; 4] = [Self::Observer, Self::Contributor, Self::Operator, Self::Admin];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Observer => 0,
            Self::Contributor => 1,
            Self::Operator => 2,
            Self::Admin => 3,
            Self::Own(own) => own.0,
        }
    }

    /// The role with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Observer),
            1 => Some(Self::Contributor),
            2 => Some(Self::Operator),
            3 => Some(Self::Admin),
            own => u8::try_from(own).ok().filter(|own| *own >= OWN).map(|own| Self::Own(OwnRole(own))),
        }
    }

    /// A stable word for the built-in roles.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Observer => Some("observer"),
            Self::Contributor => Some("contributor"),
            Self::Operator => Some("operator"),
            Self::Admin => Some("admin"),
            Self::Own(_) => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(own) => write!(f, "role-{}", own.0),
            built_in => f.write_str(built_in.word().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_its_number_and_gaps_are_no_roles() {
        for number in 0..=255 {
            let role = Role::from_number(number);
            assert_eq!(role.is_some(), !(4..16).contains(&number), "{number}");
            assert!(role.is_none_or(|role| u64::from(role.number()) == number));
        }
        assert_eq!(Role::from_number(256), None);
        assert_eq!(OwnRole::new(239).map(OwnRole::index), Some(239));
        assert_eq!(OwnRole::new(240), None);
    }
}
