//! Keys that are taken back where that cannot be kept, or should not be.

use super::{
    faults::Full,
    place::{program, wait_until},
    trust::Fleet,
};
use cosmosmesh_node::{Client, ClientError, Daemon, OpenStore, Refusal, Start};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Cause, KeyId, KeyPair, MAX_REVOKED, RevocationList, Revoked},
    time::DtnTime,
};
use redb::backends::FileBackend;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// The issuer of a fleet of two, on a disk that can be full.
fn issuer(fleet: &Fleet, more: &str, full: &Arc<AtomicBool>) -> Arc<Daemon> {
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let peers = fleet.place.peer(1, "Inbound");
    let trust = fleet.trust(2, ", issuer: \"authority\", statements: [\"certificate-1\"]");
    let switch = full.clone();
    let open_store: OpenStore = Box::new(move |file| {
        let file = FileBackend::new(file)?;
        Ok(Box::new(Full { file, full: switch.clone() }))
    });
    let start = Start { open_store: Some(open_store), ..Start::default() };
    let config = fleet.place.config(2, &format!("{more} peers: [{peers}], {trust}"));
    Arc::new(Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}")))
}

fn reason<T>(asked: Result<T, ClientError>) -> Option<String> {
    match asked {
        Ok(_) => None,
        Err(ClientError::Refused(Refusal { reason, .. })) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_the_disk_does_not_have_is_neither_taken_back_nor_learned() {
    let (fleet, full) = (Fleet::new(), Arc::new(AtomicBool::new(false)));
    let daemon = issuer(&fleet, "", &full);
    let two = Client::of(daemon.clone());
    fleet.certify(5, "authority");
    let certificate = fs::read_to_string(fleet.path("certificate-5")).expect("a certificate");
    full.store(true, Ordering::Relaxed);
    let (tell, told) = mpsc::channel();
    let other = Client::of(daemon.clone());
    let asking = thread::spawn(move || {
        let learned = other.learn(&certificate).expect("an answer");
        tell.send(()).expect("somebody listens");
        learned
    });
    wait_until("the daemon notices", || !two.health().expect("health").ready);
    assert!(told.recv_timeout(Duration::from_millis(700)).is_err(), "learned on a full disk");
    assert_eq!(reason(two.revoke(NodeId(1), Cause::Compromised)).as_deref(), Some("store"));
    full.store(false, Ordering::Relaxed);
    assert_eq!(asking.join().expect("no panic"), [Ok(())], "kept when there is room");
    wait_until("it is ready again", || two.health().expect("health").ready);
    // Before anybody has noticed: where something else has, it is refused, and asked once more.
    for round in 0.. {
        assert!(round < 10, "something else has noticed each time");
        full.store(true, Ordering::Relaxed);
        let (other, switch) = (Client::of(daemon.clone()), full.clone());
        let asking = thread::spawn(move || {
            (other.revoke(NodeId(1), Cause::Compromised), switch.load(Ordering::Relaxed))
        });
        thread::sleep(Duration::from_millis(700));
        full.store(false, Ordering::Relaxed);
        let (list, was_full) = asking.join().expect("no panic");
        if list.is_ok() {
            assert!(!was_full, "it was told before the disk had it");
            break;
        }
        assert_eq!(reason(list).as_deref(), Some("store"));
        wait_until("it is ready again", || two.health().expect("health").ready);
    }
}

#[test]
fn the_issuer_takes_itself_back_only_where_that_is_said() {
    let (fleet, full) = (Fleet::new(), Arc::default());
    let two = Client::of(issuer(&fleet, "", &full));
    assert_eq!(reason(two.revoke(NodeId(2), Cause::Compromised)).as_deref(), Some("own_key"));
    assert_eq!(reason(two.revoke(NodeId(1), Cause::Compromised)), None);
    assert_eq!(two.revoke_even_own(NodeId(2), Cause::Compromised).expect("it is meant").keys, 2);
}

#[test]
fn a_list_that_is_full_gives_no_key_back_for_another() {
    let (fleet, full) = (Fleet::new(), Arc::default());
    let two = Client::of(issuer(&fleet, "", &full));
    let authority = cosmosmesh_node::key::read(&fleet.path("authority")).expect("a key");
    let (since, cause) = (DtnTime(1), Cause::Blocked);
    let keys = (0..MAX_REVOKED as u64).map(|number| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let key = KeyId::of(KeyPair::from_seed(seed).public());
        ((NodeId(1000 + number), key), Revoked { since, cause })
    });
    let list = RevocationList { version: 5, issued: DtnTime(1), keys: keys.collect() }.issue(&authority);
    let digits: String = list.iter().map(|byte| format!("{byte:02x}")).collect();
    let learned = two.learn(&format!("revocations {digits}")).expect("an answer");
    assert_eq!(learned, [Ok(())]);
    assert_eq!(reason(two.revoke(NodeId(1), Cause::Compromised)).as_deref(), Some("revocations_full"));
}

#[test]
fn ctl_learn_tells_by_its_exit_code_what_was_refused_also_in_json() {
    let (fleet, full) = (Fleet::new(), Arc::default());
    let control = super::place::free();
    let two = Client::of(issuer(&fleet, &format!("control: \"{control}\","), &full));
    let list = two.revoke(NodeId(1), Cause::Compromised).expect("it is the issuer");
    fleet.revoke(1);
    let known = fleet.path("known");
    fs::write(&known, format!("{}\n", list.statement)).expect("a file");
    let token = fleet.place.state(2).join("token");
    let learn = |file: &Path, json: bool| {
        let mut command = program();
        command.args(["ctl", "--control", &control.to_string(), "--token"]).arg(&token);
        command.args(json.then_some("--json")).arg("learn").arg(file);
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for json in [false, true] {
        let (code, told) = learn(&fleet.path("revocations"), json);
        assert_eq!(code, Some(1), "{told}");
        assert!(!json || told.contains("revocations_older"), "{told}");
        let (code, told) = learn(&known, json);
        assert_eq!(code, Some(0), "what is known is no news: {told}");
    }
}

#[test]
fn of_many_statements_it_is_told_in_order_what_became_of_each() {
    let (fleet, full) = (Fleet::new(), Arc::default());
    let two = Client::of(issuer(&fleet, "", &full));
    let text = |node: u64| {
        fleet.certify(node, "authority");
        fs::read_to_string(fleet.path(&format!("certificate-{node}"))).expect("a certificate")
    };
    let (five, six) = (text(5), text(6));
    let lines = [five.as_str(); 149].concat() + &six;
    let learned = two.learn(&lines).expect("an answer");
    let told = |learned: &Result<(), Refusal>| learned.as_ref().err().map(|refusal| refusal.reason.clone());
    let told: Vec<_> = learned.iter().map(told).collect();
    assert_eq!((told.len(), &told[0], &told[149]), (150, &None, &None));
    assert!(told[1..149].iter().all(|told| told.as_deref() == Some("trust_stale")), "{told:?}");
}
