//! Verifier and acceptor of single operations (RFC 9172 §2.4): [`verify_integrity`], [`decrypt`], [`remove_integrity`].

use super::{
    asb::SecurityBlock,
    error::BpsecError,
    keys::Keys,
    operation::Operation,
    rules::{Operations, is_secured, is_security, operations},
};
use crate::bundle::{BlockKind, Bundle};

/// Checks the integrity operation on `target`; 0 is the primary block. The bundle stays as it is.
///
/// # Errors
/// [`BpsecError::Missing`] when there is none, [`BpsecError::Encrypted`] when the target must be decrypted first (RFC 9172 §5.1.2),
/// [`BpsecError::IsFragment`] on a fragment, [`BpsecError::Failed`] when it does not hold, and others when it cannot be checked.
pub fn verify_integrity(bundle: &Bundle, target: u64, keys: &dyn Keys) -> Result<(), BpsecError> {
    let there = operations(bundle)?;
    refuse_fragment(bundle)?;
    if there.encrypted.contains(&target) {
        return Err(BpsecError::Encrypted { target });
    }
    let (block, security) = covering(&there.integrity, target)?;
    Operation::new(bundle, (*block, security), target, keys)?.verify()
}

/// Decrypts `target` as its acceptor, an integrity block after its own targets. Takes the operation out of its block, and the block out
/// when it was the last (RFC 9172 §5.1.1).
///
/// # Errors
/// [`BpsecError::Missing`] when it is not encrypted, [`BpsecError::IsFragment`] on a fragment, [`BpsecError::Failed`] when the tag does
/// not hold, [`BpsecError::Plaintext`] when the data is not what its block demands, and others when it cannot be decrypted. The bundle is
/// then unchanged.
pub fn decrypt(bundle: &mut Bundle, target: u64, keys: &dyn Keys) -> Result<(), BpsecError> {
    let there = operations(bundle)?;
    refuse_fragment(bundle)?;
    let (block, mut security) = covering(&there.confidentiality, target)?.clone();
    let plaintext = Operation::new(bundle, (block, &security), target, keys)?.decrypt()?;
    let slot = bundle.numbered_mut(target).ok_or(BpsecError::NoSuchBlock { target })?;
    let kind = slot.kind;
    let ciphertext = core::mem::replace(&mut slot.data, plaintext);
    if let Err(error) = check_plaintext(bundle, target, kind, &there) {
        if let Some(slot) = bundle.numbered_mut(target) {
            slot.data = ciphertext;
        }
        return Err(error);
    }
    take_out(bundle, block, &mut security, target);
    Ok(())
}

/// What was ciphertext is judged now (RFC 9171 §4.4, RFC 9172 §3).
fn check_plaintext(
    bundle: &Bundle,
    target: u64,
    kind: BlockKind,
    there: &Operations,
) -> Result<(), BpsecError> {
    bundle.check_numbered(target).map_err(|error| BpsecError::Plaintext { target, error })?;
    if kind == BlockKind::BLOCK_INTEGRITY {
        let block = bundle.numbered(target).ok_or(BpsecError::NoSuchBlock { target })?;
        let security = SecurityBlock::decode(&block.data)?;
        // In the clear, it would stand beside an encrypted target (RFC 9172 §3.9).
        let encrypted = security.targets.iter().find(|own| there.encrypted.contains(own));
        return encrypted.map_or(Ok(()), |&target| Err(BpsecError::Encrypted { target }));
    }
    Ok(())
}

/// Takes the integrity operation on `target` out, as its acceptor does that has checked it (RFC 9172 §5.1.2).
///
/// # Errors
/// [`BpsecError::Missing`] when there is none that can be read.
pub fn remove_integrity(bundle: &mut Bundle, target: u64) -> Result<(), BpsecError> {
    let there = operations(bundle)?;
    let (block, mut security) = covering(&there.integrity, target)?.clone();
    take_out(bundle, block, &mut security, target);
    Ok(())
}

/// Takes an extension block out, and the operations on it, which would else speak of a block that is not there (RFC 9172 §3.4): a block that
/// cannot be trusted (§5.1.1), or that a node discards.
pub(crate) fn discard(bundle: &mut Bundle, target: u64) {
    bundle.remove_numbered(target);
    if !is_secured(bundle) {
        return;
    }
    for number in bundle.numbers() {
        remove_operation(bundle, number, target);
    }
}

/// Takes the first block of this kind out if it is secured, or may be, with what secures it: whoever writes another one in its place writes what
/// nobody has secured.
pub(crate) fn discard_secured(bundle: &mut Bundle, kind: BlockKind) {
    let Some(number) = bundle.block(kind).map(|block| block.number) else { return };
    if bundle.is_secured(number) || bundle.is_ciphertext(number) {
        discard(bundle, number);
    }
}

/// Takes the operation on `target` out of the security block `number`, if that can be read and has one.
pub(super) fn remove_operation(bundle: &mut Bundle, number: u64, target: u64) {
    let Some(block) = bundle.numbered(number).filter(|block| is_security(block.kind)) else { return };
    let Ok(mut security) = SecurityBlock::decode(&block.data) else { return };
    if security.targets.contains(&target) {
        take_out(bundle, number, &mut security, target);
    }
}

fn take_out(bundle: &mut Bundle, number: u64, security: &mut SecurityBlock, target: u64) {
    security.take_operation(target);
    if security.targets.is_empty() {
        bundle.remove_numbered(number);
    } else if let Some(block) = bundle.numbered_mut(number) {
        block.data = security.encode();
    }
}

fn covering(blocks: &[(u64, SecurityBlock)], target: u64) -> Result<&(u64, SecurityBlock), BpsecError> {
    blocks.iter().find(|(_, block)| block.targets.contains(&target)).ok_or(BpsecError::Missing { target })
}

/// Check values cover the whole payload and the whole bundle's primary block: fragments are put together first (RFC 9172 §5.2).
fn refuse_fragment(bundle: &Bundle) -> Result<(), BpsecError> {
    if bundle.primary().fragment.is_some() { Err(BpsecError::IsFragment) } else { Ok(()) }
}
