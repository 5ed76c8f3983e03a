//! The node's part in the federated plan.

mod answer;
mod ask;
mod horizon;
mod succession;

pub use horizon::PlanHorizon;

use super::{InputError, Node, PlanConfig, Report, input::Submission};
use crate::{
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    id::NodeId,
    planning::{
        QpSettings,
        solver::{Asset, Contribution, Coordinator, MethodSettings, Request, choose},
    },
    time::Instant,
};
use alloc::vec::Vec;

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

    /// A verified message of another member.
    pub(super) fn on_plan_message(&mut self, source: NodeId, payload: &[u8]) {
        let Some(planning) = &self.planning else {
            return self.report(Report::ModuleRefused { reason: "plan_not_configured" });
        };
        if let Ok(request) = Request::decode(payload) {
            if request.term < planning.term || source != planning.leader(request.term) {
                return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
            }
            return self.on_request(source, &request);
        }
        match Contribution::decode(payload) {
            Ok(contribution) => self.on_contribution(source, &contribution),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
        }
    }

    pub(super) fn send_plan(&mut self, destination: NodeId, payload: Vec<u8>) {
        let Some(planning) = &self.planning else { return };
        let lifetime = planning.config.lifetime;
        let (purpose, priority) = (Purpose::Plan, Priority::Expedited);
        if self.send(Submission { destination, purpose, priority, lifetime, payload }).is_err() {
            // The coordinator's deadline repeats what was not sent.
            self.report(Report::ModuleRefused { reason: "plan_not_sent" });
        }
    }
}
