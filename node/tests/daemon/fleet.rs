//! `up` and `down`.

use super::place::{Place, Process, program, wait_until};
use std::{fs, path::Path, process::Output};

fn run(folder: &Path, words: &[&str]) -> Output {
    let folder = folder.to_str().expect("text");
    let words = words.iter().map(|word| word.replace("MESH", folder));
    program().args(words).output().expect("it runs")
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn up_makes_a_mesh_that_goes_on_after_down() {
    let place = Place::new();
    let folder = place.path().join("mesh");
    let down = || text(run(&folder, &["down", "--folder", "MESH"]));
    assert_eq!(text(run(&folder, &["up", "3", "--folder", "MESH"])).lines().count(), 3);
    let other = run(&folder, &["up", "4", "--folder", "MESH"]);
    assert_eq!(other.status.code(), Some(2), "a fleet of another size: {other:?}");
    let ctl = |node: &str, words: &[&str]| {
        let config = format!("MESH/node-{node}/node.ron");
        run(&folder, &[&["ctl", "--config", &config], words].concat())
    };
    let config = fs::read_to_string(folder.join("node-2/node.ron")).expect("a configuration");
    assert!(config.contains("tls: Require") && config.contains("trust: ("), "{config}");
    let again = text(run(&folder, &["up", "3", "--folder", "MESH"]));
    assert_eq!(again.matches("ran already").count(), 3, "{again}");
    text(ctl("1", &["send", "3", "hello"]));
    assert_eq!(text(ctl("3", &["receive", "--wait-s", "30"])), "ipn:1.0 telemetry 1: hello\n");
    text(ctl("3", &["send", "2", "kept"]));
    assert_eq!(text(ctl("2", &["receive", "--wait-s", "30", "--keep"])), "ipn:3.0 telemetry 1: kept\n");
    assert_eq!(down(), "3 of 3 nodes were running, and have ended\n");
    assert_eq!(down(), "0 of 3 nodes were running, and have ended\n");
    text(run(&folder, &["up", "3", "--folder", "MESH"]));
    assert_eq!(text(ctl("2", &["receive"])), "ipn:3.0 telemetry 1: kept\n");
    assert_eq!(down(), "3 of 3 nodes were running, and have ended\n");
    assert!(!place.path().join("mesh.new").exists());
    let nowhere = run(&place.path().join("nowhere"), &["down", "--folder", "MESH"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn down_leaves_alone_who_was_given_the_address_of_a_node_that_is_gone() {
    let place = Place::new();
    let folder = place.path().join("mesh");
    text(run(&folder, &["up", "2", "--folder", "MESH"]));
    assert_eq!(
        text(run(&folder, &["down", "--folder", "MESH"])),
        "2 of 2 nodes were running, and have ended\n"
    );
    let config = fs::read_to_string(folder.join("node-1/node.ron")).expect("a configuration");
    let control =
        config.split("control: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    let other = place.file(7, &format!("control: \"{control}\""));
    let mut process = Process::start(&other);
    wait_until("it answers", || std::net::TcpStream::connect(control).is_ok());
    assert_eq!(
        text(run(&folder, &["down", "--folder", "MESH"])),
        "0 of 2 nodes were running, and have ended\n"
    );
    assert!(process.child.try_wait().expect("it can be asked").is_none(), "it runs on");
    let up = run(&folder, &["up", "2", "--folder", "MESH"]);
    assert_eq!(up.status.code(), Some(2), "the port is taken: {up:?}");
}
