//! Secured bundles at a node that has no part in their security (RFC 9172 §5): it carries them on so that they hold for those who have.

use crate::bench::{Bench, LEFT, RIGHT, Setup, eid, foreign, keys};
use cosmosmesh_protocol::{
    bpsec::{
        AadScope, AesVariant, Confidentiality, CoseProfile, Integrity, Key, KeyStore, KeyUse, Placement,
        Role, ScopeFlags, SecurityPolicy, add_confidentiality, add_integrity, check, is_secured, process,
    },
    bundle::{BlockFlags, BlockKind, Bundle, HopCount, PAYLOAD_NUMBER, reassemble},
    node::{BundleSecurity, BundleSettings},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

const SECRET: [u8; 16] = [9; 16];
const HOPS: HopCount = HopCount { limit: 9, count: 2 };

fn sign(bundle: &mut Bundle, targets: &[u64]) {
    let (pair, scope) = (keys(LEFT), AadScope::default());
    let profile = CoseProfile::new(&scope, &pair.public().as_bytes()[..8]);
    let service = Integrity::Sign1 { keys: &pair, profile };
    add_integrity(bundle, targets, &eid("ipn:1.7"), &service, Placement::plain()).unwrap();
}

fn encrypt(bundle: &mut Bundle, targets: &[u64], service: &Confidentiality<'_>) {
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let source = eid("ipn:1.7");
    add_confidentiality(bundle, targets, &source, service, Placement::plain(), &mut rng).unwrap();
}

fn number(bundle: &Bundle, kind: BlockKind) -> u64 {
    bundle.block(kind).unwrap().number
}

/// A bundle for node 3 that tells its way to nobody but its destination.
fn discreet(payload: &[u8]) -> Bundle {
    let mut bundle = foreign("ipn:1.7", "ipn:3.42", 0, payload);
    bundle.set_hop_count(HOPS);
    bundle.set_age_ms(5000);
    bundle.set_previous_node(&eid("ipn:1.0"));
    let kinds = [BlockKind::HOP_COUNT, BlockKind::BUNDLE_AGE, BlockKind::PREVIOUS_NODE];
    let targets = kinds.map(|kind| number(&bundle, kind));
    let key = Key::Shared(&SECRET);
    let service = Confidentiality::AesGcm { variant: AesVariant::A128Gcm, scope: ScopeFlags::ALL, key };
    encrypt(&mut bundle, &targets, &service);
    bundle
}

/// What the destination finds.
fn opened(mut bundle: Bundle) -> Bundle {
    let mut store = KeyStore::new();
    store.insert_symmetric(eid("ipn:1.7"), KeyUse::Confidentiality, b"", &SECRET);
    let verdict = process(&mut bundle, Role::Acceptor, &SecurityPolicy::default(), &store);
    assert_eq!((verdict.result, verdict.removed), (Ok(()), vec![]));
    assert!(!is_secured(&bundle));
    bundle
}

#[test]
fn encrypted_blocks_go_through_a_relay_untouched() {
    for security in [None, Some(BundleSecurity { sign: false, policy: SecurityPolicy::default() })] {
        let mut bench = Bench::with(Setup { security, ..Setup::default() });
        bench.hear(LEFT, &discreet(b"x")).unwrap();
        let sent = bench.sent(RIGHT).remove(0);
        assert_eq!(check(&sent), Ok(()));
        // RFC 9171 §5.4: the Previous Node block goes in any form, and ours comes.
        assert_eq!(sent.previous_node(), Some(eid("ipn:2.0")));
        let opened = opened(sent);
        assert_eq!((opened.hop_count(), opened.age_ms()), (Some(HOPS), Some(5000)));
    }
}

#[test]
fn encrypted_blocks_go_into_the_first_fragment_untouched() {
    let settings = BundleSettings { min_fragment: Some(64), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let payload: Vec<u8> = (0..20_000_u32).map(|byte| byte as u8).collect();
    bench.hear(LEFT, &discreet(&payload)).unwrap();
    bench.setup.contact_s = 1;
    bench.link_up(RIGHT);
    let mut parts = bench.sent(RIGHT);
    bench.setup.contact_s = 1_000_000;
    bench.link_up(RIGHT);
    parts.extend(bench.sent(RIGHT));
    assert!(parts.len() > 1);
    // The parts behind the first have the way in the clear: there is nothing of it that was encrypted.
    assert!(parts[1..].iter().all(|part| part.hop_count().is_some()));
    let opened = opened(reassemble(&parts).unwrap());
    assert_eq!(
        (opened.hop_count(), opened.age_ms(), opened.payload()),
        (Some(HOPS), Some(5000), &payload[..])
    );
}

#[test]
fn a_discarded_block_leaves_no_security_operation_behind() {
    for encrypted in [false, true] {
        let mut bundle = foreign("ipn:1.7", "ipn:3.42", 0, b"x");
        let strange = bundle.push_block(BlockKind(200), BlockFlags::DISCARD_IF_UNPROCESSED, vec![1, 2, 3]);
        if encrypted {
            let key = Key::Shared(&SECRET);
            let service =
                Confidentiality::AesGcm { variant: AesVariant::A128Gcm, scope: ScopeFlags::ALL, key };
            encrypt(&mut bundle, &[strange], &service);
            sign(&mut bundle, &[PAYLOAD_NUMBER]);
        } else {
            sign(&mut bundle, &[strange, PAYLOAD_NUMBER]);
        }
        let mut relay = Bench::new();
        relay.hear(LEFT, &bundle).unwrap();
        let sent = relay.sent(RIGHT).remove(0);
        assert_eq!((sent.block(BlockKind(200)), check(&sent)), (None, Ok(())));
        assert!(sent.block(BlockKind::BLOCK_CONFIDENTIALITY).is_none(), "it had no other target");
        let security = Some(BundleSecurity::hop_by_hop());
        let mut next = Bench::with(Setup { id: RIGHT, security, ..Setup::default() });
        next.hear(2, &sent).unwrap();
        assert_eq!(next.payloads(), [b"x"]);
    }
}

#[test]
fn fragments_of_a_signed_and_encrypted_bundle_pass_a_relay_that_checks() {
    let mut bundle = foreign("ipn:1.7", "ipn:3.42", 0, &[7; 300]);
    sign(&mut bundle, &[PAYLOAD_NUMBER]);
    let scope = AadScope::default();
    let profile = CoseProfile::new(&scope, b"k");
    encrypt(&mut bundle, &[PAYLOAD_NUMBER], &Confidentiality::Encrypt0 { key: &SECRET, profile });
    let parts = bundle.fragment(100).unwrap();
    let security = Some(BundleSecurity::hop_by_hop());
    let mut bench = Bench::with(Setup { security, ..Setup::default() });
    parts.iter().for_each(|part| bench.hear(LEFT, part).unwrap());
    let sent = bench.sent(RIGHT);
    assert_eq!((sent.len(), parts.len()), (4, 4));
    assert_eq!(reassemble(&sent).unwrap().payload(), reassemble(&parts).unwrap().payload());
}
