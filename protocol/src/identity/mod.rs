//! Who a node is: Ed25519 keys (RFC 8032), their `did:key` names, and the directory of provisioned members.
//!
//! The directory is the trust base: a key in it speaks for its node. Whoever fills it decides whom the fleet trusts.

mod did;
mod directory;
mod key;

pub use did::{Did, DidError};
pub use directory::Directory;
pub use key::{KeyPair, PublicKey, PublicKeyError, SIGNATURE_LEN};
