//! Quantities as a scenario writes them: a text of a number and a unit, `"400 km"`.

use super::{
    decode::{Context, Decode},
    diagnostic::{Mistake, nearest},
    syntax::{Node, Value},
};
use crate::units::SimTime;

/// A unit: its symbol, and value = number × scale + offset.
struct Unit {
    symbol: &'static str,
    scale: f64,
    offset: f64,
}

const fn unit(symbol: &'static str, scale: f64) -> Unit {
    Unit { symbol, scale, offset: 0.0 }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $what:literal, $example:literal, [$($unit:expr),+ $(,)?]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub(crate) struct $name(pub(crate) f64);

        impl $name {
            const UNITS: &'static [Unit] = &[$($unit),+];
        }

        impl Decode for $name {
            fn what() -> String {
                format!(concat!($what, " in {}, such as ", $example), symbols(Self::UNITS.iter().map(|u| u.symbol)))
            }

            fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
                scaled(node, cx, Self::UNITS, &Self::what()).map(Self)
            }
        }
    };
}

quantity!(/** Metres. */ Length, "a length", "\"400 km\"", [unit("mm", 1e-3), unit("m", 1.0), unit("km", 1e3), unit("au", 149_597_870_700.0)]);
quantity!(/** Hertz. */ Frequency, "a frequency", "\"2.2 GHz\"", [unit("Hz", 1.0), unit("kHz", 1e3), unit("MHz", 1e6), unit("GHz", 1e9)]);
quantity!(/** Bits per second. */ Rate, "a data rate", "\"12 kbit/s\"", [unit("bit/s", 1.0), unit("kbit/s", 1e3), unit("Mbit/s", 1e6), unit("Gbit/s", 1e9)]);
quantity!(/** Watts. */ Power, "a power", "\"15 W\"", [unit("mW", 1e-3), unit("W", 1.0), unit("kW", 1e3)]);
quantity!(/** Joules. */ Energy, "an energy", "\"40 Wh\"", [unit("J", 1.0), unit("kJ", 1e3), unit("MJ", 1e6), unit("Wh", 3600.0), unit("kWh", 3.6e6)]);
quantity!(/** Decibels. */ Ratio, "a ratio", "\"-3 dB\"", [unit("dB", 1.0)]);
quantity!(/** Decibels over an isotropic antenna. */ Gain, "a gain", "\"2.15 dBi\"", [unit("dBi", 1.0)]);
quantity!(/** Decibels over one per kelvin. */ Merit, "a figure of merit", "\"-30 dB/K\"", [unit("dB/K", 1.0)]);
quantity!(/** Decibels over one watt. */ Level, "a power level", "\"12 dBW\"", [unit("dBW", 1.0), Unit { symbol: "dBm", scale: 1.0, offset: -30.0 }]);
quantity!(/** Bytes. */ Size, "an amount of data", "\"64 MiB\"", [
    unit("B", 1.0), unit("kB", 1e3), unit("MB", 1e6), unit("GB", 1e9),
    unit("KiB", 1024.0), unit("MiB", 1_048_576.0), unit("GiB", 1_073_741_824.0),
]);

/// A span of time. Exact to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration(pub(crate) SimTime);

impl Duration {
    /// Symbols and nanoseconds. A sol is a mean solar day of Mars, 88,775.244 s (Allison and McEwen 2000).
    const UNITS: [(&'static str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
        ("sol", 88_775_244_000_000),
    ];
    /// Far below the limit of the clock, so that sums of a few times cannot overflow.
    const LONGEST: i128 = 100 * 365 * 86_400 * 1_000_000_000;

    /// Nanoseconds; or the number and the unit that are not to be understood.
    fn parse(text: &str) -> Result<i128, (&str, &str)> {
        let mut nanos: i128 = 0;
        let mut rest = text.trim();
        let mut parts = 0;
        while parts == 0 || !rest.is_empty() {
            let (number, after) = split_number(rest);
            let end = after.find(|c: char| c.is_whitespace()).unwrap_or(after.len());
            let (symbol, tail) = after.split_at(end);
            let unit = Self::UNITS.iter().find(|unit| unit.0 == symbol);
            let part = unit.and_then(|unit| exact(number, unit.1));
            nanos = part.and_then(|part| nanos.checked_add(part)).ok_or((number, symbol))?;
            rest = tail.trim_start();
            parts += 1;
        }
        Ok(nanos)
    }
}

/// A duration as scenarios write it, such as `2 h` or `1 d 12 h`; `None` when it is none, or longer than 100 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<SimTime> {
    let nanos = Duration::parse(text).ok().filter(|nanos| nanos.abs() <= Duration::LONGEST)?;
    i64::try_from(nanos).ok().map(SimTime::from_nanos)
}

impl Decode for Duration {
    fn what() -> String {
        let symbols = symbols(Self::UNITS.iter().map(|unit| unit.0));
        format!("a time in {symbols}, such as \"2 h\" or \"1 d 12 h\"")
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Value::Text(text) = &node.value else {
            return bare(node, cx, &Self::what());
        };
        let nanos = match Self::parse(text) {
            Ok(nanos) => nanos,
            Err((number, symbol)) => {
                let meant = meant_unit(number, symbol, Self::UNITS.iter().map(|unit| unit.0));
                cx.report_meant(node, Mistake::BadQuantity, format!("\"{text}\""), Self::what(), meant);
                return None;
            }
        };
        if nanos.abs() > Self::LONGEST {
            cx.report(node, Mistake::OutOfRange, format!("\"{text}\""), "at most 100 years".to_owned());
            return None;
        }
        Some(Self(SimTime::from_nanos(nanos as i64)))
    }
}

fn symbols<'a>(units: impl Iterator<Item = &'a str>) -> String {
    units.collect::<Vec<_>>().join(", ")
}

fn bare<T>(node: &Node, cx: &mut Context, what: &str) -> Option<T> {
    cx.report(node, Mistake::WrongType, node.describe(), what.to_owned());
    None
}

fn scaled(node: &Node, cx: &mut Context, units: &[Unit], what: &str) -> Option<f64> {
    let Value::Text(text) = &node.value else {
        return bare(node, cx, what);
    };
    let (number, symbol) = split_number(text.trim());
    let unit = units.iter().find(|unit| unit.symbol == symbol);
    let value = number.parse::<f64>().ok().zip(unit).map(|(number, unit)| number * unit.scale + unit.offset);
    if let Some(value) = value.filter(|value| value.is_finite()) {
        return Some(value);
    }
    let meant = meant_unit(number, symbol, units.iter().map(|unit| unit.symbol));
    cx.report_meant(node, Mistake::BadQuantity, format!("\"{text}\""), what.to_owned(), meant);
    None
}

/// The same number with the unit that was probably meant.
fn meant_unit<'a>(
    number: &str,
    symbol: &str,
    units: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    if number.parse::<f64>().is_err() || symbol.is_empty() {
        return None;
    }
    let spelled = match symbol.to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "minute" | "minutes" | "mins" => Some("min"),
        "hour" | "hours" | "hr" | "hrs" => Some("h"),
        "day" | "days" => Some("d"),
        "sols" => Some("sol"),
        "bps" | "b/s" => Some("bit/s"),
        "kbps" | "kb/s" => Some("kbit/s"),
        "mbps" | "mb/s" => Some("Mbit/s"),
        "gbps" => Some("Gbit/s"),
        _ => None,
    };
    let unit = units
        .clone()
        .find(|unit| Some(*unit) == spelled)
        .or_else(|| units.clone().find(|unit| unit.eq_ignore_ascii_case(symbol)))
        .or_else(|| nearest(symbol, units))?;
    Some(format!("\"{number} {unit}\""))
}

/// The number that `text` begins with, and what follows it and white space.
fn split_number(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(usize::from(matches!(bytes.first(), Some(b'+' | b'-'))));
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let (number, rest) = text.split_at(end);
    (number, rest.trim_start())
}

/// The decimal `number` times `scale`, to the nearest integer, ties away from zero.
fn exact(number: &str, scale: i128) -> Option<i128> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.len() > 24 || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<i128>().ok()?.checked_mul(scale)?;
    let shift = exponent - i32::try_from(fraction.len()).ok()?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        return value.checked_mul(factor);
    }
    let half = if value < 0 { -factor / 2 } else { factor / 2 };
    Some((value + half) / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_split_from_its_unit() {
        assert_eq!(split_number("400 km"), ("400", "km"));
        assert_eq!(split_number("-3dB"), ("-3", "dB"));
        assert_eq!(split_number("1.5e3 m"), ("1.5e3", "m"));
        assert_eq!(split_number("2 epochs"), ("2", "epochs"));
        assert_eq!(split_number("km"), ("", "km"));
    }

    #[test]
    fn decimal_times_are_exact() {
        assert_eq!(exact("7", 88_775_244_000_000), Some(621_426_708_000_000));
        assert_eq!(exact("0.1", 1_000_000_000), Some(100_000_000));
        assert_eq!(exact("1e-9", 1_000_000_000), Some(1));
        assert_eq!(exact("-0.5", 1), Some(-1));
        assert_eq!(exact("", 1), None);
        assert_eq!(exact("1e99", 1), None);
    }
}
