//! A host's part in a plan that goes on: what its asset did, and the horizons that follow.

use super::{Fleet, Runtime, planning::Done, storage::Storage};
use crate::{
    engine::{Record, RecordKind},
    scenario::PlanParticipant,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::node::{Input, PlanHorizon};

/// Where an asset is in the plan: it outlives the node's crashes, as what was done does.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The horizon that is being planned.
    pub horizon: u64,
    /// What the asset did before it.
    pub done: Done,
    /// The local plan that it holds, and the horizon that it is of; empty when it never held one.
    held: (u64, Vec<f64>),
    /// Whether its requests are whole.
    whole: bool,
}

impl Carried {
    /// Notes the plan that the asset holds; whether its requests are whole for the first time in this horizon.
    pub(super) fn hold(&mut self, horizon: u64, values: &[f64], whole: bool) -> bool {
        self.held.0 = horizon;
        self.held.1.clear();
        self.held.1.extend_from_slice(values);
        let first = whole && !self.whole;
        self.whole = whole;
        first
    }
}

impl Fleet {
    fn participant(&self, asset: AssetIndex) -> Option<&PlanParticipant> {
        let plan = self.scenario().planning.as_ref()?;
        plan.participants.iter().find(|participant| participant.asset == asset)
    }
}

impl Runtime {
    /// A later horizon of the plan begins. Until now the asset did what the plan that it holds says, be its node up or down, and be it
    /// an earlier horizon's; without a plan, or beyond its end, it did nothing.
    pub fn plan_horizon(&mut self, now: SimTime, horizon: u64, storage: &mut Storage, out: &mut Vec<Record>) {
        let fleet = self.fleet.clone();
        let Some(plan) = &fleet.scenario().planning else { return };
        let Some(rolling) = plan.rolling else { return };
        let mut done = Vec::new();
        if let Some(participant) = fleet.participant(self.asset) {
            let (of, values) = &self.carried.held;
            let from = plan.window(horizon - 1).start - plan.window(*of).start;
            let slots = from..from + rolling.shift as usize;
            done = self.carried.done.extend(plan, participant, values, slots);
        }
        let before = plan.coupling_names(horizon - 1);
        let moved = plan.coupling_names(horizon);
        let moved = moved.iter().map(|name| before.iter().position(|old| old == name)).collect();
        (self.carried.horizon, self.carried.whole) = (horizon, false);
        out.push(Record { time: now, asset: self.asset, kind: RecordKind::PlanHorizon { horizon, done } });
        match fleet.horizon(self.asset, horizon, &self.carried.done) {
            Ok(Some((couplings, problem, requests))) => {
                let next = PlanHorizon { horizon, couplings, problem, moved, requests };
                self.input(now, Input::PlanHorizon(Box::new(next)), storage, out);
            }
            Ok(None) => {}
            Err(_) => {
                let reason = "plan_problem";
                out.push(Record { time: now, asset: self.asset, kind: RecordKind::InputRefused { reason } });
            }
        }
    }

    /// The asset joins the plan, or leaves it.
    pub fn plan_presence(&mut self, now: SimTime, joins: bool, storage: &mut Storage, out: &mut Vec<Record>) {
        let input = if joins { Input::JoinPlan } else { Input::LeavePlan };
        self.input(now, input, storage, out);
    }

    /// After a restart: the plan may have begun meanwhile, and whoever should have joined or left meanwhile does so now.
    pub(super) fn resume_presence(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        let fleet = self.fleet.clone();
        let plan = fleet.scenario().planning.as_ref();
        if self.node.is_some() && plan.is_some_and(|plan| plan.start <= now && plan.begins_with(self.asset)) {
            self.start_plan(now, storage, out);
        }
        let Some(participant) = fleet.participant(self.asset) else { return };
        if participant.leaves.is_some_and(|leaves| leaves <= now) {
            self.plan_presence(now, false, storage, out);
        } else if participant.joins.is_some_and(|joins| joins <= now) {
            self.plan_presence(now, true, storage, out);
        }
    }
}
