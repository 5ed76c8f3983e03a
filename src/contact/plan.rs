//! [`Contact`] and [`ContactPlan`].

use crate::{
    astro::SPEED_OF_LIGHT_MPS,
    units::{AssetIndex, BitsPerSecond, SimTime},
};

/// Range at one moment of a contact; between samples it is interpolated (cubic Hermite).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeSample {
    /// Transmission time.
    pub time: SimTime,
    /// Path from the sender at `time` to the receiver at reception, metres.
    pub range_m: f64,
    /// Its rate of change, metres per second.
    pub range_rate_mps: f64,
}

impl RangeSample {
    /// The range at `time` by the cubic through two samples, metres.
    pub(super) fn between(left: &Self, right: &Self, time: SimTime) -> f64 {
        let width = (right.time - left.time).as_secs_f64();
        let u = (time - left.time).as_secs_f64() / width;
        let v = 1.0 - u;
        let step = right.range_m - left.range_m;
        let bend = left.range_rate_mps * v - right.range_rate_mps * u;
        left.range_m + step * (u * u * (3.0 - 2.0 * u)) + bend * (u * v * width)
    }
}

/// One direction of a window in which `from` can send to `to`. Times are the transmitter's: a frame may *start* within
/// [start, end].
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// The sender.
    pub from: AssetIndex,
    /// The receiver.
    pub to: AssetIndex,
    /// The sender's radio (index into its radios).
    pub from_radio: u32,
    /// The receiver's radio (index into its radios).
    pub to_radio: u32,
    /// First moment at which a frame may start.
    pub start: SimTime,
    /// Last moment at which a frame may start.
    pub end: SimTime,
    /// Data rate; where it adapts to the range, the rate over the whole window is the lowest that always closes.
    pub rate: BitsPerSecond,
    /// Probability of a bit error.
    pub bit_error_rate: f64,
    /// Highest elevation of the peer seen from an end on a surface, degrees (the higher of the two), if there is one.
    pub max_elevation_deg: Option<f64>,
    /// Range over the window: at least one sample, in time order, covering it (one sample: constant range).
    pub range: Vec<RangeSample>,
}

impl Contact {
    /// The length of the light's path for a transmission at `time`, metres; outside of the samples the nearest one's.
    /// Computed contacts are within about 0.1 m of their motions.
    ///
    /// # Panics
    /// When the contact has no sample, which breaks its promise.
    #[must_use]
    pub fn range_at(&self, time: SimTime) -> f64 {
        let right = self.range.partition_point(|sample| sample.time <= time);
        match (right.checked_sub(1).map(|left| &self.range[left]), self.range.get(right)) {
            (Some(left), Some(right)) => RangeSample::between(left, right, time),
            (Some(only), None) | (None, Some(only)) => only.range_m,
            (None, None) => panic!("a contact has at least one range sample"),
        }
    }

    /// The one-way light time of a transmission at `time`, rounded to the nearest nanosecond.
    ///
    /// # Panics
    /// As [`Contact::range_at`].
    #[must_use]
    pub fn owlt_at(&self, time: SimTime) -> SimTime {
        SimTime::from_secs_f64(self.range_at(time) / SPEED_OF_LIGHT_MPS)
    }
}

/// All contacts of a scenario in order of (start, from, to, from_radio, to_radio).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactPlan {
    contacts: Vec<Contact>,
}

impl ContactPlan {
    /// A plan of `contacts`, which it puts in order.
    #[must_use]
    pub fn new(mut contacts: Vec<Contact>) -> Self {
        contacts.sort_by_key(|c| (c.start, c.from, c.to, c.from_radio, c.to_radio));
        Self { contacts }
    }

    /// The contacts, in order.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }
}
