//! The fleet as an ECS world: assets are entities; motion, radios, power, storage and workload are components.

mod battery;
mod course;
mod lives;
mod mobility;
mod radio;
mod spawn;
mod systems;
mod workload;

pub use battery::Battery;
pub use course::{Course, CourseError, DirectedLink, Window, incarnation_entity, is_shared};
pub use lives::Lives;
pub use mobility::{Mobility, Sky};
pub use radio::{OpenWindow, QueuedFrame, Radio, RadioBank, Receivers};
pub use spawn::{Place, spawn};
pub use systems::{Pace, power_schedule};
pub use workload::{Flow, Workload, WriteFlow, Writing};
