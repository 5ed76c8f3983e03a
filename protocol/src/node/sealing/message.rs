//! [`GroupMessage`]: what a group's members and those who make its keys tell each other.
//!
//! The payload of an envelope of purpose `GroupKey`, in deterministic CBOR (RFC 8949 §4.2) described in CDDL (RFC 8610):
//!
//! ```cddl
//! group-message = ask / key
//! version = 2
//! ask = [version, 0, lacks: [0*4 uint]]                 ; epochs in which something waits for a key, beside the newest
//! key = [version, 1, epoch: uint, given: [0*1024 uint], sealed: bstr .size (1..256)]
//! ; `given`: the members that are given this key, in order. `sealed` is a COSE_Encrypt0 for the member (`envelope::sealing::seal_to`) over 40 bytes: the epoch as a big-endian number of 8, the key of 32
//! ```

use super::keeper::EPOCHS;
use crate::{
    cbor::{self, CborError, Reader},
    envelope::sealing::SealError,
    id::NodeId,
};
use alloc::{collections::BTreeSet, vec::Vec};

const VERSION: u64 = 2;
const ASK: u64 = 0;
const KEY: u64 = 1;
/// The longest wrapped key in bytes.
const MAX_WRAPPED: usize = 256;
/// Most members that a key is said to be given to. What is for one beyond is sealed for it alone.
const MAX_GIVEN: usize = 1024;

/// A message about a group's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupMessage<'m> {
    /// A member asks for the newest key, and for those of epochs in which it has something to open.
    Asks {
        /// At most [`EPOCHS`].
        lacks: Vec<u64>,
    },
    /// A key, sealed for the member.
    Gives {
        /// Whose key it is said to be: what is sealed says so too.
        epoch: u64,
        /// Who is given it.
        given: BTreeSet<NodeId>,
        /// The wrapped key.
        sealed: &'m [u8],
    },
}

impl<'m> GroupMessage<'m> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        match self {
            Self::Asks { lacks } => {
                cbor::put_head(&mut out, cbor::ARRAY, 3);
                cbor::put_uint(&mut out, VERSION);
                cbor::put_uint(&mut out, ASK);
                cbor::put_head(&mut out, cbor::ARRAY, lacks.len() as u64);
                lacks.iter().for_each(|epoch| cbor::put_uint(&mut out, *epoch));
            }
            Self::Gives { epoch, given, sealed } => {
                cbor::put_head(&mut out, cbor::ARRAY, 5);
                cbor::put_uint(&mut out, VERSION);
                cbor::put_uint(&mut out, KEY);
                cbor::put_uint(&mut out, *epoch);
                cbor::put_head(&mut out, cbor::ARRAY, given.len().min(MAX_GIVEN) as u64);
                given.iter().take(MAX_GIVEN).for_each(|node| cbor::put_uint(&mut out, node.0));
                cbor::put_bytes(&mut out, sealed);
            }
        }
        out
    }

    pub(super) fn decode(bytes: &'m [u8]) -> Result<Self, SealError> {
        let mut reader = Reader::new(bytes);
        let items = reader.array()?;
        match reader.uint()? {
            VERSION => {}
            found => return Err(SealError::Version { found }),
        }
        let message = match (reader.uint()?, items) {
            (ASK, 3) => {
                let (at, found) = (reader.position(), reader.array()?);
                let expected = EPOCHS as u64;
                if found > expected {
                    return Err(CborError::Items { at, expected, found }.into());
                }
                let lacks = (0..found).map(|_| reader.uint()).collect::<Result<_, _>>()?;
                Self::Asks { lacks }
            }
            (KEY, 5) => {
                let epoch = reader.uint()?;
                let given = read_given(&mut reader)?;
                let (at, sealed) = (reader.position(), reader.bytes()?);
                let (expected, found) = (MAX_WRAPPED as u64, sealed.len() as u64);
                if found > expected {
                    return Err(CborError::Items { at, expected, found }.into());
                }
                Self::Gives { epoch, given, sealed }
            }
            _ => return Err(SealError::Form { at: reader.position() }),
        };
        reader.end()?;
        Ok(message)
    }
}

fn read_given(reader: &mut Reader<'_>) -> Result<BTreeSet<NodeId>, CborError> {
    let (at, found) = (reader.position(), reader.array()?);
    let expected = MAX_GIVEN as u64;
    if found > expected {
        return Err(CborError::Items { at, expected, found });
    }
    let mut given = BTreeSet::new();
    for _ in 0..found {
        let (at, node) = (reader.position(), NodeId(reader.uint()?));
        if given.last().is_some_and(|last| *last >= node) {
            return Err(CborError::NotDeterministic { at });
        }
        given.insert(node);
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_the_way_and_what_is_too_much_or_of_another_version_is_refused() {
        let asks = GroupMessage::Asks { lacks: vec![1, 2] };
        let given = [1, 5, 300].map(NodeId).into_iter().collect();
        let gives = GroupMessage::Gives { epoch: 3, given, sealed: &[7; 100] };
        for message in [&asks, &gives] {
            let mut bytes = message.encode();
            assert_eq!(GroupMessage::decode(&bytes).as_ref(), Ok(message));
            bytes[1] = 1;
            assert_eq!(GroupMessage::decode(&bytes), Err(SealError::Version { found: 1 }));
        }
        let many = GroupMessage::Asks { lacks: vec![1; EPOCHS + 1] };
        assert!(GroupMessage::decode(&many.encode()).is_err());
        let long = GroupMessage::Gives { epoch: 3, given: BTreeSet::new(), sealed: &[7; 257] };
        assert!(GroupMessage::decode(&long.encode()).is_err());
        // Of more than there is room for, those in front are told.
        let given = (0..2000).map(NodeId).collect();
        let bytes = GroupMessage::Gives { epoch: 3, given, sealed: &[7; 100] }.encode();
        let Ok(GroupMessage::Gives { given, .. }) = GroupMessage::decode(&bytes) else { panic!("a key") };
        assert_eq!((given.len(), given.last()), (MAX_GIVEN, Some(&NodeId(1023))));
        let disorder = [0x85, 2, 1, 3, 0x82, 5, 5, 0x41, 7];
        assert!(GroupMessage::decode(&disorder).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = GroupMessage::decode(&bytes);
        }
    }
}
