//! AX.25 frames without a connection (UI), which carry what is not AX.25 over modems that transmit nothing else.
//!
//! | Bytes | What |
//! |---|---|
//! | 7 | destination: six letters shifted left by a bit, then flags and number |
//! | 7 | source; the last address has bit 0 of its last byte set |
//! | 0 to 56 | stations that repeat the frame |
//! | 2 | control `03` (UI), protocol `F0` (none) |
//! | up to 256 | information |
//!
//! Source: "AX.25 Link Access Protocol for Amateur Packet Radio", version 2.2, sections 3 and 6.7.2.

use std::{fmt, str::FromStr};

/// Bytes before the information, without repeating stations.
pub const HEADER_LEN: usize = 16;
/// Most bytes of information that stations agree upon without asking (N1).
pub const MAX_INFORMATION: usize = 256;

const ADDRESS_LEN: usize = 7;
const LETTERS: usize = 6;
const MAX_REPEATERS: usize = 8;
const CONTROL_UI: u8 = 0x03;
/// The poll bit of the control byte, which UI frames may have set.
const POLL: u8 = 0x10;
const PROTOCOL_NONE: u8 = 0xF0;
/// The address is the last one.
const LAST: u8 = 0x01;
/// Set where nobody has agreed upon another meaning.
const RESERVED: u8 = 0x60;
/// In the destination: the frame is a command (version 2).
const COMMAND: u8 = 0x80;

/// A station: one to six capital letters and digits, and a number from 0 to 15. Written `N0CALL-7`, or `N0CALL` for number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Callsign {
    /// Padded with spaces.
    letters: [u8; LETTERS],
    number: u8,
}

/// What is wrong with a frame or a callsign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ax25Error {
    /// Shorter than its header.
    #[error("a frame of {bytes} bytes is shorter than an AX.25 header")]
    Short {
        /// Its bytes.
        bytes: usize,
    },
    /// A callsign has letters that none can have, none at all, or more than six.
    #[error("a callsign has one to six capital letters and digits")]
    Letters,
    /// A number beyond 15.
    #[error("the number of a callsign is from 0 to 15")]
    Number,
    /// More addresses than two and eight repeating stations.
    #[error("more than ten addresses")]
    Addresses,
    /// A frame of a connection, or for another protocol.
    #[error("control {control:#04x} with protocol {protocol:#04x} is not information without a connection")]
    Kind {
        /// The control byte.
        control: u8,
        /// The protocol.
        protocol: u8,
    },
}

impl Ax25Error {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Short { .. } => "short",
            Self::Letters => "letters",
            Self::Number => "number",
            Self::Addresses => "addresses",
            Self::Kind { .. } => "kind",
        }
    }
}

impl Callsign {
    fn of(address: &[u8]) -> Result<Self, Ax25Error> {
        let mut letters = [0; LETTERS];
        for (letter, byte) in letters.iter_mut().zip(address) {
            *letter = byte >> 1;
        }
        let used = letters.iter().rposition(|letter| *letter != b' ').map_or(0, |last| last + 1);
        if used == 0 || !letters[..used].iter().all(|letter| is_letter(*letter)) {
            return Err(Ax25Error::Letters);
        }
        Ok(Self { letters, number: address[LETTERS] >> 1 & 0x0F })
    }

    fn put(self, out: &mut Vec<u8>, flags: u8) {
        out.extend(self.letters.map(|letter| letter << 1));
        out.push(RESERVED | self.number << 1 | flags);
    }
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

impl FromStr for Callsign {
    type Err = Ax25Error;

    fn from_str(text: &str) -> Result<Self, Ax25Error> {
        let (call, number) = text.split_once('-').unwrap_or((text, "0"));
        if call.is_empty() || call.len() > LETTERS || !call.bytes().all(is_letter) {
            return Err(Ax25Error::Letters);
        }
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|number| digits && *number < 16).ok_or(Ax25Error::Number)?;
        let mut letters = [b' '; LETTERS];
        letters[..call.len()].copy_from_slice(call.as_bytes());
        Ok(Self { letters, number })
    }
}

impl fmt::Display for Callsign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.letters.iter().filter(|letter| **letter != b' ') {
            write!(f, "{}", char::from(*letter))?;
        }
        if self.number > 0 {
            write!(f, "-{}", self.number)?;
        }
        Ok(())
    }
}

/// A frame that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UiFrame<'a> {
    /// For whom.
    pub destination: Callsign,
    /// From whom.
    pub source: Callsign,
    /// What it carries.
    pub information: &'a [u8],
}

/// Appends a frame.
pub fn put_ui(out: &mut Vec<u8>, destination: Callsign, source: Callsign, information: &[u8]) {
    out.reserve(HEADER_LEN + information.len());
    destination.put(out, COMMAND);
    source.put(out, LAST);
    out.extend([CONTROL_UI, PROTOCOL_NONE]);
    out.extend_from_slice(information);
}

/// Reads a frame. Stations that repeat it are passed over.
///
/// # Errors
/// [`Ax25Error`].
pub fn parse_ui(bytes: &[u8]) -> Result<UiFrame<'_>, Ax25Error> {
    let short = Ax25Error::Short { bytes: bytes.len() };
    let mut addresses = bytes.chunks_exact(ADDRESS_LEN);
    let last = addresses.position(|address| address[LETTERS] & LAST != 0).ok_or(short)?;
    match last {
        // A source there must be.
        0 => return Err(short),
        1.. if last > 1 + MAX_REPEATERS => return Err(Ax25Error::Addresses),
        1.. => {}
    }
    let destination = Callsign::of(&bytes[..ADDRESS_LEN])?;
    let source = Callsign::of(&bytes[ADDRESS_LEN..2 * ADDRESS_LEN])?;
    match &bytes[(last + 1) * ADDRESS_LEN..] {
        [control, PROTOCOL_NONE, information @ ..] if control & !POLL == CONTROL_UI => {
            Ok(UiFrame { destination, source, information })
        }
        [control, protocol, ..] => Err(Ax25Error::Kind { control: *control, protocol: *protocol }),
        _ => Err(short),
    }
}
