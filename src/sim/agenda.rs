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
    later: Vec<(AssetIndex, Entry<Stepped>)>,
}

impl<'q> Agenda<'q> {
    /// Events before `horizon` are in `queue`.
    pub(super) const fn new(queue: &'q mut EventQueue<Stepped>, horizon: SimTime) -> Self {
        Self { queue, horizon, later: Vec::new() }
    }

    /// Adds an event at `asset`.
    pub(super) fn push(&mut self, asset: AssetIndex, entry: Entry<Stepped>) {
        if entry.time < self.horizon {
            self.queue.push(asset, entry);
        } else {
            self.later.push((asset, entry));
        }
    }

    /// The next event before the horizon.
    pub(super) fn pop(&mut self) -> Option<(AssetIndex, Entry<Stepped>)> {
        let (time, _) = self.queue.peek()?;
        if time < self.horizon { self.queue.pop() } else { None }
    }

    /// The events beyond the horizon.
    pub(super) fn into_later(self) -> Vec<(AssetIndex, Entry<Stepped>)> {
        self.later
    }
}
