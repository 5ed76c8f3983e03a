use super::{
    Command, FEND, FESC, KissDecoder, KissFrame, TFEND, TFESC,
    ax25::{Ax25Error, Callsign, parse_ui, put_ui},
    put_frame,
};
use proptest::prelude::*;

const MAX: usize = 300;

fn frames(decoder: &mut KissDecoder, mut bytes: &[u8]) -> Vec<KissFrame> {
    std::iter::from_fn(|| decoder.take(&mut bytes)).collect()
}

fn data(payload: &[u8]) -> KissFrame {
    KissFrame { port: 0, command: Command::Data, payload: payload.to_vec() }
}

#[test]
fn known_examples_come_out() {
    // The usual examples: "TEST" out of port 0, "Hello" out of port 5, the bytes C0 and DB, and the end of KISS.
    let mut out = Vec::new();
    put_frame(&mut out, 0, Command::Data, b"TEST");
    assert_eq!(out, [FEND, 0, b'T', b'E', b'S', b'T', FEND]);
    out.clear();
    put_frame(&mut out, 5, Command::Data, b"Hello");
    assert_eq!(out[..2], [FEND, 0x50]);
    out.clear();
    put_frame(&mut out, 0, Command::Data, &[FEND, FESC]);
    assert_eq!(out, [FEND, 0, FESC, TFEND, FESC, TFESC, FEND]);
    let mut decoder = KissDecoder::new(MAX);
    assert_eq!(frames(&mut decoder, &[FEND, 0xFF, FEND]), []);
    assert_eq!(decoder.refused()["return"], 1);
}

#[test]
fn one_delimiter_between_frames_is_enough_and_many_are_nothing() {
    let bytes = [FEND, FEND, FEND, 0, b'a', FEND, 0, b'b', FEND, FEND];
    let mut decoder = KissDecoder::new(MAX);
    assert_eq!(frames(&mut decoder, &bytes), [data(b"a"), data(b"b")]);
    assert!(decoder.refused().is_empty());
}

#[test]
fn a_frame_that_was_begun_before_we_listened_is_not_taken() {
    let mut decoder = KissDecoder::new(MAX);
    assert_eq!(frames(&mut decoder, &[0, b'x', FEND, 0, b'a', FEND]), [data(b"a")]);
}

#[test]
fn a_wrong_escape_costs_its_frame_and_no_other() {
    let mut decoder = KissDecoder::new(MAX);
    let bytes = [FEND, 0, b'a', FESC, b'b', b'c', FEND, 0, b'd', FEND, 0, FESC, FEND, 0, b'e', FEND];
    assert_eq!(frames(&mut decoder, &bytes), [data(b"d"), data(b"e")]);
    assert_eq!(decoder.refused()["bad_escape"], 2);
}

#[test]
fn the_longest_frame_is_taken_and_a_byte_more_is_not() {
    let mut decoder = KissDecoder::new(256);
    let mut bytes = Vec::new();
    for length in [256, 257, 100_000, 1] {
        put_frame(&mut bytes, 0, Command::Data, &vec![FEND; length]);
    }
    assert_eq!(frames(&mut decoder, &bytes), [data(&[FEND; 256]), data(&[FEND])]);
    assert_eq!(decoder.refused()["too_long"], 2);
}

#[test]
fn frames_without_content_or_of_no_known_kind_are_counted() {
    let mut decoder = KissDecoder::new(MAX);
    assert_eq!(frames(&mut decoder, &[FEND, 0, FEND, 0x0C, 1, 2, FEND, 0x6E, FEND]), []);
    assert_eq!(decoder.refused()["empty"], 1);
    assert_eq!(decoder.refused()["unknown_command"], 2);
}

#[test]
fn callsigns_are_written_as_they_are_read() {
    for text in ["N0CALL", "DL1ABC-15", "A-1", "COSMOS"] {
        assert_eq!(text.parse::<Callsign>().expect("a callsign").to_string(), text);
    }
    assert_eq!("N0CALL-0".parse::<Callsign>().expect("a callsign").to_string(), "N0CALL");
    for (text, error) in [
        ("", Ax25Error::Letters),
        ("-1", Ax25Error::Letters),
        ("n0call", Ax25Error::Letters),
        ("TOOLONG", Ax25Error::Letters),
        ("N0CALL-16", Ax25Error::Number),
        ("N0CALL-", Ax25Error::Number),
        ("N0CALL-+1", Ax25Error::Number),
    ] {
        assert_eq!(text.parse::<Callsign>(), Err(error), "{text}");
    }
}

/// `VK4TEC>APU25N,RELAY,WIDE`, as a Kantronics KPC-3 printed it: mailing list aprssig, 3 September 2004.
const HEARD: [u8; 31] = [
    0x82, 0xA0, 0xAA, 0x64, 0x6A, 0x9C, 0x60, 0xAC, 0x96, 0x68, 0xA8, 0x8A, 0x86, 0x60, 0xA4, 0x8A, 0x98,
    0x82, 0xB2, 0x40, 0x60, 0xAE, 0x92, 0x88, 0x8A, 0x40, 0x40, 0x61, 0x03, 0xF0, 0x0D,
];

#[test]
fn a_frame_that_was_heard_is_read_and_written() {
    let read = parse_ui(&HEARD).expect("a frame");
    assert_eq!((read.destination.to_string(), read.source.to_string()), ("APU25N".into(), "VK4TEC".into()));
    assert_eq!(read.information, b"\r");
    let mut out = Vec::new();
    put_ui(&mut out, read.destination, read.source, b"\r");
    // A command of version 2, where that station spoke version 1; and the source is the last address.
    assert_eq!((&out[..6], out[6]), (&HEARD[..6], HEARD[6] | 0x80));
    assert_eq!((&out[7..13], out[13]), (&HEARD[7..13], HEARD[13] | 1));
    assert_eq!(out[14..], HEARD[28..]);
}

#[test]
fn repeating_stations_are_passed_over_and_connections_refused() {
    let (to, from): (Callsign, Callsign) = ("B".parse().expect("one"), "A".parse().expect("one"));
    let mut frame = Vec::new();
    put_ui(&mut frame, to, from, b"hello");
    let mut repeated = frame.clone();
    repeated[13] &= !1;
    repeated.splice(14..14, [b'R' << 1, 0x40, 0x40, 0x40, 0x40, 0x40, 0xE1]);
    let read = parse_ui(&repeated).expect("a frame");
    assert_eq!((read.source, read.information), (from, b"hello".as_slice()));
    frame[14] = 0x2F;
    assert_eq!(parse_ui(&frame), Err(Ax25Error::Kind { control: 0x2F, protocol: 0xF0 }));
    assert_eq!(parse_ui(&frame[..15]), Err(Ax25Error::Short { bytes: 15 }));
    let endless = [b'A' << 1; 7 * 40];
    assert!(parse_ui(&endless).is_err());
}

fn command() -> impl Strategy<Value = Command> {
    (0u8..7).prop_map(|nibble| Command::of(nibble).expect("known"))
}

proptest! {
    #[test]
    fn what_is_sent_comes_out_whatever_was_on_the_line_before(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        sent in prop::collection::vec((0u8..16, command(), prop::collection::vec(any::<u8>(), 1..MAX)), 1..5),
        piece in 1usize..50,
    ) {
        let mut bytes = noise;
        // A line that is new, or an escape that is open: the first delimiter ends it.
        for (port, command, payload) in &sent {
            put_frame(&mut bytes, *port, *command, payload);
        }
        let mut decoder = KissDecoder::new(MAX);
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            found.extend(frames(&mut decoder, piece));
        }
        prop_assert!(found.len() >= sent.len());
        let last = found.split_off(found.len() - sent.len());
        for (frame, (port, command, payload)) in last.into_iter().zip(sent) {
            prop_assert_eq!(frame, KissFrame { port, command, payload });
        }
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_frames_within_the_limit(
        bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(FEND), 1 => Just(FESC), 1 => Just(0)], 0..500),
        piece in 1usize..50,
    ) {
        let (mut whole, mut pieces) = (KissDecoder::new(20), KissDecoder::new(20));
        let at_once = frames(&mut whole, &bytes);
        let mut one_by_one = Vec::new();
        for piece in bytes.chunks(piece) {
            one_by_one.extend(frames(&mut pieces, piece));
        }
        prop_assert!(at_once.iter().all(|frame| (1..=20).contains(&frame.payload.len()) && frame.port < 16));
        prop_assert_eq!(at_once, one_by_one);
        prop_assert_eq!(whole.refused(), pieces.refused());
    }

    #[test]
    fn ui_frames_come_back_and_no_bytes_panic(
        call in "[A-Z0-9]{1,6}", number in 0u8..16, information in prop::collection::vec(any::<u8>(), 0..300),
        noise in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let source: Callsign = format!("{call}-{number}").parse().expect("a callsign");
        let destination: Callsign = "COSMOS".parse().expect("a callsign");
        let mut out = Vec::new();
        put_ui(&mut out, destination, source, &information);
        let read = parse_ui(&out).expect("a frame");
        prop_assert_eq!((read.destination, read.source, read.information), (destination, source, &*information));
        let _ = parse_ui(&noise);
    }
}
