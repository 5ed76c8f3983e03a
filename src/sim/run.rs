//! [`Simulation`]: a scenario set out, run to its end.

use super::{
    cell::{Cell, Origin, Setting},
    event::{Event, Stepped, decisions, plan_events},
    ledger::Ledger,
    outside::{BindError, Free, Grant, Outside, Port, Reality},
    partition::least_light_times,
    stretch::Books,
};
use crate::{
    engine::{Entry, EventQueue, Record, RecordKind, Sink},
    link::{LinkClass, SharedChannel},
    runtime::{Fleet, Runtime, Storage},
    scenario::{Fault, Scenario},
    units::{AssetIndex, SimTime},
    world::{
        Battery, Course, CourseError, Pace, Place, RadioBank, Receivers, Workload, is_shared, power_schedule,
        spawn,
    },
};
use bevy_ecs::{entity::Entity, schedule::Schedule, world::World};
use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan as NodePlan, PlanError, PlannedContact},
    node::Signatures,
    planning::ProblemError,
    time::Instant,
};
use std::{num::NonZeroUsize, ops::ControlFlow, sync::Arc, time::Duration};

/// Shortest and longest stretch of simulated time between two merges of the trace. The result does not depend on it.
const STRETCHES: (SimTime, SimTime) = (SimTime::from_secs(1), SimTime::from_secs(600));
/// Events that a stretch should hold: enough to be worth waking threads for, few enough to be held in memory.
const EVENTS_PER_STRETCH: (u64, u64) = (1_000, 8_000);
/// Longest interval of the power model.
const POWER_TICK: SimTime = SimTime::from_secs(300);

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Seed in place of the scenario's.
    pub seed: Option<u64>,
    /// Threads; the result does not depend on it.
    pub threads: NonZeroUsize,
    /// Where to stop before the scenario's end.
    pub until: Option<SimTime>,
    /// Whether sinks are told every bundle that is sent. The trace does not depend on it.
    pub capture: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: None, threads: NonZeroUsize::MIN, until: None, capture: false }
    }
}

/// Why a scenario cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// It cannot be set out.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// Nodes cannot hold its contact plan.
    #[error("contact plan: {0}")]
    Plan(#[from] PlanError),
    /// A participant's planning problem has no single solution.
    #[error("planning problem of `{asset}`: {source}")]
    Problem {
        /// The asset's name.
        asset: String,
        /// Why.
        source: ProblemError,
    },
    /// The plan's settings contradict each other.
    #[error("planning: {0}")]
    Planning(#[from] cosmosmesh_protocol::planning::PlanError),
    /// Something cannot be real.
    #[error("bind: {0}")]
    Bind(#[from] BindError),
    /// Threads cannot be started.
    #[error("cannot start {0} threads")]
    Threads(NonZeroUsize),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Simulated time.
    pub now: SimTime,
    /// When it ends.
    pub end: SimTime,
    /// Events handled.
    pub events: u64,
}

/// What a run amounted to, beside its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it ended.
    pub end: SimTime,
    /// Events handled.
    pub events: u64,
    /// Records written.
    pub records: u64,
    /// Signatures made and checked by all nodes.
    pub signatures: Signatures,
}

/// A scenario set out, ready to run.
pub struct Simulation {
    course: Course,
    fleet: Arc<Fleet>,
    plan: NodePlan,
    rates_bps: Vec<u64>,
    threads: NonZeroUsize,
    capture: bool,
    reality: Reality,
}

/// What changes while it runs.
struct Running {
    world: World,
    schedule: Schedule,
    books: Books,
    ledger: Ledger,
    records: u64,
    /// Length of the next stretch.
    stretch: SimTime,
    /// Time of the last and the next power tick.
    ticked: SimTime,
    next_tick: SimTime,
}

impl Simulation {
    /// Sets a scenario out: motions, contacts, keys, planning problems.
    ///
    /// # Errors
    /// [`SimError`] when something in it cannot be computed.
    pub fn new(scenario: Arc<Scenario>, options: Options) -> Result<Self, SimError> {
        Self::beside(scenario, options, Reality::default())
    }

    /// The same, with a part of it real.
    ///
    /// # Errors
    /// [`SimError`], also when that part does not fit the scenario.
    pub fn beside(scenario: Arc<Scenario>, options: Options, reality: Reality) -> Result<Self, SimError> {
        reality.check(&scenario)?;
        let end = options.until.map_or(scenario.duration, |until| until.min(scenario.duration));
        let seed = options.seed.unwrap_or(scenario.seed);
        let course = Course::new(scenario.clone(), seed, end, Some(options.threads))?;
        let mut fleet = Fleet::new(scenario.clone(), course.streams).map_err(|(asset, source)| {
            SimError::Problem { asset: scenario.asset(asset).name.clone(), source }
        })?;
        fleet.set_civil_offset(reality.civil_offset_ms);
        fleet.check_plan()?;
        let rates_bps: Vec<u64> =
            course.plan.contacts().iter().map(|contact| effective_rate(&course, contact)).collect();
        let known = course.scenario.protocol.plan_known;
        let plan = if known { node_plan(&course, &fleet, &rates_bps)? } else { NodePlan::default() };
        let Options { threads, capture, .. } = options;
        Ok(Self { course, fleet: Arc::new(fleet), plan, rates_bps, threads, capture, reality })
    }

    /// What is fixed before the run.
    #[must_use]
    pub const fn course(&self) -> &Course {
        &self.course
    }

    /// What the nodes have in common.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The same, to keep.
    #[must_use]
    pub fn shared_fleet(&self) -> Arc<Fleet> {
        self.fleet.clone()
    }

    /// What is real.
    #[must_use]
    pub const fn reality(&self) -> &Reality {
        &self.reality
    }

    /// Runs to the end; every record goes to `sink` in order of (time, asset, order at the asset).
    ///
    /// # Errors
    /// [`SimError::Interrupted`] when `progress` says so, [`SimError::Threads`].
    pub fn run(
        &self,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Summary, SimError> {
        self.run_beside(&mut Free, sink, progress)
    }

    /// Runs as far as `outside` grants, and exchanges frames with it.
    ///
    /// # Errors
    /// As [`Simulation::run`].
    pub fn run_beside(
        &self,
        outside: &mut dyn Outside,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Summary, SimError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads.get()).build();
        let pool = pool.map_err(|_| SimError::Threads(self.threads))?;
        let least_light_time = least_light_times(&self.course);
        let setting = Setting {
            course: &self.course,
            plan: &self.plan,
            fleet: &self.fleet,
            rates_bps: &self.rates_bps,
        };
        let mut end = self.course.end;
        let past = end + SimTime(1);
        let mut running = self.begin(&setting);
        running.deliver(sink);
        // Events before it may happen.
        let mut granted = SimTime::ZERO;
        let mut arrivals = Vec::new();
        loop {
            let next = running.books.queue.peek().map_or(SimTime::MAX, |(time, _)| time);
            let at = next.min(running.next_tick);
            if at >= granted {
                if granted == past {
                    break;
                }
                match outside.grant(at.min(past), &mut arrivals) {
                    Grant::Until(until) => {
                        running.books.let_in(&self.reality, &mut arrivals, granted);
                        granted = until.max(granted).min(past);
                    }
                    Grant::End(at) => {
                        end = at.max(granted).min(end);
                        break;
                    }
                }
                continue;
            }
            if running.next_tick <= next {
                running.tick(&setting, at);
            } else {
                let horizon = (at + running.stretch).min(running.next_tick).min(granted);
                running.advance(&setting, &pool, self.threads, at, horizon, &least_light_time);
            }
            running.deliver(sink);
            running.books.let_out(outside);
            if progress(Progress { now: at, end, events: running.books.events }).is_break() {
                return Err(SimError::Interrupted);
            }
        }
        running.finish(&setting, end);
        running.deliver(sink);
        for cell in &cells(&mut running.world) {
            if let Some(log) = cell.runtime.log(end, cell.storage) {
                sink.log(&log);
            }
        }
        let signatures = cells(&mut running.world).iter().fold(Signatures::default(), |sum, cell| {
            let own = cell.runtime.signatures();
            Signatures { made: sum.made + own.made, checked: sum.checked + own.checked }
        });
        Ok(Summary { end, events: running.books.events, records: running.records, signatures })
    }

    /// The world at the epoch, and what happens first.
    fn begin(&self, setting: &Setting<'_>) -> Running {
        let scenario = &self.course.scenario;
        let (mut world, entities) = spawn(&self.course);
        world.insert_resource(Pace { last: SimTime::ZERO, now: SimTime::ZERO });
        let mut queue = EventQueue::new();
        let mut merged = Vec::new();
        for (number, &entity) in entities.iter().enumerate() {
            let asset = AssetIndex(number as u32);
            let port = Port::new(&self.reality, scenario, asset);
            let mut runtime = if port.is_whole() {
                Runtime::elsewhere(asset, self.fleet.clone())
            } else {
                Runtime::new(asset, self.fleet.clone(), &self.course.streams, SimTime::ZERO)
            };
            if self.capture {
                runtime.watch_departures();
            }
            if port.application().is_some() {
                runtime.attach_application();
            }
            let mut origin = Origin::default();
            let commit = scenario.asset(asset).storage.commit;
            let restarts =
                |fault: &Fault| matches!(fault, Fault::AssetDown { asset: down, .. } if *down == asset);
            let restarts = scenario.faults.iter().any(restarts);
            let mut storage = if restarts { Storage::new(commit) } else { Storage::unread(commit) };
            runtime.brief(SimTime::ZERO, setting.plan, &mut storage, &mut merged);
            let first_timer = runtime.next_timer(&storage).map(|time| (time, Event::Timer));
            let workload = self.first_work(&mut world, entity, asset);
            let mut first = self.first_events(asset);
            if port.is_whole() {
                first.retain(|(_, event)| matches!(event, Event::WindowOpens(_) | Event::Fault { .. }));
            } else {
                first.extend(workload);
            }
            for (time, event) in first.into_iter().chain(first_timer) {
                origin.sequence += 1;
                let event = Stepped { step: 0, event };
                queue.push(asset, Entry { time, source: asset, sequence: origin.sequence, event });
            }
            world.entity_mut(entity).insert((runtime, origin, storage, port));
        }
        let limited = scenario.assets.iter().any(|asset| asset.power.is_some());
        let channels = scenario.classes.iter().map(channel).collect();
        let longest = scenario.traffic.iter().map(|flow| flow.lifetime);
        let longest = longest.chain(scenario.messages.iter().map(|list| list.lifetime));
        let longest = longest.chain(scenario.shared_state.iter().map(|shared| shared.lifetime));
        let longest = longest.chain(scenario.trust.iter().map(|trust| trust.lifetime));
        let longest = longest.chain(scenario.planning.iter().map(|plan| plan.lifetime)).max();
        let replicas = scenario.shared_state.as_ref().map_or(0, |shared| shared.members.len() as u32);
        Running {
            world,
            schedule: power_schedule(),
            books: Books { queue, channels, merged, ..Books::default() },
            ledger: Ledger::new(longest.unwrap_or(SimTime::ZERO), replicas),
            records: 0,
            stretch: SimTime::from_secs(30),
            ticked: SimTime::ZERO,
            next_tick: if limited { SimTime::ZERO } else { SimTime::MAX },
        }
    }

    /// Windows, faults and the plan's start, which everyone who takes part is told: a coordinator that is not there is missed.
    fn first_events(&self, asset: AssetIndex) -> Vec<(SimTime, Event)> {
        let scenario = &self.course.scenario;
        let mut events = Vec::new();
        if let Some(window) = self.course.windows[asset.get()].first() {
            events.push((window.start, Event::WindowOpens(0)));
        }
        if let Some(trust) = scenario.trust.as_ref().filter(|trust| trust.authority == asset) {
            let revocations = trust.revocations.iter().enumerate();
            events.extend(
                revocations.map(|(number, revocation)| (revocation.at, Event::Revoke(number as u32))),
            );
        }
        let items = scenario.adversaries.iter().enumerate().filter(|(_, item)| item.asset == asset);
        events.extend(items.map(|(number, item)| (item.start, Event::Attack(number as u32))));
        if let Some(governance) = &scenario.governance {
            events.extend(decisions(governance, asset));
        }
        for (number, fault) in scenario.faults.iter().enumerate() {
            let (concerned, start, end) = match fault {
                Fault::AssetDown { asset: down, start, end, .. } => (*down == asset, *start, *end),
                // Faults of links are noted at the first asset; the links' own outages do the work.
                Fault::LinkDown { start, end, .. } | Fault::ExtraLoss { start, end, .. } => {
                    (asset.0 == 0, *start, *end)
                }
            };
            if concerned {
                let fault = number as u32;
                events.push((start, Event::Fault { fault, begins: true }));
                events.push((end, Event::Fault { fault, begins: false }));
            }
        }
        let schemas = scenario.shared_state.iter().flat_map(|shared| shared.schemas.iter().enumerate());
        let own = schemas.filter(|(_, publication)| publication.asset == asset);
        events.extend(own.map(|(number, publication)| (publication.at, Event::Publish(number as u32))));
        if let Some(plan) = scenario.planning.as_ref().filter(|plan| plan.begins_with(asset)) {
            events.push((plan.start, Event::StartPlan));
        }
        events.extend(scenario.planning.iter().flat_map(|plan| plan_events(plan, asset)));
        events
    }

    /// First message of each flow, first write.
    fn first_work(&self, world: &mut World, entity: Entity, asset: AssetIndex) -> Vec<(SimTime, Event)> {
        debug_assert_eq!(world.get::<Place>(entity).map(|place| place.0), Some(asset));
        let mut workload = world.get_mut::<Workload>(entity).expect("every asset has a workload");
        let mut events = Vec::new();
        for (number, flow) in workload.flows.iter_mut().enumerate() {
            events.extend(flow.next_time().map(|time| (time, Event::Submit(number as u32))));
        }
        events.extend(workload.listed.next_time().map(|time| (time, Event::SubmitListed)));
        if let Some(writes) = workload.writes.as_mut() {
            events.extend(writes.next_time().map(|time| (time, Event::Write)));
        }
        events
    }
}

impl Running {
    /// Hands the records so far to the sink.
    fn deliver(&mut self, sink: &mut dyn Sink) {
        for mut record in self.books.merged.drain(..) {
            self.ledger.settle(&mut record);
            sink.record(&record);
            self.records += 1;
        }
        self.books.bundles.drain(..).for_each(|bundle| sink.bundle(&bundle));
    }

    /// Runs the events from `at` to `horizon`, exclusive, and chooses the length of the next stretch.
    fn advance(
        &mut self,
        setting: &Setting<'_>,
        pool: &rayon::ThreadPool,
        threads: NonZeroUsize,
        at: SimTime,
        horizon: SimTime,
        least_light_time: &[SimTime],
    ) {
        let before = self.books.events;
        let pool = (threads.get() > 1).then_some(pool);
        self.books.run_stretch(cells(&mut self.world), setting, pool, (at, horizon), least_light_time);
        let events = self.books.events - before;
        let (few, many) = EVENTS_PER_STRETCH;
        if events < few && horizon - at >= self.stretch {
            self.stretch = SimTime(self.stretch.0 * 2).min(STRETCHES.1);
        } else if events > many {
            self.stretch = SimTime(self.stretch.0 / 2).max(STRETCHES.0);
        }
    }
}

impl Running {
    /// Accounts for energy, and tells assets whose radios fall silent or wake.
    fn tick(&mut self, setting: &Setting<'_>, now: SimTime) {
        let before: Vec<bool> = cells(&mut self.world).iter().map(|cell| cell.battery.silent).collect();
        self.account(now);
        for cell in &mut cells(&mut self.world) {
            if cell.battery.is_limited() {
                let kind = energy(cell.battery);
                self.books.merged.push(Record { time: now, asset: cell.asset, kind });
            }
            if cell.battery.silent != before[cell.asset.get()] {
                cell.origin.sequence += 1;
                let event = Stepped { step: 0, event: Event::Silence(cell.battery.silent) };
                let (source, sequence) = (cell.asset, cell.origin.sequence);
                self.books.queue.push(cell.asset, Entry { time: now, source, sequence, event });
            }
        }
        let hundredth = SimTime(setting.course.end.0 / 100).max(SimTime::from_secs(1));
        self.next_tick = now + POWER_TICK.min(hundredth);
    }

    fn account(&mut self, now: SimTime) {
        self.world.insert_resource(Pace { last: self.ticked, now });
        self.schedule.run(&mut self.world);
        self.ticked = now;
    }

    /// The last records.
    fn finish(&mut self, setting: &Setting<'_>, end: SimTime) {
        self.account(end);
        debug_assert!(end <= setting.course.end);
        for cell in &mut cells(&mut self.world) {
            self.books.merged.push(Record { time: end, asset: cell.asset, kind: energy(cell.battery) });
            cell.runtime.finish(end, &mut self.books.merged);
        }
    }
}

fn energy(battery: &Battery) -> RecordKind {
    RecordKind::Energy { state_of_charge: battery.state_of_charge(), radio_joules: battery.radio_j }
}

/// The components of all assets, in the assets' order.
fn cells(world: &mut World) -> Vec<Cell<'_>> {
    type Parts<'w> = (
        &'w Place,
        &'w mut Origin,
        &'w mut Runtime,
        &'w mut RadioBank,
        &'w mut Receivers,
        &'w mut Battery,
        &'w mut Storage,
        &'w mut Workload,
        &'w mut Port,
    );
    let mut query = world.query::<Parts<'_>>();
    let mut cells: Vec<Cell<'_>> = query
        .iter_mut(world)
        .map(|(place, origin, runtime, radios, receivers, battery, storage, workload, port)| Cell {
            asset: place.0,
            origin: origin.into_inner(),
            runtime: runtime.into_inner(),
            radios: radios.into_inner(),
            receivers: receivers.into_inner(),
            battery: battery.into_inner(),
            storage: storage.into_inner(),
            workload: workload.into_inner(),
            port: port.into_inner(),
        })
        .collect();
    // The order of a query follows the history of archetypes.
    cells.sort_unstable_by_key(|cell| cell.asset);
    cells
}

fn channel(class: &LinkClass) -> Option<SharedChannel> {
    let lora = class.lora().filter(|_| is_shared(class))?;
    let modulation = lora.modulation();
    Some(SharedChannel::new(&modulation, modulation.sensitivity_dbm(), lora.capture_threshold))
}

/// The rate at which full frames move payload, bits per second: what a node may count on.
fn effective_rate(course: &Course, contact: &crate::contact::Contact) -> u64 {
    let radio = &course.scenario.asset(contact.from).radios[contact.from_radio as usize];
    let class = &course.scenario.classes[radio.class];
    let airtime = class.time_on_air(class.mtu_bytes, contact.rate).as_nanos().max(1);
    let rate = i128::from(class.mtu_bytes) * 8 * 1_000_000_000 / i128::from(airtime);
    u64::try_from(rate).unwrap_or(u64::MAX).max(1)
}

/// The contact plan as nodes know it: without faults, with the longest light time of each contact.
fn node_plan(course: &Course, fleet: &Fleet, rates_bps: &[u64]) -> Result<NodePlan, PlanError> {
    let planned =
        course.plan.contacts().iter().zip(rates_bps).filter(|(contact, _)| contact.start < contact.end);
    NodePlan::from_contacts(planned.map(|(contact, rate_bps)| {
        let light_times = contact.range.iter().map(|sample| contact.owlt_at(sample.time));
        let owlt = light_times.max().unwrap_or(SimTime::ZERO);
        PlannedContact {
            from: fleet.node(contact.from),
            to: fleet.node(contact.to),
            start: Instant::from_nanos(contact.start.as_nanos().unsigned_abs()),
            end: Instant::from_nanos(contact.end.as_nanos().unsigned_abs()),
            rate_bps: *rate_bps,
            owlt: Duration::from_nanos(owlt.as_nanos().unsigned_abs()),
        }
    }))
}
