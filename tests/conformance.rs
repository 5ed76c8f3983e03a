//! The node contract (docs/adr/0001-node-contract.md), held against every driver: the simulator's runtime in simulated
//! time, and the UDP driver of `examples/udp_pair` over loopback sockets with the machine's clock.
//!
//! Every claim is one function over [`Driver`]; [`holds_for`] makes a test of each for each driver.

#[path = "conformance/simulated.rs"]
mod simulated;
#[path = "conformance/udp.rs"]
mod udp;
#[path = "../examples/udp_pair/driver.rs"]
mod udp_driver;

use cosmosmesh_protocol::{
    node::{Kept, Node},
    time::Instant,
};
use std::collections::BTreeMap;

/// An end of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// What the air does to frames.
#[derive(Clone, Copy, Debug)]
enum Air {
    Clear,
    /// One bit in the middle of every frame changes.
    Flips,
    /// Every n-th frame is lost.
    Loses(usize),
}

impl Air {
    /// The effect on each frame: `false` when it is lost.
    fn effect(self) -> impl FnMut(&mut Vec<u8>) -> bool + Send {
        let mut count = 0;
        move |frame| {
            count += 1;
            match self {
                Self::Clear => true,
                Self::Loses(every) => count % every != 0,
                Self::Flips => {
                    let middle = frame.len() / 2;
                    frame[middle] ^= 1;
                    true
                }
            }
        }
    }
}

/// A delivery: its number, and the length of its payload, by which a claim tells messages apart.
type Delivered = (u64, usize);

/// Two nodes in contact, and their hosts.
trait Driver {
    /// The application at `from` sends `bytes` to the other end.
    fn submit(&mut self, from: Side, bytes: usize);
    /// The application at `at` writes a key of the map `status`.
    fn write(&mut self, at: Side, key: &str, value: &str);
    /// Lets a little time pass: less than a message takes to be acknowledged, or about that.
    fn pass(&mut self);
    /// What the air does from now on.
    fn air(&mut self, air: Air);
    /// Bytes arrive that the other end never sent.
    fn hear(&mut self, at: Side, bytes: &[u8]);
    fn crash(&mut self, at: Side);
    fn restore(&mut self, at: Side);
    /// Nothing becomes durable at `at` until it is called with `false`. Returns whether the driver's disk can do that.
    fn stall_disk(&mut self, at: Side, stalls: bool) -> bool;
    /// Tells the node at once that its time has come.
    fn time_out(&mut self, at: Side);
    /// The time on the node's clock.
    fn now(&self, at: Side) -> Instant;

    fn node(&self, at: Side) -> &Node;
    fn kept(&self, at: Side) -> &BTreeMap<Vec<u8>, Vec<u8>>;
    /// Application messages delivered at `at`, in order.
    fn delivered(&self, at: Side) -> Vec<Delivered>;
    /// Numbers of application messages of `at` that it knows to be durable at itself.
    fn accepted(&self, at: Side) -> Vec<u64>;
    /// Numbers of application messages of `at` that it knows to be delivered.
    fn acknowledged(&self, at: Side) -> Vec<u64>;
    /// Application messages that `at` sent again.
    fn retransmissions(&self, at: Side) -> usize;
}

/// Lets time pass until `done`, for long enough that a slow machine is no failure.
fn until(driver: &mut dyn Driver, what: &str, done: impl Fn(&dyn Driver) -> bool) {
    for _ in 0..1000 {
        if done(driver) {
            return;
        }
        driver.pass();
    }
    panic!("never: {what}");
}

fn refusals(driver: &dyn Driver, at: Side) -> u64 {
    driver.node(at).refusals().values().sum()
}

/// The messages that a claim sends: the number and the length of each.
fn messages(count: u64) -> Vec<Delivered> {
    (1..=count).map(|number| (number, 10 + number as usize)).collect()
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

fn messages_arrive_once_and_in_order_though_frames_are_lost(driver: &mut dyn Driver) {
    driver.air(Air::Loses(4));
    for (_, bytes) in messages(25) {
        driver.submit(Side::A, bytes);
        driver.submit(Side::B, bytes + 100);
        driver.pass();
    }
    let all: Vec<u64> = (1..=25).collect();
    until(driver, "all acknowledged", |d| {
        d.acknowledged(Side::A).len() >= 25 && d.acknowledged(Side::B).len() >= 25
    });
    assert_eq!(driver.delivered(Side::B), messages(25));
    let back: Vec<Delivered> =
        messages(25).into_iter().map(|(number, bytes)| (number, bytes + 100)).collect();
    assert_eq!(driver.delivered(Side::A), back);
    assert_eq!(sorted(driver.acknowledged(Side::A)), all);
    assert!(driver.retransmissions(Side::A) > 0, "losses were repaired end to end");
}

fn nothing_is_acknowledged_before_it_is_durable(driver: &mut dyn Driver) {
    let stalls = driver.stall_disk(Side::B, true);
    driver.submit(Side::A, 11);
    if stalls {
        for _ in 0..20 {
            driver.pass();
        }
        assert!(driver.acknowledged(Side::A).is_empty());
        assert!(driver.delivered(Side::B).is_empty());
        driver.stall_disk(Side::B, false);
    }
    until(driver, "acknowledged", |d| {
        // The receiver's own record of how far the stream is delivered: the number ends the value.
        let floor = d.kept(Side::B).iter().filter(|(key, _)| key[0] == Kept::IncomingStream as u8);
        let durable = floor.filter(|(_, value)| value[value.len() - 8..] == 1u64.to_be_bytes()).count() == 1;
        let acknowledged = d.acknowledged(Side::A) == [1];
        assert!(durable || !acknowledged, "acknowledged, but not durable");
        acknowledged
    });
    assert_eq!(driver.delivered(Side::B), [(1, 11)]);
}

fn a_submission_is_accepted_only_when_it_is_durable_at_its_source(driver: &mut dyn Driver) {
    if driver.stall_disk(Side::A, true) {
        driver.submit(Side::A, 11);
        for _ in 0..10 {
            driver.pass();
        }
        assert!(driver.accepted(Side::A).is_empty());
        assert!(driver.delivered(Side::B).is_empty(), "what a crash would lose is not on its way");
        driver.stall_disk(Side::A, false);
    } else {
        driver.submit(Side::A, 11);
    }
    let messages = driver.kept(Side::A).keys().filter(|key| key[0] == Kept::OutgoingMessage as u8).count();
    assert_eq!((driver.accepted(Side::A), messages), (vec![1], 1));
    until(driver, "delivered", |d| d.delivered(Side::B) == [(1, 11)]);
}

fn every_output_is_out_before_the_next_input_goes_in(driver: &mut dyn Driver) {
    for (number, bytes) in messages(10) {
        driver.submit(Side::A, bytes);
        // No time passes: what the submission caused is here at once.
        assert_eq!(driver.accepted(Side::A).last(), Some(&number));
        let kept = driver.kept(Side::A).keys().filter(|key| key[0] == Kept::OutgoingMessage as u8).count();
        assert_eq!(kept as u64, number);
    }
}

fn an_early_timeout_changes_nothing_and_asking_for_the_time_is_pure(driver: &mut dyn Driver) {
    // The other end is silent, so that only its timer moves the sender.
    driver.crash(Side::B);
    driver.submit(Side::A, 11);
    driver.pass();
    let state =
        |d: &dyn Driver| (d.kept(Side::A).clone(), d.retransmissions(Side::A), d.node(Side::A).stored());
    let early = (0..100).any(|_| {
        let due = driver.node(Side::A).poll_timeout().expect("an acknowledgement is awaited");
        let before = state(driver);
        assert_eq!(driver.node(Side::A).poll_timeout(), Some(due));
        driver.time_out(Side::A);
        if driver.now(Side::A) >= due {
            // A busy machine let the time come meanwhile: this was no early timeout.
            return false;
        }
        assert_eq!(driver.node(Side::A).poll_timeout(), Some(due));
        assert_eq!(before, state(driver));
        true
    });
    assert!(early);
    until(driver, "sent again", |d| d.retransmissions(Side::A) > 0);
}

fn a_tampered_frame_and_random_bytes_move_nothing_but_a_counter(driver: &mut dyn Driver) {
    let before = driver.kept(Side::B).clone();
    driver.air(Air::Flips);
    driver.submit(Side::A, 11);
    until(driver, "the tampered frame was refused", |d| refusals(d, Side::B) > 0);
    assert_eq!(driver.kept(Side::B), &before);
    let stored = driver.node(Side::B).stored();
    let mut noise = Noise(0x243F_6A88_85A3_08D3);
    for length in 0..300 {
        let bytes: Vec<u8> = (0..length).map(|_| noise.next()).collect();
        driver.hear(Side::B, &bytes);
        if length % 50 == 0 {
            driver.pass();
        }
    }
    until(driver, "noise was refused", |d| refusals(d, Side::B) > 100);
    assert_eq!(driver.kept(Side::B), &before);
    assert_eq!(driver.node(Side::B).stored(), stored);
    assert!(driver.delivered(Side::B).is_empty());
    assert!(driver.acknowledged(Side::A).is_empty());
    // And it still does its work.
    driver.air(Air::Clear);
    until(driver, "delivered", |d| d.delivered(Side::B) == [(1, 11)]);
}

fn crashes_at_either_end_lose_and_double_nothing(driver: &mut dyn Driver) {
    driver.air(Air::Loses(5));
    for (number, bytes) in messages(40) {
        driver.submit(Side::A, bytes);
        driver.pass();
        let crashed = match number % 10 {
            2 => Side::A,
            4 => Side::B,
            7 => {
                // Both at once, while frames are on their way.
                driver.crash(Side::B);
                Side::A
            }
            _ => continue,
        };
        driver.crash(crashed);
        driver.pass();
        driver.restore(crashed);
        if number % 10 == 7 {
            driver.restore(Side::B);
        }
    }
    until(driver, "all delivered", |d| d.delivered(Side::B).len() >= 40);
    // Retransmissions that are still under way get the time to do harm.
    until(driver, "nothing awaits an acknowledgement", |d| {
        d.kept(Side::A).keys().all(|key| key[0] != Kept::OutgoingMessage as u8)
    });
    let lengths = |list: Vec<Delivered>| list.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    assert_eq!(lengths(driver.delivered(Side::B)), lengths(messages(40)));
}

fn a_crash_at_every_step_of_one_message_delivers_it_once(driver: &mut dyn Driver) {
    for (number, bytes) in messages(6) {
        driver.submit(Side::A, bytes);
        for _ in 0..number {
            driver.pass();
        }
        driver.crash(Side::B);
        driver.restore(Side::B);
        until(driver, "delivered", |d| d.delivered(Side::B).len() as u64 >= number);
    }
    for _ in 0..20 {
        driver.pass();
    }
    assert_eq!(driver.delivered(Side::B).len(), 6);
}

fn replicated_writes_converge(driver: &mut dyn Driver) {
    driver.air(Air::Loses(5));
    let empty = driver.node(Side::A).replica().expect("a member").digest();
    for round in 0..8 {
        driver.write(Side::A, &format!("key {}", round % 3), &format!("a{round}"));
        driver.write(Side::B, &format!("key {}", round % 4), &format!("b{round}"));
        driver.pass();
        if round == 4 {
            driver.crash(Side::B);
            driver.pass();
            driver.restore(Side::B);
        }
    }
    let digest = |d: &dyn Driver, side| d.node(side).replica().expect("a member").digest();
    until(driver, "replicas are equal", |d| digest(d, Side::A) == digest(d, Side::B));
    assert_ne!(digest(driver, Side::A), empty);
    for side in [Side::A, Side::B] {
        assert_eq!(driver.node(side).replica().expect("a member").map_entries(b"status").count(), 4);
    }
}

/// Bytes without meaning, the same in every run (xorshift64, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as u8
    }
}

macro_rules! holds_for {
    (drivers { $($module:ident: $driver:expr,)* } claims $claims:tt) => { $(holds_for!(@ $module, $driver, $claims);)* };
    (@ $module:ident, $driver:expr, { $($claim:ident,)* }) => {
        mod $module {
            $(
                #[test]
                fn $claim() {
                    super::$claim(&mut $driver);
                }
            )*
        }
    };
}

holds_for! {
    drivers {
        simulator: crate::simulated::SimulatedPair::new(),
        plain_udp: crate::udp::UdpPair::new(),
    }
    claims {
        messages_arrive_once_and_in_order_though_frames_are_lost,
        nothing_is_acknowledged_before_it_is_durable,
        a_submission_is_accepted_only_when_it_is_durable_at_its_source,
        every_output_is_out_before_the_next_input_goes_in,
        an_early_timeout_changes_nothing_and_asking_for_the_time_is_pure,
        a_tampered_frame_and_random_bytes_move_nothing_but_a_counter,
        crashes_at_either_end_lose_and_double_nothing,
        a_crash_at_every_step_of_one_message_delivers_it_once,
        replicated_writes_converge,
    }
}
