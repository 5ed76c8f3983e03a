//! Assets that do harm.

use super::Optional;
use crate::scenario::{
    decode::{Spanned, choice, record},
    quantity::Duration,
};

record! {
    /// An asset whose host is an adversary: it has the asset's key and radios, and puts on air what it likes.
    RawAdversary "Adversary" {
        asset: Spanned<String>, "", "Which asset. Its node keeps no log and takes no part in shared state or plans; what it relays it relays honestly, unless it swallows.";
        attacks: Spanned<Vec<Spanned<RawAttack>>>, "", "What it does, one after the other.";
        at: Optional<Vec<Spanned<String>>>, "every asset that is no adversary", "Whom it attacks, in turn: names or `\"@group\"`. An attack waits while there is no link to its target.";
        interval: Spanned<Duration>, "", "Time between two attacks, more than zero.";
        start: Optional<Duration>, "0 s", "It begins, within the run.";
        end: Optional<Duration>, "the run's end", "It ends, later than it begins, within the run.";
    }
}

choice! {
    /// What an adversary does; docs/SECURITY.md says what each meets.
    RawAttack "Attack" {
        ForgedSignature, Stranger, NotTheSource, WrongPurpose, BitFlip, Nested, NonCanonical, Oversize, Downgrade, UnknownCritical, HighScalar, SequenceJump, Replay, Equivocation, UnlawfulOrder, KeySubstitution, ForgedRevocation, FalseAcknowledgement, PoisonedState, NotANumber, Flood, Swallow
    }
}
