//! A fleet for the tests: assets, a committee and a coordinator that speak through encoded messages.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    Aggregator, Asset, AssetSecret, CommitteeMember, Enrolled, MaskSum, MaskedContribution, Occasion, Opened,
    Policy, PrivacyError, Receipt, Seat, SeatSecret, Survivors, Terms, TermsParts,
};
use crate::id::NodeId;

pub(crate) const COORDINATOR: NodeId = NodeId(1);
pub(crate) const ENTRIES: usize = 3;
pub(crate) const ASSETS: u64 = 6;

pub(crate) fn asset_node(index: usize) -> NodeId {
    NodeId(100 + index as u64)
}

pub(crate) fn seat_node(index: usize) -> NodeId {
    NodeId(10 + index as u64)
}

pub(crate) fn asset_secret(index: usize) -> AssetSecret {
    AssetSecret::from_seed([1 + index as u8; 32])
}

pub(crate) fn seat_secret(index: usize) -> SeatSecret {
    SeatSecret::from_seed([201 + index as u8; 32])
}

/// Four seats of which three recover a fourth, six assets of which three are opened.
pub(crate) fn parts() -> TermsParts {
    let seat = |index| {
        let secret = seat_secret(index);
        Seat { node: seat_node(index), mask_key: secret.mask_key(), share_key: secret.share_key() }
    };
    let enrolled = |index| Enrolled { node: asset_node(index), key: asset_secret(index).public_key() };
    TermsParts {
        plan: 7,
        epoch: 3,
        entries: ENTRIES,
        bits: 64,
        bound: 1 << 40,
        total: None,
        grain: 0,
        k_min: 3,
        cohort: 1,
        changes: 1,
        threshold: 3,
        recoveries: 1,
        committee: (0..4).map(seat).collect(),
        roster: (0..ASSETS as usize).map(enrolled).collect(),
    }
}

pub(crate) fn policy() -> Policy {
    let roster = (0..ASSETS as usize).map(asset_node).collect();
    Policy { k_min: 2, tolerated: 1, cohort: 1, changes: 1, seats: (0..4).map(seat_node).collect(), roster }
}

pub(crate) struct Fleet {
    pub(crate) terms: Arc<Terms>,
    pub(crate) assets: Vec<Asset>,
    pub(crate) members: Vec<CommitteeMember>,
    pub(crate) aggregator: Aggregator,
}

impl Fleet {
    pub(crate) fn new(parts: TermsParts) -> Self {
        let terms = Arc::new(Terms::decode(&Terms::new(parts).unwrap().encode()).unwrap());
        let assets = (0..terms.parts().roster.len())
            .map(|i| Asset::new(Arc::clone(&terms), asset_node(i), &asset_secret(i), &policy()).unwrap())
            .collect();
        let mut members: Vec<CommitteeMember> = (0..terms.parts().committee.len())
            .map(|i| {
                CommitteeMember::new(Arc::clone(&terms), seat_node(i), seat_secret(i), COORDINATOR).unwrap()
            })
            .collect();
        let deals: Vec<_> = members.iter().filter_map(|member| member.deal().unwrap()).collect();
        for member in &mut members {
            let own = member.node();
            for deal in deals.iter().filter(|deal| deal.dealer != own) {
                let deal = super::Deal::decode(&deal.encode()).unwrap();
                member.on_deal(deal.dealer, &deal).unwrap();
            }
        }
        Self { aggregator: Aggregator::new(Arc::clone(&terms)), terms, assets, members }
    }

    /// What contributions are for now, as the coordinator says.
    pub(crate) fn occasion(&self) -> Occasion {
        *self.aggregator.occasion()
    }

    pub(crate) fn speak(&mut self, asset: usize, share: [i64; ENTRIES]) -> MaskedContribution {
        let occasion = self.occasion();
        let contribution = self.assets[asset].speak(&share, &occasion).unwrap();
        MaskedContribution::decode(&contribution.encode(), &self.terms).unwrap()
    }

    pub(crate) fn contribute(&mut self, asset: usize, share: [i64; ENTRIES]) {
        let contribution = self.speak(asset, share);
        self.aggregator.on_contribution(asset_node(asset), &contribution).unwrap();
    }

    /// Closes the window and asks every member of `answering`.
    pub(crate) fn ask(&mut self, answering: &[usize]) -> Result<Option<Opened>, PrivacyError> {
        let survivors = Survivors::decode(&self.aggregator.close()?.encode()).unwrap();
        let mut opened = None;
        for &member in answering {
            let reply = self.members[member].on_survivors(COORDINATOR, &survivors)?;
            let reply = MaskSum::decode(&reply.encode(), &self.terms).unwrap();
            opened = self.aggregator.on_mask_sum(seat_node(member), &reply)?;
        }
        Ok(opened)
    }

    pub(crate) fn round(&mut self) -> Opened {
        let everyone: Vec<usize> = (0..self.members.len()).collect();
        self.ask(&everyone).unwrap().expect("everyone answered")
    }

    /// Tells every asset what became of its contribution.
    pub(crate) fn tell(&mut self) -> Vec<Option<super::Resolution>> {
        let mut resolutions = vec![];
        for (index, asset) in self.assets.iter_mut().enumerate() {
            let receipt = self.aggregator.receipt(asset_node(index)).unwrap();
            resolutions.push(asset.on_receipt(&Receipt::decode(&receipt.encode()).unwrap()).unwrap());
        }
        resolutions
    }
}

/// What a coordinator that colludes with nobody could do with a contribution: nothing but add it up.
pub(crate) fn raw(contribution: &MaskedContribution) -> Vec<i64> {
    contribution.entries.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
}
