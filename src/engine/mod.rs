//! The event kernel: queue, random streams, trace.

mod asset_log;
mod canonical;
mod capture;
mod chances;
mod event_queue;
mod fields;
mod fingerprint;
mod merge;
mod queue;
mod random;
mod record;
mod sink;
mod trace_file;

pub use asset_log::{AssetLog, EarlierLog};
pub use canonical::encode_record;
pub use capture::{SentBundle, merge_bundles};
pub use chances::Chances;
pub use event_queue::EventQueue;
pub use fields::Field;
pub use fingerprint::{Digest, Fingerprint, FingerprintError};
pub use merge::merge_records;
pub use queue::{Entry, Inbox, WakeQueue};
pub use random::{RandomStreams, Rng, Stream, pair};
pub use record::{DropReason, LossReason, MessageKind, Record, RecordKind};
pub use sink::{Sink, Tee};
pub use trace_file::TraceWriter;
