//! [`GroupMessage`]: what a group's members and those who make its keys tell each other.
//!
//! The payload of an envelope of purpose `GroupKey`, in deterministic CBOR (RFC 8949 §4.2) described in CDDL (RFC 8610):
//!
//! ```cddl
//! group-message = ask / key
//! version = 1
//! ask = [version, 0, newest: uint, lacks: [0*4 uint]]   ; the newest epoch whose key it has, or 0; epochs in which something waits for a key
//! key = [version, 1, epoch: uint, sealed: bstr .size (1..256)]
//! ; `sealed` is a COSE_Encrypt0 for the member (`envelope::sealing::seal_to`) over 40 bytes: the epoch as a big-endian number of 8, the key of 32
//! ```

use super::keeper::EPOCHS;
use crate::{
    cbor::{self, CborError, Reader},
    envelope::sealing::SealError,
};
use alloc::vec::Vec;

const VERSION: u64 = 1;
const ASK: u64 = 0;
const KEY: u64 = 1;
/// The longest wrapped key in bytes.
const MAX_WRAPPED: usize = 256;

/// A message about a group's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupMessage<'m> {
    /// A member asks for the newest key, and for those of epochs in which it has something to open.
    Asks {
        /// The newest epoch whose key it has; 0 for none.
        newest: u64,
        /// At most [`EPOCHS`].
        lacks: Vec<u64>,
    },
    /// A key, sealed for the member.
    Gives {
        /// Whose key it is said to be: what is sealed says so too.
        epoch: u64,
        /// The wrapped key.
        sealed: &'m [u8],
    },
}

impl<'m> GroupMessage<'m> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        cbor::put_head(&mut out, cbor::ARRAY, 4);
        cbor::put_uint(&mut out, VERSION);
        match self {
            Self::Asks { newest, lacks } => {
                cbor::put_uint(&mut out, ASK);
                cbor::put_uint(&mut out, *newest);
                cbor::put_head(&mut out, cbor::ARRAY, lacks.len() as u64);
                lacks.iter().for_each(|epoch| cbor::put_uint(&mut out, *epoch));
            }
            Self::Gives { epoch, sealed } => {
                cbor::put_uint(&mut out, KEY);
                cbor::put_uint(&mut out, *epoch);
                cbor::put_bytes(&mut out, sealed);
            }
        }
        out
    }

    pub(super) fn decode(bytes: &'m [u8]) -> Result<Self, SealError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(4)?;
        match reader.uint()? {
            VERSION => {}
            found => return Err(SealError::Version { found }),
        }
        let message = match reader.uint()? {
            ASK => {
                let newest = reader.uint()?;
                let (at, found) = (reader.position(), reader.array()?);
                let expected = EPOCHS as u64;
                if found > expected {
                    return Err(CborError::Items { at, expected, found }.into());
                }
                let lacks = (0..found).map(|_| reader.uint()).collect::<Result<_, _>>()?;
                Self::Asks { newest, lacks }
            }
            KEY => {
                let epoch = reader.uint()?;
                let (at, sealed) = (reader.position(), reader.bytes()?);
                let (expected, found) = (MAX_WRAPPED as u64, sealed.len() as u64);
                if found > expected {
                    return Err(CborError::Items { at, expected, found }.into());
                }
                Self::Gives { epoch, sealed }
            }
            _ => return Err(SealError::Form { at: reader.position() }),
        };
        reader.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_the_way_and_what_is_too_much_or_of_another_version_is_refused() {
        let asks = GroupMessage::Asks { newest: 3, lacks: vec![1, 2] };
        let gives = GroupMessage::Gives { epoch: 3, sealed: &[7; 100] };
        for message in [&asks, &gives] {
            let mut bytes = message.encode();
            assert_eq!(GroupMessage::decode(&bytes).as_ref(), Ok(message));
            bytes[1] = 2;
            assert_eq!(GroupMessage::decode(&bytes), Err(SealError::Version { found: 2 }));
        }
        let many = GroupMessage::Asks { newest: 3, lacks: vec![1; EPOCHS + 1] };
        assert!(GroupMessage::decode(&many.encode()).is_err());
        let long = GroupMessage::Gives { epoch: 3, sealed: &[7; 257] };
        assert!(GroupMessage::decode(&long.encode()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = GroupMessage::decode(&bytes);
        }
    }
}
