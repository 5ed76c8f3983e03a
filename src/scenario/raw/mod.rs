//! What a scenario file may hold, as it is written. Each field states its default and meaning for docs/SCENARIOS.md.

mod adversary;
mod assets;
mod contacts;
mod faults;
mod governance;
mod links;
mod metrics;
mod motion;
mod plan;
mod protocol;
mod traffic;
mod trust;

use super::{
    decode::{List, Spanned, record},
    quantity::Duration,
};

pub(crate) use adversary::{RawAdversary, RawAttack};
pub(crate) use assets::{
    RawAsset, RawClock, RawHosts, RawKind, RawKit, RawPower, RawRadio, RawRole, RawRoute, RawStorage,
    RawTransit,
};
pub(crate) use contacts::{RawContacts, RawImported, RawPlanFormat};
pub(crate) use faults::{
    RawAssetDown, RawBetween, RawDisk, RawExtraLoss, RawFault, RawLinkDown, RawLinks, RawOf, RawOfClass,
};
pub(crate) use governance::{
    RawDecision, RawDiscovery, RawGovernance, RawNewPolicy, RawNewSchema, RawProposal, RawSealedGroup,
    RawSealedPurpose, RawSealing, RawVote, RawWho,
};
pub(crate) use links::{
    RawAccess, RawBudget, RawBurstLoss, RawCapacity, RawClass, RawConvergence, RawCrosslinks, RawFixed,
    RawLora, RawLtp, RawPreset, RawTransfers,
};
pub(crate) use metrics::{RawBetter, RawTolerance};
pub(crate) use motion::{
    RawBody, RawElementSet, RawElements, RawModel, RawMotion, RawOem, RawOmm, RawOrbit, RawSite, RawTle,
    RawTrack, RawWaypoint,
};
pub(crate) use plan::{
    RawConstraint, RawEnvelope, RawExclusion, RawMasks, RawNoise, RawParticipant, RawPlan, RawPrivacy,
    RawRelation, RawReserve, RawRolling, RawSharedBudget, RawSlots, RawSolver, RawTerm, RawTotal,
    RawWeighted, RawWhenSpent,
};
pub(crate) use protocol::{
    RawBundleSecurity, RawCompression, RawCrc, RawCustody, RawDatagrams, RawFlooding, RawForeknowledge,
    RawLifetimes, RawMedium, RawPolicy, RawProtocol, RawRateLimit, RawRetransmission, RawRouting,
    RawSendOrder, RawService, RawSpray, RawSpread, RawStatusReports,
};
pub(crate) use traffic::{
    RawArrivals, RawContent, RawMessageKind, RawMessages, RawMix, RawPeriodic, RawPoisson, RawPriority,
    RawReport, RawSchema, RawSharedState, RawTraffic,
};
pub(crate) use trust::{RawCause, RawEffect, RawGrant, RawRevocation, RawRule, RawTrust};

type Optional<T> = Option<Spanned<T>>;

record! {
    /// A scenario file.
    RawScenario "Scenario" {
        version: Spanned<u32>, "", "Version of the format: 1.";
        name: Spanned<String>, "", "A word of letters, digits, `-` and `_` that names the scenario.";
        description: Optional<String>, "empty", "What it shows.";
        epoch: Spanned<String>, "", "The UTC moment at which simulated time is zero, `\"2026-11-01T00:00:00Z\"`.";
        duration: Spanned<Duration>, "", "How much time is simulated, more than zero.";
        seed: Optional<u64>, "1", "The seed of every random stream.";
        includes: Option<List<String>>, "none", "Files with parts (record Part), relative to this file and inside its folder.";
        classes: Option<List<RawClass>>, "none", "Kinds of link.";
        kits: Option<List<RawKit>>, "none", "Equipment that several assets share.";
        assets: Option<List<RawAsset>>, "none", "The fleet; at least one asset, parts and hosts included.";
        hosts: Option<List<RawHosts>>, "none", "Series of like assets without a place, added to the fleet.";
        contacts: Optional<RawContacts>, "Computed", "Where contacts come from.";
        protocol: Optional<RawProtocol>, "all defaults", "How every node's protocol stack is set.";
        traffic: Option<List<RawTraffic>>, "none", "Application messages.";
        messages: Optional<RawMessages>, "none", "Application messages that a file lists.";
        shared_state: Optional<RawSharedState>, "none", "Replicated state.";
        planning: Optional<RawPlan>, "none", "The federated plan.";
        trust: Optional<RawTrust>, "none", "Certificates, access control and the log.";
        adversaries: Option<List<RawAdversary>>, "none", "Assets that do harm.";
        governance: Optional<RawGovernance>, "none", "Decisions by quorum of the fleet's voters; with `trust`.";
        discovery: Optional<RawDiscovery>, "none", "Gossip with neighbours about who is there.";
        sealing: Optional<RawSealing>, "none", "Confidentiality of the application's messages.";
        faults: Option<List<RawFault>>, "none", "What breaks, and when.";
        metrics: Option<List<RawTolerance>>, "none", "How far metrics may be from a baseline.";
    }
}

record! {
    /// A file that scenarios include.
    RawPart "Part" {
        version: Spanned<u32>, "", "Version of the format: 1.";
        includes: Option<List<String>>, "none", "More parts, relative to this file.";
        classes: Option<List<RawClass>>, "none", "Kinds of link, added to the scenario's.";
        kits: Option<List<RawKit>>, "none", "Equipment, added to the scenario's.";
        assets: Option<List<RawAsset>>, "none", "Assets, added to the scenario's.";
    }
}
