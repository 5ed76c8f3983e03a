//! [`Action`]: what a member may want to do, one for each door of the node.

/// Something that a rule allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// To send telemetry and events here.
    Report = 0,
    /// To command this asset.
    Command = 1,
    /// To write to shared state, under its own name.
    Share = 2,
    /// To contribute to a plan.
    Contribute = 3,
    /// To coordinate a plan.
    Coordinate = 4,
    /// To change a schema.
    ChangeSchema = 5,
    /// To change the policy.
    ChangePolicy = 6,
    /// To read the log.
    ReadLog = 7,
    /// To sign others' checkpoints.
    Witness = 8,
}

impl Action {
    /// Every action, by number.
    pub const ALL: [Self; 9] = [
        Self::Report,
        Self::Command,
        Self::Share,
        Self::Contribute,
        Self::Coordinate,
        Self::ChangeSchema,
        Self::ChangePolicy,
        Self::ReadLog,
        Self::Witness,
    ];

    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Command => "command",
            Self::Share => "share",
            Self::Contribute => "contribute",
            Self::Coordinate => "coordinate",
            Self::ChangeSchema => "change-schema",
            Self::ChangePolicy => "change-policy",
            Self::ReadLog => "read-log",
            Self::Witness => "witness",
        }
    }

    /// The action of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }

    pub(super) const fn bit(self) -> u16 {
        1 << self as u8
    }
}
