//! Scenario files: what was typed (raw), and what it means (checked).
//!
//! ```
//! use cosmosmesh::scenario::Scenario;
//!
//! let wrong = Scenario::parse("wrong.ron", "(version: 1,\n nam: \"x\")").unwrap_err();
//! let told = wrong.list().iter().find(|mistake| mistake.field == "nam").unwrap();
//! assert_eq!((told.line, told.column, told.suggestion.as_deref()), (2, 2, Some("`name`")));
//! ```

mod check;
mod checked;
mod decode;
mod diagnostic;
mod load;
mod quantity;
mod raw;
mod shapes;
mod source;
mod syntax;

pub use checked::{
    Adversary, Arrivals, Asset, AssetKind, AssetRole, Attack, Better, ConstraintKind, ContactSource, CrcKind,
    CustodySpec, Decision, DiscoverySpec, Fault, GovernanceSpec, Grant, LinkSelector, ListedMessage,
    MaskSpec, Messages, NoiseSpec, PayloadContent, PlanConstraint, PlanParticipant, PlanRelation,
    PlanReserve, PlanSpec, PlanTerm, PowerSpec, Priority, PrivacySpec, Proposal, ProtocolSettings,
    Publication, RECORDS, Retransmission, Revocation, Rolling, Routing, Scenario, SealingSpec, Service,
    SharedState, StorageSpec, TableLine, Tolerance, Traffic, TrustSpec, Vote, WriteMix, has_surface,
};
pub use decode::{FieldRow, Shape};
pub use diagnostic::{Diagnostic, Diagnostics, Mistake};
pub use quantity::parse_duration;
pub use shapes::shapes;
pub use source::MAX_FILE_BYTES;
