//! The events of one partition within one window of time.

use super::event::Stepped;
use crate::{
    engine::{Entry, EventQueue},
    units::{AssetIndex, SimTime},
};

/// Events up to a horizon in order, and those beyond it aside.
pub(super) struct Agenda<'q> {
    queue: &'q mut EventQueue<Stepped>,
    horizon: SimTime,
    /// Events beyond the horizon, unless they go into the queue too.
    later: Option<Vec<(AssetIndex, Entry<Stepped>)>>,
}

impl<'q> Agenda<'q> {
    /// Of one partition among several: what comes to be beyond the horizon may be another's.
    pub(super) const fn new(queue: &'q mut EventQueue<Stepped>, horizon: SimTime) -> Self {
        Self { queue, horizon, later: Some(Vec::new()) }
    }

    /// Of all assets: `queue` holds the events beyond the horizon too.
    pub(super) const fn of_all(queue: &'q mut EventQueue<Stepped>, horizon: SimTime) -> Self {
        Self { queue, horizon, later: None }
    }

    /// Adds an event at `asset`.
    pub(super) fn push(&mut self, asset: AssetIndex, entry: Entry<Stepped>) {
        match &mut self.later {
            Some(later) if entry.time >= self.horizon => later.push((asset, entry)),
            _ => self.queue.push(asset, entry),
        }
    }

    /// The next event before the horizon.
    pub(super) fn pop(&mut self) -> Option<(AssetIndex, Entry<Stepped>)> {
        let (time, _) = self.queue.peek()?;
        if time < self.horizon { self.queue.pop() } else { None }
    }

    /// The events beyond the horizon that were put aside.
    pub(super) fn into_later(self) -> Vec<(AssetIndex, Entry<Stepped>)> {
        self.later.unwrap_or_default()
    }
}
