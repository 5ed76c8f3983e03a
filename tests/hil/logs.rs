//! Logs that end in the middle of something, that lie, and that are longer than the run.

use super::field::{self, Plan, ms};
use cosmosmesh::{
    engine::Fingerprint,
    hil::{
        Binding, ClockMode, Ended, JournalReader, JournalWriter, LoggedEnd, LoggedFrame, Replay, Replayed,
        Session,
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
