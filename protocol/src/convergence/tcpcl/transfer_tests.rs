//! Bundles cross (RFC 9174 §5.2).

use super::pair::{Lone, Pair, T0, after, config, sess_init};
use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

fn segment(flags: XferFlags, transfer: u64, data: &[u8]) -> Vec<u8> {
    segment_with(flags, transfer, Vec::new(), data)
}

fn segment_with(flags: XferFlags, transfer: u64, extensions: Vec<u8>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let data_len = data.len() as u64;
    Message::XferSegment(XferSegment { flags, transfer, extensions, data_len }).encode(&mut out);
    out.extend_from_slice(data);
    out
}

fn announced(total: u64) -> Vec<u8> {
    [&[0, 0, 1, 0, 8][..], &total.to_be_bytes()].concat()
}

const START: XferFlags = XferFlags::START;
const END: XferFlags = XferFlags::END;
const BOTH: XferFlags = XferFlags(3);
const MIDDLE: XferFlags = XferFlags(0);

fn ack(flags: XferFlags, transfer: u64, acknowledged: u64) -> Message {
    Message::XferAck { flags, transfer, acknowledged }
}

fn refusal(reason: TransferRefusal, transfer: u64) -> Message {
    Message::XferRefuse { reason, transfer }
}

const UNEXPECTED_SEGMENT: Message = Message::MsgReject { reason: RejectReason::UNEXPECTED, rejected: 1 };

#[test]
fn each_segment_is_acknowledged_with_its_flags_and_the_sum_of_lengths() {
    // The example of RFC 9174 §5.2.3: lengths 100, 200, 500 and 1000; reserved flags are repeated.
    let mut lone = Lone::established(config("ipn:1.0"));
    for (flags, len) in [(START, 100), (MIDDLE, 200), (XferFlags(0x80), 500), (END, 1000)] {
        lone.give(&segment(flags, 7, &vec![9; len]));
    }
    let acks = [ack(START, 7, 100), ack(MIDDLE, 7, 300), ack(XferFlags(0x80), 7, 800), ack(END, 7, 1800)];
    assert_eq!(lone.sent(), acks);
    assert_eq!(lone.end.bundles(), [vec![9; 1800]]);
}

#[test]
fn a_bundle_goes_in_segments_that_the_peer_takes_and_announces_its_length() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.send(TransferToken(5), vec![1; 2500]).unwrap();
    lone.end.session.send(TransferToken(6), vec![2; 1000]).unwrap();
    let head = |flags, transfer, extensions, data_len| {
        Message::XferSegment(XferSegment { flags, transfer, extensions, data_len })
    };
    assert_eq!(
        lone.sent(),
        [
            head(START, 0, announced(2500), 1000),
            head(MIDDLE, 0, vec![], 1000),
            head(END, 0, vec![], 500),
            head(BOTH, 1, vec![], 1000),
        ],
        "numbers from 0, pipelined, and no length for a single segment"
    );
    for message in [ack(START, 0, 1000), ack(MIDDLE, 0, 2000), ack(END, 0, 2500), ack(BOTH, 1, 1000)] {
        lone.say(&message);
    }
    let done = |token| Output::TransferAcknowledged { token: TransferToken(token) };
    assert_eq!(lone.end.outputs[1..], [done(5), done(6)]);
}

#[test]
fn an_acknowledgement_with_flags_zero_is_for_lenient_eyes_only() {
    for how in [Acknowledgements::Strict, Acknowledgements::Lenient] {
        let mut ours = config("ipn:1.0");
        ours.acknowledgements = how;
        let mut lone = Lone::established(ours);
        lone.end.session.send(TransferToken(5), vec![1; 2000]).unwrap();
        lone.sent();
        lone.say(&ack(MIDDLE, 0, 1000));
        if how == Acknowledgements::Strict {
            let violation = Violation::Acknowledgement { transfer: 0, acknowledged: 1000 };
            assert_eq!(lone.end.closure(), Some(Closure::Violated(violation)));
            let reject = Message::MsgReject { reason: RejectReason::UNSUPPORTED, rejected: 2 };
            let term = Message::SessTerm { flags: 0, reason: TerminationReason::UNKNOWN };
            assert_eq!(lone.sent(), [reject, term]);
            continue;
        }
        lone.say(&ack(MIDDLE, 0, 1000));
        lone.say(&ack(MIDDLE, 0, 2000));
        assert_eq!(lone.end.outputs[1..], [Output::TransferAcknowledged { token: TransferToken(5) }]);
        assert_eq!(lone.end.session.counters().get("repeated_acknowledgement"), Some(&1));
    }
}

#[test]
fn one_acknowledgement_may_stand_for_several_segments_to_lenient_eyes() {
    let mut ours = config("ipn:1.0");
    ours.acknowledgements = Acknowledgements::Lenient;
    let mut lone = Lone::established(ours);
    lone.end.session.send(TransferToken(5), vec![1; 2500]).unwrap();
    lone.sent();
    lone.say(&ack(MIDDLE, 0, 2500));
    assert_eq!(lone.end.outputs[1..], [Output::TransferAcknowledged { token: TransferToken(5) }]);
}

#[test]
fn more_acknowledged_than_sent_is_a_violation_to_all_eyes() {
    for how in [Acknowledgements::Strict, Acknowledgements::Lenient] {
        let mut ours = config("ipn:1.0");
        ours.acknowledgements = how;
        let mut lone = Lone::established(ours);
        lone.end.session.send(TransferToken(5), vec![1; 500]).unwrap();
        lone.sent();
        lone.say(&ack(BOTH, 0, 1 << 63));
        let violation = Violation::Acknowledgement { transfer: 0, acknowledged: 1 << 63 };
        assert_eq!(lone.end.closure(), Some(Closure::Violated(violation)));
        assert_eq!(lone.end.session.counters().get("bad_acknowledgement"), Some(&1));
    }
}

#[test]
fn an_answer_for_an_unknown_transfer_is_unexpected() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.say(&ack(BOTH, 3, 10));
    lone.say(&refusal(TransferRefusal::COMPLETED, 3));
    let rejected = |rejected| Message::MsgReject { reason: RejectReason::UNEXPECTED, rejected };
    assert_eq!(lone.sent(), [rejected(2), rejected(3)]);
    assert_eq!(lone.end.session.counters().get("unexpected_message"), Some(&2));
    assert!(!lone.end.session.is_closed());
}

#[test]
fn a_refused_transfer_stops_and_the_next_begins() {
    let mut ours = config("ipn:1.0");
    ours.max_unacknowledged_segments = 2;
    let mut lone = Lone::established(ours);
    lone.end.session.send(TransferToken(5), vec![1; 9000]).unwrap();
    lone.end.session.send(TransferToken(6), vec![2; 10]).unwrap();
    assert_eq!(lone.sent().len(), 2);
    lone.say(&ack(START, 0, 1000));
    lone.say(&refusal(TransferRefusal::NO_RESOURCES, 0));
    let refused = Output::TransferRefused {
        token: TransferToken(5),
        reason: TransferRefusal::NO_RESOURCES,
        acknowledged: 1000,
    };
    assert_eq!(lone.end.outputs[1..], [refused]);
    let sent = lone.sent();
    assert!(matches!(&sent[..], [Message::XferSegment(next)] if next.transfer == 1 && next.flags == BOTH));
    // The answer to the second segment crossed; it is passed over.
    lone.say(&refusal(TransferRefusal::NO_RESOURCES, 0));
    lone.say(&ack(BOTH, 1, 10));
    assert_eq!(lone.end.outputs.last(), Some(&Output::TransferAcknowledged { token: TransferToken(6) }));
    assert!(lone.end.session.counters().is_empty());
}

#[test]
fn a_bundle_beyond_the_transfer_mru_is_refused_at_its_head_and_segments_that_crossed_too() {
    let mut ours = config("ipn:1.0");
    (ours.segment_mru, ours.transfer_mru) = (600, 1000);
    let mut lone = Lone::established(ours);
    lone.give(&segment_with(START, 0, announced(1 << 63), &[1; 600]));
    lone.give(&segment(END, 0, &[1; 600]));
    assert_eq!(
        lone.sent(),
        [refusal(TransferRefusal::NO_RESOURCES, 0), refusal(TransferRefusal::NO_RESOURCES, 0)]
    );
    // Unannounced: as soon as it is too much.
    lone.give(&segment(START, 1, &[1; 600]));
    lone.give(&segment(MIDDLE, 1, &[1; 600]));
    assert_eq!(lone.sent(), [ack(START, 1, 600), refusal(TransferRefusal::NO_RESOURCES, 1)]);
    lone.give(&segment(BOTH, 2, &[3; 600]));
    assert_eq!(lone.end.bundles(), [vec![3; 600]], "the session goes on");
    assert_eq!(lone.end.session.counters().get("transfer_too_large"), Some(&2));
}

#[test]
fn a_length_other_than_announced_is_not_acceptable() {
    for (total, data) in [(10, 9), (10, 11), (0, 1)] {
        let mut lone = Lone::established(config("ipn:1.0"));
        lone.give(&segment_with(START, 0, announced(total), &[]));
        lone.give(&segment(END, 0, &vec![1; data]));
        assert_eq!(lone.sent(), [ack(START, 0, 0), refusal(TransferRefusal::NOT_ACCEPTABLE, 0)]);
        assert_eq!(lone.end.bundles(), [[0_u8; 0]; 0]);
    }
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.give(&segment(BOTH, 0, &[]));
    assert_eq!(lone.sent(), [refusal(TransferRefusal::NOT_ACCEPTABLE, 0)], "no bundle is empty");
}

#[test]
fn extension_items_are_judged_by_their_critical_flag() {
    let twice = [announced(3), announced(3)].concat();
    let short = vec![0, 0, 1, 0, 1, 3];
    let critical = vec![1, 0, 9, 0, 0];
    for (items, taken) in [
        (vec![0, 0, 9, 0, 2, 7, 7], true),
        (critical, false),
        (twice, false),
        (short.clone(), false),
        (vec![0, 0, 9, 0, 2, 7], false),
    ] {
        let mut lone = Lone::established(config("ipn:1.0"));
        lone.give(&segment_with(BOTH, 0, items, &[1, 2, 3]));
        let answer = if taken { ack(BOTH, 0, 3) } else { refusal(TransferRefusal::EXTENSION_FAILURE, 0) };
        assert_eq!(lone.sent(), [answer]);
    }
    // dtn7-rs has its own use for type 1.
    let mut ours = config("ipn:1.0");
    ours.acknowledgements = Acknowledgements::Lenient;
    let mut lone = Lone::established(ours);
    lone.give(&segment_with(BOTH, 0, short, &[1, 2, 3]));
    assert_eq!(lone.sent(), [ack(BOTH, 0, 3)]);
}

#[test]
fn segments_without_a_place_are_rejected_and_their_data_is_no_message() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.give(&segment(MIDDLE, 0, &[8; 40]));
    assert_eq!(lone.sent(), [UNEXPECTED_SEGMENT], "no transfer began");
    lone.give(&segment(START, 1, &[1; 4]));
    lone.give(&segment(END, 2, &[8; 40]));
    assert_eq!(lone.sent(), [ack(START, 1, 4), UNEXPECTED_SEGMENT], "another transfer");
    lone.give(&segment(END, 1, &[2; 4]));
    assert_eq!(lone.sent(), [ack(END, 1, 8)], "the one in progress goes on");
    lone.give(&segment(BOTH, 1, &[1; 4]));
    assert_eq!(lone.sent(), [UNEXPECTED_SEGMENT], "a number is used once");
    lone.give(&segment(START, 3, &[1; 4]));
    lone.give(&segment(BOTH, 4, &[1; 4]));
    assert_eq!(lone.sent(), [ack(START, 3, 4), UNEXPECTED_SEGMENT], "transfers do not interleave");
    assert_eq!(lone.end.outputs.last(), Some(&Output::ReceptionFailed { transfer: 3 }));
    assert_eq!(lone.end.bundles(), [vec![1, 1, 1, 1, 2, 2, 2, 2]]);
}

#[test]
fn a_held_bundle_is_acknowledged_when_the_host_has_it_and_not_before() {
    let mut ours = config("ipn:1.0");
    (ours.hold_final_acknowledgement, ours.max_held) = (true, 2);
    let mut lone = Lone::established(ours);
    let stream = [segment(BOTH, 0, &[1]), segment(BOTH, 1, &[2]), segment(BOTH, 2, &[3])].concat();
    let taken = lone.end.session.handle_bytes(T0, &stream);
    assert_eq!(taken, stream.len() * 2 / 3, "bytes wait while two bundles are held");
    assert!(!lone.end.session.wants_bytes());
    assert_eq!(lone.sent(), []);
    assert!(lone.end.session.accept(T0, 1));
    assert_eq!(lone.sent(), [], "answers keep their order");
    assert!(lone.end.session.refuse(T0, 0, TransferRefusal::NO_RESOURCES));
    assert_eq!(lone.sent(), [refusal(TransferRefusal::NO_RESOURCES, 0), ack(BOTH, 1, 1)]);
    assert!(!lone.end.session.accept(T0, 1), "once");
    lone.give(&stream[taken..]);
    assert_eq!(lone.end.bundles().len(), 3);
}

#[test]
fn a_slow_host_does_not_end_a_session_whose_acknowledgements_it_does_not_read() {
    let mut ours = config("ipn:1.0");
    (ours.hold_final_acknowledgement, ours.max_held) = (true, 1);
    let mut lone = Lone::established(ours);
    lone.end.session.send(TransferToken(8), vec![1; 100]).unwrap();
    lone.sent();
    lone.give(&segment(BOTH, 0, &[1]));
    assert!(!lone.end.session.wants_bytes());
    // The peer's acknowledgement waits in TCP for as long as the disk is busy; we keep the session alive.
    for minutes in 1..5 {
        lone.wait_until(after(60 * minutes));
        assert_eq!(lone.sent(), [Message::Keepalive]);
    }
    lone.now = after(250);
    assert!(lone.end.session.accept(after(250), 0));
    assert_eq!(lone.sent(), [ack(BOTH, 0, 1)]);
    // From here on the peer has its whole time again.
    lone.wait_until(after(309));
    assert!(lone.end.closure().is_none());
    lone.say(&ack(BOTH, 0, 100));
    let acknowledged = Output::TransferAcknowledged { token: TransferToken(8) };
    assert_eq!(lone.end.outputs.last(), Some(&acknowledged));
    // Once it is heard, its silence counts.
    lone.end.session.send(TransferToken(9), vec![1; 100]).unwrap();
    lone.sent();
    lone.wait_until(after(309 + 60));
    assert_eq!(lone.end.closure(), Some(Closure::Aborted(TerminationReason::UNKNOWN)));
}

#[test]
fn outputs_that_the_host_does_not_take_stop_the_peers_time_too() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.send(TransferToken(8), vec![1; 100]).unwrap();
    lone.sent();
    let flood: Vec<u8> = (0..300).flat_map(|transfer| segment(BOTH, transfer, &[1])).collect();
    let taken = lone.end.session.handle_bytes(T0, &flood);
    assert!(taken < flood.len());
    lone.end.session.handle_timeout(after(100));
    lone.end.drain();
    // It drained them long after it was last told the time.
    lone.wait_until(after(500));
    assert!(lone.end.closure().is_none());
    lone.give(&flood[taken..]);
    lone.say(&ack(BOTH, 0, 100));
    assert!(lone.end.outputs.contains(&Output::TransferAcknowledged { token: TransferToken(8) }));
}

#[test]
fn a_host_may_refuse_a_transfer_in_progress() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.give(&segment(START, 4, &[1; 100]));
    lone.give(&segment(MIDDLE, 4, &[1; 100])[..50]);
    assert!(lone.end.session.refuse(T0, 4, TransferRefusal::COMPLETED));
    lone.give(&segment(MIDDLE, 4, &[1; 100])[50..]);
    lone.give(&segment(END, 4, &[1; 100]));
    let refused = refusal(TransferRefusal::COMPLETED, 4);
    assert_eq!(lone.sent(), [ack(START, 4, 100), refused.clone(), refused]);
    assert!(lone.end.bundles().is_empty());
}

#[test]
fn an_ending_session_finishes_what_began_and_begins_nothing() {
    let mut ours = config("ipn:1.0");
    ours.max_unacknowledged_segments = 1;
    let mut lone = Lone::established(ours);
    lone.end.session.send(TransferToken(1), vec![1; 2000]).unwrap();
    lone.end.session.send(TransferToken(2), vec![2; 10]).unwrap();
    lone.give(&segment(START, 0, &[5; 10]));
    lone.sent();
    lone.say(&Message::SessTerm { flags: 0, reason: TerminationReason::BUSY });
    let reason = FailureReason::SessionEnded;
    let back = Output::TransferFailed { token: TransferToken(2), reason, acknowledged: 0 };
    assert!(lone.end.outputs.contains(&back));
    assert_eq!(lone.end.session.send(TransferToken(3), vec![1]), Err(SendError::NotEstablished));
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 1, reason: TerminationReason::BUSY }]);
    lone.give(&segment(END, 0, &[6; 10]));
    lone.give(&segment(BOTH, 1, &[7; 10]));
    lone.say(&ack(START, 0, 1000));
    let sent = lone.sent();
    assert_eq!(sent[..2], [ack(END, 0, 20), refusal(TransferRefusal::SESSION_TERMINATING, 1)]);
    assert!(matches!(&sent[2..], [Message::XferSegment(last)] if last.flags == END));
    assert!(!lone.end.session.is_closed());
    lone.say(&ack(END, 0, 2000));
    assert_eq!(lone.end.closure(), Some(Closure::Terminated(TerminationReason::BUSY)));
    assert_eq!(lone.end.bundles().len(), 1);
}

#[test]
fn a_bundle_that_the_peer_does_not_take_is_not_sent() {
    let mut lone =
        Lone::established_with(Role::Active, config(""), SessInit { transfer_mru: 100, ..sess_init() });
    let session = &mut lone.end.session;
    assert_eq!(
        session.send(TransferToken(0), vec![0; 101]),
        Err(SendError::TooLarge { found: 101, max: 100 })
    );
    assert_eq!(session.send(TransferToken(0), vec![]), Err(SendError::Empty));
    assert_eq!(session.send(TransferToken(0), vec![0; 100]), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bundles_cross_both_ways_in_order_whatever_the_pieces(
        there in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..5),
        back in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..5),
        pieces in prop::collection::vec(1_usize..700, 1..12),
        segment_bytes in 100_usize..2000,
        window in 1_usize..5,
        lenient in any::<bool>(),
    ) {
        let mut ours = config("ipn:1.0");
        (ours.max_segment_bytes, ours.max_unacknowledged_segments) = (segment_bytes, window);
        let mut theirs = config("ipn:2.0");
        theirs.segment_mru = 512;
        if lenient {
            ours.acknowledgements = Acknowledgements::Lenient;
        }
        let mut pair = Pair::new(ours, theirs, &pieces);
        pair.run();
        for (token, bundle) in there.iter().enumerate() {
            pair.active.session.send(TransferToken(token as u64), bundle.clone()).unwrap();
        }
        for (token, bundle) in back.iter().enumerate() {
            pair.passive.session.send(TransferToken(token as u64), bundle.clone()).unwrap();
        }
        pair.run();
        prop_assert_eq!(pair.passive.bundles(), there.clone());
        prop_assert_eq!(pair.active.bundles(), back);
        let done = (0..there.len() as u64).map(|token| Output::TransferAcknowledged { token: TransferToken(token) });
        for output in done {
            prop_assert!(pair.active.outputs.contains(&output));
        }
        pair.active.session.terminate(T0, TerminationReason::UNKNOWN);
        pair.run();
        let closure = Some(Closure::Terminated(TerminationReason::UNKNOWN));
        prop_assert_eq!((pair.active.closure(), pair.passive.closure()), (closure, closure));
        prop_assert!(pair.active.session.counters().is_empty() && pair.passive.session.counters().is_empty());
    }
}
