use super::{
    BROADCAST, ClientSettings, Data, Failure, FromRadio, MAX_MESSAGE, MAX_PAYLOAD, MeshPacket,
    MeshtasticClient, MeshtasticEvent, MyNodeInfo, NodeInfo, PRIVATE_APP, PacketId, QueueStatus, ROUTING_APP,
    Routing, START, SendError, StreamDecoder, ToRadio, User, WAKE_UP, from_radio::Payload as From,
    mesh_packet, put_message, routing, to_radio::Payload as To,
};
use cosmosmesh_protocol::time::Instant;
use proptest::prelude::*;
use prost::Message;
use std::time::Duration;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO.saturating_add(Duration::from_secs(seconds))
}

fn from_radio(payload: From) -> FromRadio {
    FromRadio { id: 0, payload: Some(payload) }
}

fn framed(payload: From) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, &from_radio(payload)).expect("short");
    out
}

/// What the official Python package (`meshtastic` 2.7.11) writes for the same messages.
#[test]
fn messages_to_the_radio_are_those_of_the_official_client() {
    let packet = MeshPacket {
        to: BROADCAST,
        id: 0xDEAD_BEEF,
        want_ack: true,
        hop_limit: 3,
        channel: 1,
        payload: Some(mesh_packet::Payload::Decoded(Data {
            portnum: PRIVATE_APP,
            payload: b"regolith".to_vec(),
            ..Data::default()
        })),
        ..MeshPacket::default()
    };
    let nonce = 7;
    for (ours, theirs) in [
        (To::WantConfigId(0x1234_5678), "18f8acd19101"),
        (To::Heartbeat(super::Heartbeat { nonce }), "3a020807"),
        (To::Disconnect(true), "2001"),
        (To::Packet(packet), "0a1f15ffffffff1801220d08800212087265676f6c69746835efbeadde48035001"),
    ] {
        let ours = ToRadio { payload: Some(ours) };
        assert_eq!(ours.encode_to_vec(), hex(theirs));
        assert_eq!(ToRadio::decode(&*hex(theirs)), Ok(ours));
    }
}

/// Written by the same package; without fields that are not ours, the same bytes come out again.
#[test]
fn messages_from_the_radio_are_those_of_the_official_definitions() {
    let read = |text: &str| FromRadio::decode(&*hex(text)).expect("a message").payload;
    for whole in [
        "080912350d0d0c0b0a1504030201220b08051202180535efbeadde354d0000003d00f15365450000e8c04802609bffffffffffffffff017803",
        "08021a2308d487cb8d0a58f8eb016210000102030405060708090a0b0c0d0e0f6a05746265616d",
        "5a1308ffffffffffffffffff01181020effdb6f50d",
        "2a153213080138034003480150fdffffffffffffffff01",
        "5211120d1201011a084c6f6e67466173741801",
        "38f8acd19101",
        "32130a02747815050000001a06526f757465722014",
        "8201100804181e220a64757479206379636c65",
    ] {
        let message = FromRadio::decode(&*hex(whole)).expect("a message");
        assert!(message.payload.is_some(), "{whole}");
        assert_eq!(message.encode_to_vec(), hex(whole));
    }
    let Some(From::Packet(packet)) = read(
        "080912350d0d0c0b0a1504030201220b08051202180535efbeadde354d0000003d00f15365450000e8c04802609bffffffffffffffff017803",
    ) else {
        panic!("a packet")
    };
    assert_eq!((packet.from, packet.to, packet.rx_rssi), (0x0A0B_0C0D, 0x0102_0304, -101));
    assert_eq!((packet.rx_snr.to_bits(), packet.rx_time), ((-7.25_f32).to_bits(), 1_700_000_000));
    let Some(mesh_packet::Payload::Decoded(data)) = packet.payload else { panic!("it can be read") };
    assert_eq!((data.portnum, data.request_id), (ROUTING_APP, 0xDEAD_BEEF));
    let error = Routing { kind: Some(routing::Kind::ErrorReason(routing::MAX_RETRANSMIT)) };
    assert_eq!(Routing::decode(&*data.payload), Ok(error));
    let none = Routing { kind: Some(routing::Kind::ErrorReason(routing::NONE)) };
    assert_eq!(none.encode_to_vec(), hex("1800"), "no error is said, not left out");
    let status = QueueStatus { res: -1, free: 0, maxlen: 16, mesh_packet_id: 0xDEAD_BEEF };
    assert_eq!(read("5a1308ffffffffffffffffff01181020effdb6f50d"), Some(From::QueueStatus(status)));
    // With a position, which is passed over.
    let node = read(
        "223408d487cb8d0a12190a092161316232633364341205526f7665721a02524f28ff011a050d7b000000250000b0402d00f153654800",
    );
    let user = User {
        id: "!a1b2c3d4".to_owned(),
        long_name: "Rover".to_owned(),
        short_name: "RO".to_owned(),
        hw_model: 255,
        ..User::default()
    };
    let (num, user, hops_away) = (0xA1B2_C3D4, Some(user), Some(0));
    let expected =
        NodeInfo { num, user, snr: 5.5, last_heard: 1_700_000_000, hops_away, ..NodeInfo::default() };
    assert_eq!(node, Some(From::NodeInfo(expected)));
    assert_eq!(read("62021003"), None, "a kind that is not ours");
}

#[test]
fn a_message_has_its_header_and_none_is_longer_than_the_protocol_allows() {
    let mut out = Vec::new();
    put_message(&mut out, &ToRadio { payload: Some(To::WantConfigId(1)) }).expect("short");
    assert_eq!(out, [0x94, 0xC3, 0, 2, 0x18, 1]);
    let long = LogLine(MAX_MESSAGE);
    assert!(put_message(&mut out, &long.message()).is_err());
    assert_eq!(out.len(), 6, "nothing was appended");
}

struct LogLine(usize);

impl LogLine {
    fn message(&self) -> FromRadio {
        let message = "x".repeat(self.0);
        from_radio(From::LogRecord(super::LogRecord { message, ..super::LogRecord::default() }))
    }
}

fn all<M: Message + Default>(decoder: &mut StreamDecoder<M>, mut bytes: &[u8]) -> Vec<M> {
    std::iter::from_fn(|| decoder.take(&mut bytes)).collect()
}

#[test]
fn log_lines_and_false_starts_lose_no_message() {
    let message = framed(From::ConfigCompleteId(5));
    let mut bytes = b"INFO | booting\r\n\x94".to_vec();
    bytes.extend(&message);
    // A start whose length is too long, one whose bytes are no message, one without length, one in a false start.
    bytes.extend([0x94, 0xC3, 0xFF, 0xFF]);
    bytes.extend(&message);
    bytes.extend([0x94, 0xC3, 0, 9, 0x94, 0xC3, 0, 4, 0x07]);
    bytes.extend(&message);
    bytes.extend([0x94, 0xC3, 0, 0, 0x94, 0x94, 0xC3]);
    bytes.extend(&message);
    let mut decoder = StreamDecoder::<FromRadio>::default();
    assert_eq!(all(&mut decoder, &bytes), vec![from_radio(From::ConfigCompleteId(5)); 4]);
    assert_eq!(decoder.refused()["empty"], 1);
    assert!(decoder.refused()["too_long"] >= 1 && decoder.refused()["undecodable"] >= 1);
    assert_eq!(decoder.noise() + 4 * message.len() as u64, bytes.len() as u64);
}

#[test]
fn a_message_that_was_cut_off_gives_what_is_behind_it_back() {
    let mut decoder = StreamDecoder::<FromRadio>::default();
    let mut bytes = vec![0x94, 0xC3, 0x01, 0xF0, 1, 2, 3];
    bytes.extend(framed(From::ConfigCompleteId(1)));
    bytes.extend(framed(From::ConfigCompleteId(2)));
    assert_eq!(all(&mut decoder, &bytes), []);
    assert!(decoder.give_up());
    let expected = [from_radio(From::ConfigCompleteId(1)), from_radio(From::ConfigCompleteId(2))];
    assert_eq!(all(&mut decoder, &[]), expected);
    assert!(!decoder.give_up());
}

fn ready(settings: ClientSettings) -> MeshtasticClient {
    let mut client = MeshtasticClient::new(settings, 100);
    client.connected(at(0));
    let asked = client.poll_output().expect("it asks");
    assert_eq!(asked[..32], WAKE_UP);
    let questions = all(&mut StreamDecoder::<ToRadio>::default(), &asked);
    assert_eq!(questions, [ToRadio { payload: Some(To::WantConfigId(100)) }]);
    client.handle_bytes(at(0), &framed(From::MyInfo(MyNodeInfo { my_node_num: 7, ..MyNodeInfo::default() })));
    client.handle_bytes(at(0), &framed(From::NodeInfo(NodeInfo { num: 8, ..NodeInfo::default() })));
    client.handle_bytes(at(0), &framed(From::ConfigCompleteId(99)));
    assert_eq!(client.poll_event(), None, "that was another question's answer");
    client.handle_bytes(at(0), &framed(From::ConfigCompleteId(100)));
    assert_eq!(client.poll_event(), Some(MeshtasticEvent::Ready { node: 7 }));
    client.handle_bytes(at(0), &framed(queue(0, 8, 0)));
    client
}

const fn queue(res: i32, free: u32, mesh_packet_id: u32) -> From {
    From::QueueStatus(QueueStatus { res, free, maxlen: 8, mesh_packet_id })
}

fn acknowledgement(from: u32, request_id: u32, error: i32) -> From {
    let payload = Routing { kind: Some(routing::Kind::ErrorReason(error)) }.encode_to_vec();
    let data = Data { portnum: ROUTING_APP, payload, request_id, ..Data::default() };
    let payload = Some(mesh_packet::Payload::Decoded(data));
    From::Packet(MeshPacket { from, to: 7, payload, ..MeshPacket::default() })
}

fn sent(client: &mut MeshtasticClient) -> Vec<ToRadio> {
    all(&mut StreamDecoder::default(), &client.poll_output().unwrap_or_default())
}

#[test]
fn packets_of_233_bytes_are_sent_and_234_are_refused() {
    let mut client = ready(ClientSettings::default());
    assert_eq!(client.send(at(1), 8, &[9; 234], true), Err(SendError::TooLong { bytes: 234 }));
    assert_eq!(client.send(at(1), 8, &[], true), Err(SendError::Empty));
    let id = client.send(at(1), 8, &[9; MAX_PAYLOAD], true).expect("233 bytes");
    let sent = sent(&mut client);
    let [ToRadio { payload: Some(To::Packet(packet)) }] = &*sent else { panic!("a packet: {sent:?}") };
    assert_eq!((packet.to, packet.id, packet.want_ack), (8, id.0, true));
    let Some(mesh_packet::Payload::Decoded(data)) = &packet.payload else { panic!("it can be read") };
    assert_eq!((data.portnum, data.payload.len()), (PRIVATE_APP, 233));
}

#[test]
fn only_its_destination_says_that_a_packet_arrived() {
    let mut client = ready(ClientSettings::default());
    let id = client.send(at(1), 8, b"x", true).expect("room");
    client.handle_bytes(at(1), &framed(queue(0, 7, id.0)));
    client.handle_bytes(at(1), &framed(acknowledgement(7, id.0, routing::NONE)));
    assert_eq!(client.poll_event(), None, "it is in the queue, and a neighbour repeats it");
    client.handle_bytes(at(2), &framed(acknowledgement(8, id.0, routing::NONE)));
    assert_eq!(client.poll_event(), Some(MeshtasticEvent::Done(id)));
    client.handle_bytes(at(2), &framed(acknowledgement(8, id.0, routing::NONE)));
    assert_eq!((client.poll_event(), client.counts()["stale_acknowledgement"]), (None, 1));
}

#[test]
fn failures_are_told_with_their_reason() {
    let mut client = ready(ClientSettings::default());
    let ids: Vec<PacketId> = (0..4).map(|_| client.send(at(1), 8, b"x", true).expect("room")).collect();
    assert_eq!(client.send(at(1), 8, b"x", true), Err(SendError::Full), "the window is four");
    client.handle_bytes(at(2), &framed(acknowledgement(7, ids[0].0, routing::MAX_RETRANSMIT)));
    client.handle_bytes(at(2), &framed(queue(-5, 3, ids[1].0)));
    client.handle_timeout(at(61));
    let rest: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert_eq!(rest[0], MeshtasticEvent::Failed(ids[0], Failure::Routing(routing::MAX_RETRANSMIT)));
    assert_eq!(rest[1], MeshtasticEvent::Failed(ids[1], Failure::Queue(-5)));
    assert_eq!(rest[2..], [2, 3].map(|at| MeshtasticEvent::Failed(ids[at], Failure::NoAnswer)));
}

#[test]
fn a_full_radio_is_asked_until_it_has_room() {
    let mut client = ready(ClientSettings { window: 100, ..ClientSettings::default() });
    let mut count = 0;
    while client.send(at(1), BROADCAST, b"x", false).is_ok() {
        count += 1;
    }
    assert_eq!(count, 8, "as many as it said");
    sent(&mut client);
    let due = client.poll_timeout().expect("it asks again");
    assert!(due <= at(3));
    client.handle_timeout(due);
    assert!(matches!(sent(&mut client)[..], [ToRadio { payload: Some(To::Heartbeat(_)) }]));
    client.handle_bytes(due, &framed(queue(0, 2, 0)));
    assert!(client.has_room());
}

#[test]
fn a_radio_that_begins_anew_is_asked_anew() {
    let mut client = ready(ClientSettings::default());
    let id = client.send(at(1), 8, b"x", true).expect("room");
    sent(&mut client);
    client.handle_bytes(at(2), &framed(From::Rebooted(true)));
    assert_eq!(client.poll_event(), Some(MeshtasticEvent::NotReady));
    assert_eq!(client.poll_event(), Some(MeshtasticEvent::Failed(id, Failure::Disconnected)));
    assert!(matches!(sent(&mut client)[..], [ToRadio { payload: Some(To::WantConfigId(_)) }]));
    assert_eq!(client.send(at(2), 8, b"x", true), Err(SendError::NotReady));
    client.handle_timeout(client.poll_timeout().expect("it asks again"));
    assert!(matches!(sent(&mut client)[..], [ToRadio { payload: Some(To::WantConfigId(_)) }]));
}

#[test]
fn noise_like_a_header_is_given_up_after_the_gap_however_often_timers_are_looked_at() {
    let mut client = ready(ClientSettings::default());
    client.handle_bytes(at(1), &[START[0], START[1], 2, 0]);
    let due = client.poll_timeout().expect("a gap");
    // Half of the gap later, without bytes: it is not longer for that.
    client.handle_bytes(at(1).saturating_add(Duration::from_millis(500)), &[]);
    assert_eq!(client.poll_timeout(), Some(due));
    assert!(due <= at(2), "{due:?}");
    client.handle_timeout(due);
    client.handle_bytes(due, &framed(From::Rebooted(true)));
    assert_eq!(client.poll_event(), Some(MeshtasticEvent::NotReady), "the next message is read at once");
}

#[test]
fn what_is_for_others_is_passed_over() {
    let mut client = ready(ClientSettings::default());
    let packet = |to, portnum, payload: &[u8]| {
        let data = Data { portnum, payload: payload.to_vec(), ..Data::default() };
        let payload = Some(mesh_packet::Payload::Decoded(data));
        framed(From::Packet(MeshPacket { from: 8, to, payload, rx_rssi: -90, ..MeshPacket::default() }))
    };
    client.handle_bytes(at(1), &packet(9, PRIVATE_APP, b"x"));
    client.handle_bytes(at(1), &packet(7, 1, b"hello"));
    client.handle_bytes(at(1), &packet(7, PRIVATE_APP, &[0; 234]));
    assert_eq!(client.poll_event(), None);
    client.handle_bytes(at(1), &packet(BROADCAST, PRIVATE_APP, b"x"));
    let (payload, rssi_dbm, snr_db) = (b"x".to_vec(), -90, 0.0);
    let event = MeshtasticEvent::Received { from: 8, to: BROADCAST, payload, rssi_dbm, snr_db };
    assert_eq!(client.poll_event(), Some(event));
    let counts = client.counts();
    assert_eq!([counts["not_for_us"], counts["other_port"], counts["payload_length"]], [1, 1, 1]);
}

proptest! {
    #[test]
    fn messages_come_out_of_noise_that_holds_no_start(
        pieces in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..80), any::<u32>(), prop::collection::vec(any::<u8>(), 1..=MAX_PAYLOAD)), 1..6),
        size in 1usize..100,
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (noise, number, payload) in pieces {
            bytes.extend(noise.into_iter().filter(|byte| *byte != START[1]));
            let data = Data { portnum: PRIVATE_APP, payload, request_id: number, ..Data::default() };
            let payload = Some(mesh_packet::Payload::Decoded(data));
            let message = from_radio(From::Packet(MeshPacket { id: number, payload, ..MeshPacket::default() }));
            put_message(&mut bytes, &message).expect("short");
            expected.push(message);
        }
        let mut decoder = StreamDecoder::<FromRadio>::default();
        let found: Vec<_> = bytes.chunks(size).flat_map(|piece| all(&mut decoder, piece)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_messages_and_a_client_survives_them(
        bytes in prop::collection::vec(
            prop_oneof![4 => any::<u8>(), 1 => Just(START[0]), 1 => Just(START[1]), 2 => Just(0)], 0..1500),
        size in 1usize..100,
    ) {
        let (mut whole, mut pieces) = (StreamDecoder::<FromRadio>::default(), StreamDecoder::<FromRadio>::default());
        let at_once = all(&mut whole, &bytes);
        let one_by_one: Vec<_> = bytes.chunks(size).flat_map(|piece| all(&mut pieces, piece)).collect();
        prop_assert_eq!(at_once, one_by_one);
        prop_assert_eq!((whole.noise(), whole.refused()), (pieces.noise(), pieces.refused()));
        let mut client = ready(ClientSettings::default());
        client.handle_bytes(at(1), &bytes);
        while client.poll_timeout().is_some_and(|due| due < at(500)) {
            client.handle_timeout(client.poll_timeout().expect("just asked"));
        }
        // It stays usable.
        client.connected(at(501));
        prop_assert!(client.poll_output().is_some());
    }

    #[test]
    fn a_message_comes_after_any_noise_within_its_patience(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut decoder = StreamDecoder::<FromRadio>::default();
        let mut found = all(&mut decoder, &noise);
        found.extend(all(&mut decoder, &framed(From::ConfigCompleteId(7))));
        while decoder.give_up() {
            found.extend(all(&mut decoder, &[]));
        }
        // Only noise that has a start of its own may be a message that holds ours.
        let has_start = noise.windows(2).any(|pair| pair == START);
        prop_assert!(has_start || found.contains(&from_radio(From::ConfigCompleteId(7))));
    }
}
