//! Radios and links: what the scenario says of them, and models of rate, loss, airtime and queues.
//!
//! A link sees opaque frames and answers with a [`Verdict`]. A frame's way: the [`Transmitter`] is free (and, on LoRa,
//! [`DutyCycle`] and [`SharedChannel`] allow it) → [`Flight::depart`] at the start → [`VirtualLink::decide`] at the end
//! of reception.

mod airtime;
mod budget;
mod channel;
mod duty;
mod interval;
mod loss;
mod spec;
mod transmitter;
mod virtual_link;

pub use airtime::{LoraModulation, MESHTASTIC_PREAMBLE, serialisation_time};
pub use budget::{
    BOLTZMANN_DBW_K_HZ, LinkBudget, MissingFigure, bit_error_rate, eb_n0, free_space_loss, free_space_range,
    near_ground_loss,
};
pub use channel::{Contention, Reception, SharedChannel, TransmissionId};
pub use duty::DutyCycle;
pub use interval::{Interval, Outages};
pub use loss::{BurstChannel, FrameLoss, frame_error_probability, stationary_bad};
pub use spec::{
    Access, BurstLoss, Capacity, LinkClass, LinkConvergence, LoraPreset, LoraSettings, LtpSettings, RadioSpec,
};
pub use transmitter::{QueueFull, Transmitter};
pub use virtual_link::{Circumstances, Flight, Frame, Passage, Refusal, Verdict, VirtualLink, directed_link};
