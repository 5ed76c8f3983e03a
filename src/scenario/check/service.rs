//! Names, clocks and manners of the bundle service: what one asset asks of others' bundles, and of its own.

use std::collections::BTreeMap;

use cosmosmesh_protocol::{
    bundle::{BundleFlags, Policy},
    node::StatusReportSettings,
};

use super::Checker;
use crate::{
    scenario::{
        checked::{ProtocolSettings, Service},
        decode::{List, Spanned},
        diagnostic::Mistake,
        raw::{RawAsset, RawClock, RawPolicy, RawReport, RawScenario, RawStatusReports},
    },
    units::SimTime,
};

impl Checker<'_> {
    pub(super) fn status_reports(&mut self, raw: &RawStatusReports) -> StatusReportSettings {
        let default = StatusReportSettings::default();
        let time = |span: std::time::Duration| SimTime(span.as_nanos() as i64);
        let span = |time: SimTime| std::time::Duration::from_nanos(time.as_nanos().unsigned_abs());
        StatusReportSettings {
            interval: span(self.above_zero_or(raw.interval.as_ref(), time(default.interval))),
            burst: self.count_or(raw.burst.as_ref(), default.burst, 1, 65_536),
            lifetime: span(self.above_zero_or(raw.lifetime.as_ref(), time(default.lifetime))),
        }
    }

    /// Holds that reports are asked for where there are some.
    pub(super) fn reports(&mut self, root: &RawScenario, protocol: &ProtocolSettings) {
        for flow in root.traffic.iter().flat_map(|flows| &flows.value) {
            let Some(asked) = flow.value.reports.as_ref().filter(|asked| !asked.value.is_empty()) else {
                continue;
            };
            if protocol.service == Service::Streams {
                let allowed = "`service: Datagrams()` in `protocol`: streams acknowledge end to end";
                self.report(&asked.place, Mistake::Inconsistent, "reports with Streams", allowed);
            } else if protocol.status_reports.is_none() {
                let allowed = "`status_reports: ()` in `protocol`";
                self.report(&asked.place, Mistake::Inconsistent, "reports that no node sends", allowed);
            }
        }
    }

    /// Names that are words, each once.
    pub(super) fn dtn_names(&mut self, assets: &[Spanned<RawAsset>]) {
        let names = || assets.iter().filter_map(|asset| asset.value.dtn_name.as_ref());
        names().for_each(|name| self.word(name));
        let mut first: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
        for name in names() {
            if let Some(first) = first.insert(&name.value, name) {
                let related = vec![(first.place.span, "first given here".to_owned())];
                let found = format!("\"{}\" again", name.value);
                let allowed = "each name of the `dtn` scheme once".to_owned();
                self.draft(&name.place, Mistake::DuplicateName, found, allowed, None, related);
            }
        }
    }
}

pub(super) fn policy(raw: Option<&Spanned<RawPolicy>>) -> Option<Policy> {
    raw.map(|policy| match policy.value {
        RawPolicy::Strict => Policy::Strict,
        RawPolicy::Lenient => Policy::Lenient,
    })
}

pub(super) fn has_clock(raw: Option<&Spanned<RawClock>>) -> Option<bool> {
    raw.map(|clock| matches!(clock.value, RawClock::Synchronised))
}

/// The flags that ask for these reports.
pub(super) fn reports(raw: Option<&List<RawReport>>) -> BundleFlags {
    let asked = raw.map(|raw| raw.value.as_slice()).unwrap_or_default();
    asked.iter().fold(BundleFlags::default(), |flags, report| {
        flags.with(match report.value {
            RawReport::Reception => BundleFlags::REPORT_RECEPTION,
            RawReport::Forwarding => BundleFlags::REPORT_FORWARDING,
            RawReport::Delivery => BundleFlags::REPORT_DELIVERY,
            RawReport::Deletion => BundleFlags::REPORT_DELETION,
        })
    })
}
