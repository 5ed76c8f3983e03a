//! Convergence layers: how bundles cross one kind of link.
//!
//! One module for each: [`tcpcl`] (RFC 9174) and [`mtcp`] over TCP, [`udpcl`] over UDP, and [`small_frame`] for links whose frames are a few hundred bytes, such as LoRa and KISS radios.

pub mod mtcp;
pub mod small_frame;
pub mod tcpcl;
pub mod udpcl;
