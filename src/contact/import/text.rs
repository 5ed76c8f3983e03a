//! Numbers and times in text.

use super::{Complaint, MAX_SECONDS};
use crate::units::SimTime;

/// A node number.
pub(super) fn node(line: usize, word: &str) -> Result<u64, Complaint> {
    word.parse().map_err(|_| Complaint::new(line, quoted(word), "a node number, 0 to 18446744073709551615"))
}

/// A number that is finite and not negative.
pub(super) fn number(line: usize, word: &str, what: &str) -> Result<f64, Complaint> {
    let parsed = word.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    parsed.ok_or_else(|| Complaint::new(line, quoted(word), format!("{what}: a number, 0 or more")))
}

/// Seconds from the plan's origin, or a span of seconds.
pub(super) fn seconds(line: usize, word: &str, what: &str) -> Result<SimTime, Complaint> {
    let seconds = number(line, word, what)?;
    bounded(line, seconds, word)
}

/// `seconds` as simulated time, if it fits; `word` is what was written.
pub(super) fn bounded(line: usize, seconds: f64, word: &str) -> Result<SimTime, Complaint> {
    if seconds.abs() > MAX_SECONDS {
        return Err(Complaint::new(
            line,
            quoted(word),
            format!("a time within {MAX_SECONDS:e} s of the origin"),
        ));
    }
    Ok(SimTime::from_secs_f64(seconds))
}

/// A span's two ends, in order.
pub(super) fn span(line: usize, start: SimTime, end: SimTime) -> Result<(SimTime, SimTime), Complaint> {
    if end < start {
        return Err(Complaint::new(
            line,
            format!("an end at {end}"),
            format!("an end not before the start at {start}"),
        ));
    }
    Ok((start, end))
}

/// The word in quotes, shortened when it is long.
pub(super) fn quoted(word: &str) -> String {
    match word.char_indices().nth(40) {
        Some((cut, _)) => format!("`{}…`", &word[..cut]),
        None => format!("`{word}`"),
    }
}

/// Seconds from 1970-01-01T00:00:00 to `yyyy/mm/dd-hh:mm:ss`, both UTC without leap seconds. The days are counted as in
/// Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `days_from_civil`.
pub(super) fn civil_seconds(line: usize, word: &str) -> Result<i64, Complaint> {
    let refuse = || Complaint::new(line, quoted(word), "a time as +seconds or yyyy/mm/dd-hh:mm:ss (UTC)");
    let (date, clock) = word.split_once('-').ok_or_else(refuse)?;
    let [year, month, day] = fields(date, '/').ok_or_else(refuse)?;
    let [hour, minute, second] = fields(clock, ':').ok_or_else(refuse)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return Err(refuse()),
    };
    let date_is_real = (1..=9999).contains(&year) && (1..=days_of_month).contains(&day);
    if !date_is_real || hour > 23 || minute > 59 || second > 59 {
        return Err(refuse());
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Ok(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The moment that `word` names, in seconds since 1970-01-01T00:00:00 UTC without leap seconds: `2026-01-01T00:00:00Z` (ISO 8601, also
/// without the `Z` or the time) or `2026/01/01-00:00:00` as in ION. `None` for anything else.
#[must_use]
pub fn epoch(word: &str) -> Option<i64> {
    if word.contains('/') {
        let (date, clock) = word.split_once('-').unwrap_or((word, "00:00:00"));
        return civil_seconds(0, &format!("{date}-{clock}")).ok();
    }
    let (date, clock) = word.strip_suffix('Z').unwrap_or(word).split_once('T').unwrap_or((word, "00:00:00"));
    civil_seconds(0, &format!("{}-{clock}", date.replace('-', "/"))).ok()
}

/// Three decimal fields, each of at most four digits.
fn fields(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { part.parse::<i64>().ok() } else { None }
    });
    let fields = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_times_count_from_1970() {
        assert_eq!(civil_seconds(1, "1970/01/01-00:00:00").expect("a date"), 0);
        assert_eq!(civil_seconds(1, "2000/02/29-12:00:00").expect("a date"), 951_825_600);
        assert_eq!(civil_seconds(1, "2026/11/21-00:00:01").expect("a date"), 1_795_219_201);
        for wrong in
            ["2026/02/29-00:00:00", "2026/13/01-00:00:00", "2026/1/1", "2026/01/01-24:00:00", "+1/1/1-1:1:1"]
        {
            assert!(civil_seconds(1, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_epoch_is_written_as_in_iso_8601_or_as_in_ion() {
        let new_year = 1_767_225_600;
        for word in
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "2026/01/01-00:00:00", "2026/01/01"]
        {
            assert_eq!(epoch(word), Some(new_year), "{word}");
        }
        for wrong in
            ["", "Z", "now", "+0", "2026-02-30", "2026-01-01T00:00:00+01:00", "2026-1-1T0:0", "2026/01-01"]
        {
            assert_eq!(epoch(wrong), None, "{wrong}");
        }
    }
}
