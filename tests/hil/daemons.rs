//! Real daemons at the ends of a scenario's link, and as one of its assets.

use super::{
    field::{self, Plan, ms},
    peer::{Process, clock},
};
use cosmosmesh::{
    engine::RecordKind,
    hil::{Binding, Session, write_nodes},
    scenario::Scenario,
    units::SimTime,
};
use cosmosmesh_node::{Client, Config};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Bindings of two assets to a daemon each, and the daemons' configurations.
fn ends(folder: &Path, path: &Path, pair: [&str; 2]) -> (Vec<String>, Vec<PathBuf>) {
    let [one, other] = pair;
    let ports: Vec<u16> = {
        let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect()
    };
    let bindings = vec![
        format!("{one}/uhf>{other}=udpcl:127.0.0.1:{}@127.0.0.1:{}", ports[0], ports[1]),
        format!("{other}/uhf>{one}=udpcl:127.0.0.1:{}@127.0.0.1:{}", ports[2], ports[3]),
    ];
    let scenario = Scenario::load(path).unwrap();
    let typed: Vec<Binding> = bindings.iter().map(|text| text.parse().unwrap()).collect();
    let session = Session::new(&typed, &scenario).unwrap();
    let configs = write_nodes(&folder.join("nodes"), &typed, &session, &scenario, scenario.seed).unwrap();
    (bindings, configs)
}

#[test]
fn two_daemons_feel_the_delay_of_a_scenarios_link_and_the_session_replays() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "20 s", 0.05, "");
    let (bindings, configs) = ends(folder.path(), &path, ["rover", "relay"]);
    let talking = thread::spawn(move || {
        let [rover, relay] =
            [0, 1].map(|place| Client::embed(Config::read(&configs[place]).unwrap()).unwrap());
        thread::sleep(ms(300));
        let mut spans = Vec::new();
        for (number, (from, to, id)) in [(&rover, &relay, 3), (&relay, &rover, 2)].into_iter().enumerate() {
            let began = clock();
            from.send(NodeId(id), Purpose::Telemetry, Duration::from_secs(600), &[number as u8; 900])
                .unwrap();
            let message = to.receive(Duration::from_secs(15)).unwrap().expect("it arrives");
            spans.push(began.elapsed());
            assert_eq!(message.payload, [number as u8; 900]);
            to.take(&message).unwrap();
        }
        spans
    });
    let log = folder.path().join("link.hil");
    let until = Some(SimTime::from_secs(9));
    let plan = Plan { links_alone: true, until, ..Plan::new(&path, &bindings) };
    let (live, report, _) = plan.run(&log);
    let spans = talking.join().unwrap();
    // A light second, and two frames of 512 bytes at 64 kbit/s.
    assert!(spans.iter().all(|span| *span >= ms(1000)), "{spans:?}");
    assert!(report.interfaces.iter().all(|one| one.frames_in >= 1 && one.frames_out >= 1), "{report:?}");
    assert!(live.records.iter().any(|one| matches!(one.kind, RecordKind::FrameReceived { .. })));
    field::assert_replays(&log, &live);
}

fn cosmosmesh(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

#[test]
fn a_daemon_is_an_asset_among_simulated_ones_by_the_commands_as_typed() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "12 s", 0.02, &field::traffic("500 ms"));
    let (theirs, ours) = (field::port(), field::port());
    let binding = format!("rover/uhf>habitat=udpcl:127.0.0.1:{theirs}@127.0.0.1:{ours}");
    let hil = ["hil", "field.ron", "--bind", binding.as_str()];
    let written =
        cosmosmesh(folder.path(), &[&hil[..], &["--write-nodes", "nodes"]].concat()).output().unwrap();
    assert_eq!(written.status.code(), Some(0), "{}", String::from_utf8_lossy(&written.stderr));
    let config = "nodes/rover/node.ron";
    let node =
        cosmosmesh(folder.path(), &["node", "--config", config]).stderr(Stdio::null()).spawn().unwrap();
    let _node = Process(node);
    let session = cosmosmesh(folder.path(), &[&hil[..], &["--wall-clock", "--trace"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(ms(1500));
    let sent =
        cosmosmesh(folder.path(), &["ctl", "--config", config, "send", "1", "from a real rover"]).output();
    let sent = sent.unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let received =
        cosmosmesh(folder.path(), &["ctl", "--config", config, "receive", "--wait-s", "8"]).output();
    let received = String::from_utf8_lossy(&received.unwrap().stdout).into_owned();
    assert!(received.contains("ipn:1.0"), "{received}");
    let session = session.wait_with_output().unwrap();
    assert_eq!(session.status.code(), Some(0), "{}", String::from_utf8_lossy(&session.stderr));
    let trace = fs::read_to_string(folder.path().join("runs/field/trace.jsonl")).unwrap();
    let delivered = trace
        .lines()
        .filter(|line| line.contains("\"asset\":\"habitat\"") && line.contains("\"kind\":\"delivered\""))
        .filter(|line| line.contains("\"source\":\"rover\"") && line.contains("\"bytes\":17"));
    assert_eq!(delivered.count(), 1);
    let again = cosmosmesh(folder.path(), &["replay", "runs/field.hil"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stdout));
}

/// Hands every KISS frame of one side to the other, with garbage between, as two modems on one channel do. Closes the first connection of the first side after so
/// many frames, if any.
fn cable(cut_after: Option<usize>) -> [u16; 2] {
    use cosmosmesh_node::transport::kiss::{Command as Kiss, KissDecoder, put_frame};
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::{Arc, Mutex},
    };
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = [0, 1].map(|side: usize| listeners[side].local_addr().unwrap().port());
    let sides: Arc<[Mutex<Option<TcpStream>>; 2]> = Arc::default();
    for (side, listener) in listeners.into_iter().enumerate() {
        let sides = sides.clone();
        thread::spawn(move || {
            for (round, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                *sides[side].lock().unwrap() = Some(stream.try_clone().unwrap());
                let (mut decoder, mut buffer, mut count) = (KissDecoder::new(1024), [0; 1024], 0);
                'line: while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let mut rest = &buffer[..length];
                    while let Some(frame) = decoder.take(&mut rest) {
                        let mut bytes = b"\xDB\x00noise\xC0\x37\xC0\xC0".to_vec();
                        put_frame(&mut bytes, 0, Kiss::Data, &frame.payload);
                        if let Some(other) = sides[1 - side].lock().unwrap().as_mut() {
                            let _ = other.write_all(&bytes);
                        }
                        count += 1;
                        if (side, round, cut_after) == (0, 0, Some(count)) {
                            let _ = stream.shutdown(std::net::Shutdown::Both);
                            break 'line;
                        }
                    }
                }
            }
        });
    }
    ports
}

/// Configuration of a daemon that is the rover, with its key and neighbours; its radio is a modem at a port, and no socket.
pub(crate) fn rover_behind_modem(folder: &Path, path: &Path, port: u16, rate_bps: u32) -> PathBuf {
    let scenario = Scenario::load(path).unwrap();
    let typed = "rover/uhf>habitat=udpcl:127.0.0.1:1@127.0.0.1:2".parse::<Binding>().unwrap();
    let session = Session::new(std::slice::from_ref(&typed), &scenario).unwrap();
    let written = write_nodes(&folder.join("nodes"), &[typed], &session, &scenario, scenario.seed).unwrap();
    let radio = format!(
        "radios: [(name: \"vhf\", at: Tcp(\"127.0.0.1:{port}\"), speaks: Ax25(call: \"ROVER\"), rate_bps: {rate_bps})],"
    );
    let text = fs::read_to_string(&written[0]).unwrap();
    let text = text
        .replace("listen: (udp: \"127.0.0.1:1\"),", &radio)
        .replace("Udp(\"127.0.0.1:2\")", "Radio(radio: \"vhf\", address: \"HAB\")")
        .replace("control: \"127.0.0.1:1\",", "");
    fs::write(&written[0], text).unwrap();
    written[0].clone()
}

#[test]
fn a_daemon_behind_a_modem_is_an_asset_and_a_modem_that_is_unplugged_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "12 s", 0.0, &field::traffic("400 ms"));
    // Frames of 256 bytes fit into AX.25.
    let text = fs::read_to_string(&path).unwrap().replace("mtu_bytes: 512", "mtu_bytes: 256");
    fs::write(&path, text).unwrap();
    let [ours, theirs] = cable(Some(8));
    let bindings = [format!("rover/uhf>habitat=kiss:127.0.0.1:{ours}#HAB>ROVER")];
    let config = rover_behind_modem(folder.path(), &path, theirs, 64_000);
    let talking = thread::spawn(move || {
        let rover = Client::embed(Config::read(&config).unwrap()).unwrap();
        for number in 0..5_u8 {
            rover.send(NodeId(1), Purpose::Telemetry, Duration::from_secs(600), &[number; 300]).unwrap();
            thread::sleep(ms(300));
        }
        let mut received = 0;
        while let Ok(Some(message)) = rover.receive(ms(3500)) {
            rover.take(&message).unwrap();
            received += 1;
        }
        received
    });
    let log = folder.path().join("modem.hil");
    let (live, report, _) = Plan { civil_offset: true, ..Plan::new(&path, &bindings) }.run(&log);
    let received = talking.join().unwrap();
    let delivered = live.records.iter().filter(|one| {
        one.asset.0 == 0
            && matches!(one.kind, RecordKind::Delivered { source, bytes: 300, .. } if source.0 == 1)
    });
    assert!(delivered.count() >= 4, "{report:#?}");
    assert!(received >= 5, "{received} commands reached the daemon: {report:#?}");
    assert!(
        report.interfaces[0].send_errors > 0 || report.interfaces[0].refused > 0,
        "noise and a cut: {report:#?}"
    );
    field::assert_replays(&log, &live);
}
