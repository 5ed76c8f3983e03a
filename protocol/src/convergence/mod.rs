//! Convergence layers: how bundles cross one kind of link.
//!
//! One module for each: [`small_frame`] for links whose frames are a few hundred bytes, such as LoRa and KISS radios.

pub mod small_frame;
