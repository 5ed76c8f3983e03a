//! The headline figures: on the terminal and on top of the page.

use super::{RunFacts, words};
use crate::metrics::{Metric, MetricsSet};
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

/// What people look at first: name and words for it.
pub(super) const HEADLINES: [(&str, &str); 12] = [
    ("delivery.ratio", "Messages delivered"),
    ("delivery.delivered", "Application messages that arrived"),
    ("delivery.latency_s.p50", "Delivery latency, median"),
    ("delivery.latency_s.p99", "Delivery latency, 99 %"),
    ("plan.optimality_gap", "Plan-optimality gap at the end"),
    ("plan.time_to_gap_1e3_s", "Time until the gap stays below 10⁻³"),
    ("sync.latency_s.p95", "Shared state everywhere, 95 %"),
    ("sync.replicas_diverged", "Replicas that differ at the end"),
    ("link.bytes_on_air", "Bytes on air"),
    ("link.contact_utilisation", "Contact time used"),
    ("energy.min_state_of_charge", "Lowest battery charge"),
    ("security.refused_total", "Inputs from peers refused"),
];

/// The headline figures that this run has.
pub(super) fn headlines(metrics: &MetricsSet) -> impl Iterator<Item = (&'static str, &'static str, &Metric)> {
    HEADLINES.into_iter().filter_map(|(name, words)| metrics.get(name).map(|metric| (name, words, metric)))
}

/// The summary that `run` prints: headline figures, oracles, fingerprint.
#[must_use]
pub fn summary(facts: &RunFacts, metrics: &MetricsSet) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(vec![facts.scenario.clone(), words::duration(facts.duration_s), "metric".into()]);
    for (name, words, metric) in headlines(metrics) {
        table.add_row(vec![words.to_owned(), words::metric(name, metric), name.to_owned()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let oracles = match facts.oracles.total {
        0 => "oracles      hold".to_owned(),
        total => {
            let shown = facts.oracles.violations.iter().take(10).map(|text| format!("\n  {text}"));
            format!("oracles      {total} violations{}", shown.collect::<String>())
        }
    };
    format!("{table}\nseed         {}\nfingerprint  {}\n{oracles}\n", facts.seed, facts.fingerprint)
}
