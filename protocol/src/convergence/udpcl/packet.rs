//! Messages of a datagram, told apart by their first octets (draft-ietf-dtn-udpcl-03, UDPCL Messages).

use super::extension::ExtensionMap;

/// A message of a datagram, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpclMessage<'a> {
    /// A BPv7 bundle; nobody has looked further than its first octet.
    Bundle(&'a [u8]),
    /// A sign of life: a datagram of four octets of padding.
    Keepalive,
    /// Octets to be passed over.
    Padding(&'a [u8]),
    /// A DTLS record: the driver's.
    Dtls(&'a [u8]),
    /// Extension items.
    Extensions(ExtensionMap<'a>),
}

/// Why a datagram, or what is left of one, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdpclError {
    /// A datagram of no bytes.
    #[error("empty datagram")]
    Empty,
    /// A bundle of version 6.
    #[error("BPv6 bundle")]
    Version6,
    /// A first octet that means nothing.
    #[error("first octet {found:#04x} is none of a bundle")]
    NotABundle {
        /// The octet.
        found: u8,
    },
    /// A bundle after another message: bundles are alone in their datagram.
    #[error("bundle after another message")]
    NotAlone,
    /// An extension map that is cut off, nested too deeply, or not what the draft says.
    #[error("malformed extension map")]
    Extensions,
    /// A segment of a transfer of several: not put together here.
    #[error("segment of transfer {transfer}, {total} bytes long")]
    Segmented {
        /// The transfer.
        transfer: u64,
        /// Its length.
        total: u64,
    },
    /// A bundle that no datagram of the link holds.
    #[error("bundle of {found} bytes, a datagram holds {max}")]
    TooLong {
        /// Bytes of the bundle.
        found: usize,
        /// Bytes of a datagram.
        max: usize,
    },
}

impl UdpclError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty_datagram",
            Self::Version6 => "bundle_version_6",
            Self::NotABundle { .. } => "unknown_first_octet",
            Self::NotAlone => "bundle_not_alone",
            Self::Extensions => "malformed_extension_map",
            Self::Segmented { .. } => "segmented_transfer",
            Self::TooLong { .. } => "bundle_too_long",
        }
    }
}

/// The messages of one datagram, in their order. After an error there are none.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    is_first: bool,
}

impl<'a> Messages<'a> {
    /// Of this datagram.
    #[must_use]
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram, is_first: true }
    }

    fn read(&mut self) -> Result<UdpclMessage<'a>, UdpclError> {
        let bytes = core::mem::take(&mut self.rest);
        let is_first = core::mem::replace(&mut self.is_first, false);
        Ok(match bytes.first().copied().ok_or(UdpclError::Empty)? {
            0x00 if is_first && bytes == super::KEEPALIVE => UdpclMessage::Keepalive,
            // Whatever follows the first zero is ignored.
            0x00 => UdpclMessage::Padding(bytes),
            0x06 => return Err(UdpclError::Version6),
            0x14..=0x1a | 0x20..=0x3f if is_first => UdpclMessage::Dtls(bytes),
            0x80..=0x9f if is_first => UdpclMessage::Bundle(bytes),
            0x80..=0x9f => return Err(UdpclError::NotAlone),
            0xa0..=0xbf => {
                let (map, rest) = ExtensionMap::read(bytes)?;
                self.rest = rest;
                UdpclMessage::Extensions(map)
            }
            found => return Err(UdpclError::NotABundle { found }),
        })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<UdpclMessage<'a>, UdpclError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.is_first {
            return None;
        }
        Some(self.read())
    }
}
