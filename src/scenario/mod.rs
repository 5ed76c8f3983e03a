//! Scenario files: what was typed (raw), and what it means (checked).

mod checked;

pub use checked::{
    Arrivals, Asset, AssetKind, Better, ContactSource, CrcKind, Fault, LinkSelector, PlanParticipant,
    PlanSpec, PlanTerm, PowerSpec, Priority, ProtocolSettings, Retransmission, Scenario, SharedState,
    StorageSpec, Tolerance, Traffic, WriteMix, has_surface,
};
