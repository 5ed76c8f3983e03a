//! Stores that are gone, empty, another's, taken away while they are used, or panic: nothing is begun anew that was not asked for.

use super::{
    clocks::YEAR_MS,
    place::{LIFETIME, Place, QUICK, pair, receive, send, wait_until},
};
use cosmosmesh_node::{Client, Config, Daemon, Disk, DiskError, OpenStore, Start, StartError};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use redb::{StorageBackend, TableDefinition, backends::FileBackend};
use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

fn refusal(config: Config) -> StartError {
    Daemon::start(config).map(drop).expect_err("it does not start")
}

fn set_aside(config: Config) -> Daemon {
    let start = Start { set_aside_store: true, ..Start::default() };
    Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}"))
}

/// A daemon that has sent and been told things, and has ended.
fn used(place: &Place) -> impl Fn() -> Config {
    let (one, other) = pair(place);
    let sender = Client::of(one);
    send(&sender, 2, "first");
    assert_eq!(receive(&Client::of(other)), "first");
    drop(sender);
    let text = place.text(1, &format!("peers: [{}], {QUICK}", place.peer(2, "Inbound")));
    let folder = place.path().to_owned();
    move || Config::parse("test.ron", &text, &folder).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_store_that_is_gone_or_empty_is_begun_anew_on_request_only_and_counts_above_all_before() {
    let place = Place::new();
    let config = used(&place);
    let path = config().store_file();
    fs::remove_file(&path).expect("it was there");
    for _ in 0..2 {
        let error = refusal(config());
        assert!(matches!(error, StartError::CorruptStore { source: DiskError::Gone, .. }), "{error}");
        assert!(error.to_string().contains("--set-aside-store"), "{error}");
        assert!(!path.exists(), "nothing is made");
    }
    fs::write(&path, b"").expect("a file");
    let error = refusal(config());
    assert!(matches!(error, StartError::CorruptStore { source: DiskError::Empty, .. }), "{error}");
    drop(set_aside(config()));
    let disk = Disk::open_existing(&path, true).expect("it was made");
    let incarnation = disk.begin_incarnation().expect("written");
    assert!(incarnation > 800_000_000, "{incarnation} is above the seconds from 2000 to 2025");
    drop(disk);
    drop(Daemon::start(config()).expect("from then on it is its store"));
}

#[test]
fn a_store_of_before_or_of_another_node_is_not_taken_for_ours() {
    let place = Place::new();
    let config = used(&place);
    let (path, other) = (config().store_file(), place.path().join("other"));
    // Begun anew: the one of before has another name.
    fs::copy(&path, &other).expect("a copy");
    fs::remove_file(&path).expect("it was there");
    drop(set_aside(config()));
    fs::copy(&other, &path).expect("a copy");
    let error = refusal(config());
    assert!(matches!(error, StartError::CorruptStore { source: DiskError::Other, .. }), "{error}");
    assert_eq!(
        fs::read(&path).expect("it is there"),
        fs::read(&other).expect("a copy"),
        "nothing is written to it"
    );
    // That of another node.
    let theirs = place.state(2);
    fs::copy(theirs.join("store.redb"), &path).expect("a copy");
    fs::copy(theirs.join("store.id"), path.with_file_name("store.id")).expect("a copy");
    let error = refusal(config());
    assert!(matches!(error, StartError::CorruptStore { source: DiskError::Key { .. }, .. }), "{error}");
    assert!(error.to_string().contains(&place.did(2)), "{error}");
    let untouched = fs::read(theirs.join("store.redb")).expect("theirs");
    assert_eq!(fs::read(&path).expect("it is there"), untouched, "nothing is written to it");
}

/// Sets the store aside by a clock that is off by so many milliseconds, and tells the incarnation after that of the new one.
#[expect(clippy::disallowed_methods, reason = "incarnations of begun stores go by the machine's time")]
fn begun_anew(config: Config, off: i64) -> u32 {
    use super::clocks::clock_from;
    use std::{
        sync::atomic::AtomicI64,
        time::{SystemTime, UNIX_EPOCH},
    };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let base = i64::try_from(since_1970).expect("not so long") - 946_684_800_000;
    let (path, off) = (config.store_file(), Arc::new(AtomicI64::new(off)));
    let start = Start { set_aside_store: true, civil: Some(clock_from(base, &off)), ..Start::default() };
    drop(Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}")));
    Disk::open_existing(&path, true).expect("it was made").begin_incarnation().expect("written")
}

#[test]
fn a_store_that_is_set_aside_again_counts_on_from_the_one_before_whatever_the_clock_says() {
    let place = Place::new();
    let config = used(&place);
    let path = config().store_file();
    fs::remove_file(&path).expect("it was there");
    let first = begun_anew(config(), 2 * YEAR_MS);
    fs::remove_file(&path).expect("it was there");
    let second = begun_anew(config(), 0);
    assert!(second >= first, "{second} after {first}");
}

#[test]
fn a_store_that_cannot_be_read_to_its_end_is_set_aside_with_its_count_though_the_marker_is_lost() {
    let place = Place::new();
    let config = used(&place);
    let path = config().store_file();
    fs::remove_file(&path).expect("it was there");
    let first = begun_anew(config(), 2 * YEAR_MS);
    let database = redb::Database::open(&path).expect("a database");
    let writing = database.begin_write().expect("nobody else writes");
    let inbox: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("inbox");
    writing.open_table(inbox).expect("it has one").insert(7, &b"no message"[..]).expect("written");
    writing.commit().expect("written");
    drop(database);
    let held = fs::read(&path).expect("a store");
    fs::remove_file(path.with_file_name("store.id")).expect("it was there");
    let error = refusal(config());
    assert!(matches!(error, StartError::CorruptStore { source: DiskError::Inbox(_), .. }), "{error}");
    assert!(fs::read(&path).expect("a store") == held, "nothing is written to it");
    let second = begun_anew(config(), 0);
    assert!(second > first, "{second} after {first}");
}

#[test]
fn a_copy_of_the_store_that_is_put_back_is_not_used() {
    let place = Place::new();
    let config = used(&place);
    let (path, copy) = (config().store_file(), place.path().join("copy"));
    fs::copy(&path, &copy).expect("a copy");
    drop(Daemon::start(config()).expect("it is its store"));
    fs::copy(&copy, &path).expect("put back");
    let error = refusal(config());
    assert!(matches!(error, StartError::CorruptStore { source: DiskError::Older, .. }), "{error}");
    assert!(set_aside(config()).set_aside().is_some());
    drop(Daemon::start(config()).expect("from then on it is its store"));
}

#[test]
fn a_key_that_is_gone_is_not_made_anew_beside_a_store() {
    let place = Place::new();
    let config = used(&place);
    fs::remove_file(config().key_file()).expect("it was there");
    let error = refusal(config());
    assert!(matches!(error, StartError::KeyGone { .. }), "{error}");
    assert!(!config().key_file().exists(), "nothing is made");
    assert!(set_aside(config()).set_aside().is_some());
}

#[test]
fn a_store_that_was_begun_and_never_used_is_no_loss() {
    let place = Place::new();
    place.did(1);
    let config = || place.config(1, QUICK);
    drop(Daemon::start(config()).expect("it begins one"));
    // A store of a version that wrote no marker is taken over.
    fs::remove_file(place.state(1).join("store.id")).expect("it was there");
    drop(Daemon::start(config()).expect("it goes on"));
    assert!(place.state(1).join("store.id").exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_can_look_into_key_and_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let config = used(&place);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&place.state(1)), 0o700);
    for file in fs::read_dir(place.state(1)).expect("a folder") {
        let path = file.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let store = config().store_file();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).expect("chmod");
    drop(Daemon::start(config()).expect("it starts"));
    assert_eq!(mode(&store), 0o600);
}

#[cfg(unix)]
#[test]
fn a_store_that_is_taken_away_while_it_is_used_stops_acknowledgements_until_it_is_back() {
    let place = Place::new();
    let (one, other) = pair(&place);
    let (path, aside) = (one.config().store_file(), place.path().join("aside"));
    let (sender, receiver) = (Arc::new(Client::of(one)), Client::of(other));
    send(&sender, 2, "first");
    fs::rename(&path, &aside).expect("it was there");
    let later = sender.clone();
    let waits = thread::spawn(move || later.send(NodeId(2), Purpose::Telemetry, LIFETIME, b"second"));
    wait_until("it is noticed", || !sender.health().expect("health").ready);
    let troubles = sender.health().expect("health").troubles;
    assert!(troubles[0].contains("the store is gone"), "{troubles:?}");
    thread::sleep(Duration::from_millis(700));
    assert!(!waits.is_finished() && !path.exists(), "accepted into nothing");
    fs::rename(&aside, &path).expect("it was there");
    waits.join().expect("no panic").expect("accepted when it is back");
    assert_eq!([receive(&receiver), receive(&receiver)], ["first", "second"]);
}

/// A disk on which everything panics while it is told to.
#[derive(Debug)]
struct Panics {
    file: FileBackend,
    now: Arc<AtomicBool>,
}

impl Panics {
    fn look(&self) {
        assert!(!self.now.load(Ordering::Relaxed), "the pages contradict each other, in a test");
    }
}

impl StorageBackend for Panics {
    fn len(&self) -> io::Result<u64> {
        self.look();
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.look();
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.look();
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.look();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.look();
        self.file.write(offset, data)
    }
}

#[test]
fn a_store_that_panics_is_told_and_opened_again() {
    let place = Place::new();
    place.did(2);
    let now = Arc::new(AtomicBool::new(false));
    let switch = now.clone();
    let open_store: OpenStore = Box::new(move |file| {
        let file = FileBackend::new(file)?;
        Ok(Box::new(Panics { file, now: switch.clone() }))
    });
    let start = Start { open_store: Some(open_store), ..Start::default() };
    let config = place.config(1, &format!("peers: [{}], {QUICK}", place.peer(2, "Inbound")));
    let daemon = Daemon::start_with(config, start).unwrap_or_else(|error| panic!("{error}"));
    let client = Arc::new(Client::of(Arc::new(daemon)));
    send(&client, 2, "first");
    now.store(true, Ordering::Relaxed);
    let later = client.clone();
    let waits = thread::spawn(move || later.send(NodeId(2), Purpose::Telemetry, LIFETIME, b"second"));
    wait_until("it is noticed", || !client.health().expect("health").ready);
    thread::sleep(Duration::from_millis(700));
    assert!(!waits.is_finished(), "accepted by a store that panics");
    now.store(false, Ordering::Relaxed);
    waits.join().expect("no panic").expect("accepted when it can");
    wait_until("it is ready again", || client.health().expect("health").ready);
    send(&client, 2, "third");
}
