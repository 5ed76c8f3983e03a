//! Security blocks and the operations in them, by both contexts of RFC 9173 and by COSE.

use super::{Verdict, keys};
use cosmosmesh_protocol::{
    bpsec::{
        AadScope, AesVariant, Confidentiality, CoseProfile, Integrity, Key, KeyStore, KeyUse, Placement,
        Recipient, Role, ScopeFlags, SecurityBlock, SecurityPolicy, ShaVariant, add_confidentiality,
        add_integrity, process,
    },
    bundle::{BlockFlags, BlockKind, Bundle, CrcKind, CreationTimestamp, PAYLOAD_NUMBER, Policy, Primary},
    id::{EndpointId, NodeId},
    time::DtnTime,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use std::sync::LazyLock;

const KEY: [u8; 32] = [5; 32];
/// Number of the extension block beside the payload.
const EXTRA: u64 = 2;

fn source() -> EndpointId {
    NodeId(1).endpoint(1)
}

/// Every key that an example was made with.
fn store() -> KeyStore {
    let mut store = KeyStore::new();
    for (purpose, length) in [
        (KeyUse::Integrity, 32),
        (KeyUse::Confidentiality, 32),
        (KeyUse::Wrapping, 16),
        (KeyUse::Derivation, 32),
    ] {
        for kid in [&b""[..], b"kid"] {
            store.insert_symmetric(source(), purpose, kid, &KEY[..length]);
        }
    }
    store.insert_public(source(), b"kid", keys(1).public().clone());
    store
}

/// Without checksums, so that what is changed comes as far as the operations.
fn plain() -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(850_000_000_000), sequence: 1 };
    let mut primary = Primary::new(source(), NodeId(3).endpoint(1), creation, 60_000_000);
    primary.crc = CrcKind::None;
    let mut bundle = Bundle::new(primary, b"measured here".to_vec());
    bundle.push_block(BlockKind(192), BlockFlags::default(), b"extra".to_vec());
    bundle
}

/// What holds of every bundle: a verifier changes nothing that it does not remove, finds the same twice, and what is left is a bundle.
pub(super) fn secured_bundle(bytes: &[u8]) -> Verdict {
    let bundle = Bundle::decode_with(bytes, Policy::Lenient).map_err(|error| error.reason())?;
    judged(&bundle)
}

fn judged(bundle: &Bundle) -> Verdict {
    let (store, policy) = (store(), SecurityPolicy::default());
    let mut seen = bundle.clone();
    let first = process(&mut seen, Role::Verifier, &policy, &store);
    assert!(seen.blocks().len() <= bundle.blocks().len());
    if first.removed.is_empty() {
        assert_eq!(seen, *bundle, "a verifier that removes nothing changes nothing");
    }
    if first.result.is_ok() {
        assert_eq!(Bundle::decode_with(&seen.encode(), Policy::Lenient).as_ref(), Ok(&seen));
        let again = process(&mut seen, Role::Verifier, &policy, &store);
        assert_eq!((again.result, again.removed), (Ok(()), vec![]), "what is left holds");
    }
    let mut taken = bundle.clone();
    let last = process(&mut taken, Role::Acceptor, &policy, &store);
    if last.result.is_ok() {
        assert_eq!(Bundle::decode_with(&taken.encode(), Policy::Lenient).as_ref(), Ok(&taken));
    }
    let failed = first.findings.iter().chain(&last.findings).find_map(|finding| finding.result.err());
    first.result.and(last.result).and(failed.map_or(Ok(()), Err)).map_err(|error| error.reason())
}

/// The bytes as the data of an integrity block of a bundle that is otherwise good.
pub(super) fn integrity_block(bytes: &[u8]) -> Verdict {
    block(BlockKind::BLOCK_INTEGRITY, bytes, plain())
}

/// The same for a confidentiality block. The first byte: which example's payload is encrypted beside it.
pub(super) fn confidentiality_block(bytes: &[u8]) -> Verdict {
    let Some((which, data)) = bytes.split_first() else { return Err("no_block") };
    let mut bundle = ENCRYPTED[usize::from(*which) % ENCRYPTED.len()].clone();
    bundle.remove_block(BlockKind::BLOCK_CONFIDENTIALITY);
    block(BlockKind::BLOCK_CONFIDENTIALITY, data, bundle)
}

fn block(kind: BlockKind, bytes: &[u8], mut bundle: Bundle) -> Verdict {
    if let Ok(read) = SecurityBlock::decode(bytes) {
        assert_eq!(SecurityBlock::decode(&read.encode()).as_ref(), Ok(&read), "its own bytes");
    }
    let replicated = kind == BlockKind::BLOCK_CONFIDENTIALITY;
    let flags = if replicated { BlockFlags::REPLICATE } else { BlockFlags::default() };
    bundle.push_block(kind, flags, bytes.to_vec());
    judged(&bundle)
}

static ENCRYPTED: LazyLock<Vec<Bundle>> = LazyLock::new(encrypted);

fn signed() -> Vec<Bundle> {
    let (pair, scope) = (keys(1), AadScope::default());
    let profile = CoseProfile::new(&scope, b"kid");
    let (variant, mac) = (ShaVariant::Sha256, Key::Shared(&KEY));
    let services = [
        Integrity::Sign1 { keys: &pair, profile },
        Integrity::Mac0 { variant, key: &KEY, profile },
        Integrity::HmacSha2 { variant, scope: ScopeFlags::default(), key: mac },
    ];
    let make = |service: &Integrity<'_>| {
        let mut bundle = plain();
        let targets = [PAYLOAD_NUMBER, EXTRA];
        add_integrity(&mut bundle, &targets, &source(), service, Placement::plain())
            .expect("it can be signed");
        bundle
    };
    services.iter().map(make).collect()
}

fn encrypted() -> Vec<Bundle> {
    let scope = AadScope::default();
    let profile = CoseProfile::new(&scope, b"kid");
    let services = [
        Confidentiality::AesGcm {
            variant: AesVariant::A256Gcm,
            scope: ScopeFlags::default(),
            key: Key::Shared(&KEY),
        },
        Confidentiality::Encrypt0 { key: &KEY, profile },
        Confidentiality::Encrypt { recipient: Recipient::KeyWrap { kek: &KEY[..16], key: &KEY }, profile },
    ];
    let make = |service: &Confidentiality<'_>| {
        let (mut bundle, mut rng) = (plain(), ChaCha8Rng::from_seed([1; 32]));
        let targets = [PAYLOAD_NUMBER];
        add_confidentiality(&mut bundle, &targets, &source(), service, Placement::plain(), &mut rng)
            .expect("it can be encrypted");
        bundle
    };
    services.iter().map(make).collect()
}

fn data(bundle: &Bundle, kind: BlockKind) -> Vec<u8> {
    bundle.block(kind).expect("a security block").data.clone()
}

pub(super) fn secured_bundles() -> Vec<Vec<u8>> {
    signed().iter().chain(ENCRYPTED.iter()).map(Bundle::encode).collect()
}

pub(super) fn integrity_blocks() -> Vec<Vec<u8>> {
    signed().iter().map(|bundle| data(bundle, BlockKind::BLOCK_INTEGRITY)).collect()
}

pub(super) fn confidentiality_blocks() -> Vec<Vec<u8>> {
    let block = |(which, bundle)| [&[which][..], &data(bundle, BlockKind::BLOCK_CONFIDENTIALITY)].concat();
    (0..).zip(ENCRYPTED.iter()).map(block).collect()
}
