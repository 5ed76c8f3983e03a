//! [`SentBundle`]: a bundle on its way over a link, for packet captures. Apart from the trace: watching does not change it.

use crate::units::{AssetIndex, SimTime};

/// A bundle whose transmission over a link begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBundle {
    /// When its first frame starts on air.
    pub time: SimTime,
    /// Who sends it.
    pub from: AssetIndex,
    /// The link, an index into the course's links.
    pub link: u32,
    /// Its bytes.
    pub wire: Vec<u8>,
}

/// Moves the bundles of all partitions to the end of `out`, in the order (time, asset, order at the asset), as
/// [`super::merge_records`] does with records.
pub fn merge_bundles(partitions: impl IntoIterator<Item = Vec<SentBundle>>, out: &mut Vec<SentBundle>) {
    let start = out.len();
    out.extend(partitions.into_iter().flatten());
    out[start..].sort_by_key(|bundle| (bundle.time, bundle.from));
}
