//! The contacts of one direction between two radios.

use super::{
    Contact, RangeSample,
    scene::Scene,
    search::{Search, Span, peak},
    sightline::{Demands, Sightline},
};
use crate::{
    link::LinkBudget,
    units::{AssetIndex, Meters, SimTime},
};

/// Step beyond what the margin vouches for, seconds: about the time in which a low orbit's margin changes its slope.
const STEP_S: f64 = 60.0;
/// Edges are refined to this, seconds.
const EDGE_S: f64 = 1e-5;
/// Windows and gaps of at least this length are always found, whatever the shortest contact: seconds (longest, shortest).
const RESOLUTION_S: (f64, f64) = (1.0, 0.05);
/// The place of highest elevation is found to this, seconds.
const PEAK_S: f64 = 0.1;
/// Places at which the highest elevation is looked for first.
const PEAK_PROBES: u32 = 16;
/// Ranges are sampled at least this often, seconds.
const RANGE_CELL_S: f64 = 3600.0;
/// One more division of an interval with this error leaves 0.1 m, a third of a nanosecond of light time.
const RANGE_TOLERANCE_M: f64 = 1.6;
/// Ranges are not sampled closer than this, seconds.
const RANGE_INTERVAL_S: f64 = 0.5;

/// One direction between two radios.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    pub from: (AssetIndex, u32),
    pub to: (AssetIndex, u32),
    pub demands: Demands,
    pub budget: LinkBudget,
    pub min_contact: SimTime,
}

/// All contacts of `direction` that lie within `span`.
pub(crate) fn contacts(scene: &Scene, direction: &Direction, span: (SimTime, SimTime)) -> Vec<Contact> {
    let line = Sightline::new(scene, direction.from.0, direction.to.0, direction.demands);
    let (longest, shortest) = RESOLUTION_S;
    let resolution_s = direction.min_contact.as_secs_f64().clamp(shortest, longest);
    let search = Search { step_s: STEP_S, resolution_s, tolerance_s: EDGE_S };
    let (from, to) = (span.0.as_secs_f64(), span.1.as_secs_f64());
    let windows = search.windows(from, to, &mut |time| line.margin_s(time));
    windows.into_iter().filter_map(|window| contact(&line, direction, window, span)).collect()
}

/// The contact of one window, unless it is too short.
fn contact(
    line: &Sightline<'_>,
    direction: &Direction,
    window: Span,
    span: (SimTime, SimTime),
) -> Option<Contact> {
    // Inward, so that the window holds at both moments.
    let start = SimTime((window.0 * 1e9).ceil() as i64).max(span.0);
    let end = SimTime((window.1 * 1e9).floor() as i64).min(span.1);
    if end < start || end - start < direction.min_contact {
        return None;
    }
    let range = sample_range(line, start, end);
    let farthest = range.iter().fold(0.0, |far: f64, sample| far.max(sample.range_m));
    let (rate, bit_error_rate) = direction.budget.at(Meters(farthest));
    Some(Contact {
        from: direction.from.0,
        to: direction.to.0,
        from_radio: direction.from.1,
        to_radio: direction.to.1,
        start,
        end,
        rate,
        bit_error_rate,
        max_elevation_deg: max_elevation_deg(line, (start.as_secs_f64(), end.as_secs_f64())),
        range,
    })
}

/// The highest elevation of the peer at an end on a surface.
fn max_elevation_deg(line: &Sightline<'_>, (start, end): Span) -> Option<f64> {
    let elevation = |time: f64| {
        let [one, other] = line.raw_elevations(&line.path(time));
        one.map_or(other, |one| Some(other.map_or(one, |other| one.max(other))))
    };
    elevation(start)?;
    let mut elevation = |time: f64| elevation(time).unwrap_or(f64::NEG_INFINITY);
    let step = (end - start) / f64::from(PEAK_PROBES);
    let probes = (0..=PEAK_PROBES).map(|i| start + step * f64::from(i));
    let best = probes.fold((start, f64::NEG_INFINITY), |best, time| {
        let here = elevation(time);
        if here > best.1 { (time, here) } else { best }
    });
    let around = ((best.0 - step).max(start), (best.0 + step).min(end));
    Some(peak(around.0, around.1, PEAK_S, &mut elevation).1.max(best.1).to_degrees())
}

/// Samples between which cubic interpolation is within about 0.1 m.
fn sample_range(line: &Sightline<'_>, start: SimTime, end: SimTime) -> Vec<RangeSample> {
    let sample = |time: SimTime| {
        let (range_m, range_rate_mps) = line.range(time.as_secs_f64());
        RangeSample { time, range_m, range_rate_mps }
    };
    let mut samples = vec![sample(start)];
    if end == start {
        return samples;
    }
    let cells = ((end - start).as_secs_f64() / RANGE_CELL_S).ceil().max(1.0) as i64;
    let mut left = samples[0];
    for index in 1..=cells {
        let whole = i128::from((end - start).as_nanos()) * i128::from(index) / i128::from(cells);
        let right = sample(start + SimTime(whole as i64));
        divide(left, right, &sample, &mut samples);
        samples.push(right);
        left = right;
    }
    samples
}

fn divide(
    left: RangeSample,
    right: RangeSample,
    sample: &impl Fn(SimTime) -> RangeSample,
    samples: &mut Vec<RangeSample>,
) {
    let width = right.time - left.time;
    if width.as_secs_f64() < RANGE_INTERVAL_S {
        return;
    }
    let middle = sample(left.time + SimTime(width.as_nanos() / 2));
    let error_m = (RangeSample::between(&left, &right, middle.time) - middle.range_m).abs();
    let guess_mps = 1.5 * (right.range_m - left.range_m) / width.as_secs_f64()
        - 0.25 * (left.range_rate_mps + right.range_rate_mps);
    let error_mps = (guess_mps - middle.range_rate_mps).abs();
    let close = error_m.max(error_mps * width.as_secs_f64() / 2.0) <= RANGE_TOLERANCE_M;
    if !close {
        divide(left, middle, sample, samples);
    }
    samples.push(middle);
    if !close {
        divide(middle, right, sample, samples);
    }
}
