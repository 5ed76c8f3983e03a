use super::*;
use crate::{
    bpsec::{
        AadScope, AesVariant, Confidentiality, CoseProfile, Integrity, Key, KeyStore, KeyUse, Placement,
        ScopeFlags, ShaVariant, add_confidentiality, add_integrity, is_secured,
    },
    bundle::{BlockFlags, CreationTimestamp, HopCount, Primary, ReportReason, reassemble},
    id::NodeId,
    identity::{Directory, KeyPair},
    time::DtnTime,
};
use alloc::vec;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

const EXTRA: u64 = 2;
const DEMANDING: SecurityPolicy = SecurityPolicy {
    payload_integrity: true,
    primary_integrity: true,
    by_bundle_source: true,
    payload_confidentiality: false,
    refuse_confidentiality: false,
    refuse_unknown: true,
};

fn pair(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn directory() -> Directory {
    (1..4).map(|node| (NodeId(node), pair(node).public().clone())).collect()
}

fn plain() -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(9), sequence: 1 };
    let primary = Primary::new(NodeId(1).endpoint(1), NodeId(3).endpoint(1), creation, 1000);
    let mut bundle = Bundle::new(primary, b"measured here".to_vec());
    bundle.push_block(BlockKind(192), BlockFlags::default(), b"extra".to_vec());
    bundle
}

/// Signed by `node`, in its own name.
fn signed(node: u64, targets: &[u64]) -> Bundle {
    let mut bundle = plain();
    let (pair, scope) = (pair(node), AadScope::default());
    let profile = CoseProfile::new(&scope, &pair.public().as_bytes()[..8]);
    let service = Integrity::Sign1 { keys: &pair, profile };
    add_integrity(&mut bundle, targets, &NodeId(node).endpoint(0), &service, Placement::plain()).unwrap();
    bundle
}

#[test]
fn relays_change_what_is_theirs_and_every_hop_checks_the_signature() {
    let mut bundle = signed(1, &[1]);
    bundle.set_hop_count(HopCount { limit: 9, count: 0 });
    bundle.set_age_ms(0);
    for hop in 1..5_u64 {
        bundle.set_previous_node(&NodeId(hop).endpoint(0));
        bundle.set_hop_count(HopCount { limit: 9, count: hop });
        bundle.set_age_ms(1000 * hop);
        bundle = Bundle::decode(&bundle.encode()).unwrap();
        let before = bundle.clone();
        let verdict = process(&mut bundle, Role::Verifier, &DEMANDING, &directory());
        assert_eq!((verdict.result, verdict.findings.len()), (Ok(()), 1));
        // A verifier leaves the operation where it is (RFC 9172 §5.1.2).
        assert_eq!(bundle, before);
    }
    let mut forged = bundle.clone();
    forged.numbered_mut(1).unwrap().data[0] ^= 1;
    let verdict = process(&mut forged, Role::Verifier, &DEMANDING, &directory());
    assert_eq!(verdict.result, Err(BpsecError::Failed { target: 1 }));
    assert_eq!(process(&mut bundle, Role::Acceptor, &DEMANDING, &directory()).result, Ok(()));
    assert!(!is_secured(&bundle));
    assert_eq!(bundle.payload(), b"measured here");
}

#[test]
fn what_is_demanded_and_not_there_discards_the_bundle() {
    let judge = |mut bundle: Bundle| process(&mut bundle, Role::Verifier, &DEMANDING, &directory()).result;
    assert_eq!(judge(plain()), Err(BpsecError::Missing { target: 1 }));
    assert_eq!(judge(signed(1, &[EXTRA])), Err(BpsecError::Missing { target: 1 }));
    // Signed by another member in its own name: it does not speak for the source.
    assert_eq!(judge(signed(2, &[1])), Err(BpsecError::Missing { target: 1 }));
    // Signed by a stranger.
    assert_eq!(judge(signed(7, &[1])), Err(BpsecError::NoKey { target: 1 }));
    assert_eq!(judge(signed(1, &[1])), Ok(()));
    assert_eq!(judge(signed(1, &[0, 1])), Ok(()));
    let anyone = SecurityPolicy { by_bundle_source: false, ..DEMANDING };
    assert_eq!(process(&mut signed(2, &[1]), Role::Verifier, &anyone, &directory()).result, Ok(()));
    // The default demands nothing.
    let mut strange = signed(7, &[1]);
    assert_eq!(
        process(&mut strange, Role::Verifier, &SecurityPolicy::default(), &directory()).result,
        Ok(())
    );
}

#[test]
fn a_failed_operation_on_an_extension_block_removes_that_block_alone() {
    let mut bundle = signed(1, &[1, EXTRA]);
    bundle.numbered_mut(EXTRA).unwrap().data[0] ^= 1;
    let verdict = process(&mut bundle, Role::Verifier, &DEMANDING, &directory());
    assert_eq!((verdict.result, verdict.removed), (Ok(()), vec![EXTRA]));
    assert!(bundle.numbered(EXTRA).is_none());
    assert_eq!(process(&mut bundle, Role::Acceptor, &DEMANDING, &directory()).result, Ok(()));

    let mut keys = KeyStore::new();
    keys.insert_symmetric(NodeId(1).endpoint(0), KeyUse::Confidentiality, b"", &[2; 16]);
    let mut bundle = encrypted(&[1, EXTRA]);
    bundle.numbered_mut(EXTRA).unwrap().data[0] ^= 1;
    let verdict = process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &keys);
    assert_eq!((verdict.result, verdict.removed), (Ok(()), vec![EXTRA]));
    assert_eq!(bundle.payload(), b"measured here");
    let mut bundle = encrypted(&[1, EXTRA]);
    bundle.numbered_mut(1).unwrap().data[0] ^= 1;
    let verdict = process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &keys);
    assert_eq!(verdict.result, Err(BpsecError::Failed { target: 1 }));
}

fn encrypted(targets: &[u64]) -> Bundle {
    let mut bundle = plain();
    let service = Confidentiality::AesGcm {
        variant: AesVariant::A128Gcm,
        scope: ScopeFlags::ALL,
        key: Key::Shared(&[2; 16]),
    };
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let source = NodeId(1).endpoint(0);
    add_confidentiality(&mut bundle, targets, &source, &service, Placement::plain(), &mut rng).unwrap();
    bundle
}

#[test]
fn encryption_is_demanded_or_refused_as_the_policy_says() {
    let refusing = SecurityPolicy { refuse_confidentiality: true, ..SecurityPolicy::default() };
    let found = process(&mut encrypted(&[1]), Role::Verifier, &refusing, &directory()).result;
    assert_eq!(found, Err(BpsecError::Unexpected { block: 3 }));
    let demanding = SecurityPolicy { payload_confidentiality: true, ..SecurityPolicy::default() };
    let found = process(&mut plain(), Role::Acceptor, &demanding, &directory()).result;
    assert_eq!(found, Err(BpsecError::Missing { target: 1 }));
    // The destination must decrypt, a relay need not.
    let found = process(&mut encrypted(&[1]), Role::Acceptor, &demanding, &directory()).result;
    assert_eq!(found, Err(BpsecError::NoKey { target: 1 }));
    assert_eq!(process(&mut encrypted(&[1]), Role::Verifier, &demanding, &directory()).result, Ok(()));
}

#[test]
fn what_was_encrypted_is_judged_once_it_is_plain() {
    let mut keys = KeyStore::new();
    let source = NodeId(1).endpoint(0);
    keys.insert_symmetric(source.clone(), KeyUse::Confidentiality, b"", &[2; 16]);
    keys.insert_symmetric(source.clone(), KeyUse::Integrity, b"", &[3; 16]);
    let encrypt = |bundle: &mut Bundle, targets: &[u64]| {
        let service = Confidentiality::AesGcm {
            variant: AesVariant::A128Gcm,
            scope: ScopeFlags::NONE,
            key: Key::Shared(&[2; 16]),
        };
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let placement = Placement::plain();
        crate::bpsec::source::encrypt(bundle, targets, &source, &service, placement, &mut rng).unwrap();
    };
    // An age block whose plaintext is no age.
    let mut bundle = plain();
    bundle.set_age_ms(5);
    let age = bundle.block(BlockKind::BUNDLE_AGE).unwrap().number;
    bundle.numbered_mut(age).unwrap().data = vec![0xff];
    encrypt(&mut bundle, &[age]);
    let verdict = process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &keys);
    assert_eq!((verdict.result, verdict.removed), (Ok(()), vec![age]));
    // An integrity block that is encrypted without its target.
    let mut bundle = plain();
    let service = Integrity::HmacSha2 {
        variant: ShaVariant::Sha256,
        scope: ScopeFlags::NONE,
        key: Key::Shared(&[3; 16]),
    };
    let bib = add_integrity(&mut bundle, &[1], &source, &service, Placement::plain()).unwrap();
    encrypt(&mut bundle, &[bib]);
    let verdict = process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &keys);
    assert_eq!(verdict.result, Err(BpsecError::ForbiddenTarget { block: 4, target: bib }));
}

/// Signed by node 1 and encrypted by it, with COSE: one confidentiality block on integrity block and payload.
fn signed_and_encrypted(targets: &[u64]) -> (Bundle, KeyStore) {
    let mut bundle = signed(1, targets);
    let (scope, source) = (AadScope::default(), NodeId(1).endpoint(0));
    let service = Confidentiality::Encrypt0 { key: &[4; 16], profile: CoseProfile::new(&scope, b"k") };
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    add_confidentiality(&mut bundle, targets, &source, &service, Placement::plain(), &mut rng).unwrap();
    let mut keys = KeyStore::new();
    keys.insert_symmetric(source.clone(), KeyUse::Confidentiality, b"k", &[4; 16]);
    keys.insert_public(source, &pair(1).public().as_bytes()[..8], pair(1).public().clone());
    (bundle, keys)
}

#[test]
fn fragments_whose_integrity_block_is_in_the_first_pass_every_hop() {
    let (secured, keys) = signed_and_encrypted(&[1]);
    let mut parts = secured.fragment(5).unwrap();
    for part in &mut parts {
        for role in [Role::Verifier, Role::Acceptor] {
            let verdict = process(part, role, &DEMANDING, &keys);
            assert_eq!((verdict.result, verdict.deferred), (Ok(()), true));
        }
        part.set_hop_count(HopCount { limit: 9, count: 1 });
        *part = Bundle::decode(&part.encode()).unwrap();
    }
    assert!(parts[1].block(BlockKind::BLOCK_INTEGRITY).is_none(), "it is in the first");
    let mut whole = reassemble(&parts).unwrap();
    assert_eq!(process(&mut whole, Role::Acceptor, &DEMANDING, &keys).result, Ok(()));
    assert_eq!(whole.payload(), b"measured here");
}

#[test]
fn what_a_relay_discards_takes_its_operations_along() {
    for targets in [&[EXTRA, 1][..], &[EXTRA]] {
        let mut bundle = signed(1, targets);
        discard(&mut bundle, EXTRA);
        assert_eq!(crate::bpsec::check(&bundle), Ok(()));
        assert_eq!(is_secured(&bundle), targets.contains(&1));
    }
    // While it is encrypted, an integrity block cannot be changed: its acceptor finds what is gone.
    let (mut bundle, keys) = signed_and_encrypted(&[EXTRA, 1]);
    discard(&mut bundle, EXTRA);
    bundle = Bundle::decode(&bundle.encode()).unwrap();
    let relayed = process(&mut bundle, Role::Verifier, &SecurityPolicy::default(), &keys);
    assert_eq!(relayed.result, Ok(()));
    assert_eq!(process(&mut bundle, Role::Acceptor, &DEMANDING, &keys).result, Ok(()));
    assert_eq!(bundle.payload(), b"measured here");
    assert!(!is_secured(&bundle));
}

#[test]
fn every_refusal_has_the_report_reason_of_the_standard() {
    for (error, reason) in [
        (BpsecError::Missing { target: 1 }, ReportReason::MISSING_SECURITY_OPERATION),
        (BpsecError::UnknownContext { id: 9 }, ReportReason::UNKNOWN_SECURITY_OPERATION),
        (BpsecError::Unexpected { block: 3 }, ReportReason::UNEXPECTED_SECURITY_OPERATION),
        (BpsecError::Failed { target: 1 }, ReportReason::FAILED_SECURITY_OPERATION),
        (BpsecError::RepeatedOperation { target: 1 }, ReportReason::CONFLICTING_SECURITY_OPERATION),
        (BpsecError::NoTargets, ReportReason::UNINTELLIGIBLE_BLOCK),
    ] {
        assert_eq!(error.report_reason(), reason);
    }
    let codes = [
        ReportReason::MISSING_SECURITY_OPERATION,
        ReportReason::UNKNOWN_SECURITY_OPERATION,
        ReportReason::UNEXPECTED_SECURITY_OPERATION,
        ReportReason::FAILED_SECURITY_OPERATION,
        ReportReason::CONFLICTING_SECURITY_OPERATION,
    ];
    assert_eq!(codes.map(|reason| reason.0), [12, 13, 14, 15, 16]);
}

#[test]
fn nodes_are_the_same_by_number_or_by_name() {
    let endpoint = |text: &str| text.parse::<EndpointId>().unwrap();
    assert!(is_same_node(&endpoint("ipn:5.0"), &endpoint("ipn:5.7")));
    assert!(!is_same_node(&endpoint("ipn:5.0"), &endpoint("ipn:6.0")));
    assert!(is_same_node(&endpoint("dtn://src/"), &endpoint("dtn://src/svc")));
    assert!(!is_same_node(&endpoint("dtn://src/"), &endpoint("dtn://srx/")));
    assert!(!is_same_node(&endpoint("ipn:5.0"), &endpoint("dtn://src/")));
    assert!(!is_same_node(&EndpointId::Null, &EndpointId::Null));
}
