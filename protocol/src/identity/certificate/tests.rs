//! Certificates: round trips, sizes, and every way in which another's bytes are none.

use super::*;
use coset::{CborSerializable as _, TaggedCborSerializable as _, cwt::ClaimsSet};
use proptest::prelude::*;

const ISSUED: DtnTime = DtnTime(847_000_000_000);

fn authority() -> KeyPair {
    KeyPair::from_seed([1; 32])
}

fn certificate() -> Certificate {
    Certificate {
        subject: NodeId(4_000_000_017),
        key: KeyPair::from_seed([7; 32]).public().clone(),
        role: Role::Operator,
        scope: "mars".parse().unwrap(),
        not_before: ISSUED,
        expires: DtnTime(ISSUED.0 + 30 * 86_400_000),
    }
}

fn refused(claims: &[u8]) -> &'static str {
    let bytes = sign1(&authority(), &KeyId::of(authority().public()).0, DOMAIN, claims);
    Certificate::open(&bytes, authority().public()).map_or_else(|error| error.reason(), |_| "taken")
}

#[test]
fn a_certificate_is_read_as_issued_and_takes_about_150_bytes() {
    let bytes = certificate().issue(&authority());
    assert_eq!(Certificate::open(&bytes, authority().public()), Ok(certificate()));
    assert_eq!(bytes.len(), 171, "the longest node number of the default allocator and a scope");
    let typical = Certificate { subject: NodeId(17), scope: Scope::everything(), ..certificate() };
    assert_eq!(typical.issue(&authority()).len(), 157);
}

#[test]
fn another_authoritys_certificate_is_refused_and_so_is_a_forged_one() {
    let bytes = certificate().issue(&KeyPair::from_seed([2; 32]));
    let error = Certificate::open(&bytes, authority().public()).unwrap_err();
    assert_eq!(error.reason(), "other_authority");
    // The forger names the authority's key.
    let forged = sign1(
        &KeyPair::from_seed([2; 32]),
        &KeyId::of(authority().public()).0,
        DOMAIN,
        &certificate().claims(),
    );
    assert_eq!(Certificate::open(&forged, authority().public()), Err(CertificateError::BadSignature));
}

#[test]
fn a_signature_for_another_purpose_is_no_certificate() {
    let kid = KeyId::of(authority().public()).0;
    let other = sign1(&authority(), &kid, b"cosmosmesh-checkpoint-v1", &certificate().claims());
    assert_eq!(Certificate::open(&other, authority().public()), Err(CertificateError::BadSignature));
}

#[test]
fn claims_outside_the_profile_are_refused_by_reason() {
    let claims = certificate().claims();
    assert_eq!(refused(&claims), "taken");
    let edited = |from: &[u8], to: &[u8]| {
        let at = claims.windows(from.len()).position(|part| part == from).expect("in the claims");
        refused(&[&claims[..at], to, &claims[at + from.len()..]].concat())
    };
    assert_eq!(edited(b"ipn:4000000017.0", b"ipn:4000000017.1"), "certificate_subject");
    assert_eq!(edited(b"ipn:4000000017.0", b"dtn://not-a-node"), "certificate_subject");
    // Small order, then X25519.
    let key = certificate().key.as_bytes().to_vec();
    assert_eq!(edited(&key, &[0; 32]), "certificate_key");
    assert_eq!(edited(&[0x20, 6, 0x21], &[0x20, 4, 0x21]), "certificate_key");
    assert_eq!(edited(b"mars", b"MARS"), "certificate_scope");
    assert_eq!(edited(&[0x3a, 0, 1, 0, 0, 2], &[0x3a, 0, 1, 0, 0, 9]), "certificate_role");
    assert_eq!(edited(&[0x3a, 0, 1, 0, 0, 2], &[0x3a, 0, 1, 0, 1, 2]), "certificate_claim");
    assert_eq!(refused(&[&claims[..], &[0]].concat()), "trailing_bytes");
    let backwards = Certificate { expires: ISSUED, ..certificate() };
    assert_eq!(refused(&backwards.claims()), "certificate_period");
    assert_eq!(refused(&[0xa0]), "truncated");
}

#[test]
fn what_is_longer_than_any_certificate_is_refused_unread() {
    let error = Certificate::open(&[0; MAX_CERTIFICATE_LEN + 1], authority().public()).unwrap_err();
    assert_eq!(error.reason(), "too_long");
}

#[test]
fn coset_reads_the_claims() {
    let bytes = certificate().issue(&authority());
    let signed = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
    let claims = ClaimsSet::from_slice(&signed.payload.unwrap()).unwrap();
    assert_eq!(claims.subject.as_deref(), Some("ipn:4000000017.0"));
    let unix = |time: DtnTime| coset::cwt::Timestamp::WholeSeconds((time.0 / 1000 + 946_684_800) as i64);
    assert_eq!(claims.expiration_time, Some(unix(certificate().expires)));
    assert_eq!(claims.not_before, Some(unix(ISSUED)));
    assert_eq!(claims.rest.len(), 3, "cnf, scope, role");
}

proptest! {
    #[test]
    fn one_flipped_bit_is_always_noticed(position: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = certificate().issue(&authority());
        let at = position.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Certificate::open(&bytes, authority().public()).is_err());
    }

    #[test]
    fn every_certificate_survives_a_round_trip(subject: u64, number: u8, from in 0..4_000_000_000_u64, span in 1..4_000_000_000_u64) {
        let role = Role::from_number(u64::from(number)).unwrap_or_default();
        let (not_before, expires) = (DtnTime(from * 1000), DtnTime((from + span) * 1000));
        let issued = Certificate { subject: NodeId(subject), role, not_before, expires, ..certificate() };
        prop_assert_eq!(Certificate::open(&issued.issue(&authority()), authority().public()), Ok(issued));
    }

    #[test]
    fn no_claims_panic(claims: Vec<u8>) {
        let _ = Certificate::read(&claims);
    }
}
