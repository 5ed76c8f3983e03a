//! [`Books`]: what stretches of time share beside the world, and how one is run, on one thread or dealt out to several.

use super::{
    agenda::Agenda,
    cell::{Cell, Setting, Surroundings},
    event::{Event, Stepped},
    outside::{Arrival, Departure, NOWHERE, Outside, Reality},
    partition::{Components, components},
};
use crate::{
    engine::{Entry, EventQueue, Record, SentBundle, merge_bundles, merge_records},
    link::SharedChannel,
    units::{AssetIndex, SimTime},
    world::Course,
};
use rayon::iter::{IntoParallelRefMutIterator as _, ParallelIterator as _};
use std::collections::BTreeMap;

/// With fewer due events than this, waking a thread takes longer than the work.
const WORTH_A_THREAD: usize = 32;

/// What stretches share beside the world.
#[derive(Default)]
pub(super) struct Books {
    pub(super) queue: EventQueue<Stepped>,
    pub(super) channels: Vec<Option<SharedChannel>>,
    pub(super) merged: Vec<Record>,
    pub(super) bundles: Vec<SentBundle>,
    pub(super) departures: Vec<Departure>,
    /// Frames that came in so far.
    pub(super) arrived: u64,
    pub(super) events: u64,
    /// Memory of a stretch's records and their steps, for the next one.
    pub(super) spare: (Vec<Record>, Vec<u32>),
}

/// One component's part of a stretch.
struct Task<'w> {
    cells: Vec<Cell<'w>>,
    queue: EventQueue<Stepped>,
    channels: Vec<Option<SharedChannel>>,
    done: Option<Done>,
}

struct Done {
    later: Vec<(AssetIndex, Entry<Stepped>)>,
    records: Vec<Record>,
    bundles: Vec<SentBundle>,
    departures: Vec<Departure>,
    steps: Vec<u32>,
    events: u64,
}

impl Task<'_> {
    fn run(&mut self, setting: &Setting<'_>, horizon: SimTime, place: &[u32]) {
        let channels = std::mem::take(&mut self.channels);
        let agenda = Agenda::new(&mut self.queue, horizon);
        let mut around = Surroundings::new(setting, agenda, channels);
        drive(&mut self.cells, &mut around, place);
        let Surroundings { agenda, records, steps, bundles, departures, channels, events, .. } = around;
        self.channels = channels;
        self.done = Some(Done { later: agenda.into_later(), records, steps, bundles, departures, events });
    }
}

/// The loop: the next event, at its asset, until the horizon.
fn drive(cells: &mut [Cell<'_>], around: &mut Surroundings<'_, '_>, place: &[u32]) {
    while let Some((asset, entry)) = around.agenda.pop() {
        around.events += 1;
        let cell = &mut cells[place[asset.get()] as usize];
        assert_eq!(cell.asset, asset, "an event reaches only assets of its partition");
        cell.handle(around, entry.time, entry.event);
    }
}

impl Books {
    /// Runs the events from the first time to the second, exclusive, on the threads of a pool if there is one.
    pub(super) fn run_stretch(
        &mut self,
        mut cells: Vec<Cell<'_>>,
        setting: &Setting<'_>,
        pool: Option<&rayon::ThreadPool>,
        (at, horizon): (SimTime, SimTime),
        least_light_time: &[SimTime],
    ) {
        let Some(pool) = pool else { return self.run_alone(&mut cells, setting, horizon) };
        let mut components = components(setting.course, &cells, horizon - at, horizon, least_light_time);
        let (mut tasks, place) = self.deal(setting.course, cells, &mut components, horizon);
        let due: usize = tasks.iter().map(|task| task.queue.len()).sum();
        if tasks.len() == 1 || due < WORTH_A_THREAD {
            tasks.iter_mut().for_each(|task| task.run(setting, horizon, &place));
        } else {
            pool.install(|| tasks.par_iter_mut().for_each(|task| task.run(setting, horizon, &place)));
        }
        self.gather(tasks);
    }

    fn run_alone(&mut self, cells: &mut [Cell<'_>], setting: &Setting<'_>, horizon: SimTime) {
        let everyone: Vec<u32> = (0..cells.len() as u32).collect();
        let channels = std::mem::take(&mut self.channels);
        let agenda = Agenda::of_all(&mut self.queue, horizon);
        let mut around = Surroundings::new(setting, agenda, channels);
        (around.records, around.steps) = std::mem::take(&mut self.spare);
        drive(cells, &mut around, &everyone);
        let Surroundings { mut records, mut steps, bundles, mut departures, channels, events, .. } = around;
        self.channels = channels;
        self.departures.append(&mut departures);
        self.events += events;
        order(&mut records, &steps, &mut self.merged);
        merge_bundles([bundles], &mut self.bundles);
        steps.clear();
        self.spare = (records, steps);
    }

    /// Frames that came in become events, the first of them not before `granted`.
    pub(super) fn let_in(&mut self, reality: &Reality, arrivals: &mut Vec<Arrival>, granted: SimTime) {
        for arrival in arrivals.drain(..) {
            assert!(arrival.time >= granted, "a frame is stamped after what has happened");
            let Some(interface) = reality.interfaces.get(arrival.interface as usize) else { continue };
            self.arrived += 1;
            let (asset, time) = (interface.asset, arrival.time);
            let event = Stepped { step: 0, event: Event::Arrives(Box::new(arrival)) };
            // Numbered apart from the asset's own events: those are the same however time was granted.
            self.queue.push(asset, Entry { time, source: NOWHERE, sequence: self.arrived, event });
        }
    }

    /// Hands over the frames that leave.
    pub(super) fn let_out(&mut self, outside: &mut dyn Outside) {
        if !self.departures.is_empty() {
            // An interface is one asset's, whose frames are in order already.
            self.departures.sort_by_key(|departure| (departure.time, departure.interface));
            outside.depart(&mut self.departures);
            self.departures.clear();
        }
    }

    /// Deals cells, events and shared channels out to components that have something to do.
    fn deal<'w>(
        &mut self,
        course: &Course,
        cells: Vec<Cell<'w>>,
        components: &mut Components,
        horizon: SimTime,
    ) -> (Vec<Task<'w>>, Vec<u32>) {
        let mut due: BTreeMap<u32, EventQueue<Stepped>> = BTreeMap::new();
        while self.queue.peek().is_some_and(|(time, _)| time < horizon) {
            let (asset, entry) = self.queue.pop().expect("looked at just above");
            due.entry(components.of(asset.0)).or_default().push(asset, entry);
        }
        let none = || course.scenario.classes.iter().map(|_| None).collect::<Vec<_>>();
        let mut tasks: BTreeMap<u32, Task<'w>> = due
            .into_iter()
            .map(|(root, queue)| (root, Task { cells: Vec::new(), queue, channels: none(), done: None }))
            .collect();
        let mut place = vec![0; cells.len()];
        for cell in cells {
            let Some(task) = tasks.get_mut(&components.of(cell.asset.0)) else { continue };
            place[cell.asset.get()] = task.cells.len() as u32;
            for radio in &cell.radios.0 {
                if let Some(channel) = self.channels[radio.class].take() {
                    task.channels[radio.class] = Some(channel);
                }
            }
            task.cells.push(cell);
        }
        (tasks.into_values().collect(), place)
    }

    /// Takes back what the components did, in their order.
    fn gather(&mut self, tasks: Vec<Task<'_>>) {
        let mut records = Vec::with_capacity(tasks.len());
        let mut bundles = Vec::with_capacity(tasks.len());
        let mut later = Vec::new();
        for task in tasks {
            for (class, channel) in task.channels.into_iter().enumerate() {
                if channel.is_some() {
                    self.channels[class] = channel;
                }
            }
            let done = task.done.expect("every task has run");
            self.events += done.events;
            later.extend(done.later);
            self.departures.extend(done.departures);
            records.push((done.records, done.steps));
            bundles.push(done.bundles);
        }
        later.into_iter().for_each(|(asset, entry)| self.queue.push(asset, entry));
        merge(records.iter_mut().map(|(records, steps)| (records, &*steps)), &mut self.merged);
        merge_bundles(bundles, &mut self.bundles);
    }
}

/// Merges the records of partitions, with the step of each, in the order (time, step, asset, order at the asset).
fn merge<'a>(
    partitions: impl IntoIterator<Item = (&'a mut Vec<Record>, &'a Vec<u32>)>,
    out: &mut Vec<Record>,
) {
    let mut partitions: Vec<_> = partitions.into_iter().collect();
    if partitions.iter().all(|(_, steps)| steps.iter().all(|step| *step == 0)) {
        return merge_records(partitions.into_iter().map(|(records, _)| records), out);
    }
    let mut stepped: Vec<(u32, Record)> = Vec::new();
    for (records, steps) in &mut partitions {
        stepped.extend(steps.iter().copied().zip(records.drain(..)));
    }
    stepped.sort_by_key(|(step, record)| (record.time, *step, record.asset));
    out.extend(stepped.into_iter().map(|(_, record)| record));
}

/// Moves the records of all assets, with the step of each, to `out` in the order (time, step, asset, order at the asset). They come in the order
/// of time already, and seldom share a moment: O(n) then.
fn order(records: &mut Vec<Record>, steps: &[u32], out: &mut Vec<Record>) {
    out.reserve(records.len());
    let mut left = steps;
    let mut waiting = records.drain(..).peekable();
    let mut moment: Vec<(u32, Record)> = Vec::new();
    while let Some(first) = waiting.next() {
        let (time, step) = (first.time, left[0]);
        left = &left[1..];
        if waiting.peek().is_none_or(|next| next.time != time) {
            out.push(first);
            continue;
        }
        moment.push((step, first));
        while let Some(next) = waiting.next_if(|next| next.time == time) {
            moment.push((left[0], next));
            left = &left[1..];
        }
        let place = |(step, record): &(u32, Record)| (*step, record.asset);
        if !moment.is_sorted_by_key(place) {
            moment.sort_by_key(place);
        }
        out.extend(moment.drain(..).map(|(_, record)| record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RecordKind;
    use proptest::prelude::*;

    proptest! {
        /// One thread's records, put in order moment by moment, stand as a sort of all of them would have it.
        #[test]
        fn the_records_of_one_thread_are_in_the_order_of_time_step_and_asset(
            made in prop::collection::vec((0i64..4, 0u32..3, 0u32..4), 0..60),
        ) {
            let (mut time, mut records, mut steps) = (0, Vec::new(), Vec::new());
            for (number, (later, step, asset)) in made.into_iter().enumerate() {
                time += later / 3;
                let kind = RecordKind::SyncWrite { sequence: number as u64 };
                records.push(Record { time: SimTime(time), asset: AssetIndex(asset), kind });
                steps.push(step);
            }
            let mut expected: Vec<_> = steps.iter().copied().zip(records.clone()).collect();
            expected.sort_by_key(|(step, record)| (record.time, *step, record.asset));
            let mut found = Vec::new();
            order(&mut records, &steps, &mut found);
            prop_assert_eq!(found, expected.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
            prop_assert!(records.is_empty());
        }
    }
}
