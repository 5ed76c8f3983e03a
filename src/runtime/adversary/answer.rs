//! What an attack meets, and whether it should.

use crate::{
    engine::{Record, RecordKind},
    scenario::Attack,
    units::AssetIndex,
};

/// The answer that the records of one frame at `asset` show, and whether that is what should become of the attack.
#[must_use]
pub fn answer_of(attack: Attack, records: &[Record], asset: AssetIndex) -> (&'static str, bool) {
    let mut delivered = false;
    for record in records.iter().filter(|record| record.asset == asset) {
        match record.kind {
            RecordKind::InputRefused { reason } => return (reason, expects(attack, reason)),
            RecordKind::BundleDropped { reason, .. } => {
                return (reason.word(), expects(attack, reason.word()));
            }
            RecordKind::Delivered { .. } => delivered = true,
            _ => {}
        }
    }
    let answer = if delivered { "delivered" } else { "taken" };
    (answer, expects(attack, answer))
}

/// Whether an attack should be answered so. Whatever comes from a member whose key was taken back is refused for that, and what a member sends
/// beyond its share for that.
fn expects(attack: Attack, answer: &str) -> bool {
    if matches!(answer, "blocked_source" | "key_compromised" | "key_blocked" | "share_exceeded") {
        return true;
    }
    match attack {
        Attack::ForgedSignature
        | Attack::WrongPurpose
        | Attack::HighScalar
        | Attack::FalseAcknowledgement => answer == "bad_signature",
        Attack::Stranger => answer == "unknown_sender",
        Attack::NotTheSource => answer == "source_mismatch",
        // Which field the bit was in decides; that it was noticed is what counts.
        Attack::BitFlip => !matches!(answer, "delivered" | "taken"),
        Attack::Nested => answer == "malformed",
        Attack::Oversize => matches!(answer, "truncated" | "too_long"),
        Attack::NonCanonical => answer == "non_canonical",
        Attack::Downgrade => answer == "wrong_algorithm",
        Attack::UnknownCritical => answer == "unknown_critical",
        Attack::SequenceJump => answer == "sequence_too_far",
        Attack::Replay => matches!(answer, "duplicate" | "duplicate_bundle" | "replayed"),
        Attack::Equivocation => answer == "duplicate",
        Attack::UnlawfulOrder => answer == "denied",
        Attack::KeySubstitution => matches!(answer, "other_authority" | "succession_other_key"),
        Attack::ForgedRevocation => answer == "other_authority",
        Attack::PoisonedState => {
            matches!(answer, "denied" | "sync_not_member" | "sync_bad_signature" | "sync_unknown_actor")
        }
        Attack::NotANumber => matches!(answer, "denied" | "plan_malformed" | "plan_not_configured"),
        // A member may send; how much of it is taken is its share.
        Attack::Flood => matches!(answer, "delivered" | "taken" | "sequence_too_far"),
        Attack::Swallow => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_flood_is_to_be_delivered_or_taken() {
        for attack in Attack::ALL.into_iter().filter(|attack| *attack != Attack::Flood) {
            assert!(!expects(attack, "delivered"), "{}", attack.word());
            assert!(!expects(attack, "taken"), "{}", attack.word());
        }
    }

    #[test]
    fn words_tell_attacks_apart() {
        let words: std::collections::BTreeSet<&str> = Attack::ALL.into_iter().map(Attack::word).collect();
        assert_eq!(words.len(), Attack::ALL.len());
    }
}
