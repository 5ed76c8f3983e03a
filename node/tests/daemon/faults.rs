//! A machine that does not do what it should: ports, disks, stores, keys, configurations.

use super::place::{LIFETIME, PATIENCE, Place, QUICK, free, pair, program, receive, send, wait_until};
use cosmosmesh_node::{Client, Config, Daemon, OpenStore, Start, StartError};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use redb::{StorageBackend, backends::FileBackend};
use std::{
    fs, io,
    net::{TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A file on a disk that can be full: nothing is written then.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) file: FileBackend,
    pub(super) full: Arc<AtomicBool>,
}

impl Full {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.file.write(offset, data)
    }
}

#[test]
fn a_full_disk_accepts_nothing_says_so_and_goes_on_when_it_has_room() {
    let place = Place::new();
    let address = free();
    let listen = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {QUICK}", place.peer(1, "Inbound"));
    let via = format!("Tcpcl(\"{address}\")");
    let dial = format!("peers: [{}], {QUICK}", place.peer(2, &via));
    let receiver = Client::of(place.daemon(2, &listen));
    let full = Arc::new(AtomicBool::new(false));
    let switch = full.clone();
    let open_store: OpenStore = Box::new(move |file| {
        let file = FileBackend::new(file)?;
        Ok(Box::new(Full { file, full: switch.clone() }))
    });
    let start = Start { open_store: Some(open_store), ..Start::default() };
    let daemon = Daemon::start_with(place.config(1, &dial), start).unwrap_or_else(|error| panic!("{error}"));
    let sender = Arc::new(Client::of(Arc::new(daemon)));
    send(&sender, 2, "first");
    full.store(true, Ordering::Relaxed);
    let (tell, told) = mpsc::channel();
    let other = sender.clone();
    let thread = thread::spawn(move || {
        let sent = other.send(NodeId(2), Purpose::Telemetry, LIFETIME, b"second");
        tell.send(()).expect("somebody listens");
        sent
    });
    wait_until("the daemon notices", || !sender.health().expect("health").ready);
    let health = sender.health().expect("health");
    assert!(health.troubles[0].contains("store cannot be written"), "{health:?}");
    assert!(told.recv_timeout(Duration::from_millis(700)).is_err(), "accepted on a full disk");
    full.store(false, Ordering::Relaxed);
    thread.join().expect("no panic").expect("accepted when there is room");
    wait_until("it is ready again", || sender.health().expect("health").ready);
    send(&sender, 2, "third");
    for text in ["first", "second", "third"] {
        assert_eq!(receive(&receiver), text);
    }
    assert!(
        receiver.receive(Duration::from_millis(500)).expect("an answer").is_none(),
        "nothing comes twice"
    );
}

#[test]
fn an_engine_is_pinned_to_its_processor_and_a_processor_that_is_not_there_is_refused() {
    let place = Place::new();
    // The first that this process may use.
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let list =
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list").trim();
    let first: u16 = list.split([',', '-']).next().and_then(|number| number.parse().ok()).expect("a number");
    let daemon = place.daemon(1, &format!("cpu: {first}"));
    let client = Client::of(daemon);
    let metrics = client.metrics().expect("metrics");
    assert!(metrics.contains("cosmosmesh_input_budget_seconds 0.02"), "the budget is told: {metrics}");
    assert!(metrics.contains("cosmosmesh_input_budget_alarm 0"), "{metrics}");
    let pinned = |thread: io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        let is_engine = status.starts_with("Name:\tengine\n");
        is_engine.then(|| status.contains(&format!("Cpus_allowed_list:\t{first}\n")))
    };
    wait_until(&format!("one engine is on processor {first} alone"), || {
        fs::read_dir("/proc/self/task").expect("threads").filter_map(pinned).any(|pinned| pinned)
    });
    let text = place.text(2, "cpu: 9999");
    let error = Config::parse("test.ron", &text, place.path()).map(drop).expect_err("no such processor");
    assert!(error.to_string().contains("cpu: processor 9999: "), "{error}");
}

#[test]
fn a_port_that_is_taken_is_told_with_its_address() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    for field in ["tcpcl", "mtcp"] {
        let result = Daemon::start(place.config(1, &format!("listen: ({field}: \"{address}\")")));
        let error = result.map(drop).expect_err("the port is taken").to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let udp = datagrams.local_addr().expect("an address");
    let result = Daemon::start(place.config(1, &format!("listen: (udp: \"{udp}\")")));
    let error = result.map(drop).expect_err("the port is taken").to_string();
    assert!(error.starts_with(&format!("UDPCL at {udp}: ")), "{error}");
    let error = Daemon::start(place.config(1, &format!("control: \"{address}\""))).map(drop);
    assert!(matches!(error, Err(StartError::Listen { what: "control", .. })));
}

#[test]
fn a_store_of_garbage_is_reported_left_as_it_is_and_set_aside_only_on_request() {
    let place = Place::new();
    place.did(1);
    let config = || place.config(1, QUICK);
    let path = config().store_file();
    let garbage: Vec<u8> = (0..20_000_u32).map(|at| (at * 7) as u8).collect();
    fs::write(&path, &garbage).expect("a file");
    let error = Daemon::start(config()).map(drop).expect_err("a store of garbage");
    assert!(matches!(error, StartError::CorruptStore { .. }), "{error}");
    assert!(error.to_string().contains("--set-aside-store"), "{error}");
    assert_eq!(fs::read(&path).expect("it is there"), garbage, "left as it is");
    let start = Start { set_aside_store: true, ..Start::default() };
    let daemon = Daemon::start_with(config(), start).unwrap_or_else(|error| panic!("{error}"));
    let aside = daemon.set_aside().expect("it was set aside").to_owned();
    assert_eq!(fs::read(aside).expect("it is there"), garbage);
}

#[test]
fn a_store_whose_middle_is_overwritten_is_never_silently_emptied() {
    let place = Place::new();
    let (one, other) = pair(&place);
    drop(other);
    let client = Client::of(one.clone());
    for number in 0..200 {
        send(&client, 2, &format!("message {number} {}", "x".repeat(200)));
    }
    let path = one.config().store_file();
    client.shutdown().expect("ended");
    drop(one);
    let mut bytes = fs::read(&path).expect("a store");
    // Past the first page, which holds the header.
    let end = bytes.len().min(600_000);
    bytes[4096..end].fill(0xa5);
    fs::write(&path, &bytes).expect("a file");
    let address = free();
    let via = format!("Tcpcl(\"{address}\")");
    let config = place.config(1, &format!("peers: [{}], {QUICK}", place.peer(2, &via)));
    let error = Daemon::start(config).map(drop).expect_err("a damaged store");
    assert!(matches!(error, StartError::CorruptStore { .. }), "{error}");
    let after = fs::read(&path).expect("it is there");
    // Opening it marks the header.
    assert!(after[4096..] == bytes[4096..], "left as it is");
}

#[test]
fn a_store_that_another_daemon_has_open_is_refused() {
    let place = Place::new();
    let _first = place.daemon(1, QUICK);
    let error = Daemon::start(place.config(1, QUICK)).map(drop).expect_err("it is open");
    assert!(matches!(error, StartError::Store { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn the_command_refuses_bad_keys_and_configurations_with_exit_code_2() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.did(1);
    let run = |file: &std::path::Path| {
        let output = program().args(["node", "--config"]).arg(file).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("text")
    };
    let file = place.file(1, QUICK);
    let key = place.state(1).join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
    let error = run(&file);
    assert!(error.contains("mode 0644") && error.contains("0600"), "{error}");
    let bad = place.path().join("bad.ron");
    fs::write(&bad, "(\n  node: 1,\n  state: \"x\",\n  listens: (),\n)").expect("a file");
    let error = run(&bad);
    assert!(error.contains("bad.ron:4:3: listens") && error.contains("did you mean `listen`?"), "{error}");
    let error = run(&place.path().join("nowhere.ron"));
    assert!(error.contains("nowhere.ron"), "{error}");
}

#[test]
fn an_inbox_that_is_full_holds_the_peers_back_until_the_application_takes() {
    let place = Place::new();
    let address = free();
    let limits = "limits: (inbox: 50, retransmission_ms: 500, acknowledgement_ms: 10)";
    let listen = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {limits}", place.peer(1, "Inbound"));
    let via = format!("Tcpcl(\"{address}\")");
    let sender = Client::of(place.daemon(1, &format!("peers: [{}], {QUICK}", place.peer(2, &via))));
    let receiver = Client::of(place.daemon(2, &listen));
    for number in 0..400 {
        send(&sender, 2, &format!("{number}"));
    }
    wait_until("the inbox is full", || !receiver.health().expect("health").ready);
    for number in 0..400 {
        assert_eq!(receive(&receiver), format!("{number}"));
    }
    assert!(receiver.receive(PATIENCE / 100).expect("an answer").is_none());
    assert!(receiver.health().expect("health").ready);
}
