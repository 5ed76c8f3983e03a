//! Signed envelopes: COSE_Sign1 (RFC 9052 §4.2) around every message, and the replay window that judges their numbers.
//!
//! A receiver goes from cheap to dear, and nothing changes state before the signature holds:
//!
//! 1. [`Parsed::parse`]: size, structure, deterministic form, algorithm, purpose. No key is touched.
//! 2. [`Parsed::check_addressee`] and [`ReplayWindow::check`]: is it for us, and new? Still unproven.
//! 3. [`Parsed::verify`]: is the sender known, and is it the sender's signature?
//! 4. [`ReplayWindow::commit`]: only now is the number used up. A forger cannot move the window.

mod error;
mod header;
mod open;
mod replay;
mod seal;
pub mod sealing;
mod snapshot;

pub use error::EnvelopeError;
pub use header::{Header, Purpose};
pub use open::{Opened, Parsed, open};
pub use replay::{ReplayError, ReplayLimits, ReplayWindow};
pub use seal::{MAX_ENVELOPE_LEN, MAX_OVERHEAD, seal};
pub use snapshot::SnapshotError;
