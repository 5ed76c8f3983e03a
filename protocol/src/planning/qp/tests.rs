use super::*;
use crate::planning::generate::FleetSpec;

/// The planted optimum of every asset is that of its problem with the prices added to its cost.
#[test]
fn planted_optima_are_found_cold_and_warm() {
    for condition in [1e2, 1e4] {
        for dense in [false, true] {
            for seed in 0..5 {
                let fleet =
                    FleetSpec { dense, ..FleetSpec::published(seed, condition) }.draw().expect("valid");
                for ((_, local), planted) in fleet.problem.locals().iter().zip(&fleet.values) {
                    let parts = local.parts();
                    let mut qp = Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows)
                        .expect("convex");
                    let mut linear = parts.linear.clone();
                    for term in &parts.shared {
                        linear[term.variable] += term.coefficient * fleet.prices[term.coupling];
                    }
                    let cold = qp.solve(&linear, QpSettings::default()).expect("sizes fit");
                    let other = qp.resume(&parts.linear, QpSettings::default()).expect("sizes fit");
                    let warm = qp.resume(&linear, QpSettings::default()).expect("sizes fit");
                    let again = qp.resume(&linear, QpSettings::default()).expect("sizes fit");
                    for solution in [&cold, &warm, &again] {
                        assert_eq!(solution.stop, Stop::Solved, "{solution:?}");
                        assert!(solution.residual < 1e-11, "{solution:?}");
                        for (found, expected) in solution.x.iter().zip(planted) {
                            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
                        }
                    }
                    assert_eq!(other.stop, Stop::Solved);
                    assert_eq!(again.iterations, 0, "nothing changed");
                }
            }
        }
    }
}

#[test]
fn the_central_solution_finds_the_planted_values_and_prices() {
    for condition in [1e2, 1e4] {
        let spec = FleetSpec { assets: 8, slots: 12, ..FleetSpec::published(3, condition) };
        let fleet = spec.draw().expect("valid");
        let central = fleet.problem.solve_centrally(QpSettings::default()).expect("prepared");
        assert_eq!(central.stop, Stop::Solved);
        assert!((central.cost - fleet.best).abs() < 1e-9 * fleet.best.abs());
        for (found, planted) in central.prices.iter().zip(&fleet.prices) {
            assert!((found - planted).abs() < 1e-7, "{found} {planted}");
        }
        for (found, planted) in central.values.concat().iter().zip(fleet.values.concat()) {
            assert!((found - planted).abs() < 1e-8, "{found} {planted}");
        }
    }
}
