//! Messages and their wire form (RFC 9174 §4.2, §4.5, §4.6, §5, §6.1).
//!
//! A segment's data is not part of [`XferSegment`]: it follows on the stream, and is taken as it comes.

use super::{
    codes::{RejectReason, TerminationReason, TransferRefusal, XferFlags, kind},
    error::Violation,
};
use alloc::vec::Vec;

/// The port registered for TCPCL (RFC 9174 §4.1).
pub const PORT: u16 = 4556;
/// The version that this module speaks.
pub(super) const VERSION: u8 = 4;
/// The first bytes of a connection.
pub(super) const MAGIC: [u8; 4] = *b"dtn!";
const CAN_TLS: u8 = 1;
/// The REPLY flag of SESS_TERM (RFC 9174 §6.1, Table 8).
pub(super) const REPLY: u8 = 1;

/// The contact header (RFC 9174 §4.2, Figure 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactHeader {
    /// The version of the protocol.
    pub version: u8,
    /// Flags as they came; reserved bits have no meaning.
    pub flags: u8,
}

impl ContactHeader {
    /// Its length, in bytes.
    pub const LEN: usize = 6;

    /// Our header.
    #[must_use]
    pub const fn new(can_tls: bool) -> Self {
        Self { version: VERSION, flags: if can_tls { CAN_TLS } else { 0 } }
    }

    /// Whether the sender is ready for TLS.
    #[must_use]
    pub const fn can_tls(self) -> bool {
        self.flags & CAN_TLS != 0
    }

    /// Appends the wire form.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.version, self.flags]);
    }

    /// Reads a header; `None` while it is not complete.
    ///
    /// # Errors
    /// [`Violation::Magic`] at the first byte that differs.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        if bytes.iter().zip(MAGIC).any(|(found, expected)| *found != expected) {
            return Err(Violation::Magic);
        }
        Ok(match bytes {
            [_, _, _, _, version, flags, ..] => Some(Self { version: *version, flags: *flags }),
            _ => None,
        })
    }
}

/// The parameters of a session that one side states (RFC 9174 §4.6, Figure 19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessInit {
    /// Interval between keepalives, in seconds; 0 switches them off.
    pub keepalive_s: u16,
    /// The longest data of one segment that the sender takes, in bytes.
    pub segment_mru: u64,
    /// The longest bundle that the sender takes, in bytes.
    pub transfer_mru: u64,
    /// The sender's node, as it came; empty when it does not tell.
    pub node_id: Vec<u8>,
    /// Session extension items, as they came.
    pub extensions: Vec<u8>,
}

/// The start of a segment, up to its data (RFC 9174 §5.2.2, Figure 22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XferSegment {
    /// First, last, both or neither.
    pub flags: XferFlags,
    /// The transfer that it belongs to.
    pub transfer: u64,
    /// Transfer extension items, as they came; only a first segment has any.
    pub extensions: Vec<u8>,
    /// How many bytes of data follow.
    pub data_len: u64,
}

/// A message (RFC 9174 §4.5, Table 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The start of a segment; its data follows.
    XferSegment(XferSegment),
    /// A segment was processed (§5.2.3).
    XferAck {
        /// The segment's flags.
        flags: XferFlags,
        /// The segment's transfer.
        transfer: u64,
        /// Bytes of the transfer that were processed so far.
        acknowledged: u64,
    },
    /// A transfer is not wanted (§5.2.4).
    XferRefuse {
        /// Why.
        reason: TransferRefusal,
        /// Which.
        transfer: u64,
    },
    /// A sign of life (§5.1.1).
    Keepalive,
    /// The session ends (§6.1).
    SessTerm {
        /// Whether this answers the other side's SESS_TERM.
        flags: u8,
        /// Why.
        reason: TerminationReason,
    },
    /// A message was not taken (§5.1.2).
    MsgReject {
        /// Why.
        reason: RejectReason,
        /// The type of the message.
        rejected: u8,
    },
    /// The parameters of the session (§4.6).
    SessInit(SessInit),
}

impl Message {
    /// The message's type (RFC 9174 §4.5, Table 2).
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::XferSegment(_) => kind::XFER_SEGMENT,
            Self::XferAck { .. } => kind::XFER_ACK,
            Self::XferRefuse { .. } => kind::XFER_REFUSE,
            Self::Keepalive => kind::KEEPALIVE,
            Self::SessTerm { .. } => kind::SESS_TERM,
            Self::MsgReject { .. } => kind::MSG_REJECT,
            Self::SessInit(_) => kind::SESS_INIT,
        }
    }

    /// Appends the wire form. Node IDs are at most 65535 bytes long, extension items at most 2³² − 1.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        match self {
            Self::XferSegment(segment) => {
                out.push(segment.flags.0);
                out.extend_from_slice(&segment.transfer.to_be_bytes());
                if segment.flags.is_start() {
                    out.extend_from_slice(&(segment.extensions.len() as u32).to_be_bytes());
                    out.extend_from_slice(&segment.extensions);
                }
                out.extend_from_slice(&segment.data_len.to_be_bytes());
            }
            Self::XferAck { flags, transfer, acknowledged } => {
                out.push(flags.0);
                out.extend_from_slice(&transfer.to_be_bytes());
                out.extend_from_slice(&acknowledged.to_be_bytes());
            }
            Self::XferRefuse { reason, transfer } => {
                out.push(reason.0);
                out.extend_from_slice(&transfer.to_be_bytes());
            }
            Self::Keepalive => {}
            Self::SessTerm { flags, reason } => out.extend_from_slice(&[*flags, reason.0]),
            Self::MsgReject { reason, rejected } => out.extend_from_slice(&[reason.0, *rejected]),
            Self::SessInit(init) => {
                out.extend_from_slice(&init.keepalive_s.to_be_bytes());
                out.extend_from_slice(&init.segment_mru.to_be_bytes());
                out.extend_from_slice(&init.transfer_mru.to_be_bytes());
                out.extend_from_slice(&(init.node_id.len() as u16).to_be_bytes());
                out.extend_from_slice(&init.node_id);
                out.extend_from_slice(&(init.extensions.len() as u32).to_be_bytes());
                out.extend_from_slice(&init.extensions);
            }
        }
    }

    /// Reads the message at the start of `bytes`, up to the data of a segment: the message and its length; `None` while it is
    /// not complete.
    ///
    /// # Errors
    /// [`Violation::UnknownType`], and [`Violation::ExtensionsTooLong`] before any of them are held.
    pub fn decode(bytes: &[u8], max_extension_bytes: u32) -> Result<Option<(Self, usize)>, Violation> {
        let len = required(bytes, max_extension_bytes)?;
        if bytes.len() < len {
            return Ok(None);
        }
        let mut fields = Fields(&bytes[1..len]);
        Ok(read(bytes[0], &mut fields).map(|message| (message, len)))
    }
}

/// How many bytes the message that starts with `bytes` has at least, up to the data of a segment: when it has so many,
/// it is complete.
///
/// # Errors
/// [`Violation::UnknownType`], and [`Violation::ExtensionsTooLong`] before any of them are held.
pub(super) fn required(bytes: &[u8], max_extension_bytes: u32) -> Result<usize, Violation> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(1) };
    let extensions = |at: usize, after: usize| match rest.get(at..at + 4) {
        Some(&[a, b, c, d]) => {
            let found = u32::from_be_bytes([a, b, c, d]);
            if found > max_extension_bytes {
                return Err(Violation::ExtensionsTooLong { found, max: max_extension_bytes });
            }
            Ok(1 + at + 4 + found as usize + after)
        }
        _ => Ok(1 + at + 4),
    };
    match first {
        kind::XFER_SEGMENT => match rest.first() {
            None => Ok(2),
            Some(flags) if XferFlags(*flags).is_start() => extensions(9, 8),
            Some(_) => Ok(18),
        },
        kind::XFER_ACK => Ok(18),
        kind::XFER_REFUSE => Ok(10),
        kind::KEEPALIVE => Ok(1),
        kind::SESS_TERM | kind::MSG_REJECT => Ok(3),
        kind::SESS_INIT => match rest.get(18..20) {
            Some(&[high, low]) => extensions(20 + usize::from(u16::from_be_bytes([high, low])), 0),
            _ => Ok(21),
        },
        found => Err(Violation::UnknownType { found }),
    }
}

/// Fields of a message that is complete.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

fn read(first: u8, fields: &mut Fields<'_>) -> Option<Message> {
    Some(match first {
        kind::XFER_SEGMENT => {
            let flags = XferFlags(fields.byte()?);
            let transfer = fields.long()?;
            let extensions = if flags.is_start() {
                let len = u32::from_be_bytes(fields.take()?) as usize;
                fields.bytes(len)?.to_vec()
            } else {
                Vec::new()
            };
            Message::XferSegment(XferSegment { flags, transfer, extensions, data_len: fields.long()? })
        }
        kind::XFER_ACK => Message::XferAck {
            flags: XferFlags(fields.byte()?),
            transfer: fields.long()?,
            acknowledged: fields.long()?,
        },
        kind::XFER_REFUSE => {
            Message::XferRefuse { reason: TransferRefusal(fields.byte()?), transfer: fields.long()? }
        }
        kind::KEEPALIVE => Message::Keepalive,
        kind::SESS_TERM => {
            Message::SessTerm { flags: fields.byte()?, reason: TerminationReason(fields.byte()?) }
        }
        kind::MSG_REJECT => {
            Message::MsgReject { reason: RejectReason(fields.byte()?), rejected: fields.byte()? }
        }
        kind::SESS_INIT => {
            let keepalive_s = u16::from_be_bytes(fields.take()?);
            let segment_mru = fields.long()?;
            let transfer_mru = fields.long()?;
            let node_len = usize::from(u16::from_be_bytes(fields.take()?));
            let node_id = fields.bytes(node_len)?.to_vec();
            let len = u32::from_be_bytes(fields.take()?) as usize;
            let extensions = fields.bytes(len)?.to_vec();
            Message::SessInit(SessInit { keepalive_s, segment_mru, transfer_mru, node_id, extensions })
        }
        _ => return None,
    })
}
