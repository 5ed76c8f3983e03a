//! The headline figures and what needs attention: on the terminal and on top of the page.

use super::{RunFacts, attacks::attacks, words};
use crate::metrics::{Metric, MetricsSet};
use std::fmt::Write as _;

/// What people look at first: name and words for it.
pub(super) const HEADLINES: [(&str, &str); 15] = [
    ("attack.honest_ratio", "Messages delivered that honest members sent"),
    ("delivery.ratio", "Messages delivered"),
    ("delivery.delivered", "Application messages that arrived"),
    ("attack.honest_latency_s.p50", "Latency of honest messages, median"),
    ("delivery.latency_s.p50", "Delivery latency, median"),
    ("delivery.latency_s.p99", "Delivery latency, 99\u{a0}%"),
    ("plan.time_to_gap_1e3_s", "Time until the plan's gap stays below 10⁻³"),
    ("plan.optimality_gap", "Plan-optimality gap at the end"),
    ("plan.integrality_gap", "What whole requests cost beside the relaxed plan"),
    ("sync.latency_s.p95", "Shared state everywhere, 95\u{a0}%"),
    ("sync.replicas_diverged", "Replicas that differ at the end"),
    ("link.bytes_on_air", "Bytes on air"),
    ("link.contact_utilisation", "Contact time used"),
    ("energy.joules_per_delivered_byte", "Radio energy per delivered byte"),
    ("energy.min_state_of_charge", "Lowest battery charge"),
];

/// Below this state of charge a battery is worth a warning.
const LOW_CHARGE: f64 = 0.2;
/// Above this share of all messages, those that have not arrived at the end are worth a warning. Nobody tells of a datagram that was dropped
/// or expired on its way.
const MANY_IN_FLIGHT: f64 = 0.01;

/// The headline figures that this run has, with the words for their values. What a scenario does not do (no plan, no shared
/// state) has no figures; a goal that was not reached has.
pub(super) fn headlines(
    metrics: &MetricsSet,
) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
    HEADLINES.into_iter().filter_map(|(name, label)| {
        let metric: &Metric = metrics.get(name)?;
        let planned = name == "plan.time_to_gap_1e3_s" && value(metrics, "plan.rounds") > 0.0;
        // A fleet that only plans sends no messages of applications.
        let silent = value(metrics, "delivery.submitted") == 0.0 && value(metrics, "plan.rounds") > 0.0;
        if name.starts_with("delivery.") && silent {
            return None;
        }
        // What adversaries send counts in `delivery.*`, and says nothing of how the fleet fares.
        let attacked = metrics.get("attack.honest_submitted").is_some();
        if attacked && matches!(name, "delivery.ratio" | "delivery.latency_s.p50" | "delivery.latency_s.p99")
        {
            return None;
        }
        // Where nobody has a battery, both figures of energy are empty words.
        if name.starts_with("energy.") && value(metrics, "energy.radio_joules") == 0.0 {
            return None;
        }
        match metric.value {
            Some(_) => Some((name, label, words::metric(name, metric))),
            None if planned => Some((name, label, "never".into())),
            None => None,
        }
    })
}

fn value(metrics: &MetricsSet, name: &str) -> f64 {
    metrics.get(name).and_then(|metric| metric.value).unwrap_or(0.0)
}

/// What a reader should look into, beside the oracles' findings: one sentence each.
pub(super) fn attention(metrics: &MetricsSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |count: f64, one: &str, many: &str| {
        if count > 0.0 {
            found.push(format!("{} {}", words::number(count), if count == 1.0 { one } else { many }));
        }
    };
    note(
        value(metrics, "delivery.abandoned"),
        "message was given up: out of attempts or out of time",
        "messages were given up: out of attempts or out of time",
    );
    note(
        value(metrics, "delivery.submissions_refused"),
        "message was refused by its own node: the node was down, or its window or store full",
        "messages were refused by their own nodes: the node was down, or its window or store full",
    );
    note(
        value(metrics, "sync.replicas_diverged"),
        "replica differs at the end",
        "replicas differ at the end",
    );
    note(
        value(metrics, "sync.writes_incomplete"),
        "write did not reach every replica",
        "writes did not reach every replica",
    );
    for (name, metric) in metrics.iter() {
        let Some(reason) = name.strip_prefix("security.refused.") else { continue };
        let count = metric.value.unwrap_or(0.0);
        if reason == "write" {
            // The node's own application asked for it, not a peer.
            note(count, "write to shared state was refused", "writes to shared state were refused");
        } else if !matches!(reason, "duplicate" | "nothing_to_remove") {
            // Copies that came twice are the price of retransmission, and removing what is gone is nobody's fault.
            let what = format!("refused from peers: {}", reason.replace('_', " "));
            note(count, &format!("input {what}"), &format!("inputs {what}"));
        }
    }
    let (flying, all) = (value(metrics, "delivery.in_flight_at_end"), value(metrics, "delivery.submitted"));
    if flying > MANY_IN_FLIGHT * all {
        let (count, share) = (words::number(flying), words::share(flying / all));
        found.push(format!(
            "{count} messages ({share}) had not arrived at the end: under way, dropped or expired"
        ));
    }
    let never = metrics.get("plan.time_to_gap_1e3_s").is_some_and(|metric| metric.value.is_none());
    if never && value(metrics, "plan.rounds") > 0.0 {
        found.push("the plan did not come within 10⁻³ of the optimum".into());
    }
    if let Some(charge) = metrics.get("energy.min_state_of_charge").and_then(|metric| metric.value)
        && charge < LOW_CHARGE
    {
        found.push(format!("a battery fell to {}", words::share(charge)));
    }
    found
}

/// By which method the fleet planned and why, and what its rounds waited for, in sentences: none where nothing was planned.
pub(super) fn planned(metrics: &MetricsSet) -> Vec<String> {
    let Some(chosen) = metrics.get("plan.solver_chosen") else { return Vec::new() };
    let mut told = vec![format!("Method: {}", chosen.note.as_deref().unwrap_or("not told"))];
    if let Some(more) = chosen.value.filter(|count| *count > 1.0) {
        told.push(format!(
            "{} coordinators began a term or a horizon; the method is the last one's",
            words::number(more)
        ));
    }
    if metrics.get("plan.lost_to_contacts_s").is_some_and(|metric| metric.value.is_some()) {
        let lost = |name: &str| words::duration(value(metrics, name));
        told.push(format!(
            "{} rounds waited {} for light, {} for contacts, queues and time on air, and {} for computation; {} answers were late",
            words::number(value(metrics, "plan.rounds")),
            lost("plan.lost_to_light_time_s"),
            lost("plan.lost_to_contacts_s"),
            lost("plan.lost_to_computation_s"),
            words::number(value(metrics, "plan.late")),
        ));
        let bytes = words::bytes(value(metrics, "plan.bytes_per_round"));
        told.push(format!("{bytes} of planning messages were submitted in a round, in the mean"));
    }
    told
}

/// What of the plan's answers anybody could see, and what was spent, in sentences: none where no plan has masks.
pub(super) fn privacy_spent(metrics: &MetricsSet) -> Vec<String> {
    let number = |name: &str| words::number(value(metrics, name));
    let mut told = Vec::new();
    if metrics.get("privacy.windows_opened").is_none() {
        return told;
    }
    told.push(format!(
        "The coordinator saw {} sums of at least {} answers each, and no answer; {} members of a committee opened them",
        number("privacy.windows_opened"),
        number("privacy.k_min"),
        number("privacy.committee"),
    ));
    for (name, metric) in metrics.iter() {
        let Some(reason) = name.strip_prefix("privacy.windows_unopened.") else { continue };
        let count = words::number(metric.value.unwrap_or(0.0));
        told.push(format!("{count} times a sum stayed closed: {}", reason.replace('_', " ")));
    }
    let share = |name: &str| words::number(value(metrics, name).round());
    told.push(format!(
        "A round cost {} bytes of answers and {} bytes to open them",
        share("plan.uplink_bytes_per_round"),
        share("plan.committee_bytes_per_round"),
    ));
    match metrics.get("privacy.epsilon").and_then(|metric| metric.value) {
        None => told.push("No noise was added: who knows all but one answer of a sum knows that one".into()),
        Some(epsilon) => {
            let (delta, rho) = (value(metrics, "privacy.delta"), value(metrics, "privacy.spent"));
            let exhausted = number("privacy.exhausted");
            told.push(format!(
                "Under noise the asset that told most spent ε = {epsilon:.4} at δ = {delta:e} (ρ = {rho:.4}); {exhausted} assets \
                 have spent their budget and answer no more"
            ));
        }
    }
    told
}

/// The summary that `run` prints: headline figures, what needs attention, oracles, fingerprint.
#[must_use]
pub fn summary(facts: &RunFacts, metrics: &MetricsSet) -> String {
    let rows: Vec<_> = headlines(metrics).collect();
    let width = |text: &str| text.chars().count();
    let label_width = rows.iter().map(|row| width(row.1)).max().unwrap_or(0);
    let value_width = rows.iter().map(|row| width(&row.2)).max().unwrap_or(0);
    let head = format!(
        "{}: {} assets, {} from {}, seed {}",
        facts.scenario,
        facts.assets.len(),
        words::duration(facts.duration_s),
        facts.epoch_utc,
        facts.seed
    );
    let names = rows.iter().map(|row| width(row.0)).max().unwrap_or(0);
    let rule = "─".repeat((label_width + value_width + names + 4).max(width(&head)));
    let mut text = format!("{head}\n{rule}\n");
    for (name, label, value) in &rows {
        let _ = writeln!(text, "{label:label_width$}  {value:>value_width$}  {name}");
    }
    text.push('\n');
    if let Some(caveat) = &facts.caveat {
        let _ = writeln!(text, "study        {caveat}");
    }
    for sentence in attention(metrics) {
        let _ = writeln!(text, "warning      {sentence}");
    }
    for row in attacks(metrics) {
        let _ = writeln!(text, "attack       {}, {}: {}", row.attack.replace('_', " "), row.made, row.told());
    }
    for sentence in planned(metrics) {
        let _ = writeln!(text, "plan         {sentence}");
    }
    for sentence in privacy_spent(metrics) {
        let _ = writeln!(text, "privacy      {sentence}");
    }
    match facts.oracles.total {
        0 => text.push_str("oracles      hold\n"),
        total => {
            let _ = writeln!(text, "oracles      FAILED: {} violations", words::number(total as f64));
            let shown = &facts.oracles.violations[..facts.oracles.violations.len().min(SHOWN_VIOLATIONS)];
            shown.iter().for_each(|violation| {
                let _ = writeln!(text, "  {violation}");
            });
            if total > shown.len() as u64 {
                let _ = writeln!(text, "  … more in run.json");
            }
        }
    }
    let _ = writeln!(text, "fingerprint  {}", facts.fingerprint);
    text
}

/// Violations that the summary names.
const SHOWN_VIOLATIONS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(values: &[(&str, Option<f64>)]) -> MetricsSet {
        let fields = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), serde_json::json!({ "value": value, "unit": "1" })));
        serde_json::from_value(serde_json::Value::Object(fields.collect()))
            .expect("metrics are a flat object")
    }

    #[test]
    fn what_a_scenario_does_not_do_has_no_line() {
        let names = |set: &MetricsSet| headlines(set).map(|line| line.0).collect::<Vec<_>>();
        let none = metrics(&[("delivery.ratio", Some(1.0)), ("plan.time_to_gap_1e3_s", None)]);
        assert_eq!(names(&none), ["delivery.ratio"]);
        let missed = metrics(&[("plan.rounds", Some(9.0)), ("plan.time_to_gap_1e3_s", None)]);
        assert_eq!(names(&missed), ["plan.time_to_gap_1e3_s"]);
        assert_eq!(attention(&missed), ["the plan did not come within 10⁻³ of the optimum"]);
    }

    #[test]
    fn a_quiet_run_needs_no_attention_and_a_lossy_one_does() {
        let quiet = [("delivery.abandoned", Some(0.0)), ("security.refused.duplicate", Some(7.0))];
        assert!(attention(&metrics(&quiet)).is_empty());
        let lossy = [
            ("delivery.abandoned", Some(1.0)),
            ("delivery.in_flight_at_end", Some(5.0)),
            ("delivery.submitted", Some(100.0)),
            ("energy.min_state_of_charge", Some(0.13)),
        ];
        assert_eq!(
            attention(&metrics(&lossy)),
            [
                "1 message was given up: out of attempts or out of time",
                "5 messages (5 %) had not arrived at the end: under way, dropped or expired",
                "a battery fell to 13 %",
            ]
        );
    }
}
