//! Under which key a voter votes: how its rotations lead to the key that signs, and how its seat is moved when they lead too far, or a key was taken
//! back.

use crate::{
    access::Action,
    governance::Content,
    id::NodeId,
    identity::{Cause, KeyId, MAX_CHAIN},
    node::{Node, Report},
};

impl Node {
    /// This node's key has a successor: its ballots show it from now on.
    pub(in crate::node) fn note_rotation(&mut self, statement: &[u8]) {
        let Some(governing) = self.governing.as_mut() else { return };
        governing.links.push(statement.to_vec());
        if governing.links.len() > MAX_CHAIN {
            governing.links.remove(0);
        }
        governing.unsaved = true;
    }

    /// Tells when this voter's key is too many successions away from its seat: it has to be seated anew.
    pub(in crate::node) fn check_seat(&mut self) {
        let own = self.config.id;
        let Some(governing) = &self.governing else { return };
        let ledger = &governing.ledger;
        let seated = ledger.electorate().key(own).is_some();
        if seated && !ledger.may_vote(own, &self.keys, &governing.links) {
            self.report(Report::ModuleRefused { reason: "governance_seat" });
        }
    }

    /// This node's key is one that the authority certified in place of another: nothing leads to it from the keys before.
    pub(in crate::node) fn forget_rotations(&mut self) {
        if let Some(governing) = self.governing.as_mut() {
            governing.links.clear();
            governing.unsaved = true;
        }
    }

    /// Who holds the authority's key proposes what its own statements ask of the electorate: a voter whose seat's key was taken back, or is half
    /// as many successions away as may be, is seated under the key in force; one that has none loses its seat, and gets it back when it is certified
    /// under another. Once for each such change: the fleet may not want it.
    pub(super) fn mind_seats(&mut self) {
        let own = self.config.id;
        let issues = self.trusting.as_ref().is_some_and(|trusting| trusting.config.issuer.is_some());
        let Some(governing) = self.governing.as_ref().filter(|_| issues) else { return };
        let may = governing.ledger.electorate().key(own).is_some()
            && governing.wanted.is_empty()
            && governing.ledger.proposals().is_empty()
            && self.decide(own, Action::ChangePolicy, None).is_some_and(|it| it.is_ok_and(|it| it.allowed));
        if !may {
            return;
        }
        let unknown = |change: &Content| governing.opinion(&change.digest()).is_none();
        let seats = governing.ledger.electorate().voters();
        let changes = seats.map(|(node, seat)| self.change_of_seat(node, KeyId::of(seat)));
        let lost = governing.lost_with_key.iter();
        let back = lost.map(|node| self.seat_to_give_back(*node));
        let change = changes.chain(back).flatten().find(unknown);
        if let Some(change) = change
            && self.propose(change).is_err()
        {
            self.report(Report::ModuleRefused { reason: "governance_seat" });
        }
    }

    /// What should become of a voter's seat; nothing, if its key serves.
    fn change_of_seat(&self, node: NodeId, seat: KeyId) -> Option<Content> {
        let (governing, keyring) = (self.governing.as_ref()?, self.keyring()?);
        let key = keyring.key(node)?;
        let (line, links) = (keyring.line(node), keyring.line(node).position(|id| id == seat));
        let mut taken_back = line.take(links.unwrap_or(0) + 1).chain([seat]);
        let for_cause = |id: KeyId| keyring.revoked(node, id).is_some_and(|it| it.cause != Cause::Superseded);
        if keyring.blocked(node).is_some() {
            return Some(Content::Unseat { node });
        }
        let far = links.is_none_or(|links| 2 * links > governing.ledger.electorate().max_links());
        let serves = KeyId::of(key) == seat || !(far || taken_back.any(for_cause));
        (!serves).then(|| Content::Seat { node, key: key.clone() })
    }

    /// The seat of a member that lost it with its key, and has one again that the authority has certified. Whom the fleet has unseated for another reason
    /// it seats again by itself alone.
    fn seat_to_give_back(&self, node: NodeId) -> Option<Content> {
        let keyring = self.keyring()?;
        let key = keyring.key(node)?;
        keyring.speaker(node, self.trust_clock()).ok()?;
        Some(Content::Seat { node, key: key.clone() })
    }

    /// A decision changes who has a seat. That one was lost with its key counts as it was when this node's own proposal was decided upon: a key that is taken
    /// back later is no reason to give a seat back that the fleet has taken of its own will, as it does when it blocks a member.
    pub(super) fn note_seat(&mut self, proposer: NodeId, content: &Content) {
        let (node, unseated) = match content {
            Content::Unseat { node } => (*node, proposer == self.config.id),
            Content::Seat { node, .. } | Content::Block { node, .. } => (*node, false),
            Content::Policy(_) | Content::Authority { .. } | Content::Schema(_) => return,
        };
        let lost = unseated && self.keyring().is_some_and(|keyring| keyring.blocked(node).is_some());
        let Some(governing) = self.governing.as_mut() else { return };
        governing.unsaved |= match lost {
            true => governing.lost_with_key.insert(node),
            false => governing.lost_with_key.remove(&node),
        };
    }
}
