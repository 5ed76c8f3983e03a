//! KISS: frames of a packet-radio modem on a byte stream, a serial line or TCP.
//!
//! | Byte | Meaning |
//! |---|---|
//! | `C0` (FEND) | between frames |
//! | first of a frame | port of the modem (upper four bits), [`Command`] (lower four) |
//! | `DB DC`, `DB DD` | `C0`, `DB` inside of a frame |
//!
//! Source: M. Chepponis, P. Karn, "The KISS TNC: A simple Host-to-TNC communications protocol", 1987. There is no checksum and no length:
//! a modem hands over only frames whose own checksum held. Where the paper keeps on gathering a frame after a wrong escape,
//! the [`KissDecoder`] drops the frame: a byte of it is wrong.
//!
//! Modems that transmit AX.25 take nothing but its frames: [`ax25`] makes and reads them.
//!
//! ```
//! use cosmosmesh_node::transport::kiss::{Command, KissDecoder, KissFrame, put_frame};
//!
//! let mut bytes = Vec::new();
//! put_frame(&mut bytes, 0, Command::Data, b"\xC0 is escaped");
//! let mut decoder = KissDecoder::new(256);
//! let mut rest = bytes.as_slice();
//! let frame = KissFrame { port: 0, command: Command::Data, payload: b"\xC0 is escaped".to_vec() };
//! assert_eq!(decoder.take(&mut rest), Some(frame));
//! ```

pub mod ax25;
mod decoder;
#[cfg(test)]
mod tests;

pub use decoder::{KissDecoder, KissFrame};

/// Between frames.
pub const FEND: u8 = 0xC0;
/// The next byte stands for another.
pub const FESC: u8 = 0xDB;
/// After [`FESC`]: [`FEND`].
pub const TFEND: u8 = 0xDC;
/// After [`FESC`]: [`FESC`].
pub const TFESC: u8 = 0xDD;

/// Ports of a modem: 0 to 15.
pub const PORTS: u8 = 16;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Command {
    /// To or from the air.
    Data = 0,
    /// How long the transmitter is keyed before data, in units of 10 ms: one byte.
    TxDelay = 1,
    /// The chance to transmit in a free slot, (p + 1) / 256: one byte.
    Persistence = 2,
    /// The length of a slot, in units of 10 ms: one byte.
    SlotTime = 3,
    /// How long the transmitter stays keyed after data, in units of 10 ms: one byte.
    TxTail = 4,
    /// Whether to transmit while something is received: one byte, 0 for no.
    FullDuplex = 5,
    /// What the modem's maker has defined.
    SetHardware = 6,
}

impl Command {
    const fn of(nibble: u8) -> Option<Self> {
        Some(match nibble {
            0 => Self::Data,
            1 => Self::TxDelay,
            2 => Self::Persistence,
            3 => Self::SlotTime,
            4 => Self::TxTail,
            5 => Self::FullDuplex,
            6 => Self::SetHardware,
            _ => return None,
        })
    }
}

/// Appends a frame for a port (0 to 15; of more, the lower four bits count) with [`FEND`] on both sides: the first one ends whatever noise
/// the receiver has gathered.
pub fn put_frame(out: &mut Vec<u8>, port: u8, command: Command, payload: &[u8]) {
    out.reserve(payload.len() + 4);
    out.push(FEND);
    // Port 12 with data looks like FEND.
    put_escaped(out, (port % PORTS) << 4 | command as u8);
    for byte in payload {
        put_escaped(out, *byte);
    }
    out.push(FEND);
}

fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        FEND => out.extend([FESC, TFEND]),
        FESC => out.extend([FESC, TFESC]),
        _ => out.push(byte),
    }
}
