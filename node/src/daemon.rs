//! [`Daemon`]: a node with its store, its sockets and its engine, in this process.

use crate::{
    clock::{CivilClock, Clock},
    config::{Config, HorizonError, Limits, Peer, SharedState, Via},
    credential::CredentialError,
    discovery::{self, Discovery, Found},
    disk::{Disk, DiskError, OpenStore},
    door::{Door, Waits},
    engine::{Engine, Parts, Shared},
    http,
    key::{self, KeyError},
    mailbox::{Event, Mailbox},
    masks::{self, MaskError},
    opening::{self, Opened},
    store::{Keeper, Store},
    tls::{Tls, TlsSetup},
    token::Token,
    transport::{StreamKind, datagram, endpoints::QuicSockets, quic::Quic, stream::Streams},
    trust,
};
use cosmosmesh_protocol::{
    bundle::Policy,
    dtn::{
        store::StoreLimits,
        strategy::{RoutingConfig, StaticRoute},
    },
    id::NodeId,
    identity::{Did, KeyPair, Keyring},
    node::{
        BundleSecurity, BundleSettings, InputError, Kept, Node, NodeConfig, PlanConfig, PrivacyConfig,
        Retransmission, SharedStateConfig, TrustConfig,
    },
    sync::SyncLimits,
};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Largest message about shared state, in bytes: small enough for slow links.
const MAX_DELTA: usize = 8192;

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be opened.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DiskError,
    },
    /// The store is there, and cannot be read. It is left as it is.
    #[error(
        "{}: {source}\nNothing was changed: there may be messages in it that nobody else has. To set it aside and begin an empty store, \
         start once with --set-aside-store",
        path.display()
    )]
    CorruptStore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DiskError,
    },
    /// There is a store, and not the key of the node that it is the memory of.
    #[error(
        "{}: the key is gone, and the store {} is there: another key would be another node. Put it back; or, to set the store aside and begin as \
         another node, start once with --set-aside-store",
        path.display(), store.display()
    )]
    KeyGone {
        /// Where the key should be.
        path: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// A store that takes the place of a lost one counts from civil time, which nobody has set.
    #[error(
        "the machine does not know the time: with it, the node's next incarnation is to be told from those that were lost with the store"
    )]
    NoClock,
    /// A peer has our key.
    #[error("peer {peer} is given this node's own did")]
    OwnKey {
        /// Which.
        peer: NodeId,
    },
    /// What was kept is not a node's, or of another version.
    #[error("{}: {source}\nTo set it aside and begin an empty store, start once with --set-aside-store", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InputError,
    },
    /// What was kept belongs to a part of the configuration that is not there any more.
    #[error(
        "{}: it holds what belongs to {what}, of which the configuration says nothing any more: put that part back (`trust`, `shared_state`). To set the \
         store aside, with the inbox and all else that is in it, and begin an empty one, start once with --set-aside-store",
        path.display()
    )]
    NotConfigured {
        /// The file.
        path: PathBuf,
        /// What it belongs to.
        what: &'static str,
    },
    /// Nothing keeps all that the plan's terms want of this node's asset.
    #[error("plan.terms: {problem}")]
    Plan {
        /// Why not.
        problem: String,
    },
    /// An address that cannot be listened at.
    #[error("{what} at {address}: {source}")]
    Listen {
        /// For what.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// What the authority has signed.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The masks of the plan.
    #[error(transparent)]
    Masks(#[from] MaskError),
    /// What was kept of a later horizon of the plan does not fit the plan.
    #[error("{}: {source}: it is the last later horizon that this node was told. Remove it to begin with the configuration's", path.display())]
    Horizon {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<HorizonError>,
    },
    /// The state's folder, a thread.
    #[error("{what}: {source}")]
    System {
        /// What was to be done.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// How a daemon is started, beside its configuration.
#[derive(Default)]
pub struct Start {
    /// An unreadable store is renamed and an empty one begun, instead of not starting.
    pub set_aside_store: bool,
    /// Reads and writes the store's file another way: for tests of disks that fail.
    pub open_store: Option<OpenStore>,
    /// Tells civil time instead of the machine: for tests of clocks that jump.
    pub civil: Option<CivilClock>,
}

/// Where a daemon can be reached: the addresses it was told, with the ports that it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP control.
    pub control: Option<SocketAddr>,
    /// TCPCLv4.
    pub tcpcl: Option<SocketAddr>,
    /// MTCP.
    pub mtcp: Option<SocketAddr>,
    /// UDPCL.
    pub udp: Option<SocketAddr>,
    /// TCPCLv4 over QUIC.
    pub quic: Option<SocketAddr>,
}

/// A running daemon. Dropping it shuts it down in order.
pub struct Daemon {
    config: Arc<Config>,
    did: Did,
    addresses: Addresses,
    set_aside: Option<PathBuf>,
    door: Door,
    engine: Mutex<Option<JoinHandle<()>>>,
    server: Option<http::Server>,
    discovery: Option<Discovery>,
    quic: Vec<Quic>,
}

impl Daemon {
    /// Starts a daemon with defaults.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Start::default())
    }

    /// Starts a daemon: key, store, sockets, then the engine. The key is made where there is none.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start_with(config: Config, start: Start) -> Result<Self, StartError> {
        let (keys, is_new) = opening::keys(&config, start.set_aside_store)?;
        let did = key::did(&keys);
        if let Some(peer) = config.peers.iter().find(|peer| peer.key.as_ref() == Some(did.key())) {
            return Err(StartError::OwnKey { peer: peer.node });
        }
        let config = Arc::new(resume_plan(config)?);
        if let Some(Err(problem)) = config.plan.as_ref().map(|plan| plan.check_own_part(config.node)) {
            return Err(StartError::Plan { problem });
        }
        let sockets = Sockets::bind(&config)?;
        let uncertainty = Duration::from_millis(u64::from(config.limits.clock_uncertainty_ms));
        let clock = Clock::start(uncertainty, start.civil);
        let (trust, privacy) = (trust::read(&config, &keys)?, masks::read(&config, &keys)?);
        let ways = (start.open_store, start.set_aside_store);
        let (opened, node) = opening::store(&config, (&keys, is_new), &clock, ways, |disk| {
            restore((&config, trust.clone(), privacy.clone()), keys.clone(), disk, &clock)
        })?;
        let Opened { disk, open, set_aside, is_anew } = opened;
        // The seed of masks went aside with the store: the keys that were published are those of no seed any more, which is told here.
        if is_anew {
            drop(masks::read(&config, &keys)?);
        }
        if let Some(keyring) = node.keyring() {
            trust::tell_of_end(keyring, config.node, clock.civil_now());
        }
        let tls = tls_setup(&config, &keys, node.keyring().map(|keyring| (keyring, clock.clone())))?;
        let store = Store::new(disk, open, config.store_file(), config.node)
            .map_err(|source| StartError::Store { path: config.store_file(), source })?;
        let mailbox = Mailbox::new();
        // After the store, which nobody else has open: the token of a daemon that runs stays.
        let token = config.control.map(|_| Token::make(&config.token_file())).transpose()?;
        let keeper = Keeper::start(store.clone(), mailbox.clone()).map_err(system("a thread"))?;
        let streams = Streams::new(mailbox.clone(), usize::from(config.limits.connections));
        let shared = Arc::new(Shared::of_run(store.standing().0));
        let datagrams_dropped = Arc::new(AtomicU64::new(0));
        let addresses = sockets.addresses();
        let socket =
            sockets.udp.as_ref().map(UdpSocket::try_clone).transpose().map_err(system("a socket"))?;
        let told = told(&config);
        let parts = Parts {
            config: config.clone(),
            node,
            clock: clock.clone(),
            mailbox: mailbox.clone(),
            store: store.clone(),
            keeper,
            streams: streams.clone(),
            socket,
            told: told.clone(),
            radio_seeds: radio_seeds(&config)?,
            datagrams_dropped: datagrams_dropped.clone(),
            shared: shared.clone(),
            tls: tls.clone(),
            listeners: addresses.tcpcl.into_iter().chain(addresses.mtcp).collect(),
        };
        let engine = Engine::new(parts);
        let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || engine.run());
        let engine = engine.map_err(system("a thread"))?;
        let waits = Waits::default();
        let door = Door {
            config: config.clone(),
            did: did.clone(),
            addresses,
            mailbox,
            store,
            shared,
            clock,
            waits,
        };
        let mut daemon = Self {
            config,
            did,
            addresses,
            set_aside,
            door,
            engine: Mutex::new(Some(engine)),
            server: None,
            discovery: None,
            quic: Vec::new(),
        };
        // From here on, dropping the daemon ends what was started.
        daemon.serve((sockets, told), &streams, datagrams_dropped, (tls.as_ref(), token))?;
        daemon.config.tell_who_may_be_anybody();
        tracing::info!(node = %daemon.config.node, did = %daemon.did, "started");
        Ok(daemon)
    }

    fn serve(
        &mut self,
        (sockets, told): (Sockets, Vec<(usize, Arc<Found>)>),
        streams: &Streams,
        dropped: Arc<AtomicU64>,
        (tls, token): (Option<&Arc<TlsSetup>>, Option<Token>),
    ) -> Result<(), StartError> {
        if let Some(listener) = sockets.tcpcl {
            streams.listen(listener, StreamKind::Tcpcl).map_err(system("a thread"))?;
        }
        if let Some(listener) = sockets.mtcp {
            streams.listen(listener, StreamKind::Mtcp).map_err(system("a thread"))?;
        }
        if let Some(socket) = sockets.udp {
            datagram::read(socket, streams.mailbox.clone(), streams.stopping.clone(), dropped)
                .map_err(system("a thread"))?;
        }
        self.dial(streams).map_err(system("a thread"))?;
        if let Some(tls) = tls {
            self.quic = sockets.quic.speak(&self.config, tls, streams).map_err(system("QUIC"))?;
        }
        if discovery::is_wanted(&self.config) {
            let discovery = Discovery::start(&self.config, &self.did, self.addresses.tcpcl);
            let discovery = discovery.map_err(system("mDNS"))?;
            for (place, found) in discovery.found() {
                streams.dial_found(*place, found.clone()).map_err(system("a thread"))?;
            }
            self.discovery = Some(discovery);
        }
        for (place, found) in told {
            streams.dial_found(place, found).map_err(system("a thread"))?;
        }
        for (place, radio) in self.config.radios.iter().enumerate() {
            streams.keep_radio(place, radio.at.clone()).map_err(system("a thread"))?;
        }
        if let (Some(listener), Some(token)) = (sockets.control, token) {
            let server = http::Server::start(listener, self.door.clone(), token);
            self.server = Some(server.map_err(system("HTTP"))?);
        }
        Ok(())
    }

    fn dial(&self, streams: &Streams) -> io::Result<()> {
        for (place, peer) in self.config.peers.iter().enumerate() {
            match peer.via {
                Via::Tcpcl(address) => streams.dial(place, address, StreamKind::Tcpcl)?,
                Via::Mtcp(address) => streams.dial(place, address, StreamKind::Mtcp)?,
                Via::Udp(_)
                | Via::Quic(_)
                | Via::Radio { .. }
                | Via::Discovered
                | Via::Told
                | Via::Inbound
                | Via::Process
                | Via::Others => {}
            }
        }
        Ok(())
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The public name of its key.
    #[must_use]
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// Where it can be reached.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Where an unreadable store was set aside when it started.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    pub(crate) const fn door(&self) -> &Door {
        &self.door
    }

    /// Joins two daemons of this process that have each other as a peer `via: Process`: a link without a socket.
    pub fn pair(one: &Self, other: &Self) {
        for (here, there) in [(one, other), (other, one)] {
            let mailbox = Some(there.door.mailbox.clone());
            here.door.mailbox.post_urgent(Event::Paired { peer: there.config.node.0, mailbox });
        }
    }

    /// Parts what [`Daemon::pair`] has joined.
    pub fn part(one: &Self, other: &Self) {
        for (here, there) in [(one, other), (other, one)] {
            here.door.mailbox.post_urgent(Event::Paired { peer: there.config.node.0, mailbox: None });
        }
    }

    /// Asks it to shut down; [`Daemon::wait`] returns when it has.
    pub fn stop(&self) {
        self.door.mailbox.post_urgent(Event::Stop);
    }

    /// Waits until it has shut down: transfers under way are finished, or given up after `limits.drain_s`. Says whether that was in order, and
    /// not by a defect of ours, after which what was acknowledged is on disk all the same.
    pub fn wait(&self) -> bool {
        let Some(engine) = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        if engine.join().is_err() {
            return false;
        }
        if let Err(error) = opening::remember_end(&self.config, self.door.store.standing()) {
            tracing::warn!(%error, "how far the store has come is not written down beside it");
        }
        true
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        self.wait();
        self.discovery = None;
        // All of them have begun to end with the engine.
        self.quic.clear();
        if let Some(mut server) = self.server.take() {
            server.stop();
        }
    }
}

/// The sockets of a daemon, bound before anything else is started.
struct Sockets {
    control: Option<TcpListener>,
    tcpcl: Option<TcpListener>,
    mtcp: Option<TcpListener>,
    udp: Option<UdpSocket>,
    quic: QuicSockets,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let listen = |what, address: Option<SocketAddr>| {
            let bound = address.map(TcpListener::bind).transpose();
            bound.map_err(|source| failed(what, address, source))
        };
        // Without an address of its own, a socket for what is sent: to peers of this machine, which are of one family.
        let udp = config.listen.udp.or_else(|| config.peers.iter().find_map(own_side));
        Ok(Self {
            control: listen("control", config.control)?,
            tcpcl: listen("TCPCL", config.listen.tcpcl)?,
            mtcp: listen("MTCP", config.listen.mtcp)?,
            udp: udp.map(UdpSocket::bind).transpose().map_err(|source| failed("UDPCL", udp, source))?,
            quic: QuicSockets::bind(config)
                .map_err(|(address, source)| failed("QUIC", Some(address), source))?,
        })
    }

    fn addresses(&self) -> Addresses {
        let of = |listener: &Option<TcpListener>| listener.as_ref().and_then(|bound| bound.local_addr().ok());
        Addresses {
            control: of(&self.control),
            tcpcl: of(&self.tcpcl),
            mtcp: of(&self.mtcp),
            udp: self.udp.as_ref().and_then(|socket| socket.local_addr().ok()),
            quic: self.quic.listens_at(),
        }
    }
}

/// Where datagrams to a peer of this machine leave from.
const fn own_side(peer: &Peer) -> Option<SocketAddr> {
    match peer.via {
        Via::Udp(SocketAddr::V4(_)) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
        Via::Udp(SocketAddr::V6(_)) => Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)),
        _ => None,
    }
}

fn system(what: &str) -> impl FnOnce(io::Error) -> StartError {
    let what = what.to_owned();
    move |source| StartError::System { what, source }
}

fn failed(what: &'static str, address: Option<SocketAddr>, source: io::Error) -> StartError {
    let address = address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    StartError::Listen { what, address, source }
}

/// What protected sessions need, where they are wanted.
fn tls_setup(
    config: &Config,
    keys: &KeyPair,
    keyring: Option<(&Keyring, Clock)>,
) -> Result<Option<Arc<TlsSetup>>, StartError> {
    let quic =
        config.listen.quic.is_some() || config.peers.iter().any(|peer| matches!(peer.via, Via::Quic(_)));
    if config.tls == Tls::Refuse && !quic {
        return Ok(None);
    }
    let members = config.peers.iter().filter_map(|peer| Some((peer.node, peer.key.clone()?)));
    Ok(Some(Arc::new(TlsSetup::new(config.node, keys, members, keyring)?)))
}

/// The configuration with the later horizon of the plan that the node was told last, if it was.
fn resume_plan(mut config: Config) -> Result<Config, StartError> {
    let (path, Some(plan)) = (config.horizon_file(), &config.plan) else { return Ok(config) };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(config),
        other => other.map_err(|source| StartError::System { what: path.display().to_string(), source })?,
    };
    // Whether it can be kept is looked at with what the configuration says.
    match plan.lay_out_next(config.node, &text) {
        Ok(next) => config.plan = Some(next.plan),
        // The configuration is of a later one.
        Err(HorizonError::Over { .. }) => {}
        Err(source) => return Err(StartError::Horizon { path, source: Box::new(source) }),
    }
    Ok(config)
}

/// The node with what was kept of it, in a new incarnation.
fn restore(
    (config, trust, privacy): (&Config, Option<TrustConfig>, Option<PrivacyConfig>),
    keys: KeyPair,
    disk: &Disk,
    clock: &Clock,
) -> Result<Node, StartError> {
    let path = config.store_file();
    let failed = |source| StartError::Store { path: path.clone(), source };
    let incarnation = disk.begin_incarnation().map_err(failed)?;
    let records = disk.records().map_err(failed)?;
    // What it has said in a plan stays where it is, for when that is configured again: a vote is not to be cast twice.
    let is_left = |key: &[u8]| config.plan.is_none() && key.first() == Some(&(Kept::Plan as u8));
    if records.iter().any(|(key, _)| is_left(key)) {
        tracing::warn!("the store holds a plan, of which the configuration says nothing: it is left alone");
    }
    let kept = records.iter().filter(|(key, _)| !is_left(key));
    let kept = kept.map(|(key, value)| (key.as_slice(), value.as_slice()));
    let seed = key::random()?;
    let settings = NodeConfig { trust, ..node_config(config, &keys, privacy) };
    Node::restore(settings, keys, seed, clock.now(), incarnation, clock.civil(), kept).map_err(|source| {
        match source {
            InputError::NotConfigured { what } => StartError::NotConfigured { path, what },
            source => StartError::Kept { path, source },
        }
    })
}

/// The peers that are found by what they say of themselves in shared state.
fn told(config: &Config) -> Vec<(usize, Arc<Found>)> {
    let peers = config.peers.iter().enumerate().filter(|(_, peer)| peer.via == Via::Told);
    peers.map(|(place, _)| (place, Arc::default())).collect()
}

/// Where the clients of radios begin to count: the mesh remembers the numbers of before for minutes.
fn radio_seeds(config: &Config) -> Result<Vec<u32>, StartError> {
    let mut seeds = Vec::new();
    for _ in &config.radios {
        let random = key::random()?;
        seeds.push(u32::from_be_bytes([random[0], random[1], random[2], random[3]]));
    }
    Ok(seeds)
}

fn shared_state(state: &SharedState, limits: &Limits) -> SharedStateConfig {
    SharedStateConfig {
        members: state.members.clone(),
        limits: SyncLimits::default(),
        push_interval: state.push,
        anti_entropy_interval: state.compare,
        audit_every: 8,
        horizon: state.horizon,
        roles: Arc::new(state.ranks.clone()),
        max_delta: (limits.bundle_bytes as usize).saturating_sub(2048).min(MAX_DELTA),
        lifetime: state.lifetime,
    }
}

fn node_config(config: &Config, keys: &KeyPair, privacy: Option<PrivacyConfig>) -> NodeConfig {
    let limits = &config.limits;
    let millis = |millis: u32| Duration::from_millis(u64::from(millis));
    let requires = config.preset.requires();
    let others = config.peers.iter().filter_map(|peer| Some((peer.node, peer.key.clone()?)));
    let directory = others.chain([(config.node, keys.public().clone())]).collect();
    let lenient = config.peers.iter().filter(|peer| peer.lenient);
    let named = config.peers.iter().filter_map(|peer| Some((peer.name.as_deref()?.into(), peer.node)));
    let lines = config.routes.iter().map(|(to, via)| StaticRoute { destination: Some(*to), next: *via });
    NodeConfig {
        routing: RoutingConfig::Static(lines.collect()),
        store: StoreLimits { bytes: limits.store_bytes, count: limits.store_bundles as usize },
        keep_bundles: requires.keeps_transit,
        window: u64::from(limits.window),
        max_payload: (limits.bundle_bytes as usize).saturating_sub(1024),
        retransmission: Retransmission {
            max_attempts: 1000,
            min_timeout: millis(limits.retransmission_ms),
            ack_delay: millis(limits.acknowledgement_ms),
            margin_percent: 150,
        },
        security: requires.signed_bundles.then(BundleSecurity::hop_by_hop),
        bundles: BundleSettings {
            names: config.names.iter().map(|name| name.as_str().into()).collect(),
            nodes: named.collect(),
            policies: lenient.map(|peer| (peer.node, Policy::Lenient)).collect(),
            max_payload: (limits.bundle_bytes as usize).saturating_sub(1024),
            max_remembered: limits.remembered as usize,
            ..BundleSettings::default()
        },
        discovery: config.gossip,
        shared_state: config.shared_state.as_ref().map(|state| shared_state(state, limits)),
        plan: config.plan.as_ref().map(|plan| PlanConfig { privacy, ..(*plan.config).clone() }),
        ..NodeConfig::new(config.node, Arc::new(directory))
    }
}
