//! Code points of RFC 9174: flags and reasons. A code that is not known is kept: it means *unknown* (§5.2.4, §6.1).

/// The type of each message (RFC 9174 §4.5, Table 2).
pub(super) mod kind {
    pub(in super::super) const XFER_SEGMENT: u8 = 1;
    pub(in super::super) const XFER_ACK: u8 = 2;
    pub(in super::super) const XFER_REFUSE: u8 = 3;
    pub(in super::super) const KEEPALIVE: u8 = 4;
    pub(in super::super) const SESS_TERM: u8 = 5;
    pub(in super::super) const MSG_REJECT: u8 = 6;
    pub(in super::super) const SESS_INIT: u8 = 7;
}

/// Flags of a segment and of its acknowledgement (RFC 9174 §5.2.2, Table 5). Reserved bits are kept: an acknowledgement repeats them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XferFlags(pub u8);

impl XferFlags {
    /// The last segment of a transfer.
    pub const END: Self = Self(1);
    /// The first segment of a transfer.
    pub const START: Self = Self(2);

    /// The flags of a segment that is first, last, both or neither.
    #[must_use]
    pub const fn new(start: bool, end: bool) -> Self {
        Self(if start { Self::START.0 } else { 0 } | if end { Self::END.0 } else { 0 })
    }

    /// Whether this is the first segment.
    #[must_use]
    pub const fn is_start(self) -> bool {
        self.0 & Self::START.0 != 0
    }

    /// Whether this is the last segment.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self.0 & Self::END.0 != 0
    }
}

macro_rules! reason {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $constant:ident = $code:literal, $word:literal;)* } else $unknown:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub u8);

        impl $name {
            $($(#[$item])* pub const $constant: Self = Self($code);)*

            /// A stable word for counters and traces.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $word,)*
                    _ => $unknown,
                }
            }
        }
    };
}

reason! {
    /// Why a transfer is refused (RFC 9174 §5.2.4, Table 6).
    TransferRefusal {
        /// Not specified.
        UNKNOWN = 0, "unknown";
        /// The receiver already has the whole bundle.
        COMPLETED = 1, "completed";
        /// The receiver's resources are exhausted.
        NO_RESOURCES = 2, "no_resources";
        /// The bundle is to be sent again from its start.
        RETRANSMIT = 3, "retransmit";
        /// Something about the bundle or its extension items; the same again will fail again.
        NOT_ACCEPTABLE = 4, "not_acceptable";
        /// An extension item could not be processed.
        EXTENSION_FAILURE = 5, "extension_failure";
        /// The session is ending; another session may take the bundle.
        SESSION_TERMINATING = 6, "session_terminating";
    } else "unknown"
}

reason! {
    /// Why a session ends (RFC 9174 §6.1, Table 9).
    TerminationReason {
        /// Not specified.
        UNKNOWN = 0, "unknown";
        /// Nothing happened for too long.
        IDLE_TIMEOUT = 1, "idle_timeout";
        /// Another version of the protocol.
        VERSION_MISMATCH = 2, "version_mismatch";
        /// Too busy for this session.
        BUSY = 3, "busy";
        /// The contact header or SESS_INIT could not be read or agreed upon.
        CONTACT_FAILURE = 4, "contact_failure";
        /// A limit was met.
        RESOURCE_EXHAUSTION = 5, "resource_exhaustion";
    } else "unknown"
}

reason! {
    /// Why a message is rejected (RFC 9174 §5.1.2, Table 4).
    RejectReason {
        /// No message has this type.
        TYPE_UNKNOWN = 1, "type_unknown";
        /// The contents cannot be complied with.
        UNSUPPORTED = 2, "unsupported";
        /// The message does not fit the state of the session.
        UNEXPECTED = 3, "unexpected";
    } else "unknown"
}
