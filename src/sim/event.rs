//! What happens at an asset.

use crate::link::{Flight, TransmissionId};

/// An event of the simulator's queue.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The next window of the asset's list opens: its place in the list.
    WindowOpens(u32),
    /// A window of the asset closes: its place in the list.
    WindowCloses(u32),
    /// A frame's last bit is here.
    FrameEnds(Box<Incoming>),
    /// A radio may send again, or try again.
    RadioFree(u32),
    /// The node's timer may be due.
    Timer,
    /// A message of this flow arises.
    Submit(u32),
    /// A write to shared state arises.
    Write,
    /// The coordinator begins the plan.
    StartPlan,
    /// The battery let the radios fall silent, or wake.
    Silence(bool),
    /// A fault of the scenario begins or ends here.
    Fault {
        /// Index into the scenario's faults.
        fault: u32,
        /// Whether it begins.
        begins: bool,
    },
}

/// A frame at the end of its reception.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// Index into the course's links.
    pub(super) link: u32,
    /// How it travelled.
    pub(super) flight: Flight,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Its number on the shared channel, if it used one.
    pub(super) transmission: Option<TransmissionId>,
}
