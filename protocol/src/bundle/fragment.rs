//! Fragmentation (RFC 9171 §5.8) and reassembly (§5.9) of bundles.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind},
    crc::CrcKind,
    error::FragmentError,
    flags::{BlockFlags, BundleFlags},
    primary::{Fragment, Primary},
};

impl Bundle {
    /// Splits the bundle into fragments of at most `max_payload` bytes of payload each, by rising offset.
    ///
    /// A bundle that fits is returned whole. Fragments of a fragment keep counting in the first payload.
    ///
    /// # Errors
    /// When the bundle must not be fragmented, or `max_payload` is 0.
    pub fn fragment(self, max_payload: usize) -> Result<Vec<Self>, FragmentError> {
        if self.payload.data.len() <= max_payload {
            return Ok(alloc::vec![self]);
        }
        if self.primary.flags.contains(BundleFlags::MUST_NOT_FRAGMENT) {
            return Err(FragmentError::Forbidden);
        }
        if max_payload == 0 {
            return Err(FragmentError::Empty);
        }
        let whole = Fragment { offset: 0, total: self.payload.data.len() as u64 };
        let Fragment { offset: base, total } = self.primary.fragment.unwrap_or(whole);
        let split = |(index, part): (usize, &[u8])| {
            let offset = base + (index * max_payload) as u64;
            self.part(Fragment { offset, total }, part, index == 0)
        };
        Ok(self.payload.data.chunks(max_payload).enumerate().map(split).collect())
    }

    /// Splits the bundle in two behind its first `at` bytes of payload, for a contact that takes no more.
    ///
    /// # Errors
    /// When the bundle must not be fragmented, or one of the parts would be empty.
    pub fn split(&self, at: usize) -> Result<(Self, Self), FragmentError> {
        if self.primary.flags.contains(BundleFlags::MUST_NOT_FRAGMENT) {
            return Err(FragmentError::Forbidden);
        }
        if at == 0 || at >= self.payload.data.len() {
            return Err(FragmentError::Empty);
        }
        let whole = Fragment { offset: 0, total: self.payload.data.len() as u64 };
        let Fragment { offset, total } = self.primary.fragment.unwrap_or(whole);
        let (head, tail) = self.payload.data.split_at(at);
        let second = Fragment { offset: offset + at as u64, total };
        Ok((self.part(Fragment { offset, total }, head, true), self.part(second, tail, false)))
    }

    fn part(&self, fragment: Fragment, payload: &[u8], is_first: bool) -> Self {
        let primary = Primary { fragment: Some(fragment), ..self.primary.clone() };
        let mut part = self.with_payload(primary, payload.to_vec());
        // RFC 9171 §5.8: blocks to be replicated go into every fragment, all others into the first. The age is needed in
        // each one, or it could not expire; encrypted, it would tell nothing without the block that encrypts it.
        let goes_along = |block: &&Block| {
            let is_age = block.kind == BlockKind::BUNDLE_AGE && !self.is_ciphertext(block.number);
            is_first || is_age || block.flags.contains(BlockFlags::REPLICATE)
        };
        part.blocks.extend(self.blocks.iter().filter(goes_along).cloned());
        if part.check_protected().is_err() && self.check_protected().is_ok() {
            // RFC 9171 §4.3.1: the integrity block that stood in for the checksum is in another fragment.
            part.set_primary_crc(CrcKind::Castagnoli);
        }
        part
    }

    /// A bundle of the same name without extension blocks, in the same form on the wire.
    fn with_payload(&self, primary: Primary, data: Vec<u8>) -> Self {
        let primary_wire = primary.encode_as(&self.primary_wire);
        let Block { kind, number, flags, crc, indefinite, .. } = self.payload;
        let payload = Block { kind, number, flags, crc, data, indefinite };
        Self { primary, primary_wire, blocks: Vec::new(), payload, absent: 0 }
    }
}

/// Joins fragments of one payload, in any order; they may overlap. Extension blocks are those of the first fragment.
///
/// The result has the primary block of the first fragment without fragment fields (RFC 9171 §5.9), so that what secures the whole holds.
///
/// # Errors
/// When a bundle is no fragment of the same payload, a part is missing, or two disagree about a part.
pub fn reassemble(fragments: &[Bundle]) -> Result<Bundle, FragmentError> {
    let first = fragments.first().ok_or(FragmentError::Missing { at: 0 })?;
    let Some(Fragment { total, .. }) = first.primary.fragment else {
        return Err(FragmentError::Foreign { index: 0 });
    };
    let mut ordered = Vec::with_capacity(fragments.len());
    for (index, bundle) in fragments.iter().enumerate() {
        let same = bundle.primary.source == first.primary.source
            && bundle.primary.creation == first.primary.creation;
        match bundle.primary.fragment {
            Some(fragment) if same && fragment.total == total => ordered.push((fragment.offset, bundle)),
            _ => return Err(FragmentError::Foreign { index }),
        }
    }
    ordered.sort_by_key(|(offset, _)| *offset);
    // Bounded by what the fragments hold, whatever total they announce.
    let mut payload: Vec<u8> = Vec::with_capacity(fragments.iter().map(|part| part.payload().len()).sum());
    for (offset, bundle) in &ordered {
        let (at, part) = (payload.len() as u64, bundle.payload());
        if *offset > at {
            return Err(FragmentError::Missing { at });
        }
        let overlap = part.len().min((at - offset) as usize);
        let start = *offset as usize;
        if payload[start..start + overlap] != part[..overlap] {
            return Err(FragmentError::Conflict { at: offset + overlap as u64 });
        }
        payload.extend_from_slice(&part[overlap..]);
    }
    let at = payload.len() as u64;
    if at != total {
        return Err(FragmentError::Missing { at });
    }
    let lead = ordered[0].1;
    let flags = lead.primary.flags.without(BundleFlags::IS_FRAGMENT);
    let mut whole = lead.with_payload(Primary { fragment: None, flags, ..lead.primary.clone() }, payload);
    whole.blocks.extend(lead.blocks.iter().cloned());
    if whole.hmac_covers_primary() {
        // Whoever cut it may have given each part a checksum; the whole that was authenticated had none.
        whole.set_primary_crc(CrcKind::None);
    }
    Ok(whole)
}

#[cfg(test)]
#[path = "fragment_tests.rs"]
mod tests;
