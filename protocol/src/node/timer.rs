//! All the node's deadlines.

use super::{LinkId, StreamKey};
use crate::{id::NodeId, time::Instant};
use alloc::collections::{BTreeMap, BTreeSet};

/// What the node waits for. Timers that are due at one instant fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// When a bundle's lifetime ends in the store.
    StoreExpiry,
    /// When bundles that wait for a neighbour should have left.
    Reroute(NodeId),
    /// When bundles that found no room on any contact are routed again.
    Limbo,
    /// When a neighbour's summary was waited for long enough, or a bundle is to be broadcast.
    Spread,
    /// When a message in flight should have been acknowledged.
    Retransmit(StreamKey, u64),
    /// When gathered acknowledgements, or a forward, are due to a peer.
    Acknowledge(NodeId),
    /// When new writes to shared state go to the other members.
    Push,
    /// When a member compares its replica with the next one's.
    AntiEntropy,
    /// When a member tells the next one what it knows of identities and logs.
    Trust,
    /// When a member tells the next one what it knows of the fleet's decisions.
    Governance,
    /// When a voter has waited long enough for others.
    Patience,
    /// When something of the membership is due: a probe, a suspicion, an advert.
    Membership,
    /// When a message has waited long enough for a group's key, or one is asked for.
    Sealing,
    /// When a round of planning has waited long enough.
    PlanRound,
    /// When the plan's coordinator has been silent for too long.
    PlanSuccession,
    /// When a member that nobody asks says that it is there.
    PlanJoin,
    /// When the name of a delivered bundle may be forgotten.
    ForgetDelivered,
    /// When the fragments of a bundle have waited long enough for the others.
    Reassembly,
    /// When status reports are to be sent.
    StatusReports,
    /// When a custodian should have answered for a bundle.
    Custody(u64),
    /// When answers to custodians are due.
    CustodySignals,
    /// When the name of a bundle whose custody was taken may be forgotten.
    ForgetCustody,
    /// When the convergence layer of a link should have had an answer, or what waits for one is sent another way.
    Convergence(LinkId),
    /// When bundles that failed on a link that is up are tried again.
    Retry(LinkId),
}

/// A set of armed timers: at most one deadline for each.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    armed: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets the deadline of `timer`, whatever it was.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if let Some(previous) = self.armed.insert(timer, at) {
            self.order.remove(&(previous, timer));
        }
        self.order.insert((at, timer));
    }

    /// Sets the deadline of `timer` unless it has an earlier one.
    pub(crate) fn arm_by(&mut self, timer: Timer, at: Instant) {
        if self.armed.get(&timer).is_none_or(|armed| *armed > at) {
            self.arm(timer, at);
        }
    }

    /// Whether `timer` has a deadline.
    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.armed.contains_key(&timer)
    }

    /// Forgets `timer`.
    pub(crate) fn disarm(&mut self, timer: Timer) {
        if let Some(at) = self.armed.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }
}
