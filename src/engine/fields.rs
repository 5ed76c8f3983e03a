//! What a trace record says, field by field: the one list from which the canonical bytes and the trace file are written.

use super::{DropReason, LossReason, MessageKind, RecordKind};
use crate::units::{AssetIndex, SimTime};

/// The value of one field of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// An asset.
    Asset(AssetIndex),
    /// A span of simulated time.
    Span(SimTime),
    /// A count, an index or a number of bytes.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// A real number.
    Real(f64),
    /// Real numbers, in order.
    Reals(&'a [f64]),
    /// One of a fixed set of words.
    Word(&'static str),
    /// Any text.
    Text(&'a str),
    /// Pairs of whole numbers, in order.
    Pairs(&'a [(u64, u64)]),
    /// A digest.
    Digest(&'a [u8; 32]),
}

impl MessageKind {
    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry",
            Self::Command => "command",
            Self::Event => "event",
            Self::Sync => "sync",
            Self::Plan => "plan",
            Self::Acknowledgement => "acknowledgement",
            Self::Datagram => "datagram",
            Self::Trust => "trust",
            Self::Governance => "governance",
            Self::Membership => "membership",
            Self::GroupKey => "group_key",
        }
    }
}

impl LossReason {
    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BitErrors => "bit_errors",
            Self::Burst => "burst",
            Self::Random => "random",
            Self::Collision => "collision",
            Self::HalfDuplex => "half_duplex",
            Self::WindowClosed => "window_closed",
            Self::Fault => "fault",
        }
    }
}

impl DropReason {
    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::StoreFull => "store_full",
            Self::HopLimit => "hop_limit",
            Self::NoDestination => "no_destination",
            Self::Loop => "loop",
            Self::NoRoute => "no_route",
            Self::UnsupportedBlock => "unsupported_block",
            Self::Unintelligible => "unintelligible",
            Self::Incomplete => "incomplete",
        }
    }
}

impl RecordKind {
    /// The kind's number in the canonical bytes, and its name in the trace file. Numbers are never reused.
    #[must_use]
    pub const fn tag(&self) -> (u8, &'static str) {
        match self {
            Self::ContactOpened { .. } => (1, "contact_opened"),
            Self::ContactClosed { .. } => (2, "contact_closed"),
            Self::FrameSent { .. } => (3, "frame_sent"),
            Self::FrameReceived { .. } => (4, "frame_received"),
            Self::FrameLost { .. } => (5, "frame_lost"),
            Self::Submitted { .. } => (6, "submitted"),
            Self::Reworded { .. } => (62, "reworded"),
            Self::Delivered { .. } => (7, "delivered"),
            Self::Acknowledged { .. } => (8, "acknowledged"),
            Self::Abandoned { .. } => (9, "abandoned"),
            Self::Retransmitted { .. } => (10, "retransmitted"),
            Self::SubmissionRefused { .. } => (11, "submission_refused"),
            Self::BundleDropped { .. } => (12, "bundle_dropped"),
            Self::InputRefused { .. } => (13, "input_refused"),
            Self::AttackMade { .. } => (60, "attack_made"),
            Self::AttackAnswered { .. } => (61, "attack_answered"),
            Self::SyncWrite { .. } => (14, "sync_write"),
            Self::SyncVisible { .. } => (15, "sync_visible"),
            Self::ReplicaDigest { .. } => (16, "replica_digest"),
            Self::PlanLocal { .. } => (17, "plan_local"),
            Self::PlanRound { .. } => (18, "plan_round"),
            Self::Energy { .. } => (19, "energy"),
            Self::Fault { .. } => (20, "fault"),
            Self::SyncBytes { .. } => (21, "sync_bytes"),
            Self::PlanSolver { .. } => (22, "plan_solver"),
            Self::PlanTerm { .. } => (23, "plan_term"),
            Self::PlanCommitted { .. } => (24, "plan_committed"),
            Self::PlanEpoch { .. } => (50, "plan_epoch"),
            Self::PlanWindow { .. } => (51, "plan_window"),
            Self::PlanAudit { .. } => (54, "plan_audit"),
            Self::PlanLeg { .. } => (52, "plan_leg"),
            Self::PlanSpent { .. } => (53, "plan_spent"),
            Self::PlanHorizon { .. } => (30, "plan_horizon"),
            Self::PlanWhole { .. } => (31, "plan_whole"),
            Self::Governance { .. } => (60, "governance"),
            Self::Presence { .. } => (61, "presence"),
            Self::PlanMember { .. } => (32, "plan_member"),
            Self::PlanRequests { .. } => (33, "plan_requests"),
            Self::SyncContent { .. } => (40, "sync_content"),
            Self::SyncDropped { .. } => (41, "sync_dropped"),
            Self::SyncHeld { .. } => (42, "sync_held"),
        }
    }

    /// Calls `visit` with the name and value of each field, in a fixed order.
    #[inline]
    pub fn fields(&self, visit: &mut impl FnMut(&'static str, Field<'_>)) {
        match self {
            Self::ContactOpened { .. }
            | Self::ContactClosed { .. }
            | Self::FrameSent { .. }
            | Self::FrameReceived { .. }
            | Self::FrameLost { .. } => self.link_fields(visit),
            Self::Submitted { .. }
            | Self::Reworded { .. }
            | Self::Delivered { .. }
            | Self::Acknowledged { .. }
            | Self::Abandoned { .. }
            | Self::Retransmitted { .. }
            | Self::SubmissionRefused { .. } => self.message_fields(visit),
            Self::BundleDropped { reason, bytes } => {
                visit("reason", Field::Word(reason.word()));
                visit("bytes", Field::Count(u64::from(*bytes)));
            }
            Self::InputRefused { reason } => visit("reason", Field::Word(reason)),
            Self::AttackMade { attack, target } => {
                visit("attack", Field::Word(attack));
                visit("target", Field::Asset(*target));
            }
            Self::AttackAnswered { attack, by, answer, as_it_should } => {
                visit("attack", Field::Word(attack));
                visit("by", Field::Asset(*by));
                visit("answer", Field::Word(answer));
                visit("as_it_should", Field::Flag(*as_it_should));
            }
            Self::SyncWrite { .. }
            | Self::SyncContent { .. }
            | Self::SyncDropped { .. }
            | Self::SyncHeld { .. }
            | Self::SyncVisible { .. }
            | Self::ReplicaDigest { .. }
            | Self::SyncBytes { .. } => self.sync_fields(visit),
            Self::PlanLocal { round, values } => {
                visit("round", Field::Count(u64::from(*round)));
                visit("values", Field::Reals(values));
            }
            Self::PlanRound { round, primal_residual, dual_residual, contributions, prices } => {
                visit("round", Field::Count(u64::from(*round)));
                visit("primal_residual", Field::Real(*primal_residual));
                visit("dual_residual", Field::Real(*dual_residual));
                visit("contributions", Field::Count(u64::from(*contributions)));
                visit("prices", Field::Reals(prices));
            }
            Self::PlanSolver { solver, why } => {
                visit("solver", Field::Word(solver));
                visit("why", Field::Word(why));
            }
            Self::PlanTerm { term } => visit("term", Field::Count(u64::from(*term))),
            Self::PlanHorizon { horizon, done } => {
                visit("horizon", Field::Count(*horizon));
                visit("done", Field::Reals(done));
            }
            Self::PlanWhole { horizon } => visit("horizon", Field::Count(*horizon)),
            Self::Governance { slot, step, about, what, record } => {
                visit("slot", Field::Count(*slot));
                visit("step", Field::Word(step));
                if let Some(about) = about {
                    visit("about", Field::Asset(*about));
                }
                visit("what", Field::Word(what));
                visit("record", Field::Count(u64::from_be_bytes(*record)));
            }
            Self::Presence { about, presence } => {
                visit("about", Field::Asset(*about));
                visit("presence", Field::Word(presence));
            }
            Self::PlanMember { horizon, round, member, present, why } => {
                visit("horizon", Field::Count(*horizon));
                visit("round", Field::Count(u64::from(*round)));
                visit("member", Field::Asset(*member));
                visit("present", Field::Flag(*present));
                visit("why", Field::Word(why));
            }
            Self::PlanRequests { horizon, bids, granted, declined, withdrawn } => {
                visit("horizon", Field::Count(*horizon));
                for (name, count) in
                    [("bids", bids), ("granted", granted), ("declined", declined), ("withdrawn", withdrawn)]
                {
                    visit(name, Field::Count(u64::from(*count)));
                }
            }
            Self::PlanCommitted { horizon, term, round, outcome, digest } => {
                visit("horizon", Field::Count(*horizon));
                visit("term", Field::Count(u64::from(*term)));
                visit("round", Field::Count(u64::from(*round)));
                visit("outcome", Field::Word(outcome));
                visit("digest", Field::Digest(digest));
            }
            Self::PlanEpoch { .. }
            | Self::PlanWindow { .. }
            | Self::PlanAudit { .. }
            | Self::PlanLeg { .. }
            | Self::PlanSpent { .. } => self.privacy_fields(visit),
            Self::Energy { state_of_charge, radio_joules } => {
                visit("state_of_charge", Field::Real(*state_of_charge));
                visit("radio_joules", Field::Real(*radio_joules));
            }
            Self::Fault { fault, begins } => {
                visit("fault", Field::Count(u64::from(*fault)));
                visit("begins", Field::Flag(*begins));
            }
        }
    }

    fn privacy_fields(&self, visit: &mut impl FnMut(&'static str, Field<'_>)) {
        match self {
            Self::PlanEpoch { epoch, seats, k_min, entries, bits } => {
                visit("epoch", Field::Count(*epoch));
                visit("seats", Field::Count(u64::from(*seats)));
                visit("k_min", Field::Count(u64::from(*k_min)));
                visit("entries", Field::Count(u64::from(*entries)));
                visit("bits", Field::Count(u64::from(*bits)));
            }
            Self::PlanWindow { event, answers } => {
                visit("event", Field::Word(event));
                visit("answers", Field::Count(u64::from(*answers)));
            }
            Self::PlanAudit { seat, differs } => {
                visit("seat", Field::Asset(*seat));
                visit("differs", Field::Flag(*differs));
            }
            Self::PlanLeg { leg, destination, bytes } => {
                visit("leg", Field::Word(leg));
                visit("destination", Field::Asset(*destination));
                visit("bytes", Field::Count(u64::from(*bytes)));
            }
            Self::PlanSpent { rho, epsilon, delta, releases, exhausted } => {
                visit("rho", Field::Real(*rho));
                visit("epsilon", Field::Real(*epsilon));
                visit("delta", Field::Real(*delta));
                visit("releases", Field::Count(*releases));
                visit("exhausted", Field::Flag(*exhausted));
            }
            _ => unreachable!("not a record of privacy"),
        }
    }

    fn link_fields(&self, visit: &mut impl FnMut(&'static str, Field<'_>)) {
        match self {
            Self::ContactOpened { peer, contact } => {
                visit("peer", Field::Asset(*peer));
                visit("contact", Field::Count(u64::from(*contact)));
            }
            Self::ContactClosed { peer, contact, busy } => {
                visit("peer", Field::Asset(*peer));
                visit("contact", Field::Count(u64::from(*contact)));
                visit("busy_ns", Field::Span(*busy));
            }
            Self::FrameSent { peer, bytes, airtime } => {
                visit("peer", Field::Asset(*peer));
                visit("bytes", Field::Count(u64::from(*bytes)));
                visit("airtime_ns", Field::Span(*airtime));
            }
            Self::FrameReceived { peer, bytes } => {
                visit("peer", Field::Asset(*peer));
                visit("bytes", Field::Count(u64::from(*bytes)));
            }
            Self::FrameLost { peer, bytes, reason } => {
                visit("peer", Field::Asset(*peer));
                visit("bytes", Field::Count(u64::from(*bytes)));
                visit("reason", Field::Word(reason.word()));
            }
            _ => unreachable!("not a record of a link"),
        }
    }

    fn message_fields(&self, visit: &mut impl FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Submitted { sequence, destination, kind, bytes }
            | Self::Reworded { sequence, destination, kind, bytes } => {
                visit("destination", Field::Asset(*destination));
                visit("stream", Field::Word(kind.word()));
                visit("sequence", Field::Count(*sequence));
                visit("bytes", Field::Count(u64::from(*bytes)));
            }
            Self::Delivered { source, sequence, kind, bytes, latency } => {
                visit("source", Field::Asset(*source));
                visit("stream", Field::Word(kind.word()));
                visit("sequence", Field::Count(*sequence));
                visit("bytes", Field::Count(u64::from(*bytes)));
                visit("latency_ns", Field::Span(*latency));
            }
            Self::Acknowledged { destination, sequence, kind }
            | Self::Abandoned { destination, sequence, kind }
            | Self::Retransmitted { destination, sequence, kind } => {
                visit("destination", Field::Asset(*destination));
                visit("stream", Field::Word(kind.word()));
                visit("sequence", Field::Count(*sequence));
            }
            Self::SubmissionRefused { destination, kind, reason } => {
                visit("destination", Field::Asset(*destination));
                visit("stream", Field::Word(kind.word()));
                visit("reason", Field::Word(reason));
            }
            _ => unreachable!("not a record of a message"),
        }
    }

    fn sync_fields(&self, visit: &mut impl FnMut(&'static str, Field<'_>)) {
        match self {
            Self::SyncWrite { sequence } => visit("sequence", Field::Count(*sequence)),
            Self::SyncContent { sequence, item, role, clock_ms, clock_counter, value, replaces } => {
                visit("sequence", Field::Count(*sequence));
                visit("item", Field::Text(item));
                visit("role", Field::Count(u64::from(*role)));
                visit("clock_ms", Field::Count(*clock_ms));
                visit("clock_counter", Field::Count(u64::from(*clock_counter)));
                visit("removed", Field::Flag(value.is_none()));
                visit("value", Field::Text(value.as_deref().unwrap_or_default()));
                let pairs: Vec<(u64, u64)> =
                    replaces.iter().map(|(asset, sequence)| (u64::from(asset.0), *sequence)).collect();
                visit("replaces", Field::Pairs(&pairs));
            }
            Self::SyncDropped { sequence, spans } => {
                visit("sequence", Field::Count(*sequence));
                visit("spans", Field::Pairs(spans));
            }
            Self::SyncHeld { item, actor, sequence, others } => {
                visit("item", Field::Text(item));
                visit("actor", Field::Asset(*actor));
                visit("sequence", Field::Count(*sequence));
                visit("others", Field::Count(u64::from(*others)));
            }
            Self::SyncVisible { actor, sequence, latency } => {
                visit("actor", Field::Asset(*actor));
                visit("sequence", Field::Count(*sequence));
                visit("latency_ns", Field::Span(*latency));
            }
            Self::ReplicaDigest { digest } => visit("digest", Field::Digest(digest)),
            Self::SyncBytes { bytes } => visit("bytes", Field::Count(*bytes)),
            _ => unreachable!("not a record of replicated state"),
        }
    }
}
