//! What happens at an asset.

use super::outside::Arrival;
use crate::{
    link::{Flight, TransmissionId},
    scenario::{Attack, GovernanceSpec, PlanSpec},
    units::{AssetIndex, SimTime},
};

/// An event and its place in the chain of causes within one moment: what an asset causes at another one in the same moment is a step
/// later, and so is everything that it causes there.
#[derive(Clone, Debug)]
pub(super) struct Stepped {
    pub(super) step: u32,
    pub(super) event: Event,
}

/// An event of the simulator's queue.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The next window of the asset's list opens: its place in the list.
    WindowOpens(u32),
    /// A window of the asset closes: its place in the list.
    WindowCloses(u32),
    /// On a link with sessions, the first bits of a frame of so many bytes are here.
    FrameBegins(u32),
    /// A frame's last bit is here.
    FrameEnds(Box<Incoming>),
    /// A frame comes in from a real interface.
    Arrives(Box<Arrival>),
    /// A radio may send again, or try again.
    RadioFree(u32),
    /// The node's timer may be due.
    Timer,
    /// A message of this flow arises.
    Submit(u32),
    /// A message of the scenario's list arises.
    SubmitListed,
    /// A write to shared state arises.
    Write,
    /// A member publishes a data contract: its place in the scenario's list.
    Publish(u32),
    /// The plan begins.
    StartPlan,
    /// An adversary's turn: its place in the scenario's list.
    Attack(u32),
    /// The authority takes a key back: its place among the scenario's revocations.
    Revoke(u32),
    /// A proposal of the scenario is put forward: its place.
    Propose(u32),
    /// A voter is told what to think: the vote's place.
    Vote(u32),
    /// A later horizon of the plan begins.
    PlanHorizon(u64),
    /// The asset joins the plan, or leaves it.
    PlanPresence {
        /// Whether it joins.
        joins: bool,
    },
    /// The battery let the radios fall silent, or wake.
    Silence(bool),
    /// A fault of the scenario begins or ends here.
    Fault {
        /// Index into the scenario's faults.
        fault: u32,
        /// Whether it begins.
        begins: bool,
    },
}

/// A frame at the end of its reception.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// Index into the course's links.
    pub(super) link: u32,
    /// How it travelled.
    pub(super) flight: Flight,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether it was sent to this asset; else it is only heard here.
    pub(super) addressed: bool,
    /// The attack that ends with it, if it is an adversary's.
    pub(super) attack: Option<Attack>,
    /// Its number on the shared channel, if it used one.
    pub(super) transmission: Option<TransmissionId>,
}

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
