//! What survives a crash of an asset.

use bevy_ecs::component::Component;
use std::collections::BTreeMap;

/// The records that an asset keeps for its node.
#[derive(Component, Clone, Debug, Default)]
pub struct Storage {
    /// Records by key.
    pub kept: BTreeMap<Vec<u8>, Vec<u8>>,
}
