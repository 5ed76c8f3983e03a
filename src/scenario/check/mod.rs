//! From raw to checked: every rule that a scenario must keep, all violations in one go.

mod adversary;
mod assets;
mod channel;
mod constraints;
mod custody;
mod faults;
mod fixed_point;
mod governance;
mod hosts;
mod imports;
mod links;
mod messages;
mod motion;
mod plan;
mod privacy;
mod rolling;
mod service;
mod settings;
mod tables;
mod tasks;
mod trust;

use std::collections::BTreeMap;

use super::{
    checked::{Asset, ContactSource, Scenario, SharedState},
    decode::{List, Place, Spanned},
    diagnostic::{Draft, Mistake, nearest},
    load::Files,
    quantity::Duration,
    raw::{RawAsset, RawClass, RawContacts, RawKit, RawScenario},
    source::Span,
};
use crate::{
    astro::Epoch,
    link::LinkClass,
    units::{AssetIndex, SimTime},
};

/// What the files of a scenario hold together.
pub(super) struct Raw {
    pub(super) root: RawScenario,
    pub(super) classes: Vec<Spanned<RawClass>>,
    pub(super) kits: Vec<Spanned<RawKit>>,
    pub(super) assets: Vec<Spanned<RawAsset>>,
}

/// The checked scenario; `None` when something was reported.
pub(super) fn check(raw: &Raw, files: &mut Files) -> Option<Scenario> {
    let mut checker = Checker::new(files);
    let root = &raw.root;
    checker.word(&root.name);
    let epoch = checker.epoch(&root.epoch);
    checker.run = checker.above_zero(&root.duration);
    checker.computed = !matches!(root.contacts.as_ref().map(|c| &c.value), Some(RawContacts::Imported(_)));
    let classes = checker.classes(&raw.classes);
    let mut protocol = checker.protocol(root.protocol.as_ref());
    let assets = checker.assets(raw, &classes, &protocol, epoch);
    let contacts = checker.contacts(root.contacts.as_ref(), &assets, &classes, epoch);
    checker.hosts(root.hosts.as_ref());
    let traffic = checker.traffic(root.traffic.as_ref(), &protocol);
    let messages = root.messages.as_ref().map(|list| checker.messages(&list.value, &protocol));
    checker.flooded_channel(root, &classes, &protocol);
    checker.custody(root, &assets, &traffic, messages.as_ref(), &mut protocol);
    checker.reports(root, &protocol);
    let shared_state: Option<SharedState> =
        root.shared_state.as_ref().map(|s| checker.shared_state(s, &protocol));
    let trust = root.trust.as_ref().map(|trust| checker.trust(trust, &protocol));
    let governance = {
        let sharing = shared_state.as_ref().map_or(&[][..], |shared| &shared.members);
        let governance = root.governance.as_ref();
        governance.map(|governance| checker.governance(governance, &protocol, trust.as_ref(), sharing))
    };
    let discovery = root.discovery.as_ref().map(|discovery| checker.discovery(&discovery.value));
    let sealing = root.sealing.as_ref().map(|sealing| checker.sealing(&sealing.value));
    let planning = root.planning.as_ref().map(|plan| checker.plan(plan, &protocol, &assets));
    let adversaries =
        checker.adversaries(root.adversaries.as_ref(), &classes, &protocol, assets.len() as u32);
    let faults = checker.faults(root.faults.as_ref(), &classes);
    let metrics = checker.tolerances(root.metrics.as_ref());
    if !checker.files.drafts.is_empty() {
        return None;
    }
    Some(Scenario {
        name: root.name.value.clone(),
        description: root.description.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        epoch: epoch?,
        duration: checker.run,
        seed: root.seed.as_ref().map_or(1, |seed| seed.value),
        assets,
        classes,
        contacts,
        protocol,
        traffic,
        messages,
        shared_state,
        planning,
        trust,
        adversaries,
        discovery,
        governance,
        sealing,
        faults,
        metrics,
        hash: files.sources.hash(),
    })
}

/// The state of the checks. Each check reports what is wrong and goes on with a value of the right type, which nobody sees
/// because a report refuses the whole scenario.
struct Checker<'a> {
    files: &'a mut Files,
    /// The run's duration.
    run: SimTime,
    /// Whether contacts are computed from motion.
    computed: bool,
    /// Assets by name.
    names: BTreeMap<String, AssetIndex>,
    /// Link classes by name.
    class_names: BTreeMap<String, usize>,
    /// Members of groups, in order.
    groups: BTreeMap<String, Vec<AssetIndex>>,
}

impl<'a> Checker<'a> {
    fn new(files: &'a mut Files) -> Self {
        Self {
            files,
            run: SimTime::ZERO,
            computed: true,
            names: BTreeMap::new(),
            class_names: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    fn report(
        &mut self,
        place: &Place,
        mistake: Mistake,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        self.draft(place, mistake, found.into(), allowed.into(), None, Vec::new());
    }

    fn draft(
        &mut self,
        place: &Place,
        mistake: Mistake,
        found: String,
        allowed: String,
        suggestion: Option<String>,
        related: Vec<(Span, String)>,
    ) {
        let (span, field) = (place.span, place.field.to_string());
        self.files.drafts.push(Draft { mistake, span, field, found, allowed, suggestion, related });
    }

    /// What was written at `place`.
    fn written(&self, place: &Place) -> String {
        self.files.sources.text(place.span).chars().take(60).collect()
    }

    fn out_of_range(&mut self, place: &Place, allowed: impl Into<String>) {
        let found = self.written(place);
        self.report(place, Mistake::OutOfRange, found, allowed);
    }

    /// Reports a value that is not `allowed`.
    fn expect(&mut self, holds: bool, place: &Place, allowed: impl Into<String>) {
        if !holds {
            self.out_of_range(place, allowed);
        }
    }

    /// A number within `least..=largest`.
    fn within(&mut self, number: &Spanned<f64>, least: f64, largest: f64) -> f64 {
        let holds = (least..=largest).contains(&number.value);
        self.expect(holds, &number.place, format!("a number from {least} to {largest}"));
        number.value
    }

    /// An optional number within `least..=largest`.
    fn within_or(&mut self, number: Option<&Spanned<f64>>, default: f64, least: f64, largest: f64) -> f64 {
        number.map_or(default, |number| self.within(number, least, largest))
    }

    fn probability(&mut self, number: Option<&Spanned<f64>>, default: f64) -> f64 {
        number.map_or(default, |number| {
            self.expect((0.0..=1.0).contains(&number.value), &number.place, "a probability, 0 to 1");
            number.value
        })
    }

    /// An optional count within `least..=largest`.
    fn count_or(&mut self, count: Option<&Spanned<u32>>, default: u32, least: u32, largest: u32) -> u32 {
        count.map_or(default, |count| {
            let holds = (least..=largest).contains(&count.value);
            self.expect(holds, &count.place, format!("a whole number from {least} to {largest}"));
            count.value
        })
    }

    fn above_zero(&mut self, time: &Spanned<Duration>) -> SimTime {
        self.expect(time.value.0 > SimTime::ZERO, &time.place, "a time above zero");
        time.value.0
    }

    fn above_zero_or(&mut self, time: Option<&Spanned<Duration>>, default: SimTime) -> SimTime {
        time.map_or(default, |time| self.above_zero(time))
    }

    fn not_negative_or(&mut self, time: Option<&Spanned<Duration>>, default: SimTime) -> SimTime {
        time.map_or(default, |time| {
            self.expect(time.value.0 >= SimTime::ZERO, &time.place, "a time of zero or more");
            time.value.0
        })
    }

    /// A quantity that must not be negative.
    fn amount_or<T>(&mut self, amount: Option<&Spanned<T>>, default: f64, number: impl Fn(&T) -> f64) -> f64 {
        amount.map_or(default, |amount| {
            let value = number(&amount.value);
            self.expect(value >= 0.0, &amount.place, "zero or more");
            value
        })
    }

    /// A quantity that must be above zero.
    fn positive<T>(&mut self, amount: &Spanned<T>, number: impl Fn(&T) -> f64) -> f64 {
        let value = number(&amount.value);
        self.expect(value > 0.0, &amount.place, "above zero");
        value
    }

    /// A name of letters, digits, `-` and `_`.
    fn word(&mut self, name: &Spanned<String>) {
        let text = &name.value;
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let holds = plain && (1..=64).contains(&text.len());
        self.expect(holds, &name.place, "1 to 64 letters, digits, `-` and `_`");
    }

    /// Each name once. The list is short or the names are few enough that a map pays.
    fn unique<'n>(&mut self, names: impl IntoIterator<Item = &'n Spanned<String>>, what: &str) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.get(name.value.as_str()) {
                let related = vec![(*first, "first given here".to_owned())];
                let found = format!("\"{}\" again", name.value);
                let allowed = format!("{what} once");
                self.draft(&name.place, Mistake::DuplicateName, found, allowed, None, related);
            } else {
                seen.insert(&name.value, name.place.span);
            }
        }
    }

    /// A name that is not among `known`.
    fn unknown_name(&mut self, name: &Spanned<String>, what: &str, known: &[&str]) {
        let meant = nearest(&name.value, known.iter().copied()).map(|meant| format!("\"{meant}\""));
        let shown: Vec<&str> = known.iter().copied().take(12).collect();
        let more = if known.len() > shown.len() { ", …" } else { "" };
        let allowed = match known {
            [] => format!("the name of {what}, but there is none"),
            _ => format!("the name of {what}: {}{more}", shown.join(", ")),
        };
        let found = format!("\"{}\"", name.value);
        self.draft(&name.place, Mistake::UnknownName, found, allowed, meant, Vec::new());
    }

    fn asset(&mut self, name: &Spanned<String>) -> Option<AssetIndex> {
        let found = self.names.get(&name.value).copied();
        if found.is_none() {
            let known: Vec<String> = self.names.keys().cloned().collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.unknown_name(name, "an asset", &known);
        }
        found
    }

    /// The assets that names, `@group`s and `@all` stand for: in order, each once.
    fn members(&mut self, names: &List<String>) -> Vec<AssetIndex> {
        let mut members = Vec::new();
        for name in &names.value {
            match name.value.strip_prefix('@') {
                Some("all") => members.extend(self.names.values().copied()),
                Some(group) => match self.groups.get(group) {
                    Some(group) => members.extend(group),
                    None => {
                        let known: Vec<String> =
                            self.groups.keys().map(|group| format!("@{group}")).collect();
                        let known: Vec<&str> = known.iter().map(String::as_str).chain(["@all"]).collect();
                        self.unknown_name(name, "a group", &known);
                    }
                },
                None => members.extend(self.asset(name)),
            }
        }
        members.sort_unstable();
        members.dedup();
        if names.value.is_empty() {
            self.report(&names.place, Mistake::OutOfRange, "an empty list", "at least one name");
        }
        members
    }

    fn class(&mut self, name: &Spanned<String>) -> Option<usize> {
        let found = self.class_names.get(&name.value).copied();
        if found.is_none() {
            let known: Vec<String> = self.class_names.keys().cloned().collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.unknown_name(name, "a link class", &known);
        }
        found
    }

    fn epoch(&mut self, text: &Spanned<String>) -> Option<Epoch> {
        match Epoch::parse(&text.value) {
            Ok(epoch) => Some(epoch),
            Err(_) => {
                self.out_of_range(&text.place, "a UTC date and time such as \"2026-11-01T00:00:00Z\"");
                None
            }
        }
    }

    fn contacts(
        &mut self,
        raw: Option<&Spanned<RawContacts>>,
        assets: &[Asset],
        classes: &[LinkClass],
        epoch: Option<Epoch>,
    ) -> ContactSource {
        match raw.map(|raw| &raw.value) {
            None | Some(RawContacts::Computed) => ContactSource::Computed,
            Some(RawContacts::Imported(import)) => self.imported(import, assets, classes, epoch),
        }
    }
}
