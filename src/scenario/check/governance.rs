//! The fleet's own decisions, who is there, and for whose eyes messages are.

use super::Checker;
use crate::scenario::{
    checked::{
        Decision, DiscoverySpec, GovernanceSpec, Priority, Proposal, ProtocolSettings, SealingSpec,
        TrustSpec, Vote,
    },
    decode::{List, Spanned},
    diagnostic::Mistake,
    raw::{RawDecision, RawDiscovery, RawGovernance, RawProposal, RawSealedPurpose, RawSealing, RawVote},
};
use crate::units::{AssetIndex, SimTime};
use cosmosmesh_protocol::{access::Policy, envelope::Purpose, governance::MAX_VOTERS};

const DAY: SimTime = SimTime::from_secs(86_400);

impl Checker<'_> {
    pub(super) fn governance(
        &mut self,
        raw: &Spanned<RawGovernance>,
        protocol: &ProtocolSettings,
        trust: Option<&TrustSpec>,
        sharing: &[AssetIndex],
    ) -> GovernanceSpec {
        if trust.is_none() {
            let found = "decisions without certificates";
            self.report(&raw.place, Mistake::Inconsistent, found, "`trust: (…)`: who votes must be known");
        }
        let raw = &raw.value;
        let mut voters = match &raw.voters {
            Some(names) => self.members(names),
            None => self.names.values().copied().collect(),
        };
        voters.sort_unstable();
        voters.dedup();
        if let Some(names) = &raw.voters {
            let holds = (1..=MAX_VOTERS).contains(&voters.len());
            self.expect(holds, &names.place, format!("1 to {MAX_VOTERS} voters"));
        }
        let base = trust.map(|trust| (*trust.policy).clone()).unwrap_or_default();
        let proposals: Vec<Proposal> = raw
            .proposals
            .value
            .iter()
            .map(|proposal| self.proposal(&proposal.value, &voters, &base, sharing))
            .collect();
        GovernanceSpec {
            voters,
            approves: raw.approves.as_ref().is_none_or(|approves| approves.value),
            patience: self.above_zero_or(raw.patience.as_ref(), DAY),
            interval: self.above_zero_or(raw.interval.as_ref(), SimTime::from_secs(3600)),
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(Priority::Normal)),
            votes: self.votes(raw.votes.as_ref(), &raw.proposals),
            proposals,
        }
    }

    fn proposal(
        &mut self,
        raw: &RawProposal,
        voters: &[AssetIndex],
        base: &Policy,
        sharing: &[AssetIndex],
    ) -> Proposal {
        let run = self.run;
        let holds = (SimTime::ZERO..run).contains(&raw.at.value.0);
        self.expect(holds, &raw.at.place, format!("a time within the run, 0 s to below {run}"));
        let asset = self.asset(&raw.asset).unwrap_or(AssetIndex(0));
        self.expect(voters.contains(&asset), &raw.asset.place, "an asset that votes");
        let decision = match &raw.content.value {
            RawDecision::Policy(new) => {
                let rules = new.rules.value.iter().map(|rule| self.rule(&rule.value, base)).collect();
                let policy = Policy::new(rules, base.own_roles().to_vec()).unwrap_or_else(|error| {
                    let allowed = "up to 256 rules, each of its own name and about something";
                    self.report(&new.rules.place, Mistake::Inconsistent, error.to_string(), allowed);
                    Policy::default()
                });
                Decision::Policy(Box::new(policy))
            }
            RawDecision::Schema(new) => {
                if !sharing.contains(&asset) {
                    let found = format!("\"{}\", which shares no state", raw.asset.value);
                    let allowed = "a member of the shared state: it publishes the schema";
                    self.report(&raw.asset.place, Mistake::Inconsistent, found, allowed);
                }
                let schema = self.schema(&new.text);
                schema.map_or_else(
                    || Decision::Policy(Box::default()),
                    |schema| Decision::Schema(Box::new(schema)),
                )
            }
            RawDecision::Seat(who) => Decision::Seat(self.asset(&who.asset).unwrap_or(AssetIndex(0))),
            RawDecision::Unseat(who) => Decision::Unseat(self.asset(&who.asset).unwrap_or(AssetIndex(0))),
            RawDecision::Block(who) => Decision::Block(self.asset(&who.asset).unwrap_or(AssetIndex(0))),
            RawDecision::Authority(who) => {
                Decision::Authority(self.asset(&who.asset).unwrap_or(AssetIndex(0)))
            }
        };
        Proposal { name: raw.name.value.clone(), asset, at: raw.at.value.0, decision }
    }

    fn votes(&mut self, raw: Option<&List<RawVote>>, proposals: &List<RawProposal>) -> Vec<Vote> {
        let run = self.run;
        let names: Vec<&str> =
            proposals.value.iter().map(|proposal| proposal.value.name.value.as_str()).collect();
        let mut votes = Vec::new();
        for vote in raw.map(|raw| raw.value.as_slice()).unwrap_or_default() {
            let vote = &vote.value;
            let proposal = names.iter().position(|name| *name == vote.proposal.value);
            if proposal.is_none() {
                self.unknown_name(&vote.proposal, "a proposal", &names);
            }
            let at = self.not_negative_or(vote.at.as_ref(), SimTime::ZERO);
            if let Some(written) = vote.at.as_ref().filter(|_| at >= run) {
                self.out_of_range(&written.place, format!("a time within the run, 0 s to below {run}"));
            }
            let approves = vote.approves.as_ref().is_none_or(|approves| approves.value);
            let proposal = proposal.unwrap_or(0);
            votes.extend(self.members(&vote.members).into_iter().map(|asset| Vote {
                asset,
                proposal,
                approves,
                at,
            }));
        }
        votes
    }

    pub(super) fn discovery(&mut self, raw: &RawDiscovery) -> DiscoverySpec {
        let round_trip = self.above_zero_or(raw.round_trip.as_ref(), SimTime::from_secs(5));
        let period = self.above_zero_or(raw.period.as_ref(), SimTime::from_secs(30));
        if let Some(written) = raw.period.as_ref().filter(|_| period.0 <= 2 * round_trip.0) {
            self.out_of_range(&written.place, format!("more than twice the round trip, {round_trip}"));
        }
        DiscoverySpec {
            period,
            round_trip,
            suspicion: self.above_zero_or(raw.suspicion.as_ref(), SimTime::from_secs(120)),
            max_light_time: self.not_negative_or(raw.max_light_time.as_ref(), SimTime::from_secs(1)),
            margin: self.not_negative_or(raw.margin.as_ref(), SimTime::from_secs(120)),
        }
    }

    pub(super) fn sealing(&mut self, raw: &RawSealing) -> SealingSpec {
        let all = [Purpose::Telemetry, Purpose::Command, Purpose::Event];
        let purposes = raw.purposes.as_ref().map(|purposes| {
            let named = purposes.value.iter().map(|purpose| match purpose.value {
                RawSealedPurpose::Telemetry => Purpose::Telemetry,
                RawSealedPurpose::Command => Purpose::Command,
                RawSealedPurpose::Event => Purpose::Event,
            });
            named.collect()
        });
        let group = raw.group.as_ref().map(|group| {
            let keeper = self.asset(&group.value.keeper).unwrap_or(AssetIndex(0));
            let mut members = self.members(&group.value.members);
            members.push(keeper);
            members.sort_unstable();
            members.dedup();
            (keeper, members)
        });
        SealingSpec { purposes: purposes.unwrap_or_else(|| all.into_iter().collect()), group }
    }
}
