//! Why a step of secure aggregation or of noise is refused.

use crate::{cbor::CborError, id::NodeId};

/// A refusal: the state did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// Not the deterministic CBOR of the message.
    #[error("not a message of secure aggregation: {0}")]
    Malformed(#[from] CborError),
    /// A field of the terms is out of its range.
    #[error("terms: {field} is {found}, allowed are {least}..={most}")]
    Terms {
        /// The field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
    },
    /// Nodes of a list are not in strictly ascending order.
    #[error("terms: {list} is not in strictly ascending order of nodes")]
    Order {
        /// The list.
        list: &'static str,
    },
    /// A public key is no point of the curve, or of small order.
    #[error("the public key of node {node} is no point of the curve or has small order")]
    WeakKey {
        /// Whose key.
        node: NodeId,
    },
    /// The terms ask less than this asset's policy.
    #[error("terms offer {field} {found}, this asset asks at least {least}")]
    Policy {
        /// What is offered.
        field: &'static str,
        /// How much of it.
        found: u64,
        /// The least that is accepted.
        least: u64,
    },
    /// The committee has a member that this asset does not accept.
    #[error("node {node} may not sit in the committee")]
    Seat {
        /// The member.
        node: NodeId,
    },
    /// The roster has an asset that this one does not know.
    #[error("node {node} may not stand in the roster")]
    Stranger {
        /// The asset.
        node: NodeId,
    },
    /// The node is not in the terms, or its key there is not its own.
    #[error("node {node} is not in the terms with this key")]
    NotEnrolled {
        /// The node.
        node: NodeId,
    },
    /// A message for another epoch or other terms.
    #[error("epoch {found}, expected {expected}")]
    Epoch {
        /// The message's.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// Not the coordinator, the member or the deputy that may say this.
    #[error("node {node} may not send this")]
    Sender {
        /// Who sent it.
        node: NodeId,
    },
    /// A vector has the wrong number of entries, or of bytes.
    #[error("{found} entries, expected {expected}")]
    Entries {
        /// How many.
        found: usize,
        /// How many the terms say.
        expected: usize,
    },
    /// An entry of a share is beyond the bound of the terms.
    #[error("entry {entry} is beyond ±{bound} steps")]
    Bound {
        /// The entry.
        entry: usize,
        /// The bound in steps.
        bound: u64,
    },
    /// The asset's last contribution is not yet resolved: one at a time.
    #[error("contribution {sequence} is outstanding")]
    Outstanding {
        /// Its sequence number.
        sequence: u64,
    },
    /// A sequence number that was used: a mask is used once.
    #[error("sequence {found} of node {node} is used; the next is after {floor}")]
    Replayed {
        /// Whose.
        node: NodeId,
        /// The number.
        found: u64,
        /// The greatest that is used.
        floor: u64,
    },
    /// A round that is over.
    #[error("round {found} is over, the last is {last}")]
    OldRound {
        /// The message's.
        found: u64,
        /// The last round.
        last: u64,
    },
    /// A second, different survivor set for a round.
    #[error("round {round} has another survivor set")]
    SecondSet {
        /// The round.
        round: u64,
    },
    /// Fewer survivors than the terms ask.
    #[error("{found} survivors, needed are {k_min}")]
    TooFew {
        /// How many.
        found: usize,
        /// How many are needed.
        k_min: usize,
    },
    /// Fewer newcomers than may join at once: their first contributions would stand out.
    #[error("{found} newcomers, needed are {cohort} or none")]
    Cohort {
        /// How many.
        found: usize,
        /// How many are needed.
        cohort: usize,
    },
    /// A generation of the sum that is over, or that cannot follow.
    #[error("generation {found} of the sum, the last is {last}")]
    Generation {
        /// The message's.
        found: u64,
        /// The last one here.
        last: u64,
    },
    /// What is said to be counted of an asset is not what is counted.
    #[error("contribution {found} of node {node} is said to be counted, here it is {expected}")]
    Base {
        /// Whose.
        node: NodeId,
        /// Which is said to be counted.
        found: u64,
        /// Which is.
        expected: u64,
    },
    /// Sums of sets that differ by so few would show their shares.
    #[error("the set differs by {found} from what was summed, needed are {least} once in a horizon, or none")]
    Changes {
        /// By how many.
        found: usize,
        /// How many are needed.
        least: usize,
    },
    /// Assets that are left out of questions that the others answer would be told apart from them.
    #[error("{found} assets would have been left out of questions in the horizon, allowed are {most}")]
    LeftOut {
        /// How many.
        found: usize,
        /// How many may be.
        most: usize,
    },
    /// No survivor set waits for replies, or one waits already.
    #[error("no survivor set is {wanted}")]
    Phase {
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A reply to another survivor set.
    #[error("the reply of seat {seat} is to another survivor set")]
    OtherSet {
        /// The seat.
        seat: NodeId,
    },
    /// An opened sum is beyond what honest assets can sum to: a member or an asset lied.
    #[error("entry {entry} of the opened sum is beyond what {assets} assets can contribute")]
    Implausible {
        /// The entry.
        entry: usize,
        /// How many assets are counted.
        assets: usize,
    },
    /// A dealt or returned share does not fit the dealer's commitments.
    #[error("the share of seat {dealer}'s key does not fit its commitments")]
    BadShare {
        /// Whose key.
        dealer: NodeId,
    },
    /// The dealer's shares are not here.
    #[error("no share of seat {dealer}'s key is here")]
    NoShare {
        /// Whose key.
        dealer: NodeId,
    },
    /// As many members as the terms permit have been recovered, or this one by another deputy.
    #[error("{limit} recoveries are permitted in an epoch, each by one deputy")]
    Recoveries {
        /// How many.
        limit: usize,
    },
    /// The mission published no keys for so late an epoch.
    #[error("epoch {epoch}: keys are published for {published}")]
    NoKeys {
        /// The epoch.
        epoch: u64,
        /// For how many epochs there are keys.
        published: u64,
    },
    /// The privacy budget is spent.
    #[error("a release costs {cost}, left are {left} (in 2⁻⁴⁰ of ρ)")]
    Spent {
        /// What the release would cost.
        cost: u64,
        /// What is left.
        left: u64,
    },
}

impl PrivacyError {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.reason(),
            Self::Terms { .. } | Self::Order { .. } => "terms",
            Self::WeakKey { .. } => "weak_key",
            Self::Policy { .. } | Self::Seat { .. } | Self::Stranger { .. } => "policy",
            Self::NoKeys { .. } => "no_keys",
            Self::NotEnrolled { .. } => "not_enrolled",
            Self::Epoch { .. } => "epoch",
            Self::Sender { .. } => "sender",
            Self::Entries { .. } => "entries",
            Self::Bound { .. } => "bound",
            Self::Outstanding { .. } => "outstanding",
            Self::Replayed { .. } => "replayed",
            Self::OldRound { .. } => "old_round",
            Self::SecondSet { .. } => "second_set",
            Self::TooFew { .. } => "too_few",
            Self::Cohort { .. } => "cohort",
            Self::Generation { .. } => "generation",
            Self::Base { .. } => "base",
            Self::Changes { .. } => "changes",
            Self::LeftOut { .. } => "left_out",
            Self::Phase { .. } => "phase",
            Self::OtherSet { .. } => "other_set",
            Self::Implausible { .. } => "implausible",
            Self::BadShare { .. } => "bad_share",
            Self::NoShare { .. } => "no_share",
            Self::Recoveries { .. } => "recoveries",
            Self::Spent { .. } => "spent",
        }
    }
}
