//! From a course to entities.

use super::{Battery, Course, Mobility, RadioBank, Receivers, Sky, Workload};
use crate::{
    engine::{Stream, pair},
    units::AssetIndex,
};
use bevy_ecs::{component::Component, entity::Entity, world::World};

/// Which asset an entity is: entities are not in the order of assets.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub AssetIndex);

/// A world with one entity for each asset; returns them in the assets' order.
#[must_use]
pub fn spawn(course: &Course) -> (World, Vec<Entity>) {
    let mut world = World::new();
    world.insert_resource(Sky(course.ephemeris.clone()));
    let scenario = &course.scenario;
    let mut entities = Vec::with_capacity(scenario.assets.len());
    for (number, asset) in scenario.assets.iter().enumerate() {
        let index = AssetIndex(number as u32);
        let backoff = |radio| course.streams.stream(Stream::Backoff, pair(index.0, radio));
        let components = (
            Place(index),
            Mobility(course.trajectories[number].clone()),
            RadioBank::new(asset, &scenario.classes, backoff),
            Receivers::default(),
            Battery::new(asset.power),
            Workload::new(scenario, index, &course.streams),
        );
        entities.push(world.spawn(components).id());
    }
    (world, entities)
}
