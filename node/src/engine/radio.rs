//! Radios: frames of the node on one side, bytes of a modem on the other. Peers behind one radio take turns.

use super::{Engine, peers::OURS, peers::link_of};
use crate::{
    config::{Radio, Speaks, Station, Via},
    mailbox::RadioOpened,
    transport::{
        ConnectionId,
        kiss::{
            Command, KissDecoder,
            ax25::{HEADER_LEN, parse_ui, put_ui},
            put_frame,
        },
        meshtastic::{ClientSettings, Failure, MeshtasticClient, MeshtasticEvent, PacketId},
    },
};
use cosmosmesh_protocol::{node::Input, time::Instant};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Bytes that may wait for a modem: what is behind them is kept by the node.
const MAX_OUTSTANDING: usize = 4 << 10;
/// Addresses of stations that repeat a frame, in bytes.
const REPEATERS_LEN: usize = 56;
/// How far transmission may run ahead of the modem's rate, so that it always has something to send.
const AHEAD: Duration = Duration::from_millis(500);
/// How often a packet that the mesh gives up is given to it again: a bundle of many packets needs each of them.
const MORE_ATTEMPTS: u8 = 3;

enum Speech {
    Kiss(KissDecoder),
    Meshtastic(Box<Mesh>),
}

/// A client, and the packets that it is not done with: as many as its window.
struct Mesh {
    client: MeshtasticClient,
    under_way: BTreeMap<PacketId, Packet>,
    again: VecDeque<Packet>,
}

struct Packet {
    node: u32,
    frame: Vec<u8>,
    attempts_left: u8,
}

impl Mesh {
    /// Sends a packet. Room and length were looked at before.
    fn send(&mut self, now: Instant, packet: Packet) {
        if let Ok(id) = self.client.send(now, packet.node, &packet.frame, true) {
            self.under_way.insert(id, packet);
        }
    }
}

/// A radio, as the engine knows it.
pub(super) struct RadioState {
    line: Option<RadioOpened>,
    speech: Speech,
    /// When the next frame may leave.
    pub(super) free_at: Instant,
    /// The place of the peer whose turn it is.
    turn: usize,
}

impl RadioState {
    pub(super) fn new(radio: &Radio, seed: u32) -> Self {
        let speech = match radio.speaks {
            Speaks::Kiss { .. } => Speech::Kiss(KissDecoder::new(usize::from(radio.frame_bytes))),
            Speaks::Ax25 { .. } => {
                let header = HEADER_LEN + REPEATERS_LEN;
                Speech::Kiss(KissDecoder::new(usize::from(radio.frame_bytes) + header))
            }
            Speaks::Meshtastic { channel, hop_limit } => {
                let settings = ClientSettings { channel, hop_limit, ..ClientSettings::default() };
                let client = MeshtasticClient::new(settings, seed);
                Speech::Meshtastic(Box::new(Mesh {
                    client,
                    under_way: BTreeMap::new(),
                    again: VecDeque::new(),
                }))
            }
        };
        Self { line: None, speech, free_at: Instant::ZERO, turn: 0 }
    }

    /// When something is due on it.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let client = match &self.speech {
            Speech::Kiss(_) => None,
            Speech::Meshtastic(mesh) => mesh.client.poll_timeout(),
        };
        client.into_iter().chain((self.free_at > now).then_some(self.free_at)).min()
    }

    /// Packets that wait to be sent once more.
    pub(super) fn waiting(&self) -> usize {
        match &self.speech {
            Speech::Kiss(_) => 0,
            Speech::Meshtastic(mesh) => mesh.again.len(),
        }
    }

    /// No more bytes are moved.
    pub(super) fn cut(&self) {
        if let Some(line) = &self.line {
            line.stream.shut_down();
        }
    }

    fn has_room(&self, now: Instant) -> bool {
        let Some(line) = &self.line else { return false };
        let ready = match &self.speech {
            Speech::Kiss(_) => self.free_at <= now,
            Speech::Meshtastic(mesh) => mesh.client.has_room(),
        };
        ready && line.outstanding.bytes() < MAX_OUTSTANDING
    }

    fn write(&self, bytes: Vec<u8>) {
        if let Some(line) = &self.line {
            line.outstanding.add(bytes.len());
            // The channel is as long as anything that may be outstanding; a writer that is gone is told by the reader.
            let _ = line.writer.try_send(bytes);
        }
    }

    fn flush(&mut self) {
        if let Speech::Meshtastic(mesh) = &mut self.speech
            && let Some(bytes) = mesh.client.poll_output()
        {
            self.write(bytes);
        }
    }
}

impl Engine {
    pub(super) fn on_radio_opened(&mut self, opened: RadioOpened) {
        if self.stopping.is_some() {
            return opened.stream.shut_down();
        }
        let (place, now) = (opened.radio, self.now());
        tracing::info!(radio = %self.parts.config.radios[place].name, at = %self.parts.config.radios[place].at, "a radio is there");
        let radio = &mut self.radios[place];
        radio.line = Some(opened);
        match &mut radio.speech {
            Speech::Kiss(decoder) => {
                decoder.begin_anew();
                self.radio_links(place, true);
            }
            Speech::Meshtastic(mesh) => {
                mesh.client.connected(now);
                radio.flush();
            }
        }
    }

    /// The radio behind a connection.
    fn radio_at(&self, id: ConnectionId) -> Option<usize> {
        let is_at = |radio: &RadioState| radio.line.as_ref().is_some_and(|line| line.connection == id);
        self.radios.iter().position(is_at)
    }

    pub(super) fn on_radio_written(&self, id: ConnectionId) {
        if let Some(line) = self.radio_at(id).and_then(|place| self.radios[place].line.as_ref()) {
            line.outstanding.heard();
        }
    }

    /// A radio is unplugged, or its program ended.
    pub(super) fn on_radio_gone(&mut self, id: ConnectionId) {
        let Some(place) = self.radio_at(id) else { return };
        tracing::warn!(radio = %self.parts.config.radios[place].name, "a radio is gone");
        self.radios[place].line = None;
        if let Speech::Meshtastic(mesh) = &mut self.radios[place].speech {
            mesh.client.disconnected();
        }
        self.radio_events(place);
        self.radio_links(place, false);
    }

    pub(super) fn on_radio_bytes(&mut self, id: ConnectionId, buffer: Vec<u8>, length: usize) {
        let Some(place) = self.radio_at(id) else { return };
        let now = self.now();
        if let Speech::Meshtastic(mesh) = &mut self.radios[place].speech {
            mesh.client.handle_bytes(now, &buffer[..length]);
            self.radios[place].flush();
            self.radio_events(place);
        } else {
            let mut rest = &buffer[..length];
            while let Speech::Kiss(decoder) = &mut self.radios[place].speech
                && let Some(frame) = decoder.take(&mut rest)
            {
                self.on_kiss_frame(place, frame.port, frame.command, &frame.payload);
            }
        }
        if let Some(line) = &self.radios[place].line {
            let _ = line.credits.send(buffer);
        }
    }

    fn on_kiss_frame(&mut self, place: usize, port: u8, command: Command, payload: &[u8]) {
        match self.parts.config.radios[place].speaks {
            _ if command != Command::Data => self.counts.refuse("kiss", "command"),
            Speaks::Kiss { port: ours } | Speaks::Ax25 { port: ours, .. } if port != ours => {
                self.counts.refuse("kiss", "other_port");
            }
            Speaks::Kiss { .. } => self.on_radio_frame(place, Station::Only, payload),
            Speaks::Ax25 { call, .. } => match parse_ui(payload) {
                Ok(frame) if frame.destination == call => {
                    self.on_radio_frame(place, Station::Call(frame.source), frame.information);
                }
                // On a channel of many, that is no fault.
                Ok(_) => self.counts.radio(place, "for_others"),
                Err(error) => self.counts.refuse("ax25", error.reason()),
            },
            Speaks::Meshtastic { .. } => {}
        }
    }

    fn on_radio_frame(&mut self, place: usize, station: Station, bytes: &[u8]) {
        let wanted = Via::Radio { radio: place, station };
        let Some(peer) = self.parts.config.peers.iter().position(|peer| peer.via == wanted) else {
            return self.counts.refuse("radio", "unknown_station");
        };
        if self.is_shut() {
            // The air does not wait: it is as if it had not been heard, and is sent again from end to end.
            return self.counts.radio(place, "no_room");
        }
        self.counts.radio(place, "received");
        self.counts.received_bytes(self.parts.config.peers[peer].node.0, bytes.len());
        if let Err(error) = self.input(Input::Frame { link: link_of(peer, OURS), bytes }) {
            tracing::debug!(peer = %self.parts.config.peers[peer].node, %error, "a frame was refused");
        }
    }

    /// What the client of a radio tells.
    fn radio_events(&mut self, place: usize) {
        while let Speech::Meshtastic(mesh) = &mut self.radios[place].speech
            && let Some(event) = mesh.client.poll_event()
        {
            match event {
                MeshtasticEvent::Ready { node } => {
                    tracing::info!(radio = %self.parts.config.radios[place].name, node = format!("!{node:08x}"), "a radio is ready");
                    self.radio_links(place, true);
                }
                MeshtasticEvent::NotReady => self.radio_links(place, false),
                MeshtasticEvent::Received { from, payload, .. } => {
                    self.on_radio_frame(place, Station::Mesh(from), &payload);
                }
                MeshtasticEvent::Done(id) => {
                    mesh.under_way.remove(&id);
                    self.counts.radio(place, "acknowledged");
                }
                // In the end, retransmission from end to end repairs it, as it does any frame that the air swallows.
                MeshtasticEvent::Failed(id, failure) => {
                    let packet = mesh.under_way.remove(&id).filter(|packet| packet.attempts_left > 0);
                    mesh.again.extend(packet.filter(|_| failure != Failure::Disconnected));
                    self.counts.radio(place, "failed");
                    tracing::debug!(radio = %self.parts.config.radios[place].name, reason = failure.reason(), "a packet failed");
                }
            }
        }
    }

    /// Contacts with all peers behind a radio begin or end.
    fn radio_links(&mut self, place: usize, up: bool) {
        for peer in self.peers_behind(place) {
            self.link_down(peer, OURS);
            if up {
                self.link_up(peer, OURS, u32::from(self.parts.config.radios[place].frame_bytes));
            }
        }
    }

    fn peers_behind(&self, place: usize) -> Vec<usize> {
        let behind = |via| matches!(via, Via::Radio { radio, .. } if radio == place);
        let peers = self.parts.config.peers.iter().enumerate();
        peers.filter(|(_, peer)| behind(peer.via)).map(|(at, _)| at).collect()
    }

    pub(super) fn on_radio_time(&mut self, now: Instant) {
        for place in 0..self.radios.len() {
            if let Speech::Meshtastic(mesh) = &mut self.radios[place].speech
                && mesh.client.poll_timeout().is_some_and(|due| due <= now)
            {
                mesh.client.handle_timeout(now);
                self.radios[place].flush();
                self.radio_events(place);
            }
        }
    }

    /// Sends what is due over a radio; says whether there was anything.
    pub(super) fn pump_radio(&mut self, place: usize) -> bool {
        let (peers, mut moved) = (self.peers_behind(place), false);
        if peers.is_empty() {
            return false;
        }
        let now = self.now();
        while self.radios[place].has_room(now) {
            if self.send_again(now, place) {
                moved = true;
                continue;
            }
            let turn = self.radios[place].turn;
            let next = (0..peers.len()).find_map(|step| {
                let at = (turn + step) % peers.len();
                let frame = self.parts.node.poll_transmit(now, link_of(peers[at], OURS))?;
                Some((at, frame))
            });
            let Some((at, frame)) = next else { break };
            self.radios[place].turn = (at + 1) % peers.len();
            self.send_frame(now, place, peers[at], &frame);
            moved = true;
        }
        moved
    }

    fn send_again(&mut self, now: Instant, place: usize) -> bool {
        let state = &mut self.radios[place];
        let Speech::Meshtastic(mesh) = &mut state.speech else { return false };
        let Some(packet) = mesh.again.pop_front() else { return false };
        let attempts_left = packet.attempts_left - 1;
        mesh.send(now, Packet { attempts_left, ..packet });
        state.flush();
        self.counts.radio(place, "sent_again");
        true
    }

    fn send_frame(&mut self, now: Instant, place: usize, peer: usize, frame: &[u8]) {
        let Via::Radio { station, .. } = self.parts.config.peers[peer].via else { return };
        let (radio, mut air) = (&self.parts.config.radios[place], frame.to_vec());
        let state = &mut self.radios[place];
        match (&mut state.speech, radio.speaks, station) {
            (Speech::Meshtastic(mesh), _, Station::Mesh(node)) => {
                mesh.send(now, Packet { node, frame: air, attempts_left: MORE_ATTEMPTS });
                state.flush();
            }
            (Speech::Kiss(_), Speaks::Kiss { port } | Speaks::Ax25 { port, .. }, _) => {
                if let (Speaks::Ax25 { call, .. }, Station::Call(to)) = (radio.speaks, station) {
                    air.clear();
                    put_ui(&mut air, to, call, frame);
                }
                let mut bytes = Vec::new();
                put_frame(&mut bytes, port, Command::Data, &air);
                let airtime = Duration::from_nanos(
                    (air.len() as u64 * 8).saturating_mul(1_000_000_000) / radio.rate_bps,
                );
                state.free_at = state.free_at.max(now.saturating_sub(AHEAD)).saturating_add(airtime);
                state.write(bytes);
            }
            (Speech::Meshtastic(_) | Speech::Kiss(_), _, _) => return,
        }
        self.counts.radio(place, "sent");
        self.counts.sent_bytes(self.parts.config.peers[peer].node.0, frame.len());
    }

    /// What the decoders have refused, for those who look.
    pub(super) fn radio_refusals(&self, mut tell: impl FnMut(&'static str, &'static str, u64)) {
        for radio in &self.radios {
            match &radio.speech {
                Speech::Kiss(decoder) => {
                    decoder.refused().iter().for_each(|(reason, count)| tell("kiss", reason, *count))
                }
                Speech::Meshtastic(mesh) => {
                    let framing = mesh.client.decoder().refused().iter();
                    framing
                        .chain(mesh.client.counts())
                        .for_each(|(reason, count)| tell("meshtastic", reason, *count));
                }
            }
        }
    }
}
