//! [`Live`]: the outside of a session in real time.

use super::{
    clock::{self, ClockMode, LagPolicy, Pacer},
    door::Door,
    journal::{JournalError, JournalWriter, LoggedEnd, LoggedFrame},
    mailbox::{Incoming, Mailbox, News},
    report::{InterfaceReport, SessionReport, Spans},
    wire::{Outgoing, Wires},
};
use crate::{
    engine::Fingerprint,
    sim::{Arrival, Departure, Entrance, Grant, Outside},
    units::SimTime,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Stamps and grants are whole multiples of it, rounded up: a microsecond. So no stamp is after the grant that follows it.
const QUANTUM: i64 = 1_000;
/// How long it sleeps before it looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(100);
/// From here on, an event is late.
const LATE: Duration = Duration::from_millis(1);
/// How often the log says how far the kernel may have gone.
const TELL: Duration = Duration::from_secs(1);

/// What a session is made of.
pub struct Setup {
    /// How time passes.
    pub mode: ClockMode,
    /// What to do when late.
    pub policy: LagPolicy,
    /// Between log and kernel.
    pub door: Door,
    /// The real sides, by interface, with their bindings.
    pub wires: Wires,
    /// Where they post.
    pub mailbox: Arc<Mailbox>,
    /// The log.
    pub journal: JournalWriter,
    /// When simulated time began, where that is settled already: what was due since is caught up. Otherwise when the kernel asks for it first.
    pub since: Option<Instant>,
    /// Whether the user asked to stop.
    pub stop: Box<dyn Fn() -> bool + Send>,
}

struct Traffic {
    frames_in: u64,
    bytes_in: u64,
    frames_out: u64,
    bytes_out: u64,
    send_errors: u64,
    late_in: u64,
    in_delay: Spans,
    out_delay: Spans,
}

/// The next multiple of [`QUANTUM`] that is not before `time`.
const fn rounded_up(time: SimTime) -> SimTime {
    SimTime(time.0.saturating_add(QUANTUM - 1).div_euclid(QUANTUM) * QUANTUM)
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// At the end of the run.
    Whole,
    /// The user stopped it.
    Stopped,
    /// It was later than the limit allows.
    TooLate {
        /// How late.
        lag: Duration,
        /// What is allowed.
        limit: Duration,
    },
    /// The log cannot be written: without it, nothing that happens could be repeated.
    LogFailed {
        /// Why.
        why: String,
    },
}

impl Ended {
    /// In plain words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Whole => "the run is over".to_owned(),
            Self::Stopped => "stopped by the user".to_owned(),
            Self::TooLate { lag, limit } => {
                let ms = |span: &Duration| span.as_secs_f64() * 1e3;
                format!("{:.1} ms late, where {:.1} ms are allowed", ms(lag), ms(limit))
            }
            Self::LogFailed { why } => format!("the log cannot be written: {why}"),
        }
    }
}

/// The outside of a session in real time.
pub struct Live {
    setup: Setup,
    began: Instant,
    pacer: Pacer,
    granted: SimTime,
    told: Instant,
    steps_taken: u64,
    traffic: Vec<Traffic>,
    lag: Spans,
    late_events: u64,
    slips: u64,
    slipped: Duration,
    ended: Ended,
    begun: bool,
    /// What is due before it was due before there was a kernel: nobody is late with it.
    caught_up: SimTime,
    /// How late a frame went out, when it was later than the limit allows.
    late_out: Option<Ended>,
    /// Frames that were in the mailbox when it ended, by interface.
    unheard: Vec<u64>,
    /// What the run reached, once the log was ended with it, and whether that is on the disk.
    reached: Option<(SimTime, Fingerprint)>,
    unwritten: Option<JournalError>,
}

impl Live {
    /// Simulated time begins when the kernel asks for it first.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let now = clock::now();
        let speed = if let ClockMode::Scaled(factor) = setup.mode { factor } else { 1.0 };
        let traffic = |_: &_| Traffic {
            frames_in: 0,
            bytes_in: 0,
            frames_out: 0,
            bytes_out: 0,
            send_errors: 0,
            late_in: 0,
            in_delay: Spans::new(),
            out_delay: Spans::new(),
        };
        let traffic: Vec<Traffic> = setup.wires.iter().map(traffic).collect();
        let unheard = vec![0; traffic.len()];
        Self {
            setup,
            began: now,
            pacer: Pacer::new(now, SimTime::ZERO, speed),
            granted: SimTime::ZERO,
            told: now,
            steps_taken: 0,
            traffic,
            lag: Spans::new(),
            late_events: 0,
            slips: 0,
            slipped: Duration::ZERO,
            ended: Ended::Whole,
            begun: false,
            caught_up: SimTime::ZERO,
            late_out: None,
            unheard,
            reached: None,
            unwritten: None,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn ended(&self) -> &Ended {
        &self.ended
    }

    /// What the run reached, once it is over: the log is ended with it, whatever becomes of the run folder.
    #[must_use]
    pub const fn at_end(&self) -> Option<(SimTime, Fingerprint)> {
        self.reached
    }

    /// Ends the log with what the session reached, if that has not been done, and says how it went.
    ///
    /// # Errors
    /// [`JournalError`] when the log could not be written.
    pub fn finish(mut self, end: SimTime, fingerprint: Fingerprint) -> Result<SessionReport, JournalError> {
        self.reached(end, fingerprint);
        if let Some(error) = self.unwritten {
            return Err(error);
        }
        let reason = self.ended.words();
        let counts: Vec<_> = self.setup.door.counts().collect();
        let traffic = self.traffic.iter().zip(&self.setup.wires).zip(counts).enumerate();
        let interfaces = traffic.map(|(number, ((traffic, (binding, wire)), door))| InterfaceReport {
            binding: binding.clone(),
            place: wire.place(),
            frames_in: traffic.frames_in,
            bytes_in: traffic.bytes_in,
            frames_out: traffic.frames_out,
            bytes_out: traffic.bytes_out,
            send_errors: traffic.send_errors,
            dropped: self.setup.mailbox.dropped(number as u32) + self.unheard[number],
            refused: wire.refused(),
            lines_lost: wire.losses(),
            too_long: door.too_long + self.setup.mailbox.too_long(number as u32),
            unreadable: door.not_a_bundle + door.unreadable,
            late_in: traffic.late_in,
            in_delay: traffic.in_delay.summary(),
            out_delay: traffic.out_delay.summary(),
        });
        let report = SessionReport {
            clock: self.setup.mode.to_string(),
            policy: self.setup.policy.to_string(),
            reason,
            wall_s: clock::now().saturating_duration_since(self.began).as_secs_f64(),
            simulated_s: end.as_secs_f64(),
            lag: self.lag.summary(),
            late_events: self.late_events,
            slips: self.slips,
            slipped_ms: self.slipped.as_secs_f64() * 1e3,
            interfaces: interfaces.collect(),
        };
        Ok(report)
    }

    /// Frames that came too late to be in the session are counted as dropped.
    fn leave_out(&mut self, frames: &[Incoming]) {
        for frame in frames {
            self.unheard[frame.interface as usize] += 1;
        }
    }

    fn log_failure(&self) -> Option<Ended> {
        self.setup.journal.failure().map(|error| Ended::LogFailed { why: error.to_string() })
    }

    fn end(&mut self, how: Ended) -> Grant {
        self.ended = how;
        Grant::End(self.granted)
    }

    /// Simulated time now; takes the steps that were asked for.
    fn now(&mut self, wall: Instant, news: &News) -> SimTime {
        match self.setup.mode {
            ClockMode::Realtime | ClockMode::Scaled(_) => self.pacer.sim_at(wall),
            ClockMode::Stepped(step) => {
                self.steps_taken = news.steps;
                let steps = i64::try_from(news.steps).unwrap_or(i64::MAX);
                SimTime(step.0.saturating_mul(steps))
            }
        }
    }

    /// How late the simulation is with what was due at `next`; the clock is moved if the policy says so.
    fn judge_lag(&mut self, wall: Instant, next: SimTime) -> Result<(), Ended> {
        if next < self.caught_up {
            return Ok(());
        }
        let lag = wall.saturating_duration_since(self.pacer.wall_at(next));
        self.lag.record(lag);
        self.late_events += u64::from(lag > LATE);
        match self.setup.policy {
            LagPolicy::HardLimit(limit) if lag > limit => Err(Ended::TooLate { lag, limit }),
            LagPolicy::Slip(limit) if lag > limit => {
                self.slips += 1;
                self.slipped += lag;
                self.pacer.rebase(wall, next);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Stamps, logs and lets in what came, and grants time up to now.
    fn advance(&mut self, wall: Instant, now: SimTime, news: News, arrivals: &mut Vec<Arrival>) -> Grant {
        let stepped = matches!(self.setup.mode, ClockMode::Stepped(_));
        let mut frames: Vec<(SimTime, bool, Incoming)> = news
            .frames
            .into_iter()
            .map(|frame| {
                let raw = if stepped { self.granted } else { self.pacer.sim_at(frame.wall) };
                let raw = rounded_up(raw);
                (raw.max(self.granted), raw < self.granted, frame)
            })
            .collect();
        frames.sort_by_key(|(stamp, _, frame)| (*stamp, frame.interface, frame.sequence));
        let any = !frames.is_empty();
        for (time, late, frame) in frames {
            let traffic = &mut self.traffic[frame.interface as usize];
            traffic.frames_in += 1;
            traffic.bytes_in += frame.bytes.len() as u64;
            traffic.late_in += u64::from(late);
            traffic.in_delay.record(wall.saturating_duration_since(frame.wall));
            let Incoming { interface, sequence, unix_ns, rssi_dbm, snr_quarter_db, entrance, bytes, .. } =
                frame;
            let logged =
                LoggedFrame { time, unix_ns, interface, sequence, entrance, rssi_dbm, snr_quarter_db, bytes };
            self.setup.journal.came_in(&logged);
            self.setup.door.enter(logged, arrivals);
        }
        // What happens now is included.
        let granted = self.granted.max(rounded_up(SimTime(now.0.saturating_add(1))));
        if any || wall.saturating_duration_since(self.told) >= TELL {
            self.told = wall;
            self.setup.journal.granted(granted);
            self.setup.journal.flush();
            if let Some(how) = self.log_failure() {
                // What is not in the log does not happen.
                return self.end(how);
            }
        }
        self.granted = granted;
        Grant::Until(granted)
    }
}

impl Outside for Live {
    fn grant(&mut self, next: SimTime, arrivals: &mut Vec<Arrival>) -> Grant {
        if !self.begun {
            self.begun = true;
            let now = clock::now();
            let since = self.setup.since.unwrap_or(now);
            (self.began, self.told) = (since, now);
            self.pacer.rebase(since, SimTime::ZERO);
            self.caught_up = self.pacer.sim_at(now);
        }
        if let Some(how) = self.late_out.take() {
            return self.end(how);
        }
        loop {
            if let Some(how) = self.log_failure() {
                return self.end(how);
            }
            let news = self.setup.mailbox.look();
            let wall = clock::now();
            let mut now = self.now(wall, &news);
            // A step is taken even when nothing is due in it: frames that come later are after it.
            let stepping = matches!(self.setup.mode, ClockMode::Stepped(_)) && now >= self.granted;
            // Steps that were asked for before the end are taken.
            if news.ended && !stepping || (self.setup.stop)() {
                // Up to now nothing else was due.
                self.granted = self.granted.max(now.min(next));
                self.leave_out(&news.frames);
                return self.end(Ended::Stopped);
            }
            let due = now >= next;
            if due && !matches!(self.setup.mode, ClockMode::Stepped(_)) {
                if let Err(how) = self.judge_lag(wall, next) {
                    self.leave_out(&news.frames);
                    return self.end(how);
                }
                now = self.pacer.sim_at(wall);
            }
            if due || stepping || !news.frames.is_empty() {
                return self.advance(wall, now, news, arrivals);
            }
            let deadline = match self.setup.mode {
                ClockMode::Stepped(_) => wall + LOOK,
                ClockMode::Realtime | ClockMode::Scaled(_) => self.pacer.wall_at(next).min(wall + LOOK),
            };
            self.setup.mailbox.wait(deadline, self.steps_taken);
        }
    }

    fn depart(&mut self, departures: &mut Vec<Departure>) {
        let stepped = matches!(self.setup.mode, ClockMode::Stepped(_));
        for departure in departures.drain(..) {
            let Some(bytes) = self.setup.door.leave(&departure) else { continue };
            let interface = departure.interface;
            let traffic = &mut self.traffic[interface as usize];
            let frame = Outgoing { from: departure.from, snr_db: departure.snr_db, bytes: &bytes };
            let sent = self.setup.wires[interface as usize].1.send(&frame);
            traffic.frames_out += 1;
            traffic.bytes_out += bytes.len() as u64;
            traffic.send_errors += u64::from(sent.is_err());
            let wall = clock::now();
            if !stepped && departure.time >= self.caught_up {
                let lag = wall.saturating_duration_since(self.pacer.wall_at(departure.time));
                traffic.out_delay.record(lag);
                // An event that began in time may take long: for who is on the wire, that is the lag.
                if let LagPolicy::HardLimit(limit) = self.setup.policy
                    && lag > limit
                {
                    self.late_out = Some(Ended::TooLate { lag, limit });
                }
            }
            self.setup.journal.went_out(&LoggedFrame {
                time: departure.time,
                unix_ns: clock::unix_ns(),
                interface,
                sequence: traffic.frames_out,
                entrance: Entrance::Air,
                rssi_dbm: None,
                snr_quarter_db: None,
                bytes,
            });
        }
        self.setup.journal.flush();
    }

    fn reached(&mut self, end: SimTime, fingerprint: Fingerprint) {
        if self.reached.replace((end, fingerprint)).is_some() {
            return;
        }
        if let Some(how) = self.late_out.take() {
            self.ended = how;
        }
        let late = self.setup.mailbox.look();
        self.leave_out(&late.frames);
        self.setup.journal.granted(self.granted);
        let reason = self.ended.words();
        self.unwritten = self.setup.journal.finish(&LoggedEnd { time: end, fingerprint, reason }).err();
    }
}
