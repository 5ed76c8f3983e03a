//! From the fleet's planning problem to a diagram, and back.

use std::collections::BTreeMap;

use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        Hessian, LocalProblem, ProblemParts, Row, SharedTerm,
        privacy::{Item, Role},
    },
};

use super::{CatoptError, Composite, Content, Junction, NamedRow, OpenBox, Port, QuadraticProgram};

/// Name of the box that holds the constraints which bind the fleet. No asset can have it.
pub const FLEET_BOX: &str = "@fleet";

/// A constraint that binds the fleet: `lower ≤ Σᵢ (Sᵢxᵢ)ₖ ≤ upper`.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetRow {
    /// Its name, once in the fleet.
    pub name: String,
    /// The least sum, −∞ for none.
    pub lower: f64,
    /// The greatest sum, +∞ for none.
    pub upper: f64,
}

/// A fleet's problem, taken from a diagram: what a federated solver plans.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetForm {
    /// The assets' problems by name, with `rows` as couplings.
    pub assets: Vec<(String, LocalProblem)>,
    /// The constraints that bind them.
    pub rows: Vec<FleetRow>,
}

impl Composite {
    /// The diagram of a fleet: a box for each asset, one for the constraints that bind them, and between them a junction for
    /// every quantity that an asset has a part in, `asset/constraint`.
    ///
    /// `assets` are a name, its node, and a problem whose couplings are `rows`, in order; `role` reads the diagram, and sees the problems that it
    /// may. O(entries · log).
    ///
    /// # Errors
    /// [`CatoptError::Twice`] when two assets or rows share a name, [`CatoptError::Missing`] when a problem has a coupling
    /// beyond `rows`.
    pub fn of_fleet(
        assets: &[(&str, NodeId, &LocalProblem)],
        rows: &[FleetRow],
        role: Role,
    ) -> Result<Self, CatoptError> {
        let mut diagram = Self::default();
        let mut fleet = QuadraticProgram::default();
        let mut sums: Vec<NamedRow> = rows.iter().map(fleet_row).collect();
        for (index, (name, node, problem)) in assets.iter().enumerate() {
            let shown = role.sees(Item::Problem(*node));
            let mut maps: BTreeMap<usize, BTreeMap<usize, f64>> = BTreeMap::new();
            for term in &problem.parts().shared {
                let map = maps.entry(term.coupling).or_default();
                *map.entry(term.variable).or_insert(0.0) += term.coefficient;
            }
            for (coupling, map) in maps {
                let Some(sum) = sums.get_mut(coupling) else {
                    let place = format!("the problem of {name:?}");
                    return Err(CatoptError::Missing {
                        place,
                        what: "constraint",
                        found: coupling,
                        count: rows.len(),
                    });
                };
                let variable = format!("{name}/{}", sum.name);
                sum.terms.push((fleet.variables.len(), 1.0));
                let at_fleet = vec![(fleet.variables.len(), 1.0)];
                fleet.variables.push(variable.clone());
                let junction = diagram.junctions.len();
                diagram.junctions.push(Junction { variable });
                let restriction = shown.then(|| map.into_iter().collect());
                diagram.ports.push(Port { of: index, junction, restriction });
                diagram.ports.push(Port { of: assets.len(), junction, restriction: Some(at_fleet) });
            }
            let content = if shown { Content::Program(program_of(problem)) } else { Content::Redacted };
            diagram.boxes.push(OpenBox { name: (*name).to_owned(), content });
        }
        let n = fleet.variables.len();
        fleet.linear = vec![0.0; n];
        fleet.lower = vec![f64::NEG_INFINITY; n];
        fleet.upper = vec![f64::INFINITY; n];
        fleet.rows = sums;
        diagram.boxes.push(OpenBox { name: FLEET_BOX.to_owned(), content: Content::Program(fleet) });
        diagram.check()?;
        diagram.put_in_order();
        Ok(diagram)
    }

    /// The assets' problems, by name, and the constraints that bind them: what [`Composite::of_fleet`] made the diagram of.
    /// Variables lose their names.
    ///
    /// # Errors
    /// [`CatoptError`] when the diagram is faulty, a box is redacted or not strictly convex, or the diagram has another form
    /// than a fleet's (boxes that touch [`FLEET_BOX`] only, whose rows are plain sums).
    pub fn to_fleet(&self) -> Result<FleetForm, CatoptError> {
        let flat = self.flatten()?;
        let form = |reason: String| CatoptError::Form { reason };
        let fleet = flat.boxes.iter().position(|one| one.name == FLEET_BOX);
        let fleet = fleet.ok_or_else(|| form(format!("there is no box {FLEET_BOX:?}")))?;
        let Content::Program(sums) = &flat.boxes[fleet].content else {
            return Err(CatoptError::Redacted { name: FLEET_BOX.to_owned() });
        };
        let coupling_of = flat.couplings(fleet, sums)?;
        let rows: Vec<FleetRow> = sums.rows.iter().map(row_of_fleet).collect();
        let mut assets = Vec::new();
        for (index, one) in flat.boxes.iter().enumerate().filter(|(index, _)| *index != fleet) {
            let Content::Program(program) = &one.content else {
                return Err(CatoptError::Redacted { name: one.name.clone() });
            };
            let mut shared = Vec::new();
            for port in flat.ports_of(index) {
                let coupling = coupling_of.get(&port.junction).copied().ok_or_else(|| {
                    let junction = &flat.junctions[port.junction].variable;
                    form(format!("junction {junction:?} of box {:?} is in no row of {FLEET_BOX:?}", one.name))
                })?;
                let map = port.restriction.as_ref();
                let map = map.ok_or_else(|| CatoptError::Unrestricted { name: one.name.clone() })?;
                shared.extend(map.iter().map(|(variable, by)| SharedTerm {
                    variable: *variable,
                    coupling,
                    coefficient: *by,
                }));
            }
            let problem = LocalProblem::new(parts_of(program, shared, rows.len()));
            let problem = problem.map_err(|error| form(format!("box {:?}: {error}", one.name)))?;
            assets.push((one.name.clone(), problem));
        }
        Ok(FleetForm { assets, rows })
    }

    /// By junction: the row of the fleet's box that sums it.
    fn couplings(
        &self,
        fleet: usize,
        sums: &QuadraticProgram,
    ) -> Result<BTreeMap<usize, usize>, CatoptError> {
        let mut row_of: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, row) in sums.rows.iter().enumerate() {
            for (variable, by) in &row.terms {
                if *by != 1.0 || row_of.insert(*variable, at).is_some() {
                    let name = &sums.variables[*variable];
                    let reason = format!("variable {name:?} of {FLEET_BOX:?} is not in one plain sum");
                    return Err(CatoptError::Form { reason });
                }
            }
        }
        let mut coupling_of = BTreeMap::new();
        for port in self.ports_of(fleet) {
            if let Some([(variable, 1.0)]) = port.restriction.as_deref()
                && let Some(row) = row_of.get(variable)
            {
                coupling_of.insert(port.junction, *row);
            }
        }
        Ok(coupling_of)
    }
}

fn fleet_row(row: &FleetRow) -> NamedRow {
    NamedRow { name: row.name.clone(), terms: Vec::new(), lower: row.lower, upper: row.upper }
}

fn row_of_fleet(row: &NamedRow) -> FleetRow {
    FleetRow { name: row.name.clone(), lower: row.lower, upper: row.upper }
}

fn program_of(problem: &LocalProblem) -> QuadraticProgram {
    let parts = problem.parts();
    let n = problem.variables();
    let quadratic = match &parts.hessian {
        Hessian::Diagonal(diagonal) => diagonal.iter().enumerate().map(|(i, value)| (i, i, *value)).collect(),
        Hessian::Dense(entries) => upper_triangle(n, entries),
    };
    let row = |(at, row): (usize, &Row)| NamedRow {
        name: format!("row[{at}]"),
        terms: row.terms.clone(),
        lower: row.lower,
        upper: row.upper,
    };
    QuadraticProgram {
        variables: (0..n).map(|at| format!("x[{at}]")).collect(),
        quadratic,
        linear: parts.linear.clone(),
        constant: parts.constant,
        lower: parts.lower.clone(),
        upper: parts.upper.clone(),
        rows: parts.rows.iter().enumerate().map(row).collect(),
    }
}

fn upper_triangle(n: usize, entries: &[f64]) -> Vec<(usize, usize, f64)> {
    let pairs = (0..n).flat_map(|i| (i..n).map(move |j| (i, j)));
    pairs.map(|(i, j)| (i, j, entries[i * n + j])).filter(|entry| entry.2 != 0.0).collect()
}

fn parts_of(program: &QuadraticProgram, shared: Vec<SharedTerm>, couplings: usize) -> ProblemParts {
    let n = program.variables.len();
    let hessian = if program.quadratic.iter().all(|(i, j, _)| i == j) {
        let mut diagonal = vec![0.0; n];
        program.quadratic.iter().for_each(|(i, _, value)| diagonal[*i] = *value);
        Hessian::Diagonal(diagonal)
    } else {
        let mut entries = vec![0.0; n * n];
        for (i, j, value) in &program.quadratic {
            entries[i * n + j] = *value;
            entries[j * n + i] = *value;
        }
        Hessian::Dense(entries)
    };
    let row = |row: &NamedRow| Row { terms: row.terms.clone(), lower: row.lower, upper: row.upper };
    ProblemParts {
        hessian,
        linear: program.linear.clone(),
        constant: program.constant,
        lower: program.lower.clone(),
        upper: program.upper.clone(),
        rows: program.rows.iter().map(row).collect(),
        shared,
        couplings,
    }
}
