//! [`Epidemic`]: a copy to everybody.

use super::{Carried, Strategy};
use crate::id::NodeId;

/// Everybody who is met and has no copy gets one (Vahdat and Becker 2000, §2: the anti-entropy session by summary vectors).
#[derive(Clone, Copy, Debug)]
pub struct Epidemic;

impl Strategy for Epidemic {
    fn offers(&self, _peer: NodeId, _replica: &Carried) -> bool {
        true
    }
}
