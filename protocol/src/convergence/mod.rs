//! Convergence layers: how bundles cross one kind of link.
//!
//! One module for each: [`small_frame`] for links whose frames are a few hundred bytes, such as LoRa and KISS radios, [`ltp`] for links
//! that lose and are light-minutes long, [`tcpcl`] and [`mtcp`] for byte streams, [`udpcl`] for datagrams.

pub mod ltp;
pub mod mtcp;
pub mod small_frame;
pub mod tcpcl;
pub mod udpcl;
