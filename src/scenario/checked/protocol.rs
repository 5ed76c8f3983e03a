//! How every node's protocol stack is set.

use cosmosmesh_protocol::{
    bundle::Policy,
    delivery::RateLimit,
    dtn::strategy::SpreadSettings,
    node::{CompressionSettings, StatusReportSettings},
};

use super::StorageSpec;
use crate::units::SimTime;

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
    /// Whether nodes know the contact plan.
    pub plan_known: bool,
    /// How application messages travel.
    pub service: Service,
    /// How nodes keep what travels in custody; `None`: nothing does.
    pub custody: Option<CustodySpec>,
    /// Bundles that no contact takes whole leave in fragments of at least this many bytes of payload; `None`: they wait.
    pub min_fragment: Option<u32>,
    /// Status reports on request; `None`: none.
    pub status_reports: Option<StatusReportSettings>,
    /// How assets that do not state their own judge the bundles that come to them.
    pub policy: Policy,
    /// Compression of payloads.
    pub compression: Option<CompressionSettings>,
    /// How bundles find their way.
    pub routing: Routing,
}

/// How bundles find their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// By the contact plan, one copy.
    #[default]
    Sabr,
    /// One copy, which waits for the destination itself.
    DirectDelivery(SpreadSettings),
    /// A copy to everybody who has none.
    Epidemic(SpreadSettings),
    /// At most so many copies.
    SprayAndWait {
        /// How many, 1 or more.
        copies: u32,
        /// Whether a neighbour gets half of those left.
        binary: bool,
        /// What all strategies of copies have in common.
        settings: SpreadSettings,
    },
    /// A copy to those who are likelier to meet the destination.
    Prophet(SpreadSettings),
    /// Once to everybody who hears.
    ManagedFlooding {
        /// Whether a bundle leaves once on a shared channel, where all in range hear it, and not once by each link.
        channel: bool,
        /// What all strategies of copies have in common.
        settings: SpreadSettings,
    },
    /// By each asset's table, one copy.
    Static,
}

impl Routing {
    /// Whether all in range of a frame on a shared channel take it.
    #[must_use]
    pub const fn floods_channel(self) -> bool {
        matches!(self, Self::ManagedFlooding { channel: true, .. })
    }
}

/// How nodes keep what travels in custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustodySpec {
    /// Whether destinations that a node's table of custodians does not name take custody themselves.
    pub direct: bool,
    /// Most bundles in a node's custody, 1 or more.
    pub bundles: u32,
    /// Most bytes of them.
    pub bytes: u64,
    /// How long a custodian gathers its answers.
    pub signal_delay: SimTime,
}

/// How application messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// In signed envelopes, numbered, acknowledged, each delivered exactly once and in order.
    #[default]
    Streams,
    /// In plain bundles, each delivered at most once.
    Datagrams {
        /// Payloads are counted and not carried.
        size_only: bool,
    },
}

impl Service {
    /// What a reader of results must know of the run's traffic, `None` when it is the whole protocol's.
    #[must_use]
    pub const fn caveat(self) -> Option<&'static str> {
        match self {
            Self::Streams => None,
            Self::Datagrams { size_only: false } => Some("envelopes off"),
            Self::Datagrams { size_only: true } => Some("envelopes off, size-only payloads"),
        }
    }
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
            plan_known: true,
            service: Service::Streams,
            custody: None,
            min_fragment: None,
            status_reports: None,
            policy: Policy::Strict,
            compression: None,
            routing: Routing::Sabr,
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
