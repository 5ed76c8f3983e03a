//! Who may be at the other end: the members, by the keys of their certificates, and by what the fleet's authority says of those keys.

use super::certificate::credential;
use crate::{clock::Clock, credential::unpack};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Certificate, KeyId, Keyring, PublicKey, SIGNATURE_LEN, Statement, TrustError},
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What comes before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 §4).
pub(super) const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key gets no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
    /// The key is nobody's that is known.
    #[error("the key is nobody's that is known here")]
    UnknownKey,
    /// The authority's word for the key is of somebody who is no peer here.
    #[error("node {node} is no peer here")]
    NoPeer {
        /// Whose the key is.
        node: NodeId,
    },
    /// The authority says of the key what makes it worthless, or nothing that holds.
    #[error(transparent)]
    Trust(TrustError),
}

impl Stranger {
    /// A stable word.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "certificate_malformed",
            Self::UnknownKey => "unknown_key",
            Self::NoPeer { .. } => "no_peer",
            Self::Trust(error) => error.reason(),
        }
    }
}

/// The members.
#[derive(Debug)]
pub(super) struct Members {
    /// Those of the configuration, by their keys.
    configured: BTreeMap<[u8; 32], NodeId>,
    /// What the authority says, where there is one: then it alone tells which key is whose.
    authority: Option<(Mutex<Keyring>, Clock)>,
    /// How often what is known of everybody was copied.
    #[cfg(test)]
    pub(super) copies: std::sync::atomic::AtomicUsize,
}

/// The Ed25519 key of a certificate.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let info = parsed.subject_public_key_info();
    let key = info.as_ref().strip_prefix(&SPKI_PREFIX)?;
    PublicKey::from_bytes(key.try_into().ok()?).ok()
}

/// What the holder of a certificate shows of what the authority says.
pub(super) fn shown(certificate: &CertificateDer<'_>) -> Vec<Statement> {
    credential(certificate).and_then(unpack).unwrap_or_default()
}

fn lock(keyring: &Mutex<Keyring>) -> MutexGuard<'_, Keyring> {
    keyring.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Members {
    pub(super) const fn new(
        configured: BTreeMap<[u8; 32], NodeId>,
        authority: Option<(Mutex<Keyring>, Clock)>,
    ) -> Self {
        Self {
            configured,
            authority,
            #[cfg(test)]
            copies: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// The node has learned something.
    pub(super) fn learn(&self, keyring: &Keyring) {
        if let Some((known, _)) = &self.authority {
            lock(known).clone_from(keyring);
        }
    }

    /// Whose key it is, as of now. The one place that says who may have a session: the configuration's keys, or, with an authority, the keys
    /// that it has certified, by what is known here and by what the peer shows of it.
    ///
    /// Of a peer that is known by what it shows, all that is known is copied: it is asked for who has shown that the key is its own.
    pub(super) fn holder(&self, key: &PublicKey, shown: &[Statement]) -> Result<NodeId, Stranger> {
        let (node, known, clock) = match self.claimant(key, shown)? {
            Claimant::Known(node) => return Ok(node),
            Claimant::Shown { node, known, clock } => (node, known, clock),
        };
        let now = known.rule().clock(clock.civil(), clock.now());
        #[cfg(test)]
        self.copies.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // What a peer shows counts for its own session; the node itself learns it when the session is there.
        let mut keyring = known.clone();
        drop(known);
        for statement in shown {
            match keyring.learn(statement, now) {
                Ok(_) | Err(TrustError::Stale) => {}
                Err(error) => return Err(Stranger::Trust(error)),
            }
        }
        if keyring.key(node) == Some(key) {
            standing(&keyring, clock, node, key)
        } else {
            // An earlier key of that node, or one that its certificate does not name.
            Err(Stranger::UnknownKey)
        }
    }

    /// Whose key it is said to be, as far as that costs a look at a signature and no copy of what is known of everybody: anybody may show the certificate of
    /// another, which is no secret.
    fn claimant(&self, key: &PublicKey, shown: &[Statement]) -> Result<Claimant<'_>, Stranger> {
        let Some((known, clock)) = &self.authority else {
            let holder = self.configured.get(key.as_bytes()).copied();
            return holder.map(Claimant::Known).ok_or(Stranger::UnknownKey);
        };
        let known = lock(known);
        let mut peers = self.configured.values().copied();
        if let Some(node) = peers.find(|node| known.key(*node) == Some(key)) {
            return standing(&known, clock, node, key).map(Claimant::Known);
        }
        let Some(Statement::Certificate(first)) = shown.first() else { return Err(Stranger::UnknownKey) };
        let node = Certificate::claimed_subject(first).ok_or(Stranger::Malformed)?;
        if !self.configured.values().any(|peer| *peer == node) {
            return Err(Stranger::NoPeer { node });
        }
        let now = known.rule().clock(clock.civil(), clock.now());
        known.open_certificate(first, now).map_err(Stranger::Trust)?;
        Ok(Claimant::Shown { node, known, clock })
    }
}

/// Whose key one is said to be.
enum Claimant<'a> {
    /// It is known here, and holds.
    Known(NodeId),
    /// The peer shows it, with a certificate that the authority has signed.
    Shown { node: NodeId, known: MutexGuard<'a, Keyring>, clock: &'a Clock },
}

/// Judges the peers of handshakes, and remembers why it refused one last: where a library hides that.
#[derive(Debug)]
pub(crate) struct Watched {
    members: Arc<Members>,
    found: Mutex<Option<Stranger>>,
}

impl Watched {
    pub(super) const fn new(members: Arc<Members>) -> Self {
        Self { members, found: Mutex::new(None) }
    }

    /// Why it refused a peer last.
    #[cfg(feature = "quic")]
    pub(crate) fn found(&self) -> Option<Stranger> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a certificate that anybody may show.
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let key = key_of(certificate).ok_or(Stranger::Malformed);
        self.judged(key.and_then(|key| self.members.claimant(&key, &shown(certificate)).map(drop)))
    }

    /// Judges the holder of a certificate's key, who has signed the handshake with it.
    fn check_holder(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = check_signature(message, certificate, signed)?;
        let key = key_of(certificate).ok_or(Stranger::Malformed);
        self.judged(key.and_then(|key| self.members.holder(&key, &shown(certificate)).map(drop)))?;
        Ok(valid)
    }

    fn judged(&self, judged: Result<(), Stranger>) -> Result<(), Error> {
        judged.map_err(|stranger| {
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(stranger);
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
        })
    }
}

/// The node, if the authority's word for it holds now.
fn standing(keyring: &Keyring, clock: &Clock, node: NodeId, key: &PublicKey) -> Result<NodeId, Stranger> {
    let now = keyring.rule().clock(clock.civil(), clock.now());
    let speaker = keyring.speaker(node, now).map_err(Stranger::Trust)?;
    // A key that another took the place of may still sign what is under way, and opens no sessions.
    match keyring.revoked(node, KeyId::of(key)) {
        Some(revoked) => Err(Stranger::Trust(TrustError::Revoked { node, revoked })),
        None => Ok(speaker.node),
    }
}

/// Why a handshake was refused, where that was our own judgement of the peer's key.
pub(super) fn stranger(error: &Error) -> Option<Stranger> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<Stranger>().copied()
        }
        _ => None,
    }
}

/// Whether the handshake's signature is that of the certificate's key, by our own strict check.
fn check_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let key = key_of(certificate).ok_or_else(bad)?;
    let signature: &[u8; SIGNATURE_LEN] = signed.signature().try_into().map_err(|_| bad())?;
    if signed.scheme == SignatureScheme::ED25519 && key.verify(message, signature) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(bad())
}

const fn tls12_is_not_spoken() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_is_not_spoken())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_holder(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Watched {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_is_not_spoken())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_holder(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
