//! The block in which a bundle says that it is critical.

use crate::{
    bundle::BlockKind,
    cbor::{self, Reader},
    dtn::store::Priority,
};
use alloc::vec::Vec;

/// The quality of service block of ION (`QualityOfServiceBlk`, 193: in the range for private use, RFC 9171 §9.1): flags, class of
/// service, ordinal and data label (`bpv7/library/ext/bpq/bpq.c`). Who does not know it sends the bundle one way.
pub const SERVICE_BLOCK: BlockKind = BlockKind(193);

/// ION's flag for the least latency: the bundle is critical, and goes every way at once (`BP_MINIMUM_LATENCY`).
const CRITICAL: u64 = 1;

/// The data of the [`SERVICE_BLOCK`] of a critical bundle.
#[must_use]
pub fn critical_data(priority: Priority) -> Vec<u8> {
    let class = match priority {
        Priority::Bulk => 0,
        Priority::Normal => 1,
        Priority::Expedited => 2,
    };
    let mut data = Vec::with_capacity(5);
    cbor::put_head(&mut data, cbor::ARRAY, 4);
    for value in [CRITICAL, class, 0, 0] {
        cbor::put_uint(&mut data, value);
    }
    data
}

/// Whether the data of a [`SERVICE_BLOCK`] says that its bundle is critical; not where it says nothing that can be read.
#[must_use]
pub fn is_critical(data: &[u8]) -> bool {
    let mut reader = Reader::new(data);
    let Some(flags) = reader.array_of(4).ok().and_then(|()| reader.uint().ok()) else { return false };
    let others = (0..3).all(|_| reader.uint().is_ok());
    others && reader.end().is_ok() && flags & CRITICAL != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_critical_says_so_and_nothing_else_does() {
        for priority in Priority::ALL {
            let data = critical_data(priority);
            assert!(is_critical(&data));
            assert!(!is_critical(&data[..4]) && !is_critical(&[&data[..], &[0]].concat()));
        }
        assert_eq!(critical_data(Priority::Expedited), [0x84, 1, 2, 0, 0]);
        // Flags 4 and 5 of ION: a data label, and that beside the least latency.
        assert!(!is_critical(&[0x84, 4, 1, 0, 7]) && is_critical(&[0x84, 5, 1, 0, 7]));
        assert!(!is_critical(&[]) && !is_critical(&[0x83, 1, 1, 0]) && !is_critical(&[1]));
    }
}
