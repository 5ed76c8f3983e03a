//! The constraints of a program in one flat store: [`Rows`].

use alloc::vec::Vec;

/// Two-sided sparse rows `lower ≤ terms · x ≤ upper`.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    ends: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
}

impl Rows {
    pub(super) fn push(&mut self, terms: &[(usize, f64)], lower: f64, upper: f64) {
        self.columns.extend(terms.iter().map(|term| term.0));
        self.values.extend(terms.iter().map(|term| term.1));
        self.ends.push(self.columns.len());
        self.lower.push(lower);
        self.upper.push(upper);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// An equality, which is active from the start and for ever.
    pub(super) fn is_equality(&self, index: usize) -> bool {
        self.lower[index] == self.upper[index]
    }

    fn row(&self, index: usize) -> (&[usize], &[f64]) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        (&self.columns[start..self.ends[index]], &self.values[start..self.ends[index]])
    }

    pub(super) fn product(&self, index: usize, x: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns.iter().zip(values).map(|(&column, value)| value * x[column]).sum()
    }

    /// The size of the terms that [`Self::product`] sums, which is the scale of its rounding.
    pub(super) fn size(&self, index: usize, x: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns.iter().zip(values).map(|(&column, value)| (value * x[column]).abs()).sum()
    }

    /// `target += scale · rowᵀ`.
    pub(super) fn add_to(&self, index: usize, scale: f64, target: &mut [f64]) {
        let (columns, values) = self.row(index);
        for (&column, value) in columns.iter().zip(values) {
            target[column] += scale * value;
        }
    }

    /// The greatest finite side, at least 1.
    pub(super) fn magnitude(&self) -> f64 {
        let sides = self.lower.iter().chain(&self.upper).filter(|side| side.is_finite());
        sides.fold(1.0, |most, side| most.max(side.abs()))
    }
}
