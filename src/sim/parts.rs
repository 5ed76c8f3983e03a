//! What an asset's own part in decisions and plans schedules before the run begins.

use super::event::Event;
use crate::{
    scenario::{GovernanceSpec, PlanSpec},
    units::{AssetIndex, SimTime},
};

/// What a voter is told, then what an asset proposes.
pub(super) fn decisions(governance: &GovernanceSpec, asset: AssetIndex) -> Vec<(SimTime, Event)> {
    let votes = governance.votes.iter().enumerate().filter(|(_, vote)| vote.asset == asset);
    let mut events: Vec<(SimTime, Event)> =
        votes.map(|(number, vote)| (vote.at, Event::Vote(number as u32))).collect();
    let proposals = governance.proposals.iter().enumerate().filter(|(_, proposal)| proposal.asset == asset);
    events.extend(proposals.map(|(number, proposal)| (proposal.at, Event::Propose(number as u32))));
    events
}

/// Later horizons of the plan, at everyone who has a part in it, and when a participant comes and goes.
pub(super) fn plan_events(plan: &PlanSpec, asset: AssetIndex) -> Vec<(SimTime, Event)> {
    let participant = plan.participants.iter().find(|participant| participant.asset == asset);
    let mut events = Vec::new();
    if participant.is_some() || plan.coordinator == asset || plan.successors.contains(&asset) {
        let every = plan.rolling.map_or(SimTime::ZERO, |rolling| rolling.every);
        events.extend((1..plan.horizons()).map(|horizon| {
            let time = SimTime(plan.start.0 + every.0 * i64::try_from(horizon).unwrap_or(i64::MAX));
            (time, Event::PlanHorizon(horizon))
        }));
    }
    let joins = participant.and_then(|participant| participant.joins);
    let leaves = participant.and_then(|participant| participant.leaves);
    events.extend(joins.map(|time| (time, Event::PlanPresence { joins: true })));
    events.extend(leaves.map(|time| (time, Event::PlanPresence { joins: false })));
    events
}
