//! Bundle Protocol Security (RFC 9172): blocks of a bundle that protect others, from whoever adds them to whoever takes them out.
//!
//! [`add_integrity`] signs or authenticates blocks, [`add_confidentiality`] encrypts them; a relay or the destination calls [`process`]
//! with its [`SecurityPolicy`], and gets a [`Verdict`]. Keys come from the caller ([`Keys`]), and randomness too.
//!
//! | Context | Integrity | Confidentiality |
//! |---|---|---|
//! | RFC 9173 | BIB-HMAC-SHA2 | BCB-AES-GCM |
//! | draft-ietf-dtn-bpsec-cose-17 | COSE_Sign1 (Ed25519), COSE_Mac0 (HMAC) | COSE_Encrypt0, COSE_Encrypt (AES-GCM) |
//!
//! A bundle's previous node, age and hop count change on the way: operations that are to hold until the destination must not cover them.

mod acceptor;
mod aes_gcm;
mod asb;
mod cose;
mod error;
mod hmac_sha2;
mod item;
mod keys;
mod operation;
mod policy;
mod primitive;
mod rules;
mod scope;
mod source;

pub use crate::bundle::MAX_TARGETS;
pub use acceptor::{decrypt, remove_integrity, verify_integrity};
pub(crate) use acceptor::{discard, discard_secured};
pub use asb::{ContextId, MAX_ITEMS, SecurityBlock, SecuritySource};
pub use cose::{AadScope, Recipient};
pub use error::BpsecError;
pub use item::Item;
pub use keys::{KeyStore, KeyUse, Keys, OtherSignature};
pub use policy::{Finding, Role, SecurityPolicy, Verdict, process};
pub use primitive::{AesVariant, ShaVariant};
pub use rules::{PRIMARY_NUMBER, check, is_secured};
pub use scope::ScopeFlags;
pub use source::{
    Confidentiality, CoseProfile, Integrity, Key, Placement, add_confidentiality, add_integrity,
};

#[cfg(test)]
mod interop_tests;
#[cfg(test)]
mod rfc9173_tests;
#[cfg(test)]
mod tamper_tests;
