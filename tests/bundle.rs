//! `cosmosmesh bundle` and `run --pcap` as a user meets them; what Wireshark says of the capture, where it is installed.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use cosmosmesh::{
    engine::SentBundle,
    report::{Capture, CapturedLink},
    units::{AssetIndex, SimTime},
};
use serde_json::Value;
use tempfile::TempDir;

/// A bundle of RFC 9173, A.1: no checksum anywhere.
const UNPROTECTED: &str = "9f88070000820282010282028202018202820201820018281a000f424085010100005823526561647920746f2067656e657261746520612033322d62797465207061796c6f6164ff";

fn cosmosmesh(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.args(arguments).current_dir(folder.path()).output().expect("the binary starts")
}

#[track_caller]
fn expect(folder: &TempDir, code: i32, arguments: &[&str]) -> String {
    let output = cosmosmesh(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "cosmosmesh {}\n{said}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("UTF-8") + &said
}

#[track_caller]
fn inspected(folder: &TempDir, code: i32, arguments: &[&str]) -> Value {
    let all: Vec<&str> =
        ["bundle", "inspect", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    serde_json::from_str(&expect(folder, code, &all)).expect("JSON")
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn what_is_created_is_accepted_and_shown_as_it_was_asked_for() {
    let folder = temporary();
    let arguments = [
        "bundle",
        "create",
        "--source",
        "ipn:977000.1.1",
        "--destination",
        "dtn://rover/mail",
        "--report-to",
        "ipn:9.0",
        "--lifetime",
        "90 s",
        "--payload",
        "hello",
        "--crc",
        "crc16",
        "--creation-time",
        "823046400000",
        "--sequence",
        "7",
        "--hop-limit",
        "8",
        "--hop-count",
        "2",
        "--age",
        "250",
        "--previous-node",
        "ipn:4.0",
        "--flags",
        "report-delivery,must-not-fragment",
    ];
    let made = expect(&folder, 0, &arguments);
    assert_eq!(made, expect(&folder, 0, &arguments), "the same bytes again");
    let seen = inspected(&folder, 0, &[made.trim()]);
    assert_eq!(seen["accepted"], true);
    assert_eq!(seen["refusals"].as_array().map(Vec::len), Some(0));
    let primary = &seen["bundle"]["primary"];
    assert_eq!(primary["source"], "ipn:977000.1.1");
    assert_eq!(primary["destination"], "dtn://rover/mail");
    assert_eq!(primary["report_to"], "ipn:9.0");
    assert_eq!(primary["lifetime_ms"], 90_000);
    assert_eq!(primary["creation"]["utc"], "2026-01-30T00:00:00.000Z");
    assert_eq!(primary["crc"]["name"], "crc16-x25");
    assert_eq!(primary["crc"]["holds"], true);
    assert_eq!(primary["flags"]["names"], serde_json::json!(["must-not-fragment", "report-delivery"]));
    let blocks = seen["bundle"]["blocks"].as_array().expect("blocks");
    let data: Vec<String> = blocks.iter().map(|block| block["data"].to_string()).collect();
    assert_eq!(
        data,
        [r#"{"node":"ipn:4.0"}"#, r#"{"count":2,"limit":8}"#, r#"{"age_ms":250}"#, r#"{"text":"hello"}"#]
    );
    let lines = expect(&folder, 0, &["bundle", "inspect", made.trim()]);
    for part in [
        "accepted: a bundle of",
        "dtn://rover/mail",
        "must-not-fragment, report-delivery",
        "holds",
        "hop count",
    ] {
        assert!(lines.contains(part), "{part} in\n{lines}");
    }
}

#[test]
fn a_file_and_standard_input_are_read_raw_and_in_hexadecimal() {
    let folder = temporary();
    let create =
        ["bundle", "create", "--source", "ipn:1.1", "--destination", "ipn:2.1", "--payload-hex", "00ff"];
    let hex = expect(&folder, 0, &create);
    expect(&folder, 0, &[&create[..], &["--output", "raw.cbor"]].concat());
    expect(&folder, 0, &[&create[..], &["--output", "text.hex", "--hex"]].concat());
    let shown = inspected(&folder, 0, &[hex.trim()]);
    assert_eq!(inspected(&folder, 0, &["raw.cbor"]), shown);
    assert_eq!(inspected(&folder, 0, &["text.hex"]), shown);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.args(["bundle", "inspect", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let raw = fs::read(folder.path().join("raw.cbor")).expect("it was written");
    child.stdin.take().expect("a pipe").write_all(&raw).expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON"), shown);
}

#[test]
fn a_refused_bundle_is_shown_with_every_reason() {
    let folder = temporary();
    assert_eq!(inspected(&folder, 0, &[UNPROTECTED, "--policy", "lenient"])["accepted"], true);
    let seen = inspected(&folder, 1, &[UNPROTECTED]);
    assert_eq!(seen["accepted"], false);
    let told: Vec<_> = seen["refusals"]
        .as_array()
        .expect("refusals")
        .iter()
        .map(|refusal| (refusal["reason"].as_str().unwrap(), refusal["section"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("unprotected_primary", "RFC 9171 §4.3.1"), ("no_age", "RFC 9171 §4.4.2")]);
    assert_eq!(seen["bundle"]["blocks"][0]["data"]["text"], "Ready to generate a 32-byte payload");
    // An undefined CRC type, and the payload twice: what can be read is there.
    let broken = UNPROTECTED.replace("8501010000", "8501010003").replace("ff", "8501010000400000ff");
    let seen = inspected(&folder, 1, &[&broken]);
    assert_eq!(seen["refusals"][0]["reason"], "undefined_crc_type");
    assert_eq!(seen["refusals"][0]["found"], "3");
    assert_eq!(seen["bundle"]["primary"]["source"], "ipn:2.1");
    let cut = inspected(&folder, 1, &[&UNPROTECTED[..80]]);
    assert_eq!(cut["refusals"][0]["reason"], "truncated");
    assert_eq!(cut["bundle"]["primary"]["destination"], "ipn:1.2");
    assert!(cut["bundle"]["stopped"]["at"].is_u64());
}

#[test]
fn what_cannot_be_looked_at_is_no_verdict() {
    let folder = temporary();
    fs::write(folder.path().join("empty"), "").expect("a file");
    fs::write(folder.path().join("odd.hex"), "9f0").expect("a file");
    for input in ["no-such-file", "9f0", "", "empty", "odd.hex"] {
        expect(&folder, 2, &["bundle", "inspect", input]);
    }
    expect(&folder, 2, &["bundle", "inspect"]);
    let unprotected =
        ["bundle", "create", "--source", "ipn:1.1", "--destination", "ipn:2.1", "--crc", "none"];
    assert!(expect(&folder, 2, &unprotected).contains("§4.3.1"));
    expect(&folder, 0, &[&unprotected[..], &["--policy", "lenient"]].concat());
    let flags = ["bundle", "create", "--source", "ipn:1.1", "--destination", "ipn:2.1", "--flags", "fast"];
    assert!(expect(&folder, 2, &flags).contains("report-delivery"));
}

fn smoke() -> String {
    format!("{}/scenarios/smoke.ron", env!("CARGO_MANIFEST_DIR"))
}

/// Fields of every packet, a line each; `None` where Wireshark is not installed.
fn tshark(capture: &Path, fields: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            // Read by whoever runs the tests with their output shown.
            let _ = writeln!(std::io::stderr(), "skipped: tshark: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(ToOwned::to_owned).collect())
}

#[test]
fn a_capture_changes_nothing_and_does_not_depend_on_threads() {
    let folder = temporary();
    let smoke = smoke();
    let fingerprint = |arguments: &[&str]| {
        let all = [&["run", &smoke, "--json"][..], arguments].concat();
        let printed = expect(&folder, 0, &all);
        let run: Value = serde_json::from_str(&printed).expect("JSON");
        run["fingerprint"].as_str().expect("a fingerprint").to_owned()
    };
    let without = fingerprint(&["--out", "a", "--threads", "1"]);
    assert!(!folder.path().join("a/bundles.pcapng").exists());
    assert_eq!(fingerprint(&["--out", "b", "--threads", "1", "--pcap"]), without);
    assert_eq!(fingerprint(&["--out", "c", "--threads", "2", "--pcap"]), without);
    let capture = |name: &str| fs::read(folder.path().join(name).join("bundles.pcapng")).expect("a capture");
    assert!(capture("b").len() > 1000);
    assert_eq!(capture("b"), capture("c"));
}

#[test]
fn wireshark_reads_every_packet_of_a_run_as_a_bundle() {
    let folder = temporary();
    expect(&folder, 0, &["run", &smoke(), "--out", "run", "--pcap"]);
    let capture = folder.path().join("run/bundles.pcapng");
    let fields =
        ["frame.protocols", "_ws.malformed", "udp.dstport", "frame.interface_name", "bpv7.bundle.dst_uri"];
    let Some(packets) = tshark(&capture, &fields[..4]) else { return };
    assert!(packets.len() > 10);
    for packet in &packets {
        let cells: Vec<&str> = packet.split('\t').collect();
        assert!(cells[0].starts_with("raw:ip:udp:") && cells[0].contains("bpv7"), "{packet}");
        assert_eq!((cells[1], cells[2]), ("", "4556"), "{packet}");
        assert!(cells[3].contains(" to "), "{packet}");
    }
    // Its own judgement of checksums: 1 is good.
    let crc = tshark(&capture, &["bpv7.crc_status"]).expect("it is installed");
    assert!(
        crc.iter().all(|line| !line.is_empty() && line.split(',').all(|status| status == "1")),
        "{crc:?}"
    );
}

#[test]
fn wireshark_finds_nothing_malformed_in_bundles_of_any_size() {
    let folder = temporary();
    let path = folder.path().join("sizes.pcapng");
    let link = CapturedLink { name: "a to b".into(), from: 1, to: 2 };
    let file = fs::File::create(&path).expect("a file");
    let mut capture = Capture::new(file, Duration::ZERO, vec![link]).expect("a capture");
    let create = ["bundle", "create", "--source", "ipn:1.1", "--destination", "ipn:2.1", "--hop-limit", "3"];
    for (length, crc) in
        [(0, "crc16"), (65_400, "crc32c"), (65_507, "none"), (70_000, "crc32c"), (200_000, "none")]
    {
        fs::write(folder.path().join("payload"), vec![0x61; length]).expect("a file");
        let rest = ["--payload-file", "payload", "--output", "b.cbor", "--crc", crc, "--policy", "lenient"];
        expect(&folder, 0, &[&create[..], &rest].concat());
        let wire = fs::read(folder.path().join("b.cbor")).expect("it was made");
        capture.add(&SentBundle { time: SimTime(1), from: AssetIndex(0), link: 0, wire });
    }
    drop(capture.finish().expect("it is written"));
    let fields = ["_ws.malformed", "frame.protocols", "_ws.short", "frame.comment"];
    let Some(packets) = tshark(&path, &fields) else { return };
    let filled = |line: &String| line.split('\t').map(|cell| !cell.is_empty()).collect::<Vec<_>>();
    let (whole, cut) = (vec![false, true, false, false], vec![false, true, true, true]);
    let expected = [whole.clone(), whole, cut.clone(), cut.clone(), cut];
    assert_eq!(packets.iter().map(filled).collect::<Vec<_>>(), expected, "{packets:?}");
}
