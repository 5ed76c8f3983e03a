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

#[test]
fn thousands_of_warm_starts_stay_as_exact_as_the_first() {
    let fleet = FleetSpec { dense: true, ..FleetSpec::published(1, 1e4) }.draw().expect("valid");
    let (_, local) = &fleet.problem.locals()[4];
    let parts = local.parts();
    let mut qp = Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("convex");
    let mut state = 7_u64;
    for round in 0..3000 {
        let linear: Vec<f64> = (parts.linear.iter())
            .map(|q| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                q + 20.0 * ((state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5)
            })
            .collect();
        let warm = qp.resume(&linear, QpSettings::default()).expect("sizes fit");
        assert_eq!(warm.stop, Stop::Solved, "round {round}");
        if round % 100 == 99 {
            let cold = qp.solve(&linear, QpSettings::default()).expect("sizes fit");
            for (warm, cold) in warm.x.iter().zip(&cold.x) {
                assert!((warm - cold).abs() < 1e-9, "round {round}: {warm} {cold}");
            }
        }
    }
}
