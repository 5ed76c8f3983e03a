//! A CosmosMesh node on a host: the same [`Node`](cosmosmesh_protocol::node::Node) that the simulator flies, over real sockets and a real disk.
//!
//! [`Daemon`] is a node with its store and its transports; [`Client`] is what applications hold, in the same process or over HTTP on
//! loopback; [`cli`] is the command line. `docs/DAEMON.md` walks through it.
//!
//! ```no_run
//! use cosmosmesh_node::{Client, Config};
//! use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rover = Client::embed(Config::read("rover.ron".as_ref())?)?;
//! rover.send(NodeId(2), Purpose::Telemetry, Duration::from_secs(3600), b"21.5 C")?;
//! while let Some(message) = rover.receive(Duration::from_secs(5))? {
//!     println!("{}: {} bytes", message.source, message.payload.len());
//!     rover.take(&message)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! One thread owns the node; sockets, disk and HTTP have threads of their own that tell it what happens through a bounded mailbox:
//!
//! ```text
//! sockets ──► mailbox ──► engine (node, sessions) ──► writers ──► sockets
//! HTTP ────────┘   ▲            │
//!                  └── store ◄──┘ groups of batches, one transaction each
//! ```

pub mod adapter;
mod archive;
pub mod cli;
mod client;
mod clock;
mod config;
mod credential;
mod daemon;
mod discovery;
mod disk;
mod door;
mod engine;
mod folder;
mod histogram;
mod http;
mod inbox;
pub mod key;
mod ledger;
mod log;
mod mailbox;
mod masks;
mod message;
mod metrics;
mod opening;
mod plan;
mod processor;
mod revocation;
mod shadow;
mod state;
mod store;
mod tls;
mod token;
pub mod transport;
mod trust;
mod unflushed;
mod unmet;

pub use client::{Client, ClientError};
pub use clock::CivilClock;
pub use config::{
    Config, ConfigError, ConfigErrors, Durability, HorizonError, Limits, Listen, Masks, NextHorizon, Peer,
    Plan, Preset, Radio, Requirements, SharedState, Speaks, Station, Trust, Via,
};
pub use credential::CredentialError;
pub use daemon::{Addresses, Daemon, Start, StartError};
pub use disk::{Disk, DiskError, OpenStore, Record};
pub use door::Health;
pub use engine::{Accepted, Refusal};
pub use inbox::{InboxEntry, InboxNumber, Received};
pub use ledger::{LogHead, LogLine, LogProof, LogProofError};
pub use log::{LogFormat, LogLevel, start as start_log};
pub use masks::MaskError;
pub use message::Message;
pub use metrics::PeerStatus;
pub use plan::{PlanView, Price, SpentView, Values, VersionView};
pub use revocation::Revocation;
pub use state::{
    Bytes as StateBytes, QueryError, StateChanges, StateDot, StateItem, StateKind, StateQuery, StateWrite,
};
pub use tls::Tls;
pub use token::Token;
