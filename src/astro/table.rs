//! [`Table`]: an interpolated ephemeris.

use super::kepler::Kepler;
use super::trajectory::MotionError;
use super::{Body, State, StateRow, Vec3};
use crate::units::SimTime;

/// Rows of states with cubic Hermite interpolation between them. Beyond the rows (needed only while light is under way)
/// the motion goes on as the Kepler orbit of the nearest row.
#[derive(Clone, Debug)]
pub(super) struct Table {
    gm: f64,
    rows: Vec<StateRow>,
}

impl Table {
    pub(super) fn new(
        rows: &[StateRow],
        center: Body,
        (start, end): (SimTime, SimTime),
    ) -> Result<Self, MotionError> {
        let [first, .., last] = rows else {
            return Err(MotionError::TooFewRows { found: rows.len(), min: 2 });
        };
        for (row, entry) in rows.iter().enumerate() {
            if !entry.position_m.iter().chain(&entry.velocity_mps).all(|value| value.is_finite()) {
                return Err(MotionError::NotFinite { row });
            }
            if row > 0 && entry.time <= rows[row - 1].time {
                return Err(MotionError::NotIncreasing { row, at: entry.time });
            }
        }
        if first.time > start || last.time < end {
            return Err(MotionError::TableTooShort { first: first.time, last: last.time, start, end });
        }
        Ok(Self { gm: center.gm_m3_s2(), rows: rows.to_vec() })
    }

    pub(super) fn state(&self, at: SimTime) -> State {
        let next = self.rows.partition_point(|row| row.time <= at);
        if next == 0 {
            return self.beyond(&self.rows[0], at);
        }
        if next == self.rows.len() {
            return self.beyond(&self.rows[next - 1], at);
        }
        let (from, to) = (&self.rows[next - 1], &self.rows[next]);
        let h = (to.time - from.time).as_secs_f64();
        let x = (at - from.time).as_secs_f64() / h;
        let (p0, v0) = (Vec3::from(from.position_m), Vec3::from(from.velocity_mps) * h);
        let (p1, v1) = (Vec3::from(to.position_m), Vec3::from(to.velocity_mps) * h);
        let c2 = (p1 - p0) * 3.0 - v0 * 2.0 - v1;
        let c3 = (p0 - p1) * 2.0 + v0 + v1;
        State {
            position_m: p0 + (v0 + (c2 + c3 * x) * x) * x,
            velocity_mps: (v0 + (c2 * 2.0 + c3 * (3.0 * x)) * x) / h,
        }
    }

    fn beyond(&self, row: &StateRow, at: SimTime) -> State {
        let state = State { position_m: row.position_m.into(), velocity_mps: row.velocity_mps.into() };
        let elapsed_s = (at - row.time).as_secs_f64();
        let bound = state.velocity_mps.norm_squared() * state.position_m.norm() < 1.999 * self.gm;
        let turning = state.position_m.cross(&state.velocity_mps).norm() > 0.0;
        if elapsed_s == 0.0 {
            return state;
        }
        if !(bound && turning) {
            return State { position_m: state.position_m + state.velocity_mps * elapsed_s, ..state };
        }
        let orbit = Kepler::from_state(&state, self.gm);
        Kepler { mean_anomaly: orbit.mean_anomaly + orbit.mean_motion(self.gm) * elapsed_s, ..orbit }
            .state(self.gm)
    }
}
