//! How simulated time follows the machine's: [`ClockMode`], [`LagPolicy`], [`Pacer`].

use crate::{scenario::parse_duration, units::SimTime};
use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

/// How simulated time passes in a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockMode {
    /// As the machine's.
    Realtime,
    /// So many times as fast; more than zero.
    Scaled(f64),
    /// By this much at each step that is asked for, and not otherwise.
    Stepped(SimTime),
}

/// What happens when the simulation is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagPolicy {
    /// It catches up.
    BestEffort,
    /// More than this ends the session.
    HardLimit(Duration),
    /// More than this moves the clock: simulated time goes on from where it is.
    Slip(Duration),
}

/// The lag from which [`LagPolicy::Slip`] moves the clock when it is not told.
const SLIP: Duration = Duration::from_millis(10);
/// The step of [`ClockMode::Stepped`] when it is not told.
const STEP: SimTime = SimTime::from_secs(1);

/// `word(argument)`, or a word alone.
fn call(text: &str) -> (&str, Option<&str>) {
    match text.split_once('(') {
        Some((word, rest)) => (word.trim(), Some(rest.strip_suffix(')').unwrap_or(rest).trim())),
        None => (text.trim(), None),
    }
}

fn span(text: &str) -> Result<SimTime, String> {
    parse_duration(text)
        .filter(|time| *time > SimTime::ZERO)
        .ok_or_else(|| format!("`{text}` is not a duration above zero, such as \"20 ms\""))
}

impl FromStr for ClockMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match call(text) {
            ("realtime", None) => Ok(Self::Realtime),
            ("scaled", Some(factor)) => {
                let factor: Option<f64> = factor.parse().ok();
                let factor = factor.filter(|factor| (1e-3..=1e6).contains(factor));
                factor
                    .map(Self::Scaled)
                    .ok_or_else(|| "scaled(x) takes a number from 0.001 to 1000000".to_owned())
            }
            ("stepped", None) => Ok(Self::Stepped(STEP)),
            ("stepped", Some(step)) => span(step).map(Self::Stepped),
            _ => Err("a clock is realtime, scaled(x) or stepped(duration)".to_owned()),
        }
    }
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realtime => f.write_str("realtime"),
            Self::Scaled(factor) => write!(f, "scaled({factor})"),
            Self::Stepped(step) => write!(f, "stepped({} ns)", step.0),
        }
    }
}

impl FromStr for LagPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wall = |text: &str| span(text).map(|time| Duration::from_nanos(time.0.unsigned_abs()));
        match call(text) {
            ("best-effort", None) => Ok(Self::BestEffort),
            ("hard-limit", Some(limit)) => wall(limit).map(Self::HardLimit),
            ("slip", None) => Ok(Self::Slip(SLIP)),
            ("slip", Some(limit)) => wall(limit).map(Self::Slip),
            _ => Err("a lag policy is best-effort, hard-limit(duration), slip or slip(duration)".to_owned()),
        }
    }
}

impl fmt::Display for LagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BestEffort => f.write_str("best-effort"),
            Self::HardLimit(limit) => write!(f, "hard-limit({} us)", limit.as_micros()),
            Self::Slip(limit) => write!(f, "slip({} us)", limit.as_micros()),
        }
    }
}

/// Simulated time as a line over the machine's monotonic time.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    wall: Instant,
    sim: SimTime,
    speed: f64,
}

impl Pacer {
    /// Simulated time `sim` is at `wall`, and passes `speed` times as fast, more than zero.
    #[must_use]
    pub const fn new(wall: Instant, sim: SimTime, speed: f64) -> Self {
        Self { wall, sim, speed }
    }

    /// Simulated time at `wall`.
    #[must_use]
    pub fn sim_at(&self, wall: Instant) -> SimTime {
        let since = |span: Duration| {
            let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
            // Whole nanoseconds where the clocks are equally fast: a float holds them for 104 days only.
            let real = self.speed.to_bits() == 1.0_f64.to_bits();
            if real { nanos } else { (nanos as f64 * self.speed) as i64 }
        };
        match wall.checked_duration_since(self.wall) {
            Some(later) => SimTime(self.sim.0.saturating_add(since(later))),
            None => SimTime(self.sim.0.saturating_sub(since(self.wall.saturating_duration_since(wall)))),
        }
    }

    /// When it is `sim`; far away, a day later than the line's begin.
    #[must_use]
    pub fn wall_at(&self, sim: SimTime) -> Instant {
        let nanos = sim.0.saturating_sub(self.sim.0);
        let day = Duration::from_secs(86_400);
        let span = |nanos: u64| {
            let real = self.speed.to_bits() == 1.0_f64.to_bits();
            Duration::from_nanos(if real { nanos } else { (nanos as f64 / self.speed) as u64 })
        };
        match u64::try_from(nanos) {
            Ok(later) => self.wall.checked_add(span(later)).unwrap_or(self.wall + day),
            Err(_) => self.wall.checked_sub(span(nanos.unsigned_abs())).unwrap_or(self.wall),
        }
    }

    /// From `wall` on, the line goes through `sim`.
    pub const fn rebase(&mut self, wall: Instant, sim: SimTime) {
        (self.wall, self.sim) = (wall, sim);
    }
}

/// The machine's monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a session in real time reads the clock, so that the kernel need not"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The machine's civil time, nanoseconds since 1970; 0 before.
#[expect(clippy::disallowed_methods, reason = "the log of a session says when it was")]
pub(super) fn unix_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The machine's civil time on the DTN time scale: milliseconds since 2000, without leap seconds as the machine counts.
#[must_use]
pub fn dtn_now_ms() -> i64 {
    const DTN_EPOCH_UNIX_MS: i64 = 946_684_800_000;
    i64::try_from(unix_ns() / 1_000_000).unwrap_or(i64::MAX) - DTN_EPOCH_UNIX_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_policies_are_read_and_others_are_refused() {
        assert_eq!("realtime".parse(), Ok(ClockMode::Realtime));
        assert_eq!("scaled(2.5)".parse(), Ok(ClockMode::Scaled(2.5)));
        assert_eq!("stepped(100 ms)".parse(), Ok(ClockMode::Stepped(SimTime(100 * 1_000_000))));
        assert_eq!("stepped".parse(), Ok(ClockMode::Stepped(SimTime::from_secs(1))));
        for wrong in
            ["scaled", "scaled(0)", "scaled(-1)", "scaled(NaN)", "stepped(0 s)", "fast", "realtime(2)"]
        {
            assert!(wrong.parse::<ClockMode>().is_err(), "{wrong}");
        }
        assert_eq!("hard-limit(20 ms)".parse(), Ok(LagPolicy::HardLimit(Duration::from_millis(20))));
        assert_eq!("slip".parse(), Ok(LagPolicy::Slip(Duration::from_millis(10))));
        assert_eq!("best-effort".parse(), Ok(LagPolicy::BestEffort));
        for wrong in ["hard-limit", "hard-limit(0 s)", "slip(x)", "none"] {
            assert!(wrong.parse::<LagPolicy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_line_and_its_inverse_agree_and_a_rebase_moves_it() {
        let wall = now();
        for speed in [1.0, 0.25, 60.0] {
            let mut pacer = Pacer::new(wall, SimTime::from_secs(5), speed);
            let at = SimTime::from_secs(65);
            let found = pacer.sim_at(pacer.wall_at(at));
            assert!((found.0 - at.0).abs() < 1_000, "{found}");
            assert_eq!(pacer.sim_at(wall), SimTime::from_secs(5));
            pacer.rebase(wall + Duration::from_secs(100), SimTime::from_secs(6));
            assert_eq!(pacer.sim_at(wall + Duration::from_secs(100)), SimTime::from_secs(6));
        }
    }
}
