//! [`Policy`]: which rules of RFC 9171 on a bundle's content are asked, once its form is right.

use super::{
    Bundle,
    block::BlockKind,
    error::BundleError,
    flags::{BlockFlags, BundleFlags},
    targets::targets_primary,
};
use crate::{cbor::Lengths, id::EndpointId, time::DtnTime};

/// How strictly a bundle's content is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Every rule: what a node accepts from a peer.
    #[default]
    Strict,
    /// Form only: what a tool shows, such as the examples of RFC 9173, which have neither checksum nor age. Lengths may be indefinite, which
    /// RFC 9171 §4.1 does not prohibit; all else is deterministic.
    Lenient,
}

impl Policy {
    /// The lengths that the form may have.
    pub(super) const fn lengths(self) -> Lengths {
        match self {
            Self::Strict => Lengths::Definite,
            Self::Lenient => Lengths::Any,
        }
    }
}

impl Bundle {
    /// Judges the content of the bundle under `policy`; its form was judged when it was read.
    ///
    /// # Errors
    /// When the policy is strict and the primary block is unprotected (RFC 9171 §4.3.1), the bundle has neither creation
    /// time nor age (§4.4.2), or its flags contradict each other or the source (§4.2.3).
    pub fn check(&self, policy: Policy) -> Result<(), BundleError> {
        match policy {
            Policy::Lenient => Ok(()),
            Policy::Strict => {
                self.check_protected()?;
                self.check_age()?;
                self.check_flags()
            }
        }
    }

    pub(super) fn check_protected(&self) -> Result<(), BundleError> {
        let encrypted = self.block(BlockKind::BLOCK_CONFIDENTIALITY).is_some();
        let covers_primary = |data: &[u8]| targets_primary(data).unwrap_or(encrypted);
        let mut integrity = self.blocks.iter().filter(|block| block.kind == BlockKind::BLOCK_INTEGRITY);
        if !self.primary.crc.is_empty() || integrity.any(|block| covers_primary(&block.data)) {
            Ok(())
        } else {
            Err(BundleError::UnprotectedPrimary)
        }
    }

    pub(super) fn check_age(&self) -> Result<(), BundleError> {
        let known =
            self.primary.creation.time != DtnTime::UNKNOWN || self.block(BlockKind::BUNDLE_AGE).is_some();
        if known { Ok(()) } else { Err(BundleError::NoAge) }
    }

    pub(super) fn check_flags(&self) -> Result<(), BundleError> {
        let flags = self.primary.flags;
        // An anonymous bundle has no name: it can be neither put together again nor reported on.
        let anonymous = self.primary.source == EndpointId::Null;
        let silent = anonymous || flags.contains(BundleFlags::ADMINISTRATIVE_RECORD);
        let mut blocks = self.blocks.iter().chain([&self.payload]);
        let reports = flags.intersects(BundleFlags::ANY_REPORT)
            || blocks.any(|block| block.flags.contains(BlockFlags::REPORT_IF_UNPROCESSED));
        if (silent && reports) || (anonymous && !flags.contains(BundleFlags::MUST_NOT_FRAGMENT)) {
            return Err(BundleError::Flags { flags: flags.0 });
        }
        Ok(())
    }
}
