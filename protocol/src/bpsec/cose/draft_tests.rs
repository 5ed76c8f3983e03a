//! The examples of draft-ietf-dtn-bpsec-cose-17 Appendix A, and what else the context asks of its messages.

use alloc::{vec, vec::Vec};
use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

use super::{AadScope, COSE_ENCRYPT, Context, Recipient, draft_vectors as draft, encrypt, header::Headers};
use crate::{
    bpsec::{
        AesVariant, BpsecError, Confidentiality, CoseProfile, Integrity, Item, KeyStore, KeyUse, Keys,
        OtherSignature, Placement, SecurityBlock, ShaVariant, add_confidentiality, add_integrity, decrypt,
        primitive::unwrap, rfc9173_tests::Script, rules::target_data, scope::Header, verify_integrity,
    },
    bundle::{Bundle, Policy, arbitrary::unhex},
    cbor::{self, Reader},
    id::EndpointId,
    identity::{KeyPair, PublicKey},
};

const NUMBER_3: Placement = Placement::plain().numbered(3);

fn bundle(hex: &str) -> Bundle {
    Bundle::decode_with(&unhex(hex), Policy::Strict).unwrap()
}

fn source() -> EndpointId {
    "dtn://src/".parse().unwrap()
}

fn scope() -> AadScope {
    AadScope::none().with_primary().with_target_metadata()
}

fn profile<'a>(scope: &'a AadScope, kid: &'a str) -> CoseProfile<'a> {
    CoseProfile::new(scope, kid.as_bytes())
}

fn keys() -> KeyStore {
    let mut keys = KeyStore::new();
    for (purpose, kid, key) in [
        (KeyUse::Integrity, "ExampleA.1", draft::MAC_KEY),
        (KeyUse::Wrapping, "ExampleA.5", draft::KEY_ENCRYPTION_KEY),
        (KeyUse::Derivation, "ExampleA.6", draft::SECRET),
    ] {
        keys.insert_symmetric(source(), purpose, kid.as_bytes(), &unhex(key));
    }
    keys
}

/// The external AAD of the operation of block 3 on `target`.
fn aad(bundle: &Bundle, target: u64) -> Vec<u8> {
    let block = bundle.numbered(3).unwrap();
    let security = SecurityBlock::decode(&block.data).unwrap();
    let context = Context::read(&security).unwrap();
    context.external_aad(bundle, security.source.wire(), Header::of(block), target).unwrap()
}

fn mac0(profile: CoseProfile<'_>, target: u64, before: &str, after: &str, external_aad: &str) {
    let key = unhex(draft::MAC_KEY);
    let mut made = bundle(before);
    let service = Integrity::Mac0 { variant: ShaVariant::Sha384, key: &key, profile };
    assert_eq!(add_integrity(&mut made, &[target], &source(), &service, NUMBER_3), Ok(3));
    assert_eq!(aad(&made, target), unhex(external_aad));
    assert_eq!(made.encode(), unhex(after));
    assert_eq!(verify_integrity(&bundle(after), target, &keys()), Ok(()));
}

#[test]
fn the_example_of_mac0_is_reproduced() {
    mac0(profile(&scope(), "ExampleA.1"), 1, draft::ORIGINAL, draft::MAC0, draft::AAD);
}

#[test]
fn the_example_of_an_expanded_scope_is_reproduced() {
    let scope = scope().with_block(1);
    let profile = profile(&scope, "ExampleA.1");
    mac0(profile, 2, draft::TWO_BLOCKS, draft::MAC0_EXPANDED, draft::EXPANDED_AAD);
    // The payload is not the target, and is covered.
    let mut changed = bundle(draft::MAC0_EXPANDED);
    changed.numbered_mut(1).unwrap().data[0] ^= 1;
    assert_eq!(verify_integrity(&changed, 2, &keys()), Err(BpsecError::Failed { target: 2 }));
}

#[test]
fn the_example_of_additional_protected_headers_is_reproduced() {
    let scope = scope();
    let profile = CoseProfile { shared_kid: true, ..profile(&scope, "ExampleA.1") };
    mac0(profile, 1, draft::ORIGINAL, draft::MAC0_ADDITIONAL, draft::ADDITIONAL_AAD);
}

/// A host that checks ESP384 with a library of its own.
struct HostWithP384(VerifyingKey);

impl Keys for HostWithP384 {
    fn symmetric(&self, _: &EndpointId, _: KeyUse, _: &[u8]) -> Option<&[u8]> {
        None
    }

    fn public(&self, _: &EndpointId, _: &[u8]) -> Option<&PublicKey> {
        None
    }

    fn verify_other(&self, signed: &OtherSignature<'_>) -> Option<bool> {
        assert_eq!((signed.source, signed.kid, signed.algorithm), (&source(), &b"ExampleA.2"[..], -51));
        // The draft's figure shows the protected header of another algorithm.
        let mut expected = vec![0x84, 0x6a];
        expected.extend_from_slice(b"Signature1");
        cbor::put_bytes(&mut expected, &unhex("a1013832"));
        cbor::put_bytes(&mut expected, &unhex(draft::AAD));
        if signed.message.ends_with(b"\x46ehello") {
            cbor::put_bytes(&mut expected, b"ehello");
            assert_eq!(signed.message, expected);
        }
        let signature = Signature::from_slice(signed.signature).ok()?;
        Some(self.0.verify(signed.message, &signature).is_ok())
    }
}

#[test]
fn the_example_of_an_esp384_signature_holds_by_the_hosts_library() {
    let mut point = vec![4];
    point.extend(unhex(draft::SIGN_KEY_X));
    point.extend(unhex(draft::SIGN_KEY_Y));
    let host = HostWithP384(VerifyingKey::from_sec1_bytes(&point).unwrap());
    let mut signed = bundle(draft::SIGN_ECC);
    assert_eq!(verify_integrity(&signed, 1, &host), Ok(()));
    assert_eq!(verify_integrity(&signed, 1, &keys()), Err(BpsecError::UnknownAlgorithm { id: -51 }));
    signed.numbered_mut(1).unwrap().data[1] ^= 1;
    assert_eq!(verify_integrity(&signed, 1, &host), Err(BpsecError::Failed { target: 1 }));
}

fn encrypted(recipient: Recipient<'_>, kid: &str, drawn: &str, after: &str) {
    let scope = scope();
    let service = Confidentiality::Encrypt { recipient, profile: profile(&scope, kid) };
    let mut made = bundle(draft::ORIGINAL);
    // The draft's confidentiality blocks are not replicated, which RFC 9172 §3.8 demands on a payload; they are made so here.
    let mut rng = Script(unhex(drawn));
    let numbers = add_confidentiality(&mut made, &[1], &source(), &service, NUMBER_3, &mut rng);
    assert_eq!(numbers, Ok(vec![3]));
    assert_eq!(aad(&made, 1), unhex(draft::AAD));
    made.numbered_mut(3).unwrap().flags.0 = 0;
    assert_eq!(made.encode(), unhex(after));
    made.numbered_mut(3).unwrap().flags.0 = 1;
    assert_eq!(decrypt(&mut made, 1, &keys()), Ok(()));
    assert_eq!(made, bundle(draft::ORIGINAL));
    let refused = decrypt(&mut bundle(after), 1, &keys());
    assert_eq!(refused, Err(BpsecError::NotReplicated { block: 3 }));
}

#[test]
fn the_example_of_key_wrap_is_reproduced() {
    let (kek, key) = (unhex(draft::KEY_ENCRYPTION_KEY), unhex(draft::WRAPPED_KEY));
    let recipient = Recipient::KeyWrap { kek: &kek, key: &key };
    encrypted(recipient, "ExampleA.5", draft::IV, draft::ENCRYPT_KEY_WRAP);
}

#[test]
fn the_example_of_a_derived_key_is_reproduced() {
    let secret = unhex(draft::SECRET);
    let drawn = [draft::SALT, draft::IV].concat();
    encrypted(Recipient::Derived { secret: &secret }, "ExampleA.6", &drawn, draft::ENCRYPT_HKDF);
    let source = unhex("8201662f2f7372632f");
    let derived =
        super::kdf::derive(&secret, &unhex(draft::SALT), AesVariant::A256Gcm, &unhex("a1012a"), &source, &[]);
    assert_eq!(derived, unhex(draft::DERIVED_KEY));
}

/// Key agreement and RSA are not built; what they lead to is.
#[test]
fn the_contents_of_the_examples_with_key_pairs_decrypt_once_their_keys_are_known() {
    for (hex, key, algorithm) in [
        (draft::ENCRYPT_KEY_WRAP, draft::WRAPPED_KEY, None),
        (draft::ENCRYPT_ECC_KEY_WRAP, draft::WRAPPED_KEY, Some(-31)),
        (draft::ENCRYPT_ECC_HKDF, draft::AGREED_KEY, Some(-28)),
        (draft::ENCRYPT_RSA, draft::WRAPPED_KEY, Some(-42)),
    ] {
        let mut bundle = bundle(hex);
        let security = SecurityBlock::decode(&bundle.numbered(3).unwrap().data).unwrap();
        let message = security.results[0][0].as_bytes().unwrap();
        let mut reader = Reader::new(message);
        reader.array_of(4).unwrap();
        let headers = Headers::read(&mut reader).unwrap();
        let aad = encrypt::structure(false, headers.protected, &aad(&bundle, 1));
        let mut data = target_data(&bundle, 1).unwrap().to_vec();
        let tag = data.split_off(data.len() - 16).try_into().unwrap();
        let held = AesVariant::A256Gcm.decrypt(&unhex(key), headers.iv().unwrap(), &aad, &mut data, &tag);
        assert_eq!((held, data.as_slice()), (Ok(true), &b"ehello"[..]));
        bundle.numbered_mut(3).unwrap().flags.0 = 1;
        if let Some(id) = algorithm {
            assert_eq!(decrypt(&mut bundle, 1, &keys()), Err(BpsecError::UnknownAlgorithm { id }));
        }
    }
    let wrapped = unhex("40cbaff3538184a12ed3f3aee47f899342b642cc9d78d2db84c26b08b2d16eb8f162740a25b21f37");
    assert_eq!(unwrap(&unhex(draft::AGREED_KEY_ENCRYPTION_KEY), &wrapped), Ok(unhex(draft::WRAPPED_KEY)));
}

#[test]
fn another_implementation_verifies_our_signatures_and_we_its() {
    let pair = KeyPair::from_seed([7; 32]);
    let scope = scope();
    let mut signed = bundle(draft::ORIGINAL);
    let service = Integrity::Sign1 { keys: &pair, profile: profile(&scope, "ours") };
    assert_eq!(add_integrity(&mut signed, &[1], &source(), &service, NUMBER_3), Ok(3));
    let security = SecurityBlock::decode(&signed.numbered(3).unwrap().data).unwrap();
    let message = security.results[0][0].as_bytes().unwrap();
    let theirs = <coset::CoseSign1 as coset::CborSerializable>::from_slice(message).unwrap();
    assert_eq!(theirs.unprotected.key_id, b"ours");
    let holds = theirs.verify_detached_signature(b"ehello", &unhex(draft::AAD), |signature, signed| {
        if pair.public().verify(signed, signature.try_into().unwrap()) { Ok(()) } else { Err(()) }
    });
    assert_eq!(holds, Ok(()));

    let mut keys = KeyStore::new();
    keys.insert_public(source(), b"theirs", pair.public().clone());
    let theirs = coset::CoseSign1Builder::new()
        .protected(coset::HeaderBuilder::new().algorithm(coset::iana::Algorithm::EdDSA).build())
        .unprotected(coset::HeaderBuilder::new().key_id(b"theirs".to_vec()).build())
        .create_detached_signature(b"ehello", &unhex(draft::AAD), |signed| pair.sign(signed).to_vec())
        .build();
    let mut security = security;
    let message = coset::CborSerializable::to_vec(theirs).unwrap();
    security.results[0] = vec![Item::bytes(super::COSE_SIGN1, &message)];
    signed.numbered_mut(3).unwrap().data = security.encode();
    assert_eq!(verify_integrity(&signed, 1, &keys), Ok(()));
}

/// Puts another message into block 3 of the example of COSE_Mac0, and checks it.
fn with_message(id: u64, message: &str) -> Result<(), BpsecError> {
    let mut bundle = bundle(draft::MAC0);
    let block = bundle.numbered_mut(3).unwrap();
    let mut security = SecurityBlock::decode(&block.data).unwrap();
    security.results[0] = vec![Item::bytes(id, &unhex(message))];
    block.data = security.encode();
    verify_integrity(&bundle, 1, &keys())
}

#[test]
fn messages_that_the_context_does_not_allow_are_refused() {
    let header = |label| Err(BpsecError::Header { label });
    // No algorithm; a payload that is not detached; a label twice; a critical header that is not understood; a party of key derivation.
    assert_eq!(with_message(17, "8440a0f640"), header(1));
    assert_eq!(with_message(17, "8443a10106a04040"), Err(BpsecError::Outcome { id: 17 }));
    assert_eq!(with_message(17, "8443a10106a10106f640"), header(1));
    assert_eq!(with_message(17, "8447a2010602811863a0f640"), header(99));
    assert_eq!(with_message(17, "8443a10106a13440f640"), header(-21));
    assert_eq!(with_message(17, "8443a10104a0f640"), Err(BpsecError::UnknownAlgorithm { id: 4 }));
    assert_eq!(with_message(17, "8443a10106a0f640"), Err(BpsecError::NoKey { target: 1 }));
    // Messages for several recipients or signers, and those of the other service.
    for id in [16, 96, 97, 98] {
        assert_eq!(with_message(id, "8443a10106a0f640"), Err(BpsecError::Outcome { id }));
    }
}

#[test]
fn scopes_that_cannot_be_followed_are_refused() {
    let with_scope = |scope: &str| {
        let mut bundle = bundle(draft::MAC0);
        let block = bundle.numbered_mut(3).unwrap();
        let mut security = SecurityBlock::decode(&block.data).unwrap();
        security.parameters = Some(vec![Item { id: 5, value: unhex(scope) }]);
        block.data = security.encode();
        verify_integrity(&bundle, 1, &keys())
    };
    // No flag; data of the primary, target or security block; another special key; a block that is not there; the target by number.
    for (scope, key) in [
        ("a10000", 0),
        ("a10002", 0),
        ("a12003", -1),
        ("a12102", -2),
        ("a12201", -3),
        ("a10901", 9),
        ("a10103", 1),
        ("a10303", 3),
    ] {
        assert_eq!(with_scope(scope), Err(BpsecError::Scope { key }), "{scope}");
    }
    // Unassigned flags are ignored, but covered; the map's order is that of its encoding.
    assert_eq!(with_scope("a200052001"), Err(BpsecError::Failed { target: 1 }));
    assert_eq!(with_scope("a220010001").map_err(|error| error.reason()), Err("non_canonical"));
}

#[test]
fn the_default_scope_covers_primary_target_and_security_block() {
    let mut out = Vec::new();
    AadScope::default().put(&mut out);
    assert_eq!(out, unhex("a3000120012101"));
    assert!(AadScope::default().covers_primary());
    assert_eq!(COSE_ENCRYPT, 96);
}
