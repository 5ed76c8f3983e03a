//! What is typed in a configuration, before it is checked.

use super::{Preset, plan::RawPlan, state::RawSharedState};
use crate::tls::Tls;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Node")]
pub(super) struct RawConfig {
    pub(super) node: u64,
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) preset: Preset,
    pub(super) state: PathBuf,
    #[serde(default)]
    pub(super) control: Option<SocketAddr>,
    #[serde(default)]
    pub(super) listen: RawListen,
    #[serde(default)]
    pub(super) mdns: bool,
    #[serde(default)]
    pub(super) beyond_loopback: bool,
    #[serde(default)]
    pub(super) tls: Tls,
    #[serde(default)]
    pub(super) trust: Option<RawTrust>,
    #[serde(default)]
    pub(super) gossip: Option<RawGossip>,
    #[serde(default)]
    pub(super) plan: Option<RawPlan>,
    #[serde(default)]
    pub(super) shared_state: Option<RawSharedState>,
    #[serde(default)]
    pub(super) peers: Vec<RawPeer>,
    #[serde(default)]
    pub(super) radios: Vec<RawRadio>,
    #[serde(default)]
    pub(super) routes: Vec<RawRoute>,
    #[serde(default)]
    pub(super) cpu: Option<u16>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Trust")]
pub(super) struct RawTrust {
    pub(super) authority: String,
    pub(super) certificate: PathBuf,
    #[serde(default)]
    pub(super) statements: Vec<PathBuf>,
    #[serde(default)]
    pub(super) issuer: Option<PathBuf>,
    #[serde(default)]
    pub(super) scope: String,
    #[serde(default = "default_grace_days")]
    pub(super) grace_days: u16,
    #[serde(default = "default_interval_s")]
    pub(super) interval_s: u32,
}

/// Longer than a solar conjunction of Mars keeps quiet.
const fn default_grace_days() -> u16 {
    14
}

const fn default_interval_s() -> u32 {
    60
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "Gossip")]
pub(super) struct RawGossip {
    pub(super) period_ms: u32,
    pub(super) round_trip_ms: u32,
    pub(super) suspicion_ms: u32,
    pub(super) light_time_ms: u32,
}

impl Default for RawGossip {
    /// For a local network. Radios take longer than this light time to be keyed: they are left alone.
    fn default() -> Self {
        Self { period_ms: 1000, round_trip_ms: 200, suspicion_ms: 5000, light_time_ms: 100 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename = "Listen")]
pub(super) struct RawListen {
    #[serde(default)]
    pub(super) tcpcl: Option<SocketAddr>,
    #[serde(default)]
    pub(super) mtcp: Option<SocketAddr>,
    #[serde(default)]
    pub(super) udp: Option<SocketAddr>,
    #[serde(default)]
    pub(super) quic: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Peer")]
pub(super) struct RawPeer {
    pub(super) node: u64,
    #[serde(default)]
    pub(super) did: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) via: RawVia,
    #[serde(default)]
    pub(super) lenient: bool,
    #[serde(default)]
    pub(super) proven: bool,
    #[serde(default)]
    pub(super) rate_bps: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) enum RawVia {
    Tcpcl(SocketAddr),
    Mtcp(SocketAddr),
    Udp(SocketAddr),
    Quic(SocketAddr),
    Radio {
        radio: String,
        #[serde(default)]
        address: Option<String>,
    },
    Discovered,
    Told,
    Inbound,
    Process,
    Others,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Radio")]
pub(super) struct RawRadio {
    pub(super) name: String,
    pub(super) at: RawAt,
    pub(super) speaks: RawSpeaks,
    #[serde(default)]
    pub(super) rate_bps: Option<u64>,
    #[serde(default)]
    pub(super) frame_bytes: Option<u16>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) enum RawAt {
    Tcp(SocketAddr),
    Serial(PathBuf, u32),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum RawSpeaks {
    Kiss {
        #[serde(default)]
        port: u8,
    },
    Ax25 {
        #[serde(default)]
        port: u8,
        call: String,
    },
    Meshtastic {
        #[serde(default)]
        channel: u32,
        #[serde(default = "default_hop_limit")]
        hop_limit: u32,
    },
}

/// What the radios' own programs take.
const fn default_hop_limit() -> u32 {
    3
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Route")]
pub(super) struct RawRoute {
    pub(super) to: u64,
    pub(super) via: u64,
}

/// What a daemon may use. Every one has a default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of bundles on their way, in memory and on disk.
    pub store_bytes: u64,
    /// Bundles on their way.
    pub store_bundles: u32,
    /// Names of plain bundles that were delivered, remembered until they expire: beyond a quarter of them from one source, its bundles are
    /// refused. About 100 bytes each.
    pub remembered: u32,
    /// Messages that wait for the application. With so many, nothing more is read from peers.
    pub inbox: u64,
    /// Their bytes, with the same effect.
    pub inbox_bytes: u64,
    /// Connections at a time, those that we made included.
    pub connections: u16,
    /// Largest bundle, in bytes.
    pub bundle_bytes: u32,
    /// Unacknowledged messages to one destination for one purpose; at most 65,536.
    pub window: u32,
    /// Largest datagram that is sent, in bytes.
    pub udp_bytes: u16,
    /// A message that was not acknowledged is never sent again sooner, in milliseconds.
    pub retransmission_ms: u32,
    /// How long a receiver gathers acknowledgements, in milliseconds.
    pub acknowledgement_ms: u32,
    /// Interval of keepalives, in seconds; a peer that is silent for twice as long is given up. 0: none.
    pub keepalive_s: u16,
    /// How long a new connection may take to say who it is, and a bundle over MTCP to come in whole, in seconds.
    pub patience_s: u16,
    /// How long shutting down may take to finish what is under way, in seconds.
    pub drain_s: u16,
    /// What one input of the node should take at most, in milliseconds. More is counted and logged.
    pub budget_ms: u32,
    /// How far the machine's civil time may be off, in milliseconds.
    pub clock_uncertainty_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            store_bytes: 64 << 20,
            store_bundles: 65_536,
            remembered: 1 << 18,
            inbox: 65_536,
            inbox_bytes: 256 << 20,
            connections: 128,
            bundle_bytes: 1 << 20,
            window: 4096,
            udp_bytes: 1400,
            retransmission_ms: 2000,
            acknowledgement_ms: 50,
            keepalive_s: 15,
            patience_s: 30,
            drain_s: 10,
            budget_ms: 20,
            clock_uncertainty_ms: 1000,
        }
    }
}
