//! Secure aggregation: a coordinator learns sums of many contributions, and no single one.
//!
//! An [`Asset`] masks the change of its share with a keystream for each member of a committee; the [`Aggregator`] adds up
//! what it cannot read and publishes who survived; each [`CommitteeMember`] answers with the sum of its masks over exactly these, once; and
//! the running sum opens:
//!
//! ```text
//!   asset ── y = x + Σ_c PRG(k_ic, sequence) ──► aggregator ── survivors ──► member c
//!     ▲                                              │  ▲                       │
//!     └───────────── receipt ────────────────────────┘  └──── Σ_i PRG(k_ic) ────┘
//! ```
//!
//! Each asset speaks once in a round, and no asset waits for another. Keys are of one epoch ([`Terms`]); members' keys are shared
//! among the committee, so that a lost member is recovered ([`Recover`]). `docs/PRIVACY.md` says who may collude with whom, what leaks, and which
//! test holds each line.
//!
//! Every machine is sans-IO: messages come in authenticated (their sender is an argument), and answers are returned.

mod aggregator;
mod asset;
mod error;
mod keystream;
mod member;
mod message;
pub mod noise;
mod recovery;
mod role;
mod secret;
mod sharing;
mod terms;

#[cfg(test)]
pub(super) mod fleet_tests;
#[cfg(test)]
mod round_tests;
#[cfg(test)]
mod threat_tests;

pub use aggregator::{Aggregator, Audit, Opened, Progress, Standing, Taken};
pub use asset::{Asset, Resolution};
pub use error::PrivacyError;
pub use member::CommitteeMember;
pub use message::{MaskSum, MaskedContribution, Receipt, Survivors};
pub use recovery::{Deal, Recover, ReturnedShare, SEALED_LEN};
pub use role::{Item, Role, View};
pub use secret::{AssetSecret, SeatSecret};
pub use terms::{Enrolled, KEY_LEN, MAX_COMMITTEE, MAX_ENTRIES, MAX_GRAIN, Policy, Seat, Terms, TermsParts};
