//! The plan's gap and residuals over time.

use super::{
    Plot,
    figure::{Entry, Layout, PALETTE, draw},
    scale::Scale,
};
use crate::report::read::Convergence;

/// Values below this are drawn here: gaps are not resolved further.
const FLOOR: f64 = 1e-10;

pub(super) fn plot(table: &Convergence, end_s: f64) -> Option<Plot> {
    let lines = [
        ("Plan-optimality gap", &table.gap, 3),
        ("Primal residual ‖r‖₂", &table.primal, 1),
        ("Dual residual ‖s‖₂", &table.dual, 1),
    ];
    let lines: Vec<_> = lines
        .into_iter()
        .zip([PALETTE[0], PALETTE[1], PALETTE[2]])
        .filter(|((_, series, _), _)| !series.is_empty())
        .map(|((label, series, width), color)| (label, series.points(), width, color))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let values = || lines.iter().flat_map(|line| &line.1).map(|point| point.1);
    let lowest = values().fold(1e-7, f64::min).max(FLOOR);
    let highest = values().fold(1.0, f64::max);
    let entry = |line: &(&str, _, _, _)| Entry { label: line.0.into(), color: line.3 };
    let legend: Vec<Entry> = lines.iter().map(entry).collect();
    let layout = Layout {
        title: "Convergence of the shared plan",
        subtitle: "Distance of the plans that assets hold from the central optimum (the larger of relative objective gap and \
                   relative constraint violation), and the residuals of the exchange rounds.",
        legend: &legend,
        x: Scale::time(end_s),
        y: Some(Scale::decades(lowest, highest, "Gap (ratio), residuals (norm)")),
        height: 380,
        left: 84,
    };
    let svg = draw(layout, |figure| {
        figure.threshold(1e-3, "gap 10⁻³");
        figure.threshold(1e-6, "gap 10⁻⁶");
        // The thick line first: the thin ones stay visible on it.
        for (_, points, width, color) in &lines {
            figure.line(points, *color, *width, true);
        }
    });
    let caption = "Plan-optimality gap and residuals over simulated time, logarithmic.".into();
    Some(Plot { name: "convergence", caption, svg })
}
