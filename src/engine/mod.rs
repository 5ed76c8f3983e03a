//! The event kernel: queue, random streams, trace.

mod record;

pub use record::{DropReason, LossReason, MessageKind, Record, RecordKind};
