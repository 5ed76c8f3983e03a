//! The same scenario and seed give the same bytes: in separate processes, on 1, 2 and 4 threads, in debug and release.
//!
//! `COSMOSMESH_RELEASE_BIN=target/release/cosmosmesh cargo test --test determinism -- --include-ignored` compares the build
//! under test with that binary too.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The shipped scenarios, and how much of each is flown here.
const FLIGHTS: [(&str, &str); 4] =
    [("smoke", "1 min"), ("leo_ground", "12 h"), ("lora_valley", "2 h"), ("mars_relay", "6 h")];

/// A run folder's files, by path inside it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("ron")
}

/// Flies in a process of its own, and gives back the fingerprint that it printed.
fn fly(binary: &OsStr, name: &str, until: &str, threads: usize, out: &Path) -> String {
    let output = Command::new(binary)
        .arg("run")
        .arg(scenario(name))
        .args(["--until", until, "--json", "--trace", "--threads", &threads.to_string(), "--out"])
        .arg(out)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    json["fingerprint"].as_str().expect("a fingerprint").to_owned()
}

fn files(folder: &Path) -> Files {
    let (mut files, mut folders) = (Files::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).expect("it is inside").to_path_buf();
                files.insert(inside, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// The place of the first byte that differs, for a message that a person can use.
fn first_difference(a: &[u8], b: &[u8]) -> String {
    let place = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let line = a[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
    let around = |bytes: &[u8]| {
        let (start, end) = (place.saturating_sub(60).min(bytes.len()), (place + 60).min(bytes.len()));
        String::from_utf8_lossy(&bytes[start..end]).into_owned()
    };
    format!("line {line}, byte {place}:\n  {}\n  {}", around(a), around(b))
}

fn assert_same(name: &str, first: &Files, other: &Files, what: &str) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(first), names(other), "{name}, {what}: different files");
    for ((path, a), b) in first.iter().zip(other.values()) {
        // The only file that may tell about the machine.
        if path != Path::new("timing.json") && a != b {
            panic!("{name}, {what}: {} differs at {}", path.display(), first_difference(a, b));
        }
    }
}

fn same_on_any_number_of_threads(flight: usize) {
    let (name, until) = FLIGHTS[flight];
    let binary = OsStr::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    let place = tempfile::tempdir().expect("a temporary folder");
    let runs: Vec<(usize, String, Files)> = [1, 2, 4]
        .into_iter()
        .map(|threads| {
            let out = place.path().join(format!("threads-{threads}"));
            let fingerprint = fly(binary, name, until, threads, &out);
            (threads, fingerprint, files(&out))
        })
        .collect();
    let (_, fingerprint, first) = &runs[0];
    assert_eq!(fingerprint.len(), 64, "{fingerprint}");
    let trace = &first[Path::new("trace.jsonl")];
    assert!(trace.iter().filter(|byte| **byte == b'\n').count() > 100, "something happened");
    for (threads, other, files) in &runs[1..] {
        assert_same(name, first, files, &format!("{threads} threads against one"));
        assert_eq!(fingerprint, other);
    }
}

#[test]
fn smoke_is_the_same_on_any_number_of_threads() {
    same_on_any_number_of_threads(0);
}

#[test]
fn leo_ground_is_the_same_on_any_number_of_threads() {
    same_on_any_number_of_threads(1);
}

#[test]
fn lora_valley_is_the_same_on_any_number_of_threads() {
    same_on_any_number_of_threads(2);
}

#[test]
fn mars_relay_is_the_same_on_any_number_of_threads() {
    same_on_any_number_of_threads(3);
}

#[test]
fn another_seed_gives_another_fingerprint() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let fingerprint = |seed: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"))
            .arg("run")
            .arg(scenario("smoke"))
            .args(["--seed", seed, "--json", "--out"])
            .arg(place.path().join(seed))
            .output()
            .expect("the binary starts");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
        json["fingerprint"].as_str().expect("a fingerprint").to_owned()
    };
    assert_ne!(fingerprint("1"), fingerprint("2"));
}

#[test]
#[ignore = "needs a release binary of the same sources, named by COSMOSMESH_RELEASE_BIN"]
fn debug_and_release_builds_give_the_same_bytes() {
    let release = std::env::var_os("COSMOSMESH_RELEASE_BIN").expect("COSMOSMESH_RELEASE_BIN names a binary");
    let place = tempfile::tempdir().expect("a temporary folder");
    for (name, until) in FLIGHTS {
        let run = |binary: &OsStr, build: &str| {
            let out = place.path().join(format!("{name}-{build}"));
            (fly(binary, name, until, 2, &out), files(&out))
        };
        let (debug, debug_files) = run(OsStr::new(env!("CARGO_BIN_EXE_cosmosmesh")), "debug");
        let (optimised, release_files) = run(&release, "release");
        assert_same(name, &debug_files, &release_files, "release against debug");
        assert_eq!(debug, optimised, "{name}");
    }
}
