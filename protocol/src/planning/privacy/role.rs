//! Who may see what of a plan: redacted unless a role permits.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{id::NodeId, identity, planning::problem::LocalProblem};

/// As what somebody looks at a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Anybody.
    #[default]
    Observer,
    /// An asset of the plan.
    Contributor(NodeId),
    /// A member of the committee, which is told survivor sets.
    Committee,
    /// Who coordinates, and reads prices to steer the fleet. Under masks it holds no asset's problem or answer: nobody can give it one.
    Coordinator,
    /// Who answers for the fleet, and was given every problem by its owners: ground control, a simulation.
    Operator,
}

/// What there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Names of assets and couplings, and which asset takes part in which coupling.
    Wiring,
    /// The terms of an epoch, with the public keys.
    Terms,
    /// Prices of the couplings.
    Prices,
    /// Who was counted in a round.
    Survivors,
    /// Sums over assets, residuals among them.
    Sums,
    /// What an asset has spent of its privacy.
    Spent(NodeId),
    /// The curves, bounds and rows of an asset's problem.
    Problem(NodeId),
    /// An asset's own plan, and what it contributes.
    Plan(NodeId),
}

impl Role {
    /// As what a member looks at a plan: who commands answers for the fleet, an asset sees its own, and the rest what everybody sees. Who
    /// coordinates or is of the committee is the plan's to say.
    #[must_use]
    pub const fn of(member: identity::Role, node: NodeId) -> Self {
        match member {
            identity::Role::Observer | identity::Role::Own(_) => Self::Observer,
            identity::Role::Contributor => Self::Contributor(node),
            identity::Role::Operator | identity::Role::Admin => Self::Operator,
        }
    }

    /// Whether somebody in this role may see it. What is not granted here is not seen.
    #[must_use]
    pub fn sees(self, item: Item) -> bool {
        match (self, item) {
            (_, Item::Wiring | Item::Terms | Item::Prices) | (Self::Operator, _) => true,
            (Self::Contributor(own), Item::Spent(of) | Item::Problem(of) | Item::Plan(of)) => own == of,
            (Self::Contributor(_) | Self::Committee, Item::Survivors) => true,
            (Self::Coordinator, Item::Survivors | Item::Sums | Item::Spent(_)) => true,
            (Self::Observer, _) | (Self::Contributor(_), Item::Sums) => false,
            (Self::Committee, Item::Sums | Item::Spent(_) | Item::Problem(_) | Item::Plan(_)) => false,
            (Self::Coordinator, Item::Problem(_) | Item::Plan(_)) => false,
        }
    }

    /// The problem of an asset, as this role may see it.
    #[must_use]
    pub fn view(self, of: NodeId, problem: &LocalProblem) -> View<'_> {
        if self.sees(Item::Problem(of)) {
            return View::Whole(problem);
        }
        let couplings: BTreeSet<usize> = problem.parts().shared.iter().map(|term| term.coupling).collect();
        View::Redacted { couplings: couplings.into_iter().collect() }
    }
}

/// A local problem, or what is left of it.
#[derive(Clone, Debug, PartialEq)]
pub enum View<'a> {
    /// All of it.
    Whole(&'a LocalProblem),
    /// The wiring: in which couplings the asset takes part, in ascending order. Not how many variables it has, nor how it is bound.
    Redacted {
        /// The couplings.
        couplings: Vec<usize>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::{Hessian, ProblemParts, SharedTerm};
    use alloc::vec;

    const OWN: NodeId = NodeId(5);
    const OTHER: NodeId = NodeId(6);

    fn problem() -> LocalProblem {
        let term = |variable, coupling| SharedTerm { variable, coupling, coefficient: 1.0 };
        LocalProblem::new(ProblemParts {
            hessian: Hessian::Diagonal(vec![1.0; 3]),
            linear: vec![0.0; 3],
            constant: 0.0,
            lower: vec![0.0; 3],
            upper: vec![7.0; 3],
            rows: vec![],
            shared: vec![term(0, 2), term(1, 0), term(2, 2)],
            couplings: 4,
        })
        .expect("valid")
    }

    #[test]
    fn a_problem_is_redacted_unless_the_role_permits() {
        let problem = problem();
        let redacted = View::Redacted { couplings: vec![0, 2] };
        for role in [Role::default(), Role::Contributor(OTHER), Role::Committee, Role::Coordinator] {
            assert_eq!(role.view(OWN, &problem), redacted, "{role:?}");
        }
        for role in [Role::Contributor(OWN), Role::Operator] {
            assert_eq!(role.view(OWN, &problem), View::Whole(&problem), "{role:?}");
        }
    }

    #[test]
    fn each_role_sees_what_the_table_grants() {
        let items = [
            Item::Wiring,
            Item::Terms,
            Item::Prices,
            Item::Survivors,
            Item::Sums,
            Item::Spent(OWN),
            Item::Problem(OWN),
            Item::Plan(OWN),
        ];
        for (role, granted) in [
            (Role::Observer, [true, true, true, false, false, false, false, false]),
            (Role::Contributor(OTHER), [true, true, true, true, false, false, false, false]),
            (Role::Contributor(OWN), [true, true, true, true, false, true, true, true]),
            (Role::Committee, [true, true, true, true, false, false, false, false]),
            (Role::Coordinator, [true, true, true, true, true, true, false, false]),
            (Role::Operator, [true; 8]),
        ] {
            assert_eq!(items.map(|item| role.sees(item)), granted, "{role:?}");
        }
    }
}
