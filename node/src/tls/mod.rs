//! TLS 1.3 with mutual authentication by the members' own Ed25519 keys.
//!
//! A node's certificate is self-signed by its key; that it holds the key, the handshake proves (RFC 8446 §4.4.3). A peer is who it is by that
//! key. Without an authority it must be one that the configuration knows. With one, the authority must have certified it for that peer (a CWT),
//! as far as is known here or as the peer shows: its TLS certificate carries what the authority says of its key. Names, dates and issuers of the
//! TLS certificate itself are not looked at.

mod certificate;
mod verifier;

use crate::{
    clock::Clock,
    credential::{MAX_PACKED, pack},
};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{KeyPair, Keyring, PublicKey, Statement},
};
use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, SignatureAlgorithm,
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, ServerName},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use verifier::{Members, key_of, shown};
pub(crate) use verifier::{Stranger, Watched};

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
    node: NodeId,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    members: Arc<Members>,
    own: Arc<Own>,
}

/// Who a peer is, as a handshake has shown.
pub(crate) struct Proven {
    pub(crate) node: NodeId,
    /// What it has shown of what the authority says.
    pub(crate) shown: Vec<Statement>,
    certificate: CertificateDer<'static>,
}

/// The protocol's name in handshakes of QUIC (RFC 7301): TCPCLv4 over one stream.
#[cfg(feature = "quic")]
const QUIC_PROTOCOL: &[u8] = b"cosmosmesh-tcpcl4";

fn client_config(judge: Arc<Watched>, own: Arc<Own>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_cert_resolver(own);
    // A session resumed by a ticket would have shown no certificate.
    client.resumption = rustls::client::Resumption::disabled();
    Ok(client)
}

fn server_config(judge: Arc<Watched>, own: Arc<Own>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(judge)
        .with_cert_resolver(own);
    server.send_tls13_tickets = 0;
    Ok(server)
}

impl TlsSetup {
    /// For the holder of `keys`; peers are those of `members`, with what the authority says of them in `keyring`, if there is one.
    ///
    /// # Errors
    /// When the library lacks what TLS 1.3 needs.
    pub(crate) fn new(
        node: NodeId,
        keys: &KeyPair,
        members: impl IntoIterator<Item = (NodeId, PublicKey)>,
        keyring: Option<(&Keyring, Clock)>,
    ) -> Result<Self, rustls::Error> {
        let configured = members.into_iter().map(|(node, key)| (*key.as_bytes(), node)).collect();
        let credential = keyring.as_ref().map_or_else(Vec::new, |(keyring, _)| own_credential(node, keyring));
        let authority = keyring.map(|(keyring, clock)| (Mutex::new(keyring.clone()), clock));
        let members = Arc::new(Members::new(configured, authority));
        let own = Arc::new(Own::new(node, keys.clone(), credential));
        let judge = Arc::new(Watched::new(members.clone()));
        let client = Arc::new(client_config(judge.clone(), own.clone())?);
        let server = Arc::new(server_config(judge, own.clone())?);
        Ok(Self { node, client, server, members, own })
    }

    /// For one handshake of QUIC as the side that connects, and what tells afterwards why the peer was refused.
    #[cfg(feature = "quic")]
    pub(crate) fn quic_client(&self) -> Result<(ClientConfig, Arc<Watched>), rustls::Error> {
        let judge = Arc::new(Watched::new(self.members.clone()));
        let mut client = client_config(judge.clone(), self.own.clone())?;
        client.alpn_protocols = vec![QUIC_PROTOCOL.to_vec()];
        Ok((client, judge))
    }

    /// The same as the side that is connected to.
    #[cfg(feature = "quic")]
    pub(crate) fn quic_server(&self) -> Result<(ServerConfig, Arc<Watched>), rustls::Error> {
        let judge = Arc::new(Watched::new(self.members.clone()));
        let mut server = server_config(judge.clone(), self.own.clone())?;
        server.alpn_protocols = vec![QUIC_PROTOCOL.to_vec()];
        Ok((server, judge))
    }

    /// Who the peer of a handshake of QUIC is.
    ///
    /// # Errors
    /// Why it should have no session.
    #[cfg(feature = "quic")]
    pub(crate) fn proven(&self, identity: Option<Box<dyn std::any::Any>>) -> Result<Proven, Stranger> {
        let chain = identity.and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = chain.and_then(|chain| chain.first().cloned()).ok_or(Stranger::Malformed)?;
        let (node, shown) = self.judge(&certificate)?;
        Ok(Proven { node, shown, certificate })
    }

    /// Whether who was proven may still have its session, as of now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn holds(&self, proven: &Proven) -> Result<(), Stranger> {
        self.judge(&proven.certificate).map(drop)
    }

    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(NodeId, Vec<Statement>), Stranger> {
        let key = key_of(certificate).ok_or(Stranger::Malformed)?;
        let statements = shown(certificate);
        Ok((self.members.holder(&key, &statements)?, statements))
    }

    /// The node may have learned what the authority says: peers are judged by it, and this node's own certificate shows it.
    pub(crate) fn learn(&self, keyring: &Keyring) {
        self.members.learn(keyring);
        self.own.show(own_credential(self.node, keyring));
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

    /// Who is at the other end, once the handshake is done, as of now; and what it shows of what the authority says.
    ///
    /// # Errors
    /// Why it should have no session, or no longer.
    pub(crate) fn peer(&self, connection: &Connection) -> Result<(NodeId, Vec<Statement>), Stranger> {
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        self.judge(certificate.ok_or(Stranger::Malformed)?)
    }
}

/// What the authority says of a node's own key.
fn own_credential(node: NodeId, keyring: &Keyring) -> Vec<u8> {
    let packed = pack(&keyring.credentials(node));
    // A line of successions that is too long is left out: peers learn it over the mesh.
    if packed.len() <= MAX_PACKED { packed } else { Vec::new() }
}

/// Why a handshake failed, in a sentence.
pub(crate) fn why(error: &rustls::Error) -> String {
    verifier::stranger(error).map_or_else(|| error.to_string(), |stranger| stranger.to_string())
}

/// Why a handshake failed: a stable word.
pub(crate) fn reason(error: &rustls::Error) -> &'static str {
    match error {
        error if verifier::stranger(error).is_some() => {
            verifier::stranger(error).map_or("certificate", |stranger| stranger.reason())
        }
        rustls::Error::InvalidCertificate(_) => "certificate",
        rustls::Error::NoCertificatesPresented => "no_certificate",
        rustls::Error::AlertReceived(_) => "refused_by_peer",
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => "not_tls",
        rustls::Error::DecryptError => "decrypt",
        _ => "handshake",
    }
}

/// This node's certificate, made anew when the authority says something else of its key.
#[derive(Debug)]
struct Own {
    node: NodeId,
    keys: KeyPair,
    current: Mutex<(Vec<u8>, Arc<CertifiedKey>)>,
}

impl Own {
    fn new(node: NodeId, keys: KeyPair, credential: Vec<u8>) -> Self {
        let made = Arc::new(certified(node, &keys, &credential));
        Self { node, keys, current: Mutex::new((credential, made)) }
    }

    fn show(&self, credential: Vec<u8>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != credential {
            let made = certified(self.node, &self.keys, &credential);
            *current = (credential, Arc::new(made));
        }
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

fn certified(node: NodeId, keys: &KeyPair, credential: &[u8]) -> CertifiedKey {
    let certificate = CertificateDer::from(certificate::self_signed(node, keys, credential));
    CertifiedKey::new(vec![certificate], Arc::new(OwnKey(keys.clone())))
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
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
mod tests;
