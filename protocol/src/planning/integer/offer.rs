//! Requests made whole by thresholds, so that nothing but sums is told of them: [`Offer`].
//!
//! Each asset ranks its own requests by keys that it keeps to itself: the relaxed value, and below it a ticket that it drew. The fleet is asked with one
//! threshold for each coupling. Of the requests that reach the thresholds of all that they use, an asset takes what its own constraints allow, best
//! first, and tells how much of each coupling it would use with these: in bins of keys, so that the sum over the fleet shows what a higher threshold
//! would leave. Who asks, and how thresholds move, is [`crate::planning::solver::thresholds`].

use alloc::{vec, vec::Vec};

use sha2::{Digest as _, Sha256};

use super::{bids, fixed, take};
use crate::{
    id::NodeId,
    planning::{
        problem::LocalProblem,
        qp::{Qp, QpSettings, Stop},
    },
};

/// Bits of a key below the value.
const TICKET_BITS: u32 = 12;
/// Relaxed values count in steps of 2⁻¹⁰: finer ones are a matter of the solver's tolerance.
const VALUE_STEPS: u32 = 1 << 10;

/// Above every key: a threshold that nobody reaches.
pub const TOP: u32 = (VALUE_STEPS + 1) << TICKET_BITS;
/// The least key of a request that the relaxed plan does not leave out altogether.
pub const OPEN: u32 = 1 << TICKET_BITS;

/// From where to where a coupling's bins go: the threshold, and an end at most [`TOP`].
pub type Bracket = (u32, u32);

/// Where bin `k` of `bins` begins; bins are as wide as each other, and the last one has no end.
#[must_use]
pub fn edge(bracket: Bracket, bins: usize, k: usize) -> u32 {
    let wide = u64::from(bracket.1.saturating_sub(bracket.0));
    bracket.0 + (wide * k as u64 / bins.max(1) as u64) as u32
}

/// One request, as its asset ranks it.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    variable: usize,
    key: u32,
    uses: Vec<(usize, f64)>,
}

/// What an asset has to take or to leave, and what it took last. It knows the relaxed plan: it stays at its node.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    problem: LocalProblem,
    own: Vec<usize>,
    /// Best first.
    wanted: Vec<Wanted>,
    relaxed: Vec<f64>,
    /// What else the asset has in each coupling in the relaxed plan.
    rest: Vec<f64>,
    taken: Vec<usize>,
}

impl Offer {
    /// The requests `own` of a problem (ascending, bounded by 0 and 1) at its relaxed plan. Tickets follow from `seed`: a secret of the asset, another
    /// in each horizon.
    #[must_use]
    pub fn new(problem: LocalProblem, own: &[usize], relaxed: &[f64], seed: &[u8; 32]) -> Self {
        let own: Vec<usize> = own.iter().copied().filter(|variable| *variable < relaxed.len()).collect();
        let listed = bids(NodeId(0), &problem, &own, relaxed);
        let mut rest = problem.share(relaxed);
        for (coupling, used) in listed.iter().flat_map(|bid| {
            let value = bid.value;
            bid.uses.iter().map(move |(coupling, amount)| (*coupling, amount * value))
        }) {
            rest[coupling] -= used;
        }
        let mut wanted: Vec<Wanted> = (listed.into_iter())
            .map(|bid| Wanted {
                variable: bid.variable,
                key: key(bid.value, seed, bid.variable),
                uses: bid.uses,
            })
            .collect();
        wanted.sort_by_key(|one| (core::cmp::Reverse(one.key), one.variable));
        Self { problem, own, wanted, relaxed: relaxed.to_vec(), rest, taken: Vec::new() }
    }

    /// Takes what reaches the thresholds and is possible. Answers, for each bin and in it for each coupling, what the asset uses: what it takes with a
    /// key in the bin, and in the last bin all that no threshold moves.
    pub fn answer(&mut self, brackets: &[Bracket], bins: usize) -> Vec<f64> {
        let reach: Vec<&Wanted> = self.wanted.iter().filter(|one| one.reaches(brackets)).collect();
        let granted: Vec<usize> = reach.iter().map(|one| one.variable).collect();
        let (taken, _) = take(&self.problem, &self.own, &granted);
        let m = brackets.len();
        let mut sums = vec![0.0; bins * m];
        sums[(bins - 1) * m..].iter_mut().zip(&self.rest).for_each(|(sum, rest)| *sum = *rest);
        for one in reach.into_iter().filter(|one| taken.contains(&one.variable)) {
            for &(coupling, amount) in one.uses.iter().filter(|(coupling, _)| *coupling < m) {
                let bracket = brackets[coupling];
                // What relieves a coupling is there whatever its threshold is.
                let bin = if amount > 0.0 {
                    (1..bins).rev().find(|k| edge(bracket, bins, *k) <= one.key).unwrap_or(0)
                } else {
                    bins - 1
                };
                sums[bin * m + coupling] += amount;
            }
        }
        self.taken = taken;
        sums
    }

    /// The requests that were taken at the last answer, ascending.
    #[must_use]
    pub fn taken(&self) -> &[usize] {
        &self.taken
    }

    /// How many requests there are.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.own.len()
    }

    /// The best plan with what was taken at these prices; the relaxed one where there is none.
    #[must_use]
    pub fn plan(&self, prices: &[f64]) -> Vec<f64> {
        self.at(prices).unwrap_or_else(|| self.relaxed.clone())
    }

    fn at(&self, prices: &[f64]) -> Option<Vec<f64>> {
        let decided = self.own.iter().map(|variable| (*variable, self.taken.contains(variable)));
        let whole = fixed(&self.problem, decided).ok()?;
        let parts = whole.parts();
        let mut linear = parts.linear.clone();
        for term in &parts.shared {
            linear[term.variable] += term.coefficient * prices.get(term.coupling)?;
        }
        let qp = Qp::new(&whole.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).ok()?;
        let solution = qp.solve(&linear, QpSettings::default()).ok()?;
        (solution.stop == Stop::Solved).then_some(solution.x)
    }
}

impl Wanted {
    /// Whether the key reaches the thresholds of all couplings that the request uses. A threshold at [`OPEN`] or below is no hurdle; below it, a coupling that is short
    /// also takes what the relaxed plan leaves out.
    fn reaches(&self, brackets: &[Bracket]) -> bool {
        let used = || self.uses.iter().filter(|(_, amount)| *amount > 0.0);
        let threshold = |coupling: usize| brackets.get(coupling).map_or(OPEN, |bracket| bracket.0);
        let short = |coupling: usize| threshold(coupling) < OPEN && threshold(coupling) <= self.key;
        let wanted = self.key >= OPEN || used().any(|(coupling, _)| short(*coupling));
        wanted && used().all(|(coupling, _)| threshold(*coupling) <= OPEN.max(self.key))
    }
}

/// The relaxed value in steps, then the ticket: below [`TOP`].
fn key(value: f64, seed: &[u8; 32], variable: usize) -> u32 {
    let mut hash = Sha256::new();
    hash.update(b"CosmosMesh ticket 1");
    hash.update(seed);
    hash.update((variable as u64).to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let ticket = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> (32 - TICKET_BITS);
    let steps = (value.clamp(0.0, 1.0) * f64::from(VALUE_STEPS) + 0.5) as u32;
    (steps << TICKET_BITS) | ticket
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::{Hessian, ProblemParts, Row, SharedTerm};

    const SEED: [u8; 32] = [7; 32];

    /// Three requests, one per coupling, of which two may be taken, and one amount beside them in the first coupling.
    fn problem() -> LocalProblem {
        LocalProblem::new(ProblemParts {
            hessian: Hessian::Diagonal(vec![1.0; 4]),
            linear: vec![-1.0; 4],
            constant: 0.0,
            lower: vec![0.0; 4],
            upper: vec![1.0; 4],
            rows: vec![Row { terms: (0..3).map(|t| (t, 1.0)).collect(), lower: 0.0, upper: 2.0 }],
            shared: (0..4)
                .map(|t| SharedTerm {
                    variable: t,
                    coupling: t % 3,
                    coefficient: if t == 3 { 0.25 } else { 1.0 },
                })
                .collect(),
            couplings: 3,
        })
        .expect("valid")
    }

    fn offer(relaxed: [f64; 4]) -> Offer {
        Offer::new(problem(), &[0, 1, 2], &relaxed, &SEED)
    }

    #[test]
    fn the_best_that_reach_and_are_possible_are_taken_and_told_by_bin() {
        let mut offer = offer([0.9, 0.3, 0.6, 1.0]);
        let open = [(OPEN, TOP); 3];
        let sums = offer.answer(&open, 2);
        assert_eq!(offer.taken(), [0, 2]);
        // The rest, 0.25 in the first coupling, is in the last bin; so are keys from the middle up.
        assert_eq!(sums, [0.0, 0.0, 0.0, 1.25, 0.0, 1.0]);
        let half = (TOP - OPEN) / 2 + OPEN;
        let sums = offer.answer(&[(OPEN, TOP), (OPEN, TOP), (half + (TOP - half) / 2, TOP)], 2);
        assert_eq!(offer.taken(), [0, 1], "the third one no longer reaches, so the second has room");
        assert_eq!(sums, [0.0, 1.0, 0.0, 1.25, 0.0, 0.0]);
        offer.answer(&[(TOP, TOP); 3], 1);
        assert!(offer.taken().is_empty());
        assert_eq!(offer.plan(&[0.0; 3])[..3], [0.0; 3]);
    }

    #[test]
    fn what_the_relaxed_plan_leaves_out_is_taken_for_a_coupling_that_is_short_alone() {
        let mut offer = offer([1.0, 0.0, 0.0, 0.0]);
        offer.answer(&[(OPEN, TOP); 3], 1);
        assert_eq!(offer.taken(), [0]);
        offer.answer(&[(OPEN, TOP), (0, OPEN), (OPEN, TOP)], 4);
        assert_eq!(offer.taken(), [0, 1]);
    }

    #[test]
    fn tickets_part_equal_values_and_depend_on_the_secret() {
        let keys = |seed: &[u8; 32]| (0..64).map(|variable| key(0.5, seed, variable)).collect::<Vec<_>>();
        let (one, other) = (keys(&SEED), keys(&[8; 32]));
        assert_ne!(one, other);
        assert!(one.iter().chain(&other).all(|key| key >> TICKET_BITS == VALUE_STEPS / 2 && *key < TOP));
        assert!(key(1.0, &SEED, 0) < TOP && key(f64::NAN, &SEED, 0) < OPEN);
    }

    #[test]
    fn bins_are_even_and_begin_at_the_threshold() {
        let edges: Vec<u32> = (0..4).map(|k| edge((100, 110), 4, k)).collect();
        assert_eq!(edges, [100, 102, 105, 107]);
        assert_eq!(edge((5, 5), 3, 2), 5);
    }
}
