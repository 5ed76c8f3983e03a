//! What `foca` writes, as fixed-length integers: big-endian, without any choice of form.
//!
//! A life: node (8), incarnation (4), renewal (2). A header: source, its incarnation (2), destination, message (1, and what it carries). A member:
//! life, incarnation (2), state (1).

use super::identity::Life;
use crate::id::NodeId;
use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member, Message, State};

/// Bytes of a life.
pub(super) const LIFE_LEN: usize = 14;
/// Bytes of a member's state.
pub(super) const MEMBER_LEN: usize = LIFE_LEN + 3;

/// Why bytes are none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They end too early.
    #[error("packet ends inside an item")]
    Truncated,
    /// A kind of message or a state without meaning.
    #[error("kind {found}")]
    Kind {
        /// The number found.
        found: u8,
    },
    /// No room for more.
    #[error("no room for another item")]
    NoRoom,
}

/// The codec of this fleet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plain;

fn put_life(life: &Life, mut out: impl BufMut) {
    out.put_u64(life.node.0);
    out.put_u32(life.incarnation);
    out.put_u16(life.renewal);
}

fn life(mut from: impl Buf) -> Result<Life, CodecError> {
    if from.remaining() < LIFE_LEN {
        return Err(CodecError::Truncated);
    }
    Ok(Life { node: NodeId(from.get_u64()), incarnation: from.get_u32(), renewal: from.get_u16() })
}

fn number(mut from: impl Buf) -> Result<u8, CodecError> {
    if from.has_remaining() { Ok(from.get_u8()) } else { Err(CodecError::Truncated) }
}

fn incarnation(mut from: impl Buf) -> Result<u16, CodecError> {
    if from.remaining() >= 2 { Ok(from.get_u16()) } else { Err(CodecError::Truncated) }
}

/// A message's kind, the life that it names, and the number of its probe.
fn parts(message: &Message<Life>) -> (u8, Option<&Life>, Option<u8>) {
    match message {
        Message::Ping(probe) => (0, None, Some(*probe)),
        Message::Ack(probe) => (1, None, Some(*probe)),
        Message::PingReq { target, probe_number } => (2, Some(target), Some(*probe_number)),
        Message::IndirectPing { origin, probe_number } => (3, Some(origin), Some(*probe_number)),
        Message::IndirectAck { target, probe_number } => (4, Some(target), Some(*probe_number)),
        Message::ForwardedAck { origin, probe_number } => (5, Some(origin), Some(*probe_number)),
        Message::Announce => (6, None, None),
        Message::Feed => (7, None, None),
        Message::Gossip => (8, None, None),
        Message::Broadcast => (9, None, None),
        Message::TurnUndead => (10, None, None),
    }
}

fn message(mut from: impl Buf) -> Result<Message<Life>, CodecError> {
    Ok(match number(&mut from)? {
        0 => Message::Ping(number(from)?),
        1 => Message::Ack(number(from)?),
        2 => Message::PingReq { target: life(&mut from)?, probe_number: number(from)? },
        3 => Message::IndirectPing { origin: life(&mut from)?, probe_number: number(from)? },
        4 => Message::IndirectAck { target: life(&mut from)?, probe_number: number(from)? },
        5 => Message::ForwardedAck { origin: life(&mut from)?, probe_number: number(from)? },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        found => return Err(CodecError::Kind { found }),
    })
}

impl Codec<Life> for Plain {
    type Error = CodecError;

    fn encode_header(&mut self, header: &Header<Life>, mut out: impl BufMut) -> Result<(), CodecError> {
        let (kind, named, probe) = parts(&header.message);
        let length = 2 * LIFE_LEN + 3 + named.map_or(0, |_| LIFE_LEN) + usize::from(probe.is_some());
        if out.remaining_mut() < length {
            return Err(CodecError::NoRoom);
        }
        put_life(&header.src, &mut out);
        out.put_u16(header.src_incarnation);
        put_life(&header.dst, &mut out);
        out.put_u8(kind);
        if let Some(named) = named {
            put_life(named, &mut out);
        }
        if let Some(probe) = probe {
            out.put_u8(probe);
        }
        Ok(())
    }

    fn decode_header(&mut self, mut from: impl Buf) -> Result<Header<Life>, CodecError> {
        let src = life(&mut from)?;
        let src_incarnation = incarnation(&mut from)?;
        let dst = life(&mut from)?;
        Ok(Header { src, src_incarnation, dst, message: message(from)? })
    }

    fn encode_member(&mut self, member: &Member<Life>, mut out: impl BufMut) -> Result<(), CodecError> {
        if out.remaining_mut() < MEMBER_LEN {
            return Err(CodecError::NoRoom);
        }
        put_life(member.id(), &mut out);
        out.put_u16(member.incarnation());
        out.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut from: impl Buf) -> Result<Member<Life>, CodecError> {
        let life = life(&mut from)?;
        let incarnation = incarnation(&mut from)?;
        let state = match number(from)? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            found => return Err(CodecError::Kind { found }),
        };
        Ok(Member::new(life, incarnation, state))
    }
}
