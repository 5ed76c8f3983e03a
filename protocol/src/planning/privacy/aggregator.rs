//! The coordinator's side: it adds up what it cannot read, and opens the sum of a survivor set.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::mem;

use sha2::{Digest as _, Sha256};

use super::{
    error::PrivacyError,
    groups::{FRESH, Groups},
    keystream::{Sign, accumulate, signed},
    message::{MaskSum, MaskedContribution, Receipt, Survivor, Survivors},
    occasion::Occasion,
    recovery::Recover,
    terms::Terms,
};
use crate::id::NodeId;

/// What became of a contribution that was sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the open window.
    New,
    /// It was there already.
    Known,
}

/// A round whose masks are off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The round.
    pub round: u64,
    /// Whose contributions it added, each with its sequence number.
    pub survivors: Vec<(NodeId, u64)>,
    /// The sum of these contributions alone, in steps.
    pub change: Vec<i64>,
    /// The running sum over all assets that are counted, in steps.
    pub sum: Vec<i64>,
}

/// Whether a recomputed mask sum is what the member said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// It is.
    Agrees,
    /// The member, or who recomputed it, lied.
    Differs,
}

/// Contributions that wait, only as a sum: places in the roster with sequence numbers.
#[derive(Clone, Debug)]
struct Window {
    entries: BTreeMap<usize, u64>,
    sum: Vec<u64>,
}

impl Window {
    fn new(entries: usize) -> Self {
        Self { entries: BTreeMap::new(), sum: vec![0; entries] }
    }
}

#[derive(Clone, Debug)]
struct Frozen {
    survivors: Survivors,
    set: [u8; 32],
    sum: Vec<u64>,
    replies: BTreeMap<NodeId, Vec<u8>>,
}

/// Where an asset stands: the last of its contributions that is counted, and the last that is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    /// The last that is in the running sum; 0 for none.
    counted: u64,
    /// The last that is counted or dropped.
    resolved: u64,
}

/// The coordinator's part under the terms of one epoch. It holds sums only: of masked contributions that wait, for each block of newcomers, and of what was opened.
///
/// Contributions are taken while a survivor set waits for its mask sums; they are of the next round. All that wait answer one question, if the method has
/// questions that all answer, and are of one generation of the sum.
#[derive(Clone, Debug)]
pub struct Aggregator {
    terms: Arc<Terms>,
    round: u64,
    /// The running sum, in steps.
    sum: Vec<i64>,
    standings: Vec<Standing>,
    /// What contributions are for now.
    occasion: Occasion,
    /// Which sets were published to be summed from nothing: members hold to the same.
    groups: Groups,
    /// Places of those that may still contribute; `None` when nobody said.
    expected: Option<BTreeSet<usize>>,
    /// Contributions of assets that are counted already, and of those that are not, by class: newcomers wait for their cohort, or for the rest of their block.
    settled: Window,
    newcomers: BTreeMap<usize, Window>,
    frozen: Option<Frozen>,
    /// The replies of the last round that was closed, for audits.
    closed: Option<Frozen>,
    deputies: BTreeMap<NodeId, NodeId>,
    /// Members that an audit found to lie: their deputies speak for them.
    distrusted: BTreeSet<NodeId>,
}

impl Aggregator {
    /// An aggregator that has counted nothing.
    #[must_use]
    pub fn new(terms: Arc<Terms>) -> Self {
        let (entries, assets) = (terms.parts().entries, terms.parts().roster.len());
        Self {
            round: 0,
            sum: vec![0; entries],
            standings: vec![Standing::default(); assets],
            occasion: Occasion { horizon: 0, generation: 1, question: None },
            groups: Groups::default(),
            expected: None,
            settled: Window::new(entries),
            newcomers: BTreeMap::new(),
            frozen: None,
            closed: None,
            deputies: BTreeMap::new(),
            distrusted: BTreeSet::new(),
            terms,
        }
    }

    /// The horizon and the question in force. A later horizon begins a generation; answers to another question are dropped, since they cannot
    /// be opened with those to this one. Answers whose are.
    pub fn turn(&mut self, horizon: u64, question: Option<[u8; 32]>) -> Vec<NodeId> {
        let mut dropped = Vec::new();
        if horizon != self.occasion.horizon {
            dropped = self.restart(horizon);
        }
        if question != self.occasion.question {
            self.occasion.question = question;
            dropped.extend(self.drop_waiting());
        }
        dropped
    }

    /// Those of the roster that may still contribute: newcomers are opened so that none is left behind that would be too few.
    pub fn expect(&mut self, assets: impl Iterator<Item = NodeId>) {
        self.expected = Some(assets.filter_map(|asset| self.terms.position(asset)).collect());
    }

    /// Adds a contribution to the open window. Costs one addition for each entry.
    ///
    /// # Errors
    /// [`PrivacyError`] when the sender is not enrolled, the epoch, the generation or the length is another, the sequence number is used, or
    /// another contribution of the asset waits.
    pub fn on_contribution(
        &mut self,
        from: NodeId,
        contribution: &MaskedContribution,
    ) -> Result<Taken, PrivacyError> {
        let place = self.admit(from, contribution)?;
        let (found, last) = (contribution.generation, self.occasion.generation);
        if found != last {
            return Err(PrivacyError::Generation { found, last });
        }
        if let Some(sequence) = self.waiting(place) {
            let known = sequence == contribution.sequence;
            return if known { Ok(Taken::Known) } else { Err(PrivacyError::Outstanding { sequence }) };
        }
        let empty = Window::new(self.terms.parts().entries);
        let window = match self.standings[place].counted {
            0 => {
                let class = self.groups.class(&self.occasion, place);
                self.newcomers.entry(class).or_insert(empty)
            }
            _ => &mut self.settled,
        };
        accumulate(&mut window.sum, &contribution.entries, self.terms.parts().bits, Sign::Add);
        window.entries.insert(place, contribution.sequence);
        Ok(Taken::New)
    }

    /// The asset's place in the roster, when the contribution is one of these terms and its count is new.
    fn admit(&self, from: NodeId, contribution: &MaskedContribution) -> Result<usize, PrivacyError> {
        self.terms.check_epoch(contribution.epoch)?;
        let place = self.terms.position(from).ok_or(PrivacyError::NotEnrolled { node: from })?;
        self.terms.check_vector(&contribution.entries)?;
        let (found, floor) = (contribution.sequence, self.standings[place].resolved);
        if found <= floor { Err(PrivacyError::Replayed { node: from, found, floor }) } else { Ok(place) }
    }

    fn waiting(&self, place: usize) -> Option<u64> {
        let open = self.newcomers.values().chain([&self.settled]);
        let open = open.filter_map(|window| window.entries.get(&place)).next();
        open.copied().or_else(|| Some(self.frozen.as_ref()?.survivors.at(place)?.sequence))
    }

    /// How many contributions could be opened now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.choice(false).map_or(0, |choice| self.chosen(&choice).len())
    }

    /// Who would be in the set that is closed now, or that is closed without waiting for who is missing.
    #[must_use]
    pub fn would_open(&self, late: bool) -> Vec<NodeId> {
        let chosen = self.choice(late).map(|choice| self.chosen(&choice)).unwrap_or_default();
        chosen.into_iter().map(|place| self.terms.parts().roster[place].node).collect()
    }

    /// The classes of newcomers to be opened with what waits of assets that are counted already; `None` when members would answer for nothing that waits. In
    /// order of preference: whole blocks and a cohort of those who were never summed; and when nobody else will come, all that wait.
    fn choice(&self, late: bool) -> Option<Vec<usize>> {
        let k_min = self.terms.parts().k_min;
        let permitted: Vec<Vec<usize>> =
            self.choices(late).into_iter().filter(|choice| self.permits(choice)).collect();
        let enough = permitted.iter().find(|choice| self.chosen(choice).len() >= k_min);
        enough.or(permitted.first()).cloned()
    }

    fn choices(&self, late: bool) -> Vec<Vec<usize>> {
        let whole = |class: &usize| {
            let block = self.groups.block(*class).filter(|_| *class != FRESH);
            block.is_some_and(|block| {
                block.iter().all(|place| self.newcomers[class].entries.contains_key(place))
            })
        };
        let blocks: Vec<usize> = self.newcomers.keys().copied().filter(whole).collect();
        let all: Vec<usize> = self.newcomers.keys().copied().collect();
        let alone = |rest: Option<usize>| rest.is_none_or(|rest| rest == 0);
        let rest = self.rest(|class| class == FRESH);
        let fresh = self.newcomers.contains_key(&FRESH)
            && (late || alone(rest) || rest >= Some(self.terms.parts().cohort));
        let nobody_else = alone(self.rest(|_| true));
        let mut choices = Vec::new();
        if fresh {
            choices.push([&[FRESH], &blocks[..]].concat());
        }
        choices.push(blocks);
        if fresh {
            choices.push(Vec::from([FRESH]));
        }
        // Where all answer one question a round needs everybody; else the one other set in a horizon is the last resort.
        match self.occasion.question {
            _ if !nobody_else => {}
            Some(_) => choices.insert(0, all),
            None => choices.push(all),
        }
        choices.push(Vec::new());
        choices
    }

    /// Whether members would answer for such a set.
    fn permits(&self, choice: &[usize]) -> bool {
        let newcomers = self.places(choice);
        let settled = self.settled.entries.keys().copied().collect();
        let permitted = self.groups.permit(&self.terms, &self.occasion, &newcomers, &settled);
        permitted.is_ok() && !(newcomers.is_empty() && settled.is_empty())
    }

    fn places(&self, choice: &[usize]) -> BTreeSet<usize> {
        let windows = choice.iter().filter_map(|class| self.newcomers.get(class));
        windows.flat_map(|window| window.entries.keys().copied()).collect()
    }

    fn chosen(&self, choice: &[usize]) -> BTreeSet<usize> {
        let mut chosen = self.places(choice);
        chosen.extend(self.settled.entries.keys());
        chosen
    }

    /// How many of those expected, of these classes, are neither counted nor waiting.
    fn rest(&self, of: impl Fn(usize) -> bool) -> Option<usize> {
        let here = |place: &&usize| {
            self.standings[**place].counted == 0
                && self.waiting(**place).is_none()
                && of(self.groups.class(&self.occasion, **place))
        };
        Some(self.expected.as_ref()?.iter().filter(here).count())
    }

    /// Whether newcomers wait who may not be summed with whoever is here, and nobody else is expected.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        let opens = |choice: &Vec<usize>| !choice.is_empty() && self.permits(choice);
        !self.newcomers.is_empty() && self.rest(|_| true) == Some(0) && !self.choices(false).iter().any(opens)
    }

    /// Newcomers that wait in vain, and that were in no sum of the horizon while others are: who plans without them keeps to what was agreed.
    #[must_use]
    pub fn left_behind(&self) -> Vec<NodeId> {
        let counted = self.standings.iter().any(|standing| standing.counted > 0);
        if !counted || self.newcomers.keys().any(|class| *class != FRESH) {
            return Vec::new();
        }
        let places = self.places(&[FRESH]).into_iter();
        places.map(|place| self.terms.parts().roster[place].node).collect()
    }

    /// Whether members would sum these assets from nothing, in the generation after this one.
    #[must_use]
    pub fn could_begin_with(&self, assets: &[NodeId]) -> bool {
        let newcomers = self.positions(assets);
        let occasion = Occasion { generation: self.occasion.generation + 1, ..self.occasion };
        let permitted = self.groups.permit(&self.terms, &occasion, &newcomers, &BTreeSet::new());
        newcomers.len() >= self.terms.parts().k_min && permitted.is_ok()
    }

    /// Those of these assets that were first summed with nobody but others of them.
    #[must_use]
    pub fn whole_blocks(&self, assets: &[NodeId]) -> Vec<NodeId> {
        let whole = self.groups.whole(&self.positions(assets)).into_iter();
        whole.map(|place| self.terms.parts().roster[place].node).collect()
    }

    /// The fewest assets that a sum of these would tell apart, whatever sums of the horizon are taken off it.
    #[must_use]
    pub fn apart(&self, assets: &[NodeId]) -> usize {
        self.groups.apart(&self.positions(assets))
    }

    fn positions(&self, assets: &[NodeId]) -> BTreeSet<usize> {
        assets.iter().filter_map(|asset| self.terms.position(*asset)).collect()
    }

    /// Closes the window and names the survivors, to be published and answered by the committee.
    ///
    /// # Errors
    /// [`PrivacyError::TooFew`]: the window stays open, and nothing of it is lost. [`PrivacyError::Phase`] while a set waits.
    pub fn close(&mut self) -> Result<Survivors, PrivacyError> {
        self.close_with(false)
    }

    /// Closes the window with those who are there, as [`Aggregator::close`].
    ///
    /// # Errors
    /// As [`Aggregator::close`].
    pub fn close_late(&mut self) -> Result<Survivors, PrivacyError> {
        self.close_with(true)
    }

    fn close_with(&mut self, late: bool) -> Result<Survivors, PrivacyError> {
        if self.frozen.is_some() {
            return Err(PrivacyError::Phase { wanted: "open" });
        }
        let choice = self.choice(late);
        let (found, k_min) =
            (choice.as_ref().map_or(0, |choice| self.chosen(choice).len()), self.terms.parts().k_min);
        let Some(choice) = choice.filter(|_| found >= k_min) else {
            return Err(PrivacyError::TooFew { found, k_min });
        };
        let mut window = mem::replace(&mut self.settled, Window::new(self.terms.parts().entries));
        for newcomers in choice.iter().filter_map(|class| self.newcomers.remove(class)) {
            window.entries.extend(newcomers.entries);
            window.sum.iter_mut().zip(newcomers.sum).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        self.round += 1;
        let survivor = |(place, sequence)| Survivor { place, sequence, from: self.standings[place].counted };
        let entries: Vec<Survivor> = window.entries.into_iter().map(survivor).collect();
        let (new, settled): (Vec<&Survivor>, Vec<&Survivor>) = entries.iter().partition(|one| one.from == 0);
        let places = |list: Vec<&Survivor>| list.into_iter().map(|one| one.place).collect();
        self.groups.take(&self.occasion, places(new), places(settled));
        let (epoch, round, occasion) = (self.terms.parts().epoch, self.round, self.occasion);
        let survivors = Survivors { epoch, round, occasion, entries };
        let (set, replies) = (survivors.digest(), BTreeMap::new());
        self.frozen = Some(Frozen { survivors: survivors.clone(), set, sum: window.sum, replies });
        Ok(survivors)
    }

    /// Takes a member's mask sum; with the last one the round opens. Costs one subtraction for each entry and seat.
    ///
    /// # Errors
    /// [`PrivacyError`] when no set waits, the reply is to another set, or the sender may not speak for the seat. After
    /// [`PrivacyError::Implausible`] the round is over: its contributions are dropped, and [`Aggregator::audit`] finds who lied.
    pub fn on_mask_sum(&mut self, from: NodeId, reply: &MaskSum) -> Result<Option<Opened>, PrivacyError> {
        self.terms.check_epoch(reply.epoch)?;
        let itself = from == reply.seat && !self.distrusted.contains(&from);
        let speaks = itself || self.deputies.get(&reply.seat) == Some(&from);
        if !speaks || self.terms.seat(reply.seat).is_none() {
            return Err(PrivacyError::Sender { node: from });
        }
        let frozen = self.frozen.as_mut().ok_or(PrivacyError::Phase { wanted: "published" })?;
        if reply.set != frozen.set || reply.round != frozen.survivors.round {
            return Err(PrivacyError::OtherSet { seat: reply.seat });
        }
        self.terms.check_vector(&reply.entries)?;
        // The first reply stands: a member that says two things is found by an audit.
        frozen.replies.entry(reply.seat).or_insert_with(|| reply.entries.clone());
        if frozen.replies.len() < self.terms.parts().committee.len() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    fn open(&mut self) -> Result<Opened, PrivacyError> {
        let Some(frozen) = self.frozen.take() else {
            return Err(PrivacyError::Phase { wanted: "published" });
        };
        let (mut window, bits) = (frozen.sum.clone(), self.terms.parts().bits);
        frozen.replies.values().for_each(|reply| accumulate(&mut window, reply, bits, Sign::Subtract));
        let sums = window.iter().zip(&self.sum);
        let sum: Vec<i64> = sums.map(|(more, sum)| signed(more.wrapping_add(*sum as u64), bits)).collect();
        let mut standings = self.standings.clone();
        for one in &frozen.survivors.entries {
            standings[one.place] = Standing { counted: one.sequence, resolved: one.sequence };
        }
        let assets = standings.iter().filter(|standing| standing.counted > 0).count();
        let most = self.terms.parts().bound.saturating_mul(assets as u64).min(self.terms.total());
        if let Some(entry) = sum.iter().position(|value| value.unsigned_abs() > most) {
            self.drop_round(frozen);
            return Err(PrivacyError::Implausible { entry, assets });
        }
        self.standings = standings;
        self.sum.clone_from(&sum);
        let roster = &self.terms.parts().roster;
        let survivors = frozen.survivors.entries.iter().map(|one| (roster[one.place].node, one.sequence));
        let (round, survivors) = (frozen.survivors.round, survivors.collect());
        let change = window.into_iter().map(|more| signed(more, bits)).collect();
        self.closed = Some(frozen);
        Ok(Opened { round, survivors, change, sum })
    }

    /// Begins a generation: the running sum is zero, and every contribution that waits is dropped, since it is a change of an answer to the old one. Counts
    /// of contributions go on, and with them the masks. Answers whose were dropped.
    pub fn restart(&mut self, horizon: u64) -> Vec<NodeId> {
        if let Some(frozen) = self.frozen.take() {
            self.drop_round(frozen);
        }
        let dropped = self.drop_waiting();
        self.sum.fill(0);
        self.standings.iter_mut().for_each(|standing| standing.counted = 0);
        (self.occasion.horizon, self.occasion.question) = (horizon, None);
        self.occasion.generation += 1;
        dropped
    }

    fn drop_waiting(&mut self) -> Vec<NodeId> {
        let mut dropped = Vec::new();
        let empty = Window::new(self.terms.parts().entries);
        let settled = mem::replace(&mut self.settled, empty);
        let newcomers = mem::take(&mut self.newcomers);
        for (place, sequence) in newcomers.into_values().chain([settled]).flat_map(|window| window.entries) {
            self.standings[place].resolved = sequence;
            dropped.push(self.terms.parts().roster[place].node);
        }
        dropped
    }

    /// Drops what waits of assets that were never summed in the horizon ([`Aggregator::left_behind`]).
    pub fn leave_behind(&mut self) {
        for (place, sequence) in
            self.newcomers.remove(&FRESH).map(|window| window.entries).unwrap_or_default()
        {
            self.standings[place].resolved = sequence;
        }
    }

    /// Drops a contribution unseen: one that comes too late for its horizon.
    ///
    /// # Errors
    /// As [`Aggregator::on_contribution`].
    pub fn drop_contribution(
        &mut self,
        from: NodeId,
        contribution: &MaskedContribution,
    ) -> Result<(), PrivacyError> {
        let place = self.admit(from, contribution)?;
        match self.waiting(place) {
            Some(sequence) => Err(PrivacyError::Outstanding { sequence }),
            None => {
                self.standings[place].resolved = contribution.sequence;
                Ok(())
            }
        }
    }

    fn drop_round(&mut self, frozen: Frozen) {
        for one in &frozen.survivors.entries {
            self.standings[one.place].resolved = one.sequence;
        }
        self.closed = Some(frozen);
    }

    /// Names a deputy for a lost member: the message goes to every other member, and the deputy's replies for the seat are taken.
    ///
    /// # Errors
    /// [`PrivacyError`] when the nodes are not two seats, or the terms permit no more recoveries.
    pub fn recover(&mut self, lost: NodeId, deputy: NodeId) -> Result<Recover, PrivacyError> {
        for node in [lost, deputy] {
            self.terms.seat(node).ok_or(PrivacyError::NotEnrolled { node })?;
        }
        let (limit, known) = (self.terms.parts().recoveries, self.deputies.get(&lost));
        if lost == deputy {
            return Err(PrivacyError::Sender { node: deputy });
        }
        if known.is_some_and(|known| *known != deputy) || known.is_none() && self.deputies.len() >= limit {
            return Err(PrivacyError::Recoveries { limit });
        }
        self.deputies.insert(lost, deputy);
        Ok(Recover { epoch: self.terms.parts().epoch, lost, deputy })
    }

    /// Compares what a deputy recomputed with what the member said in the last round that was closed. A member that differs is heard no more:
    /// its deputy speaks for the seat.
    ///
    /// # Errors
    /// [`PrivacyError`] when the sender is not the seat's deputy, or the member did not answer that set.
    pub fn audit(&mut self, from: NodeId, recomputed: &MaskSum) -> Result<Audit, PrivacyError> {
        self.terms.check_epoch(recomputed.epoch)?;
        if self.deputies.get(&recomputed.seat) != Some(&from) {
            return Err(PrivacyError::Sender { node: from });
        }
        let closed = self.closed.as_ref().ok_or(PrivacyError::Phase { wanted: "closed" })?;
        let said = closed.replies.get(&recomputed.seat).filter(|_| closed.set == recomputed.set);
        let said = said.ok_or(PrivacyError::OtherSet { seat: recomputed.seat })?;
        if *said == recomputed.entries {
            return Ok(Audit::Agrees);
        }
        self.distrusted.insert(recomputed.seat);
        Ok(Audit::Differs)
    }

    /// What nobody knew before all members had answered the last round that was closed: who is audited is drawn from it.
    #[must_use]
    pub fn lot(&self) -> Option<[u8; 32]> {
        let closed = self.closed.as_ref()?;
        let mut hash = Sha256::new();
        hash.update(b"CosmosMesh audit 1");
        hash.update(closed.set);
        closed.replies.values().for_each(|reply| hash.update(reply));
        Some(hash.finalize().into())
    }

    /// Whether a reply is to the last round that was closed.
    #[must_use]
    pub fn is_closed(&self, reply: &MaskSum) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.set == reply.set)
    }

    /// What the asset is told with the next signal.
    #[must_use]
    pub fn receipt(&self, asset: NodeId) -> Option<Receipt> {
        let Standing { counted, resolved } = self.standings[self.terms.position(asset)?];
        let generation = self.occasion.generation;
        Some(Receipt { epoch: self.terms.parts().epoch, generation, counted, resolved })
    }

    /// Seats whose mask sums are missing.
    pub fn missing(&self) -> impl Iterator<Item = NodeId> + '_ {
        let seats = self.terms.parts().committee.iter().map(|seat| seat.node);
        let frozen = self.frozen.as_ref();
        seats.filter(move |seat| frozen.is_some_and(|frozen| !frozen.replies.contains_key(seat)))
    }

    /// The survivor set that waits for mask sums.
    #[must_use]
    pub fn published(&self) -> Option<&Survivors> {
        self.frozen.as_ref().map(|frozen| &frozen.survivors)
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The running sum, in steps.
    #[must_use]
    pub fn sum(&self) -> &[i64] {
        &self.sum
    }

    /// The last round that was published; 0 for none.
    #[must_use]
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// What contributions are for now.
    #[must_use]
    pub const fn occasion(&self) -> &Occasion {
        &self.occasion
    }
}
