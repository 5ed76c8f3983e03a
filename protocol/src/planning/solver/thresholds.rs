//! Requests made whole from sums alone: thresholds that rise until every coupling has room.
//!
//! Members take what of their requests reaches the thresholds and is possible, best first, and tell in bins of keys how much they would use
//! ([`crate::planning::integer::Offer`]). From the sums a coupling that has too little room raises its threshold: to the least edge of a bin above which all
//! fits, and then within the bin below that edge. It is an ascending clock auction with the relaxed plan's values for bids. With two bins or more thresholds only rise: who
//! is denied one thing takes its next best, which may raise another threshold, so the search ends, at worst where nobody takes anything. One bin is too
//! few for that: then a threshold is found by bisection, and rises again when it proves too low.
//!
//! What fits at thresholds that all members have answered is the result; where none is found, nobody takes anything. Then couplings below their lower bound may take, once each, what the relaxed
//! plan leaves out altogether.

use alloc::{vec, vec::Vec};

use super::{
    layout::Blocks,
    method::{Method, Progress, Tally},
    request::Question,
};
use crate::planning::{
    fleet::{Coupling, Couplings},
    integer::{Bracket, OPEN, TOP, edge},
};

/// The most bins: more tell more of who wants what, and save no round.
const MAX_BINS: usize = 16;
/// Of a bound, what is neither too much nor too little: the continuous rest is planned again anyway.
const SLACK: f64 = 1e-4;
/// Counts of requests are told in units of 2⁻¹⁰, since squares may be short of room.
pub(super) const COUNT: f64 = 1.0 / 1024.0;

fn slack(bound: f64) -> f64 {
    SLACK * bound.abs().max(1.0)
}

/// Where the threshold of one coupling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    /// The least that is not known to be too low.
    low: u32,
    /// The least that is known to do.
    high: u32,
    /// With one bin, what is asked.
    probe: u32,
    /// It has taken what the relaxed plan leaves out.
    raised: bool,
    /// It is asked how much of that it needs.
    short: bool,
}

/// The state of the search.
#[derive(Clone, Debug)]
pub(super) struct Thresholds {
    couplings: Couplings,
    prices: Vec<f64>,
    bins: usize,
    filler: usize,
    wide: bool,
    floor: u32,
    searches: Vec<Search>,
    counts: Option<(usize, usize)>,
}

impl Thresholds {
    /// For answers of so many entries, at least as many as couplings; `wide` when they are as large as a solver allows, and not as shares. Nobody takes a request below `floor`.
    pub(super) fn new(couplings: Couplings, entries: usize, wide: bool, floor: u32) -> Self {
        let m = couplings.len().max(1);
        let bins = (entries.saturating_sub(2) / m).clamp(1, MAX_BINS);
        let filler = entries.saturating_sub(bins * m);
        let mut new = Self {
            prices: vec![0.0; couplings.len()],
            couplings,
            bins,
            filler,
            wide,
            floor: floor.clamp(OPEN, TOP),
            searches: Vec::new(),
            counts: None,
        };
        new.begin();
        new
    }

    fn begin(&mut self) {
        let search = Search { low: self.floor, high: TOP, probe: self.floor, raised: false, short: false };
        self.searches = vec![search; self.couplings.len()];
        self.counts = None;
    }

    fn brackets(&self) -> Vec<Bracket> {
        self.searches.iter().map(|search| search.bracket(self.bins)).collect()
    }
}

impl Search {
    fn bracket(&self, bins: usize) -> Bracket {
        if self.short {
            return (0, OPEN);
        }
        // Where it is found, bins show what would be left above it.
        let found = self.low >= self.high;
        match (bins, found) {
            (1, _) => (self.probe, TOP),
            (_, true) => (self.low, TOP),
            (_, false) => (self.low, self.high),
        }
    }

    /// Whether the threshold that was asked is the result.
    fn is_found(&self, asked: u32) -> bool {
        !self.short && self.low >= self.high && asked == self.low
    }

    /// Moves on from what members would use at each edge that was asked and above it.
    fn step(&mut self, asked: Bracket, above: &[f64], coupling: &Coupling) {
        let bins = above.len();
        if self.short {
            // The highest edge that brings enough; all there is, if nothing does.
            let enough =
                (0..bins).rev().find(|k| above[*k] >= coupling.lower - slack(coupling.lower)).unwrap_or(0);
            let at = edge(asked, bins, enough);
            (self.low, self.high, self.probe) = (at, at, at);
            (self.short, self.raised) = (false, true);
            return;
        }
        if self.low >= self.high {
            // Others were denied elsewhere, and came here.
            (self.low, self.high) = (asked.0, TOP);
        }
        let fits = (0..bins).find(|k| above[*k] <= coupling.upper + slack(coupling.upper));
        match fits {
            None => self.low = edge(asked, bins, bins - 1).saturating_add(1),
            Some(0) => self.high = asked.0,
            Some(k) => {
                (self.low, self.high) = (edge(asked, bins, k - 1).saturating_add(1), edge(asked, bins, k))
            }
        }
        if fits.is_some_and(|k| above[k] >= coupling.upper - slack(coupling.upper)) {
            self.low = self.high;
        }
        self.low = self.low.min(self.high);
        self.probe = if self.low == self.high { self.high } else { self.low + (self.high - self.low) / 2 };
    }
}

impl Method for Thresholds {
    fn question(&self) -> Question {
        let (bins, filler, wide) = (self.bins, self.filler, self.wide);
        Question::Whole { brackets: self.brackets(), bins, filler, wide }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let (m, bins) = (self.couplings.len(), self.bins);
        if let [all, taken, ..] = sum.squares[..] {
            let count = |sum: f64| libm::rint(sum.max(0.0) / COUNT) as usize;
            self.counts = Some((count(all), count(taken)));
        }
        let asked = self.brackets();
        // From stale answers nothing is to be learned.
        let mut open = m;
        if tally.whole() {
            open = 0;
            for (place, coupling) in self.couplings.as_slice().iter().enumerate() {
                let mut above: Vec<f64> = (0..bins).map(|bin| sum.share[bin * m + place]).collect();
                (0..bins - 1).rev().for_each(|bin| above[bin] += above[bin + 1]);
                let search = &mut self.searches[place];
                let fits = above[0] <= coupling.upper + slack(coupling.upper);
                if !(fits && search.is_found(asked[place].0)) {
                    search.step(asked[place], &above, coupling);
                    open += usize::from(!search.is_found(asked[place].0));
                }
                let lacks = above[0] < coupling.lower - slack(coupling.lower);
                search.short =
                    lacks && fits && !search.raised && search.is_found(asked[place].0) && search.low <= OPEN;
                open += usize::from(search.short);
            }
        }
        let tolerance = 0.5;
        Progress {
            primal: open as f64,
            primal_tolerance: tolerance,
            dual_tolerance: tolerance,
            conclusive: tally.whole(),
            ..Progress::default()
        }
    }

    fn resume(&mut self, prices: &[f64]) {
        self.prices = prices.to_vec();
        self.begin();
    }

    fn insists(&self) -> bool {
        true
    }

    /// What does not fit for certain is taken by nobody.
    fn give_up(&mut self) {
        self.floor = TOP;
        self.begin();
    }

    fn requests(&self) -> Option<(usize, usize)> {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::NodeId,
        planning::{
            FleetProblem, Hessian, IntegerFleet, LocalProblem, ProblemParts, QpSettings, Row, SharedTerm,
            integer::Offer,
        },
    };
    use proptest::prelude::*;

    const SLOTS: usize = 3;

    /// A satellite that wants passes on two antennas, one at a time, and data after them, as much as an archive takes.
    fn satellite(worth: &[f64], passes: f64) -> LocalProblem {
        let (count, n) = (2 * SLOTS, 2 * SLOTS + 1);
        let mut rows = vec![Row { terms: (0..count).map(|t| (t, 1.0)).collect(), lower: 0.0, upper: passes }];
        rows.extend((0..SLOTS).map(|t| Row {
            terms: vec![(t, 1.0), (SLOTS + t, 1.0)],
            lower: 0.0,
            upper: 1.0,
        }));
        let data = (0..count).map(|t| (t, -1.0)).chain([(count, 1.0)]).collect();
        rows.push(Row { terms: data, lower: f64::NEG_INFINITY, upper: 0.0 });
        let linear = worth.iter().map(|worth| -worth).chain([-1.5]).collect();
        let antennas = (0..=count).map(|t| SharedTerm { variable: t, coupling: t, coefficient: 1.0 });
        LocalProblem::new(ProblemParts {
            hessian: Hessian::Diagonal((0..n).map(|_| 0.5).collect()),
            linear,
            constant: 0.0,
            lower: vec![0.0; n],
            upper: (0..n).map(|i| if i < count { 1.0 } else { 4.0 }).collect(),
            rows,
            shared: antennas.collect(),
            couplings: count + 1,
        })
        .expect("valid")
    }

    fn fleet(worths: &[(Vec<f64>, u8)], archive: f64) -> IntegerFleet {
        let antennas =
            (0..2 * SLOTS).map(|t| Coupling::mutual_exclusion(alloc::format!("antenna[{t}]"), 1.0));
        let list = antennas.chain([Coupling::budget("archive", archive)]).collect();
        let satellite = |(i, (worth, passes)): (usize, &(Vec<f64>, u8))| {
            (NodeId(i as u64 + 1), satellite(worth, f64::from(*passes)))
        };
        let locals = worths.iter().enumerate().map(satellite).collect();
        let problem = FleetProblem::new(Couplings::new(list).expect("valid"), locals).expect("reachable");
        IntegerFleet::new(problem, vec![(0..2 * SLOTS).collect(); worths.len()]).expect("requests")
    }

    /// Everyone's answers to a question, summed.
    fn sum(offers: &mut [Offer], question: &Question) -> Blocks {
        let Question::Whole { brackets, bins, filler, .. } = question else { panic!("another question") };
        let mut share = vec![0.0; bins * brackets.len()];
        for offer in offers.iter_mut() {
            share.iter_mut().zip(offer.answer(brackets, *bins)).for_each(|(sum, own)| *sum += own);
        }
        let count = |of: fn(&Offer) -> usize| COUNT * offers.iter().map(of).sum::<usize>() as f64;
        let mut squares = vec![count(Offer::requests), count(|offer| offer.taken().len())];
        squares.resize(*filler, 0.0);
        Blocks { share, squares, ..Blocks::default() }
    }

    const fn all(members: usize) -> Tally {
        Tally { members, known: members, fresh: members, swept: true }
    }

    /// Rounds until everything fits, and what everyone takes then.
    fn run(fleet: &IntegerFleet, entries: usize) -> (usize, Vec<Vec<usize>>, Option<(usize, usize)>) {
        let relaxed = fleet.relaxed().solve_centrally(QpSettings::default()).expect("solved");
        let mut offers: Vec<Offer> = (fleet.relaxed().locals().iter().zip(fleet.requests()))
            .zip(&relaxed.values)
            .map(|(((node, local), own), x)| Offer::new(local.clone(), own, x, &[node.0 as u8; 32]))
            .collect();
        let mut method = Thresholds::new(fleet.relaxed().couplings().clone(), entries, true, OPEN);
        method.resume(&relaxed.prices);
        let members = offers.len();
        for round in 1..=400 {
            let answers = sum(&mut offers, &method.question());
            if method.advance(&answers, all(members)).met() {
                let taken: Vec<Vec<usize>> = offers.iter().map(|offer| offer.taken().to_vec()).collect();
                return (round, taken, method.requests());
            }
        }
        panic!("thresholds do not settle: {method:?}");
    }

    fn choice(fleet: &IntegerFleet, taken: &[Vec<usize>]) -> Vec<Vec<bool>> {
        let own = fleet.requests().iter().zip(taken);
        own.map(|(own, taken)| own.iter().map(|variable| taken.contains(variable)).collect()).collect()
    }

    #[test]
    fn one_antenna_is_taken_by_who_values_it_most_and_equals_are_parted_by_their_tickets() {
        let worth = |first: f64| (vec![first, -9.0, -9.0, -9.0, -9.0, -9.0], 1);
        let unequal = fleet(&[worth(1.4), worth(2.0), worth(1.2)], 9.0);
        let (rounds, taken, counts) = run(&unequal, 7 * 16 + 2);
        assert_eq!(taken, [vec![], vec![0], vec![]]);
        assert_eq!(counts, Some((18, 1)));
        assert!(rounds <= 3, "{rounds}");
        let equal = fleet(&[worth(2.0), worth(2.0), worth(2.0)], 9.0);
        for entries in [7, 7 * 2 + 2, 7 * 16 + 2] {
            let (_, taken, _) = run(&equal, entries);
            assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 1, "{entries} entries: {taken:?}");
        }
    }

    #[test]
    fn a_coupling_that_is_short_takes_what_the_relaxed_plan_leaves_out() {
        let wanted = fleet(&[(vec![1.0; 6], 2), (vec![1.0; 6], 2)], 9.0);
        let couplings = Couplings::new(vec![Coupling::total("passes", 2.0, f64::INFINITY)]).expect("valid");
        let local = |node: u8| {
            let mut parts = wanted.relaxed().locals()[0].1.parts().clone();
            parts.shared = vec![SharedTerm { variable: 0, coupling: 0, coefficient: 1.0 }];
            parts.couplings = 1;
            let (problem, relaxed) = (LocalProblem::new(parts).expect("valid"), vec![0.0; 7]);
            Offer::new(problem, &[0], &relaxed, &[node; 32])
        };
        for bins in [1, 4, 16] {
            let mut offers: Vec<Offer> = (1..=3).map(local).collect();
            let mut method = Thresholds::new(couplings.clone(), bins + 2, true, OPEN);
            let rounds = (1..=20).find(|_| {
                let answers = sum(&mut offers, &method.question());
                method.advance(&answers, all(3)).met()
            });
            let taken: usize = offers.iter().map(|offer| offer.taken().len()).sum();
            assert!(rounds.is_some() && taken >= 2, "{bins} bins: {taken} after {rounds:?}");
        }
    }

    #[test]
    fn stale_answers_decide_nothing() {
        let couplings = Couplings::new(vec![Coupling::mutual_exclusion("antenna", 1.0)]).expect("valid");
        let mut method = Thresholds::new(couplings, 6, true, OPEN);
        let before = method.question();
        let answers = Blocks { share: vec![0.0; 4], squares: vec![0.0; 2], ..Blocks::default() };
        let progress = method.advance(&answers, Tally { fresh: 2, ..all(3) });
        assert!(!progress.met() && !progress.conclusive);
        assert_eq!(method.question(), before);
        assert!(method.advance(&answers, all(3)).met());
    }

    #[test]
    fn a_floor_at_the_top_leaves_everything() {
        let fleet = fleet(&[(vec![2.0; 6], 3), (vec![2.0; 6], 3)], 9.0);
        let relaxed = fleet.relaxed().solve_centrally(QpSettings::default()).expect("solved");
        let mut offers: Vec<Offer> = (fleet.relaxed().locals().iter().zip(&relaxed.values))
            .map(|((node, local), x)| Offer::new(local.clone(), &[0, 1, 2, 3, 4, 5], x, &[node.0 as u8; 32]))
            .collect();
        let mut method = Thresholds::new(fleet.relaxed().couplings().clone(), 40, true, TOP);
        let answers = sum(&mut offers, &method.question());
        assert!(method.advance(&answers, all(2)).met());
        assert!(offers.iter().all(|offer| offer.taken().is_empty()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever is wanted: what is taken fits, the rest can be planned, and no choice of the rule that reads bids is much better.
        #[test]
        fn what_is_taken_fits_and_costs_little_more_than_with_bids_that_are_read(
            worths in prop::collection::vec((prop::collection::vec(-0.3..2.5_f64, 2 * SLOTS), 1..4_u8), 2..6),
            archive in 1.0..6.0_f64,
            wide: bool,
        ) {
            let fleet = fleet(&worths, archive);
            let (rounds, taken, _) = run(&fleet, if wide { 7 * 16 + 2 } else { 7 });
            let choice = choice(&fleet, &taken);
            let plan = fleet.fix(&choice).expect("rows hold").solve_centrally(QpSettings::default()).expect("solved");
            let violation = fleet.relaxed().couplings().violation(&fleet.relaxed().sums(&plan.values));
            prop_assert!(violation < 1e-6, "{}", violation);
            let read = fleet.solve_centrally(QpSettings::default()).expect("rounded");
            let gap = crate::planning::integrality_gap(read.relaxed, plan.cost);
            prop_assert!(gap <= read.gap + 0.25, "{} where bids give {} in {} rounds", gap, read.gap, rounds);
        }
    }
}
