//! [`Operation`]: one service on one target (RFC 9172 §2.4), checked or undone by the context that its block names.

use alloc::vec::Vec;

use super::{
    aes_gcm,
    asb::{ContextId, SecurityBlock},
    cose,
    error::BpsecError,
    hmac_sha2,
    item::Item,
    keys::{KeyUse, Keys},
    rules::PRIMARY_NUMBER,
    scope::Header,
};
use crate::bundle::Bundle;

/// One service on one target.
pub(super) struct Operation<'a> {
    pub bundle: &'a Bundle,
    /// Type, number and flags of the security block.
    pub header: Header,
    pub security: &'a SecurityBlock,
    pub target: u64,
    pub results: &'a [Item],
    pub keys: &'a dyn Keys,
}

impl<'a> Operation<'a> {
    /// The operation of the security block numbered `block` on `target`.
    pub(super) fn new(
        bundle: &'a Bundle,
        (block, security): (u64, &'a SecurityBlock),
        target: u64,
        keys: &'a dyn Keys,
    ) -> Result<Self, BpsecError> {
        let header = bundle.numbered(block).map(Header::of);
        let header = header.ok_or(BpsecError::NoSuchBlock { target: block })?;
        let results = security.results_for(target).ok_or(BpsecError::Missing { target })?;
        Ok(Self { bundle, header, security, target, results, keys })
    }

    /// Checks an integrity operation.
    pub(super) fn verify(&self) -> Result<(), BpsecError> {
        match self.security.context {
            ContextId::BIB_HMAC_SHA2 => hmac_sha2::verify(self),
            ContextId::COSE => cose::verify(self),
            ContextId(id) => Err(BpsecError::UnknownContext { id }),
        }
    }

    /// The plaintext of a confidentiality operation's target.
    pub(super) fn decrypt(&self) -> Result<Vec<u8>, BpsecError> {
        match self.security.context {
            ContextId::BCB_AES_GCM => aes_gcm::decrypt(self),
            ContextId::COSE => cose::decrypt(self),
            ContextId(id) => Err(BpsecError::UnknownContext { id }),
        }
    }

    pub(super) fn key(&self, purpose: KeyUse, kid: &[u8]) -> Result<&'a [u8], BpsecError> {
        let source = self.security.source.endpoint();
        self.keys.symmetric(source, purpose, kid).ok_or(BpsecError::NoKey { target: self.target })
    }

    pub(super) const fn failed(&self) -> BpsecError {
        BpsecError::Failed { target: self.target }
    }

    /// The contexts of RFC 9173 take the target's checksum out (§3.8.1, §4.8.1); one that is there again came from elsewhere.
    pub(super) fn refuse_crc(&self) -> Result<(), BpsecError> {
        let crc = if self.target == PRIMARY_NUMBER {
            self.bundle.primary().crc
        } else {
            self.bundle.numbered(self.target).map_or_else(Default::default, |block| block.crc)
        };
        if crc.is_empty() { Ok(()) } else { Err(BpsecError::CrcPresent { target: self.target }) }
    }
}
