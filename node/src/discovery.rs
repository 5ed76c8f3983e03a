//! Discovery by mDNS (RFC 6762, RFC 6763): members of one network find each other's addresses.
//!
//! A node announces the service `_cosmosmesh._tcp` with its `did:key`, and looks for the peers that its configuration knows by theirs. What is
//! announced proves nothing: it is where to knock, and the session says who opens.

use crate::config::{Config, Via};
use cosmosmesh_protocol::identity::Did;
use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

/// Where a peer was last found.
#[derive(Debug, Default)]
pub(crate) struct Found(Mutex<Option<SocketAddr>>);

impl Found {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// Whether an address that somebody else tells may be gone to.
pub(crate) fn is_allowed(config: &Config, address: SocketAddr) -> bool {
    let beyond = config.beyond_loopback && config.preset.requires().beyond_loopback;
    (beyond || address.ip().is_loopback()) && address.port() != 0 && !address.ip().is_unspecified()
}

/// Whether anything is to be announced or found.
pub(crate) fn is_wanted(config: &Config) -> bool {
    config.mdns || config.peers.iter().any(|peer| peer.via == Via::Discovered)
}

#[cfg(feature = "mdns")]
pub(crate) use with_mdns::Discovery;
#[cfg(not(feature = "mdns"))]
pub(crate) use without_mdns::Discovery;

#[cfg(feature = "mdns")]
mod with_mdns {
    use super::{Config, Did, Found, SocketAddr, Via, io};
    use cosmosmesh_protocol::identity::PublicKey;
    use mdns_sd::{IfKind, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
    use std::{net::IpAddr, sync::Arc, thread};

    const SERVICE: &str = "_cosmosmesh._tcp.local.";

    /// Announces and looks until it is dropped.
    pub(crate) struct Discovery {
        daemon: ServiceDaemon,
        found: Vec<(usize, Arc<Found>)>,
    }

    struct Wanted {
        did: String,
        found: Arc<Found>,
    }

    impl Discovery {
        pub(crate) fn start(config: &Config, own: &Did, tcpcl: Option<SocketAddr>) -> io::Result<Self> {
            let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
            let this = Self { daemon, found: Vec::new() };
            this.run(config, own, tcpcl).map_err(io::Error::other)
        }

        fn run(
            mut self,
            config: &Config,
            own: &Did,
            tcpcl: Option<SocketAddr>,
        ) -> Result<Self, mdns_sd::Error> {
            let local = !(config.beyond_loopback && config.preset.requires().beyond_loopback);
            if local {
                self.daemon.disable_interface(IfKind::All)?;
                self.daemon.enable_interface(IfKind::LoopbackV4)?;
            }
            if let Some(address) = tcpcl.filter(|_| config.mdns) {
                self.daemon.register(announcement(config, own, address)?)?;
            }
            let mut wanted = Vec::new();
            for (place, peer) in config.peers.iter().enumerate() {
                if let (Via::Discovered, Some(key)) = (peer.via, &peer.key) {
                    let found = Arc::new(Found::default());
                    self.found.push((place, found.clone()));
                    wanted.push(Wanted { did: name_of(key), found });
                }
            }
            if !wanted.is_empty() {
                let events = self.daemon.browse(SERVICE)?;
                let look = move || {
                    for event in events {
                        if let ServiceEvent::ServiceResolved(service) = event {
                            note(&service, &wanted, local);
                        }
                    }
                };
                let started = thread::Builder::new().name("mdns".to_owned()).spawn(look);
                started.map_err(|error| mdns_sd::Error::Msg(error.to_string()))?;
            }
            Ok(self)
        }

        /// Peers that are looked for, by place.
        pub(crate) fn found(&self) -> &[(usize, Arc<Found>)] {
            &self.found
        }
    }

    impl Drop for Discovery {
        fn drop(&mut self) {
            // Its thread ends, and with it the one that listens to it. Who has heard the announcement learns of the end by our silence.
            let _ = self.daemon.shutdown();
        }
    }

    fn name_of(key: &PublicKey) -> String {
        Did::new(key.clone()).to_string()
    }

    fn announcement(config: &Config, own: &Did, address: SocketAddr) -> Result<ServiceInfo, mdns_sd::Error> {
        let (did, node) = (own.to_string(), config.node.0.to_string());
        // Names on the network are to differ where numbers do not: the end of the key's name goes with it.
        let name = format!("node-{node}-{}", &did[did.len().saturating_sub(8)..]);
        let host = format!("{}.local.", name.to_ascii_lowercase());
        let properties = [("did", did.as_str()), ("node", node.as_str())];
        let any = address.ip().is_unspecified();
        let ip = if any { String::new() } else { address.ip().to_string() };
        let info = ServiceInfo::new(SERVICE, &name, &host, ip.as_str(), address.port(), &properties[..])?;
        Ok(if any { info.enable_addr_auto() } else { info })
    }

    /// Remembers where a peer is, if it is one. Who stays on this machine looks at no address beyond it.
    fn note(service: &ResolvedService, wanted: &[Wanted], local: bool) {
        let Some(did) = service.txt_properties.get_property_val_str("did") else { return };
        let Some(peer) = wanted.iter().find(|peer| peer.did == did) else { return };
        let mut addresses: Vec<IpAddr> =
            service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
        addresses.retain(|address| !local || address.is_loopback());
        // The same one each time: IPv4 first, the smallest.
        addresses.sort_unstable_by_key(|address| (address.is_ipv6(), *address));
        if let Some(address) = addresses.first() {
            peer.found.set(SocketAddr::new(*address, service.port));
        }
    }
}

#[cfg(not(feature = "mdns"))]
mod without_mdns {
    use super::{Config, Did, Found, SocketAddr, io};
    use std::sync::Arc;

    /// Not built in.
    pub(crate) enum Discovery {}

    impl Discovery {
        pub(crate) fn start(_: &Config, _: &Did, _: Option<SocketAddr>) -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this program is built without the feature `mdns`",
            ))
        }

        pub(crate) fn found(&self) -> &[(usize, Arc<Found>)] {
            match *self {}
        }
    }
}
