//! Imported contact plans.

use std::collections::BTreeMap;

use super::Checker;
use crate::{
    astro::Epoch,
    contact::{
        Contact, ContactPlan,
        import::{PlanFormat, import},
    },
    link::{Capacity, LinkClass},
    scenario::{
        checked::{Asset, ContactSource},
        diagnostic::Mistake,
        raw::{RawImported, RawPlanFormat},
    },
    units::AssetIndex,
};

impl Checker<'_> {
    pub(super) fn imported(
        &mut self,
        raw: &RawImported,
        assets: &[Asset],
        classes: &[LinkClass],
        epoch: Option<Epoch>,
    ) -> ContactSource {
        let Some(source) = self.files.import(&raw.file) else { return ContactSource::Computed };
        let format = match raw.format.value {
            RawPlanFormat::Ion => PlanFormat::Ion,
            RawPlanFormat::Hdtn => PlanFormat::Hdtn,
            RawPlanFormat::Asabr => PlanFormat::Asabr,
            RawPlanFormat::One => PlanFormat::One,
        };
        let origin = epoch.and_then(|epoch| unix_s(&epoch.to_string()));
        let plan = match import(&source.name, source.text.as_bytes(), format, origin) {
            Ok(plan) => plan,
            Err(error) => {
                let found = format!("{} in line {} of the plan", error.found, error.line);
                self.report(&raw.file.place, Mistake::Include, found, error.allowed);
                return ContactSource::Computed;
            }
        };
        let nodes: BTreeMap<u64, AssetIndex> =
            assets.iter().enumerate().map(|(at, asset)| (asset.node.0, AssetIndex(at as u32))).collect();
        let offset = raw.offset.as_ref().map_or(0, |offset| offset.value);
        let contacts = plan.contact_plan(|node| nodes.get(&node.checked_add(offset)?).copied());
        let contacts = match format {
            PlanFormat::One => self.traced(&contacts, assets, classes),
            PlanFormat::Ion | PlanFormat::Hdtn | PlanFormat::Asabr => contacts,
        };
        if contacts.contacts().is_empty() {
            let found = format!("a plan of {} contacts, none between these assets", plan.contacts.len());
            self.report(&raw.file.place, Mistake::Inconsistent, found, "node numbers of the assets");
        }
        if let Some(mute) = contacts
            .contacts()
            .iter()
            .flat_map(|c| [c.from, c.to])
            .find(|i| assets[i.get()].radios.is_empty())
        {
            let found = format!("contacts of \"{}\", which has no radio", assets[mute.get()].name);
            self.report(
                &raw.file.place,
                Mistake::Inconsistent,
                found,
                "a radio at each asset that the plan names",
            );
        }
        ContactSource::Imported { path: source.path.unwrap_or_default(), plan: contacts }
    }

    /// A trace tells when two hosts meet, and nothing of the link: its rate is the class's. What is up at the end of the trace lasts to
    /// the end of the run.
    fn traced(&self, plan: &ContactPlan, assets: &[Asset], classes: &[LinkClass]) -> ContactPlan {
        let run = self.run;
        let traced = plan.contacts().iter().filter(|contact| contact.start <= run).map(|contact| {
            let radio = assets[contact.from.get()].radios.first();
            let rate = match radio.and_then(|radio| classes.get(radio.class)).map(|class| &class.capacity) {
                Some(Capacity::Fixed { rate, .. }) => *rate,
                _ => contact.rate,
            };
            Contact { rate, end: contact.end.min(run), ..contact.clone() }
        });
        ContactPlan::new(traced.collect())
    }
}

/// Whole seconds since 1970 without leap seconds (POSIX time) of an RFC 3339 text in UTC. Days by the proleptic Gregorian
/// calendar, counted from March so that a leap day ends its year.
fn unix_s(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    /// Days from 0000-03-01 to 1970-01-01.
    const TO_1970: i64 = 719_468;
    Some((days + day_of_year - TO_1970) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::unix_s;

    #[test]
    fn posix_time_is_that_of_date() {
        // `date -u -d … +%s`
        assert_eq!(unix_s("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_s("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(unix_s("2026-11-01T00:00:00Z"), Some(1_793_491_200));
        assert_eq!(unix_s("not a date"), None);
    }
}
