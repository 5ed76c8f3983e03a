//! How a node is set up.

use super::{
    CustodySettings, ReassemblySettings, StatusReportSettings, discovery::DiscoveryConfig,
    governance::GovernanceConfig, plan::Requests, sealing::SealingConfig, security::BundleSecurity,
    trust::TrustConfig,
};
use crate::{
    bundle::{CrcKind, Policy},
    delivery::RateLimit,
    dtn::{store::StoreLimits, strategy::RoutingConfig},
    id::NodeId,
    identity::Directory,
    planning::{
        Couplings, LocalProblem,
        privacy::noise::NoiseSettings,
        secure::{Enrolment, EpochSeed},
        solver::{MethodSettings, Pace},
    },
    sync::{Roles, SyncLimits},
};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

/// Everything that a node is told before it starts.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its number.
    pub id: NodeId,
    /// The members of the fleet and their keys, this node included.
    pub directory: Arc<Directory>,
    /// How bundles are routed.
    pub routing: RoutingConfig,
    /// Limits of the bundle store.
    pub store: StoreLimits,
    /// Whether bundles on their way through are kept, so that they survive a crash. Its own messages always are.
    pub keep_bundles: bool,
    /// Largest number of hops for its bundles, 1 to 255.
    pub hop_limit: u8,
    /// Check value on its bundles' blocks.
    pub crc: CrcKind,
    /// Most unacknowledged messages in a stream, and longest gap that a receiver buffers; at most [`crate::delivery::MAX_WINDOW`].
    pub window: u64,
    /// How fast applications may submit messages; none for as fast as streams and store take them.
    pub submission_rate: Option<RateLimit>,
    /// Width of the replay window for control messages.
    pub replay_window: u32,
    /// Largest payload of a message in bytes.
    pub max_payload: usize,
    /// End-to-end retransmission.
    pub retransmission: Retransmission,
    /// Bundles that a planned contact did not carry are routed again after this time.
    pub reroute_after: Duration,
    /// How much later than the earliest arrival a remembered route may arrive.
    pub route_slack: Duration,
    /// Lifetime of acknowledgements.
    pub control_lifetime: Duration,
    /// Bundle security, if this node signs or checks bundles. Envelopes are signed in any case.
    pub security: Option<BundleSecurity>,
    /// Bundles without envelopes, and those of other DTNs.
    pub bundles: BundleSettings,
    /// Whether bundles are taken whose payload is counted and not carried: in studies of routing only.
    pub counted_payloads: bool,
    /// Whether messages of applications must be records of the contract of their purpose. What comes and is none that this node
    /// can read is counted, and not handed to the application.
    pub contracts: bool,
    /// Replicated state, if this node is a member.
    pub shared_state: Option<SharedStateConfig>,
    /// The federated plan, if this node takes part.
    pub plan: Option<PlanConfig>,
    /// Certificates, access control and the log; none: whoever is in the directory is trusted with everything.
    pub trust: Option<TrustConfig>,
    /// The fleet's own decisions; none: nobody decides anything.
    pub governance: Option<GovernanceConfig>,
    /// What is sealed, and for whom; none: nothing.
    pub sealing: Option<SealingConfig>,
    /// Gossip with neighbours about who is there; none: no gossip.
    pub discovery: Option<DiscoveryConfig>,
}

impl NodeConfig {
    /// A node that can be changed field by field from here: schedule-aware routing, 64 MiB of bundles, a retransmission timer of 10 s,
    /// no shared state and no plan.
    #[must_use]
    pub fn new(id: NodeId, directory: Arc<Directory>) -> Self {
        Self {
            id,
            directory,
            routing: RoutingConfig::default(),
            store: StoreLimits { bytes: 64 << 20, count: 65_536 },
            keep_bundles: true,
            hop_limit: 16,
            crc: CrcKind::Castagnoli,
            window: 4096,
            submission_rate: None,
            replay_window: 1024,
            max_payload: 65_536,
            retransmission: Retransmission {
                max_attempts: 8,
                min_timeout: Duration::from_secs(10),
                ack_delay: Duration::from_secs(2),
                margin_percent: 150,
            },
            reroute_after: Duration::from_secs(60),
            route_slack: Duration::from_secs(60),
            control_lifetime: Duration::from_secs(86_400),
            security: None,
            bundles: BundleSettings::default(),
            counted_payloads: false,
            contracts: false,
            shared_state: None,
            plan: None,
            trust: None,
            governance: None,
            sealing: None,
            discovery: None,
        }
    }
}

/// Bundles without envelopes: names, services, and what foreign peers may ask. The default suits a fleet of this node's own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSettings {
    /// This node's names in the `dtn` scheme: `name` of `dtn://name/`.
    pub names: Vec<Box<str>>,
    /// The numbers under which the contact plan knows nodes of the `dtn` scheme, by such names.
    pub nodes: BTreeMap<Box<str>, NodeId>,
    /// Service numbers at which applications take bundles; `None`: at every one above 1.
    pub services: Option<Vec<u64>>,
    /// How bundles are judged: those from peers that `policies` does not name.
    pub policy: Policy,
    /// How bundles from some peers are judged instead.
    pub policies: BTreeMap<NodeId, Policy>,
    /// Largest payload of an application's bundle in bytes.
    pub max_payload: usize,
    /// What comes lives no longer here than this, whatever it says of itself: else a stranger could fill store and memories for good.
    /// What claims to be made by more than this in the future is dropped.
    pub max_lifetime: Duration,
    /// Most names of delivered bundles that are remembered until they expire. With so many, no more are delivered. Of these, one
    /// neighbour's bundles take at most half, one source's a quarter, and those that live for more than a day half of each.
    pub max_remembered: usize,
    /// What fragments may occupy.
    pub reassembly: ReassemblySettings,
    /// Status reports on request; `None`: none.
    pub status_reports: Option<StatusReportSettings>,
    /// Bundles that do not fit into the rest of a contact, or into a transfer, leave in parts of at least this many bytes of payload;
    /// `None`: they wait.
    pub min_fragment: Option<usize>,
    /// Custody of bundles, and tunnels; `None`: neither.
    pub custody: Option<CustodySettings>,
    /// Compression of this node's own bundles, for addressees of its own kind; `None`: none. Compressed bundles are always read.
    pub compression: Option<CompressionSettings>,
}

/// When payloads are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionSettings {
    /// Shorter ones are not, in bytes.
    pub min_payload: usize,
    /// What must be gained, in percent of the payload.
    pub margin_percent: u8,
}

impl Default for CompressionSettings {
    fn default() -> Self {
        Self { min_payload: 256, margin_percent: 10 }
    }
}

impl Default for BundleSettings {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            nodes: BTreeMap::new(),
            services: None,
            policy: Policy::Strict,
            policies: BTreeMap::new(),
            max_payload: 16 << 20,
            max_lifetime: Duration::from_secs(30 * 86_400),
            max_remembered: 1 << 16,
            reassembly: ReassemblySettings::default(),
            status_reports: None,
            min_fragment: None,
            custody: None,
            compression: None,
        }
    }
}

/// End-to-end acknowledgement and retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// Transmissions of one message in all, 1 or more.
    pub max_attempts: u32,
    /// A message is never sent again sooner.
    pub min_timeout: Duration,
    /// How long a receiver gathers acknowledgements.
    pub ack_delay: Duration,
    /// The expected time to delivery and back is stretched to this many percent, 100 or more.
    pub margin_percent: u32,
}

/// Replicated state.
#[derive(Clone, Debug)]
pub struct SharedStateConfig {
    /// All members, this node included.
    pub members: Vec<NodeId>,
    /// Limits of the replica.
    pub limits: SyncLimits,
    /// Writes are gathered for this long before they go to the other members.
    pub push_interval: Duration,
    /// A member compares its replica with another's this often, one after the other, to mend what pushes missed.
    pub anti_entropy_interval: Duration,
    /// One in so many of these comparisons looks at the cells themselves, too; 0: only on request.
    pub audit_every: u32,
    /// A member that was not heard of for longer does not keep the others from dropping what they have seen replaced. When it comes back it
    /// gets everything.
    pub horizon: Duration,
    /// The authority of each member's writes.
    pub roles: Arc<Roles>,
    /// Largest delta in one message, in bytes.
    pub max_delta: usize,
    /// Lifetime of its messages.
    pub lifetime: Duration,
}

/// The federated plan.
#[derive(Clone, Debug)]
pub struct PlanConfig {
    /// Who coordinates.
    pub coordinator: NodeId,
    /// Who coordinates when it is silent, in this order.
    pub successors: Vec<NodeId>,
    /// How long a coordinator is silent before its first successor takes its place; none for never.
    pub succession: Option<Duration>,
    /// Who takes part from the beginning.
    pub participants: Vec<NodeId>,
    /// Who may join later; nobody else is taken in.
    pub joiners: Vec<NodeId>,
    /// The horizon that the problem is of.
    pub horizon: u64,
    /// Which variables are requests.
    pub requests: Requests,
    /// How long after it was asked a member from which nothing came is retired; none for never.
    pub absence: Option<Duration>,
    /// The solver's settings.
    pub settings: MethodSettings,
    /// If given, the coordinator chooses the method by what the contact plan says of the time from now on until so long after.
    pub auto: Option<Duration>,
    /// Deadlines and limits of the rounds.
    pub pace: Pace,
    /// The fleet-wide constraints.
    pub couplings: Couplings,
    /// This node's own problem, if it takes part.
    pub problem: Option<LocalProblem>,
    /// Secure aggregation, and noise; `None`: the coordinator reads every answer.
    pub privacy: Option<PrivacyConfig>,
    /// Lifetime of its messages.
    pub lifetime: Duration,
}

/// What protects the answers to a plan's coordinator.
#[derive(Clone, Debug)]
pub struct PrivacyConfig {
    /// Who is summed and who masks, with which published keys. The coordinator's term and one is the epoch: every coordinator in a row needs keys of
    /// its own.
    pub enrolment: Arc<Enrolment>,
    /// What this node's secrets of all epochs follow from. The same after a restart: what was said under them is kept.
    pub seed: EpochSeed,
    /// Noise on every answer, for methods whose answers are shares alone.
    pub noise: Option<NoiseSettings>,
    /// The δ at which ε is reported.
    pub delta: f64,
    /// How long the coordinator waits for the committee before it asks again.
    pub patience: Duration,
    /// So many members have to come or go within a horizon before the sum begins anew with those who are there: two sums that differ by fewer
    /// would tell too much of them. 0 and 1: at once.
    pub changes: usize,
}
