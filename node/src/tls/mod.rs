//! TLS 1.3 with mutual authentication by the members' own Ed25519 keys: no authority, no names, no dates.
//!
//! A node's certificate is self-signed by its key. A peer is who it is by the key of its certificate, which must be one that the
//! configuration knows; that it holds the key, the handshake proves (RFC 8446 §4.4.3). What else a certificate says is not looked at.

mod certificate;
mod verifier;

use cosmosmesh_protocol::{
    id::NodeId,
    identity::{KeyPair, PublicKey},
};
use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, SignatureAlgorithm,
    SignatureScheme,
    pki_types::{CertificateDer, ServerName},
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use verifier::{Members, key_of};

/// Whether sessions are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Tls {
    /// Never.
    #[default]
    Refuse,
    /// With peers that offer it too. Who sits between two peers can make them do without.
    Allow,
    /// Always.
    Require,
}

/// What all sessions of a node share.
pub(crate) struct TlsSetup {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    members: Arc<Members>,
}

impl TlsSetup {
    /// For the holder of `keys`; peers are those of `members`.
    ///
    /// # Errors
    /// When the library lacks what TLS 1.3 needs.
    pub(crate) fn new(
        node: NodeId,
        keys: &KeyPair,
        members: impl IntoIterator<Item = (NodeId, PublicKey)>,
    ) -> Result<Self, rustls::Error> {
        let members = members.into_iter().map(|(node, key)| (*key.as_bytes(), node));
        let members = Arc::new(Members(members.collect::<BTreeMap<_, _>>()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from(certificate::self_signed(node, keys));
        let own = CertifiedKey::new(vec![certificate], Arc::new(OwnKey(keys.clone())));
        let own = Arc::new(SingleCertAndKey::from(own));
        let versions = &[&rustls::version::TLS13];
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(members.clone())
            .with_client_cert_resolver(own.clone());
        // A session resumed by a ticket would have shown no certificate.
        client.resumption = rustls::client::Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(members.clone())
            .with_cert_resolver(own);
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), members })
    }

    /// Begins a handshake as the side that connected to `address`.
    pub(crate) fn connect(&self, address: IpAddr) -> Result<Connection, rustls::Error> {
        let name = ServerName::IpAddress(address.into());
        Ok(ClientConnection::new(self.client.clone(), name)?.into())
    }

    /// Begins a handshake as the side that accepted the connection.
    pub(crate) fn accept(&self) -> Result<Connection, rustls::Error> {
        Ok(ServerConnection::new(self.server.clone())?.into())
    }

    /// Who is at the other end, once the handshake is done.
    pub(crate) fn peer(&self, connection: &Connection) -> Option<NodeId> {
        let certificate = connection.peer_certificates()?.first()?;
        self.members.holder(&key_of(certificate)?)
    }
}

/// The node's key as the library wants it.
#[derive(Clone, Debug)]
struct OwnKey(KeyPair);

impl SigningKey for OwnKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for OwnKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(node: u8) -> KeyPair {
        KeyPair::from_seed([node; 32])
    }

    fn setup(own: u8, known: &[u8]) -> TlsSetup {
        let members = known.iter().map(|node| (NodeId(u64::from(*node)), keys(*node).public().clone()));
        TlsSetup::new(NodeId(u64::from(own)), &keys(own), members).unwrap()
    }

    /// Moves bytes until nobody has any, and gives what each side says of the other.
    fn shake(one: &TlsSetup, other: &TlsSetup) -> Result<(Option<NodeId>, Option<NodeId>), rustls::Error> {
        let address: IpAddr = [127, 0, 0, 1].into();
        let (mut client, mut server) = (one.connect(address).unwrap(), other.accept().unwrap());
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
        Ok((one.peer(&client), other.peer(&server)))
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
        impl rustls::client::ResolvesClientCert for Nothing {
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
        for spoil in
            [|bytes: &mut Vec<u8>| bytes.truncate(40), |bytes: &mut Vec<u8>| *bytes = vec![0x30; 300]]
        {
            let mut bad = setup(1, &[2]);
            let mut bytes = certificate::self_signed(NodeId(1), &keys(1));
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
        let stolen = CertificateDer::from(certificate::self_signed(NodeId(1), &keys(1)));
        let own = CertifiedKey::new(vec![stolen], Arc::new(OwnKey(keys(9))));
        let mut client = (*thief.client).clone();
        client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        thief.client = Arc::new(client);
        assert!(shake(&thief, &setup(2, &[1])).is_err());
    }
}
