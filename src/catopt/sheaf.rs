//! The sheaf on the diagram: coboundary, and the central optimum over its kernel.

use std::collections::BTreeMap;

use super::{CatoptError, Composite, Content, QuadraticProgram, Restriction};
use crate::{
    oracle::{CentralProblem, Participant, Row, SharedTerm},
    units::AssetIndex,
};

/// Values of the variables of every box that holds a problem, by the box's name in the flat diagram.
pub type Assignment = BTreeMap<String, Vec<f64>>;

/// The composite problem, solved centrally.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeOptimum {
    /// The least sum of costs, to ten significant digits.
    pub value: f64,
    /// Values that reach it.
    pub assignment: Assignment,
    /// The largest violation of a constraint, relative to max(1, ‖b‖∞).
    pub violation: f64,
}

impl Composite {
    /// δx: for each junction, in the flat diagram's order, and each port there after the first, what the first port's
    /// restriction gives less what this one's gives. All zero exactly when the boxes agree on every junction.
    ///
    /// # Errors
    /// [`CatoptError`] when the diagram is faulty or a box redacted, or the assignment does not fit.
    pub fn coboundary(&self, assignment: &Assignment) -> Result<Vec<f64>, CatoptError> {
        let flat = self.flatten()?;
        let mut first: Vec<Option<f64>> = vec![None; flat.junctions.len()];
        let mut differences = Vec::new();
        for (port, junction) in flat.at_junctions()? {
            let given = assignment.get(port.name).map_or(&[][..], Vec::as_slice);
            let expected = port.program.variables.len();
            if given.len() != expected {
                let name = port.name.to_owned();
                return Err(CatoptError::Assignment { name, found: given.len(), expected });
            }
            let value: f64 = port.map.iter().map(|(variable, by)| by * given[*variable]).sum();
            match first[junction] {
                None => first[junction] = Some(value),
                Some(first) => differences.push(first - value),
            }
        }
        Ok(differences)
    }

    /// Minimises the sum of the boxes' costs over the choices whose coboundary is zero.
    ///
    /// # Errors
    /// [`CatoptError`] when the diagram is faulty, a box is redacted, or there is no optimum.
    pub fn optimum(&self) -> Result<CompositeOptimum, CatoptError> {
        let flat = self.flatten()?;
        let mut participants: Vec<Participant> = Vec::new();
        for (index, one) in flat.boxes.iter().enumerate() {
            participants.push(participant(index, flat.program(index)?));
            debug_assert_eq!(one.name, flat.boxes[index].name, "boxes and participants share their order");
        }
        let mut first: Vec<Option<(usize, Restriction)>> = vec![None; flat.junctions.len()];
        let mut coupling = 0;
        for (port, junction) in flat.at_junctions()? {
            match &first[junction] {
                None => first[junction] = Some((port.index, port.map.clone())),
                Some((other, map)) => {
                    participants[*other].shared.extend(shared(map, coupling, 1.0));
                    participants[port.index].shared.extend(shared(port.map, coupling, -1.0));
                    coupling += 1;
                }
            }
        }
        let central =
            CentralProblem::new(participants).map_err(|error| CatoptError::Optimum(error.to_string()))?;
        let optimum = central.solve().map_err(|error| CatoptError::Optimum(error.to_string()))?;
        let names = flat.boxes.into_iter().map(|one| one.name);
        Ok(CompositeOptimum {
            value: optimum.value,
            assignment: names.zip(optimum.solution).collect(),
            violation: optimum.violation,
        })
    }

    /// The problem in box `index` of a flat diagram.
    fn program(&self, index: usize) -> Result<&QuadraticProgram, CatoptError> {
        match &self.boxes[index].content {
            Content::Program(program) => Ok(program),
            _ => Err(CatoptError::Redacted { name: self.boxes[index].name.clone() }),
        }
    }

    /// The ports of a flat diagram with their junctions, junction by junction.
    fn at_junctions(&self) -> Result<Vec<(Attached<'_>, usize)>, CatoptError> {
        let mut attached = Vec::new();
        for port in &self.ports {
            let name = self.boxes[port.of].name.as_str();
            let program = self.program(port.of)?;
            let map = port.restriction.as_ref();
            let map = map.ok_or_else(|| CatoptError::Unrestricted { name: name.to_owned() })?;
            attached.push((Attached { index: port.of, name, program, map }, port.junction));
        }
        attached.sort_by_key(|(port, junction)| (*junction, port.index));
        Ok(attached)
    }
}

/// A port, with what its box holds.
struct Attached<'d> {
    index: usize,
    name: &'d str,
    program: &'d QuadraticProgram,
    map: &'d Restriction,
}

fn shared(map: &Restriction, coupling: usize, sign: f64) -> impl Iterator<Item = SharedTerm> {
    map.iter().map(move |(variable, by)| SharedTerm { coupling, variable: *variable, coefficient: sign * by })
}

fn participant(index: usize, program: &QuadraticProgram) -> Participant {
    let row = |row: &super::NamedRow| Row { terms: row.terms.clone(), lower: row.lower, upper: row.upper };
    Participant {
        asset: AssetIndex(u32::try_from(index).unwrap_or(u32::MAX)),
        quadratic: program.quadratic.clone(),
        linear: program.linear.clone(),
        constant: program.constant,
        lower: program.lower.clone(),
        upper: program.upper.clone(),
        rows: program.rows.iter().map(row).collect(),
        shared: Vec::new(),
    }
}
