//! Governance: how a fleet without a ground station decides upon its own rules, and how all of it ends up with one history.
//!
//! A [`Ledger`] is a chain of decisions in numbered slots. In a slot, voters of the electorate put proposals ([`Content`]: a policy, a schema,
//! who votes, who is blocked, the authority's key) on the table and sign [`Ballot`]s, in steps:
//!
//! * step 0: each voter approves one proposal, or none, once;
//! * step 1 and later: voters *commit* to what is to be written down: a proposal that a quorum has approved, or nothing.
//!
//! A slot is decided when a quorum commits to one choice in one step. Its certificate, the proposal and those ballots, proves the decision to
//! whoever knows the slot before, without any other evidence; it is what replicas exchange.
//!
//! # Why all replicas hold one history
//!
//! With n voters, f = ⌊(n−1)/6⌋ of them may lie, and a quorum is q = ⌊2(n+f)/3⌋ + 1. The electorate of a slot is a function of the decisions
//! before it, so that by induction all replicas count the same n, q and f, and no replica counts a ballot of a slot whose electorate it does not know.
//!
//! 1. *One proposal at most can be approved by a quorum.* Two quorums share 2q − n > 2f voters, and an honest voter approves once.
//! 2. *One choice at most is decided in a step*, for the same reason.
//! 3. *What may have been decided in a step stands in all later ones.* A ballot for c in step s + 1 counts only with at least q ballots in step s,
//!    more than n − q + f of them for c. If another choice was decided in step s, at least q − f honest voters chose that, which leaves at most
//!    n − q + f voters with a ballot for c, liars with two of them included: c cannot go on. By induction it never comes back.
//! 4. *Nothing depends on a clock or on the order of messages.* Every count above only grows with what a replica has: a voter that has said two
//!    things counts for both. Clocks tell a voter when to give a proposal up ([`Ledger::next_ballot`]), never what a ballot is worth.
//!
//! A part of the fleet with fewer than q voters can therefore decide nothing, and what it has signed hinders nobody's history: when the link is
//! back it takes the certificates. *Liveness* needs q honest voters that hear each other for a while: whatever n − q others do, or do not, each of
//! the q commits in each step, and of q ballots for two choices more than n − q + f are for one of them (3q > 2n + 2f), so that there is always a way on;
//! once all have seen the same ballots they choose the same, and that is decided. (As in the One-Third Rule algorithm, Charron-Bost and Schiper 2009,
//! from which rule 3 is taken.) A liar that releases ballots in just the right moments can delay that, step by step: a slot has 32.
//!
//! *Voters who lie.* Two different ballots of one voter in one step are kept as proof and told ([`Inserted::Exposed`]). Of a liar's ballots two
//! are kept in each step: those that others' ballots make matter, so that in the end all keep the same. A certificate's validity depends on its own
//! bytes alone, so that all take it. With f + 1 liars two certificates for one slot can exist, so with one in a fleet of six or fewer; a replica that sees
//! both refuses the second and says so ([`GovernanceError::Split`]): that needs hands.
//!
//! A voter keeps its ballots before it sends them. One that lost its disk must not vote in the slot that was open: its host gives it another
//! number, or it counts as one of the f.

mod ballot;
mod certificate;
mod content;
mod electorate;
mod error;
mod ledger;
mod message;
mod record;
mod slot;
mod snapshot;

pub use ballot::{Ballot, Choice};
pub use certificate::MAX_CERTIFICATE_LEN;
pub use content::{Content, MAX_CONTENT_LEN};
pub use electorate::{Electorate, MAX_VOTERS};
pub use error::GovernanceError;
pub use ledger::{Decision, Exposure, Inserted, Ledger, MAX_DECISIONS, Proposal, Stance};
pub use message::{GovernanceMessage, MAX_MESSAGE_LEN};
pub use record::{MAX_LINKS, MAX_RECORD_LEN, Record};
pub use slot::MAX_STEPS;

#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod partition_tests;
