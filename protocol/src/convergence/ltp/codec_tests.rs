//! Segments: bytes, refusals, round trips.

use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

const SESSION: SessionId = SessionId { originator: 5, number: 300 };

fn encode(content: Content<'_>) -> Vec<u8> {
    let none = Extensions::default();
    let mut out = Vec::new();
    Segment { session: SESSION, header: none, content, trailer: none }.put(&mut out);
    out
}

fn data(color: Color, last: bool) -> Content<'static> {
    Content::Data(DataSegment { client_service: 1, offset: 1000, color, last, data: b"abc" })
}

#[test]
fn every_segment_type_has_the_fields_of_rfc_5326() {
    // Fields by §3.1 and §3.2, numbers by §2: 300 is 0x82 0x2c, 1000 is 0x87 0x68. tshark 4.0.17 reads the same in each.
    let tag = CheckpointTag { serial: 7, report: 9 };
    let red = |checkpoint, last_red| Color::Red { checkpoint, last_red };
    let tail = |kind: u8, rest: &[u8]| [&[kind, 5, 0x82, 0x2c, 0][..], rest].concat();
    let plain = [1, 0x87, 0x68, 3, b'a', b'b', b'c'];
    let asking = [1, 0x87, 0x68, 3, 7, 9, b'a', b'b', b'c'];
    let cases = [
        (data(red(None, false), false), tail(0, &plain)),
        (data(red(Some(tag), false), false), tail(1, &asking)),
        (data(red(Some(tag), true), false), tail(2, &asking)),
        (data(red(Some(tag), true), true), tail(3, &asking)),
        (data(Color::Green, false), tail(4, &plain)),
        (data(Color::Green, true), tail(7, &plain)),
        (Content::ReportAcknowledgement(130), tail(9, &[0x81, 0x02])),
        (Content::CancelBySender(CancelReason::CycleLimit), tail(12, &[5])),
        (Content::CancelAcknowledgementToSender, tail(13, &[])),
        (Content::CancelByReceiver(CancelReason::Miscolored), tail(14, &[3])),
        (Content::CancelAcknowledgementToReceiver, tail(15, &[])),
    ];
    for (content, bytes) in cases {
        assert_eq!(encode(content), bytes);
        assert_eq!(Segment::parse(&bytes).unwrap().content, content);
    }
}

#[test]
fn claims_are_told_from_the_lower_bound() {
    // §3.2.2: offsets of claims count from the lower bound of the report's scope.
    let mut out = Vec::new();
    segment::put_report_segment(&mut out, SESSION, (4, 7), (1000, 1100), &[(1000, 1010), (1050, 1100)]);
    assert_eq!(out, [8, 5, 0x82, 0x2c, 0, 4, 7, 0x88, 0x4c, 0x87, 0x68, 2, 0, 10, 50, 50]);
    let Content::Report(report) = Segment::parse(&out).unwrap().content else { panic!("not a report") };
    assert_eq!((report.serial, report.checkpoint, report.lower, report.upper), (4, 7, 1000, 1100));
    assert_eq!(report.claims.collect::<Vec<_>>(), [(1000, 1010), (1050, 1100)]);
    assert_eq!(encode(Content::Report(report)), out);
}

fn report(fields: &[u8]) -> Result<(), SegmentError> {
    Segment::parse(&[&[8, 5, 1, 0][..], fields].concat()).map(|_| ())
}

#[test]
fn claims_against_the_rules_are_refused() {
    assert_eq!(report(&[4, 7, 100, 0, 1, 0, 100]), Ok(()));
    assert_eq!(report(&[4, 7, 100, 0, 1, 0, 101]), Err(SegmentError::Claim { index: 0 }));
    assert_eq!(report(&[4, 7, 100, 0, 1, 0, 0]), Err(SegmentError::Claim { index: 0 }));
    assert_eq!(report(&[4, 7, 100, 0, 2, 0, 10, 10, 5]), Err(SegmentError::Claim { index: 1 }), "no gap");
    assert_eq!(report(&[4, 7, 100, 0, 2, 50, 10, 20, 5]), Err(SegmentError::Claim { index: 1 }), "disorder");
    assert!(matches!(report(&[4, 7, 10, 20, 1, 0, 1]), Err(SegmentError::Extent { .. })), "bounds swapped");
    assert_eq!(report(&[0, 7, 100, 0, 1, 0, 100]), Err(SegmentError::Serial));
    let huge = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    let endless = [&[4, 7, 100, 0][..], &huge, &[0, 1]].concat();
    assert_eq!(report(&endless), Err(SegmentError::Truncated), "2^63 claims");
}

#[test]
fn lengths_of_2_63_are_refused_before_memory_is_taken() {
    let huge = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    let long = [&[0, 5, 1, 0, 1, 0][..], &huge, b"abc"].concat();
    assert_eq!(Segment::parse(&long), Err(SegmentError::Truncated));
    let most = [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let beyond = [&[0, 5, 1, 0, 1][..], &most, &[3], b"abc"].concat();
    assert!(matches!(Segment::parse(&beyond), Err(SegmentError::Extent { .. })));
    let extension = [&[0, 5, 1, 0x10, 0xc0][..], &huge, &[1, 0, 3], b"abc"].concat();
    assert_eq!(Segment::parse(&extension), Err(SegmentError::Truncated));
}

#[test]
fn undefined_types_and_versions_are_refused() {
    for kind in [5_u8, 6, 10, 11] {
        assert_eq!(Segment::parse(&[kind, 5, 1, 0]), Err(SegmentError::Type { found: kind }));
    }
    assert_eq!(Segment::parse(&[0x1d, 5, 1, 0]), Err(SegmentError::Version { found: 1 }));
    assert_eq!(Segment::parse(&[13, 5, 1, 0, 0]), Err(SegmentError::Trailing { found: 1 }));
    assert_eq!(Segment::parse(&[0, 5, 1, 0, 1, 0, 0]), Err(SegmentError::Extent { offset: 0, length: 0 }));
}

#[test]
fn extensions_are_carried_around_the_content() {
    // §3.1.4: tag, length, value; here a cookie (tag 1) in the header and a private one in the trailer.
    let bytes = [13, 5, 1, 0x11, 1, 2, b'h', b'i', 0xc0, 0];
    let segment = Segment::parse(&bytes).unwrap();
    assert_eq!(segment.header.collect::<Vec<_>>(), [(1, &b"hi"[..])]);
    assert_eq!(segment.trailer.collect::<Vec<_>>(), [(0xc0, &b""[..])]);
    let mut out = Vec::new();
    segment.put(&mut out);
    assert_eq!(out, bytes);
    assert!(Extensions::new(1, &[1, 2, b'h']).is_err());
    assert!(Extensions::new(16, &[0; 32]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_alike(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(segment) = Segment::parse(&bytes) {
            let mut out = Vec::new();
            segment.put(&mut out);
            // Not the same bytes: an SDNV may be longer than it must.
            prop_assert_eq!(Segment::parse(&out), Ok(segment));
        }
    }

    #[test]
    fn every_data_segment_survives_a_round_trip(
        originator: u64, number: u64, service: u64, offset in 0..u64::MAX / 2, kind in 0_usize..6,
        serial in 1_u64.., report: u64, bytes in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        let tag = Some(CheckpointTag { serial, report });
        let (color, last) = [
            (Color::Red { checkpoint: None, last_red: false }, false),
            (Color::Red { checkpoint: tag, last_red: false }, false),
            (Color::Red { checkpoint: tag, last_red: true }, false),
            (Color::Red { checkpoint: tag, last_red: true }, true),
            (Color::Green, false),
            (Color::Green, true),
        ][kind];
        let data = DataSegment { client_service: service, offset, color, last, data: &bytes };
        let none = Extensions::default();
        let session = SessionId { originator, number };
        let segment = Segment { session, header: none, content: Content::Data(data), trailer: none };
        let mut out = vec![];
        segment.put(&mut out);
        prop_assert_eq!(Segment::parse(&out), Ok(segment));
        for cut in 0..out.len() {
            prop_assert!(Segment::parse(&out[..cut]).is_err());
        }
    }
}
