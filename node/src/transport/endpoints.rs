//! Which sockets speak QUIC: the one that listens, and one for all peers of a kind that cannot be reached from there.

use super::{quic::Quic, stream::Streams};
use crate::{
    config::{Config, Via},
    tls::TlsSetup,
};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// Sockets that speak QUIC.
#[derive(Default)]
pub(crate) struct QuicSockets {
    listening: Option<UdpSocket>,
    /// For peers that are not reached from there, by where they are bound.
    dialling: BTreeMap<IpAddr, UdpSocket>,
}

impl QuicSockets {
    /// Binds those that a configuration needs.
    ///
    /// # Errors
    /// Those of the system, and where it was.
    pub(crate) fn bind(config: &Config) -> Result<Self, (SocketAddr, io::Error)> {
        let bind = |address: SocketAddr| UdpSocket::bind(address).map_err(|error| (address, error));
        let listening = config.listen.quic.map(bind).transpose()?;
        let mut dialling = BTreeMap::new();
        for peer in &config.peers {
            let Via::Quic(address) = peer.via else { continue };
            let from = towards(address.ip());
            if !config.listen.quic.is_some_and(|at| reaches(at.ip(), address.ip()))
                && !dialling.contains_key(&from)
            {
                dialling.insert(from, bind(SocketAddr::new(from, 0))?);
            }
        }
        Ok(Self { listening, dialling })
    }

    /// Where it is listened.
    pub(crate) fn listens_at(&self) -> Option<SocketAddr> {
        self.listening.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// Begins to listen, and to keep a connection to each peer by QUIC.
    ///
    /// # Errors
    /// Those of the system; the program is built without QUIC.
    pub(crate) fn speak(
        self,
        config: &Config,
        tls: &Arc<TlsSetup>,
        streams: &Streams,
    ) -> io::Result<Vec<Quic>> {
        let patience = Duration::from_secs(u64::from(config.limits.patience_s));
        let start = |socket, listens| Quic::start(socket, tls.clone(), streams.clone(), patience, listens);
        let listening = self.listening.map(|socket| start(socket, true)).transpose()?;
        let dialling = self.dialling.into_iter().map(|(from, socket)| Ok((from, start(socket, false)?)));
        let dialling = dialling.collect::<io::Result<BTreeMap<IpAddr, Quic>>>()?;
        for (place, peer) in config.peers.iter().enumerate() {
            let Via::Quic(address) = peer.via else { continue };
            if let Some(quic) = dialling.get(&towards(address.ip())).or(listening.as_ref()) {
                quic.keep_dialling(place, address);
            }
        }
        Ok(listening.into_iter().chain(dialling.into_values()).collect())
    }
}

/// Whether a socket that is bound to `from` can send to `to`.
const fn reaches(from: IpAddr, to: IpAddr) -> bool {
    from.is_ipv4() == to.is_ipv4() && (from.is_unspecified() || from.is_loopback() == to.is_loopback())
}

/// What to bind to, to send there: this machine alone, if it is there.
const fn towards(to: IpAddr) -> IpAddr {
    match (to, to.is_loopback()) {
        (IpAddr::V4(_), true) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (IpAddr::V4(_), false) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (IpAddr::V6(_), true) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        (IpAddr::V6(_), false) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_reaches_its_own_kind_of_address() {
        let [home, lan, any]: [IpAddr; 3] =
            ["127.0.0.1", "192.0.2.1", "0.0.0.0"].map(|ip| ip.parse().unwrap());
        let [home6, lan6]: [IpAddr; 2] = ["::1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        assert!(reaches(home, home) && reaches(any, lan) && reaches(any, home) && reaches(lan, lan));
        assert!(!reaches(home, lan) && !reaches(lan, home) && !reaches(any, home6) && !reaches(home6, lan6));
        for to in [home, lan, home6, lan6] {
            assert!(reaches(towards(to), to), "{to}");
        }
    }
}
