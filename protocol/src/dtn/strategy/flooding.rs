//! [`ManagedFlooding`]: the rules by which Meshtastic radios pass packets on.
//!
//! Source: Meshtastic's documentation, "Mesh broadcast algorithm" and "Device role", and `RadioInterface` of its firmware
//! (`getCWsize`, `getTxDelayMsecWeighted`). A bundle is sent on once, if its hop limit allows, after a delay that is shorter
//! the weaker it was heard; and not at all if another node was heard sending it meanwhile, unless the role says so.
//! Meshtastic's hop limit h is a bundle's hop limit h + 1: the source's own transmission counts here.
//!
//! Over links that go to one neighbour each, "all who hear" are the neighbours that are linked when the delay is over, each with a
//! frame of its own. On a shared channel ([`FloodingConfig::shared`]) a bundle leaves once, by the link to one of them, and the host brings its
//! frames to all who hear. How strongly a neighbour is heard the host tells; until it does, [`FloodingConfig::snr_db`] stands for it.

use super::{Broadcast, Carried, Overheard, Strategy};
use crate::id::NodeId;
use core::time::Duration;

/// What a node does for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Sends on, unless another was heard doing so.
    #[default]
    Client,
    /// Never sends on what is not its own.
    ClientMute,
    /// Sends on always, and before the clients.
    Router,
    /// Sends on always; after the clients, if another was heard.
    RouterLate,
}

/// Role and timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodingConfig {
    /// What the node does for the others.
    pub role: Role,
    /// Length of a slot of the contention window; Meshtastic's default preset LongFast has 28.08 ms.
    pub slot: Duration,
    /// The signal-to-noise ratio with which neighbours are heard, in dB: −20 or less is weakest, 10 or more strongest. For those of whom
    /// the host does not tell.
    pub snr_db: i8,
    /// Whether all links are one channel, on which every neighbour in range hears what goes to one.
    pub shared: bool,
}

impl Default for FloodingConfig {
    fn default() -> Self {
        Self { role: Role::Client, slot: Duration::from_micros(28_080), snr_db: 0, shared: false }
    }
}

/// The exponents of the contention window (`CWmin`, `CWmax` of the firmware).
const CW_MIN: u32 = 3;
const CW_MAX: u32 = 8;
/// Between these ratios the exponent grows (`SNR_MIN`, `SNR_MAX`), in dB.
const SNR_MIN: i32 = -20;
const SNR_MAX: i32 = 10;

/// The strategy.
#[derive(Clone, Copy, Debug)]
pub struct ManagedFlooding {
    config: FloodingConfig,
}

impl ManagedFlooding {
    /// The rules for a node of this role.
    #[must_use]
    pub const fn new(config: FloodingConfig) -> Self {
        Self { config }
    }

    /// The exponent of the contention window: grows with the strength, so that the farthest come first.
    #[must_use]
    pub fn window_exponent(&self) -> u32 {
        let snr = i32::from(self.config.snr_db).clamp(SNR_MIN, SNR_MAX);
        CW_MIN + (snr - SNR_MIN) as u32 * (CW_MAX - CW_MIN) / (SNR_MAX - SNR_MIN) as u32
    }

    fn slots(&self, count: u32) -> Duration {
        self.config.slot.saturating_mul(count)
    }

    /// The delay before a packet is sent on, with `draw` as chance.
    #[must_use]
    pub fn delay(&self, draw: u32) -> Duration {
        let exponent = self.window_exponent();
        match self.config.role {
            Role::Router => self.slots(below(draw, 2 * exponent)),
            Role::Client | Role::ClientMute | Role::RouterLate => {
                self.slots(2 * CW_MAX + below(draw, 1 << exponent))
            }
        }
    }

    /// The delay of the window behind that of the clients.
    #[must_use]
    pub fn late_delay(&self, draw: u32) -> Duration {
        self.slots(2 * CW_MAX + (1 << CW_MAX) + below(draw, 1 << self.window_exponent()))
    }
}

/// `draw`, which is uniform over its range, scaled to 0 … `count` − 1.
fn below(draw: u32, count: u32) -> u32 {
    ((u64::from(draw) * u64::from(count)) >> 32) as u32
}

impl Strategy for ManagedFlooding {
    fn exchanges(&self) -> bool {
        false
    }

    fn offers(&self, _peer: NodeId, _replica: &Carried) -> bool {
        true
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn shares_channel(&self) -> bool {
        self.config.shared
    }

    fn broadcast_delay(&self, own: bool, snr_db: Option<i8>, draw: u32) -> Broadcast {
        match (own, self.config.role) {
            // The channel's own listen-before-talk comes before a packet of one's own.
            (true, _) => Broadcast::After(Duration::ZERO),
            (false, Role::ClientMute) => Broadcast::Never,
            (false, _) => {
                let snr_db = snr_db.unwrap_or(self.config.snr_db);
                Broadcast::After(Self::new(FloodingConfig { snr_db, ..self.config }).delay(draw))
            }
        }
    }

    fn on_overheard(&self, draw: u32) -> Overheard {
        match self.config.role {
            Role::Client | Role::ClientMute => Overheard::Suppress,
            Role::Router => Overheard::Ignore,
            Role::RouterLate => Overheard::Postpone(self.late_delay(draw)),
        }
    }
}
