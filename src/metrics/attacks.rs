//! `attack.*`: what adversaries did, and what it met; and how honest messages fared beside it.
//!
//! Memory: a count for each pair of attack and answer, both of which are words of the program.

use super::{Latencies, MetricsSet, is_application};
use crate::{
    engine::{Record, RecordKind},
    units::AssetIndex,
};
use std::collections::BTreeMap;

/// Counts attacks by their answers. Without adversaries it writes nothing.
#[derive(Clone, Debug, Default)]
pub struct AttackRecorder {
    adversaries: Vec<AssetIndex>,
    made: BTreeMap<&'static str, u64>,
    answers: BTreeMap<(&'static str, &'static str), u64>,
    unexpected: u64,
    submitted: u64,
    delivered: u64,
    honest: Latencies,
}

impl AttackRecorder {
    /// For a run with these adversaries.
    #[must_use]
    pub fn new(adversaries: Vec<AssetIndex>) -> Self {
        Self { adversaries, ..Self::default() }
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        if self.adversaries.is_empty() {
            return;
        }
        let honest = |asset: AssetIndex| !self.adversaries.contains(&asset);
        match record.kind {
            RecordKind::AttackMade { attack, .. } => *self.made.entry(attack).or_default() += 1,
            RecordKind::AttackAnswered { attack, answer, as_it_should, .. } => {
                *self.answers.entry((attack, answer)).or_default() += 1;
                self.unexpected += u64::from(!as_it_should);
            }
            RecordKind::Submitted { kind, .. } if is_application(kind) && honest(record.asset) => {
                self.submitted += 1;
            }
            RecordKind::Delivered { source, kind, latency, .. } if is_application(kind) && honest(source) => {
                self.delivered += 1;
                self.honest.record(latency);
            }
            _ => {}
        }
    }

    /// Attacks made, by word, and their answers with counts: what `attacks.csv` says.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64, Vec<(&'static str, u64)>)> + '_ {
        self.made.iter().map(|(attack, made)| {
            let answers = self.answers.range((*attack, "")..);
            let answers = answers.take_while(|((of, _), _)| of == attack);
            (*attack, *made, answers.map(|((_, answer), count)| (*answer, *count)).collect())
        })
    }

    /// Writes `attack.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        if self.adversaries.is_empty() {
            return;
        }
        set.count("attack.made_total", self.made.values().sum(), "1");
        set.count("attack.answered_total", self.answers.values().sum(), "1");
        set.count("attack.unexpected_answers", self.unexpected, "1");
        for (attack, made, answers) in self.rows() {
            set.count(format!("attack.made.{attack}"), made, "1");
            for (answer, count) in answers {
                set.count(format!("attack.answer.{attack}.{answer}"), count, "1");
            }
        }
        let ratio = (self.submitted > 0).then(|| self.delivered as f64 / self.submitted as f64);
        set.set("attack.honest_ratio", ratio, "1");
        set.count("attack.honest_submitted", self.submitted, "1");
        set.count("attack.honest_delivered", self.delivered, "1");
        self.honest.write("attack.honest_latency_s", set);
    }
}
