//! Scenario files: what was typed (raw), and what it means (checked).
//!
//! ```
//! use cosmosmesh::scenario::Scenario;
//!
//! let wrong = Scenario::parse("wrong.ron", "(version: 1, nam: \"x\")").unwrap_err();
//! assert_eq!(wrong.list()[0].suggestion.as_deref(), None);
//! ```

mod check;
mod checked;
mod decode;
mod diagnostic;
mod load;
mod quantity;
mod raw;
mod source;
mod syntax;

pub use checked::{
    Arrivals, Asset, AssetKind, Better, ContactSource, CrcKind, Fault, LinkSelector, PlanParticipant,
    PlanSpec, PlanTerm, PowerSpec, Priority, ProtocolSettings, Retransmission, Scenario, SharedState,
    StorageSpec, Tolerance, Traffic, WriteMix, has_surface,
};
pub use decode::{FieldRow, Shape};
pub use diagnostic::{Diagnostic, Diagnostics, Mistake};
pub use raw::shapes;
pub use source::MAX_FILE_BYTES;
