//! `kill -9` at any moment, SIGTERM, Ctrl-C.

use super::place::{LIFETIME, PATIENCE, Place, Process, clock, connect, free, wait_until};
use cosmosmesh_node::{Client, Config, Daemon, Disk, OpenStore, Start};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use redb::{StorageBackend, backends::FileBackend};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

const KILLS: u32 = 12;

/// Two nodes as files: the first connects to the second.
fn two(place: &Place) -> [PathBuf; 2] {
    let controls = [free(), free()];
    let address = free();
    let limits = "limits: (retransmission_ms: 300, acknowledgement_ms: 10, drain_s: 5)";
    let via = format!("Tcpcl(\"{address}\")");
    let first = format!("control: \"{}\", peers: [{}], {limits}", controls[0], place.peer(2, &via));
    let second = format!(
        "control: \"{}\", listen: (tcpcl: \"{address}\"), peers: [{}], {limits}",
        controls[1],
        place.peer(1, "Inbound")
    );
    [place.file(1, &first), place.file(2, &second)]
}

/// Sends numbered messages until told to stop; gives those that were accepted.
fn send_on(file: &Path, stop: &AtomicBool) -> BTreeSet<u64> {
    let (mut accepted, mut number) = (BTreeSet::new(), 0_u64);
    let config = Config::read(file).expect("a configuration");
    while !stop.load(Ordering::Relaxed) {
        let Ok(client) = Client::connect_to(&config) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        // An attempt without an answer may have been taken: its number is not used again.
        loop {
            number += 1;
            if client.send(NodeId(2), Purpose::Event, LIFETIME, &number.to_be_bytes()).is_err() {
                break;
            }
            accepted.insert(number);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    accepted
}

/// Takes messages until told to stop; gives payload and number in the inbox of all that came.
fn receive_on(file: &Path, found: &Mutex<BTreeMap<u64, u64>>, stop: &AtomicBool) {
    let config = Config::read(file).expect("a configuration");
    while !stop.load(Ordering::Relaxed) {
        let Ok(client) = Client::connect_to(&config) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        while let Ok(messages) = client.inbox(None, 50, Duration::from_millis(100)) {
            let mut found = found.lock().expect("no panic");
            for message in &messages {
                let payload = u64::from_be_bytes(message.payload.as_slice().try_into().expect("a number"));
                let before = found.insert(payload, message.number);
                // Given again before it was taken, it has the same number; another number would be a second delivery.
                assert!(before.is_none_or(|before| before == message.number), "{payload} came twice");
            }
            drop(found);
            if messages.last().is_some_and(|last| client.take(last).is_err()) || stop.load(Ordering::Relaxed)
            {
                break;
            }
        }
    }
}

#[test]
fn kill_9_at_random_moments_loses_nothing_accepted_and_doubles_nothing() {
    let place = Place::new();
    let files = two(&place);
    let mut processes = files.each_ref().map(|file| Process::start(file));
    let (stop_sending, stop_receiving) = (AtomicBool::new(false), AtomicBool::new(false));
    let found = Mutex::new(BTreeMap::new());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    thread::scope(|scope| {
        let sender = scope.spawn(|| send_on(&files[0], &stop_sending));
        scope.spawn(|| receive_on(&files[1], &found, &stop_receiving));
        for _ in 0..KILLS {
            let (millis, victim) = (rng.next_u32() % 400, (rng.next_u32() % 2) as usize);
            connect(&files[victim]);
            thread::sleep(Duration::from_millis(u64::from(millis)));
            processes[victim].kill();
            processes[victim] = Process::start(&files[victim]);
        }
        thread::sleep(Duration::from_millis(300));
        stop_sending.store(true, Ordering::Relaxed);
        let accepted = sender.join().expect("sending does not panic");
        let begun = clock();
        let missing = || {
            let found = found.lock().expect("no panic");
            accepted.iter().filter(|number| !found.contains_key(number)).count()
        };
        while missing() > 0 && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        stop_receiving.store(true, Ordering::Relaxed);
        assert!(accepted.len() > 50, "only {} were accepted between {KILLS} kills", accepted.len());
        assert_eq!(missing(), 0, "of {} accepted messages", accepted.len());
    });
}

#[cfg(unix)]
fn signal(process: &Process, name: &str) {
    let status = Command::new("kill").args([name, &process.child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn sigterm_and_ctrl_c_end_a_daemon_in_order_and_what_it_accepted_is_there_afterwards() {
    for name in ["-TERM", "-INT"] {
        let place = Place::new();
        let files = two(&place);
        let mut first = Process::start(&files[0]);
        let client = connect(&files[0]);
        for number in 0..20_u8 {
            client.send(NodeId(2), Purpose::Event, LIFETIME, &[number]).expect("accepted");
        }
        signal(&first, name);
        let begun = clock();
        let status = first.child.wait().expect("it ends");
        assert!(status.success(), "{name}: {status}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: took {:?}", begun.elapsed());
        let _first = Process::start(&files[0]);
        let _second = Process::start(&files[1]);
        let receiver = connect(&files[1]);
        for number in 0..20_u8 {
            let message = receiver.receive(PATIENCE).expect("an answer").expect("a message");
            assert_eq!(message.payload, [number]);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_session_is_ended_by_sess_term_when_a_daemon_shuts_down() {
    let place = Place::new();
    let files = two(&place);
    let mut first = Process::start(&files[0]);
    let _second = Process::start(&files[1]);
    let receiver = connect(&files[1]);
    wait_until("the contact begins", || receiver.peers().expect("peers")[0].links_up == 1);
    signal(&first, "-TERM");
    assert!(first.child.wait().expect("it ends").success());
    wait_until("the contact ends", || receiver.peers().expect("peers")[0].links_up == 0);
    let metrics = receiver.metrics().expect("metrics");
    assert!(!metrics.contains("door=\"tcpcl\""), "an orderly end is no fault: {metrics}");
}

/// A file of which it is counted how many bytes are read.
#[derive(Debug)]
struct Counted(FileBackend, Arc<AtomicU64>);

impl StorageBackend for Counted {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.1.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

#[test]
fn a_start_after_kill_9_looks_through_the_store_once() {
    let place = Place::new();
    let [file, _] = two(&place);
    let mut process = Process::start(&file);
    let client = connect(&file);
    for number in 0..40 {
        let payload = vec![number; 60_000];
        client.send(NodeId(2), Purpose::Telemetry, LIFETIME, &payload).expect("it is accepted");
    }
    process.kill();
    let config = Config::read(&file).expect("a configuration");
    // What it costs to open it as it is, and to read all of it.
    let copy = place.path().join("copy");
    fs::copy(config.store_file(), &copy).expect("a copy");
    let (once, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let opened = OpenOptions::new().read(true).write(true).open(&copy).expect("a file");
    let disk = Disk::open_on(Counted(FileBackend::new(opened).expect("a file"), once.clone()));
    disk.expect("it is repaired").examine().expect("it is whole");
    let counter = count.clone();
    let open_store: OpenStore =
        Box::new(move |file| Ok(Box::new(Counted(FileBackend::new(file)?, counter.clone()))));
    let start = Start { open_store: Some(open_store), ..Start::default() };
    let daemon = Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}"));
    let (once, count) = (once.load(Ordering::Relaxed), count.load(Ordering::Relaxed));
    assert!(once > 2_000_000, "there is something to look through: {once} bytes");
    assert!(count < once + once / 4, "{count} bytes were read, where {once} are all");
    drop(daemon);
}
