//! Assets, kits, radios, power.

use std::collections::BTreeMap;

use cosmosmesh_protocol::{bundle::Policy, id::NodeId};

use super::{
    Checker, Raw,
    service::{has_clock, policy},
};
use crate::{
    astro::{Epoch, Motion},
    link::{Access, Capacity, LinkClass, RadioSpec},
    scenario::{
        checked::{Asset, AssetKind, AssetRole, PowerSpec, ProtocolSettings, StorageSpec},
        decode::{List, Spanned},
        diagnostic::Mistake,
        raw::{RawAsset, RawKind, RawPower, RawRadio, RawRole},
        source::Span,
    },
    units::{AssetIndex, Joules, Watts},
};

/// A checked kit.
struct Kit {
    groups: Vec<String>,
    radios: Vec<RadioSpec>,
    power: Option<PowerSpec>,
    storage: Option<StorageSpec>,
    policy: Option<Policy>,
    has_clock: bool,
}

impl Checker<'_> {
    /// The fleet in order of node numbers.
    pub(super) fn assets(
        &mut self,
        raw: &Raw,
        classes: &[LinkClass],
        protocol: &ProtocolSettings,
        epoch: Option<Epoch>,
    ) -> Vec<Asset> {
        if raw.assets.is_empty() {
            let place =
                raw.root.assets.as_ref().map_or(&raw.root.version.place, |assets| &assets.place).clone();
            self.report(&place, Mistake::OutOfRange, "a scenario without assets", "at least one asset");
        }
        self.unique(raw.assets.iter().map(|asset| &asset.value.name), "each asset's name");
        self.unique_nodes(&raw.assets);
        self.dtn_names(&raw.assets);
        let kits = self.kits(raw, classes);
        let mut order: Vec<&RawAsset> = raw.assets.iter().map(|asset| &asset.value).collect();
        order.sort_by_key(|asset| asset.node.value);
        for (at, asset) in order.iter().enumerate() {
            self.names.entry(asset.name.value.clone()).or_insert(AssetIndex(at as u32));
        }
        let mut assets = Vec::with_capacity(order.len());
        for (at, asset) in order.into_iter().enumerate() {
            assets.push(self.one_asset(asset, AssetIndex(at as u32), classes, &kits, protocol, epoch));
        }
        self.tables(raw, &mut assets);
        assets
    }

    fn unique_nodes(&mut self, assets: &[Spanned<RawAsset>]) {
        let mut seen: BTreeMap<u64, (Span, &str)> = BTreeMap::new();
        for asset in assets {
            let (node, name) = (&asset.value.node, &asset.value.name.value);
            let holds = (1..=u64::from(u32::MAX)).contains(&node.value);
            self.expect(holds, &node.place, format!("a whole number from 1 to {}", u32::MAX));
            if let Some((first, owner)) = seen.get(&node.value) {
                let related = vec![(*first, format!("the number of \"{owner}\""))];
                let found = format!("{} again", node.value);
                let allowed = "each node number once".to_owned();
                self.draft(&node.place, Mistake::DuplicateName, found, allowed, None, related);
            } else {
                seen.insert(node.value, (node.place.span, name));
            }
        }
    }

    fn kits(&mut self, raw: &Raw, classes: &[LinkClass]) -> BTreeMap<String, Kit> {
        self.unique(raw.kits.iter().map(|kit| &kit.value.name), "each kit's name");
        let mut kits = BTreeMap::new();
        for kit in &raw.kits {
            let kit = &kit.value;
            self.word(&kit.name);
            let checked = Kit {
                groups: self.group_names(kit.groups.as_ref()),
                radios: kit.radios.as_ref().map(|radios| self.radios(radios, classes)).unwrap_or_default(),
                power: kit.power.as_ref().map(|power| self.power(&power.value)),
                storage: kit.storage.as_ref().map(|storage| self.storage(&storage.value)),
                policy: policy(kit.policy.as_ref()),
                has_clock: has_clock(kit.clock.as_ref()).unwrap_or(true),
            };
            kits.entry(kit.name.value.clone()).or_insert(checked);
        }
        kits
    }

    fn group_names(&mut self, groups: Option<&List<String>>) -> Vec<String> {
        let Some(groups) = groups else { return Vec::new() };
        for group in &groups.value {
            self.word(group);
            if group.value == "all" {
                self.out_of_range(&group.place, "another name, as every asset belongs to `all`");
            }
        }
        groups.value.iter().map(|group| group.value.clone()).collect()
    }

    fn one_asset(
        &mut self,
        raw: &RawAsset,
        index: AssetIndex,
        classes: &[LinkClass],
        kits: &BTreeMap<String, Kit>,
        protocol: &ProtocolSettings,
        epoch: Option<Epoch>,
    ) -> Asset {
        self.word(&raw.name);
        let kit = raw.kit.as_ref().and_then(|name| {
            let kit = kits.get(&name.value);
            if kit.is_none() {
                let known: Vec<&str> = kits.keys().map(String::as_str).collect();
                self.unknown_name(name, "a kit", &known);
            }
            kit
        });
        let mut groups = self.group_names(raw.groups.as_ref());
        groups.extend(kit.iter().flat_map(|kit| kit.groups.iter().cloned()));
        groups.sort();
        groups.dedup();
        for group in groups {
            self.groups.entry(group).or_default().push(index);
        }
        let kind = kind(&raw.kind.value);
        let radios = match (&raw.radios, kit) {
            (Some(radios), _) => self.radios(radios, classes),
            (None, kit) => kit.map(|kit| kit.radios.clone()).unwrap_or_default(),
        };
        let power = match (&raw.power, kit) {
            (Some(power), _) => Some(self.power(&power.value)),
            (None, kit) => kit.and_then(|kit| kit.power),
        };
        let storage = match (&raw.storage, kit) {
            (Some(storage), _) => self.storage(&storage.value),
            (None, kit) => kit.and_then(|kit| kit.storage).unwrap_or(protocol.storage),
        };
        let motion = self.motion(raw, kind, epoch).unwrap_or(Motion::Nowhere);
        Asset {
            name: raw.name.value.clone(),
            kind,
            node: NodeId(raw.node.value),
            role: raw.role.as_ref().map_or(AssetRole::of(kind), |role| match role.value {
                RawRole::Observer => AssetRole::Observer,
                RawRole::Contributor => AssetRole::Contributor,
                RawRole::Operator => AssetRole::Operator,
                RawRole::Admin => AssetRole::Admin,
            }),
            motion,
            radios,
            power,
            storage,
            // Filled in when all names and groups are known.
            routes: Vec::new(),
            custodians: Vec::new(),
            policy: policy(raw.policy.as_ref())
                .or_else(|| kit.and_then(|kit| kit.policy))
                .unwrap_or(protocol.policy),
            has_clock: has_clock(raw.clock.as_ref()).unwrap_or_else(|| kit.is_none_or(|kit| kit.has_clock)),
            dtn_name: raw.dtn_name.as_ref().map(|name| name.value.clone()),
        }
    }

    fn radios(&mut self, raw: &List<RawRadio>, classes: &[LinkClass]) -> Vec<RadioSpec> {
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        for radio in &raw.value {
            let named = radio.value.name.as_ref().unwrap_or(&radio.value.class);
            if let Some(first) = names.insert(&named.value, named.place.span) {
                let related = vec![(first, "first given here".to_owned())];
                let found = format!("\"{}\" again", named.value);
                let allowed = "each radio's name once; `name` tells radios of one class apart".to_owned();
                self.draft(&named.place, Mistake::DuplicateName, found, allowed, None, related);
            }
        }
        let specs: Vec<RadioSpec> = raw.value.iter().map(|radio| self.radio(radio, classes)).collect();
        for (index, radio) in raw.value.iter().enumerate() {
            let class = specs[index].class;
            let shared = classes.get(class).is_some_and(|class| class.access == Access::SharedChannel);
            if shared && specs[..index].iter().any(|spec| spec.class == class) {
                let found = format!("a second radio of class \"{}\"", radio.value.class.value);
                let allowed =
                    "one radio of a shared channel at each asset: a second one could only disturb it"
                        .to_owned();
                self.report(&radio.value.class.place, Mistake::Inconsistent, found, allowed);
            }
        }
        specs
    }

    fn radio(&mut self, radio: &Spanned<RawRadio>, classes: &[LinkClass]) -> RadioSpec {
        let raw = &radio.value;
        if let Some(name) = &raw.name {
            self.word(name);
        }
        let class = self.class(&raw.class);
        if let Some(class) = class {
            self.radio_fits(radio, &classes[class]);
        }
        RadioSpec {
            name: raw.name.as_ref().unwrap_or(&raw.class).value.clone(),
            class: class.unwrap_or(0),
            eirp_dbw: raw.eirp.as_ref().map(|level| level.value.0),
            g_over_t_db_k: raw.g_over_t.as_ref().map(|merit| merit.value.0),
            receive_gain_dbi: raw.receive_gain.as_ref().map(|gain| gain.value.0),
            min_elevation_deg: self.within_or(raw.min_elevation_deg.as_ref(), 10.0, -90.0, 90.0),
            max_peers: raw.max_peers.as_ref().map(|_| self.count_or(raw.max_peers.as_ref(), 1, 1, u32::MAX)),
            queue_frames: self.count_or(raw.queue_frames.as_ref(), 64, 0, 65_536),
            transmit_power: Watts(self.amount_or(raw.transmit_power.as_ref(), 0.0, |power| power.0)),
            receive_power: Watts(self.amount_or(raw.receive_power.as_ref(), 0.0, |power| power.0)),
        }
    }

    /// A radio has what its class's capacity is computed from.
    fn radio_fits(&mut self, radio: &Spanned<RawRadio>, class: &LinkClass) {
        let raw = &radio.value;
        let (capacity, needs) = match class.capacity {
            Capacity::Fixed { .. } => return,
            Capacity::Budget { .. } => {
                ("Budget", [("eirp", raw.eirp.is_some()), ("g_over_t", raw.g_over_t.is_some())])
            }
            Capacity::Lora(_) => {
                ("Lora", [("eirp", raw.eirp.is_some()), ("receive_gain", raw.receive_gain.is_some())])
            }
        };
        for (field, _) in needs.iter().filter(|(_, given)| !given) {
            let allowed = format!("`{field}`, because class \"{}\" has a {capacity} capacity", class.name);
            self.report(
                &raw.class.place,
                Mistake::MissingField,
                format!("no `{field}` in this radio"),
                allowed,
            );
        }
    }

    fn power(&mut self, raw: &RawPower) -> PowerSpec {
        if let Some(charge) = &raw.min_charge {
            let holds = (0.0..1.0).contains(&charge.value);
            self.expect(holds, &charge.place, "a fraction, 0 to below 1");
        }
        PowerSpec {
            battery_capacity: Joules(self.positive(&raw.battery, |energy| energy.0)),
            initial_charge: self.within_or(raw.initial_charge.as_ref(), 1.0, 0.0, 1.0),
            solar_peak: Watts(self.amount_or(raw.solar_peak.as_ref(), 0.0, |power| power.0)),
            constant_source: Watts(self.amount_or(raw.constant_source.as_ref(), 0.0, |power| power.0)),
            base_load: Watts(self.amount_or(raw.base_load.as_ref(), 0.0, |power| power.0)),
            min_charge: raw.min_charge.as_ref().map_or(0.0, |charge| charge.value),
        }
    }
}

const fn kind(raw: &RawKind) -> AssetKind {
    match raw {
        RawKind::Rover => AssetKind::Rover,
        RawKind::Drone => AssetKind::Drone,
        RawKind::Habitat => AssetKind::Habitat,
        RawKind::Satellite => AssetKind::Satellite,
        RawKind::GroundStation => AssetKind::GroundStation,
    }
}
