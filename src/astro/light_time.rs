//! [`light_time`]: how long a signal is under way.

use super::{Ephemeris, SPEED_OF_LIGHT_MPS, Trajectory};
use crate::units::SimTime;

/// A signal's way from the sender at transmission to the receiver at reception.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LightTime {
    /// One-way light time.
    pub owlt: SimTime,
    /// Length of the way, metres.
    pub range_m: f64,
}

/// One-way light time from `tx` at `sent` to where `rx` is at reception, in the barycentric frame. Newtonian: the Sun's
/// gravity delays by up to 0.2 ms more, the geometry's own error is below a nanosecond.
///
/// Iterated: each turn shrinks the error by the receiver's speed over that of light (1e-4), so four turns are enough.
#[must_use]
pub fn light_time(tx: &Trajectory, rx: &Trajectory, ephemeris: &Ephemeris, sent: SimTime) -> LightTime {
    const LIMIT: usize = 8;
    const ENOUGH_S: f64 = 1e-10;
    let from = tx.barycentric(ephemeris, sent).position_m;
    let (mut owlt_s, mut range_m) = (0.0, 0.0);
    for _ in 0..LIMIT {
        let received = sent + SimTime::from_secs_f64(owlt_s);
        range_m = (rx.barycentric(ephemeris, received).position_m - from).norm();
        let next_s = range_m / SPEED_OF_LIGHT_MPS;
        let change_s = (next_s - owlt_s).abs();
        owlt_s = next_s;
        if change_s < ENOUGH_S {
            break;
        }
    }
    LightTime { owlt: SimTime::from_secs_f64(owlt_s), range_m }
}
