//! Where the rule stands that a refused bundle breaks, and every rule at once.

use alloc::vec::Vec;

use super::{Bundle, error::BundleError, policy::Policy};
use crate::cbor::CborError;

impl BundleError {
    /// The section of the standard that has the rule.
    ///
    /// Limits that are ours name the section that leaves them to the implementation.
    #[must_use]
    pub const fn section(&self) -> &'static str {
        match self {
            Self::Cbor(error) => match error {
                // The bytes are not even CBOR.
                CborError::Truncated { .. } | CborError::Reserved { .. } | CborError::Utf8 { .. } => {
                    "RFC 8949 §3"
                }
                CborError::NotDeterministic { .. } | CborError::Trailing { .. } => "RFC 9171 §4.1",
                CborError::Type { .. } | CborError::Items { .. } => "RFC 9171 §4.3",
            },
            Self::NotABundle | Self::BlockNumber { .. } | Self::NoPayload | Self::TooManyBlocks { .. } => {
                "RFC 9171 §4.1"
            }
            Self::Version { .. } | Self::UnprotectedPrimary | Self::FragmentRange { .. } => "RFC 9171 §4.3.1",
            Self::CrcType { .. } => "RFC 9171 §4.2.1",
            Self::CrcLength { .. } | Self::CrcMismatch { .. } => "RFC 9171 §4.2.2",
            Self::Scheme { .. } | Self::Endpoint { .. } => "RFC 9171 §4.2.5.1",
            Self::RepeatedKind { .. } | Self::BlockData { .. } => "RFC 9171 §4.4",
            Self::NoAge => "RFC 9171 §4.4.2",
            Self::RecordType { .. } => "RFC 9171 §6.1",
            Self::Flags { .. } => "RFC 9171 §4.2.3",
        }
    }
}

impl Bundle {
    /// Everything that `policy` has against the bundle; [`Bundle::check`] tells the first.
    #[must_use]
    pub fn objections(&self, policy: Policy) -> Vec<BundleError> {
        match policy {
            Policy::Lenient => Vec::new(),
            Policy::Strict => [self.check_protected(), self.check_age(), self.check_flags()]
                .into_iter()
                .filter_map(Result::err)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{BundleFlags, CrcKind, CreationTimestamp, Primary},
        id::{EndpointId, NodeId},
    };

    #[test]
    fn every_broken_rule_is_told_and_the_first_is_that_of_the_check() {
        let mut primary =
            Primary::new(EndpointId::Null, NodeId(2).endpoint(1), CreationTimestamp::default(), 1000);
        primary.crc = CrcKind::None;
        primary.flags = BundleFlags::REPORT_DELIVERY;
        let bundle = Bundle::new(primary, Vec::new());
        let objections = bundle.objections(Policy::Strict);
        let reasons: Vec<_> = objections.iter().map(BundleError::reason).collect();
        assert_eq!(reasons, ["unprotected_primary", "no_age", "contradicting_flags"]);
        assert_eq!(bundle.check(Policy::Strict), Err(objections[0]));
        let sections: Vec<_> = objections.iter().map(BundleError::section).collect();
        assert_eq!(sections, ["RFC 9171 §4.3.1", "RFC 9171 §4.4.2", "RFC 9171 §4.2.3"]);
        assert_eq!(bundle.objections(Policy::Lenient), []);
    }
}
