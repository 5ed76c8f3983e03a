//! Imported contact plans.

use super::Checker;
use crate::{
    contact::ContactPlan,
    scenario::{
        checked::{Asset, ContactSource},
        raw::RawImported,
    },
};

impl Checker<'_> {
    pub(super) fn imported(&mut self, raw: &RawImported, assets: &[Asset]) -> ContactSource {
        let path = self.files.path_of(&raw.file.place);
        let _ = (self.files.import(&raw.file), assets);
        ContactSource::Imported { path, plan: ContactPlan::default() }
    }
}
