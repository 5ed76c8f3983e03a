//! The event kernel, through an ECS driver, handles the events of PHOLD in the same order as other people's kernels.

mod phold;

use phold::{BareHeap, Events, Kernel, WakeUps};

#[test]
fn phold_ends_when_independent_kernels_say() {
    // Agreed on by a bare heap in Rust, ns-3 and OMNeT++: the time of event 3,000,000 with 10,000 processes.
    assert_eq!(Events::load(10_000).run(3_000_000), 300_212_041_277);
}

#[test]
fn phold_takes_the_same_course_as_on_a_bare_heap() {
    for processes in [1, 7, 8, 9, 64, 65, 1_000] {
        let mut bare = BareHeap::load(processes);
        let (mut events, mut wake_ups) = (Events::load(processes), WakeUps::load(processes));
        for leg in 0..50 {
            let expected = bare.run(400);
            assert_eq!(events.run(400), expected, "{processes} processes, leg {leg}, events");
            assert_eq!(wake_ups.run(400), expected, "{processes} processes, leg {leg}, wake-ups");
        }
    }
}
