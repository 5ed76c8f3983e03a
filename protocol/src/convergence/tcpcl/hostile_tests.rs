//! Peers that are broken or mean: each is answered, bounded and counted by reason.

use super::pair::{Lone, T0, config, sess_init};
use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

#[test]
fn an_unknown_message_is_rejected_and_the_connection_closed() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.give(&[0x2a, 1, 2, 3]);
    assert_eq!(lone.sent(), [Message::MsgReject { reason: RejectReason::TYPE_UNKNOWN, rejected: 0x2a }]);
    assert_eq!(lone.end.closure(), Some(Closure::Violated(Violation::UnknownType { found: 0x2a })));
    assert_eq!(lone.end.session.counters().get("unknown_message"), Some(&1));
}

#[test]
fn messages_out_of_season_are_rejected_as_unexpected() {
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    lone.give(b"dtn!\x04\x00");
    lone.sent_bytes();
    lone.say(&Message::Keepalive);
    lone.say(&Message::XferAck { flags: XferFlags(0), transfer: 0, acknowledged: 0 });
    lone.give(&[1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 9, 9]);
    let unexpected = |rejected| Message::MsgReject { reason: RejectReason::UNEXPECTED, rejected };
    assert_eq!(lone.sent(), [unexpected(4), unexpected(2), unexpected(1)]);
    lone.say(&Message::SessInit(sess_init()));
    lone.say(&Message::SessInit(sess_init()));
    let sent = lone.sent();
    assert!(matches!(&sent[..], [Message::SessInit(_), second] if *second == unexpected(7)));
    assert_eq!(lone.end.session.counters().get("unexpected_message"), Some(&4));
    assert!(lone.end.bundles().is_empty());
}

#[test]
fn a_segment_of_2_to_the_63_bytes_is_refused_before_memory_is_taken() {
    for data_len in [1 << 63, u64::MAX, (64 << 10) + 1] {
        let mut lone = Lone::established(config("ipn:1.0"));
        let flags = XferFlags::new(true, false);
        lone.say(&Message::XferSegment(XferSegment { flags, transfer: 0, extensions: vec![], data_len }));
        let violation = Violation::SegmentTooLong { found: data_len, max: 64 << 10 };
        assert_eq!(lone.end.closure(), Some(Closure::Violated(violation)));
        let reject = Message::MsgReject { reason: RejectReason::UNSUPPORTED, rejected: 1 };
        let reason = TerminationReason::RESOURCE_EXHAUSTION;
        assert_eq!(lone.sent(), [reject, Message::SessTerm { flags: 0, reason }]);
        assert!(lone.end.session.held_bytes() < 1024);
    }
}

#[test]
fn extension_items_of_4_gib_are_refused_before_memory_is_taken() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.give(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    let violation = Violation::ExtensionsTooLong { found: u32::MAX, max: 4096 };
    assert_eq!(lone.end.closure(), Some(Closure::Violated(violation)));
    assert!(lone.end.session.held_bytes() < 1024);
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    lone.give(b"dtn!\x04\x00");
    lone.sent_bytes();
    lone.give(&[7, 0, 60, 0, 0, 0, 0, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0, 9, 9, 0, 0, 0x80, 0, 0, 0]);
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason: TerminationReason::CONTACT_FAILURE }]);
}

#[test]
fn an_announced_length_takes_no_memory_until_its_bytes_come() {
    let mut ours = config("ipn:1.0");
    (ours.segment_mru, ours.transfer_mru) = (1 << 40, 1 << 40);
    let mut lone = Lone::established(ours);
    let extensions = [&[0, 0, 1, 0, 8][..], &(1_u64 << 39).to_be_bytes()].concat();
    let head = XferSegment { flags: XferFlags::START, transfer: 0, extensions, data_len: 1 << 38 };
    lone.say(&Message::XferSegment(head));
    lone.give(&[7; 100]);
    assert!(lone.end.session.held_bytes() < 2048);
    assert!(!lone.end.session.is_closed());
}

#[test]
fn a_peer_that_sends_and_never_reads_is_not_read_any_further() {
    let mut lone = Lone::established(config("ipn:1.0"));
    // Segments of no bytes: eighteen bytes in, eighteen out.
    let first = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let next = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    lone.give(&first);
    let flood: Vec<u8> = next.iter().copied().cycle().take(next.len() * 100_000).collect();
    let taken = lone.end.session.handle_bytes(T0, &flood);
    assert!(taken < next.len() * 1100, "{taken} bytes were taken");
    assert!(!lone.end.session.wants_bytes());
    lone.sent();
    assert!(lone.end.session.wants_bytes(), "once it reads, it is read");
    // Messages that are rejected: one byte in, three out.
    let flood = [4_u8; 100_000];
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    lone.give(b"dtn!\x04\x00");
    let taken = lone.end.session.handle_bytes(T0, &flood);
    assert!(taken < 10_000, "{taken} bytes were taken");
}

#[test]
fn a_rejected_segment_ends_the_session_and_gives_its_bundle_back() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.send(TransferToken(1), vec![1; 10]).unwrap();
    lone.sent();
    lone.say(&Message::MsgReject { reason: RejectReason::UNSUPPORTED, rejected: 4 });
    assert!(!lone.end.session.is_closed(), "we live without keepalives");
    lone.say(&Message::MsgReject { reason: RejectReason::UNSUPPORTED, rejected: 1 });
    assert_eq!(lone.end.closure(), Some(Closure::Violated(Violation::Rejected { kind: 1 })));
    let reason = FailureReason::SessionEnded;
    let back = Output::TransferFailed { token: TransferToken(1), reason, acknowledged: 0 };
    assert!(lone.end.outputs.contains(&back));
    assert_eq!(lone.end.session.counters().get("message_rejected"), Some(&2));
}

#[test]
fn a_second_termination_is_unexpected() {
    let mut lone = Lone::established(config("ipn:1.0"));
    // A transfer in progress keeps the session from closing.
    lone.give(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
    lone.say(&Message::SessTerm { flags: 0, reason: TerminationReason::BUSY });
    lone.say(&Message::SessTerm { flags: 0, reason: TerminationReason::BUSY });
    let sent = lone.sent();
    assert_eq!(sent.last(), Some(&Message::MsgReject { reason: RejectReason::UNEXPECTED, rejected: 5 }));
}

/// A stream of an honest peer.
fn honest_stream() -> Vec<u8> {
    let mut stream = b"dtn!\x04\x00".to_vec();
    Message::SessInit(sess_init()).encode(&mut stream);
    for transfer in 0..4 {
        for part in 0..3 {
            let flags = XferFlags::new(part == 0, part == 2);
            let head = XferSegment { flags, transfer, extensions: vec![], data_len: 50 };
            Message::XferSegment(head).encode(&mut stream);
            stream.extend_from_slice(&[0x9f; 50]);
        }
        Message::Keepalive.encode(&mut stream);
    }
    Message::SessTerm { flags: 0, reason: TerminationReason::UNKNOWN }.encode(&mut stream);
    stream
}

/// Feeds `stream` in pieces, reading all that the session says; nothing it holds grows beyond what came.
fn survive(stream: &[u8], piece: usize) -> Lone {
    let mut ours = config("ipn:1.0");
    (ours.segment_mru, ours.transfer_mru) = (4096, 8192);
    let mut lone = Lone::new(Role::Passive, ours);
    for chunk in stream.chunks(piece.max(1)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = lone.end.session.handle_bytes(lone.now, rest);
            rest = &rest[taken..];
            lone.end.drain();
            lone.sent_bytes();
            assert!(lone.end.session.held_bytes() < 128 << 10);
        }
    }
    lone
}

#[test]
fn the_honest_stream_is_understood() {
    let lone = survive(&honest_stream(), 7);
    assert_eq!(lone.end.bundles().len(), 4);
    assert_eq!(lone.end.closure(), Some(Closure::Terminated(TerminationReason::UNKNOWN)));
    assert!(lone.end.session.counters().is_empty());
}

proptest! {
    #[test]
    fn flipped_cut_doubled_and_reordered_streams_neither_panic_nor_grow(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..8), 0..8),
        cut in any::<prop::sample::Index>(),
        double in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        piece in 1_usize..200,
    ) {
        let mut stream = honest_stream();
        for (at, bit) in flips {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        let (from, to) = (double.0.index(stream.len()), double.1.index(stream.len()));
        let part = stream[from.min(to)..from.max(to)].to_vec();
        let at = cut.index(stream.len());
        stream.splice(at..at, part);
        stream.truncate(stream.len() - cut.index(40));
        let lone = survive(&stream, piece);
        // What came whole is a bundle that was sent or a piece of the damage; never more than the stream.
        let bytes: usize = lone.end.bundles().iter().map(Vec::len).sum();
        prop_assert!(bytes <= stream.len());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        let mut stream = b"dtn!\x04\x00".to_vec();
        Message::SessInit(sess_init()).encode(&mut stream);
        stream.extend_from_slice(&bytes);
        survive(&stream, piece);
        survive(&bytes, piece);
    }
}
