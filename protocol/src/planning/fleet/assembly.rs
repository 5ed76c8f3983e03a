//! From an operator's constraints to couplings: [`Rule`] and [`Assembly`].

use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

use super::{Coupling, CouplingKind, Couplings, FleetError};
use crate::{id::NodeId, planning::problem::SharedTerm};

/// A fleet-wide constraint on one commodity, before it is laid out over slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name; the coupling of one slot is called `name[slot]`.
    pub name: String,
    /// What it is for.
    pub kind: CouplingKind,
    /// The commodity's position in the fleet's list.
    pub commodity: usize,
    /// Whom it binds, ascending; none for everyone.
    pub members: Option<Vec<NodeId>>,
    /// The slots in which it holds.
    pub window: Range<usize>,
    /// Whether each slot's sum is bounded (a capacity), or that of the whole window (a budget).
    pub each_slot: bool,
    /// The least sum, −∞ for none.
    pub lower: f64,
    /// The greatest sum, +∞ for none.
    pub upper: f64,
}

impl Rule {
    /// What is given of a commodity equals what is taken, in each slot.
    #[must_use]
    pub fn balance(name: impl Into<String>, commodity: usize, slots: usize) -> Self {
        let (kind, members) = (CouplingKind::Balance, None);
        Self {
            name: name.into(),
            kind,
            commodity,
            members,
            window: 0..slots,
            each_slot: true,
            lower: 0.0,
            upper: 0.0,
        }
    }

    /// Its couplings, with slots named from `first` on.
    fn couplings(&self, first: usize) -> impl Iterator<Item = Coupling> + '_ {
        let each = self.each_slot.then_some(self.window.clone()).into_iter().flatten();
        let whole = (!self.each_slot).then(|| self.name.clone()).into_iter();
        each.map(move |slot| format!("{}[{}]", self.name, first + slot)).chain(whole).map(|name| Coupling {
            name,
            kind: self.kind,
            lower: self.lower,
            upper: self.upper,
        })
    }
}

/// Rules laid out as couplings. Each member makes its own shared map of it: nobody assembles a global model.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembly {
    couplings: Couplings,
    /// Each rule with the position of its first coupling.
    rules: Vec<(Rule, usize)>,
    slots: usize,
}

impl Assembly {
    /// Lays rules out over `slots`, in their order.
    ///
    /// # Errors
    /// [`FleetError::Window`] for an empty window or one beyond the horizon, and what [`Couplings::new`] refuses.
    pub fn new(slots: usize, rules: Vec<Rule>) -> Result<Self, FleetError> {
        Self::beginning(0, slots, rules)
    }

    /// The same for a horizon that begins later: its slots are named from `first_slot` on, so that a coupling keeps its name from
    /// horizon to horizon. Windows count from the horizon's first slot.
    ///
    /// # Errors
    /// As [`Assembly::new`].
    pub fn beginning(first_slot: usize, slots: usize, rules: Vec<Rule>) -> Result<Self, FleetError> {
        let (mut list, mut placed) = (Vec::new(), Vec::new());
        for rule in rules {
            if rule.window.is_empty() || rule.window.end > slots {
                let Range { start, end } = rule.window;
                return Err(FleetError::Window { name: rule.name, start, end, slots });
            }
            let first = list.len();
            list.extend(rule.couplings(first_slot));
            placed.push((rule, first));
        }
        Ok(Self { couplings: Couplings::new(list)?, rules: placed, slots })
    }

    /// The couplings.
    #[must_use]
    pub fn couplings(&self) -> &Couplings {
        &self.couplings
    }

    /// The shared map of a member whose variable for commodity `k` in slot `t` is `k · slots + t`. Its other variables stay
    /// its own.
    #[must_use]
    pub fn shared(&self, node: NodeId) -> Vec<SharedTerm> {
        let mut terms = Vec::new();
        for (rule, first) in &self.rules {
            if rule.members.as_ref().is_some_and(|members| !members.contains(&node)) {
                continue;
            }
            terms.extend(rule.window.clone().enumerate().map(|(at, slot)| SharedTerm {
                variable: rule.commodity * self.slots + slot,
                coupling: if rule.each_slot { first + at } else { *first },
                coefficient: 1.0,
            }));
        }
        terms
    }
}
