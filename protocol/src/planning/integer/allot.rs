//! The rounding rule: [`allot`].

use alloc::{vec, vec::Vec};

use crate::{id::NodeId, planning::fleet::Couplings};

/// Relaxed values are compared in steps of 2⁻²⁰, so that the last bits of a solver do not decide who is served.
pub const STEP: f64 = 1.0 / 1_048_576.0;

/// A request as the relaxed plan values it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bid {
    /// Who asks.
    pub node: NodeId,
    /// Its variable.
    pub variable: usize,
    /// The relaxed value, 0 to 1.
    pub value: f64,
    /// What the asset's own cost falls by when the request is granted whole, before prices.
    pub worth: f64,
    /// How much of each coupling it uses when granted, in ascending order of couplings.
    pub uses: Vec<(usize, f64)>,
}

/// What became of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Granted.
    Granted,
    /// A coupling has no room left.
    NoRoom {
        /// The first that has none.
        coupling: usize,
    },
    /// The asset's own constraints exclude it beside what was granted before.
    Declined,
}

/// Decides bids one by one; answers the verdicts in the order of the bids.
///
/// The rule: bids are taken in descending order of their relaxed values (in steps of [`STEP`]), then of worth, then in ascending order
/// of node and variable. A bid is granted when every coupling that it uses stays within its upper bound, `base` and what was
/// granted before included, and `accepts` agrees. Afterwards couplings below their lower bound are raised by denied bids in the
/// same order, as far as they fit. O(bids · (log bids + uses)).
///
/// `base` is what all else contributes to the couplings. `accepts` is the asset's answer, called once for each bid that has
/// room, in that order; it may remember what it accepted.
pub fn allot(
    bids: &[Bid],
    couplings: &Couplings,
    base: &[f64],
    mut accepts: impl FnMut(&Bid) -> bool,
) -> Vec<Verdict> {
    let couplings = couplings.as_slice();
    let mut sums = base.to_vec();
    let mut verdicts = vec![Verdict::Declined; bids.len()];
    let mut declined = vec![false; bids.len()];
    let order = ranked(bids);
    for raising in [false, true] {
        for &index in &order {
            let bid = &bids[index];
            if declined[index] || verdicts[index] == Verdict::Granted {
                continue;
            }
            let full = bid.uses.iter().find(|&&(coupling, amount)| {
                amount > 0.0 && sums[coupling] + amount > couplings[coupling].upper + slack(sums[coupling])
            });
            let raises = |&(coupling, amount): &(usize, f64)| {
                amount > 0.0 && sums[coupling] < couplings[coupling].lower - slack(sums[coupling])
            };
            if let Some(&(coupling, _)) = full {
                verdicts[index] = Verdict::NoRoom { coupling };
            } else if raising && !bid.uses.iter().any(raises) || !raising && bid.value < HALF_STEP {
                // What the relaxed plan leaves out altogether is only of use to a coupling that is short.
                continue;
            } else if accepts(bid) {
                verdicts[index] = Verdict::Granted;
                for &(coupling, amount) in &bid.uses {
                    sums[coupling] += amount;
                }
            } else {
                declined[index] = true;
            }
        }
    }
    verdicts
}

const HALF_STEP: f64 = 0.5 * STEP;

/// Sums round: capacity that is met exactly is not exceeded.
fn slack(sum: f64) -> f64 {
    1e-9 * sum.abs().max(1.0)
}

/// Positions in the order in which bids are decided.
#[must_use]
pub fn ranked(bids: &[Bid]) -> Vec<usize> {
    let steps = |bid: &Bid| (bid.value.clamp(0.0, 1.0) / STEP + 0.5) as u32;
    let mut order: Vec<usize> = (0..bids.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&bids[a], &bids[b]);
        let by_worth = || b.worth.total_cmp(&a.worth);
        let by_name = || (a.node, a.variable).cmp(&(b.node, b.variable));
        steps(b).cmp(&steps(a)).then_with(by_worth).then_with(by_name)
    });
    order
}
