//! Where an asset is.

use crate::astro::{Ephemeris, Trajectory};
use bevy_ecs::{component::Component, resource::Resource};
use std::sync::Arc;

/// How an asset moves; `None`: it has no place.
#[derive(Component, Clone, Debug)]
pub struct Mobility(pub Option<Arc<Trajectory>>);

/// The bodies, if any asset has a place among them.
#[derive(Resource, Clone, Debug)]
pub struct Sky(pub Option<Arc<Ephemeris>>);
