//! Civil time that jumps, while a daemon runs and between two runs of it. The machine's clock is left alone.

use super::place::{LIFETIME, PATIENCE, Place, QUICK, free, receive, send, wait_until};
use cosmosmesh_node::{CivilClock, Client, Config, Daemon, Start};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId, time::DtnTime};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

/// Noon of some day in 2026.
const NOON_MS: i64 = 826_000_000_000;
const HOUR_MS: i64 = 3_600_000;
pub(super) const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
/// Longer than the daemon goes on with what it knew of civil time.
const NOTICED: Duration = Duration::from_millis(1500);

/// A clock that goes as the machine's monotonic one does, and is off by what it is told, in milliseconds. At −[`NOON_MS`], nobody has set it.
fn clock(off: &Arc<AtomicI64>) -> CivilClock {
    clock_from(NOON_MS, off)
}

/// The same from another time, in milliseconds since 2000.
pub(super) fn clock_from(base_ms: i64, off: &Arc<AtomicI64>) -> CivilClock {
    let (begun, off) = (super::place::clock(), off.clone());
    Arc::new(move || {
        let since = i64::try_from(begun.elapsed().as_millis()).expect("not so long");
        let off = off.load(Ordering::Relaxed);
        (off != -NOON_MS).then(|| DtnTime((base_ms + since + off).unsigned_abs()))
    })
}

fn start(config: Config, off: &Arc<AtomicI64>) -> Client {
    let start = Start { civil: Some(clock(off)), ..Start::default() };
    Client::of(Arc::new(Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}"))))
}

/// The configurations of two nodes, of which the first connects.
fn two(place: &Place) -> [impl Fn() -> Config; 2] {
    let address = free();
    let one = format!("peers: [{}], {QUICK}", place.peer(2, &format!("Tcpcl(\"{address}\")")));
    let two = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {QUICK}", place.peer(1, "Inbound"));
    let texts = [place.text(1, &one), place.text(2, &two)];
    let folder = place.path().to_owned();
    texts.map(|text| {
        let folder = folder.clone();
        move || Config::parse("test.ron", &text, &folder).unwrap_or_else(|error| panic!("{error}"))
    })
}

#[test]
fn a_clock_that_is_set_while_a_daemon_runs_loses_and_doubles_nothing() {
    let place = Place::new();
    let [one, two] = two(&place);
    let (ours, theirs) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let (sender, receiver) = (start(one(), &ours), start(two(), &theirs));
    let mut sent = Vec::new();
    // Back and ahead by less than messages live, then ahead by years and to the right time again; in the end, as if the battery were empty.
    for off in [0, -HOUR_MS / 2, HOUR_MS / 2, 20 * YEAR_MS, 0, -20 * YEAR_MS, 0] {
        ours.store(off, Ordering::Relaxed);
        thread::sleep(NOTICED);
        let text = format!("sent when the clock is off by {off}: {}", sent.len());
        send(&sender, 2, &text);
        sent.push(text);
    }
    for text in &sent {
        assert_eq!(&receive(&receiver), text);
    }
    send(&receiver, 1, "and back");
    assert_eq!(receive(&sender), "and back");
    assert!(
        receiver.receive(Duration::from_millis(500)).expect("an answer").is_none(),
        "nothing comes twice"
    );
}

#[test]
fn a_message_tells_the_time_that_its_sender_took_it_for() {
    let place = Place::new();
    let [one, two] = two(&place);
    let (ours, theirs) = (Arc::new(AtomicI64::new(-HOUR_MS / 2)), Arc::new(AtomicI64::new(0)));
    let (sender, receiver) = (start(one(), &ours), start(two(), &theirs));
    send(&sender, 2, "early");
    let message = receiver.receive(PATIENCE).expect("an answer").expect("a message");
    let created = i64::try_from(message.created_ms).expect("a time of this century");
    assert!((created - (NOON_MS - HOUR_MS / 2)).abs() < 60_000, "{created}");
}

#[test]
fn a_clock_that_was_set_between_two_runs_ends_messages_early_or_not_at_all_and_never_late() {
    // By how much it is off in the second run, and whether what was accepted in the first is delivered then.
    for (off, delivered) in
        [(0, true), (-20 * YEAR_MS, true), (-NOON_MS, true), (HOUR_MS / 2, true), (2 * HOUR_MS, false)]
    {
        let place = Place::new();
        let [one, two] = two(&place);
        let (ours, theirs) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let sender = start(one(), &ours);
        sender.send(NodeId(2), Purpose::Event, LIFETIME, b"before").expect("accepted");
        sender.shutdown().expect("ended");
        ours.store(off, Ordering::Relaxed);
        let sender = start(one(), &ours);
        let receiver = start(two(), &theirs);
        // From then on the clock is right, or the receiver would not believe what it says.
        ours.store(0, Ordering::Relaxed);
        thread::sleep(NOTICED);
        sender.send(NodeId(2), Purpose::Event, LIFETIME, b"after").expect("accepted");
        let expected: &[&str] = if delivered { &["before", "after"] } else { &["after"] };
        for text in expected {
            assert_eq!(&receive(&receiver), text, "off by {off}");
        }
        if !delivered {
            let metrics = sender.metrics().expect("metrics");
            assert!(metrics.contains("fate=\"abandoned\",purpose=\"event\"} 1"), "it is told: {metrics}");
        }
    }
}

#[test]
fn a_store_that_is_lost_is_not_begun_anew_while_nobody_knows_the_time() {
    let place = Place::new();
    let [one, _] = two(&place);
    let off = Arc::new(AtomicI64::new(0));
    drop(start(one(), &off));
    std::fs::remove_file(one().store_file()).expect("it was there");
    off.store(-NOON_MS, Ordering::Relaxed);
    let unset = || Start { civil: Some(clock(&off)), set_aside_store: true, ..Start::default() };
    let error = Daemon::start_with(one(), unset()).map(drop).expect_err("nothing tells the incarnation");
    assert!(error.to_string().contains("does not know the time"), "{error}");
    off.store(0, Ordering::Relaxed);
    let daemon = Daemon::start_with(one(), unset()).unwrap_or_else(|error| panic!("{error}"));
    drop(daemon);
    wait_until("it is its store from then on", || Daemon::start(one()).is_ok());
}
