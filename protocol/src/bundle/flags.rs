//! Processing control flags of bundles (RFC 9171 §4.2.3) and of blocks (§4.2.4). Unassigned bits are kept and ignored.

/// Declares a set of bits with its named members.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: Self = Self($value);)*

            /// Whether every bit of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// These bits and those of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These bits without those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }
    };
}

flags! {
    /// Bundle processing control flags (RFC 9171 §4.2.3).
    BundleFlags {
        /// The bundle is a fragment; the primary block says which.
        IS_FRAGMENT = 0x00_0001;
        /// The payload is an administrative record (RFC 9171 §6).
        ADMINISTRATIVE_RECORD = 0x00_0002;
        /// The bundle is not to be fragmented.
        MUST_NOT_FRAGMENT = 0x00_0004;
        /// The application asks for an acknowledgement.
        ACKNOWLEDGEMENT_REQUESTED = 0x00_0020;
        /// Status reports shall hold the time.
        STATUS_TIME_REQUESTED = 0x00_0040;
        /// A report is asked for at reception.
        REPORT_RECEPTION = 0x00_4000;
        /// A report is asked for at forwarding.
        REPORT_FORWARDING = 0x01_0000;
        /// A report is asked for at delivery.
        REPORT_DELIVERY = 0x02_0000;
        /// A report is asked for at deletion.
        REPORT_DELETION = 0x04_0000;
        /// Any of the four reports.
        ANY_REPORT = 0x07_4000;
    }
}

flags! {
    /// Block processing control flags (RFC 9171 §4.2.4).
    BlockFlags {
        /// The block is in every fragment.
        REPLICATE = 0x01;
        /// A report is asked for when the block cannot be processed.
        REPORT_IF_UNPROCESSED = 0x02;
        /// The bundle is deleted when the block cannot be processed.
        DELETE_BUNDLE_IF_UNPROCESSED = 0x04;
        /// The block is discarded when it cannot be processed.
        DISCARD_IF_UNPROCESSED = 0x10;
        /// All of these.
        ASSIGNED = 0x17;
    }
}
