//! The fleet's own decisions, who is there, and for whose eyes messages are.

use super::{Optional, RawRule};
use crate::scenario::{
    decode::{List, Spanned, choice, record},
    quantity::Duration,
};

record! {
    /// Decisions by quorum of the fleet's voters: proposals, signed ballots, one history whatever the links do.
    RawGovernance "Governance" {
        voters: Optional<Vec<Spanned<String>>>, "all", "Who votes first: names, `\"@group\"` or `\"@all\"`; 1 to 64. More than two thirds of them make a quorum.";
        approves: Optional<bool>, "true", "What voters think of what no vote is about: that they approve, or that they do not know.";
        patience: Optional<Duration>, "1 d", "After how long without a decision a voter gives up, more than zero.";
        interval: Optional<Duration>, "1 h", "How often an asset tells the next one what it has, more than zero.";
        lifetime: Optional<Duration>, "the protocol's for Normal", "Lifetime of these messages, more than zero.";
        proposals: List<RawProposal>, "", "What is proposed.";
        votes: Option<List<RawVote>>, "none", "What voters think of it.";
    }
}

record! {
    /// A proposal.
    RawProposal "Proposal" {
        name: Spanned<String>, "", "Its name, for votes.";
        asset: Spanned<String>, "", "Who proposes: a voter that may change the policy.";
        at: Spanned<Duration>, "", "When, within the run.";
        content: Spanned<RawDecision>, "", "What.";
    }
}

choice! {
    /// What can be decided: a policy in place of the one in force, a version of a data contract, who votes, whose key is blocked, who holds the authority's
    /// key.
    RawDecision "Decision" { Policy(RawNewPolicy), Schema(RawNewSchema), Seat(RawWho), Unseat(RawWho), Block(RawWho), Authority(RawWho) }
}

record! {
    /// Another policy.
    RawNewPolicy "NewPolicy" {
        rules: List<RawRule>, "", "Its rules in order.";
    }
}

record! {
    /// A version of a data contract: its proposer, which must share state, publishes it when it is adopted.
    RawNewSchema "NewSchema" {
        text: Spanned<String>, "", "The schema in the canonical form of CDDL.";
    }
}

record! {
    /// Whom a decision is about.
    RawWho "Who" {
        asset: Spanned<String>, "", "Which asset.";
    }
}

record! {
    /// What a voter thinks of a proposal.
    RawVote "Vote" {
        members: Spanned<Vec<Spanned<String>>>, "", "Who: names, `\"@group\"` or `\"@all\"`.";
        proposal: Spanned<String>, "", "Of which proposal.";
        approves: Optional<bool>, "true", "Whether they approve.";
        at: Optional<Duration>, "0 s", "From when on they think so, within the run.";
    }
}

record! {
    /// Gossip with neighbours about who is there; of all others the contact plan tells.
    RawDiscovery "Discovery" {
        period: Optional<Duration>, "30 s", "One neighbour is probed in each, more than twice the round trip.";
        round_trip: Optional<Duration>, "5 s", "How long a direct answer may take, more than zero.";
        suspicion: Optional<Duration>, "2 min", "How long a suspect has to refute, more than zero.";
        max_light_time: Optional<Duration>, "1 s", "A contact with a longer light time is too slow for gossip, 0 or more.";
        margin: Optional<Duration>, "2 min", "How long after the begin of a planned contact a first word may take, 0 or more.";
    }
}

record! {
    /// Confidentiality of the application's messages.
    RawSealing "Sealing" {
        group: Optional<RawSealedGroup>, "none", "For whose eyes messages are; none: each for its addressee's alone.";
        purposes: Optional<Vec<Spanned<RawSealedPurpose>>>, "all three", "Which messages are sealed.";
    }
}

record! {
    /// A group with a key of its own, which changes with its members.
    RawSealedGroup "SealedGroup" {
        keeper: Spanned<String>, "", "The asset that makes the keys.";
        members: Spanned<Vec<Spanned<String>>>, "", "Who belongs to it: names, `\"@group\"` or `\"@all\"`; the keeper does anyway.";
    }
}

choice! {
    /// What is sealed.
    RawSealedPurpose "SealedPurpose" { Telemetry, Command, Event }
}
