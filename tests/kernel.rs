//! The event kernel, through its ECS driver, handles the events of PHOLD in the same order as other people's kernels.

mod phold;

use phold::{BareHeap, EcsDriver, Kernel};

#[test]
fn phold_ends_when_independent_kernels_say() {
    // Agreed on by a bare heap in Rust, ns-3 and OMNeT++: the time of event 3,000,000 with 10,000 processes.
    assert_eq!(EcsDriver::load(10_000).run(3_000_000), 300_212_041_277);
}

#[test]
fn phold_takes_the_same_course_as_on_a_bare_heap() {
    for processes in [1, 7, 8, 9, 64, 65, 1_000] {
        let (mut ours, mut bare) = (EcsDriver::load(processes), BareHeap::load(processes));
        for leg in 0..50 {
            assert_eq!(ours.run(400), bare.run(400), "{processes} processes, leg {leg}");
        }
    }
}
