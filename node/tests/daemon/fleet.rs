//! `up` and `down`.

use super::place::{Place, program};
use std::{path::Path, process::Output};

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
    text(ctl("1", &["send", "3", "hello"]));
    assert_eq!(text(ctl("3", &["receive", "--wait-s", "30"])), "ipn:1.0 telemetry 1: hello\n");
    text(ctl("3", &["send", "2", "kept"]));
    assert_eq!(text(ctl("2", &["receive", "--wait-s", "30", "--keep"])), "ipn:3.0 telemetry 1: kept\n");
    assert_eq!(down(), "3 of 3 nodes were running, and have ended\n");
    assert_eq!(down(), "0 of 3 nodes were running, and have ended\n");
    text(run(&folder, &["up", "3", "--folder", "MESH"]));
    assert_eq!(text(ctl("2", &["receive"])), "ipn:3.0 telemetry 1: kept\n");
    assert_eq!(down(), "3 of 3 nodes were running, and have ended\n");
    let nowhere = run(&place.path().join("nowhere"), &["down", "--folder", "MESH"]);
    assert_eq!(nowhere.status.code(), Some(2));
}
