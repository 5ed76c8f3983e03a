//! Everything that one node does for the masks of a plan, message by message: [`Party`].

mod silence;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use super::{Gathering, MaskedAnswer, MaskedRequest, Masking, Reply, SecureError, Spent};
use crate::{
    cbor::Reader,
    id::NodeId,
    planning::{
        privacy::{
            Audit, CommitteeMember, Deal, MaskSum, PrivacyError, Receipt, Recover, ReturnedShare, Survivors,
            Terms,
        },
        solver::{Asset, Coordinator, Request},
    },
    time::Instant,
};

/// How far the coordinator has gone to have a survivor set answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Once.
    Once,
    /// Again, since members were missing.
    Again,
    /// A deputy was named for a lost member.
    Deputy,
    /// Still, so many times with pauses that grow: a sum that began again would wait for the same members.
    Still(u32),
}

/// What became of a window, at the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Its survivors were published.
    Published {
        /// How many.
        survivors: usize,
    },
    /// Its sum is open.
    Opened {
        /// How many contributions it added.
        survivors: usize,
    },
    /// It stays closed.
    Unopened {
        /// A stable word: `committee_silent`, `implausible`, `too_few`, `changes`, `left_behind`, `horizon`.
        reason: &'static str,
    },
    /// A deputy was named for a lost member.
    Recovered {
        /// The member.
        lost: NodeId,
        /// The deputy.
        deputy: NodeId,
    },
    /// After an implausible sum a member's mask sum was computed again by a deputy.
    Audited {
        /// The member.
        seat: NodeId,
        /// The deputy.
        deputy: NodeId,
        /// Whether it is another: one of the two lied. The deputy speaks for the seat from then on.
        differs: bool,
    },
}

/// So many generations in a row that show no sum, and the plan ends with what was agreed last.
const MAX_VAIN: u32 = 8;

/// So many deadlines of silence, and a horizon begins without those who are fewer than a cohort: they have to wait for the next.
const MAX_LATE: u32 = 3;

/// How often the pause before a further generation doubles at the most.
const MAX_DOUBLINGS: u32 = 6;

/// What audits told a coordinator of the committee, epoch after epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// Members whose part was computed again.
    audited: Vec<NodeId>,
    /// Those of them that said something else.
    liars: Vec<NodeId>,
}

/// The most windows whose fate is kept until it is asked for.
const MAX_WINDOWS: usize = 64;

/// The masks of an asset, a seat in the committee, the windows of a coordinator, or several of them at one node. The solver's asset and coordinator are the caller's. Sans-IO: messages
/// come in with their authenticated sender, and go out by [`Party::poll_transmit`]. What is kept is bounded by the terms' roster.
///
/// A coordinator asks members that are silent for `patience` again, then has a deputy recover the first of them if the terms permit it, then gives the
/// window up and begins the sum again: once. The next window in a row that they leave closed waits for them, asked with pauses that double, before it is given up. When a sum is
/// implausible, it begins again too, and first has a deputy recompute one member's part; each further generation in a row waits twice as long. After eight the plan ends with what
/// was agreed last, if anything was. Where nobody can be summed any more in a later stage of a horizon, it is for the caller to end it or to go on with others
/// ([`Party::take_blocked`]).
#[derive(Debug)]
pub struct Party {
    node: NodeId,
    coordinator: NodeId,
    terms: Arc<Terms>,
    patience: Duration,
    masking: Option<Masking>,
    member: Option<CommitteeMember>,
    gathering: Option<Gathering>,
    /// The survivor set that waits: how often it was asked for, and until when.
    waits: Option<(Asked, Instant)>,
    /// A member whose part in an implausible sum is computed again: no window is closed until then, at the latest.
    audit: Option<(NodeId, Instant)>,
    /// Members that were audited in this epoch.
    audited: Vec<NodeId>,
    /// Generations in a row of which no sum was opened.
    vain: u32,
    /// Until when nobody is asked, since several were.
    paused: Option<Instant>,
    /// When it is decided what becomes of those who wait and may not be summed with whoever is here.
    stuck: Option<Instant>,
    suspicion: Suspicion,
    /// A member would have to be audited, and the epoch permits no further recovery.
    exhausted: bool,
    /// In a later stage of a horizon nobody can be summed with whoever is here.
    blocked: bool,
    windows: VecDeque<Window>,
    out: VecDeque<(NodeId, Vec<u8>)>,
    /// Messages of this node to itself.
    own: VecDeque<Vec<u8>>,
}

impl Party {
    /// A node without a part, which a caller then gives it.
    #[must_use]
    pub fn new(node: NodeId, coordinator: NodeId, terms: Arc<Terms>, patience: Duration) -> Self {
        let (windows, out, own) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let (masking, member, gathering, waits) = (None, None, None, None);
        let (audit, audited, vain, paused, stuck) = (None, Vec::new(), 0, None, None);
        let (suspicion, exhausted, blocked) = (Suspicion::default(), false, false);
        Self {
            node,
            coordinator,
            terms,
            patience,
            masking,
            member,
            gathering,
            waits,
            audit,
            audited,
            vain,
            paused,
            stuck,
            suspicion,
            exhausted,
            blocked,
            windows,
            out,
            own,
        }
    }

    /// With an asset's masks.
    #[must_use]
    pub fn with_masking(self, masking: Option<Masking>) -> Self {
        Self { masking, ..self }
    }

    /// With a seat in the committee.
    #[must_use]
    pub fn with_member(self, member: Option<CommitteeMember>) -> Self {
        Self { member, ..self }
    }

    /// As the coordinator.
    #[must_use]
    pub fn with_gathering(self, gathering: Option<Gathering>) -> Self {
        Self { gathering, ..self }
    }

    /// With what audits of earlier epochs told: known liars are audited first, and those who did not lie not again.
    #[must_use]
    pub fn suspecting(self, suspicion: Suspicion) -> Self {
        Self { suspicion, ..self }
    }

    /// What audits told, for the next epoch.
    #[must_use]
    pub const fn suspicion(&self) -> &Suspicion {
        &self.suspicion
    }

    /// Whether somebody spoils sums who can be found in a later epoch only, since this one's recoveries are used up. Answers once.
    pub const fn take_exhausted(&mut self) -> bool {
        core::mem::replace(&mut self.exhausted, false)
    }

    /// Whether, in a later stage of a horizon, those who are here may not be summed without those who are gone. Answers once for each deadline.
    pub const fn take_blocked(&mut self) -> bool {
        core::mem::replace(&mut self.blocked, false)
    }

    /// Deals the own key's shares to the committee, if this node has a seat.
    ///
    /// # Errors
    /// [`SecureError`] when a member's key does not agree.
    pub fn deal(&mut self) -> Result<(), SecureError> {
        if let Some(deal) = self.member.as_ref().map(CommitteeMember::deal).transpose()?.flatten() {
            self.tell_committee(&deal.encode(), Some(self.node));
        }
        Ok(())
    }

    /// What a member of the plan is asked now; `None` for a stranger, while an answer of it waits to be opened, and while nobody is asked.
    #[must_use]
    pub fn request(&self, lead: &Coordinator, member: NodeId) -> Option<MaskedRequest> {
        let gathering = self.gathering.as_ref()?;
        let waits = (gathering.holds(member) || self.paused.is_some()) && lead.outcome().is_none();
        if waits { None } else { gathering.request(lead, member) }
    }

    /// What the coordinator here tells this node's own asset of its answers.
    #[must_use]
    pub fn receipt(&self, asset: NodeId) -> Option<Receipt> {
        self.gathering.as_ref()?.receipt(asset)
    }

    /// Answers the coordinator's request to the asset here.
    ///
    /// # Errors
    /// As [`Masking::on_request`].
    pub fn answer(
        &mut self,
        asset: &mut Asset,
        request: &Request,
        receipt: Receipt,
    ) -> Result<(), SecureError> {
        let own = PrivacyError::NotEnrolled { node: self.node };
        let masking = self.masking.as_mut().ok_or(own)?;
        let asked = MaskedRequest { request: request.clone(), receipt };
        let bytes = match masking.on_request(asset, &asked)? {
            Some(Reply::Answer(answer)) => answer.encode(),
            Some(Reply::Spent) => Spent { epoch: receipt.epoch }.encode(),
            None => return Ok(()),
        };
        self.send(self.coordinator, bytes);
        Ok(())
    }

    /// Takes a message of another node that is no request; `lead` is the solver's coordinator at the coordinator. Answers who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] when it is refused: nothing changed, but that an answer which comes too late is dropped.
    pub fn handle(
        &mut self,
        now: Instant,
        mut lead: Option<&mut Coordinator>,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<Vec<NodeId>, SecureError> {
        let mut asked = self.take(now, lead.as_deref_mut(), from, bytes)?;
        asked.extend(self.settle(now, lead)?);
        Ok(asked)
    }

    fn take(
        &mut self,
        now: Instant,
        lead: Option<&mut Coordinator>,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<Vec<NodeId>, SecureError> {
        let stranger = PrivacyError::Sender { node: from };
        match number(bytes)? {
            2 => {
                let reply = MaskSum::decode(bytes, &self.terms)?;
                self.on_mask_sum(now, lead.ok_or(stranger)?, from, &reply)
            }
            7 => {
                let answer = MaskedAnswer::decode(bytes, &self.terms)?;
                let gathering = self.gathering.as_mut().ok_or(stranger)?;
                gathering.on_answer(lead.ok_or(stranger)?, now, from, &answer)
            }
            10 => {
                let spent = Spent::decode(bytes)?;
                let (gathering, expected) = (self.gathering.as_mut(), self.terms.parts().epoch);
                if spent.epoch != expected {
                    return Err(PrivacyError::Epoch { found: spent.epoch, expected }.into());
                }
                Ok(gathering.ok_or(stranger)?.on_spent(lead.ok_or(stranger)?, now, from))
            }
            kind => self.on_committee(kind, from, bytes).map(|()| Vec::new()),
        }
    }

    /// A message of the committee's own business.
    fn on_committee(&mut self, kind: u64, from: NodeId, bytes: &[u8]) -> Result<(), SecureError> {
        let stranger = PrivacyError::Sender { node: from };
        let member = self.member.as_mut().ok_or(stranger)?;
        match kind {
            1 => {
                let survivors = Survivors::decode(bytes)?;
                let reply = member.on_survivors(from, &survivors)?;
                self.send(from, reply.encode());
                self.stand_in(&survivors)?;
            }
            4 => member.on_deal(from, &Deal::decode(bytes)?)?,
            5 => {
                let recover = Recover::decode(bytes)?;
                if let Some(share) = member.on_recover(from, &recover)? {
                    self.send(recover.deputy, share.encode());
                }
            }
            6 => {
                if member.on_share(from, &ReturnedShare::decode(bytes)?)? {
                    let answered = member.answered().cloned();
                    answered.map_or(Ok(()), |survivors| self.stand_in(&survivors))?;
                }
            }
            _ => return Err(stranger.into()),
        }
        Ok(())
    }

    fn on_mask_sum(
        &mut self,
        now: Instant,
        lead: &mut Coordinator,
        from: NodeId,
        reply: &MaskSum,
    ) -> Result<Vec<NodeId>, SecureError> {
        let gathering = self.gathering.as_mut().ok_or(PrivacyError::Sender { node: from })?;
        if let Some((seat, _)) = self.audit.filter(|(seat, _)| *seat == reply.seat && *seat != from)
            && gathering.aggregator().is_closed(reply)
        {
            let differs = gathering.audit(from, reply)? == Audit::Differs;
            self.audit = None;
            if differs && !self.suspicion.liars.contains(&seat) {
                self.suspicion.liars.push(seat);
            }
            self.tell(Window::Audited { seat, deputy: from, differs });
            return Ok(Vec::new());
        }
        let opened = gathering.on_mask_sum(lead, now, from, reply);
        if gathering.is_open() {
            self.waits = None;
        }
        match opened {
            Ok(Some((opened, asked))) => {
                // A sum of few is none yet: with who spoils it, it would begin again for ever.
                self.vain = if lead.is_whole() { 0 } else { self.vain };
                self.tell(Window::Opened { survivors: opened.survivors.len() });
                Ok(asked)
            }
            Ok(None) => Ok(Vec::new()),
            Err(SecureError::Privacy(PrivacyError::Implausible { .. })) => {
                self.tell(Window::Unopened { reason: "implausible" });
                self.begin_audit(now);
                let asked = self.begin_again(now, lead);
                Ok(if lead.outcome().is_some() { asked } else { self.pause(now, asked) })
            }
            Err(error) => Err(error),
        }
    }

    /// The sum begins again: at once, then after pauses. What nobody can open ends the plan, when something was agreed on before.
    fn begin_again(&mut self, now: Instant, lead: &mut Coordinator) -> Vec<NodeId> {
        let Some(gathering) = &mut self.gathering else { return Vec::new() };
        let asked = gathering.begin_again(lead, now);
        self.vain = self.vain.saturating_add(1);
        if self.vain > MAX_VAIN && lead.is_agreed() {
            return lead.end(now);
        }
        asked
    }

    /// Before a further sum that cannot be everybody waits, since each costs the assets an answer.
    fn pause(&mut self, now: Instant, asked: Vec<NodeId>) -> Vec<NodeId> {
        let Some(doublings) = self.vain.checked_sub(2) else { return asked };
        self.paused = Some(now.saturating_add(self.patience * (1 << doublings.min(MAX_DOUBLINGS))));
        Vec::new()
    }

    /// Has a deputy recompute the part of one member that was not audited yet, as long as the terms permit recoveries: it tells who lied, or one who did not. Who is
    /// audited, and by whom, is drawn from what nobody knew before all had answered.
    fn begin_audit(&mut self, now: Instant) {
        let seats: Vec<NodeId> = self.terms.parts().committee.iter().map(|seat| seat.node).collect();
        let own = self.node;
        let Some(gathering) = &mut self.gathering else { return };
        let Some(lot) = gathering.aggregator().lot() else { return };
        let from = |place: usize| {
            let first = usize::from(lot[place]) % seats.len();
            seats[first..].iter().chain(&seats[..first]).copied()
        };
        let (here, Suspicion { audited, liars }) = (&self.audited, &self.suspicion);
        let fresh = from(0).filter(|seat| *seat != own && !audited.contains(seat));
        let known = liars.iter().copied().filter(|seat| seats.contains(seat));
        let suspects: Vec<NodeId> = known.chain(fresh).filter(|seat| !here.contains(seat)).collect();
        // Who has a deputy already is recomputed by that one. A known liar is nobody's deputy.
        let pairs = suspects.iter().flat_map(|suspect| {
            let deputies = from(1).filter(move |seat| seat != suspect && !liars.contains(seat));
            deputies.map(move |deputy| (*suspect, deputy))
        });
        let found = pairs
            .into_iter()
            .find_map(|(suspect, deputy)| Some((suspect, deputy, gathering.recover(suspect, deputy).ok()?)));
        let Some((suspect, deputy, recover)) = found else {
            self.exhausted |= !suspects.is_empty();
            return;
        };
        self.audited.push(suspect);
        if !self.suspicion.audited.contains(&suspect) {
            self.suspicion.audited.push(suspect);
        }
        // Shares are asked for, come to the deputy, and its sum comes here.
        self.audit = Some((suspect, now.saturating_add(4 * self.patience)));
        self.tell(Window::Recovered { lost: suspect, deputy });
        self.tell_committee(&recover.encode(), Some(suspect));
    }

    /// Answers for the members that this one stands in for.
    fn stand_in(&mut self, survivors: &Survivors) -> Result<(), SecureError> {
        let Some(member) = &self.member else { return Ok(()) };
        let replies = member.wards().map(|ward| member.stand_in(self.coordinator, ward, survivors));
        for reply in replies.collect::<Result<Vec<_>, _>>()? {
            self.send(self.coordinator, reply.encode());
        }
        Ok(())
    }

    /// Delivers what this node says to itself, and closes windows that are due, until nothing is left to do. Answers who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] when a message of this node to itself is refused.
    pub fn settle(
        &mut self,
        now: Instant,
        mut lead: Option<&mut Coordinator>,
    ) -> Result<Vec<NodeId>, SecureError> {
        let mut asked = Vec::new();
        loop {
            if let Some((gathering, lead)) = self.gathering.as_mut().zip(lead.as_deref()) {
                gathering.align(lead);
            }
            let due = self.audit.is_none()
                && self.paused.is_none()
                && self.gathering.as_ref().zip(lead.as_deref()).is_some_and(|(own, lead)| own.is_due(lead));
            if let Some(bytes) = self.own.pop_front() {
                asked.extend(self.take(now, lead.as_deref_mut(), self.node, &bytes)?);
            } else if due {
                self.close(now, false)?;
            } else {
                self.watch(now, lead.as_deref());
                return Ok(asked);
            }
        }
    }

    /// Sets when it is decided about those who may not be summed with whoever is here.
    fn watch(&mut self, now: Instant, lead: Option<&Coordinator>) {
        let own = self.gathering.as_ref().zip(lead).filter(|(_, lead)| lead.outcome().is_none());
        self.stuck = match own {
            Some((gathering, lead)) if gathering.is_stuck(lead) => {
                self.stuck.or_else(|| Some(now.saturating_add(lead.deadline())))
            }
            _ => None,
        };
    }

    fn close(&mut self, now: Instant, late: bool) -> Result<(), SecureError> {
        let Some(gathering) = &mut self.gathering else { return Ok(()) };
        let survivors = if late { gathering.close_late()? } else { gathering.close()? };
        self.waits = Some((Asked::Once, now.saturating_add(self.patience)));
        self.tell(Window::Published { survivors: survivors.entries.len() });
        self.tell_committee(&survivors.encode(), None);
        Ok(())
    }

    /// When [`Party::on_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self, lead: &Coordinator) -> Option<Instant> {
        if lead.outcome().is_some() {
            // What the committee has not answered by then is of no use any more.
            return None;
        }
        let waits = self.waits.map(|(_, until)| until);
        let audit = self.audit.map(|(_, until)| until);
        // While a set waits for the committee, a round's deadline decides nothing.
        let held = (waits.is_some() || audit.is_some()) && lead.waits();
        let own = if held || self.paused.is_some() { None } else { lead.poll_timeout() };
        waits.into_iter().chain(audit).chain(self.paused).chain(self.stuck).chain(own).min()
    }

    /// Goes on at a deadline of the committee or of the method; answers who is to be asked.
    ///
    /// # Errors
    /// [`SecureError`] when a message of this node to itself is refused.
    pub fn on_timeout(&mut self, now: Instant, lead: &mut Coordinator) -> Result<Vec<NodeId>, SecureError> {
        if self.poll_timeout(lead).is_none_or(|due| now < due) {
            return Ok(Vec::new());
        }
        // Nobody could compute it again: the plan goes on without a name.
        let unaudited = self.audit.take_if(|(_, until)| *until <= now).is_some();
        let mut asked = match self.waits {
            Some((asked, until)) if until <= now => self.press(now, asked, lead),
            _ if unaudited => Vec::new(),
            _ if self.paused.take_if(|until| *until <= now).is_some() => lead.begin_again(now),
            _ if self.stuck.take_if(|until| *until <= now).is_some() => self.on_stuck(now, lead),
            _ => self.on_deadline(now, lead)?,
        };
        asked.extend(self.settle(now, Some(lead))?);
        Ok(asked)
    }

    /// Who waits may not be told apart from those who were there: the plan goes on without them if it never was with them, else ends with what was agreed last.
    /// Where nothing was, it waits for who is missing.
    fn on_stuck(&mut self, now: Instant, lead: &mut Coordinator) -> Vec<NodeId> {
        let Some(gathering) = &mut self.gathering else { return Vec::new() };
        if let Some(asked) = gathering.leave_behind(lead, now) {
            self.tell(Window::Unopened { reason: "left_behind" });
            return asked;
        }
        let later = gathering.aggregator().occasion().is_later_stage();
        self.tell(Window::Unopened { reason: "changes" });
        if later {
            self.blocked = true;
            return Vec::new();
        }
        if lead.is_agreed() { lead.end(now) } else { Vec::new() }
    }

    /// A deadline: those who are there are opened, if that closes the round; then the method decides.
    fn on_deadline(&mut self, now: Instant, lead: &mut Coordinator) -> Result<Vec<NodeId>, SecureError> {
        let Some(gathering) = &mut self.gathering else { return Ok(Vec::new()) };
        if lead.waits() && gathering.is_stuck(lead) {
            // The next round would be stuck too.
            self.stuck = None;
            let asked = self.on_stuck(now, lead);
            if !asked.is_empty() || lead.outcome().is_some() {
                return Ok(asked);
            }
        }
        let Some(gathering) = &mut self.gathering else { return Ok(Vec::new()) };
        if lead.waits() && gathering.is_due_at_deadline(lead, true) {
            self.close(now, true)?;
            return Ok(Vec::new());
        }
        let few = lead.waits() && gathering.aggregator().ready() < self.terms.parts().k_min;
        let before = lead.round();
        let asked = lead.on_timeout(now);
        if few && lead.round() == before {
            self.tell(Window::Unopened { reason: "too_few" });
        }
        // Somebody is silent: who is here is opened without it.
        let due = self.waits.is_none() && self.audit.is_none() && !lead.waits() && lead.silence() > 0;
        let late = lead.silence() >= MAX_LATE;
        if due && self.gathering.as_ref().is_some_and(|gathering| gathering.is_due_at_deadline(lead, late)) {
            self.close(now, late)?;
        }
        Ok(asked)
    }

    /// A later horizon begins, or other members: the sum is empty, and what waits is dropped. A later horizon of the plan knows nothing of sums that were not opened in the last one.
    pub fn restart(&mut self, lead: &Coordinator) {
        (self.waits, self.stuck, self.blocked) = (None, None, false);
        if let Some(gathering) = &mut self.gathering {
            if gathering.aggregator().occasion().is_over(lead.horizon()) {
                (self.vain, self.paused) = (0, None);
            }
            if !gathering.is_open() {
                self.windows.push_back(Window::Unopened { reason: "horizon" });
            }
            gathering.restart(lead);
        }
    }

    /// Sends to every seat but one.
    pub fn tell_committee(&mut self, bytes: &[u8], but: Option<NodeId>) {
        let terms = Arc::clone(&self.terms);
        for seat in terms.parts().committee.iter().filter(|seat| Some(seat.node) != but) {
            self.send(seat.node, bytes.to_vec());
        }
    }

    fn send(&mut self, to: NodeId, bytes: Vec<u8>) {
        if to == self.node { self.own.push_back(bytes) } else { self.out.push_back((to, bytes)) }
    }

    fn tell(&mut self, window: Window) {
        if self.windows.len() == MAX_WINDOWS {
            self.windows.pop_front();
        }
        self.windows.push_back(window);
    }

    /// The next message to another node.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        self.out.pop_front()
    }

    /// What became of the next window, at the coordinator.
    pub fn poll_window(&mut self) -> Option<Window> {
        self.windows.pop_front()
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Who coordinates.
    #[must_use]
    pub const fn coordinator(&self) -> NodeId {
        self.coordinator
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The masks of the asset here.
    #[must_use]
    pub const fn masking(&self) -> Option<&Masking> {
        self.masking.as_ref()
    }

    /// Takes an asset's masks on, where there are none: its part came later than the epoch.
    pub fn take_on(&mut self, masking: Masking) {
        self.masking.get_or_insert(masking);
    }

    /// Gives the masks away, for the next epoch.
    pub const fn take_masking(&mut self) -> Option<Masking> {
        self.masking.take()
    }

    /// Takes a snapshot of the asset's masks back ([`Masking::restore`]).
    ///
    /// # Errors
    /// As there, and [`PrivacyError::NotEnrolled`] without an asset.
    pub fn restore_masking(&mut self, state: &[u8]) -> Result<(), PrivacyError> {
        let missing = PrivacyError::NotEnrolled { node: self.node };
        self.masking.as_mut().ok_or(missing)?.restore(state)
    }

    /// Takes the asset's kept ledger back ([`Masking::restore_ledger`]).
    ///
    /// # Errors
    /// As there, and [`PrivacyError::NotEnrolled`] without an asset.
    pub fn restore_ledger(&mut self, ledger: &[u8]) -> Result<(), PrivacyError> {
        let missing = PrivacyError::NotEnrolled { node: self.node };
        self.masking.as_mut().ok_or(missing)?.restore_ledger(ledger)
    }

    /// Takes a snapshot of the seat back ([`CommitteeMember::restore`]).
    ///
    /// # Errors
    /// As there, and [`PrivacyError::NotEnrolled`] without a seat.
    pub fn restore_member(&mut self, state: &[u8]) -> Result<(), PrivacyError> {
        let missing = PrivacyError::NotEnrolled { node: self.node };
        self.member.as_mut().ok_or(missing)?.restore(state)
    }

    /// The committee member here.
    #[must_use]
    pub const fn member(&self) -> Option<&CommitteeMember> {
        self.member.as_ref()
    }

    /// The windows here, at the coordinator.
    #[must_use]
    pub const fn gathering(&self) -> Option<&Gathering> {
        self.gathering.as_ref()
    }
}

/// A message's number: the first item of its array.
///
/// # Errors
/// [`PrivacyError::Malformed`].
pub(crate) fn number(bytes: &[u8]) -> Result<u64, PrivacyError> {
    let mut reader = Reader::new(bytes);
    reader.array()?;
    Ok(reader.uint()?)
}
