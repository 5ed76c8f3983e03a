//! A later horizon of the plan, as a file tells it: what differs from the one before.
//!
//! ```ron
//! (
//!     horizon: 1,
//!     shift: 1,          // slots that are over: prices go on from those of slots so much later
//!     terms: [(commodity: "power", preferred: [2, 5], curvature: 1, min: [0, 0], max: [10, 10])],
//! )
//! ```

use super::{
    masks::widest,
    place::options,
    plan::{Plan, RawConstraint, RawPlan, RawTerm, assembly, assembly_beginning, config, own_problem},
};
use cosmosmesh_protocol::{
    id::NodeId,
    node::{PlanHorizon, Requests},
};
use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

/// Why a later horizon is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HorizonError {
    /// Not a horizon's file.
    #[error("{0}")]
    Form(Box<ron::error::SpannedError>),
    /// One that is over, or the one that is planned.
    #[error("horizon {found}: {current} is planned already")]
    Over {
        /// Which.
        found: u64,
        /// The one that is planned.
        current: u64,
    },
    /// Something in it does not fit the plan.
    #[error("{field}: {problem}")]
    Part {
        /// Where.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename = "Horizon")]
struct RawHorizon {
    horizon: u64,
    #[serde(default)]
    shift: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<Vec<RawConstraint>>,
    #[serde(default)]
    terms: Vec<RawTerm>,
}

/// A later horizon, checked.
#[derive(Debug)]
pub struct NextHorizon {
    /// The plan in it.
    pub plan: Plan,
    /// The horizon that it follows on.
    pub follows: u64,
    /// What the node is told.
    pub told: Box<PlanHorizon>,
    /// The file with all that differs from the configuration: what it left out, as it was in the horizon before. Read after a restart, it is the
    /// same horizon.
    pub whole: String,
}

impl Plan {
    /// The horizon that a file tells of, which follows on this one. What it does not say is as it was: `constraints`, which everybody has to be told
    /// alike, and all but the own `terms`.
    ///
    /// # Errors
    /// [`HorizonError`].
    pub fn next(&self, node: NodeId, text: &str) -> Result<NextHorizon, HorizonError> {
        let next = self.lay_out_next(node, text)?;
        let part = |problem| HorizonError::Part { field: "terms".to_owned(), problem };
        next.plan.check_own_part(node).map_err(part)?;
        Ok(next)
    }

    /// The same, without a look whether some plan keeps the own terms, which may take seconds.
    ///
    /// # Errors
    /// [`HorizonError`].
    pub(crate) fn lay_out_next(&self, node: NodeId, text: &str) -> Result<NextHorizon, HorizonError> {
        let next: RawHorizon =
            options().from_str(text).map_err(|error| HorizonError::Form(Box::new(error)))?;
        if next.horizon <= self.raw.horizon {
            return Err(HorizonError::Over { found: next.horizon, current: self.raw.horizon });
        }
        let part = |field: &str, problem: String| HorizonError::Part { field: field.to_owned(), problem };
        if next.shift > self.slots {
            return Err(part("shift", format!("{} slots are over, of {}", next.shift, self.slots)));
        }
        let mut raw = self.raw.clone();
        (raw.horizon, raw.terms) = (next.horizon, next.terms);
        if let Some(constraints) = next.constraints {
            raw.constraints = constraints;
        }
        let known = |name: &String| self.commodities.contains(name);
        for (place, term) in raw.terms.iter().enumerate() {
            let field = format!("terms[{place}]");
            if !known(&term.commodity) || raw.terms[..place].iter().any(|one| one.commodity == term.commodity)
            {
                let problem =
                    format!("{:?} is no commodity of the plan, or has a term already", term.commodity);
                return Err(part(&field, problem));
            }
            let lengths = [&term.preferred, &term.min, &term.max].map(Vec::len);
            if lengths != [self.slots; 3] {
                return Err(part(&field, format!("{lengths:?} values, of {} slots", self.slots)));
            }
        }
        if let Some(rule) = raw.constraints.iter().find(|rule| !known(&rule.commodity)) {
            return Err(part("constraints", format!("{:?} is no commodity of the plan", rule.commodity)));
        }
        let assembly = assembly(&raw).map_err(|problem| part("constraints", problem))?;
        let problem = own_problem(&raw, node, &assembly).map_err(|problem| part("terms", problem))?;
        let own = problem.as_ref().map_or(0.0, widest);
        if let Some(masks) = self.masks.as_ref().filter(|masks| own > masks.most) {
            let most = masks.most;
            return Err(part(
                "terms",
                format!("a share of {own}, and under its masks none is greater than {most}"),
            ));
        }
        let config = config(&raw, &assembly, problem);
        let before = self.config.couplings.as_slice();
        let named = assembly_beginning(&raw, next.shift).map_err(|problem| part("shift", problem))?;
        let named = named.couplings().as_slice().iter();
        let moved = named.map(|coupling| before.iter().position(|old| old.name == coupling.name));
        let told = Box::new(PlanHorizon {
            horizon: next.horizon,
            couplings: config.couplings.clone(),
            problem: config.problem.clone(),
            moved: moved.collect(),
            requests: Requests::default(),
        });
        let plan = Self { config: Box::new(config), raw, ..self.clone() };
        let whole = plan.horizon_text(next.shift).map_err(|error| part("horizon", error.to_string()))?;
        Ok(NextHorizon { plan, follows: self.raw.horizon, told, whole })
    }

    /// What of this horizon differs from a configuration, as a file that tells of it.
    fn horizon_text(&self, shift: usize) -> Result<String, ron::Error> {
        let RawPlan { horizon, constraints, terms, .. } = self.raw.clone();
        let whole = RawHorizon { horizon, shift, constraints: Some(constraints), terms };
        let text = options().to_string_pretty(&whole, PrettyConfig::default())?;
        Ok(format!(
            "// The horizon of the plan that this node was told last: written by it, and read when it starts.\n{text}\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    fn plan() -> Plan {
        let text = format!(
            "(node: 1, state: \"state\", peers: [(node: 2, did: \"{DID}\", via: Inbound)], plan: (coordinators: [1], participants: [1, 2],
               slots: 2, commodities: [(name: \"power\")], answers: InTheClear,
               constraints: [(name: \"cable\", commodity: \"power\", kind: Budget, max: 4)],
               terms: [(commodity: \"power\", preferred: [3, 1], curvature: 1, min: [0, 0], max: [5, 5])]))"
        );
        Config::parse("node.ron", &text, Path::new("/folder"))
            .expect("it is right")
            .plan
            .expect("it is there")
    }

    #[test]
    fn a_later_horizon_goes_on_from_the_prices_of_the_slots_that_it_keeps() {
        let text = "(horizon: 2, shift: 1, terms: [(commodity: \"power\", preferred: [1, 4], curvature: 1, min: [0, 0], max: [5, 5])])";
        let next = plan().next(NodeId(1), text).expect("it is right");
        assert_eq!((next.told.horizon, next.plan.config.horizon), (2, 2));
        let names: Vec<&str> = next.told.couplings.as_slice().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["power[0]", "power[1]", "cable"]);
        assert_eq!(next.told.moved, [Some(1), None, Some(2)]);
        let over = next.plan.next(NodeId(1), text).expect_err("it is that one");
        assert_eq!(over, HorizonError::Over { found: 2, current: 2 });
        assert!(next.plan.next(NodeId(1), &text.replace("horizon: 2", "horizon: 3")).is_ok());
    }

    #[test]
    fn a_constraint_of_the_whole_horizon_keeps_its_price_whatever_its_name() {
        let budget = |name: &str, max: u32| {
            format!("(name: \"{name}\", commodity: \"power\", kind: Budget, max: {max})")
        };
        let constraints = format!("constraints: [{}, {}]", budget("cable[1]", 4), budget("cable[2]", 5));
        let terms =
            "terms: [(commodity: \"power\", preferred: [1, 4], curvature: 1, min: [0, 0], max: [5, 5])]";
        let text = |horizon: u32, shift: u64| {
            format!("(horizon: {horizon}, shift: {shift}, {constraints}, {terms})")
        };
        let first = plan().next(NodeId(1), &text(1, 0)).expect("it is right").plan;
        let next = first.next(NodeId(1), &text(2, 1)).expect("it is right");
        assert_eq!(next.told.moved, [Some(1), None, Some(2), Some(3)]);
        let all_over = first.next(NodeId(1), &text(2, 2)).expect("it is right");
        assert_eq!(all_over.told.moved, [None, None, Some(2), Some(3)]);
        for shift in [3, u64::MAX] {
            let error = first.next(NodeId(1), &text(2, shift)).expect_err("more than there are").to_string();
            assert!(error.starts_with("shift: "), "{error}");
        }
    }

    #[test]
    fn what_a_file_leaves_out_is_as_in_the_horizon_before_also_when_it_is_read_after_a_restart() {
        let terms = "terms: [(commodity: \"power\", preferred: [1, 4.1], curvature: 1e-7, min: [0, 0], max: [5, 5], total_max: 7, ramp: 3)]";
        let constraints = "constraints: [(name: \"feed\", commodity: \"power\", kind: Envelope, members: [1, 2], window: (0, 1), min: -1, max: 3)]";
        let first = plan().next(NodeId(1), &format!("(horizon: 1, {constraints}, {terms})")).expect("right");
        let second = first.plan.next(NodeId(1), &format!("(horizon: 2, shift: 1, {terms})")).expect("right");
        let again = plan().next(NodeId(1), &second.whole).expect("what it wrote itself");
        assert_eq!(again.plan.config.couplings, second.plan.config.couplings);
        assert_eq!(again.plan.config.problem, second.plan.config.problem);
        assert_eq!((again.plan.config.horizon, again.whole), (2, second.whole));
        let names = again.plan.config.couplings.as_slice().iter().map(|one| one.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["power[0]", "power[1]", "feed[0]"]);
    }

    #[test]
    fn what_does_not_fit_the_plan_is_refused_by_its_place() {
        for (rest, field) in [
            (
                "terms: [(commodity: \"water\", preferred: [1, 4], curvature: 1, min: [0, 0], max: [5, 5])]",
                "terms[0]: \"water\"",
            ),
            (
                "terms: [(commodity: \"power\", preferred: [1], curvature: 1, min: [0, 0], max: [5, 5])]",
                "terms[0]: [1, 2, 2]",
            ),
            (
                "constraints: [(name: \"x\", commodity: \"air\", kind: Budget, max: 1)]",
                "constraints: \"air\"",
            ),
            (
                "terms: [(commodity: \"power\", preferred: [1, 1], curvature: 1, min: [2, 2], max: [1, 1])]",
                "terms: ",
            ),
            ("coordinators: [2]", "coordinators"),
        ] {
            let error = plan().next(NodeId(1), &format!("(horizon: 1, {rest})")).expect_err(rest);
            assert!(error.to_string().contains(field), "{rest}: {error}");
        }
    }
}
