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
//! Masks are bound to what is asked, to the generation of the sum, and to what is counted of the asset ([`Occasion`]): contributions that were lured out
//! by other questions than the rest's, or by a lie about what is counted, do not open with the rest.
//!
//! Each asset speaks once in a round, and no asset waits for another. Keys are of one epoch ([`Terms`]); members' keys are shared
//! among the committee, so that a lost member is recovered ([`Recover`]). `docs/PRIVACY.md` says who may collude with whom, what leaks, and which
//! test holds each line.
//!
//! Every machine is sans-IO: messages come in authenticated (their sender is an argument), and answers are returned.

mod aggregator;
mod asset;
mod error;
mod groups;
mod keystream;
mod member;
mod message;
pub mod noise;
mod occasion;
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

pub use aggregator::{Aggregator, Audit, Opened, Taken};
pub use asset::{Asset, Resolution};
pub use error::PrivacyError;
pub use member::CommitteeMember;
pub use message::{MaskSum, MaskedContribution, Receipt, Survivor, Survivors};
pub use occasion::{Occasion, STAGE_BITS};
pub use recovery::{Deal, Recover, ReturnedShare, SEALED_LEN};
pub use role::{Item, Role, View};
pub use secret::{AssetSecret, SeatSecret};
pub use terms::{Enrolled, KEY_LEN, MAX_COMMITTEE, MAX_ENTRIES, MAX_GRAIN, Policy, Seat, Terms, TermsParts};
