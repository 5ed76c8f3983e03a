//! From the node's words to the trace's.

use super::Fleet;
use crate::{
    engine::{DropReason, MessageKind, RecordKind},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    envelope::Purpose,
    node::{self, Delivery, Report},
    planning::secure::Window,
    sync::Dot,
};

/// The stream that a purpose is for.
pub(super) const fn kind(purpose: Purpose) -> MessageKind {
    match purpose {
        Purpose::Telemetry => MessageKind::Telemetry,
        Purpose::Command => MessageKind::Command,
        Purpose::Event => MessageKind::Event,
        Purpose::Sync => MessageKind::Sync,
        Purpose::Plan => MessageKind::Plan,
        Purpose::Acknowledgement => MessageKind::Acknowledgement,
        Purpose::Trust => MessageKind::Trust,
        Purpose::Governance => MessageKind::Governance,
        Purpose::Membership => MessageKind::Membership,
        Purpose::GroupKey => MessageKind::GroupKey,
    }
}

/// A delivery to the application. Its latency is filled in where submissions are known: by the simulation's ledger.
pub(super) fn delivery(fleet: &Fleet, delivery: &Delivery) -> RecordKind {
    RecordKind::Delivered {
        source: fleet.asset(delivery.source),
        sequence: numbered(fleet, (fleet.asset(delivery.source), delivery.epoch), delivery.sequence),
        kind: kind(delivery.purpose),
        bytes: delivery.payload.len() as u32,
        latency: SimTime::ZERO,
    }
}

/// A report of an asset in its incarnation; those that say nothing new to a trace are dropped.
pub(super) fn report(
    fleet: &Fleet,
    (asset, incarnation): (AssetIndex, u32),
    report: Report,
) -> Option<RecordKind> {
    let at = |node| fleet.asset(node);
    let own = |sequence| numbered(fleet, (asset, incarnation), sequence);
    Some(match report {
        Report::Accepted { destination, purpose, sequence, bytes } => RecordKind::Submitted {
            sequence: own(sequence),
            destination: at(destination),
            kind: kind(purpose),
            bytes: bytes as u32,
        },
        Report::Reworded { destination, purpose, sequence, bytes } => RecordKind::Reworded {
            sequence: own(sequence),
            destination: at(destination),
            kind: kind(purpose),
            bytes: bytes as u32,
        },
        Report::Consumed { source, purpose, epoch, sequence, bytes, .. } => RecordKind::Delivered {
            source: at(source),
            sequence: numbered(fleet, (at(source), epoch), sequence),
            kind: kind(purpose),
            bytes: bytes as u32,
            latency: SimTime::ZERO,
        },
        Report::Acknowledged { destination, purpose, sequence } => {
            let (destination, sequence) = (at(destination), own(sequence));
            RecordKind::Acknowledged { destination, sequence, kind: kind(purpose) }
        }
        Report::Retransmitted { destination, purpose, sequence } => {
            let (destination, sequence) = (at(destination), own(sequence));
            RecordKind::Retransmitted { destination, sequence, kind: kind(purpose) }
        }
        Report::Abandoned { destination, purpose, sequence } => {
            let (destination, sequence) = (at(destination), own(sequence));
            RecordKind::Abandoned { destination, sequence, kind: kind(purpose) }
        }
        Report::Skipped { .. }
        | Report::Writable { .. }
        | Report::FrameTaken { .. }
        | Report::FrameRefused { .. }
        | Report::BundleAccepted { .. }
        | Report::Status { .. }
        | Report::CustodyReleased { .. }
        | Report::CustodyRefused { .. }
        | Report::CustodyRepeated { .. }
        // Its members tell of it too.
        | Report::PlanVersion(_) => return None,
        Report::BundleDropped { reason, bytes } => {
            RecordKind::BundleDropped { reason: drop_reason(reason), bytes }
        }
        Report::ModuleRefused { reason } => RecordKind::InputRefused { reason },
        Report::Visible { dot } if at(dot.actor.node) == asset => {
            RecordKind::SyncWrite { sequence: number(dot) }
        }
        Report::Visible { dot } => RecordKind::SyncVisible {
            actor: at(dot.actor.node),
            sequence: number(dot),
            latency: SimTime::ZERO,
        },
        Report::Governance { slot, step, about, what, record } => {
            RecordKind::Governance { slot, step: step.word(), about: about.map(at), what, record: record.0 }
        }
        Report::Presence { node, presence } => {
            RecordKind::Presence { about: at(node), presence: presence.word() }
        }
        Report::PlanLocal { round, values, .. } => RecordKind::PlanLocal { round, values },
        Report::PlanRound(report) => RecordKind::PlanRound {
            round: report.round,
            primal_residual: report.primal_residual,
            dual_residual: report.dual_residual,
            contributions: report.contributions as u32,
            prices: report.prices,
        },
        Report::PlanSolver { solver, why } => RecordKind::PlanSolver { solver, why },
        Report::PlanTerm { term, .. } => RecordKind::PlanTerm { term },
        Report::PlanEpoch { epoch, seats, k_min, entries, bits } => RecordKind::PlanEpoch {
            epoch,
            seats: seats as u32,
            k_min: k_min as u32,
            entries: entries as u32,
            bits: bits.into(),
        },
        Report::PlanWindow(window) => {
            let (event, answers) = match window {
                Window::Published { survivors } => ("published", survivors),
                Window::Opened { survivors } => ("opened", survivors),
                Window::Unopened { reason } => (reason, 0),
                Window::Recovered { .. } => ("recovered", 0),
                Window::Audited { seat, differs, .. } => {
                    return Some(RecordKind::PlanAudit { seat: at(seat), differs });
                }
            };
            RecordKind::PlanWindow { event, answers: answers as u32 }
        }
        Report::PlanLeg { leg, destination, bytes } => {
            RecordKind::PlanLeg { leg, destination: at(destination), bytes: bytes as u32 }
        }
        Report::PlanSpent { rho, epsilon, delta, releases, exhausted } => {
            RecordKind::PlanSpent { rho, epsilon, delta, releases, exhausted }
        }
        Report::PlanCommitted { horizon, term, round, outcome, digest } => {
            RecordKind::PlanCommitted { horizon, term, round, outcome: outcome.word(), digest }
        }
        Report::PlanMember { horizon, round, member, present, why } => {
            RecordKind::PlanMember { horizon, round, member: at(member), present, why }
        }
        Report::PlanRequests { horizon, bids, granted, declined, withdrawn } => RecordKind::PlanRequests {
            horizon,
            bids: bids as u32,
            granted: granted as u32,
            declined: declined as u32,
            withdrawn: withdrawn as u32,
        },
    })
}

/// A message's number among all that its sender ever sends in a stream, in whose incarnation it began: with a lost disk numbers begin anew, so the sender's
/// life stands above the lower 48 bits, which no stream's numbers reach.
fn numbered(fleet: &Fleet, (source, incarnation): (AssetIndex, u32), sequence: u64) -> u64 {
    sequence.wrapping_add(u64::from(fleet.lives().of_incarnation(source, incarnation)) << 48)
}

/// A write's number among all that its member ever makes: the life above the lower 48 bits, which a replica's limits allow.
pub(super) const fn number(dot: Dot) -> u64 {
    dot.sequence + ((dot.actor.life as u64) << 48)
}

const fn drop_reason(reason: node::DropReason) -> DropReason {
    match reason {
        node::DropReason::Expired => DropReason::Expired,
        node::DropReason::StoreFull => DropReason::StoreFull,
        node::DropReason::HopLimit => DropReason::HopLimit,
        node::DropReason::NoDestination => DropReason::NoDestination,
        node::DropReason::Loop => DropReason::Loop,
        node::DropReason::NoRoute => DropReason::NoRoute,
        node::DropReason::UnsupportedBlock => DropReason::UnsupportedBlock,
        node::DropReason::Unintelligible => DropReason::Unintelligible,
        node::DropReason::Incomplete => DropReason::Incomplete,
    }
}
