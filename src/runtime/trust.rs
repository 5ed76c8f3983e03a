//! Certificates and policy of a run's nodes, and the logs that they leave.

use super::{Fleet, Runtime, Storage};
use crate::{
    engine::{AssetLog, EarlierLog, Record, Stream},
    scenario::TrustSpec,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    cbor::Reader,
    identity::{Cause, Certificate, KeyPair, RevocationList, Statement, TimeRule},
    log::{Checkpoint, Entry, Event, LogId, SignedCheckpoint, Tree, leaf_hash},
    node::{Input, Issuer, Kept, Node, TrustConfig},
    time::DtnTime,
};
use std::time::Duration;

impl Fleet {
    /// The authority's key: split from the run's seed, beside those of the assets.
    fn authority(&self) -> KeyPair {
        KeyPair::from_seed(self.streams.seed_256(Stream::Identity, u64::MAX))
    }

    /// How an asset's node trusts, if the scenario says so.
    pub(super) fn trust(&self, asset: AssetIndex) -> Option<TrustConfig> {
        let spec = self.scenario().trust.as_ref()?;
        let authority = self.authority();
        let rule = TimeRule { grace: span(spec.grace), ..TimeRule::default() };
        Some(TrustConfig {
            authority: authority.public().clone(),
            statements: self.statements(spec, &authority),
            issuer: (spec.authority == asset).then(|| Issuer {
                keys: authority,
                lifetime: span(spec.certificate_lifetime),
                renew_before: span(spec.renew_before),
            }),
            rule,
            policy: spec.policy.clone(),
            scope: spec.grant(asset).home,
            witness: spec.witnesses.contains(&asset),
            share: spec.share,
            interval: span(spec.interval),
            lifetime: span(spec.lifetime),
        })
    }

    /// What every node is provisioned with: a certificate for each, from the epoch on, and an empty revocation list.
    fn statements(&self, spec: &TrustSpec, authority: &KeyPair) -> Vec<Statement> {
        let epoch = self.scenario().epoch.dtn_time_ms(SimTime::ZERO).unwrap_or(0);
        let not_before = DtnTime(epoch / 1000 * 1000);
        let lifetime = u64::try_from(spec.certificate_lifetime.as_nanos() / 1_000_000).unwrap_or(0);
        let certificate = |asset: AssetIndex| {
            let grant = spec.grant(asset);
            let certificate = Certificate {
                subject: self.node(asset),
                key: self.keys(asset).public().clone(),
                role: grant.role,
                scope: grant.scope,
                not_before,
                expires: DtnTime(not_before.0 + lifetime.max(1000)),
            };
            Statement::Certificate(certificate.issue(authority))
        };
        let list = RevocationList { version: 1, issued: not_before, ..RevocationList::default() };
        let list = Statement::Revocations(list.issue(authority));
        self.scenario().asset_indices().map(certificate).chain([list]).collect()
    }
}

impl Runtime {
    /// The authority takes the key of an asset back.
    pub fn revoke(
        &mut self,
        now: SimTime,
        asset: AssetIndex,
        cause: Cause,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let node = self.fleet.node(asset);
        self.input(now, Input::Revoke { node, cause }, storage, out);
    }

    /// What the asset's log holds at the end of the run, as far as it is durable; `None` when it keeps none.
    #[must_use]
    pub fn log(&self, now: SimTime, storage: &Storage) -> Option<AssetLog> {
        let EarlierLog { entries, checkpoint, .. } = self.signed(now, storage.log())?;
        // Of a node that is down at the end, what it had kept: checkpoints, and both halves of forks.
        let kept = |(key, value): (&Vec<u8>, &Vec<u8>)| match key.first() {
            Some(kind) if *kind == Kept::Checkpoint as u8 => [value.clone()].to_vec(),
            Some(kind) if *kind == Kept::Proof as u8 => kept_fork(value),
            _ => Vec::new(),
        };
        let seen = match self.node.as_ref().and_then(Node::witness) {
            Some(witness) => witness.evidence().map(|proven| proven.bytes.clone()).collect(),
            None => storage.records().iter().flat_map(kept).collect(),
        };
        let cosignatures = self.node.as_ref().and_then(Node::cosignatures);
        let cosignatures = cosignatures.into_iter().flat_map(|known| known.values().cloned()).collect();
        let key = self.fleet.keys(self.asset).public().clone();
        let earlier = storage.earlier_logs().iter().filter_map(|log| self.signed(now, log)).collect();
        let (asset, node) = (self.asset, self.fleet.node(self.asset));
        Some(AssetLog { asset, node, key, entries, checkpoint, seen, cosignatures, earlier })
    }

    /// A log of this asset's with a checkpoint over it, signed now.
    fn signed(&self, now: SimTime, entries: &[Vec<u8>]) -> Option<EarlierLog> {
        let first = Entry::decode(entries.first()?).ok()?;
        let Event::Started { incarnation: born } = first.event else { return None };
        let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let (size, root) = (tree.size(), tree.root(tree.size())?);
        let time = self.fleet.civil(self.asset, now).map_or(DtnTime::UNKNOWN, |estimate| estimate.utc);
        let log = LogId { node: self.fleet.node(self.asset), born };
        let checkpoint = Checkpoint { log, size, root, time }.sign(&self.fleet.keys(self.asset));
        Some(EarlierLog { born, entries: entries.to_vec(), checkpoint })
    }
}

fn span(time: SimTime) -> Duration {
    Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(0))
}

/// The two checkpoints of a kept proof; none if it proves something else than a fork of a log.
fn kept_fork(value: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(value);
    let halves = reader.array_of(2).and_then(|()| Ok([reader.bytes()?.to_vec(), reader.bytes()?.to_vec()]));
    let is_checkpoint = |half: &Vec<u8>| SignedCheckpoint::parse(half).is_ok();
    halves
        .ok()
        .filter(|halves| halves.iter().all(is_checkpoint))
        .map_or_else(Vec::new, |halves| halves.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::{cbor, id::NodeId};

    #[test]
    fn both_halves_of_a_kept_fork_are_found_and_other_proofs_are_none() {
        let keys = KeyPair::from_seed([7; 32]);
        let log = LogId { node: NodeId(7), born: 1 };
        let half = |root: u8| Checkpoint { log, size: 3, root: [root; 32], time: DtnTime(9) }.sign(&keys);
        let proof = |halves: [&[u8]; 2]| {
            let mut value = Vec::new();
            cbor::put_head(&mut value, cbor::ARRAY, 2);
            halves.iter().for_each(|half| cbor::put_bytes(&mut value, half));
            value
        };
        assert_eq!(kept_fork(&proof([&half(1), &half(2)])), [half(1), half(2)]);
        assert!(kept_fork(&proof([&half(1), b"a ballot"])).is_empty());
        assert!(kept_fork(b"").is_empty());
    }
}
