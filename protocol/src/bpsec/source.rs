//! The security source (RFC 9172 §2.4): [`add_integrity`] and [`add_confidentiality`].

use alloc::{vec, vec::Vec};
use rand_core::Rng;

use super::{
    aes_gcm,
    asb::{ContextId, SecurityBlock},
    cose::{self, AadScope, Content, Context, Recipient},
    error::BpsecError,
    hmac_sha2::{self, plaintext_prefix},
    item::Item,
    primitive::{AesVariant, IV_LEN, ShaVariant, wrap},
    rules::{PRIMARY_NUMBER, is_security, operations, target_data, target_kind},
    scope::{Header, ScopeFlags, associated_data},
};
use crate::{
    bundle::{Block, BlockFlags, BlockKind, Bundle, CrcKind, PAYLOAD_NUMBER},
    id::EndpointId,
    identity::KeyPair,
};

/// The length of a salt in bytes: that of the draft's examples.
const SALT_LEN: usize = 16;

/// A symmetric key of RFC 9173's contexts.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// Both ends have it.
    Shared(&'a [u8]),
    /// It travels in the bundle.
    Wrapped {
        /// The key-encryption key that both ends have: 16, 24 or 32 bytes.
        kek: &'a [u8],
        /// The key, fresh from the caller: 16 to 64 bytes, a multiple of 8.
        key: &'a [u8],
    },
}

impl<'a> Key<'a> {
    const fn key(self) -> &'a [u8] {
        match self {
            Self::Shared(key) | Self::Wrapped { key, .. } => key,
        }
    }

    fn wrapped(self) -> Result<Option<Vec<u8>>, BpsecError> {
        match self {
            Self::Shared(_) => Ok(None),
            Self::Wrapped { kek, key } => wrap(kek, key).map(Some),
        }
    }
}

/// How a COSE operation is scoped, and where its key's identifier stands.
#[derive(Clone, Copy, Debug)]
pub struct CoseProfile<'a> {
    /// What is covered beside the target's data.
    pub scope: &'a AadScope,
    /// The key's identifier; empty to let it follow from the security source.
    pub kid: &'a [u8],
    /// Whether the identifier stands in the block's parameters, covered and once for all targets, and not in each message.
    pub shared_kid: bool,
}

impl<'a> CoseProfile<'a> {
    /// A profile with the identifier in each message.
    #[must_use]
    pub const fn new(scope: &'a AadScope, kid: &'a [u8]) -> Self {
        Self { scope, kid, shared_kid: false }
    }

    fn additional(&self) -> Vec<u8> {
        if self.shared_kid { cose::kid_map(self.kid) } else { Vec::new() }
    }

    fn parameters(&self, additional: &[u8]) -> Vec<Item> {
        let mut parameters = Vec::new();
        if !additional.is_empty() {
            parameters.push(Item::bytes(cose::ADDITIONAL_PROTECTED, additional));
        }
        if *self.scope != AadScope::default() {
            let mut value = Vec::new();
            self.scope.put(&mut value);
            parameters.push(Item { id: cose::AAD_SCOPE, value });
        }
        parameters
    }

    const fn message_kid(&self) -> &'a [u8] {
        if self.shared_kid { &[] } else { self.kid }
    }
}

/// An integrity service.
#[derive(Clone, Copy, Debug)]
pub enum Integrity<'a> {
    /// BIB-HMAC-SHA2 (RFC 9173 §3). Takes the targets' checksums out.
    HmacSha2 {
        /// Which hash.
        variant: ShaVariant,
        /// What is covered beside the target's data.
        scope: ScopeFlags,
        /// The key.
        key: Key<'a>,
    },
    /// COSE_Sign1 with EdDSA.
    Sign1 {
        /// Who signs.
        keys: &'a KeyPair,
        /// Scope and key identifier.
        profile: CoseProfile<'a>,
    },
    /// COSE_Mac0 with HMAC.
    Mac0 {
        /// Which hash.
        variant: ShaVariant,
        /// The key, as long as the hash's output.
        key: &'a [u8],
        /// Scope and key identifier.
        profile: CoseProfile<'a>,
    },
}

/// A confidentiality service.
#[derive(Clone, Copy, Debug)]
pub enum Confidentiality<'a> {
    /// BCB-AES-GCM (RFC 9173 §4). Takes the targets' checksums out.
    AesGcm {
        /// Which key length.
        variant: AesVariant,
        /// What is authenticated beside the target's data.
        scope: ScopeFlags,
        /// The key.
        key: Key<'a>,
    },
    /// COSE_Encrypt0 with AES-GCM.
    Encrypt0 {
        /// The content's key that both ends have: 16 or 32 bytes.
        key: &'a [u8],
        /// Scope and key identifier.
        profile: CoseProfile<'a>,
    },
    /// COSE_Encrypt with AES-GCM for one recipient.
    Encrypt {
        /// How the recipient comes to the key.
        recipient: Recipient<'a>,
        /// Scope and identifier of the recipient's key.
        profile: CoseProfile<'a>,
    },
}

/// Where a new security block goes: after the security blocks that are there, before all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Its number; the lowest free one by default.
    pub number: Option<u64>,
    /// Its flags. A confidentiality block on the payload is replicated whatever they say.
    pub flags: BlockFlags,
    /// Its checksum.
    pub crc: CrcKind,
}

impl Placement {
    /// A block without flags and checksum: an integrity block needs none.
    #[must_use]
    pub const fn plain() -> Self {
        Self { number: None, flags: BlockFlags(0), crc: CrcKind::None }
    }

    /// The same with this number.
    #[must_use]
    pub const fn numbered(self, number: u64) -> Self {
        Self { number: Some(number), ..self }
    }
}

/// Adds an integrity block with one operation for each target, and returns its number. Target 0 is the primary block.
///
/// # Errors
/// When the bundle is a fragment (RFC 9172 §5.2), its security blocks break a rule, a target is not there, is a security block (§3.7),
/// has an integrity operation (§3.2) or is encrypted (§3.9), or the key is of the wrong length. The bundle is then unchanged.
pub fn add_integrity(
    bundle: &mut Bundle,
    targets: &[u64],
    source: &EndpointId,
    service: &Integrity<'_>,
    placement: Placement,
) -> Result<u64, BpsecError> {
    check_new(bundle, targets, source)?;
    let there = operations(bundle)?;
    for &target in targets {
        let kind = target_kind(bundle, target)?;
        if kind.is_some_and(is_security) {
            return Err(BpsecError::ForbiddenTarget { block: placement.number.unwrap_or(0), target });
        }
        if there.integrity.iter().any(|(_, other)| other.targets.contains(&target)) {
            return Err(BpsecError::RepeatedOperation { target });
        }
        if there.encrypted.contains(&target) {
            return Err(BpsecError::Encrypted { target });
        }
    }
    let number = insert(bundle, BlockKind::BLOCK_INTEGRITY, placement)?;
    match integrity_block(bundle, number, targets, source, service) {
        Ok(security) => {
            fill(bundle, number, &security);
            Ok(number)
        }
        Err(error) => {
            bundle.remove_numbered(number);
            Err(error)
        }
    }
}

/// The content of the block `number`. Checksums are taken out when nothing can fail any more.
fn integrity_block(
    bundle: &mut Bundle,
    number: u64,
    targets: &[u64],
    source: &EndpointId,
    service: &Integrity<'_>,
) -> Result<SecurityBlock, BpsecError> {
    let (context, parameters) = match service {
        Integrity::HmacSha2 { variant, scope, key } => {
            let wrapped = key.wrapped()?;
            strip_crcs(bundle, targets)?;
            let mut parameters = vec![Item::uint(hmac_sha2::SHA_VARIANT, u64::from(variant.code()))];
            parameters.extend(wrapped.map(|wrapped| Item::bytes(hmac_sha2::WRAPPED_KEY, &wrapped)));
            parameters.push(Item::uint(hmac_sha2::SCOPE_FLAGS, scope.0));
            (ContextId::BIB_HMAC_SHA2, parameters)
        }
        Integrity::Sign1 { profile, .. } | Integrity::Mac0 { profile, .. } => {
            (ContextId::COSE, profile.parameters(&profile.additional()))
        }
    };
    let mut security = SecurityBlock::new(context, source.clone(), parameters);
    let header = header_of(bundle, number)?;
    for &target in targets {
        let payload = &*target_data(bundle, target)?;
        let item = match service {
            Integrity::HmacSha2 { variant, scope, key } => {
                let prefix = plaintext_prefix(bundle, header, target, *scope)?;
                Item::bytes(hmac_sha2::EXPECTED_HMAC, &variant.make(key.key(), &[&prefix, payload]))
            }
            Integrity::Sign1 { keys, profile } => {
                let aad = external_aad(bundle, &security, header, target)?;
                let message = cose::make_signature(keys, profile.message_kid(), &aad, payload);
                Item::bytes(cose::COSE_SIGN1, &message)
            }
            Integrity::Mac0 { variant, key, profile } => {
                let aad = external_aad(bundle, &security, header, target)?;
                let message = cose::make_mac(*variant, key, profile.message_kid(), &aad, payload)?;
                Item::bytes(cose::COSE_MAC0, &message)
            }
        };
        security.push_operation(target, vec![item]);
    }
    Ok(security)
}

/// Encrypts the targets, and the integrity blocks on them (RFC 9172 §3.9). Returns the numbers of the new confidentiality blocks.
///
/// With BCB-AES-GCM each target has a block of its own: the context has one initialisation vector for a block, and one that serves twice
/// under a key betrays both plaintexts. With COSE one block holds all. `rng` gives vectors and salts. An integrity block that also has
/// other targets is split. `placement.number` is for the first new block.
///
/// # Errors
/// When the bundle is a fragment (RFC 9172 §5.2), its security blocks break a rule, a target is not there, is encrypted, is the primary
/// block or a security block (§3.8), an integrity block cannot be split, or a key is of the wrong length. The bundle is then unchanged.
pub fn add_confidentiality(
    bundle: &mut Bundle,
    targets: &[u64],
    source: &EndpointId,
    service: &Confidentiality<'_>,
    placement: Placement,
    rng: &mut impl Rng,
) -> Result<Vec<u64>, BpsecError> {
    check_new(bundle, targets, source)?;
    let there = operations(bundle)?;
    for &target in targets {
        let kind = target_kind(bundle, target)?;
        if kind.is_none_or(is_security) {
            return Err(BpsecError::ForbiddenTarget { block: placement.number.unwrap_or(0), target });
        }
        if there.encrypted.contains(&target) {
            return Err(BpsecError::RepeatedOperation { target });
        }
    }
    let before = bundle.clone();
    let result = encrypt_with_integrity(bundle, targets, source, service, placement, rng);
    result.inspect_err(|_| *bundle = before)
}

fn encrypt_with_integrity(
    bundle: &mut Bundle,
    targets: &[u64],
    source: &EndpointId,
    service: &Confidentiality<'_>,
    placement: Placement,
    rng: &mut impl Rng,
) -> Result<Vec<u64>, BpsecError> {
    let mut all = integrity_on(bundle, targets)?;
    all.extend_from_slice(targets);
    let separate = matches!(service, Confidentiality::AesGcm { .. });
    let mut numbers = Vec::new();
    let mut placement = placement;
    for group in all.chunks(if separate { 1 } else { all.len() }) {
        numbers.push(encrypt(bundle, group, source, service, placement, rng)?);
        placement.number = None;
    }
    Ok(numbers)
}

/// The integrity blocks that must be encrypted with `targets`; one that has other targets too is split (RFC 9172 §3.9).
fn integrity_on(bundle: &mut Bundle, targets: &[u64]) -> Result<Vec<u64>, BpsecError> {
    let mut numbers = Vec::new();
    for (block, mut security) in operations(bundle)?.integrity {
        let shared: Vec<u64> =
            security.targets.iter().copied().filter(|target| targets.contains(target)).collect();
        if shared.is_empty() {
            continue;
        }
        if shared.len() == security.targets.len() {
            numbers.push(block);
            continue;
        }
        let covers_own_header = match security.context {
            ContextId::BIB_HMAC_SHA2 => hmac_sha2::covers_own_header(&security),
            ContextId::COSE => cose::covers_own_header(&security),
            // What an unknown context covers is not known.
            ContextId(_) => true,
        };
        if covers_own_header {
            return Err(BpsecError::Unsplittable { block });
        }
        let mut part = SecurityBlock { targets: Vec::new(), results: Vec::new(), ..security.clone() };
        for target in shared {
            let results = security.take_operation(target).ok_or(BpsecError::Missing { target })?;
            part.push_operation(target, results);
        }
        let old = bundle.numbered(block).ok_or(BpsecError::NoSuchBlock { target: block })?;
        let placement = Placement { number: None, flags: old.flags, crc: old.crc };
        fill(bundle, block, &security);
        let number = insert(bundle, BlockKind::BLOCK_INTEGRITY, placement)?;
        fill(bundle, number, &part);
        numbers.push(number);
    }
    Ok(numbers)
}

/// Adds one confidentiality block on all of `targets`.
pub(super) fn encrypt(
    bundle: &mut Bundle,
    targets: &[u64],
    source: &EndpointId,
    service: &Confidentiality<'_>,
    mut placement: Placement,
    rng: &mut impl Rng,
) -> Result<u64, BpsecError> {
    if targets.contains(&PAYLOAD_NUMBER) {
        placement.flags = placement.flags.with(BlockFlags::REPLICATE);
    }
    placement.flags = placement.flags.without(BlockFlags::DISCARD_IF_UNPROCESSED);
    let number = insert(bundle, BlockKind::BLOCK_CONFIDENTIALITY, placement)?;
    let mut iv = [0; IV_LEN];
    let (context, parameters) = match service {
        Confidentiality::AesGcm { variant, scope, key } => {
            strip_crcs(bundle, targets)?;
            rng.fill_bytes(&mut iv);
            let mut parameters = vec![
                Item::bytes(aes_gcm::INITIALISATION_VECTOR, &iv),
                Item::uint(aes_gcm::AES_VARIANT, u64::from(variant.code())),
            ];
            let wrapped = key.wrapped()?;
            parameters.extend(wrapped.map(|wrapped| Item::bytes(aes_gcm::WRAPPED_KEY, &wrapped)));
            parameters.push(Item::uint(aes_gcm::SCOPE_FLAGS, scope.0));
            (ContextId::BCB_AES_GCM, parameters)
        }
        Confidentiality::Encrypt0 { profile, .. } | Confidentiality::Encrypt { profile, .. } => {
            (ContextId::COSE, profile.parameters(&profile.additional()))
        }
    };
    let mut security = SecurityBlock::new(context, source.clone(), parameters);
    let header = header_of(bundle, number)?;
    for &target in targets {
        let mut data = target_data(bundle, target)?.into_owned();
        let item = match service {
            Confidentiality::AesGcm { variant, scope, key } => {
                let aad = associated_data(bundle, header, target, *scope)?;
                let tag = variant.encrypt(key.key(), &iv, &aad, &mut data)?;
                Item::bytes(aes_gcm::AUTHENTICATION_TAG, &tag)
            }
            Confidentiality::Encrypt0 { key, profile } => {
                let content = Content::Shared(key);
                let message = seal_cose(bundle, &security, header, target, content, profile, rng, &mut data)?;
                Item::bytes(cose::COSE_ENCRYPT0, &message)
            }
            Confidentiality::Encrypt { recipient, profile } => {
                let mut salt = [0; SALT_LEN];
                if matches!(recipient, Recipient::Derived { .. }) {
                    rng.fill_bytes(&mut salt);
                }
                let content = Content::For(*recipient, &salt);
                let message = seal_cose(bundle, &security, header, target, content, profile, rng, &mut data)?;
                Item::bytes(cose::COSE_ENCRYPT, &message)
            }
        };
        if let Some(block) = bundle.numbered_mut(target) {
            block.data = data;
        }
        security.push_operation(target, vec![item]);
    }
    fill(bundle, number, &security);
    Ok(number)
}

#[expect(clippy::too_many_arguments, reason = "one call's parts, which belong to no type")]
fn seal_cose(
    bundle: &Bundle,
    security: &SecurityBlock,
    header: Header,
    target: u64,
    content: Content<'_>,
    profile: &CoseProfile<'_>,
    rng: &mut impl Rng,
    data: &mut Vec<u8>,
) -> Result<Vec<u8>, BpsecError> {
    let mut iv = [0; IV_LEN];
    rng.fill_bytes(&mut iv);
    let aad = external_aad(bundle, security, header, target)?;
    let origin = (security.source.wire(), &*profile.additional());
    cose::seal(content, profile.message_kid(), origin, &iv, &aad, data)
}

fn external_aad(
    bundle: &Bundle,
    security: &SecurityBlock,
    header: Header,
    target: u64,
) -> Result<Vec<u8>, BpsecError> {
    Context::read(security)?.external_aad(bundle, security.source.wire(), header, target)
}

/// What both services ask of a bundle, targets and source.
fn check_new(bundle: &Bundle, targets: &[u64], source: &EndpointId) -> Result<(), BpsecError> {
    if bundle.primary().fragment.is_some() {
        return Err(BpsecError::IsFragment);
    }
    if *source == EndpointId::Null {
        return Err(BpsecError::NullSource);
    }
    if targets.is_empty() {
        return Err(BpsecError::NoTargets);
    }
    let repeated = targets.iter().enumerate().find(|(index, target)| targets[..*index].contains(target));
    repeated.map_or(Ok(()), |(_, &target)| Err(BpsecError::DuplicateTarget { target }))
}

/// Puts an empty security block in its place, and returns its number.
fn insert(bundle: &mut Bundle, kind: BlockKind, placement: Placement) -> Result<u64, BpsecError> {
    if bundle.room() == 0 {
        return Err(BpsecError::NoRoom);
    }
    let number = placement.number.unwrap_or_else(|| bundle.free_number());
    if number <= PAYLOAD_NUMBER || bundle.numbered(number).is_some() {
        return Err(BpsecError::BlockNumber { number });
    }
    let last = bundle.blocks().iter().rposition(|block| is_security(block.kind));
    let block = Block {
        kind,
        number,
        flags: placement.flags,
        crc: placement.crc,
        data: Vec::new(),
        indefinite: false,
    };
    bundle.insert_block(last.map_or(0, |index| index + 1), block);
    Ok(number)
}

fn fill(bundle: &mut Bundle, number: u64, security: &SecurityBlock) {
    if let Some(block) = bundle.numbered_mut(number) {
        block.data = security.encode();
    }
}

fn header_of(bundle: &Bundle, number: u64) -> Result<Header, BpsecError> {
    bundle.numbered(number).map(Header::of).ok_or(BpsecError::NoSuchBlock { target: number })
}

/// RFC 9173 §3.8.1, §4.8.1: a target has no checksum. All of them or none.
fn strip_crcs(bundle: &mut Bundle, targets: &[u64]) -> Result<(), BpsecError> {
    if targets.contains(&PRIMARY_NUMBER) && !bundle.primary().crc.is_empty() {
        // Earlier operations may cover the primary block as it is; the new block is still empty.
        if bundle.blocks().iter().any(|block| is_security(block.kind) && !block.data.is_empty()) {
            return Err(BpsecError::CrcPresent { target: PRIMARY_NUMBER });
        }
        bundle.strip_primary_crc();
    }
    for &target in targets {
        if let Some(block) = bundle.numbered_mut(target) {
            block.crc = CrcKind::None;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
