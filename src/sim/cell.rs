//! One asset's components, borrowed for a window of time, and what happens to them.

use super::{
    agenda::Agenda,
    event::{Event, Stepped},
    outside::{Departure, Port},
};
use crate::{
    engine::{Entry, Record, RecordKind, SentBundle},
    link::SharedChannel,
    runtime::{Content, Message, Runtime, Storage},
    scenario::{Fault, Revocation, Service},
    units::{AssetIndex, SimTime},
    world::{Battery, Course, RadioBank, Receivers, Workload},
};
use bevy_ecs::component::Component;
use cosmosmesh_protocol::{bundle::BundleFlags, dtn::contact_plan};

/// Numbers the events that an asset makes, and follows its windows.
#[derive(Component, Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// The last number.
    pub(super) sequence: u64,
    /// Place of the first window that has not opened.
    pub(super) next_window: u32,
    /// The moment of the last event, and the furthest step of it that was reached.
    pub(super) moment: (SimTime, u32),
}

/// What all partitions read.
pub(super) struct Setting<'a> {
    pub(super) course: &'a Course,
    /// The contact plan as nodes know it.
    pub(super) plan: &'a contact_plan::ContactPlan,
    /// Node numbers and configuration.
    pub(super) fleet: &'a crate::runtime::Fleet,
    /// The rate that a node reckons with, by contact.
    pub(super) rates_bps: &'a [u64],
}

/// An asset's components.
pub(super) struct Cell<'w> {
    pub(super) asset: AssetIndex,
    pub(super) origin: &'w mut Origin,
    pub(super) runtime: &'w mut Runtime,
    pub(super) radios: &'w mut RadioBank,
    pub(super) receivers: &'w mut Receivers,
    pub(super) battery: &'w mut Battery,
    pub(super) storage: &'w mut Storage,
    pub(super) workload: &'w mut Workload,
    pub(super) port: &'w mut Port,
}

/// What a partition owns beside its cells.
pub(super) struct Surroundings<'a, 'q> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) agenda: Agenda<'q>,
    pub(super) records: Vec<Record>,
    /// Bundles sent, when the run captures them.
    pub(super) bundles: Vec<SentBundle>,
    /// Frames that leave the simulation.
    pub(super) departures: Vec<Departure>,
    /// The step of each record.
    pub(super) steps: Vec<u32>,
    /// Shared channels by class; only the partition that holds all radios of the class has it.
    pub(super) channels: Vec<Option<SharedChannel>>,
    pub(super) events: u64,
}

impl<'a, 'q> Surroundings<'a, 'q> {
    /// Nothing has happened yet.
    pub(super) const fn new(
        setting: &'a Setting<'a>,
        agenda: Agenda<'q>,
        channels: Vec<Option<SharedChannel>>,
    ) -> Self {
        Self {
            setting,
            agenda,
            records: Vec::new(),
            steps: Vec::new(),
            bundles: Vec::new(),
            departures: Vec::new(),
            channels,
            events: 0,
        }
    }
}

impl Cell<'_> {
    /// Schedules an event that this asset causes at `target`.
    pub(super) fn schedule(
        &mut self,
        around: &mut Surroundings<'_, '_>,
        target: AssetIndex,
        time: SimTime,
        event: Event,
    ) {
        self.origin.sequence += 1;
        let (now, step) = self.origin.moment;
        let step = if time > now { 0 } else { step + u32::from(target != self.asset) };
        let event = Stepped { step, event };
        around.agenda.push(target, Entry { time, source: self.asset, sequence: self.origin.sequence, event });
    }

    pub(super) fn record(&self, around: &mut Surroundings<'_, '_>, time: SimTime, kind: RecordKind) {
        around.records.push(Record { time, asset: self.asset, kind });
    }

    /// Handles one event of this asset.
    pub(super) fn handle(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, stepped: Stepped) {
        let Stepped { step, event } = stepped;
        let reached = if self.origin.moment.0 == now { self.origin.moment.1 } else { 0 };
        self.origin.moment = (now, reached.max(step));
        self.act(around, now, event);
        self.settle(around, now);
        self.tell_application(around, now);
        around.steps.resize(around.records.len(), self.origin.moment.1);
    }

    fn act(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, event: Event) {
        match event {
            Event::WindowOpens(place) => self.window_opens(around, now, place),
            Event::WindowCloses(place) => self.window_closes(around, now, place),
            Event::FrameEnds(incoming) => self.frame_ends(around, now, *incoming),
            Event::FrameBegins(bytes) => self.runtime.incoming(now, bytes, self.storage, &mut around.records),
            Event::Arrives(arrival) => self.arrives(around, now, *arrival),
            Event::RadioFree(radio) => self.radio_free(around, now, radio),
            Event::Timer => self.runtime.timeout(now, self.storage, &mut around.records),
            Event::Submit(flow) => self.submit(around, now, flow),
            Event::SubmitListed => self.submit_listed(around, now),
            Event::Write => self.write(around, now),
            Event::Publish(number) => self.publish(around, now, number),
            Event::StartPlan => self.runtime.start_plan(now, self.storage, &mut around.records),
            Event::Revoke(number) => self.revoke(around, now, number),
            Event::Attack(item) => self.attack(around, now, item),
            Event::Propose(number) => {
                self.runtime.propose(now, number as usize, self.storage, &mut around.records);
            }
            Event::Vote(number) => self.vote(around, now, number),
            Event::PlanHorizon(horizon) => {
                self.runtime.plan_horizon(now, horizon, self.storage, &mut around.records);
            }
            Event::PlanPresence { joins } => {
                self.runtime.plan_presence(now, joins, self.storage, &mut around.records);
            }
            Event::Silence(silent) => self.set_silent(around, now, silent),
            Event::Fault { fault, begins } => self.fault(around, now, fault, begins),
        }
    }

    /// After every input: frames onto free radios, and the next timer.
    fn settle(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        for radio in 0..self.radios.0.len() as u32 {
            self.pump(around, now, radio);
        }
        if let Some(time) = self.runtime.next_timer(self.storage) {
            self.schedule(around, self.asset, time.max(now), Event::Timer);
        }
    }

    fn submit(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let flow = &mut self.workload.flows[number as usize];
        let message = Message {
            destination: flow.destination,
            kind: flow.kind,
            priority: flow.priority,
            lifetime: flow.lifetime,
            custody: flow.custody,
            reports: flow.reports,
            content: match around.setting.course.scenario.protocol.service {
                Service::Datagrams { size_only: true } => Content::Counted(flow.payload_bytes()),
                Service::Datagrams { size_only: false } | Service::Streams => {
                    Content::Carried(flow.payload())
                }
            },
        };
        let next = flow.next_time();
        self.runtime.send(now, message, self.storage, &mut around.records);
        if let Some(time) = next {
            self.schedule(around, self.asset, time.max(now), Event::Submit(number));
        }
    }

    fn submit_listed(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let scenario = &around.setting.course.scenario;
        let (Some(list), Some(listed)) = (&scenario.messages, self.workload.listed.next()) else { return };
        let message = Message {
            destination: listed.to,
            kind: list.kind,
            priority: list.priority,
            lifetime: list.lifetime,
            custody: list.custody,
            reports: BundleFlags::default(),
            content: match scenario.protocol.service {
                Service::Datagrams { size_only: true } => Content::Counted(listed.bytes),
                // What a list's messages say is not known: a byte stands for all.
                Service::Datagrams { size_only: false } | Service::Streams => {
                    Content::Carried(vec![0x55; listed.bytes as usize])
                }
            },
        };
        self.runtime.send(now, message, self.storage, &mut around.records);
        if let Some(time) = self.workload.listed.next_time() {
            self.schedule(around, self.asset, time, Event::SubmitListed);
        }
    }

    fn write(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let Some(writes) = self.workload.writes.as_mut() else { return };
        let (writing, next) = (writes.writing(), writes.next_time());
        self.runtime.write(now, &writing, self.storage, &mut around.records);
        if let Some(time) = next {
            self.schedule(around, self.asset, time.max(now), Event::Write);
        }
    }

    fn attack(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, item: u32) {
        let adversary = &around.setting.course.scenario.adversaries[item as usize];
        let (next, end) = (now + adversary.interval, adversary.end);
        self.runtime.attack(now, item, &mut around.records);
        if next < end {
            self.schedule(around, self.asset, next, Event::Attack(item));
        }
    }

    fn revoke(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let Some(trust) = &around.setting.course.scenario.trust else { return };
        let Revocation { asset, cause, .. } = trust.revocations[number as usize];
        self.runtime.revoke(now, asset, cause, self.storage, &mut around.records);
    }

    fn vote(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let Some(governance) = &around.setting.course.scenario.governance else { return };
        let vote = governance.votes[number as usize];
        self.runtime.take_opinion(now, vote.proposal, vote.approves, self.storage, &mut around.records);
    }

    fn publish(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let shared = &around.setting.course.scenario.shared_state;
        let publication = shared.as_ref().and_then(|shared| shared.schemas.get(number as usize));
        if let Some(publication) = publication {
            self.runtime.publish_schema(now, &publication.schema, self.storage, &mut around.records);
        }
    }

    fn fault(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32, begins: bool) {
        let setting = around.setting;
        self.record(around, now, RecordKind::Fault { fault: number, begins });
        let fault = &setting.course.scenario.faults[number as usize];
        // What is outside keeps running: its windows are cut, and what it sends meanwhile reaches nobody.
        let Fault::AssetDown { disk_lost, .. } = *fault else { return };
        if self.port.is_whole() {
            return;
        }
        if begins {
            if self.runtime.is_up() {
                let streams = &setting.course.streams;
                self.runtime.crash(now, streams, self.storage, &mut around.records);
                self.forget_frames();
            }
            if disk_lost {
                self.storage.lose();
            }
        } else if !self.runtime.is_up() && !setting.course.outages[self.asset.get()].contains(now) {
            let streams = &setting.course.streams;
            self.runtime.restart(now, streams, setting.plan, self.storage, &mut around.records);
            if !self.battery.silent {
                self.announce_links(around, now);
            }
        }
    }
}
