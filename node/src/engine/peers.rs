//! Peers: who is at the other end, which links lead there, and what goes without a connection.

use super::{Answer, Engine};
use crate::{
    config::{Station, Via},
    mailbox::{Event, Mailbox},
    metrics::PeerStatus,
    transport::{ConnectionId, StreamKind},
};
use cosmosmesh_protocol::{
    convergence::udpcl::{self, Messages, UdpclMessage},
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::{EndpointId, NodeId},
    identity::TrustError,
    node::{Convergence, Input, LinkId, LinkUp, Transfer, WholeLink},
    time::Instant,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Bundles that may wait for a peer's word on one link.
pub(super) const WINDOW: u16 = 256;

/// What the engine knows of a peer beside its configuration.
#[derive(Default)]
pub(super) struct PeerState {
    /// The connections behind its two links: what we made or need no connection for, and what it made.
    pub(super) connections: [Option<ConnectionId>; 2],
    /// Which of its links are up.
    pub(super) up: [bool; 2],
    /// The newest connection over which it says MTCP and of which a bundle was taken.
    pub(super) heard_over_mtcp: Option<ConnectionId>,
    /// When the next datagram may leave.
    pub(super) free_at: Instant,
    /// It is in this process.
    mailbox: Option<Arc<Mailbox>>,
}

/// What a radio takes to begin, beside the airtime.
const KEYING: Duration = Duration::from_millis(500);
/// How long a peer is sent nothing whose datagram the system did not take.
const UNSENT_PAUSE: Duration = Duration::from_secs(1);

/// The link of a peer that we make, or that needs no connection.
pub(super) const OURS: usize = 0;
/// The link of a peer that it makes.
pub(super) const THEIRS: usize = 1;

pub(super) const fn link_of(place: usize, side: usize) -> LinkId {
    LinkId((place * 2 + side) as u32)
}

/// A stable word for why a datagram was not sent.
fn unsent_word(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable => "network_unreachable",
        io::ErrorKind::HostUnreachable => "host_unreachable",
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::PermissionDenied => "send_not_permitted",
        _ => "send_failed",
    }
}

impl Engine {
    /// Tells the node of links that need no connection, and what the others speak: so that frames which come before are understood.
    pub(super) fn introduce_peers(&mut self) {
        self.expect_answers();
        for place in 0..self.peers.len() {
            match self.parts.config.peers[place].via {
                Via::Udp(_) => self.link_up(place, OURS, u32::from(self.parts.config.limits.udp_bytes)),
                Via::Mtcp(_) | Via::Process => {
                    self.link_up(place, OURS, self.parts.config.limits.bundle_bytes);
                    self.link_down(place, OURS);
                }
                Via::Tcpcl(_)
                | Via::Quic(_)
                | Via::Discovered
                | Via::Told
                | Via::Inbound
                | Via::Others
                | Via::Radio { .. } => {}
            }
        }
    }

    /// Tells the node how long an answer takes over links that lose without a word, so that it sends again in time. Of other peers nothing is
    /// told: their sessions say what was lost, and whoever is behind them may be away for hours.
    fn expect_answers(&mut self) {
        let (own, peers) = (self.parts.config.node, &self.parts.config.peers);
        let lossy = peers.iter().filter_map(|peer| match peer.via {
            Via::Udp(_) => Some((peer.node, peer.rate_bps, Duration::ZERO)),
            // Both directions share the channel, and keying a transmitter takes its time.
            Via::Radio { .. } => Some((peer.node, (peer.rate_bps / 2).max(1), KEYING)),
            Via::Tcpcl(_)
            | Via::Quic(_)
            | Via::Mtcp(_)
            | Via::Discovered
            | Via::Told
            | Via::Inbound
            | Via::Process
            | Via::Others => None,
        });
        let contact = |from, to, rate_bps, owlt| {
            let (start, end) = (Instant::ZERO, Instant::from_nanos(u64::MAX >> 1));
            PlannedContact { from, to, start, end, rate_bps, owlt }
        };
        let both = |(node, rate, owlt)| [contact(own, node, rate, owlt), contact(node, own, rate, owlt)];
        let plan = ContactPlan::from_contacts(lossy.flat_map(both)).expect("peers are apart, rates above 0");
        if !plan.is_empty() {
            self.input(Input::ContactPlan(plan)).expect("a plan is never misuse");
        }
    }

    pub(super) fn link_up(&mut self, place: usize, side: usize, mtu: u32) {
        let peer = &self.parts.config.peers[place];
        let up = LinkUp {
            link: link_of(place, side),
            peer: peer.node,
            mtu,
            rate_bps: peer.rate_bps,
            until: None,
            convergence: match peer.via {
                Via::Radio { .. } => Convergence::SmallFrame,
                _ => Convergence::Whole(WholeLink { window: WINDOW }),
            },
            session: false,
        };
        tracing::info!(peer = %peer.node, link = up.link.0, mtu, "contact begins");
        self.peers[place].up[side] = true;
        self.input(Input::LinkUp(up)).expect("a link up is never misuse");
    }

    pub(super) fn link_down(&mut self, place: usize, side: usize) {
        if !std::mem::take(&mut self.peers[place].up[side]) {
            return;
        }
        tracing::info!(peer = %self.parts.config.peers[place].node, link = link_of(place, side).0, "contact ends");
        self.input(Input::LinkDown { link: link_of(place, side) }).expect("it was up");
    }

    /// The peer that calls itself so.
    pub(super) fn peer_named(&self, node_id: &str) -> Option<usize> {
        let endpoint: EndpointId = node_id.parse().ok()?;
        self.parts.config.peers.iter().position(|peer| match &endpoint {
            EndpointId::Ipn { node, .. } => peer.node == *node,
            EndpointId::Dtn(text) => {
                let name = text.trim_start_matches('/').split('/').next();
                peer.name.is_some() && peer.name.as_deref() == name
            }
            EndpointId::Null => false,
        })
    }

    /// The peer that an address belongs to: the one that is reached there, or else the only one at that machine.
    fn peer_at(&self, from: SocketAddr, address_of: impl Fn(Via) -> Option<SocketAddr>) -> Option<usize> {
        let peers = &self.parts.config.peers;
        let at = |wanted: &dyn Fn(SocketAddr) -> bool| {
            let mut found =
                (0..peers.len()).filter(|place| address_of(peers[*place].via).is_some_and(wanted));
            let first = found.next();
            first.filter(|_| found.next().is_none())
        };
        let machine = |address: SocketAddr| -> IpAddr { address.ip().to_canonical() };
        at(&|address| address == from).or_else(|| at(&|address| machine(address) == machine(from)))
    }

    /// Who sends on an MTCP connection, which does not say it.
    pub(super) fn mtcp_peer(&self, from: SocketAddr) -> Option<usize> {
        self.peer_at(from, |via| match via {
            Via::Mtcp(address) => Some(address),
            _ => None,
        })
    }

    pub(super) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let place = self.peer_at(from, |via| match via {
            Via::Udp(address) => Some(address),
            _ => None,
        });
        let Some(place) = place else { return self.counts.refuse("udp", "unknown_peer") };
        for message in Messages::new(bytes) {
            match message {
                Ok(UdpclMessage::Bundle(bundle)) => {
                    self.frame(place, OURS, bundle, Answer::Nobody);
                }
                Ok(UdpclMessage::Keepalive | UdpclMessage::Padding(_) | UdpclMessage::Extensions(_)) => {}
                Ok(UdpclMessage::Dtls(_)) => self.counts.refuse("udp", "dtls"),
                Err(error) => self.counts.refuse("udp", error.reason()),
            }
        }
    }

    /// A bundle came in.
    pub(super) fn frame(&mut self, place: usize, side: usize, bundle: &[u8], answer: Answer) -> bool {
        let link = link_of(place, side);
        self.counts.received(self.parts.config.peers[place].node.0, bundle.len());
        self.answers.entry(link).or_default().push(answer, bundle.len());
        self.unanswered_bytes += bundle.len();
        let taken = self.input(Input::Frame { link, bytes: bundle });
        if let Err(error) = &taken {
            tracing::debug!(peer = %self.parts.config.peers[place].node, %error, "a bundle was refused");
        }
        taken.is_ok()
    }

    /// How many bundles of a link wait for the disk, and how many bytes they are.
    pub(super) fn unanswered(&self, place: usize, side: usize) -> (usize, usize) {
        self.answers
            .get(&link_of(place, side))
            .map_or((0, 0), |waiting| (waiting.frames.len(), waiting.bytes))
    }

    /// Sends what is due to a peer without a connection; says whether there was anything.
    pub(super) fn pump_peer(&mut self, place: usize) -> bool {
        match self.parts.config.peers[place].via {
            Via::Udp(address) => self.pump_datagrams(place, address),
            Via::Process => self.pump_neighbour(place),
            Via::Tcpcl(_)
            | Via::Quic(_)
            | Via::Mtcp(_)
            | Via::Discovered
            | Via::Told
            | Via::Inbound
            | Via::Others
            | Via::Radio { .. } => false,
        }
    }

    fn pump_datagrams(&mut self, place: usize, address: SocketAddr) -> bool {
        let (link, mut moved) = (link_of(place, OURS), false);
        loop {
            let now = self.now();
            if self.peers[place].free_at > now {
                return moved;
            }
            let Some((transfer, bundle)) = self.parts.node.poll_bundle(now, link) else { return moved };
            moved = true;
            let mtu = usize::from(self.parts.config.limits.udp_bytes);
            let sent = match (udpcl::datagram(&bundle, mtu), &self.parts.socket) {
                (Ok(datagram), Some(socket)) => socket.send_to(datagram, address),
                (Ok(_), None) => Err(io::ErrorKind::NotConnected.into()),
                (Err(error), _) => {
                    // It will not fit the next time either.
                    self.counts.refuse("udp", error.reason());
                    let _ = self.input(Input::Transmitted { link, transfer });
                    continue;
                }
            };
            if let Err(error) = sent {
                self.on_datagram_unsent(place, transfer, &error);
                return moved;
            }
            self.counts.sent(self.parts.config.peers[place].node.0, bundle.len());
            let bits = (bundle.len() as u64).saturating_mul(8_000_000_000);
            let airtime = Duration::from_nanos(bits / self.parts.config.peers[place].rate_bps);
            // The socket's buffer evens out a few milliseconds; sleeping for less costs more than it saves.
            let earliest = now.saturating_sub(Duration::from_millis(1));
            let free = self.peers[place].free_at.max(earliest).saturating_add(airtime);
            self.peers[place].free_at = free;
            let _ = self.input(Input::Transmitted { link, transfer });
        }
    }

    /// The system did not take a datagram: its bundle is tried again in a while.
    fn on_datagram_unsent(&mut self, place: usize, transfer: Transfer, error: &io::Error) {
        let (peer, link) = (self.parts.config.peers[place].node, link_of(place, OURS));
        self.counts.refuse("udp", unsent_word(error));
        if let Some(more) = self.may_tell("datagram_unsent") {
            tracing::warn!(%peer, %error, more, "a datagram cannot be sent");
        }
        self.peers[place].free_at = self.now().saturating_add(UNSENT_PAUSE);
        let _ = self.input(Input::TransmissionFailed { link, transfer });
    }

    fn pump_neighbour(&mut self, place: usize) -> bool {
        let Some(mailbox) = self.peers[place].mailbox.clone() else { return false };
        let (link, own, mut moved) = (link_of(place, OURS), self.parts.config.node.0, false);
        let now = self.now();
        while let Some((transfer, bundle)) = self.parts.node.poll_bundle(now, link) {
            self.counts.sent(self.parts.config.peers[place].node.0, bundle.len());
            // Bounded by the link's window on this side.
            let reply = self.parts.mailbox.clone();
            mailbox.post_traffic(Event::Neighbour { from: own, transfer, bundle, reply });
            moved = true;
        }
        moved
    }

    fn process_peer(&self, node: u64) -> Option<usize> {
        let peers = self.parts.config.peers.iter();
        peers.clone().position(|peer| peer.node == NodeId(node) && peer.via == Via::Process)
    }

    pub(super) fn on_paired(&mut self, node: u64, mailbox: Option<Arc<Mailbox>>) {
        let Some(place) = self.process_peer(node) else { return };
        self.link_down(place, OURS);
        let up = mailbox.is_some();
        self.peers[place].mailbox = mailbox;
        if up {
            self.link_up(place, OURS, self.parts.config.limits.bundle_bytes);
        }
    }

    pub(super) fn on_neighbour(&mut self, from: u64, answer: Answer, bundle: &[u8]) {
        if let Some(place) = self.process_peer(from) {
            self.frame(place, OURS, bundle, answer);
        }
    }

    pub(super) fn on_neighbour_answer(&mut self, from: u64, transfer: Transfer, taken: bool) {
        let Some(place) = self.process_peer(from) else { return };
        let link = link_of(place, OURS);
        // A transfer of before the link went down was given back then.
        let _ = self.input(if taken {
            Input::Transmitted { link, transfer }
        } else {
            Input::TransmissionFailed { link, transfer }
        });
    }

    pub(super) fn peer_status(&self) -> Vec<PeerStatus> {
        let peers = self.parts.config.peers.iter().zip(&self.peers);
        peers
            .map(|(peer, state)| PeerStatus {
                node: peer.node.0,
                via: match peer.via {
                    Via::Tcpcl(address) => format!("tcpcl {address}"),
                    Via::Mtcp(address) => format!("mtcp {address}"),
                    Via::Udp(address) => format!("udp {address}"),
                    Via::Quic(address) => format!("quic {address}"),
                    Via::Radio { radio, station } => self.radio_words(radio, station),
                    Via::Discovered => "discovered".to_owned(),
                    Via::Told => "told".to_owned(),
                    Via::Inbound => "inbound".to_owned(),
                    Via::Process => "process".to_owned(),
                    Via::Others => "others".to_owned(),
                },
                links_up: state.up.iter().filter(|up| **up).count() as u32,
                addresses: state
                    .connections
                    .iter()
                    .flatten()
                    .filter_map(|id| self.connections.get(id))
                    .map(|connection| connection.from().to_string())
                    .collect(),
                member: peer.key.is_some(),
                presence: self.parts.node.presence(peer.node).map(|presence| presence.word().to_owned()),
                barred: self.barred(peer.node).map(str::to_owned),
            })
            .collect()
    }

    /// Why a peer gets no session where the authority's word is asked for: its key was taken back.
    fn barred(&self, node: NodeId) -> Option<&'static str> {
        let revoked = self.parts.node.keyring()?.blocked(node)?;
        Some(TrustError::Revoked { node, revoked }.reason())
    }

    fn radio_words(&self, radio: usize, station: Station) -> String {
        let name = &self.parts.config.radios[radio].name;
        match station {
            Station::Only => format!("radio {name}"),
            Station::Call(call) => format!("radio {name} {call}"),
            Station::Mesh(node) => format!("radio {name} !{node:08x}"),
        }
    }

    /// The side of a peer's links that a connection serves.
    pub(super) const fn side_of(dialled: bool, kind: StreamKind) -> usize {
        match (dialled, kind) {
            (true, _) | (false, StreamKind::Mtcp) => OURS,
            (false, StreamKind::Tcpcl) => THEIRS,
        }
    }
}
