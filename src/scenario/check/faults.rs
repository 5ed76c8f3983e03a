//! Faults.

use super::Checker;
use crate::{
    link::LinkClass,
    scenario::{
        checked::{Fault, LinkSelector},
        decode::{List, Spanned},
        diagnostic::Mistake,
        quantity::Duration,
        raw::{RawDisk, RawFault, RawLinks},
    },
    units::{AssetIndex, SimTime},
};

impl Checker<'_> {
    pub(super) fn faults(&mut self, raw: Option<&List<RawFault>>, classes: &[LinkClass]) -> Vec<Fault> {
        let raw = raw.map(|raw| raw.value.as_slice()).unwrap_or_default();
        raw.iter().map(|fault| self.fault(&fault.value, classes)).collect()
    }

    fn fault(&mut self, raw: &RawFault, classes: &[LinkClass]) -> Fault {
        match raw {
            RawFault::LinkDown(raw) => {
                let (start, end) = self.outage(&raw.start, &raw.end);
                Fault::LinkDown { links: self.links(&raw.links, classes), start, end }
            }
            RawFault::AssetDown(raw) => {
                let (start, end) = self.outage(&raw.start, &raw.end);
                let asset = self.asset(&raw.asset).unwrap_or(AssetIndex(0));
                let disk_lost = raw.disk.as_ref().is_some_and(|disk| matches!(disk.value, RawDisk::Lost));
                Fault::AssetDown { asset, start, end, disk_lost }
            }
            RawFault::ExtraLoss(raw) => {
                let (start, end) = self.outage(&raw.start, &raw.end);
                let probability = raw.probability.value;
                let holds = probability > 0.0 && probability <= 1.0;
                self.expect(holds, &raw.probability.place, "a probability, above 0 to 1");
                Fault::ExtraLoss { links: self.links(&raw.links, classes), probability, start, end }
            }
        }
    }

    fn outage(&mut self, start: &Spanned<Duration>, end: &Spanned<Duration>) -> (SimTime, SimTime) {
        let run = self.run;
        let (first, last) = (start.value.0, end.value.0);
        let holds = (SimTime::ZERO..run).contains(&first);
        self.expect(holds, &start.place, format!("a time within the run, 0 s to below {run}"));
        self.expect(
            last > first && last <= run,
            &end.place,
            format!("a time after {first}, at most the run's {run}"),
        );
        (first, last)
    }

    fn links(&mut self, raw: &Spanned<RawLinks>, classes: &[LinkClass]) -> LinkSelector {
        let nobody = AssetIndex(0);
        match &raw.value {
            RawLinks::Between(between) => {
                let (a, b) = (self.asset(&between.a), self.asset(&between.b));
                if a.is_some() && a == b {
                    let found = format!("\"{}\" again", between.b.value);
                    self.report(&between.b.place, Mistake::Inconsistent, found, "another asset than `a`");
                }
                LinkSelector::Between(a.unwrap_or(nobody), b.unwrap_or(nobody))
            }
            RawLinks::Of(of) => LinkSelector::Of(self.asset(&of.asset).unwrap_or(nobody)),
            RawLinks::Class(of) => {
                LinkSelector::Class(self.class(&of.class).filter(|&c| c < classes.len()).unwrap_or(0))
            }
        }
    }
}
