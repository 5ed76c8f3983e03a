//! Event rate of the kernel through its ECS driver over that of a bare `BinaryHeap` loop with the same load (PHOLD), as a
//! ratio in one run. Also checks that both end when other people's kernels do.
//!
//! `cargo bench --bench kernel`; the kernels take turns, and the best of each counts.

#![expect(clippy::print_stdout, reason = "a bench reports on the terminal")]

#[path = "../tests/phold/mod.rs"]
mod phold;

use phold::{BareHeap, EcsDriver, Kernel};

/// (processes, events, time of the last event in nanoseconds, rounds). End times: a bare heap in Rust, ns-3 and OMNeT++.
const LOADS: [(u32, u64, u64, u32); 2] =
    [(10_000, 3_000_000, 300_212_041_277, 5), (1_000_000, 10_000_000, 9_993_974_922, 2)];

fn main() {
    println!("{:>10} {:>11} {:>12} {:>12} {:>7}", "processes", "events", "ECS Mev/s", "heap Mev/s", "ratio");
    for (processes, events, end, rounds) in LOADS {
        let (mut ours, mut bare) = (0.0f64, 0.0f64);
        for _ in 0..rounds {
            bare = bare.max(rate::<BareHeap>(processes, events, end));
            ours = ours.max(rate::<EcsDriver>(processes, events, end));
        }
        println!("{processes:>10} {events:>11} {ours:>12.2} {bare:>12.2} {:>7.2}", ours / bare);
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
