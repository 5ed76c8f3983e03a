//! What breaks, and when.

use crate::units::{AssetIndex, SimTime};

/// What breaks, and when. Times are within the run; `end` is later than `start`.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Frames in flight or started within it are lost, and the ends see the link go down.
    LinkDown {
        /// Which links.
        links: LinkSelector,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
    },
    /// The asset is off. It loses volatile state and restarts with what was persisted.
    AssetDown {
        /// Which asset.
        asset: AssetIndex,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
        /// Whether what it persisted is lost too.
        disk_lost: bool,
    },
    /// Frames are lost beyond what their class says.
    ExtraLoss {
        /// Which links.
        links: LinkSelector,
        /// Probability that a frame is lost, above 0, up to 1.
        probability: f64,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
    },
}

/// Which links a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSelector {
    /// Both directions between two assets.
    Between(AssetIndex, AssetIndex),
    /// Every link of one asset.
    Of(AssetIndex),
    /// Every link of one class (index into the scenario's classes).
    Class(usize),
}
