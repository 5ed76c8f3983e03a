//! The program's side of the protocol: asks the radio who it is, sends packets while it has room for them, and learns what became of each.

use super::{
    BROADCAST, Data, FromRadio, Heartbeat, MAX_PAYLOAD, MeshPacket, NodeInfo, PRIVATE_APP, QueueStatus,
    ROUTING_APP, Routing, StreamDecoder, ToRadio, WAKE_UP, from_radio, mesh_packet, put_message,
    routing::{self, error_word},
    to_radio,
};
use cosmosmesh_protocol::time::Instant;
use prost::Message as _;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Nodes that are remembered; radios know a few hundred.
const MAX_NODES: usize = 1024;
/// How long the bytes of a message may be apart.
const GAP: Duration = Duration::from_secs(1);
/// How often a radio without room is asked whether it has some.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The number of a packet; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u32);

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The port of what is sent, and of what is listened to.
    pub port: i32,
    /// The channel's place in the radio's list.
    pub channel: u32,
    /// How often packets may be repeated by others: 0 to 7.
    pub hop_limit: u32,
    /// Packets without an answer at a time.
    pub window: usize,
    /// How long an answer may take: the radio tries several times, and airtimes are seconds.
    pub patience: Duration,
    /// How often the radio is told that we are there; it ends serial sessions after fifteen minutes of silence.
    pub heartbeat: Duration,
    /// How long the radio may take to say who it is before it is asked again.
    pub handshake: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            port: PRIVATE_APP,
            channel: 0,
            hop_limit: 3,
            window: 4,
            patience: Duration::from_secs(60),
            heartbeat: Duration::from_secs(120),
            handshake: Duration::from_secs(10),
        }
    }
}

/// Why a packet is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// More than a packet carries.
    #[error("a payload of {bytes} bytes; a packet carries at most {MAX_PAYLOAD}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// Nothing to send.
    #[error("a payload without bytes")]
    Empty,
    /// The radio has not said who it is.
    #[error("the radio is not ready")]
    NotReady,
    /// The radio has no room, or too many packets wait for their answer.
    #[error("the radio has no room for a packet now")]
    Full,
}

impl SendError {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Empty => "empty",
            Self::NotReady => "not_ready",
            Self::Full => "full",
        }
    }
}

/// Why a packet did not arrive, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The mesh says so: see [`error_word`].
    Routing(i32),
    /// The radio did not take it: the number that it gives for that.
    Queue(i32),
    /// Nothing was heard of it.
    NoAnswer,
    /// The connection to the radio is over, or the radio began anew.
    Disconnected,
}

impl Failure {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Routing(error) => error_word(error),
            Self::Queue(_) => "queue",
            Self::NoAnswer => "no_answer",
            Self::Disconnected => "disconnected",
        }
    }
}

/// What a client tells.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshtasticEvent {
    /// The radio is ready, and has this number.
    Ready {
        /// Its number in the mesh.
        node: u32,
    },
    /// The radio is not ready any more.
    NotReady,
    /// A packet for our port.
    Received {
        /// Who sent it.
        from: u32,
        /// To whom: this radio or all.
        to: u32,
        /// What it carries.
        payload: Vec<u8>,
        /// Signal strength, in dBm; 0 where the radio does not say.
        rssi_dbm: i32,
        /// Signal to noise, in dB; 0 where the radio does not say.
        snr_db: f32,
    },
    /// A packet without a wish for an acknowledgement was taken by the radio; one with it arrived.
    Done(PacketId),
    /// A packet did not arrive, as far as it is known.
    Failed(PacketId, Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Asked with this number.
    Asking(u32),
    Ready,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    to: u32,
    want_ack: bool,
    until: Instant,
}

/// One program with one radio.
#[derive(Clone, Debug)]
pub struct MeshtasticClient {
    settings: ClientSettings,
    state: State,
    decoder: StreamDecoder<FromRadio>,
    /// Counts on from a random number: the mesh remembers numbers for minutes.
    next_number: u32,
    radio: u32,
    nodes: BTreeMap<u32, NodeInfo>,
    /// Packets that the radio has room for, as far as we know; before it says so, one.
    free: u32,
    in_flight: BTreeMap<PacketId, InFlight>,
    output: Vec<u8>,
    events: VecDeque<MeshtasticEvent>,
    counts: BTreeMap<&'static str, u64>,
    heartbeat_due: Instant,
    handshake_due: Instant,
    /// When the bytes so far are given up.
    gap_due: Option<Instant>,
}

impl MeshtasticClient {
    /// A client without a connection; `seed` is where it begins to count its packets, and is to be random.
    #[must_use]
    pub fn new(settings: ClientSettings, seed: u32) -> Self {
        Self {
            settings,
            state: State::Closed,
            decoder: StreamDecoder::default(),
            next_number: seed,
            radio: 0,
            nodes: BTreeMap::new(),
            free: 0,
            in_flight: BTreeMap::new(),
            output: Vec::new(),
            events: VecDeque::new(),
            counts: BTreeMap::new(),
            heartbeat_due: Instant::MAX,
            handshake_due: Instant::MAX,
            gap_due: None,
        }
    }

    /// A connection to the radio begins: it is asked who it is.
    pub fn connected(&mut self, now: Instant) {
        self.disconnected();
        self.decoder = StreamDecoder::default();
        self.output.extend(WAKE_UP);
        self.ask(now);
    }

    /// The connection is over: what was under way has failed, as far as it is known.
    pub fn disconnected(&mut self) {
        self.not_ready();
        self.state = State::Closed;
        self.output.clear();
        self.gap_due = None;
    }

    /// Bytes of the radio.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        let quiet = bytes.is_empty();
        while let Some(message) = self.decoder.take(&mut bytes) {
            self.on_message(now, message);
        }
        // Only bytes make the wait longer: whoever looks at its timers often does not keep half a message for ever.
        let running = self.gap_due.filter(|due| quiet && *due > now);
        self.gap_due = self.decoder.is_inside().then(|| running.unwrap_or_else(|| now.saturating_add(GAP)));
    }

    /// Sends a payload on the client's port to a node, or to all.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent.
    pub fn send(
        &mut self,
        now: Instant,
        to: u32,
        payload: &[u8],
        want_ack: bool,
    ) -> Result<PacketId, SendError> {
        match payload.len() {
            0 => return Err(SendError::Empty),
            bytes if bytes > MAX_PAYLOAD => return Err(SendError::TooLong { bytes }),
            _ => {}
        }
        if self.state != State::Ready {
            return Err(SendError::NotReady);
        }
        if !self.has_room() {
            return Err(SendError::Full);
        }
        let id = PacketId(self.number());
        let data = Data { portnum: self.settings.port, payload: payload.to_vec(), ..Data::default() };
        let packet = MeshPacket {
            to,
            channel: self.settings.channel,
            payload: Some(mesh_packet::Payload::Decoded(data)),
            id: id.0,
            hop_limit: self.settings.hop_limit,
            want_ack,
            ..MeshPacket::default()
        };
        self.put(to_radio::Payload::Packet(packet));
        self.free = self.free.saturating_sub(1);
        if self.free == 0 {
            self.heartbeat_due = self.heartbeat_due.min(now.saturating_add(ASK_AGAIN));
        }
        let until = now.saturating_add(self.settings.patience);
        self.in_flight.insert(id, InFlight { to, want_ack, until });
        Ok(id)
    }

    /// Whether [`MeshtasticClient::send`] would take a packet.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state == State::Ready && self.free > 0 && self.in_flight.len() < self.settings.window
    }

    /// Time has come to what [`MeshtasticClient::poll_timeout`] said.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.gap_due.is_some_and(|due| due <= now) {
            self.decoder.give_up();
            self.handle_bytes(now, &[]);
        }
        let late: Vec<_> =
            self.in_flight.iter().filter(|(_, sent)| sent.until <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.fail(id, Failure::NoAnswer);
        }
        match self.state {
            State::Asking(_) if self.handshake_due <= now => self.ask(now),
            State::Ready if self.heartbeat_due <= now => {
                let nonce = self.number();
                self.put(to_radio::Payload::Heartbeat(Heartbeat { nonce }));
                let pause = if self.free == 0 { ASK_AGAIN } else { self.settings.heartbeat };
                self.heartbeat_due = now.saturating_add(pause);
            }
            State::Closed | State::Asking(_) | State::Ready => {}
        }
    }

    /// When [`MeshtasticClient::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.state {
            State::Closed => None,
            State::Asking(_) => Some(self.handshake_due),
            State::Ready => Some(self.heartbeat_due),
        };
        let answers = self.in_flight.values().map(|sent| sent.until);
        answers.chain(own).chain(self.gap_due).min()
    }

    /// Bytes for the radio, all that there are.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| std::mem::take(&mut self.output))
    }

    /// What there is to tell, in order.
    pub fn poll_event(&mut self) -> Option<MeshtasticEvent> {
        self.events.pop_front()
    }

    /// The radio's number, once it is known.
    #[must_use]
    pub fn radio(&self) -> Option<u32> {
        (self.state == State::Ready).then_some(self.radio)
    }

    /// The nodes that the radio knows, by number.
    #[must_use]
    pub const fn nodes(&self) -> &BTreeMap<u32, NodeInfo> {
        &self.nodes
    }

    /// What came and was passed over, by reason: packets of other ports and channels, reboots, too many nodes.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The framing's own counters.
    #[must_use]
    pub const fn decoder(&self) -> &StreamDecoder<FromRadio> {
        &self.decoder
    }

    fn number(&mut self) -> u32 {
        let number = self.next_number.max(1);
        self.next_number = number.wrapping_add(1);
        number
    }

    fn put(&mut self, payload: to_radio::Payload) {
        let message = ToRadio { payload: Some(payload) };
        put_message(&mut self.output, &message).expect("a full packet is shorter than a message");
    }

    fn ask(&mut self, now: Instant) {
        let number = self.number();
        self.state = State::Asking(number);
        self.nodes.clear();
        self.put(to_radio::Payload::WantConfigId(number));
        self.handshake_due = now.saturating_add(self.settings.handshake);
    }

    fn not_ready(&mut self) {
        if self.state == State::Ready {
            self.events.push_back(MeshtasticEvent::NotReady);
        }
        for id in std::mem::take(&mut self.in_flight).into_keys() {
            self.events.push_back(MeshtasticEvent::Failed(id, Failure::Disconnected));
        }
        self.radio = 0;
    }

    fn on_message(&mut self, now: Instant, message: FromRadio) {
        use from_radio::Payload;
        match message.payload {
            Some(Payload::Packet(packet)) => self.on_packet(packet),
            Some(Payload::MyInfo(info)) => self.radio = info.my_node_num,
            Some(Payload::NodeInfo(node)) => self.on_node(node),
            Some(Payload::ConfigCompleteId(number)) => self.on_complete(now, number),
            Some(Payload::QueueStatus(status)) => self.on_queue(now, status),
            Some(Payload::Rebooted(_)) => {
                self.count("rebooted");
                self.not_ready();
                self.ask(now);
            }
            Some(
                Payload::Config(_)
                | Payload::LogRecord(_)
                | Payload::ModuleConfig(_)
                | Payload::Channel(_)
                | Payload::Metadata(_)
                | Payload::ClientNotification(_),
            )
            | None => {}
        }
    }

    fn on_node(&mut self, node: NodeInfo) {
        if self.nodes.len() < MAX_NODES || self.nodes.contains_key(&node.num) {
            self.nodes.insert(node.num, node);
        } else {
            self.count("too_many_nodes");
        }
    }

    fn on_complete(&mut self, now: Instant, number: u32) {
        if self.state != State::Asking(number) || self.radio == 0 {
            return self.count("stale_handshake");
        }
        self.state = State::Ready;
        self.free = 1;
        self.heartbeat_due = now.saturating_add(self.settings.heartbeat);
        self.events.push_back(MeshtasticEvent::Ready { node: self.radio });
    }

    fn on_queue(&mut self, now: Instant, status: QueueStatus) {
        self.free = status.free;
        if self.free == 0 {
            self.heartbeat_due = self.heartbeat_due.min(now.saturating_add(ASK_AGAIN));
        }
        let id = PacketId(status.mesh_packet_id);
        let Some(sent) = self.in_flight.get(&id) else { return };
        if status.res != 0 {
            self.fail(id, Failure::Queue(status.res));
        } else if !sent.want_ack {
            self.in_flight.remove(&id);
            self.events.push_back(MeshtasticEvent::Done(id));
        }
    }

    fn on_packet(&mut self, packet: MeshPacket) {
        let data = match packet.payload {
            Some(mesh_packet::Payload::Decoded(data)) => data,
            Some(mesh_packet::Payload::Encrypted(_)) => return self.count("other_channel"),
            None => return self.count("no_payload"),
        };
        if data.portnum == ROUTING_APP {
            return self.on_routing(packet.from, &data);
        }
        if data.portnum != self.settings.port {
            return self.count("other_port");
        }
        if self.state != State::Ready || (packet.to != self.radio && packet.to != BROADCAST) {
            return self.count("not_for_us");
        }
        if data.payload.is_empty() || data.payload.len() > MAX_PAYLOAD {
            return self.count("payload_length");
        }
        self.events.push_back(MeshtasticEvent::Received {
            from: packet.from,
            to: packet.to,
            payload: data.payload,
            rssi_dbm: packet.rx_rssi,
            snr_db: packet.rx_snr,
        });
    }

    /// What became of a packet. Only its destination can say that it arrived; for all, that a neighbour repeats it is the best there is,
    /// and the radio says it in its own name.
    fn on_routing(&mut self, from: u32, data: &Data) {
        let Ok(Routing { kind: Some(routing::Kind::ErrorReason(error)) }) = Routing::decode(&*data.payload)
        else {
            return self.count("other_routing");
        };
        let id = PacketId(data.request_id);
        let Some(sent) = self.in_flight.get(&id) else { return self.count("stale_acknowledgement") };
        if error != routing::NONE {
            self.fail(id, Failure::Routing(error));
        } else if from == sent.to || sent.to == BROADCAST {
            self.in_flight.remove(&id);
            self.events.push_back(MeshtasticEvent::Done(id));
        } else {
            self.count("repeated_by_a_neighbour");
        }
    }

    fn fail(&mut self, id: PacketId, failure: Failure) {
        if self.in_flight.remove(&id).is_some() {
            self.events.push_back(MeshtasticEvent::Failed(id, failure));
        }
    }

    fn count(&mut self, reason: &'static str) {
        *self.counts.entry(reason).or_default() += 1;
    }
}
