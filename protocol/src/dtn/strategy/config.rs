//! What a host chooses from.

use super::{
    DirectDelivery, Epidemic, FloodingConfig, ManagedFlooding, Prophet, ProphetConfig, SprayAndWait,
    StaticRoute, Strategy,
};
use crate::id::NodeId;
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

/// How a node routes bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RoutingConfig {
    /// Schedule-aware bundle routing over the contact plan (CCSDS 734.3-B-1): one copy.
    #[default]
    Sabr,
    /// A table: one copy.
    Static(Vec<StaticRoute>),
    /// One copy, which waits at its source for the destination itself.
    DirectDelivery(SpreadSettings),
    /// A copy to everybody who is met and has none (Vahdat and Becker, "Epidemic routing for partially-connected ad hoc
    /// networks", Duke University CS-2000-06, 2000).
    Epidemic(SpreadSettings),
    /// At most so many copies (Spyropoulos et al., "Spray and wait", ACM WDTN 2005).
    SprayAndWait {
        /// How many copies of a bundle there are in all, 1 or more.
        copies: u32,
        /// Whether a neighbour gets half of the copies that are left, rather than one.
        binary: bool,
        /// What all strategies of copies have in common.
        settings: SpreadSettings,
    },
    /// A copy to those who are likelier to meet the destination (RFC 6693).
    Prophet {
        /// Its constants.
        config: ProphetConfig,
        /// What all strategies of copies have in common.
        settings: SpreadSettings,
    },
    /// Once to everybody who hears, unless somebody else was heard doing so: the rules of Meshtastic.
    ManagedFlooding {
        /// Role and timing.
        config: FloodingConfig,
        /// What all strategies of copies have in common.
        settings: SpreadSettings,
    },
}

impl RoutingConfig {
    /// The strategy of copies and its settings; `None` when bundles have one copy and a route.
    #[must_use]
    pub fn strategy(&self, id: NodeId) -> Option<(Box<dyn Strategy>, SpreadSettings)> {
        Some(match self {
            Self::Sabr | Self::Static(_) => return None,
            Self::DirectDelivery(settings) => (Box::new(DirectDelivery), *settings),
            Self::Epidemic(settings) => (Box::new(Epidemic), *settings),
            Self::SprayAndWait { copies, binary, settings } => {
                (Box::new(SprayAndWait::new(*copies, *binary)), *settings)
            }
            Self::Prophet { config, settings } => (Box::new(Prophet::new(id, *config)), *settings),
            Self::ManagedFlooding { config, settings } => {
                (Box::new(ManagedFlooding::new(*config)), *settings)
            }
        })
    }
}

/// Which bundle goes first to a neighbour, after those destined to it, within a priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendOrder {
    /// The one that came in first.
    #[default]
    Received,
    /// A new random order at each meeting (the default of The ONE simulator).
    Random,
}

/// What all strategies of copies have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpreadSettings {
    /// Which bundle goes first.
    pub order: SendOrder,
    /// Whether a node that gave a bundle to its destination keeps no copy. (The ONE's default is that it does.)
    pub delete_delivered: bool,
    /// Whether neighbours also tell each other what reached its destination. What the destination itself tells is deleted; of what others
    /// tell, they get no copies.
    pub purge_delivered: bool,
    /// How long to wait for a neighbour's summary before copies are offered without it.
    pub patience: Duration,
    /// Most bundle names in one summary message; a longer summary takes several.
    pub names_per_message: usize,
    /// Most names remembered of what one neighbour has. What lies beyond counts as not there: it is offered, and refused
    /// as a duplicate.
    pub max_names: usize,
    /// Most names of bundles that are remembered after they are gone, until they expire. When full, the one that expires
    /// first is forgotten: it may then be taken once more.
    pub max_remembered: usize,
    /// Most neighbours without a link of ours to them whose summaries are remembered; a summary of one more is refused.
    pub max_strangers: usize,
}

impl Default for SpreadSettings {
    fn default() -> Self {
        Self {
            order: SendOrder::Received,
            delete_delivered: true,
            purge_delivered: false,
            patience: Duration::from_secs(10),
            names_per_message: 256,
            max_names: 1 << 15,
            max_remembered: 1 << 15,
            max_strangers: 64,
        }
    }
}
