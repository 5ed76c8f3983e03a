//! Everything that one node does in a plan under masks, message by message: [`Party`].

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use super::{MaskedAnswer, MaskedRequest, SecureAsset, SecureCoordinator, SecureError};
use crate::{
    cbor::Reader,
    id::NodeId,
    planning::privacy::{
        CommitteeMember, Deal, MaskSum, PrivacyError, Recover, ReturnedShare, Survivors, Terms,
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
}

/// An asset, a committee member, a coordinator, or several of them at one node. Sans-IO: messages come in with their authenticated sender, and go out
/// by [`Party::poll_transmit`]. What is kept is bounded by the terms' roster.
///
/// A coordinator asks members that are silent for `patience` again, then has a deputy recover the first of them if the terms permit it, then gives the
/// window up and asks its assets again.
#[derive(Debug)]
pub struct Party {
    node: NodeId,
    coordinator: NodeId,
    terms: Arc<Terms>,
    patience: Duration,
    asset: Option<SecureAsset>,
    member: Option<CommitteeMember>,
    lead: Option<SecureCoordinator>,
    /// The survivor set that waits: how often it was asked for, and until when.
    waits: Option<(Asked, Instant)>,
    out: VecDeque<(NodeId, Vec<u8>)>,
    /// Messages of this node to itself.
    own: VecDeque<Vec<u8>>,
}

impl Party {
    /// A node without a part, which a caller then gives it.
    #[must_use]
    pub fn new(node: NodeId, coordinator: NodeId, terms: Arc<Terms>, patience: Duration) -> Self {
        let (out, own) = (VecDeque::new(), VecDeque::new());
        let (asset, member, lead, waits) = (None, None, None, None);
        Self { node, coordinator, terms, patience, asset, member, lead, waits, out, own }
    }

    /// With an asset.
    #[must_use]
    pub fn with_asset(self, asset: SecureAsset) -> Self {
        Self { asset: Some(asset), ..self }
    }

    /// With a seat in the committee.
    #[must_use]
    pub fn with_member(self, member: CommitteeMember) -> Self {
        Self { member: Some(member), ..self }
    }

    /// As the coordinator.
    #[must_use]
    pub fn with_lead(self, lead: SecureCoordinator) -> Self {
        Self { lead: Some(lead), ..self }
    }

    /// Deals the own key's shares, and at the coordinator asks everyone the first question.
    ///
    /// # Errors
    /// [`SecureError`] when a member's key does not agree.
    pub fn start(&mut self, now: Instant) -> Result<(), SecureError> {
        if let Some(deal) = self.member.as_ref().map(CommitteeMember::deal).transpose()?.flatten() {
            self.tell_committee(&deal.encode(), Some(self.node));
        }
        if let Some(lead) = &mut self.lead {
            let asked = lead.start(now);
            self.ask(asked);
        }
        self.settle(now)
    }

    /// Takes a message of another node.
    ///
    /// # Errors
    /// [`SecureError`] when it is refused: nothing changed, but that an answer which comes too late is dropped.
    pub fn handle(&mut self, now: Instant, from: NodeId, bytes: &[u8]) -> Result<(), SecureError> {
        self.take(now, from, bytes)?;
        self.settle(now)
    }

    fn take(&mut self, now: Instant, from: NodeId, bytes: &[u8]) -> Result<(), SecureError> {
        let stranger = PrivacyError::Sender { node: from };
        match number(bytes)? {
            1 => {
                let member = self.member.as_mut().ok_or(stranger)?;
                let survivors = Survivors::decode(bytes)?;
                let reply = member.on_survivors(from, &survivors)?;
                self.send(from, reply.encode());
                self.stand_in(&survivors)?;
            }
            2 => {
                let reply = MaskSum::decode(bytes, &self.terms)?;
                let lead = self.lead.as_mut().ok_or(stranger)?;
                let asked = lead.on_mask_sum(now, from, &reply);
                if lead.aggregator().published().is_none() {
                    self.waits = None;
                }
                let asked = match asked {
                    Err(SecureError::Privacy(PrivacyError::Implausible { .. })) => self.everyone(),
                    other => other?,
                };
                self.ask(asked);
            }
            4 => {
                let deal = Deal::decode(bytes)?;
                self.member.as_mut().ok_or(stranger)?.on_deal(from, &deal)?;
            }
            5 => {
                let recover = Recover::decode(bytes)?;
                let share = self.member.as_mut().ok_or(stranger)?.on_recover(from, &recover)?;
                if let Some(share) = share {
                    self.send(recover.deputy, share.encode());
                }
            }
            6 => {
                let share = ReturnedShare::decode(bytes)?;
                let member = self.member.as_mut().ok_or(stranger)?;
                if member.on_share(from, &share)? {
                    let answered = member.answered().cloned();
                    answered.map_or(Ok(()), |survivors| self.stand_in(&survivors))?;
                }
            }
            7 => {
                let answer = MaskedAnswer::decode(bytes, &self.terms)?;
                let asked = self.lead.as_mut().ok_or(stranger)?.on_answer(now, from, &answer)?;
                self.ask(asked);
            }
            8 => {
                let asked = MaskedRequest::decode(bytes)?;
                let asset = self.asset.as_mut().filter(|_| from == self.coordinator).ok_or(stranger)?;
                if let Some(answer) = asset.on_request(&asked)? {
                    self.send(from, answer.encode());
                }
            }
            _ => return Err(stranger.into()),
        }
        Ok(())
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

    /// Delivers what this node says to itself, and closes windows that are due, until nothing is left to do.
    fn settle(&mut self, now: Instant) -> Result<(), SecureError> {
        loop {
            if let Some(bytes) = self.own.pop_front() {
                self.take(now, self.node, &bytes)?;
            } else if self.lead.as_ref().is_some_and(SecureCoordinator::is_due) {
                self.close(now)?;
            } else {
                return Ok(());
            }
        }
    }

    fn close(&mut self, now: Instant) -> Result<(), SecureError> {
        let Some(lead) = &mut self.lead else { return Ok(()) };
        let survivors = lead.close()?.encode();
        self.waits = Some((Asked::Once, now.saturating_add(self.patience)));
        self.tell_committee(&survivors, None);
        Ok(())
    }

    /// When [`Party::on_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lead = self.lead.as_ref()?;
        // While a set waits for the committee, a round's deadline decides nothing.
        self.waits.map(|(_, until)| until).or_else(|| lead.poll_timeout())
    }

    /// Goes on at a deadline of the committee or of the method.
    ///
    /// # Errors
    /// [`SecureError`] when a message of this node to itself is refused.
    pub fn on_timeout(&mut self, now: Instant) -> Result<(), SecureError> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        match self.waits {
            Some((asked, _)) => self.press(now, asked)?,
            None => self.on_deadline(now)?,
        }
        self.settle(now)
    }

    /// A round's deadline: those who are there are opened, if there are enough of them; then the method decides.
    fn on_deadline(&mut self, now: Instant) -> Result<(), SecureError> {
        let Some(lead) = &mut self.lead else { return Ok(()) };
        let enough = lead.aggregator().ready() >= self.terms.parts().k_min;
        if lead.coordinator().waits() && enough {
            return self.close(now);
        }
        let asked = lead.on_timeout(now);
        self.ask(asked);
        Ok(())
    }

    /// The committee is silent: ask again, recover a member, give the window up.
    fn press(&mut self, now: Instant, asked: Asked) -> Result<(), SecureError> {
        let Some(lead) = &mut self.lead else { return Ok(()) };
        let until = now.saturating_add(self.patience);
        let missing: Vec<NodeId> = lead.aggregator().missing().collect();
        let seats = self.terms.parts().committee.iter().map(|seat| seat.node);
        let deputy = seats.clone().find(|seat| !missing.contains(seat));
        match (asked, missing.first(), deputy) {
            (Asked::Once, ..) => {
                let survivors = lead.aggregator().published().map(Survivors::encode).unwrap_or_default();
                self.waits = Some((Asked::Again, until));
                missing.into_iter().for_each(|seat| self.send(seat, survivors.clone()));
            }
            (Asked::Again, Some(&lost), Some(deputy)) => match lead.recover(lost, deputy) {
                Ok(recover) => {
                    self.waits = Some((Asked::Deputy, until));
                    self.tell_committee(&recover.encode(), Some(lost));
                }
                Err(_) => self.give_up()?,
            },
            _ => self.give_up()?,
        }
        Ok(())
    }

    fn give_up(&mut self) -> Result<(), SecureError> {
        self.waits = None;
        let asked = self.lead.as_mut().map(SecureCoordinator::abandon).transpose()?;
        self.ask(asked.unwrap_or_default());
        Ok(())
    }

    fn everyone(&self) -> Vec<NodeId> {
        self.lead.as_ref().map(|lead| lead.coordinator().members().collect()).unwrap_or_default()
    }

    fn ask(&mut self, asked: Vec<NodeId>) {
        for node in asked {
            let request = self.lead.as_ref().and_then(|lead| lead.request(node));
            if let Some(request) = request {
                self.send(node, request.encode());
            }
        }
    }

    fn tell_committee(&mut self, bytes: &[u8], but: Option<NodeId>) {
        let terms = Arc::clone(&self.terms);
        for seat in terms.parts().committee.iter().filter(|seat| Some(seat.node) != but) {
            self.send(seat.node, bytes.to_vec());
        }
    }

    fn send(&mut self, to: NodeId, bytes: Vec<u8>) {
        if to == self.node { self.own.push_back(bytes) } else { self.out.push_back((to, bytes)) }
    }

    /// The next message to another node.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The asset here.
    #[must_use]
    pub const fn asset(&self) -> Option<&SecureAsset> {
        self.asset.as_ref()
    }

    /// The committee member here.
    #[must_use]
    pub const fn member(&self) -> Option<&CommitteeMember> {
        self.member.as_ref()
    }

    /// The coordinator here.
    #[must_use]
    pub const fn lead(&self) -> Option<&SecureCoordinator> {
        self.lead.as_ref()
    }
}

/// A message's number: the first item of its array.
fn number(bytes: &[u8]) -> Result<u64, PrivacyError> {
    let mut reader = Reader::new(bytes);
    reader.array()?;
    Ok(reader.uint()?)
}
