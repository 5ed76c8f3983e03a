//! Hardware in the loop: a radio or a whole asset of a scenario is real, in real time, and the session replays bit for bit.
//!
//! ```text
//! socket ─► reader thread ─► mailbox ─► stamp, log ─► kernel: radio, virtual link ─► simulated node
//! socket ◄── lag, log ◄────────────────────────────── kernel: end of reception   ◄── simulated node
//! ```
//!
//! [`Live`] paces the kernel by a clock and stamps what comes in; [`Replay`] gives the kernel the stamps of a log, and time is free. What
//! stands between log and kernel ([`Door`]) is the same code for both. `docs/FROM_SIM_TO_RADIO.md` walks through it, and
//! [ADR 0012](../../docs/adr/0012-hardware-in-the-loop.md) says why it is so.

mod attachment;
mod binding;
mod clock;
mod door;
mod journal;
mod live;
mod mailbox;
mod nodes;
#[cfg(feature = "daemon")]
mod program;
#[cfg(feature = "daemon")]
mod radio;
mod replay;
mod report;
mod session;
mod wire;

pub use attachment::{Attachment, AttachmentError};
pub use binding::{Binding, BindingError, Framing, resolve};
pub use clock::{ClockMode, LagPolicy, Pacer, dtn_now_ms};
pub use door::{Door, DoorCounts};
pub use journal::{
    Entry, Header, JournalError, JournalReader, JournalWriter, LoggedEnd, LoggedFrame, LoggedInterface,
    SourceFile, Tail,
};
pub use live::{Ended, Live, Setup};
pub use mailbox::{Incoming, Mailbox};
pub use nodes::{NodesError, write_nodes};
pub use replay::{Replay, Replayed};
pub use report::{InterfaceReport, SessionReport, SpanSummary};
pub use session::{Session, SessionError, TRANSPORTS, open};
pub use wire::{Outgoing, UdpWire, Wire, WireError, Wires};
