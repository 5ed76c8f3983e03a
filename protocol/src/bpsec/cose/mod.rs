//! The COSE context (draft-ietf-dtn-bpsec-cose-17): each result is a COSE message (RFC 9052) whose payload is the target's data.
//!
//! Built are COSE_Sign1, COSE_Mac0, COSE_Encrypt0, and COSE_Encrypt with one symmetric recipient.

mod detached;
mod encrypt;
mod header;
mod kdf;
mod mac;
mod scope;
mod sign;

use alloc::vec::Vec;

pub use encrypt::Recipient;
pub(super) use encrypt::{Content, seal};
pub(super) use header::kid_map;
pub(super) use mac::make as make_mac;
pub use scope::AadScope;
pub(super) use scope::{Context, covers_own_header};
pub(super) use sign::make as make_signature;

use super::{error::BpsecError, item::Item, operation::Operation};

/// Parameters (draft-ietf-dtn-bpsec-cose §2.2).
pub(super) const ADDITIONAL_PROTECTED: u64 = 3;
const ADDITIONAL_UNPROTECTED: u64 = 4;
pub(super) const AAD_SCOPE: u64 = 5;

/// Results (draft-ietf-dtn-bpsec-cose §2.3), numbered like the tags of the messages.
pub(super) const COSE_ENCRYPT0: u64 = 16;
pub(super) const COSE_MAC0: u64 = 17;
pub(super) const COSE_SIGN1: u64 = 18;
pub(super) const COSE_ENCRYPT: u64 = 96;

/// The most bytes of a COSE message: the longest signature in the draft, of ML-DSA-87, and room for headers.
const MAX_MESSAGE: usize = 8192;

/// Checks an integrity operation: every result must hold.
pub(super) fn verify(operation: &Operation<'_>) -> Result<(), BpsecError> {
    let context = Context::read(operation.security)?;
    if operation.results.is_empty() {
        return Err(BpsecError::Outcome { id: COSE_SIGN1 });
    }
    for item in operation.results {
        let message = message(item)?;
        match item.id {
            COSE_MAC0 => mac::verify(operation, &context, message)?,
            COSE_SIGN1 => sign::verify(operation, &context, message)?,
            id => return Err(BpsecError::Outcome { id }),
        }
    }
    Ok(())
}

/// The plaintext of a confidentiality operation's target.
pub(super) fn decrypt(operation: &Operation<'_>) -> Result<Vec<u8>, BpsecError> {
    let context = Context::read(operation.security)?;
    match operation.results {
        [item] if item.id == COSE_ENCRYPT0 || item.id == COSE_ENCRYPT => {
            encrypt::open(operation, &context, item.id, message(item)?)
        }
        _ => Err(BpsecError::Outcome { id: COSE_ENCRYPT }),
    }
}

fn message(item: &Item) -> Result<&[u8], BpsecError> {
    let bytes = item.as_bytes().filter(|message| message.len() <= MAX_MESSAGE);
    bytes.ok_or(BpsecError::Outcome { id: item.id })
}

#[cfg(test)]
mod draft_tests;
#[cfg(test)]
mod draft_vectors;
