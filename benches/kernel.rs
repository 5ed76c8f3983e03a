//! Event rate of the kernel through an ECS driver, with a queue of events and with wake-ups and inboxes, over that of a bare
//! `BinaryHeap` loop with the same load (PHOLD), as ratios in one run. Also checks that all end when other people's kernels do.
//!
//! `cargo bench --bench kernel`; the kernels take turns, and the best of each counts.

#![expect(clippy::print_stdout, reason = "a bench reports on the terminal")]

#[path = "../tests/phold/mod.rs"]
mod phold;

use phold::{BareHeap, Events, Kernel, WakeUps};

/// (processes, events, time of the last event in nanoseconds, rounds). End times: a bare heap in Rust, ns-3 and OMNeT++.
const LOADS: [(u32, u64, u64, u32); 2] =
    [(10_000, 3_000_000, 300_212_041_277, 5), (1_000_000, 10_000_000, 9_993_974_922, 2)];

fn main() {
    println!("{:>10} {:>11} {:>9} {:>12} {:>9}", "processes", "events", "kernel", "Mev/s", "ratio");
    for (processes, events, end, rounds) in LOADS {
        let (mut queue, mut wake_ups, mut bare) = (0.0f64, 0.0f64, 0.0f64);
        for _ in 0..rounds {
            bare = bare.max(rate::<BareHeap>(processes, events, end));
            queue = queue.max(rate::<Events>(processes, events, end));
            wake_ups = wake_ups.max(rate::<WakeUps>(processes, events, end));
        }
        for (kernel, rate) in [("bare heap", bare), ("events", queue), ("wake-ups", wake_ups)] {
            println!("{processes:>10} {events:>11} {kernel:>9} {rate:>12.2} {:>9.2}", rate / bare);
        }
    }
}

/// Million events per second, without the loading.
#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn rate<K: Kernel>(processes: u32, events: u64, end: u64) -> f64 {
    let mut kernel = K::load(processes);
    let start = std::time::Instant::now();
    let last = kernel.run(events);
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(last, end, "the kernel ran another course than its peers");
    events as f64 / seconds / 1e6
}
