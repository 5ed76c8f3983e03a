//! Radios and links: what the scenario says of them, and models of rate, loss, airtime and queues.

mod spec;

pub use spec::{Access, BurstLoss, Capacity, LinkClass, LoraPreset, LoraSettings, RadioSpec};
