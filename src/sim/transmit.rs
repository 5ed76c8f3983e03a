//! The sending side of an asset's radios.

use super::{
    cell::{Cell, Surroundings},
    event::{Event, Incoming},
    outside::Departure,
};
use crate::{
    contact::Contact,
    engine::{RecordKind, SentBundle},
    link::{Flight, Frame, LinkClass, LinkConvergence, Passage},
    units::{AssetIndex, SimTime},
    world::{OpenWindow, QueuedFrame, Window},
};
use cosmosmesh_protocol::{
    convergence::small_frame::on_air_len,
    node::{Convergence, LinkId, LinkUp, LtpLink},
    time::Instant,
};

/// How long a radio remembers what it sent, to judge what it could not hear: longer than any frame's reception.
const MEMORY: SimTime = SimTime::from_secs(3600);

impl Cell<'_> {
    /// The asset's window at `place`; the next one is scheduled.
    pub(super) fn window_opens(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, place: u32) {
        let windows = &around.setting.course.windows[self.asset.get()];
        let window = windows[place as usize];
        self.origin.next_window = place + 1;
        if let Some(next) = windows.get(place as usize + 1) {
            self.schedule(around, self.asset, next.start, Event::WindowOpens(place + 1));
        }
        let course = around.setting.course;
        let link = &course.links[window.link as usize];
        // A frame may start in the last moment, and what comes in then may go on at once: a session ends after that moment.
        let after = SimTime(i64::from(course.class(link).sessions));
        self.schedule(around, self.asset, window.end + after, Event::WindowCloses(place));
        let (peer, number) = (link.to, link.from_radio as usize);
        self.record(around, now, RecordKind::ContactOpened { peer, contact: window.contact });
        let radio = &mut self.radios.0[number];
        if radio.open.len() >= radio.max_peers {
            radio.waiting.push_back(place);
        } else {
            self.serve(around, now, number, place);
        }
    }

    /// A window ends; if the radio served it, the next one that waits gets its place.
    pub(super) fn window_closes(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, place: u32) {
        let course = around.setting.course;
        let window = course.windows[self.asset.get()][place as usize];
        let link = &course.links[window.link as usize];
        let number = link.from_radio as usize;
        let radio = &mut self.radios.0[number];
        radio.waiting.retain(|waiting| *waiting != place);
        if let Some(sent) = radio.on_air.take_if(|sent| *sent == place) {
            // The last bit that leaves in the last moment has left.
            if radio.transmitter.is_free(now) {
                self.tell_sent(around, now, sent);
            } else {
                radio.transmitter.abort(now);
            }
        }
        let radio = &mut self.radios.0[number];
        let served = radio.open.iter().position(|open| open.window == place);
        let busy = served.map_or(SimTime::ZERO, |index| radio.open.remove(index).busy);
        radio.note_listening(now);
        for frame in drop_frames(radio, place) {
            self.tell_lost(around, now, &frame);
        }
        let contact = window.contact;
        self.record(around, now, RecordKind::ContactClosed { peer: link.to, contact, busy });
        if served.is_some() && !self.battery.silent {
            // The next window of the same link may have opened in the same moment: then the link goes on.
            let windows = &course.windows[self.asset.get()];
            let open = &self.radios.0[number].open;
            match open
                .iter()
                .find(|open| windows[open.window as usize].link == window.link)
                .map(|open| open.window)
            {
                Some(next) => self.announce(around, now, next),
                None => self.runtime.link_down(now, link.sender_link, self.storage, &mut around.records),
            }
        }
        let radio = &mut self.radios.0[number];
        if served.is_some()
            && let Some(next) = radio.waiting.pop_front()
        {
            self.serve(around, now, number, next);
        }
    }

    fn serve(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: usize, place: u32) {
        let radio = &mut self.radios.0[number];
        radio.open.push(OpenWindow { window: place, busy: SimTime::ZERO });
        radio.note_listening(now);
        if !self.battery.silent {
            self.announce(around, now, place);
        }
    }

    /// Tells the node that a link is up.
    fn announce(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, place: u32) {
        let setting = around.setting;
        let window = setting.course.windows[self.asset.get()][place as usize];
        let link = &setting.course.links[window.link as usize];
        let contact = &setting.course.plan.contacts()[window.contact as usize];
        let planned_end = contact.end;
        let class = setting.course.class(link);
        let up = LinkUp {
            link: LinkId(link.sender_link),
            peer: setting.fleet.node(link.to),
            mtu: class.mtu_bytes,
            rate_bps: setting.rates_bps[window.contact as usize],
            until: setting
                .course
                .scenario
                .protocol
                .plan_known
                .then(|| Instant::from_nanos(planned_end.as_nanos().unsigned_abs())),
            convergence: convergence(
                class,
                contact,
                now,
                self.radios.0[link.from_radio as usize].transmitter.room() as u32,
            ),
            session: class.sessions,
        };
        self.runtime.link_up(now, up, self.storage, &mut around.records);
    }

    /// Tells the node of every link that is up.
    pub(super) fn announce_links(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let open: Vec<u32> =
            self.radios.0.iter().flat_map(|radio| radio.open.iter().map(|open| open.window)).collect();
        for place in open {
            self.announce(around, now, place);
        }
    }

    /// The battery decides over the radios.
    pub(super) fn set_silent(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, silent: bool) {
        if !silent {
            return self.announce_links(around, now);
        }
        self.forget_frames();
        let course = around.setting.course;
        let open: Vec<u32> =
            self.radios.0.iter().flat_map(|radio| radio.open.iter().map(|open| open.window)).collect();
        for place in open {
            let window = course.windows[self.asset.get()][place as usize];
            let link = course.links[window.link as usize].sender_link;
            self.runtime.link_down(now, link, self.storage, &mut around.records);
        }
    }

    /// Frames that wait in the radios are lost with the power.
    pub(super) fn forget_frames(&mut self) {
        for radio in &mut self.radios.0 {
            drop(radio.transmitter.clear());
        }
    }

    pub(super) fn radio_free(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let radio = &mut self.radios.0[number as usize];
        if radio.retry_at.is_some_and(|at| at <= now) {
            radio.retry_at = None;
        }
        // A transmission that was cut is over before its event comes.
        if radio.transmitter.is_free(now)
            && let Some(place) = radio.on_air.take()
        {
            self.tell_sent(around, now, place);
        }
    }

    /// On a link with sessions: the node hears that what it put there has left.
    fn tell_sent(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, place: u32) {
        let window = around.setting.course.windows[self.asset.get()][place as usize];
        let link = around.setting.course.links[window.link as usize].sender_link;
        self.runtime.sent(now, link, self.storage, &mut around.records);
    }

    /// Puts frames onto a radio as long as it takes them.
    pub(super) fn pump(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) {
        let flooded = around.setting.course.scenario.protocol.routing.floods_channel();
        let radio = &self.radios.0[number as usize];
        if radio.open.is_empty() || self.battery.silent || !(self.runtime.is_up() || self.port.is_whole()) {
            self.forget_arrived(around, now, number);
            return;
        }
        // A frame that takes no time is on air until its node has heard that it left.
        if radio.transmitter.is_free(now) && radio.on_air.is_none() && radio.retry_at.is_none() {
            let shared = radio.contention.is_some();
            if flooded && shared && self.waits_for_channel(around, now, number) {
                return;
            }
            // Frames from outside wait for their window until they are on air. One that was put back goes first.
            let arrived = if self.radios.0[number as usize].busy_tries == 0 {
                self.next_arrived(around, now, number)
            } else {
                None
            };
            let next = arrived
                .or_else(|| self.radios.0[number as usize].transmitter.dequeue())
                .or_else(|| self.next_arrived(around, now, number))
                .or_else(|| self.ask(around, now, number));
            match next {
                Some(frame) if shared => self.contend(around, now, number, frame),
                Some(frame) => self.send(around, now, number, frame),
                None if flooded => {
                    self.radios.0[number as usize].busy_tries = 0;
                    return;
                }
                None => return,
            }
        }
        if flooded {
            // What the radio holds the node cannot take back.
            return;
        }
        while self.radios.0[number as usize].transmitter.has_room() {
            let Some(frame) = self.ask(around, now, number) else { break };
            // There is room: asked just above.
            let _ = self.radios.0[number as usize].transmitter.enqueue(frame);
        }
    }

    /// The next frame of the node for this radio, from its peers in turn.
    fn ask(&mut self, around: &Surroundings<'_, '_>, now: SimTime, number: u32) -> Option<QueuedFrame> {
        let course = around.setting.course;
        let radio = &mut self.radios.0[number as usize];
        for _ in 0..radio.open.len() {
            let place = radio.open[radio.turn % radio.open.len()].window;
            radio.turn = (radio.turn + 1) % radio.open.len();
            let window = course.windows[self.asset.get()][place as usize];
            let link = course.links[window.link as usize].sender_link;
            if let Some(bytes) = self.runtime.poll_transmit(now, link) {
                let (bundle, attack) = (self.runtime.departed(), self.runtime.attacked());
                return Some(QueuedFrame { window: place, bytes, bundle, to_all: false, attack });
            }
        }
        None
    }

    /// Where bundles are flooded, a node is asked only while its channel is free: until then it may hear that it need not send.
    fn waits_for_channel(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32) -> bool {
        let (course, asset) = (around.setting.course, self.asset);
        let radio = &mut self.radios.0[number as usize];
        let class = radio.class;
        let heard = |from: AssetIndex, to: AssetIndex| course.received_dbm(class, from, to, now);
        if !around.channels[class].as_ref().is_some_and(|channel| channel.is_busy(asset, now, heard)) {
            return false;
        }
        let contention = radio.contention.expect("only shared channels contend");
        let wait = contention.backoff(radio.busy_tries, &mut radio.rng);
        radio.busy_tries = radio.busy_tries.saturating_add(1);
        let at = (now + wait).max(now + SimTime(1));
        radio.retry_at = Some(at);
        self.schedule(around, asset, at, Event::RadioFree(number));
        true
    }

    /// Listen before talk: the first try waits a random time, and a busy channel a longer one. Where bundles are flooded, the node has
    /// waited already.
    fn contend(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32, frame: QueuedFrame) {
        let course = around.setting.course;
        let airtime = self.airtime(around, &frame).1;
        let asset = self.asset;
        let radio = &mut self.radios.0[number as usize];
        let class = radio.class;
        let heard = |from: AssetIndex, to: AssetIndex| course.received_dbm(class, from, to, now);
        let busy = around.channels[class].as_ref().is_some_and(|channel| channel.is_busy(asset, now, heard));
        let first = radio.busy_tries == 0 && !course.scenario.protocol.routing.floods_channel();
        let Some(allowed) = radio.duty.next_allowed(now, airtime) else {
            // Longer than the duty cycle ever allows: the frame is lost, and the node's layers see to it.
            return self.tell_lost(around, now, &frame);
        };
        if busy || first || allowed > now {
            let contention = radio.contention.expect("only shared channels contend");
            let wait = contention.backoff(radio.busy_tries, &mut radio.rng);
            radio.busy_tries =
                if busy { radio.busy_tries.saturating_add(1) } else { radio.busy_tries.max(1) };
            let at = (now + wait).max(allowed).max(now + SimTime(1));
            radio.retry_at = Some(at);
            radio.transmitter.put_back(frame);
            self.schedule(around, asset, at, Event::RadioFree(number));
        } else {
            radio.busy_tries = 0;
            radio.duty.count(now, airtime);
            self.send(around, now, number, frame);
        }
    }

    fn airtime(&self, around: &Surroundings<'_, '_>, frame: &QueuedFrame) -> (Window, SimTime) {
        let course = around.setting.course;
        let window = course.windows[self.asset.get()][frame.window as usize];
        let link = &course.links[window.link as usize];
        let contact = &course.plan.contacts()[window.contact as usize];
        (window, course.class(link).time_on_air(on_air_len(&frame.bytes) as u32, contact.rate))
    }

    /// Puts a frame on air.
    fn send(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, number: u32, frame: QueuedFrame) {
        let course = around.setting.course;
        let (window, airtime) = self.airtime(around, &frame);
        let link = &course.links[window.link as usize];
        let contact = &course.plan.contacts()[window.contact as usize];
        let bytes = course.class(link).bytes_on_air(on_air_len(&frame.bytes) as u32);
        let passage = Passage {
            start: window.start,
            end: window.end,
            light_time: contact.owlt_at(now),
            bit_error_rate: contact.bit_error_rate,
        };
        let on_air = Frame { start: now, bytes, airtime };
        let Ok(flight) = Flight::depart(on_air, passage, &course.outages[self.asset.get()]) else {
            // The window closed while the frame waited in the radio.
            return self.tell_lost(around, now, &frame);
        };
        let radio = &mut self.radios.0[number as usize];
        radio.transmitter.forget_before(SimTime(now.0.saturating_sub(MEMORY.0)));
        radio.transmitter.begin(now, airtime);
        radio.spend_sending(airtime);
        if let Some(open) = radio.open.iter_mut().find(|open| open.window == frame.window) {
            open.busy += airtime;
        }
        let class = radio.class;
        let others = self.overhearing(around, on_air, number, &frame);
        let channel = around.channels[class].as_mut();
        let listeners = 1 + others.len() as u32;
        let transmission = channel.map(|channel| channel.begin(self.asset, now, airtime, listeners));
        self.record(around, now, RecordKind::FrameSent { peer: link.to, bytes, airtime });
        if let Some(wire) = frame.bundle {
            around.bundles.push(SentBundle { time: now, from: self.asset, link: window.link, wire });
        }
        self.schedule(around, self.asset, now + airtime, Event::RadioFree(number));
        if course.class(link).sessions {
            self.radios.0[number as usize].on_air = Some(frame.window);
            let begins = now + passage.light_time;
            self.schedule(around, link.to, begins, Event::FrameBegins(bytes));
        }
        for (link, flight) in others {
            let bytes = frame.bytes.clone();
            let to = course.links[link as usize].to;
            if frame.to_all {
                let airtime = SimTime::ZERO;
                self.record(around, now, RecordKind::FrameSent { peer: to, bytes: on_air.bytes, airtime });
            }
            let incoming =
                Incoming { link, flight, bytes, addressed: frame.to_all, attack: None, transmission };
            self.schedule(around, to, flight.arrival(), Event::FrameEnds(Box::new(incoming)));
        }
        if let Some(interface) = self.port.way(number, link.to) {
            let (from, snr_db, bytes) = (self.asset, None, frame.bytes);
            around.departures.push(Departure { time: now, interface, from, snr_db, bytes });
            return;
        }
        let (bytes, attack) = (frame.bytes, frame.attack);
        let incoming = Incoming { link: window.link, flight, bytes, addressed: true, attack, transmission };
        self.schedule(around, link.to, flight.arrival(), Event::FrameEnds(Box::new(incoming)));
    }
}

impl Cell<'_> {
    /// The links to the others in range of a frame that is for all of them, or that they overhear where bundles are flooded on a shared
    /// channel, and how it flies to them.
    fn overhearing(
        &self,
        around: &Surroundings<'_, '_>,
        on_air: Frame,
        number: u32,
        frame: &QueuedFrame,
    ) -> Vec<(u32, Flight)> {
        let course = around.setting.course;
        let radio = &self.radios.0[number as usize];
        let overheard =
            course.scenario.protocol.routing.floods_channel() && around.channels[radio.class].is_some();
        if !overheard && !frame.to_all {
            return Vec::new();
        }
        let places = radio.open.iter().map(|open| open.window).filter(|place| *place != frame.window);
        let flights = places.filter_map(|place| {
            let window = course.windows[self.asset.get()][place as usize];
            let link = &course.links[window.link as usize];
            let contact = &course.plan.contacts()[window.contact as usize];
            let passage = Passage {
                start: window.start,
                end: window.end,
                light_time: contact.owlt_at(on_air.start),
                bit_error_rate: contact.bit_error_rate,
            };
            let flight = Flight::depart(on_air, passage, &course.outages[self.asset.get()]).ok()?;
            (link.to != self.asset).then_some((window.link, flight))
        });
        flights.collect()
    }
}

/// What the node is to speak on a link of `class`.
fn convergence(class: &LinkClass, contact: &Contact, now: SimTime, queue_frames: u32) -> Convergence {
    let LinkConvergence::Ltp(settings) = class.convergence else { return Convergence::SmallFrame };
    let span = |time: SimTime| std::time::Duration::from_nanos(time.as_nanos().unsigned_abs());
    // It changes within a contact: an answer is late only when it is later than the longest.
    let light_time = contact.owlt_at(now).max(contact.owlt_at(contact.end));
    let frame = class.time_on_air(class.mtu_bytes, contact.rate);
    // A question and its answer wait in a radio each.
    let queues = span(frame).saturating_mul(queue_frames.saturating_add(1).saturating_mul(2));
    Convergence::Ltp(LtpLink {
        light_time: span(light_time),
        margin: span(settings.margin).saturating_add(queues),
        retransmissions: settings.retransmissions,
        sessions: settings.sessions,
    })
}

/// Takes out the frames that wait for a window which is over.
fn drop_frames(radio: &mut crate::world::Radio, place: u32) -> Vec<QueuedFrame> {
    let (lost, kept): (Vec<_>, Vec<_>) = radio.transmitter.clear().partition(|frame| frame.window == place);
    for frame in kept {
        // They fitted before.
        let _ = radio.transmitter.enqueue(frame);
    }
    lost
}
