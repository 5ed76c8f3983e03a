//! Emulated radios among each other, without sockets: what one posts the others hear.

use super::*;
use cosmosmesh_node::transport::meshtastic::{StreamDecoder, TEXT_MESSAGE_APP};
use std::sync::mpsc::{Receiver, sync_channel};

/// A program at a radio: its interface, its number there, what it is told.
type Program = (u32, u64, Receiver<Vec<u8>>, StreamDecoder<FromRadio>);

struct Field {
    net: MeshNet,
    mailbox: Arc<Mailbox>,
    clients: Vec<Program>,
}

impl Field {
    /// Radios 0 and 1 are offered, 2 is not.
    fn new() -> Self {
        let mailbox = Arc::new(Mailbox::new(3));
        let place = |interface: u32| Place {
            interface,
            asset: AssetIndex(interface),
            name: format!("asset {interface}"),
            offered: interface < 2,
        };
        let net = MeshNet::new((0..3).map(place).collect(), mailbox.clone()).unwrap();
        let client = |interface| {
            let (writer, reader) = sync_channel(256);
            (interface, net.attach(interface, writer), reader, StreamDecoder::default())
        };
        let clients = vec![client(0), client(1)];
        Self { net, mailbox, clients }
    }

    fn said(&self, client: usize, payload: to_radio::Payload) {
        let (interface, client, ..) = &self.clients[client];
        self.net.said(*interface, *client, ToRadio { payload: Some(payload) });
    }

    fn heard(&mut self, client: usize) -> Vec<from_radio::Payload> {
        let (.., reader, decoder) = &mut self.clients[client];
        let mut found = Vec::new();
        while let Ok(bytes) = reader.try_recv() {
            let mut rest = bytes.as_slice();
            while let Some(message) = decoder.take(&mut rest) {
                found.extend(message.payload);
            }
        }
        found
    }

    /// What was posted flies to the other radios.
    fn fly(&self) -> Vec<(u32, Entrance, Vec<u8>)> {
        let frames = self.mailbox.look().frames;
        for frame in frames.iter().filter(|frame| frame.entrance == Entrance::Air) {
            for other in (0..3).filter(|other| *other != frame.interface) {
                let frame =
                    Outgoing { from: AssetIndex(frame.interface), snr_db: Some(5), bytes: &frame.bytes };
                self.net.lock().heard(other, &frame);
            }
        }
        frames.into_iter().map(|frame| (frame.interface, frame.entrance, frame.bytes)).collect()
    }
}

fn packet(to: u32, port: i32, payload: Vec<u8>, want_ack: bool) -> to_radio::Payload {
    let data = Data { portnum: port, payload, ..Data::default() };
    let payload = Some(mesh_packet::Payload::Decoded(data));
    to_radio::Payload::Packet(MeshPacket { to, id: 77, payload, want_ack, ..MeshPacket::default() })
}

fn outcomes(heard: &[from_radio::Payload]) -> Vec<(u32, u32, Vec<u8>)> {
    let one = |payload: &from_radio::Payload| match payload {
        from_radio::Payload::Packet(MeshPacket {
            from,
            payload: Some(mesh_packet::Payload::Decoded(data)),
            ..
        }) if data.portnum == ROUTING_APP => Some((*from, data.request_id, data.payload.clone())),
        _ => None,
    };
    heard.iter().filter_map(one).collect()
}

#[test]
fn a_program_is_told_who_is_there_and_the_end_of_it() {
    let mut field = Field::new();
    field.said(0, to_radio::Payload::WantConfigId(4711));
    let heard = field.heard(0);
    let nodes: Vec<u32> = heard
        .iter()
        .filter_map(
            |payload| if let from_radio::Payload::NodeInfo(info) = payload { Some(info.num) } else { None },
        )
        .collect();
    assert_eq!(nodes, [0x4300_0001, 0x4300_0002, 0x4300_0003]);
    assert!(heard.contains(&from_radio::Payload::ConfigCompleteId(4711)));
    assert!(field.heard(1).is_empty(), "nobody else asked");
}

#[test]
fn a_text_is_heard_and_acknowledged_once_however_often_it_is_sent() {
    let mut field = Field::new();
    field.said(0, packet(0x4300_0002, TEXT_MESSAGE_APP, b"hello".to_vec(), true));
    let sent = field.fly();
    assert_eq!(sent.len(), 1);
    // The acknowledgement is lost; the packet comes again.
    let lost = field.mailbox.look().frames;
    assert_eq!(lost.len(), 1);
    field.net.lock().repeat(clock::now() + PATIENCE * 2);
    assert_eq!(field.fly(), sent);
    assert!(outcomes(&field.heard(0)).is_empty(), "not acknowledged yet");
    assert_eq!(field.fly().len(), 1, "acknowledged again");
    assert_eq!(outcomes(&field.heard(0)), [(0x4300_0002, 77, vec![0x18, 0])]);
    let texts =
        field.heard(1).into_iter().filter(|payload| matches!(payload, from_radio::Payload::Packet(_)));
    assert_eq!(texts.count(), 1, "the second one is known");
}

#[test]
fn what_nobody_acknowledges_is_given_up_and_told() {
    let mut field = Field::new();
    field.said(0, packet(0x4300_0002, TEXT_MESSAGE_APP, b"hello".to_vec(), true));
    for round in 1..=u32::from(TRIES) {
        assert_eq!(field.mailbox.look().frames.len(), 1);
        field.net.lock().repeat(clock::now() + PATIENCE * (2 * round));
    }
    assert!(field.mailbox.look().frames.is_empty());
    let expected = (0x4300_0001, 77, vec![0x18, routing::MAX_RETRANSMIT as u8]);
    assert_eq!(outcomes(&field.heard(0)), [expected]);
}

#[test]
fn a_payload_of_233_bytes_flies_and_one_of_234_is_refused() {
    let mut field = Field::new();
    field.said(0, packet(0x4300_0002, PRIVATE_APP, vec![7; 233], false));
    assert_eq!(field.fly()[0].2.len(), 16 + 233);
    field.heard(0);
    field.said(0, packet(0x4300_0002, PRIVATE_APP, vec![7; 234], false));
    assert!(field.fly().is_empty());
    let heard = field.heard(0);
    assert_eq!(outcomes(&heard), [(0x4300_0001, 77, vec![0x18, routing::TOO_LARGE as u8])]);
}

#[test]
fn a_private_payload_reaches_a_simulated_node_as_a_frame_and_its_frames_come_back_as_payloads() {
    let mut field = Field::new();
    field.said(0, packet(0x4300_0003, PRIVATE_APP, b"@frame".to_vec(), true));
    field.fly();
    let back = field.fly();
    assert!(back.contains(&(2, Entrance::Node(AssetIndex(0)), b"@frame".to_vec())), "{back:?}");
    field.heard(0);
    let frame = Outgoing { from: AssetIndex(2), snr_db: None, bytes: b"@answer" };
    field.net.lock().heard(0, &frame);
    let heard = field.heard(0);
    let [
        from_radio::Payload::Packet(MeshPacket {
            from: 0x4300_0003,
            payload: Some(mesh_packet::Payload::Decoded(data)),
            ..
        }),
    ] = heard.as_slice()
    else {
        panic!("{heard:?}")
    };
    assert_eq!((data.portnum, data.payload.as_slice()), (PRIVATE_APP, b"@answer".as_slice()));
}

#[test]
fn a_fifth_program_takes_the_place_of_the_first_and_one_that_does_not_read_is_let_go() {
    let mut field = Field::new();
    let more: Vec<_> = (0..MAX_CLIENTS)
        .map(|_| {
            let (writer, reader) = sync_channel(1);
            field.net.attach(0, writer);
            reader
        })
        .collect();
    field.said(0, to_radio::Payload::WantConfigId(1));
    assert!(field.heard(0).is_empty(), "it was the first");
    field.said(1, packet(BROADCAST, TEXT_MESSAGE_APP, b"a".to_vec(), false));
    field.said(1, packet(BROADCAST, TEXT_MESSAGE_APP, b"b".to_vec(), false));
    field.fly();
    assert!(field.net.lock().radios[&0].clients.len() <= MAX_CLIENTS);
    drop(more);
}
