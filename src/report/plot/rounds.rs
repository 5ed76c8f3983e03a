//! The rounds of planning: who they waited for, and what they cost to send.

use super::{
    Plot,
    figure::{Align, Entry, FAINT, INK, Layout, PALETTE, cut, draw},
    scale::Scale,
};
use crate::report::{RunFacts, read::RoundTimes};
use std::collections::BTreeSet;

/// Rows drawn at most.
const ROWS: usize = 60;
/// Pixels of a row.
const HEIGHT: i32 = 18;

/// A row for each asset that a round waited for, or that did not answer before it closed: a mark in each such round.
pub(super) fn waited(rounds: &[RoundTimes], facts: &RunFacts) -> Option<Plot> {
    facts.plan.as_ref()?;
    let last = rounds.last()?.round;
    let named: BTreeSet<&str> =
        rounds.iter().flat_map(|round| round.late.iter().chain(&round.slowest)).map(String::as_str).collect();
    let rows: Vec<&str> =
        facts.assets.iter().map(|asset| asset.name.as_str()).filter(|name| named.contains(name)).collect();
    let (shown, left_out) = rows.split_at(rows.len().min(ROWS));
    if shown.is_empty() {
        return None;
    }
    let rest = match left_out.len() {
        0 => String::new(),
        count => format!(" {count} assets are left out."),
    };
    let legend = [
        Entry { label: "answered last".into(), color: PALETTE[0] },
        Entry { label: "late: not in the round when it closed".into(), color: PALETTE[1] },
    ];
    let subtitle = format!("Whose answer closed each round, and whose was missing then.{rest}");
    let layout = Layout {
        title: "Who the rounds waited for",
        subtitle: &subtitle,
        legend: &legend,
        x: Scale::counts(0.0, last as f64 + 1.0, "Round"),
        y: None,
        height: HEIGHT * shown.len() as i32 + 6,
        left: 170,
    };
    let svg = draw(layout, |figure| {
        let (left, right) = figure.sides();
        for (place, name) in shown.iter().enumerate() {
            let top = figure.top() + 3 + HEIGHT * place as i32;
            let middle = top + HEIGHT / 2;
            figure.path(&[(left, middle), (right, middle)], FAINT, 1);
            figure.text((left - 8, middle), &cut(name, 20), 12, INK, Align::Right, false);
            for round in rounds {
                let color = if round.late.iter().any(|late| late == name) {
                    legend[1].color
                } else if round.slowest.as_deref() == Some(*name) {
                    legend[0].color
                } else {
                    continue;
                };
                let (from, to) =
                    (figure.column(round.round as f64 - 0.4), figure.column(round.round as f64 + 0.4));
                figure.rect((from, top + 3), (to.max(from + 1), top + HEIGHT - 3), color);
            }
        }
    });
    Some(Plot {
        name: "rounds_waited",
        caption: "For each round of planning, which asset answered last and which did not answer in time."
            .into(),
        reading: "An asset that closes every round is the one whose contacts to mend; one that is often late holds nobody up, but \
                  plans on old prices.",
        svg,
    })
}

/// A bar per round: bytes of all planning messages that were submitted in it.
pub(super) fn bytes(rounds: &[RoundTimes], facts: &RunFacts) -> Option<Plot> {
    facts.plan.as_ref()?;
    let last = rounds.last()?.round;
    let most = rounds.iter().map(|round| round.bytes).max()? as f64;
    let (unit, name) = if most >= 2000.0 { (1000.0, "kB") } else { (1.0, "B") };
    let mut legend = vec![Entry { label: "questions and answers".into(), color: PALETTE[0] }];
    if rounds.iter().any(|round| round.committee_bytes > 0) {
        legend.push(Entry { label: "keys, survivor sets and mask sums".into(), color: PALETTE[1] });
    }
    let y = Scale::linear(0.0, most / unit, 6.0, &format!("Payload ({name})"));
    let layout = Layout {
        title: "Bytes of each round",
        subtitle: "Payloads of the planning messages that anybody submitted between the end of the round before and its own.",
        legend: &legend,
        x: Scale::counts(0.0, last as f64 + 1.0, "Round"),
        y: Some(y.in_units_of(unit)),
        height: 240,
        left: 84,
    };
    let svg = draw(layout, |figure| {
        for round in rounds {
            // Many bars without gaps: narrower ones would make stripes of their own.
            let half = if rounds.len() > 120 { 0.5 } else { 0.4 };
            let (left, right) =
                (figure.column(round.round as f64 - half), figure.column(round.round as f64 + half));
            let height = |bytes: u64| figure.at(0.0, bytes as f64).1;
            let answers = round.bytes - round.committee_bytes;
            for (color, from, to) in [
                (legend[0].color, height(0), height(answers)),
                (PALETTE[1], height(answers), height(round.bytes)),
            ] {
                if to < from {
                    figure.rect((left, to), (right.max(left + 1), from), color);
                }
            }
        }
    });
    Some(Plot {
        name: "rounds_bytes",
        caption: "Bytes of planning messages in each round.".into(),
        reading: "Across light time a round that carries more and ends sooner is worth its bytes.",
        svg,
    })
}
