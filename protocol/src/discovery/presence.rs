//! [`Presence`]: what is believed of a member, and [`Expectation`]: what the contact plan lets one expect.

use crate::time::Instant;

/// What the contact plan says about a word of a member, directly or by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It should be heard now, and gossip with it.
    Heard,
    /// It should be heard now, by a contact that is too slow for gossip.
    Slow {
        /// When that contact began; `None`: the plan does not know it.
        since: Option<Instant>,
    },
    /// It is silent, as planned, until then; `None`: the plan knows no further contact.
    Silent {
        /// Until when.
        until: Option<Instant>,
        /// When its last contact to here began, of those that the plan knows.
        last: Option<Instant>,
    },
}

/// What is believed of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was never heard of.
    Unknown,
    /// It is there: gossip says so, or it was heard in its last contact.
    Alive,
    /// It should have answered, and has some time left to.
    Suspect,
    /// It is out of contact, as planned: there is nothing to suspect.
    Silent {
        /// When it is expected again, if the plan tells.
        until: Option<Instant>,
    },
    /// It did not answer in time.
    Down,
    /// Nothing of it is taken.
    Blocked,
}

impl Presence {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Silent { .. } => "silent",
            Self::Down => "down",
            Self::Blocked => "blocked",
        }
    }
}
