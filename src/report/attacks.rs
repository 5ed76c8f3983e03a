//! What adversaries did and what it met: `attacks.csv`, a section of the page, lines of the summary. All read from the metrics `attack.*`.

use crate::metrics::MetricsSet;
use std::fmt::Write as _;

/// One attack: how often it was made, and how often it met which answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttackRow {
    pub(super) attack: String,
    pub(super) made: u64,
    pub(super) answers: Vec<(String, u64)>,
}

impl AttackRow {
    /// The answers in words.
    pub(super) fn told(&self) -> String {
        if self.answers.is_empty() {
            return "no answer: it is gone around".into();
        }
        let mut text = String::new();
        for (answer, count) in &self.answers {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{} {count}", answer.replace('_', " "));
        }
        text
    }
}

/// The attacks of a run, by word; none without adversaries.
pub(super) fn attacks(metrics: &MetricsSet) -> Vec<AttackRow> {
    let mut rows: Vec<AttackRow> = Vec::new();
    let count = |value: Option<f64>| value.unwrap_or(0.0) as u64;
    for (name, metric) in metrics.iter() {
        if let Some(attack) = name.strip_prefix("attack.made.") {
            rows.push(AttackRow { attack: attack.into(), made: count(metric.value), answers: Vec::new() });
        }
    }
    for (name, metric) in metrics.iter() {
        let Some((attack, answer)) =
            name.strip_prefix("attack.answer.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        if let Some(row) = rows.iter_mut().find(|row| row.attack == attack) {
            row.answers.push((answer.into(), count(metric.value)));
        }
    }
    rows
}

/// `attacks.csv`; `None` without adversaries.
pub(super) fn attacks_csv(metrics: &MetricsSet) -> Option<String> {
    let rows = attacks(metrics);
    if rows.is_empty() {
        return None;
    }
    let mut text = String::from("attack,made,answer,count\n");
    for AttackRow { attack, made, answers } in &rows {
        if answers.is_empty() {
            let _ = writeln!(text, "{attack},{made},,");
        }
        for (answer, count) in answers {
            let _ = writeln!(text, "{attack},{made},{answer},{count}");
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_counted_by_their_answers_and_runs_without_any_have_no_table() {
        let mut set = MetricsSet::default();
        assert_eq!(attacks_csv(&set), None);
        set.count("attack.made.replay".to_owned(), 3, "1");
        set.count("attack.made.swallow".to_owned(), 2, "1");
        set.count("attack.answer.replay.duplicate".to_owned(), 1, "1");
        set.count("attack.answer.replay.duplicate_bundle".to_owned(), 2, "1");
        let text = attacks_csv(&set).expect("attacks");
        assert_eq!(
            text,
            "attack,made,answer,count\nreplay,3,duplicate,1\nreplay,3,duplicate_bundle,2\nswallow,2,,\n"
        );
        assert_eq!(attacks(&set)[0].told(), "duplicate 1, duplicate bundle 2");
    }
}
