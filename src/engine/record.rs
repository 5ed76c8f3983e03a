//! Trace records: everything that a run tells about itself.

use crate::units::{AssetIndex, SimTime};

/// Something that happened at an asset.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub time: SimTime,
    /// Where.
    pub asset: AssetIndex,
    /// What.
    pub kind: RecordKind,
}

/// What a message is for: the stream that it travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    /// Application telemetry.
    Telemetry,
    /// Application commands.
    Command,
    /// Application events.
    Event,
    /// Replicated state.
    Sync,
    /// Planning signals.
    Plan,
    /// Acknowledgements of the delivery layer.
    Acknowledgement,
    /// Application messages in plain bundles: numbered by their creation, delivered at most once, in any order.
    Datagram,
    /// Certificates, revocations and checkpoints of logs.
    Trust,
    /// Proposals, ballots and decisions of the fleet.
    Governance,
    /// Gossip about who is there.
    Membership,
    /// Keys of a group.
    GroupKey,
}

/// Why a frame did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// Bit errors.
    BitErrors,
    /// A burst (Gilbert–Elliott).
    Burst,
    /// The class's flat frame loss.
    Random,
    /// Another frame overlapped.
    Collision,
    /// The receiver was sending.
    HalfDuplex,
    /// The window closed while it was in flight.
    WindowClosed,
    /// A fault of the scenario: the link or an end was out of order.
    Fault,
}

/// Why a node let go of a bundle that it could not deliver or forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// Its lifetime was over.
    Expired,
    /// The store was full.
    StoreFull,
    /// Its hop limit was exceeded.
    HopLimit,
    /// Nothing at this node takes it, or no route can ever exist.
    NoDestination,
    /// It came back to its source.
    Loop,
    /// No route can exist to its destination.
    NoRoute,
    /// A block of it cannot be processed and asks for its end then.
    UnsupportedBlock,
    /// Its payload cannot be restored.
    Unintelligible,
    /// Fragments of it are missing.
    Incomplete,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordKind {
    /// A window to `peer` opened (the sender's side).
    ContactOpened {
        /// The peer.
        peer: AssetIndex,
        /// Index into the contact plan.
        contact: u32,
    },
    /// It closed.
    ContactClosed {
        /// The peer.
        peer: AssetIndex,
        /// Index into the contact plan.
        contact: u32,
        /// How long the radio was sending in this contact.
        busy: SimTime,
    },
    /// A frame started on air.
    FrameSent {
        /// The addressed peer.
        peer: AssetIndex,
        /// Frame bytes, overhead on air included.
        bytes: u32,
        /// Time on air.
        airtime: SimTime,
    },
    /// A frame was received whole.
    FrameReceived {
        /// The sender.
        peer: AssetIndex,
        /// Frame bytes, overhead on air included.
        bytes: u32,
    },
    /// A frame addressed to this asset was lost; decided at the end of its reception.
    FrameLost {
        /// The sender.
        peer: AssetIndex,
        /// Frame bytes, overhead on air included.
        bytes: u32,
        /// Why.
        reason: LossReason,
    },
    /// The application or a module handed a message to its node.
    Submitted {
        /// Sequence number in the stream (asset → destination, kind). Of a sender that has lost its disk, how often above the lower 48 bits.
        sequence: u64,
        /// Addressee.
        destination: AssetIndex,
        /// The stream.
        kind: MessageKind,
        /// Payload bytes.
        bytes: u32,
    },
    /// A module put other words into a message of which nothing had left.
    Reworded {
        /// Sequence number in the stream (asset → destination, kind).
        sequence: u64,
        /// Addressee.
        destination: AssetIndex,
        /// The stream.
        kind: MessageKind,
        /// Payload bytes now.
        bytes: u32,
    },
    /// A message reached the application or module it is for: verified, once, in order.
    Delivered {
        /// Who sent it.
        source: AssetIndex,
        /// Sequence number in the stream (source → asset, kind).
        sequence: u64,
        /// The stream.
        kind: MessageKind,
        /// Payload bytes.
        bytes: u32,
        /// Time since it was submitted.
        latency: SimTime,
    },
    /// The source learned that its message was delivered.
    Acknowledged {
        /// Addressee.
        destination: AssetIndex,
        /// Sequence number in the stream.
        sequence: u64,
        /// The stream.
        kind: MessageKind,
    },
    /// The source gave a message up.
    Abandoned {
        /// Addressee.
        destination: AssetIndex,
        /// Sequence number in the stream.
        sequence: u64,
        /// The stream.
        kind: MessageKind,
    },
    /// The source sent a message again.
    Retransmitted {
        /// Addressee.
        destination: AssetIndex,
        /// Sequence number in the stream.
        sequence: u64,
        /// The stream.
        kind: MessageKind,
    },
    /// A submission was refused (back-pressure or bounds).
    SubmissionRefused {
        /// Addressee.
        destination: AssetIndex,
        /// The stream.
        kind: MessageKind,
        /// The node's reason, a stable word.
        reason: &'static str,
    },
    /// A bundle left the node's care undelivered.
    BundleDropped {
        /// Why.
        reason: DropReason,
        /// Encoded bytes.
        bytes: u32,
    },
    /// An input from a peer was refused.
    InputRefused {
        /// The node's reason, a stable word (`security.refused.<reason>`).
        reason: &'static str,
    },
    /// An adversary attacked somebody.
    AttackMade {
        /// A stable word.
        attack: &'static str,
        /// Whom.
        target: AssetIndex,
    },
    /// An attack has met its answer here.
    AttackAnswered {
        /// A stable word.
        attack: &'static str,
        /// Who attacked.
        by: AssetIndex,
        /// A stable word: the reason of the refusal, or what became of it.
        answer: &'static str,
        /// Whether that is what should become of it.
        as_it_should: bool,
    },
    /// A local write to replicated state.
    SyncWrite {
        /// The writer's own sequence number for this write.
        sequence: u64,
    },
    /// What a local write says that is ranked: of a map or a register.
    SyncContent {
        /// The writer's own sequence number for this write.
        sequence: u64,
        /// The register, or the map, a slash and the key.
        item: String,
        /// The role under which it is made.
        role: u8,
        /// Its hybrid logical clock, milliseconds since 2000.
        clock_ms: u64,
        /// The clock's counter.
        clock_counter: u16,
        /// The value, escaped and cut; `None`: the item is removed.
        value: Option<String>,
        /// The writes that it saw and replaces, as writer and sequence number.
        replaces: Vec<(AssetIndex, u64)>,
    },
    /// A local write that drops writes of this asset which everyone has seen replaced.
    SyncDropped {
        /// Its sequence number.
        sequence: u64,
        /// What is gone for good: from the first to the last number.
        spans: Vec<(u64, u64)>,
    },
    /// What a replica reads of an item at the end of the run.
    SyncHeld {
        /// The item, as in [`RecordKind::SyncContent`].
        item: String,
        /// Whose write stands.
        actor: AssetIndex,
        /// Its sequence number.
        sequence: u64,
        /// How many other writes to the item are held.
        others: u32,
    },
    /// A write of `actor` became visible here.
    SyncVisible {
        /// The writer.
        actor: AssetIndex,
        /// The writer's sequence number.
        sequence: u64,
        /// Time since the write.
        latency: SimTime,
    },
    /// What the replica holds at the end of the run.
    ReplicaDigest {
        /// Digest of its state.
        digest: [u8; 32],
    },
    /// The values of this asset's local plan changed: the local solution at a round.
    PlanLocal {
        /// The round, from 1.
        round: u32,
        /// The whole local solution, in the order of the local problem's variables: the objective cannot be judged
        /// from the shared variables alone.
        values: Vec<f64>,
    },
    /// The coordinator closed a round.
    PlanRound {
        /// The round, from 1.
        round: u32,
        /// ‖r‖₂, Boyd et al. 2011 §3.3.
        primal_residual: f64,
        /// ‖s‖₂.
        dual_residual: f64,
        /// Contributions in this round.
        contributions: u32,
        /// The prices λ after it, one per constraint on the fleet: what the pool pays for a unit more.
        prices: Vec<f64>,
    },
    /// This asset coordinates the plan.
    PlanSolver {
        /// The method.
        solver: &'static str,
        /// Why it was chosen.
        why: &'static str,
    },
    /// This asset took the place of a coordinator that was silent.
    PlanTerm {
        /// Which coordinator in a row it is, from 0.
        term: u32,
    },
    /// A version of the plan is committed.
    PlanCommitted {
        /// The horizon.
        horizon: u64,
        /// The term of its coordinator.
        term: u32,
        /// The round that ended it.
        round: u32,
        /// How it ended.
        outcome: &'static str,
        /// What all members were told of it.
        digest: [u8; 32],
    },
    /// This coordinator begins an epoch of masks.
    PlanEpoch {
        /// The epoch.
        epoch: u64,
        /// Seats of the committee.
        seats: u32,
        /// The least number of answers that are opened.
        k_min: u32,
        /// Entries of an answer.
        entries: u32,
        /// Bits of an entry.
        bits: u32,
    },
    /// What became of a window of masked answers, at its coordinator.
    PlanWindow {
        /// A word: `published`, `opened`, `recovered`, or why it was not opened.
        event: &'static str,
        /// How many answers it held, where that is known.
        answers: u32,
    },
    /// A member's part in an implausible sum was computed again.
    PlanAudit {
        /// The member.
        seat: AssetIndex,
        /// Whether it is another than the member said.
        differs: bool,
    },
    /// A message of the masks, beside requests and answers, was submitted.
    PlanLeg {
        /// What it is for.
        leg: &'static str,
        /// For whom.
        destination: AssetIndex,
        /// Payload bytes.
        bytes: u32,
    },
    /// What this asset has told of itself by now, under noise.
    PlanSpent {
        /// ρ of zero-concentrated differential privacy.
        rho: f64,
        /// ε at `delta`.
        epsilon: f64,
        /// δ.
        delta: f64,
        /// Answers that were told.
        releases: u64,
        /// Whether the budget covers no further one.
        exhausted: bool,
    },
    /// A later horizon of the plan begins at this asset.
    PlanHorizon {
        /// The horizon.
        horizon: u64,
        /// What the asset did since the last one began: by commodity and private quantity, slot by slot.
        done: Vec<f64>,
    },
    /// The requests in this asset's local plan are whole from here on.
    PlanWhole {
        /// The horizon.
        horizon: u64,
    },
    /// Something happened to the ledger of the fleet's decisions, as the asset knows it.
    Governance {
        /// The slot.
        slot: u64,
        /// What happened: proposed, approved, rejected, committed, adopted, closed, exposed.
        step: &'static str,
        /// Whose doing it was, if anybody's.
        about: Option<AssetIndex>,
        /// What it is about: policy, schema, seat, unseat, block, authority, nothing.
        what: &'static str,
        /// The first bytes of the proposal's digest; of a decision, of the head of the history with it.
        record: [u8; 8],
    },
    /// What the asset believes of another has changed.
    Presence {
        /// Of whom.
        about: AssetIndex,
        /// What it believes: unknown, alive, suspect, silent, down, blocked.
        presence: &'static str,
    },
    /// The coordinator goes on with a member more, or without one.
    PlanMember {
        /// The horizon.
        horizon: u64,
        /// The round from which on.
        round: u32,
        /// Who.
        member: AssetIndex,
        /// Whether it takes part now.
        present: bool,
        /// Why.
        why: &'static str,
    },
    /// The coordinator has made requests whole.
    PlanRequests {
        /// The horizon.
        horizon: u64,
        /// Requests that were bid for.
        bids: u32,
        /// Requests that are granted.
        granted: u32,
        /// Requests that their own assets declined beside others.
        declined: u32,
        /// Requests that were withdrawn for the rest of the plan.
        withdrawn: u32,
    },
    /// Energy account, at each change of consequence and at the end of the run.
    Energy {
        /// Energy in the battery over its capacity, 0 to 1.
        state_of_charge: f64,
        /// Energy spent on sending and receiving since the start, joules.
        radio_joules: f64,
    },
    /// A fault of the scenario began or ended at this asset.
    Fault {
        /// Index into the scenario's faults.
        fault: u32,
        /// Whether it begins.
        begins: bool,
    },
    /// Bytes of replicated-state messages (payload) that this asset sent since the start, at the end of the run.
    SyncBytes {
        /// The bytes.
        bytes: u64,
    },
}
