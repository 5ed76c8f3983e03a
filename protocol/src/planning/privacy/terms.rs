//! The terms of one epoch of secure aggregation: who contributes, who masks, and how few may be summed.

use alloc::vec::Vec;

use curve25519_dalek::{MontgomeryPoint, edwards::EdwardsPoint};
use sha2::{Digest as _, Sha256};

use super::{error::PrivacyError, keystream::packed_len};
use crate::{
    cbor::{self, ARRAY, CborError},
    id::NodeId,
    planning::message::MAX_MEMBERS,
};

/// The most entries of a contribution.
pub const MAX_ENTRIES: usize = 8192;
/// The most seats of a committee.
pub const MAX_COMMITTEE: usize = 16;
/// The most bits of a solver's fixed point that are rounded off.
pub const MAX_GRAIN: u8 = 30;
/// The length of a public key (X25519, RFC 7748) in bytes.
pub const KEY_LEN: usize = 32;

/// A member of the committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The node.
    pub node: NodeId,
    /// The X25519 key that masks are agreed on with: of this epoch only.
    pub mask_key: [u8; KEY_LEN],
    /// The X25519 key that shares of others' mask keys are sealed to. A recovered mask key does not open them.
    pub share_key: [u8; KEY_LEN],
}

/// An asset whose contributions are summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The node.
    pub node: NodeId,
    /// The X25519 key that masks are agreed on with: of this epoch only.
    pub key: [u8; KEY_LEN],
}

/// What [`Terms::new`] checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsParts {
    /// The plan. Epochs of different plans share nothing.
    pub plan: u64,
    /// The epoch: keys are fresh in each, and sequence numbers begin again at 1.
    pub epoch: u64,
    /// Entries of a contribution, 1 to [`MAX_ENTRIES`].
    pub entries: usize,
    /// Bits of an entry on the wire, 2 to 64: arithmetic is mod 2^bits, which divides 2⁶⁴.
    pub bits: u8,
    /// The greatest magnitude of an entry of one share, in steps.
    pub bound: u64,
    /// The greatest magnitude of an entry of all shares together, in steps, below 2^(bits − 1); `None` for as much as all bounds.
    pub total: Option<u64>,
    /// Bits of a solver's fixed point that are rounded off before anything is masked, 0 to [`MAX_GRAIN`]: a step is so many times coarser.
    pub grain: u8,
    /// The least number of survivors that are opened, at least 2.
    pub k_min: usize,
    /// The least number of assets that may be counted for the first time in one round, at least 1; else none is.
    pub cohort: usize,
    /// By how many assets a set that is summed from nothing has to differ from what was summed before in a horizon, at least 1; and once in a horizon
    /// at most, unless it is 1.
    pub changes: usize,
    /// How many shares recover a member's mask key: 0 (keys are not shared) or 2 to one less than the seats.
    pub threshold: usize,
    /// How many members may be recovered in the epoch: less than the threshold.
    pub recoveries: usize,
    /// The committee in ascending order of nodes, 2 to [`MAX_COMMITTEE`] seats.
    pub committee: Vec<Seat>,
    /// The assets in ascending order of nodes, `k_min` to [`MAX_MEMBERS`].
    pub roster: Vec<Enrolled>,
}

/// Checked terms, and their digest. Every key is derived with it, so that who holds other terms holds other keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    parts: TermsParts,
    digest: [u8; 32],
}

impl Terms {
    /// Checks the parts. Costs a square root in the field for each key, about 10 µs.
    ///
    /// # Errors
    /// The first [`PrivacyError`] found.
    pub fn new(parts: TermsParts) -> Result<Self, PrivacyError> {
        check(&parts)?;
        for seat in &parts.committee {
            check_key(seat.node, &seat.mask_key)?;
            check_key(seat.node, &seat.share_key)?;
        }
        parts.roster.iter().try_for_each(|enrolled| check_key(enrolled.node, &enrolled.key))?;
        let digest = Sha256::digest(encode(&parts)).into();
        Ok(Self { parts, digest })
    }

    /// The parts.
    #[must_use]
    pub const fn parts(&self) -> &TermsParts {
        &self.parts
    }

    /// The greatest magnitude of an entry of all shares together, in steps.
    #[must_use]
    pub fn total(&self) -> u64 {
        total(&self.parts)
    }

    /// SHA-256 of the terms' bytes.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The terms' bytes: what a coordinator signs and distributes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.parts)
    }

    /// Reads terms.
    ///
    /// # Errors
    /// As [`Terms::new`], and when the bytes are not deterministic CBOR.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        Self::new(decode(bytes)?)
    }

    /// The fewest bits for shares within ±`bound` steps of so many assets; `None` when 64 are too few.
    #[must_use]
    pub fn fewest_bits(bound: u64, assets: usize) -> Option<u8> {
        (2..=64).find(|bits| bound <= greatest_bound(*bits, assets as u64))
    }

    /// How many members of the committee may collude with the coordinator, and with each other, and learn nothing but the
    /// sums that are opened.
    ///
    /// Without shared keys all but one. Else less than threshold − recoveries: with `a` colluding members, a key is recovered by
    /// `threshold − a` honest guardians, each of whom helps `recoveries` times, so that of `c − a` honest keys at most
    /// `recoveries (c − a) / (threshold − a)` are lost, and one remains while `recoveries < threshold − a`.
    #[must_use]
    pub fn tolerated(&self) -> usize {
        match self.parts.threshold {
            0 => self.parts.committee.len() - 1,
            threshold => threshold - self.parts.recoveries - 1,
        }
    }

    /// The asset's place in the roster.
    #[must_use]
    pub fn position(&self, asset: NodeId) -> Option<usize> {
        self.parts.roster.binary_search_by_key(&asset, |enrolled| enrolled.node).ok()
    }

    /// The member's place in the committee.
    #[must_use]
    pub fn seat(&self, member: NodeId) -> Option<usize> {
        self.parts.committee.binary_search_by_key(&member, |seat| seat.node).ok()
    }

    /// The length in bytes of a vector on the wire.
    #[must_use]
    pub fn vector_len(&self) -> usize {
        packed_len(self.parts.entries, self.parts.bits)
    }

    /// Whether the bytes are a vector of these terms: the length, and zeros behind the last entry.
    pub(in crate::planning) fn check_vector(&self, vector: &[u8]) -> Result<(), PrivacyError> {
        let (found, expected) = (vector.len(), self.vector_len());
        if found != expected {
            return Err(PrivacyError::Entries { found, expected });
        }
        let used = self.parts.entries * usize::from(self.parts.bits) % 8;
        match vector.last() {
            Some(last) if used > 0 && last >> used != 0 => {
                Err(CborError::NotDeterministic { at: expected - 1 }.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_epoch(&self, found: u64) -> Result<(), PrivacyError> {
        let expected = self.parts.epoch;
        if found == expected { Ok(()) } else { Err(PrivacyError::Epoch { found, expected }) }
    }

    pub(super) fn check_share(&self, share: &[i64]) -> Result<(), PrivacyError> {
        let (expected, bound) = (self.parts.entries, self.parts.bound);
        if share.len() != expected {
            return Err(PrivacyError::Entries { found: share.len(), expected });
        }
        match share.iter().position(|value| value.unsigned_abs() > bound) {
            Some(entry) => Err(PrivacyError::Bound { entry, bound }),
            None => Ok(()),
        }
    }
}

/// What an asset asks of the terms, whoever offers them: a coordinator that fills the committee with its own is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least `k_min`.
    pub k_min: usize,
    /// The least number of colluding members that the terms must bear ([`Terms::tolerated`]).
    pub tolerated: usize,
    /// The least number of assets that are counted together for the first time.
    pub cohort: usize,
    /// The least number of assets by which sums from nothing may differ.
    pub changes: usize,
    /// Who may sit in the committee.
    pub seats: Vec<NodeId>,
    /// Who may be summed, in ascending order: a coordinator that makes names up reads the one honest asset among them.
    pub roster: Vec<NodeId>,
}

impl Policy {
    /// Whether the terms ask no less than the policy.
    ///
    /// # Errors
    /// [`PrivacyError::Policy`], [`PrivacyError::Seat`] or [`PrivacyError::Stranger`].
    pub fn check(&self, terms: &Terms) -> Result<(), PrivacyError> {
        let least = |field, found: usize, least: usize| {
            let error = PrivacyError::Policy { field, found: found as u64, least: least as u64 };
            if found < least { Err(error) } else { Ok(()) }
        };
        least("k_min", terms.parts.k_min, self.k_min)?;
        least("tolerated", terms.tolerated(), self.tolerated)?;
        least("cohort", terms.parts.cohort, self.cohort)?;
        least("changes", terms.parts.changes, self.changes)?;
        if let Some(seat) = terms.parts.committee.iter().find(|seat| !self.seats.contains(&seat.node)) {
            return Err(PrivacyError::Seat { node: seat.node });
        }
        match terms.parts.roster.iter().find(|asset| self.roster.binary_search(&asset.node).is_err()) {
            Some(asset) => Err(PrivacyError::Stranger { node: asset.node }),
            None => Ok(()),
        }
    }
}

fn check(parts: &TermsParts) -> Result<(), PrivacyError> {
    let range = |field, found: u64, least: u64, most: u64| {
        let error = PrivacyError::Terms { field, found, least, most };
        if (least..=most).contains(&found) { Ok(()) } else { Err(error) }
    };
    let (seats, assets) = (parts.committee.len() as u64, parts.roster.len() as u64);
    range("entries", parts.entries as u64, 1, MAX_ENTRIES as u64)?;
    range("bits", parts.bits.into(), 2, 64)?;
    range("committee", seats, 2, MAX_COMMITTEE as u64)?;
    range("roster", assets, 2, MAX_MEMBERS as u64)?;
    range("bound", parts.bound, 1, greatest_bound(parts.bits, 1))?;
    range("total", total(parts), parts.bound, greatest_bound(parts.bits, 1))?;
    range("grain", parts.grain.into(), 0, MAX_GRAIN.into())?;
    range("k_min", parts.k_min as u64, 2, assets)?;
    range("cohort", parts.cohort as u64, 1, assets)?;
    range("changes", parts.changes as u64, 1, MAX_MEMBERS as u64)?;
    if parts.threshold > 0 {
        range("threshold", parts.threshold as u64, 2, seats - 1)?;
    }
    range("recoveries", parts.recoveries as u64, 0, (parts.threshold as u64).saturating_sub(1))?;
    if !parts.committee.is_sorted_by(|a, b| a.node < b.node) {
        return Err(PrivacyError::Order { list: "committee" });
    }
    if !parts.roster.is_sorted_by(|a, b| a.node < b.node) {
        return Err(PrivacyError::Order { list: "roster" });
    }
    Ok(())
}

fn total(parts: &TermsParts) -> u64 {
    parts.total.unwrap_or_else(|| parts.bound.saturating_mul(parts.roster.len() as u64))
}

/// The greatest bound whose sum over all assets has a sign in so many bits.
fn greatest_bound(bits: u8, assets: u64) -> u64 {
    ((1_u64 << (bits - 1)) - 1) / assets.max(1)
}

/// On the curve and not of small order: on the twist a recovered key would not give the mask that the member gave.
fn check_key(node: NodeId, key: &[u8; KEY_LEN]) -> Result<(), PrivacyError> {
    let point = MontgomeryPoint(*key).to_edwards(0);
    let weak = point.as_ref().is_none_or(EdwardsPoint::is_small_order);
    if weak { Err(PrivacyError::WeakKey { node }) } else { Ok(()) }
}

fn encode(parts: &TermsParts) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 80 * parts.committee.len() + 44 * parts.roster.len());
    cbor::put_head(&mut out, ARRAY, 14);
    let numbers = [parts.plan, parts.epoch, parts.entries as u64, parts.bits.into(), parts.bound];
    for value in numbers.into_iter().chain([total(parts), parts.grain.into()]) {
        cbor::put_uint(&mut out, value);
    }
    for value in [parts.k_min, parts.cohort, parts.changes, parts.threshold, parts.recoveries] {
        cbor::put_uint(&mut out, value as u64);
    }
    cbor::put_head(&mut out, ARRAY, 3 * parts.committee.len() as u64);
    for seat in &parts.committee {
        cbor::put_uint(&mut out, seat.node.0);
        cbor::put_bytes(&mut out, &seat.mask_key);
        cbor::put_bytes(&mut out, &seat.share_key);
    }
    cbor::put_head(&mut out, ARRAY, 2 * parts.roster.len() as u64);
    for enrolled in &parts.roster {
        cbor::put_uint(&mut out, enrolled.node.0);
        cbor::put_bytes(&mut out, &enrolled.key);
    }
    out
}

fn decode(bytes: &[u8]) -> Result<TermsParts, PrivacyError> {
    let mut reader = cbor::Reader::new(bytes);
    reader.array_of(14)?;
    let (plan, epoch, entries) = (reader.uint()?, reader.uint()?, size(reader.uint()?));
    let (bits, bound) = (u8::try_from(reader.uint()?).unwrap_or(u8::MAX), reader.uint()?);
    let total = Some(reader.uint()?);
    let grain = u8::try_from(reader.uint()?).unwrap_or(u8::MAX);
    let (k_min, cohort, changes) = (size(reader.uint()?), size(reader.uint()?), size(reader.uint()?));
    let (threshold, recoveries) = (size(reader.uint()?), size(reader.uint()?));
    let seats = list(&mut reader, "committee", 3, MAX_COMMITTEE)?;
    let mut committee = Vec::with_capacity(seats);
    for _ in 0..seats {
        let node = NodeId(reader.uint()?);
        committee.push(Seat { node, mask_key: key(&mut reader)?, share_key: key(&mut reader)? });
    }
    let assets = list(&mut reader, "roster", 2, MAX_MEMBERS)?;
    let mut roster = Vec::with_capacity(assets);
    for _ in 0..assets {
        roster.push(Enrolled { node: NodeId(reader.uint()?), key: key(&mut reader)? });
    }
    reader.end()?;
    Ok(TermsParts {
        plan,
        epoch,
        entries,
        bits,
        bound,
        total,
        grain,
        k_min,
        cohort,
        changes,
        threshold,
        recoveries,
        committee,
        roster,
    })
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The number of records of a flat list, each of `fields` items, checked against the limit before anything is allocated.
fn list(
    reader: &mut cbor::Reader<'_>,
    field: &'static str,
    fields: u64,
    limit: usize,
) -> Result<usize, PrivacyError> {
    let items = reader.array()?;
    let most = limit as u64;
    if items % fields != 0 || items / fields > most {
        return Err(PrivacyError::Terms { field, found: items.div_ceil(fields), least: 2, most });
    }
    Ok((items / fields) as usize)
}

fn key(reader: &mut cbor::Reader<'_>) -> Result<[u8; KEY_LEN], PrivacyError> {
    let bytes = reader.bytes()?;
    bytes.try_into().map_err(|_| PrivacyError::Entries { found: bytes.len(), expected: KEY_LEN })
}
