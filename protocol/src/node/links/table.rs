//! [`Links`]: the links of a node by number, and who is at the other end of those that are up.

use super::Link;
use crate::{id::NodeId, node::LinkId};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

/// Links with lower numbers than this are found in O(1): drivers number theirs from 0.
const DENSE: u32 = 4096;

/// All links that were ever named.
#[derive(Debug, Default)]
pub(in crate::node) struct Links {
    dense: Vec<Option<Box<Link>>>,
    others: BTreeMap<LinkId, Box<Link>>,
    /// Neighbours by number, and how many links to each are up.
    present: Vec<(NodeId, u32)>,
}

impl Links {
    pub(in crate::node) fn get(&self, link: LinkId) -> Option<&Link> {
        match self.dense.get(link.0 as usize) {
            Some(state) => state.as_deref(),
            None => self.others.get(&link).map(Box::as_ref),
        }
    }

    pub(in crate::node) fn get_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        match self.dense.get_mut(link.0 as usize) {
            Some(state) => state.as_deref_mut(),
            None => self.others.get_mut(&link).map(Box::as_mut),
        }
    }

    /// The link, which is made when it was not named before.
    pub(in crate::node) fn named(&mut self, link: LinkId) -> &mut Link {
        if link.0 >= DENSE {
            return self.others.entry(link).or_default();
        }
        let place = link.0 as usize;
        if place >= self.dense.len() {
            self.dense.resize_with(place + 1, || None);
        }
        self.dense[place].get_or_insert_default()
    }

    /// One more link to `peer` is up.
    pub(super) fn came_up(&mut self, peer: NodeId) {
        match self.present.binary_search_by_key(&peer, |(peer, _)| *peer) {
            Ok(place) => self.present[place].1 += 1,
            Err(place) => self.present.insert(place, (peer, 1)),
        }
    }

    /// One of the links to `peer` is down.
    pub(super) fn went_down(&mut self, peer: NodeId) {
        if let Ok(place) = self.present.binary_search_by_key(&peer, |(peer, _)| *peer) {
            self.present[place].1 -= 1;
            if self.present[place].1 == 0 {
                self.present.remove(place);
            }
        }
    }

    /// Neighbours to whom a link is up, in order.
    pub(in crate::node) fn neighbours(&self) -> impl Iterator<Item = NodeId> {
        self.present.iter().map(|(peer, _)| *peer)
    }

    /// Whether a link to `peer` is up. O(log n) in the number of present neighbours.
    pub(in crate::node) fn is_up_to(&self, peer: NodeId) -> bool {
        self.present.binary_search_by_key(&peer, |(peer, _)| *peer).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_present_until_its_last_link_is_down() {
        let mut links = Links::default();
        for peer in [5, 3, 5] {
            links.came_up(NodeId(peer));
        }
        links.went_down(NodeId(5));
        assert!(links.is_up_to(NodeId(5)) && links.is_up_to(NodeId(3)) && !links.is_up_to(NodeId(4)));
        links.went_down(NodeId(5));
        assert!(!links.is_up_to(NodeId(5)));
    }

    #[test]
    fn high_numbers_take_no_room_for_the_lower_ones() {
        let mut links = Links::default();
        for number in [0, 7, DENSE, u32::MAX] {
            assert!(links.get(LinkId(number)).is_none());
            links.named(LinkId(number)).skipped = true;
            assert!(links.get(LinkId(number)).is_some_and(|link| link.skipped));
            assert!(links.get_mut(LinkId(number)).is_some());
        }
        assert!(links.dense.len() == 8 && links.others.len() == 2);
        assert!(links.get(LinkId(3)).is_none() && links.get(LinkId(DENSE + 1)).is_none());
    }
}
