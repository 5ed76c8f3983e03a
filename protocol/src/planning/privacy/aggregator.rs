//! The coordinator's side: it adds up what it cannot read, and opens the sum of a survivor set.

use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::mem;

use super::{
    error::PrivacyError,
    keystream::{Sign, accumulate, signed},
    message::{MaskSum, MaskedContribution, Receipt, Survivors},
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
pub struct Standing {
    /// The last that is in the running sum; 0 for none.
    pub counted: u64,
    /// The last that is counted or dropped.
    pub resolved: u64,
}

/// What a successor needs to go on: all of it may be public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last round.
    pub round: u64,
    /// The running sum, in steps.
    pub sum: Vec<i64>,
    /// Where each asset of the roster stands.
    pub standings: Vec<Standing>,
    /// The set that was published and is not opened: kept before it is sent.
    pub published: Option<Survivors>,
}

/// The coordinator's part under the terms of one epoch. It holds sums only: of masked contributions that wait, and of what was opened.
///
/// Contributions are taken while a survivor set waits for its mask sums; they are of the next round.
#[derive(Clone, Debug)]
pub struct Aggregator {
    terms: Arc<Terms>,
    progress: Progress,
    /// Contributions of assets that are counted already, and of those that are not: newcomers wait for their cohort.
    settled: Window,
    newcomers: Window,
    frozen: Option<Frozen>,
    /// The replies of the last round that was closed, for audits.
    closed: Option<Frozen>,
    deputies: BTreeMap<NodeId, NodeId>,
}

impl Aggregator {
    /// An aggregator that has counted nothing.
    #[must_use]
    pub fn new(terms: Arc<Terms>) -> Self {
        let sum = vec![0; terms.parts().entries];
        let standings = vec![Standing::default(); terms.parts().roster.len()];
        Self::begin(terms, Progress { round: 0, sum, standings, published: None })
    }

    /// A successor that goes on from its predecessor's progress. What was in an open window is sent again by the assets. A round that was
    /// published and not opened is dropped: its masked sum went with the predecessor, and members answer its contributions once.
    ///
    /// # Errors
    /// [`PrivacyError`] when the progress is not one of these terms.
    pub fn resume(terms: Arc<Terms>, progress: Progress) -> Result<Self, PrivacyError> {
        for (found, expected) in [
            (progress.sum.len(), terms.parts().entries),
            (progress.standings.len(), terms.parts().roster.len()),
        ] {
            if found != expected {
                return Err(PrivacyError::Entries { found, expected });
            }
        }
        let mut successor = Self::begin(terms, progress);
        if let Some(survivors) = successor.progress.published.take() {
            let (most, found) = (successor.progress.standings.len(), survivors.entries.last());
            if let Some(&(found, _)) = found.filter(|(place, _)| *place >= most) {
                return Err(PrivacyError::Entries { found, expected: most });
            }
            successor.drop_entries(&survivors);
        }
        Ok(successor)
    }

    fn begin(terms: Arc<Terms>, progress: Progress) -> Self {
        let (settled, newcomers) = (Window::new(terms.parts().entries), Window::new(terms.parts().entries));
        let (frozen, closed, deputies) = (None, None, BTreeMap::new());
        Self { terms, progress, settled, newcomers, frozen, closed, deputies }
    }

    /// Adds a contribution to the open window. Costs one addition for each entry.
    ///
    /// # Errors
    /// [`PrivacyError`] when the sender is not enrolled, the epoch or the length is another, the sequence number is used, or
    /// another contribution of the asset waits.
    pub fn on_contribution(
        &mut self,
        from: NodeId,
        contribution: &MaskedContribution,
    ) -> Result<Taken, PrivacyError> {
        let place = self.admit(from, contribution)?;
        if let Some(sequence) = self.waiting(place) {
            let known = sequence == contribution.sequence;
            return if known { Ok(Taken::Known) } else { Err(PrivacyError::Outstanding { sequence }) };
        }
        let window =
            if self.progress.standings[place].counted == 0 { &mut self.newcomers } else { &mut self.settled };
        accumulate(&mut window.sum, &contribution.entries, self.terms.parts().bits, Sign::Add);
        window.entries.insert(place, contribution.sequence);
        Ok(Taken::New)
    }

    /// The asset's place in the roster, when the contribution is one of these terms and its count is new.
    fn admit(&self, from: NodeId, contribution: &MaskedContribution) -> Result<usize, PrivacyError> {
        self.terms.check_epoch(contribution.epoch)?;
        let place = self.terms.position(from).ok_or(PrivacyError::NotEnrolled { node: from })?;
        self.terms.check_vector(&contribution.entries)?;
        let (found, floor) = (contribution.sequence, self.progress.standings[place].resolved);
        if found <= floor { Err(PrivacyError::Replayed { node: from, found, floor }) } else { Ok(place) }
    }

    fn waiting(&self, place: usize) -> Option<u64> {
        let open = self.settled.entries.get(&place).or_else(|| self.newcomers.entries.get(&place));
        open.copied().or_else(|| {
            let survivors = &self.frozen.as_ref()?.survivors.entries;
            let index = survivors.binary_search_by_key(&place, |(place, _)| *place).ok()?;
            Some(survivors[index].1)
        })
    }

    /// How many contributions could be opened now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.settled.entries.len() + self.admitted()
    }

    fn admitted(&self) -> usize {
        let newcomers = self.newcomers.entries.len();
        if newcomers >= self.terms.parts().cohort { newcomers } else { 0 }
    }

    /// Closes the window and names the survivors, to be published and answered by the committee.
    ///
    /// # Errors
    /// [`PrivacyError::TooFew`]: the window stays open, and nothing of it is lost. [`PrivacyError::Phase`] while a set waits.
    pub fn close(&mut self) -> Result<Survivors, PrivacyError> {
        if self.frozen.is_some() {
            return Err(PrivacyError::Phase { wanted: "open" });
        }
        let (found, k_min) = (self.ready(), self.terms.parts().k_min);
        if found < k_min {
            return Err(PrivacyError::TooFew { found, k_min });
        }
        let empty = Window::new(self.terms.parts().entries);
        let mut window = mem::replace(&mut self.settled, empty.clone());
        if self.admitted() > 0 {
            let newcomers = mem::replace(&mut self.newcomers, empty);
            window.entries.extend(newcomers.entries);
            window.sum.iter_mut().zip(newcomers.sum).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        self.progress.round += 1;
        let entries = window.entries.into_iter().collect();
        let survivors = Survivors { epoch: self.terms.parts().epoch, round: self.progress.round, entries };
        let (set, replies) = (survivors.digest(), BTreeMap::new());
        self.progress.published = Some(survivors.clone());
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
        let speaks = from == reply.seat || self.deputies.get(&reply.seat) == Some(&from);
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
        let sums = window.iter().zip(&self.progress.sum);
        let sum: Vec<i64> = sums.map(|(more, sum)| signed(more.wrapping_add(*sum as u64), bits)).collect();
        let mut standings = self.progress.standings.clone();
        for (place, sequence) in &frozen.survivors.entries {
            standings[*place] = Standing { counted: *sequence, resolved: *sequence };
        }
        let assets = standings.iter().filter(|standing| standing.counted > 0).count();
        let most = self.terms.parts().bound * assets as u64;
        if let Some(entry) = sum.iter().position(|value| value.unsigned_abs() > most) {
            self.drop_round(frozen);
            return Err(PrivacyError::Implausible { entry, assets });
        }
        self.progress.standings = standings;
        self.progress.sum.clone_from(&sum);
        self.progress.published = None;
        let roster = &self.terms.parts().roster;
        let survivors =
            frozen.survivors.entries.iter().map(|(place, sequence)| (roster[*place].node, *sequence));
        let (round, survivors) = (frozen.survivors.round, survivors.collect());
        let change = window.into_iter().map(|more| signed(more, bits)).collect();
        self.closed = Some(frozen);
        Ok(Opened { round, survivors, change, sum })
    }

    /// Gives the published set up, when a member is lost and cannot be recovered: its contributions are dropped, and the assets told.
    ///
    /// # Errors
    /// [`PrivacyError::Phase`] when no set waits.
    pub fn abandon(&mut self) -> Result<(), PrivacyError> {
        let frozen = self.frozen.take().ok_or(PrivacyError::Phase { wanted: "published" })?;
        self.drop_round(frozen);
        Ok(())
    }

    /// Begins a new horizon: the running sum is zero, and every contribution that waits is dropped, since it is a change of an answer to the old one. Counts
    /// of contributions go on, and with them the masks.
    pub fn restart(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            self.drop_round(frozen);
        }
        for window in [&mut self.settled, &mut self.newcomers] {
            let empty = Window::new(self.terms.parts().entries);
            for (place, sequence) in mem::replace(window, empty).entries {
                self.progress.standings[place].resolved = sequence;
            }
        }
        self.progress.sum.fill(0);
        self.progress.standings.iter_mut().for_each(|standing| standing.counted = 0);
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
                self.progress.standings[place].resolved = contribution.sequence;
                Ok(())
            }
        }
    }

    fn drop_round(&mut self, frozen: Frozen) {
        self.drop_entries(&frozen.survivors);
        self.closed = Some(frozen);
    }

    fn drop_entries(&mut self, survivors: &Survivors) {
        for (place, sequence) in &survivors.entries {
            self.progress.standings[*place].resolved = *sequence;
        }
        self.progress.published = None;
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

    /// Compares what a deputy recomputed with what the member said in the last round that was closed.
    ///
    /// # Errors
    /// [`PrivacyError`] when the sender is not the seat's deputy, or the member did not answer that set.
    pub fn audit(&self, from: NodeId, recomputed: &MaskSum) -> Result<Audit, PrivacyError> {
        self.terms.check_epoch(recomputed.epoch)?;
        if self.deputies.get(&recomputed.seat) != Some(&from) {
            return Err(PrivacyError::Sender { node: from });
        }
        let closed = self.closed.as_ref().ok_or(PrivacyError::Phase { wanted: "closed" })?;
        let said = closed.replies.get(&recomputed.seat).filter(|_| closed.set == recomputed.set);
        let said = said.ok_or(PrivacyError::OtherSet { seat: recomputed.seat })?;
        Ok(if *said == recomputed.entries { Audit::Agrees } else { Audit::Differs })
    }

    /// What the asset is told with the next signal.
    #[must_use]
    pub fn receipt(&self, asset: NodeId) -> Option<Receipt> {
        let Standing { counted, resolved } = self.progress.standings[self.terms.position(asset)?];
        Some(Receipt { epoch: self.terms.parts().epoch, counted, resolved })
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
        &self.progress.sum
    }

    /// What a successor needs.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }
}
