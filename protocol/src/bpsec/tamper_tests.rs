//! Every bit of a secured bundle is flipped in turn: what an operation covers is noticed, and nothing panics.

use alloc::vec::Vec;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

use super::{
    AadScope, AesVariant, BpsecError, Confidentiality, CoseProfile, Integrity, Item, Key, KeyStore, KeyUse,
    Placement, Role, ScopeFlags, SecurityBlock, SecurityPolicy, ShaVariant, add_confidentiality,
    add_integrity, process, rules::is_security,
};
use crate::{
    bundle::{BlockFlags, Bundle, CrcKind, CreationTimestamp, HopCount, PAYLOAD_NUMBER, Policy, Primary},
    id::{EndpointId, NodeId},
    identity::KeyPair,
    time::DtnTime,
};

fn source() -> EndpointId {
    NodeId(1).endpoint(0)
}

/// Without checksums, which would notice most flips first.
fn plain() -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(9), sequence: 1 };
    let primary = Primary {
        crc: CrcKind::None,
        ..Primary::new(NodeId(1).endpoint(1), NodeId(3).endpoint(1), creation, 1000)
    };
    let mut bundle = Bundle::new(primary, b"measured here".to_vec());
    bundle.set_hop_count(HopCount { limit: 9, count: 1 });
    bundle
}

fn keys(pair: &KeyPair) -> KeyStore {
    let mut keys = KeyStore::new();
    keys.insert_symmetric(source(), KeyUse::Integrity, b"", &[1; 32]);
    keys.insert_symmetric(source(), KeyUse::Integrity, b"m", &[1; 48]);
    keys.insert_symmetric(source(), KeyUse::Confidentiality, b"", &[2; 32]);
    keys.insert_symmetric(source(), KeyUse::Confidentiality, b"e", &[4; 32]);
    keys.insert_public(source(), b"s", pair.public().clone());
    keys
}

/// The bundle with what a receiver ignores at its default: reserved flags, and everything outside the scope.
fn essence(bundle: &Bundle, ignored: &[u64]) -> Bundle {
    let mut bundle = bundle.clone();
    let canonical = bundle
        .blocks()
        .iter()
        .filter(|block| is_security(block.kind))
        .all(|block| SecurityBlock::decode(&block.data).is_ok_and(|security| security.context.0 < 3));
    if canonical {
        // RFC 9172 §4: the others are 0 in the canonical form, which the contexts of RFC 9173 cover.
        for number in bundle.numbers().into_iter().chain([PAYLOAD_NUMBER]) {
            bundle.numbered_mut(number).unwrap().flags.0 &= BlockFlags::ASSIGNED.0;
        }
    }
    for number in bundle.numbers() {
        let block = bundle.numbered_mut(number).unwrap();
        if ignored.contains(&number) {
            block.data.clear();
            block.flags.0 = 0;
            block.kind.0 = 10;
            block.crc = CrcKind::None;
        }
        if !is_security(block.kind) {
            continue;
        }
        let Ok(mut security) = SecurityBlock::decode(&block.data) else { continue };
        security.reserved_flags = 0;
        let scope_id = if security.context.0 == 1 { 3 } else { 4 };
        for item in security.parameters.iter_mut().flatten() {
            if security.context.0 < 3 && item.id == scope_id {
                *item = Item::uint(item.id, item.as_uint().unwrap_or_default() & 7);
            }
        }
        block.data = security.encode();
    }
    bundle
}

/// Flips every bit; whatever still passes says the same. Returns how many flips were refused.
fn flip_all(secured: &Bundle, policy: &SecurityPolicy, role: Role, ignored: &[u64]) -> usize {
    let pair = KeyPair::from_seed([7; 32]);
    let keys = keys(&pair);
    let accepts = |bundle: &Bundle| process(&mut bundle.clone(), role, policy, &keys).result.is_ok();
    assert!(accepts(secured));
    let wire = secured.encode();
    let expected = essence(secured, ignored);
    let mut refused = 0;
    for bit in 0..8 * wire.len() {
        let mut bytes: Vec<u8> = wire.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match Bundle::decode_with(&bytes, Policy::Lenient) {
            Ok(bundle) if accepts(&bundle) => {
                let found = essence(&bundle, ignored);
                // The number of a block that is out of scope is out of scope, too.
                let same = found.primary() == expected.primary()
                    && found.payload_block() == expected.payload_block()
                    && found
                        .blocks()
                        .iter()
                        .filter(|block| is_security(block.kind))
                        .eq(expected.blocks().iter().filter(|block| is_security(block.kind)));
                assert!(same, "bit {bit} was flipped, and nobody noticed");
            }
            _ => refused += 1,
        }
    }
    refused
}

const DEMANDING: SecurityPolicy = SecurityPolicy {
    payload_integrity: true,
    primary_integrity: false,
    by_bundle_source: true,
    payload_confidentiality: false,
    refuse_confidentiality: false,
    refuse_unknown: true,
};

#[test]
fn every_bit_under_a_signature_counts() {
    let pair = KeyPair::from_seed([7; 32]);
    let scope = AadScope::default();
    let mut bundle = plain();
    let hop_count = bundle.blocks()[0].number;
    let service = Integrity::Sign1 { keys: &pair, profile: CoseProfile::new(&scope, b"s") };
    add_integrity(&mut bundle, &[1], &source(), &service, Placement::plain()).unwrap();
    let policy = SecurityPolicy { primary_integrity: true, ..DEMANDING };
    assert!(flip_all(&bundle, &policy, Role::Verifier, &[hop_count]) > 1000);
}

#[test]
fn every_bit_under_a_check_value_counts() {
    let scope = AadScope::default();
    for service in [
        Integrity::HmacSha2 {
            variant: ShaVariant::Sha256,
            scope: ScopeFlags::ALL,
            key: Key::Shared(&[1; 32]),
        },
        Integrity::Mac0 {
            variant: ShaVariant::Sha384,
            key: &[1; 48],
            profile: CoseProfile { shared_kid: true, ..CoseProfile::new(&scope, b"m") },
        },
    ] {
        let mut bundle = plain();
        let hop_count = bundle.blocks()[0].number;
        add_integrity(&mut bundle, &[1], &source(), &service, Placement::plain()).unwrap();
        assert!(flip_all(&bundle, &DEMANDING, Role::Verifier, &[hop_count]) > 700);
    }
}

#[test]
fn reserved_block_flags_are_not_covered_by_the_contexts_of_rfc_9173_and_assigned_ones_are() {
    let service = Integrity::HmacSha2 {
        variant: ShaVariant::Sha256,
        scope: ScopeFlags::ALL,
        key: Key::Shared(&[1; 32]),
    };
    let mut secured = plain();
    add_integrity(&mut secured, &[PAYLOAD_NUMBER], &source(), &service, Placement::plain()).unwrap();
    let keys = keys(&KeyPair::from_seed([7; 32]));
    let holds = |number: u64, flag: u64| {
        let mut bundle = secured.clone();
        bundle.numbered_mut(number).unwrap().flags.0 |= flag;
        process(&mut bundle, Role::Verifier, &DEMANDING, &keys).result.is_ok()
    };
    let integrity = secured.blocks().iter().find(|block| is_security(block.kind)).unwrap().number;
    for number in [PAYLOAD_NUMBER, integrity] {
        for flag in [0x08, 0x20, 0x40, 1 << 40] {
            assert!(holds(number, flag), "{flag:#x} on block {number}");
        }
        for flag in [0x01, 0x02, 0x04, 0x10] {
            assert!(!holds(number, flag), "{flag:#x} on block {number}");
        }
    }
}

#[test]
fn a_missing_vector_or_result_and_scope_flags_beyond_16_bits_are_failures() {
    let (integrity, confidentiality) = (
        Integrity::HmacSha2 {
            variant: ShaVariant::Sha256,
            scope: ScopeFlags::ALL,
            key: Key::Shared(&[1; 32]),
        },
        Confidentiality::AesGcm {
            variant: AesVariant::A256Gcm,
            scope: ScopeFlags::ALL,
            key: Key::Shared(&[2; 32]),
        },
    );
    let [mut signed, mut encrypted] = [plain(), plain()];
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let place = Placement::plain();
    add_integrity(&mut signed, &[PAYLOAD_NUMBER], &source(), &integrity, place).unwrap();
    add_confidentiality(&mut encrypted, &[PAYLOAD_NUMBER], &source(), &confidentiality, place, &mut rng)
        .unwrap();
    let keys = keys(&KeyPair::from_seed([7; 32]));
    let with = |bundle: &Bundle, change: &dyn Fn(&mut SecurityBlock)| {
        let mut bundle = bundle.clone();
        let number = bundle.blocks().iter().find(|block| is_security(block.kind)).unwrap().number;
        let block = bundle.numbered_mut(number).unwrap();
        let mut security = SecurityBlock::decode(&block.data).unwrap();
        change(&mut security);
        block.data = security.encode();
        process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &keys).result
    };
    // RFC 9173 §3.3 and §4.3: scope flags are parameter 3 of integrity and 4 of confidentiality, the vector is 1.
    let scope = |id: u64| {
        move |security: &mut SecurityBlock| {
            let items = security.parameters.as_mut().unwrap();
            *items.iter_mut().find(|item| item.id == id).unwrap() = Item::uint(id, 0x1_0007);
        }
    };
    let no_vector = |security: &mut SecurityBlock| {
        security.parameters.as_mut().unwrap().retain(|item| item.id != 1);
    };
    let no_result = |security: &mut SecurityBlock| security.results[0].clear();
    for bundle in [&signed, &encrypted] {
        assert_eq!(with(bundle, &|_| {}), Ok(()));
    }
    assert_eq!(with(&signed, &scope(3)), Err(BpsecError::Parameter { id: 3 }));
    assert_eq!(with(&encrypted, &scope(4)), Err(BpsecError::Parameter { id: 4 }));
    assert_eq!(with(&encrypted, &no_vector), Err(BpsecError::Parameter { id: 1 }));
    assert_eq!(with(&signed, &no_result), Err(BpsecError::Outcome { id: 1 }));
    // Without the result, the tag is looked for in the ciphertext.
    assert_eq!(with(&encrypted, &no_result), Err(BpsecError::Failed { target: PAYLOAD_NUMBER }));
}

#[test]
fn every_bit_under_encryption_counts() {
    let scope = AadScope::default();
    for service in [
        Confidentiality::AesGcm {
            variant: AesVariant::A256Gcm,
            scope: ScopeFlags::ALL,
            key: Key::Shared(&[2; 32]),
        },
        Confidentiality::Encrypt0 { key: &[4; 32], profile: CoseProfile::new(&scope, b"e") },
    ] {
        let mut bundle = plain();
        let hop_count = bundle.blocks()[0].number;
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let placement = Placement::plain();
        add_confidentiality(&mut bundle, &[1], &source(), &service, placement, &mut rng).unwrap();
        let policy = SecurityPolicy { payload_confidentiality: true, ..SecurityPolicy::default() };
        assert!(flip_all(&bundle, &policy, Role::Acceptor, &[hop_count]) > 700);
    }
}
