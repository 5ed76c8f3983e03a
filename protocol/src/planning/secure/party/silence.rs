//! A committee that is silent: asked again, one member recovered, then waited for, or given up.

use alloc::vec::Vec;

use super::{Asked, MAX_DOUBLINGS, Party, Window};
use crate::{
    id::NodeId,
    planning::{privacy::Survivors, solver::Coordinator},
    time::Instant,
};

impl Party {
    /// The committee is silent: ask again, recover a member, give the window up.
    pub(super) fn press(&mut self, now: Instant, asked: Asked, lead: &mut Coordinator) -> Vec<NodeId> {
        let Some(gathering) = &mut self.gathering else { return Vec::new() };
        let until = now.saturating_add(self.patience);
        let missing: Vec<NodeId> = gathering.aggregator().missing().collect();
        let mut seats = self.terms.parts().committee.iter().map(|seat| seat.node);
        let deputy = seats.find(|seat| !missing.contains(seat));
        match (asked, missing.first(), deputy) {
            (Asked::Once, ..) => self.ask_seats(missing, Asked::Again, until),
            (Asked::Again, Some(&lost), Some(deputy)) => match gathering.recover(lost, deputy) {
                Ok(recover) => {
                    self.waits = Some((Asked::Deputy, until));
                    self.tell(Window::Recovered { lost, deputy });
                    self.tell_committee(&recover.encode(), Some(lost));
                }
                Err(_) => return self.wait_or_give_up(now, 0, missing, lead),
            },
            (Asked::Still(times), ..) => return self.wait_or_give_up(now, times, missing, lead),
            _ => return self.wait_or_give_up(now, 0, missing, lead),
        }
        Vec::new()
    }

    /// Tells those the survivor set again who have not answered.
    fn ask_seats(&mut self, missing: Vec<NodeId>, asked: Asked, until: Instant) {
        let published = self.gathering.as_ref().and_then(|gathering| gathering.aggregator().published());
        let survivors = published.map(Survivors::encode).unwrap_or_default();
        self.waits = Some((asked, until));
        missing.into_iter().for_each(|seat| self.send(seat, survivors.clone()));
    }

    /// After one window that was given up, the next one waits longer: what the assets have said stays said, and opens as soon as the committee is back.
    fn wait_or_give_up(
        &mut self,
        now: Instant,
        times: u32,
        missing: Vec<NodeId>,
        lead: &mut Coordinator,
    ) -> Vec<NodeId> {
        if self.vain == 0 || times >= MAX_DOUBLINGS {
            return self.give_up(now, lead);
        }
        let until = now.saturating_add(self.patience * (2 << times));
        self.ask_seats(missing, Asked::Still(times + 1), until);
        Vec::new()
    }

    fn give_up(&mut self, now: Instant, lead: &mut Coordinator) -> Vec<NodeId> {
        self.waits = None;
        self.tell(Window::Unopened { reason: "committee_silent" });
        self.begin_again(now, lead)
    }
}
