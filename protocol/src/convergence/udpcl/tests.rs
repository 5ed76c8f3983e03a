use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

fn messages(datagram: &[u8]) -> Vec<Result<UdpclMessage<'_>, UdpclError>> {
    Messages::new(datagram).collect()
}

#[test]
fn a_bundle_alone_is_its_datagram() {
    let bundle = [0x9f, 1, 2, 0xff];
    assert_eq!(datagram(&bundle, 1500), Ok(&bundle[..]));
    assert_eq!(messages(&bundle), [Ok(UdpclMessage::Bundle(&bundle))]);
    let definite = [0x88, 7];
    assert_eq!(messages(&definite), [Ok(UdpclMessage::Bundle(&definite))]);
}

#[test]
fn first_octets_tell_messages_apart() {
    assert_eq!(messages(&[0, 0, 0, 0]), [Ok(UdpclMessage::Keepalive)]);
    assert_eq!(
        messages(&[0, 0, 9]),
        [Ok(UdpclMessage::Padding(&[0, 0, 9]))],
        "octets after padding are ignored"
    );
    assert_eq!(messages(&[0x16, 0xfe]), [Ok(UdpclMessage::Dtls(&[0x16, 0xfe]))]);
    assert_eq!(messages(&[0x2f]), [Ok(UdpclMessage::Dtls(&[0x2f]))]);
    assert_eq!(messages(&[0x06, 1]), [Err(UdpclError::Version6)]);
    assert_eq!(messages(&[]), [Err(UdpclError::Empty)]);
    for found in [0x01, 0x13, 0x1b, 0x40, 0x7f, 0xc0, 0xff] {
        assert_eq!(messages(&[found, 0]), [Err(UdpclError::NotABundle { found })]);
    }
}

#[test]
fn an_extension_map_is_read_and_padding_ends_the_datagram() {
    let mut bytes = sender_listen("ipn:7.0", 5000);
    bytes.extend_from_slice(&[0, 0]);
    let map = ExtensionMap {
        sender_listen_ms: Some(5000),
        sender_node_id: Some("ipn:7.0"),
        ..ExtensionMap::default()
    };
    assert_eq!(messages(&bytes), [Ok(UdpclMessage::Extensions(map)), Ok(UdpclMessage::Padding(&[0, 0]))]);
}

#[test]
fn unknown_items_are_passed_over() {
    // {-1: [1, {2: h'00'}], 9: 1.5, 5: null}
    let bytes = [0xa3, 0x20, 0x82, 1, 0xa1, 2, 0x41, 0, 9, 0xf9, 0x3e, 0, 5, 0xf6];
    let map = ExtensionMap { starts_dtls: true, ..ExtensionMap::default() };
    assert_eq!(messages(&bytes), [Ok(UdpclMessage::Extensions(map))]);
}

#[test]
fn a_transfer_of_one_segment_is_read_and_one_of_several_refused() {
    // {2: [7, h'9fff']}
    let whole = [0xa1, 2, 0x82, 7, 0x42, 0x9f, 0xff];
    let map =
        ExtensionMap { transfer: Some(Transfer { id: 7, bundle: &[0x9f, 0xff] }), ..ExtensionMap::default() };
    assert_eq!(messages(&whole), [Ok(UdpclMessage::Extensions(map))]);
    // {2: [7, 100, 0, h'9fff']}
    let part = [0xa1, 2, 0x84, 7, 0x18, 100, 0, 0x42, 0x9f, 0xff];
    assert_eq!(messages(&part), [Err(UdpclError::Segmented { transfer: 7, total: 100 })]);
}

#[test]
fn a_bundle_after_another_message_is_refused() {
    let mut bytes = sender_listen("", 1);
    bytes.extend_from_slice(&[0x9f, 0xff]);
    assert_eq!(messages(&bytes)[1], Err(UdpclError::NotAlone));
}

#[test]
fn malformed_maps_are_refused() {
    let deep: Vec<u8> = [0xa1, 9].into_iter().chain([0x81; 40]).chain([0]).collect();
    for bytes in [
        vec![0xa1],
        vec![0xbf, 0xff],
        vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
        vec![0xa1, 3, 0x61, 0x61],
        vec![0xa2, 3, 1, 3, 1],
        vec![0xa1, 4, 0x7b, 0x80, 0, 0, 0, 0, 0, 0, 0],
        vec![0xa1, 2, 0x83, 1, 2, 0x40],
        vec![0xa1, 5, 0],
        deep,
    ] {
        assert_eq!(messages(&bytes), [Err(UdpclError::Extensions)], "{bytes:02x?}");
    }
}

#[test]
fn a_bundle_beyond_the_datagram_is_refused() {
    let bundle = vec![0x9f; 1473];
    assert_eq!(datagram(&bundle, 1472), Err(UdpclError::TooLong { found: 1473, max: 1472 }));
    let longest = vec![0x9f; MAX_DATAGRAM + 1];
    let error = UdpclError::TooLong { found: MAX_DATAGRAM + 1, max: MAX_DATAGRAM };
    assert_eq!(datagram(&longest, usize::MAX), Err(error));
    assert_eq!(datagram(&[6, 1], 1472), Err(UdpclError::NotABundle { found: 6 }));
    assert_eq!(datagram(&[], 1472), Err(UdpclError::Empty));
}

proptest! {
    #[test]
    fn no_datagram_panics_or_gives_more_messages_than_bytes(
        mut bytes in prop::collection::vec(any::<u8>(), 0..64),
        map in any::<bool>(),
    ) {
        if map && !bytes.is_empty() {
            bytes[0] = 0xa0 | (bytes[0] & 0x1f);
        }
        prop_assert!(messages(&bytes).len() <= bytes.len().max(1));
    }
}
