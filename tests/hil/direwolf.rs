//! Links whose way is sound: two real packet-radio modems at 1200 baud, in a session that replays.

use super::{
    air::{Air, ON_AIR},
    daemons::rover_behind_modem,
    field::{self, Plan, assert_replays, ms},
};
use cosmosmesh::engine::RecordKind;
use cosmosmesh_node::{Client, Config};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// The field, with frames that fit into AX.25 and patience for 1200 baud.
fn slow_field(folder: &Path, duration: &str, interval: &str) -> PathBuf {
    let path = field::scenario(folder, duration, 0.0, &field::traffic(interval));
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("mtu_bytes: 512", "mtu_bytes: 256")
        .replace("min_timeout: \"500 ms\"", "min_timeout: \"15 s\"")
        .replace("ack_delay: \"20 ms\"", "ack_delay: \"500 ms\"");
    fs::write(&path, text).unwrap();
    path
}

#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn a_daemon_behind_two_modems_is_an_asset_and_its_session_replays() {
    let (air, folder) = (Air::new(500), tempfile::tempdir().unwrap());
    let path = slow_field(folder.path(), "90 s", "20 s");
    let bindings = [format!("rover/uhf>habitat=kiss:{}#HAB>ROVER", air.modems[0].kiss)];
    let config = rover_behind_modem(folder.path(), &path, air.modems[1].kiss.port(), 1200);
    let talking = thread::spawn(move || {
        let rover = Client::embed(Config::read(&config).unwrap()).unwrap();
        for number in 0..3_u8 {
            rover.send(NodeId(1), Purpose::Telemetry, Duration::from_secs(600), &[number; 100]).unwrap();
        }
        let received = (0..3).map_while(|_| rover.receive(ON_AIR).unwrap());
        let received = received.inspect(|message| rover.take(message).unwrap()).count();
        // Until all of its own are acknowledged, or the session is long over.
        thread::sleep(ms(30_000));
        received
    });
    let log = folder.path().join("sound.hil");
    let (live, report, _) = Plan { civil_offset: true, ..Plan::new(&path, &bindings) }.run(&log);
    assert_eq!(talking.join().unwrap(), 3, "commands of the habitat: {report:#?}");
    let delivered = live.records.iter().filter(|one| {
        one.asset.0 == 0
            && matches!(one.kind, RecordKind::Delivered { source, bytes: 100, .. } if source.0 == 1)
    });
    assert_eq!(delivered.count(), 3, "{report:#?}");
    assert_replays(&log, &live);
}

#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn simulated_nodes_speak_over_two_modems_by_the_commands_as_typed() {
    let (air, folder) = (Air::new(500), tempfile::tempdir().unwrap());
    slow_field(folder.path(), "80 s", "20 s");
    let [one, other] = [&air.modems[0], &air.modems[1]].map(|modem| modem.kiss);
    let cosmosmesh = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        told
    };
    let ways = [
        format!("rover/uhf>habitat=kiss:{one}#ROVER>HAB"),
        format!("habitat/uhf>rover=kiss:{other}#HAB>ROVER"),
    ];
    let live = cosmosmesh(&[
        "hil",
        "field.ron",
        "--bind-way",
        &ways[0],
        "--bind-way",
        &ways[1],
        "--json",
        "--trace",
    ]);
    let said: serde_json::Value = serde_json::from_str(&live).unwrap();
    for place in [0, 1] {
        let frames = |what: &str| said["session"]["interfaces"][place][what].as_u64().unwrap();
        assert!(frames("frames_in") > 2 && frames("frames_out") > 2, "{said:#}");
    }
    let trace = fs::read_to_string(folder.path().join("runs/field/trace.jsonl")).unwrap();
    let delivered = trace
        .lines()
        .filter(|line| line.contains("\"asset\":\"rover\"") && line.contains("\"kind\":\"delivered\""));
    assert!(delivered.count() >= 3, "{said:#}");
    cosmosmesh(&["replay", "runs/field.hil", "--threads", "2"]);
}
