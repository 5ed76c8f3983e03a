//! Sessions in real time, and their replays.

use super::{
    field::{self, Plan, ms},
    udp_driver::{UdpHost, always_up},
};
use cosmosmesh::{
    engine::{RandomStreams, RecordKind},
    hil::{ClockMode, Ended, LagPolicy},
    runtime::{Carried, Fleet},
    scenario::Scenario,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    id::NodeId,
    node::{Input, LinkUp, Submission},
};
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Sends back what it gets, until told to end; gives how many frames that were.
fn echo(socket: UdpSocket, ending: Arc<AtomicBool>) -> JoinHandle<u64> {
    socket.set_read_timeout(Some(ms(50))).unwrap();
    thread::spawn(move || {
        let (mut buffer, mut count) = ([0; 2048], 0);
        while !ending.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                count += 1;
                socket.send_to(&buffer[..length], from).unwrap();
            }
        }
        count
    })
}

/// Threads that keep the processors busy.
fn load(threads: usize, ending: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let spin = |ending: Arc<AtomicBool>| {
        move || {
            let mut number = 1_u64;
            while !ending.load(Ordering::Relaxed) {
                number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        }
    };
    (0..threads).map(|_| thread::spawn(spin(ending.clone()))).collect()
}

#[test]
fn a_live_session_replays_bit_for_bit_on_one_thread_and_two_and_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "3 s", 0.05, &field::traffic("20 ms"));
    for (round, (threads, busy)) in [(1, 0), (2, 0), (1, 4), (2, 4)].into_iter().enumerate() {
        let ending = Arc::new(AtomicBool::new(false));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (echo, load) = (echo(socket, ending.clone()), load(busy, &ending));
        let bindings = [format!("rover/uhf=udp:{address}")];
        let log = folder.path().join(format!("{round}.hil"));
        let (live, report, ended) = Plan { threads, ..Plan::new(&path, &bindings) }.run(&log);
        ending.store(true, Ordering::Relaxed);
        let echoed = echo.join().unwrap();
        load.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(ended, Ended::Whole);
        let one = &report.interfaces[0];
        // The last frames are echoed after the end.
        assert!(one.frames_out > 50 && one.frames_in > 40 && echoed >= one.frames_in, "{one:?}, {echoed}");
        assert!(report.wall_s >= 3.0, "{}", report.wall_s);
        field::assert_replays(&log, &live);
    }
}

/// The asset's node, as the scenario has it, on a host of its own behind a UDP socket.
fn host(path: &std::path::Path, asset: AssetIndex, peer: u64, socket: UdpSocket) -> UdpHost {
    let scenario = Arc::new(Scenario::load(path).unwrap());
    let fleet = Fleet::new(scenario.clone(), RandomStreams::new(scenario.seed)).unwrap();
    let up = LinkUp { mtu: 512, rate_bps: 64_000, ..always_up(NodeId(peer)) };
    let (config, keys) = (fleet.config(asset, 1, &Carried::default()), fleet.keys(asset));
    let plan = ContactPlan::from_contacts([(2, 1), (1, 2)].map(|(from, to)| {
        cosmosmesh_protocol::dtn::contact_plan::PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: cosmosmesh_protocol::time::Instant::ZERO,
            end: cosmosmesh_protocol::time::Instant::from_nanos(600_000_000_000),
            rate_bps: 64_000,
            owlt: Duration::ZERO,
        }
    }));
    UdpHost::start(config, keys, socket, plan.unwrap(), up)
}

#[test]
fn a_real_node_is_an_asset_and_exchanges_messages_with_simulated_ones_over_the_virtual_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "8 s", 0.05, &field::traffic("250 ms"));
    let (ours, theirs) = (field::port(), field::port());
    let socket = UdpSocket::bind(("127.0.0.1", theirs)).unwrap();
    socket.connect(("127.0.0.1", ours)).unwrap();
    let mut rover = host(&path, AssetIndex(1), 1, socket);
    let flying = thread::spawn(move || {
        for number in 0..12_u8 {
            let submission = Submission {
                destination: NodeId(1),
                purpose: Purpose::Telemetry,
                priority: Priority::Normal,
                lifetime: Duration::from_secs(3600),
                payload: vec![number; 700],
            };
            rover.input(Input::Submit(submission)).unwrap();
            rover.serve(ms(300)).unwrap();
        }
        rover.serve(ms(3500)).unwrap();
        rover
    });
    let bindings = [format!("rover/uhf>habitat=udp:127.0.0.1:{theirs}@127.0.0.1:{ours}")];
    let log = folder.path().join("node.hil");
    let (live, report, _) = Plan { civil_offset: true, ..Plan::new(&path, &bindings) }.run(&log);
    let rover = flying.join().unwrap();
    // Payloads of 700 bytes take two frames each way, some frames are lost, and the contact pauses: all is repeated until it is there.
    let delivered = live.records.iter().filter(
        |one| matches!(one.kind, RecordKind::Delivered { source: AssetIndex(1), bytes: 700, .. } if one.asset.0 == 0),
    );
    let delivered = delivered.count();
    assert!(delivered >= 9, "{delivered} of 12 reached the simulated habitat: {report:?}");
    assert!(rover.deliveries.len() >= 12, "{} of 32 reached the real rover", rover.deliveries.len());
    field::assert_replays(&log, &live);
}

#[test]
fn a_stepped_clock_moves_only_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, &field::traffic("100 ms"));
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bindings = [format!("rover/uhf=udp:{}", sink.local_addr().unwrap())];
    let log = folder.path().join("stepped.hil");
    let plan = Plan {
        mode: ClockMode::Stepped(SimTime(500 * 1_000_000)),
        meanwhile: &|mailbox| {
            thread::spawn(move || {
                for _ in 0..3 {
                    thread::sleep(ms(30));
                    mailbox.post(0, vec![0x40, 1, 2, 3], Some(-100), Some(-30));
                    mailbox.step(1);
                }
                thread::sleep(ms(200));
                mailbox.end();
            });
        },
        ..Plan::new(&path, &bindings)
    };
    let (live, report, ended) = plan.run(&log);
    assert_eq!(ended, Ended::Stopped);
    let last = live.records.iter().map(|one| one.time).max().unwrap();
    assert!(
        last >= SimTime(1400 * 1_000_000) && last <= SimTime(1_500_001_000),
        "three steps of 500 ms: {last}"
    );
    assert_eq!(report.interfaces[0].frames_in, 3);
    field::assert_replays(&log, &live);
}

#[test]
fn a_scaled_clock_runs_so_many_times_as_fast() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "20 s", 0.0, &field::traffic("100 ms"));
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bindings = [format!("rover/uhf=udp:{}", sink.local_addr().unwrap())];
    let log = folder.path().join("scaled.hil");
    let (live, report, _) = Plan { mode: ClockMode::Scaled(20.0), ..Plan::new(&path, &bindings) }.run(&log);
    assert!((0.99..3.0).contains(&report.wall_s), "{}", report.wall_s);
    field::assert_replays(&log, &live);
}

#[test]
fn a_hard_limit_ends_a_late_session_and_slip_moves_the_clock_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "2 s", 0.0, &field::traffic("5 ms"));
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bindings = [format!("rover/uhf=udp:{}", sink.local_addr().unwrap())];
    let log = folder.path().join("late.hil");
    // No machine wakes up within a nanosecond.
    let never = Duration::from_nanos(1);
    let (live, _, ended) =
        Plan { policy: LagPolicy::HardLimit(never), ..Plan::new(&path, &bindings) }.run(&log);
    assert!(matches!(ended, Ended::TooLate { .. }), "{ended:?}");
    field::assert_replays(&log, &live);
    let (live, report, ended) =
        Plan { policy: LagPolicy::Slip(never), ..Plan::new(&path, &bindings) }.run(&log);
    assert_eq!(ended, Ended::Whole);
    assert!(report.slips > 100 && report.slipped_ms > 0.0, "{report:?}");
    assert!(report.wall_s > 2.0 + report.slipped_ms / 1e3 - 0.01, "{report:?}");
    field::assert_replays(&log, &live);
}
