//! What the entries of a contribution mean: [`Layout`], and the fixed point that makes them addable mod 2⁶⁴.
//!
//! A contribution is a vector of `i64`: the share, then squares, the value, the curvature. Every entry of every member is within
//! ±2⁵², so that sums over [`MAX_MEMBERS`](crate::planning::message::MAX_MEMBERS) members stay below 2⁶³ and a sum mod 2⁶⁴
//! is *the* sum. Whether the vectors arrive in the clear or masked is no concern of the methods.

use alloc::vec::Vec;

use crate::planning::message::{FRACTION_BITS, MAX_SHARE, MessageError};

/// Bits after the binary point of a value (a cost): steps of 2⁻²⁰ up to 2³².
pub const VALUE_BITS: u32 = 20;
/// The most entries that one contribution may have.
pub const MAX_ENTRIES: usize = 8192;
/// The most couplings for which the whole curvature matrix may be asked for: 4,656 entries of its triangle.
pub const MAX_MATRIX: usize = 96;

/// What an asset tells of the slope of its response (`−∂ Sᵢxᵢ/∂λ`, positive semidefinite).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curvature {
    /// Nothing.
    None,
    /// The mean of the diagonal, in one entry.
    Scalar,
    /// The diagonal, one entry per coupling.
    #[default]
    Diagonal,
    /// The lower triangle row by row, `m (m + 1) / 2` entries.
    Matrix,
}

impl Curvature {
    /// How many entries it takes for `couplings`.
    #[must_use]
    pub fn entries(self, couplings: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Scalar => 1,
            Self::Diagonal => couplings,
            Self::Matrix => couplings * (couplings + 1) / 2,
        }
    }
}

/// The blocks of a contribution, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Entries of one share (`m`).
    pub couplings: usize,
    /// For how many prices the share, the value and the curvature are given; at least 1.
    pub trials: usize,
    /// Squares and inner products, in units of the request's `unit`².
    pub squares: usize,
    /// Whether the value follows.
    pub value: bool,
    /// The curvature that follows.
    pub curvature: Curvature,
}

/// The blocks in real numbers: of one asset before it is quantised, or of the sum over assets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    /// The share, or what the method asks in its place; one after the other for several prices, as are the others.
    pub share: Vec<f64>,
    /// Squares and inner products.
    pub squares: Vec<f64>,
    /// The value; none when the layout has none.
    pub values: Vec<f64>,
    /// The curvature's entries.
    pub curvature: Vec<f64>,
}

impl Layout {
    /// How many entries a contribution has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.trials * (self.couplings + usize::from(self.value) + self.curvature.entries(self.couplings))
            + self.squares
    }

    /// Entries of the four blocks.
    fn lengths(&self) -> [usize; 4] {
        let values = if self.value { self.trials } else { 0 };
        let curvature = self.trials * self.curvature.entries(self.couplings);
        [self.trials * self.couplings, self.squares, values, curvature]
    }

    /// Quantises the blocks to the nearest steps. Squares saturate at their limit: above it they only say "large".
    ///
    /// # Errors
    /// [`MessageError::Magnitude`] when a share, value or curvature is not a number or beyond its limit, and
    /// [`MessageError::Couplings`] when the blocks have not the layout's lengths.
    pub fn quantise(&self, blocks: &Blocks) -> Result<Vec<i64>, MessageError> {
        let lengths = [blocks.share.len(), blocks.squares.len(), blocks.values.len(), blocks.curvature.len()];
        if lengths != self.lengths() || self.entries() > MAX_ENTRIES {
            let found = lengths.iter().sum::<usize>() as u64;
            return Err(MessageError::Couplings { found, limit: self.entries().min(MAX_ENTRIES) });
        }
        let mut entries = Vec::with_capacity(self.entries());
        for value in &blocks.share {
            entries.push(step(*value, FRACTION_BITS, entries.len())?);
        }
        for value in &blocks.squares {
            let held = if value.is_nan() { MAX_SHARE } else { value.clamp(-MAX_SHARE, MAX_SHARE) };
            entries.push(step(held, FRACTION_BITS, entries.len())?);
        }
        for value in &blocks.values {
            entries.push(step(*value, VALUE_BITS, entries.len())?);
        }
        for value in &blocks.curvature {
            entries.push(step(*value, FRACTION_BITS, entries.len())?);
        }
        Ok(entries)
    }

    /// The real numbers of a sum of contributions. `None` when it has another number of entries.
    #[must_use]
    pub fn blocks(&self, sum: &[i64]) -> Option<Blocks> {
        if sum.len() != self.entries() {
            return None;
        }
        let real = |entries: &[i64], bits| entries.iter().map(|&entry| entry as f64 / scale(bits)).collect();
        let [shares, squares, values, _] = self.lengths();
        let (share, rest) = sum.split_at(shares);
        let (squares, rest) = rest.split_at(squares);
        let (values, curvature) = rest.split_at(values);
        Some(Blocks {
            share: real(share, FRACTION_BITS),
            squares: real(squares, FRACTION_BITS),
            values: real(values, VALUE_BITS),
            curvature: real(curvature, FRACTION_BITS),
        })
    }
}

const fn scale(bits: u32) -> f64 {
    (1_u64 << bits) as f64
}

/// `value` in steps of 2⁻ᵇⁱᵗˢ, within ±2⁵² steps.
fn step(value: f64, bits: u32, index: usize) -> Result<i64, MessageError> {
    let limit = MAX_SHARE * scale(FRACTION_BITS - bits);
    if value.abs() <= limit {
        Ok(libm::rint(value * scale(bits)) as i64)
    } else {
        Err(MessageError::Magnitude { index, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const LAYOUT: Layout =
        Layout { couplings: 2, trials: 1, squares: 1, value: true, curvature: Curvature::Matrix };

    fn blocks() -> Blocks {
        Blocks {
            share: vec![1.5, -2.0],
            squares: vec![0.25],
            values: vec![1e9],
            curvature: vec![1.0, 0.5, 2.0],
        }
    }

    #[test]
    fn blocks_come_back_from_their_entries() {
        let entries = LAYOUT.quantise(&blocks()).expect("in range");
        assert_eq!(entries.len(), LAYOUT.entries());
        assert_eq!(LAYOUT.blocks(&entries), Some(blocks()));
        assert_eq!(LAYOUT.blocks(&entries[1..]), None);
    }

    #[test]
    fn squares_saturate_and_shares_are_refused() {
        let large = Blocks { squares: vec![f64::INFINITY], ..blocks() };
        let entries = LAYOUT.quantise(&large).expect("saturated");
        assert_eq!(LAYOUT.blocks(&entries).expect("fits").squares, [MAX_SHARE]);
        for share in [f64::NAN, MAX_SHARE * 1.001] {
            let wrong = Blocks { share: vec![0.0, share], ..blocks() };
            assert_eq!(LAYOUT.quantise(&wrong), Err(MessageError::Magnitude { index: 1, limit: MAX_SHARE }));
        }
        assert!(LAYOUT.quantise(&Blocks { share: vec![0.0], ..blocks() }).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_sum_mod_2_64_is_the_sum(members in prop::collection::vec((-4e6..4e6, -4e6..4e6, -4e9..4e9), 1..64)) {
            let layout = Layout { couplings: 2, trials: 1, squares: 0, value: true, curvature: Curvature::None };
            let mut sum = [u64::MAX; 3];
            sum.fill(0);
            let mut expected = (0.0, 0.0, 0.0);
            for &(a, b, value) in &members {
                let blocks = Blocks { share: vec![a, b], values: vec![value], ..Blocks::default() };
                for (sum, entry) in sum.iter_mut().zip(layout.quantise(&blocks).expect("in range")) {
                    *sum = sum.wrapping_add(entry as u64);
                }
                expected = (expected.0 + a, expected.1 + b, expected.2 + value);
            }
            let found = layout.blocks(&sum.iter().map(|&sum| sum as i64).collect::<Vec<_>>()).expect("fits");
            let slack = 1e-6 * members.len() as f64;
            prop_assert!((found.share[0] - expected.0).abs() < slack && (found.share[1] - expected.1).abs() < slack);
            prop_assert!((found.values[0] - expected.2).abs() < slack + 1e-6 * expected.2.abs());
        }
    }
}
