//! The fleet's own decisions, who is there, and for whose eyes messages are.

use crate::units::{AssetIndex, SimTime};
use cosmosmesh_protocol::{access::Policy, contract::Schema, envelope::Purpose};
use std::collections::BTreeSet;

/// Decisions by quorum.
#[derive(Clone, Debug)]
pub struct GovernanceSpec {
    /// Who votes first.
    pub voters: Vec<AssetIndex>,
    /// What voters think of what no vote is about.
    pub approves: bool,
    /// After how long a voter gives up.
    pub patience: SimTime,
    /// How often an asset tells the next one what it has.
    pub interval: SimTime,
    /// Lifetime of these messages.
    pub lifetime: SimTime,
    /// What is proposed.
    pub proposals: Vec<Proposal>,
    /// What voters think of it.
    pub votes: Vec<Vote>,
}

impl GovernanceSpec {
    /// Who is to hold the authority's key, if some proposal says so: each such asset is provisioned with a key of its own for it.
    pub fn standbys(&self) -> impl Iterator<Item = AssetIndex> {
        self.proposals.iter().filter_map(|proposal| match proposal.decision {
            Decision::Authority(asset) => Some(asset),
            _ => None,
        })
    }
}

/// A proposal.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its name.
    pub name: String,
    /// Who proposes.
    pub asset: AssetIndex,
    /// When.
    pub at: SimTime,
    /// What.
    pub decision: Decision,
}

/// What is to be decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// A policy in place of the one in force.
    Policy(Box<Policy>),
    /// A version of a data contract.
    Schema(Box<Schema>),
    /// An asset gets a vote.
    Seat(AssetIndex),
    /// An asset loses its vote.
    Unseat(AssetIndex),
    /// An asset's key is blocked.
    Block(AssetIndex),
    /// An asset holds the authority's key from then on.
    Authority(AssetIndex),
}

/// What a voter thinks of a proposal.
#[derive(Clone, Copy, Debug)]
pub struct Vote {
    /// Who.
    pub asset: AssetIndex,
    /// Its place among the proposals.
    pub proposal: usize,
    /// Whether it approves.
    pub approves: bool,
    /// From when on.
    pub at: SimTime,
}

/// Gossip with neighbours.
#[derive(Clone, Copy, Debug)]
pub struct DiscoverySpec {
    /// One neighbour is probed in each.
    pub period: SimTime,
    /// How long a direct answer may take.
    pub round_trip: SimTime,
    /// How long a suspect has to refute.
    pub suspicion: SimTime,
    /// A contact with a longer light time is too slow for gossip.
    pub max_light_time: SimTime,
    /// How long after the begin of a planned contact a first word may take.
    pub margin: SimTime,
}

/// Confidentiality.
#[derive(Clone, Debug)]
pub struct SealingSpec {
    /// Which messages are sealed.
    pub purposes: BTreeSet<Purpose>,
    /// The keeper and the members of a group; `None`: each message is for its addressee alone.
    pub group: Option<(AssetIndex, Vec<AssetIndex>)>,
}
