//! [`Advert`]: what a node says about itself, signed.
//!
//! A COSE_Sign1 of the node for the domain "cosmosmesh-advert-v1" over deterministic CBOR (RFC 8949 §4.2), described in CDDL (RFC 8610):
//!
//! ```cddl
//! advert = [
//!   version: 1,
//!   incarnation: 0..4294967295,
//!   renewal: 0..65535,
//!   refuted: 0..65535,
//!   count: 0..4294967295,
//!   capabilities: 0..4294967295,        ; bits: `Capabilities`
//!   store-bytes: uint,
//! ]
//! gossip-packet = [gossip: bstr .size (0..512), adverts: [0*3 bstr]]   ; `gossip` is what `foca` writes: `codec`
//! ```

use super::identity::Life;
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::{KeyPair, PublicKey, Sign1, Sign1Error, kid_node, node_kid, sign1},
};
use alloc::vec::Vec;

/// Longest advert in bytes.
pub const MAX_ADVERT_LEN: usize = 160;
const VERSION: u64 = 1;
const DOMAIN: &[u8] = b"cosmosmesh-advert-v1";

/// What a node can do for others, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// It passes others' bundles on.
    pub const RELAY: Self = Self(1);
    /// It takes custody of bundles.
    pub const CUSTODY: Self = Self(1 << 1);
    /// It holds a replica of the shared state.
    pub const SHARED_STATE: Self = Self(1 << 2);
    /// It takes part in the plan.
    pub const PLAN: Self = Self(1 << 3);
    /// It signs others' logs.
    pub const WITNESS: Self = Self(1 << 4);
    /// It holds the authority's key.
    pub const ISSUER: Self = Self(1 << 5);
    /// It keeps the fleet's ledger of decisions.
    pub const GOVERNANCE: Self = Self(1 << 6);

    /// All, with their words.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::RELAY, "relay"),
        (Self::CUSTODY, "custody"),
        (Self::SHARED_STATE, "shared-state"),
        (Self::PLAN, "plan"),
        (Self::WITNESS, "witness"),
        (Self::ISSUER, "issuer"),
        (Self::GOVERNANCE, "governance"),
    ];

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `other` is among them.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of what it can do.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(one, _)| self.contains(*one)).map(|(_, word)| word)
    }
}

/// What a node says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Its present life: nobody else can say which one that is.
    pub life: Life,
    /// How often it has refuted a suspicion in that life: its incarnation in the gossip. What others say of that is held against this.
    pub refuted: u16,
    /// Which of its adverts in that life this is: an older one does not come again.
    pub count: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Bytes of bundles that it can store.
    pub store_bytes: u64,
}

/// Why bytes are no advert of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvertError {
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// Not the expected content.
    #[error(transparent)]
    Content(#[from] CborError),
    /// A version that this code does not know.
    #[error("version {found}, expected 1")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A number out of its range.
    #[error("{found} is out of range")]
    Range {
        /// The number found.
        found: u64,
    },
    /// Not signed by whom it is about.
    #[error("not signed by whom it is about")]
    BadSignature,
}

impl AdvertError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::Content(error) => error.reason(),
            Self::Version { .. } => "advert_version",
            Self::Range { .. } => "advert_range",
            Self::BadSignature => "bad_advert_signature",
        }
    }
}

impl Advert {
    /// The advert as its node signs it, some 100 bytes in all.
    #[must_use]
    pub fn sign(&self, keys: &KeyPair) -> Vec<u8> {
        let mut payload = Vec::with_capacity(24);
        cbor::put_head(&mut payload, cbor::ARRAY, 7);
        cbor::put_uint(&mut payload, VERSION);
        cbor::put_uint(&mut payload, u64::from(self.life.incarnation));
        cbor::put_uint(&mut payload, u64::from(self.life.renewal));
        cbor::put_uint(&mut payload, u64::from(self.refuted));
        cbor::put_uint(&mut payload, u64::from(self.count));
        cbor::put_uint(&mut payload, u64::from(self.capabilities.0));
        cbor::put_uint(&mut payload, self.store_bytes);
        sign1(keys, &node_kid(self.life.node), DOMAIN, &payload)
    }

    /// Whose advert bytes say to be: unproven.
    ///
    /// # Errors
    /// [`AdvertError`] when they are none.
    pub fn peek(bytes: &[u8]) -> Result<NodeId, AdvertError> {
        let signed = Sign1::parse(bytes, MAX_ADVERT_LEN)?;
        kid_node(signed.kid()).ok_or(AdvertError::Range { found: 0 })
    }

    /// Reads an advert and checks that its node has signed it with `key`.
    ///
    /// # Errors
    /// [`AdvertError`] for anything else.
    pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Self, AdvertError> {
        let signed = Sign1::parse(bytes, MAX_ADVERT_LEN)?;
        let node = kid_node(signed.kid()).ok_or(AdvertError::Range { found: 0 })?;
        let mut reader = Reader::new(signed.payload());
        reader.array_of(7)?;
        let found = reader.uint()?;
        if found != VERSION {
            return Err(AdvertError::Version { found });
        }
        let (incarnation, renewal) = (reader.uint()?, reader.uint()?);
        let (refuted, count) = (reader.uint()?, reader.uint()?);
        let (capabilities, store_bytes) = (reader.uint()?, reader.uint()?);
        reader.end()?;
        let small = |found: u64| u32::try_from(found).map_err(|_| AdvertError::Range { found });
        let smaller = |found: u64| u16::try_from(found).map_err(|_| AdvertError::Range { found });
        let (renewal, refuted, count) = (smaller(renewal)?, smaller(refuted)?, small(count)?);
        let life = Life { node, incarnation: small(incarnation)?, renewal };
        let capabilities = Capabilities(small(capabilities)?);
        if !signed.verify(DOMAIN, key) {
            return Err(AdvertError::BadSignature);
        }
        Ok(Self { life, refuted, count, capabilities, store_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advert_is_its_nodes_own_word() {
        let keys = KeyPair::from_seed([3; 32]);
        let life = Life { node: NodeId(3), incarnation: 2, renewal: 1 };
        let capabilities = Capabilities::RELAY.with(Capabilities::WITNESS);
        let advert = Advert { life, refuted: 7, count: 9, capabilities, store_bytes: 1 << 20 };
        let bytes = advert.sign(&keys);
        assert!(bytes.len() <= MAX_ADVERT_LEN);
        assert_eq!(Advert::open(&bytes, keys.public()), Ok(advert));
        assert_eq!(Advert::peek(&bytes), Ok(NodeId(3)));
        let other = KeyPair::from_seed([4; 32]);
        assert_eq!(Advert::open(&bytes, other.public()), Err(AdvertError::BadSignature));
        assert_eq!(advert.capabilities.words().collect::<Vec<_>>(), ["relay", "witness"]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(
                Advert::open(&changed, keys.public()).is_err() || Advert::peek(&changed) != Ok(NodeId(3))
            );
        }
    }
}
