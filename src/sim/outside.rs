//! What is real: radios of assets whose frames come from outside of the simulation, and go there.
//!
//! The kernel asks an [`Outside`] how far it may go. With the answer come the frames that arrived up to there, each with a
//! stamp; they are events like any other, last among those of their moment and asset, in their own order. So a run depends on the frames and
//! their stamps alone, and not on how the answers cut time into pieces: given again, the same frames make the same trace.
//!
//! A frame that comes in is sent by the asset's radio, with that radio's airtime, queue, duty cycle and contention, and flies as the link has it. A
//! frame that reaches the asset, after delay, windows and loss, departs at the end of its reception.

use super::{
    cell::{Cell, Surroundings},
    event::{Event, Incoming},
};
use crate::{
    engine::{Fingerprint, RecordKind},
    link::{Flight, Frame, Passage},
    scenario::{Scenario, Service},
    units::{AssetIndex, SimTime},
    world::{Course, QueuedFrame},
};
use bevy_ecs::component::Component;
use std::collections::VecDeque;

/// Stands as the source of events from outside: after every asset's own.
pub(super) const NOWHERE: AssetIndex = AssetIndex(u32::MAX);
/// Frames that wait in a radio for their turn on air; one more is refused (`outside_queue_full`).
const MAX_WAITING: usize = 256;
/// What becomes of a frame from outside that is not on air before its radio serves nobody, or may not be sent at all.
const LOST: RecordKind = RecordKind::InputRefused { reason: "outside_lost" };

/// A radio that is real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The asset.
    pub asset: AssetIndex,
    /// Its radio, in the order of the scenario.
    pub radio: u32,
    /// The only peer at the other end. Without one, what is sent reaches all that the radio serves at that time.
    pub peer: Option<AssetIndex>,
    /// What of the asset is real.
    pub part: Part,
}

/// What of an asset is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The node itself: the simulation runs none for it, and gives it no work.
    Node,
    /// A service beside the node, on its radio: frames that begin with this byte.
    Service(u8),
    /// The way to the peer: the node is simulated, and what its radio sends there goes out instead of flying, and what comes in is heard from there, with the
    /// link's light time and loss, in its windows.
    Way,
    /// The application of the simulated node: what comes in is an [`Asked`](super::Asked), what goes out an [`Answer`](super::Answer). It has no radio.
    Application,
}

/// What is real in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reality {
    /// The radios; an interface's number is its place.
    pub interfaces: Vec<Interface>,
    /// Whether no node is simulated, only links.
    pub links_alone: bool,
    /// How far the nodes' civil time is from the scenario's, milliseconds: nodes outside may go by this machine's clock.
    pub civil_offset_ms: i64,
}

/// Why something cannot be real.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The radio is not there.
    #[error("`{asset}` has {radios} radios; there is no number {radio}")]
    Radio {
        /// The asset's name.
        asset: String,
        /// The number.
        radio: u32,
        /// How many there are.
        radios: usize,
    },
    /// A way leads to a peer.
    #[error("`{asset}`: a way is to one peer: ASSET/RADIO>PEER, and one that the radio talks to")]
    Way {
        /// The asset's name.
        asset: String,
    },
    /// Two interfaces for the same frames.
    #[error("`{asset}`: two interfaces for one radio and peer")]
    Twice {
        /// The asset's name.
        asset: String,
    },
    /// An application speaks with a simulated node by its streams of messages.
    #[error("`{asset}`: an application is beside a simulated node, in a scenario whose service is Streams")]
    Application {
        /// The asset's name.
        asset: String,
    },
    /// The asset has a part in what only simulated nodes are told how to do.
    #[error("`{asset}` takes part in the scenario's {what}, which a node outside is not told of")]
    Module {
        /// The asset's name.
        asset: String,
        /// What.
        what: &'static str,
    },
}

impl Reality {
    /// Whether an asset's node is not simulated.
    #[must_use]
    pub fn has_node(&self, asset: AssetIndex) -> bool {
        self.links_alone || self.interfaces.iter().any(|one| one.asset == asset && one.part == Part::Node)
    }

    /// The assets between which frames take real ways, sender first.
    pub fn ways(&self) -> impl Iterator<Item = (AssetIndex, AssetIndex)> {
        let ways = self.interfaces.iter().filter(|one| one.part == Part::Way);
        ways.filter_map(|one| Some((one.asset, one.peer?))).flat_map(|(own, peer)| [(own, peer), (peer, own)])
    }

    /// Whether it fits a scenario.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn check(&self, scenario: &Scenario) -> Result<(), BindError> {
        for (place, one) in self.interfaces.iter().enumerate() {
            let asset = scenario.asset(one.asset);
            let name = || asset.name.clone();
            if one.radio as usize >= asset.radios.len() {
                let radios = asset.radios.len();
                return Err(BindError::Radio { asset: name(), radio: one.radio, radios });
            }
            let same = |other: &&Interface| {
                (other.asset, other.radio, other.peer) == (one.asset, one.radio, one.peer)
                    && other.part == one.part
            };
            if self.interfaces[..place].iter().find(same).is_some() {
                return Err(BindError::Twice { asset: name() });
            }
            if one.part == Part::Way && (one.peer.is_none() || self.has_node(one.asset)) {
                return Err(BindError::Way { asset: name() });
            }
            let streams = scenario.protocol.service == Service::Streams;
            if one.part == Part::Application && (self.has_node(one.asset) || !streams) {
                return Err(BindError::Application { asset: name() });
            }
            if one.part == Part::Node && !self.links_alone {
                let shared = scenario.shared_state.as_ref();
                if shared.is_some_and(|shared| shared.members.contains(&one.asset)) {
                    return Err(BindError::Module { asset: name(), what: "shared state" });
                }
                let plan = scenario.planning.as_ref();
                if plan.is_some_and(|plan| {
                    plan.coordinator == one.asset
                        || plan.successors.contains(&one.asset)
                        || plan.participants.iter().any(|participant| participant.asset == one.asset)
                }) {
                    return Err(BindError::Module { asset: name(), what: "plan" });
                }
            }
        }
        Ok(())
    }
}

/// A frame that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its stamp: when it is in the simulation.
    pub time: SimTime,
    /// The interface's number.
    pub interface: u32,
    /// How it enters.
    pub entrance: Entrance,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How a frame enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The asset's radio sends it.
    Air,
    /// A service hands it to the asset's node, as heard from this asset.
    Node(AssetIndex),
}

/// A frame that leaves the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// When its last bit is here.
    pub time: SimTime,
    /// The interface's number.
    pub interface: u32,
    /// Who sent it.
    pub from: AssetIndex,
    /// How strongly it was heard over the noise, in dB, where the link has a modulation.
    pub snr_db: Option<i8>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How far the kernel may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// All events before this time may happen: no frame comes in any more with an earlier stamp.
    Until(SimTime),
    /// The session ends here: events before this time have happened, and no others do.
    End(SimTime),
}

/// What is beside the simulation.
pub trait Outside {
    /// The kernel has done all that it was allowed to, and `next` is when it has something to do: at most a nanosecond after the run's end. Waits as
    /// it sees fit, and adds the frames that came in to `arrivals`, in the order of their stamps, none of them before the last grant.
    /// A grant is never before the last one.
    fn grant(&mut self, next: SimTime, arrivals: &mut Vec<Arrival>) -> Grant;

    /// Takes the frames that leave, in the order of time and interface.
    fn depart(&mut self, departures: &mut Vec<Departure>);

    /// The run is over, and this is what it reached: told before anything is written about it.
    fn reached(&mut self, _end: SimTime, _fingerprint: Fingerprint) {}
}

/// Nothing is outside: time is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Free;

impl Outside for Free {
    fn grant(&mut self, _next: SimTime, _arrivals: &mut Vec<Arrival>) -> Grant {
        Grant::Until(SimTime::MAX)
    }

    fn depart(&mut self, departures: &mut Vec<Departure>) {
        departures.clear();
    }
}

/// An asset's way to the outside.
#[derive(Component, Clone, Debug, Default)]
pub(super) struct Port {
    whole: bool,
    /// Interfaces with their numbers.
    ends: Vec<(u32, Interface)>,
    /// Frames that wait for their turn on air, with the only peer they are for, by radio.
    waiting: Vec<VecDeque<(Option<AssetIndex>, Vec<u8>)>>,
}

impl Port {
    pub(super) fn new(reality: &Reality, scenario: &Scenario, asset: AssetIndex) -> Self {
        let numbered = reality.interfaces.iter().enumerate();
        let ends: Vec<(u32, Interface)> = numbered
            .filter(|(_, one)| one.asset == asset)
            .map(|(number, one)| (number as u32, one.clone()))
            .collect();
        let radios = if ends.is_empty() { 0 } else { scenario.asset(asset).radios.len() };
        Self { whole: reality.has_node(asset), ends, waiting: vec![VecDeque::new(); radios] }
    }

    /// Whether the asset's node is outside.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// The interface that takes a frame from `peer` on a radio: the one for that peer, or else the one for all.
    fn takes(&self, radio: u32, peer: AssetIndex, bytes: &[u8]) -> Option<u32> {
        let fits = |one: &Interface| {
            one.radio == radio
                && match one.part {
                    Part::Node => true,
                    Part::Service(mark) => bytes.first() == Some(&mark),
                    // What is heard from there is for the node.
                    Part::Way | Part::Application => false,
                }
        };
        let fitting = || self.ends.iter().filter(|(_, one)| fits(one));
        let own = fitting().find(|(_, one)| one.peer == Some(peer));
        own.or_else(|| fitting().find(|(_, one)| one.peer.is_none())).map(|(number, _)| *number)
    }
}

impl Port {
    /// The interface of the node's application, if that is outside.
    pub(super) fn application(&self) -> Option<u32> {
        let is = |(_, one): &&(u32, Interface)| one.part == Part::Application;
        self.ends.iter().find(is).map(|(number, _)| *number)
    }

    /// The interface through which frames to a peer leave instead of flying.
    pub(super) fn way(&self, radio: u32, peer: AssetIndex) -> Option<u32> {
        let leads = |one: &Interface| one.part == Part::Way && one.radio == radio && one.peer == Some(peer);
        self.ends.iter().find(|(_, one)| leads(one)).map(|(number, _)| *number)
    }
}

impl Cell<'_> {
    /// A frame comes in by a way: it is heard a light time later, if the link has it so.
    fn comes_by_way(
        &mut self,
        around: &mut Surroundings<'_, '_>,
        now: SimTime,
        (radio, from): (u32, AssetIndex),
        bytes: Vec<u8>,
    ) {
        let course = around.setting.course;
        let ours = |link: &crate::world::DirectedLink| {
            (link.from, link.to, link.to_radio) == (from, self.asset, radio)
        };
        let windows = course.windows[from.get()].iter();
        let open = windows
            .take_while(|window| window.start <= now)
            .find(|window| now <= window.end && ours(&course.links[window.link as usize]));
        let length = bytes.len() as u32;
        let Some(window) = open else {
            let reason = crate::engine::LossReason::WindowClosed;
            let kind = RecordKind::FrameLost { peer: from, bytes: length, reason };
            return self.record(around, now, kind);
        };
        let link = &course.links[window.link as usize];
        let contact = &course.plan.contacts()[window.contact as usize];
        let bytes_on_air = course.class(link).bytes_on_air(length);
        let passage = Passage {
            start: window.start,
            end: window.end,
            light_time: contact.owlt_at(now),
            bit_error_rate: contact.bit_error_rate,
        };
        // Its time on air was real.
        let frame = Frame { start: now, bytes: bytes_on_air, airtime: SimTime::ZERO };
        let Ok(flight) = Flight::depart(frame, passage, &course.outages[from.get()]) else {
            let reason = crate::engine::LossReason::Fault;
            let kind = RecordKind::FrameLost { peer: from, bytes: length, reason };
            return self.record(around, now, kind);
        };
        let (link, transmission) = (window.link, None);
        let incoming = Incoming { link, flight, bytes, addressed: true, transmission, attack: None };
        self.schedule(around, self.asset, flight.arrival(), Event::FrameEnds(Box::new(incoming)));
    }

    /// A frame comes in from outside.
    pub(super) fn arrives(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, arrival: Arrival) {
        let Arrival { interface, entrance, bytes, .. } = arrival;
        let end = self.port.ends.iter().find(|(number, _)| *number == interface);
        let Some((radio, peer, part)) = end.map(|(_, one)| (one.radio, one.peer, one.part)) else { return };
        if part == Part::Application {
            return self.asks(around, now, &bytes);
        }
        if let (Part::Way, Some(peer)) = (part, peer) {
            if bytes.is_empty() {
                let kind = RecordKind::InputRefused { reason: "outside_empty" };
                return self.record(around, now, kind);
            }
            return self.comes_by_way(around, now, (radio, peer), bytes);
        }
        let course = around.setting.course;
        if let Entrance::Node(from) = entrance {
            let heard = |link: &&crate::world::DirectedLink| {
                (link.from, link.to, link.to_radio) == (from, self.asset, radio)
            };
            if let Some(link) = course.links.iter().find(heard).map(|link| link.receiver_link) {
                self.runtime.frame(now, link, &bytes, self.storage, &mut around.records);
            }
            return;
        }
        let refused = if bytes.is_empty() {
            Some("outside_empty")
        } else if self.place_for(course, radio, peer).is_none() || self.battery.silent {
            Some("outside_no_contact")
        } else if self.port.waiting[radio as usize].len() >= MAX_WAITING {
            Some("outside_queue_full")
        } else {
            None
        };
        match refused {
            Some(reason) => self.record(around, now, RecordKind::InputRefused { reason }),
            None => self.port.waiting[radio as usize].push_back((peer, bytes)),
        }
    }

    /// What waits for a radio that serves nobody is sent into the void.
    pub(super) fn forget_arrived(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, radio: u32) {
        let waiting = self.port.waiting.get_mut(radio as usize).map_or(0, |waiting| {
            let count = waiting.len();
            waiting.clear();
            count
        });
        (0..waiting).for_each(|_| self.record(around, now, LOST));
    }

    /// A frame does not get on air: of those from outside nobody else keeps a record.
    pub(super) fn tell_lost(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, frame: &QueuedFrame) {
        if frame.to_all || self.port.whole {
            self.record(around, now, LOST);
        }
    }

    /// The next frame from outside for a radio; those whose peer is gone by now reach nobody.
    pub(super) fn next_arrived(
        &mut self,
        around: &mut Surroundings<'_, '_>,
        now: SimTime,
        radio: u32,
    ) -> Option<QueuedFrame> {
        while let Some((peer, bytes)) = self.port.waiting.get_mut(radio as usize)?.pop_front() {
            if let Some(window) = self.place_for(around.setting.course, radio, peer) {
                let to_all = peer.is_none();
                return Some(QueuedFrame { window, bytes, bundle: None, to_all, attack: None });
            }
            self.record(around, now, LOST);
        }
        None
    }

    /// The window through which a frame from outside leaves.
    fn place_for(&self, course: &Course, radio: u32, peer: Option<AssetIndex>) -> Option<u32> {
        let windows = &course.windows[self.asset.get()];
        let to = |place: u32| course.links[windows[place as usize].link as usize].to;
        let mut open = self.radios.0[radio as usize].open.iter().map(|open| open.window);
        open.find(|place| peer.is_none_or(|peer| to(*place) == peer))
    }

    /// Gives a frame that was received to the outside, if it is for it; says whether the asset's node is not to have it.
    pub(super) fn departs(
        &self,
        around: &mut Surroundings<'_, '_>,
        now: SimTime,
        incoming: &Incoming,
    ) -> bool {
        if self.port.ends.is_empty() {
            return self.port.whole;
        }
        let link = &around.setting.course.links[incoming.link as usize];
        let Some(interface) = self.port.takes(link.to_radio, link.from, &incoming.bytes) else {
            return self.port.whole;
        };
        let (from, bytes) = (link.from, incoming.bytes.clone());
        let snr_db = self.snr_db(around, now, incoming);
        around.departures.push(Departure { time: now, interface, from, snr_db, bytes });
        true
    }
}
