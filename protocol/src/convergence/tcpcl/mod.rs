//! TCP convergence layer, version 4 (RFC 9174): a session that carries bundles over one TCP connection.
//!
//! [`Session`] is the protocol of one connection. A driver moves bytes and time, and nothing else:
//!
//! ```text
//! read socket ──► handle_bytes ──► poll_output ──► node
//! write socket ◄── poll_transmit ◄── send ◄── node
//! timer: poll_timeout ──► handle_timeout
//! ```
//!
//! After each call the driver drains [`Session::poll_output`] and writes what [`Session::poll_transmit`] gives. TLS is the
//! driver's: [`Output::StartTls`] asks for the handshake, and [`Session::tls_done`] tells how it ended.
//!
//! What a peer can make a session hold is bounded: a transfer grows with the bytes that came, up to the transfer MRU;
//! answers that the peer does not read stop the reading of more ([`Session::handle_bytes`] takes less than it was given);
//! transfers that it does not acknowledge fill a window, then a queue, then [`SendError::QueueFull`], and end by a timer.

mod codes;
mod config;
mod error;
mod extension;
mod message;
mod receive;
mod session;
mod transmit;

pub use codes::{RejectReason, TerminationReason, TransferRefusal, XferFlags};
pub use config::{Acknowledgements, Config, TlsPolicy};
pub use error::{Closure, FailureReason, SendError, Violation};
pub use extension::{ExtensionItem, ExtensionItems, TRANSFER_LENGTH};
pub use message::{ContactHeader, Message, PORT, SessInit, XferSegment};
pub use session::{Established, Output, Role, Session, TlsOutcome, TransferToken};

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod transfer_tests;
