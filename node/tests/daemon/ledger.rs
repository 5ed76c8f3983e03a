//! The log of a node that trusts by certificates: proven entry by entry, however long it is, and no burden at the start.

use super::{
    place::{QUICK, free, program, receive, send, wait_until},
    trust::Fleet,
};
use cosmosmesh_node::{Client, ClientError, Disk, adapter::attach};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::Did,
    log::{Entry, Event, Journal, SignedCheckpoint},
    node::{Batch, Change, Kept, Ticket},
    time::DtnTime,
};
use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::atomic::AtomicBool};

/// Entries of a segment.
const SEGMENT: u64 = 1 << 14;

/// Goes on with the log in a store until it has so many entries.
fn lengthen(store: &Path, node: u64, size: u64) {
    let disk = Disk::open_existing(store, true).expect("a store");
    let head = disk.records().expect("records").into_iter().find(|(key, _)| *key == [Kept::LogHead as u8]);
    let mut journal = Journal::restore(NodeId(node), &head.expect("it keeps a log").1).expect("a frontier");
    let mut ticket = 1000;
    while journal.size() < size {
        let mut changes = Vec::new();
        while changes.len() < 8192 && journal.size() < size {
            let index = journal.size();
            let event = Event::Refused { peer: NodeId(0), reason: "test".into(), count: index };
            let value = Entry { index, clock_ms: index, time: DtnTime(index), event }.encode();
            journal.append(&value);
            let mut key = vec![Kept::LogEntry as u8];
            key.extend_from_slice(&index.to_be_bytes());
            changes.push(Change::Put { key, value });
        }
        changes.push(Change::Put { key: vec![Kept::LogHead as u8], value: journal.snapshot() });
        let (deliveries, bundles, reports) = (Vec::new(), Vec::new(), Vec::new());
        disk.commit(&Batch { ticket: Ticket(ticket), changes, deliveries, bundles, reports }).expect("kept");
        ticket += 1;
    }
}

#[test]
fn a_long_log_costs_nothing_at_the_start_and_an_old_entry_is_proven_from_the_archive() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let two = fleet.listening(address, "");
    let did: Did = two.health().expect("health").did.parse().expect("a did");
    let first = two.log_proof(0).expect("an entry");
    assert!(matches!(first.verify(did.key()).expect("proven").event, Event::Started { incarnation: 1 }));
    drop(two);
    let store = fleet.place.state(2).join("store.redb");
    lengthen(&store, 2, 6 * SEGMENT + 100);

    // What a start reads is all records but those of the log.
    let disk = Disk::open_existing(&store, true).expect("a store");
    let read = disk.records().expect("records").len();
    assert!(read < 100, "{read} records");
    drop(disk);
    let two = fleet.listening(address, "");
    let one = fleet.dialling(address);
    // What the node does is what it commits, and with each commit some segments go into the archive.
    for number in 0..20 {
        send(&one, 2, &format!("message {number}"));
        receive(&two);
    }
    let head = two.log().expect("a log");
    assert!(head.archived_segments >= 5 && head.archived_bytes > 5 * SEGMENT * 20, "{head:?}");
    assert!(head.size > 6 * SEGMENT + 120, "{head:?}");
    let claimed = *SignedCheckpoint::parse(&head.checkpoint).expect("a checkpoint").claimed();
    assert_eq!((claimed.size, claimed.log.born), (head.size, 1));
    for index in [0, 7, SEGMENT, 3 * SEGMENT - 1, 5 * SEGMENT + 9, 6 * SEGMENT + 50, head.size - 1] {
        let proof = two.log_proof(index).expect("a proof");
        assert_eq!(proof.verify(did.key()).expect("proven").index, index);
        let other = cosmosmesh_node::LogProof { index: index + 1, ..proof };
        assert!(other.verify(did.key()).is_err(), "it is not the entry after");
    }
    let mut entries = Vec::new();
    while let Some(more) =
        Some(two.log_entries(entries.len() as u64, 9999).expect("entries")).filter(|e| !e.is_empty())
    {
        entries.extend(more);
    }
    assert!(entries.len() as u64 >= head.size);
    for (entry, index) in entries.iter().zip(0..) {
        assert_eq!(Entry::decode(entry).expect("an entry").index, index);
    }
    // Another start; an entry of the archive is altered, and told.
    drop((one, two));
    let file = fs::read_dir(fleet.place.state(2).join("log"))
        .expect("the archive")
        .flatten()
        .map(|file| file.path());
    let first = file.min().expect("a file");
    let mut bytes = fs::read(&first).expect("a segment");
    bytes[100] ^= 1;
    fs::write(&first, bytes).expect("altered");
    let two = fleet.listening(address, "");
    let reason = |index: u64| match two.log_proof(index) {
        Err(ClientError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(3), "log_altered");
    assert_eq!(reason(1 << 40), "log_shorter");
    assert!(two.log_proof(SEGMENT + 3).expect("a proof").verify(did.key()).is_ok());
}

#[test]
fn ctl_shows_an_entry_that_is_proven_and_copies_the_log_for_an_audit() {
    let (fleet, address, control) = (Fleet::new(), free(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let peers = fleet.place.peer(1, "Inbound");
    let rest = format!(
        "control: \"{control}\", listen: (tcpcl: \"{address}\"), peers: [{peers}], {}",
        fleet.trust(2, "")
    );
    let two = Client::of(fleet.place.daemon(2, &rest));
    let one = fleet.dialling(address);
    send(&one, 2, "there");
    receive(&two);
    let token = fleet.place.state(2).join("token");
    let ctl = |words: &[&str]| {
        let mut ctl = program();
        ctl.args(["ctl", "--control", &control.to_string(), "--token"]).arg(&token).arg("log").args(words);
        let output = ctl.output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{words:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        text
    };
    assert!(ctl(&[]).contains("log of incarnation 1: "), "{}", ctl(&[]));
    let entry = ctl(&["--entry", "0"]);
    assert!(entry.contains("started, incarnation 1") && entry.contains("proven: by "), "{entry}");
    let run = fleet.place.path().join("run");
    let told = ctl(&["--export", run.to_str().expect("text")]);
    assert!(told.contains("entries of node-2 are in"), "{told}");
    ctl(&["--export", run.to_str().expect("text")]);
    let members = fs::read_to_string(run.join("logs/members.csv")).expect("a list");
    assert_eq!(members, format!("name,node,did\nnode-2,2,{}\n", fleet.place.did(2)), "one line each");
    assert!(fs::metadata(run.join("logs/node-2.log")).expect("a log").len() > 20);
    assert!(fs::metadata(run.join("logs/node-2.checkpoints")).expect("checkpoints").len() > 100);
}

#[test]
fn an_export_that_fails_leaves_the_copy_of_before_as_it_was() {
    let (fleet, address, control) = (Fleet::new(), free(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    drop(fleet.listening(address, ""));
    lengthen(&fleet.place.state(2).join("store.redb"), 2, 3 * SEGMENT + 100);
    let (peers, trust) = (fleet.place.peer(1, "Inbound"), fleet.trust(2, ""));
    let rest = format!("control: \"{control}\", listen: (tcpcl: \"{address}\"), peers: [{peers}], {trust}");
    let two = Client::of(fleet.place.daemon(2, &rest));
    let _one = fleet.dialling(address);
    wait_until("segments are archived", || two.log().expect("a log").archived_segments >= 2);
    let run = fleet.place.path().join("run");
    let export = || {
        let mut ctl = program();
        ctl.args(["ctl", "--control", &control.to_string(), "--token"])
            .arg(fleet.place.state(2).join("token"));
        ctl.args(["log", "--export"]).arg(&run).output().expect("it runs")
    };
    assert!(export().status.success());
    let logs = run.join("logs");
    let files = || {
        let files = fs::read_dir(&logs).expect("a folder").flatten().map(|file| file.path());
        files.map(|file| (fs::read(&file).expect("a file"), file)).collect::<BTreeSet<_>>()
    };
    let before = files();
    assert_eq!(before.len(), 3, "log, checkpoints and members");
    let archived = fs::read_dir(fleet.place.state(2).join("log")).expect("the archive").flatten();
    fs::remove_file(archived.map(|file| file.path()).max().expect("a file")).expect("moved elsewhere");
    let failed = export();
    let problem = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(2), "{problem}");
    assert!(files() == before, "the log of before is whole, with nothing beside it: {problem}");
}

#[test]
fn a_node_without_an_authority_keeps_no_log() {
    let place = super::place::Place::new();
    let client = Client::of(place.daemon(1, QUICK));
    let refused = client.log().expect_err("none");
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.reason == "no_log"), "{refused}");
}

#[test]
fn a_program_beside_a_daemon_reads_its_nodes_log_from_one_segment_to_the_next() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    drop(fleet.listening(address, ""));
    lengthen(&fleet.place.state(2).join("store.redb"), 2, SEGMENT + 5);
    let two = fleet.listening(address, "");
    let script = "
import json, sys
def ask(**asked):
    print(json.dumps({'type': 'entries', **asked}), flush=True)
    told = json.loads(sys.stdin.readline())
    assert (told['type'], told['id']) == ('entries', asked['id']), told
    return told
assert json.loads(sys.stdin.readline())['type'] == 'hello'
size = ask(id=1)['size']
assert size > 16384 + 5, size
first, = ask(id=2, most=1)['entries']
assert (first['index'], first['words']) == (0, 'started, incarnation 1'), first
both = ask(id=3, first=16383, most=2)['entries']
assert [one['index'] for one in both] == [16383, 16384], both
assert both[1]['words'] == 'refused: test, 16384 times up to then', both
assert len(ask(id=4, first=10, most=5000)['entries']) == 1000
assert ask(id=5, first=size + 1000000, most=1)['entries'] == []
";
    let mut command = Command::new("python3");
    let status = attach(command.args(["-c", script]), &two, &two, &AtomicBool::new(false)).expect("it works");
    assert!(status.success());
}
