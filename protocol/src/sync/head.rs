//! What an actor signs: not its writes one by one, but all that it has written and that still stands.
//!
//! The cells of an actor up to its n-th write follow from n alone, since only it writes them. So one signature over
//! (actor, n, digest of these cells) proves them to anybody, however they came, and the next one replaces it: a relay keeps one
//! signature per actor and sends one per actor, whatever was overwritten in between. A relay can neither change a write, nor leave one
//! out, nor bring an old one back.

use super::{cell::Leaf, version::Actor};
use crate::identity::SIGNATURE_LEN;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// An actor's signature of all that it has written up to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) signature: [u8; SIGNATURE_LEN],
}

/// The bytes that are signed. They cannot be those of an envelope, whose signed bytes begin with a CBOR array.
pub(super) fn signed_text<'a>(
    actor: Actor,
    sequence: u64,
    leaves: impl IntoIterator<Item = &'a Leaf>,
) -> Vec<u8> {
    let mut cells = Sha256::new();
    leaves.into_iter().for_each(|leaf| cells.update(leaf));
    let mut text = b"cosmosmesh replica head 2".to_vec();
    text.extend_from_slice(&actor.node.0.to_be_bytes());
    text.extend_from_slice(&actor.life.to_be_bytes());
    text.extend_from_slice(&sequence.to_be_bytes());
    text.extend_from_slice(&cells.finalize());
    text
}
