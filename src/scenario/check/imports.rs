//! Imported contact plans.

use std::collections::BTreeMap;

use super::Checker;
use crate::{
    astro::Epoch,
    contact::import::{PlanFormat, import},
    scenario::{
        checked::{Asset, ContactSource},
        diagnostic::Mistake,
        raw::{RawImported, RawPlanFormat},
    },
    units::{AssetIndex, SimTime},
};

/// Seconds from 1970-01-01 to 2000-01-01, the origin of DTN time (RFC 9171 §4.2.6).
const UNIX_OF_DTN_EPOCH_S: i64 = 946_684_800;

impl Checker<'_> {
    pub(super) fn imported(&mut self, raw: &RawImported, assets: &[Asset], epoch: Option<Epoch>) -> ContactSource {
        let Some(source) = self.files.import(&raw.file) else { return ContactSource::Computed };
        let format = match raw.format.value {
            RawPlanFormat::Ion => PlanFormat::Ion,
            RawPlanFormat::Hdtn => PlanFormat::Hdtn,
            RawPlanFormat::Asabr => PlanFormat::Asabr,
        };
        let origin = epoch.map(|epoch| (epoch.dtn_time_ms(SimTime::ZERO) / 1000) as i64 + UNIX_OF_DTN_EPOCH_S);
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
        let contacts = plan.contact_plan(|node| nodes.get(&node).copied());
        if contacts.contacts().is_empty() {
            let found = format!("a plan of {} contacts, none between these assets", plan.contacts.len());
            self.report(&raw.file.place, Mistake::Inconsistent, found, "node numbers of the assets");
        }
        if let Some(mute) = contacts.contacts().iter().flat_map(|c| [c.from, c.to]).find(|i| assets[i.get()].radios.is_empty()) {
            let found = format!("contacts of \"{}\", which has no radio", assets[mute.get()].name);
            self.report(&raw.file.place, Mistake::Inconsistent, found, "a radio at each asset that the plan names");
        }
        ContactSource::Imported { path: source.path.unwrap_or_default(), plan: contacts }
    }
}
