//! Another implementation checks and decrypts what we made, and we what it made.

extern crate std;

use alloc::{boxed::Box, string::ToString as _, vec, vec::Vec};
use hardy_bpv7::{
    bpsec::{
        encryptor::{Context as EncryptContext, Encryptor},
        key::{EncAlgorithm, Key as HardyKey, KeyAlgorithm, KeySet, Operation, Type},
        no_keys,
        rfc9173::ScopeFlags as HardyScope,
        signer::{Context as SignContext, Signer},
    },
    bundle::ParsedBundle,
};
use proptest::{collection::vec as many, prelude::*};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

use super::{
    AesVariant, Confidentiality, Integrity, Key, KeyStore, KeyUse, Placement, Role, ScopeFlags,
    SecurityPolicy, ShaVariant, add_confidentiality, add_integrity, process, verify_integrity,
};
use crate::{
    bundle::{BlockFlags, BlockKind, Bundle, CreationTimestamp, Policy, Primary},
    id::{EndpointId, NodeId},
    time::DtnTime,
};

const MAC_KEY: [u8; 32] = [0x4b; 32];
const KEK: [u8; 16] = [0x6b; 16];

fn source() -> EndpointId {
    NodeId(1).endpoint(1)
}

fn plain(payload: Vec<u8>) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(9), sequence: 1 };
    let primary = Primary::new(source(), NodeId(3).endpoint(1), creation, 1000);
    let mut bundle = Bundle::new(primary, payload);
    bundle.push_block(BlockKind(192), BlockFlags::default(), b"extra".to_vec());
    bundle
}

fn key(bytes: &[u8], operations: &[Operation]) -> HardyKey {
    HardyKey {
        key_type: Type::OctetSequence { key: Box::from(bytes) },
        operations: Some(operations.iter().copied().collect()),
        ..HardyKey::default()
    }
}

fn mac_key(variant: ShaVariant, wrapped: bool) -> HardyKey {
    let algorithm = match (variant, wrapped) {
        (ShaVariant::Sha256, false) => KeyAlgorithm::HS256,
        (ShaVariant::Sha384, false) => KeyAlgorithm::HS384,
        (ShaVariant::Sha512, false) => KeyAlgorithm::HS512,
        (ShaVariant::Sha256, true) => KeyAlgorithm::HS256_A128KW,
        (ShaVariant::Sha384, true) => KeyAlgorithm::HS384_A128KW,
        (ShaVariant::Sha512, true) => KeyAlgorithm::HS512_A128KW,
    };
    let operations = [Operation::Sign, Operation::Verify, Operation::WrapKey, Operation::UnwrapKey];
    let bytes: &[u8] = if wrapped { &KEK } else { &MAC_KEY };
    HardyKey {
        key_algorithm: Some(algorithm),
        ..key(bytes, if wrapped { &operations } else { &operations[..2] })
    }
}

fn content_key(variant: AesVariant, wrapped: bool) -> HardyKey {
    let (algorithm, bytes) = match variant {
        AesVariant::A128Gcm => (EncAlgorithm::A128GCM, &[0x65_u8; 16][..]),
        AesVariant::A256Gcm => (EncAlgorithm::A256GCM, &[0x66; 32][..]),
    };
    let operations = [Operation::Encrypt, Operation::Decrypt, Operation::WrapKey, Operation::UnwrapKey];
    HardyKey {
        key_algorithm: wrapped.then_some(KeyAlgorithm::A128KW),
        enc_algorithm: Some(algorithm),
        ..key(if wrapped { &KEK } else { bytes }, if wrapped { &operations } else { &operations[..2] })
    }
}

fn keys(variant: AesVariant) -> KeyStore {
    let mut keys = KeyStore::new();
    keys.insert_symmetric(source(), KeyUse::Integrity, b"", &MAC_KEY);
    let content: &[u8] = if variant == AesVariant::A128Gcm { &[0x65; 16] } else { &[0x66; 32] };
    keys.insert_symmetric(source(), KeyUse::Confidentiality, b"", content);
    keys.insert_symmetric(source(), KeyUse::Wrapping, b"", &KEK);
    keys
}

const fn hardy_scope(scope: ScopeFlags) -> HardyScope {
    HardyScope {
        include_primary_block: scope.contains(ScopeFlags::PRIMARY),
        include_target_header: scope.contains(ScopeFlags::TARGET_HEADER),
        include_security_header: scope.contains(ScopeFlags::SECURITY_HEADER),
        unrecognised: None,
    }
}

fn sha() -> impl Strategy<Value = ShaVariant> {
    prop_oneof![Just(ShaVariant::Sha256), Just(ShaVariant::Sha384), Just(ShaVariant::Sha512)]
}

fn aes() -> impl Strategy<Value = AesVariant> {
    prop_oneof![Just(AesVariant::A128Gcm), Just(AesVariant::A256Gcm)]
}

fn scope() -> impl Strategy<Value = ScopeFlags> {
    (0_u64..8).prop_map(ScopeFlags)
}

fn shared_or_wrapped(wrapped: bool, key: &[u8]) -> Key<'_> {
    if wrapped { Key::Wrapped { kek: &KEK, key } } else { Key::Shared(key) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hardy_verifies_our_check_values(
        payload in many(any::<u8>(), 0..300), variant in sha(), scope in scope(), wrapped: bool, flip: Option<prop::sample::Index>,
    ) {
        let mut ours = plain(payload);
        let service = Integrity::HmacSha2 { variant, scope, key: shared_or_wrapped(wrapped, &MAC_KEY) };
        add_integrity(&mut ours, &[0, 1, 2], &source(), &service, Placement::plain()).unwrap();
        let bytes = ours.encode();
        let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
        let keys = KeySet::new(vec![mac_key(variant, wrapped)]);
        for target in 0..3 {
            prop_assert!(parsed.bundle.verify_block(target, &bytes, &keys).unwrap());
        }
        if let Some(at) = flip.filter(|_| !ours.payload().is_empty()) {
            let at = at.index(ours.payload().len());
            ours.numbered_mut(1).unwrap().data[at] ^= 1;
            let bytes = ours.encode();
            let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
            prop_assert!(parsed.bundle.verify_block(1, &bytes, &keys).is_err());
        }
    }

    #[test]
    fn we_verify_hardys_check_values(
        payload in many(any::<u8>(), 0..300), variant in sha(), scope in scope(), wrapped: bool, target in 0_u64..3,
    ) {
        let bytes = plain(payload).encode();
        let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
        let key = mac_key(variant, wrapped);
        let context = SignContext::HMAC_SHA2(hardy_scope(scope));
        let signer = Signer::new(&parsed.bundle, &bytes);
        let signer = signer.sign_block(target, context, source().to_string().parse().unwrap(), &key);
        let signed = signer.map_err(|(_, error)| error).unwrap().rebuild().unwrap();
        let theirs = Bundle::decode(&signed).unwrap();
        prop_assert_eq!(verify_integrity(&theirs, target, &keys(AesVariant::A256Gcm)), Ok(()));
    }

    #[test]
    fn hardy_decrypts_and_verifies_what_we_secured(
        payload in many(any::<u8>(), 0..300), variant in aes(), scope in scope(), wrapped: bool, signed: bool,
    ) {
        let mut ours = plain(payload.clone());
        if signed {
            let service =
                Integrity::HmacSha2 { variant: ShaVariant::Sha384, scope, key: Key::Shared(&MAC_KEY) };
            add_integrity(&mut ours, &[1], &source(), &service, Placement::plain()).unwrap();
        }
        let content: &[u8] = if variant == AesVariant::A128Gcm { &[0x65; 16] } else { &[0x66; 32] };
        let service = Confidentiality::AesGcm { variant, scope, key: shared_or_wrapped(wrapped, content) };
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        add_confidentiality(&mut ours, &[1], &source(), &service, Placement::plain(), &mut rng).unwrap();
        let bytes = ours.encode();
        let keys = KeySet::new(vec![content_key(variant, wrapped), mac_key(ShaVariant::Sha384, false)]);
        let parsed = ParsedBundle::parse_with_keys(&bytes, &keys).unwrap();
        let data = parsed.bundle.block_data(1, &bytes, &keys).unwrap();
        prop_assert_eq!(data.as_ref(), payload.as_slice());
        prop_assert_eq!(parsed.bundle.verify_block(1, &bytes, &keys).unwrap(), signed);
    }

    #[test]
    fn we_decrypt_and_verify_what_hardy_secured(
        payload in many(any::<u8>(), 0..300), variant in aes(), scope in scope(), wrapped: bool, signed: bool,
    ) {
        let mut bytes = plain(payload.clone()).encode();
        let hardy_source = || source().to_string().parse().unwrap();
        if signed {
            let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
            let key = mac_key(ShaVariant::Sha384, false);
            let context = SignContext::HMAC_SHA2(hardy_scope(scope));
            let signer = Signer::new(&parsed.bundle, &bytes).sign_block(1, context, hardy_source(), &key);
            bytes = signer.map_err(|(_, error)| error).unwrap().rebuild().unwrap().into_vec();
        }
        let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
        let key = content_key(variant, wrapped);
        let context = EncryptContext::AES_GCM(hardy_scope(scope));
        let encryptor = Encryptor::new(&parsed.bundle, &bytes).encrypt_block(1, context, hardy_source(), &key);
        let secured = encryptor.map_err(|(_, error)| error).unwrap().rebuild().unwrap();
        let mut theirs = Bundle::decode_with(&secured, Policy::Strict).unwrap();
        prop_assert_ne!(theirs.payload(), &payload);
        let policy =
            SecurityPolicy { payload_integrity: signed, payload_confidentiality: true, ..SecurityPolicy::default() };
        let verdict = process(&mut theirs, Role::Acceptor, &policy, &keys(variant));
        prop_assert_eq!(verdict.result, Ok(()));
        prop_assert_eq!(theirs.payload(), &payload);
    }
}
