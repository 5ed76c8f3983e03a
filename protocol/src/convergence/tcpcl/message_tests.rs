//! Wire forms, byte by byte as in the figures of RFC 9174.

use super::{
    ContactHeader, ExtensionItem, ExtensionItems, Message, RejectReason, SessInit, TerminationReason,
    TransferRefusal, Violation, XferFlags, XferSegment, message::required,
};
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

#[test]
fn the_contact_header_is_that_of_figure_16() {
    let mut out = Vec::new();
    ContactHeader::new(true).encode(&mut out);
    assert_eq!(out, [0x64, 0x74, 0x6e, 0x21, 4, 1]);
    assert_eq!(ContactHeader::decode(&out), Ok(Some(ContactHeader::new(true))));
    for len in 0..out.len() {
        assert_eq!(ContactHeader::decode(&out[..len]), Ok(None));
    }
    // Reserved flags have no meaning.
    assert!(!ContactHeader::decode(b"dtn!\x04\xfe").unwrap().unwrap().can_tls());
    assert_eq!(ContactHeader::decode(b"G"), Err(Violation::Magic), "at the first wrong byte");
}

#[test]
fn messages_are_those_of_the_figures() {
    let figures: [(Message, &[u8]); 7] = [
        (Message::Keepalive, &[4]),
        (
            Message::SessInit(SessInit {
                keepalive_s: 0x0102,
                segment_mru: 0x0304,
                transfer_mru: 1 << 56,
                node_id: b"ipn:1.0".to_vec(),
                extensions: vec![1, 0, 9, 0, 1, 0xaa],
            }),
            b"\x07\x01\x02\0\0\0\0\0\0\x03\x04\x01\0\0\0\0\0\0\0\0\x07ipn:1.0\0\0\0\x06\x01\0\x09\0\x01\xaa",
        ),
        (
            Message::XferAck { flags: XferFlags::new(true, true), transfer: 5, acknowledged: 0x1800 },
            &[2, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x18, 0],
        ),
        (
            Message::XferRefuse { reason: TransferRefusal::NO_RESOURCES, transfer: 5 },
            &[3, 2, 0, 0, 0, 0, 0, 0, 0, 5],
        ),
        (Message::SessTerm { flags: 1, reason: TerminationReason::BUSY }, &[5, 1, 3]),
        (Message::MsgReject { reason: RejectReason::UNEXPECTED, rejected: 7 }, &[6, 3, 7]),
        (
            Message::XferSegment(XferSegment {
                flags: XferFlags::END,
                transfer: 258,
                extensions: Vec::new(),
                data_len: 9,
            }),
            &[1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9],
        ),
    ];
    for (message, bytes) in figures {
        assert_eq!(encoded(&message), bytes);
        assert_eq!(Message::decode(bytes, 4096), Ok(Some((message, bytes.len()))));
    }
}

#[test]
fn a_first_segment_has_extension_items_and_transfer_length_is_that_of_figure_26() {
    let extensions = vec![0, 0, 1, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0];
    let segment = Message::XferSegment(XferSegment {
        flags: XferFlags::START,
        transfer: 0,
        extensions: extensions.clone(),
        data_len: 3,
    });
    let bytes =
        [&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13][..], &extensions, &[0, 0, 0, 0, 0, 0, 0, 3]].concat();
    assert_eq!(encoded(&segment), bytes);
    let items: Vec<_> = ExtensionItems::new(&extensions).collect();
    assert_eq!(items, [Some(ExtensionItem { flags: 0, kind: 1, value: &[0, 0, 0, 0, 0, 1, 0, 0] })]);
    // A second segment has no room for items at all.
    assert_eq!(required(&[1, 1], 4096), Ok(18));
}

#[test]
fn items_that_overrun_their_list_are_told() {
    for bytes in [&[0, 0, 1, 0][..], &[0, 0, 1, 0, 2, 7], &[0, 0, 1, 0xff, 0xff]] {
        assert_eq!(ExtensionItems::new(bytes).collect::<Vec<_>>(), [None]);
    }
    assert_eq!(ExtensionItems::new(&[]).next(), None);
}

#[test]
fn extension_items_beyond_the_limit_are_refused_before_they_are_held() {
    let start = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    let error = Violation::ExtensionsTooLong { found: u32::MAX, max: 4096 };
    assert_eq!(required(&start, 4096), Err(error));
    assert_eq!(required(&[8], 4096), Err(Violation::UnknownType { found: 8 }));
    assert_eq!(required(&[0], 4096), Err(Violation::UnknownType { found: 0 }));
}

#[test]
fn an_unknown_reason_is_kept_and_means_unknown() {
    assert_eq!(TransferRefusal(0x77).reason(), "unknown");
    assert_eq!(TerminationReason(0xf0).reason(), "unknown");
    assert_eq!(TransferRefusal::SESSION_TERMINATING.reason(), "session_terminating");
    assert_eq!(encoded(&Message::SessTerm { flags: 0, reason: TerminationReason(0xf0) }), [5, 0, 0xf0]);
}

fn message() -> impl Strategy<Value = Message> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (any::<u8>(), any::<u64>(), any::<u64>(), bytes()).prop_map(|(flags, transfer, data_len, items)| {
            let flags = XferFlags(flags);
            let extensions = if flags.is_start() { items } else { Vec::new() };
            Message::XferSegment(XferSegment { flags, transfer, extensions, data_len })
        }),
        (any::<u8>(), any::<u64>(), any::<u64>()).prop_map(|(flags, transfer, acknowledged)| {
            Message::XferAck { flags: XferFlags(flags), transfer, acknowledged }
        }),
        (any::<u8>(), any::<u64>())
            .prop_map(|(reason, transfer)| Message::XferRefuse { reason: TransferRefusal(reason), transfer }),
        Just(Message::Keepalive),
        (any::<u8>(), any::<u8>())
            .prop_map(|(flags, reason)| Message::SessTerm { flags, reason: TerminationReason(reason) }),
        (any::<u8>(), any::<u8>())
            .prop_map(|(reason, rejected)| Message::MsgReject { reason: RejectReason(reason), rejected }),
        (any::<u16>(), any::<u64>(), any::<u64>(), bytes(), bytes()).prop_map(
            |(keepalive_s, segment_mru, transfer_mru, node_id, extensions)| {
                Message::SessInit(SessInit { keepalive_s, segment_mru, transfer_mru, node_id, extensions })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn every_message_survives_a_round_trip_and_no_part_of_it_is_one(message in message()) {
        let bytes = encoded(&message);
        for len in 0..bytes.len() {
            prop_assert_eq!(Message::decode(&bytes[..len], u32::MAX), Ok(None));
            let needed = required(&bytes[..len], u32::MAX).unwrap();
            prop_assert!(needed > len && needed <= bytes.len(), "never waits for more than comes");
        }
        prop_assert_eq!(Message::decode(&bytes, u32::MAX), Ok(Some((message, bytes.len()))));
    }
}
