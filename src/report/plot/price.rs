//! The price of privacy: how far a plan is from the optimum, against the budget ε.

use super::{
    figure::{Entry, Layout, PALETTE, draw},
    scale::Scale,
};
use std::collections::BTreeMap;

/// Gaps below this are drawn here.
const FLOOR: f64 = 1e-10;

/// One run at one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PricePoint {
    /// The budget ε of each participant.
    pub budget: f64,
    /// The run's seed.
    pub seed: u64,
    /// ε that the participant which told most has spent.
    pub spent: Option<f64>,
    /// The plan's gap at the end.
    pub gap: f64,
}

/// The picture: a dot for each run, a line through the medians, and the gap `without` noise.
#[must_use]
pub fn price_of_privacy(points: &[PricePoint], without: f64) -> String {
    let gap = |gap: f64| if gap.is_finite() { gap.max(FLOOR) } else { f64::MAX.min(1e3) };
    let mut by_budget: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for point in points {
        // Positive floats are in the order of their bits.
        by_budget.entry(point.budget.to_bits()).or_default().push(gap(point.gap));
    }
    let medians: Vec<(f64, f64)> = (by_budget.iter_mut())
        .map(|(bits, gaps)| {
            gaps.sort_by(f64::total_cmp);
            (f64::from_bits(*bits), gaps[gaps.len() / 2])
        })
        .collect();
    let dots: Vec<(f64, f64)> = points.iter().map(|point| (point.budget, gap(point.gap))).collect();
    let all = || dots.iter().map(|dot| dot.1).chain([gap(without)]);
    let budgets = || dots.iter().map(|dot| dot.0);
    let (least, largest) = (budgets().fold(f64::INFINITY, f64::min), budgets().fold(0.0, f64::max));
    let (least, largest) = if dots.is_empty() { (1.0, 10.0) } else { (least, largest) };
    let legend = [
        Entry { label: "Median of the seeds".into(), color: PALETTE[0] },
        Entry { label: "A run".into(), color: PALETTE[1] },
    ];
    let layout = Layout {
        title: "The price of privacy",
        subtitle: "Distance of the plans that assets hold at the end from the central optimum, against the budget ε of each asset \
                   for the whole plan (local differential privacy by zCDP). To the left more privacy, upwards a worse plan.",
        legend: &legend,
        x: Scale::decades(least, largest, "Budget ε of each asset"),
        y: Some(Scale::decades(
            all().fold(1.0, f64::min),
            all().fold(FLOOR, f64::max),
            "Plan-optimality gap",
        )),
        height: 380,
        left: 84,
    };
    draw(layout, |figure| {
        figure.threshold(gap(without), "masks alone");
        figure.line(&medians, PALETTE[0], 3, false);
        figure.dots(&dots, PALETTE[1]);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_its_dot_and_infinite_gaps_are_drawn_at_the_edge() {
        let point = |budget, seed, gap| PricePoint { budget, seed, spent: None, gap };
        let points = [point(1.0, 1, 0.5), point(1.0, 2, f64::INFINITY), point(100.0, 1, 1e-12)];
        let svg = price_of_privacy(&points, 1e-7);
        assert!(svg.starts_with("<svg") && svg.contains("masks alone") && svg.contains("Budget"));
        assert!(!svg.contains("inf") && !svg.contains("NaN"), "{svg}");
        assert!(price_of_privacy(&[], 1e-7).contains("</svg>"));
    }
}
