//! An asset's radios and what they hear.

use crate::{
    engine::Rng,
    link::{Access, Contention, DutyCycle, LinkClass, Transmitter, VirtualLink},
    scenario::{Asset, Attack},
    units::SimTime,
};
use bevy_ecs::component::Component;
use std::collections::VecDeque;

/// A frame that waits in a radio.
#[derive(Clone, Debug)]
pub struct QueuedFrame {
    /// The window that it is for (index into the course's windows).
    pub window: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The bundle whose transfer it begins, when the run captures them.
    pub bundle: Option<Vec<u8>>,
    /// Whether it is for all that the radio serves, as what a real one sends is.
    pub to_all: bool,
    /// The attack that ends with it, if it is an adversary's.
    pub attack: Option<Attack>,
}

/// A window that a radio serves.
#[derive(Clone, Copy, Debug)]
pub struct OpenWindow {
    /// Index into the course's windows.
    pub window: u32,
    /// How long the radio has been sending in it.
    pub busy: SimTime,
}

/// One radio.
#[derive(Clone, Debug)]
pub struct Radio {
    /// Index into the scenario's link classes.
    pub class: usize,
    /// What it sends, and when.
    pub transmitter: Transmitter<QueuedFrame>,
    /// Windows that it serves, in the order in which they opened.
    pub open: Vec<OpenWindow>,
    /// Windows that wait because it serves as many peers as it can.
    pub waiting: VecDeque<u32>,
    /// Most windows that it serves at once.
    pub max_peers: usize,
    /// Place in `open` from which the next frame is asked for.
    pub turn: usize,
    /// On a link with sessions: the window of the frame that is on air (index into the course's windows).
    pub on_air: Option<u32>,
    /// Limit on its share of the air.
    pub duty: DutyCycle,
    /// How it waits for a busy shared channel; `None` on links of its own.
    pub contention: Option<Contention>,
    /// How often in a row it found the shared channel busy.
    pub busy_tries: u32,
    /// When it tries again, if it waits for the shared channel or its duty cycle.
    pub retry_at: Option<SimTime>,
    /// Draws for waiting times.
    pub rng: Rng,
    /// Whether it cannot hear while it sends.
    pub half_duplex: bool,
    transmit_w: f64,
    receive_w: f64,
    /// Energy spent since it was last asked, apart from listening.
    spent_j: f64,
    /// Since when it listens, while any window is open.
    listening_since: Option<SimTime>,
}

impl Radio {
    /// Accounts for `airtime` of sending.
    pub fn spend_sending(&mut self, airtime: SimTime) {
        self.spent_j += self.transmit_w * airtime.as_secs_f64();
    }

    /// The number of open windows changed at `now`.
    pub fn note_listening(&mut self, now: SimTime) {
        self.settle(now);
        self.listening_since = (!self.open.is_empty()).then_some(now);
    }

    /// Energy spent since this was last asked.
    pub fn take_spent(&mut self, now: SimTime) -> f64 {
        self.settle(now);
        std::mem::take(&mut self.spent_j)
    }

    fn settle(&mut self, now: SimTime) {
        if let Some(since) = self.listening_since.replace(now) {
            self.spent_j += self.receive_w * (now - since).as_secs_f64();
        }
        if self.open.is_empty() {
            self.listening_since = None;
        }
    }
}

/// All radios of an asset, in the order of the scenario.
#[derive(Component, Clone, Debug)]
pub struct RadioBank(pub Vec<Radio>);

impl RadioBank {
    /// Silent radios of `asset`; `rng` gives the stream of radio i.
    #[must_use]
    pub fn new(asset: &Asset, classes: &[LinkClass], rng: impl Fn(u32) -> Rng) -> Self {
        let radios = asset.radios.iter().enumerate().map(|(index, spec)| {
            let class = &classes[spec.class];
            let lora = class.lora();
            Radio {
                class: spec.class,
                transmitter: Transmitter::new(spec.queue_frames),
                open: Vec::new(),
                waiting: VecDeque::new(),
                max_peers: spec.max_peers.map_or(usize::MAX, |most| most as usize),
                turn: 0,
                on_air: None,
                duty: DutyCycle::new(lora.map_or(1.0, |lora| lora.duty_cycle)),
                contention: match (class.access, lora) {
                    (Access::SharedChannel, Some(lora)) => Some(Contention::new(&lora.modulation())),
                    _ => None,
                },
                busy_tries: 0,
                retry_at: None,
                rng: rng(index as u32),
                half_duplex: class.access != Access::FullDuplex,
                transmit_w: spec.transmit_power.0,
                receive_w: spec.receive_power.0,
                spent_j: 0.0,
                listening_since: None,
            }
        });
        Self(radios.collect())
    }
}

/// The receiving ends of an asset's links, by the receiver's numbers of them; those that have heard nothing are not there yet.
#[derive(Component, Clone, Debug, Default)]
pub struct Receivers(Vec<Option<VirtualLink>>);

impl Receivers {
    /// The end of the link with this number, made when it is asked for the first time.
    pub fn end(&mut self, number: u32, make: impl FnOnce() -> VirtualLink) -> &mut VirtualLink {
        let place = number as usize;
        if place >= self.0.len() {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place].get_or_insert_with(make)
    }
}
