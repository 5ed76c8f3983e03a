//! What a mission gives every node before it leaves, from which each makes the terms of an epoch by itself: [`Enrolment`].

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Width;
use crate::{
    id::NodeId,
    planning::{
        message::{FRACTION_BITS, MAX_SHARE},
        privacy::{
            AssetSecret, CommitteeMember, Enrolled, Policy, PrivacyError, Seat, SeatSecret, Terms, TermsParts,
        },
    },
};

/// A node's own secret for the plan, from which the secrets of its epochs follow. It never leaves the node; what it shows is redacted.
#[derive(Clone)]
pub struct EpochSeed(Zeroizing<[u8; 32]>);

impl EpochSeed {
    /// From 32 bytes of the caller's random source.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    fn expand(&self, label: &[u8], epoch: u64) -> [u8; 32] {
        let kdf = Hkdf::<Sha256>::new(Some(b"CosmosMesh epoch secrets 1"), self.0.as_ref());
        let mut out = [0; 32];
        kdf.expand_multi_info(&[label, &epoch.to_be_bytes()], &mut out).expect("32 bytes are one block");
        out
    }

    /// The asset's secret of an epoch.
    #[must_use]
    pub fn asset(&self, epoch: u64) -> AssetSecret {
        AssetSecret::from_seed(self.expand(b"asset", epoch))
    }

    /// The committee member's secrets of an epoch.
    #[must_use]
    pub fn seat(&self, epoch: u64) -> SeatSecret {
        SeatSecret::from_seed(self.expand(b"seat", epoch))
    }

    /// The seed of the tickets that part the asset's requests of equal value from others', in a horizon.
    #[must_use]
    pub fn tickets(&self, horizon: u64) -> [u8; 32] {
        self.expand(b"tickets", horizon)
    }

    /// The seed of the asset's noise, in every epoch.
    #[must_use]
    pub fn noise(&self) -> [u8; 32] {
        self.expand(b"noise", 0)
    }
}

impl fmt::Debug for EpochSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSeed(..)")
    }
}

/// What everybody knows beforehand of a plan's masks: who is summed, who masks, with which public keys in which epoch, and how few may be opened.
///
/// The keys of a number of epochs are published with the identities. So an epoch needs no key exchange before its first answer, and
/// nobody takes the coordinator's word for who takes part: each node makes the terms itself, and who makes others opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The plan.
    pub plan: u64,
    /// The least number of survivors that are opened.
    pub k_min: usize,
    /// The least number of assets that are counted for the first time in one round.
    pub cohort: usize,
    /// By how many assets sums from nothing have to differ within a horizon; 1 for any.
    pub changes: usize,
    /// Shares that recover a member's key, or 0.
    pub threshold: usize,
    /// Recoveries in an epoch.
    pub recoveries: usize,
    /// The greatest magnitude of an entry of a share, in steps of the solver's fixed point: published, as the bounds are that it comes from.
    pub greatest: u64,
    /// The greatest magnitude of an entry of all shares together, likewise; `None` for as much as all of `greatest`.
    pub total: Option<u64>,
    /// Bits of the solver's fixed point that are rounded off.
    pub grain: u8,
    /// By epoch from 1: the committee and the roster, each in ascending order of nodes.
    pub epochs: Vec<(Vec<Seat>, Vec<Enrolled>)>,
}

impl Enrolment {
    /// The public keys of these members for so many epochs, from all their seeds: what a mission does before launch, and a simulation.
    #[must_use]
    pub fn published(
        &self,
        committee: &[(NodeId, EpochSeed)],
        roster: &[(NodeId, EpochSeed)],
        epochs: u64,
    ) -> Vec<(Vec<Seat>, Vec<Enrolled>)> {
        let seat = |(node, seed): &(NodeId, EpochSeed), epoch| {
            let secret = seed.seat(epoch);
            Seat { node: *node, mask_key: secret.mask_key(), share_key: secret.share_key() }
        };
        let asset = |(node, seed): &(NodeId, EpochSeed), epoch| Enrolled {
            node: *node,
            key: seed.asset(epoch).public_key(),
        };
        let epoch = |epoch| {
            let seats = committee.iter().map(|one| seat(one, epoch)).collect();
            (seats, roster.iter().map(|one| asset(one, epoch)).collect())
        };
        (1..=epochs).map(epoch).collect()
    }

    /// The terms of an epoch for answers of so many entries.
    ///
    /// # Errors
    /// [`PrivacyError::NoKeys`] when the mission published none for it, else as [`Terms::new`].
    pub fn terms(&self, epoch: u64, entries: usize, width: Width) -> Result<Arc<Terms>, PrivacyError> {
        let published = self.epochs.len() as u64;
        let keys = epoch.checked_sub(1).and_then(|place| self.epochs.get(usize::try_from(place).ok()?));
        let (committee, roster) = keys.ok_or(PrivacyError::NoKeys { epoch, published })?.clone();
        let widest = (MAX_SHARE as u64) << FRACTION_BITS;
        let (greatest, total, grain) = match width {
            Width::Shares => (self.greatest.min(widest), self.total, self.grain),
            Width::Any => (widest, None, 0),
        };
        // Rounded up, and a step more for what is rounded to the nearest: of the total, a step for each.
        let (bound, assets) = ((greatest >> grain) + 1, roster.len() as u64);
        let all = bound.saturating_mul(assets);
        let total = total.map_or(all, |total| ((total >> grain) + 1 + assets).clamp(bound, all));
        let terms = Terms::new(TermsParts {
            plan: self.plan,
            epoch,
            entries,
            bits: Terms::fewest_bits(total, 1).unwrap_or(64),
            bound,
            total: Some(total),
            grain,
            k_min: self.k_min,
            cohort: self.cohort,
            changes: self.changes.max(1),
            threshold: self.threshold,
            recoveries: self.recoveries,
            committee,
            roster,
        })?;
        Ok(Arc::new(terms))
    }

    /// What an asset asks of terms: what was published, and no less.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let (seats, roster) =
            self.epochs.first().map_or((&[][..], &[][..]), |(seats, roster)| (seats, roster));
        Policy {
            k_min: self.k_min,
            tolerated: 1,
            cohort: self.cohort,
            changes: self.changes.max(1),
            seats: seats.iter().map(|seat| seat.node).collect(),
            roster: roster.iter().map(|asset| asset.node).collect(),
        }
    }

    /// Whether a node has a seat in the committee.
    #[must_use]
    pub fn seats(&self, node: NodeId) -> bool {
        self.epochs.first().is_some_and(|(seats, _)| seats.iter().any(|seat| seat.node == node))
    }

    /// A committee member of these terms.
    ///
    /// # Errors
    /// As [`CommitteeMember::new`].
    pub fn member(
        terms: &Arc<Terms>,
        node: NodeId,
        seed: &EpochSeed,
        coordinator: NodeId,
    ) -> Result<CommitteeMember, PrivacyError> {
        CommitteeMember::new(Arc::clone(terms), node, seed.seat(terms.parts().epoch), coordinator)
    }
}
