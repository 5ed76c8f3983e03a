//! [`Epoch`]: the number under which a group's key is known.

use super::keeper::EPOCHS;

/// Bits of the count, and of the life above it.
const COUNT_BITS: u32 = 24;
const LIFE_BITS: u32 = 24;
/// So many epochs further than the newest that is known, what is sealed in one is believed to have a key on its way.
const AHEAD: u64 = 16;
/// So many lives of the keeper further.
const LIVES_AHEAD: u64 = 1024;

/// An epoch: the keeper's rank among those who may be keeper, its life, and a count in that. So no keeper, and none of its lives, ever begins an epoch
/// that another has begun, whatever it has lost; and numbers rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch {
    /// 0 for the keeper that is named, 1 for the first who takes its place.
    pub(super) rank: u64,
    /// Incarnations of the keeper before this one.
    life: u64,
    /// From 1.
    count: u64,
}

impl Epoch {
    pub(super) const fn of(number: u64) -> Self {
        Self {
            rank: number >> (COUNT_BITS + LIFE_BITS),
            life: number >> COUNT_BITS & ((1 << LIFE_BITS) - 1),
            count: number & ((1 << COUNT_BITS) - 1),
        }
    }

    const fn number(self) -> u64 {
        self.rank << (COUNT_BITS + LIFE_BITS) | self.life << COUNT_BITS | self.count
    }

    /// The epoch that a keeper begins in an incarnation, after the last of its own that is known.
    pub(super) fn next(rank: u64, incarnation: u32, last: Option<u64>) -> u64 {
        let life = u64::from(incarnation.saturating_sub(1)).min((1 << LIFE_BITS) - 1);
        let first = Self { rank, life, count: 1 }.number();
        last.map_or(first, |last| first.max(last + 1))
    }

    /// Whether a key of this epoch may come, for whom the newest known of that keeper is this: it is on its way, or was skipped and the keeper still
    /// has it. How many epochs the keeper has begun in a life of which none is known, nobody can tell: a new member comes after many.
    pub(super) fn may_come(self, newest: Option<Self>, ranks: u64) -> bool {
        let life = newest.map_or(0, |newest| newest.life);
        let skipped = |newest: Self| {
            self.life == newest.life && newest.count.saturating_sub(self.count) < EPOCHS as u64
        };
        let near = |newest: Self| match self > newest {
            true => self.life > newest.life || self.count <= newest.count + AHEAD,
            false => skipped(newest),
        };
        self.rank < ranks && self.life <= life + LIVES_AHEAD && newest.is_none_or(near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_never_begins_again_whatever_a_keeper_has_lost() {
        let first = Epoch::next(0, 1, None);
        assert_eq!(first, 1);
        assert_eq!(Epoch::next(0, 1, Some(first)), 2);
        let after_a_loss = Epoch::next(0, 2, None);
        assert!(after_a_loss > Epoch::next(0, 1, Some((1 << 24) - 2)), "{after_a_loss}");
        assert_eq!(Epoch::next(0, 2, Some(2)), after_a_loss);
        let successor = Epoch::next(1, 1, None);
        assert!(successor > Epoch::next(0, u32::MAX, None));
        assert_eq!(Epoch::of(successor), Epoch { rank: 1, life: 0, count: 1 });
    }

    #[test]
    fn only_epochs_a_little_ahead_may_come() {
        let newest = Some(Epoch::of(5));
        let may = |number| Epoch::of(number).may_come(newest, 4);
        assert!(may(6) && may(21) && !may(22));
        assert!(may(4) && may(2) && !may(1), "the keeper still has the keys of the last four");
        assert!(may(Epoch::next(0, 2, None)) && !may(Epoch::next(0, 2000, None)));
        assert!(!may(u64::MAX) && !may(1 << 63) && !may(4 << 48), "nobody has such a rank");
        let successor = Epoch::next(1, 3, None);
        assert!(Epoch::of(successor).may_come(None, 4));
    }

    #[test]
    fn who_knows_no_epoch_of_a_life_waits_for_whichever_it_has_come_to() {
        assert!(Epoch::of(17).may_come(None, 4), "a keeper's seventeenth change, at a new member");
        let later = Epoch { rank: 0, life: 1, count: 40 };
        assert!(later.may_come(Some(Epoch::of(5)), 4) && later.may_come(None, 4));
        assert!(!Epoch { life: LIVES_AHEAD + 1, ..later }.may_come(None, 4), "no keeper has so many lives");
    }
}
