//! The contact timeline: a row per pair of assets, a bar per contact.

use super::{
    Plot,
    figure::{Align, Entry, FAINT, Figure, INK, Layout, PALETTE, QUIET, cut, draw},
    scale::Scale,
};
use crate::report::{RunFacts, read::ContactRow};
use plotters::style::RGBColor;
use std::collections::BTreeMap;

/// Rows drawn at most.
const ROWS: usize = 60;
/// Behind every second group of rows.
const BAND: RGBColor = RGBColor(0xF5, 0xF7, 0xF8);

/// The contacts of two assets, in both directions.
#[derive(Default)]
struct Pair {
    /// (start, end), from the one with the smaller index, and back.
    forth: Vec<(f64, f64)>,
    back: Vec<(f64, f64)>,
    busy_s: f64,
    open_s: f64,
}

pub(super) fn plot(contacts: &[ContactRow], facts: &RunFacts) -> Option<Plot> {
    let mut pairs: BTreeMap<(usize, usize), Pair> = BTreeMap::new();
    for contact in contacts {
        let key = (contact.from.min(contact.to), contact.from.max(contact.to));
        let pair = pairs.entry(key).or_default();
        let bars = if contact.from < contact.to { &mut pair.forth } else { &mut pair.back };
        bars.push((contact.start_s, contact.end_s));
        pair.busy_s += contact.busy_s.unwrap_or(0.0);
        pair.open_s += contact.end_s - contact.start_s;
    }
    if pairs.is_empty() {
        return None;
    }
    let all = pairs.len();
    let steady = if all > ROWS { leave_out_steady(&mut pairs, facts.duration_s) } else { 0 };
    let shown = most_used(pairs);
    let mut left_out = String::new();
    if steady > 0 {
        left_out.push_str(&format!(" {steady} pairs that are in contact all the time are left out."));
    }
    let rest = all - steady - shown.len();
    if rest > 0 {
        left_out.push_str(&format!(
            " Shown are the {ROWS} pairs with most time on air; {rest} pairs are left out."
        ));
    }
    let subtitle = format!(
        "When assets could reach each other, {all} pairs: upper half of a row from the left-hand name to the right-hand one, \
         lower half back. Windows closer than a pixel run together.{left_out}"
    );
    let legend = [
        Entry { label: "first → second".into(), color: PALETTE[0] },
        Entry { label: "second → first".into(), color: PALETTE[4] },
    ];
    let row_height = if shown.len() <= 30 { 20 } else { 15 };
    let layout = Layout {
        title: "Contact timeline",
        subtitle: &subtitle,
        legend: &legend,
        x: Scale::time(facts.duration_s),
        y: None,
        height: row_height * shown.len() as i32 + 6,
        left: 250,
    };
    let svg = draw(layout, |figure| {
        let mut group = 0;
        for (place, ((first, second), pair)) in shown.iter().enumerate() {
            let new_group = place > 0 && shown[place - 1].0.0 != *first;
            group += usize::from(new_group);
            let top = figure.top() + 3 + row_height * place as i32;
            if group % 2 == 1 {
                let (left, right) = figure.sides();
                figure.rect((4, top), (left, top + row_height), BAND);
                figure.rect((left, top), (right, top + row_height), BAND);
            }
            if new_group {
                figure.path(&[(24, top), (figure.sides().1, top)], FAINT, 1);
            }
            row(figure, (place == 0 || new_group, top, row_height), (facts, *first, *second), pair);
        }
    });
    let caption = "Contact windows of each pair of assets over simulated time.".into();
    let reading = "Gaps are what store-and-forward has to bridge; bars cut short at the same moment in many rows are faults.";
    Some(Plot { name: "contacts", caption, reading, svg })
}

/// One row: names, then the bars of both directions.
fn row(
    figure: &mut Figure<'_>,
    (heads, top, height): (bool, i32, i32),
    (facts, first, second): (&RunFacts, usize, usize),
    pair: &Pair,
) {
    let (left, middle) = (figure.sides().0, top + height / 2);
    let size = if height >= 20 { 12 } else { 10 };
    let name = |asset: usize| cut(&facts.assets[asset].name, 18);
    // The first name stands once per group: the eye finds the group by it.
    if heads {
        figure.text((24, middle), &name(first), size, INK, Align::Left, true);
    }
    figure.text((left - 8, middle), &name(second), size, QUIET, Align::Right, false);
    for (bars, from, to, color) in
        [(&pair.forth, top + 2, middle, PALETTE[0]), (&pair.back, middle, top + height - 2, PALETTE[4])]
    {
        for (start, end) in merged(figure, bars) {
            figure.rect((start, from), (end, to), color);
        }
    }
}

/// Bars as pixel columns, each at least one wide, those that touch joined.
fn merged(figure: &Figure<'_>, bars: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut columns: Vec<(i32, i32)> = bars
        .iter()
        .map(|(start, end)| {
            let start = figure.column(*start);
            (start, figure.column(*end).max(start + 1))
        })
        .collect();
    columns.sort_unstable();
    let mut joined: Vec<(i32, i32)> = Vec::new();
    for (start, end) in columns {
        match joined.last_mut() {
            Some(last) if last.1 >= start => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Takes out the pairs whose both directions are open from start to end, unless all are so: a picture of full rows says
/// nothing. Returns how many went.
fn leave_out_steady(pairs: &mut BTreeMap<(usize, usize), Pair>, duration_s: f64) -> usize {
    let steady = |pair: &Pair| pair.open_s >= 1.999 * duration_s;
    if pairs.values().all(steady) {
        return 0;
    }
    let before = pairs.len();
    pairs.retain(|_, pair| !steady(pair));
    before - pairs.len()
}

/// The pairs that were on air longest (then: in contact longest), in order of their assets.
fn most_used(pairs: BTreeMap<(usize, usize), Pair>) -> Vec<((usize, usize), Pair)> {
    let mut ranked: Vec<_> = pairs.into_iter().collect();
    ranked.sort_by(|(a_key, a), (b_key, b)| {
        b.busy_s.total_cmp(&a.busy_s).then(b.open_s.total_cmp(&a.open_s)).then(a_key.cmp(b_key))
    });
    ranked.truncate(ROWS);
    ranked.sort_by_key(|pair| pair.0);
    ranked
}
