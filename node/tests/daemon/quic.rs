//! Sessions over QUIC, and who is refused one.

use super::place::{PATIENCE, Place, QUICK, clock, free, receive, send, wait_until};
use cosmosmesh_node::Client;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

fn listening(place: &Place, address: SocketAddr, peer: u64) -> Client {
    let peers = place.peer(peer, "Inbound");
    Client::of(place.daemon(2, &format!("listen: (quic: \"{address}\"), peers: [{peers}], {QUICK}")))
}

fn dialling(place: &Place, address: SocketAddr, node: u64) -> Client {
    let peers = place.peer(2, &format!("Quic(\"{address}\")"));
    Client::of(place.daemon(node, &format!("peers: [{peers}], {QUICK}")))
}

fn refused(at: &Client, door: &str, reason: &str) -> bool {
    at.metrics().expect("metrics").contains(&format!("door=\"{door}\",reason=\"{reason}\""))
}

#[test]
fn messages_cross_over_quic_both_ways_and_go_on_when_a_peer_is_back() {
    let (place, address) = (Place::new(), free());
    let two = listening(&place, address, 1);
    let one = dialling(&place, address, 1);
    for number in 0..100 {
        send(&one, 2, &format!("there {number} {}", "x".repeat(number * 300)));
        send(&two, 1, &format!("back {number}"));
    }
    for number in 0..100 {
        assert_eq!(receive(&two), format!("there {number} {}", "x".repeat(number * 300)));
        assert_eq!(receive(&one), format!("back {number}"));
    }
    assert!(one.peers().expect("peers")[0].via.starts_with("quic 127.0.0.1"));
    let metrics = two.metrics().expect("metrics");
    assert!(!metrics.contains("door=\"quic\"") && !metrics.contains("door=\"tcpcl\""), "{metrics}");
    two.shutdown().expect("it ends");
    wait_until("the contact ends", || one.peers().expect("peers")[0].links_up == 0);
    send(&one, 2, "kept for you");
    let two = listening(&place, address, 1);
    assert_eq!(receive(&two), "kept for you");
}

#[test]
fn a_key_that_is_not_configured_gets_no_session_over_quic() {
    let (place, address) = (Place::new(), free());
    // It expects node 1; node 3 comes.
    let two = listening(&place, address, 1);
    let three = dialling(&place, address, 3);
    send(&three, 2, "let me in");
    wait_until("its key is refused by name", || refused(&two, "quic", "unknown_key"));
    wait_until("it is told so", || refused(&three, "quic", "refused_by_peer"));
    assert!(two.receive(Duration::from_millis(300)).expect("an answer").is_none());
    assert!(two.peers().expect("peers").iter().all(|peer| peer.links_up == 0));
}

#[test]
fn a_listener_with_another_key_gets_nothing() {
    let (place, address) = (Place::new(), free());
    let other = Place::new();
    // Another node 2, who listens where ours should be.
    let peers = format!("(node: 1, did: \"{}\", via: Inbound),", place.did(1));
    let _impostor = other.daemon(2, &format!("listen: (quic: \"{address}\"), peers: [{peers}], {QUICK}"));
    let one = dialling(&place, address, 1);
    send(&one, 2, "for your eyes");
    wait_until("its key is refused by name", || refused(&one, "quic", "unknown_key"));
    assert_eq!(one.peers().expect("peers")[0].links_up, 0);
}

#[test]
fn a_member_that_says_it_is_another_gets_no_session_over_quic() {
    let (place, address) = (Place::new(), free());
    // Node 3 has a key that node 2 knows, and calls itself node 1.
    let peers = [place.peer(1, "Inbound"), place.peer(3, "Inbound")].concat();
    let two =
        Client::of(place.daemon(2, &format!("listen: (quic: \"{address}\"), peers: [{peers}], {QUICK}")));
    let liar = Place::new();
    std::fs::create_dir_all(liar.state(1)).expect("a folder");
    std::fs::copy(place.state(3).join("key"), liar.state(1).join("key")).expect("the key of node 3");
    let rest = format!("peers: [(node: 2, did: \"{}\", via: Quic(\"{address}\"))], {QUICK}", place.did(2));
    let _liar = liar.daemon(1, &rest);
    wait_until("the lie is refused", || refused(&two, "tcpcl", "another_peer"));
    assert!(two.peers().expect("peers").iter().all(|peer| peer.links_up == 0));
}

#[test]
fn garbage_and_floods_at_the_quic_port_harm_nobody() {
    let (place, address) = (Place::new(), free());
    let two = listening(&place, address, 1);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // No packets, and beginnings of handshakes that never go on (RFC 9000 §17.2.2), each as if of another connection.
    for number in 0..5000_u32 {
        let mut packet = vec![0xc3, 0, 0, 0, 1, 8];
        packet.extend_from_slice(&[number.to_be_bytes(), number.to_le_bytes()].concat());
        packet.extend_from_slice(&[0, 0, 0x44, 0xb0]);
        packet.resize(1200, (number % 251) as u8);
        let garbage = vec![(number % 256) as u8; (number % 1400) as usize + 1];
        let _ = socket.send_to(&packet, address);
        let _ = socket.send_to(&garbage, address);
    }
    let one = dialling(&place, address, 1);
    send(&one, 2, "through all that");
    assert_eq!(receive(&two), "through all that");
    // Nobody was begun a handshake with who has not shown to be where it says.
    assert_eq!(count(&two, "handshake"), 0);
}

/// How many handshakes were refused for a reason.
fn count(at: &Client, reason: &str) -> u64 {
    let metrics = at.metrics().expect("metrics");
    let line = format!("cosmosmesh_refused_total{{door=\"quic\",reason=\"{reason}\"}} ");
    metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

/// A QUIC peer of our own making, to misbehave.
pub(super) mod stranger {
    use quinn::{
        ClientConfig, Endpoint,
        crypto::rustls::QuicClientConfig,
        rustls::{self, DigitallySignedStruct, Error, SignatureScheme, client::danger},
    };
    use std::{net::SocketAddr, sync::Arc};

    /// Takes any server, once `wait` returns.
    struct Anybody<W>(W);

    impl<W> std::fmt::Debug for Anybody<W> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Anybody")
        }
    }

    impl<W: Fn() + Send + Sync> danger::ServerCertVerifier for Anybody<W> {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &rustls::pki_types::ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<danger::ServerCertVerified, Error> {
            (self.0)();
            Ok(danger::ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<danger::HandshakeSignatureValid, Error> {
            Ok(danger::HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<danger::HandshakeSignatureValid, Error> {
            Ok(danger::HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    }

    /// An endpoint that shows no certificate.
    pub(super) fn without_certificate(alpn: &[u8]) -> Endpoint {
        that_waits(alpn, || {})
    }

    /// The same; `wait` is called when it has seen the other's.
    pub(in super::super) fn that_waits(alpn: &[u8], wait: impl Fn() + Send + Sync + 'static) -> Endpoint {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(wait)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("it has the first suite");
        let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a socket");
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
        endpoint
    }
}

#[test]
fn who_shows_no_certificate_or_speaks_another_protocol_gets_no_session_over_quic() {
    let (place, address) = (Place::new(), free());
    let two = listening(&place, address, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = clock();
    for (alpn, why, before) in
        [(b"cosmosmesh-tcpcl4".as_slice(), "certificate", 0), (b"h3", "known protocol", 1)]
    {
        runtime.block_on(async {
            let endpoint = stranger::without_certificate(alpn);
            let connecting = endpoint.connect(address, "cosmosmesh").expect("an address");
            let error = match connecting.await {
                // For who shows nothing the handshake looks done, until the other side has judged it.
                Ok(connection) => {
                    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it is ended")
                }
                Err(error) => error,
            };
            assert!(error.to_string().contains(why), "{error}");
        });
        wait_until("it is counted", || count(&two, "handshake") == before + 1);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(two.peers().expect("peers").iter().all(|peer| peer.links_up == 0));
    let one = Arc::new(dialling(&place, address, 1));
    send(&one, 2, "after them");
    assert_eq!(receive(&two), "after them");
}
