//! Members of the fleet and their equipment.

use cosmosmesh_protocol::{bundle::Policy, id::NodeId, identity};

use crate::{
    astro::{Body, Motion},
    link::RadioSpec,
    units::{AssetIndex, Joules, SimTime, Watts},
};

/// One member of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// Unique in the scenario.
    pub name: String,
    /// What it is.
    pub kind: AssetKind,
    /// Its number in the `ipn` scheme, unique in the scenario, 1 or more.
    pub node: NodeId,
    /// Whose writes to shared state stand.
    pub role: AssetRole,
    /// How it moves.
    pub motion: Motion,
    /// Its radios; a contact's radio indices are positions in this list.
    pub radios: Vec<RadioSpec>,
    /// Its power system; `None`: power is no concern (a ground station on the grid).
    pub power: Option<PowerSpec>,
    /// Limits of its bundle store.
    pub storage: StorageSpec,
    /// Next hops, with static routing.
    pub routes: Vec<TableLine>,
    /// Who takes custody next.
    pub custodians: Vec<TableLine>,
    /// How bundles that come to it are judged.
    pub policy: Policy,
    /// Whether it knows the time of day.
    pub has_clock: bool,
    /// Its name in the `dtn` scheme, unique in the scenario.
    pub dtn_name: Option<String>,
}

/// A line of an asset's table: at most one for each destination, in order of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableLine {
    /// For bundles to this asset; another than that whose table it is.
    pub to: AssetIndex,
    /// They go to this asset, another than that whose table it is.
    pub via: AssetIndex,
}

/// The authority of an asset's writes to shared state, from the least to the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetRole {
    /// Holds a replica, and writes nothing.
    Observer,
    /// Writes for itself.
    Contributor,
    /// Decides where contributors write at once.
    Operator,
    /// Decides where operators do.
    Admin,
}

impl AssetRole {
    /// The fleet's own word for it, which the protocol's modules map to theirs.
    #[must_use]
    pub const fn identity(self) -> identity::Role {
        match self {
            Self::Observer => identity::Role::Observer,
            Self::Contributor => identity::Role::Contributor,
            Self::Operator => identity::Role::Operator,
            Self::Admin => identity::Role::Admin,
        }
    }

    /// What an asset is when nothing is said.
    #[must_use]
    pub const fn of(kind: AssetKind) -> Self {
        match kind {
            AssetKind::GroundStation => Self::Operator,
            AssetKind::Rover | AssetKind::Drone | AssetKind::Habitat | AssetKind::Satellite => {
                Self::Contributor
            }
        }
    }
}

/// What an asset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// Drives on a surface.
    Rover,
    /// Flies or hops over a surface.
    Drone,
    /// Stands on a surface.
    Habitat,
    /// Orbits a body.
    Satellite,
    /// A station on a surface, with antennas.
    GroundStation,
}

impl AssetKind {
    /// The kind as a scenario writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rover => "Rover",
            Self::Drone => "Drone",
            Self::Habitat => "Habitat",
            Self::Satellite => "Satellite",
            Self::GroundStation => "GroundStation",
        }
    }
}

/// A battery and what feeds and drains it, beside the radios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSpec {
    /// Energy in the full battery, more than zero.
    pub battery_capacity: Joules,
    /// State of charge at the epoch, 0 to 1.
    pub initial_charge: f64,
    /// What the panels give when the Sun is at the zenith of a surface asset, or unobscured at an orbiter, at the asset's
    /// place; 0 without panels.
    pub solar_peak: Watts,
    /// A constant source beside the panels (radioisotope generator); 0 without one.
    pub constant_source: Watts,
    /// What the asset draws with silent radios.
    pub base_load: Watts,
    /// State of charge below which the radios stay silent, 0 to below 1.
    pub min_charge: f64,
}

/// Limits of a bundle store: both hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSpec {
    /// Bytes of encoded bundles.
    pub bytes: u64,
    /// Number of bundles.
    pub bundles: u32,
    /// Time that making a batch of records durable takes.
    pub commit: SimTime,
    /// Whether bundles on their way through survive a crash.
    pub keeps_transit: bool,
}

/// Whether a body has a surface that an asset can stand on.
#[must_use]
pub const fn has_surface(body: Body) -> bool {
    match body {
        Body::Earth | Body::Moon | Body::Mars => true,
        Body::Sun => false,
    }
}
