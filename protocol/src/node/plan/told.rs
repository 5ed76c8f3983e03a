//! Where a successor goes on, by what voters tell: no single one of them sets the stage or the prices of the whole fleet.
//!
//! A vote carries what its voter heard last of the coordinator, and nothing shows that it did. Of `n` who elect, up to `f = (n − 1)/3` are taken to lie, as in the
//! fleet's decisions, and less than half of those who voted. The plan is where `f + 1` voters say that it is, or beyond: so one of them at least did hear it. Prices
//! are the median of the `2f + 1` newest, coupling by coupling: each lies between two that honest voters heard, and its error is no greater than that of the median voter. What this
//! candidate heard itself it believes. With three or fewer `f` is 0: the newest word counts.

use super::heard::Heard;
use alloc::vec::Vec;

/// What somebody heard last of a coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// The solver's horizon: horizon and stage.
    pub(super) stage: u64,
    pub(super) round: u32,
    pub(super) calling: bool,
    pub(super) prices: Vec<f64>,
}

impl Told {
    pub(super) fn of(heard: Heard) -> Self {
        let Heard { horizon: stage, round, calling, prices, .. } = heard;
        Self { stage, round, calling, prices }
    }

    /// What is later has a greater mark.
    const fn mark(&self) -> (u64, u32, bool) {
        (self.stage, self.round, self.calling)
    }
}

/// Where to go on, of `own` and of what others say; O(n m log n) for `n` voters and `m` couplings.
pub(super) fn told(own: &Told, others: Vec<Told>, electors: usize) -> Told {
    let mut all = others;
    all.push(own.clone());
    all.sort_by_key(|one| core::cmp::Reverse(one.mark()));
    let liars = (electors.saturating_sub(1) / 3).min((all.len() - 1) / 2);
    // Rounds only count on: a number beyond all that was used.
    let round = all.iter().map(|one| one.round).max().unwrap_or(own.round);
    let agreed = &all[liars];
    if own.mark() >= agreed.mark() {
        return Told { round, ..own.clone() };
    }
    let newest = &all[..=2 * liars];
    let median = |coupling: usize| {
        let mut column: Vec<f64> = newest.iter().map(|one| one.prices[coupling]).collect();
        column.sort_by(f64::total_cmp);
        column[liars]
    };
    let prices = (0..own.prices.len()).map(median).collect();
    Told { stage: agreed.stage, round, calling: agreed.calling, prices }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn heard(stage: u64, round: u32, prices: &[f64]) -> Told {
        Told { stage, round, calling: false, prices: prices.to_vec() }
    }

    #[test]
    fn what_a_majority_heard_is_where_it_goes_on() {
        let (old, new) = (heard(0, 2, &[0.0, 0.0]), heard(0, 7, &[1.0, -2.0]));
        assert_eq!(told(&old, vec![new.clone(), new.clone()], 4), new);
        assert_eq!(told(&new, vec![old.clone(), old.clone()], 4), new, "it believes itself");
        // Of three who elect nobody is taken to lie.
        assert_eq!(told(&old, vec![new.clone()], 3), new);
    }

    #[test]
    fn one_that_lies_sets_neither_the_stage_nor_the_prices() {
        let own = heard(0, 2, &[0.5, 0.5]);
        let honest = heard(0, 4, &[1.0, -2.0]);
        let lie = Told { calling: true, ..heard(255, 400, &[1e9, f64::NAN]) };
        for others in [vec![lie.clone(), honest.clone()], vec![honest.clone(), lie.clone()]] {
            let start = told(&own, others, 4);
            assert_eq!((start.stage, start.calling), (0, false));
            assert!((0.5..=1.0).contains(&start.prices[0]), "{start:?}");
            assert!((-2.0..=0.5).contains(&start.prices[1]), "{start:?}");
        }
        // Alone with the liar of a fleet of three there is nobody to tell by.
        assert_eq!(told(&own, vec![lie.clone()], 3).stage, 255);
    }

    #[test]
    fn five_liars_of_sixteen_move_no_price_beyond_what_honest_voters_heard_while_they_are_a_minority_of_the_votes()
     {
        let own = heard(0, 1, &[0.0]);
        let mut others: Vec<Told> = (0..4).map(|k| heard(0, 3 + k, &[1.0 + 0.1 * f64::from(k)])).collect();
        others.extend((0..4).map(|k| heard(1 << 7, 90 + k, &[if k % 2 == 0 { 1e6 } else { -1e6 }])));
        let start = told(&own, others, 16);
        assert_eq!(start.stage, 0);
        assert!((0.0..=1.3).contains(&start.prices[0]), "{start:?}");
    }
}
