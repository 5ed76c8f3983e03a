//! What a box holds: a quadratic programme with names.

/// A constraint `lower ≤ Σ coefficient·variable ≤ upper`; infinite where open, an equality where equal.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRow {
    /// Its name.
    pub name: String,
    /// Pairs of variable and coefficient.
    pub terms: Vec<(usize, f64)>,
    /// The least value allowed.
    pub lower: f64,
    /// The greatest value allowed.
    pub upper: f64,
}

/// Minimise `½ xᵀPx + qᵀx + c` subject to bounds and rows; n variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuadraticProgram {
    /// Names of the variables, n, each once.
    pub variables: Vec<String>,
    /// The upper triangle of P: (row, column, value), ordered, each entry once, none zero.
    pub quadratic: Vec<(usize, usize, f64)>,
    /// q, n.
    pub linear: Vec<f64>,
    /// c.
    pub constant: f64,
    /// Lower bounds, n; −∞ where there is none.
    pub lower: Vec<f64>,
    /// Upper bounds, n; +∞ where there is none.
    pub upper: Vec<f64>,
    /// The rows.
    pub rows: Vec<NamedRow>,
}
