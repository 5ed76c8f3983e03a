//! Segments as they are on the link (RFC 5326 §3): read without copying, written into a buffer.

use super::{
    error::{CancelReason, SegmentError},
    sdnv,
};
use alloc::vec::Vec;

/// Names a session: the engine that sends the block, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Engine number of the block's sender.
    pub originator: u64,
    /// The sender's number for the session.
    pub number: u64,
}

/// What a checkpoint adds to a data segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointTag {
    /// The checkpoint's serial number, not zero.
    pub serial: u64,
    /// Serial number of the report that it answers; zero when it answers none.
    pub report: u64,
}

/// What is the case at the end of a data segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Red data: to be reported.
    Red {
        /// The segment asks for a report.
        checkpoint: Option<CheckpointTag>,
        /// The red part ends with it.
        last_red: bool,
    },
    /// Green data: sent once.
    Green,
}

/// A piece of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSegment<'a> {
    /// For whom the block is.
    pub client_service: u64,
    /// Where the data starts in the block.
    pub offset: u64,
    /// Red or green.
    pub color: Color,
    /// The block ends with it.
    pub last: bool,
    /// The data, at least a byte.
    pub data: &'a [u8],
}

/// What was received of a part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSegment<'a> {
    /// The report's serial number, not zero.
    pub serial: u64,
    /// Serial number of the checkpoint that asked for it; zero when none did.
    pub checkpoint: u64,
    /// Where its scope ends.
    pub upper: u64,
    /// Where its scope starts.
    pub lower: u64,
    /// What was received.
    pub claims: Claims<'a>,
}

/// What a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Types 0 to 4 and 7.
    Data(DataSegment<'a>),
    /// Type 8.
    Report(ReportSegment<'a>),
    /// Type 9, with the report's serial number.
    ReportAcknowledgement(u64),
    /// Type 12.
    CancelBySender(CancelReason),
    /// Type 13.
    CancelAcknowledgementToSender,
    /// Type 14.
    CancelByReceiver(CancelReason),
    /// Type 15.
    CancelAcknowledgementToReceiver,
}

/// Extensions of a header or trailer (RFC 5326 §3.1.4), checked for length and carried unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    count: u8,
    bytes: &'a [u8],
}

/// A segment, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Whose it is.
    pub session: SessionId,
    /// Header extensions.
    pub header: Extensions<'a>,
    /// What it says.
    pub content: Content<'a>,
    /// Trailer extensions.
    pub trailer: Extensions<'a>,
}

/// Reception claims (RFC 5326 §3.2.2), checked, by rising offset in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    lower: u64,
    count: u64,
    bytes: &'a [u8],
}

impl Iterator for Claims<'_> {
    /// From and to, in the block.
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        self.count = self.count.checked_sub(1)?;
        // Both were read when the segment was.
        let from = self.lower + sdnv::take(&mut self.bytes).ok()?;
        Some((from, from + sdnv::take(&mut self.bytes).ok()?))
    }
}

impl<'a> Iterator for Extensions<'a> {
    /// Tag and value.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        take_extension(&mut self.bytes).ok()
    }
}

impl<'a> Segment<'a> {
    /// Reads a segment that fills `bytes`.
    ///
    /// # Errors
    /// [`SegmentError`]: nothing is allocated, whatever lengths it tells.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SegmentError> {
        let mut rest = bytes;
        let control = take_byte(&mut rest)?;
        if control >> 4 != 0 {
            return Err(SegmentError::Version { found: control >> 4 });
        }
        let originator = sdnv::take(&mut rest)?;
        let number = sdnv::take(&mut rest)?;
        let counts = take_byte(&mut rest)?;
        let header = Extensions::take(counts >> 4, &mut rest)?;
        let content = Content::take(control & 0x0f, &mut rest)?;
        let trailer = Extensions::take(counts & 0x0f, &mut rest)?;
        if !rest.is_empty() {
            return Err(SegmentError::Trailing { found: rest.len() });
        }
        Ok(Self { session: SessionId { originator, number }, header, content, trailer })
    }

    /// Appends the segment to `out`.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.content.kind());
        sdnv::put(out, self.session.originator);
        sdnv::put(out, self.session.number);
        out.push(self.header.count << 4 | self.trailer.count);
        out.extend_from_slice(self.header.bytes);
        self.content.put(out);
        out.extend_from_slice(self.trailer.bytes);
    }
}

impl<'a> Extensions<'a> {
    /// `count` extensions that fill `bytes`: a tag, a length, a value each.
    ///
    /// # Errors
    /// When they do not, or are more than 15.
    pub fn new(count: u8, bytes: &'a [u8]) -> Result<Self, SegmentError> {
        let mut rest = bytes;
        let read = Self::take(count.min(15), &mut rest)?;
        if count > 15 || !rest.is_empty() {
            return Err(SegmentError::Trailing { found: rest.len() });
        }
        Ok(read)
    }

    fn take(count: u8, rest: &mut &'a [u8]) -> Result<Self, SegmentError> {
        let start = *rest;
        for _ in 0..count {
            take_extension(rest)?;
        }
        Ok(Self { count, bytes: &start[..start.len() - rest.len()] })
    }
}

impl<'a> Content<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Data(data) => match data.color {
                Color::Red { checkpoint: None, .. } => 0,
                Color::Red { last_red: false, .. } => 1,
                Color::Red { last_red: true, .. } => {
                    if data.last {
                        3
                    } else {
                        2
                    }
                }
                Color::Green => {
                    if data.last {
                        7
                    } else {
                        4
                    }
                }
            },
            Self::Report(_) => 8,
            Self::ReportAcknowledgement(_) => 9,
            Self::CancelBySender(_) => 12,
            Self::CancelAcknowledgementToSender => 13,
            Self::CancelByReceiver(_) => 14,
            Self::CancelAcknowledgementToReceiver => 15,
        }
    }

    fn take(kind: u8, rest: &mut &'a [u8]) -> Result<Self, SegmentError> {
        Ok(match kind {
            0..=4 | 7 => Self::Data(DataSegment::take(kind, rest)?),
            8 => Self::Report(ReportSegment::take(rest)?),
            9 => Self::ReportAcknowledgement(take_serial(rest)?),
            12 => Self::CancelBySender(CancelReason::from_code(take_byte(rest)?)),
            13 => Self::CancelAcknowledgementToSender,
            14 => Self::CancelByReceiver(CancelReason::from_code(take_byte(rest)?)),
            15 => Self::CancelAcknowledgementToReceiver,
            found => return Err(SegmentError::Type { found }),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data(data) => data.put(out),
            Self::Report(report) => {
                put_report(out, report, report.claims.count);
                out.extend_from_slice(report.claims.bytes);
            }
            Self::ReportAcknowledgement(serial) => sdnv::put(out, *serial),
            Self::CancelBySender(reason) | Self::CancelByReceiver(reason) => out.push(reason.code()),
            Self::CancelAcknowledgementToSender | Self::CancelAcknowledgementToReceiver => {}
        }
    }
}

impl<'a> DataSegment<'a> {
    fn take(kind: u8, rest: &mut &'a [u8]) -> Result<Self, SegmentError> {
        let client_service = sdnv::take(rest)?;
        let offset = sdnv::take(rest)?;
        let length = sdnv::take(rest)?;
        let color = match kind {
            0 => Color::Red { checkpoint: None, last_red: false },
            1..=3 => {
                let tag = CheckpointTag { serial: take_serial(rest)?, report: sdnv::take(rest)? };
                Color::Red { checkpoint: Some(tag), last_red: kind != 1 }
            }
            _ => Color::Green,
        };
        if length == 0 || offset.checked_add(length).is_none() {
            return Err(SegmentError::Extent { offset, length });
        }
        let length = usize::try_from(length).map_err(|_| SegmentError::Truncated)?;
        let (data, left) = rest.split_at_checked(length).ok_or(SegmentError::Truncated)?;
        *rest = left;
        Ok(Self { client_service, offset, color, last: matches!(kind, 3 | 7), data })
    }

    fn put(&self, out: &mut Vec<u8>) {
        sdnv::put(out, self.client_service);
        sdnv::put(out, self.offset);
        sdnv::put(out, self.data.len() as u64);
        if let Color::Red { checkpoint: Some(tag), .. } = self.color {
            sdnv::put(out, tag.serial);
            sdnv::put(out, tag.report);
        }
        out.extend_from_slice(self.data);
    }

    /// Where the data ends in the block.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

impl<'a> ReportSegment<'a> {
    fn take(rest: &mut &'a [u8]) -> Result<Self, SegmentError> {
        let serial = take_serial(rest)?;
        let checkpoint = sdnv::take(rest)?;
        let upper = sdnv::take(rest)?;
        let lower = sdnv::take(rest)?;
        let count = sdnv::take(rest)?;
        let start = *rest;
        let bounds = SegmentError::Extent { offset: lower, length: 0 };
        let scope = upper.checked_sub(lower).filter(|scope| *scope > 0).ok_or(bounds)?;
        let mut beyond = 0;
        for index in 0..count {
            // Each claim takes two bytes or more, so a count of 2^63 ends with the bytes.
            let (offset, length) = (sdnv::take(rest)?, sdnv::take(rest)?);
            let end = offset.checked_add(length).filter(|end| *end <= scope);
            let end = end.ok_or(SegmentError::Claim { index })?;
            // §3.2.2: a claim starts behind the one before, with a gap between them.
            if length == 0 || (index > 0 && offset <= beyond) {
                return Err(SegmentError::Claim { index });
            }
            beyond = end;
        }
        let bytes = &start[..start.len() - rest.len()];
        Ok(Self { serial, checkpoint, upper, lower, claims: Claims { lower, count, bytes } })
    }
}

/// Appends a report segment with `claims` (from, to; by rising offset) to `out`.
pub(super) fn put_report_segment(
    out: &mut Vec<u8>,
    session: SessionId,
    (serial, checkpoint): (u64, u64),
    (lower, upper): (u64, u64),
    claims: &[(u64, u64)],
) {
    let none = Claims { lower, count: 0, bytes: &[] };
    let report = ReportSegment { serial, checkpoint, upper, lower, claims: none };
    out.push(8);
    sdnv::put(out, session.originator);
    sdnv::put(out, session.number);
    out.push(0);
    put_report(out, &report, claims.len() as u64);
    for (from, to) in claims {
        sdnv::put(out, from - lower);
        sdnv::put(out, to - from);
    }
}

fn put_report(out: &mut Vec<u8>, report: &ReportSegment<'_>, claims: u64) {
    for field in [report.serial, report.checkpoint, report.upper, report.lower, claims] {
        sdnv::put(out, field);
    }
}

/// Bytes of a segment's header without extensions.
pub(super) const fn header_len(session: SessionId) -> usize {
    2 + sdnv::len(session.originator) + sdnv::len(session.number)
}

fn take_byte(rest: &mut &[u8]) -> Result<u8, SegmentError> {
    let (byte, left) = rest.split_first().ok_or(SegmentError::Truncated)?;
    *rest = left;
    Ok(*byte)
}

fn take_serial(rest: &mut &[u8]) -> Result<u64, SegmentError> {
    match sdnv::take(rest)? {
        0 => Err(SegmentError::Serial),
        serial => Ok(serial),
    }
}

fn take_extension<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), SegmentError> {
    let tag = take_byte(rest)?;
    let length = usize::try_from(sdnv::take(rest)?).map_err(|_| SegmentError::Truncated)?;
    let (value, left) = rest.split_at_checked(length).ok_or(SegmentError::Truncated)?;
    *rest = left;
    Ok((tag, value))
}
