use alloc::{vec, vec::Vec};
use coset::{CborSerializable as _, TaggedCborSerializable as _, iana};
use proptest::prelude::*;

use super::*;
use crate::{
    cbor,
    envelope::{MAX_OVERHEAD, Purpose, ReplayError, ReplayWindow, seal, seal::to_be_signed},
    identity::KeyPair,
    time::DtnTime,
};

const HERE: NodeId = NodeId(2);

fn keys() -> KeyPair {
    KeyPair::from_seed([7; 32])
}

fn header() -> Header {
    Header {
        sender: NodeId(1),
        incarnation: 3,
        purpose: Purpose::Command,
        destination: HERE,
        sequence: 41,
        created: DtnTime(850_000_000_000),
    }
}

fn directory() -> Directory {
    Directory::from_iter([(NodeId(1), keys().public().clone())])
}

fn refused(bytes: &[u8]) -> &'static str {
    open(bytes, &directory(), HERE).expect_err("the envelope is to be refused").reason()
}

/// An envelope with these protected headers, properly signed.
fn sealed_with(protected: &[u8]) -> Vec<u8> {
    let signature = keys().sign(&to_be_signed(protected, b"payload"));
    let mut out = vec![0xd2, 0x84];
    cbor::put_bytes(&mut out, protected);
    out.push(0xa0);
    cbor::put_bytes(&mut out, b"payload");
    cbor::put_bytes(&mut out, &signature);
    out
}

fn any_header() -> impl Strategy<Value = Header> {
    let purpose = prop::sample::select(&Purpose::ALL[..]);
    (1_u64.., any::<u32>(), purpose, any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(sender, incarnation, purpose, destination, sequence, created)| Header {
            sender: NodeId(sender),
            incarnation,
            purpose,
            destination: NodeId(destination),
            sequence,
            created: DtnTime(created),
        },
    )
}

#[test]
fn a_sealed_payload_is_opened_by_its_addressee_only() {
    let bytes = seal(&keys(), &header(), b"payload");
    assert_eq!(open(&bytes, &directory(), HERE), Ok(Opened { header: header(), payload: b"payload" }));
    let other = EnvelopeError::OtherDestination { destination: HERE };
    assert_eq!(open(&bytes, &directory(), NodeId(3)), Err(other));
    let unknown = EnvelopeError::UnknownSender { sender: NodeId(1) };
    assert_eq!(open(&bytes, &Directory::new(), HERE), Err(unknown));
}

#[test]
fn another_members_signature_is_refused() {
    let stranger = KeyPair::from_seed([8; 32]);
    let mut directory = directory();
    directory.insert(NodeId(9), stranger.public().clone());
    let bytes = seal(&stranger, &header(), b"payload");
    assert_eq!(open(&bytes, &directory, HERE), Err(EnvelopeError::BadSignature { sender: NodeId(1) }));
}

#[test]
fn an_envelope_adds_at_most_120_bytes_and_about_100_typically() {
    let greatest = Header {
        sender: NodeId(u64::from(u32::MAX)),
        incarnation: u32::MAX,
        purpose: Purpose::Acknowledgement,
        destination: NodeId(u64::from(u32::MAX)),
        sequence: u64::MAX,
        created: DtnTime(u64::MAX),
    };
    let large = vec![0; 1 << 17];
    assert_eq!(seal(&keys(), &greatest, &large).len() - large.len(), 120);
    let foreign = Header { sender: NodeId(u64::MAX), destination: NodeId(u64::MAX), ..greatest };
    assert_eq!(seal(&keys(), &foreign, &large).len() - large.len(), MAX_OVERHEAD);
    assert_eq!(seal(&keys(), &header(), &[0; 64]).len() - 64, 99);
}

#[test]
fn headers_outside_the_profile_are_refused() {
    let good = header().encode();
    assert_eq!(open(&sealed_with(&good), &directory(), HERE).map(|opened| opened.header), Ok(header()));
    // {1: -7, …}: ES256.
    let mut es256 = good.clone();
    es256[2] = 0x26;
    assert_eq!(refused(&sealed_with(&es256)), "wrong_algorithm");
    // {1: -8, 2: [4], …}: a critical header.
    let critical = [&[0xa4, 1, 0x27, 2, 0x81, 4][..], &good[3..]].concat();
    assert_eq!(refused(&sealed_with(&critical)), "unknown_critical");
    // {1: -8, 3: 0, …}: a content type.
    let content_type = [&[0xa4, 1, 0x27, 3, 0][..], &good[3..]].concat();
    assert_eq!(refused(&sealed_with(&content_type)), "unknown_header");
    let one_more = [&[0xa4][..], &good[1..], &[0x18, 99, 0]].concat();
    assert_eq!(refused(&sealed_with(&one_more)), "unknown_header");
    let trailing = [&good[..], &[0]].concat();
    assert_eq!(refused(&sealed_with(&trailing)), "trailing_bytes");
    assert_eq!(refused(&sealed_with(&[])), "truncated");
    // kid 1 as two bytes: a second name for the same node.
    let long_kid = [&good[..4], &[0x42, 0, 1], &good[6..]].concat();
    assert_eq!(refused(&sealed_with(&long_kid)), "malformed");
    // The incarnation is the first field: 3 in one byte, then in two.
    let long_field = [&good[..12], &[0x18, 3], &good[13..]].concat();
    assert_eq!(good[12], 3);
    assert_eq!(refused(&sealed_with(&long_field)), "non_canonical");
    let mut purpose = good.clone();
    purpose[13] = 23;
    assert_eq!(refused(&sealed_with(&purpose)), "unknown_purpose");
    purpose[13] = 0;
    assert_eq!(refused(&sealed_with(&purpose)), "unknown_purpose");
}

#[test]
fn every_other_form_of_the_same_message_is_refused() {
    let good = seal(&keys(), &header(), b"payload");
    assert_eq!(refused(&good[1..]), "malformed", "untagged");
    assert_eq!(refused(&[&[0xd8, 18][..], &good[1..]].concat()), "non_canonical", "long tag");
    assert_eq!(refused(&[&[0xd8, 98][..], &good[1..]].concat()), "malformed", "COSE_Sign");
    assert_eq!(refused(&[&good[..], &[0]].concat()), "trailing_bytes");
    let map = good.iter().position(|byte| *byte == 0xa0).unwrap();
    let unprotected = [&good[..map], &[0xa1, 4, 0x41, 1], &good[map + 1..]].concat();
    assert_eq!(refused(&unprotected), "unprotected_headers");
    let long_payload = [&good[..=map], &[0x58, 7], &good[map + 2..]].concat();
    assert_eq!(refused(&long_payload), "non_canonical");
    assert_eq!(refused(&vec![0xd2; MAX_ENVELOPE_LEN + 1]), "too_long");
}

/// A signature whose scalar is raised by the group's order verifies in lax implementations.
#[test]
fn a_malleated_signature_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = seal(&keys(), &header(), b"payload");
    let at = bytes.len() - 32;
    let mut carry = 0;
    for (byte, order) in bytes[at..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(refused(&bytes), "bad_signature");
}

#[test]
fn a_replayed_envelope_is_refused_and_a_forged_one_changes_nothing() {
    let mut window = ReplayWindow::default();
    let mut receive = |bytes: &[u8]| {
        let parsed = Parsed::parse(bytes)?;
        parsed.check_addressee(HERE)?;
        window.check(parsed.header())?;
        let opened = parsed.verify(&directory())?;
        window.commit(&opened.header)?;
        Ok::<_, EnvelopeError>(())
    };
    let forged = seal(&KeyPair::from_seed([8; 32]), &Header { sequence: 1 << 30, ..header() }, b"");
    assert_eq!(receive(&forged).map_err(|error| error.reason()), Err("bad_signature"));
    let bytes = seal(&keys(), &header(), b"payload");
    assert_eq!(receive(&bytes), Ok(()));
    assert_eq!(receive(&bytes), Err(EnvelopeError::Replay(ReplayError::Replayed { sequence: 41 })));
}

#[test]
fn a_signature_for_another_domain_is_refused() {
    let protected = header().encode();
    let mut other = to_be_signed(&protected, b"payload");
    let at = other.windows(DOMAIN.len()).position(|window| window == DOMAIN).unwrap();
    other[at + DOMAIN.len() - 1] = b'2';
    let mut bytes = sealed_with(&protected);
    let end = bytes.len();
    bytes[end - 64..].copy_from_slice(&keys().sign(&other));
    assert_eq!(refused(&bytes), "bad_signature");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn coset_reads_and_verifies_our_envelopes(header in any_header(), payload: Vec<u8>) {
        let bytes = seal(&keys(), &header, &payload);
        let theirs = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
        prop_assert_eq!(theirs.payload.as_ref(), Some(&payload));
        let protected = &theirs.protected.header;
        prop_assert_eq!(&protected.alg, &Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)));
        prop_assert_eq!(protected.rest.len(), 1);
        let verified = theirs.verify_signature(DOMAIN, |signature, message| {
            keys().public().verify(message, signature.try_into().unwrap()).then_some(()).ok_or(())
        });
        prop_assert_eq!(verified, Ok(()));
        prop_assert_eq!(theirs.to_tagged_vec().unwrap(), bytes);
    }

    #[test]
    fn we_open_cosets_envelopes(header in any_header(), payload: Vec<u8>) {
        let kid: Vec<u8> = header.sender.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        let fields = [
            u64::from(header.incarnation), u64::from(header.purpose.number()), header.destination.0, header.sequence,
            header.created.0,
        ];
        let fields = coset::cbor::Value::Array(fields.into_iter().map(coset::cbor::Value::from).collect());
        let protected = coset::HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .key_id(kid)
            .value(-65_537, fields)
            .build();
        prop_assert!(protected.clone().to_vec().is_ok());
        let bytes = coset::CoseSign1Builder::new()
            .protected(protected)
            .payload(payload.clone())
            .create_signature(DOMAIN, |message| keys().sign(message).to_vec())
            .build()
            .to_tagged_vec()
            .unwrap();
        prop_assert_eq!(&bytes, &seal(&keys(), &header, &payload));
        let directory = Directory::from_iter([(header.sender, keys().public().clone())]);
        let opened = open(&bytes, &directory, header.destination).unwrap();
        prop_assert_eq!(opened, Opened { header, payload: &payload });
    }

    #[test]
    fn one_flipped_bit_is_always_noticed(header in any_header(), position: prop::sample::Index, bit in 0..8_u8) {
        let directory = Directory::from_iter([(header.sender, keys().public().clone())]);
        let mut bytes = seal(&keys(), &header, b"payload");
        let at = position.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(open(&bytes, &directory, header.destination).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, edits: Vec<(prop::sample::Index, u8)>) {
        let _ = Parsed::parse(&bytes);
        let mut edited = seal(&keys(), &header(), b"payload");
        for (position, value) in edits {
            let at = position.index(edited.len());
            edited[at] = value;
        }
        let _ = Parsed::parse(&edited);
    }
}
