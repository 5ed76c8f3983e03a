//! What an asset's own part in the fleet's decisions schedules before the run begins.

use super::event::Event;
use crate::{
    scenario::GovernanceSpec,
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
