//! Assets' tables: next hops and custodians.

use std::collections::BTreeMap;

use super::{Checker, Raw};
use crate::{
    scenario::{
        checked::{Asset, TableLine},
        decode::List,
        diagnostic::Mistake,
        raw::{RawKit, RawRoute},
    },
    units::AssetIndex,
};

/// Which of the two tables.
type Table<T> = fn(&T) -> Option<&List<RawRoute>>;

impl Checker<'_> {
    /// Fills in every asset's tables; all names and groups are known.
    pub(super) fn tables(&mut self, raw: &Raw, assets: &mut [Asset]) {
        let kits: BTreeMap<&str, &RawKit> =
            raw.kits.iter().map(|kit| (kit.value.name.value.as_str(), &kit.value)).collect();
        for asset in raw.assets.iter().map(|asset| &asset.value) {
            let Some(index) = self.names.get(&asset.name.value).copied() else { continue };
            let kit = asset.kit.as_ref().and_then(|name| kits.get(name.value.as_str()).copied());
            let inherited = |own: Option<&'_ List<RawRoute>>, table: Table<RawKit>| {
                own.or_else(|| kit.and_then(table)).cloned()
            };
            let routes = inherited(asset.routes.as_ref(), |kit| kit.routes.as_ref());
            let custodians = inherited(asset.custodians.as_ref(), |kit| kit.custodians.as_ref());
            let checked = &mut assets[index.get()];
            checked.routes = self.table(routes.as_ref(), index);
            checked.custodians = self.table(custodians.as_ref(), index);
        }
    }

    /// The table of `owner`: of two lines for a destination the later holds.
    fn table(&mut self, raw: Option<&List<RawRoute>>, owner: AssetIndex) -> Vec<TableLine> {
        let mut lines = BTreeMap::new();
        for route in raw.map(|raw| raw.value.as_slice()).unwrap_or_default() {
            let route = &route.value;
            let to = self.members(&route.to);
            let Some(via) = self.asset(&route.via) else { continue };
            // A kit's or a group's table may name one of those who share it.
            if via == owner && route.to.value.iter().all(|name| !name.value.starts_with('@')) {
                let found = format!("\"{}\" in its own table", route.via.value);
                self.report(&route.via.place, Mistake::Inconsistent, found, "another asset");
            }
            if via != owner {
                lines.extend(to.into_iter().filter(|to| *to != owner).map(|to| (to, via)));
            }
        }
        lines.into_iter().map(|(to, via)| TableLine { to, via }).collect()
    }
}
