//! [`Departure`]: the bundles that leave, for a host that watches them. Watching changes nothing of what the node does.

use super::{LinkId, Node};
use alloc::{collections::VecDeque, vec::Vec};

/// Departures that wait to be asked for. A host that does not ask loses the oldest.
const MAX_WAITING: usize = 16;

/// A bundle whose transfer over a link begins: its first frame is the one that [`Node::poll_transmit`] gives in the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The link.
    pub link: LinkId,
    /// The bundle's bytes as they leave.
    pub bundle: Vec<u8>,
}

/// What is kept for a host that watches.
#[derive(Debug, Default)]
pub(super) struct Departures {
    watched: bool,
    waiting: VecDeque<Departure>,
}

impl Node {
    /// From now on, [`Node::poll_departure`] tells which bundles leave: for packet captures.
    pub fn watch_departures(&mut self) {
        self.departures.watched = true;
    }

    /// The next bundle that began to leave, until `None`; to be asked for after each [`Node::poll_transmit`].
    pub fn poll_departure(&mut self) -> Option<Departure> {
        self.departures.waiting.pop_front()
    }

    /// The transfer of `bundle` over `link` begins.
    pub(super) fn note_departure(&mut self, link: LinkId, bundle: &[u8]) {
        let Departures { watched, waiting } = &mut self.departures;
        if !*watched {
            return;
        }
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(Departure { link, bundle: bundle.to_vec() });
    }
}
