//! The fleet's own decisions, gossip and sealing of a run's nodes.

use super::{Fleet, Runtime, Storage};
use crate::{
    engine::{Record, Stream},
    scenario::Decision,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    discovery::Pace,
    governance::{Content, Electorate},
    identity::{Cause, KeyId, KeyPair},
    node::{Audience, DiscoveryConfig, GovernanceConfig, Input, Issuer, SealingConfig},
    time::DtnTime,
};
use std::time::Duration;

impl Fleet {
    /// How an asset takes part in the fleet's decisions.
    pub(super) fn governance(&self, asset: AssetIndex) -> Option<GovernanceConfig> {
        let spec = self.scenario().governance.as_ref()?;
        let trust = self.scenario().trust.as_ref()?;
        let voters = spec.voters.iter().map(|voter| (self.node(*voter), self.keys(*voter).public().clone()));
        let standby = spec.standbys().any(|standby| standby == asset).then(|| Issuer {
            keys: self.standby_key(asset),
            lifetime: span(trust.certificate_lifetime),
            renew_before: span(trust.renew_before),
        });
        Some(GovernanceConfig {
            electorate: Electorate::new(voters).expect("the scenario's checks count voters"),
            approves: spec.approves,
            patience: span(spec.patience),
            interval: span(spec.interval),
            lifetime: span(spec.lifetime),
            standby,
        })
    }

    /// The key with which an asset would be the authority: split from the run's seed.
    fn standby_key(&self, asset: AssetIndex) -> KeyPair {
        KeyPair::from_seed(self.streams.seed_256(Stream::Identity, u64::MAX - 1 - u64::from(asset.0)))
    }

    /// The content of a proposal of the scenario, as it was when it is proposed.
    fn content(&self, proposal: usize) -> Option<Content> {
        let spec = self.scenario().governance.as_ref()?;
        let proposal = spec.proposals.get(proposal)?;
        let since = self.civil(proposal.asset, proposal.at).map_or(DtnTime::UNKNOWN, |estimate| estimate.utc);
        let key = |asset: AssetIndex| self.keys(asset).public().clone();
        Some(match &proposal.decision {
            Decision::Policy(policy) => Content::Policy(policy.clone()),
            Decision::Schema(schema) => Content::Schema(schema.clone()),
            Decision::Seat(who) => Content::Seat { node: self.node(*who), key: key(*who) },
            Decision::Unseat(who) => Content::Unseat { node: self.node(*who) },
            Decision::Block(who) => {
                Content::Block { node: self.node(*who), key: KeyId::of(&key(*who)), since }
            }
            Decision::Authority(who) => {
                // The fleet decides over the authority's head: it no longer trusts the key.
                let cause = Cause::Compromised;
                Content::Authority { key: self.standby_key(*who).public().clone(), since, cause }
            }
        })
    }

    /// How an asset finds out who is there.
    pub(super) fn discovery(&self) -> Option<DiscoveryConfig> {
        let spec = self.scenario().discovery.as_ref()?;
        let pace = Pace {
            period: span(spec.period),
            round_trip: span(spec.round_trip),
            suspicion: span(spec.suspicion),
        };
        Some(DiscoveryConfig { pace, max_light_time: span(spec.max_light_time), margin: span(spec.margin) })
    }

    /// What is sealed, and for whom.
    pub(super) fn sealing(&self) -> Option<SealingConfig> {
        let spec = self.scenario().sealing.as_ref()?;
        let audience = match &spec.group {
            None => Audience::Recipient,
            Some((keeper, members)) => Audience::Group {
                keeper: self.node(*keeper),
                members: members.iter().map(|member| self.node(*member)).collect(),
                lifetime: span(self.scenario().duration),
            },
        };
        Some(SealingConfig { purposes: spec.purposes.clone(), audience })
    }
}

impl Runtime {
    /// The asset proposes the scenario's `number`th proposal.
    pub fn propose(&mut self, now: SimTime, number: usize, storage: &mut Storage, out: &mut Vec<Record>) {
        if let Some(content) = self.fleet.content(number) {
            self.input(now, Input::Propose(Box::new(content)), storage, out);
        }
    }

    /// The asset's voter is told what to think of the scenario's `number`th proposal.
    pub fn take_opinion(
        &mut self,
        now: SimTime,
        number: usize,
        approves: bool,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        if let Some(content) = self.fleet.content(number) {
            let content = content.digest();
            self.input(now, Input::Opinion { content, approves }, storage, out);
        }
    }
}

fn span(time: SimTime) -> Duration {
    Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(0))
}
