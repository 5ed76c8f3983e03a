//! Masks under the plan: what this node says of its own answer, masks of others, and windows that it gathers.
//!
//! An epoch is one coordinator's term: the first coordinator's is epoch 1. Its terms are made by everyone from what the mission
//! published; the coordinator only says which epoch is in force, and its method how long an answer is. What a mask or a release
//! depends on is in the same batch as the message that it makes possible, so it is durable before that leaves.

use super::{Node, Planning, latest::Slot};
use crate::{
    cbor::{self, ARRAY, Reader},
    id::NodeId,
    node::{Kept, PrivacyConfig, Report},
    planning::{
        privacy::{
            self, Aggregator, PrivacyError, Receipt, Terms,
            noise::{Ledger, Mechanism},
        },
        secure::{
            Enrolment, Gathering, MaskedRequest, Masking, Opening, Party, SecureError, Width, Window, number,
        },
        solver::{Asset, Coordinator, MethodSettings, Question, Request},
    },
    time::Instant,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

/// Kept parts: the second byte of the key, after [`Kept::Plan`]. From here on they are of the masks.
pub(super) const FIRST: u8 = 0x80;
const MASKING: u8 = FIRST;
const SEAT: u8 = FIRST + 1;
const DEAL: u8 = FIRST + 2;
/// What was spent, apart from the masks: it outlives them.
const LEDGER: u8 = FIRST + 3;
/// A deal of an epoch that is not open here yet.
const EARLY: u8 = FIRST + 4;
/// Deals are shorter than this, whatever the terms.
const MAX_DEAL: usize = 2048;

/// The masks of this node's part of the plan.
#[derive(Debug)]
pub(super) struct Private {
    config: PrivacyConfig,
    own: NodeId,
    /// Of the latest epoch.
    party: Option<Party>,
    opening: Option<Opening>,
    /// What the coordinator last said of this asset's answers, until its question is answered.
    receipt: Option<Receipt>,
    /// Deals that came before the epoch was opened here: one of each seat.
    early: BTreeMap<NodeId, Vec<u8>>,
    /// Deals of the epoch in force that came before it was: to be kept as its own.
    drained: Vec<(NodeId, Vec<u8>)>,
    /// The masks as they were kept, until there is an asset's part for them again.
    waiting: Option<(Opening, Vec<u8>)>,
    /// Records of other terms, which are of no use any more: to be told of.
    dropped: usize,
    /// The records as they were last kept.
    kept: BTreeMap<u8, Vec<u8>>,
    /// What was spent before a crash, until there is an asset's masks to spend under.
    spent: Vec<u8>,
    /// Releases that were told of.
    told: (u64, bool),
    /// How often a coordinator took its own next turn in a horizon.
    jumped: (u64, usize),
    /// The method of a term: its masks are as long as its answers.
    method: Option<(u32, MethodSettings)>,
}

impl Private {
    pub(super) fn new(own: NodeId, config: PrivacyConfig) -> Self {
        let (early, kept) = (BTreeMap::new(), BTreeMap::new());
        let (spent, told) = (Vec::new(), (0, false));
        Self {
            config,
            own,
            party: None,
            opening: None,
            receipt: None,
            early,
            drained: Vec::new(),
            waiting: None,
            dropped: 0,
            kept,
            spent,
            told,
            jumped: (0, 0),
            method: None,
        }
    }

    /// Takes up the part in an epoch, unless it is the one in force.
    fn open(
        &mut self,
        now: Instant,
        opening: Opening,
        leader: NodeId,
        asset: bool,
    ) -> Result<(), SecureError> {
        if let Some(known) = self.opening.filter(|known| known.epoch >= opening.epoch) {
            // One epoch has one set of terms: under two, one committee would answer for each.
            let found = opening.epoch;
            let refused = PrivacyError::Epoch { found, expected: known.epoch };
            return if known == opening { self.take_up(asset) } else { Err(refused.into()) };
        }
        let Opening { epoch, entries, width } = opening;
        let terms = self.config.enrolment.terms(epoch, entries, width)?;
        let masking = match asset && terms.position(self.own).is_some() {
            true => Some(self.masking(&terms)?),
            false => None,
        };
        let (enrolment, seed) = (&self.config.enrolment, &self.config.seed);
        let seated = enrolment.seats(self.own);
        let member = seated.then(|| Enrolment::member(&terms, self.own, seed, leader)).transpose()?;
        let suspicion = self.party.as_ref().map(|party| party.suspicion().clone()).unwrap_or_default();
        let party = Party::new(self.own, leader, terms, self.config.patience).suspecting(suspicion);
        let mut party = party.with_masking(masking).with_member(member);
        party.deal()?;
        for (from, deal) in core::mem::take(&mut self.early) {
            // One of another epoch, or that does not fit, is no share: its dealer cannot be recovered with it.
            if party.handle(now, None, from, &deal).is_ok() {
                self.drained.push((from, deal));
            }
        }
        (self.party, self.opening) = (Some(party), Some(opening));
        self.restore_waiting(opening);
        Ok(())
    }

    /// An asset that came after its epoch was opened here gets its masks.
    fn take_up(&mut self, asset: bool) -> Result<(), SecureError> {
        let party = self.party.as_ref().filter(|party| asset && party.masking().is_none());
        let Some(terms) = party.map(|party| party.terms().clone()) else { return Ok(()) };
        if terms.position(self.own).is_none() {
            return Ok(());
        }
        let masking = self.masking(&terms)?;
        if let Some(party) = &mut self.party {
            party.take_on(masking);
        }
        self.opening.into_iter().for_each(|opening| self.restore_waiting(opening));
        Ok(())
    }

    /// This asset's masks of an epoch: what was spent in an earlier one stays spent.
    fn masking(&mut self, terms: &Arc<Terms>) -> Result<Masking, PrivacyError> {
        let (secret, policy) = (self.config.seed.asset(terms.parts().epoch), self.config.enrolment.policy());
        let masks = privacy::Asset::new(Arc::clone(terms), self.own, &secret, &policy)?;
        match self.party.as_mut().and_then(Party::take_masking) {
            Some(last) => Ok(last.renewed(masks)),
            None => self.begun(masks),
        }
    }

    /// Masks that were kept come back where there is a part for them: what was said under them is not said anew.
    fn restore_waiting(&mut self, opening: Opening) {
        let here = self.party.as_ref().is_some_and(|party| party.masking().is_some());
        let fits = |(of, _): &mut (Opening, Vec<u8>)| here && *of == opening;
        if let (Some((_, state)), Some(party)) = (self.waiting.take_if(fits), &mut self.party) {
            self.dropped += usize::from(party.restore_masking(&state).is_err());
        }
    }

    /// The first masks of this asset.
    fn begun(&self, masks: privacy::Asset) -> Result<Masking, PrivacyError> {
        let entries = masks.terms().parts().entries;
        let masking = Masking::new(masks);
        let Some(noise) = self.config.noise else { return Ok(masking) };
        let mut masking = masking.with_noise(Mechanism::new(noise, entries)?, self.config.seed.noise());
        if !self.spent.is_empty() {
            masking.restore_ledger(&self.spent)?;
        }
        Ok(masking)
    }

    /// From what the asset's tickets for its requests follow in a horizon.
    pub(super) fn tickets(&self, horizon: u64) -> [u8; 32] {
        self.config.seed.tickets(horizon)
    }

    /// Whether the mission published keys for a coordinator's term.
    pub(super) fn covers(&self, term: u32) -> bool {
        epoch(term) <= self.config.enrolment.epochs.len() as u64
    }

    /// Whether a coordinator may take its own next turn in a horizon: for answers of another length, or to audit another member of the committee.
    pub(super) fn may_jump(&self, horizon: u64) -> bool {
        let seats = self.config.enrolment.epochs.first().map_or(0, |(seats, _)| seats.len());
        self.jumped.0 != horizon || self.jumped.1 < seats
    }

    /// A coordinator takes its own next turn in a horizon.
    pub(super) const fn jump(&mut self, horizon: u64) {
        self.jumped = if self.jumped.0 == horizon { (horizon, self.jumped.1 + 1) } else { (horizon, 1) };
    }

    /// Takes kept deals and what was spent back. `None`: not for this part.
    fn take_back_loose(&mut self, now: Instant, key: &[u8], value: &[u8]) -> Option<()> {
        match *key.get(1)? {
            LEDGER => {
                self.spent = value.to_vec();
                self.told = (self.ledger().map_or(0, Ledger::releases), false);
                if let Some(party) = self.party.as_mut().filter(|party| party.masking().is_some()) {
                    party.restore_ledger(value).ok()?;
                    self.told = (self.ledger().map_or(0, Ledger::releases), false);
                }
            }
            DEAL | EARLY => {
                let from = NodeId(u64::from_be_bytes(key.get(2..)?.try_into().ok()?));
                if self.is_early(from, value) {
                    self.early.insert(from, value.to_vec());
                } else if let Some(party) = self.party.as_mut() {
                    // One of an earlier epoch is of no use any more.
                    let _ = party.handle(now, None, from, value);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Takes up the coordinator's part in the epoch of `term`, and tells the committee.
    fn lead(
        &mut self,
        now: Instant,
        term: u32,
        coordinator: &Coordinator,
        asset: bool,
    ) -> Result<(), SecureError> {
        let member = coordinator.members().next();
        let question = member.and_then(|member| coordinator.request(member)).map(|asked| asked.question);
        let width = question.as_ref().map_or(Width::Any, width);
        let opening = Opening { epoch: epoch(term), entries: coordinator.entries(), width };
        self.open(now, opening, self.own, asset)?;
        let Some(party) = self.party.as_mut() else { return Ok(()) };
        if let Some(gathering) = party.gathering() {
            // The same term goes on with another horizon or other members: counts and windows go on, and the sum is empty.
            gathering.check(coordinator)?;
            party.restart(coordinator);
            return Ok(());
        }
        let Some(mut party) = self.party.take() else { return Ok(()) };
        let gathering = match Gathering::new(Aggregator::new(party.terms().clone()), coordinator) {
            Ok(gathering) => gathering,
            Err(error) => {
                self.party = Some(party);
                return Err(error.into());
            }
        };
        party.tell_committee(&opening.encode(), Some(self.own));
        self.party = Some(party.with_gathering(Some(gathering)));
        Ok(())
    }

    /// Answers a request under masks: the answer waits in the party.
    pub(super) fn answer(&mut self, asset: &mut Asset, request: &Request) -> Result<(), SecureError> {
        let told = self.receipt.take();
        let party = self.party.as_mut().ok_or(PrivacyError::Sender { node: self.own })?;
        let receipt = told.or_else(|| party.receipt(self.own));
        let receipt = receipt.ok_or(PrivacyError::Sender { node: self.own })?;
        party.answer(asset, request, receipt)
    }

    /// What a member is asked.
    pub(super) fn request(&self, coordinator: &Coordinator, member: NodeId) -> Option<MaskedRequest> {
        self.party.as_ref()?.request(coordinator, member)
    }

    /// When [`Private::on_timeout`] is due.
    pub(super) fn poll_timeout(&self, coordinator: &Coordinator) -> Option<Instant> {
        self.party.as_ref()?.poll_timeout(coordinator)
    }

    pub(super) fn on_timeout(&mut self, now: Instant, coordinator: &mut Coordinator) -> Vec<NodeId> {
        let Some(party) = &mut self.party else { return Vec::new() };
        // What a node says to itself is refused when the other side had it already.
        party.on_timeout(now, coordinator).unwrap_or_default()
    }

    /// Whether somebody spoils sums who can be found in a later epoch only ([`Party::take_exhausted`]).
    pub(super) fn take_exhausted(&mut self) -> bool {
        self.party.as_mut().is_some_and(Party::take_exhausted)
    }

    /// Whether nobody can be summed with whoever is here ([`Party::take_blocked`]).
    pub(super) fn take_blocked(&mut self) -> bool {
        self.party.as_mut().is_some_and(Party::take_blocked)
    }

    /// What this coordinator's windows are; `None` elsewhere.
    pub(super) fn aggregator(&self) -> Option<&Aggregator> {
        Some(self.party.as_ref()?.gathering()?.aggregator())
    }

    /// The method that a term's masks were made for.
    pub(super) fn fixed(&self, term: u32) -> Option<MethodSettings> {
        self.method.filter(|(of, _)| *of == term).map(|(_, settings)| settings)
    }

    /// Whether a deal is of an epoch that is not open here yet.
    fn is_early(&self, from: NodeId, payload: &[u8]) -> bool {
        let deal = privacy::Deal::decode(payload);
        let epoch = self.opening.map_or(0, |opening| opening.epoch);
        let ahead = deal.is_ok_and(|deal| deal.epoch > epoch);
        ahead && payload.len() <= MAX_DEAL && self.config.enrolment.seats(from)
    }

    /// The records that changed since they were last kept, by part.
    fn changes(&mut self) -> Vec<(u8, Vec<u8>)> {
        let (Some(party), Some(opening)) = (&self.party, self.opening) else { return Vec::new() };
        let parts = [
            party.masking().map(|masking| (MASKING, masking.snapshot())),
            party.member().map(|member| (SEAT, member.snapshot())),
        ];
        let ledger = self.ledger().map(|ledger| (LEDGER, ledger.snapshot()));
        let records = parts.into_iter().flatten().map(|(part, state)| (part, record(opening, &state)));
        let records = records.chain(ledger);
        let changed: Vec<(u8, Vec<u8>)> =
            records.filter(|(part, value)| self.kept.get(part) != Some(value)).collect();
        self.kept.extend(changed.iter().cloned());
        changed
    }

    /// What was spent, when it changed.
    fn spending(&mut self) -> Option<Report> {
        let masking = self.party.as_ref()?.masking()?;
        let (ledger, exhausted) = (masking.ledger()?, masking.is_spent());
        let now = (ledger.releases(), exhausted);
        if now == self.told {
            return None;
        }
        self.told = now;
        let delta = self.config.delta;
        let (rho, epsilon, releases) = (ledger.rho(), ledger.epsilon(delta), ledger.releases());
        Some(Report::PlanSpent { rho, epsilon, delta, releases, exhausted })
    }

    /// The asset's ledger.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.party.as_ref()?.masking()?.ledger()
    }
}

/// The epoch of a coordinator's term.
fn epoch(term: u32) -> u64 {
    u64::from(term) + 1
}

/// Answers that are shares, with squares that saturate, are as wide as shares.
fn width(question: &Question) -> Width {
    match question {
        Question::Exchange { .. } | Question::Proximal { .. } | Question::Whole { wide: false, .. } => {
            Width::Shares
        }
        Question::Consensus { .. }
        | Question::Anderson { .. }
        | Question::Response { .. }
        | Question::Intercept { .. }
        | Question::Whole { .. } => Width::Any,
    }
}

/// `[opening, state]`.
fn record(opening: Opening, state: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(24 + state.len());
    cbor::put_head(&mut value, ARRAY, 2);
    cbor::put_bytes(&mut value, &opening.encode());
    cbor::put_bytes(&mut value, state);
    value
}

impl Planning {
    /// Takes a kept part of the masks back. Of other terms than can be made now (the mission's were changed, or its keys), it is of no use and dropped: its keys
    /// were other ones too. `None`: this version did not write it.
    pub(in crate::node) fn take_back_masks(&mut self, now: Instant, key: &[u8], value: &[u8]) -> Option<()> {
        let (part, asset) = (*key.get(1)?, self.asset.is_some());
        if !matches!(part, MASKING | SEAT) {
            return self.private.as_mut()?.take_back_loose(now, key, value);
        }
        let mut reader = Reader::new(value);
        reader.array_of(2).ok()?;
        let opening = Opening::decode(reader.bytes().ok()?).ok()?;
        let state = reader.bytes().ok()?;
        self.term = self.term.max(u32::try_from(opening.epoch).ok()?.checked_sub(1)?);
        let leader = self.leader(self.term);
        let private = self.private.as_mut()?;
        if private.open(now, opening, leader, asset).is_err() {
            private.dropped += 1;
            return Some(());
        }
        let party = private.party.as_mut()?;
        // Its deals were kept when they were made.
        while party.poll_transmit().is_some() {}
        let restored = match part {
            MASKING if party.masking().is_none() => {
                // No part in this horizon: they are of use when there is one again in the epoch.
                private.waiting = Some((opening, state.to_vec()));
                private.kept.insert(part, value.to_vec());
                return Some(());
            }
            MASKING => party.restore_masking(state),
            SEAT => party.restore_member(state),
            _ => return None,
        };
        match restored {
            Ok(()) => drop(private.kept.insert(part, value.to_vec())),
            Err(PrivacyError::Epoch { .. } | PrivacyError::NotEnrolled { .. }) => private.dropped += 1,
            Err(_) => return None,
        }
        Some(())
    }
}

/// Whether a message is one that only a coordinator sends: a request, or the opening of an epoch.
pub(super) fn is_coordinators(payload: &[u8]) -> bool {
    matches!(number(payload), Ok(8 | 9))
}

impl Node {
    /// Opens the masks' epoch of a coordinator that begins here, with a method that stays that of the term. When its answers have another length in a later
    /// horizon, the same coordinator takes its next term. `false`: the mission published no keys for it, so nobody can answer.
    pub(super) fn open_masks(&mut self, settings: MethodSettings) -> bool {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return true };
        let candidates = planning.config.successors.len() as u32 + 1;
        let Some(private) = &mut planning.private else { return true };
        let Some(coordinator) = planning.coordinator.take() else { return true };
        let (asset, known) = (planning.asset.is_some(), private.opening.map(|opening| opening.epoch));
        let mut opened = private.lead(now, planning.term, &coordinator, asset);
        let mut coordinator = coordinator;
        let next = planning.term.saturating_add(candidates);
        if opened.is_err() && known == Some(epoch(planning.term)) && private.covers(next) {
            planning.term = next;
            coordinator = coordinator.in_term(planning.term);
            opened = private.lead(now, planning.term, &coordinator, asset);
        }
        let begins = known != private.opening.map(|opening| opening.epoch);
        (private.method, planning.coordinator) = (Some((planning.term, settings)), Some(coordinator));
        if let Err(error) = opened {
            planning.coordinator = None;
            self.report(Report::ModuleRefused { reason: error.reason() });
            self.report(Report::PlanWindow(Window::Unopened { reason: "no_epoch" }));
            return false;
        }
        let Some(private) = self.planning.as_ref().and_then(|planning| planning.private.as_ref()) else {
            return true;
        };
        let parts = private.party.as_ref().map(|party| party.terms().parts());
        let told = parts.filter(|_| begins).map(|parts| Report::PlanEpoch {
            epoch: parts.epoch,
            seats: parts.committee.len(),
            k_min: parts.k_min,
            entries: parts.entries,
            bits: parts.bits,
        });
        told.into_iter().for_each(|report| self.report(report));
        true
    }

    /// A verified message of another member of a plan with masks.
    pub(super) fn on_masked_message(&mut self, source: NodeId, payload: &[u8]) {
        match number(payload) {
            Ok(8) => self.on_masked_request(source, payload),
            Ok(9) => match Opening::decode(payload) {
                Ok(opening) => self.on_opening(source, opening),
                Err(error) => self.refuse_mask(&error.into()),
            },
            Ok(kind) => self.on_mask(source, kind, payload),
            Err(error) => self.refuse_mask(&error.into()),
        }
    }

    fn refuse_mask(&mut self, error: &SecureError) {
        self.report(Report::ModuleRefused { reason: error.reason() });
    }

    fn on_masked_request(&mut self, source: NodeId, payload: &[u8]) {
        let now = self.now;
        let asked = match MaskedRequest::decode(payload) {
            Ok(asked) => asked,
            Err(error) => return self.refuse_mask(&error),
        };
        let Some(planning) = self.planning.as_mut() else { return };
        let MaskedRequest { request, receipt } = asked;
        let leads = request.term >= planning.term && source == planning.leader(request.term);
        let leads = leads && planning.may_follow(now, request.term);
        if !leads || receipt.epoch != epoch(request.term) {
            return self.refuse_coordinator(source, request.term);
        }
        // Masks are bound to the question where all are asked one: who is asked to answer by another method is asked to do without.
        let waits = request.question.one_at_a_time();
        let fits = match request.question {
            Question::Whole { .. } => planning.rounds_by_thresholds(),
            _ => planning.config.auto.is_some() || waits != planning.config.settings.kind.rounds(),
        };
        if !fits {
            return self.report(Report::ModuleRefused { reason: "plan_question" });
        }
        let entries = request.question.layout(request.prices.len()).entries();
        let opening = Opening { epoch: receipt.epoch, entries, width: width(&request.question) };
        let asset = planning.asset.is_some();
        let Some(private) = &mut planning.private else { return };
        if let Err(error) = private.open(now, opening, source, asset) {
            return self.refuse_mask(&error);
        }
        private.receipt = Some(receipt);
        self.on_request(source, &request);
    }

    fn on_opening(&mut self, source: NodeId, opening: Opening) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let term = u32::try_from(opening.epoch.saturating_sub(1)).unwrap_or(u32::MAX);
        let leads = source == planning.leader(term) && planning.may_follow(now, term);
        if opening.epoch == 0 || term < planning.term || !leads {
            return self.refuse_coordinator(source, term);
        }
        let asset = planning.asset.is_some();
        let Some(private) = &mut planning.private else { return };
        if let Err(error) = private.open(now, opening, source, asset) {
            return self.refuse_mask(&error);
        }
        // Only now: a term without keys deposes nobody.
        if term > planning.term {
            planning.step_down(term);
        }
        self.run_masks(Vec::new());
    }

    fn on_mask(&mut self, source: NodeId, kind: u64, payload: &[u8]) {
        let now = self.now;
        if matches!(kind, 7 | 10) && self.is_back(source) {
            return;
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(private) = &mut planning.private else { return };
        if kind == 4 && private.is_early(source, payload) {
            private.early.insert(source, payload.to_vec());
            // It is dealt once, and acknowledged: it must not be forgotten in a crash.
            return self.put(deal_key(EARLY, source), payload.to_vec());
        }
        let stranger = SecureError::from(PrivacyError::Sender { node: source });
        let lead = planning.coordinator.as_mut();
        let taken = match &mut private.party {
            Some(party) => party.handle(now, lead, source, payload),
            None => Err(stranger),
        };
        match taken {
            Ok(asked) => {
                if kind == 4 {
                    self.put(deal_key(DEAL, source), payload.to_vec());
                }
                self.run_masks(asked);
            }
            Err(error) => self.refuse_mask(&error),
        }
    }

    /// After anything that moved the masks: delivers what this node says to itself, keeps what changed, sends what is due, and asks.
    pub(super) fn run_masks(&mut self, mut asked: Vec<NodeId>) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let lead = planning.coordinator.as_mut();
        let party = planning.private.as_mut().and_then(|private| private.party.as_mut());
        let settled = party.map_or_else(|| Ok(Vec::new()), |party| party.settle(now, lead));
        match settled {
            Ok(more) => asked.extend(more),
            Err(error) => self.refuse_mask(&error),
        }
        self.send_masks();
        if self.begins_epoch() || self.goes_on_without() {
            return;
        }
        self.ask(asked);
    }

    fn send_masks(&mut self) {
        let Some(private) = self.planning.as_mut().and_then(|planning| planning.private.as_mut()) else {
            return;
        };
        let (changes, spending) = (private.changes(), private.spending());
        let (drained, dropped) =
            (core::mem::take(&mut private.drained), core::mem::take(&mut private.dropped));
        let (mut out, mut windows) = (Vec::new(), Vec::new());
        if let Some(party) = &mut private.party {
            out.extend(core::iter::from_fn(|| party.poll_transmit()));
            windows.extend(core::iter::from_fn(|| party.poll_window()));
        }
        for (dealer, deal) in drained {
            // The dealer's deal for the next epoch takes the place of the record that this one has now.
            self.put(deal_key(DEAL, dealer), deal);
        }
        for _ in 0..dropped {
            self.report(Report::ModuleRefused { reason: "plan_masks_dropped" });
        }
        for (part, value) in changes {
            self.put([Kept::Plan as u8, part].to_vec(), value);
        }
        for window in windows {
            self.report(Report::PlanWindow(window));
        }
        if let Some(spending) = spending {
            self.report_durable(spending);
        }
        for (to, payload) in out {
            if let Some(leg) = leg(&payload) {
                self.report_durable(Report::PlanLeg { leg, destination: to, bytes: payload.len() });
            }
            if number(&payload) == Ok(7) {
                // The same masked answer again: it is under way as long as it is not acknowledged.
                self.send_latest(to, Slot::Answer, 0, payload);
            } else {
                self.send_plan(to, payload);
            }
        }
    }
}

fn deal_key(part: u8, dealer: NodeId) -> Vec<u8> {
    [&[Kept::Plan as u8, part], &dealer.0.to_be_bytes()[..]].concat()
}

/// What a message of the committee's is for; `None` for answers, which the fleet sends without masks too.
fn leg(payload: &[u8]) -> Option<&'static str> {
    match number(payload).ok()? {
        1 => Some("survivors"),
        2 => Some("mask_sum"),
        4 => Some("deal"),
        5 | 6 => Some("recovery"),
        9 => Some("opening"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
