//! What the node says: batches for the disk, reports for counters and for those who wait.

use super::{Answer, Engine, Unanswered};
use crate::mailbox::Event;
use cosmosmesh_protocol::{
    convergence::tcpcl::TransferRefusal,
    envelope::Purpose,
    node::{Batch, Change, DropReason, LinkId, Output, Report},
};
use std::time::Duration;

/// Acknowledgements whose latency is measured at a time.
const MAX_MEASURED: usize = 1 << 16;

/// The stable word of a purpose.
pub(crate) const fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Telemetry => "telemetry",
        Purpose::Command => "command",
        Purpose::Event => "event",
        Purpose::Sync => "sync",
        Purpose::Plan => "plan",
        Purpose::Acknowledgement => "acknowledgement",
        Purpose::Trust => "trust",
        Purpose::Governance => "governance",
        Purpose::Membership => "membership",
        Purpose::GroupKey => "group-key",
    }
}

const fn drop_word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Expired => "expired",
        DropReason::StoreFull => "store_full",
        DropReason::HopLimit => "hop_limit",
        DropReason::NoDestination => "no_destination",
        DropReason::Loop => "loop",
        DropReason::NoRoute => "no_route",
        DropReason::UnsupportedBlock => "unsupported_block",
        DropReason::Unintelligible => "unintelligible",
        DropReason::Incomplete => "incomplete",
    }
}

/// Bytes of what a batch delivers, as the inbox holds it, about.
pub(super) fn delivered_bytes(batch: &Batch) -> usize {
    let messages = batch.deliveries.iter().map(|delivery| 30 + delivery.payload.len());
    messages.chain(batch.bundles.iter().map(|bundle| 100 + bundle.payload.len())).sum()
}

/// About how much memory a batch takes, in bytes.
fn batch_bytes(batch: &Batch) -> usize {
    let change = |change: &Change| match change {
        Change::Put { key, value } => key.len() + value.len(),
        Change::Delete { key } => key.len(),
    };
    size_of::<Batch>() + batch.changes.iter().map(change).sum::<usize>() + delivered_bytes(batch)
}

impl Engine {
    pub(super) fn drain_node(&mut self) {
        while let Some(output) = self.parts.node.poll_output() {
            match output {
                Output::Persist(batch) => {
                    self.unwritten_bytes += batch_bytes(&batch);
                    self.unwritten.push(batch);
                }
                Output::Report(report) => self.on_report(report),
            }
        }
    }

    /// A batch is durable: what it brings is true from now on.
    pub(super) fn on_batch(&mut self, batch: Batch) {
        for report in batch.reports {
            self.on_report(report);
        }
        for delivery in &batch.deliveries {
            self.counts.message("delivered", purpose_word(delivery.purpose));
            if let Some(now) = self.parts.clock.civil_now().filter(|_| delivery.created.0 > 0) {
                // Of clocks that differ by more than the way took, nothing can be said.
                let millis = now.0.saturating_sub(delivery.created.0);
                self.counts.delivery.record(Duration::from_millis(millis));
            }
        }
        for _ in &batch.bundles {
            self.counts.message("delivered", "bundle");
        }
    }

    fn on_report(&mut self, report: Report) {
        self.plan.note(&report);
        match report {
            Report::Accepted { destination, purpose, sequence, .. } => {
                self.counts.message("accepted", purpose_word(purpose));
                if self.accepted_at.len() < MAX_MEASURED {
                    let now = self.now();
                    self.accepted_at.insert((destination.0, purpose.number(), sequence), now);
                }
                self.requests.message_accepted(destination, purpose, sequence);
            }
            Report::BundleAccepted { id, .. } => {
                self.counts.message("accepted", "bundle");
                self.requests.bundle_accepted(&id);
            }
            Report::Acknowledged { destination, purpose, sequence } => {
                self.counts.message("acknowledged", purpose_word(purpose));
                let accepted = self.accepted_at.remove(&(destination.0, purpose.number(), sequence));
                if let Some(accepted) = accepted {
                    self.counts.acknowledgement.record(self.now().saturating_since(accepted));
                }
            }
            Report::Abandoned { destination, purpose, sequence } => {
                self.counts.message("abandoned", purpose_word(purpose));
                self.accepted_at.remove(&(destination.0, purpose.number(), sequence));
                tracing::warn!(%destination, purpose = purpose_word(purpose), sequence, "a message was given up");
            }
            Report::Retransmitted { purpose, .. } => {
                self.counts.message("retransmitted", purpose_word(purpose));
            }
            Report::Consumed { purpose, .. } => self.counts.message("consumed", purpose_word(purpose)),
            Report::BundleDropped { reason, .. } => {
                *self.counts.dropped.entry(drop_word(reason)).or_default() += 1;
            }
            Report::ModuleRefused { reason } => self.counts.refuse("module", reason),
            Report::FrameTaken { link } => self.answer(link, true),
            Report::FrameRefused { link } => self.answer(link, false),
            Report::Status { from, report } => tracing::info!(%from, ?report, "a status report"),
            Report::CustodyReleased { .. } => self.counts.message("custody_released", "bundle"),
            Report::CustodyRefused { .. } => self.counts.message("custody_refused", "bundle"),
            Report::CustodyRepeated { .. } => self.counts.message("custody_repeated", "bundle"),
            Report::Reworded { purpose, .. } => self.counts.message("reworded", purpose_word(purpose)),
            Report::Skipped { .. } => self.counts.message("skipped", "stream"),
            Report::Governance { slot, step, what, .. } => {
                tracing::info!(slot, step = step.word(), what, "a step of the fleet's decisions");
            }
            Report::Presence { node, presence, .. } => {
                tracing::info!(%node, presence = presence.word(), "what is believed of a neighbour");
            }
            Report::Visible { dot } => self.on_visible(dot),
            // Streams that were full have room: who was refused tries again by itself. The plan is looked at.
            Report::Writable { .. }
            | Report::PlanEpoch { .. }
            | Report::PlanLeg { .. }
            | Report::PlanLocal { .. }
            | Report::PlanMember { .. }
            | Report::PlanRequests { .. }
            | Report::PlanRound(_)
            | Report::PlanSolver { .. }
            | Report::PlanSpent { .. }
            | Report::PlanTerm { .. }
            | Report::PlanVersion(_)
            | Report::PlanWindow(_)
            | Report::PlanCommitted { .. } => {}
        }
    }

    /// Tells the peer what became of the oldest frame of a link.
    fn answer(&mut self, link: LinkId, taken: bool) {
        let now = self.now();
        let answered = self.answers.get_mut(&link).and_then(Unanswered::pop);
        self.unanswered_bytes -= answered.as_ref().map_or(0, |(_, bytes)| *bytes);
        match answered.map(|(answer, _)| answer) {
            Some(Answer::Session(connection, transfer)) => {
                // A session that ended meanwhile has told the peer that it may not have come.
                if let Some(session) = self.connections.get_mut(&connection).and_then(|c| c.session()) {
                    if taken {
                        session.accept(now, transfer);
                    } else {
                        session.refuse(now, transfer, TransferRefusal::NO_RESOURCES);
                    }
                }
            }
            Some(Answer::Process(neighbour, transfer)) => {
                neighbour.post_urgent(Event::Answered { from: self.parts.config.node.0, transfer, taken });
            }
            Some(Answer::Nobody) | None => {}
        }
        if !taken {
            self.counts.refuse("node", "no_room_for_bundle");
        }
    }
}
