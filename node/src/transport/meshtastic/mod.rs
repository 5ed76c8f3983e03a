//! Meshtastic: the protocol between a LoRa radio and a program, over a serial line or TCP.
//!
//! Each message is a protobuf behind a header of four bytes: `94 C3`, then its length in two bytes, big-endian, at most 512.
//! A program asks with [`to_radio::Payload::WantConfigId`]; the radio answers with its number, the nodes that it knows, its settings,
//! and the same number in [`from_radio::Payload::ConfigCompleteId`]. From then on packets go both ways. A payload has at most [`MAX_PAYLOAD`] bytes; what
//! is nobody else's goes to port [`PRIVATE_APP`].
//!
//! Written from the protocol's facts: the page "Client API (Serial/TCP/BLE)" of the project's documentation and the numbers of fields in its public
//! API reference (`js.meshtastic.org`). The project's own definitions and programs are under the GPL, and nothing of them is here.
//!
//! [`StreamDecoder`] and [`put_message`] are the framing, for either side; [`MeshtasticClient`] is the program's side, without sockets or clock.

mod client;
mod message;
mod stream;
#[cfg(test)]
mod tests;

pub use client::{ClientSettings, Failure, MeshtasticClient, MeshtasticEvent, PacketId, SendError};
pub use message::{
    Channel, ChannelSettings, ClientNotification, Config, Data, DeviceConfig, DeviceMetadata, FromRadio,
    Heartbeat, LoRaConfig, LogRecord, MeshPacket, ModuleConfig, MyNodeInfo, NodeInfo, QueueStatus, Routing,
    ToRadio, User, config, from_radio, mesh_packet, routing, to_radio,
};
pub use stream::{MAX_MESSAGE, MessageTooLong, START, StreamDecoder, WAKE_UP, put_message};

/// Most bytes of a packet's payload.
pub const MAX_PAYLOAD: usize = 233;

/// The number of all nodes.
pub const BROADCAST: u32 = 0xFFFF_FFFF;

/// The port of text messages, UTF-8.
pub const TEXT_MESSAGE_APP: i32 = 1;
/// The port of [`Routing`]: acknowledgements.
pub const ROUTING_APP: i32 = 5;
/// The first of the ports that are free for private use, 256 to 511.
pub const PRIVATE_APP: i32 = 256;
