//! Planning under masks: the solvers' assets and coordinator, with secure aggregation between them.
//!
//! A [`Masking`] under a solver's asset answers a request with a [`MaskedAnswer`], a [`Gathering`] under its coordinator gathers answers into windows, publishes each
//! window's survivors, and hands the opened sum to the method. A [`Party`] is all that one node does of this, message by message. The methods notice nothing but the time that the committee takes: a window
//! is one step of the coordinator and one more round trip, to the committee.
//!
//! | | without masks | with masks |
//! |---|---|---|
//! | a method with rounds | steps when everyone has answered | closes the window when everyone has answered, steps when the committee has |
//! | a method without rounds | steps when something came | closes a window of at least `k_min` when none is being opened, steps when the committee has answered |

mod asset;
mod coordinator;
mod enrolment;
mod gathering;
mod masking;
mod message;
mod party;
pub mod slots;

#[cfg(test)]
mod lying_tests;
#[cfg(test)]
mod masking_tests;
#[cfg(test)]
mod party_tests;
#[cfg(test)]
mod tests;

use super::{exchange::PlanError, message::MessageError, privacy::PrivacyError};

pub use asset::SecureAsset;
pub use coordinator::SecureCoordinator;
pub use enrolment::{Enrolment, EpochSeed};
pub use gathering::Gathering;
pub use masking::{Masking, Reply};
pub use message::{MaskedAnswer, MaskedRequest, Opening, Spent, Width};
pub(crate) use party::number;
pub use party::{Party, Suspicion, Window};

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

impl SecureError {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Plan(error) => error.reason(),
            Self::Privacy(error) => error.reason(),
            Self::Message(_) => "plan_malformed",
        }
    }
}
