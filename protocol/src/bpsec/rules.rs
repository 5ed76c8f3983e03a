//! [`check`]: the rules of RFC 9172 §3 that can be judged on a bundle, without a key.

use alloc::{borrow::Cow, collections::BTreeSet, vec::Vec};

use super::{asb::SecurityBlock, error::BpsecError};
use crate::bundle::{Block, BlockFlags, BlockKind, Bundle, PAYLOAD_NUMBER};

/// The number that names the primary block as a target (RFC 9172 §3.4).
pub const PRIMARY_NUMBER: u64 = 0;

/// The security blocks of a bundle that can be read without a key, by their numbers, in their order.
pub(super) struct Operations {
    /// Integrity blocks that are not encrypted.
    pub integrity: Vec<(u64, SecurityBlock)>,
    /// Confidentiality blocks.
    pub confidentiality: Vec<(u64, SecurityBlock)>,
    /// Blocks whose data is ciphertext.
    pub encrypted: BTreeSet<u64>,
}

/// Judges the security blocks of a bundle.
///
/// Asked are: the form of the blocks (§3.6), that targets exist (§3.4; not of a fragment, as they may be in another), that a service is applied to a target once (§3.2), which targets
/// and flags the two kinds of blocks may have (§3.7, §3.8), and that no integrity block is in the clear whose target is encrypted (§3.9).
/// What is encrypted is judged when it is decrypted.
///
/// # Errors
/// The first rule that is broken.
pub fn check(bundle: &Bundle) -> Result<(), BpsecError> {
    operations(bundle).map(drop)
}

/// Whether the bundle has a security block at all: costs no parsing.
#[must_use]
pub fn is_secured(bundle: &Bundle) -> bool {
    bundle.blocks().iter().any(|block| is_security(block.kind))
}

pub(super) fn is_security(kind: BlockKind) -> bool {
    kind == BlockKind::BLOCK_INTEGRITY || kind == BlockKind::BLOCK_CONFIDENTIALITY
}

/// Parses and judges.
pub(super) fn operations(bundle: &Bundle) -> Result<Operations, BpsecError> {
    let mut found =
        Operations { integrity: Vec::new(), confidentiality: Vec::new(), encrypted: BTreeSet::new() };
    for block in of_kind(bundle, BlockKind::BLOCK_CONFIDENTIALITY) {
        let security = SecurityBlock::decode(&block.data)?;
        check_confidentiality(bundle, block, &security)?;
        for target in &security.targets {
            if !found.encrypted.insert(*target) {
                return Err(BpsecError::RepeatedOperation { target: *target });
            }
        }
        found.confidentiality.push((block.number, security));
    }
    let mut covered = BTreeSet::new();
    for block in of_kind(bundle, BlockKind::BLOCK_INTEGRITY) {
        if found.encrypted.contains(&block.number) {
            continue;
        }
        let security = SecurityBlock::decode(&block.data)?;
        check_integrity(bundle, block, &security)?;
        for target in &security.targets {
            if found.encrypted.contains(target) {
                return Err(BpsecError::ClearIntegrity { block: block.number, target: *target });
            }
            if !covered.insert(*target) {
                return Err(BpsecError::RepeatedOperation { target: *target });
            }
        }
        found.integrity.push((block.number, security));
    }
    Ok(found)
}

fn of_kind(bundle: &Bundle, kind: BlockKind) -> impl Iterator<Item = &Block> {
    bundle.blocks().iter().filter(move |block| block.kind == kind)
}

/// RFC 9172 §3.8.
fn check_confidentiality(bundle: &Bundle, block: &Block, security: &SecurityBlock) -> Result<(), BpsecError> {
    for &target in &security.targets {
        if is_elsewhere(bundle, target) {
            continue;
        }
        let kind = target_kind(bundle, target)?;
        if kind.is_none_or(|kind| kind == BlockKind::BLOCK_CONFIDENTIALITY) {
            return Err(BpsecError::ForbiddenTarget { block: block.number, target });
        }
    }
    if security.targets.contains(&PAYLOAD_NUMBER) && !block.flags.contains(BlockFlags::REPLICATE) {
        return Err(BpsecError::NotReplicated { block: block.number });
    }
    if block.flags.contains(BlockFlags::DISCARD_IF_UNPROCESSED) {
        return Err(BpsecError::Discardable { block: block.number });
    }
    Ok(())
}

/// RFC 9172 §3.7.
fn check_integrity(bundle: &Bundle, block: &Block, security: &SecurityBlock) -> Result<(), BpsecError> {
    for &target in &security.targets {
        if !is_elsewhere(bundle, target) && target_kind(bundle, target)?.is_some_and(is_security) {
            return Err(BpsecError::ForbiddenTarget { block: block.number, target });
        }
    }
    Ok(())
}

/// Whether a target may be in another fragment: a block that is not replicated is in the first one alone (RFC 9171 §5.8), and a security
/// block that is may speak of it everywhere.
fn is_elsewhere(bundle: &Bundle, target: u64) -> bool {
    bundle.primary().fragment.is_some() && target != PRIMARY_NUMBER && bundle.numbered(target).is_none()
}

/// The kind of a target; `None` for the primary block.
pub(super) fn target_kind(bundle: &Bundle, target: u64) -> Result<Option<BlockKind>, BpsecError> {
    if target == PRIMARY_NUMBER {
        return Ok(None);
    }
    bundle.numbered(target).map(|block| Some(block.kind)).ok_or(BpsecError::NoSuchBlock { target })
}

/// What an operation protects: the data of a block, or the whole primary block.
pub(super) fn target_data(bundle: &Bundle, target: u64) -> Result<Cow<'_, [u8]>, BpsecError> {
    if target == PRIMARY_NUMBER {
        return Ok(bundle.canonical_primary());
    }
    bundle
        .numbered(target)
        .map(|block| Cow::Borrowed(block.data.as_slice()))
        .ok_or(BpsecError::NoSuchBlock { target })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
