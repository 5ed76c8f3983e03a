//! Routing strategies: who gets a bundle next.
//!
//! [`RoutingConfig`] is what a host chooses from. Two of its members keep one copy of a bundle and put it on one neighbour's
//! queue: SABR (by the contact plan, [`super::routing`]) and [`StaticRoutes`]. The others give copies to whom they meet:
//! each is a [`Strategy`], and [`Spread`] does for all of them what they have in common: who has what, what goes first,
//! what is refused, and the bounds.

mod config;
mod direct;
mod epidemic;
mod flooding;
mod memory;
mod neighbour;
mod probability;
mod prophet;
mod spray;
mod spread;
mod static_routes;
mod summary;

pub use config::{RoutingConfig, SendOrder, SpreadSettings};
pub use direct::DirectDelivery;
pub use epidemic::Epidemic;
pub use flooding::{FloodingConfig, ManagedFlooding, Role};
pub use memory::Memory;
pub use probability::Probability;
pub use prophet::{Forwarding, Prophet, ProphetConfig};
pub use spray::{COPIES_BLOCK, SprayAndWait, copies_data, read_copies};
pub use spread::{Carried, Fate, Spread};
pub use static_routes::{StaticRoute, StaticRoutes};
pub use summary::{Summary, SummaryError};

use crate::{id::NodeId, time::Instant};
use alloc::vec::Vec;
use core::time::Duration;

/// What a strategy of copies decides. It is pure: time, and chance as a number, are arguments.
///
/// A bundle that is destined to a neighbour is offered to it under every strategy.
pub trait Strategy: core::fmt::Debug + Send + Sync {
    /// Whether anybody but the destination is ever offered a copy.
    fn spreads(&self) -> bool {
        true
    }

    /// Whether neighbours tell each other what they have before they give copies.
    fn exchanges(&self) -> bool {
        true
    }

    /// With how many copies a bundle starts at its source, 1 or more.
    fn initial_copies(&self) -> u32 {
        1
    }

    /// A link to `peer` came up.
    fn on_encounter(&mut self, _now: Instant, _peer: NodeId) {}

    /// The last link to `peer` went down.
    fn on_parting(&mut self, _peer: NodeId) {}

    /// Delivery predictabilities that a neighbour is told, ascending by node, at most `max`.
    fn predictabilities(&mut self, _now: Instant, _max: usize) -> Vec<(NodeId, Probability)> {
        Vec::new()
    }

    /// What `peer` tells of its delivery predictabilities.
    fn on_predictabilities(&mut self, _now: Instant, _peer: NodeId, _told: &[(NodeId, Probability)]) {}

    /// Whether `peer`, who is not the destination and does not have the bundle, should get a copy.
    fn offers(&self, peer: NodeId, carried: &Carried) -> bool;

    /// How many of its `copies` a bundle takes along to a neighbour; the rest stays.
    fn gives(&self, _copies: u32) -> u32 {
        0
    }

    /// For strategies that send a bundle once to all who hear: how long to wait first. `snr_db`: how strongly the neighbour is heard that
    /// it came from, if that is known. `draw`: uniform over its range.
    fn broadcast_delay(&self, _own: bool, _snr_db: Option<i8>, _draw: u32) -> Broadcast {
        Broadcast::Never
    }

    /// A bundle that waits to be sent on was heard from another neighbour.
    fn on_overheard(&self, _draw: u32) -> Overheard {
        Overheard::Ignore
    }

    /// Whether the strategy sends once to all who hear, instead of offering copies over time.
    fn broadcasts(&self) -> bool {
        false
    }

    /// Whether every neighbour in range hears what goes to one of them.
    fn shares_channel(&self) -> bool {
        false
    }
}

/// When a bundle is sent to all who hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// Not at all.
    Never,
    /// After this time.
    After(Duration),
}

/// What to do with a bundle that waits to be sent on when another neighbour was heard sending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overheard {
    /// Send it all the same.
    Ignore,
    /// Do not send it any more.
    Suppress,
    /// Send it, but only this long from now.
    Postpone(Duration),
}

#[cfg(test)]
mod tests;
