//! Extension blocks that this node cannot process (RFC 9171 §5.6, step 4): discarded, carried on, or the end of their bundle.

use super::Node;
use crate::{
    bpsec::discard,
    bundle::{Block, BlockFlags, BlockKind, Bundle, ReportReason, Status},
    dtn::{routing::SERVICE_BLOCK, strategy::COPIES_BLOCK},
};
use alloc::vec::Vec;

/// What came of a bundle's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocks {
    /// All stay.
    Kept,
    /// Some were discarded: the bundle's encoding is another one now.
    Discarded,
    /// One of them asks for the bundle's end.
    DeleteBundle,
}

/// Whether this node knows what to do with a block of this kind. Security blocks are carried by those who have no part in them
/// (RFC 9172 §5.1.1).
const fn is_known(kind: BlockKind) -> bool {
    matches!(
        kind,
        BlockKind::PREVIOUS_NODE
            | BlockKind::BUNDLE_AGE
            | BlockKind::HOP_COUNT
            | BlockKind::COMPRESSION
            | BlockKind::BLOCK_INTEGRITY
            | BlockKind::BLOCK_CONFIDENTIALITY
            | SERVICE_BLOCK
    )
}

impl Node {
    /// Does what the flags of unknown blocks ask for. Allocates nothing while all blocks are known.
    pub(super) fn process_blocks(&mut self, bundle: &mut Bundle) -> Blocks {
        let counts_copies = self.spread.is_some();
        let is_known = |kind| is_known(kind) || (counts_copies && kind == COPIES_BLOCK);
        let unknown = |block: &&Block| !is_known(block.kind);
        if bundle.blocks().iter().all(|block| is_known(block.kind)) {
            return Blocks::Kept;
        }
        let asked = |flag| bundle.blocks().iter().filter(unknown).any(|block| block.flags.contains(flag));
        let deletes = asked(BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED);
        if asked(BlockFlags::REPORT_IF_UNPROCESSED) {
            // One for all such blocks: they would say the same.
            self.make_report(bundle, Status::Received, ReportReason::UNSUPPORTED_BLOCK);
        }
        if deletes {
            return Blocks::DeleteBundle;
        }
        let discards = |block: &&Block| block.flags.contains(BlockFlags::DISCARD_IF_UNPROCESSED);
        let discarded: Vec<u64> =
            bundle.blocks().iter().filter(unknown).filter(discards).map(|block| block.number).collect();
        // RFC 9172 §3.4: no security operation may be left that speaks of them.
        discarded.iter().for_each(|number| discard(bundle, *number));
        if discarded.is_empty() { Blocks::Kept } else { Blocks::Discarded }
    }
}
