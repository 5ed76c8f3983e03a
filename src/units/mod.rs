//! Simulated time and physical quantities. SI inside; conversion happens at the scenario's edge.

mod quantity;
mod sim_time;

pub use quantity::{BitsPerSecond, Decibels, Hertz, Joules, Meters, Watts};
pub use sim_time::SimTime;

/// An asset's place in the dense, `NodeId`-ordered list of a scenario's assets, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetIndex(pub u32);

impl AssetIndex {
    /// The index as a slice subscript.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}
