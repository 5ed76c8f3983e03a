//! Which assets can meet within a window of time.
//!
//! Two assets meet only through a contact. Within a window of length W, a contact whose light time is at least W carries nothing from
//! one end to the other: what starts in the window arrives after it. So the connected components over the other contacts that are open in
//! the window are independent of each other, and may run side by side. All radios of one shared channel are in one component.

use super::cell::Cell;
use crate::{
    units::SimTime,
    world::{Course, is_shared},
};

/// A disjoint-set forest over assets.
#[derive(Clone, Debug)]
pub(super) struct Components {
    parent: Vec<u32>,
}

impl Components {
    /// Every asset by itself.
    pub(super) fn new(assets: usize) -> Self {
        Self { parent: (0..assets as u32).collect() }
    }

    /// The asset that stands for `asset`'s component: the lowest one in it.
    pub(super) fn of(&mut self, asset: u32) -> u32 {
        let mut root = asset;
        while self.parent[root as usize] != root {
            root = self.parent[root as usize];
        }
        let mut at = asset;
        while self.parent[at as usize] != root {
            at = std::mem::replace(&mut self.parent[at as usize], root);
        }
        root
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.of(a), self.of(b));
        // The lower one stands for both, whatever the order of joining.
        self.parent[a.max(b) as usize] = a.min(b);
    }
}

/// The components of the time from now to `horizon`, exclusive. `least_light_time`: by contact.
pub(super) fn components(
    course: &Course,
    cells: &[Cell<'_>],
    length: SimTime,
    horizon: SimTime,
    least_light_time: &[SimTime],
) -> Components {
    let mut components = Components::new(cells.len());
    for (class, _) in course.scenario.classes.iter().enumerate().filter(|(_, class)| is_shared(class)) {
        let mut members = cells.iter().filter(|cell| cell.radios.0.iter().any(|radio| radio.class == class));
        if let Some(first) = members.next() {
            members.for_each(|cell| components.join(first.asset.0, cell.asset.0));
        }
    }
    for cell in cells {
        let windows = &course.windows[cell.asset.get()];
        let open =
            cell.radios.0.iter().flat_map(|radio| {
                radio.open.iter().map(|open| open.window).chain(radio.waiting.iter().copied())
            });
        let soon = (cell.origin.next_window..)
            .take_while(|place| windows.get(*place as usize).is_some_and(|window| window.start < horizon));
        for place in open.chain(soon) {
            let window = windows[place as usize];
            if least_light_time[window.contact as usize] < length {
                components.join(cell.asset.0, course.links[window.link as usize].to.0);
            }
        }
    }
    components
}

/// The least light time of each contact. Between samples the range may dip a little below both: one percent is taken off.
pub(super) fn least_light_times(course: &Course) -> Vec<SimTime> {
    let least = |contact: &crate::contact::Contact| {
        let times = contact.range.iter().map(|sample| contact.owlt_at(sample.time));
        times.min().map_or(SimTime::ZERO, |least| SimTime(least.0 / 100 * 99))
    };
    course.plan.contacts().iter().map(least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_asset_stands_for_a_component_whatever_the_order() {
        for order in [[(4, 2), (2, 1), (0, 3)], [(0, 3), (1, 2), (4, 1)]] {
            let mut components = Components::new(5);
            order.iter().for_each(|&(a, b)| components.join(a, b));
            let roots: Vec<u32> = (0..5).map(|asset| components.of(asset)).collect();
            assert_eq!(roots, [0, 1, 1, 0, 1]);
        }
    }
}
