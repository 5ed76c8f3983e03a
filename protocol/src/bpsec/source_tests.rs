use super::*;
use crate::{
    bpsec::{KeyStore, KeyUse, Role, SecurityPolicy, check, decrypt, process, verify_integrity},
    bundle::{CreationTimestamp, Policy, Primary, arbitrary::unhex},
    id::NodeId,
    time::DtnTime,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

const EXTRA: u64 = 2;

fn bundle() -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(9), sequence: 1 };
    let primary = Primary::new(NodeId(1).endpoint(1), NodeId(2).endpoint(1), creation, 1000);
    let mut bundle = Bundle::new(primary, b"measured here".to_vec());
    bundle.push_block(BlockKind(192), BlockFlags::default(), b"extra".to_vec());
    bundle
}

fn source() -> EndpointId {
    NodeId(1).endpoint(0)
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::from_seed([3; 32])
}

fn keys() -> KeyStore {
    let mut keys = KeyStore::new();
    keys.insert_symmetric(source(), KeyUse::Integrity, b"", &[1; 32]);
    keys.insert_symmetric(source(), KeyUse::Confidentiality, b"", &[2; 32]);
    keys.insert_symmetric(source(), KeyUse::Confidentiality, b"cose", &[4; 32]);
    keys.insert_symmetric(source(), KeyUse::Wrapping, b"", &[5; 16]);
    keys
}

const fn hmac(scope: ScopeFlags) -> Integrity<'static> {
    Integrity::HmacSha2 { variant: ShaVariant::Sha256, scope, key: Key::Shared(&[1; 32]) }
}

const AES: Confidentiality<'static> = Confidentiality::AesGcm {
    variant: AesVariant::A256Gcm,
    scope: ScopeFlags::ALL,
    key: Key::Shared(&[2; 32]),
};

fn sign(bundle: &mut Bundle, targets: &[u64], scope: ScopeFlags) -> Result<u64, BpsecError> {
    add_integrity(bundle, targets, &source(), &hmac(scope), Placement::plain())
}

fn encrypt_with(
    bundle: &mut Bundle,
    targets: &[u64],
    service: &Confidentiality<'_>,
) -> Result<Vec<u64>, BpsecError> {
    add_confidentiality(bundle, targets, &source(), service, Placement::plain(), &mut rng())
}

#[test]
fn no_initialisation_vector_serves_twice_under_a_key() {
    let mut secured = bundle();
    assert_eq!(encrypt_with(&mut secured, &[1, EXTRA], &AES), Ok(vec![3, 4]));
    let vectors: Vec<Vec<u8>> = [3, 4]
        .map(|number| SecurityBlock::decode(&secured.numbered(number).unwrap().data).unwrap())
        .map(|security| security.parameters()[0].as_bytes().unwrap().to_vec())
        .into();
    assert_ne!(vectors[0], vectors[1]);
    let verdict = process(&mut secured, Role::Acceptor, &SecurityPolicy::default(), &keys());
    assert_eq!(verdict.result, Ok(()));
    assert_eq!(secured.payload(), b"measured here");
    assert!(secured.blocks().iter().all(|block| !is_security(block.kind)));

    // COSE has a vector for each result, and one block for all.
    let scope = AadScope::default();
    let service = Confidentiality::Encrypt0 { key: &[4; 32], profile: CoseProfile::new(&scope, b"cose") };
    let mut secured = bundle();
    assert_eq!(encrypt_with(&mut secured, &[1, EXTRA], &service), Ok(vec![3]));
    let security = SecurityBlock::decode(&secured.numbered(3).unwrap().data).unwrap();
    assert_ne!(security.results[0], security.results[1]);
    for target in [EXTRA, 1] {
        assert_eq!(decrypt(&mut secured, target, &keys()), Ok(()));
    }
    assert_eq!(secured, bundle());
}

#[test]
fn encryption_takes_the_integrity_block_along_and_splits_it_where_it_must() {
    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[1], ScopeFlags::ALL), Ok(3));
    assert_eq!(encrypt_with(&mut secured, &[1], &AES), Ok(vec![4, 5]));
    assert_eq!(check(&secured), Ok(()));
    assert_eq!(verify_integrity(&secured, 1, &keys()), Err(BpsecError::Encrypted { target: 1 }));
    // The integrity block comes after what it protects.
    assert_eq!(decrypt(&mut secured, 3, &keys()), Err(BpsecError::Encrypted { target: 1 }));
    assert_eq!(decrypt(&mut secured, 1, &keys()), Ok(()));
    assert_eq!(decrypt(&mut secured, 3, &keys()), Ok(()));
    assert_eq!(verify_integrity(&secured, 1, &keys()), Ok(()));

    // One integrity block on two targets, of which one is encrypted.
    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[1, EXTRA], ScopeFlags::PRIMARY), Ok(3));
    assert_eq!(encrypt_with(&mut secured, &[1], &AES).map(|numbers| numbers.len()), Ok(2));
    assert_eq!(check(&secured), Ok(()));
    assert_eq!(verify_integrity(&secured, EXTRA, &keys()), Ok(()));
    let demanding = SecurityPolicy { payload_integrity: true, ..SecurityPolicy::default() };
    assert_eq!(process(&mut secured, Role::Acceptor, &demanding, &keys()).result, Ok(()));

    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[1, EXTRA], ScopeFlags::ALL), Ok(3));
    let before = secured.clone();
    assert_eq!(encrypt_with(&mut secured, &[1], &AES), Err(BpsecError::Unsplittable { block: 3 }));
    assert_eq!(secured, before);
}

#[test]
fn operations_that_the_standard_forbids_are_not_made() {
    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[], ScopeFlags::ALL), Err(BpsecError::NoTargets));
    assert_eq!(sign(&mut secured, &[1, 1], ScopeFlags::ALL), Err(BpsecError::DuplicateTarget { target: 1 }));
    assert_eq!(sign(&mut secured, &[8], ScopeFlags::ALL), Err(BpsecError::NoSuchBlock { target: 8 }));
    assert_eq!(sign(&mut secured, &[1], ScopeFlags::ALL), Ok(3));
    assert_eq!(sign(&mut secured, &[1], ScopeFlags::ALL), Err(BpsecError::RepeatedOperation { target: 1 }));
    let forbidden = |target| BpsecError::ForbiddenTarget { block: 0, target };
    assert_eq!(sign(&mut secured, &[3], ScopeFlags::ALL), Err(forbidden(3)));
    assert_eq!(encrypt_with(&mut secured, &[0], &AES), Err(forbidden(0)));
    assert_eq!(encrypt_with(&mut secured, &[1], &AES), Ok(vec![4, 5]));
    assert_eq!(encrypt_with(&mut secured, &[1], &AES), Err(BpsecError::RepeatedOperation { target: 1 }));
    // Integrity on ciphertext would leave the order of processing open (RFC 9172 §3.9).
    assert_eq!(sign(&mut secured, &[1], ScopeFlags::ALL), Err(BpsecError::Encrypted { target: 1 }));

    let nobody =
        add_integrity(&mut bundle(), &[1], &EndpointId::Null, &hmac(ScopeFlags::ALL), Placement::plain());
    assert_eq!(nobody, Err(BpsecError::NullSource));
    for number in [0, 1, EXTRA] {
        let placement = Placement::plain().numbered(number);
        let taken = add_integrity(&mut bundle(), &[1], &source(), &hmac(ScopeFlags::ALL), placement);
        assert_eq!(taken, Err(BpsecError::BlockNumber { number }));
    }
}

#[test]
fn fragments_are_secured_before_they_are_cut_and_checked_when_they_are_joined() {
    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[0, 1], ScopeFlags::ALL), Ok(3));
    let parts = secured.clone().fragment(5).unwrap();
    assert_eq!(sign(&mut parts[1].clone(), &[1], ScopeFlags::ALL), Err(BpsecError::IsFragment));
    assert_eq!(verify_integrity(&parts[0], 1, &keys()), Err(BpsecError::IsFragment));
    let demanding = SecurityPolicy { payload_integrity: true, ..SecurityPolicy::default() };
    let verdict = process(&mut parts[0].clone(), Role::Verifier, &demanding, &keys());
    assert_eq!((verdict.result, verdict.deferred), (Ok(()), true));
    let mut whole = crate::bundle::reassemble(&parts).unwrap();
    assert_eq!(process(&mut whole, Role::Acceptor, &demanding, &keys()).result, Ok(()));
}

/// Destination ipn:0.2.7 in three elements, source ipn:1.1, report-to ipn:0.9, which is nobody; no checksum.
const PRIMARY: &str = "88070000 820283000207 8202820101 8202820009 8219138800 1903e8";

fn around(primary: &str) -> Bundle {
    let payload = [&[0x85, 1, 1, 0, 0, 0x4d][..], b"measured here"].concat();
    let bytes = [&[0x9f][..], &unhex(&primary.replace(' ', "")), &payload, &[0xff]].concat();
    Bundle::decode_with(&bytes, Policy::Lenient).unwrap()
}

#[test]
fn what_covers_the_primary_block_holds_on_a_whole_of_fragments_whatever_form_its_names_have() {
    let pair = KeyPair::from_seed([1; 32]);
    let scope = AadScope::default();
    let signature = Integrity::Sign1 { keys: &pair, profile: CoseProfile::new(&scope, b"") };
    for (targets, service) in [(&[0, 1][..], &hmac(ScopeFlags::ALL)), (&[0, 1], &signature)] {
        let mut secured = around(PRIMARY);
        add_integrity(&mut secured, targets, &source(), service, Placement::plain()).unwrap();
        let mut parts = secured.fragment(5).unwrap();
        for part in &mut parts {
            // Every hop is strict.
            *part = Bundle::decode(&part.encode()).unwrap();
        }
        parts.reverse();
        let mut keys = keys();
        keys.insert_public(source(), b"", pair.public().clone());
        let whole = crate::bundle::reassemble(&parts).unwrap();
        assert_eq!(whole.primary().destination, NodeId(2).endpoint(7));
        for target in targets {
            assert_eq!(verify_integrity(&whole, *target, &keys), Ok(()), "{target} of {service:?}");
        }
    }
}

#[test]
fn what_covers_a_primary_block_of_indefinite_lengths_covers_its_deterministic_form() {
    let mut secured = around(PRIMARY);
    sign(&mut secured, &[0, 1], ScopeFlags::ALL).unwrap();
    let bytes = secured.encode();
    let length = PRIMARY.replace(' ', "").len() / 2;
    let indefinite =
        unhex(&"9f070000 9f029f000207ffff 9f02820101ff 8202820009 9f19138800ff 1903e8ff".replace(' ', ""));
    let bytes = [&bytes[..1], &indefinite, &bytes[1 + length..]].concat();
    let read = Bundle::decode_with(&bytes, Policy::Lenient).unwrap();
    assert_eq!(read.encode(), bytes);
    assert_eq!(verify_integrity(&read, 0, &keys()), Ok(()));
    assert_eq!(verify_integrity(&read, 1, &keys()), Ok(()));
}

#[test]
fn a_wrapped_key_serves_both_services() {
    let key = Key::Wrapped { kek: &[5; 16], key: &[6; 32] };
    let mut secured = bundle();
    let service = Integrity::HmacSha2 { variant: ShaVariant::Sha384, scope: ScopeFlags::ALL, key };
    assert_eq!(add_integrity(&mut secured, &[1], &source(), &service, Placement::plain()), Ok(3));
    let service = Confidentiality::AesGcm { variant: AesVariant::A256Gcm, scope: ScopeFlags::NONE, key };
    assert!(encrypt_with(&mut secured, &[1], &service).is_ok());
    let demanding = SecurityPolicy {
        payload_integrity: true,
        payload_confidentiality: true,
        ..SecurityPolicy::default()
    };
    assert_eq!(process(&mut secured, Role::Acceptor, &demanding, &keys()).result, Ok(()));
    assert_eq!(secured.payload(), b"measured here");
}

#[test]
fn the_checksum_of_a_primary_block_that_others_cover_stays() {
    let pair = KeyPair::from_seed([1; 32]);
    let scope = AadScope::default();
    let service = Integrity::Sign1 { keys: &pair, profile: CoseProfile::new(&scope, b"") };
    let mut secured = bundle();
    assert_eq!(add_integrity(&mut secured, &[1], &source(), &service, Placement::plain()), Ok(3));
    assert_eq!(sign(&mut secured, &[0], ScopeFlags::ALL), Err(BpsecError::CrcPresent { target: 0 }));
    // The other way round, both hold.
    let mut secured = bundle();
    assert_eq!(sign(&mut secured, &[0], ScopeFlags::ALL), Ok(3));
    assert_eq!(add_integrity(&mut secured, &[1], &source(), &service, Placement::plain()), Ok(4));
    let mut keys = keys();
    keys.insert_public(source(), b"", pair.public().clone());
    assert_eq!(verify_integrity(&secured, 0, &keys), Ok(()));
    assert_eq!(verify_integrity(&secured, 1, &keys), Ok(()));
}

#[test]
fn a_bundle_that_is_full_is_not_secured() {
    let mut full = bundle();
    while full.room() > 0 {
        full.push_block(BlockKind(193), BlockFlags::default(), Vec::new());
    }
    assert_eq!(sign(&mut full, &[1], ScopeFlags::ALL), Err(BpsecError::NoRoom));
}
