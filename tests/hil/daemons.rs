//! Real daemons at the ends of a scenario's link, and as one of its assets.

use super::field::{self, Plan, ms};
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
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[expect(clippy::disallowed_methods, reason = "a test of real time reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

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
        let [rover, relay] = [0, 1].map(|place| Client::embed(Config::read(&configs[place]).unwrap()).unwrap());
        thread::sleep(ms(300));
        let mut spans = Vec::new();
        for (number, (from, to, id)) in [(&rover, &relay, 3), (&relay, &rover, 2)].into_iter().enumerate() {
            let began = clock();
            from.send(NodeId(id), Purpose::Telemetry, Duration::from_secs(600), &[number as u8; 900]).unwrap();
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

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    let written = cosmosmesh(folder.path(), &[&hil[..], &["--write-nodes", "nodes"]].concat()).output().unwrap();
    assert_eq!(written.status.code(), Some(0), "{}", String::from_utf8_lossy(&written.stderr));
    let config = "nodes/rover/node.ron";
    let node = cosmosmesh(folder.path(), &["node", "--config", config]).stderr(Stdio::null()).spawn().unwrap();
    let _node = Process(node);
    let session = cosmosmesh(folder.path(), &[&hil[..], &["--wall-clock", "--trace"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(ms(1500));
    let sent = cosmosmesh(folder.path(), &["ctl", "--config", config, "send", "1", "from a real rover"]).output();
    let sent = sent.unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let received = cosmosmesh(folder.path(), &["ctl", "--config", config, "receive", "--wait-s", "8"]).output();
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
