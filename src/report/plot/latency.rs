//! How long messages took, as cumulative shares.

use super::{
    Plot,
    figure::{Entry, Layout, PALETTE, draw},
    scale::Scale,
};
use crate::metrics::Latencies;
use std::collections::BTreeMap;

/// Steps of the curve.
const STEPS: u32 = 500;

pub(super) fn plot(latencies: &BTreeMap<String, Latencies>) -> Option<Plot> {
    let quantile = |latency: &Latencies, q| latency.quantile_s(q).unwrap_or(0.0);
    let curves: Vec<(String, Vec<(f64, f64)>)> = latencies
        .iter()
        .filter(|(_, latency)| latency.count() > 0)
        .map(|(kind, latency)| {
            let mut points = vec![(quantile(latency, 0.0), 0.0)];
            for step in 0..=STEPS {
                let share = f64::from(step) / f64::from(STEPS);
                points.push((quantile(latency, share), 100.0 * share));
            }
            let median = crate::report::words::duration(quantile(latency, 0.5));
            (format!("{kind}: {} messages, median {median}", latency.count()), points)
        })
        .collect();
    if curves.is_empty() {
        return None;
    }
    let ends = |place: fn(&[(f64, f64)]) -> f64| curves.iter().map(move |curve| place(&curve.1));
    let shortest = ends(|points| points[0].0).fold(f64::INFINITY, f64::min);
    let longest = ends(|points| points[points.len() - 1].0).fold(0.0, f64::max);
    let wide = longest > 20.0 * shortest.max(1e-6);
    let title = "Latency from submission to delivery";
    let x = if wide {
        Scale::spans(shortest.max(1e-6), longest, title)
    } else {
        linear(shortest, longest, title)
    };
    let entries = curves.iter().zip(PALETTE);
    let legend: Vec<Entry> = entries.map(|(curve, color)| Entry { label: curve.0.clone(), color }).collect();
    let layout = Layout {
        title: "Delivery latency",
        subtitle: "Share of the delivered application messages that took at most so long, end to end.",
        legend: &legend,
        x,
        y: Some(Scale::linear(0.0, 100.0, 5.0, "Messages delivered within (%)")),
        height: 340,
        left: 84,
    };
    let svg = draw(layout, |figure| {
        for ((_, points), color) in curves.iter().zip(PALETTE) {
            figure.line(points, color, 2, true);
        }
    });
    let caption = "Cumulative distribution of delivery latency, by kind of message.".into();
    let reading = "A steep rise is a way that many messages shared: a link that is always there, the light time, the next pass. \
                   Flat stretches are waits that nobody had.";
    Some(Plot { name: "latency", caption, reading, svg })
}

/// An axis in the unit that suits the longest latency.
fn linear(shortest: f64, longest: f64, title: &str) -> Scale {
    let units = [(1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "days")];
    let (unit, name) = units.into_iter().rev().find(|unit| longest >= 2.0 * unit.0).unwrap_or((1e-3, "ms"));
    let from = if shortest > 0.5 * longest { shortest } else { 0.0 };
    Scale::linear(from / unit, longest / unit, 8.0, &format!("{title} ({name})")).in_units_of(unit)
}
