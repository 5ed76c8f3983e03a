//! Dense Cholesky factorisation on row-major lower triangles.

/// Replaces the lower triangle of the `n` × `n` row-major `matrix` by its Cholesky factor; O(n³).
///
/// Answers the index of the first pivot that is not above `floor` (or not a number), if there is one.
pub(super) fn factor(matrix: &mut [f64], n: usize, floor: f64) -> Result<(), usize> {
    for i in 0..n {
        let (above, rest) = matrix.split_at_mut(i * n);
        let row = &mut rest[..n];
        for j in 0..i {
            let other = &above[j * n..j * n + j + 1];
            let sum = row[j] - dot(&row[..j], &other[..j]);
            row[j] = sum / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot > floor && pivot.is_finite() {
            row[i] = libm::sqrt(pivot);
        } else {
            return Err(i);
        }
    }
    Ok(())
}

/// Solves `L Lᵀ x = b` in place; O(n²).
pub(super) fn solve(factor: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        let row = &factor[i * n..i * n + i + 1];
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
    for i in (0..n).rev() {
        let row = &factor[i * n..i * n + i + 1];
        let value = b[i] / row[i];
        b[i] = value;
        for (target, coefficient) in b[..i].iter_mut().zip(&row[..i]) {
            *target -= value * coefficient;
        }
    }
}

/// The inner product, summed in four interleaved lanes: a fixed order that a compiler can keep in registers.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let tail: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a4.zip(b4) {
        for lane in 0..4 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factored_system_gives_back_its_solution() {
        let mut matrix = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let mut b = [4.0 + 4.0 + 3.0, 2.0 + 10.0 + 9.0, 1.0 + 6.0 + 18.0];
        factor(&mut matrix, 3, 0.0).expect("positive definite");
        solve(&matrix, 3, &mut b);
        for (found, expected) in b.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{b:?}");
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        let mut matrix = [1.0, 0.0, 2.0, 1.0];
        assert_eq!(factor(&mut matrix, 2, 0.0), Err(1));
    }
}
