//! Why a segment is refused, why a session is cancelled.

/// Why a segment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// It ends before its fields do.
    #[error("segment ends within a field")]
    Truncated,
    /// A number that 64 bits do not hold.
    #[error("number of more than 64 bits")]
    Number,
    /// A version other than 0.
    #[error("version {found}, expected 0")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A segment type that RFC 5326 leaves undefined: 5, 6, 10, 11.
    #[error("undefined segment type {found}")]
    Type {
        /// The type found.
        found: u8,
    },
    /// Data of no length, or beyond the largest offset.
    #[error("{length} bytes of data at offset {offset}")]
    Extent {
        /// Offset in the block.
        offset: u64,
        /// Length told.
        length: u64,
    },
    /// A serial number of zero where zero means nothing.
    #[error("serial number 0")]
    Serial,
    /// Reception claims that break the rules of RFC 5326 §3.2.2.
    #[error("reception claim {index} is empty, out of order or out of bounds")]
    Claim {
        /// Which.
        index: u64,
    },
    /// More bytes than the segment tells of.
    #[error("{found} bytes after the segment")]
    Trailing {
        /// Bytes left.
        found: usize,
    },
    /// A segment of a session that this engine can be no end of.
    #[error("session of engine {originator} is none of ours")]
    Stranger {
        /// The session's originator.
        originator: u64,
    },
    /// There is no room for another session, and nothing is owed for it.
    #[error("no room: {limit} of {limit} in use")]
    Full {
        /// The limit.
        limit: usize,
    },
}

impl SegmentError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Truncated => "ltp_truncated",
            Self::Number => "ltp_number",
            Self::Version { .. } => "ltp_version",
            Self::Type { .. } => "ltp_type",
            Self::Extent { .. } => "ltp_extent",
            Self::Serial => "ltp_serial",
            Self::Claim { .. } => "ltp_claim",
            Self::Trailing { .. } => "ltp_trailing",
            Self::Stranger { .. } => "ltp_stranger",
            Self::Full { .. } => "ltp_full",
        }
    }
}

/// Why a session ends before its time (RFC 5326 §3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelReason {
    /// The client service asked for it.
    User,
    /// There is no such client service.
    Unreachable,
    /// A segment was sent again as often as is allowed.
    RetransmissionLimit,
    /// Red data behind green data.
    Miscolored,
    /// Something failed in the engine, or a limit was met.
    System,
    /// Data was asked for again as often as is allowed.
    CycleLimit,
    /// A code that RFC 5326 reserves.
    Reserved(u8),
}

impl CancelReason {
    /// The code of RFC 5326 §3.2.4.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::User => 0,
            Self::Unreachable => 1,
            Self::RetransmissionLimit => 2,
            Self::Miscolored => 3,
            Self::System => 4,
            Self::CycleLimit => 5,
            Self::Reserved(code) => code,
        }
    }

    /// The reason of a code.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::User,
            1 => Self::Unreachable,
            2 => Self::RetransmissionLimit,
            3 => Self::Miscolored,
            4 => Self::System,
            5 => Self::CycleLimit,
            code => Self::Reserved(code),
        }
    }

    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::User => "ltp_user",
            Self::Unreachable => "ltp_unreachable",
            Self::RetransmissionLimit => "ltp_retransmission_limit",
            Self::Miscolored => "ltp_miscolored",
            Self::System => "ltp_system",
            Self::CycleLimit => "ltp_cycle_limit",
            Self::Reserved(_) => "ltp_reserved",
        }
    }
}
