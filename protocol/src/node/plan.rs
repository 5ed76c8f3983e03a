//! The node's part in the federated plan.

mod succession;

use super::{InputError, Kept, Node, PlanConfig, Report, Timer, input::Submission};
use crate::{
    access::Action,
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    id::NodeId,
    log::{Brief, Event},
    planning::{
        QpSettings,
        solver::{Asset, Contribution, Coordinator, MethodSettings, Request, choose},
    },
    time::Instant,
};
use alloc::{vec, vec::Vec};

/// A later horizon of the plan, as its driver gives it.
#[derive(Clone, Debug)]
pub struct PlanHorizon {
    /// Its number, greater than the last one's.
    pub horizon: u64,
    /// This node's problem in it, if it takes part.
    pub problem: Option<crate::planning::LocalProblem>,
    /// For each coupling, the one of the last horizon that it continues.
    pub moved: Vec<Option<usize>>,
}

/// Planning at this node.
#[derive(Debug)]
pub(super) struct Planning {
    config: PlanConfig,
    asset: Option<Asset>,
    coordinator: Option<Coordinator>,
    /// The latest coordinator known, counted through the candidates.
    term: u32,
    /// The last request heard of it, without its question: where a successor goes on.
    heard: Option<Heard>,
}

/// What a coordinator last said.
#[derive(Clone, Debug)]
struct Heard {
    at: Instant,
    horizon: u64,
    round: u32,
    prices: Vec<f64>,
    committed: bool,
}

impl Planning {
    /// # Panics
    /// When the configuration is contradictory: the host checks it with the problem's and the settings' constructors.
    pub(super) fn new(id: NodeId, config: PlanConfig) -> Self {
        let asset = config.problem.clone().map(|problem| {
            Asset::new(id, problem, QpSettings::default()).expect("the host checked the local problem")
        });
        Self { config, asset, coordinator: None, term: 0, heard: None }
    }

    /// Takes the asset's kept state back. `None`: this version did not write it, or the host gave another problem.
    pub(super) fn take_back(&mut self, now: Instant, value: &[u8]) -> Option<()> {
        let asset = self.asset.as_mut()?;
        asset.restore(value)?;
        if let Some(request) = asset.request().cloned() {
            self.term = request.term;
            self.hear(now, &request);
        }
        let done = self.asset.as_ref().is_some_and(|asset| asset.committed().is_some());
        if let Some(heard) = &mut self.heard {
            heard.committed = done;
        }
        Some(())
    }

    /// A coordinator with the method of the settings, or the one that suits the contact plan; and why.
    fn coordinate(
        &self,
        id: NodeId,
        now: Instant,
        plan: &ContactPlan,
        max_payload: usize,
    ) -> (Coordinator, MethodSettings, &'static str) {
        let config = &self.config;
        let (mut settings, mut why) = (config.settings, "configured");
        if let Some(outlook) = config.auto {
            let members = &config.participants;
            let span = (now, now.saturating_add(outlook));
            let choice = choose(plan, id, members, config.couplings.len(), span, config.pace.deadline);
            (settings.kind, settings.curvature) = (choice.kind, choice.curvature);
            why = choice.reason.word();
        }
        settings = settings.fit(config.couplings.len(), max_payload);
        let members = config.participants.clone();
        let coordinator = Coordinator::new(settings, config.pace, &config.couplings, members)
            .expect("the host checked the plan's settings");
        (coordinator.in_term(self.term), settings, why)
    }

    fn hear(&mut self, now: Instant, request: &Request) {
        self.heard = Some(Heard {
            at: now,
            horizon: request.horizon,
            round: request.round,
            prices: request.prices.clone(),
            committed: request.committed.is_some(),
        });
    }
}

impl Node {
    pub(super) fn start_plan(&mut self) -> Result<(), InputError> {
        let (now, id) = (self.now, self.config.id);
        let planning = self.planning.as_mut().filter(|planning| planning.leader(planning.term) == id);
        let planning = planning.ok_or(InputError::NotConfigured { what: "coordinating a plan" })?;
        if planning.coordinator.is_none() {
            let (mut coordinator, settings, why) =
                planning.coordinate(id, now, &self.plan, self.config.max_payload);
            let asked = coordinator.start(now);
            planning.coordinator = Some(coordinator);
            self.report(Report::PlanSolver { solver: settings.kind.word(), why });
            self.ask(asked);
        }
        Ok(())
    }

    /// Begins a later horizon, from where the last one's prices lead.
    pub(super) fn replan(&mut self, next: PlanHorizon) -> Result<(), InputError> {
        let now = self.now;
        let refused = InputError::NotConfigured { what: "this horizon of the plan" };
        let planning = self.planning.as_mut().ok_or(InputError::NotConfigured { what: "planning" })?;
        if next.moved.len() != planning.config.couplings.len() {
            return Err(refused);
        }
        if let (Some(asset), Some(problem)) = (planning.asset.as_mut(), next.problem) {
            asset.replace_problem(next.horizon, problem, &next.moved).map_err(|_| refused)?;
        }
        let mut asked = Vec::new();
        if let Some(coordinator) = planning.coordinator.as_mut() {
            let before = coordinator.prices();
            let price = |from: &Option<usize>| from.and_then(|from| before.get(from).copied()).unwrap_or(0.0);
            let prices: Vec<f64> = next.moved.iter().map(price).collect();
            asked = coordinator
                .resume(now, next.horizon, 1, &prices)
                .map_err(|_| InputError::NotConfigured { what: "this horizon of the plan" })?;
        } else if let Some(heard) = &mut planning.heard {
            // Should its coordinator not open it, a candidate does, from where the last horizon's prices lead.
            let price = |from: &Option<usize>| from.and_then(|from| heard.prices.get(from).copied());
            let prices = next.moved.iter().map(|from| price(from).unwrap_or(0.0)).collect();
            *heard = Heard { at: now, horizon: next.horizon, round: 0, prices, committed: false };
        }
        self.watch_coordinator();
        self.ask(asked);
        Ok(())
    }

    /// Writes down that a version of the plan is committed, and this node's own part of it.
    fn note_plan_commit(&mut self, horizon: u64, round: u32, outcome: &'static str) {
        let asset = self.planning.as_ref().and_then(|planning| planning.asset.as_ref());
        let Some(asset) = asset.filter(|_| self.journal().is_some()) else { return };
        let values: Vec<u8> = asset.values().iter().flat_map(|value| value.to_be_bytes()).collect();
        let (outcome, values) = (outcome.into(), Brief::of(&values));
        self.write_down(Event::PlanCommitted { horizon, round, outcome, values });
    }

    pub(super) fn on_plan_round(&mut self) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        let asked = coordinator.on_timeout(now);
        self.ask(asked);
    }

    /// A verified message of another member.
    pub(super) fn on_plan_message(&mut self, source: NodeId, payload: &[u8]) {
        let Some(planning) = &self.planning else {
            return self.report(Report::ModuleRefused { reason: "plan_not_configured" });
        };
        if let Ok(request) = Request::decode(payload) {
            if request.term < planning.term || source != planning.leader(request.term) {
                return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
            }
            if self.admits_to(source, Action::Coordinate) {
                self.on_request(source, &request);
            }
            return;
        }
        if !self.admits_to(source, Action::Contribute) {
            return;
        }
        match Contribution::decode(payload) {
            Ok(contribution) => self.on_contribution(source, &contribution),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
        }
    }

    fn on_contribution(&mut self, from: NodeId, contribution: &Contribution) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        };
        match coordinator.on_contribution(now, from, contribution) {
            Ok(asked) => self.ask(asked),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_contribution" }),
        }
    }

    /// Sends the request in force to those who are to be asked; this node's own asset hears it without a message.
    fn ask(&mut self, asked: Vec<NodeId>) {
        self.after_step();
        let own = self.config.id;
        // This node answers itself at once. Asked alone it would go round in circles.
        let others: Vec<NodeId> = asked.into_iter().filter(|member| *member != own).collect();
        if others.is_empty() {
            return;
        }
        let Some(coordinator) = self.planning.as_ref().and_then(|planning| planning.coordinator.as_ref())
        else {
            return;
        };
        let requests: Vec<(NodeId, Vec<u8>)> = others
            .into_iter()
            .filter_map(|member| Some((member, coordinator.request(member)?.encode())))
            .collect();
        let request = coordinator.request(own);
        for (member, payload) in requests {
            self.send_plan(member, payload);
        }
        if let Some(request) = request {
            self.on_request(own, &request);
        }
    }

    fn on_request(&mut self, source: NodeId, request: &Request) {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        if source != own && request.term > planning.term {
            planning.step_down(request.term);
        }
        let news = planning.heard.as_ref().is_none_or(|heard| {
            (heard.horizon, heard.round) < (request.horizon, request.round)
                || (!heard.committed && request.committed.is_some())
        });
        planning.hear(now, request);
        self.watch_coordinator();
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(asset) = planning.asset.as_mut() else { return };
        let round = asset.round();
        let contribution = match asset.on_request(request) {
            Ok(contribution) => contribution,
            Err(_) => return self.report(Report::ModuleRefused { reason: "plan_signal" }),
        };
        if asset.round() != round || (news && request.committed.is_some()) {
            // An answer that the coordinator counts on must not be forgotten in a crash: the next one is told relative to it.
            let (values, state) = (asset.values().to_vec(), asset.snapshot());
            self.put(vec![Kept::Plan as u8], state);
            self.report(Report::PlanLocal { round: request.round, values });
        }
        if let (Some(outcome), true) = (request.committed, news) {
            let (horizon, round) = (request.horizon, request.round);
            self.note_plan_commit(horizon, round, outcome.word());
            self.report(Report::PlanCommitted { horizon, round, outcome });
        }
        match contribution {
            Some(contribution) if source == own => self.on_contribution(own, &contribution),
            Some(contribution) => self.send_plan(source, contribution.encode()),
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

    /// Tells of steps taken, and sets the next deadline.
    fn after_step(&mut self) {
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
