//! [`Epoch`]: the UTC instant of simulated time zero, and the astronomers' time scales.

use std::fmt;

use crate::units::SimTime;

const DAY_S: i64 = 86_400;
const SECOND_NS: i64 = 1_000_000_000;
/// POSIX time of 2000-01-01T00:00:00Z.
const POSIX_2000_S: i64 = 946_684_800;
/// TAI − UTC at 2000-01-01T00:00:00 UTC.
const TAI_MINUS_UTC_2000_S: i64 = 32;
/// TT − TAI in milliseconds (IAU 1991).
const TT_MINUS_TAI_S: f64 = 32.184;
/// Julian date of 2000-01-01T00:00.
const JD_2000: f64 = 2_451_544.5;

/// Year, month (1 or 7; the first day) from which TAI − UTC holds, in seconds: IERS Bulletin C, through number 69 (no leap
/// second after 2017 is announced; later epochs use the last row).
const LEAP_SECONDS: [(i64, i64, i64); 28] = [
    (1972, 1, 10),
    (1972, 7, 11),
    (1973, 1, 12),
    (1974, 1, 13),
    (1975, 1, 14),
    (1976, 1, 15),
    (1977, 1, 16),
    (1978, 1, 17),
    (1979, 1, 18),
    (1980, 1, 19),
    (1981, 7, 20),
    (1982, 7, 21),
    (1983, 7, 22),
    (1985, 7, 23),
    (1988, 1, 24),
    (1990, 1, 25),
    (1991, 1, 26),
    (1992, 7, 27),
    (1993, 7, 28),
    (1994, 7, 29),
    (1996, 1, 30),
    (1997, 7, 31),
    (1999, 1, 32),
    (2006, 1, 33),
    (2009, 1, 34),
    (2012, 7, 35),
    (2015, 7, 36),
    (2017, 1, 37),
];

/// The UTC instant of [`SimTime::ZERO`]. From 1972 to 2199.
///
/// Simulated time runs in uniform SI seconds from here; leap seconds appear only where civil time is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Uniform nanoseconds since 2000-01-01T00:00:00 UTC, leap seconds counted.
    since_2000_ns: i64,
}

/// Why a text or a date is not an [`Epoch`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// The text is not `YYYY-MM-DDThh:mm:ss[.fraction]Z`.
    #[error("{text:?} does not read YYYY-MM-DDThh:mm:ss[.fraction]Z at byte {byte}")]
    Syntax {
        /// The text.
        text: String,
        /// Where it departs.
        byte: usize,
    },
    /// A local offset: only UTC (`Z`) is read.
    #[error("{text:?} has the local offset {offset:?}; only Z (UTC) is read")]
    LocalOffset {
        /// The text.
        text: String,
        /// What stands in place of `Z`.
        offset: String,
    },
    /// More than nine digits of a second.
    #[error("{digits} digits of a second, at most 9")]
    TooFine {
        /// Digits found.
        digits: usize,
    },
    /// No such day or time of day (second 60 exists only where a leap second was inserted).
    #[error("no {field} {found} (allowed {min} to {max})")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        found: i64,
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
}

/// A Julian date in two parts whose sum it is; kept apart for precision (SOFA's convention).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JulianDate {
    /// The last midnight's Julian date (ends in .5).
    pub day: f64,
    /// The rest, 0 to below 1 day.
    pub fraction: f64,
}

impl JulianDate {
    fn since_2000(seconds: i64, rest_s: f64) -> Self {
        let carry = (rest_s / DAY_S as f64).floor() as i64;
        let rest_s = rest_s - (carry * DAY_S) as f64;
        let mut day = seconds.div_euclid(DAY_S) + carry;
        let mut fraction = (seconds.rem_euclid(DAY_S) as f64 + rest_s) / DAY_S as f64;
        if fraction >= 1.0 {
            fraction -= 1.0;
            day += 1;
        }
        Self { day: JD_2000 + day as f64, fraction }
    }

    /// Days since J2000.0 (Julian date 2451545.0 of the same scale).
    #[must_use]
    pub fn days_since_j2000(self) -> f64 {
        (self.day - 2_451_545.0) + self.fraction
    }
}

impl Epoch {
    /// Reads RFC 3339 text in UTC, such as `2028-03-01T00:00:00Z` or `2026-06-01T12:30:00.25Z`.
    ///
    /// # Errors
    /// What is wrong with the text: see [`EpochError`].
    pub fn parse(text: &str) -> Result<Self, EpochError> {
        let bytes = text.as_bytes();
        let syntax = |byte| EpochError::Syntax { text: text.to_owned(), byte };
        let number = |from: usize, to: usize| -> Result<i64, EpochError> {
            (from..to).try_fold(0, |value, i| match bytes.get(i) {
                Some(digit @ b'0'..=b'9') => Ok(value * 10 + i64::from(digit - b'0')),
                Some(_) | None => Err(syntax(i)),
            })
        };
        for (byte, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            if bytes.get(byte) != Some(&mark) {
                return Err(syntax(byte));
            }
        }
        let date = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let time = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let mut at = 19;
        let mut nanos = 0;
        if bytes.get(at) == Some(&b'.') {
            let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return Err(syntax(at + 1));
            }
            if digits > 9 {
                return Err(EpochError::TooFine { digits });
            }
            nanos = number(at + 1, at + 1 + digits)?;
            for _ in digits..9 {
                nanos *= 10;
            }
            at += 1 + digits;
        }
        match text.get(at..) {
            Some("Z") => Self::from_civil(date, time, nanos),
            Some(offset) if offset.starts_with(['+', '-']) => {
                Err(EpochError::LocalOffset { text: text.to_owned(), offset: offset.to_owned() })
            }
            Some(_) | None => Err(syntax(at)),
        }
    }

    /// From civil UTC: (year, month, day), (hour, minute, second), nanoseconds of the second.
    ///
    /// # Errors
    /// [`EpochError::OutOfRange`] names the first field that does not exist.
    pub fn from_civil(
        (year, month, day): (i64, i64, i64),
        (hour, minute, second): (i64, i64, i64),
        nanos: i64,
    ) -> Result<Self, EpochError> {
        check("year", year, 1972, 2199)?;
        check("month", month, 1, 12)?;
        check(
            "day",
            day,
            1,
            days_from_2000(year + month / 12, month % 12 + 1, 1) - days_from_2000(year, month, 1),
        )?;
        check("hour", hour, 0, 23)?;
        check("minute", minute, 0, 59)?;
        let days = days_from_2000(year, month, day);
        let offset = tai_minus_utc_s(days);
        let leap = i64::from((hour, minute) == (23, 59)) * (tai_minus_utc_s(days + 1) - offset);
        check("second", second, 0, 59 + leap)?;
        check("nanosecond", nanos, 0, SECOND_NS - 1)?;
        let seconds = days * DAY_S + hour * 3600 + minute * 60 + second + offset - TAI_MINUS_UTC_2000_S;
        Ok(Self { since_2000_ns: seconds * SECOND_NS + nanos })
    }

    /// The simulated time of `other` on this epoch's clock.
    #[must_use]
    pub const fn sim_time_of(self, other: Self) -> SimTime {
        SimTime(other.since_2000_ns - self.since_2000_ns)
    }

    /// Civil UTC at simulated time `at`, as RFC 3339 text; fractional digits only when needed.
    #[must_use]
    pub fn utc(self, at: SimTime) -> String {
        Self { since_2000_ns: self.since_2000_ns + at.0 }.to_string()
    }

    /// Terrestrial time.
    #[must_use]
    pub fn tt(self, at: SimTime) -> JulianDate {
        self.julian(at, TAI_MINUS_UTC_2000_S as f64 + TT_MINUS_TAI_S)
    }

    /// Barycentric dynamical time: TT plus the two largest periodic terms (Explanatory Supplement 1992, eq. 2.222-1);
    /// within 50 µs, in which the Earth moves 1.5 m.
    #[must_use]
    pub fn tdb(self, at: SimTime) -> JulianDate {
        let g = (357.53 + 0.985_600_28 * self.tt(at).days_since_j2000()).to_radians();
        let periodic_s = 0.001_658 * libm::sin(g) + 0.000_014 * libm::sin(2.0 * g);
        self.julian(at, TAI_MINUS_UTC_2000_S as f64 + TT_MINUS_TAI_S + periodic_s)
    }

    /// Universal time, taken as UTC. |UT1 − UTC| stays below 0.9 s by definition of UTC, so the Earth's rotation is wrong by
    /// at most 13.5″: 420 m at the equator, 0.9 s in the time of a ground station's pass. Continuous: a leap second after
    /// the epoch is not stepped over.
    #[must_use]
    pub fn ut1(self, at: SimTime) -> JulianDate {
        let epoch_s = self.since_2000_ns.div_euclid(SECOND_NS);
        self.julian(at, (TAI_MINUS_UTC_2000_S - tai_minus_utc_at(epoch_s)) as f64)
    }

    /// DTN time (RFC 9171 §4.2.6): milliseconds since 2000-01-01T00:00:00Z; `None` before it.
    ///
    /// Leap seconds are not counted, as nobody on the wire counts them: ION, dtn7, hardy and Wireshark take POSIX time less its value in
    /// 2000.
    #[must_use]
    pub fn dtn_time_ms(self, at: SimTime) -> Option<u64> {
        (self.posix_ns(at)? / 1_000_000).checked_sub(POSIX_2000_S as u64 * 1000)
    }

    /// POSIX time in nanoseconds at simulated time `at`, in which days have 86,400 seconds; `None` before 1970. Continuous: a leap second
    /// after the epoch is not stepped over.
    #[must_use]
    pub fn posix_ns(self, at: SimTime) -> Option<u64> {
        let epoch_s = self.since_2000_ns.div_euclid(SECOND_NS);
        let leap_seconds = tai_minus_utc_at(epoch_s) - TAI_MINUS_UTC_2000_S;
        let since_1970_ns = i128::from(self.since_2000_ns)
            + i128::from(at.0)
            + i128::from(POSIX_2000_S - leap_seconds) * i128::from(SECOND_NS);
        u64::try_from(since_1970_ns).ok()
    }

    fn julian(self, at: SimTime, scale_offset_s: f64) -> JulianDate {
        let nanos = self.since_2000_ns + at.0;
        let rest_s = nanos.rem_euclid(SECOND_NS) as f64 * 1e-9;
        JulianDate::since_2000(nanos.div_euclid(SECOND_NS), rest_s + scale_offset_s)
    }
}

impl fmt::Display for Epoch {
    /// RFC 3339 in UTC; a leap second prints as second 60.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.since_2000_ns.div_euclid(SECOND_NS);
        let nanos = self.since_2000_ns.rem_euclid(SECOND_NS);
        let utc_s = seconds + TAI_MINUS_UTC_2000_S - tai_minus_utc_at(seconds);
        // Within an inserted second the old offset already reads as the next midnight: tai_minus_utc_at holds the old one.
        let leap = i64::from(is_leap_second(seconds));
        let days = (utc_s - leap).div_euclid(DAY_S);
        let of_day = (utc_s - leap).rem_euclid(DAY_S);
        let (year, month, day) = civil_from_2000(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60 + leap);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        write!(f, "Z")
    }
}

fn check(field: &'static str, found: i64, min: i64, max: i64) -> Result<(), EpochError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(EpochError::OutOfRange { field, found, min, max }) }
}

/// TAI − UTC on the UTC day `days` after 2000-01-01.
fn tai_minus_utc_s(days: i64) -> i64 {
    LEAP_SECONDS.iter().rev().find(|(y, m, _)| days_from_2000(*y, *m, 1) <= days).map_or(10, |row| row.2)
}

/// TAI − UTC at uniform seconds since 2000; the old value during an inserted second.
fn tai_minus_utc_at(seconds: i64) -> i64 {
    let starts = |row: &&(i64, i64, i64)| {
        days_from_2000(row.0, row.1, 1) * DAY_S + row.2 - TAI_MINUS_UTC_2000_S <= seconds
    };
    LEAP_SECONDS.iter().rev().find(starts).map_or(10, |row| row.2)
}

fn is_leap_second(seconds: i64) -> bool {
    tai_minus_utc_at(seconds + 1) != tai_minus_utc_at(seconds)
}

/// Days from 2000-01-01 to a proleptic Gregorian date (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_2000(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 730_425
}

fn civil_from_2000(days: i64) -> (i64, i64, i64) {
    let z = days + 730_425;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = (shifted + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_text_survives_a_round_trip() {
        for text in [
            "2028-03-01T00:00:00Z",
            "1972-01-01T00:00:00Z",
            "2000-02-29T23:59:59.000000001Z",
            "2016-12-31T23:59:59.5Z",
            "2016-12-31T23:59:60.25Z",
            "2017-01-01T00:00:00Z",
            "2015-06-30T23:59:60Z",
            "2199-12-31T23:59:59Z",
        ] {
            assert_eq!(Epoch::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_leap_second_is_a_second() {
        let before = Epoch::parse("2016-12-31T23:59:59Z").expect("valid");
        let after = Epoch::parse("2017-01-01T00:00:00Z").expect("valid");
        assert_eq!(before.sim_time_of(after), SimTime::from_secs(2));
        assert_eq!(before.utc(SimTime::from_secs(1)), "2016-12-31T23:59:60Z");
    }

    #[test]
    fn what_is_not_utc_is_refused_with_its_place() {
        assert!(matches!(Epoch::parse("2028-03-01T00:00:00+01:00"), Err(EpochError::LocalOffset { .. })));
        assert!(matches!(Epoch::parse("2028-03-01 00:00:00Z"), Err(EpochError::Syntax { byte: 10, .. })));
        assert!(matches!(Epoch::parse("2028-03-01T00:00:00"), Err(EpochError::Syntax { byte: 19, .. })));
        assert!(matches!(
            Epoch::parse("2028-02-30T00:00:00Z"),
            Err(EpochError::OutOfRange { field: "day", max: 29, .. })
        ));
        assert!(matches!(
            Epoch::parse("2028-03-01T23:59:60Z"),
            Err(EpochError::OutOfRange { field: "second", .. })
        ));
        assert!(matches!(Epoch::parse("2028-12-32T00:00:00Z"), Err(EpochError::OutOfRange { max: 31, .. })));
    }

    #[test]
    fn scales_agree_with_the_definition_of_tt_and_dtn_time() {
        // J2000.0 is 2000-01-01T12:00:00 TT = 11:58:55.816 UTC.
        let epoch = Epoch::parse("2000-01-01T11:58:55.816Z").expect("valid");
        assert!(epoch.tt(SimTime::ZERO).days_since_j2000().abs() < 1e-12);
        assert_eq!(Epoch::parse("2000-01-01T00:00:00Z").expect("valid").dtn_time_ms(SimTime::ZERO), Some(0));
        // 2026-11-01T00:00:00Z is 1,793,491,200 s in POSIX time.
        let later = Epoch::parse("2026-11-01T00:00:00Z").expect("valid");
        assert_eq!(later.dtn_time_ms(SimTime::ZERO), Some((1_793_491_200 - 946_684_800) * 1000));
        let ut1 = Epoch::parse("2028-03-01T06:00:00Z").expect("valid").ut1(SimTime::ZERO);
        assert_eq!((ut1.day, ut1.fraction), (2_461_831.5, 0.25));
    }
}
