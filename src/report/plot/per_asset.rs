//! One line per asset: staleness of replicas, charge of batteries.

use super::{
    Plot,
    figure::{Entry, FAINT, Layout, PALETTE, draw},
    scale::Scale,
};
use crate::report::{RunFacts, Series};
use std::collections::BTreeMap;

/// The lines of a figure: those that matter most in colour with their names, the others in grey behind.
struct Lines {
    named: Vec<(String, Vec<(f64, f64)>)>,
    others: Vec<Vec<(f64, f64)>>,
}

impl Lines {
    /// `worst_first` ranks an asset's points: the highest are named.
    fn of(
        series: &BTreeMap<usize, Series>,
        facts: &RunFacts,
        worst_first: impl Fn(&[(f64, f64)]) -> f64,
    ) -> Option<Self> {
        let mut ranked: Vec<(usize, Vec<(f64, f64)>)> =
            series.iter().map(|(asset, series)| (*asset, series.points())).collect();
        if ranked.is_empty() {
            return None;
        }
        ranked.sort_by(|a, b| worst_first(&b.1).total_cmp(&worst_first(&a.1)).then(a.0.cmp(&b.0)));
        let others = ranked.split_off(ranked.len().min(PALETTE.len()));
        ranked.sort_by_key(|line| line.0);
        let named = ranked.into_iter().map(|(asset, points)| (facts.assets[asset].name.clone(), points));
        Some(Self { named: named.collect(), others: others.into_iter().map(|line| line.1).collect() })
    }

    fn legend(&self) -> Vec<Entry> {
        let named = self.named.iter().zip(PALETTE);
        let mut entries: Vec<Entry> =
            named.map(|(line, color)| Entry { label: line.0.clone(), color }).collect();
        if !self.others.is_empty() {
            entries.push(Entry { label: format!("{} other assets", self.others.len()), color: FAINT });
        }
        entries
    }

    fn highest(&self) -> f64 {
        let points = self.named.iter().map(|line| &line.1).chain(&self.others).flatten();
        points.map(|point| point.1).fold(0.0, f64::max)
    }

    fn draw(&self, layout: Layout<'_>, step: bool) -> String {
        draw(layout, |figure| {
            for points in &self.others {
                figure.line(points, FAINT, 1, step);
            }
            for ((_, points), color) in self.named.iter().zip(PALETTE) {
                figure.line(points, color, 2, step);
            }
        })
    }
}

/// How far each replica lags.
pub(super) fn staleness(series: &BTreeMap<usize, Series>, facts: &RunFacts) -> Option<Plot> {
    let mean = |points: &[(f64, f64)]| points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
    let lines = Lines::of(series, facts, mean)?;
    let highest = lines.highest();
    let units = [(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "days")];
    let (unit, name) = units.into_iter().rev().find(|unit| highest >= 2.0 * unit.0).unwrap_or((1.0, "s"));
    let y = Scale::linear(0.0, highest / unit, 6.0, &format!("Oldest write not seen yet ({name})"));
    let named = match lines.others.len() {
        0 => "",
        _ => " In colour: the replicas that lag most on average.",
    };
    let layout = Layout {
        title: "State staleness",
        subtitle: &format!(
            "Age of the oldest write that a replica does not see yet; zero when it sees all.{named}"
        ),
        legend: &lines.legend(),
        x: Scale::time(facts.duration_s),
        y: Some(y.in_units_of(unit)),
        height: 320,
        left: 84,
    };
    let svg = lines.draw(layout, false);
    let reading = "A line climbs while a replica waits for a contact that brings what others wrote, and falls when it comes. Zero at \
                   the end means that everybody holds the same.";
    Some(Plot {
        name: "staleness",
        caption: "Staleness of each replica over simulated time.".into(),
        reading,
        svg,
    })
}

/// How full each battery is.
pub(super) fn energy(series: &BTreeMap<usize, Series>, facts: &RunFacts) -> Option<Plot> {
    let percent = |series: &Series| {
        let mut scaled = Series::default();
        series.points().iter().for_each(|(x, y)| scaled.push(*x, 100.0 * y));
        scaled
    };
    let assets = series.len();
    // Assets without a battery are told as full: they and those that never draw on theirs would only hide the others.
    let series: BTreeMap<usize, Series> = series
        .iter()
        .map(|(asset, series)| (*asset, percent(series)))
        .filter(|(_, series)| series.points().iter().any(|point| point.1 < 99.95))
        .collect();
    let full = assets - series.len();
    let floor = series.values().flat_map(Series::points).map(|point| point.1).fold(100.0, f64::min);
    let floor = [95.0, 90.0, 80.0, 50.0].into_iter().find(|bound| floor >= *bound).unwrap_or(0.0);
    let lowest = |points: &[(f64, f64)]| -points.iter().map(|point| point.1).fold(100.0, f64::min);
    let lines = Lines::of(&series, facts, lowest)?;
    let named = match lines.others.len() {
        0 => "",
        _ => " In colour: the batteries that get lowest.",
    };
    let full = match full {
        0 => String::new(),
        1 => " 1 asset is not drawn: it has no battery or stays full.".into(),
        full => format!(" {full} assets are not drawn: they have no battery or stay full."),
    };
    let cut = if floor > 0.0 { " The axis does not start at zero." } else { "" };
    let layout = Layout {
        title: "Battery state of charge",
        subtitle: &format!("Energy in each battery over its capacity.{named}{full}{cut}"),
        legend: &lines.legend(),
        x: Scale::time(facts.duration_s),
        y: Some(Scale::linear(floor, 100.0, 5.0, "State of charge (%)")),
        height: 320,
        left: 84,
    };
    let svg = lines.draw(layout, false);
    let reading = "Nights, eclipses and long transmissions pull a line down; one that never comes back to the top spends more than \
                   its source gives.";
    let caption = "State of charge of each battery over simulated time.".into();
    Some(Plot { name: "energy", caption, reading, svg })
}
