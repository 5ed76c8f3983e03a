//! The administrative element (RFC 9171 §6): status reports about other nodes' bundles, and records that come for this node.

use super::{
    Followup, InputError, Node, Report, Timer,
    bundle_service::Whose,
    forward::{ADMINISTRATIVE, Origin},
    ingress::{Arrival, Fate},
    output::DropReason,
};
use crate::{
    bundle::{AdministrativeRecord, Bundle, BundleFlags, ReportReason, Status, StatusReport},
    dtn::store::{Priority, StoreKey},
    id::EndpointId,
    time::{DtnTime, Instant},
};
use alloc::collections::VecDeque;
use core::time::Duration;

/// Status reports made on request. RFC 9171 §5.1: off unless the risk of much traffic is acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusReportSettings {
    /// At most one report in this time, in the long run.
    pub interval: Duration,
    /// Most reports at once, and most that wait to be sent.
    pub burst: u32,
    /// Lifetime of a report.
    pub lifetime: Duration,
}

impl Default for StatusReportSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), burst: 32, lifetime: Duration::from_secs(86_400) }
    }
}

/// What waits to be reported, and how much more may be: a token bucket.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    spent: u32,
    refilled: Instant,
    due: VecDeque<(EndpointId, StatusReport)>,
}

impl Reporting {
    fn take_token(&mut self, settings: &StatusReportSettings, now: Instant) -> bool {
        let interval = settings.interval.max(Duration::from_nanos(1));
        let passed = now.saturating_since(self.refilled).as_nanos() / interval.as_nanos();
        if passed > 0 {
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.spent = self.spent.saturating_sub(passed);
            self.refilled = if self.spent == 0 {
                now
            } else {
                self.refilled.saturating_add(interval.saturating_mul(passed))
            };
        }
        let free = self.spent < settings.burst && self.due.len() < settings.burst as usize;
        self.spent += u32::from(free);
        free
    }
}

impl DropReason {
    /// The reason in a deletion report (RFC 9171 §9.5).
    pub(super) const fn status(self) -> ReportReason {
        match self {
            Self::Expired => ReportReason::LIFETIME_EXPIRED,
            Self::Incomplete => ReportReason::NONE,
            Self::StoreFull => ReportReason::DEPLETED_STORAGE,
            Self::HopLimit => ReportReason::HOP_LIMIT_EXCEEDED,
            Self::NoDestination => ReportReason::UNAVAILABLE_DESTINATION,
            Self::NoRoute => ReportReason::NO_ROUTE,
            Self::UnsupportedBlock => ReportReason::UNSUPPORTED_BLOCK,
            Self::Unintelligible => ReportReason::UNINTELLIGIBLE_BLOCK,
            Self::Loop => ReportReason::NONE,
        }
    }
}

impl Node {
    /// Reports that `status` came over `bundle`, if the bundle asks for it.
    pub(super) fn report_status(&mut self, bundle: &Bundle, status: Status, reason: ReportReason) {
        let asked = match status {
            Status::Received => BundleFlags::REPORT_RECEPTION,
            Status::Forwarded => BundleFlags::REPORT_FORWARDING,
            Status::Delivered => BundleFlags::REPORT_DELIVERY,
            Status::Deleted => BundleFlags::REPORT_DELETION,
        };
        if bundle.primary().flags.contains(asked) {
            self.make_report(bundle, status, reason);
        }
    }

    /// Makes a report that the bundle, or one of its blocks, asks for.
    pub(super) fn make_report(&mut self, bundle: &Bundle, status: Status, reason: ReportReason) {
        let Some(settings) = self.config.bundles.status_reports else { return };
        let primary = bundle.primary();
        // RFC 9171 §4.2.3: no reports about records, or the network would report on itself; an anonymous bundle has no name.
        let silent = primary.flags.contains(BundleFlags::ADMINISTRATIVE_RECORD)
            || primary.source == EndpointId::Null
            || primary.report_to == EndpointId::Null;
        if silent {
            return;
        }
        if self.node_of(&primary.report_to).is_none() {
            return self.count("status_report_unroutable");
        }
        if !self.reporting.take_token(&settings, self.now) {
            return self.count("status_report_rate");
        }
        let now = self.civil_now();
        let timed = primary.flags.contains(BundleFlags::STATUS_TIME_REQUESTED) && now != DtnTime::UNKNOWN;
        let length = bundle.payload().len() as u64;
        let report = StatusReport::new(bundle.id(), length, status, timed.then_some(now), reason);
        let report_to = primary.report_to.clone();
        if status == Status::Delivered {
            self.after_durable(Followup::StatusReport(report_to, report));
        } else {
            self.queue_report(report_to, report);
        }
    }

    pub(super) fn queue_report(&mut self, report_to: EndpointId, report: StatusReport) {
        self.reporting.due.push_back((report_to, report));
        // Not at once: some of these moments lie within another bundle's way through the store, or in no input at all.
        self.timers.arm_by(Timer::StatusReports, self.now);
    }

    /// Sends the reports that wait.
    pub(super) fn on_status_reports_due(&mut self) {
        let Some(settings) = self.config.bundles.status_reports else { return };
        while let Some((report_to, report)) = self.reporting.due.pop_front() {
            if self.whose(&report_to) == Whose::Ours {
                let from = self.config.id.endpoint(ADMINISTRATIVE);
                self.report(Report::Status { from, report });
                continue;
            }
            let record = AdministrativeRecord::StatusReport(report);
            self.send_record(report_to, &record, Priority::Normal, settings.lifetime, Origin::Prompted);
        }
    }

    /// Puts a record for another node's administrative element into the store. `None`: no room, or no such node.
    pub(super) fn send_record(
        &mut self,
        destination: EndpointId,
        record: &AdministrativeRecord,
        priority: Priority,
        lifetime: Duration,
        origin: Origin<'_>,
    ) -> Option<StoreKey> {
        let source = self.config.id.endpoint(ADMINISTRATIVE);
        let flags = BundleFlags::ADMINISTRATIVE_RECORD;
        let mut bundle =
            self.fresh_bundle(source, destination, EndpointId::Null, flags, lifetime, record.encode());
        self.sign_plain(&mut bundle);
        self.store_bundle(bundle, priority, lifetime, origin)
    }

    /// The last frame of a bundle has left.
    pub(super) fn on_forwarded(&mut self, key: StoreKey) {
        let Some(entry) = self.store.get(key) else { return };
        let bundle = &entry.value.bundle;
        if bundle.primary().flags.contains(BundleFlags::REPORT_FORWARDING)
            && self.config.bundles.status_reports.is_some()
        {
            let bundle = bundle.clone();
            self.report_status(&bundle, Status::Forwarded, ReportReason::NONE);
        }
    }

    /// A bundle leaves this node's care undelivered.
    pub(super) fn drop_bundle(&mut self, bundle: &Bundle, reason: DropReason) -> Fate {
        let bytes = bundle.encoded_len() as u32;
        self.report(Report::BundleDropped { reason, bytes });
        self.report_status(bundle, Status::Deleted, reason.status());
        Fate::Dropped(reason)
    }

    /// A record for this node, of which every endpoint takes some: a report goes to whom the bundle named, which may be an application.
    pub(super) fn on_record(&mut self, bundle: &Bundle, arrival: Arrival) -> Result<Fate, InputError> {
        let record =
            AdministrativeRecord::decode(bundle.payload()).map_err(|error| self.refuse(error.reason()))?;
        let source = &bundle.primary().source;
        match record {
            AdministrativeRecord::StatusReport(report) => {
                self.report(Report::Status { from: source.clone(), report });
                Ok(Fate::Taken)
            }
            AdministrativeRecord::Encapsulated(bpdu) => self.on_encapsulated(source, &bpdu, arrival),
            AdministrativeRecord::CustodySignal(signal) => self.on_custody_signal(source, &signal),
        }
    }

    /// Counts something that is refused or left out, for which no input failed.
    pub(super) fn count(&mut self, reason: &'static str) {
        *self.refusals.entry(reason).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_in_bursts_and_then_at_the_interval() {
        let settings = StatusReportSettings {
            interval: Duration::from_secs(10),
            burst: 2,
            ..StatusReportSettings::default()
        };
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut reporting = Reporting::default();
        let taken: alloc::vec::Vec<bool> =
            [0, 0, 0, 9, 10, 11, 30, 31, 32].map(|second| reporting.take_token(&settings, at(second))).into();
        assert_eq!(taken, [true, true, false, false, true, false, true, true, false]);
    }
}
