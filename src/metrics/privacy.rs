//! [`PrivacyRecorder`]: what the masks of a plan cost, and what was spent under noise.

use std::collections::BTreeMap;

use super::MetricsSet;
use crate::{
    engine::{Record, RecordKind},
    units::AssetIndex,
};

/// What one asset has spent.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    rho: f64,
    epsilon: f64,
    releases: u64,
    exhausted: bool,
}

/// Follows windows of masked answers, the unmasking leg, and budgets. Memory: one entry per asset that adds noise.
#[derive(Clone, Debug, Default)]
pub struct PrivacyRecorder {
    epochs: u64,
    /// Of the last epoch.
    terms: Option<(u32, u32, u32)>,
    opened: u64,
    answers: u64,
    recovered: u64,
    /// Members that were audited, and those found to differ.
    audits: (u64, u64),
    unopened: BTreeMap<&'static str, u64>,
    legs: BTreeMap<&'static str, u64>,
    delta: Option<f64>,
    spent: BTreeMap<AssetIndex, Spent>,
}

impl PrivacyRecorder {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        match record.kind {
            RecordKind::PlanEpoch { seats, k_min, bits, .. } => {
                self.epochs += 1;
                self.terms = Some((seats, k_min, bits));
            }
            RecordKind::PlanWindow { event: "published", .. } => {}
            RecordKind::PlanWindow { event: "opened", answers } => {
                self.opened += 1;
                self.answers += u64::from(answers);
            }
            RecordKind::PlanWindow { event: "recovered", .. } => self.recovered += 1,
            RecordKind::PlanWindow { event, .. } => *self.unopened.entry(event).or_default() += 1,
            RecordKind::PlanAudit { differs, .. } => {
                self.audits.0 += 1;
                self.audits.1 += u64::from(differs);
            }
            RecordKind::PlanLeg { leg, bytes, .. } => {
                *self.legs.entry(leg).or_default() += u64::from(bytes);
            }
            RecordKind::PlanSpent { rho, epsilon, delta, releases, exhausted } => {
                self.delta = Some(delta);
                self.spent.insert(record.asset, Spent { rho, epsilon, releases, exhausted });
            }
            _ => {}
        }
    }

    /// Writes `privacy.*`. Under noise the figures are those of the asset that has spent most.
    pub fn write(&self, set: &mut MetricsSet) {
        if let Some(delta) = self.delta {
            let most = |of: fn(&Spent) -> f64| Some(self.spent.values().map(of).fold(0.0, f64::max));
            set.set("privacy.epsilon", most(|spent| spent.epsilon), "1");
            set.set("privacy.delta", Some(delta), "1");
            set.set("privacy.spent", most(|spent| spent.rho), "1");
            set.count("privacy.releases", self.spent.values().map(|spent| spent.releases).sum(), "1");
            let exhausted = self.spent.values().filter(|spent| spent.exhausted).count();
            set.count("privacy.exhausted", exhausted as u64, "1");
        } else {
            for (name, unit) in [("privacy.epsilon", "1"), ("privacy.delta", "1")] {
                set.absent(name, unit, "no noise mechanism is in use: nothing is claimed");
            }
        }
        let Some((seats, k_min, bits)) = self.terms else { return };
        set.count("privacy.epochs", self.epochs, "1");
        set.count("privacy.committee", seats.into(), "1");
        set.count("privacy.k_min", k_min.into(), "1");
        set.count("privacy.bits", bits.into(), "bit");
        set.count("privacy.windows_opened", self.opened, "1");
        let mean = (self.opened > 0).then(|| self.answers as f64 / self.opened as f64);
        set.set("privacy.answers_per_window", mean, "1");
        set.count("privacy.members_recovered", self.recovered, "1");
        if self.audits.0 > 0 {
            set.count("privacy.audits", self.audits.0, "1");
            set.count("privacy.audits_differ", self.audits.1, "1");
        }
        for (reason, count) in &self.unopened {
            set.count(format!("privacy.windows_unopened.{reason}"), *count, "1");
        }
        for (leg, bytes) in &self.legs {
            set.count(format!("privacy.bytes.{leg}"), *bytes, "B");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;

    fn figures(kinds: Vec<RecordKind>) -> MetricsSet {
        let mut recorder = PrivacyRecorder::default();
        for (asset, kind) in (0..).zip(kinds) {
            recorder.record(&Record { time: SimTime::ZERO, asset: AssetIndex(asset % 2), kind });
        }
        let mut set = MetricsSet::default();
        recorder.write(&mut set);
        set
    }

    fn value(set: &MetricsSet, name: &str) -> Option<f64> {
        set.get(name).and_then(|metric| metric.value)
    }

    #[test]
    fn the_asset_that_spent_most_is_told_and_windows_are_counted_by_their_end() {
        let spent = |epsilon, releases, exhausted| RecordKind::PlanSpent {
            rho: epsilon / 2.0,
            epsilon,
            delta: 1e-6,
            releases,
            exhausted,
        };
        let window = |event, answers| RecordKind::PlanWindow { event, answers };
        let set = figures(vec![
            RecordKind::PlanEpoch { epoch: 1, seats: 4, k_min: 3, entries: 24, bits: 36 },
            spent(1.0, 1, false),
            spent(3.0, 3, true),
            spent(2.0, 2, false),
            window("published", 5),
            window("opened", 5),
            window("committee_silent", 0),
            RecordKind::PlanAudit { seat: AssetIndex(1), differs: false },
            RecordKind::PlanAudit { seat: AssetIndex(2), differs: true },
            RecordKind::PlanLeg { leg: "mask_sum", destination: AssetIndex(0), bytes: 120 },
        ]);
        assert_eq!(value(&set, "privacy.epsilon"), Some(3.0));
        assert_eq!(value(&set, "privacy.spent"), Some(1.5));
        assert_eq!(value(&set, "privacy.exhausted"), Some(1.0));
        assert_eq!(value(&set, "privacy.releases"), Some(5.0));
        assert_eq!(value(&set, "privacy.windows_opened"), Some(1.0));
        assert_eq!(value(&set, "privacy.windows_unopened.committee_silent"), Some(1.0));
        assert_eq!(value(&set, "privacy.bytes.mask_sum"), Some(120.0));
        assert_eq!(value(&set, "privacy.audits"), Some(2.0));
        assert_eq!(value(&set, "privacy.audits_differ"), Some(1.0));
    }

    #[test]
    fn nothing_is_claimed_without_noise() {
        let set = figures(vec![]);
        assert_eq!(value(&set, "privacy.epsilon"), None);
        assert!(set.get("privacy.epsilon").expect("named").note.is_some());
        assert!(set.get("privacy.windows_opened").is_none());
    }
}
