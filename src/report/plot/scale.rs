//! Axes: what is drawn where, and which values get a label.

/// A value and its label.
pub(super) type Tick = (f64, String);

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    min: f64,
    max: f64,
    log: bool,
    /// Labelled values, within the range.
    pub(super) ticks: Vec<Tick>,
    /// What the axis shows, with its unit.
    pub(super) title: String,
}

impl Scale {
    /// From zero (or `min`) to a round value at or above `max`, about `wanted` ticks.
    pub(super) fn linear(min: f64, max: f64, wanted: f64, title: &str) -> Self {
        let max = if max > min { max } else { min + 1.0 };
        let step = nice_step((max - min) / wanted);
        let (first, last) = ((min / step).floor(), (max / step - 1e-9).ceil());
        let ticks = (0..=(last - first) as i64)
            .map(|i| (first + i as f64) * step)
            .map(|value| (value, decimal(value, step)))
            .collect();
        Self { min: first * step, max: last * step, log: false, ticks, title: title.into() }
    }

    /// A linear axis of whole numbers from `min` on: no tick between two of them.
    pub(super) fn counts(min: f64, max: f64, title: &str) -> Self {
        Self::linear(min, max, 10.0_f64.min((max - min).max(1.0)), title)
    }

    /// Whole decades that hold `min` to `max` (both positive), at most ten of them labelled.
    pub(super) fn decades(min: f64, max: f64, title: &str) -> Self {
        let first = (libm::log10(min) + 1e-9).floor();
        let last = (libm::log10(max) - 1e-9).ceil().max(first + 1.0);
        let every = (((last - first) / 10.0).ceil() as i64).max(1);
        let ticks = (first as i64..=last as i64)
            .filter(|exponent| exponent % every == 0)
            .map(|exponent| (libm::exp10(exponent as f64), power_of_ten(exponent)))
            .collect();
        Self { min: libm::exp10(first), max: libm::exp10(last), log: true, ticks, title: title.into() }
    }

    /// Simulated time from 0 to `end_s` seconds, in the unit that suits it.
    pub(super) fn time(end_s: f64) -> Self {
        const UNITS: [(f64, f64, &str, &[f64]); 5] = [
            (1e-3, 2.0, "ms", &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]),
            (1.0, 240.0, "s", &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0]),
            (60.0, 4.0 * 3600.0, "min", &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0]),
            (3600.0, 4.0 * 86_400.0, "h", &[1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0]),
            (
                86_400.0,
                f64::INFINITY,
                "days",
                &[0.5, 1.0, 2.0, 5.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0],
            ),
        ];
        let end_s = if end_s > 0.0 { end_s } else { 1.0 };
        let (unit_s, _, name, steps) =
            UNITS.into_iter().find(|unit| end_s <= unit.1).expect("the last unit takes every length");
        let end = end_s / unit_s;
        let step = steps.iter().copied().find(|step| end / step <= 10.0);
        let step = step.unwrap_or_else(|| nice_step(end / 8.0)).max(nice_step(end / 10.0).min(1.0));
        let ticks = (0..=(end / step + 1e-9) as i64)
            .map(|i| i as f64 * step)
            .map(|value| (value * unit_s, decimal(value, step)))
            .collect();
        Self {
            min: 0.0,
            max: end_s,
            log: false,
            ticks,
            title: format!("Simulated time since epoch ({name})"),
        }
    }

    /// Spans of time on a logarithmic axis, with human labels.
    pub(super) fn spans(min_s: f64, max_s: f64, title: &str) -> Self {
        const MARKS: [(f64, &str); 19] = [
            (1e-6, "1 µs"),
            (1e-5, "10 µs"),
            (1e-4, "100 µs"),
            (1e-3, "1 ms"),
            (1e-2, "10 ms"),
            (0.1, "0.1 s"),
            (1.0, "1 s"),
            (10.0, "10 s"),
            (60.0, "1 min"),
            (300.0, "5 min"),
            (1200.0, "20 min"),
            (3600.0, "1 h"),
            (4.0 * 3600.0, "4 h"),
            (12.0 * 3600.0, "12 h"),
            (2.0 * 86_400.0, "2 d"),
            (7.0 * 86_400.0, "7 d"),
            (30.0 * 86_400.0, "30 d"),
            (120.0 * 86_400.0, "120 d"),
            (365.0 * 86_400.0, "1 y"),
        ];
        let first = MARKS.iter().rposition(|mark| mark.0 <= min_s).unwrap_or(0);
        let last = MARKS.iter().position(|mark| mark.0 >= max_s).unwrap_or(MARKS.len() - 1).max(first + 1);
        let marks = &MARKS[first.min(MARKS.len() - 2)..=last.min(MARKS.len() - 1)];
        let ticks = marks.iter().map(|(value, label)| (*value, (*label).to_owned())).collect();
        let (min, max) = (marks[0].0, marks[marks.len() - 1].0);
        Self { min, max, log: true, ticks, title: title.into() }
    }

    /// The same labels for data that is in `unit` times less.
    pub(super) fn in_units_of(mut self, unit: f64) -> Self {
        self.min *= unit;
        self.max *= unit;
        for tick in &mut self.ticks {
            tick.0 *= unit;
        }
        self
    }

    /// Where `value` lies: 0 at the start of the axis, 1 at its end; values outside lie on the nearer end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            let (min, max) = (libm::log10(self.min), libm::log10(self.max));
            (libm::log10(value.max(self.min)) - min) / (max - min)
        } else {
            (value - self.min) / (self.max - self.min)
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, at or above `step`.
fn nice_step(step: f64) -> f64 {
    let power = libm::exp10(libm::log10(step).floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// `value` with the decimals that multiples of `step` need.
fn decimal(value: f64, step: f64) -> String {
    let decimals = (0..9).find(|digits| {
        let scaled = step * libm::exp10(f64::from(*digits));
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    format!("{:.*}", decimals.unwrap_or(9) as usize, value + 0.0)
}

/// 10ⁿ in Unicode, 1 as itself.
pub(in crate::report) fn power_of_ten(exponent: i64) -> String {
    if exponent == 0 {
        return "1".into();
    }
    let digits = exponent.to_string();
    let raised = digits.chars().map(|digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + digit as u32 - '0' as u32).unwrap_or(digit),
    });
    format!("10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn time_axes_use_the_unit_and_the_steps_that_people_use() {
        assert_eq!(labels(&Scale::time(60.0)), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(&Scale::time(7.0 * 88_775.244)), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(labels(&Scale::time(48.0 * 3600.0)), ["0", "6", "12", "18", "24", "30", "36", "42", "48"]);
        assert!(Scale::time(7200.0).title.contains("(min)"));
        assert_eq!(labels(&Scale::time(0.0745)), ["0", "10", "20", "30", "40", "50", "60", "70"]);
    }

    #[test]
    fn linear_axes_end_on_round_values() {
        let scale = Scale::linear(0.0, 0.93, 5.0, "");
        assert_eq!(labels(&scale), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert!((scale.place(0.5) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn decades_are_labelled_with_powers() {
        let scale = Scale::decades(2e-3, 50.0, "");
        assert_eq!(labels(&scale), ["10⁻³", "10⁻²", "10⁻¹", "1", "10¹", "10²"]);
        assert!((scale.place(1e-3)).abs() < 1e-12 && (scale.place(0.0)).abs() < 1e-12);
    }

    #[test]
    fn spans_of_time_cover_their_data() {
        for (min, max) in [(1e-9, 1e-8), (0.002, 0.5), (20.0, 90_000.0), (1.0, 1.0), (1e9, 1e10)] {
            let scale = Scale::spans(min, max, "");
            assert!(scale.ticks.len() >= 2 && scale.min < scale.max, "{min} {max}");
        }
        assert_eq!(labels(&Scale::spans(400.0, 5000.0, "")), ["5 min", "20 min", "1 h", "4 h"]);
    }
}
