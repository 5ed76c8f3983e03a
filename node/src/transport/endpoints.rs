//! Which sockets speak QUIC: the one that listens, and one of its own for each peer that cannot be reached from there.

use super::{quic::Quic, stream::Streams};
use crate::{
    config::{Config, Via},
    tls::TlsSetup,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// Begins to listen at `socket`, if there is one, and to keep a connection to each peer by QUIC.
///
/// # Errors
/// Those of the system; the program is built without QUIC.
pub(crate) fn speak(
    config: &Config,
    socket: Option<UdpSocket>,
    tls: &Arc<TlsSetup>,
    streams: &Streams,
) -> io::Result<Vec<Quic>> {
    let patience = Duration::from_secs(u64::from(config.limits.patience_s));
    let start = |socket, listens| Quic::start(socket, tls.clone(), streams.clone(), patience, listens);
    let listening = match socket {
        Some(socket) => Some((socket.local_addr()?.ip(), start(socket, true)?)),
        None => None,
    };
    let mut all = Vec::new();
    for (place, peer) in config.peers.iter().enumerate() {
        let Via::Quic(address) = peer.via else { continue };
        match listening.as_ref().filter(|(ip, _)| reaches(*ip, address.ip())) {
            Some((_, quic)) => quic.keep_dialling(place, address)?,
            None => {
                let quic = start(UdpSocket::bind(SocketAddr::new(towards(address.ip()), 0))?, false)?;
                quic.keep_dialling(place, address)?;
                all.push(quic);
            }
        }
    }
    all.extend(listening.map(|(_, quic)| quic));
    Ok(all)
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
