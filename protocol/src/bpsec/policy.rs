//! What a node demands of the bundles that it receives (RFC 9172 §5.1, §7), and [`process`], which finds what becomes of one.

use alloc::vec::Vec;

use super::{
    acceptor::{decrypt, discard, remove_integrity, remove_operation},
    asb::{ContextId, SecurityBlock},
    cose::Context,
    error::BpsecError,
    keys::Keys,
    operation::Operation,
    rules::{Operations, PRIMARY_NUMBER, operations, target_kind},
};
use crate::{
    bundle::{BlockKind, Bundle, PAYLOAD_NUMBER},
    id::EndpointId,
};

/// What a node is to a bundle's operations (RFC 9172 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// On the way: integrity is checked, and stays in the bundle.
    Verifier,
    /// At the end: what is encrypted is decrypted, integrity is checked, and both are taken out.
    Acceptor,
}

/// What a node demands. The default demands nothing: operations that are there must hold, those that cannot be checked are let pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// An integrity operation on the payload must be there and hold.
    pub payload_integrity: bool,
    /// One that covers the primary block must be there and hold: with it as the target, or bound to another target's.
    pub primary_integrity: bool,
    /// Integrity counts only from the node that made the bundle.
    pub by_bundle_source: bool,
    /// The payload must come encrypted. Asked of the acceptor.
    pub payload_confidentiality: bool,
    /// Encrypted blocks are not expected, and refused.
    pub refuse_confidentiality: bool,
    /// Integrity that cannot be checked for want of a key, context or algorithm is refused; else it counts as not there.
    pub refuse_unknown: bool,
}

/// What was found of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the security block.
    pub service: BlockKind,
    /// The security block's number.
    pub block: u64,
    /// The target's number.
    pub target: u64,
    /// Whether it holds.
    pub result: Result<(), BpsecError>,
}

/// What becomes of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Err`: the bundle is discarded, for this reason.
    pub result: Result<(), BpsecError>,
    /// What was found of each operation that was looked at.
    pub findings: Vec<Finding>,
    /// Extension blocks that were removed because an operation on them failed.
    pub removed: Vec<u64>,
    /// The bundle is a fragment: its operations wait for the whole (RFC 9172 §5.2).
    pub deferred: bool,
}

/// Does what RFC 9172 §5.1 demands of a node that receives a bundle, and judges it by the node's policy.
///
/// A failed operation on the payload or on the primary block discards the bundle; one on another block removes that block. On a fragment
/// only the form is judged.
pub fn process(bundle: &mut Bundle, role: Role, policy: &SecurityPolicy, keys: &dyn Keys) -> Verdict {
    let mut verdict = Verdict {
        result: Ok(()),
        findings: Vec::new(),
        removed: Vec::new(),
        deferred: bundle.primary().fragment.is_some(),
    };
    verdict.result = judge(bundle, role, policy, keys, &mut verdict);
    verdict
}

fn judge(
    bundle: &mut Bundle,
    role: Role,
    policy: &SecurityPolicy,
    keys: &dyn Keys,
    verdict: &mut Verdict,
) -> Result<(), BpsecError> {
    let there = operations(bundle)?;
    if let Some((block, _)) = there.confidentiality.first().filter(|_| policy.refuse_confidentiality) {
        return Err(BpsecError::Unexpected { block: *block });
    }
    if verdict.deferred {
        return Ok(());
    }
    if role == Role::Acceptor {
        if policy.payload_confidentiality && !there.encrypted.contains(&PAYLOAD_NUMBER) {
            return Err(BpsecError::Missing { target: PAYLOAD_NUMBER });
        }
        decrypt_all(bundle, &there, keys, verdict)?;
    }
    let covered = check_integrity(bundle, policy, keys, verdict)?;
    let demands = [(policy.payload_integrity, PAYLOAD_NUMBER), (policy.primary_integrity, PRIMARY_NUMBER)];
    for (demanded, target) in demands {
        if demanded && !covered.contains(&target) {
            return Err(BpsecError::Missing { target });
        }
    }
    if role == Role::Acceptor {
        let held: Vec<u64> = verdict
            .findings
            .iter()
            .filter(|found| found.service == BlockKind::BLOCK_INTEGRITY && found.result.is_ok())
            .map(|found| found.target)
            .collect();
        held.into_iter().try_for_each(|target| remove_integrity(bundle, target))?;
    }
    Ok(())
}

/// Decrypts every target: integrity blocks last, when what they protect is in the clear.
fn decrypt_all(
    bundle: &mut Bundle,
    there: &Operations,
    keys: &dyn Keys,
    verdict: &mut Verdict,
) -> Result<(), BpsecError> {
    let mut integrity = Vec::new();
    for (block, security) in &there.confidentiality {
        for &target in &security.targets {
            if target_kind(bundle, target)? == Some(BlockKind::BLOCK_INTEGRITY) {
                integrity.push((*block, target));
            } else {
                decrypt_one(bundle, *block, target, keys, verdict)?;
            }
        }
    }
    for (block, target) in integrity {
        if decrypt_one(bundle, block, target, keys, verdict)? {
            settle(bundle, block, target, there)?;
        }
    }
    Ok(())
}

/// Judges an integrity block that was decrypted. Operations on blocks that are gone go now: while it was ciphertext, nobody who removed
/// or discarded a block could take them out (RFC 9171 §5.6, RFC 9172 §5.1.1).
fn settle(bundle: &mut Bundle, block: u64, number: u64, there: &Operations) -> Result<(), BpsecError> {
    let integrity = bundle.numbered(number).ok_or(BpsecError::NoSuchBlock { target: number })?;
    let targets = SecurityBlock::decode(&integrity.data)?.targets;
    let (gone, left): (Vec<u64>, Vec<u64>) =
        targets.iter().partition(|target| **target != PRIMARY_NUMBER && bundle.numbered(**target).is_none());
    // RFC 9172 §3.8: it is encrypted only together with a target of its own.
    let shared = |targets: &[u64]| targets.iter().any(|target| there.encrypted.contains(target));
    if !left.is_empty() && !shared(&left) && !shared(&gone) {
        return Err(BpsecError::ForbiddenTarget { block, target: number });
    }
    gone.iter().for_each(|target| remove_operation(bundle, number, *target));
    Ok(())
}

/// Whether it was decrypted; a block that cannot be is removed.
fn decrypt_one(
    bundle: &mut Bundle,
    block: u64,
    target: u64,
    keys: &dyn Keys,
    verdict: &mut Verdict,
) -> Result<bool, BpsecError> {
    let result = decrypt(bundle, target, keys);
    verdict.findings.push(Finding { service: BlockKind::BLOCK_CONFIDENTIALITY, block, target, result });
    match result {
        // RFC 9172 §5.1.1: a payload that cannot be decrypted is the end of the bundle; another block goes alone.
        Err(error) if target == PAYLOAD_NUMBER => Err(error),
        Err(_) => {
            discard(bundle, target);
            verdict.removed.push(target);
            Ok(false)
        }
        Ok(()) => Ok(true),
    }
}

/// Checks every integrity operation that can be checked. Returns what those that hold, and count, cover.
fn check_integrity(
    bundle: &mut Bundle,
    policy: &SecurityPolicy,
    keys: &dyn Keys,
    verdict: &mut Verdict,
) -> Result<Vec<u64>, BpsecError> {
    let there = operations(bundle)?;
    let (mut covered, mut failed) = (Vec::new(), Vec::new());
    for (block, security) in &there.integrity {
        let counts =
            !policy.by_bundle_source || is_same_node(security.source.endpoint(), &bundle.primary().source);
        for &target in &security.targets {
            let result = Operation::new(bundle, (*block, security), target, keys)
                .and_then(|operation| operation.verify());
            let service = BlockKind::BLOCK_INTEGRITY;
            verdict.findings.push(Finding { service, block: *block, target, result });
            match result {
                Ok(()) if counts => {
                    covered.push(target);
                    if binds_primary(security) {
                        covered.push(PRIMARY_NUMBER);
                    }
                }
                Ok(()) => {}
                Err(error) if is_unknown(&error) && !policy.refuse_unknown => {}
                Err(error) if target == PAYLOAD_NUMBER || target == PRIMARY_NUMBER => return Err(error),
                Err(_) => failed.push(target),
            }
        }
    }
    for target in failed {
        discard(bundle, target);
        verdict.removed.push(target);
    }
    Ok(covered)
}

/// Whether an operation could not be looked at, rather than failed.
const fn is_unknown(error: &BpsecError) -> bool {
    matches!(
        error,
        BpsecError::NoKey { .. } | BpsecError::UnknownContext { .. } | BpsecError::UnknownAlgorithm { .. }
    )
}

/// Whether the operations of a COSE block bind the primary block.
fn binds_primary(security: &SecurityBlock) -> bool {
    security.context == ContextId::COSE
        && Context::read(security).is_ok_and(|context| context.scope.covers_primary())
}

/// Whether two endpoints are of one node: by number in the `ipn` scheme, by name in the `dtn` scheme.
fn is_same_node(one: &EndpointId, other: &EndpointId) -> bool {
    match (one, other) {
        (EndpointId::Ipn { node, .. }, EndpointId::Ipn { node: other, .. }) => node == other,
        (EndpointId::Dtn(name), EndpointId::Dtn(other)) => dtn_node(name) == dtn_node(other),
        _ => false,
    }
}

/// The node's name in `//node/demux`.
fn dtn_node(name: &str) -> Option<&str> {
    name.strip_prefix("//")?.split('/').next()
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
