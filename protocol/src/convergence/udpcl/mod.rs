//! UDP convergence layer (draft-ietf-dtn-udpcl-03, which keeps to RFC 7122 for one bundle in one datagram).
//!
//! A datagram holds one bundle and nothing else, or extension maps and padding. What it holds follows from first octets:
//!
//! | First octet | Content | Here |
//! |---|---|---|
//! | `0x00` | padding up to the end; four octets alone are a keepalive | passed over |
//! | `0x06` | BPv6 bundle | refused |
//! | `0x14`–`0x1a`, `0x20`–`0x3f` | DTLS record | for the driver |
//! | `0x80`–`0x9f` | BPv7 bundle up to the end | given whole |
//! | `0xa0`–`0xbf` | extension map | read; unknown items passed over |
//!
//! We send unframed bundles, and read an identified transfer of one segment too. A transfer of several segments is refused: a
//! bundle that is too long for a datagram is fragmented (RFC 9171 §5.8) or goes another way.

mod extension;
mod packet;

pub use extension::{ExtensionMap, Transfer};
pub use packet::{Messages, UdpclError, UdpclMessage};

use alloc::vec::Vec;

/// The port registered for UDPCL (draft §4.2).
pub const PORT: u16 = 4556;
/// The longest payload of a UDP datagram over IPv4, in bytes.
pub const MAX_DATAGRAM: usize = 65_507;
/// A keepalive: four octets of padding.
pub const KEEPALIVE: [u8; 4] = [0; 4];

/// Judges whether `bundle` goes unframed into one datagram of at most `mtu` bytes: the datagram is the bundle itself.
///
/// # Errors
/// When it is too long, or does not start like a BPv7 bundle (RFC 9171 §4.1), so that a receiver would take it for something else.
pub fn datagram(bundle: &[u8], mtu: usize) -> Result<&[u8], UdpclError> {
    let max = mtu.min(MAX_DATAGRAM);
    match bundle.first() {
        None => Err(UdpclError::Empty),
        Some(0x80..=0x9f) if bundle.len() > max => Err(UdpclError::TooLong { found: bundle.len(), max }),
        Some(0x80..=0x9f) => Ok(bundle),
        Some(&found) => Err(UdpclError::NotABundle { found }),
    }
}

/// A datagram that tells who listens on its source port, and for how many milliseconds (draft §4.5.3, §4.5.4).
#[must_use]
pub fn sender_listen(node_id: &str, interval_ms: u64) -> Vec<u8> {
    let mut out = Vec::new();
    extension::put_sender_listen(&mut out, node_id, interval_ms);
    out
}

#[cfg(test)]
mod tests;
