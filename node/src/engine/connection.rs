//! Connections: bytes of a socket on one side, whole bundles of the node on the other.

use super::{
    Answer, Engine, LAST_WORDS,
    peers::{OURS, WINDOW, link_of},
    secure::Secured,
};
use crate::{
    Tls,
    mailbox::Opened,
    tls::Proven,
    transport::{ConnectionId, Outstanding, StreamKind, room::Slot, wire::Wire},
};
use cosmosmesh_protocol::{
    convergence::{
        mtcp,
        tcpcl::{
            Acknowledgements, Config as SessionConfig, Output, Role, Session, TerminationReason, TlsPolicy,
            TransferRefusal, TransferToken,
        },
    },
    node::{Input, Transfer},
    time::Instant,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Sender, SyncSender},
    },
    time::Duration,
};

/// Bytes that may wait for a writer before the node keeps what it has.
pub(super) const MAX_OUTSTANDING: usize = 256 << 10;
/// Bytes that are written at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Bundles of a link that wait for the disk before no more are read, and their bytes.
pub(super) const MAX_UNANSWERED: usize = 1024;
const MAX_UNANSWERED_BYTES: usize = 16 << 20;

/// A buffer that came in, and how much of it is used up.
pub(super) struct Unread {
    pub(super) buffer: Vec<u8>,
    pub(super) length: usize,
    pub(super) used: usize,
}

pub(super) enum Protocol {
    Tcpcl(Box<Session>),
    /// Bundles that come in, and since when the one that is not whole has been coming.
    MtcpIn(mtcp::Parser, Option<Instant>),
    /// Bundles that wait for the writer, by the piece that they are in.
    MtcpOut {
        pieces: u64,
        waiting: VecDeque<(u64, Transfer)>,
        /// Pieces that were written when it was last looked, and since when there are no more.
        written: (u64, Instant),
    },
}

/// A connection that is over, and may still write its last words.
pub(super) struct Closing {
    pub(super) until: Instant,
    pub(super) stream: Wire,
    pub(super) outstanding: Arc<Outstanding>,
    /// Its place is taken until then.
    _slot: Arc<Slot>,
}

/// One connection.
pub(super) struct Connection {
    pub(super) protocol: Protocol,
    dialled: Option<usize>,
    /// Whose links it serves, once that is known.
    pub(super) peer: Option<usize>,
    /// No new bundle is started.
    pub(super) ending: bool,
    /// Its reader has ended: nothing comes behind what is unread.
    pub(super) gone: bool,
    /// Its writer has failed.
    pub(super) unwritable: bool,
    pub(super) slot: Arc<Slot>,
    stream: Wire,
    pub(super) from: SocketAddr,
    credits: Sender<Vec<u8>>,
    pub(super) writer: SyncSender<Vec<u8>>,
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) unread: VecDeque<Unread>,
    patience: Duration,
    /// TLS, once the session has asked for it.
    pub(super) secured: Option<Secured>,
}

impl Connection {
    pub(super) const fn from(&self) -> SocketAddr {
        self.from
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.protocol {
            Protocol::Tcpcl(session) => Some(session),
            Protocol::MtcpIn(..) | Protocol::MtcpOut { .. } => None,
        }
    }

    pub(super) fn session_and_tls(&mut self) -> Option<(&mut Session, Option<&mut Secured>)> {
        match &mut self.protocol {
            Protocol::Tcpcl(session) => Some((session, self.secured.as_mut())),
            Protocol::MtcpIn(..) | Protocol::MtcpOut { .. } => None,
        }
    }

    /// Who is at the other end, where the transport itself has shown that.
    pub(super) fn proven(&self) -> Option<&Proven> {
        self.stream.proven()
    }

    /// Whether TLS or the transport has shown who is at the other end.
    fn shows_who_it_is(&self) -> bool {
        self.proven().is_some() || self.secured.as_ref().is_some_and(Secured::is_done)
    }

    pub(super) fn heard(&self) {
        self.outstanding.heard();
    }

    /// When something is due on it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.protocol {
            Protocol::Tcpcl(session) => session.poll_timeout(),
            // What we leave unread is not the peer's slowness.
            Protocol::MtcpIn(_, since) if self.unread.is_empty() => {
                since.map(|since| since.saturating_add(self.patience))
            }
            Protocol::MtcpOut { waiting, written: (_, since), .. } if !waiting.is_empty() => {
                Some(since.saturating_add(self.patience))
            }
            Protocol::MtcpIn(..) | Protocol::MtcpOut { .. } => None,
        }
    }

    /// No more bytes are moved.
    pub(super) fn cut(&self) {
        self.stream.shut_down();
    }

    /// Ends it in order.
    pub(super) fn terminate(&mut self, now: Instant, reason: TerminationReason) {
        self.ending = true;
        match &mut self.protocol {
            Protocol::Tcpcl(session) => session.terminate(now, reason),
            // Its end is told by its reader.
            Protocol::MtcpIn(..) => self.cut(),
            Protocol::MtcpOut { waiting, .. } => {
                if waiting.is_empty() {
                    self.cut();
                }
            }
        }
    }

    /// Another of the same peer is known instead: it gives way again, if it has come in.
    pub(super) fn is_guest_again(&self) {
        if self.dialled.is_none() {
            self.slot.is_guest_again(self.from.ip().to_canonical(), self.stream.clone());
        }
    }

    fn write(&self, piece: Vec<u8>) {
        self.outstanding.add(piece.len());
        // The engine stops at `MAX_OUTSTANDING` bytes, long before the channel is full; a writer that is gone is told by the reader.
        let _ = self.writer.try_send(piece);
    }

    pub(super) fn use_up(&mut self) {
        if let Some(unread) = self.unread.pop_front() {
            let _ = self.credits.send(unread.buffer);
        }
    }
}

impl Engine {
    pub(super) fn on_opened(&mut self, opened: Opened) {
        let Opened { connection: id, dialled, kind, stream, from, credits, writer, outstanding, slot } =
            opened;
        if self.stopping.is_some() || stream.is_over() {
            return stream.shut_down();
        }
        let now = self.now();
        let (protocol, peer) = match (kind, dialled) {
            (StreamKind::Tcpcl, _) => {
                let role = if dialled.is_some() { Role::Active } else { Role::Passive };
                let session =
                    Session::new(role, self.session_config(dialled, stream.proven().is_some()), now);
                (Protocol::Tcpcl(Box::new(session)), None)
            }
            (StreamKind::Mtcp, Some(place)) => {
                let (pieces, waiting, written) = (0, VecDeque::new(), (0, now));
                (Protocol::MtcpOut { pieces, waiting, written }, Some(place))
            }
            (StreamKind::Mtcp, None) => {
                let Some(place) = self.mtcp_peer(from) else {
                    self.counts.refuse("mtcp", "unknown_peer");
                    if let Some(more) = self.may_tell("mtcp_unknown_peer") {
                        tracing::warn!(%from, more, "an MTCP connection of nobody that is known");
                    }
                    return stream.shut_down();
                };
                let most = u64::from(self.parts.config.limits.bundle_bytes);
                (Protocol::MtcpIn(mtcp::Parser::new(most), None), Some(place))
            }
        };
        tracing::debug!(%from, ?kind, dialled = dialled.is_some(), "connected");
        let mut patience = Duration::from_secs(u64::from(self.parts.config.limits.patience_s));
        if let (Protocol::MtcpOut { .. }, Some(place)) = (&protocol, peer) {
            // A piece may take its time on a slow way.
            let nanos = (2 * PIECE_BYTES as u64 * 8).saturating_mul(1_000_000_000);
            patience += Duration::from_nanos(nanos / self.parts.config.peers[place].rate_bps);
        }
        let (ending, gone, unread) = (false, false, VecDeque::new());
        let connection = Connection {
            protocol,
            dialled,
            peer,
            ending,
            gone,
            unwritable: false,
            slot,
            stream,
            from,
            credits,
            writer,
            outstanding,
            unread,
            patience,
            secured: None,
        };
        self.connections.insert(id, connection);
        if let (StreamKind::Mtcp, Some(place)) = (kind, dialled) {
            // The end of the one before may not have been told yet. What it had under way goes back to the node.
            let before = self.peers[place].connections[OURS];
            if let Some((before, older)) = before.and_then(|id| Some((id, self.connections.remove(&id)?))) {
                older.cut();
                self.close(before, older);
            }
            self.peers[place].connections[OURS] = Some(id);
            self.link_up(place, OURS, self.parts.config.limits.bundle_bytes);
        }
    }

    fn session_config(&self, dialled: Option<usize>, proven: bool) -> SessionConfig {
        let config = &self.parts.config;
        let limits = &config.limits;
        // Who accepts does not know yet who comes: one lenient peer makes all of them be judged so, and strict ones lose nothing by it.
        let lenient = match dialled {
            Some(place) => config.peers[place].lenient,
            None => config.peers.iter().any(|peer| peer.lenient),
        };
        SessionConfig {
            keepalive_s: limits.keepalive_s,
            transfer_mru: u64::from(limits.bundle_bytes),
            acknowledgements: if lenient { Acknowledgements::Lenient } else { Acknowledgements::Strict },
            tls: match config.tls {
                // The transport has done it.
                _ if proven => TlsPolicy::Refuse,
                Tls::Refuse => TlsPolicy::Refuse,
                Tls::Allow => TlsPolicy::Allow,
                Tls::Require => TlsPolicy::Require,
            },
            require_authenticated_node_id: config.tls == Tls::Require && !proven,
            hold_final_acknowledgement: true,
            max_held: usize::from(WINDOW),
            max_unacknowledged_segments: 2 * usize::from(WINDOW),
            max_queued: usize::from(WINDOW),
            contact_timeout: Duration::from_secs(u64::from(limits.patience_s)),
            ending_timeout: Duration::from_secs(u64::from(limits.drain_s.max(1))),
            ..SessionConfig::new(self.own_node_id(dialled))
        }
    }

    /// What we call ourselves: peers of the `dtn` scheme know us by a name, if we have one. Who accepts does not know yet who comes, and
    /// uses it when all peers are such.
    fn own_node_id(&self, dialled: Option<usize>) -> String {
        let config = &self.parts.config;
        let foreign = match dialled {
            Some(place) => config.peers[place].name.is_some(),
            None => config.peers.iter().all(|peer| peer.name.is_some()),
        };
        match config.names.first().filter(|_| foreign) {
            Some(name) => format!("dtn://{name}/"),
            None => config.node.endpoint(0).to_string(),
        }
    }

    pub(super) fn on_bytes(&mut self, id: ConnectionId, buffer: Vec<u8>, length: usize) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.unread.push_back(Unread { buffer, length, used: 0 });
        } else {
            self.on_radio_bytes(id, buffer, length);
        }
    }

    /// Moves what can be moved on a connection; says whether the node had a part in it.
    pub(super) fn pump(&mut self, id: ConnectionId) -> bool {
        // Out of the map while it is worked on, so that it and the engine can both be changed.
        let Some(mut connection) = self.connections.remove(&id) else { return false };
        let moved = match connection.protocol {
            Protocol::Tcpcl(_) => self.pump_session(id, &mut connection),
            Protocol::MtcpIn(..) => self.pump_mtcp_in(id, &mut connection),
            Protocol::MtcpOut { .. } => self.pump_mtcp_out(&mut connection),
        };
        let over = match &connection.protocol {
            Protocol::Tcpcl(session) => session.is_closed(),
            Protocol::MtcpIn(parser, _) => {
                let read_out = connection.gone && connection.unread.is_empty();
                if read_out && !parser.is_between_bundles() {
                    self.counts.refuse("mtcp", "bundle_cut_off");
                }
                connection.ending || read_out
            }
            Protocol::MtcpOut { waiting, .. } => connection.gone || connection.ending && waiting.is_empty(),
        };
        if over {
            self.close(id, connection);
        } else {
            self.connections.insert(id, connection);
        }
        moved || over
    }

    /// Whether what a connection brings is left to TCP for now. Who has not said who it is may go on doing so.
    pub(super) fn is_held(&self, connection: &Connection) -> bool {
        let Some(place) = connection.peer else { return false };
        let kind = match connection.protocol {
            Protocol::Tcpcl(_) => StreamKind::Tcpcl,
            Protocol::MtcpIn(..) | Protocol::MtcpOut { .. } => StreamKind::Mtcp,
        };
        let side = Self::side_of(connection.dialled.is_some(), kind);
        let (frames, bytes) = self.unanswered(place, side);
        frames >= MAX_UNANSWERED || bytes >= MAX_UNANSWERED_BYTES || self.is_shut()
    }

    fn pump_session(&mut self, id: ConnectionId, connection: &mut Connection) -> bool {
        let now = self.now();
        let mut moved = self.session_outputs(id, connection);
        let mut held = self.is_held(connection);
        while !held && let Some(mut unread) = connection.unread.pop_front() {
            let bytes = &unread.buffer[unread.used..unread.length];
            let taken = if connection.secured.is_some() {
                self.open_tls(connection, bytes)
            } else if let Some(session) = connection.session() {
                session.handle_bytes(now, bytes)
            } else {
                return moved;
            };
            unread.used += taken;
            let whole = unread.used == unread.length;
            connection.unread.push_front(unread);
            moved |= self.session_outputs(id, connection);
            if whole {
                connection.use_up();
            } else if taken == 0 {
                break;
            }
            held = self.is_held(connection);
        }
        let lost = held && connection.unwritable;
        if let Some(session) = connection.session() {
            session.hold(now, held);
            if lost {
                // Its reader does not get as far as the end; what is left unread is said again.
                session.connection_lost(now);
            }
        }
        if !held && connection.unread.is_empty() && connection.secured.is_some() {
            // What TLS has opened may wait for room in the session.
            self.open_tls(connection, &[]);
            moved |= self.session_outputs(id, connection);
        }
        moved |= self.start_transfers(connection);
        Self::transmit(connection, now);
        moved | self.session_outputs(id, connection)
    }

    /// Writes what the session has to say.
    fn transmit(connection: &mut Connection, now: Instant) {
        while connection.outstanding.bytes() < MAX_OUTSTANDING {
            let mut piece = Vec::new();
            let Some((session, secured)) = connection.session_and_tls() else { return };
            while piece.len() < PIECE_BYTES && session.poll_transmit(now, &mut piece) > 0 {}
            if let Some(secured) = secured {
                piece = secured.seal(&piece);
            }
            if piece.is_empty() {
                return;
            }
            connection.write(piece);
        }
    }

    fn start_transfers(&mut self, connection: &mut Connection) -> bool {
        let (now, ending, mut moved) = (self.now(), connection.ending, false);
        let Some(place) = connection.peer.filter(|_| !ending) else { return false };
        let link = link_of(place, Self::side_of(connection.dialled.is_some(), StreamKind::Tcpcl));
        let room = connection.outstanding.bytes() < MAX_OUTSTANDING;
        let Some(session) = connection.session().filter(|_| room) else { return false };
        while let Some((transfer, bundle)) = self.parts.node.poll_bundle(now, link) {
            moved = true;
            let length = bundle.len();
            match session.send(TransferToken(transfer.0), bundle) {
                Ok(()) => self.counts.sent(self.parts.config.peers[place].node.0, length),
                Err(_) => {
                    // It ends, or has no room: the bundle goes back to its queue.
                    let _ = self.input(Input::TransmissionFailed { link, transfer });
                    break;
                }
            }
        }
        moved
    }

    fn session_outputs(&mut self, id: ConnectionId, connection: &mut Connection) -> bool {
        let mut moved = false;
        while let Some(output) = connection.session().and_then(Session::poll_output) {
            moved = true;
            self.on_session_output(id, connection, output);
        }
        moved
    }

    fn on_session_output(&mut self, id: ConnectionId, connection: &mut Connection, output: Output) {
        let side = Self::side_of(connection.dialled.is_some(), StreamKind::Tcpcl);
        let link = connection.peer.map(|place| link_of(place, side));
        let transfer = |token: TransferToken| Transfer(token.0);
        match (output, link) {
            (Output::Established(agreed), _) => {
                self.on_established(id, connection, &agreed.peer_node_id, agreed.transfer_mtu);
            }
            (Output::BundleReceived { transfer, bundle }, Some(_)) => {
                let place = connection.peer.expect("its link is known");
                self.frame(place, side, &bundle, Answer::Session(id, transfer));
            }
            (Output::TransferAcknowledged { token }, Some(link)) => {
                let _ = self.input(Input::Transmitted { link, transfer: transfer(token) });
            }
            (Output::TransferRefused { token, reason, .. }, Some(link)) => {
                self.counts.refuse("tcpcl", "transfer_refused_by_peer");
                let transfer = transfer(token);
                let _ = self.input(match reason {
                    // The peer has it already.
                    TransferRefusal::COMPLETED => Input::Transmitted { link, transfer },
                    _ => Input::TransmissionFailed { link, transfer },
                });
            }
            (Output::TransferFailed { token, .. }, Some(link)) => {
                let _ = self.input(Input::TransmissionFailed { link, transfer: transfer(token) });
            }
            (Output::StartTls { role }, _) => {
                // The contact header goes before.
                Self::transmit(connection, self.now());
                self.start_tls(connection, role);
            }
            (Output::Ending { .. }, _) => connection.ending = true,
            (Output::Closed(closure), _) => {
                tracing::debug!(from = %connection.from, reason = closure.reason(), "a session ended");
            }
            (Output::ReceptionFailed { .. }, _) => self.counts.refuse("tcpcl", "reception_failed"),
            // Bundles of nobody are refused by the end of their session.
            (
                Output::BundleReceived { .. }
                | Output::TransferAcknowledged { .. }
                | Output::TransferRefused { .. }
                | Output::TransferFailed { .. },
                _,
            ) => {}
        }
    }

    fn on_established(&mut self, id: ConnectionId, connection: &mut Connection, node_id: &str, mtu: u64) {
        let now = self.now();
        let place = self.peer_named(node_id);
        let proven = connection.stream.proven().map(|proven| (proven.node, proven.shown.clone()));
        let is_proven = |place: usize| {
            let node = self.parts.config.peers[place].node;
            proven.as_ref().is_none_or(|(proven, _)| *proven == node)
        };
        let refusal = match (place, connection.dialled) {
            (None, _) => Some("unknown_peer"),
            (Some(found), _) if !is_proven(found) => Some("another_peer"),
            (Some(found), Some(wanted)) if found != wanted => Some("another_peer"),
            (Some(found), _) if !connection.shows_who_it_is() && self.is_to_show(found) => Some("unproven"),
            _ => None,
        };
        if let Some(reason) = refusal {
            self.counts.refuse("tcpcl", reason);
            if let Some(more) = self.may_tell(reason) {
                tracing::warn!(node_id, from = %connection.from, reason, more, "a session of somebody else");
            }
            connection.terminate(now, TerminationReason::CONTACT_FAILURE);
            return;
        }
        let Some(place) = place else { return };
        if let Some((node, shown)) = proven {
            self.learn_of_peer(node, shown);
        }
        let side = Self::side_of(connection.dialled.is_some(), StreamKind::Tcpcl);
        connection.peer = Some(place);
        connection.slot.is_known_now();
        // Most likely the peer came back, and the older connection has not noticed that nobody is there.
        self.give_up(place, side, now);
        let other = self.peers[place].connections[1 - side].and_then(|id| self.connections.get(&id));
        if connection.shows_who_it_is() && other.is_some_and(|other| !other.shows_who_it_is()) {
            // Who shows it once shows it always: the other was somebody else.
            self.give_up(place, 1 - side, now);
        }
        self.peers[place].connections[side] = Some(id);
        let mtu = u32::try_from(mtu).unwrap_or(u32::MAX).min(self.parts.config.limits.bundle_bytes);
        self.link_up(place, side, mtu);
    }

    /// Whether a session of a peer counts only if it shows who is there: by the configuration, or since another one does.
    fn is_to_show(&self, place: usize) -> bool {
        let known = self.peers[place].connections.iter().flatten();
        let mut sessions = known.filter_map(|id| self.connections.get(id));
        self.parts.config.peers[place].proven || sessions.any(Connection::shows_who_it_is)
    }

    /// A peer's session on one of its sides is its session no longer.
    fn give_up(&mut self, place: usize, side: usize, now: Instant) {
        let before = self.peers[place].connections[side].take();
        if let Some(older) = before.and_then(|id| self.connections.get_mut(&id)) {
            older.peer = None;
            older.terminate(now, TerminationReason::UNKNOWN);
            older.is_guest_again();
        }
        self.link_down(place, side);
    }

    pub(super) fn on_connection_deadline(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match &mut connection.protocol {
            Protocol::Tcpcl(session) => session.handle_timeout(now),
            Protocol::MtcpIn(_, since) => {
                *since = None;
                connection.ending = true;
                self.counts.refuse("mtcp", "bundle_too_slow");
            }
            Protocol::MtcpOut { .. } => {
                connection.gone = true;
                connection.cut();
                self.counts.refuse("mtcp", "takes_nothing");
            }
        }
    }

    /// Ends a connection at once, and whatever it has brought that is unread with it: its reader may be waiting for that to be read, and would not say
    /// that it is over.
    pub(super) fn break_off(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.unread.clear();
        connection.ending = true;
        connection.cut();
        if let Some(session) = connection.session() {
            session.connection_lost(now);
        }
        self.pump(id);
    }

    /// The reader says that the connection is over.
    pub(super) fn on_gone(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else { return self.on_radio_gone(id) };
        connection.gone = true;
        // What came before is dealt with first. A session says again what it has no room for now; who speaks MTCP does not.
        self.pump(id);
        if let Some(session) = self.connections.get_mut(&id).and_then(Connection::session) {
            session.connection_lost(now);
        }
    }

    /// Forgets a connection: its links go down, its writer ends after its last words.
    fn close(&mut self, id: ConnectionId, mut connection: Connection) {
        if let Some(place) = connection.peer {
            for side in 0..2 {
                if self.peers[place].connections[side] == Some(id) {
                    self.peers[place].connections[side] = None;
                    self.link_down(place, side);
                }
            }
        }
        if let Protocol::Tcpcl(session) = &connection.protocol {
            // That a peer is gone is no fault of it.
            let faults = session.counters().iter().filter(|(reason, _)| **reason != "connection_lost");
            for (reason, count) in faults {
                *self.counts.refused.entry(("tcpcl", reason)).or_default() += count;
            }
        }
        // Who was shown out, or has gone, is told nothing any more: its place would wait for that.
        let hears = !connection.stream.is_over() && !connection.outstanding.has_failed();
        if let Some(secured) = connection.secured.as_mut().filter(|_| hears) {
            let last = secured.end();
            connection.write(last);
        }
        let until = self.now().saturating_add(LAST_WORDS);
        let Connection { stream, outstanding, slot, .. } = connection;
        // A writer that has nothing to write ends by itself.
        if hears && !outstanding.is_over() {
            self.closing.push(Closing { until, stream, outstanding, _slot: slot });
        }
    }
}
