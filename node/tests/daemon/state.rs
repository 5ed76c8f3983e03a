//! State that daemons share: written at one, read at the others, kept over restarts, and by programs.

use super::place::{Place, QUICK, free, program, wait_until};
use cosmosmesh_node::{
    Client, ClientError, Daemon, StateBytes, StateItem, StateKind, StateQuery, StateWrite, Token,
    adapter::attach,
};
use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

fn put(map: &str, key: &str, value: &str) -> StateWrite {
    let [map, key, value] = [map, key, value].map(StateBytes::from);
    StateWrite::Put { map, key, value }
}

fn get(client: &Client, map: &str, key: &str) -> Option<String> {
    let (name, key) = (Some(map.into()), Some(key.into()));
    let query = StateQuery { kind: Some(StateKind::Map), name, key, ..StateQuery::default() };
    Some(client.read_state(query).expect("an answer").first()?.value.as_ref()?.to_string())
}

struct Pair {
    place: Place,
    address: SocketAddr,
    control: SocketAddr,
}

impl Pair {
    fn new() -> Self {
        Self { place: Place::new(), address: free(), control: free() }
    }

    fn start(&self, node: u64) -> Arc<Daemon> {
        let (address, control) = (self.address, self.control);
        let way = match node {
            1 => format!("peers: [{}]", self.place.peer(2, &format!("Tcpcl(\"{address}\")"))),
            _ => format!(
                "control: \"{control}\", listen: (tcpcl: \"{address}\"), peers: [{}]",
                self.place.peer(1, "Inbound")
            ),
        };
        let state = "shared_state: (push_ms: 20, compare_s: 1, ranks: {1: 1})";
        self.place.daemon(node, &format!("{way}, {state}, {QUICK}"))
    }
}

#[test]
fn what_one_writes_the_other_reads_and_both_keep_over_restarts() {
    let pair = Pair::new();
    let (one, two) = (Client::of(pair.start(1)), Client::of(pair.start(2)));
    let begin = two.state_changes(None, Duration::ZERO).expect("an answer").next;
    let dot = one.write_state(put("site", "airlock", "open")).expect("written");
    assert_eq!((dot.writer, dot.sequence), (1, 1));
    let changes = two.state_changes(Some(begin), super::place::PATIENCE).expect("an answer");
    assert!(!changes.missed);
    let told: Vec<String> = changes.items.iter().map(StateItem::to_string).collect();
    assert_eq!(told, ["map site airlock = open  (node 1)"]);
    assert_eq!(get(&two, "site", "airlock").as_deref(), Some("open"));
    two.write_state(StateWrite::Count { counter: "trips".into(), by: 3 }).expect("written");
    two.write_state(StateWrite::Add { set: "crew".into(), member: "ada".into() }).expect("written");
    two.write_state(put("site", "airlock", "shut")).expect("written");
    wait_until("one reads it", || get(&one, "site", "airlock").as_deref() == Some("shut"));
    // Written while the other is away: it comes when it is back, and after a restart of its own.
    drop(two);
    one.write_state(put("site", "lamp", "on")).expect("written");
    one.write_state(StateWrite::Remove { map: "site".into(), key: "airlock".into() }).expect("written");
    drop(one);
    let (one, two) = (Client::of(pair.start(1)), Client::of(pair.start(2)));
    wait_until("two reads it", || get(&two, "site", "lamp").as_deref() == Some("on"));
    assert_eq!(get(&two, "site", "airlock"), None, "it was removed");
    let all = one.read_state(StateQuery::default()).expect("an answer");
    let told: Vec<String> = all.iter().map(StateItem::to_string).collect();
    assert_eq!(told, ["map site", "set crew", "counter trips"]);
}

#[test]
fn who_watched_before_a_restart_is_told_that_changes_were_missed_however_many_came_since() {
    let pair = Pair::new();
    let (one, two) = (Client::of(pair.start(1)), Client::of(pair.start(2)));
    let begin = two.state_changes(None, Duration::ZERO).expect("an answer").next;
    one.write_state(put("site", "airlock", "open")).expect("written");
    let next = two.state_changes(Some(begin), super::place::PATIENCE).expect("an answer").next;
    assert!(next < 1 << 53, "{next}: all languages read it");
    drop(two);
    let two = Client::of(pair.start(2));
    let missed = two.state_changes(Some(next), Duration::ZERO).expect("an answer");
    assert!(missed.missed, "nothing has changed since, but nobody knows what did before");
    for key in ["a", "b", "c"] {
        one.write_state(put("site", key, "on")).expect("written");
        wait_until("it has come", || get(&two, "site", key).is_some());
    }
    let missed = two.state_changes(Some(next), Duration::ZERO).expect("an answer");
    assert!(missed.missed, "more have come than were counted before");
    let changes = two.state_changes(Some(missed.next), Duration::ZERO).expect("an answer");
    assert!(!changes.missed && changes.items.is_empty());
    // Of the life before last, or of none.
    for other in [0, begin - 1, next + (1 << 40), u64::MAX] {
        assert!(two.state_changes(Some(other), Duration::ZERO).expect("an answer").missed, "{other}");
    }
}

#[test]
fn of_concurrent_writes_the_one_of_the_greater_rank_stands_everywhere() {
    let pair = Pair::new();
    let two = Client::of(pair.start(2));
    two.write_state(put("site", "valve", "two")).expect("written");
    drop(two);
    let one = Client::of(pair.start(1));
    one.write_state(put("site", "valve", "one")).expect("written");
    // Neither has seen the other's; node 1 has the rank.
    let two = Client::of(pair.start(2));
    for client in [&one, &two] {
        wait_until("both are known", || {
            let (name, key) = (Some("site".into()), Some("valve".into()));
            let query = StateQuery { name, key, ..StateQuery::default() };
            client.read_state(query).expect("an answer").first().is_some_and(|item| item.rivals == 1)
        });
        assert_eq!(get(client, "site", "valve").as_deref(), Some("one"));
    }
}

#[test]
fn what_is_too_large_or_not_shared_is_refused() {
    let pair = Pair::new();
    let one = Client::of(pair.start(1));
    let reason = |error: ClientError| match error {
        ClientError::Refused(refusal) => refusal.reason,
        error => panic!("{error}"),
    };
    let large = put("site", "x", &"x".repeat(5000));
    assert_eq!(one.write_state(large).map_err(reason), Err("sync_too_long".to_owned()));
    let counted = "door=\"application\",reason=\"sync_too_long\"} 1";
    wait_until("it is counted by its reason", || one.metrics().expect("metrics").contains(counted));
    let alone = Place::new();
    let client = Client::of(alone.daemon(9, QUICK));
    assert_eq!(client.write_state(put("a", "b", "c")).map_err(reason), Err("not_configured".to_owned()));
    let asked = client.read_state(StateQuery::default()).map_err(reason);
    assert_eq!(asked, Err("not_configured".to_owned()));
    // Nobody waits for what never comes.
    let changes = client.state_changes(None, Duration::ZERO).map_err(reason);
    assert_eq!(changes, Err("not_configured".to_owned()));
    let script = "
import json, sys
assert '\"hello\"' in sys.stdin.readline()
print(json.dumps({'type': 'watch'}), flush=True)
told = json.loads(sys.stdin.readline())
assert (told['type'], told['reason']) == ('refused', 'not_configured'), told
print(json.dumps({'type': 'read', 'id': 1, 'after': 'a'}), flush=True)
told = json.loads(sys.stdin.readline())
assert (told['type'], told['id'], told['reason']) == ('refused', 1, 'after_without_kind'), told
";
    let (mut python, ends) = (Command::new("timeout"), AtomicBool::new(false));
    python.args(["20", "python3", "-c", script]);
    assert!(attach(&mut python, &client, &client, &ends).expect("it works").success());
}

#[test]
fn pages_go_on_within_a_kind_and_an_end_without_one_is_refused() {
    let pair = Pair::new();
    let two = Client::of(pair.start(2));
    let token = Token::read(&pair.place.state(2).join("token")).expect("a token");
    let remote = Client::connect(pair.control, Some(&token)).expect("it runs");
    for key in ["m1", "m2", "m3"] {
        two.write_state(put(key, "x", "y")).expect("written");
    }
    two.write_state(StateWrite::Add { set: "crew".into(), member: "ada".into() }).expect("written");
    let after = Some(StateBytes::from("m1"));
    for client in [&two, &remote] {
        // The set comes before it by name, and after it by kind: it would never be told.
        let refused = client.read_state(StateQuery { after: after.clone(), ..StateQuery::default() });
        assert!(
            matches!(&refused, Err(ClientError::Refused(refusal)) if refusal.reason == "after_without_kind"),
            "{refused:?}"
        );
        let maps = StateQuery { kind: Some(StateKind::Map), after: after.clone(), ..StateQuery::default() };
        let told: Vec<String> =
            client.read_state(maps).expect("a page").iter().map(ToString::to_string).collect();
        assert_eq!(told, ["map m2", "map m3"]);
    }
}

#[test]
fn ctl_writes_reads_lists_and_watches() {
    let pair = Pair::new();
    let (one, two) = (Client::of(pair.start(1)), pair.start(2));
    let token = pair.place.state(2).join("token");
    let run = |words: &[&str]| {
        let mut ctl = program();
        ctl.args(["ctl", "--control", &pair.control.to_string(), "--token"]).arg(&token);
        let output = ctl.args(words).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    assert_eq!(run(&["state", "put", "site", "door", "hex:ff00"]).0, Some(0));
    assert_eq!(run(&["state", "register", "mode", "night"]).0, Some(0));
    assert_eq!(run(&["state", "count", "trips", "-2"]).0, Some(0));
    assert_eq!(run(&["state", "add", "crew", "ada"]).0, Some(0));
    assert_eq!(run(&["state", "get", "mode"]), (Some(0), "night\n".to_owned()));
    assert_eq!(run(&["state", "get", "site", "window"]), (Some(1), String::new()));
    let listed = run(&["state", "list", "site"]);
    assert_eq!(listed, (Some(0), "map site door = hex:ff00  (node 2)\n".to_owned()));
    let all = "map site\nregister mode\nset crew\ncounter trips\n";
    assert_eq!(run(&["state", "list"]), (Some(0), all.to_owned()));
    let json = run(&["--json", "state", "list", "trips"]).1;
    assert_eq!(json, "{\"kind\":\"counter\",\"name\":\"trips\",\"count\":-2}\n");
    assert_eq!(run(&["state", "put", "site", "door", "hex:f"]).0, Some(2), "half a byte");
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| run(&["state", "watch", "--for-s", "3"]).1);
        wait_until("it is told", || {
            one.write_state(put("site", "lamp", "on")).expect("written");
            watching.is_finished()
        });
        assert!(watching.join().expect("no panic").contains("map site lamp = on  (node 1)"));
    });
    drop(two);
}

#[test]
fn programs_write_and_read_it_and_are_told_what_others_write() {
    let pair = Pair::new();
    let (one, two) = (pair.start(1), pair.start(2));
    let never = AtomicBool::new(false);
    let script = "
import json, sys
def expect(**wanted):
    told = json.loads(sys.stdin.readline())
    assert all(told[key] == value for key, value in wanted.items()), told
    return told
def say(**said):
    print(json.dumps(said), flush=True)
expect(type='hello')
say(type='watch')
say(type='write', id=1, write='put', map='site', key='door', value='open')
expect(type='written', id=1, sequence=1)
say(type='read', id=2, kind='map', name='site')
items = expect(type='state', id=2)['items']
assert items[0]['key'] == 'door' and items[0]['value'] == 'open' and items[0]['writer'] == 1, items
say(type='write', id=3, write='burn', map='site')
expect(type='refused', id=None, reason='line')
item = expect(type='changed')['item']
assert item['key'] == 'lamp' and item['value'] == 'on', item
";
    let [sending, receiving] = [Client::of(one.clone()), Client::of(one)];
    let other = Client::of(two);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut python = Command::new("python3");
            attach(python.args(["-c", script]), &sending, &receiving, &never).expect("it works").success()
        });
        wait_until("the program's write has come", || get(&other, "site", "door").is_some());
        wait_until("the program has ended", || {
            other.write_state(put("site", "lamp", "on")).expect("written");
            running.is_finished()
        });
        assert!(running.join().expect("no panic"), "it was told what it expects");
    });
}

#[test]
fn a_program_is_told_what_was_written_since_it_said_that_it_watches_however_slowly_it_reads() {
    let pair = Pair::new();
    let (one, two) = (pair.start(1), pair.start(2));
    let (never, go) = (AtomicBool::new(false), pair.place.path().join("go"));
    // It is given far more than a pipe holds, before it says that it watches.
    let other = Client::of(two);
    for _ in 0..20 {
        super::place::send(&other, 1, &"x".repeat(50_000));
    }
    let script = "
import json, os, sys, time
def say(**said):
    print(json.dumps(said), flush=True)
assert 'hello' in sys.stdin.readline()
time.sleep(1)
say(type='watch')
say(type='write', id=1, write='put', map='site', key='door', value='open')
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
while True:
    told = json.loads(sys.stdin.readline())
    if told['type'] == 'message':
        say(type='take', number=told['number'])
    if told['type'] == 'changed':
        break
assert told['item']['key'] == 'lamp', told
";
    let [sending, receiving, at_one] = [0; 3].map(|_| Client::of(one.clone()));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut python = Command::new("python3");
            python.args(["-c", script]).arg(&go);
            attach(&mut python, &sending, &receiving, &never).expect("it works").success()
        });
        wait_until("it has said that it watches", || get(&other, "site", "door").is_some());
        other.write_state(put("site", "lamp", "on")).expect("written");
        wait_until("the write has come", || get(&at_one, "site", "lamp").is_some());
        std::fs::write(&go, "").expect("a file");
        wait_until("the program has ended", || {
            other.write_state(put("site", "later", "on")).expect("written");
            running.is_finished()
        });
        assert!(running.join().expect("no panic"), "it was told of the first write");
    });
}

#[test]
fn a_peer_is_found_by_what_it_says_of_itself_to_others() {
    let place = Place::new();
    let [hub, far] = [free(), free()];
    let state = "shared_state: (push_ms: 20, compare_s: 1";
    // Node 2 knows both; node 1 is told by it where node 3 is, and node 3 says that of itself.
    let two = format!(
        "listen: (tcpcl: \"{hub}\"), peers: [{}{}], {state}), {QUICK}",
        place.peer(1, "Inbound"),
        place.peer(3, "Inbound")
    );
    let to_hub = place.peer(2, &format!("Tcpcl(\"{hub}\")"));
    let one = format!("peers: [{to_hub}{}], {state}), {QUICK}", place.peer(3, "Told"));
    let three = format!(
        "listen: (tcpcl: \"{far}\"), peers: [{to_hub}{}], {state}, announce: \"{far}\"), {QUICK}",
        place.peer(1, "Inbound")
    );
    let [two, one, three] =
        [(2, two), (1, one), (3, three)].map(|(node, rest)| Client::of(place.daemon(node, &rest)));
    wait_until("one is connected with three", || {
        one.peers().expect("peers").iter().any(|peer| peer.node == 3 && peer.links_up > 0)
    });
    super::place::send(&one, 3, "found you");
    assert_eq!(super::place::receive(&three), "found you");
    // What another says of it does not count.
    let said = put("cosmosmesh/addresses", "3", "127.0.0.1:1");
    two.write_state(said).expect("written");
    wait_until("it has come", || get(&one, "cosmosmesh/addresses", "3").as_deref() == Some("127.0.0.1:1"));
    assert!(one.peers().expect("peers").iter().any(|peer| peer.node == 3 && peer.links_up > 0));
}
