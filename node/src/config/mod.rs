//! How a daemon is set up: a RON file becomes a [`Config`], or a list of mistakes with file, line, column and field.

mod check;
mod gossip;
mod horizon;
mod masks;
mod place;
mod plan;
mod preset;
mod radio;
mod raw;
mod sense;
mod state;
mod trust;

pub use check::ConfigErrors;
pub use horizon::{HorizonError, NextHorizon};
pub use masks::Masks;
pub use place::ConfigError;
pub use plan::Plan;
pub use preset::{Durability, Preset, Requirements};
pub use radio::{Radio, Speaks, Station};
pub use raw::Limits;
pub use state::SharedState;
pub use trust::Trust;

use crate::tls::Tls;
use cosmosmesh_protocol::{id::NodeId, identity::PublicKey, node::DiscoveryConfig};
use raw::RawConfig;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Everything that a daemon is told before it starts, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its number.
    pub node: NodeId,
    /// Its names in the `dtn` scheme: `rover` for `dtn://rover/`.
    pub names: Vec<String>,
    /// What holds of transport, signatures and delivery.
    pub preset: Preset,
    /// The folder of key and store.
    pub state: PathBuf,
    /// Where it is controlled over HTTP: an address of this machine.
    pub control: Option<SocketAddr>,
    /// Where peers reach it.
    pub listen: Listen,
    /// Whether its TCPCLv4 address is announced by mDNS.
    pub mdns: bool,
    /// Whether anything leads beyond this machine.
    pub beyond_loopback: bool,
    /// Whether TCPCL sessions are protected.
    pub tls: Tls,
    /// Whose word counts, beside the keys of this configuration; those keys alone without it.
    pub trust: Option<Trust>,
    /// Gossip among neighbours about who is there; none without it.
    pub gossip: Option<DiscoveryConfig>,
    /// The plan that it takes part in, if it does.
    pub plan: Option<Plan>,
    /// The state that it shares with others, if it does.
    pub shared_state: Option<SharedState>,
    /// Who else there is.
    pub peers: Vec<Peer>,
    /// Modems and radios that peers are behind.
    pub radios: Vec<Radio>,
    /// Which neighbour leads to whom, beside the neighbours themselves.
    pub routes: Vec<(NodeId, NodeId)>,
    /// The processor that its engine runs on, and no other; any without it. Linux only.
    pub cpu: Option<u16>,
    /// What it may use.
    pub limits: Limits,
}

/// Where a daemon listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// For TCPCLv4.
    pub tcpcl: Option<SocketAddr>,
    /// For MTCP.
    pub mtcp: Option<SocketAddr>,
    /// For UDPCL.
    pub udp: Option<SocketAddr>,
    /// For TCPCLv4 over QUIC.
    pub quic: Option<SocketAddr>,
}

/// Another node.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its number.
    pub node: NodeId,
    /// The key that speaks for it; none for a node of another kind, which signs no envelopes.
    pub key: Option<PublicKey>,
    /// Its name in the `dtn` scheme.
    pub name: Option<String>,
    /// How it is reached.
    pub via: Via,
    /// Whether bundles and acknowledgements of it are judged by their form only.
    pub lenient: bool,
    /// Whether it gets no session but inside of TLS or QUIC, which show who it is.
    pub proven: bool,
    /// The data rate that the way there is good for, in bits per second.
    pub rate_bps: u64,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// We connect, and speak TCPCLv4.
    Tcpcl(SocketAddr),
    /// We connect for what we send, and speak MTCP; it connects for what it sends.
    Mtcp(SocketAddr),
    /// We connect by QUIC, and speak TCPCLv4 on a stream of it.
    Quic(SocketAddr),
    /// One bundle in one datagram.
    Udp(SocketAddr),
    /// Small frames over a radio.
    Radio {
        /// Its place in [`Config::radios`].
        radio: usize,
        /// Who the peer is to it.
        station: Station,
    },
    /// We look for it by mDNS, connect, and speak TCPCLv4.
    Discovered,
    /// We look for it in shared state, where it says its address, connect, and speak TCPCLv4.
    Told,
    /// It connects to us.
    Inbound,
    /// It is another daemon of this process.
    Process,
    /// It is no neighbour: others lead there.
    Others,
}

impl Config {
    /// Reads the file at `path`. What it names is relative to its folder.
    ///
    /// # Errors
    /// All mistakes of the file that can be told at once.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let text = place::read_text(path, MAX_FILE_BYTES)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, folder)
    }

    /// The same for who asks the daemon, and is none: without its plan, which costs to build and may be wrong without being in the way here.
    ///
    /// # Errors
    /// As for [`Config::read`], but for the plan.
    pub(crate) fn read_without_plan(path: &Path) -> Result<Self, ConfigErrors> {
        let text = place::read_text(path, MAX_FILE_BYTES)?;
        let file = path.display().to_string();
        let raw = RawConfig { plan: None, ..place::parse(&file, &text)? };
        check::check(&file, &text, path.parent().unwrap_or(Path::new("")), raw)
    }

    /// The same of a text: `file` is named in mistakes, and paths in it are relative to `folder`.
    ///
    /// # Errors
    /// All mistakes of the text that can be told at once.
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        let raw = place::parse(file, text)?;
        check::check(file, text, folder, raw)
    }

    /// Says which members are taken for whoever says to be them, although they could show who they are.
    pub(crate) fn tell_who_may_be_anybody(&self) {
        if self.tls == Tls::Require || self.listen.tcpcl.is_none() || self.listen.quic.is_none() {
            return;
        }
        let unproven = |peer: &&Peer| peer.via == Via::Inbound && peer.key.is_some() && !peer.proven;
        for peer in self.peers.iter().filter(unproven) {
            tracing::warn!(
                peer = %peer.node,
                "it may come by TCPCL without showing who it is: say `proven: true` of it, or `tls: Require`, if it comes by QUIC or TLS only"
            );
        }
    }

    /// The file of its private key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.state.join("key")
    }

    /// The file of its control's token, which is made when it starts.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.state.join("token")
    }

    /// The file of the plan's last later horizon.
    #[must_use]
    pub fn horizon_file(&self) -> PathBuf {
        self.state.join("horizon.ron")
    }

    /// The file of its store.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.state.join("store.redb")
    }
}
