//! What a scenario means, checked: [`Scenario`]. Nothing behind [`Scenario::load`](crate::scenario::Scenario::load) checks again.

use std::path::PathBuf;

use cosmosmesh_protocol::{delivery::RateLimit, id::NodeId};

use crate::{
    astro::{Body, Epoch, Motion},
    contact::ContactPlan,
    engine::MessageKind,
    link::{LinkClass, RadioSpec},
    units::{AssetIndex, Joules, SimTime, Watts},
};

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
    /// Kinds of link; [`RadioSpec::class`] is a position in this list.
    pub classes: Vec<LinkClass>,
    /// Where contacts come from.
    pub contacts: ContactSource,
    /// How every node's protocol stack is set.
    pub protocol: ProtocolSettings,
    /// Application messages.
    pub traffic: Vec<Traffic>,
    /// Replicated state.
    pub shared_state: Option<SharedState>,
    /// The federated plan.
    pub planning: Option<PlanSpec>,
    /// What breaks, and when.
    pub faults: Vec<Fault>,
    /// How far metrics may be from a baseline, in the order of the file.
    pub metrics: Vec<Tolerance>,
    /// SHA-256 over the sources: the scenario file and all that it includes or imports, in the order in which they were read.
    pub hash: [u8; 32],
}

impl Scenario {
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

/// One member of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// Unique in the scenario.
    pub name: String,
    /// What it is.
    pub kind: AssetKind,
    /// Its number in the `ipn` scheme, unique in the scenario, 1 or more.
    pub node: NodeId,
    /// How it moves.
    pub motion: Motion,
    /// Its radios; a contact's radio indices are positions in this list.
    pub radios: Vec<RadioSpec>,
    /// Its power system; `None`: power is no concern (a ground station on the grid).
    pub power: Option<PowerSpec>,
    /// Limits of its bundle store.
    pub storage: StorageSpec,
}

/// What an asset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// Drives on a surface.
    Rover,
    /// Flies or hops over a surface.
    Drone,
    /// Stands on a surface.
    Habitat,
    /// Orbits a body.
    Satellite,
    /// A station on a surface, with antennas.
    GroundStation,
}

impl AssetKind {
    /// The kind as a scenario writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rover => "Rover",
            Self::Drone => "Drone",
            Self::Habitat => "Habitat",
            Self::Satellite => "Satellite",
            Self::GroundStation => "GroundStation",
        }
    }
}

/// A battery and what feeds and drains it, beside the radios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSpec {
    /// Energy in the full battery, more than zero.
    pub battery_capacity: Joules,
    /// State of charge at the epoch, 0 to 1.
    pub initial_charge: f64,
    /// What the panels give when the Sun is at the zenith of a surface asset, or unobscured at an orbiter, at the asset's
    /// place; 0 without panels.
    pub solar_peak: Watts,
    /// A constant source beside the panels (radioisotope generator); 0 without one.
    pub constant_source: Watts,
    /// What the asset draws with silent radios.
    pub base_load: Watts,
    /// State of charge below which the radios stay silent, 0 to below 1.
    pub min_charge: f64,
}

/// Limits of a bundle store: both hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSpec {
    /// Bytes of encoded bundles.
    pub bytes: u64,
    /// Number of bundles.
    pub bundles: u32,
    /// Time that making a batch of records durable takes.
    pub commit: SimTime,
    /// Whether bundles on their way through survive a crash.
    pub keeps_transit: bool,
}

/// Where contacts come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ContactSource {
    /// From motion and line of sight.
    Computed,
    /// From a contact plan's file; motion plays no part in them.
    Imported {
        /// The file, as found.
        path: PathBuf,
        /// Its contacts between this scenario's assets.
        plan: ContactPlan,
    },
}

/// A message's class of service, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all else.
    Expedited,
    /// The usual.
    Normal,
    /// When nothing else waits.
    Bulk,
}

/// The check value of bundle blocks (RFC 9171 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcKind {
    /// CRC-16/X-25.
    Crc16,
    /// CRC-32C (Castagnoli).
    Crc32c,
}

/// How every node's protocol stack is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProtocolSettings {
    /// Lifetime of bundles of each priority (`Expedited`, `Normal`, `Bulk`) whose traffic does not state one.
    pub lifetimes: [SimTime; 3],
    /// Largest number of hops, 1 to 255.
    pub hop_limit: u8,
    /// Check value of bundle blocks.
    pub crc: CrcKind,
    /// Bundles are signed by the asset that makes them and checked at every hop.
    pub signs_bundles: bool,
    /// End-to-end retransmission.
    pub retransmission: Retransmission,
    /// Store limits of assets that do not state their own.
    pub storage: StorageSpec,
    /// Sequence numbers below the highest seen within which late envelopes are still accepted, per sender.
    pub replay_window: u32,
    /// Largest application payload in bytes.
    pub max_payload: u32,
    /// Out-of-order messages that a receiver holds back per stream, and unacknowledged ones that a sender keeps.
    pub stream_window: u32,
    /// How fast an asset's applications may submit messages.
    pub submission_rate: Option<RateLimit>,
    /// A bundle whose planned contact did not carry it is routed again after this time.
    pub reroute_after: SimTime,
    /// Half width of the uncertainty of each node's estimate of UTC.
    pub clock_uncertainty: SimTime,
}

impl ProtocolSettings {
    /// The lifetime of a bundle whose traffic does not state one.
    #[must_use]
    pub const fn lifetime(&self, priority: Priority) -> SimTime {
        match priority {
            Priority::Expedited => self.lifetimes[0],
            Priority::Normal => self.lifetimes[1],
            Priority::Bulk => self.lifetimes[2],
        }
    }
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        let day = 86_400;
        Self {
            lifetimes: [SimTime::from_secs(day), SimTime::from_secs(3 * day), SimTime::from_secs(7 * day)],
            hop_limit: 16,
            crc: CrcKind::Crc32c,
            signs_bundles: false,
            retransmission: Retransmission::default(),
            storage: StorageSpec {
                bytes: 64 << 20,
                bundles: 65_536,
                commit: SimTime::ZERO,
                keeps_transit: true,
            },
            replay_window: 1024,
            max_payload: 65_536,
            stream_window: 4096,
            submission_rate: None,
            reroute_after: SimTime::from_secs(60),
            clock_uncertainty: SimTime::from_nanos(10_000_000),
        }
    }
}

/// End-to-end acknowledgement and retransmission.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retransmission {
    /// Transmissions of one message in all, 1 or more.
    pub max_attempts: u32,
    /// A message is never sent again sooner.
    pub min_timeout: SimTime,
    /// How long a receiver gathers acknowledgements before it sends them.
    pub ack_delay: SimTime,
    /// Factor by which the expected time to delivery and back is stretched to the timeout, 1 or more.
    pub margin_factor: f64,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            min_timeout: SimTime::from_secs(10),
            ack_delay: SimTime::from_secs(2),
            margin_factor: 1.5,
        }
    }
}

/// Application messages: every asset of `from` sends to every asset of `to` (never to itself), each pair with its own
/// arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// The flow's name, unique in the scenario.
    pub name: String,
    /// `Telemetry`, `Command` or `Event`.
    pub kind: MessageKind,
    /// The senders, in order, each once.
    pub from: Vec<AssetIndex>,
    /// The addressees, in order, each once.
    pub to: Vec<AssetIndex>,
    /// Least and largest payload in bytes; uniform between them.
    pub size_bytes: (u32, u32),
    /// When messages arise.
    pub arrivals: Arrivals,
    /// No message before.
    pub start: SimTime,
    /// No message at or after.
    pub end: SimTime,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
    /// Its class of service.
    pub priority: Priority,
}

/// When things arise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Every `interval`, the first `phase` after the start, each moved later by up to `jitter` (uniform).
    Periodic {
        /// More than zero.
        interval: SimTime,
        /// Zero or more.
        phase: SimTime,
        /// Zero or more, below the interval.
        jitter: SimTime,
    },
    /// A Poisson process.
    Poisson {
        /// Mean time between two arrivals, more than zero.
        mean: SimTime,
    },
}

/// Replicated state: every member holds a replica, writes to it and pulls what it lacks.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedState {
    /// The members, two or more, in order, each once.
    pub members: Vec<AssetIndex>,
    /// When each member writes.
    pub writes: Arrivals,
    /// Which objects it writes to: relative weights, at least one above zero.
    pub mix: WriteMix,
    /// Least and largest size of a written value in bytes; uniform between them.
    pub value_bytes: (u32, u32),
    /// How many keys the map and how many elements the set draw from, 1 or more.
    pub keys: u32,
    /// How often a member offers its deltas to the others.
    pub push_interval: SimTime,
    /// No write before.
    pub start: SimTime,
    /// No write at or after; the rest of the run lets replicas converge.
    pub end: SimTime,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
}

/// Relative weights of writes, zero or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteMix {
    /// Adds to and removals from the observed-remove set.
    pub set: f64,
    /// Assignments to the last-writer-wins register.
    pub register: f64,
    /// Assignments to keys of the map.
    pub map: f64,
    /// Increments of the counter.
    pub counter: f64,
}

/// A plan that the participants find by exchange ADMM (Boyd et al. 2011 §7.3.2): each minimises its own cost, and for each
/// commodity and slot the sum over the participants is zero. Positive values give to the pool, negative ones take.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSpec {
    /// Who gathers contributions and closes rounds; it may also participate.
    pub coordinator: AssetIndex,
    /// Number of slots of the horizon, 1 or more.
    pub slots: u32,
    /// Length of a slot.
    pub slot: SimTime,
    /// When the first round starts.
    pub start: SimTime,
    /// Penalty parameter, more than zero.
    pub rho: f64,
    /// Over-relaxation, 1 to below 2 (1: none).
    pub over_relaxation: f64,
    /// Absolute stopping tolerance.
    pub eps_abs: f64,
    /// Relative stopping tolerance.
    pub eps_rel: f64,
    /// No more rounds than this.
    pub max_rounds: u32,
    /// A round waits no longer for contributions.
    pub round_timeout: SimTime,
    /// Names of what is exchanged; [`PlanTerm::commodity`] is a position in this list.
    pub commodities: Vec<String>,
    /// Who takes part, in order of their assets.
    pub participants: Vec<PlanParticipant>,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
}

/// One participant's own problem.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanParticipant {
    /// Who.
    pub asset: AssetIndex,
    /// One per commodity that it gives or takes, in order of commodities. It exchanges nothing of the others.
    pub terms: Vec<PlanTerm>,
}

/// Cost ½ · curvature · Σ (x − preferred)² over the slots, within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTerm {
    /// Index into the plan's commodities.
    pub commodity: usize,
    /// What it would do alone, one per slot.
    pub preferred: Vec<f64>,
    /// Cost of departing from that, more than zero.
    pub curvature: f64,
    /// Least value, one per slot.
    pub min: Vec<f64>,
    /// Largest value, one per slot.
    pub max: Vec<f64>,
    /// Least sum over the slots.
    pub total_min: Option<f64>,
    /// Largest sum over the slots.
    pub total_max: Option<f64>,
    /// Largest change between neighbouring slots.
    pub ramp: Option<f64>,
}

/// What breaks, and when. Times are within the run; `end` is later than `start`.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Frames in flight or started within it are lost, and the ends see the link go down.
    LinkDown {
        /// Which links.
        links: LinkSelector,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
    },
    /// The asset is off. It loses volatile state and restarts with what was persisted.
    AssetDown {
        /// Which asset.
        asset: AssetIndex,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
    },
    /// Frames are lost beyond what their class says.
    ExtraLoss {
        /// Which links.
        links: LinkSelector,
        /// Probability that a frame is lost, above 0, up to 1.
        probability: f64,
        /// It begins.
        start: SimTime,
        /// It ends.
        end: SimTime,
    },
}

/// Which links a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSelector {
    /// Both directions between two assets.
    Between(AssetIndex, AssetIndex),
    /// Every link of one asset.
    Of(AssetIndex),
    /// Every link of one class (index into the scenario's classes).
    Class(usize),
}

/// How far a metric may be from its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    /// The metric's name; a trailing `*` stands for every metric that begins so.
    pub metric: String,
    /// Allowed absolute difference, 0 or more.
    pub absolute: f64,
    /// Allowed difference relative to the baseline, 0 or more; the larger of both holds.
    pub relative: f64,
    /// Which direction is an improvement, and so never fails.
    pub better: Better,
}

/// Which direction of a metric is an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Smaller values.
    Lower,
    /// Larger values.
    Higher,
    /// Neither: any departure counts.
    Neither,
}

/// Whether a body has a surface that an asset can stand on.
#[must_use]
pub const fn has_surface(body: Body) -> bool {
    match body {
        Body::Earth | Body::Moon | Body::Mars => true,
        Body::Sun => false,
    }
}
