//! The asset's side: what a request leads to.

use super::{Node, PlanStage, heard::mark, latest::Slot};
use crate::{
    id::NodeId,
    node::{Kept, Report},
    planning::{
        Version,
        notice::Notice,
        solver::{Question, Request},
    },
};
use alloc::{vec, vec::Vec};

impl Node {
    pub(super) fn on_request(&mut self, source: NodeId, request: &Request) {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        if source != own && request.term > planning.term {
            planning.step_down(request.term);
        }
        if !planning.is_current(PlanStage(request.horizon)) {
            // Of the last horizon, or of one that this host has not reached: nobody is asked anything, and somebody coordinates.
            planning.is_alive(now);
            self.watch_coordinator();
            return self.report(Report::ModuleRefused { reason: "plan_horizon" });
        }
        let news = planning.heard.as_ref().is_none_or(|heard| heard.mark() < mark(request));
        planning.hear(now, request);
        let gone = planning.gone;
        self.watch_coordinator();
        if gone {
            if source != own {
                self.send_plan(source, Notice::Leave.encode());
            }
            return;
        }
        // What was overtaken leads nobody back to an earlier stage.
        let overtaken = self.planning.as_ref().and_then(|planning| planning.heard.as_ref());
        if !overtaken.is_some_and(|heard| heard.mark() > mark(request)) {
            self.enter_stage(request);
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(asset) = planning.asset.as_mut() else { return };
        let (round, at) = (asset.round(), asset.horizon());
        let answered = match &mut planning.private {
            Some(private) => private.answer(asset, request).map(|()| None).map_err(|error| error.reason()),
            None => asset.on_request(request).map_err(|_| "plan_signal"),
        };
        let contribution = match answered {
            Ok(contribution) => contribution,
            Err(reason) => return self.report(Report::ModuleRefused { reason }),
        };
        let stage = PlanStage(at);
        let told = asset.round() != round || (news && request.committed.is_some());
        if told {
            // An answer that the coordinator counts on must not be forgotten in a crash: the next one is told relative to it.
            let (values, state) = (asset.values().to_vec(), asset.snapshot());
            self.put(vec![Kept::Plan as u8], state);
            let (horizon, whole) = (stage.horizon(), !stage.is_relaxed());
            if matches!(request.question, Question::Whole { .. }) {
                self.keep_choices_taken(request);
            }
            // Nothing is decided while thresholds rise.
            if !matches!(request.question, Question::Whole { .. }) || request.committed.is_some() {
                self.report(Report::PlanLocal { horizon, whole, round: request.round, values });
            }
        }
        if let (Some(outcome), true) = (request.committed, news) {
            let (horizon, term, round) = (stage.horizon(), request.term, request.round);
            let digest = Version::of(request).map_or([0; 32], |version| version.digest());
            self.note_plan_commit(horizon, request, outcome.word(), &digest);
            self.report(Report::PlanCommitted { horizon, term, round, outcome, digest });
        }
        if request.committed.is_some() && source != own {
            self.acknowledge_version(source, request);
        }
        match contribution {
            Some(contribution) if source == own => self.on_contribution(own, &contribution),
            Some(contribution) => {
                self.send_latest(source, Slot::Answer, contribution.round, contribution.encode());
            }
            // Under masks the answer waits in the party.
            None if self.planning.as_ref().is_some_and(|planning| planning.private.is_some()) => {
                self.run_masks(Vec::new());
            }
            None => {}
        }
    }
}
