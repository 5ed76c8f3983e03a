//! Assets that do harm.

use crate::units::{AssetIndex, SimTime};

/// An asset whose host is an adversary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adversary {
    /// Which.
    pub asset: AssetIndex,
    /// What it does, one after the other.
    pub attacks: Vec<Attack>,
    /// Whom it attacks, in turn.
    pub targets: Vec<AssetIndex>,
    /// Time between two attacks.
    pub interval: SimTime,
    /// When it begins.
    pub start: SimTime,
    /// When it ends.
    pub end: SimTime,
}

/// What an adversary does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// A member's name under another's key.
    ForgedSignature,
    /// A name that nobody knows.
    Stranger,
    /// A message of its own in a bundle of another's.
    NotTheSource,
    /// A message whose purpose was changed after it was signed.
    WrongPurpose,
    /// A captured bundle with one bit changed, its checksum made good or not.
    BitFlip,
    /// CBOR nested without end.
    Nested,
    /// The same message in another encoding.
    NonCanonical,
    /// An envelope that says to be longer than any may be.
    Oversize,
    /// Another algorithm.
    Downgrade,
    /// A critical header that nobody knows.
    UnknownCritical,
    /// A signature with s + L in place of s.
    HighScalar,
    /// The greatest number of a stream.
    SequenceJump,
    /// A captured bundle, again.
    Replay,
    /// Two payloads under one number.
    Equivocation,
    /// An order that its role does not allow.
    UnlawfulOrder,
    /// A certificate, and a succession, that its own key signed for another's name.
    KeySubstitution,
    /// A revocation list that its own key signed.
    ForgedRevocation,
    /// An acknowledgement in another's name.
    FalseAcknowledgement,
    /// A write to shared state in another's name.
    PoisonedState,
    /// Plan contributions that are no numbers.
    NotANumber,
    /// More messages than anybody wants, all of them signed.
    Flood,
    /// It takes what it should relay, and gives nothing on.
    Swallow,
}

impl Attack {
    /// Every attack.
    pub const ALL: [Self; 22] = [
        Self::ForgedSignature,
        Self::Stranger,
        Self::NotTheSource,
        Self::WrongPurpose,
        Self::BitFlip,
        Self::Nested,
        Self::NonCanonical,
        Self::Oversize,
        Self::Downgrade,
        Self::UnknownCritical,
        Self::HighScalar,
        Self::SequenceJump,
        Self::Replay,
        Self::Equivocation,
        Self::UnlawfulOrder,
        Self::KeySubstitution,
        Self::ForgedRevocation,
        Self::FalseAcknowledgement,
        Self::PoisonedState,
        Self::NotANumber,
        Self::Flood,
        Self::Swallow,
    ];

    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ForgedSignature => "forged_signature",
            Self::Stranger => "stranger",
            Self::NotTheSource => "not_the_source",
            Self::WrongPurpose => "wrong_purpose",
            Self::BitFlip => "bit_flip",
            Self::Nested => "nested",
            Self::NonCanonical => "non_canonical",
            Self::Oversize => "oversize",
            Self::Downgrade => "downgrade",
            Self::UnknownCritical => "unknown_critical",
            Self::HighScalar => "high_scalar",
            Self::SequenceJump => "sequence_jump",
            Self::Replay => "replay",
            Self::Equivocation => "equivocation",
            Self::UnlawfulOrder => "unlawful_order",
            Self::KeySubstitution => "key_substitution",
            Self::ForgedRevocation => "forged_revocation",
            Self::FalseAcknowledgement => "false_acknowledgement",
            Self::PoisonedState => "poisoned_state",
            Self::NotANumber => "not_a_number",
            Self::Flood => "flood",
            Self::Swallow => "swallow",
        }
    }
}
