//! Logs that end in the middle of something, that lie, and that are longer than the run.

use super::field::{self, Plan, ms};
use cosmosmesh::{
    engine::Fingerprint,
    hil::{
        Binding, ClockMode, Ended, JournalReader, JournalWriter, LoggedEnd, LoggedFrame, Mailbox, Replay,
        Replayed, Session,
    },
    scenario::Scenario,
    sim::{Entrance, Options, Simulation},
    units::SimTime,
};
use std::{net::UdpSocket, path::Path, sync::Arc, thread};

fn sink() -> (UdpSocket, [String; 1]) {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let binding = format!("rover/uhf=udp:{}", sink.local_addr().unwrap());
    (sink, [binding])
}

#[test]
fn a_stepped_session_that_ends_after_a_frame_replays_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, &field::traffic("100 ms"));
    let (_sink, bindings) = sink();
    let log = folder.path().join("last.hil");
    let plan = Plan {
        mode: ClockMode::Stepped(SimTime(500 * 1_000_000)),
        meanwhile: &|mailbox| {
            thread::spawn(move || {
                mailbox.step(3);
                thread::sleep(ms(300));
                mailbox.post(0, vec![0x40, 1, 2, 3], None, None);
                thread::sleep(ms(300));
                mailbox.end();
            });
        },
        ..Plan::new(&path, &bindings)
    };
    let (live, report, ended) = plan.run(&log);
    assert_eq!((ended, report.interfaces[0].frames_in), (Ended::Stopped, 1));
    field::assert_replays(&log, &live);
}

#[test]
fn a_session_that_ends_before_the_stamp_of_its_last_frame_replays_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, &field::traffic("100 ms"));
    let (_sink, bindings) = sink();
    let log = folder.path().join("slow.hil");
    let plan = Plan {
        // The microsecond to which a stamp is rounded takes a millisecond.
        mode: ClockMode::Scaled(0.001),
        meanwhile: &|mailbox| {
            thread::spawn(move || {
                thread::sleep(ms(300));
                for _ in 0..5 {
                    mailbox.post(0, vec![0x40, 1, 2, 3], None, None);
                }
                thread::sleep(std::time::Duration::from_micros(200));
                mailbox.end();
            });
        },
        ..Plan::new(&path, &bindings)
    };
    let (live, report, ended) = plan.run(&log);
    let one = &report.interfaces[0];
    assert_eq!((ended, one.frames_in + one.dropped), (Ended::Stopped, 5), "none is lost without a word");
    field::assert_replays(&log, &live);
}

#[test]
fn steps_that_were_asked_for_before_the_end_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, &field::traffic("100 ms"));
    let (_sink, bindings) = sink();
    let log = folder.path().join("script.hil");
    let plan = Plan {
        mode: ClockMode::Stepped(SimTime::from_secs(1)),
        meanwhile: &|mailbox| {
            mailbox.step(4);
            mailbox.end();
        },
        ..Plan::new(&path, &bindings)
    };
    let (live, report, _) = plan.run(&log);
    assert!((4.0..4.1).contains(&report.simulated_s), "{}", report.simulated_s);
    field::assert_replays(&log, &live);
}

fn frame(time: SimTime) -> LoggedFrame {
    let (unix_ns, interface, sequence, entrance) = (0, 0, 1, Entrance::Air);
    let (rssi_dbm, snr_quarter_db, bytes) = (None, None, vec![0x40, 1, 2, 3]);
    LoggedFrame { time, unix_ns, interface, sequence, entrance, rssi_dbm, snr_quarter_db, bytes }
}

/// Replays what `write` writes into a log.
fn replay_of(folder: &Path, write: impl FnOnce(&mut JournalWriter)) -> Result<Replayed, String> {
    let path = field::scenario(folder, "4 s", 0.0, "");
    let (scenario, files) = Scenario::load_with_files(&path).unwrap();
    let binding: Binding = "rover/uhf=udp:127.0.0.1:9".parse().unwrap();
    let session = Session::new(&[binding], &scenario).unwrap();
    let words = ("realtime".to_owned(), "best-effort".to_owned());
    let log = folder.join("written.hil");
    let header = session.header(&scenario, files, scenario.seed, None, words);
    let mut writer = JournalWriter::create(&log, &header).unwrap();
    write(&mut writer);
    let (time, fingerprint, reason) = (SimTime::from_secs(4), Fingerprint([0; 32]), "over".to_owned());
    writer.finish(&LoggedEnd { time, fingerprint, reason }).unwrap();
    let (reader, _) = JournalReader::open(&log).unwrap();
    let mut replay = Replay::new(reader, session.door(&scenario), 1);
    let simulation = Simulation::beside(Arc::new(scenario), Options::default(), session.reality).unwrap();
    field::run(&simulation, &mut replay);
    replay.finish().map_err(|error| error.to_string())
}

#[test]
fn a_log_whose_stamps_lie_is_damaged_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    for stamp in [SimTime(-1), SimTime::from_secs(1), SimTime::MAX] {
        let found = replay_of(folder.path(), |writer| {
            writer.granted(SimTime::from_secs(2));
            writer.came_in(&frame(stamp));
            writer.granted(SimTime::from_secs(5));
        });
        assert!(found.as_ref().is_err_and(|error| error.contains("its stamp")), "{stamp}: {found:?}");
    }
    let found = replay_of(folder.path(), |writer| {
        writer.granted(SimTime::from_secs(2));
        // Not in order, but neither is before what had happened.
        writer.came_in(&frame(SimTime::from_secs(3)));
        writer.came_in(&frame(SimTime::from_secs(2)));
        writer.granted(SimTime::from_secs(5));
    });
    assert_eq!(found.unwrap().frames_in, 2);
}

#[test]
fn a_log_is_read_to_its_end_even_when_the_run_is_over_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let found = replay_of(folder.path(), |writer| {
        (0..5000).for_each(|_| writer.went_out(&frame(SimTime::from_secs(1))));
        writer.granted(SimTime::from_secs(5));
    });
    let found = found.unwrap();
    assert_eq!((found.missing, found.extra), (5000, 0));
    assert_eq!(found.end.map(|end| end.reason).as_deref(), Some("over"));
}

#[test]
fn a_counted_frame_from_outside_is_as_long_as_it_says_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "4 s", 0.0, "");
    let scenario = Scenario::load(&path).unwrap();
    let binding: Binding = "rover/uhf=udp:127.0.0.1:9".parse().unwrap();
    let mut door = Session::new(&[binding], &scenario).unwrap().door(&scenario);
    let (mut arrivals, counted) = (Vec::new(), vec![0x42, 0x7f, 0xff, 0xff, 0xff, 0]);
    door.enter(LoggedFrame { bytes: counted, ..frame(SimTime::ZERO) }, &mut arrivals);
    assert!(arrivals.is_empty(), "two gibibytes on air");
    assert_eq!(door.counts().map(|counts| counts.too_long).sum::<u64>(), 1);
    door.enter(frame(SimTime::ZERO), &mut arrivals);
    assert_eq!(arrivals.len(), 1);
}

#[test]
fn long_frames_fill_the_bytes_there_are_and_those_above_the_limit_take_no_room() {
    let mailbox = Mailbox::new(2);
    mailbox.limit(1, 512);
    assert!(!mailbox.post(1, vec![0; 513], None, None) && mailbox.post(1, vec![0; 512], None, None));
    let posted = (0..200).filter(|_| mailbox.post(0, vec![0; 65_535], None, None)).count();
    assert!(posted < 70, "{posted} datagrams wait");
    assert_eq!((mailbox.too_long(1), mailbox.dropped(0)), (1, 200 - posted as u64));
    assert!(mailbox.post(1, vec![0; 512], None, None), "each interface has its own room");
}

#[cfg(feature = "daemon")]
mod modems {
    use super::*;
    use cosmosmesh::{
        hil::{Outgoing, Wires, open},
        units::AssetIndex,
    };
    use std::{
        fs,
        net::TcpListener,
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    fn wires(folder: &Path, mtu: u32, at: &TcpListener) -> Result<Wires, String> {
        let path = field::scenario(folder, "4 s", 0.0, "");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("mtu_bytes: 512", &format!("mtu_bytes: {mtu}"))).unwrap();
        let scenario = Scenario::load(&path).unwrap();
        let bindings: [Binding; 1] =
            [format!("rover/uhf=kiss:{}", at.local_addr().unwrap()).parse().unwrap()];
        let session = Session::new(&bindings, &scenario).unwrap();
        open(&bindings, &session, &scenario, &Arc::new(Mailbox::new(1))).map_err(|error| error.to_string())
    }

    #[test]
    fn frames_that_a_modem_cannot_carry_are_refused_before_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let modem = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = wires(folder.path(), 512, &modem).err().unwrap();
        assert!(refused.contains("256 bytes at the most") && refused.contains("up to 512"), "{refused}");
        assert!(wires(folder.path(), 256, &modem).is_ok());
    }

    #[test]
    fn a_modem_that_accepts_and_closes_is_asked_once_a_second_and_one_that_takes_nothing_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let modem = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepted = Arc::new(AtomicU32::new(0));
        let (accepting, count) = (modem.try_clone().unwrap(), accepted.clone());
        thread::spawn(move || {
            for stream in accepting.incoming().take(1000) {
                count.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
        let closing = wires(folder.path(), 256, &modem).unwrap();
        thread::sleep(ms(1500));
        assert!((1..=3).contains(&accepted.load(Ordering::Relaxed)), "{accepted:?} connections");
        assert!(closing[0].1.losses() >= 1);
        drop(closing);
        // The backlog accepts, and nobody ever reads.
        let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut wires = wires(folder.path(), 256, &deaf).unwrap();
        thread::sleep(ms(100));
        let (done, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let frame = Outgoing { from: AssetIndex(0), snr_db: None, bytes: &[0xc0; 256] };
            let lost = (0..60_000).filter(|_| wires[0].1.send(&frame).is_err()).count();
            done.send(lost).unwrap();
        });
        // Half a million bytes and more wait in the sockets and the channel; the rest is lost, and counted.
        let lost = told.recv_timeout(Duration::from_secs(20)).expect("sending waits for nobody");
        assert!(lost > 10_000, "{lost}");
    }
}
