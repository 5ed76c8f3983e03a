//! [`AssetLog`]: the tamper-evident log of an asset, as it is when a run ends.

use crate::units::AssetIndex;
use cosmosmesh_protocol::{id::NodeId, identity::PublicKey};

/// An asset's log, and what it knows of the others'.
#[derive(Clone, Debug)]
pub struct AssetLog {
    /// Whose.
    pub asset: AssetIndex,
    /// Its node.
    pub node: NodeId,
    /// The key that its node speaks with.
    pub key: PublicKey,
    /// All durable entries, in order.
    pub entries: Vec<Vec<u8>>,
    /// A checkpoint over them, signed by the asset.
    pub checkpoint: Vec<u8>,
    /// The newest checkpoints of the others' logs that it has seen, signed by them.
    pub seen: Vec<Vec<u8>>,
    /// Others' signatures of its own checkpoints.
    pub cosignatures: Vec<Vec<u8>>,
    /// The logs that were lost with its disk, in order.
    pub earlier: Vec<EarlierLog>,
}

/// A log of an earlier birth of an asset's node.
#[derive(Clone, Debug)]
pub struct EarlierLog {
    /// The incarnation that began it.
    pub born: u32,
    /// Its entries, in order.
    pub entries: Vec<Vec<u8>>,
    /// A checkpoint over them, signed by the asset.
    pub checkpoint: Vec<u8>,
}
