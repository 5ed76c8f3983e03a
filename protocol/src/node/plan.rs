//! The node's part in the federated plan.

mod ahead;
mod answer;
mod ask;
mod commit;
mod election;
mod epoch;
mod heard;
mod horizon;
mod latest;
mod membership;
mod privacy;
mod rounding;
mod stage;
mod status;
mod succession;
mod thresholds;
mod told;

pub use horizon::{PlanHorizon, Requests};
pub use status::PlanStatus;

use self::{
    commit::Distribution,
    election::Standing,
    heard::Heard,
    horizon::PlanStage,
    latest::Latest,
    membership::{Joining, Membership},
    rounding::{Auction, Choice},
    thresholds::Thresholds,
};
use super::{InputError, Node, PlanConfig, Report, input::Submission};
use crate::{
    access::Action,
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    id::NodeId,
    planning::{
        QpSettings,
        notice::Notice,
        solver::{Asset, Contribution, Coordinator, Kind, MethodSettings, Request, choose},
    },
    time::Instant,
};
use alloc::{vec, vec::Vec};

/// Planning at this node.
#[derive(Debug)]
pub(super) struct Planning {
    config: PlanConfig,
    pub(super) asset: Option<Asset>,
    coordinator: Option<Coordinator>,
    /// The masks under both, if the plan has them.
    private: Option<privacy::Private>,
    /// The latest coordinator known, counted through the candidates.
    term: u32,
    /// The last request heard of it, without its question: where a successor goes on.
    heard: Option<Heard>,
    /// This node would take the place of a coordinator that is silent.
    standing: Option<Standing>,
    /// The greatest term that this member voted for.
    voted: u32,
    membership: Membership,
    /// The version that this coordinator committed last.
    commit: Option<Distribution>,
    /// Requests that this coordinator makes whole.
    auction: Option<Auction>,
    /// Under masks, the stage in which this coordinator makes them whole.
    thresholds: Option<Thresholds>,
    /// What this node's asset has decided of its requests.
    choice: Choice,
    joining: Option<Joining>,
    /// What may still be replaced by something newer.
    latest: Latest,
    /// When this coordinator's own asset is asked, since nobody else is.
    own_due: Option<Instant>,
    /// This node's asset has left the plan.
    gone: bool,
    /// The asset's kept state, until what its requests were fixed to is known too.
    kept: Vec<u8>,
    /// What was kept last of a coordinator without an asset.
    kept_led: Vec<u8>,
}

impl Planning {
    /// # Panics
    /// When the configuration is contradictory: the host checks it with the problem's and the settings' constructors.
    pub(super) fn new(id: NodeId, config: PlanConfig) -> Self {
        let stage = PlanStage::relaxed(config.horizon);
        let asset = config.problem.clone().map(|problem| {
            let asset = Asset::new(id, problem, QpSettings::default());
            asset.expect("the host checked the local problem").in_horizon(stage.0)
        });
        Self {
            asset,
            coordinator: None,
            private: config.privacy.clone().map(|masks| privacy::Private::new(id, masks)),
            term: 0,
            heard: None,
            standing: None,
            voted: 0,
            membership: Membership::new(&config.participants),
            commit: None,
            auction: None,
            thresholds: None,
            choice: Choice::default(),
            joining: None,
            latest: Latest::default(),
            own_due: None,
            gone: false,
            kept: Vec::new(),
            kept_led: Vec::new(),
            config,
        }
    }

    /// Takes kept state back: the asset's, or what its requests were fixed to. `None`: this version did not write it, or the host gave
    /// another problem. What is of an earlier horizon is over.
    pub(super) fn take_back(&mut self, now: Instant, key: &[u8], value: &[u8]) -> Option<()> {
        if key.get(1).is_some_and(|part| *part >= privacy::FIRST) {
            return self.take_back_masks(now, key, value);
        }
        if key.get(1) == Some(&heard::LED) {
            return self.take_back_led(now, value);
        }
        if key.len() > 1 {
            self.choice = Choice::restore(value, self.config.horizon)?;
            let kept = core::mem::take(&mut self.kept);
            return if kept.is_empty() { Some(()) } else { self.take_back_asset(now, &kept) };
        }
        let stage = PlanStage(u64::from_be_bytes(*value.first_chunk()?));
        if stage.horizon() < self.config.horizon {
            // The plan went on meanwhile: should nobody ask, this node does in its turn.
            self.heard = Some(self.unheard(now));
            return Some(());
        }
        if !stage.is_relaxed() {
            self.kept = value.to_vec();
            return Some(());
        }
        self.take_back_asset(now, value)
    }

    fn take_back_asset(&mut self, now: Instant, value: &[u8]) -> Option<()> {
        let stage = PlanStage(u64::from_be_bytes(*value.first_chunk()?));
        let node = self.asset.as_ref()?.node();
        if !stage.is_relaxed() {
            let fixed = self.choice.fix(stage, self.config.problem.as_ref()?);
            let again = match fixed {
                Some(fixed) => Asset::new(node, fixed, QpSettings::default()).ok()?.in_horizon(stage.0),
                None => self.offering_again(stage)?,
            };
            self.asset = Some(again);
        }
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

    /// A coordinator of `members` with the method of the settings, or the one that suits the contact plan; and why.
    fn coordinator_of(
        &self,
        id: NodeId,
        now: Instant,
        plan: &ContactPlan,
        max_payload: usize,
        round: u32,
        members: Vec<NodeId>,
    ) -> Option<(Coordinator, MethodSettings, &'static str)> {
        let config = &self.config;
        let (mut settings, mut why) = (config.settings, "configured");
        if let Some(outlook) = config.auto {
            let span = (now, now.saturating_add(outlook));
            let choice = choose(plan, id, &members, config.couplings.len(), span, config.pace.deadline);
            (settings.kind, settings.curvature) = (choice.kind, choice.curvature);
            why = choice.reason.word();
            if config.privacy.as_ref().is_some_and(|masks| masks.noise.is_some()) {
                // Noise is on shares: methods that need more than shares would be told nothing.
                settings.kind =
                    if choice.kind.rounds() { Kind::Exchange } else { Kind::AsynchronousExchange };
                why = choice.reason.under_noise();
            }
        }
        settings = settings.fit(config.couplings.len(), max_payload);
        if let Some(fixed) = self.private.as_ref().and_then(|private| private.fixed(self.term)) {
            (settings, why) = (fixed, "fixed for the term by its masks");
        }
        let mut pace = config.pace;
        pace.quorum = pace.quorum.clamp(1, members.len().max(1));
        // Rounds count on: the limit is of those from here.
        pace.max_rounds = pace.max_rounds.saturating_add(round.saturating_sub(1)).min(u32::MAX - 1);
        let coordinator = Coordinator::new(settings, pace, &config.couplings, members).ok()?;
        let together = config.privacy.as_ref().map_or(1, |masks| masks.enrolment.k_min);
        Some((coordinator.in_term(self.term).together(together), settings, why))
    }

    /// What a member is asked, as bytes; `None` while it is asked nothing.
    fn asking(&self, member: NodeId) -> Option<Vec<u8>> {
        let coordinator = self.coordinator.as_ref()?;
        match &self.private {
            Some(private) => Some(private.request(coordinator, member)?.encode()),
            None => Some(coordinator.request(member)?.encode()),
        }
    }
}

impl Node {
    /// The plan begins. Whoever takes part is told, so that a coordinator which is not there is missed.
    pub(super) fn start_plan(&mut self) -> Result<(), InputError> {
        let (now, id) = (self.now, self.config.id);
        let planning = self.planning.as_mut().ok_or(InputError::NotConfigured { what: "planning" })?;
        // After a restart: what was heard before tells where the plan is, and a new coordinator is due in its turn.
        let begun = planning.heard.is_some() || planning.coordinator.is_some();
        if begun || planning.leader(planning.term) != id {
            if !begun {
                planning.heard = Some(planning.unheard(now));
            }
            self.watch_coordinator();
            return Ok(());
        }
        let stage = PlanStage::relaxed(planning.config.horizon);
        let members = planning.membership.present();
        let started = planning.coordinator_of(id, now, &self.plan, self.config.max_payload, 1, members);
        let refused = || InputError::NotConfigured { what: "this plan" };
        let (mut coordinator, settings, why) = started.ok_or_else(refused)?;
        let prices = vec![0.0; planning.config.couplings.len()];
        let asked = match planning.config.horizon {
            0 => coordinator.start(now),
            _ => coordinator.resume(now, stage.0, 1, &prices).map_err(|_| refused())?,
        };
        planning.coordinator = Some(coordinator);
        if !self.open_masks(settings) {
            return Err(InputError::NotConfigured { what: "keys for the plan's masks" });
        }
        self.report(Report::PlanSolver { solver: settings.kind.word(), why });
        self.run_masks(asked);
        self.keep_led();
        Ok(())
    }

    /// Coordinates `stage` from `prices`, with the members that there are, from a round on; whether there is something to coordinate.
    fn coordinate_from(&mut self, stage: PlanStage, round: u32, prices: &[f64]) -> bool {
        let members = self.planning.as_ref().and_then(|planning| planning.members_of(stage));
        members.is_some_and(|members| self.coordinate(stage, round, prices, members))
    }

    /// As [`Node::coordinate_from`], with these members.
    fn coordinate(&mut self, stage: PlanStage, round: u32, prices: &[f64], members: Vec<NodeId>) -> bool {
        let asked = self.open_stage(stage, round, prices, members);
        let opened = asked.is_some();
        if let Some(asked) = asked {
            self.run_masks(asked);
            self.keep_led();
        }
        opened
    }

    /// A coordinator for `stage`, with its masks open; who is to be asked. `None` when there is nobody to be asked, or there are no keys for it.
    fn open_stage(
        &mut self,
        stage: PlanStage,
        round: u32,
        prices: &[f64],
        members: Vec<NodeId>,
    ) -> Option<Vec<NodeId>> {
        let (now, id) = (self.now, self.config.id);
        let planning = self.planning.as_mut()?;
        // Under masks members may not open what a new sum would begin with: then what was agreed on is what there is.
        let before = planning.coordinator.as_ref();
        let before = before.filter(|last| PlanStage(last.horizon()).horizon() == stage.horizon());
        let agreed = before.filter(|_| planning.private.is_some()).and_then(Coordinator::agreement);
        let here = members.clone();
        let (mut coordinator, settings, _) =
            planning.coordinator_of(id, now, &self.plan, self.config.max_payload, round, members)?;
        if let Some(floor) = planning.thresholds.and_then(|thresholds| thresholds.floor(stage)) {
            coordinator = coordinator.rounding(&planning.config.couplings, floor);
        }
        // Prices that are none are no reason to leave the fleet without a coordinator.
        let zeros = vec![0.0; planning.config.couplings.len()];
        let resumed = coordinator.resume(now, stage.0, round, prices);
        let asked = resumed.or_else(|_| coordinator.resume(now, stage.0, round, &zeros)).ok()?;
        (planning.coordinator, planning.commit) = (Some(coordinator.going_on_from(agreed)), None);
        planning.membership.begin();
        let left_out = planning.membership.leave_out(&here);
        self.tell_left_out(stage, round, &left_out);
        self.open_masks(settings).then_some(asked)
    }

    /// Keeps where a coordinator without an asset is.
    fn keep_led(&mut self) {
        let now = self.now;
        if let Some((key, state)) = self.planning.as_mut().and_then(|planning| planning.led(now)) {
            self.put(key, state);
        }
    }

    /// A verified message of another member.
    pub(super) fn on_plan_message(&mut self, source: NodeId, payload: &[u8]) {
        if self.planning.is_none() {
            return self.report(Report::ModuleRefused { reason: "plan_not_configured" });
        }
        let masked = self.planning.as_ref().is_some_and(|planning| planning.private.is_some());
        let leads = self.planning.as_ref().is_some_and(|planning| planning.candidates().contains(&source));
        let orders = match Notice::decode(payload) {
            Ok(Notice::Call { .. } | Notice::Allotment { .. } | Notice::Stand { .. }) => true,
            // Members and coordinators say whom they follow.
            Ok(Notice::Follows { .. }) => leads,
            _ => false,
        };
        let asks = orders
            || match masked {
                true => privacy::is_coordinators(payload),
                false => Request::decode(payload).is_ok(),
            };
        let action = if asks { Action::Coordinate } else { Action::Contribute };
        if !self.admits_to(source, action) {
            return;
        }
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        if Notice::is_one(payload) {
            return match Notice::decode(payload) {
                Ok(notice) => self.on_notice(source, notice),
                Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
            };
        }
        if planning.private.is_some() {
            return self.on_masked_message(source, payload);
        }
        if let Ok(request) = Request::decode(payload) {
            let near = planning.may_follow(now, request.term);
            if request.term < planning.term || !planning.may_lead(source, request.term) || !near {
                return self.refuse_coordinator(source, request.term);
            }
            return self.on_request(source, &request);
        }
        match Contribution::decode(payload) {
            Ok(contribution) if contribution.is_beyond() => {
                self.report(Report::ModuleRefused { reason: "plan_magnitude" });
            }
            Ok(contribution) => self.on_contribution(source, &contribution),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_malformed" }),
        }
    }

    fn on_notice(&mut self, source: NodeId, notice: Notice) {
        let Some(planning) = self.planning.as_mut() else { return };
        if let Notice::Call { term, .. } | Notice::Allotment { term, .. } = notice {
            let near = planning.may_follow(self.now, term);
            if term < planning.term || !planning.may_lead(source, term) || !near {
                return self.refuse_coordinator(source, term);
            }
            if planning.private.is_some() {
                // Bids are read one by one: where answers are masked nobody bids, and nobody becomes coordinator by asking for them.
                return self.report(Report::ModuleRefused { reason: "plan_question" });
            }
            if term > planning.term {
                planning.step_down(term);
            }
        }
        match notice {
            Notice::Join => self.on_join(source),
            Notice::Leave => self.on_leave(source),
            Notice::Held { horizon, term, round, digest } => {
                self.on_held(source, (horizon, term, round), &digest);
            }
            Notice::Follows { horizon, term, committed } => {
                self.on_follows(source, PlanStage(horizon), term, committed);
            }
            Notice::Stand { term, tries, .. } => self.on_stand(source, term, tries),
            Notice::Vote { horizon, term, round, calling, prices } => {
                let heard = Heard { at: self.now, term, horizon, round, prices, committed: false, calling };
                self.on_vote(source, heard);
            }
            Notice::Call { horizon, round, .. } => self.on_call(source, PlanStage(horizon), round),
            Notice::Allotment { horizon, attempt, granted, .. } => {
                self.on_allotment(source, horizon, attempt, &granted);
            }
            Notice::Bids { term, .. } | Notice::Taken { term, .. } if term != planning.term => {}
            Notice::Bids { horizon, bids, rest, .. } => self.on_bids(source, horizon, bids, rest),
            Notice::Taken { horizon, attempt, declined, .. } => {
                self.on_taken(source, horizon, attempt, &declined);
            }
        }
    }

    /// Its number, if it was sent.
    fn send_plan(&mut self, destination: NodeId, payload: Vec<u8>) -> Option<u64> {
        let lifetime = self.planning.as_ref().filter(|_| !self.is_blocked(destination))?.config.lifetime;
        let (purpose, priority) = (Purpose::Plan, Priority::Expedited);
        let sent = self.send(Submission { destination, purpose, priority, lifetime, payload });
        if sent.is_err() {
            // The coordinator's deadline repeats what was not sent.
            self.report(Report::ModuleRefused { reason: "plan_not_sent" });
        }
        sent.ok()
    }

    /// The values of this node's local plan; none when it takes no part.
    #[must_use]
    pub fn plan_values(&self) -> Option<&[f64]> {
        Some(self.planning.as_ref()?.asset.as_ref()?.values())
    }
}
