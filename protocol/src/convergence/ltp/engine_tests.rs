//! One engine and a peer that does as it likes.

use super::*;
use crate::time::Instant;
use alloc::{vec, vec::Vec};
use core::time::Duration;
use proptest::prelude::*;

const NOW: Instant = Instant::ZERO;
const LIMITS: Limits = Limits {
    sessions_out: 4,
    sessions_in: 4,
    block: 10_000,
    buffer: 20_000,
    pieces: 8,
    retransmissions: 2,
    cycles: 5,
    reports: 10,
    control: 16,
    closed: 3,
    idle: Duration::from_secs(60),
};

fn engine() -> Engine {
    let config = Config { engine: 1, peer: Some(2), client_service: BUNDLE_SERVICE, seed: 3, limits: LIMITS };
    let mut engine = Engine::new(config, NOW);
    engine.link_up(NOW, LinkPath { mtu: 120, light_time: Duration::from_secs(1), margin: Duration::ZERO });
    engine
}

fn encode(originator: u64, number: u64, content: Content<'_>) -> Vec<u8> {
    let none = Extensions::default();
    let mut out = Vec::new();
    let session = SessionId { originator, number };
    Segment { session, header: none, content, trailer: none }.put(&mut out);
    out
}

fn red(number: u64, offset: u64, data: &[u8], tag: Option<(u64, u64)>, last: bool) -> Vec<u8> {
    let checkpoint = tag.map(|(serial, report)| CheckpointTag { serial, report });
    let color = Color::Red { checkpoint, last_red: last };
    encode(2, number, Content::Data(DataSegment { client_service: 1, offset, color, last, data }))
}

fn green(number: u64, offset: u64, data: &[u8], last: bool) -> Vec<u8> {
    let color = Color::Green;
    encode(2, number, Content::Data(DataSegment { client_service: 1, offset, color, last, data }))
}

/// Answers for the blocks that came in. Returns the last.
fn accept_blocks(engine: &mut Engine, now: Instant) -> Option<Vec<u8>> {
    let mut last = None;
    while let Some(event) = engine.poll_event() {
        if let Event::Block { session, data } = event {
            assert!(engine.accept(now, session));
            last = Some(data);
        }
    }
    last
}

/// Sends what waits, and answers what was in it.
fn drain(engine: &mut Engine, now: Instant) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| engine.poll_segment(now)).collect()
}

fn cancel_reason(frames: &[Vec<u8>]) -> Option<CancelReason> {
    frames.iter().find_map(|frame| match Segment::parse(frame).unwrap().content {
        Content::CancelByReceiver(reason) | Content::CancelBySender(reason) => Some(reason),
        _ => None,
    })
}

/// Lower and upper bound of a report, and its claims.
type Told = (u64, u64, Vec<(u64, u64)>);

fn reports(frames: &[Vec<u8>]) -> Vec<Told> {
    let reports = frames.iter().filter_map(|frame| match Segment::parse(frame).unwrap().content {
        Content::Report(report) => Some((report.lower, report.upper, report.claims.collect())),
        _ => None,
    });
    reports.collect()
}

#[test]
fn a_checkpoint_is_reported_and_the_report_repeated_until_acknowledged() {
    let mut engine = engine();
    engine.handle_segment(NOW, &red(9, 50, &[2; 50], Some((5, 0)), true)).unwrap();
    let sent = drain(&mut engine, NOW);
    assert_eq!(reports(&sent), [(0, 100, vec![(50, 100)])]);
    // §6.8: the same report after light time there and back.
    let due = engine.poll_timeout().unwrap();
    assert_eq!(due, NOW.saturating_add(Duration::from_secs(2)));
    engine.handle_timeout(due);
    assert_eq!(drain(&mut engine, due), sent);
    let Content::Report(report) = Segment::parse(&sent[0]).unwrap().content else { panic!("not a report") };
    let serial = report.serial;
    engine.handle_segment(due, &encode(2, 9, Content::ReportAcknowledgement(serial))).unwrap();
    // The secondary report's scope starts where that of the report starts to which its checkpoint answers (§6.11).
    engine.handle_segment(due, &red(9, 0, &[1; 25], Some((6, serial)), false)).unwrap();
    assert_eq!(reports(&drain(&mut engine, due)), [(0, 25, vec![(0, 25)])]);
    engine.handle_segment(due, &red(9, 25, &[1; 25], Some((7, serial)), false)).unwrap();
    assert_eq!(drain(&mut engine, due).len(), 0, "the block waits for the driver's word");
    assert_eq!(accept_blocks(&mut engine, due).map(|data| data[..50].to_vec()), Some(vec![1; 50]));
    // All of it, whatever the checkpoint's scope: the sender believes no less.
    assert_eq!(reports(&drain(&mut engine, due)), [(0, 100, vec![(0, 100)])]);
}

#[test]
fn an_overtaken_discretionary_checkpoint_is_not_reported() {
    let mut engine = engine();
    engine.handle_segment(NOW, &red(9, 50, &[2; 50], Some((6, 0)), true)).unwrap();
    engine.handle_segment(NOW, &red(9, 0, &[2; 25], Some((5, 0)), false)).unwrap();
    assert_eq!(reports(&drain(&mut engine, NOW)), [(0, 100, vec![(50, 100)])]);
}

#[test]
fn a_report_with_more_claims_than_a_segment_holds_is_split() {
    let mut engine = Engine::new(
        Config { engine: 1, peer: None, client_service: 1, seed: 3, limits: Limits::default() },
        NOW,
    );
    engine.link_up(NOW, LinkPath { mtu: 96, light_time: Duration::from_secs(1), margin: Duration::ZERO });
    for index in 1..100_u64 {
        engine.handle_segment(NOW, &red(9, index * 100, &[1; 50], None, false)).unwrap();
    }
    engine.handle_segment(NOW, &red(9, 10_000, &[1; 50], Some((5, 0)), true)).unwrap();
    let sent = drain(&mut engine, NOW);
    let reports = reports(&sent);
    assert!(sent.iter().all(|frame| frame.len() <= 96) && reports.len() > 3);
    let mut at = 0;
    let mut claims = Vec::new();
    for (lower, upper, told) in reports {
        assert_eq!(lower, at, "the scopes follow each other");
        at = upper;
        claims.extend(told);
    }
    assert_eq!(at, 10_050);
    assert_eq!(claims, (1..=100).map(|index| (index * 100, index * 100 + 50)).collect::<Vec<_>>());
}

#[test]
fn late_segments_of_a_closed_session_are_answered_and_open_nothing() {
    let mut engine = engine();
    let last = red(9, 0, &[1; 50], Some((5, 0)), true);
    engine.handle_segment(NOW, &last).unwrap();
    assert!(accept_blocks(&mut engine, NOW).is_some());
    let sent = drain(&mut engine, NOW);
    let Content::Report(report) = Segment::parse(&sent[0]).unwrap().content else { panic!("not a report") };
    let serial = report.serial;
    engine.handle_segment(NOW, &encode(2, 9, Content::ReportAcknowledgement(serial))).unwrap();
    assert_eq!(engine.sessions(), (0, 0));
    engine.handle_segment(NOW, &last).unwrap();
    engine.handle_segment(NOW, &red(9, 0, &[1; 20], None, false)).unwrap();
    assert_eq!(reports(&drain(&mut engine, NOW)), [(0, 50, vec![(0, 50)])]);
    assert_eq!((engine.sessions(), engine.poll_event()), ((0, 0), None));
    // §6.17: a cancellation is acknowledged, whether there is a session or not.
    engine.handle_segment(NOW, &encode(2, 77, Content::CancelBySender(CancelReason::User))).unwrap();
    let sent = drain(&mut engine, NOW);
    assert_eq!(Segment::parse(&sent[0]).unwrap().content, Content::CancelAcknowledgementToSender);
    // A report for a session of ours that is closed is acknowledged too.
    let mut bytes = Vec::new();
    segment::put_report_segment(
        &mut bytes,
        SessionId { originator: 1, number: 4 },
        (8, 0),
        (0, 9),
        &[(0, 9)],
    );
    engine.handle_segment(NOW, &bytes).unwrap();
    let sent = drain(&mut engine, NOW);
    assert_eq!(Segment::parse(&sent[0]).unwrap().content, Content::ReportAcknowledgement(8));
}

#[test]
fn miscolored_segments_cancel_the_session() {
    for frames in [
        vec![green(9, 0, &[1; 10], false), red(9, 20, &[1; 10], None, false)],
        vec![red(9, 20, &[1; 10], None, false), green(9, 0, &[1; 10], false)],
        vec![red(9, 0, &[1; 10], Some((1, 0)), true), red(9, 20, &[1; 10], None, false)],
        vec![red(9, 20, &[1; 10], None, false), red(9, 0, &[1; 10], Some((1, 0)), true)],
    ] {
        let mut engine = engine();
        for frame in &frames {
            engine.handle_segment(NOW, frame).unwrap();
        }
        let events: Vec<Event> = core::iter::from_fn(|| engine.poll_event()).collect();
        let delivered = events.iter().any(|event| matches!(event, Event::Block { .. }));
        if !delivered {
            assert_eq!(cancel_reason(&drain(&mut engine, NOW)), Some(CancelReason::Miscolored));
        }
        assert_eq!((engine.sessions(), engine.held()), ((0, 0), 0));
    }
}

#[test]
fn a_stranger_to_the_client_service_is_told_so() {
    let mut engine = engine();
    let color = Color::Red { checkpoint: None, last_red: false };
    let data = DataSegment { client_service: 9, offset: 0, color, last: false, data: b"hi" };
    engine.handle_segment(NOW, &encode(2, 9, Content::Data(data))).unwrap();
    assert_eq!(cancel_reason(&drain(&mut engine, NOW)), Some(CancelReason::Unreachable));
}

#[test]
fn segments_of_other_engines_are_refused() {
    let mut engine = engine();
    let stranger = encode(3, 9, Content::CancelBySender(CancelReason::User));
    assert_eq!(engine.handle_segment(NOW, &stranger), Err(SegmentError::Stranger { originator: 3 }));
    let own = encode(1, 9, Content::CancelBySender(CancelReason::User));
    assert_eq!(engine.handle_segment(NOW, &own), Err(SegmentError::Stranger { originator: 1 }));
    let theirs = encode(2, 9, Content::CancelByReceiver(CancelReason::User));
    assert_eq!(engine.handle_segment(NOW, &theirs), Err(SegmentError::Stranger { originator: 2 }));
}

#[test]
fn a_flood_of_data_is_bounded() {
    let mut engine = engine();
    for number in 0..1000 {
        for piece in 1..50 {
            let _ = engine.handle_segment(NOW, &red(number, piece * 60, &[1; 50], None, false));
        }
    }
    assert!(engine.sessions().1 <= LIMITS.sessions_in && engine.held() <= LIMITS.buffer);
    assert!(engine.held() <= LIMITS.sessions_in * LIMITS.pieces * 50);
    // An offset of nearly 2^63 takes no memory: the block is too long.
    let mut engine = self::engine();
    engine.handle_segment(NOW, &red(1, 1 << 62, &[1; 50], None, false)).unwrap();
    assert_eq!((engine.held(), engine.sessions()), (0, (0, 0)));
    assert_eq!(cancel_reason(&drain(&mut engine, NOW)), Some(CancelReason::System));
}

#[test]
fn sessions_that_fill_the_buffer_leave_room_to_finish_the_oldest() {
    let mut engine = engine();
    let bytes = [1; 90];
    let fill = |engine: &mut Engine, number: u64, from: u64, to: u64| {
        let mut steps = (from..to).step_by(90);
        steps.all(|at| engine.handle_segment(NOW, &red(number, at, &bytes, None, false)).is_ok())
    };
    assert!((1..=3).all(|number| fill(&mut engine, number, 0, 90)));
    let filled = (2..=3).map(|number| fill(&mut engine, number, 90, 9900)).filter(|all| *all).count();
    assert!(filled < 2 && engine.held() <= LIMITS.buffer);
    assert!(!fill(&mut engine, 4, 0, 90), "none is begun that could not be finished");
    assert!(fill(&mut engine, 1, 90, 9900), "the oldest goes on");
    engine.handle_segment(NOW, &red(1, 9900, &bytes, Some((5, 0)), true)).unwrap();
    assert_eq!(accept_blocks(&mut engine, NOW).map(|block| block.len()), Some(9990));
    assert!(fill(&mut engine, 2, 90, 9900), "then the next");
}

#[test]
fn reports_that_nobody_acknowledges_are_few_and_counted_as_held() {
    let config = Config { engine: 1, peer: None, client_service: 1, seed: 3, limits: Limits::default() };
    let mut engine = Engine::new(config, NOW);
    engine.link_up(NOW, LinkPath { mtu: 9000, light_time: Duration::from_secs(1), margin: Duration::ZERO });
    for index in 1..=100_u64 {
        engine.handle_segment(NOW, &red(9, index * 100, &[1; 50], None, false)).unwrap();
    }
    engine.handle_segment(NOW, &red(9, 10_000, &[1; 50], Some((1, 0)), false)).unwrap();
    let sent = drain(&mut engine, NOW);
    let Content::Report(report) = Segment::parse(&sent[0]).unwrap().content else { panic!("not a report") };
    let serial = report.serial;
    assert_eq!(engine.held(), 100 * 50 + 100 * 16);
    for tag in 2..1000 {
        engine.handle_segment(NOW, &red(9, 10_000, &[1; 50], Some((tag, serial)), false)).unwrap();
    }
    assert_eq!(reports(&drain(&mut engine, NOW)).len(), 15);
    assert_eq!(engine.held(), 100 * 50 + 16 * 100 * 16);
    engine.handle_segment(NOW, &encode(2, 9, Content::ReportAcknowledgement(serial))).unwrap();
    assert_eq!(engine.held(), 100 * 50 + 15 * 100 * 16);
}

#[test]
fn a_flood_of_checkpoints_cancels_and_a_silent_session_ends() {
    let mut engine = engine();
    for serial in 1..100 {
        let _ = engine.handle_segment(NOW, &red(9, serial * 10 - 10, &[1; 10], Some((serial, 0)), false));
    }
    assert!(engine.waiting() <= LIMITS.control);
    assert_eq!(engine.sessions(), (0, 0));
    assert_eq!(cancel_reason(&drain(&mut engine, NOW)), Some(CancelReason::RetransmissionLimit));
    engine.handle_segment(NOW, &red(10, 0, &[1; 10], None, false)).unwrap();
    assert_eq!((engine.sessions(), engine.held()), ((0, 1), 10));
    let late = NOW.saturating_add(LIMITS.idle + Duration::from_secs(2));
    engine.handle_timeout(late);
    assert_eq!((engine.sessions(), engine.held()), ((0, 0), 0));
}

#[test]
fn a_report_flood_is_bounded_and_gives_the_block_up() {
    let mut engine = engine();
    engine.send(vec![7; 1000], 1).unwrap();
    let sent = drain(&mut engine, NOW);
    let session = Segment::parse(&sent[0]).unwrap().session;
    for serial in 1..10_000 {
        let mut bytes = Vec::new();
        segment::put_report_segment(&mut bytes, session, (serial, 0), (0, 1000), &[(0, 1), (10, 11)]);
        engine.handle_segment(NOW, &bytes).unwrap();
        assert!(engine.waiting() <= LIMITS.control);
    }
    let event = engine.poll_event();
    assert!(
        matches!(event, Some(Event::Cancelled { token: 1, reason: CancelReason::CycleLimit, .. })),
        "{event:?}"
    );
    assert!(engine.counters().unanswered > 9_000);
    assert_eq!(engine.sessions(), (0, 0));
}

#[test]
fn a_report_on_what_was_never_sent_changes_nothing() {
    let mut engine = engine();
    engine.send(vec![7; 1000], 1).unwrap();
    let first = engine.poll_segment(NOW).unwrap();
    let session = Segment::parse(&first).unwrap().session;
    let mut bytes = Vec::new();
    segment::put_report_segment(&mut bytes, session, (5, 0), (0, 1000), &[(0, 1000)]);
    engine.handle_segment(NOW, &bytes).unwrap();
    assert_eq!((engine.poll_event(), engine.sessions()), (None, (1, 0)));
}

#[test]
fn a_checkpoint_that_no_longer_fits_is_sent_in_pieces() {
    let mut engine = engine();
    engine.send(vec![7; 90], 1).unwrap();
    assert_eq!(drain(&mut engine, NOW).len(), 1);
    engine.link_up(NOW, LinkPath { mtu: 96, light_time: Duration::from_secs(1), margin: Duration::ZERO });
    let due = engine.poll_timeout().unwrap();
    engine.handle_timeout(due);
    let again = drain(&mut engine, due);
    assert!(again.len() == 2 && again.iter().all(|frame| frame.len() <= 96));
    let mut peer =
        Engine::new(Config { engine: 2, peer: Some(1), client_service: 1, seed: 9, limits: LIMITS }, NOW);
    for frame in again {
        peer.handle_segment(due, &frame).unwrap();
    }
    assert!(matches!(peer.poll_event(), Some(Event::Block { data, .. }) if data == [7; 90]));
}

#[test]
fn the_memory_of_closed_sessions_is_bounded_and_first_in_first_out() {
    let mut engine = engine();
    for number in 0..10 {
        engine.handle_segment(NOW, &encode(2, number, Content::CancelBySender(CancelReason::User))).unwrap();
    }
    // The last three are remembered: their data opens nothing. An older one opens again.
    let _ = drain(&mut engine, NOW);
    engine.handle_segment(NOW, &red(9, 0, &[1; 10], None, false)).unwrap();
    assert_eq!(engine.sessions(), (0, 0));
    engine.handle_segment(NOW, &red(2, 0, &[1; 10], None, false)).unwrap();
    assert_eq!(engine.sessions(), (0, 1));
}

proptest! {
    /// Whatever comes, the engine holds its limits, and ends all sessions when nothing comes any more.
    #[test]
    fn any_segments_leave_the_engine_within_its_limits(
        seeds in proptest::collection::vec((0_u8..16, 0_u64..4, 0_u64..6000, 1_usize..90, 1_u64..8, 0_u64..8), 0..120),
    ) {
        let mut engine = engine();
        engine.send(vec![1; 3000], 5).unwrap();
        let first = engine.poll_segment(NOW).unwrap();
        let own = Segment::parse(&first).unwrap().session.number;
        let bytes = [3_u8; 90];
        let mut now = NOW;
        for (kind, number, offset, length, serial, other) in seeds {
            now = now.saturating_add(Duration::from_millis(300));
            let frame = match kind {
                0..=2 => red(number, offset, &bytes[..length], None, false),
                3..=5 => red(number, offset, &bytes[..length], Some((serial, other)), kind == 5),
                6 => green(number, offset, &bytes[..length], false),
                7 => green(number, offset, &bytes[..length], true),
                8..=10 => {
                    let mut out = Vec::new();
                    let upper = offset + length as u64;
                    let session = SessionId { originator: 1, number: own };
                    let claim = (offset, offset + 1);
                    segment::put_report_segment(&mut out, session, (serial, other), (offset, upper), &[claim]);
                    out
                }
                11 => encode(2, number, Content::ReportAcknowledgement(serial)),
                12 => encode(2, number, Content::CancelBySender(CancelReason::from_code(other as u8))),
                13 => encode(1, own, Content::CancelAcknowledgementToSender),
                14 => encode(1, own + 1, Content::CancelByReceiver(CancelReason::from_code(other as u8))),
                _ => encode(2, number, Content::CancelAcknowledgementToReceiver),
            };
            let _ = engine.handle_segment(now, &frame);
            if other % 2 == 0 {
                let _ = accept_blocks(&mut engine, now);
            }
            if other % 3 == 0 {
                let _ = drain(&mut engine, now);
            }
            engine.handle_timeout(now);
            prop_assert!(engine.held() <= LIMITS.buffer && engine.sessions().1 <= LIMITS.sessions_in);
            prop_assert!(engine.waiting() <= LIMITS.control);
        }
        for _ in 0..10_000 {
            let _ = drain(&mut engine, now);
            let Some(next) = engine.poll_timeout() else { break };
            now = now.max(next);
            engine.handle_timeout(now);
        }
        prop_assert_eq!(engine.sessions(), (0, 0));
        prop_assert_eq!((engine.held(), engine.poll_timeout()), (0, None));
    }
}
