//! The messages, as far as they are needed. Fields that are not here are passed over when they come.

use prost::{Message, Oneof};

/// From program to radio.
#[derive(Clone, PartialEq, Message)]
pub struct ToRadio {
    /// What it is.
    #[prost(oneof = "to_radio::Payload", tags = "1, 3, 4, 7")]
    pub payload: Option<to_radio::Payload>,
}

/// What a [`ToRadio`] may be.
pub mod to_radio {
    use super::{Heartbeat, MeshPacket, Oneof};

    /// One of these.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Payload {
        /// To be transmitted.
        #[prost(message, tag = "1")]
        Packet(MeshPacket),
        /// Everything about the radio is asked for; the number comes back at its end.
        #[prost(uint32, tag = "3")]
        WantConfigId(u32),
        /// The program is about to go.
        #[prost(bool, tag = "4")]
        Disconnect(bool),
        /// The program is there.
        #[prost(message, tag = "7")]
        Heartbeat(Heartbeat),
    }
}

/// The program is there; the radio answers with a [`QueueStatus`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Heartbeat {
    /// A number.
    #[prost(uint32, tag = "1")]
    pub nonce: u32,
}

/// From radio to program.
#[derive(Clone, PartialEq, Message)]
pub struct FromRadio {
    /// The message's number, counted by the radio.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// What it is; nothing for kinds that are not here.
    #[prost(oneof = "from_radio::Payload", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16")]
    pub payload: Option<from_radio::Payload>,
}

/// What a [`FromRadio`] may be.
pub mod from_radio {
    use super::{
        Channel, ClientNotification, Config, DeviceMetadata, LogRecord, MeshPacket, ModuleConfig, MyNodeInfo,
        NodeInfo, Oneof, QueueStatus,
    };

    /// One of these.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Payload {
        /// Came over the air, or is an answer of the radio itself.
        #[prost(message, tag = "2")]
        Packet(MeshPacket),
        /// The radio.
        #[prost(message, tag = "3")]
        MyInfo(MyNodeInfo),
        /// A node that it knows.
        #[prost(message, tag = "4")]
        NodeInfo(NodeInfo),
        /// A part of its settings.
        #[prost(message, tag = "5")]
        Config(Config),
        /// A line of its log.
        #[prost(message, tag = "6")]
        LogRecord(LogRecord),
        /// All was told that was asked for with this number.
        #[prost(uint32, tag = "7")]
        ConfigCompleteId(u32),
        /// It has begun anew: what it was told before is forgotten.
        #[prost(bool, tag = "8")]
        Rebooted(bool),
        /// A part of the settings of its modules.
        #[prost(message, tag = "9")]
        ModuleConfig(ModuleConfig),
        /// A channel.
        #[prost(message, tag = "10")]
        Channel(Channel),
        /// How full its queue is.
        #[prost(message, tag = "11")]
        QueueStatus(QueueStatus),
        /// The device.
        #[prost(message, tag = "13")]
        Metadata(DeviceMetadata),
        /// A word to the user.
        #[prost(message, tag = "16")]
        ClientNotification(ClientNotification),
    }
}

/// A packet of the mesh.
#[derive(Clone, PartialEq, Message)]
pub struct MeshPacket {
    /// Who sends; 0 from a program: its radio.
    #[prost(fixed32, tag = "1")]
    pub from: u32,
    /// To whom; [`BROADCAST`](super::BROADCAST) for all.
    #[prost(fixed32, tag = "2")]
    pub to: u32,
    /// The channel's place in the radio's list.
    #[prost(uint32, tag = "3")]
    pub channel: u32,
    /// What it carries.
    #[prost(oneof = "mesh_packet::Payload", tags = "4, 5")]
    pub payload: Option<mesh_packet::Payload>,
    /// Its number, chosen by who sends; with it come acknowledgements.
    #[prost(fixed32, tag = "6")]
    pub id: u32,
    /// When it came, in seconds since 1970; 0 where the radio does not know the time.
    #[prost(fixed32, tag = "7")]
    pub rx_time: u32,
    /// Signal to noise, in dB.
    #[prost(float, tag = "8")]
    pub rx_snr: f32,
    /// How often it may be repeated.
    #[prost(uint32, tag = "9")]
    pub hop_limit: u32,
    /// Whether an acknowledgement is asked for.
    #[prost(bool, tag = "10")]
    pub want_ack: bool,
    /// Which packets go first; 0 where the radio decides.
    #[prost(int32, tag = "11")]
    pub priority: i32,
    /// Signal strength, in dBm.
    #[prost(int32, tag = "12")]
    pub rx_rssi: i32,
    /// Whether it came by way of the Internet.
    #[prost(bool, tag = "14")]
    pub via_mqtt: bool,
    /// The hop limit that it began with.
    #[prost(uint32, tag = "15")]
    pub hop_start: u32,
}

/// What a [`MeshPacket`] may carry.
pub mod mesh_packet {
    use super::{Data, Oneof};

    /// One of these.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Payload {
        /// What the radio could read.
        #[prost(message, tag = "4")]
        Decoded(Data),
        /// What it could not: of another channel.
        #[prost(bytes, tag = "5")]
        Encrypted(Vec<u8>),
    }
}

/// What is in a packet.
#[derive(Clone, PartialEq, Message)]
pub struct Data {
    /// For which application.
    #[prost(int32, tag = "1")]
    pub portnum: i32,
    /// For the application; at most [`MAX_PAYLOAD`](super::MAX_PAYLOAD) bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
    /// Whether the application is to answer.
    #[prost(bool, tag = "3")]
    pub want_response: bool,
    /// The last node of the way, where packets are passed on.
    #[prost(fixed32, tag = "4")]
    pub dest: u32,
    /// The first node of the way, where packets are passed on.
    #[prost(fixed32, tag = "5")]
    pub source: u32,
    /// The packet that this one answers.
    #[prost(fixed32, tag = "6")]
    pub request_id: u32,
    /// The message that this one is a reply to.
    #[prost(fixed32, tag = "7")]
    pub reply_id: u32,
}

/// What [`ROUTING_APP`](super::ROUTING_APP) says: whether a packet arrived.
#[derive(Clone, PartialEq, Message)]
pub struct Routing {
    /// What it is; nothing for kinds that are not here.
    #[prost(oneof = "routing::Kind", tags = "3")]
    pub kind: Option<routing::Kind>,
}

/// What a [`Routing`] may be.
pub mod routing {
    use super::Oneof;

    /// One of these.
    #[derive(Clone, Copy, PartialEq, Eq, Oneof)]
    pub enum Kind {
        /// What became of the packet: see [`error_word`].
        #[prost(int32, tag = "3")]
        ErrorReason(i32),
    }

    /// It arrived.
    pub const NONE: i32 = 0;
    /// Nobody took it, however often it was sent.
    pub const MAX_RETRANSMIT: i32 = 5;
    /// Its payload is too long.
    pub const TOO_LARGE: i32 = 7;
    /// The law allows no more for now.
    pub const DUTY_CYCLE_LIMIT: i32 = 9;

    /// A stable word for an error.
    #[must_use]
    pub const fn error_word(error: i32) -> &'static str {
        match error {
            NONE => "none",
            1 => "no_route",
            2 => "got_nak",
            3 => "timeout",
            4 => "no_interface",
            MAX_RETRANSMIT => "max_retransmit",
            6 => "no_channel",
            TOO_LARGE => "too_large",
            8 => "no_response",
            DUTY_CYCLE_LIMIT => "duty_cycle_limit",
            32 => "bad_request",
            33 => "not_authorized",
            34..=37 | 39 => "keys",
            38 => "rate_limit_exceeded",
            _ => "other",
        }
    }
}

/// How full a radio's queue is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct QueueStatus {
    /// What became of the last packet: 0 where it was taken.
    #[prost(int32, tag = "1")]
    pub res: i32,
    /// Packets that there is room for.
    #[prost(uint32, tag = "2")]
    pub free: u32,
    /// Packets that there is room for at most.
    #[prost(uint32, tag = "3")]
    pub maxlen: u32,
    /// The last packet; 0 where it is not about one.
    #[prost(uint32, tag = "4")]
    pub mesh_packet_id: u32,
}

/// A radio.
#[derive(Clone, PartialEq, Message)]
pub struct MyNodeInfo {
    /// Its number in the mesh.
    #[prost(uint32, tag = "1")]
    pub my_node_num: u32,
    /// How often it began.
    #[prost(uint32, tag = "8")]
    pub reboot_count: u32,
    /// The oldest program that it speaks with.
    #[prost(uint32, tag = "11")]
    pub min_app_version: u32,
    /// The device's own number.
    #[prost(bytes = "vec", tag = "12")]
    pub device_id: Vec<u8>,
    /// What its firmware was built for.
    #[prost(string, tag = "13")]
    pub pio_env: String,
    /// Nodes that it knows.
    #[prost(uint32, tag = "15")]
    pub nodedb_count: u32,
}

/// A node of the mesh.
#[derive(Clone, PartialEq, Message)]
pub struct NodeInfo {
    /// Its number.
    #[prost(uint32, tag = "1")]
    pub num: u32,
    /// Whose it is.
    #[prost(message, optional, tag = "2")]
    pub user: Option<User>,
    /// Signal to noise of its last packet, in dB.
    #[prost(float, tag = "4")]
    pub snr: f32,
    /// When it was heard last, in seconds since 1970.
    #[prost(fixed32, tag = "5")]
    pub last_heard: u32,
    /// The channel that it was heard on.
    #[prost(uint32, tag = "7")]
    pub channel: u32,
    /// How far it is.
    #[prost(uint32, optional, tag = "9")]
    pub hops_away: Option<u32>,
}

/// What a node calls itself.
#[derive(Clone, PartialEq, Message)]
pub struct User {
    /// `!` and its number in eight hexadecimal digits.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub long_name: String,
    /// Its name in at most four bytes.
    #[prost(string, tag = "3")]
    pub short_name: String,
    /// What device it is; 255 for one of no maker.
    #[prost(int32, tag = "5")]
    pub hw_model: i32,
    /// Whether it transmits under an amateur's licence.
    #[prost(bool, tag = "6")]
    pub is_licensed: bool,
    /// What it does in the mesh; 0 for a client.
    #[prost(int32, tag = "7")]
    pub role: i32,
    /// Its key.
    #[prost(bytes = "vec", tag = "8")]
    pub public_key: Vec<u8>,
}

/// A part of a radio's settings.
#[derive(Clone, PartialEq, Message)]
pub struct Config {
    /// Which; nothing for parts that are not here.
    #[prost(oneof = "config::Part", tags = "1, 6")]
    pub part: Option<config::Part>,
}

/// What a [`Config`] may be.
pub mod config {
    use super::{DeviceConfig, LoRaConfig, Oneof};

    /// One of these.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Part {
        /// The device.
        #[prost(message, tag = "1")]
        Device(DeviceConfig),
        /// The radio.
        #[prost(message, tag = "6")]
        Lora(LoRaConfig),
    }
}

/// Settings of the device.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct DeviceConfig {
    /// What it does in the mesh; 0 for a client.
    #[prost(int32, tag = "1")]
    pub role: i32,
    /// Whether it speaks over its serial line.
    #[prost(bool, tag = "2")]
    pub serial_enabled: bool,
}

/// Settings of the radio.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct LoRaConfig {
    /// Whether the preset counts, or the three values after it.
    #[prost(bool, tag = "1")]
    pub use_preset: bool,
    /// 0 for long range, fast.
    #[prost(int32, tag = "2")]
    pub modem_preset: i32,
    /// Bandwidth, in kHz.
    #[prost(uint32, tag = "3")]
    pub bandwidth: u32,
    /// Spreading factor, 7 to 12.
    #[prost(uint32, tag = "4")]
    pub spread_factor: u32,
    /// The denominator of the coding rate: 5 for 4/5.
    #[prost(uint32, tag = "5")]
    pub coding_rate: u32,
    /// Whose law holds; 0 where nobody has said.
    #[prost(int32, tag = "7")]
    pub region: i32,
    /// How often its packets may be repeated.
    #[prost(uint32, tag = "8")]
    pub hop_limit: u32,
    /// Whether it transmits.
    #[prost(bool, tag = "9")]
    pub tx_enabled: bool,
    /// Power, in dBm.
    #[prost(int32, tag = "10")]
    pub tx_power: i32,
}

/// A part of the settings of a radio's modules. None are needed; which one it is shows in a field that is passed over.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ModuleConfig {}

/// A channel.
#[derive(Clone, PartialEq, Message)]
pub struct Channel {
    /// Its place in the radio's list.
    #[prost(int32, tag = "1")]
    pub index: i32,
    /// Its settings.
    #[prost(message, optional, tag = "2")]
    pub settings: Option<ChannelSettings>,
    /// 0: not used, 1: the first one, 2: another.
    #[prost(int32, tag = "3")]
    pub role: i32,
}

/// Settings of a channel.
#[derive(Clone, PartialEq, Message)]
pub struct ChannelSettings {
    /// The key: none, or one byte for a known one, or 16 or 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub psk: Vec<u8>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
}

/// A device.
#[derive(Clone, PartialEq, Message)]
pub struct DeviceMetadata {
    /// The version of its firmware.
    #[prost(string, tag = "1")]
    pub firmware_version: String,
    /// The version of what it keeps.
    #[prost(uint32, tag = "2")]
    pub device_state_version: u32,
    /// What it does in the mesh.
    #[prost(int32, tag = "7")]
    pub role: i32,
    /// What device it is.
    #[prost(int32, tag = "9")]
    pub hw_model: i32,
}

/// A line of a radio's log.
#[derive(Clone, PartialEq, Message)]
pub struct LogRecord {
    /// The line.
    #[prost(string, tag = "1")]
    pub message: String,
    /// When, in seconds since 1970.
    #[prost(fixed32, tag = "2")]
    pub time: u32,
    /// The part that says it.
    #[prost(string, tag = "3")]
    pub source: String,
    /// How bad it is: 10 for a trifle to 50 for the end.
    #[prost(int32, tag = "4")]
    pub level: i32,
}

/// A word to the user.
#[derive(Clone, PartialEq, Message)]
pub struct ClientNotification {
    /// The packet that it is about.
    #[prost(uint32, optional, tag = "1")]
    pub reply_id: Option<u32>,
    /// How bad it is, as in a [`LogRecord`].
    #[prost(int32, tag = "3")]
    pub level: i32,
    /// The word.
    #[prost(string, tag = "4")]
    pub message: String,
}
