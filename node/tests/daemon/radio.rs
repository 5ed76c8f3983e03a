//! Daemons over modems and radios: KISS on TCP and on serial lines, Meshtastic.

use super::place::{PATIENCE, Place, receive, send, wait_until};
use cosmosmesh_node::{
    Client,
    transport::{
        kiss::{Command, KissDecoder, put_frame},
        meshtastic::{
            Data, FromRadio, MAX_PAYLOAD, MeshPacket, MyNodeInfo, PRIVATE_APP, QueueStatus, ROUTING_APP,
            StreamDecoder, ToRadio, from_radio, mesh_packet, put_message, to_radio,
        },
    },
};
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Small frames on a quick channel: what is lost is sent again soon.
const QUICK: &str =
    "limits: (retransmission_ms: 300, acknowledgement_ms: 20, patience_s: 1, drain_s: 1, window: 64)";

/// A channel that several modems listen to and transmit on: each gets the frames of all others, but for some that are lost, with noise between.
struct Channel {
    modems: Vec<SocketAddr>,
    frames: Arc<AtomicU64>,
}

impl Channel {
    /// `lost`: one frame of so many; 0 for none.
    fn new(modems: usize, lost: u64) -> Self {
        let listeners: Vec<_> =
            (0..modems).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let modems = listeners.iter().map(|listener| listener.local_addr().expect("its address")).collect();
        let (frames, hosts) =
            (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeMap::<usize, TcpStream>::new())));
        for (place, listener) in listeners.into_iter().enumerate() {
            let (frames, hosts) = (frames.clone(), hosts.clone());
            thread::spawn(move || {
                while let Ok((mut host, _)) = listener.accept() {
                    hosts.lock().expect("no panic").insert(place, host.try_clone().expect("a copy"));
                    let (mut decoder, mut buffer) = (KissDecoder::new(400), [0; 1000]);
                    while let Ok(count @ 1..) = host.read(&mut buffer) {
                        let mut rest = &buffer[..count];
                        while let Some(frame) = decoder.take(&mut rest) {
                            assert!(frame.payload.len() <= 272, "256 bytes of ours in an AX.25 frame");
                            let number = frames.fetch_add(1, Ordering::AcqRel);
                            if lost > 0 && number % lost == lost - 1 {
                                continue;
                            }
                            let mut bytes = vec![0xC0, 0x00, b'n', b'o', 0xDB, b'i', b's', b'e'];
                            put_frame(&mut bytes, frame.port, Command::Data, &frame.payload);
                            for (other, host) in &mut *hosts.lock().expect("no panic") {
                                if *other != place {
                                    let _ = host.write_all(&bytes);
                                }
                            }
                        }
                    }
                    hosts.lock().expect("no panic").remove(&place);
                }
            });
        }
        Self { modems, frames }
    }
}

fn station(place: &Place, channel: &Channel, node: u64, others: &[u64]) -> Client {
    let modem = channel.modems[node as usize - 1];
    let peers: String = others
        .iter()
        .map(|other| place.peer(*other, &format!("Radio(radio: \"uhf\", address: \"NODE-{other}\")")))
        .collect();
    Client::of(place.daemon(
        node,
        &format!(
            "radios: [(name: \"uhf\", at: Tcp(\"{modem}\"), speaks: Ax25(call: \"NODE-{node}\"), rate_bps: 1000000)],
             peers: [{peers}], {QUICK}"
        ),
    ))
}

#[test]
fn messages_cross_a_shared_channel_of_ax25_modems_that_loses_frames() {
    let (place, channel) = (Place::new(), Channel::new(3, 31));
    let one = station(&place, &channel, 1, &[2, 3]);
    let two = station(&place, &channel, 2, &[1, 3]);
    let three = station(&place, &channel, 3, &[1, 2]);
    let long = "x".repeat(2000);
    for number in 0..10 {
        send(&one, 2, &format!("one to two {number} {long}"));
        send(&three, 2, &format!("three to two {number}"));
    }
    send(&two, 1, "two to one");
    let mut heard: Vec<String> = (0..20).map(|_| receive(&two)).collect();
    heard.sort();
    assert!(heard[..10].iter().all(|text| text.starts_with("one to two") && text.ends_with(&long)));
    assert!(heard[10..].iter().all(|text| text.starts_with("three to two")));
    assert_eq!(receive(&one), "two to one");
    assert!(channel.frames.load(Ordering::Acquire) > 10 * 9, "a long message is many frames");
    wait_until("three has heard what is for others, with noise between", || {
        let metrics = three.metrics().expect("metrics");
        metrics.contains("cosmosmesh_radio_frames_total{radio=\"uhf\",fate=\"for_others\"}")
            && metrics.contains("door=\"kiss\",reason=\"bad_escape\"")
    });
    assert_eq!(two.peers().expect("peers")[0].via, "radio uhf NODE-1");
}

/// A pseudo-terminal under a name of our own, so that a daemon finds the next one there: a serial line that is unplugged and comes back.
struct Line {
    name: PathBuf,
    master: Option<serial2::SerialPort>,
}

impl Line {
    fn plug_in(name: PathBuf) -> Self {
        let (one, other) = serial2::SerialPort::pair().expect("a pseudo-terminal");
        let path_of = |port: &serial2::SerialPort| {
            std::fs::read_link(format!("/proc/self/fd/{}", port.as_raw_fd())).expect("its name")
        };
        let (mut master, slave) =
            if path_of(&other).starts_with("/dev/pts/") { (one, other) } else { (other, one) };
        let _ = std::fs::remove_file(&name);
        std::os::unix::fs::symlink(path_of(&slave), &name).expect("a name");
        master.set_read_timeout(Duration::from_millis(20)).expect("a timeout");
        Self { name, master: Some(master) }
    }

    fn unplug(&mut self) {
        self.master = None;
        let _ = std::fs::remove_file(&self.name);
    }
}

/// Moves bytes between two lines until told to end, and gives them back.
fn cable(one: Line, other: Line, over: &Arc<AtomicBool>) -> thread::JoinHandle<[Line; 2]> {
    let over = over.clone();
    thread::spawn(move || {
        let mut buffer = [0; 500];
        while !over.load(Ordering::Acquire) {
            for (from, to) in [(&one, &other), (&other, &one)] {
                let (from, to) =
                    (from.master.as_ref().expect("plugged"), to.master.as_ref().expect("plugged"));
                if let Ok(count) = from.read(&mut buffer) {
                    to.write_all(&buffer[..count]).expect("a pseudo-terminal takes it");
                }
            }
        }
        [one, other]
    })
}

#[test]
fn messages_cross_serial_lines_that_are_unplugged_and_come_back() {
    let place = Place::new();
    let names = [place.path().join("tty-1"), place.path().join("tty-2")];
    let over = Arc::new(AtomicBool::new(false));
    let lines = names.clone().map(Line::plug_in);
    let [one_line, other_line] = lines;
    let running = cable(one_line, other_line, &over);
    let daemon = |node: u64, other: u64| {
        let peer = place.peer(other, "Radio(radio: \"line\")");
        let name = names[node as usize - 1].display();
        Client::of(place.daemon(
            node,
            &format!(
                "radios: [(name: \"line\", at: Serial(\"{name}\", 115200), speaks: Kiss(), rate_bps: 115200)],
                 peers: [{peer}], {QUICK}"
            ),
        ))
    };
    let (one, two) = (daemon(1, 2), daemon(2, 1));
    send(&one, 2, &"a".repeat(600));
    send(&two, 1, "back");
    assert_eq!(receive(&two), "a".repeat(600));
    assert_eq!(receive(&one), "back");

    over.store(true, Ordering::Release);
    let mut lines = running.join().expect("no panic");
    lines[0].unplug();
    wait_until("the line is seen to be gone", || one.peers().expect("peers")[0].links_up == 0);
    assert_eq!(two.peers().expect("peers")[0].links_up, 1, "nobody has unplugged that one");
    send(&one, 2, "meanwhile");
    over.store(false, Ordering::Release);
    let [_, second] = lines;
    let running = cable(Line::plug_in(names[0].clone()), second, &over);
    assert_eq!(receive(&two), "meanwhile");
    over.store(true, Ordering::Release);
    running.join().expect("no panic");
}

type Hosts = Arc<Mutex<BTreeMap<u32, TcpStream>>>;

/// A mesh of radios, one for each address: just enough of one to take packets, lose some, and tell what became of them.
struct Mesh {
    radios: Vec<SocketAddr>,
    packets: Arc<AtomicU64>,
}

impl Mesh {
    fn new(numbers: &[u32], lost: u64) -> Self {
        let (hosts, packets) = (Hosts::default(), Arc::new(AtomicU64::new(0)));
        let radio = |number: &u32| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("its address");
            let (number, hosts, packets) = (*number, hosts.clone(), packets.clone());
            thread::spawn(move || {
                while let Ok((host, _)) = listener.accept() {
                    serve_radio(number, host, &hosts, &packets, lost);
                }
            });
            address
        };
        Self { radios: numbers.iter().map(radio).collect(), packets }
    }
}

fn tell(hosts: &Hosts, number: u32, payload: from_radio::Payload) {
    let mut bytes = b"DEBUG | a line of its log \x94\r\n".to_vec();
    put_message(&mut bytes, &FromRadio { id: 0, payload: Some(payload) }).expect("short");
    if let Some(host) = hosts.lock().expect("no panic").get_mut(&number) {
        let _ = host.write_all(&bytes);
    }
}

fn serve_radio(number: u32, mut host: TcpStream, hosts: &Hosts, packets: &AtomicU64, lost: u64) {
    hosts.lock().expect("no panic").insert(number, host.try_clone().expect("a copy"));
    let (mut decoder, mut buffer) = (StreamDecoder::<ToRadio>::default(), [0; 700]);
    while let Ok(count @ 1..) = host.read(&mut buffer) {
        let mut rest = &buffer[..count];
        while let Some(message) = decoder.take(&mut rest) {
            match message.payload {
                Some(to_radio::Payload::WantConfigId(id)) => {
                    let info = MyNodeInfo { my_node_num: number, ..MyNodeInfo::default() };
                    tell(hosts, number, from_radio::Payload::MyInfo(info));
                    tell(hosts, number, from_radio::Payload::ConfigCompleteId(id));
                }
                Some(to_radio::Payload::Packet(packet)) => {
                    let place = packets.fetch_add(1, Ordering::AcqRel);
                    carry(number, packet, hosts, lost > 0 && place % lost == lost - 1);
                }
                Some(to_radio::Payload::Heartbeat(_)) => {
                    let status = QueueStatus { free: 2, maxlen: 2, ..QueueStatus::default() };
                    tell(hosts, number, from_radio::Payload::QueueStatus(status));
                }
                Some(to_radio::Payload::Disconnect(_)) | None => {}
            }
        }
    }
    hosts.lock().expect("no panic").remove(&number);
}

fn carry(number: u32, packet: MeshPacket, hosts: &Hosts, is_lost: bool) {
    let (id, to) = (packet.id, packet.to);
    let status = QueueStatus { res: 0, free: 2, maxlen: 2, mesh_packet_id: id };
    tell(hosts, number, from_radio::Payload::QueueStatus(status));
    let Some(mesh_packet::Payload::Decoded(data)) = &packet.payload else {
        panic!("a program sends plain data")
    };
    assert_eq!((data.portnum, packet.want_ack), (PRIVATE_APP, true));
    assert!((1..=MAX_PAYLOAD).contains(&data.payload.len()));
    if !is_lost {
        tell(hosts, to, from_radio::Payload::Packet(MeshPacket { from: number, ..packet }));
    }
    // Routing with error_reason 0 or 5, which is MAX_RETRANSMIT.
    let payload = vec![0x18, if is_lost { 5 } else { 0 }];
    let data = Data { portnum: ROUTING_APP, payload, request_id: id, ..Data::default() };
    let payload = Some(mesh_packet::Payload::Decoded(data));
    let from = if is_lost { number } else { to };
    let answer = MeshPacket { from, to: number, payload, ..MeshPacket::default() };
    tell(hosts, number, from_radio::Payload::Packet(answer));
}

#[test]
fn messages_cross_a_mesh_of_meshtastic_radios_that_loses_packets() {
    let (place, numbers) = (Place::new(), [0xA1B2_C3D4, 0x0000_0007]);
    let mesh = Mesh::new(&numbers, 5);
    let daemon = |node: u64, other: u64| {
        let peer = place.peer(
            other,
            &format!("Radio(radio: \"lora\", address: \"!{:08x}\")", numbers[other as usize - 1]),
        );
        let at = mesh.radios[node as usize - 1];
        Client::of(place.daemon(
            node,
            &format!("radios: [(name: \"lora\", at: Tcp(\"{at}\"), speaks: Meshtastic())], peers: [{peer}], {QUICK}"),
        ))
    };
    let (one, two) = (daemon(1, 2), daemon(2, 1));
    let long = "x".repeat(1500);
    for number in 0..5 {
        send(&one, 2, &format!("there {number} {long}"));
        send(&two, 1, &format!("back {number}"));
    }
    for number in 0..5 {
        assert_eq!(receive(&two), format!("there {number} {long}"));
        assert_eq!(receive(&one), format!("back {number}"));
    }
    assert!(mesh.packets.load(Ordering::Acquire) > 5 * 7, "a long message is many packets");
    let metrics = one.metrics().expect("metrics");
    for fate in ["sent", "received", "acknowledged", "failed"] {
        assert!(metrics.contains(&format!("radio=\"lora\",fate=\"{fate}\"")), "{fate}: {metrics}");
    }
}

#[test]
fn a_flood_of_garbage_from_a_modem_takes_nothing_down() {
    let (place, listener) = (Place::new(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let at = listener.local_addr().expect("its address");
    for speaks in ["Kiss()", "Ax25(call: \"A\")", "Meshtastic()"] {
        let address = match speaks {
            "Kiss()" => "",
            "Meshtastic()" => ", address: \"!00000002\"",
            _ => ", address: \"B\"",
        };
        let peer = place.peer(2, &format!("Radio(radio: \"r\"{address})"));
        let radio =
            format!("radios: [(name: \"r\", at: Tcp(\"{at}\"), speaks: {speaks})], peers: [{peer}], {QUICK}");
        let client = Client::of(place.daemon(1, &radio));
        let (mut modem, _) = listener.accept().expect("the daemon connects");
        modem.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let mut garbage: Vec<u8> =
            (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        garbage.extend([0xC0, 0x00, 0x94, 0xC3, 0x01, 0xFF].repeat(20_000));
        modem.write_all(&garbage).expect("it is read");
        wait_until("the garbage is counted", || {
            let metrics = client.metrics().expect("metrics");
            ["kiss", "ax25", "meshtastic"].iter().any(|door| metrics.contains(&format!("door=\"{door}\"")))
        });
        assert!(client.health().expect("health").ready, "{speaks}");
        client.shutdown().expect("it ends");
    }
}

#[test]
fn a_flood_of_garbage_on_a_serial_line_takes_nothing_down() {
    let place = Place::new();
    let name = place.path().join("tty");
    for (speaks, address, door) in
        [("Kiss()", "", "kiss"), ("Meshtastic()", ", address: \"!00000002\"", "meshtastic")]
    {
        let mut line = Line::plug_in(name.clone());
        let peer = place.peer(2, &format!("Radio(radio: \"r\"{address})"));
        let radio = format!(
            "radios: [(name: \"r\", at: Serial(\"{}\", 115200), speaks: {speaks})], peers: [{peer}], {QUICK}",
            name.display()
        );
        let client = Client::of(place.daemon(1, &radio));
        let master = line.master.as_mut().expect("plugged");
        master.set_write_timeout(PATIENCE).expect("a timeout");
        // Beginnings, lengths that lie, wrong escapes; no end.
        let garbage =
            [0xC0, 0x00, 0xDB, 0x01, 0x94, 0xC3, 0x01, 0xFF, 0x94, 0xC3, 0xFF, 0xFF, 0x55].repeat(5_000);
        let (begun, mut rest) = (super::place::clock(), garbage.as_slice());
        while !rest.is_empty() {
            match master.write(&rest[..rest.len().min(256)]) {
                Ok(count) => rest = &rest[count..],
                // The line is full.
                Err(error) => {
                    assert!(begun.elapsed() < PATIENCE, "it is not read: {error}");
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
        wait_until("the garbage is counted", || {
            client.metrics().expect("metrics").contains(&format!("door=\"{door}\""))
        });
        assert!(client.health().expect("health").ready, "{speaks}");
        client.shutdown().expect("it ends");
        line.unplug();
    }
}

#[test]
fn a_modem_that_says_nothing_or_a_byte_now_and_then_holds_up_nobody() {
    let (place, listener) = (Place::new(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let at = listener.local_addr().expect("its address");
    for (speaks, address) in [("Kiss()", ""), ("Meshtastic()", ", address: \"!00000002\"")] {
        for words in [&[][..], &[0xC0, 0x00, 0x41, 0x94, 0xC3, 0x01, 0x00, 0x0A]] {
            let peer = place.peer(2, &format!("Radio(radio: \"r\"{address})"));
            let radio = format!(
                "radios: [(name: \"r\", at: Tcp(\"{at}\"), speaks: {speaks})], peers: [{peer}], {QUICK}"
            );
            let client = Client::of(place.daemon(1, &radio));
            let (mut modem, _) = listener.accept().expect("the daemon connects");
            for byte in words {
                modem.write_all(&[*byte]).expect("it is read");
                thread::sleep(Duration::from_millis(150));
            }
            send(&client, 2, "it waits");
            assert!(client.health().expect("health").ready, "{speaks}");
            let begun = super::place::clock();
            client.shutdown().expect("it ends");
            assert!(begun.elapsed() < Duration::from_secs(20), "{speaks}: {:?}", begun.elapsed());
        }
    }
}
