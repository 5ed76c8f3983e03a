//! Planning under masks: the solvers' assets and coordinator, with secure aggregation between them.
//!
//! A [`SecureAsset`] answers a request with a [`MaskedAnswer`], a [`SecureCoordinator`] gathers answers into windows, publishes each window's
//! survivors, and hands the opened sum to its method. The methods notice nothing but the time that the committee takes: a window
//! is one step of the coordinator and one more round trip, to the committee.
//!
//! | | without masks | with masks |
//! |---|---|---|
//! | a method with rounds | steps when everyone has answered | closes the window when everyone has answered, steps when the committee has |
//! | a method without rounds | steps when something came | closes a window of at least `k_min` when none is being opened, steps when the committee has answered |

mod asset;
mod coordinator;
mod message;
mod party;
pub mod slots;

#[cfg(test)]
mod party_tests;
#[cfg(test)]
mod tests;

use super::{exchange::PlanError, message::MessageError, privacy::PrivacyError};

pub use asset::SecureAsset;
pub use coordinator::SecureCoordinator;
pub use message::{MaskedAnswer, MaskedRequest};
pub use party::Party;

/// Why a step of planning under masks is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SecureError {
    /// By the solver.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// By the masks.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// The bytes are no request.
    #[error(transparent)]
    Message(#[from] MessageError),
}
