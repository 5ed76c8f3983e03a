//! Shamir's secret sharing of a mask key, verifiable (Shamir 1979; Feldman 1987).
//!
//! The field is that of the integers modulo ℓ = 2²⁵² + 27742317777372353535851937790883648493, the order of the base point of
//! Curve25519: an X25519 key acts through its value modulo ℓ, so it is itself the shared secret, and the commitment to the
//! polynomial's value at 0 is the public key. A dealer that shares another key is found when it deals, and a guardian that returns another share
//! when it returns it. Arithmetic is that of `curve25519-dalek`, in constant time.

use alloc::vec::Vec;

use curve25519_dalek::{
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use zeroize::Zeroize as _;

/// Commitments `a_j B` to the coefficients of a polynomial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commitments(Vec<EdwardsPoint>);

impl Commitments {
    pub(super) fn new(polynomial: &[Scalar]) -> Self {
        Self(polynomial.iter().map(EdwardsPoint::mul_base).collect())
    }

    /// Points of the prime-order group, or nothing. Takes a scalar multiplication for each.
    pub(super) fn decode(points: &[[u8; 32]]) -> Option<Self> {
        let point = |bytes: &[u8; 32]| {
            let point = CompressedEdwardsY(*bytes).decompress()?;
            // `decompress` takes two encodings of some points; one message has one encoding.
            (point.is_torsion_free() && point.compress().0 == *bytes).then_some(point)
        };
        points.iter().map(point).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn encode(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|point| point.compress().0).collect()
    }

    /// The X25519 public key of the shared secret.
    pub(super) fn public_key(&self) -> Option<[u8; 32]> {
        self.0.first().map(|point| point.to_montgomery().to_bytes())
    }

    /// Whether `share` is the committed polynomial's value at `index`.
    pub(super) fn fit(&self, index: u8, share: &Scalar) -> bool {
        let index = Scalar::from(index);
        let value = self.0.iter().rev().fold(EdwardsPoint::default(), |sum, point| sum * index + point);
        EdwardsPoint::mul_base(share) == value
    }
}

/// The polynomial's value at `index`, which is not 0.
pub(super) fn share(polynomial: &[Scalar], index: u8) -> Scalar {
    let index = Scalar::from(index);
    polynomial.iter().rev().fold(Scalar::ZERO, |sum, coefficient| sum * index + coefficient)
}

/// The value at 0 of the polynomial of least degree through the shares, whose indices differ (Lagrange).
pub(super) fn combine(shares: &[(u8, Scalar)]) -> Scalar {
    let mut secret = Scalar::ZERO;
    for (i, (index, share)) in shares.iter().enumerate() {
        let (mut over, mut under) = (Scalar::ONE, Scalar::ONE);
        for (_, (other, _)) in shares.iter().enumerate().filter(|(j, _)| *j != i) {
            over *= Scalar::from(*other);
            under *= Scalar::from(*other) - Scalar::from(*index);
        }
        let mut term = share * over * under.invert();
        secret += term;
        term.zeroize();
    }
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polynomial() -> Vec<Scalar> {
        [7_u64, u64::MAX, 12_345, 3].map(Scalar::from).to_vec()
    }

    #[test]
    fn any_threshold_of_shares_gives_the_secret_and_fewer_do_not() {
        let polynomial = polynomial();
        let shares: Vec<(u8, Scalar)> = (1..=6).map(|index| (index, share(&polynomial, index))).collect();
        for mask in 0..64_u32 {
            let some: Vec<_> = shares.iter().filter(|(i, _)| mask & (1 << (i - 1)) != 0).copied().collect();
            assert_eq!(combine(&some) == polynomial[0], some.len() >= 4, "{mask:b}");
        }
    }

    #[test]
    fn fewer_shares_than_the_threshold_fit_every_secret() {
        // For three shares of a cubic and any secret there is a polynomial through them: they tell nothing.
        let known: Vec<(u8, Scalar)> = (1..=3).map(|index| (index, share(&polynomial(), index))).collect();
        for secret in [0_u64, 1, 99] {
            // Lagrange through (0, secret) and the three shares, evaluated at 4; then back.
            let at_4 = value_at(4, &[&[(0, Scalar::from(secret))], known.as_slice()].concat());
            assert_eq!(combine(&[known.as_slice(), &[(4, at_4)]].concat()), Scalar::from(secret));
        }
    }

    fn value_at(x: u8, points: &[(u8, Scalar)]) -> Scalar {
        let term = |(i, value): &(u8, Scalar)| {
            let others = points.iter().filter(|(j, _)| j != i).map(|(j, _)| Scalar::from(*j));
            others
                .fold(*value, |product, j| product * (Scalar::from(x) - j) * (Scalar::from(*i) - j).invert())
        };
        points.iter().map(term).sum()
    }

    #[test]
    fn a_share_that_is_not_the_polynomials_is_noticed() {
        let polynomial = polynomial();
        let commitments = Commitments::decode(&Commitments::new(&polynomial).encode()).expect("points");
        for index in 1..=6 {
            let honest = share(&polynomial, index);
            assert!(commitments.fit(index, &honest));
            assert!(!commitments.fit(index, &(honest + Scalar::ONE)));
            assert!(!commitments.fit(index + 1, &honest));
        }
    }

    #[test]
    fn commitments_outside_of_the_group_are_refused() {
        let mut order_8 = EdwardsPoint::default().compress().0;
        assert!(Commitments::decode(&[order_8]).is_some(), "the neutral element is in the group");
        order_8.copy_from_slice(&[
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ]);
        assert_eq!(Commitments::decode(&[order_8]), None);
        assert_eq!(Commitments::decode(&[[0xff; 32]]), None);
    }
}
