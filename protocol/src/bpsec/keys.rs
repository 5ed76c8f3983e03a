//! Where keys come from: [`Keys`] is asked, [`KeyStore`] and the [`Directory`] of members answer.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use crate::{
    id::EndpointId,
    identity::{Directory, PublicKey},
};

/// What a symmetric key is for. A key serves one purpose (RFC 9173 §3.4, §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// Check values: HMAC.
    Integrity,
    /// Content encryption: AES-GCM.
    Confidentiality,
    /// Keys that travel wrapped in the bundle: AES key wrap.
    Wrapping,
    /// Keys that are derived anew for every bundle: HKDF.
    Derivation,
}

/// Where an operation finds its key: by the security source, and by the key identifier, which is empty where the context has none.
pub trait Keys {
    /// A symmetric key that is shared with the security source.
    fn symmetric(&self, source: &EndpointId, purpose: KeyUse, kid: &[u8]) -> Option<&[u8]>;

    /// The Ed25519 key that speaks for the security source.
    fn public(&self, source: &EndpointId, kid: &[u8]) -> Option<&PublicKey>;

    /// Checks a signature by an algorithm of the COSE registry that is not built here; `None` when the host cannot either.
    fn verify_other(&self, signed: &OtherSignature<'_>) -> Option<bool> {
        let _ = signed;
        None
    }
}

/// A signature by an algorithm that is not built here, for the host to check.
#[derive(Clone, Copy, Debug)]
pub struct OtherSignature<'a> {
    /// Who signed.
    pub source: &'a EndpointId,
    /// With which key.
    pub kid: &'a [u8],
    /// The algorithm's number in the COSE registry.
    pub algorithm: i64,
    /// What was signed: a `Sig_structure` (RFC 9052 §4.4).
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Members sign with the keys that speak for their nodes. A key identifier is the start of the key.
impl Keys for Directory {
    fn symmetric(&self, _: &EndpointId, _: KeyUse, _: &[u8]) -> Option<&[u8]> {
        None
    }

    fn public(&self, source: &EndpointId, kid: &[u8]) -> Option<&PublicKey> {
        self.key(source.node()?).filter(|key| key.as_bytes().starts_with(kid))
    }
}

/// A symmetric key with its use and its identifier.
#[derive(Clone)]
struct Shared {
    purpose: KeyUse,
    kid: Vec<u8>,
    key: Vec<u8>,
}

/// Keys that the host provides. Lookups cost O(log n) in the sources.
#[derive(Clone, Default)]
pub struct KeyStore {
    symmetric: BTreeMap<EndpointId, Vec<Shared>>,
    public: BTreeMap<EndpointId, Vec<(Vec<u8>, PublicKey)>>,
}

impl KeyStore {
    /// A store without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a symmetric key. One of the same source, use and identifier is replaced.
    pub fn insert_symmetric(&mut self, source: EndpointId, purpose: KeyUse, kid: &[u8], key: &[u8]) {
        let keys = self.symmetric.entry(source).or_default();
        keys.retain(|shared| (shared.purpose, shared.kid.as_slice()) != (purpose, kid));
        keys.push(Shared { purpose, kid: kid.to_vec(), key: key.to_vec() });
    }

    /// Adds a public key. One of the same source and identifier is replaced.
    pub fn insert_public(&mut self, source: EndpointId, kid: &[u8], key: PublicKey) {
        let keys = self.public.entry(source).or_default();
        keys.retain(|(name, _)| name != kid);
        keys.push((kid.to_vec(), key));
    }
}

impl Keys for KeyStore {
    fn symmetric(&self, source: &EndpointId, purpose: KeyUse, kid: &[u8]) -> Option<&[u8]> {
        let keys = self.symmetric.get(source)?;
        let found = keys.iter().find(|shared| shared.purpose == purpose && shared.kid == kid);
        found.map(|shared| shared.key.as_slice())
    }

    fn public(&self, source: &EndpointId, kid: &[u8]) -> Option<&PublicKey> {
        self.public.get(source)?.iter().find(|(name, _)| name == kid).map(|(_, key)| key)
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("sources", &self.symmetric.len()).finish_non_exhaustive()
    }
}
