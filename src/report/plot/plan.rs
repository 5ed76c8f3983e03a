//! The plan: where the time of its rounds went, what its constraints cost, what each asset does.

use super::{
    Plot,
    figure::{Align, Entry, FAINT, INK, Layout, PALETTE, QUIET, cut, draw},
    scale::Scale,
};
use crate::report::{
    PlanFacts, RunFacts, Series,
    read::{Held, RoundTimes},
};
use std::collections::BTreeMap;

/// Rows drawn at most.
const ROWS: usize = 60;

/// A bar per round: light time, contacts, computation.
pub(super) fn rounds(rounds: &[RoundTimes], facts: &RunFacts) -> Option<Plot> {
    facts.plan.as_ref()?;
    let last = rounds.last()?.round;
    let parts = |round: &RoundTimes| [round.light_s, round.computation_s, round.contacts_s];
    let longest = rounds.iter().map(|round| parts(round).iter().sum::<f64>()).fold(0.0, f64::max);
    let (unit, name) = [(3600.0, "h"), (60.0, "min"), (1.0, "s")]
        .into_iter()
        .find(|unit| longest >= 2.0 * unit.0)
        .unwrap_or((1.0, "s"));
    let legend = [
        Entry { label: "light time there and back".into(), color: PALETTE[4] },
        Entry { label: "computation".into(), color: PALETTE[2] },
        Entry { label: "contacts, queues, time on air".into(), color: PALETTE[0] },
    ];
    let y = Scale::linear(0.0, longest / unit, 6.0, &format!("Length of the round ({name})"));
    let layout = Layout {
        title: "Where the rounds' time went",
        subtitle: "Along the message that closed the round: from the signal to the answer that came last. A round that closed \
                   without an answer waited for it, which counts as contacts.",
        legend: &legend,
        x: Scale::counts(0.0, last as f64 + 1.0, "Round"),
        y: Some(y.in_units_of(unit)),
        height: 320,
        left: 84,
    };
    let svg = draw(layout, |figure| {
        for round in rounds {
            let (left, right) =
                (figure.column(round.round as f64 - 0.4), figure.column(round.round as f64 + 0.4));
            let mut base = 0.0;
            for (part, entry) in parts(round).into_iter().zip(&legend) {
                let (from, to) = (figure.at(0.0, base).1, figure.at(0.0, base + part).1);
                if to < from {
                    figure.rect((left, to), (right.max(left + 1), from), entry.color);
                }
                base += part;
            }
        }
    });
    Some(Plot {
        name: "rounds",
        caption: "Length of each round of planning, by what it waited for.".into(),
        reading: "What light takes no radio can save; the rest is the contact plan's, and shrinks with more or longer contacts.",
        svg,
    })
}

/// The prices of one constraint: one line, or one for each of its slots.
struct Priced<'p> {
    name: &'p str,
    lines: Vec<(&'p str, Vec<(f64, f64)>)>,
}

impl Priced<'_> {
    /// What it costs at the end, and in which slot most; its slots are what stands in brackets.
    fn label(&self) -> String {
        let number = crate::report::words::number;
        let end = |line: &(&str, Vec<(f64, f64)>)| line.1.last().map_or(0.0, |point| point.1);
        let ends: Vec<f64> = self.lines.iter().map(end).collect();
        let (least, most) = ends.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        let dearest = self.lines.iter().max_by(|a, b| end(a).abs().total_cmp(&end(b).abs()));
        let slot = dearest.and_then(|line| line.0.strip_prefix(self.name)).filter(|slot| !slot.is_empty());
        match slot {
            Some(slot) if least < most => {
                format!("{} {} to {}, most in {slot}", self.name, number(least), number(most))
            }
            _ => format!("{} {}", self.name, number(most)),
        }
    }

    fn weight(&self) -> f64 {
        let ends = self.lines.iter().filter_map(|line| line.1.last());
        ends.fold(0.0, |most, point| most.max(point.1.abs()))
    }
}

/// The prices by constraint, those that cost most at the end first.
fn by_constraint(prices: &BTreeMap<String, Series>) -> Vec<Priced<'_>> {
    let mut found: Vec<Priced<'_>> = Vec::new();
    for (line, series) in prices {
        let name = line.split_once('[').map_or(line.as_str(), |(name, _)| name);
        let points = (line.as_str(), series.points());
        match found.iter_mut().find(|one| one.name == name) {
            Some(one) => one.lines.push(points),
            None => found.push(Priced { name, lines: vec![points] }),
        }
    }
    found.sort_by(|a, b| b.weight().total_cmp(&a.weight()).then(a.name.cmp(b.name)));
    found
}

/// The price of each constraint over time.
pub(super) fn prices(prices: &BTreeMap<String, Series>, facts: &RunFacts) -> Option<Plot> {
    facts.plan.as_ref()?;
    let mut priced = by_constraint(prices);
    let values = || priced.iter().flat_map(|one| &one.lines).flat_map(|line| &line.1).map(|point| point.1);
    let (lowest, highest) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    if lowest == highest {
        return None;
    }
    let ends = priced.iter().flat_map(|one| &one.lines).filter_map(|line| line.1.last());
    let shown_s = (1.1 * ends.map(|point| point.0).fold(0.0, f64::max)).min(facts.duration_s);
    let others = priced.split_off(priced.len().min(PALETTE.len()));
    let mut legend: Vec<Entry> =
        priced.iter().zip(PALETTE).map(|(one, color)| Entry { label: one.label(), color }).collect();
    if !others.is_empty() {
        legend.push(Entry { label: format!("{} other constraints", others.len()), color: FAINT });
    }
    let layout = Layout {
        title: "Prices",
        subtitle: "What the pool pays for one unit more, by constraint, a line for each of its slots, after each round. Numbers are those of the end.",
        legend: &legend,
        x: Scale::time(shown_s),
        y: Some(Scale::linear(lowest, highest, 6.0, "Price (cost per unit)")),
        height: 320,
        left: 84,
    };
    let svg = draw(layout, |figure| {
        let lines = |one: &Priced<'_>| one.lines.iter().map(|line| line.1.clone()).collect::<Vec<_>>();
        others.iter().flat_map(lines).for_each(|line| figure.line(&line, FAINT, 1, true));
        // The dearest on top.
        for (one, color) in priced.iter().zip(PALETTE).rev() {
            let width = if one.lines.len() > 1 { 1 } else { 2 };
            one.lines.iter().for_each(|line| figure.line(&line.1, color, width, true));
        }
    });
    Some(Plot {
        name: "prices",
        caption: "Price of each constraint that binds the fleet, over simulated time.".into(),
        reading: "A price far from zero says that what it prices is scarce then (or in excess, below zero); one that still moves has not \
                  been agreed on.",
        svg,
    })
}

/// What each asset plans, slot by slot, a row for each quantity that it gives or takes.
pub(super) fn plans(plans: &BTreeMap<usize, Held>, facts: &RunFacts) -> Option<Plot> {
    let plan = facts.plan.as_ref()?;
    let moved = |values: &Vec<f64>| values.iter().any(|value| value.abs() > 1e-9);
    let rows: Vec<(usize, &String, &Vec<f64>)> = plans
        .iter()
        .flat_map(|(asset, held)| held.iter().map(move |(quantity, values)| (*asset, quantity, values)))
        .filter(|(_, _, values)| moved(values))
        .collect();
    let (shown, left_out) = rows.split_at(rows.len().min(ROWS));
    if shown.is_empty() {
        return None;
    }
    let rest = match left_out.len() {
        0 => String::new(),
        count => format!(" {count} rows are left out."),
    };
    let legend: Vec<Entry> = plan
        .commodities
        .iter()
        .zip(PALETTE.iter().cycle())
        .map(|(name, color)| Entry { label: name.clone(), color: *color })
        .collect();
    let subtitle = format!(
        "What each asset holds at the end: up it gives to the pool, down it takes. Each row has its own scale, the largest value \
         stands at its left.{rest}"
    );
    let height = 34;
    let layout = Layout {
        title: "Plans",
        subtitle: &subtitle,
        legend: &legend,
        x: Scale::linear(0.0, f64::from(plan.span()), 12.0, &slots_title(plan)),
        y: None,
        height: height * shown.len() as i32 + 6,
        left: 250,
    };
    let svg = draw(layout, |figure| {
        let (left, right) = figure.sides();
        for (place, (asset, quantity, values)) in shown.iter().enumerate() {
            let top = figure.top() + 3 + height * place as i32;
            let middle = top + height / 2;
            if place == 0 || shown[place - 1].0 != *asset {
                figure.path(&[(24, top), (right, top)], FAINT, 1);
                figure.text((24, middle), &cut(&facts.assets[*asset].name, 18), 12, INK, Align::Left, true);
            }
            let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let label = format!("{} ±{}", cut(quantity, 12), crate::report::words::number(largest));
            figure.text((left - 8, middle), &label, 11, QUIET, Align::Right, false);
            figure.path(&[(left, middle), (right, middle)], FAINT, 1);
            let color = plan.commodities.iter().position(|name| name == *quantity).unwrap_or(0);
            for (slot, value) in values.iter().enumerate() {
                let reach = (f64::from(height / 2 - 3) * value / largest).round() as i32;
                let (from, to) = (figure.column(slot as f64 + 0.08), figure.column(slot as f64 + 0.92));
                let (high, low) = (middle.min(middle - reach), middle.max(middle - reach));
                if high < low {
                    figure.rect((from, high), (to.max(from + 1), low), PALETTE[color % PALETTE.len()]);
                }
            }
        }
    });
    Some(Plot {
        name: "plans",
        caption: "What each asset plans to give and take in every slot.".into(),
        reading: "Where a quantity is balanced, a slot's bars add up to nothing over the fleet when the plan is agreed on: what some give others take.",
        svg,
    })
}

fn slots_title(plan: &PlanFacts) -> String {
    format!("Slot ({} each)", crate::report::words::duration(plan.slot_s))
}
