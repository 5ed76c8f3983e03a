//! What a scenario means, checked: [`Scenario`]. Nothing behind [`Scenario::load`](crate::scenario::Scenario::load) checks again.

mod adversary;
mod assets;
mod contacts;
mod faults;
mod governance;
mod metrics;
mod plan;
mod protocol;
mod traffic;
mod trust;

use crate::{
    astro::Epoch,
    link::LinkClass,
    units::{AssetIndex, SimTime},
};

pub use adversary::{Adversary, Attack};
pub use assets::{Asset, AssetKind, AssetRole, PowerSpec, StorageSpec, TableLine, has_surface};
pub use contacts::ContactSource;
pub use faults::{Fault, LinkSelector};
pub use governance::{Decision, DiscoverySpec, GovernanceSpec, Proposal, SealingSpec, Vote};
pub use metrics::{Better, Tolerance};
pub use plan::{
    ConstraintKind, MaskSpec, NoiseSpec, PlanConstraint, PlanParticipant, PlanRelation, PlanReserve,
    PlanSpec, PlanTerm, PrivacySpec, Rolling,
};
pub use protocol::{CrcKind, CustodySpec, Priority, ProtocolSettings, Retransmission, Routing, Service};
pub use traffic::{
    Arrivals, ListedMessage, Messages, PayloadContent, Publication, RECORDS, SharedState, Traffic, WriteMix,
};
pub use trust::{Grant, Revocation, TrustSpec};

/// A fleet, its surroundings and its tasks.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A word that names it; run folders and baselines carry it.
    pub name: String,
    /// What it shows, in a sentence or two; may be empty.
    pub description: String,
    /// The moment at which simulated time is zero.
    pub epoch: Epoch,
    /// How much time is simulated, more than zero.
    pub duration: SimTime,
    /// The seed that every random stream is split from.
    pub seed: u64,
    /// At least one, in order of their node numbers: an [`AssetIndex`] is a position in this list.
    pub assets: Vec<Asset>,
    /// Kinds of link; `RadioSpec::class` is a position in this list.
    pub classes: Vec<LinkClass>,
    /// Where contacts come from.
    pub contacts: ContactSource,
    /// How every node's protocol stack is set.
    pub protocol: ProtocolSettings,
    /// Application messages.
    pub traffic: Vec<Traffic>,
    /// Application messages that a file lists.
    pub messages: Option<Messages>,
    /// Replicated state.
    pub shared_state: Option<SharedState>,
    /// The federated plan.
    pub planning: Option<PlanSpec>,
    /// Certificates, access control and the log.
    pub trust: Option<TrustSpec>,
    /// Assets that do harm.
    pub adversaries: Vec<Adversary>,
    /// Decisions by quorum.
    pub governance: Option<GovernanceSpec>,
    /// Gossip with neighbours.
    pub discovery: Option<DiscoverySpec>,
    /// Confidentiality.
    pub sealing: Option<SealingSpec>,
    /// What breaks, and when.
    pub faults: Vec<Fault>,
    /// How far metrics may be from a baseline, in the order of the file.
    pub metrics: Vec<Tolerance>,
    /// SHA-256 over the sources: the scenario file and all that it includes or imports, in the order in which they were read.
    pub hash: [u8; 32],
}

impl Scenario {
    /// Whether an asset's host is an adversary.
    #[must_use]
    pub fn is_adversary(&self, asset: AssetIndex) -> bool {
        self.adversaries.iter().any(|adversary| adversary.asset == asset)
    }

    /// The asset at `index`.
    #[must_use]
    pub fn asset(&self, index: AssetIndex) -> &Asset {
        &self.assets[index.get()]
    }

    /// Whether a radio of `class` on `from` may talk to one on `to`, if they see each other.
    #[must_use]
    pub fn may_talk(&self, class: usize, from: AssetIndex, to: AssetIndex) -> bool {
        let satellite = |index| self.asset(index).kind == AssetKind::Satellite;
        self.classes[class].crosslinks || !satellite(from) || !satellite(to)
    }

    /// The asset of this name.
    #[must_use]
    pub fn asset_named(&self, name: &str) -> Option<AssetIndex> {
        self.assets.iter().position(|asset| asset.name == name).map(|at| AssetIndex(at as u32))
    }

    /// The indices of all assets, in order.
    pub fn asset_indices(&self) -> impl Iterator<Item = AssetIndex> + use<> {
        (0..self.assets.len() as u32).map(AssetIndex)
    }
}
