//! `cosmosmesh hil` and `replay` as processes.

use super::field;
use std::{
    fs,
    net::UdpSocket,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

fn cosmosmesh(folder: &Path, arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    command.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_session_and_its_replay_reach_one_fingerprint_and_differ_only_in_what_tells_of_time() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.05, &field::traffic("20 ms"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let echo = thread::spawn(move || {
        let mut buffer = [0; 2048];
        socket.set_read_timeout(Some(field::ms(4000))).unwrap();
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if socket.send_to(&buffer[..length], from).is_err() {
                break;
            }
            socket.set_read_timeout(Some(field::ms(700))).unwrap();
        }
    });
    let binding = format!("rover/uhf=udp:{address}");
    let live = cosmosmesh(folder.path(), &["hil", "field.ron", "--bind", &binding, "--trace"]);
    echo.join().unwrap();
    assert_eq!(live.status.code(), Some(0), "{}", text(&live.stderr));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.path().join("runs/field.hil")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("runs/field/hil.json")).unwrap()).unwrap();
    assert!(report["interfaces"][0]["frames_in"].as_u64().unwrap() > 20, "{report:#}");
    for (threads, out) in [("1", "one"), ("2", "two")] {
        let again = cosmosmesh(
            folder.path(),
            &["replay", "runs/field.hil", "--out", out, "--trace", "--threads", threads],
        );
        assert_eq!(again.status.code(), Some(0), "{}{}", text(&again.stdout), text(&again.stderr));
        assert!(text(&again.stdout).contains("the same as the live session"));
        let mut compared = 0;
        for entry in fs::read_dir(folder.path().join("runs/field")).unwrap() {
            let name = entry.unwrap().file_name();
            if name == "timing.json" || name == "hil.json" {
                continue;
            }
            let read = |run: &str| fs::read(folder.path().join(run).join(&name)).ok();
            assert_eq!(read("runs/field"), read(out), "{}", name.display());
            compared += 1;
        }
        assert!(compared > 5 && !folder.path().join(out).join("hil.json").exists());
    }
}

#[test]
fn a_log_that_was_cut_is_replayed_as_far_as_it_goes_and_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.0, &field::traffic("20 ms"));
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let binding = format!("rover/uhf=udp:{}", sink.local_addr().unwrap());
    let live = cosmosmesh(folder.path(), &["hil", "field.ron", "--bind", &binding]);
    assert_eq!(live.status.code(), Some(0), "{}", text(&live.stderr));
    let log = folder.path().join("runs/field.hil");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 90]).unwrap();
    let cut = cosmosmesh(folder.path(), &["replay", "runs/field.hil"]);
    let said = text(&cut.stdout);
    assert_eq!(cut.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ends in the middle of a record") && said.contains("compared     with nothing"),
        "{said}"
    );
    let mut damaged = bytes.clone();
    let middle = bytes.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&log, damaged).unwrap();
    let refused = cosmosmesh(folder.path(), &["replay", "runs/field.hil"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("is damaged"), "{}", text(&refused.stderr));
}

#[test]
fn a_session_later_than_its_limit_ends_with_1_and_mistakes_with_2() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.0, &field::traffic("5 ms"));
    let hil = |more: &[&str]| {
        let arguments = [&["hil", "field.ron", "--bind"], more].concat();
        cosmosmesh(folder.path(), &arguments)
    };
    let late = hil(&["rover/uhf=udp:127.0.0.1:9", "--lag", "hard-limit(1 us)"]);
    assert_eq!(late.status.code(), Some(1), "{}", text(&late.stderr));
    assert!(text(&late.stdout).contains("are allowed"), "{}", text(&late.stdout));
    for (wrong, told) in [
        (vec!["rovr/uhf=udp:127.0.0.1:9"], "no asset `rovr`"),
        (vec!["rover/vhf=udp:127.0.0.1:9"], "no radio of class `vhf`; it has uhf"),
        (vec!["rover/uhf=carrier-pigeon:1"], "no transport"),
        (vec!["rover/uhf=udp:192.0.2.1:9"], "beyond this machine"),
        (vec!["rover/uhf"], "a binding is"),
        (vec!["rover/uhf>rover=udp:127.0.0.1:9"], "has no peer `rover`"),
        (vec!["rover/uhf=udp:127.0.0.1:9", "--clock", "stepped", "--lag", "slip"], "--lag has no meaning"),
        (vec!["rover/uhf=udp:127.0.0.1:9", "--clock", "fast"], "a clock is"),
        (vec!["rover/uhf=udp:127.0.0.1:9", "--clock", "scaled(2)", "--wall-clock"], "--wall-clock needs"),
    ] {
        let refused = hil(&wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(text(&refused.stderr).contains(told), "{wrong:?}: {}", text(&refused.stderr));
    }
}

#[test]
fn a_link_is_real_between_two_simulated_nodes_by_the_commands_as_typed() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "4 s", 0.05, &field::traffic("100 ms"));
    let (one, other) = (field::port(), field::port());
    let ways = [
        format!("rover/uhf>habitat=udp:127.0.0.1:{one}@127.0.0.1:{other}"),
        format!("habitat/uhf>rover=udp:127.0.0.1:{other}@127.0.0.1:{one}"),
    ];
    let arguments = ["hil", "field.ron", "--bind-way", &ways[0], "--bind-way", &ways[1], "--json"];
    let live = cosmosmesh(folder.path(), &arguments);
    assert_eq!(live.status.code(), Some(0), "{}", text(&live.stderr));
    let said: serde_json::Value = serde_json::from_slice(&live.stdout).unwrap();
    let frames = |place: usize, what: &str| said["session"]["interfaces"][place][what].as_u64().unwrap();
    assert!(
        frames(0, "frames_out") > 20 && frames(1, "frames_in") >= frames(0, "frames_out") - 1,
        "{said:#}"
    );
    let metrics = fs::read_to_string(folder.path().join("runs/field/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    assert!(metrics.to_string().contains("delivery.ratio"), "{metrics:#}");
    let again = cosmosmesh(folder.path(), &["replay", "runs/field.hil", "--threads", "2"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stdout));
}

#[test]
fn a_session_whose_run_folder_cannot_be_written_is_logged_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.0, &field::traffic("20 ms"));
    let taken = folder.path().join("runs/field");
    let meanwhile = thread::spawn(move || {
        thread::sleep(field::ms(1200));
        fs::create_dir_all(&taken).unwrap();
        fs::write(taken.join("letter.txt"), "somebody's own").unwrap();
    });
    let live = cosmosmesh(folder.path(), &["hil", "field.ron", "--bind", "rover/uhf=udp:127.0.0.1:9"]);
    meanwhile.join().unwrap();
    assert_eq!(live.status.code(), Some(2), "{}", text(&live.stderr));
    assert!(text(&live.stdout).contains("fingerprint"), "{}", text(&live.stdout));
    let again = cosmosmesh(folder.path(), &["replay", "runs/field.hil"]);
    assert_eq!(again.status.code(), Some(0), "{}{}", text(&again.stdout), text(&again.stderr));
}

#[cfg(unix)]
#[test]
fn a_scenario_that_could_not_be_replayed_from_its_log_is_refused_before_the_session() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.0, &field::traffic("20 ms"));
    fs::create_dir(folder.path().join("plans")).unwrap();
    fs::rename(folder.path().join("plan.ionrc"), folder.path().join("plans/real.ionrc")).unwrap();
    std::os::unix::fs::symlink("plans/real.ionrc", folder.path().join("plan.ionrc")).unwrap();
    let refused = cosmosmesh(folder.path(), &["hil", "field.ron", "--bind", "rover/uhf=udp:127.0.0.1:9"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    assert!(text(&refused.stderr).contains("a replay could not read it"), "{}", text(&refused.stderr));
}

#[test]
fn the_log_of_the_last_session_is_kept_and_what_is_no_log_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    field::scenario(folder.path(), "2 s", 0.0, &field::traffic("20 ms"));
    let hil = |more: &[&str]| {
        let arguments = ["hil", "field.ron", "--bind", "rover/uhf=udp:127.0.0.1:9", "--until", "0.3 s"];
        cosmosmesh(folder.path(), &[&arguments, more].concat())
    };
    for _ in 0..2 {
        let live = hil(&[]);
        assert_eq!(live.status.code(), Some(0), "{}", text(&live.stderr));
    }
    for log in ["runs/field.hil", "runs/field.hil.1"] {
        assert_eq!(cosmosmesh(folder.path(), &["replay", log]).status.code(), Some(0), "{log}");
    }
    let scenario = fs::read(folder.path().join("field.ron")).unwrap();
    let refused = hil(&["--log", "field.ron"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("is no log"), "{}", text(&refused.stderr));
    assert_eq!(fs::read(folder.path().join("field.ron")).unwrap(), scenario);
}
