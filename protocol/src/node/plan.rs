//! The node's part in the federated plan.

use super::{InputError, Kept, Node, PlanConfig, Report, Timer, input::Submission};
use crate::{
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    planning::{Contribution, Coordinator, Participant, QpSettings, Signal},
};
use alloc::{vec, vec::Vec};

/// Planning at this node.
#[derive(Debug)]
pub(super) struct Planning {
    config: PlanConfig,
    participant: Option<Participant>,
    coordinator: Option<Coordinator>,
}

impl Planning {
    /// # Panics
    /// When the configuration is contradictory: the host checks it with the problem's and the settings' constructors.
    pub(super) fn new(id: NodeId, config: PlanConfig) -> Self {
        let participant = config.problem.clone().map(|problem| {
            Participant::new(id, problem, QpSettings::default()).expect("the host checked the local problem")
        });
        let coordinator = (config.coordinator == id).then(|| {
            Coordinator::new(config.settings, config.participants.clone(), config.couplings)
                .expect("the host checked the plan's settings")
        });
        Self { config, participant, coordinator }
    }

    /// Takes the participant's kept state back. `None`: this version did not write it, or the host gave another problem.
    pub(super) fn take_back(&mut self, value: &[u8]) -> Option<()> {
        self.participant.as_mut()?.restore(value)
    }
}

impl Node {
    pub(super) fn start_plan(&mut self) -> Result<(), InputError> {
        let now = self.now;
        let coordinator = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut());
        let coordinator = coordinator.ok_or(InputError::NotConfigured { what: "coordinating a plan" })?;
        let signal = coordinator.start(now);
        self.publish(signal);
        Ok(())
    }

    pub(super) fn on_plan_round(&mut self) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        match coordinator.on_timeout(now) {
            Some(signal) => self.publish(signal),
            None => self.after_round(),
        }
    }

    /// A verified message of another member.
    pub(super) fn on_plan_message(&mut self, source: NodeId, payload: &[u8]) {
        let Some(planning) = &self.planning else {
            return self.report(Report::ModuleRefused { reason: "plan_not_configured" });
        };
        if planning.coordinator.is_some() {
            match Contribution::decode(payload) {
                Ok(contribution) => self.on_contribution(source, &contribution),
                Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
            }
        } else if source == planning.config.coordinator {
            match Signal::decode(payload) {
                Ok(signal) => self.on_signal(&signal),
                Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
            }
        } else {
            self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        }
    }

    fn on_contribution(&mut self, from: NodeId, contribution: &Contribution) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        match coordinator.on_contribution(now, from, contribution) {
            Ok(Some(signal)) => self.publish(signal),
            Ok(None) => self.after_round(),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_contribution" }),
        }
    }

    /// Sends a signal to every participant; the one at this node hears it without a message.
    fn publish(&mut self, signal: Signal) {
        self.after_round();
        let Some(planning) = &self.planning else { return };
        let own = self.config.id;
        let others = planning.config.participants.iter().copied().filter(|member| *member != own);
        let (others, payload) = (others.collect::<Vec<NodeId>>(), signal.encode());
        for member in others {
            self.send_plan(member, payload.clone());
        }
        self.on_signal(&signal);
    }

    fn on_signal(&mut self, signal: &Signal) {
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(participant) = planning.participant.as_mut() else { return };
        let answer = participant.on_signal(signal);
        let (values, state) = (participant.values().to_vec(), participant.snapshot());
        let coordinator = planning.config.coordinator;
        let contribution = match answer {
            Ok(contribution) => contribution,
            Err(_) => return self.report(Report::ModuleRefused { reason: "plan_signal" }),
        };
        // A share that the coordinator counts on must not be forgotten in a crash: the next step starts from it.
        self.put(vec![Kept::Plan as u8], state);
        self.report(Report::PlanLocal { round: signal.round, values });
        match contribution {
            Some(contribution) if coordinator == self.config.id => {
                let id = self.config.id;
                self.on_contribution(id, &contribution);
            }
            Some(contribution) => self.send_plan(coordinator, contribution.encode()),
            None => {}
        }
    }

    fn send_plan(&mut self, destination: NodeId, payload: Vec<u8>) {
        let Some(planning) = &self.planning else { return };
        let lifetime = planning.config.lifetime;
        let (purpose, priority) = (Purpose::Plan, Priority::Expedited);
        if self.send(Submission { destination, purpose, priority, lifetime, payload }).is_err() {
            // The coordinator's deadline repeats what was not sent.
            self.report(Report::ModuleRefused { reason: "plan_not_sent" });
        }
    }

    /// Tells of closed rounds, and sets the next deadline.
    fn after_round(&mut self) {
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        let reports: Vec<_> = core::iter::from_fn(|| coordinator.take_report()).collect();
        let deadline = coordinator.poll_timeout();
        for report in reports {
            self.report(Report::PlanRound(report));
        }
        match deadline {
            Some(at) => self.timers.arm(Timer::PlanRound, at),
            None => self.timers.disarm(Timer::PlanRound),
        }
    }
}
