use super::*;
use alloc::vec;
use proptest::prelude::*;

#[test]
fn a_frame_is_the_byte_string_of_rfc_8949() {
    // RFC 8949, Appendix A: h'01020304' is 0x4401020304.
    let mut out = Vec::new();
    put_frame(&mut out, &[1, 2, 3, 4]);
    assert_eq!(out, [0x44, 1, 2, 3, 4]);
    out.clear();
    put_frame(&mut out, &[7; 300]);
    assert_eq!(out[..4], [0x59, 0x01, 0x2c, 7]);
    assert_eq!(out.len(), 300 + overhead(300));
}

#[test]
fn lengths_beyond_the_limit_are_refused_before_memory_is_taken() {
    for (bytes, found) in [
        (vec![0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0], 1_u64 << 63),
        (vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], u64::MAX),
        (vec![0x5a, 0xff, 0xff, 0xff, 0xff], u64::from(u32::MAX)),
        (vec![0x59, 0x04, 0x01], 1025),
    ] {
        let mut parser = Parser::new(1024);
        let error = MtcpError::TooLarge { found, max: 1024 };
        assert_eq!(parser.take(&mut bytes.as_slice()), Err(error));
        assert_eq!(parser.take(&mut [0x41, 0].as_slice()), Err(error), "the stream is lost");
        assert_eq!(error.reason(), "bundle_too_large");
    }
}

#[test]
fn what_is_not_a_byte_string_is_refused() {
    // An unsigned integer, an array, a text, a byte string of indefinite length, a reserved head.
    for found in [0x00, 0x9f, 0x61, 0x5f, 0x5c] {
        let mut parser = Parser::new(1024);
        assert_eq!(parser.take(&mut [found, 0].as_slice()), Err(MtcpError::NotByteString { found }));
    }
    assert_eq!(Parser::new(1024).take(&mut [0x40].as_slice()), Err(MtcpError::Empty));
}

#[test]
fn a_head_that_is_longer_than_needed_is_read() {
    let mut parser = Parser::new(1024);
    assert_eq!(parser.take(&mut [0x5a, 0, 0, 0, 2, 8, 9].as_slice()), Ok(Some(vec![8, 9])));
    assert!(parser.is_between_bundles());
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_gives_its_bundles_back(
        bundles in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 0..6),
        cuts in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let mut stream = Vec::new();
        for bundle in &bundles {
            put_frame(&mut stream, bundle);
        }
        let mut parser = Parser::new(400);
        let mut found = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            let (mut piece, after) = rest.split_at(rest.len().min(*cut));
            while let Some(bundle) = parser.take(&mut piece).expect("well formed") {
                found.push(bundle);
            }
            prop_assert!(piece.is_empty());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, bundles);
        prop_assert!(parser.is_between_bundles());
    }

    #[test]
    fn no_bytes_panic_or_hold_more_than_came(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut parser = Parser::new(1 << 40);
        let mut rest = bytes.as_slice();
        while let Ok(Some(bundle)) = parser.take(&mut rest) {
            prop_assert!(bundle.len() <= bytes.len());
        }
    }
}
