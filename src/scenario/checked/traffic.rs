//! What applications send, and the state that they share.

use cosmosmesh_protocol::bundle::BundleFlags;

use super::Priority;
use crate::{
    engine::MessageKind,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::contract::Schema;

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
    /// Whether its bundles travel from custodian to custodian.
    pub custody: bool,
    /// What payloads hold.
    pub content: PayloadContent,
    /// The status reports that its bundles ask for.
    pub reports: BundleFlags,
}

/// What payloads hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadContent {
    /// Bytes without order, which do not get smaller.
    #[default]
    Random,
    /// A text of readings that change slowly.
    Readings,
}

/// Application messages, one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Messages {
    /// `Telemetry`, `Command` or `Event`.
    pub kind: MessageKind,
    /// Lifetime of their bundles.
    pub lifetime: SimTime,
    /// Their class of service.
    pub priority: Priority,
    /// Whether their bundles travel from custodian to custodian.
    pub custody: bool,
    /// In order of their times; those of one time in the order of the file.
    pub list: Vec<ListedMessage>,
}

/// One message of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedMessage {
    /// When it arises, within the run.
    pub time: SimTime,
    /// Who sends it.
    pub from: AssetIndex,
    /// Whom it is for; never the sender.
    pub to: AssetIndex,
    /// Payload bytes.
    pub bytes: u32,
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
    /// A member that was not heard of for longer gets everything when it is back.
    pub horizon: SimTime,
    /// No write before.
    pub start: SimTime,
    /// No write at or after; the rest of the run lets replicas converge.
    pub end: SimTime,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
    /// Data contracts that members publish.
    pub schemas: Vec<Publication>,
}

/// A data contract that a member publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The member.
    pub asset: AssetIndex,
    /// When.
    pub at: SimTime,
    /// The schema.
    pub schema: Schema,
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
    /// Records in the map of trades.
    pub trade: f64,
    /// Records of the other built-in contracts, each in the map of its name ([`RECORDS`]).
    pub records: [f64; RECORDS.len()],
}

/// The built-in contracts of [`WriteMix::records`], in order.
pub const RECORDS: [&str; 5] = ["telemetry", "forecast", "command", "event", "plan"];
