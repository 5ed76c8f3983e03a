//! Where contacts come from.

use super::Optional;
use crate::scenario::decode::{Spanned, choice, record};

choice! {
    /// Where contacts come from.
    RawContacts "Contacts" { Computed, Imported(RawImported) }
}

record! {
    /// An imported contact plan.
    RawImported "Imported" {
        file: Spanned<String>, "", "The plan, relative to this file and inside its folder. Its node numbers are the assets'.";
        format: Spanned<RawPlanFormat>, "", "The plan's format. `One`: a trace of connections of The ONE, whose rates are those of the radios' class.";
        offset: Optional<u64>, "0", "What is added to the file's node numbers: assets' begin at 1.";
    }
}

choice! {
    /// Formats of contact plans.
    RawPlanFormat "PlanFormat" { Ion, Hdtn, Asabr, One }
}
