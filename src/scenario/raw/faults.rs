//! What breaks.

use super::Optional;
use crate::scenario::{
    decode::{Spanned, choice, record},
    quantity::Duration,
};

choice! {
    /// What breaks.
    RawFault "Fault" { LinkDown(RawLinkDown), AssetDown(RawAssetDown), ExtraLoss(RawExtraLoss) }
}

record! {
    /// Links out of order.
    RawLinkDown "LinkDown" {
        links: Spanned<RawLinks>, "", "Which links.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
    }
}

record! {
    /// An asset out of order.
    RawAssetDown "AssetDown" {
        asset: Spanned<String>, "", "Which asset. It loses volatile state and restarts with what it persisted.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
        disk: Optional<RawDisk>, "Kept", "What becomes of what it persisted.";
    }
}

choice! {
    /// A disk: as it was, or with nothing on it. What a log held that is lost, the run keeps for the audit.
    RawDisk "Disk" { Kept, Lost }
}

record! {
    /// Frames lost beyond what their class says.
    RawExtraLoss "ExtraLoss" {
        links: Spanned<RawLinks>, "", "Which links.";
        probability: Spanned<f64>, "", "Probability that a frame is lost, above 0 to 1.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
    }
}

choice! {
    /// Which links a fault concerns.
    RawLinks "Links" { Between(RawBetween), Of(RawOf), Class(RawOfClass) }
}

record! {
    /// Both directions between two assets.
    RawBetween "Between" {
        a: Spanned<String>, "", "One asset.";
        b: Spanned<String>, "", "Another asset.";
    }
}

record! {
    /// Every link of an asset.
    RawOf "Of" {
        asset: Spanned<String>, "", "The asset.";
    }
}

record! {
    /// Every link of a class.
    RawOfClass "OfClass" {
        class: Spanned<String>, "", "The class.";
    }
}
