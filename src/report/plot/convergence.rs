//! The plan's gap and residuals over time.

use super::{
    Plot,
    figure::{Entry, Layout, PALETTE, draw},
    scale::Scale,
};
use crate::report::read::{Convergence, Round};
use plotters::style::RGBColor;

/// Values below this are drawn here: gaps are not resolved further.
const FLOOR: f64 = 1e-10;

/// A line of the figure: label, points, width, colour.
type Line = (&'static str, Vec<(f64, f64)>, u32, RGBColor);

/// Over simulated time, as far as the rounds go.
pub(super) fn plot(table: &Convergence, end_s: f64) -> Option<Plot> {
    let lines = lines([&table.gap, &table.primal, &table.dual].map(|series| series.points()))?;
    let last = lines.iter().filter_map(|line| line.1.last()).map(|point| point.0).fold(0.0, f64::max);
    let (shown_s, ends) = match 1.1 * last {
        shown if shown < 0.8 * end_s => {
            (shown, " The picture ends soon after the last round, before the run does.")
        }
        _ => (end_s, ""),
    };
    let subtitle = format!(
        "Distance of the plans that assets hold from the central optimum (the larger of relative objective gap and relative \
         constraint violation), and the residuals of the rounds.{ends}"
    );
    let svg = figure(&lines, ("Convergence of the shared plan", &subtitle), Scale::time(shown_s), true);
    let caption = "Plan-optimality gap and residuals over simulated time, logarithmic.".into();
    let reading = "A round takes as long as its slowest message: level stretches are waits for a contact, drops the rounds that it \
                   lets through.";
    Some(Plot { name: "convergence", caption, reading, svg })
}

/// Over rounds: how good the method is, whatever the contacts.
pub(super) fn by_round(table: &Convergence) -> Option<Plot> {
    let (&last, _) = table.by_round.last_key_value()?;
    let column = |pick: fn(&Round) -> Option<f64>| {
        let points = table.by_round.iter();
        points.filter_map(|(round, values)| Some((*round as f64, pick(values)?))).collect::<Vec<_>>()
    };
    let lines = lines([column(|round| round.gap), column(|round| round.primal), column(|round| round.dual)])?;
    let subtitle = "The same, at the end of each round.";
    let x = Scale::counts(0.0, last as f64, "Round");
    let svg = figure(&lines, ("Convergence by round", subtitle), x, false);
    let caption = "Plan-optimality gap and residuals by round, logarithmic.".into();
    let reading = "Straight lines downwards are linear convergence, as the method promises; a bend is a constraint that starts or \
                   ceases to bind.";
    Some(Plot { name: "convergence_rounds", caption, reading, svg })
}

/// Gap, primal and dual residual; none without a point.
fn lines(points: [Vec<(f64, f64)>; 3]) -> Option<Vec<Line>> {
    let looks = [("Plan-optimality gap", 3), ("Primal residual ‖r‖₂", 1), ("Dual residual ‖s‖₂", 1)];
    let lines: Vec<Line> = looks
        .into_iter()
        .zip(points)
        .zip(PALETTE)
        .filter(|((_, points), _)| !points.is_empty())
        .map(|(((label, width), points), color)| (label, points, width, color))
        .collect();
    (!lines.is_empty()).then_some(lines)
}

fn figure(lines: &[Line], (title, subtitle): (&str, &str), x: Scale, step: bool) -> String {
    let values = || lines.iter().flat_map(|line| &line.1).map(|point| point.1);
    let lowest = values().fold(1e-7, f64::min).max(FLOOR);
    let highest = values().fold(1.0, f64::max);
    let entry = |line: &Line| Entry { label: line.0.into(), color: line.3 };
    let legend: Vec<Entry> = lines.iter().map(entry).collect();
    let layout = Layout {
        title,
        subtitle,
        legend: &legend,
        x,
        y: Some(Scale::decades(lowest, highest, "Gap (ratio), residuals (norm)")),
        height: 380,
        left: 84,
    };
    draw(layout, |figure| {
        figure.threshold(1e-3, "gap 10⁻³");
        figure.threshold(1e-6, "gap 10⁻⁶");
        // The thick line first: the thin ones stay visible on it.
        for (_, points, width, color) in lines {
            figure.line(points, *color, *width, step);
            if !step {
                figure.dots(points, *color);
            }
        }
    })
}
