//! Fragmentation (RFC 9171 §5.8) and reassembly (§5.9) of bundles.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::BlockKind,
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
        let mut part =
            Self::new(Primary { fragment: Some(fragment), ..self.primary.clone() }, payload.to_vec());
        part.payload.flags = self.payload.flags;
        part.payload.crc = self.payload.crc;
        // RFC 9171 §5.8: blocks to be replicated go into every fragment, all others into the first. The age is needed in
        // each one, or it could not expire.
        let goes_along = |kind, flags: BlockFlags| {
            is_first || flags.contains(BlockFlags::REPLICATE) || kind == BlockKind::BUNDLE_AGE
        };
        part.blocks.extend(self.blocks.iter().filter(|block| goes_along(block.kind, block.flags)).cloned());
        part
    }
}

/// Joins fragments of one payload, in any order; they may overlap. Extension blocks are those of the first fragment.
///
/// The result has a fresh primary block without fragment fields (RFC 9171 §5.9).
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
    let mut whole = Bundle::new(Primary { fragment: None, flags, ..lead.primary.clone() }, payload);
    whole.payload.flags = lead.payload.flags;
    whole.payload.crc = lead.payload.crc;
    whole.blocks.extend(lead.blocks.iter().cloned());
    Ok(whole)
}

#[cfg(test)]
#[path = "fragment_tests.rs"]
mod tests;
