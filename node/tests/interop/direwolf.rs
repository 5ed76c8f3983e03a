//! Two real packet-radio modems between daemons, and between programs.

use super::{
    air::{Air, Modem, ON_AIR},
    peer::connect,
};
use cosmosmesh_node::{
    Client, Config, Daemon,
    transport::kiss::{
        Command as Kiss, KissDecoder, KissFrame,
        ax25::{Callsign, parse_ui, put_ui},
        put_frame,
    },
};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

fn listen(modem: &Modem) -> TcpStream {
    let stream = connect(modem.kiss.port());
    stream.set_read_timeout(Some(ON_AIR)).expect("a timeout");
    stream
}

fn call(text: &str) -> Callsign {
    text.parse().expect("a callsign")
}

fn say(modem: &mut TcpStream, from: &str, to: &str, information: &[u8]) {
    let (mut frame, mut bytes) = (Vec::new(), Vec::new());
    put_ui(&mut frame, call(to), call(from), information);
    put_frame(&mut bytes, 0, Kiss::Data, &frame);
    modem.write_all(&bytes).expect("the modem takes it");
}

fn hear(modem: &mut TcpStream, decoder: &mut KissDecoder) -> KissFrame {
    let mut buffer = [0; 1];
    loop {
        assert_eq!(modem.read(&mut buffer).expect("a frame in time"), 1, "the modem is still there");
        if let Some(frame) = decoder.take(&mut buffer.as_slice()) {
            return frame;
        }
    }
}

/// Frames of many lengths up to 256 bytes, all byte values among them, both ways.
#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn frames_up_to_256_bytes_cross_two_modems() {
    let air = Air::new(30);
    let [mut one, mut other] = [listen(&air.modems[0]), listen(&air.modems[1])];
    let (mut ear_one, mut ear_other) = (KissDecoder::new(400), KissDecoder::new(400));
    for length in [1, 17, 128, 256] {
        let information: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(0x6B)).collect();
        say(&mut one, "NODE-1", "NODE-2", &information);
        let frame = hear(&mut other, &mut ear_other);
        let read = parse_ui(&frame.payload).expect("a frame");
        assert_eq!((frame.port, read.source, read.information), (0, call("NODE-1"), &*information));
        say(&mut other, "NODE-2", "NODE-1", &information);
        let frame = hear(&mut one, &mut ear_one);
        assert_eq!(parse_ui(&frame.payload).expect("a frame").information, information);
    }
    assert!(ear_one.refused().is_empty() && ear_other.refused().is_empty());
}

/// Messages of two daemons over two modems at 1200 baud, with noise on the channel: signed, acknowledged, once and in order.
#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn two_daemons_exchange_messages_over_two_modems_with_noise() {
    let (air, folder) = (Air::new(2000), tempfile::tempdir().expect("a folder"));
    let did = |node: u64| {
        let path = folder.path().join(format!("state-{node}/key"));
        cosmosmesh_node::key::did(&cosmosmesh_node::key::read_or_create(&path).expect("a key")).to_string()
    };
    let daemon = |node: u64, other: u64| {
        let (at, did) = (air.modems[node as usize - 1].kiss, did(other));
        let text = format!(
            "(node: {node}, state: \"state-{node}\",
              radios: [(name: \"vhf\", at: Tcp(\"{at}\"), speaks: Ax25(call: \"NODE-{node}\"), rate_bps: 1200)],
              peers: [(node: {other}, did: \"{did}\", via: Radio(radio: \"vhf\", address: \"NODE-{other}\"))],
              limits: (retransmission_ms: 15000, acknowledgement_ms: 500))"
        );
        let config =
            Config::parse("test.ron", &text, folder.path()).unwrap_or_else(|error| panic!("{error}"));
        Client::of(Arc::new(Daemon::start(config).unwrap_or_else(|error| panic!("{error}"))))
    };
    let (one, two) = (daemon(1, 2), daemon(2, 1));
    let send = |from: &Client, to, text: &str| {
        from.send(NodeId(to), Purpose::Telemetry, Duration::from_secs(3600), text.as_bytes())
            .expect("accepted");
    };
    let receive = |at: &Client| {
        let message = at.receive(ON_AIR).expect("an answer").expect("a message over the air");
        at.take(&message).expect("taken");
        String::from_utf8(message.payload).expect("text")
    };
    let long = format!("an image {}", "x".repeat(500));
    send(&one, 2, "dust storm");
    send(&one, 2, &long);
    assert_eq!(receive(&two), "dust storm");
    assert_eq!(receive(&two), long);
    send(&two, 1, "understood");
    assert_eq!(receive(&one), "understood");
    assert!(two.receive(Duration::from_millis(100)).expect("an answer").is_none(), "nothing comes twice");
}
