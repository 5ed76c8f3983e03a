//! Where things are: bodies, frames, trajectories of assets.

mod motion;

pub use motion::{
    Body, ElementKind, Elements, Geodetic, GroundTrack, Motion, OrbitModel, StateRow, Waypoint,
};
