//! `audit` and `policy explain` as a user calls them: a run's logs hold, and each kind of tampering is named.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};
use tempfile::TempDir;

fn scenario(name: &str) -> String {
    format!("{}/scenarios/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn cosmosmesh(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cosmosmesh")).args(arguments).output().expect("the binary starts")
}

fn json(arguments: &[&str], code: i32) -> Value {
    let output = cosmosmesh(arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("JSON")
}

/// One run for all tests; each looks at a copy.
fn run() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = RUN.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("camp");
        let output =
            cosmosmesh(&["run", &scenario("trusted_camp.ron"), "--out", path.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        (folder, path)
    });
    path
}

/// A copy of the run's logs.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        Self::of(run())
    }

    fn of(run: &Path) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("logs")).expect("a folder");
        for entry in fs::read_dir(run.join("logs")).expect("logs") {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_owned();
            fs::copy(&path, folder.path().join("logs").join(name)).expect("copied");
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("logs").join(name)
    }

    fn entries(&self, name: &str) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.file(&format!("{name}.log"))).expect("a log");
        let mut reader = cosmosmesh_protocol::cbor::Reader::new(&bytes);
        let mut entries = Vec::new();
        while reader.peek().is_some() {
            entries.push(reader.bytes().expect("an entry").to_vec());
        }
        entries
    }

    fn write(&self, name: &str, entries: &[Vec<u8>]) {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| cosmosmesh_protocol::cbor::put_bytes(&mut bytes, entry));
        fs::write(self.file(&format!("{name}.log")), bytes).expect("writable");
    }

    fn audit(&self, code: i32) -> Value {
        json(&["audit", self.0.path().to_str().expect("UTF-8"), "--json"], code)
    }

    fn first_lie(&self) -> (String, String) {
        let found = self.audit(1);
        let word = |name: &str| found["first_lie"][name].as_str().expect("a word").to_owned();
        (word("asset"), word("kind"))
    }
}

#[test]
fn the_logs_of_an_honest_run_hold_and_are_vouched_for() {
    let audit = Copy::new().audit(0);
    assert_eq!(audit["lies"], Value::Array(Vec::new()));
    let number = |name: &str| audit[name].as_u64().expect("a number");
    assert!(number("entries") > 200, "{audit}");
    // Each of the four has its own, and those of the other three; two are witnesses.
    assert!(number("checkpoints") >= 16 && number("cosignatures") >= 4, "{audit}");
}

#[test]
fn the_story_of_a_message_is_told_from_both_ends_with_proofs() {
    let run = run().to_str().expect("UTF-8");
    let audit = json(&["audit", run, "--message", "rover:drill:command:2", "--json"], 0);
    let story = audit["story"].as_array().expect("a story");
    let told: Vec<(&str, bool)> = story
        .iter()
        .map(|line| (line["asset"].as_str().expect("a name"), line["proven"].as_bool().expect("a truth")))
        .collect();
    assert_eq!(told, [("rover", true), ("drill", true)]);
    assert!(story[0]["what"].as_str().expect("words").starts_with("sent command 2"));
    let payload = |line: &Value| line["what"].as_str().expect("words").rsplit(' ').next().map(str::to_owned);
    assert_eq!(payload(&story[0]), payload(&story[1]));
}

#[test]
fn certificates_are_renewed_over_the_network_and_orders_go_on() {
    use cosmosmesh_protocol::log::{Entry, Event};
    let copy = Copy::new();
    let events = |name: &str| -> Vec<Entry> {
        let entries = copy.entries(name);
        entries.iter().map(|bytes| Entry::decode(bytes).expect("an entry")).collect()
    };
    for name in ["habitat", "rover", "drill"] {
        let renewed: std::collections::BTreeSet<u64> = events(name)
            .into_iter()
            .filter_map(|entry| match entry.event {
                Event::Learned { what, about, .. } if &*what == "certificate" => Some(about.0),
                _ => None,
            })
            .collect();
        assert_eq!(renewed.into_iter().collect::<Vec<u64>>(), [1, 2, 3], "{name}: not the drone's");
    }
    // The rover's orders are taken until the end, 10 minutes after its first certificate.
    let last = events("drill").into_iter().filter_map(|entry| match entry.event {
        Event::Accepted { message, .. }
            if message.purpose == cosmosmesh_protocol::envelope::Purpose::Command =>
        {
            Some(entry.clock_ms)
        }
        _ => None,
    });
    assert!(last.max().is_some_and(|at| at > 45 * 60_000));
    let denied = events("drill").into_iter().filter(|entry| matches!(entry.event, Event::Denied { .. }));
    assert_eq!(denied.count(), 0);
}

#[test]
fn incidents_tell_of_the_denied_orders_and_of_the_stolen_key() {
    let run = run().to_str().expect("UTF-8");
    let text = String::from_utf8(cosmosmesh(&["audit", run, "--incidents"]).stdout).expect("UTF-8");
    assert!(text.contains("rover #") && text.contains("denied drill to command: no-rule"), "{text}");
    assert!(text.contains("learned revocations of the authority"), "{text}");
    assert!(text.contains("refused: blocked_source"), "{text}");
    assert!(!text.contains("UNPROVEN"), "{text}");
}

#[test]
fn an_altered_entry_is_named_within_the_checkpoints_around_it() {
    let copy = Copy::new();
    let mut entries = copy.entries("drill");
    let middle = entries.len() / 2;
    let last = entries[middle].len() - 1;
    entries[middle][last] ^= 1;
    copy.write("drill", &entries);
    let found = copy.audit(1);
    let first = &found["first_lie"];
    assert_eq!(
        (first["asset"].as_str(), first["kind"].as_str()),
        (Some("drill"), Some("altered")),
        "{found}"
    );
    let bound = |name: &str| first[name].as_u64().expect("a number") as usize;
    assert!((bound("from")..=bound("to")).contains(&middle), "{found}");
    assert!(bound("to") - bound("from") < entries.len(), "{found}");
}

#[test]
fn a_truncated_log_is_named() {
    let copy = Copy::new();
    let mut entries = copy.entries("rover");
    entries.truncate(entries.len() - 5);
    copy.write("rover", &entries);
    assert_eq!(copy.first_lie(), ("rover".into(), "truncated".into()));
}

#[test]
fn a_truncated_log_without_checkpoints_of_its_own_is_still_caught_by_the_others() {
    let copy = Copy::new();
    let mut entries = copy.entries("rover");
    entries.truncate(entries.len() / 2);
    copy.write("rover", &entries);
    fs::remove_file(copy.file("rover.checkpoints")).expect("there");
    let found = copy.audit(1);
    assert_eq!(found["first_lie"]["kind"], "truncated");
    assert_ne!(found["first_lie"]["holder"], "rover");
}

/// The parts of a file of checkpoints.
fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut reader = cosmosmesh_protocol::cbor::Reader::new(bytes);
    reader.array_of(3).expect("three parts");
    let own = reader.bytes().expect("the own checkpoint").to_vec();
    let mut list = || -> Vec<Vec<u8>> {
        let count = reader.array().expect("a list");
        (0..count).map(|_| reader.bytes().expect("signed").to_vec()).collect()
    };
    let (seen, cosignatures) = (list(), list());
    (own, seen, cosignatures)
}

fn joined(own: &[u8], seen: &[Vec<u8>], cosignatures: &[Vec<u8>]) -> Vec<u8> {
    use cosmosmesh_protocol::cbor;
    let mut out = Vec::new();
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_bytes(&mut out, own);
    for list in [seen, cosignatures] {
        cbor::put_head(&mut out, cbor::ARRAY, list.len() as u64);
        list.iter().for_each(|signed| cbor::put_bytes(&mut out, signed));
    }
    out
}

fn keys(asset: u32) -> cosmosmesh_protocol::identity::KeyPair {
    use cosmosmesh::{engine::RandomStreams, runtime::keys_of, units::AssetIndex};
    keys_of(&RandomStreams::new(1), AssetIndex(asset))
}

#[test]
fn a_truncated_log_that_its_owner_signed_anew_is_still_caught_by_the_others() {
    use cosmosmesh_protocol::log::{Checkpoint, SignedCheckpoint, Tree, leaf_hash};
    let copy = Copy::new();
    let mut entries = copy.entries("rover");
    entries.truncate(entries.len() / 2);
    copy.write("rover", &entries);
    let (own, seen, _) = parts(&fs::read(copy.file("rover.checkpoints")).expect("there"));
    let claimed = *SignedCheckpoint::parse(&own).expect("signed").claimed();
    let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let (size, root) = (tree.size(), tree.root(tree.size()).expect("all of it"));
    let own = Checkpoint { size, root, ..claimed }.sign(&keys(1));
    fs::write(copy.file("rover.checkpoints"), joined(&own, &seen, &[])).expect("writable");
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!((&lie["asset"], &lie["kind"]), (&"rover".into(), &"truncated".into()), "{found}");
    assert_ne!(lie["holder"], "rover");
}

#[test]
fn a_past_that_was_thrown_away_for_a_new_birth_is_not_silent() {
    use cosmosmesh_protocol::{
        id::NodeId,
        log::{Checkpoint, Entry, Event, LogId, Tree, leaf_hash},
        time::DtnTime,
    };
    let copy = Copy::new();
    let event = Event::Started { incarnation: 9 };
    let entries = vec![Entry { index: 0, clock_ms: 0, time: DtnTime(0), event }.encode()];
    copy.write("drill", &entries);
    let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let log = LogId { node: NodeId(3), born: 9 };
    let own = Checkpoint { log, size: 1, root: tree.root(1).expect("one"), time: DtnTime(0) }.sign(&keys(2));
    fs::write(copy.file("drill.checkpoints"), joined(&own, &[], &[])).expect("writable");
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!((&lie["asset"], &lie["kind"]), (&"drill".into(), &"discarded".into()), "{found}");
    assert_eq!(lie["born"], 1);
}

#[test]
fn a_made_up_signature_under_a_log_is_its_signers_and_the_owners_log_holds() {
    use cosmosmesh_protocol::{
        id::NodeId,
        log::{Checkpoint, SignedCheckpoint},
    };
    let copy = Copy::new();
    let path = copy.file("rover.checkpoints");
    let (own, seen, mut cosignatures) = parts(&fs::read(&path).expect("there"));
    let claimed = *SignedCheckpoint::parse(&own).expect("signed").claimed();
    let made_up = Checkpoint { size: 1_000_000_000, root: [7; 32], ..claimed };
    cosignatures.push(made_up.cosign(NodeId(4), &keys(3)));
    fs::write(&path, joined(&own, &seen, &cosignatures)).expect("writable");
    // And one in the rover's name that nobody signed, in the drone's own file.
    let path = copy.file("drone.checkpoints");
    let (own, mut seen, cosignatures) = parts(&fs::read(&path).expect("there"));
    seen.push(made_up.sign(&keys(3)));
    fs::write(&path, joined(&own, &seen, &cosignatures)).expect("writable");
    let found = copy.audit(1);
    let lies = found["lies"].as_array().expect("a list");
    let told: Vec<(&str, &str)> = lies
        .iter()
        .map(|lie| (lie["asset"].as_str().expect("a name"), lie["kind"].as_str().expect("a word")))
        .collect();
    assert_eq!(told, [("drone", "bad_signature"), ("drone", "unsupported")], "{found}");
}

#[test]
fn a_run_in_which_a_fork_was_caught_does_not_hold() {
    use cosmosmesh_protocol::{
        id::NodeId,
        log::{Brief, Checkpoint, Entry, Event, LogId, Tree, leaf_hash},
        time::DtnTime,
    };
    let copy = Copy::new();
    let mut entries = copy.entries("drone");
    let (first, second) = (Brief::of(b"one"), Brief::of(b"other"));
    let event = Event::Caught { peer: NodeId(2), at: "two_roots".into(), first, second };
    let index = entries.len() as u64;
    entries.push(Entry { index, clock_ms: 0, time: DtnTime(0), event }.encode());
    copy.write("drone", &entries);
    let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let log = LogId { node: NodeId(4), born: 1 };
    let (size, root) = (tree.size(), tree.root(tree.size()).expect("all of it"));
    let own = Checkpoint { log, size, root, time: DtnTime(0) }.sign(&keys(3));
    let path = copy.file("drone.checkpoints");
    let (_, seen, cosignatures) = parts(&fs::read(&path).expect("there"));
    fs::write(&path, joined(&own, &seen, &cosignatures)).expect("writable");
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!(
        (&lie["asset"], &lie["kind"], &lie["by"]),
        (&"rover".into(), &"caught".into(), &"drone".into())
    );
}

#[test]
fn reordered_entries_are_named() {
    let copy = Copy::new();
    let mut entries = copy.entries("habitat");
    entries.swap(20, 21);
    copy.write("habitat", &entries);
    let found = copy.audit(1);
    assert_eq!(found["first_lie"]["kind"], "reordered", "{found}");
    assert_eq!((&found["first_lie"]["entry"], &found["first_lie"]["says"]), (&20.into(), &21.into()));
}

#[test]
fn a_log_that_was_written_anew_and_signed_anew_is_a_fork() {
    use cosmosmesh_protocol::{
        identity::KeyPair,
        log::{Checkpoint, Entry, SignedCheckpoint, Tree, leaf_hash},
    };
    let copy = Copy::new();
    // The rover's owner has its key (the run's seed), changes the past, and signs what comes out.
    let mut entries = copy.entries("rover");
    let mut entry = Entry::decode(&entries[10]).expect("an entry");
    entry.clock_ms += 1;
    entries[10] = entry.encode();
    copy.write("rover", &entries);
    let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let bytes = fs::read(copy.file("rover.checkpoints")).expect("there");
    let mut reader = cosmosmesh_protocol::cbor::Reader::new(&bytes);
    reader.array_of(3).expect("three parts");
    let own = reader.bytes().expect("the own checkpoint");
    let claimed = *SignedCheckpoint::parse(own).expect("signed").claimed();
    let keys: KeyPair = {
        use cosmosmesh::{engine::RandomStreams, runtime::keys_of, units::AssetIndex};
        keys_of(&RandomStreams::new(1), AssetIndex(1))
    };
    let root = tree.root(claimed.size).expect("as long as before");
    let signed = Checkpoint { root, ..claimed }.sign(&keys);
    assert_eq!(signed.len(), own.len());
    let at = bytes.windows(own.len()).position(|part| part == own).expect("in the file");
    let mut changed = bytes.clone();
    changed[at..at + own.len()].copy_from_slice(&signed);
    fs::write(copy.file("rover.checkpoints"), changed).expect("writable");
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!((&lie["asset"], &lie["kind"]), (&"rover".into(), &"forked".into()), "{found}");
}

#[test]
fn a_message_that_nobody_sent_is_a_contradiction() {
    // A receiver that lies from the start: its log is whole and signed, and says that it took what was never sent. Only the sender's log tells.
    let copy = Copy::new();
    let mut entries = copy.entries("rover");
    entries.truncate(1);
    copy.write("rover", &entries);
    for name in ["habitat", "rover", "drill", "drone"] {
        fs::write(copy.file(&format!("{name}.checkpoints")), empty_checkpoints(&copy, name))
            .expect("writable");
    }
    let found = copy.audit(1);
    let contradictions =
        found["lies"].as_array().expect("a list").iter().filter(|lie| lie["kind"] == "contradiction");
    assert!(contradictions.clone().count() > 5, "{found}");
    assert!(
        contradictions.into_iter().all(|lie| lie["peer"] == "rover" && lie["instead"] == "no such message")
    );
}

/// The file of checkpoints of an asset whose log begins anew: signed over what the log is now, with nothing of the others.
fn empty_checkpoints(copy: &Copy, name: &str) -> Vec<u8> {
    use cosmosmesh::{engine::RandomStreams, runtime::keys_of, units::AssetIndex};
    use cosmosmesh_protocol::{
        cbor,
        id::NodeId,
        log::{Checkpoint, LogId, Tree, leaf_hash},
        time::DtnTime,
    };
    let number =
        ["habitat", "rover", "drill", "drone"].iter().position(|known| *known == name).expect("known");
    let tree: Tree = copy.entries(name).iter().map(|entry| leaf_hash(entry)).collect();
    let log = LogId { node: NodeId(number as u64 + 1), born: 1 };
    let (size, root) = (tree.size(), tree.root(tree.size()).expect("all of it"));
    let checkpoint = Checkpoint { log, size, root, time: DtnTime(0) };
    let mut out = Vec::new();
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_bytes(&mut out, &checkpoint.sign(&keys_of(&RandomStreams::new(1), AssetIndex(number as u32))));
    cbor::put_head(&mut out, cbor::ARRAY, 0);
    cbor::put_head(&mut out, cbor::ARRAY, 0);
    out
}

#[test]
fn a_trusted_list_of_members_exposes_keys_that_were_swapped_in_the_folder() {
    let copy = Copy::new();
    let trusted = run().join("logs/members.csv");
    let path = copy.file("members.csv");
    let text = fs::read_to_string(&path).expect("a list");
    let rows: Vec<&str> = text.lines().collect();
    let did = |row: &str| row.rsplit(',').next().expect("three fields").to_owned();
    fs::write(&path, text.replace(&did(rows[2]), &did(rows[3]))).expect("writable");
    assert_eq!(copy.audit(1)["first_lie"]["kind"], "bad_signature");
    let folder = copy.0.path().to_str().expect("UTF-8");
    json(&["audit", folder, "--members", trusted.to_str().expect("UTF-8"), "--json"], 0);
}

#[test]
fn a_run_without_logs_is_no_audit() {
    let folder = TempDir::new().expect("a folder");
    let output = cosmosmesh(&["audit", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn logs_are_the_same_on_any_number_of_threads() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("camp");
    let arguments =
        ["run", &scenario("trusted_camp.ron"), "--threads", "2", "--out", path.to_str().expect("UTF-8")];
    assert_eq!(cosmosmesh(&arguments).status.code(), Some(0));
    for entry in fs::read_dir(run().join("logs")).expect("logs") {
        let original = entry.expect("a file").path();
        let name = original.file_name().expect("a name");
        let same = fs::read(&original).expect("readable")
            == fs::read(path.join("logs").join(name)).expect("readable");
        assert!(same, "{name:?}");
    }
}

#[test]
fn a_plans_commit_is_in_the_logs() {
    let folder = TempDir::new().expect("a folder");
    let text = fs::read_to_string(scenario("energy_sharing.ron")).expect("readable");
    let end = text.rfind(')').expect("a scenario");
    let grants = "grants: [(members: [\"@all\"], role: \"operator\")]";
    let trusted = format!("{}    trust: (authority: \"habitat\", {grants}),\n)\n", &text[..end]);
    let path = folder.path().join("trusted.ron");
    fs::write(&path, trusted).expect("writable");
    let run = folder.path().join("run");
    let output = cosmosmesh(&["run", path.to_str().expect("UTF-8"), "--out", run.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let audit = json(&["audit", run.to_str().expect("UTF-8"), "--plan", "0", "--json"], 0);
    let story = audit["story"].as_array().expect("a story");
    assert!(!story.is_empty() && story.iter().all(|line| line["proven"] == true), "{audit}");
    a_coordinator_that_told_two_stories_is_named(&run);
}

/// One member was told other prices: its own log says so, whole and signed. Only beside the others' it shows.
fn a_coordinator_that_told_two_stories_is_named(run: &Path) {
    use cosmosmesh::{engine::RandomStreams, runtime::keys_of, units::AssetIndex};
    use cosmosmesh_protocol::{
        cbor,
        id::NodeId,
        log::{Brief, Checkpoint, Entry, Event, LogId, Tree, leaf_hash},
        time::DtnTime,
    };
    let logs = run.join("logs");
    let members = fs::read_to_string(logs.join("members.csv")).expect("a list");
    let names: Vec<(String, u64)> = members
        .lines()
        .skip(1)
        .map(|row| {
            let mut fields = row.split(',');
            let name = fields.next().expect("a name").to_owned();
            (name, fields.next().expect("a number").parse().expect("a number"))
        })
        .collect();
    for (place, (name, number)) in names.iter().enumerate() {
        let bytes = fs::read(logs.join(format!("{name}.log"))).expect("a log");
        let mut reader = cbor::Reader::new(&bytes);
        let mut entries = Vec::new();
        while reader.peek().is_some() {
            entries.push(reader.bytes().expect("an entry").to_vec());
        }
        for bytes in entries.iter_mut().filter(|_| name == "workshop") {
            let mut entry = Entry::decode(bytes).expect("an entry");
            if let Event::PlanCommitted { version, .. } = &mut entry.event {
                *version = Brief([0; 8]);
                *bytes = entry.encode();
            }
        }
        let mut out = Vec::new();
        entries.iter().for_each(|entry| cbor::put_bytes(&mut out, entry));
        fs::write(logs.join(format!("{name}.log")), out).expect("writable");
        let tree: Tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let (size, root) = (tree.size(), tree.root(tree.size()).expect("all of it"));
        let log = LogId { node: NodeId(*number), born: 1 };
        let keys = keys_of(&RandomStreams::new(1), AssetIndex(place as u32));
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, 3);
        cbor::put_bytes(&mut out, &Checkpoint { log, size, root, time: DtnTime(0) }.sign(&keys));
        cbor::put_head(&mut out, cbor::ARRAY, 0);
        cbor::put_head(&mut out, cbor::ARRAY, 0);
        fs::write(logs.join(format!("{name}.checkpoints")), out).expect("writable");
    }
    let audit = json(&["audit", run.to_str().expect("UTF-8"), "--json"], 1);
    let found: Vec<&Value> = audit["lies"].as_array().expect("a list").iter().collect();
    assert!(!found.is_empty() && found.iter().all(|lie| lie["kind"] == "two_plans"), "{audit}");
    assert!(found.iter().any(|lie| lie["asset"] == "workshop" || lie["peer"] == "workshop"), "{audit}");
}

#[test]
fn the_policy_says_who_may_do_what_and_why() {
    let camp = scenario("trusted_camp.ron");
    let ask = |who: &str, may: &str, at: &str, code: i32| {
        let answers =
            json(&["policy", "explain", &camp, "--who", who, "--may", may, "--at", at, "--json"], code);
        answers[0]["rule"].as_str().expect("a rule").to_owned()
    };
    assert_eq!(ask("rover", "command", "drill", 0), "operators-command");
    assert_eq!(ask("drill", "command", "rover", 1), "no-rule");
    assert_eq!(ask("drone", "read-log", "rover", 0), "members-report");
    let all = json(&["policy", "explain", &camp, "--json"], 0);
    assert_eq!(all.as_array().map(Vec::len), Some(4 * 3 * 9));
    let grace =
        ["policy", "explain", &camp, "--who", "rover", "--may", "command", "--at", "drill", "--in-grace"];
    let output = cosmosmesh(&grace);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("certificate-grace"));
    let missing = cosmosmesh(&["policy", "explain", &scenario("smoke.ron")]);
    assert_eq!(missing.status.code(), Some(2));
}

/// The camp, in which the drill loses its disk in the middle, and begins another log.
fn with_a_lost_disk() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = RUN.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let text = fs::read_to_string(scenario("trusted_camp.ron")).expect("readable");
        let end = text.rfind(')').expect("a scenario ends");
        let fault =
            r#"    faults: [AssetDown(asset: "drill", start: "30 min 30 s", end: "32 min", disk: Lost)],"#;
        let file = folder.path().join("camp.ron");
        fs::write(&file, format!("{}{fault}\n)\n", &text[..end])).expect("writable");
        let path = folder.path().join("camp");
        let (file, out) = (file.to_str().expect("UTF-8"), path.to_str().expect("UTF-8"));
        let output = cosmosmesh(&["run", file, "--out", out]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        (folder, path)
    });
    path
}

#[test]
fn messages_of_an_asset_that_lost_its_disk_are_no_duplicates() {
    let text = fs::read_to_string(with_a_lost_disk().join("metrics.json")).expect("metrics");
    let metrics: Value = serde_json::from_str(&text).expect("JSON");
    let metric =
        |name: &str| metrics[name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {text}"));
    assert_eq!(metric("delivery.duplicates_delivered"), 0.0);
    let settled = metric("delivery.delivered") + metric("delivery.abandoned");
    assert_eq!(metric("delivery.in_flight_at_end"), metric("delivery.submitted") - settled);
}

#[test]
fn a_log_that_was_lost_with_its_disk_is_audited_too_and_its_absence_is_told() {
    let copy = Copy::of(with_a_lost_disk());
    let number = |audit: &Value, name: &str| audit[name].as_u64().expect("a number");
    let whole = copy.audit(0);
    let (earlier, present) = (copy.entries("drill.1").len() as u64, copy.entries("drill").len() as u64);
    assert!(earlier > 50 && present > 20, "{earlier} and {present} entries");
    let all: u64 = ["habitat", "rover", "drone"].iter().map(|name| copy.entries(name).len() as u64).sum();
    assert_eq!(number(&whole, "entries"), all + earlier + present);
    // An entry of it is changed: named within what the others keep of it.
    let mut entries = copy.entries("drill.1");
    let middle = entries.len() / 2;
    let last = entries[middle].len() - 1;
    entries[middle][last] ^= 1;
    copy.write("drill.1", &entries);
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!((&lie["asset"], &lie["kind"]), (&"drill".into(), &"altered".into()), "{found}");
    assert_eq!(lie["incarnation"], 1, "{found}");
    // It is cut: the others keep longer checkpoints.
    entries.truncate(10);
    copy.write("drill.1", &entries);
    fs::remove_file(copy.file("drill.1.checkpoints")).expect("there");
    let found = copy.audit(1);
    assert_eq!(found["first_lie"]["kind"], "truncated", "{found}");
    assert_ne!(found["first_lie"]["holder"], "drill");
    // It is gone: that, too, is told.
    fs::remove_file(copy.file("drill.1.log")).expect("there");
    let found = copy.audit(1);
    let lie = &found["first_lie"];
    assert_eq!(
        (&lie["asset"], &lie["kind"], &lie["born"]),
        (&"drill".into(), &"discarded".into(), &1.into())
    );
}
