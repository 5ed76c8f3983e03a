//! How far ahead a later coordinator is followed. Under masks each term costs keys that the mission published, and nowhere are there more than 2³².
//!
//! A later term deposes the coordinator of a lesser one on its own word. A candidate that says its very last term would leave nobody a term to stand
//! for. So nobody is followed more than one turn of candidates beyond the greatest term known here, unless nothing was heard of that one's coordinator
//! for the configured silence, as after a long time out of contact; and under masks a coordinator takes its own next turn, which it does when answers of
//! another horizon have another length, or to audit another member of the committee, no oftener in a horizon than that has seats. To spend the keys a candidate then has to let others be elected in between, which takes their silence each time.

use super::Planning;
use crate::time::Instant;
use core::time::Duration;

impl Planning {
    /// Whether a coordinator of this term may be followed here, as far as it is ahead. A clock that has not begun begins.
    pub(super) fn may_follow(&mut self, now: Instant, term: u32) -> bool {
        let turn = self.config.successors.len() as u32 + 1;
        if term <= self.term || term == self.voted {
            return true;
        }
        if self.leader(term) == self.leader(self.term) && term - self.term == turn {
            let private = self.private.as_ref();
            return private.is_some_and(|private| private.may_jump(self.config.horizon))
                || self.is_missed(now);
        }
        term - self.term < turn || self.is_missed(now)
    }

    /// Whether nothing was heard of the coordinator for the configured silence; at the coordinator itself, whether most members have not answered for as long.
    fn is_missed(&mut self, now: Instant) -> bool {
        let silence: Duration = self.config.succession.unwrap_or(self.config.pace.deadline);
        if self.coordinator.is_some() {
            return self.membership.is_cut_off(now, silence);
        }
        if self.heard.is_none() {
            self.heard = Some(self.unheard(now));
        }
        self.heard.as_ref().is_some_and(|heard| heard.at.saturating_add(silence) <= now)
    }
}
