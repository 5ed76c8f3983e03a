//! Sessions begin, stay alive and end (RFC 9174 §4, §5.1, §6).

use super::pair::{Lone, Pair, T0, after, config, sess_init};
use super::*;
use crate::time::Instant;
use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

const NOT_ACKED: FailureReason = FailureReason::NotAcknowledged;

#[test]
fn both_sides_agree_on_the_least_keepalive_and_each_others_limits() {
    let mut ours = config("ipn:1.0");
    (ours.keepalive_s, ours.segment_mru, ours.transfer_mru) = (30, 2000, 70_000);
    let mut theirs = config("dtn://far/");
    (theirs.keepalive_s, theirs.segment_mru, theirs.transfer_mru) = (600, 3000, 90_000);
    let pair = Pair::established(ours, theirs);
    let expected = Established {
        peer_node_id: String::from("dtn://far/"),
        authenticated: false,
        keepalive: Some(Duration::from_secs(30)),
        segment_mtu: 3000,
        transfer_mtu: 90_000,
    };
    assert_eq!(pair.active.outputs, [Output::Established(expected)]);
    let peer = pair.passive.session.negotiated().unwrap();
    assert_eq!((peer.peer_node_id.as_str(), peer.segment_mtu, peer.transfer_mtu), ("ipn:1.0", 2000, 70_000));
    assert_eq!(peer.keepalive, Some(Duration::from_secs(30)));
}

#[test]
fn the_passive_side_says_nothing_before_a_contact_header() {
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    assert_eq!(lone.sent_bytes(), b"");
    lone.give(b"dtn!\x04");
    assert_eq!(lone.sent_bytes(), b"");
    lone.give(b"\x00");
    assert_eq!(lone.sent_bytes(), b"dtn!\x04\x00");
    lone.say(&Message::SessInit(sess_init()));
    assert!(matches!(lone.sent().as_slice(), [Message::SessInit(_)]));
    assert_eq!(Lone::new(Role::Active, config("")).sent_bytes(), b"dtn!\x04\x00");
}

#[test]
fn a_connection_without_the_magic_is_closed_without_a_word() {
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    lone.give(b"GET / HTTP/1.1\r\n");
    assert_eq!(lone.end.closure(), Some(Closure::Violated(Violation::Magic)));
    assert_eq!(lone.sent_bytes(), b"");
    assert_eq!(lone.end.session.counters().get("bad_magic"), Some(&1));
}

#[test]
fn another_version_is_answered_by_our_header_and_version_mismatch() {
    let mut passive = Lone::new(Role::Passive, config("ipn:1.0"));
    passive.give(b"dtn!\x03\x00");
    assert_eq!(passive.sent_bytes(), b"dtn!\x04\x00\x05\x00\x02");
    assert_eq!(passive.end.closure(), Some(Closure::Violated(Violation::Version { found: 3 })));
    let mut active = Lone::new(Role::Active, config("ipn:1.0"));
    active.sent();
    active.give(b"dtn!\x03\x00");
    assert_eq!(active.sent_bytes(), b"", "the active side closes TCP");
    assert_eq!(active.end.closure(), Some(Closure::Violated(Violation::Version { found: 3 })));
}

#[test]
fn tls_follows_from_both_headers_and_the_policy() {
    for (policy, offered, header, outcome) in [
        (TlsPolicy::Refuse, true, 0, "plain"),
        (TlsPolicy::Allow, false, 1, "plain"),
        (TlsPolicy::Allow, true, 1, "tls"),
        (TlsPolicy::Require, true, 1, "tls"),
        (TlsPolicy::Require, false, 1, "no"),
    ] {
        let mut ours = config("ipn:1.0");
        ours.tls = policy;
        let mut lone = Lone::new(Role::Active, ours);
        assert_eq!(lone.sent_bytes(), [b'd', b't', b'n', b'!', 4, header]);
        lone.give(if offered { b"dtn!\x04\x01" } else { b"dtn!\x04\x00" });
        match outcome {
            "tls" => assert_eq!(lone.end.outputs, [Output::StartTls { role: Role::Active }]),
            "no" => {
                assert_eq!(lone.end.closure(), Some(Closure::Violated(Violation::Tls)));
                let reason = TerminationReason::CONTACT_FAILURE;
                assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason }]);
            }
            _ => assert!(matches!(lone.sent().as_slice(), [Message::SessInit(_)])),
        }
    }
}

fn with_tls() -> Lone {
    let mut ours = config("ipn:1.0");
    ours.tls = TlsPolicy::Require;
    ours.require_authenticated_node_id = true;
    let mut lone = Lone::new(Role::Passive, ours);
    let hello = b"dtn!\x04\x01\x16\x03\x01";
    assert_eq!(lone.end.session.handle_bytes(T0, hello), ContactHeader::LEN, "the rest is the handshake's");
    assert!(!lone.end.session.wants_bytes());
    assert_eq!(lone.sent_bytes(), b"dtn!\x04\x01");
    lone
}

#[test]
fn the_node_id_must_be_the_one_that_tls_proved() {
    for (proven, closure) in [
        (vec!["ipn:9.0"], None),
        (vec!["ipn:8.0", "ipn:9.0"], None),
        (vec!["ipn:8.0"], Some(Closure::Violated(Violation::NodeId))),
        (vec![], Some(Closure::Violated(Violation::NodeId))),
    ] {
        let mut lone = with_tls();
        let node_ids = proven.into_iter().map(String::from).collect();
        lone.end.session.tls_done(T0, TlsOutcome::Done { node_ids });
        lone.say(&Message::SessInit(sess_init()));
        assert_eq!(lone.end.closure(), closure);
        assert_eq!(
            lone.end.session.negotiated().is_some_and(|agreed| agreed.authenticated),
            closure.is_none()
        );
    }
    let mut lone = with_tls();
    lone.end.session.tls_done(T0, TlsOutcome::Failed);
    lone.end.drain();
    assert_eq!(lone.end.closure(), Some(Closure::TlsFailed));
    assert_eq!(lone.sent_bytes(), b"", "no SESS_TERM without a session");
}

#[test]
fn what_cannot_be_agreed_on_is_a_contact_failure() {
    let critical = || SessInit { extensions: vec![1, 0x80, 0, 0, 1, 7], ..sess_init() };
    let cases = [
        (critical(), Violation::CriticalExtension { kind: 0x8000 }),
        (SessInit { extensions: vec![0, 0, 1, 0, 9, 7], ..sess_init() }, Violation::Extensions),
        (SessInit { segment_mru: 0, ..sess_init() }, Violation::SegmentMru { found: 0, min: 64 }),
        (SessInit { node_id: vec![0xff], ..sess_init() }, Violation::NodeId),
        (SessInit { node_id: b"http://x".to_vec(), ..sess_init() }, Violation::NodeId),
    ];
    for (init, violation) in cases {
        let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
        lone.give(b"dtn!\x04\x00");
        lone.say(&Message::SessInit(init));
        assert_eq!(lone.end.closure(), Some(Closure::Violated(violation)));
        let reason = TerminationReason::CONTACT_FAILURE;
        let sent = lone.sent();
        assert!(
            matches!(sent.as_slice(), [Message::SessInit(_), Message::SessTerm { flags: 0, reason: found }] if *found == reason)
        );
    }
    // Not critical, so passed over; and a peer may keep its name to itself.
    let quiet = SessInit { node_id: Vec::new(), extensions: vec![0xfe, 0x80, 0, 0, 1, 7], ..sess_init() };
    Lone::established_with(Role::Active, config(""), quiet);
}

#[test]
fn keepalives_go_out_when_nothing_else_does() {
    let mut lone = Lone::established(config("ipn:1.0"));
    assert_eq!(lone.end.session.poll_timeout(), Some(after(60)));
    lone.wait_until(after(59));
    assert_eq!(lone.sent(), []);
    lone.wait_until(after(60));
    assert_eq!(lone.sent(), [Message::Keepalive]);
    assert_eq!(lone.end.session.poll_timeout(), Some(after(120)));
    lone.say(&Message::Keepalive);
    // Another message stands in for it.
    lone.now = after(90);
    lone.say(&Message::SessInit(sess_init()));
    assert_eq!(lone.sent().len(), 1);
    lone.wait_until(after(149));
    assert_eq!(lone.sent(), []);
    lone.wait_until(after(150));
    assert_eq!(lone.sent(), [Message::Keepalive]);
}

#[test]
fn no_keepalives_when_one_side_wants_none() {
    let lone = Lone::established_with(Role::Passive, config(""), SessInit { keepalive_s: 0, ..sess_init() });
    assert_eq!(lone.end.session.negotiated().unwrap().keepalive, None);
    assert_eq!(lone.end.session.poll_timeout(), None);
}

#[test]
fn a_silent_peer_ends_the_session_after_two_intervals() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.wait_until(after(60));
    lone.sent();
    lone.wait_until(after(120));
    let reason = TerminationReason::IDLE_TIMEOUT;
    assert_eq!(lone.end.outputs.last(), Some(&Output::Ending { reason, by_peer: false }));
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason }]);
    lone.wait_until(after(150));
    assert_eq!(lone.end.closure(), Some(Closure::EndingTimeout));
    assert_eq!(lone.end.session.poll_timeout(), None);
}

#[test]
fn silence_is_no_fault_of_a_peer_whose_bytes_are_left_to_tcp() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.hold(after(60), true);
    lone.wait_until(after(1000));
    assert!(!lone.end.outputs.iter().any(|output| matches!(output, Output::Ending { .. })));
    assert!(lone.sent().contains(&Message::Keepalive), "it is told that we are there");
    lone.end.session.hold(after(1000), false);
    lone.wait_until(after(1119));
    assert!(!lone.end.outputs.iter().any(|output| matches!(output, Output::Ending { .. })));
    lone.wait_until(after(1120));
    assert!(lone.end.outputs.iter().any(|output| matches!(output, Output::Ending { .. })));
}

#[test]
fn an_idle_session_ends_though_it_is_kept_alive() {
    let mut ours = config("ipn:1.0");
    ours.idle_shutdown = Some(Duration::from_secs(90));
    let mut lone = Lone::established(ours);
    lone.now = after(50);
    lone.say(&Message::Keepalive);
    lone.wait_until(after(89));
    assert!(!lone.sent().contains(&Message::SessTerm { flags: 0, reason: TerminationReason::IDLE_TIMEOUT }));
    lone.wait_until(after(90));
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason: TerminationReason::IDLE_TIMEOUT }]);
}

#[test]
fn a_peer_that_does_not_introduce_itself_is_given_up() {
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    assert_eq!(lone.end.session.poll_timeout(), Some(after(30)));
    lone.wait_until(after(30));
    assert_eq!((lone.end.closure(), lone.sent_bytes()), (Some(Closure::ContactTimeout), Vec::new()));
    let mut lone = Lone::new(Role::Active, config("ipn:1.0"));
    lone.give(b"dtn!\x04\x00");
    lone.sent();
    lone.wait_until(after(30));
    let reason = TerminationReason::CONTACT_FAILURE;
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason }]);
    assert_eq!(lone.end.closure(), Some(Closure::ContactTimeout));
}

#[test]
fn the_answer_to_a_termination_repeats_it_but_for_the_reply_flag() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.say(&Message::SessTerm { flags: 0x40, reason: TerminationReason(0xf1) });
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0x41, reason: TerminationReason(0xf1) }]);
    assert_eq!(lone.end.closure(), Some(Closure::Terminated(TerminationReason(0xf1))));
}

#[test]
fn two_terminations_that_cross_end_the_session() {
    let mut pair = Pair::established(config("ipn:1.0"), config("ipn:2.0"));
    pair.active.session.terminate(T0, TerminationReason::BUSY);
    pair.passive.session.terminate(T0, TerminationReason::UNKNOWN);
    pair.run();
    assert_eq!(pair.active.closure(), Some(Closure::Terminated(TerminationReason::BUSY)));
    assert_eq!(pair.passive.closure(), Some(Closure::Terminated(TerminationReason::UNKNOWN)));
    assert!(pair.active.session.counters().is_empty() && pair.passive.session.counters().is_empty());
}

#[test]
fn a_host_that_gives_up_before_contact_still_sends_its_header_first() {
    let mut lone = Lone::new(Role::Active, config("ipn:1.0"));
    lone.end.session.terminate(T0, TerminationReason::BUSY);
    assert_eq!(lone.sent_bytes(), b"dtn!\x04\x00\x05\x00\x03");
    let mut lone = Lone::new(Role::Passive, config("ipn:1.0"));
    lone.end.session.terminate(T0, TerminationReason::BUSY);
    assert_eq!(lone.sent_bytes(), b"");
    assert!(lone.end.session.is_closed());
}

#[test]
fn a_lost_connection_gives_every_bundle_back_with_what_was_acknowledged() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.send(TransferToken(1), vec![1; 2500]).unwrap();
    lone.end.session.send(TransferToken(2), vec![2; 10]).unwrap();
    lone.sent();
    lone.say(&Message::XferAck { flags: XferFlags::START, transfer: 0, acknowledged: 1000 });
    lone.end.session.connection_lost(T0);
    lone.end.drain();
    let reason = FailureReason::SessionEnded;
    assert_eq!(
        lone.end.outputs[1..],
        [
            Output::TransferFailed { token: TransferToken(1), reason, acknowledged: 1000 },
            Output::TransferFailed { token: TransferToken(2), reason, acknowledged: 0 },
            Output::Closed(Closure::ConnectionLost),
        ]
    );
    assert_eq!(lone.end.session.send(TransferToken(3), vec![1]), Err(SendError::NotEstablished));
}

#[test]
fn a_peer_that_never_acknowledges_fills_a_window_then_a_queue_then_is_given_up() {
    let mut ours = config("ipn:1.0");
    (ours.max_unacknowledged_segments, ours.max_queued, ours.keepalive_s) = (4, 3, 0);
    let mut lone = Lone::established(ours);
    for token in 0..3 {
        lone.end.session.send(TransferToken(token), vec![0; 3000]).unwrap();
    }
    let full = SendError::QueueFull { bundles: 3, bytes: 9000 };
    assert_eq!(lone.end.session.send(TransferToken(3), vec![0; 3000]), Err(full));
    assert_eq!(lone.sent().len(), 4, "a window of segments and no more");
    assert_eq!(lone.end.session.poll_timeout(), Some(after(60)));
    lone.wait_until(after(60));
    let failed =
        |token| Output::TransferFailed { token: TransferToken(token), reason: NOT_ACKED, acknowledged: 0 };
    let closed = Output::Closed(Closure::Aborted(TerminationReason::UNKNOWN));
    assert_eq!(lone.end.outputs[1..], [failed(0), failed(1), failed(2), closed]);
    assert_eq!(lone.sent(), [Message::SessTerm { flags: 0, reason: TerminationReason::UNKNOWN }]);
    assert_eq!(lone.end.session.poll_timeout(), None::<Instant>);
}

#[test]
fn exhausted_transfer_numbers_end_the_session() {
    let mut lone = Lone::established(config("ipn:1.0"));
    lone.end.session.transmission_mut().next_transfer = u64::MAX - 1;
    lone.end.session.send(TransferToken(1), vec![1]).unwrap();
    lone.end.session.send(TransferToken(2), vec![2]).unwrap();
    let sent = lone.sent();
    let reason = TerminationReason::RESOURCE_EXHAUSTION;
    assert!(matches!(&sent[0], Message::XferSegment(segment) if segment.transfer == u64::MAX - 1));
    assert_eq!(sent[1..], [Message::SessTerm { flags: 0, reason }]);
    let reason = FailureReason::SessionEnded;
    assert!(lone.end.outputs.contains(&Output::TransferFailed {
        token: TransferToken(2),
        reason,
        acknowledged: 0
    }));
}
