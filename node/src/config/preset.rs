//! Presets: what is required of transport, signatures and delivery.

use serde::{Deserialize, Serialize};

/// A named set of requirements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub enum Preset {
    /// To try things on one machine.
    #[default]
    Development,
    /// Little power and little disk.
    Lightweight,
    /// For what must not be lost, among those that can prove who they are.
    Production,
}

/// What a commit to the store survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any moment (`kill -9`), not of the machine: nothing is flushed from the system's memory.
    Process,
    /// A power loss too.
    Power,
}

/// What a preset requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Whether anything may lead beyond this machine, when the configuration asks for it.
    pub beyond_loopback: bool,
    /// Whether what leads beyond this machine must be QUIC, or TCPCL inside of TLS.
    pub protected: bool,
    /// Whether every bundle must be signed by the node that made it, at every hop, beside the envelope of each message.
    pub signed_bundles: bool,
    /// Whether bundles on their way through are kept on disk.
    pub keeps_transit: bool,
    /// What an acknowledged message survives.
    pub durability: Durability,
}

impl Preset {
    /// What it requires.
    #[must_use]
    pub const fn requires(self) -> Requirements {
        match self {
            Self::Development => Requirements {
                beyond_loopback: false,
                protected: false,
                signed_bundles: false,
                keeps_transit: true,
                durability: Durability::Process,
            },
            Self::Lightweight => Requirements {
                beyond_loopback: true,
                protected: false,
                signed_bundles: false,
                keeps_transit: false,
                durability: Durability::Process,
            },
            Self::Production => Requirements {
                beyond_loopback: true,
                protected: true,
                signed_bundles: true,
                keeps_transit: true,
                durability: Durability::Power,
            },
        }
    }
}
