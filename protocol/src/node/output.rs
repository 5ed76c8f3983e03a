//! What a node tells its driver.

use super::{input::LinkId, keep::Change};
use crate::{
    bundle::{BundleFlags, BundleId, CreationTimestamp, Disposition, StatusReport},
    delivery::Forward,
    discovery::Presence,
    envelope::Purpose,
    id::{EndpointId, NodeId},
    log::Brief,
    planning::{Outcome, RoundReport, Version, secure::Window},
    sync::Dot,
    time::DtnTime,
};
use alloc::vec::Vec;

/// Names a persist request; rises by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the host makes durable as one: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// To be given back by [`super::Input::Persisted`].
    pub ticket: Ticket,
    /// Changes to the records that the host keeps, in order.
    pub changes: Vec<Change>,
    /// Messages for the application, in order, each once.
    pub deliveries: Vec<Delivery>,
    /// Bundles without envelopes for the application, each once.
    pub bundles: Vec<BundleDelivery>,
    /// What becomes true when the batch is durable, and never is when it is lost.
    pub reports: Vec<Report>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.deliveries.is_empty() && self.bundles.is_empty()
    }
}

/// A message for the application: verified, once, in order within its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub source: NodeId,
    /// What for.
    pub purpose: Purpose,
    /// Epoch of its stream.
    pub epoch: u32,
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// When it was sealed, by the source's clock.
    pub created: DtnTime,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A bundle for the application: as it came, signed by nobody, at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleDelivery {
    /// Who says to have sent it.
    pub source: EndpointId,
    /// Which endpoint of this node it is for.
    pub destination: EndpointId,
    /// When and as which one it was made, by the source's clock.
    pub creation: CreationTimestamp,
    /// The bundle's flags: among them, whether the source asks the application for an acknowledgement.
    pub flags: BundleFlags,
    /// What it says.
    pub payload: Vec<u8>,
    /// Payload bytes that were counted and not carried.
    pub absent: u32,
}

/// An output.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To be made durable, then answered by [`super::Input::Persisted`].
    Persist(Batch),
    /// Something worth counting.
    Report(Report),
}

/// Why a bundle left the node's care undelivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// Its lifetime was over.
    Expired,
    /// The store was full.
    StoreFull,
    /// Its hop limit was exceeded.
    HopLimit,
    /// It asks for something that this node has no use for.
    NoDestination,
    /// It is this node's own and came back.
    Loop,
    /// Its destination is a name that no table knows.
    NoRoute,
    /// It has a block that this node does not know and that asks for its end then.
    UnsupportedBlock,
    /// Its payload cannot be restored.
    Unintelligible,
    /// Fragments were missing for too long, or contradicted each other.
    Incomplete,
}

/// What happens to a ledger of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GovernanceStep {
    /// A proposal is on the table.
    Proposed,
    /// A voter approves a proposal.
    Approved,
    /// A voter approves none.
    Rejected,
    /// A voter commits to what is to be written down.
    Committed,
    /// A slot is decided: a proposal is adopted.
    Adopted,
    /// A slot is decided: nothing is adopted.
    Closed,
    /// A voter was caught with two ballots in one step.
    Exposed,
}

impl GovernanceStep {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Committed => "committed",
            Self::Adopted => "adopted",
            Self::Closed => "closed",
            Self::Exposed => "exposed",
        }
    }
}

/// Something that the driver may want to count or show. Nothing depends on its being read.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A message is durable at its source and on its way.
    Accepted {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// Its number in the stream.
        sequence: u64,
        /// Payload bytes.
        bytes: usize,
    },
    /// A bundle without an envelope is on its way, and durable where bundles are kept.
    BundleAccepted {
        /// Its name.
        id: BundleId,
        /// Where it goes.
        destination: EndpointId,
        /// Payload bytes.
        bytes: usize,
    },
    /// A frame of a [`super::Convergence::Whole`] link is dealt with, and durable where bundles are kept: its driver may tell the peer so.
    /// Each frame that came in by a link is followed by this or by [`Report::FrameRefused`], in the order of the frames.
    FrameTaken {
        /// By which it came.
        link: LinkId,
    },
    /// There is no room for the bundle of a frame of a [`super::Convergence::Whole`] link: the peer should keep it.
    FrameRefused {
        /// By which it came.
        link: LinkId,
    },
    /// A status report came in about a bundle (RFC 9171 §6.1.1).
    Status {
        /// Who says to have made it.
        from: EndpointId,
        /// What it says.
        report: StatusReport,
    },
    /// Another custodian answers for a bundle from now on.
    CustodyReleased {
        /// Its name.
        id: BundleId,
        /// Who.
        custodian: NodeId,
    },
    /// A custodian refused a bundle; it stays in this node's custody.
    CustodyRefused {
        /// Its name.
        id: BundleId,
        /// Who.
        custodian: NodeId,
        /// Why.
        disposition: Disposition,
    },
    /// A bundle in this node's custody is sent again.
    CustodyRepeated {
        /// Its name.
        id: BundleId,
        /// To whom.
        custodian: NodeId,
    },
    /// A message of a module of the node (shared state, planning) was delivered here.
    Consumed {
        /// Who sent it.
        source: NodeId,
        /// What for.
        purpose: Purpose,
        /// Incarnation in which the source began the stream.
        epoch: u32,
        /// Its number in the stream.
        sequence: u64,
        /// Payload bytes.
        bytes: usize,
        /// When it was sealed, by the source's clock.
        created: DtnTime,
    },
    /// The addressee has it.
    Acknowledged {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// Its number in the stream.
        sequence: u64,
    },
    /// A stream that was full has room: who was refused may submit again.
    Writable {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
    },
    /// A message is sent again.
    Retransmitted {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// Its number in the stream.
        sequence: u64,
    },
    /// A message of which nothing had left says something else under its number.
    Reworded {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// Its number in the stream.
        sequence: u64,
        /// Payload bytes now.
        bytes: usize,
    },
    /// A message was given up: its lifetime or its attempts are spent.
    Abandoned {
        /// Addressee.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// Its number in the stream.
        sequence: u64,
    },
    /// The sender gave messages up that this node waited for.
    Skipped {
        /// Who.
        source: NodeId,
        /// What it said.
        forward: Forward,
    },
    /// A bundle left the node's care undelivered.
    BundleDropped {
        /// Why.
        reason: DropReason,
        /// Encoded bytes.
        bytes: u32,
    },
    /// A module could not use a message of a member.
    ModuleRefused {
        /// A stable word.
        reason: &'static str,
    },
    /// Something happened to the fleet's ledger of decisions, as this node knows it.
    Governance {
        /// The slot.
        slot: u64,
        /// What happened.
        step: GovernanceStep,
        /// Whose doing it was; `None`: nobody's.
        about: Option<NodeId>,
        /// The kind of content: a stable word; `nothing` where there is none.
        what: &'static str,
        /// Of the proposal; of a decision, of the head of the history with it.
        record: Brief,
    },
    /// What this node believes of another has changed.
    Presence {
        /// The other.
        node: NodeId,
        /// What it believes now.
        presence: Presence,
    },
    /// A write to replicated state is visible here: our own (of `dot.actor.node`, this node), or another member's.
    Visible {
        /// The write.
        dot: Dot,
    },
    /// This node's own part of the plan changed.
    PlanLocal {
        /// The horizon.
        horizon: u64,
        /// Whether its requests are whole.
        whole: bool,
        /// The round that it answers.
        round: u32,
        /// The local solution x.
        values: Vec<f64>,
    },
    /// The coordinator took a step: it closed a round, or its method needs none.
    PlanRound(RoundReport),
    /// This node coordinates the plan, with this method.
    PlanSolver {
        /// The method's word.
        solver: &'static str,
        /// Why it was chosen.
        why: &'static str,
    },
    /// This node took the place of a coordinator that was silent.
    PlanTerm {
        /// Which coordinator in a row it is, from 0.
        term: u32,
        /// This node.
        coordinator: NodeId,
    },
    /// This coordinator begins an epoch of masks: it sees sums, and no answer.
    PlanEpoch {
        /// The epoch.
        epoch: u64,
        /// Seats of the committee.
        seats: usize,
        /// The least number of answers that are opened.
        k_min: usize,
        /// Entries of an answer.
        entries: usize,
        /// Bits of an entry.
        bits: u8,
    },
    /// What became of a window of masked answers, at the coordinator.
    PlanWindow(Window),
    /// A message of the masks beside requests and answers leaves: the unmasking leg, and keys.
    PlanLeg {
        /// What it is for: `opening`, `deal`, `survivors`, `mask_sum`, `recovery`.
        leg: &'static str,
        /// For whom.
        destination: NodeId,
        /// Its bytes.
        bytes: usize,
    },
    /// What this asset has told of itself by now, under noise.
    PlanSpent {
        /// ρ of zero-concentrated differential privacy.
        rho: f64,
        /// ε at `delta`.
        epsilon: f64,
        /// δ.
        delta: f64,
        /// How many answers.
        releases: u64,
        /// Whether the budget covers no further one: it answers no more.
        exhausted: bool,
    },
    /// A version of the plan is committed.
    PlanCommitted {
        /// The horizon.
        horizon: u64,
        /// The term of its coordinator.
        term: u32,
        /// The round that ended it: with horizon and term, the version.
        round: u32,
        /// How it ended.
        outcome: Outcome,
        /// What all members were told of it ([`Version::digest`]).
        digest: [u8; 32],
    },
    /// This coordinator committed a version.
    PlanVersion(Version),
    /// This coordinator goes on with a member more, or without one.
    PlanMember {
        /// The horizon.
        horizon: u64,
        /// The round from which on.
        round: u32,
        /// Who.
        member: NodeId,
        /// Whether it takes part now.
        present: bool,
        /// Why: `joined`, `left` or `absent`; `joins_later` with the next horizon; `left_kept` and `absent_kept`: the last answer stays in the sum until then;
        /// `forgets`: it lost its memory more than three times in the horizon, and its last answer stays as well.
        why: &'static str,
    },
    /// This coordinator has made requests whole.
    PlanRequests {
        /// The horizon.
        horizon: u64,
        /// Requests that were bid for.
        bids: usize,
        /// Requests that are granted.
        granted: usize,
        /// Requests that their own assets declined beside others.
        declined: usize,
        /// Requests that were withdrawn because the rest of the plan found no end.
        withdrawn: usize,
    },
}
