//! Extension items of SESS_INIT and XFER_SEGMENT (RFC 9174 §4.8, §5.2.5): type, length, value.

use alloc::vec::Vec;

/// The type of the Transfer Length item (RFC 9174 §5.2.5.1).
pub const TRANSFER_LENGTH: u16 = 1;
/// Flags, type and length of an item, in bytes.
const HEADER_LEN: usize = 5;
const CRITICAL: u8 = 1;

/// One extension item, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionItem<'a> {
    /// Flags as they came; reserved bits have no meaning.
    pub flags: u8,
    /// What the value means.
    pub kind: u16,
    /// The value, at most 65535 bytes.
    pub value: &'a [u8],
}

impl ExtensionItem<'_> {
    /// Whether a receiver that does not know the type must not go on.
    #[must_use]
    pub const fn is_critical(&self) -> bool {
        self.flags & CRITICAL != 0
    }
}

/// A list of extension items as it stands on the wire. Iteration gives `None` in place of an item that overruns the list, and ends.
#[derive(Clone, Debug)]
pub struct ExtensionItems<'a> {
    rest: &'a [u8],
}

impl<'a> ExtensionItems<'a> {
    /// The items in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for ExtensionItems<'a> {
    type Item = Option<ExtensionItem<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.rest);
        let Some((&[flags, kind_high, kind_low, len_high, len_low], rest)) =
            bytes.split_first_chunk::<HEADER_LEN>()
        else {
            return Some(None);
        };
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let Some((value, rest)) = rest.split_at_checked(len) else { return Some(None) };
        self.rest = rest;
        Some(Some(ExtensionItem { flags, kind: u16::from_be_bytes([kind_high, kind_low]), value }))
    }
}

/// The wire form of the Transfer Length item (RFC 9174 §5.2.5.1). Not critical: a receiver may do without it.
pub(super) fn put_transfer_length(out: &mut Vec<u8>, total: u64) {
    out.push(0);
    out.extend_from_slice(&TRANSFER_LENGTH.to_be_bytes());
    out.extend_from_slice(&8_u16.to_be_bytes());
    out.extend_from_slice(&total.to_be_bytes());
}
