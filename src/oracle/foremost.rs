//! Foremost journeys: how soon a message could be at its destination if transfers took no time and stores had no limit.
//!
//! A search of its own over contacts, apart from nodes, routing and links: what no protocol can beat, and what epidemic routing reaches
//! when nothing holds it back. Bui-Xuan, Ferreira and Jarry, "Computing shortest, fastest, and foremost journeys in dynamic networks",
//! IJFCS 14(2), 2003.

use crate::{
    contact::Contact,
    units::{AssetIndex, SimTime},
};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Contacts by their sender, ready to be searched.
#[derive(Clone, Debug)]
pub struct Journeys {
    /// By sender, in order of their ends: (end, start, receiver, light time).
    contacts: Vec<Vec<(SimTime, SimTime, AssetIndex, SimTime)>>,
}

impl Journeys {
    /// The journeys over `contacts` among so many assets.
    #[must_use]
    pub fn new(assets: usize, contacts: &[Contact]) -> Self {
        let mut by_sender = vec![Vec::new(); assets];
        for contact in contacts {
            let light_time = contact.owlt_at(contact.start);
            by_sender[contact.from.get()].push((contact.end, contact.start, contact.to, light_time));
        }
        by_sender.iter_mut().for_each(|list| list.sort_unstable());
        Self { contacts: by_sender }
    }

    /// When what is at `from` from `start` on is at `to` at the earliest, up to `end`; `None`: not by then.
    ///
    /// Dijkstra's search with arrival times as labels: an asset's label is final when it is taken from the queue, because no
    /// contact leads back in time.
    #[must_use]
    pub fn foremost(
        &self,
        from: AssetIndex,
        to: AssetIndex,
        start: SimTime,
        end: SimTime,
    ) -> Option<SimTime> {
        let mut best = vec![SimTime::MAX; self.contacts.len()];
        let mut queue = BinaryHeap::from([Reverse((start, from))]);
        best[from.get()] = start;
        while let Some(Reverse((now, here))) = queue.pop() {
            if here == to {
                return Some(now);
            }
            if now > best[here.get()] {
                continue;
            }
            let list = &self.contacts[here.get()];
            let open = list.partition_point(|contact| contact.0 < now);
            for &(_, opens, next, light_time) in &list[open..] {
                let arrival = now.max(opens) + light_time;
                if arrival <= end && arrival < best[next.get()] {
                    best[next.get()] = arrival;
                    queue.push(Reverse((arrival, next)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contact::RangeSample, units::BitsPerSecond};

    fn contact(from: u32, to: u32, start: i64, end: i64) -> Contact {
        let start = SimTime::from_secs(start);
        Contact {
            from: AssetIndex(from),
            to: AssetIndex(to),
            from_radio: 0,
            to_radio: 0,
            start,
            end: SimTime::from_secs(end),
            rate: BitsPerSecond(1.0),
            bit_error_rate: 0.0,
            max_elevation_deg: None,
            range: vec![RangeSample { time: start, range_m: 0.0, range_rate_mps: 0.0 }],
        }
    }

    fn arrival(contacts: &[Contact], start: i64) -> Option<i64> {
        let journeys = Journeys::new(4, contacts);
        let (from, to, end) = (AssetIndex(0), AssetIndex(3), SimTime::from_secs(100));
        journeys
            .foremost(from, to, SimTime::from_secs(start), end)
            .map(|time| time.as_nanos() / 1_000_000_000)
    }

    #[test]
    fn the_way_over_a_third_may_be_the_sooner_one() {
        let contacts = [contact(0, 3, 50, 60), contact(0, 1, 10, 20), contact(1, 3, 5, 15)];
        assert_eq!(arrival(&contacts, 0), Some(10));
        assert_eq!(arrival(&contacts, 16), Some(50));
        assert_eq!(arrival(&contacts, 61), None);
    }

    #[test]
    fn several_hops_take_one_moment() {
        let contacts = [contact(2, 3, 7, 9), contact(1, 2, 7, 7), contact(0, 1, 3, 7)];
        assert_eq!(arrival(&contacts, 5), Some(7));
        assert_eq!(arrival(&contacts, 8), None);
    }
}
