//! What the contexts of RFC 9173 bind to a target beside its data: [`ScopeFlags`].

use alloc::vec::Vec;

use super::{error::BpsecError, rules::PRIMARY_NUMBER};
use crate::{
    bundle::{Block, BlockFlags, Bundle},
    cbor,
};

/// Integrity scope flags (RFC 9173 §3.3.3) and AAD scope flags (§4.3.4), which are the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeFlags(pub u64);

impl ScopeFlags {
    /// The target's data only.
    pub const NONE: Self = Self(0);
    /// The primary block.
    pub const PRIMARY: Self = Self(1);
    /// Type, number and flags of the target.
    pub const TARGET_HEADER: Self = Self(2);
    /// Type, number and flags of the security block.
    pub const SECURITY_HEADER: Self = Self(4);
    /// All of them: the default.
    pub const ALL: Self = Self(7);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The largest value that the standard's 16 bits have.
    pub(super) const MAX: u64 = 0xffff;
}

impl Default for ScopeFlags {
    fn default() -> Self {
        Self::ALL
    }
}

/// Type, number and flags of a block: what RFC 9173 and the COSE context call its header or metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header([u64; 3]);

impl Header {
    pub(super) const fn of(block: &Block) -> Self {
        Self([block.kind.0, block.number, block.flags.0])
    }

    pub(super) const fn number(self) -> u64 {
        self.0[1]
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|field| cbor::put_uint(out, *field));
    }

    /// The canonical form of RFC 9172 §4: reserved and unassigned flags are 0, as nobody knows whether they change on the way.
    fn canonical(self) -> Self {
        let [kind, number, flags] = self.0;
        Self([kind, number, flags & BlockFlags::ASSIGNED.0])
    }
}

/// The associated data of a confidentiality operation (RFC 9173 §4.7.2), which is also what stands before the target's data in the
/// integrity-protected plaintext (§3.7).
pub(super) fn associated_data(
    bundle: &Bundle,
    security: Header,
    target: u64,
    scope: ScopeFlags,
) -> Result<Vec<u8>, BpsecError> {
    let mut out = Vec::with_capacity(96);
    // Reserved bits are ignored, and not covered.
    cbor::put_uint(&mut out, scope.0 & ScopeFlags::ALL.0);
    if target != PRIMARY_NUMBER {
        if scope.contains(ScopeFlags::PRIMARY) {
            out.extend_from_slice(&bundle.canonical_primary());
        }
        if scope.contains(ScopeFlags::TARGET_HEADER) {
            let block = bundle.numbered(target).ok_or(BpsecError::NoSuchBlock { target })?;
            Header::of(block).canonical().put(&mut out);
        }
    }
    if scope.contains(ScopeFlags::SECURITY_HEADER) {
        security.canonical().put(&mut out);
    }
    Ok(out)
}
