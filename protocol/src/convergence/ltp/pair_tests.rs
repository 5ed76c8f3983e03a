//! Two engines over a link that loses, repeats and reorders.

use super::*;
use crate::time::Instant;
use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::time::Duration;
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng as _},
};

const LIGHT: Duration = Duration::from_secs(10);
const AIRTIME: Duration = Duration::from_millis(20);

/// What the link does to frames, in percent.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    loss: u32,
    repeat: u32,
    reorder: u32,
}

struct Pair {
    now: Instant,
    engines: [Engine; 2],
    /// By arrival and order of sending: for whom, what.
    air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    free: [Instant; 2],
    weather: Weather,
    rng: ChaCha8Rng,
    count: u64,
    events: [Vec<Event>; 2],
    /// Frames of the first engine that are lost whatever the weather, by number.
    doomed: Vec<u64>,
    sent: [u64; 2],
    /// Whether the drivers leave blocks without an answer.
    undecided: bool,
}

fn config(engine: u64, peer: u64, limits: Limits) -> Config {
    Config { engine, peer: Some(peer), client_service: BUNDLE_SERVICE, seed: engine * 77, limits }
}

impl Pair {
    fn new(limits: Limits, weather: Weather, seed: u64) -> Self {
        let engine = |own, other| Engine::new(config(own, other, limits), Instant::ZERO);
        let mut pair = Self {
            now: Instant::ZERO,
            engines: [engine(1, 2), engine(2, 1)],
            air: BTreeMap::new(),
            free: [Instant::ZERO; 2],
            weather,
            rng: ChaCha8Rng::seed_from_u64(seed),
            count: 0,
            events: [vec![], vec![]],
            doomed: vec![],
            sent: [0; 2],
            undecided: false,
        };
        pair.up();
        pair
    }

    fn up(&mut self) {
        let path = LinkPath { mtu: 200, light_time: LIGHT, margin: Duration::from_secs(1) };
        for engine in &mut self.engines {
            engine.link_up(self.now, path);
        }
    }

    fn down(&mut self) {
        for engine in &mut self.engines {
            engine.link_down(self.now);
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.next_u32() % 100 < percent
    }

    fn send_frames(&mut self) {
        for from in 0..2 {
            while self.free[from] <= self.now {
                let Some(frame) = self.engines[from].poll_segment(self.now) else { break };
                assert!(frame.len() <= 200, "a frame of {} bytes", frame.len());
                self.free[from] = self.now.saturating_add(AIRTIME);
                let number = self.sent[from];
                self.sent[from] += 1;
                if (from == 0 && self.doomed.contains(&number)) || self.chance(self.weather.loss) {
                    continue;
                }
                for _ in 0..1 + u32::from(self.chance(self.weather.repeat)) {
                    let late = if self.chance(self.weather.reorder) { self.rng.next_u32() % 3000 } else { 0 };
                    let flight = LIGHT + AIRTIME + Duration::from_millis(u64::from(late));
                    self.count += 1;
                    let key = (self.now.saturating_add(flight), self.count);
                    self.air.insert(key, (1 - from, frame.clone()));
                }
            }
        }
    }

    /// Runs until `until`, or until nothing is left to happen.
    fn run(&mut self, until: Instant) {
        loop {
            for side in 0..2 {
                while let Some(event) = self.engines[side].poll_event() {
                    if let Event::Block { session, .. } = &event
                        && !self.undecided
                    {
                        assert!(self.engines[side].accept(self.now, *session));
                    }
                    self.events[side].push(event);
                }
            }
            self.send_frames();
            let arrival = self.air.first_key_value().map(|((at, _), _)| *at);
            let free = (0..2).filter(|side| self.engines[*side].has_segment()).map(|side| self.free[side]);
            let timers = self.engines.iter().filter_map(Engine::poll_timeout);
            let Some(next) = arrival.into_iter().chain(free).chain(timers).min() else { break };
            if next > until {
                self.now = until;
                break;
            }
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, (to, frame)) = self.air.pop_first().unwrap();
                let _ = self.engines[to].handle_segment(self.now, &frame);
            }
            for engine in &mut self.engines {
                engine.handle_timeout(self.now);
            }
        }
    }

    fn blocks(&self, side: usize) -> Vec<&[u8]> {
        let blocks = self.events[side].iter().filter_map(|event| match event {
            Event::Block { data, .. } => Some(&data[..]),
            _ => None,
        });
        blocks.collect()
    }

    fn delivered(&self, side: usize) -> usize {
        self.events[side].iter().filter(|event| matches!(event, Event::Delivered { .. })).count()
    }
}

fn block(index: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + index * 31) as u8).collect()
}

const LATE: Instant = Instant::from_nanos(1_000_000 * 1_000_000_000);

#[test]
fn a_clean_link_needs_one_report_for_each_block_and_closes_its_sessions() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    for index in 0..5 {
        pair.engines[0].send(block(index, 1000), index as u64).unwrap();
    }
    pair.run(LATE);
    assert_eq!(pair.blocks(1), (0..5).map(|index| block(index, 1000)).collect::<Vec<_>>());
    assert_eq!(pair.delivered(0), 5);
    assert_eq!(pair.engines[1].counters().reports, 5);
    assert_eq!(pair.engines[0].counters().data_again, 0);
    assert_eq!((pair.engines[0].sessions(), pair.engines[1].sessions()), ((0, 0), (0, 0)));
    assert_eq!(pair.engines[1].held(), 0);
}

#[test]
fn only_what_is_missing_is_sent_again() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.doomed = vec![1, 3];
    pair.engines[0].send(block(0, 1700), 0).unwrap();
    pair.run(LATE);
    assert_eq!(pair.blocks(1), [block(0, 1700)]);
    assert_eq!(pair.engines[0].counters().data_again, 2);
    assert_eq!(pair.engines[0].counters().checkpoint_timeouts, 0);
}

#[test]
fn a_lost_checkpoint_is_sent_again_after_light_time_there_and_back() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.doomed = vec![0];
    pair.engines[0].send(block(0, 50), 0).unwrap();
    pair.run(LATE);
    assert_eq!(pair.blocks(1), [block(0, 50)]);
    assert_eq!(pair.engines[0].counters().checkpoint_timeouts, 1);
    // 21 s until the timer, 10.02 s there, 10.02 s back, and 10.02 s for the acknowledgement of the report.
    assert_eq!(pair.now.as_nanos(), 51_060_000_000);
}

#[test]
fn timers_stand_still_while_the_link_is_down() {
    let at = |secs: u64| Instant::from_nanos(secs * 1_000_000_000);
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.engines[0].send(block(0, 50), 0).unwrap();
    // The checkpoint is in flight when the link goes down; its report can leave only when it is up again.
    pair.run(at(5));
    pair.down();
    pair.run(at(3600));
    assert_eq!(pair.blocks(1), [block(0, 50)], "what is in flight comes in");
    assert_eq!(pair.delivered(0), 0);
    pair.up();
    pair.run(LATE);
    assert_eq!(pair.delivered(0), 1);
    assert_eq!(pair.engines[0].counters().checkpoint_timeouts, 0);
    assert_eq!(pair.engines[0].counters().data_sent, 1);
}

#[test]
fn an_answer_is_awaited_until_the_peers_next_contact() {
    let at = |secs: u64| Instant::from_nanos(secs * 1_000_000_000);
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.engines[0].set_windows(vec![(at(0), at(8)), (at(500), at(600))]);
    pair.engines[0].send(block(0, 50), 0).unwrap();
    assert!(pair.engines[0].poll_segment(at(0)).is_some());
    // There at 10 s, when the peer cannot send; it can at 500 s.
    assert_eq!(pair.engines[0].poll_timeout(), Some(at(511)));
}

#[test]
fn green_data_is_sent_once_and_handed_over_as_it_comes() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.doomed = vec![3];
    pair.engines[0].send_with_green(block(0, 1000), 300, 7).unwrap();
    pair.run(LATE);
    assert_eq!(pair.blocks(1), [&block(0, 1000)[..300]]);
    assert_eq!(pair.events[0], [Event::Delivered { token: 7 }]);
    let green: usize = pair.events[1]
        .iter()
        .map(|event| match event {
            Event::Green { offset, data, .. } => {
                assert_eq!(data[..], block(0, 1000)[*offset as usize..][..data.len()]);
                data.len()
            }
            _ => 0,
        })
        .sum();
    assert!(green < 700 && green > 400, "{green} green bytes: one segment is lost and stays lost");
    assert_eq!((pair.engines[0].sessions(), pair.engines[1].sessions()), ((0, 0), (0, 0)));
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let limits = Limits { retransmissions: 3, ..Limits::default() };
    let mut pair = Pair::new(limits, Weather { loss: 100, ..Weather::default() }, 1);
    for index in 0..limits.sessions_out {
        pair.engines[0].send(block(index, 400), index as u64).unwrap();
    }
    assert_eq!(pair.engines[0].send(block(0, 400), 99), Err(SendError::Full { limit: limits.sessions_out }));
    pair.run(LATE);
    assert_eq!(pair.events[0].len(), limits.sessions_out);
    let reason = CancelReason::RetransmissionLimit;
    for event in &pair.events[0] {
        assert!(matches!(event, Event::Cancelled { reason: found, by_peer: false, .. } if *found == reason));
    }
    assert_eq!(pair.engines[0].sessions(), (0, 0));
    assert!(!pair.engines[0].has_segment());
    assert_eq!(pair.engines[0].poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn a_block_is_reported_whole_only_when_the_driver_answers_for_it() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.undecided = true;
    pair.engines[0].send(block(0, 1000), 3).unwrap();
    pair.run(Instant::from_nanos(100_000_000_000));
    assert_eq!((pair.blocks(1).len(), pair.delivered(0)), (1, 0));
    assert_eq!(pair.engines[1].counters().reports, 0);
    assert!(pair.engines[0].counters().checkpoint_timeouts > 0, "the peer asks again meanwhile");
    let Event::Block { session, .. } = pair.events[1][0] else { panic!("a block") };
    assert!(pair.engines[1].accept(pair.now, session));
    assert!(!pair.engines[1].accept(pair.now, session));
    assert!(!pair.engines[1].refuse(pair.now, session));
    pair.run(LATE);
    assert_eq!((pair.blocks(1).len(), pair.delivered(0)), (1, 1));
    assert_eq!((pair.engines[0].sessions(), pair.engines[1].sessions()), ((0, 0), (0, 0)));
}

#[test]
fn a_block_that_the_driver_refuses_or_forgets_stays_with_its_sender() {
    for refused in [true, false] {
        let limits = Limits { retransmissions: 100, ..Limits::default() };
        let mut pair = Pair::new(limits, Weather::default(), 1);
        pair.undecided = true;
        pair.engines[0].send(block(0, 1000), 3).unwrap();
        pair.run(Instant::from_nanos(15_000_000_000));
        let Event::Block { session, .. } = pair.events[1][0] else { panic!("a block") };
        if refused {
            assert!(pair.engines[1].refuse(pair.now, session));
        }
        pair.run(LATE);
        let reason = if refused { CancelReason::System } else { CancelReason::RetransmissionLimit };
        assert_eq!(pair.events[0], [Event::Cancelled { token: 3, reason, by_peer: refused }]);
        assert_eq!((pair.engines[0].sessions(), pair.engines[1].sessions()), ((0, 0), (0, 0)));
        assert_eq!(pair.engines[1].poll_timeout(), None);
    }
}

/// The receiving engine forgets everything, as in a crash, after so many seconds. Returns what the sender was told.
fn crash_after(secs: u64, limits: Limits, doomed: Vec<u64>) -> (Vec<Event>, usize) {
    let mut pair = Pair::new(limits, Weather::default(), 1);
    pair.doomed = doomed;
    pair.engines[0].send(block(0, 1700), 3).unwrap();
    pair.run(Instant::from_nanos(secs * 1_000_000_000));
    pair.engines[1] = Engine::new(Config { seed: 4321, ..config(2, 1, limits) }, pair.now);
    pair.up();
    pair.run(LATE);
    let whole = pair.blocks(1).iter().filter(|data| **data == block(0, 1700)).count();
    (pair.events[0].clone(), whole)
}

#[test]
fn a_receiver_that_lost_its_memory_gives_no_false_completion() {
    // Two segments of ten are lost; the report on the others is here after 20 s, and the receiver forgets them before 30 s.
    let (events, whole) = crash_after(25, Limits::default(), vec![1, 3]);
    let reason = CancelReason::System;
    assert_eq!((&events[..], whole), (&[Event::Cancelled { token: 3, reason, by_peer: true }][..], 0));
}

/// From and to, in a block.
type Extent = (u64, u64);

/// What a sender of 1000 bytes says after reports on the first checkpoint: each a scope and one claim.
fn told(reports: &[(Extent, Extent)]) -> (Option<Event>, Engine) {
    let mut engine = Engine::new(config(1, 2, Limits::default()), Instant::ZERO);
    engine.link_up(Instant::ZERO, LinkPath { mtu: 200, light_time: LIGHT, margin: Duration::ZERO });
    engine.send(block(0, 1000), 3).unwrap();
    let last = core::iter::from_fn(|| engine.poll_segment(Instant::ZERO)).last().unwrap();
    let (session, tag, _) = checkpoint(&last).expect("the last segment is one");
    for (serial, (scope, claim)) in (70..).zip(reports) {
        let mut bytes = Vec::new();
        segment::put_report_segment(&mut bytes, session, (serial, tag.serial), *scope, &[*claim]);
        engine.handle_segment(Instant::ZERO, &bytes).unwrap();
    }
    (engine.poll_event(), engine)
}

fn checkpoint(frame: &[u8]) -> Option<(SessionId, CheckpointTag, Extent)> {
    let segment = Segment::parse(frame).unwrap();
    match segment.content {
        Content::Data(data) => match data.color {
            Color::Red { checkpoint: Some(tag), .. } => {
                Some((segment.session, tag, (data.offset, data.end())))
            }
            _ => None,
        },
        _ => None,
    }
}

const ALL: Extent = (0, 1000);

#[test]
fn a_later_report_on_the_same_bytes_withdraws_the_claims_of_an_earlier_one() {
    assert_eq!(told(&[(ALL, (0, 600)), (ALL, (600, 1000))]).0, None, "at no time had the peer all of it");
    assert_eq!(told(&[(ALL, (0, 600)), (ALL, ALL)]).0, Some(Event::Delivered { token: 3 }));
}

#[test]
fn no_block_is_complete_by_reports_of_which_none_says_so_alone() {
    // The peer reports on the first part and crashes; its next incarnation has the second part, and what it says of the first is lost.
    let (first, second) = ((0, 600), (600, 1000));
    let (event, mut engine) = told(&[(first, first), (second, second)]);
    assert_eq!(event, None);
    // It is asked for a report on all: one that does not know the first report cancels.
    let asked =
        core::iter::from_fn(|| engine.poll_segment(Instant::ZERO)).filter_map(|frame| checkpoint(&frame));
    let asked: Vec<_> = asked.map(|(_, tag, place)| (tag.report, place)).collect();
    assert_eq!(asked, [(70, (999, 1000))]);
    let (event, engine) = told(&[(first, first), (second, second), (ALL, ALL)]);
    assert_eq!((event, engine.sessions()), (Some(Event::Delivered { token: 3 }), (0, 0)));
}

#[test]
fn a_cancelled_block_is_cancelled_on_both_sides() {
    let mut pair = Pair::new(Limits::default(), Weather::default(), 1);
    pair.engines[0].send(block(0, 4000), 3).unwrap();
    pair.run(Instant::from_nanos(100_000_000));
    assert!(pair.engines[0].cancel(pair.now, 3, CancelReason::User));
    assert!(!pair.engines[0].cancel(pair.now, 3, CancelReason::User));
    pair.run(LATE);
    assert!(pair.events[0].is_empty(), "who cancels knows");
    assert!(matches!(pair.events[1][..], [Event::ReceptionCancelled { reason: CancelReason::User, .. }]));
    assert_eq!((pair.engines[0].sessions(), pair.engines[1].sessions()), ((0, 0), (0, 0)));
    assert_eq!(pair.engines[1].held(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_red_block_arrives_once_or_is_cancelled(
        seed: u64,
        loss in 0_u32..45, repeat in 0_u32..20, reorder in 0_u32..30,
        lengths in proptest::collection::vec(1_usize..3000, 1..8),
        outage in proptest::option::of((0_u64..60, 1_u64..400)),
    ) {
        let mut pair = Pair::new(Limits::default(), Weather { loss, repeat, reorder }, seed);
        let count = lengths.len();
        for (index, length) in lengths.iter().enumerate() {
            pair.engines[0].send(block(index, *length), index as u64).unwrap();
            pair.engines[1].send(block(index + 100, *length), index as u64).unwrap();
        }
        if let Some((from, length)) = outage {
            pair.run(Instant::from_nanos(from * 1_000_000_000));
            pair.down();
            pair.run(Instant::from_nanos((from + length) * 1_000_000_000));
            pair.up();
        }
        pair.run(LATE);
        for (side, base) in [(0, 0), (1, 100)] {
            let mut fates = vec![0; count];
            let mut delivered = vec![false; count];
            for event in &pair.events[side] {
                match event {
                    Event::Delivered { token } => {
                        fates[*token as usize] += 1;
                        delivered[*token as usize] = true;
                    }
                    Event::Cancelled { token, .. } => fates[*token as usize] += 1,
                    _ => {}
                }
            }
            prop_assert!(fates.iter().all(|fate| *fate == 1), "each block has one fate: {fates:?}");
            let arrived = pair.blocks(1 - side);
            for index in 0..count {
                let expected = block(index + base, lengths[index]);
                let times = arrived.iter().filter(|block| **block == expected).count();
                let same = (0..count).filter(|other| block(other + base, lengths[*other]) == expected).count();
                prop_assert!(times <= same, "no block arrives twice");
                // What is reported as received was handed over. (The reverse cannot be promised: a last report may be lost.)
                prop_assert!(!delivered[index] || times == same || times >= 1);
            }
            // With nine tries of each segment, 45 % of loss gives up less than one session in a thousand; none under 10 %.
            prop_assert!(loss >= 10 || delivered.iter().all(|delivered| *delivered));
        }
        for engine in &pair.engines {
            prop_assert_eq!(engine.sessions(), (0, 0));
            prop_assert_eq!(engine.held(), 0);
            prop_assert_eq!(engine.poll_timeout(), None);
        }
    }
}
