//! [`DirectDelivery`]: the source waits for the destination itself.

use super::{Carried, Strategy};
use crate::id::NodeId;

/// One copy, given to nobody but the destination. Neighbours need not tell each other what they have, since nobody else can have it.
#[derive(Clone, Copy, Debug)]
pub struct DirectDelivery;

impl Strategy for DirectDelivery {
    fn spreads(&self) -> bool {
        false
    }

    fn exchanges(&self) -> bool {
        false
    }

    fn offers(&self, _peer: NodeId, _replica: &Carried) -> bool {
        false
    }
}
