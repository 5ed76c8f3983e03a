//! The fleet's planning problem as open problems on an undirected wiring diagram, for the tools of applied category theory.
//!
//! A [`Composite`] has boxes that hold quadratic programmes, junctions that are shared quantities, and ports that attach a box
//! to a junction by a *restriction map*: a linear form of the box's variables. The boxes and their maps are a cellular sheaf
//! on the diagram, and a choice of values for every box is a consensus exactly when its coboundary is zero
//! ([`Composite::coboundary`]). The composite problem is to minimise the sum of the boxes' costs over the zero-coboundary
//! choices; solved centrally ([`Composite::optimum`]) it is what the federated solvers approach.
//!
//! Sources: T. Hanks, M. Klawonn, E. Patterson, M. Hale, J. Fairbanks, "A Compositional Framework for First-Order
//! Optimization" (2024), for open problems composed by wiring diagrams; T. Hanks et al., "Distributed Multi-Agent Coordination
//! over Cellular Sheaves" (2025), for restriction maps; Catlab's `SchRelationDiagram` and the JSON of ACSets.jl for the
//! diagram; `MathOptFormat` 1.x (Legat, Dowson, Garcia, Lubin, 2022) for the boxes.

mod acset;
mod composite;
mod error;
mod fleet;
mod folder;
mod mathopt;
mod program;
mod sheaf;

pub use composite::{Composite, Content, Junction, OpenBox, Port, Restriction};
pub use error::CatoptError;
pub use fleet::{FLEET_BOX, FleetForm, FleetRow};
pub use folder::{read, write};
pub use program::{NamedRow, QuadraticProgram};
pub use sheaf::{Assignment, CompositeOptimum};
