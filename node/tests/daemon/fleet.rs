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
fn up_leaves_alone_what_it_did_not_make() {
    let place = Place::new();
    let kept = place.path().join("mesh.new").join("kept");
    fs::create_dir_all(kept.parent().expect("a folder")).expect("a folder");
    fs::write(&kept, "mine").expect("a file");
    let full = run(&place.path().join("mesh.new"), &["up", "2", "--folder", "MESH"]);
    assert_eq!(full.status.code(), Some(2), "a folder of somebody else's: {full:?}");
    let folder = place.path().join("mesh");
    text(run(&folder, &["up", "2", "--folder", "MESH"]));
    assert_eq!(fs::read(&kept).expect("it is there"), b"mine");
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 2, "nothing is left beside them");

    // A key is taken back where the authority's key is; a list that was made without it is told not to count.
    let ctl = |node: u64, words: &[&str]| {
        let config = folder.join(format!("node-{node}/node.ron"));
        run(&folder, &[&["ctl", "--config", config.to_str().expect("text")], words].concat())
    };
    let list = text(ctl(1, &["revoke", "2", "--cause", "compromised"]));
    assert!(list.contains(", 1 keys\nrevocations "), "{list}");
    assert_eq!(ctl(1, &["revoke", "1", "--cause", "blocked"]).status.code(), Some(2), "its own");
    wait_until("its session ends", || text(ctl(1, &["contacts"])).is_empty());
    let did =
        text(ctl(2, &["status"])).lines().find(|line| line.starts_with("did:")).expect("its name").to_owned();
    let words = ["certify", "revoke", "--key", "MESH/authority", "--node", "2", "--did", &did];
    text(run(&folder, &[words.as_slice(), &["--cause", "blocked", "--list", "MESH/revocations"]].concat()));
    let learned = ctl(1, &["learn", folder.join("revocations").to_str().expect("text")]);
    assert_eq!(learned.status.code(), Some(1), "{learned:?}");
    text(run(&folder, &["down", "--folder", "MESH"]));
    let again = text(run(&folder, &["up", "2", "--folder", "MESH"]));
    assert!(again.lines().nth(1).is_some_and(|line| line.ends_with("alone: key_compromised")), "{again}");
    let peers = text(ctl(1, &["peers"]));
    assert!(peers.contains("down") && peers.trim_end().ends_with("key_compromised"), "{peers}");
    text(run(&folder, &["down", "--folder", "MESH"]));
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
    let status = ["ctl", "--config", other.to_str().expect("text"), "status"];
    let did = place.did(7);
    wait_until("it answers", || String::from_utf8_lossy(&run(&folder, &status).stdout).contains(&did));
    assert_eq!(
        text(run(&folder, &["down", "--folder", "MESH"])),
        "0 of 2 nodes were running, and have ended\n"
    );
    assert!(process.child.try_wait().expect("it can be asked").is_none(), "it runs on");
    let up = run(&folder, &["up", "2", "--folder", "MESH"]);
    assert_eq!(up.status.code(), Some(2), "the port is taken: {up:?}");
}
