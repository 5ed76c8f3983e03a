//! Handshakes between two setups, by hand.

use super::*;
use cosmosmesh_protocol::{
    identity::{Cause, Certificate, KeyId, RevocationList, Revoked, Role, Scope, TimeRule},
    time::DtnTime,
};
use rustls::sign::SingleCertAndKey;
use std::time::Duration;

fn keys(node: u8) -> KeyPair {
    KeyPair::from_seed([node; 32])
}

fn setup(own: u8, known: &[u8]) -> TlsSetup {
    let members = known.iter().map(|node| (NodeId(u64::from(*node)), keys(*node).public().clone()));
    TlsSetup::new(NodeId(u64::from(own)), &keys(own), members, None).unwrap()
}

/// Moves bytes until nobody has any, and gives what each side says of the other.
fn shake(one: &TlsSetup, other: &TlsSetup) -> Result<(Option<NodeId>, Option<NodeId>), rustls::Error> {
    let address: IpAddr = [127, 0, 0, 1].into();
    let (mut client, mut server) = (one.connect(address).unwrap(), other.accept().unwrap());
    exchange(&mut client, &mut server)?;
    let who = |setup: &TlsSetup, tls: &Connection| setup.peer(tls).ok().map(|(node, _)| node);
    Ok((who(one, &client), who(other, &server)))
}

fn exchange(client: &mut Connection, server: &mut Connection) -> Result<(), rustls::Error> {
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

#[test]
fn two_members_know_each_other_by_their_keys() {
    let found = shake(&setup(1, &[2, 3]), &setup(2, &[1])).unwrap();
    assert_eq!(found, (Some(NodeId(2)), Some(NodeId(1))));
}

#[test]
fn a_key_that_nobody_knows_is_refused_on_either_side() {
    assert!(shake(&setup(1, &[2]), &setup(2, &[3])).is_err());
    assert!(shake(&setup(1, &[3]), &setup(2, &[1])).is_err());
}

#[test]
fn who_shows_no_certificate_is_refused() {
    #[derive(Debug)]
    struct Nothing;
    impl ResolvesClientCert for Nothing {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            None
        }
        fn has_certs(&self) -> bool {
            false
        }
    }
    let mut shy = setup(1, &[2]);
    let mut client = (*shy.client).clone();
    client.client_auth_cert_resolver = Arc::new(Nothing);
    shy.client = Arc::new(client);
    let refused = shake(&shy, &setup(2, &[1])).expect_err("a certificate is asked for");
    assert_eq!(refused, rustls::Error::NoCertificatesPresented);
}

#[test]
fn a_certificate_that_was_changed_or_is_none_is_refused() {
    for spoil in [|bytes: &mut Vec<u8>| bytes.truncate(40), |bytes: &mut Vec<u8>| *bytes = vec![0x30; 300]] {
        let mut bad = setup(1, &[2]);
        let mut bytes = certificate::self_signed(NodeId(1), &keys(1), &[]);
        spoil(&mut bytes);
        let own = CertifiedKey::new(vec![CertificateDer::from(bytes)], Arc::new(OwnKey(keys(1))));
        let mut client = (*bad.client).clone();
        client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        bad.client = Arc::new(client);
        assert!(shake(&bad, &setup(2, &[1])).is_err());
    }
}

#[test]
fn a_certificate_of_another_is_worth_nothing_without_its_key() {
    let mut thief = setup(9, &[2]);
    let stolen = CertificateDer::from(certificate::self_signed(NodeId(1), &keys(1), &[]));
    let own = CertifiedKey::new(vec![stolen], Arc::new(OwnKey(keys(9))));
    let mut client = (*thief.client).clone();
    client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
    thief.client = Arc::new(client);
    assert!(shake(&thief, &setup(2, &[1])).is_err());
}

#[test]
fn a_certificate_that_is_shown_without_its_key_costs_no_copy_of_what_the_authority_says() {
    let (first, second) = (certificate_for(1, 1, 48, &authority()), certificate_for(2, 2, 48, &authority()));
    let two = certified_setup(2, &[1], std::slice::from_ref(&second));
    let copies = || two.members.copies.load(std::sync::atomic::Ordering::Relaxed);
    let as_one = |holder: u8| {
        let members = [(NodeId(2), keys(2).public().clone())];
        let mut one = TlsSetup::new(NodeId(1), &keys(holder), members, None).unwrap();
        let shown = certificate::self_signed(NodeId(1), &keys(1), &pack(std::slice::from_ref(&first)));
        let own = CertifiedKey::new(vec![CertificateDer::from(shown)], Arc::new(OwnKey(keys(holder))));
        let mut client = (*one.client).clone();
        client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        one.client = Arc::new(client);
        shake(&one, &two).map(|found| found.1)
    };
    for _ in 0..3 {
        assert_eq!(as_one(9), Err(rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)));
    }
    assert_eq!(copies(), 0);
    assert_eq!(as_one(1), Ok(Some(NodeId(1))));
    assert!(copies() > 0, "who has its key is judged by all that it shows");
}

/// The authority's key.
fn authority() -> KeyPair {
    KeyPair::from_seed([200; 32])
}

fn clock() -> Clock {
    Clock::start(Duration::from_secs(1), None)
}

/// A certificate of a node for the key of `holder`, from an hour ago on for `hours`.
fn certificate_for(node: u8, holder: u8, hours: u64, issuer: &KeyPair) -> Statement {
    let now = clock().civil().expect("a clock").utc.0;
    let not_before = now - 3_600_000 - hours.min(1) * 3_600_000;
    let certificate = Certificate {
        subject: NodeId(u64::from(node)),
        key: keys(holder).public().clone(),
        role: Role::Operator,
        scope: Scope::everything(),
        not_before: DtnTime(not_before),
        expires: DtnTime(not_before + hours.max(1) * 3_600_000),
    };
    Statement::Certificate(certificate.issue(issuer))
}

fn keyring(statements: &[Statement]) -> Keyring {
    let rule = TimeRule { grace: Duration::ZERO, ..TimeRule::default() };
    let mut keyring = Keyring::new(authority().public().clone(), rule, 8);
    for statement in statements {
        keyring.learn(statement, cosmosmesh_protocol::identity::Clock::Unknown).expect("it holds");
    }
    keyring
}

/// A setup with an authority: the configured keys are all wrong, so that they cannot be what lets anybody in.
fn certified_setup(own: u8, known: &[u8], statements: &[Statement]) -> TlsSetup {
    let members = known.iter().map(|node| (NodeId(u64::from(*node)), keys(node + 100).public().clone()));
    let keyring = keyring(statements);
    TlsSetup::new(NodeId(u64::from(own)), &keys(own), members, Some((&keyring, clock()))).unwrap()
}

fn word(refused: &rustls::Error) -> &'static str {
    reason(refused)
}

#[test]
fn two_that_the_authority_has_certified_know_each_other_by_what_they_show() {
    let (first, second) = (certificate_for(1, 1, 48, &authority()), certificate_for(2, 2, 48, &authority()));
    let one = certified_setup(1, &[2], std::slice::from_ref(&first));
    let two = certified_setup(2, &[1], std::slice::from_ref(&second));
    assert_eq!(shake(&one, &two).unwrap(), (Some(NodeId(2)), Some(NodeId(1))));
    let both = [first, second];
    let (one, two) = (certified_setup(1, &[2], &both), certified_setup(2, &[1], &both));
    assert_eq!(shake(&one, &two).unwrap(), (Some(NodeId(2)), Some(NodeId(1))), "known before");
}

#[test]
fn who_has_no_word_of_the_authority_is_refused_by_name() {
    let two = || certified_setup(2, &[1], &[certificate_for(2, 2, 48, &authority())]);
    let refused = |statements: &[Statement]| {
        // The peer trusts everybody, so that it is not the one who ends it.
        let members = [(NodeId(2), keys(2).public().clone())];
        let mut peer = TlsSetup::new(NodeId(1), &keys(1), members, None).unwrap();
        peer.own = Arc::new(Own::new(NodeId(1), keys(1), pack(statements)));
        let mut client = (*peer.client).clone();
        client.client_auth_cert_resolver = peer.own.clone();
        peer.client = Arc::new(client);
        shake(&peer, &two()).map(|found| found.1).map_err(|error| word(&error))
    };
    assert_eq!(refused(&[certificate_for(1, 1, 48, &authority())]), Ok(Some(NodeId(1))));
    assert_eq!(refused(&[]), Err("unknown_key"), "the key alone, though it may be configured");
    assert_eq!(refused(&[certificate_for(1, 1, 48, &keys(9))]), Err("other_authority"));
    assert_eq!(
        refused(&[certificate_for(1, 3, 48, &authority())]),
        Err("unknown_key"),
        "another's certificate"
    );
    assert_eq!(refused(&[certificate_for(7, 1, 48, &authority())]), Err("no_peer"));
    assert_eq!(refused(&[Statement::Certificate(vec![1, 2, 3])]), Err("certificate_malformed"));
}

#[test]
fn who_is_expired_beyond_grace_or_taken_back_is_refused_by_name_and_no_longer_let_be() {
    let ended = certificate_for(1, 1, 1, &authority());
    let good = certificate_for(1, 1, 48, &authority());
    let now = clock().civil().expect("a clock").utc;
    let list = |cause: Option<Cause>| {
        let keys = cause.map(|cause| {
            ((NodeId(1), KeyId::of(keys(1).public())), Revoked { since: DtnTime(now.0 - 1000), cause })
        });
        let list =
            RevocationList { version: 1, issued: DtnTime(now.0 - 1000), keys: keys.into_iter().collect() };
        Statement::Revocations(list.issue(&authority()))
    };
    let second = certificate_for(2, 2, 48, &authority());
    let meet = |shown: &Statement, statements: &[Statement]| {
        let one = certified_setup(1, &[2], std::slice::from_ref(shown));
        let two = certified_setup(2, &[1], &[std::slice::from_ref(&second), statements].concat());
        shake(&one, &two).map(|found| found.1).map_err(|error| word(&error))
    };
    assert_eq!(meet(&good, &[list(None)]), Ok(Some(NodeId(1))));
    // The authority has said something since: nobody can say any more that the renewal may be on its way.
    assert_eq!(meet(&ended, &[list(None)]), Err("certificate_expired"));
    assert_eq!(meet(&good, &[list(Some(Cause::Compromised))]), Err("key_compromised"));
    assert_eq!(meet(&good, &[list(Some(Cause::Superseded))]), Err("key_superseded"));
    assert_eq!(meet(&good, &[good.clone(), list(Some(Cause::Blocked))]), Err("key_blocked"));

    // A session that is there is judged by what comes to be known.
    let one = certified_setup(1, &[2], std::slice::from_ref(&good));
    let two = certified_setup(2, &[1], std::slice::from_ref(&second));
    let address: IpAddr = [127, 0, 0, 1].into();
    let (mut client, mut server) = (one.connect(address).unwrap(), two.accept().unwrap());
    exchange(&mut client, &mut server).unwrap();
    assert_eq!(two.peer(&server).map(|(node, shown)| (node, shown.len())), Ok((NodeId(1), 1)));
    two.learn(&keyring(&[second, good, list(Some(Cause::Compromised))]));
    assert_eq!(two.peer(&server).map_err(|stranger| stranger.reason()), Err("key_compromised"));
}

#[test]
fn a_renewal_is_shown_as_soon_as_it_is_known() {
    let one = certified_setup(1, &[2], &[]);
    let two = certified_setup(2, &[1], &[certificate_for(2, 2, 48, &authority())]);
    assert_eq!(shake(&one, &two).map_err(|error| word(&error)), Err("unknown_key"));
    one.learn(&keyring(&[certificate_for(1, 1, 48, &authority())]));
    assert_eq!(shake(&one, &two).unwrap(), (Some(NodeId(2)), Some(NodeId(1))));
}
