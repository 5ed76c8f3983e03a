//! Radios and modems that speak protocols of their own: drivers for real ones, and an emulated one.
//!
//! [`modem`] drives KISS modems and Meshtastic radios: a frame of the link is the payload. [`net`] emulates Meshtastic radios for the assets of a
//! scenario, which [`server`] offers to real programs.

mod modem;
mod net;
mod packet;
mod server;

pub(super) use cosmosmesh_node::transport::{kiss::ax25::MAX_INFORMATION, meshtastic::MAX_PAYLOAD};
pub(super) use modem::{KissModem, MeshModem, ModemWire};
pub(super) use net::{MeshNet, MeshWire, Place};
pub(super) use packet::MARK;
pub(super) use server::serve;
