//! Solvers behind one interface: what a coordinator asks, what assets answer, and the methods that step from sums of answers.
//!
//! A [`Method`] is the coordinator's side. It sees the sum of the assets' answers, entry by entry, and who is in it: never one
//! asset's answer. An [`Asset`] is the other side, for every method. Between them travel a [`Request`] and a [`Contribution`]:
//! fixed-point vectors that are added mod 2⁶⁴, as differences to what the asset last had in the sum, so that the [`Coordinator`]
//! holds one running sum whatever the age of its parts. Masks can be laid under the contributions without any method noticing.
//!
//! | method | a step needs | assets solve | sums beside the share |
//! |---|---|---|---|
//! | [`exchange`] | everyone, or stale shares | proximal | two squares |
//! | [`consensus`] | everyone, or stale copies | proximal | one square |
//! | [`anderson`] | everyone | proximal | a row of the Gram matrix |
//! | [`quasi_newton`] | everyone since the last step | dual response | value, slope |
//! | [`asynchronous`] | anyone | near the last model | slope |
//! | [`asynchronous_exchange`] | anyone | proximal | none |
//! | [`thresholds`] (requests made whole) | everyone | what to take | the same by bins |

pub mod anderson;
pub mod asset;
pub mod asynchronous;
pub mod asynchronous_exchange;
pub mod auto;
pub mod consensus;
pub mod contribution;
pub mod coordinator;
pub mod exchange;
pub mod layout;
mod local;
pub mod method;
pub mod price_model;
pub mod quasi_newton;
mod report;
pub mod request;
pub mod response;
mod secants;
pub mod slots;
pub mod thresholds;

pub use asset::Asset;
pub use auto::{Choice, Reason, choose};
pub use contribution::Contribution;
pub use coordinator::{Agreed, Coordinator, Heading, Pace};
pub use layout::{Blocks, Curvature, Layout};
pub use method::{Kind, Method, MethodSettings, Progress, Tally, method};
pub use report::{MAX_REPORTS, RoundReport};
pub use request::{Question, Request};

#[cfg(test)]
mod tests;
