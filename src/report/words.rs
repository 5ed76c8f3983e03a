//! Figures as people read them.

use super::plot::power_of_ten;
use crate::{metrics::Metric, scenario::AssetKind};

/// A time in its natural unit, three significant digits.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")];
    let size = seconds.abs();
    if size == 0.0 {
        return "0 s".into();
    }
    let unit = units.into_iter().find(|unit| size >= 1.5 * unit.0 || (unit.0 <= 1.0 && size >= unit.0));
    let (unit, name) = unit.unwrap_or((1e-6, "µs"));
    format!("{} {name}", three_digits(seconds / unit))
}

/// Bytes with a decimal prefix, three significant digits.
#[must_use]
pub fn bytes(count: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|unit| count >= unit.0) {
        Some((unit, name)) => format!("{} {name}", three_digits(count / unit)),
        None => format!("{} B", three_digits(count)),
    }
}

/// A number, three significant digits, with a power of ten when it is very small or large; whole numbers below a million
/// in full, with thin spaces between thousands.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if value.fract() == 0.0 && size < 1e7 {
        return thousands(value as i64);
    }
    if (1e-3..1e4).contains(&size) {
        return three_digits(value);
    }
    let text = format!("{value:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa} × {}", power_of_ten(exponent.parse().unwrap_or(0)))
}

/// A metric's value with its unit; a dash where there is none.
#[must_use]
pub fn metric(name: &str, metric: &Metric) -> String {
    let Some(value) = metric.value else { return "–".into() };
    match metric.unit.as_str() {
        "s" => duration(value),
        "B" => bytes(value),
        "1" if is_share(name) => share(value),
        "1" => number(value),
        unit => format!("{} {unit}", number(value)),
    }
}

/// A share of a whole, in per cent.
#[must_use]
pub fn share(value: f64) -> String {
    let percent = 100.0 * value;
    // A product such as 100 × 0.05 is rarely whole in binary: it is shown whole when it is to nine digits.
    let whole = (percent - percent.round()).abs() < 1e-9;
    format!("{} %", three_digits(if whole { percent.round() } else { percent }))
}

/// Metrics that are shares of a whole, read best in per cent.
fn is_share(name: &str) -> bool {
    matches!(
        name,
        "delivery.ratio" | "attack.honest_ratio" | "link.contact_utilisation" | "energy.min_state_of_charge"
    )
}

fn three_digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || value.fract() == 0.0 && size < 1e6 => 0,
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.0005 => 3,
        // Little is not nothing.
        _ => 5,
    };
    // Rounding up to 100 % would claim what is not so.
    let shown = if (99.95..100.0).contains(&size) {
        return format!("{:.2}", (value * 100.0).floor() / 100.0);
    } else {
        value
    };
    format!("{shown:.decimals$}")
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "−" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}

/// What an asset is, for a reader.
#[must_use]
pub const fn asset_kind(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Rover => "rover",
        AssetKind::Drone => "drone",
        AssetKind::Habitat => "habitat",
        AssetKind::Satellite => "satellite",
        AssetKind::GroundStation => "ground station",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_natural_unit() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.00025, "250 µs"),
            (0.0042, "4.20 ms"),
            (1.2, "1.20 s"),
            (75.0, "75 s"),
            (90.0, "1.50 min"),
            (7200.0, "2 h"),
            (200_000.0, "2.31 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_ratio_below_one_is_never_told_as_a_hundred_per_cent() {
        let ratio = |value| Metric { value: Some(value), unit: "1".into(), note: None };
        assert_eq!(metric("delivery.ratio", &ratio(0.99999)), "99.99 %");
        assert_eq!(metric("delivery.ratio", &ratio(1.0)), "100 %");
        assert_eq!(metric("delivery.ratio", &ratio(2e-6)), "0.00020 %");
    }

    #[test]
    fn numbers_keep_three_digits_or_all_of_a_count() {
        assert_eq!(number(3.21e-7), "3.21 × 10⁻⁷");
        assert_eq!(number(51_234.0), "51\u{202F}234");
        assert_eq!(number(0.25), "0.250");
        assert_eq!(bytes(1_234_567.0), "1.23 MB");
    }
}
