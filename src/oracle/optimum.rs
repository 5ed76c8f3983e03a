//! The central optimum of the fleet's plan, by Clarabel, and how far the plans that assets hold are from it.
//!
//! The problem is the exchange form of Boyd et al. 2011 §7.3.2: minimise Σᵢ ½ xᵢᵀPᵢxᵢ + qᵢᵀxᵢ + cᵢ subject to each
//! participant's own bounds and rows, and to lower ≤ Σᵢ sᵢ ≤ upper, where sᵢ are its shared variables; both bounds are zero
//! in the exchange form.

use crate::units::AssetIndex;
use clarabel::{
    algebra::CscMatrix,
    solver::{
        DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus, SupportedConeT, ZeroConeT,
    },
};

/// One row of a participant's own constraints: `lower ≤ a·x ≤ upper`; infinite where open.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// a: pairs of variable and coefficient.
    pub terms: Vec<(usize, f64)>,
    /// Smallest value.
    pub lower: f64,
    /// Largest value.
    pub upper: f64,
}

/// A variable's part in a coupling row of the fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedTerm {
    /// The coupling row: (commodity, slot), numbered alike at every participant.
    pub coupling: usize,
    /// The variable.
    pub variable: usize,
    /// What it is multiplied by.
    pub coefficient: f64,
}

/// One asset's part of the problem, n variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// The asset.
    pub asset: AssetIndex,
    /// P, symmetric and positive semidefinite: entries (row, column, value) of its upper triangle.
    pub quadratic: Vec<(usize, usize, f64)>,
    /// q, n.
    pub linear: Vec<f64>,
    /// c.
    pub constant: f64,
    /// Lower bounds, n; −∞ where there is none.
    pub lower: Vec<f64>,
    /// Upper bounds, n; +∞ where there is none.
    pub upper: Vec<f64>,
    /// Constraints of its own.
    pub rows: Vec<Row>,
    /// Its shared variables.
    pub shared: Vec<SharedTerm>,
}

/// The whole fleet's problem.
#[derive(Clone, Debug, PartialEq)]
pub struct CentralProblem {
    participants: Vec<Participant>,
    /// Bounds of each coupling row's sum.
    couplings: Vec<(f64, f64)>,
}

/// Why a set of participants is not a problem.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProblemError {
    /// A vector has the wrong length.
    #[error("participant {asset}: {what} has {found} entries, {expected} are needed")]
    Shape {
        /// The asset's index.
        asset: u32,
        /// The field.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// An entry of P lies below its diagonal.
    #[error("participant {asset}: P has an entry at ({row}, {column}), below the diagonal")]
    LowerTriangle {
        /// The asset's index.
        asset: u32,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// P, a row or a shared term names a variable that does not exist.
    #[error("participant {asset} names variable {variable} of {variables}")]
    Variable {
        /// The asset's index.
        asset: u32,
        /// The variable named.
        variable: usize,
        /// How many there are.
        variables: usize,
    },
    /// Two participants are one asset.
    #[error("asset {asset} takes part twice")]
    Twice {
        /// The asset's index.
        asset: u32,
    },
}

/// Why there is no optimum to compare with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptimumError {
    /// The solver stopped without a solution.
    #[error("the solver stopped with {status} after {iterations} iterations")]
    NotSolved {
        /// Clarabel's status.
        status: String,
        /// Iterations done.
        iterations: u32,
    },
    /// The solver refused the problem.
    #[error("the solver refused the problem: {message}")]
    Refused {
        /// Clarabel's words.
        message: String,
    },
}

/// The central optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// f*, rounded to [`Optimum::DIGITS`] significant digits.
    pub value: f64,
    /// One optimal point, participant by participant. Not unique unless P is positive definite, and not rounded.
    pub solution: Vec<Vec<f64>>,
    /// Largest violation of a constraint at `solution`, over max(1, ‖b‖∞).
    pub violation: f64,
    /// Iterations done.
    pub iterations: u32,
    /// What a plan whose requests are whole costs more, over max(1, |f*|); none without requests.
    pub integrality_gap: Option<f64>,
}

impl Optimum {
    /// Significant digits of f* that are kept. The solver's tolerance is 1e-11 or better, and its last digits may differ
    /// between machines and build profiles; gaps below 1e-9 are therefore not resolved.
    pub const DIGITS: usize = 10;
}

impl Participant {
    /// How many variables it has.
    #[must_use]
    pub const fn variables(&self) -> usize {
        self.linear.len()
    }

    /// ½ xᵀPx + qᵀx + c. O(entries).
    #[must_use]
    pub fn cost(&self, x: &[f64]) -> f64 {
        let quadratic: f64 = self
            .quadratic
            .iter()
            .map(|(row, column, value)| if row == column { 0.5 } else { 1.0 } * value * x[*row] * x[*column])
            .sum();
        let linear: f64 = self.linear.iter().zip(x).map(|(q, x)| q * x).sum();
        quadratic + linear + self.constant
    }

    /// Largest violation of its own bounds and rows.
    #[must_use]
    pub fn violation(&self, x: &[f64]) -> f64 {
        let bounds =
            x.iter().zip(&self.lower).zip(&self.upper).map(|((x, lower), upper)| outside(*x, *lower, *upper));
        let rows = self.rows.iter().map(|row| outside(dot(&row.terms, x), row.lower, row.upper));
        bounds.chain(rows).fold(0.0, f64::max)
    }

    fn check(&self) -> Result<(), ProblemError> {
        let (n, asset) = (self.variables(), self.asset.0);
        for (what, found) in [("the lower bound", self.lower.len()), ("the upper bound", self.upper.len())] {
            if found != n {
                return Err(ProblemError::Shape { asset, what, found, expected: n });
            }
        }
        if let Some((row, column, _)) = self.quadratic.iter().find(|entry| entry.0 > entry.1) {
            return Err(ProblemError::LowerTriangle { asset, row: *row, column: *column });
        }
        let rows = self.rows.iter().flat_map(|row| &row.terms).map(|term| term.0);
        let shared = self.shared.iter().map(|term| term.variable);
        let mut named = self.quadratic.iter().map(|entry| entry.1).chain(rows).chain(shared);
        match named.find(|variable| *variable >= n) {
            Some(variable) => Err(ProblemError::Variable { asset, variable, variables: n }),
            None => Ok(()),
        }
    }
}

impl CentralProblem {
    /// The problem of `participants`, which are put in order of their asset.
    ///
    /// # Errors
    /// [`ProblemError`] when shapes do not fit together.
    pub fn new(mut participants: Vec<Participant>) -> Result<Self, ProblemError> {
        participants.sort_by_key(|participant| participant.asset);
        for participant in &participants {
            participant.check()?;
        }
        if let Some(pair) = participants.windows(2).find(|pair| pair[0].asset == pair[1].asset) {
            return Err(ProblemError::Twice { asset: pair[0].asset.0 });
        }
        let rows = participants.iter().flat_map(|p| &p.shared).map(|term| term.coupling + 1);
        let couplings = vec![(0.0, 0.0); rows.max().unwrap_or(0)];
        Ok(Self { participants, couplings })
    }

    /// The problem with these bounds of the coupling rows' sums, in their order, instead of zero; infinite where open.
    #[must_use]
    pub fn bounded(mut self, bounds: impl IntoIterator<Item = (f64, f64)>) -> Self {
        for (coupling, bound) in self.couplings.iter_mut().zip(bounds) {
            *coupling = bound;
        }
        self
    }

    /// The participants, by asset.
    #[must_use]
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// max(1, ‖b‖∞) over all finite right-hand sides: bounds, rows and couplings.
    #[must_use]
    pub fn scale(&self) -> f64 {
        let sides = self.participants.iter().flat_map(|p| {
            let rows = p.rows.iter().flat_map(|row| [row.lower, row.upper]);
            p.lower.iter().chain(&p.upper).copied().chain(rows)
        });
        let sides = sides.chain(self.couplings.iter().flat_map(|(lower, upper)| [*lower, *upper]));
        sides.filter(|side| side.is_finite()).fold(1.0, |scale, side| scale.max(side.abs()))
    }

    /// Solves it centrally: interior point, one thread, QDLDL. Iteration limit 200.
    ///
    /// # Errors
    /// [`OptimumError`] when there is no optimum or the solver finds none.
    pub fn solve(&self) -> Result<Optimum, OptimumError> {
        let program = Program::of(self);
        let mut tolerance = 1e-12;
        loop {
            match program.solve(tolerance) {
                Ok((x, iterations)) => return Ok(self.optimum(&x, iterations)),
                // The tightest tolerance is out of reach for badly scaled problems.
                Err(_) if tolerance < 1e-9 => tolerance *= 100.0,
                Err(error) => return Err(error),
            }
        }
    }

    fn optimum(&self, x: &[f64], iterations: u32) -> Optimum {
        let mut held = HeldPlan::new(self);
        let mut rest = x;
        let mut solution = Vec::new();
        for participant in &self.participants {
            let (mine, others) = rest.split_at(participant.variables());
            held.hold(self, participant.asset, mine);
            solution.push(mine.to_vec());
            rest = others;
        }
        let value = round_significant(held.cost(), Optimum::DIGITS);
        Optimum {
            value,
            solution,
            violation: held.violation(self) / self.scale(),
            iterations,
            integrality_gap: None,
        }
    }
}

/// `value` with `digits` significant decimal digits.
fn round_significant(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits - 1).parse().expect("a formatted float parses")
}

/// The problem in Clarabel's form: minimise ½xᵀPx + qᵀx subject to Ax + s = b, equalities first.
struct Program {
    p: CscMatrix<f64>,
    q: Vec<f64>,
    a: CscMatrix<f64>,
    b: Vec<f64>,
    cones: [SupportedConeT<f64>; 2],
}

/// Rows of a sparse matrix in the making.
#[derive(Default)]
struct Rows {
    entries: Vec<(usize, usize, f64)>,
    b: Vec<f64>,
}

impl Rows {
    fn push(&mut self, terms: impl Iterator<Item = (usize, f64)>, b: f64) {
        let row = self.b.len();
        self.entries
            .extend(terms.filter(|(_, value)| *value != 0.0).map(|(column, value)| (row, column, value)));
        self.b.push(b);
    }

    /// `lower ≤ terms ≤ upper` as equality or inequalities.
    fn between(equal: &mut Self, below: &mut Self, terms: &[(usize, f64)], lower: f64, upper: f64) {
        if lower == upper {
            equal.push(terms.iter().copied(), upper);
            return;
        }
        if upper.is_finite() {
            below.push(terms.iter().copied(), upper);
        }
        if lower.is_finite() {
            below.push(terms.iter().map(|(column, value)| (*column, -value)), -lower);
        }
    }
}

impl Program {
    fn of(problem: &CentralProblem) -> Self {
        let (mut equal, mut below) = (Rows::default(), Rows::default());
        let (mut p, mut q) = (Vec::new(), Vec::new());
        let mut couplings = vec![Vec::new(); problem.couplings.len()];
        for participant in &problem.participants {
            let offset = q.len();
            // Clarabel reads the upper triangle.
            p.extend(participant.quadratic.iter().map(|(i, j, value)| (offset + i, offset + j, *value)));
            for (i, (lower, upper)) in participant.lower.iter().zip(&participant.upper).enumerate() {
                Rows::between(&mut equal, &mut below, &[(offset + i, 1.0)], *lower, *upper);
            }
            for row in &participant.rows {
                let terms: Vec<_> = row.terms.iter().map(|(j, value)| (offset + j, *value)).collect();
                Rows::between(&mut equal, &mut below, &terms, row.lower, row.upper);
            }
            for term in &participant.shared {
                couplings[term.coupling].push((offset + term.variable, term.coefficient));
            }
            q.extend_from_slice(&participant.linear);
        }
        for (terms, (lower, upper)) in couplings.iter().zip(&problem.couplings) {
            Rows::between(&mut equal, &mut below, terms, *lower, *upper);
        }
        let (equalities, inequalities) = (equal.b.len(), below.b.len());
        let shifted = below.entries.into_iter().map(|(row, column, value)| (row + equalities, column, value));
        let entries: Vec<_> = equal.entries.into_iter().chain(shifted).collect();
        let b = [equal.b, below.b].concat();
        Self {
            p: sparse(q.len(), q.len(), p),
            a: sparse(b.len(), q.len(), entries),
            q,
            b,
            cones: [ZeroConeT(equalities), NonnegativeConeT(inequalities)],
        }
    }

    fn solve(&self, tolerance: f64) -> Result<(Vec<f64>, u32), OptimumError> {
        let settings = DefaultSettings {
            verbose: false,
            max_iter: 200,
            max_threads: 1,
            direct_solve_method: "qdldl".into(),
            tol_gap_abs: tolerance,
            tol_gap_rel: tolerance,
            tol_feas: tolerance,
            ..DefaultSettings::default()
        };
        let refused = |error: &dyn std::fmt::Display| OptimumError::Refused { message: error.to_string() };
        let mut solver = DefaultSolver::new(&self.p, &self.q, &self.a, &self.b, &self.cones, settings)
            .map_err(|error| refused(&error))?;
        solver.solve();
        let (status, iterations) = (solver.solution.status, solver.solution.iterations);
        match status {
            SolverStatus::Solved => Ok((solver.solution.x, iterations)),
            _ => Err(OptimumError::NotSolved { status: status.to_string(), iterations }),
        }
    }
}

fn sparse(rows: usize, columns: usize, entries: Vec<(usize, usize, f64)>) -> CscMatrix<f64> {
    let mut triplets = (Vec::new(), Vec::new(), Vec::new());
    for (row, column, value) in entries {
        triplets.0.push(row);
        triplets.1.push(column);
        triplets.2.push(value);
    }
    CscMatrix::new_from_triplets(rows, columns, triplets.0, triplets.1, triplets.2)
}

/// The distance from the optimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// |f − f*| / max(1, |f*|).
    pub objective: f64,
    /// Largest constraint violation / max(1, ‖b‖∞).
    pub violation: f64,
}

impl Gap {
    /// The plan-optimality gap: the larger of the two.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.objective.max(self.violation)
    }
}

/// The values that assets hold at a moment.
#[derive(Clone, Debug)]
pub struct HeldPlan {
    /// By participant: cost, own violation, share in every coupling.
    parts: Vec<Option<(f64, f64, Vec<f64>)>>,
    scale: f64,
}

impl HeldPlan {
    /// Nobody holds anything yet.
    #[must_use]
    pub fn new(problem: &CentralProblem) -> Self {
        Self { parts: vec![None; problem.participants.len()], scale: problem.scale() }
    }

    /// `asset` now holds `solution`. False, and nothing changes, when it takes no part or the length is not its problem's.
    /// O(entries of the problem).
    pub fn hold(&mut self, problem: &CentralProblem, asset: AssetIndex, solution: &[f64]) -> bool {
        let Ok(place) = problem.participants.binary_search_by_key(&asset, |p| p.asset) else { return false };
        let participant = &problem.participants[place];
        if solution.len() != participant.variables() {
            return false;
        }
        let mut shares = vec![0.0; problem.couplings.len()];
        for term in &participant.shared {
            shares[term.coupling] += term.coefficient * solution[term.variable];
        }
        self.parts[place] = Some((participant.cost(solution), participant.violation(solution), shares));
        true
    }

    /// The gap to `optimum`; none until every participant holds something. O(participants × couplings).
    #[must_use]
    pub fn gap(&self, problem: &CentralProblem, optimum: &Optimum) -> Option<Gap> {
        if self.parts.iter().any(Option::is_none) {
            return None;
        }
        let objective = (self.cost() - optimum.value).abs() / optimum.value.abs().max(1.0);
        Some(Gap { objective, violation: self.violation(problem) / self.scale })
    }

    /// The cost of all that is held.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.parts.iter().flatten().map(|part| part.0).sum()
    }

    fn violation(&self, problem: &CentralProblem) -> f64 {
        let own = self.parts.iter().flatten().map(|part| part.1).fold(0.0, f64::max);
        (problem.couplings.iter().enumerate())
            .map(|(row, (lower, upper))| {
                let sum = self.parts.iter().flatten().map(|part| part.2[row]).sum::<f64>();
                outside(sum, *lower, *upper)
            })
            .fold(own, f64::max)
    }
}

fn dot(terms: &[(usize, f64)], x: &[f64]) -> f64 {
    terms.iter().map(|(variable, value)| value * x[*variable]).sum()
}

fn outside(value: f64, lower: f64, upper: f64) -> f64 {
    (lower - value).max(value - upper).max(0.0)
}
