//! Who a node is: Ed25519 keys (RFC 8032), their `did:key` names, the directory of provisioned members, and what an authority says of them
//! in certificates, successions and revocations.
//!
//! The directory is the trust base where there is no authority: a key in it speaks for its node. Whoever fills it decides whom the fleet
//! trusts. With an authority, [`Keyring`] holds who speaks for whom now, and in which role.

mod certificate;
mod did;
mod directory;
mod key;
mod keyring;
mod revocation;
mod role;
mod scope;
mod sign1;
mod succession;
mod thumbprint;

pub use certificate::{
    Certificate, CertificateError, Clock, MAX_CERTIFICATE_LEN, Standing, TimeRule, ValidityError,
};
pub use did::{Did, DidError};
pub use directory::Directory;
pub use key::{KeyPair, PublicKey, PublicKeyError, SIGNATURE_LEN};
pub use keyring::{Keyring, KeyringError, Learned, Speaker, Statement, Summary, TrustError};
pub use revocation::{Cause, MAX_LIST_LEN, MAX_REVOKED, RevocationError, RevocationList, Revoked};
pub use role::{OwnRole, Role};
pub use scope::{MAX_SCOPE_LEN, Scope, ScopeError};
#[cfg(test)]
pub(crate) use sign1::sig_structure;
pub(crate) use sign1::with_sig_structure;
pub use sign1::{Sign1, Sign1Error, kid_node, node_kid, sign1};
pub use succession::{AUTHORITY, MAX_CHAIN, MAX_SUCCESSION_LEN, Succession, SuccessionError};
pub use thumbprint::{KEY_ID_LEN, KeyId};
