//! [`Series`]: a time series of bounded length.

/// At most [`Series::CAPACITY`] points of a longer series, evenly chosen by their place: when it is full every second point
/// goes, and from then on only every second new one is taken. The last point is always there.
#[derive(Clone, Debug, Default)]
pub struct Series {
    kept: Vec<(f64, f64)>,
    last: Option<(f64, f64)>,
    seen: u64,
    /// log₂ of the stride.
    halvings: u32,
}

impl Series {
    /// Points kept at most.
    pub const CAPACITY: usize = 2048;

    /// Adds a point. Amortised O(1).
    pub fn push(&mut self, x: f64, y: f64) {
        if self.seen.is_multiple_of(1 << self.halvings) {
            if self.kept.len() == Self::CAPACITY {
                let mut place = 0_usize;
                self.kept.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.halvings += 1;
            }
            // Halving doubled the stride: this point's place may not be a multiple of it any more.
            if self.seen.is_multiple_of(1 << self.halvings) {
                self.kept.push((x, y));
            }
        }
        self.last = Some((x, y));
        self.seen += 1;
    }

    /// The points, in order.
    #[must_use]
    pub fn points(&self) -> Vec<(f64, f64)> {
        let mut points = self.kept.clone();
        if let Some(last) = self.last.filter(|last| points.last() != Some(last)) {
            points.push(last);
        }
        points
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// How many points were pushed.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_keeps_evenly_spaced_points_and_the_last() {
        let mut series = Series::default();
        for place in 0..100_001 {
            series.push(f64::from(place), 0.0);
        }
        let points = series.points();
        assert!(
            points.len() <= Series::CAPACITY + 1 && points.len() >= Series::CAPACITY / 2,
            "{}",
            points.len()
        );
        assert_eq!((points[0].0, points[points.len() - 1].0), (0.0, 100_000.0));
        let stride = points[1].0 - points[0].0;
        let inner = &points[..points.len() - 1];
        assert!(inner.windows(2).all(|pair| pair[1].0 - pair[0].0 == stride));
    }

    #[test]
    fn a_short_series_is_kept_whole() {
        let mut series = Series::default();
        series.push(1.0, 2.0);
        series.push(3.0, 4.0);
        assert_eq!(series.points(), [(1.0, 2.0), (3.0, 4.0)]);
    }
}
