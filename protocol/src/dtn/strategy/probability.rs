//! [`Probability`]: a number from 0 to just below 1 in fixed point.

use core::fmt;

/// A probability p in [0, 1), held as p · 2^32 rounded down: the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(pub u32);

impl Probability {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The greatest one, 2^-32 below 1.
    pub const MAX: Self = Self(u32::MAX);

    /// `millionths` / 1,000,000, at most [`Probability::MAX`].
    #[must_use]
    pub const fn from_millionths(millionths: u32) -> Self {
        let scaled = ((millionths as u64) << 32) / 1_000_000;
        Self(if scaled > u32::MAX as u64 { u32::MAX } else { scaled as u32 })
    }

    /// The product, rounded down.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self(((self.0 as u64 * other.0 as u64) >> 32) as u32)
    }

    /// The sum, at most [`Probability::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least 0.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This to the power of `exponent`, by repeated squaring: O(log exponent). To the power of 0: [`Probability::MAX`].
    #[must_use]
    pub const fn power(self, mut exponent: u64) -> Self {
        let (mut result, mut square) = (Self::MAX, self);
        if exponent == 0 {
            return result;
        }
        let mut first = true;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = if first { square } else { result.times(square) };
                first = false;
            }
            square = square.times(square);
            exponent >>= 1;
        }
        result
    }

    /// Its share `numerator` / `denominator`, which is at most 1.
    #[must_use]
    pub fn share(self, numerator: u64, denominator: u64) -> Self {
        if numerator >= denominator {
            return self;
        }
        Self((u128::from(self.0) * u128::from(numerator) / u128::from(denominator)) as u32)
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", f64::from(self.0) / 4_294_967_296.0)
    }
}
