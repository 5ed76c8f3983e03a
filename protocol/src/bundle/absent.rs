//! Payloads that are counted and not carried: for studies of routing, in which no application reads them. Ours.
//!
//! Such a bundle is encoded with an empty payload. How long the payload would be travels beside its bytes, in the frame
//! ([`crate::convergence::small_frame`]), and stores and links reckon with [`Bundle::full_len`].

use super::Bundle;
use crate::cbor::head_len;

impl Bundle {
    /// Counts a payload of so many bytes in place of an empty one.
    ///
    /// # Panics
    /// When there is a payload.
    pub fn set_absent(&mut self, bytes: u32) {
        assert!(self.payload.data.is_empty() || bytes == 0, "a payload is carried or counted, not both");
        self.absent = bytes;
    }

    /// Payload bytes that are counted and not carried.
    #[must_use]
    pub const fn absent(&self) -> u32 {
        self.absent
    }

    /// How many bytes the bundle has with its whole payload.
    #[must_use]
    pub fn full_len(&self) -> usize {
        self.encoded_len() + absent_len(self.absent)
    }
}

/// What a payload of so many bytes adds to a bundle whose payload is empty: itself, and the longer head of its byte string.
#[must_use]
pub const fn absent_len(bytes: u32) -> usize {
    bytes as usize + head_len(bytes as u64) - head_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{CreationTimestamp, Primary},
        id::NodeId,
        time::DtnTime,
    };
    use alloc::{vec, vec::Vec};

    fn bundle(payload: Vec<u8>) -> Bundle {
        let creation = CreationTimestamp { time: DtnTime(1), sequence: 2 };
        Bundle::new(Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 1000), payload)
    }

    #[test]
    fn a_counted_payload_is_as_long_as_a_carried_one() {
        for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 1_000_000] {
            let mut counted = bundle(Vec::new());
            counted.set_absent(length);
            let carried = bundle(vec![7; length as usize]);
            assert_eq!(counted.full_len(), carried.encoded_len(), "{length}");
            assert_eq!(carried.full_len(), carried.encoded_len());
        }
    }

    #[test]
    #[should_panic(expected = "not both")]
    fn a_payload_is_not_counted_twice() {
        bundle(vec![1]).set_absent(5);
    }
}
