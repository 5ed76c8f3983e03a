//! [`Parsed`] and [`Opened`]: an envelope before and after its signature is checked.

use super::{
    error::EnvelopeError,
    header::Header,
    seal::{DOMAIN, MAX_ENVELOPE_LEN, TAG},
};
use crate::{
    cbor::Reader,
    id::NodeId,
    identity::{Directory, PublicKey, SIGNATURE_LEN, with_sig_structure},
};

/// An envelope whose form is right. Nothing in it is proven: its header serves only to refuse it early.
#[derive(Clone, Copy, Debug)]
pub struct Parsed<'a> {
    header: Header,
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
}

/// An envelope that its sender signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The signed facts.
    pub header: Header,
    /// The signed message.
    pub payload: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// Reads an envelope without a look at any key. Borrows; allocates nothing.
    ///
    /// # Errors
    /// When the bytes are too many, not a tagged COSE_Sign1 in deterministic form, or outside the profile.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_LEN {
            return Err(EnvelopeError::TooLong { found: bytes.len(), max: MAX_ENVELOPE_LEN });
        }
        let mut reader = Reader::new(bytes);
        let found = reader.tag()?;
        if found != TAG {
            return Err(EnvelopeError::Tag { found });
        }
        reader.array_of(4)?;
        let protected = reader.bytes()?;
        let count = reader.map()?;
        if count != 0 {
            return Err(EnvelopeError::Unprotected { count });
        }
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        reader.end()?;
        let signature =
            signature.try_into().map_err(|_| EnvelopeError::SignatureLength { found: signature.len() })?;
        let header = Header::decode(protected)?;
        Ok(Self { header, protected, payload, signature })
    }

    /// What the envelope claims.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Asks whether the envelope claims to be for `node`.
    ///
    /// # Errors
    /// When it is for another node.
    pub fn check_addressee(&self, node: NodeId) -> Result<(), EnvelopeError> {
        let destination = self.header.destination;
        if destination == node { Ok(()) } else { Err(EnvelopeError::OtherDestination { destination }) }
    }

    /// Checks the signature against the key that `directory` has for the sender.
    ///
    /// # Errors
    /// When the sender is unknown, or the signature is not the sender's for these bytes.
    pub fn verify(self, directory: &Directory) -> Result<Opened<'a>, EnvelopeError> {
        let sender = self.header.sender;
        let key = directory.key(sender).ok_or(EnvelopeError::UnknownSender { sender })?;
        if self.is_signed_by(key) {
            Ok(self.into_opened())
        } else {
            Err(EnvelopeError::BadSignature { sender })
        }
    }

    /// Whether `key` signed the envelope.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        with_sig_structure(self.protected, DOMAIN, self.payload, |bytes| key.verify(bytes, self.signature))
    }

    /// What the envelope says, unproven: to compare it with what is known.
    #[must_use]
    pub const fn claimed_payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The envelope as one whose signature the caller has found to hold.
    pub(crate) const fn into_opened(self) -> Opened<'a> {
        Opened { header: self.header, payload: self.payload }
    }
}

/// Opens an envelope for `node` in one go. Replays are the caller's business: see [`super::ReplayWindow`].
///
/// # Errors
/// When the envelope is malformed, for another node, from an unknown sender, or not signed by it.
pub fn open<'a>(bytes: &'a [u8], directory: &Directory, node: NodeId) -> Result<Opened<'a>, EnvelopeError> {
    let parsed = Parsed::parse(bytes)?;
    parsed.check_addressee(node)?;
    parsed.verify(directory)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
