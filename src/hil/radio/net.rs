//! [`MeshNet`]: emulated Meshtastic radios at the assets of a scenario.
//!
//! A radio that is offered is the asset, as far as the scenario goes: programs connect to it, and what they send flies as the asset's frames. At every other asset
//! with a radio of the class an emulated one stands beside the simulated node: it acknowledges packets, and hands private payloads to the node
//! as frames of the link. Frames of simulated nodes come to programs as private payloads.
//!
//! Written from the protocol's facts, as the codec is. It does less than a real radio: it does not repeat others' packets (what is out of range is not reached),
//! knows one channel, and has no keys.

use super::packet::Packet;
use crate::{
    hil::{
        clock,
        mailbox::Mailbox,
        wire::{Outgoing, Wire},
    },
    sim::Entrance,
    units::AssetIndex,
};
use cosmosmesh_node::transport::meshtastic::{
    BROADCAST, Channel, ChannelSettings, Config, Data, DeviceConfig, DeviceMetadata, FromRadio, LoRaConfig,
    MAX_PAYLOAD, MeshPacket, MyNodeInfo, NodeInfo, PRIVATE_APP, QueueStatus, ROUTING_APP, ToRadio, User,
    config, from_radio, mesh_packet, put_message, routing, to_radio,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
    thread,
    time::{Duration, Instant},
};

/// Numbers of radios: this and the asset's index. The first few are not for nodes.
const FIRST_NUMBER: u32 = 0x4300_0001;
/// Packets that wait for their acknowledgement at a radio.
const QUEUE: usize = 16;
/// How long an acknowledgement may take before the packet is sent again. A full packet takes some two seconds each way.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a packet is sent.
const TRIES: u8 = 3;
/// Packets by which a radio knows that it has heard one already.
const REMEMBERED: usize = 64;
/// Programs at one radio; the oldest makes room for one more.
const MAX_CLIENTS: usize = 4;
/// What a radio says to a packet when its queue is full.
const NO_ROOM: i32 = 32;
const TICK: Duration = Duration::from_millis(200);

/// Where a radio stands.
#[derive(Clone, Debug)]
pub(in crate::hil) struct Place {
    /// Its interface.
    pub(in crate::hil) interface: u32,
    /// Its asset.
    pub(in crate::hil) asset: AssetIndex,
    /// The asset's name.
    pub(in crate::hil) name: String,
    /// Whether programs connect to it.
    pub(in crate::hil) offered: bool,
}

struct Pending {
    packet: Packet,
    due: Instant,
    left: u8,
}

struct Radio {
    place: Place,
    number: u32,
    /// Writers of programs, the oldest first.
    clients: BTreeMap<u64, SyncSender<Vec<u8>>>,
    pending: BTreeMap<u32, Pending>,
    seen: VecDeque<(u32, u32)>,
    next: u32,
    refused: u64,
}

struct Inner {
    radios: BTreeMap<u32, Radio>,
    mailbox: Arc<Mailbox>,
    next_client: u64,
}

/// All emulated radios of a session.
#[derive(Clone)]
pub(in crate::hil) struct MeshNet(Arc<Mutex<Inner>>);

/// The number of an asset's radio.
const fn number_of(asset: AssetIndex) -> u32 {
    FIRST_NUMBER + asset.0
}

impl MeshNet {
    /// Radios at these places.
    ///
    /// # Errors
    /// When the thread that repeats packets cannot be started.
    pub(in crate::hil) fn new(places: Vec<Place>, mailbox: Arc<Mailbox>) -> io::Result<Self> {
        let radio = |place: Place| {
            let number = number_of(place.asset);
            let (clients, pending, seen) = <_>::default();
            // Numbers of other sessions are different, as those of a radio that began anew are.
            let next = clock::unix_ns() as u32 | 1;
            (place.interface, Radio { place, number, clients, pending, seen, next, refused: 0 })
        };
        let radios = places.into_iter().map(radio).collect();
        let net = Self(Arc::new(Mutex::new(Inner { radios, mailbox, next_client: 0 })));
        let weak = Arc::downgrade(&net.0);
        thread::Builder::new().name("hil mesh".to_owned()).spawn(move || {
            while let Some(inner) = weak.upgrade() {
                inner.lock().unwrap_or_else(PoisonError::into_inner).repeat(clock::now());
                drop(inner);
                thread::sleep(TICK);
            }
        })?;
        Ok(net)
    }

    /// A program connects; its bytes go to `writer`.
    pub(super) fn attach(&self, interface: u32, writer: SyncSender<Vec<u8>>) -> u64 {
        let mut inner = self.lock();
        inner.next_client += 1;
        let client = inner.next_client;
        if let Some(radio) = inner.radios.get_mut(&interface) {
            if radio.clients.len() >= MAX_CLIENTS {
                // Its writer ends, and closes the connection.
                radio.clients.pop_first();
            }
            radio.clients.insert(client, writer);
        }
        client
    }

    /// A program is gone.
    pub(super) fn detach(&self, interface: u32, client: u64) {
        if let Some(radio) = self.lock().radios.get_mut(&interface) {
            radio.clients.remove(&client);
        }
    }

    /// A program says something.
    pub(super) fn said(&self, interface: u32, client: u64, message: ToRadio) {
        let mut inner = self.lock();
        match message.payload {
            Some(to_radio::Payload::WantConfigId(id)) => inner.introduce(interface, client, id),
            Some(to_radio::Payload::Heartbeat(_)) => inner.queue_status(interface, Some(client), 0, 0),
            Some(to_radio::Payload::Packet(packet)) => inner.send(interface, packet),
            Some(to_radio::Payload::Disconnect(_)) => {
                if let Some(radio) = inner.radios.get_mut(&interface) {
                    radio.clients.remove(&client);
                }
            }
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, interface: u32, only: Option<u64>, payload: from_radio::Payload) {
        let Some(radio) = self.radios.get_mut(&interface) else { return };
        radio.next = radio.next.wrapping_add(1);
        let mut bytes = Vec::new();
        if put_message(&mut bytes, &FromRadio { id: radio.next, payload: Some(payload) }).is_err() {
            return;
        }
        // A program that does not read is let go: its writer ends with the channel.
        radio.clients.retain(|client, writer| {
            only.is_some_and(|only| only != *client) || writer.try_send(bytes.clone()).is_ok()
        });
    }

    /// Who the radio is, whom it knows, how it is set.
    fn introduce(&mut self, interface: u32, client: u64, id: u32) {
        use from_radio::Payload;
        let Some(radio) = self.radios.get(&interface) else { return };
        let own = radio.number;
        let now = (clock::unix_ns() / 1_000_000_000) as u32;
        let info = |radio: &Radio| {
            let user = User {
                id: format!("!{:08x}", radio.number),
                long_name: radio.place.name.clone(),
                short_name: format!("{:04x}", radio.number & 0xffff),
                hw_model: 255,
                ..User::default()
            };
            Payload::NodeInfo(NodeInfo {
                num: radio.number,
                user: Some(user),
                last_heard: now,
                hops_away: Some(0),
                ..NodeInfo::default()
            })
        };
        let mut parts = vec![
            Payload::MyInfo(MyNodeInfo {
                my_node_num: own,
                min_app_version: 30_200,
                device_id: own.to_be_bytes().to_vec(),
                pio_env: "cosmosmesh".to_owned(),
                nodedb_count: self.radios.len() as u32,
                ..MyNodeInfo::default()
            }),
            Payload::Metadata(DeviceMetadata {
                firmware_version: concat!("2.7.0.cosmosmesh-", env!("CARGO_PKG_VERSION")).to_owned(),
                device_state_version: 24,
                role: 0,
                hw_model: 255,
            }),
            info(radio),
        ];
        parts.extend(self.radios.values().filter(|other| other.number != own).map(info));
        for index in 0..8 {
            let settings = (index == 0)
                .then(|| ChannelSettings { name: "cosmosmesh".to_owned(), ..ChannelSettings::default() });
            parts.push(Payload::Channel(Channel { index, settings, role: i32::from(index == 0) }));
        }
        let device = DeviceConfig { role: 0, serial_enabled: true };
        parts.push(Payload::Config(Config { part: Some(config::Part::Device(device)) }));
        let lora = LoRaConfig { use_preset: true, hop_limit: 3, tx_enabled: true, ..LoRaConfig::default() };
        parts.push(Payload::Config(Config { part: Some(config::Part::Lora(lora)) }));
        parts.push(Payload::ConfigCompleteId(id));
        // As one piece: however many there are, a program that reads has the room.
        let Some(radio) = self.radios.get_mut(&interface) else { return };
        let mut bytes = Vec::new();
        for part in parts {
            radio.next = radio.next.wrapping_add(1);
            // A name that is too long for a message is left out.
            let _ = put_message(&mut bytes, &FromRadio { id: radio.next, payload: Some(part) });
        }
        if radio.clients.get(&client).is_some_and(|writer| writer.try_send(bytes).is_err()) {
            radio.clients.remove(&client);
        }
        self.queue_status(interface, Some(client), 0, 0);
    }

    fn queue_status(&mut self, interface: u32, only: Option<u64>, res: i32, mesh_packet_id: u32) {
        let Some(radio) = self.radios.get(&interface) else { return };
        let free = QUEUE.saturating_sub(radio.pending.len()) as u32;
        let status = QueueStatus { res, free, maxlen: QUEUE as u32, mesh_packet_id };
        self.tell(interface, only, from_radio::Payload::QueueStatus(status));
    }

    /// What became of a packet that a program sent.
    fn tell_outcome(&mut self, interface: u32, from: u32, request_id: u32, error: i32) {
        let Some(radio) = self.radios.get(&interface) else { return };
        // Of a message with one field of a few bits: the field's number and kind, and its value.
        let payload = vec![0x18, error as u8 & 0x7f];
        let data = Data { portnum: ROUTING_APP, payload, request_id, ..Data::default() };
        let packet = MeshPacket {
            from,
            to: radio.number,
            id: radio.next.wrapping_mul(0x9E37_79B1) | 1,
            payload: Some(mesh_packet::Payload::Decoded(data)),
            rx_time: (clock::unix_ns() / 1_000_000_000) as u32,
            ..MeshPacket::default()
        };
        self.tell(interface, None, from_radio::Payload::Packet(packet));
    }

    /// A program sends a packet.
    fn send(&mut self, interface: u32, packet: MeshPacket) {
        let Some(radio) = self.radios.get_mut(&interface) else { return };
        let own = radio.number;
        let id = if packet.id == 0 { clock::unix_ns() as u32 | 1 } else { packet.id };
        let Some(mesh_packet::Payload::Decoded(data)) = packet.payload else {
            radio.refused += 1;
            return self.queue_status(interface, None, NO_ROOM, id);
        };
        let port = u16::try_from(data.portnum).ok();
        let refused = if data.payload.len() > MAX_PAYLOAD {
            Some((routing::TOO_LARGE, routing::TOO_LARGE))
        } else if port.is_none() || radio.pending.len() >= QUEUE {
            Some((NO_ROOM, routing::MAX_RETRANSMIT))
        } else {
            None
        };
        if let Some((res, error)) = refused {
            radio.refused += 1;
            self.queue_status(interface, None, res, id);
            return self.tell_outcome(interface, own, id, error);
        }
        if packet.to == own {
            self.queue_status(interface, None, 0, id);
            // Such as settings, of which it has none.
            if packet.want_ack {
                self.tell_outcome(interface, own, id, routing::NONE);
            }
            return;
        }
        let (to_all, asked) = (packet.to == BROADCAST, packet.want_ack);
        let want_ack = asked && !to_all;
        let packet =
            Packet { want_ack, port: port.unwrap_or(0), to: packet.to, from: own, id, payload: data.payload };
        if !self.mailbox.post(interface, packet.encode(), None, None) {
            if let Some(radio) = self.radios.get_mut(&interface) {
                radio.refused += 1;
            }
            self.queue_status(interface, None, NO_ROOM, id);
            return self.tell_outcome(interface, own, id, routing::MAX_RETRANSMIT);
        }
        self.queue_status(interface, None, 0, id);
        if to_all && asked {
            // Nobody acknowledges what is for all: a radio answers for itself.
            self.tell_outcome(interface, own, id, routing::NONE);
        }
        if want_ack && let Some(radio) = self.radios.get_mut(&interface) {
            radio.pending.insert(id, Pending { packet, due: clock::now() + PATIENCE, left: TRIES - 1 });
        }
    }

    /// Packets without an acknowledgement are sent again, and given up at last.
    fn repeat(&mut self, now: Instant) {
        let mut given_up = Vec::new();
        for (interface, radio) in &mut self.radios {
            let mailbox = &self.mailbox;
            radio.pending.retain(|id, pending| {
                if pending.due > now {
                    return true;
                }
                if pending.left == 0 {
                    given_up.push((*interface, *id));
                    return false;
                }
                pending.left -= 1;
                pending.due = now + PATIENCE;
                mailbox.post(*interface, pending.packet.encode(), None, None);
                true
            });
        }
        for (interface, id) in given_up {
            let own = self.radios.get(&interface).map_or(0, |radio| radio.number);
            self.tell_outcome(interface, own, id, routing::MAX_RETRANSMIT);
            self.queue_status(interface, None, 0, 0);
        }
    }

    /// A frame reaches a radio.
    fn heard(&mut self, interface: u32, frame: &Outgoing<'_>) {
        let Some(radio) = self.radios.get_mut(&interface) else { return };
        let offered = radio.place.offered;
        let Some(packet) = Packet::decode(frame.bytes) else {
            // A simulated node's.
            if offered && frame.bytes.len() <= MAX_PAYLOAD {
                let from = number_of(frame.from);
                let (to, id) = (radio.number, clock::unix_ns() as u32 | 1);
                let payload = frame.bytes.to_vec();
                let packet = Packet { want_ack: false, port: PRIVATE_APP as u16, to, from, id, payload };
                self.deliver(interface, &packet, frame.snr_db);
            } else {
                radio.refused += u64::from(offered);
            }
            return;
        };
        if packet.to != radio.number && packet.to != BROADCAST {
            return;
        }
        if i32::from(packet.port) == ROUTING_APP {
            let Some((request, [])) = packet.payload.split_first_chunk::<4>() else { return };
            let request = u32::from_be_bytes(*request);
            // A late word on what was given up, or a second one, is nothing new.
            if radio.pending.remove(&request).is_some() {
                self.tell_outcome(interface, packet.from, request, routing::NONE);
                self.queue_status(interface, None, 0, 0);
            }
            return;
        }
        let known = radio.seen.contains(&(packet.from, packet.id));
        if !known {
            radio.seen.push_back((packet.from, packet.id));
            if radio.seen.len() > REMEMBERED {
                radio.seen.pop_front();
            }
        }
        if packet.want_ack {
            radio.next = radio.next.wrapping_add(1);
            let ack = Packet {
                want_ack: false,
                port: ROUTING_APP as u16,
                to: packet.from,
                from: radio.number,
                id: radio.next,
                payload: packet.id.to_be_bytes().to_vec(),
            };
            self.mailbox.post(interface, ack.encode(), None, None);
        }
        if known {
            return;
        }
        if offered {
            self.deliver(interface, &packet, frame.snr_db);
        } else if i32::from(packet.port) == PRIVATE_APP {
            // To the simulated node of this asset, as a frame of the link.
            let entrance = Entrance::Node(frame.from);
            self.mailbox.enter(
                interface,
                packet.payload,
                entrance,
                (None, frame.snr_db.map(|snr| i16::from(snr) * 4)),
            );
        }
    }

    fn deliver(&mut self, interface: u32, packet: &Packet, snr_db: Option<i8>) {
        let data = Data { portnum: packet.port.into(), payload: packet.payload.clone(), ..Data::default() };
        let packet = MeshPacket {
            from: packet.from,
            to: packet.to,
            id: packet.id,
            payload: Some(mesh_packet::Payload::Decoded(data)),
            rx_time: (clock::unix_ns() / 1_000_000_000) as u32,
            rx_snr: snr_db.map_or(0.0, f32::from),
            want_ack: packet.want_ack,
            ..MeshPacket::default()
        };
        self.tell(interface, None, from_radio::Payload::Packet(packet));
    }
}

/// One emulated radio's interface.
pub(in crate::hil) struct MeshWire {
    pub(in crate::hil) net: MeshNet,
    pub(in crate::hil) interface: u32,
    pub(in crate::hil) shown: String,
}

impl Wire for MeshWire {
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.net.lock().heard(self.interface, frame);
        Ok(())
    }

    fn place(&self) -> String {
        self.shown.clone()
    }

    fn refused(&self) -> u64 {
        self.net.lock().radios.get(&self.interface).map_or(0, |radio| radio.refused)
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
