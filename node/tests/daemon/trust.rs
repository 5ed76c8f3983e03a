//! Sessions by what an authority has signed, and how they end when it takes that back.

use super::{
    clocks::{YEAR_MS, clock_from},
    place::{Place, QUICK, free, program, receive, send, wait_until},
};
use cosmosmesh_node::{Client, ClientError, Daemon, Start};
use cosmosmesh_protocol::{id::NodeId, identity::Cause};
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A place with an authority.
pub(super) struct Fleet {
    pub(super) place: Place,
    authority: String,
}

fn run(words: &[&str]) -> Output {
    program().args(words).output().expect("it runs")
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

impl Fleet {
    pub(super) fn new() -> Self {
        let place = Place::new();
        let key = place.path().join("authority");
        let authority = text(run(&["certify", "authority", "--key", key.to_str().expect("text")]));
        Self { authority: authority.trim().to_owned(), place }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Has a certificate made for a node, by the key in the file `by`.
    pub(super) fn certify(&self, node: u64, by: &str) {
        let (key, out) = (self.path(by), self.path(&format!("certificate-{node}")));
        let (node, did) = (node.to_string(), self.place.did(node));
        let (key, out) = (key.to_str().expect("text"), out.to_str().expect("text"));
        text(run(&[
            "certify", "issue", "--key", key, "--node", &node, "--did", &did, "--role", "operator", "--out",
            out,
        ]));
    }

    pub(super) fn trust(&self, node: u64, more: &str) -> String {
        let authority = &self.authority;
        format!(
            "tls: Require, trust: (authority: \"{authority}\", certificate: \"certificate-{node}\", interval_s: 1{more}), {QUICK}"
        )
    }

    pub(super) fn listening(&self, address: SocketAddr, more: &str) -> Client {
        let peers = self.place.peer(1, "Inbound");
        let trust = self.trust(2, more);
        Client::of(
            self.place.daemon(2, &format!("listen: (tcpcl: \"{address}\"), peers: [{peers}], {trust}")),
        )
    }

    pub(super) fn dialling(&self, address: SocketAddr) -> Client {
        let peers = self.place.peer(2, &format!("Tcpcl(\"{address}\")"));
        Client::of(self.place.daemon(1, &format!("peers: [{peers}], {}", self.trust(1, ""))))
    }

    /// Takes a node's key back, in the file `revocations`.
    pub(super) fn revoke(&self, node: u64) {
        let (key, list) = (self.path("authority"), self.path("revocations"));
        let (number, did) = (node.to_string(), self.place.did(node));
        let (key, list) = (key.to_str().expect("text"), list.to_str().expect("text"));
        let words = ["certify", "revoke", "--key", key, "--node", &number, "--did", &did];
        text(run(&[words.as_slice(), &["--cause", "compromised", "--list", list]].concat()));
    }
}

fn refused(at: &Client, reason: &str) -> bool {
    at.metrics().expect("metrics").contains(&format!("door=\"tls\",reason=\"{reason}\""))
}

#[test]
fn members_that_show_their_certificates_exchange_messages_until_a_key_is_taken_back() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    // Neither has the other's certificate: each shows its own.
    let two = fleet.listening(address, "");
    let one = fleet.dialling(address);
    send(&one, 2, "there");
    assert_eq!(receive(&two), "there");
    send(&two, 1, "back");
    assert_eq!(receive(&one), "back");
    assert!(!two.metrics().expect("metrics").contains("door=\"tls\""));

    fleet.revoke(1);
    let list = std::fs::read_to_string(fleet.path("revocations")).expect("a list");
    assert!(two.learn(&list).expect("an answer").iter().all(Result::is_ok));
    wait_until("its session ends", || two.peers().expect("peers")[0].links_up == 0);
    wait_until("it gets no other", || refused(&two, "key_compromised"));
    let again = two.learn(&list).expect("an answer");
    assert_eq!(again[0].as_ref().map_err(|refusal| refusal.reason.as_str()), Err("trust_stale"));
    assert!(two.learn("certificate zz").is_err());
}

#[test]
fn who_holds_the_authoritys_key_takes_a_key_back_and_a_list_that_is_no_newer_is_no_success() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let two = fleet.listening(address, ", issuer: \"authority\"");
    let one = fleet.dialling(address);
    send(&one, 2, "there");
    assert_eq!(receive(&two), "there");
    let reason = |error: ClientError| match error {
        ClientError::Refused(refusal) => refusal.reason,
        error => panic!("{error}"),
    };
    assert_eq!(one.revoke(NodeId(2), Cause::Blocked).map_err(reason), Err("not_configured".to_owned()));
    assert_eq!(two.revoke(NodeId(9), Cause::Blocked).map_err(reason), Err("no_certificate".to_owned()));

    let list = two.revoke(NodeId(1), Cause::Compromised).expect("it is the issuer");
    assert_eq!(list.keys, 1);
    wait_until("its session ends", || two.peers().expect("peers")[0].links_up == 0);
    wait_until("it gets no other", || refused(&two, "key_compromised"));

    fleet.revoke(1);
    let other = std::fs::read_to_string(fleet.path("revocations")).expect("a list");
    let told = |list: &str| two.learn(list).expect("an answer")[0].clone().map_err(|refusal| refusal.reason);
    assert_eq!(told(&other), Err("revocations_older".to_owned()), "version 1 of another list");
    assert_eq!(told(&list.statement), Err("trust_stale".to_owned()), "known already");

    drop(two);
    let without = Daemon::start(fleet.place.config(2, QUICK)).map(drop).expect_err("it has kept lists");
    assert!(without.to_string().contains("put that part back (`trust`"), "{without}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "certificates are issued by the machine's time")]
fn a_clock_set_before_certificates_ends_sessions_until_it_is_right_and_one_set_behind_them_does_not() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let base = i64::try_from(since_1970).expect("not so long") - 946_684_800_000;
    let off = Arc::new(AtomicI64::new(0));
    let peers = fleet.place.peer(1, "Inbound");
    let rest = format!("listen: (tcpcl: \"{address}\"), peers: [{peers}], {}", fleet.trust(2, ""));
    let start = Start { civil: Some(clock_from(base, &off)), ..Start::default() };
    let daemon = Daemon::start_with(fleet.place.config(2, &rest), start);
    let two = Client::of(Arc::new(daemon.unwrap_or_else(|error| panic!("{error}"))));
    let one = fleet.dialling(address);
    send(&one, 2, "in time");
    assert_eq!(receive(&two), "in time");
    let session = || two.peers().expect("peers")[0].addresses.clone();
    wait_until("its session is told", || session().len() == 1);
    let before = session();
    off.store(10 * YEAR_MS, Ordering::Relaxed);
    // Longer than certificates are not looked at.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(session(), before, "its end is grace until the authority has signed something later");
    assert!(!two.metrics().expect("metrics").contains("door=\"tls\""));
    off.store(-10 * YEAR_MS, Ordering::Relaxed);
    wait_until("it gets no session", || refused(&two, "certificate_not_yet_valid"));
    wait_until("its session ends", || session().is_empty());
    off.store(0, Ordering::Relaxed);
    send(&one, 2, "in time again");
    assert_eq!(receive(&two), "in time again");
}

#[test]
fn a_certificate_of_another_authority_gets_no_session() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(2, "authority");
    let two = fleet.listening(address, "");
    // Node 1 has an authority of its own, and knows that of the fleet by nothing but its name.
    let other = Fleet::new();
    let peers = format!("(node: 2, did: \"{}\", via: Tcpcl(\"{address}\")),", fleet.place.did(2));
    std::fs::create_dir_all(other.place.state(1)).expect("a folder");
    fleet.place.did(1);
    std::fs::copy(fleet.place.state(1).join("key"), other.place.state(1).join("key")).expect("its key");
    other.certify(1, "authority");
    let one = Client::of(other.place.daemon(1, &format!("peers: [{peers}], {}", other.trust(1, ""))));
    // Who connects judges first; it says no, and is not shown who it is.
    wait_until("one refuses two", || refused(&one, "other_authority"));
    wait_until("two is told", || refused(&two, "refused_by_peer") || refused(&two, "other_authority"));
    assert!(two.peers().expect("peers").iter().all(|peer| peer.links_up == 0));
    drop(one);
}

#[test]
fn a_session_that_is_held_by_a_full_inbox_ends_as_soon_when_its_peers_key_is_taken_back() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let peers = fleet.place.peer(1, "Inbound");
    // Nothing is written for ten minutes that would tell that the connection is over.
    let trust = fleet.trust(2, "").replace("drain_s", "inbox: 1, keepalive_s: 600, drain_s");
    let rest = format!("listen: (tcpcl: \"{address}\"), peers: [{peers}], {trust}");
    let two = Client::of(fleet.place.daemon(2, &rest));
    let peers = fleet.place.peer(2, &format!("Tcpcl(\"{address}\")"));
    let trust = fleet.trust(1, "").replace("drain_s", "keepalive_s: 600, drain_s");
    let one = Client::of(fleet.place.daemon(1, &format!("peers: [{peers}], {trust}")));
    for _ in 0..10 {
        send(&one, 2, &"x".repeat(200_000));
    }
    wait_until("the inbox is full", || !two.health().expect("health").ready);
    thread::sleep(Duration::from_millis(500));
    fleet.revoke(1);
    let list = std::fs::read_to_string(fleet.path("revocations")).expect("a list");
    assert!(two.learn(&list).expect("an answer")[0].is_ok());
    wait_until("its session ends", || two.peers().expect("peers")[0].links_up == 0);
}

#[test]
fn who_knows_of_fewer_members_is_told_all_the_same_which_keys_were_taken_back() {
    let (fleet, address) = (Fleet::new(), free());
    let others = [5, 6, 7];
    let mut peers = fleet.place.peer(1, "Inbound");
    for node in others {
        peers += &fleet.place.peer(node, "Inbound");
        fleet.certify(node, "authority");
    }
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let statements = others.map(|node| format!("\"certificate-{node}\"")).join(", ");
    let trust = fleet.trust(2, &format!(", statements: [{statements}]"));
    let rest = format!("listen: (tcpcl: \"{address}\"), peers: [{peers}], {trust}");
    let two = Client::of(fleet.place.daemon(2, &rest));
    let one = fleet.dialling(address);
    let list = || std::fs::read_to_string(fleet.path("revocations")).expect("a list");
    fleet.revoke(8);
    let first = list();
    fleet.revoke(9);
    assert!(two.learn(&list()).expect("an answer")[0].is_ok());
    wait_until("the second list has come", || {
        let told = one.learn(&first).expect("an answer")[0].clone();
        told.is_err_and(|refusal| refusal.reason == "revocations_older")
    });
}

#[test]
fn what_was_taken_back_before_the_start_is_refused_from_the_first_handshake_on() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    fleet.revoke(1);
    let two = fleet.listening(address, ", statements: [\"revocations\"]");
    let one = fleet.dialling(address);
    send(&one, 2, "let me in");
    wait_until("it is refused", || refused(&two, "key_compromised"));
    assert_eq!(two.peers().expect("peers")[0].links_up, 0);
}

#[test]
fn a_key_that_is_taken_back_at_one_node_loses_its_sessions_at_the_others_within_two_seconds() {
    let fleet = Fleet::new();
    let addresses = [free(), free()];
    let trust = |node: u64, more: &str| {
        fleet.certify(node, "authority");
        // Nobody's turn comes before the test is over.
        fleet.trust(node, more).replace("interval_s: 1", "interval_s: 3600")
    };
    let via = |place: usize| format!("Tcpcl(\"{}\")", addresses[place]);
    // Node 1 is the issuer; 2 connects to it, and 3 to both.
    let one = format!(
        "listen: (tcpcl: \"{}\"), peers: [{}{}], {}",
        addresses[0],
        fleet.place.peer(2, "Inbound"),
        fleet.place.peer(3, "Inbound"),
        trust(1, ", issuer: \"authority\"")
    );
    let two = format!(
        "listen: (tcpcl: \"{}\"), peers: [{}{}], {}",
        addresses[1],
        fleet.place.peer(1, &via(0)),
        fleet.place.peer(3, "Inbound"),
        trust(2, "")
    );
    let three = format!(
        "peers: [{}{}], {}",
        fleet.place.peer(1, &via(0)),
        fleet.place.peer(2, &via(1)),
        trust(3, "")
    );
    let [one, two, _three] =
        [(1, one), (2, two), (3, three)].map(|(node, rest)| Client::of(fleet.place.daemon(node, &rest)));
    let up = |at: &Client, node: u64| {
        at.peers().expect("peers").iter().any(|peer| peer.node == node && peer.links_up > 0)
    };
    wait_until("each is connected with each", || up(&one, 2) && up(&one, 3) && up(&two, 3));
    one.revoke(NodeId(3), Cause::Compromised).expect("it is the issuer");
    // It answers when that is on the disk, which may take its time.
    let begun = super::place::clock();
    wait_until("the issuer ends the session", || !up(&one, 3));
    wait_until("so does who was told", || !up(&two, 3));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(up(&one, 2), "the others stay");
}

#[test]
fn a_certificate_that_begins_no_later_than_the_one_in_force_is_no_success() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let two = fleet.listening(address, "");
    let one = fleet.dialling(address);
    send(&one, 2, "there");
    assert_eq!(receive(&two), "there");
    let known = std::fs::read_to_string(fleet.path("certificate-1")).expect("a certificate");
    let told = |text: &str| two.learn(text).expect("an answer")[0].clone().map_err(|refusal| refusal.reason);
    assert_eq!(told(&known), Err("trust_stale".to_owned()), "known already");
    let (key, did) = (fleet.path("authority"), fleet.place.did(1));
    let issue = |backdated: &str| {
        let words = ["certify", "issue", "--key", key.to_str().expect("text"), "--node", "1", "--did", &did];
        text(run(&[words.as_slice(), &["--role", "observer", "--backdated-s", backdated]].concat()))
    };
    assert_eq!(told(&issue("3600")), Err("certificate_older".to_owned()));
    assert_eq!(told(&issue("0")), Ok(()), "it begins now");
}

#[test]
fn a_node_without_a_certificate_of_its_own_does_not_start() {
    let fleet = Fleet::new();
    let start = |more: &str| {
        let config = fleet.place.config(2, &fleet.trust(2, more));
        Daemon::start(config).map(drop).map_err(|error| error.to_string())
    };
    assert!(start("").expect_err("no file").contains("certificate-2"));
    fleet.place.did(9);
    fleet.certify(9, "authority");
    std::fs::rename(fleet.path("certificate-9"), fleet.path("certificate-2")).expect("renamed");
    assert!(start("").expect_err("another's").contains("no certificate of node 2"));
    std::fs::copy(fleet.place.state(9).join("key"), fleet.path("other")).expect("a key");
    fleet.certify(2, "other");
    assert!(start("").expect_err("of another").contains("signed by key"));
    fleet.certify(2, "authority");
    assert!(start(", issuer: \"other\"").expect_err("a wrong key").contains("not the authority's key"));
    assert_eq!(start(", issuer: \"authority\""), Ok(()));
}

#[test]
fn a_statement_that_nobody_can_have_signed_keeps_a_node_from_starting_and_anothers_does_not() {
    let fleet = Fleet::new();
    fleet.certify(2, "authority");
    fleet.revoke(1);
    let start = || {
        let config = fleet.place.config(2, &fleet.trust(2, ", statements: [\"revocations\"]"));
        Daemon::start(config).map(drop).map_err(|error| error.to_string())
    };
    let path = fleet.path("revocations");
    let whole = std::fs::read_to_string(&path).expect("a list");
    std::fs::write(&path, format!("# cut off\n{}\n", &whole.trim_end()[..whole.len() - 9])).expect("written");
    assert!(start().expect_err("cut off").contains("revocations:2: "));
    // A successor of the authority may have signed it.
    let other = Fleet::new();
    other.revoke(1);
    std::fs::copy(other.path("revocations"), &path).expect("copied");
    assert_eq!(start(), Ok(()));
}

#[test]
fn statements_are_shown_and_judged_on_the_command_line() {
    let fleet = Fleet::new();
    fleet.certify(2, "authority");
    fleet.revoke(1);
    fleet.revoke(3);
    let file = |name: &str| fleet.path(name).to_str().expect("text").to_owned();
    let show = |authority: &str| {
        run(&["certify", "show", &file("certificate-2"), &file("revocations"), "--authority", authority])
    };
    let told = text(show(&fleet.authority));
    assert!(told.contains("node 2, did:key:z6Mk") && told.contains("role operator"), "{told}");
    assert!(told.contains("version 2, 2 keys") && told.contains("compromised"), "{told}");
    assert_eq!(show(&fleet.place.did(5)).status.code(), Some(1), "another's");
}
