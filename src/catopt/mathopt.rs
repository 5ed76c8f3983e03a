//! A quadratic programme in `MathOptFormat` 1.x (`.mof.json`), as its JSON schema states it.
//!
//! What is written: `ScalarQuadraticFunction` (½xᵀQx + aᵀx + b; of Q one of two mirrored entries), `Variable` in a set for
//! bounds, `ScalarAffineFunction` in a set for rows. Read are these and the same in another order; other functions and sets
//! are refused.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{CatoptError, NamedRow, QuadraticProgram};

/// The version that is written: all that is used is in the first.
const VERSION: Version = Version { major: 1, minor: 0 };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    major: u32,
    minor: u32,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    version: Version,
    variables: Vec<Variable>,
    objective: Objective,
    constraints: Vec<Constraint>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Objective {
    sense: Sense,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<Function>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sense {
    Min,
    Max,
    Feasibility,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Function {
    Variable {
        name: String,
    },
    #[serde(rename = "ScalarAffineFunction")]
    Affine {
        terms: Vec<Affine>,
        constant: f64,
    },
    #[serde(rename = "ScalarQuadraticFunction")]
    Quadratic {
        affine_terms: Vec<Affine>,
        quadratic_terms: Vec<Quadratic>,
        constant: f64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Affine {
    coefficient: f64,
    variable: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quadratic {
    coefficient: f64,
    variable_1: String,
    variable_2: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    function: Function,
    set: Set,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Set {
    EqualTo { value: f64 },
    GreaterThan { lower: f64 },
    LessThan { upper: f64 },
    Interval { lower: f64, upper: f64 },
}

impl Set {
    /// `None` when both sides are open.
    fn between(lower: f64, upper: f64) -> Option<Self> {
        match (lower.is_finite(), upper.is_finite()) {
            (true, true) if lower == upper => Some(Self::EqualTo { value: lower }),
            (true, true) => Some(Self::Interval { lower, upper }),
            (true, false) => Some(Self::GreaterThan { lower }),
            (false, true) => Some(Self::LessThan { upper }),
            (false, false) => None,
        }
    }

    const fn sides(&self) -> (f64, f64) {
        match self {
            Self::EqualTo { value } => (*value, *value),
            Self::GreaterThan { lower } => (*lower, f64::INFINITY),
            Self::LessThan { upper } => (f64::NEG_INFINITY, *upper),
            Self::Interval { lower, upper } => (*lower, *upper),
        }
    }
}

impl Model {
    /// The file of `program`. A row that is open on both sides says nothing and is left out.
    pub(super) fn of(name: &str, program: &QuadraticProgram) -> Self {
        let named = |index: usize| program.variables[index].clone();
        let affine = |terms: &[(usize, f64)]| -> Vec<Affine> {
            terms.iter().map(|(at, by)| Affine { coefficient: *by, variable: named(*at) }).collect()
        };
        let bounds = (0..program.variables.len()).filter_map(|at| {
            let set = Set::between(program.lower[at], program.upper[at])?;
            Some(Constraint { name: None, function: Function::Variable { name: named(at) }, set })
        });
        let rows = program.rows.iter().filter_map(|row| {
            let set = Set::between(row.lower, row.upper)?;
            let function = Function::Affine { terms: affine(&row.terms), constant: 0.0 };
            Some(Constraint { name: Some(row.name.clone()), function, set })
        });
        let linear: Vec<(usize, f64)> =
            program.linear.iter().copied().enumerate().filter(|(_, by)| *by != 0.0).collect();
        let quadratic = |(i, j, value): &(usize, usize, f64)| Quadratic {
            coefficient: *value,
            variable_1: named(*i),
            variable_2: named(*j),
        };
        let costs = !program.quadratic.is_empty() || !linear.is_empty() || program.constant != 0.0;
        let function = costs.then(|| Function::Quadratic {
            affine_terms: affine(&linear),
            quadratic_terms: program.quadratic.iter().map(quadratic).collect(),
            constant: program.constant,
        });
        let sense = if costs { Sense::Min } else { Sense::Feasibility };
        Self {
            name: Some(name.to_owned()),
            version: VERSION,
            variables: program.variables.iter().cloned().map(|name| Variable { name }).collect(),
            objective: Objective { sense, function },
            constraints: bounds.chain(rows).collect(),
        }
    }

    /// The programme that the file at `path` states.
    pub(super) fn program(self, path: &Path) -> Result<QuadraticProgram, CatoptError> {
        let fault = |place: String, found: String, allowed: &str| CatoptError::Field {
            path: path.into(),
            place,
            found,
            allowed: allowed.into(),
        };
        if self.version.major != 1 {
            let found = self.version.major.to_string();
            return Err(fault("version.major".into(), found, "1"));
        }
        let n = self.variables.len();
        let mut reader = Reader { path, places: BTreeMap::new() };
        let mut program = QuadraticProgram {
            linear: vec![0.0; n],
            lower: vec![f64::NEG_INFINITY; n],
            upper: vec![f64::INFINITY; n],
            ..QuadraticProgram::default()
        };
        for (at, variable) in self.variables.into_iter().enumerate() {
            if reader.places.insert(variable.name.clone(), at).is_some() {
                return Err(CatoptError::Twice { what: "variable", name: variable.name });
            }
            program.variables.push(variable.name);
        }
        match (self.objective.sense, self.objective.function) {
            (Sense::Feasibility, None) => {}
            (Sense::Min, Some(function)) => reader.objective(function, &mut program)?,
            (sense, _) => {
                let found = format!("{sense:?}").to_lowercase();
                let allowed = "`min` with a function, or `feasibility` without one";
                return Err(fault("objective.sense".into(), found, allowed));
            }
        }
        for (at, constraint) in self.constraints.into_iter().enumerate() {
            reader.constraint(at, constraint, &mut program)?;
        }
        Ok(program)
    }
}

/// Names of variables, and where they stand.
struct Reader<'p> {
    path: &'p Path,
    places: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn fault(&self, place: &str, found: impl Into<String>, allowed: &str) -> CatoptError {
        CatoptError::Field {
            path: self.path.into(),
            place: place.into(),
            found: found.into(),
            allowed: allowed.into(),
        }
    }

    fn variable(&self, place: &str, name: &str) -> Result<usize, CatoptError> {
        let found = || self.fault(place, format!("variable {name:?}"), "a name that `variables` lists");
        self.places.get(name).copied().ok_or_else(found)
    }

    /// Terms summed by variable, ascending, none zero.
    fn affine(&self, place: &str, terms: &[Affine]) -> Result<Vec<(usize, f64)>, CatoptError> {
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for term in terms {
            *sums.entry(self.variable(place, &term.variable)?).or_insert(0.0) += term.coefficient;
        }
        Ok(sums.into_iter().filter(|(_, by)| *by != 0.0).collect())
    }

    fn objective(&self, function: Function, program: &mut QuadraticProgram) -> Result<(), CatoptError> {
        let place = "objective.function";
        let (affine, quadratic, constant) = match function {
            Function::Variable { name } => (vec![Affine { coefficient: 1.0, variable: name }], vec![], 0.0),
            Function::Affine { terms, constant } => (terms, vec![], constant),
            Function::Quadratic { affine_terms, quadratic_terms, constant } => {
                (affine_terms, quadratic_terms, constant)
            }
        };
        for (at, by) in self.affine(place, &affine)? {
            program.linear[at] = by;
        }
        let mut entries: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for term in &quadratic {
            let (a, b) = (self.variable(place, &term.variable_1)?, self.variable(place, &term.variable_2)?);
            *entries.entry((a.min(b), a.max(b))).or_insert(0.0) += term.coefficient;
        }
        let entries = entries.into_iter().filter(|(_, value)| *value != 0.0);
        program.quadratic = entries.map(|((i, j), value)| (i, j, value)).collect();
        program.constant = constant;
        Ok(())
    }

    fn constraint(
        &self,
        at: usize,
        constraint: Constraint,
        program: &mut QuadraticProgram,
    ) -> Result<(), CatoptError> {
        let place = format!("constraints[{at}].function");
        let (lower, upper) = constraint.set.sides();
        if lower > upper {
            let found = format!("{lower} to {upper}");
            return Err(self.fault(
                &format!("constraints[{at}].set"),
                found,
                "a lower side not above the upper",
            ));
        }
        match constraint.function {
            Function::Variable { name } => {
                let variable = self.variable(&place, &name)?;
                program.lower[variable] = program.lower[variable].max(lower);
                program.upper[variable] = program.upper[variable].min(upper);
            }
            Function::Affine { terms, constant } => {
                let terms = self.affine(&place, &terms)?;
                let name = constraint.name.unwrap_or_else(|| format!("constraint {at}"));
                program.rows.push(NamedRow { name, terms, lower: lower - constant, upper: upper - constant });
            }
            Function::Quadratic { .. } => {
                let found = "ScalarQuadraticFunction";
                return Err(self.fault(&place, found, "Variable or ScalarAffineFunction"));
            }
        }
        Ok(())
    }
}
