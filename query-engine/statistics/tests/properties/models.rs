//! Regressions.

use kekkai_statistics::{
    Coefficient, FitError, Follow, Predictors, Variable, cox, linear_regression, log_rank,
    logistic_regression, shares,
};
use proptest::prelude::*;

use super::{close, predictors};

/// Numbers that differ from run to run only by their seed: a linear congruential generator.
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

struct Sample {
    a: Vec<f64>,
    b: Vec<f64>,
    time: Vec<f64>,
    event: Vec<bool>,
    outcome: Vec<bool>,
    value: Vec<f64>,
}

/// Two predictors that matter a little.
fn sample(seed: u64, n: usize) -> Sample {
    let mut noise = noise(seed);
    let mut next = || noise.next().unwrap();
    let a: Vec<f64> = (0..n).map(|_| next() * 4.0).collect();
    let b: Vec<f64> = (0..n).map(|_| f64::from(next() < 0.4)).collect();
    let risk: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 0.3 * a - 0.5 * b).collect();
    Sample {
        time: risk
            .iter()
            .map(|r| (-next().ln() / r.exp() * 20.0).ceil())
            .collect(),
        event: (0..n).map(|_| next() < 0.7).collect(),
        outcome: risk
            .iter()
            .map(|r| next() < 1.0 / (1.0 + (0.5 - r).exp()))
            .collect(),
        value: risk.iter().map(|r| 3.0 + r + next()).collect(),
        a,
        b,
    }
}

/// Estimates for `a` in another unit, `b` as it is.
fn rescaled(sample: &Sample, scale: f64, shift: f64) -> Predictors {
    let a: Vec<f64> = sample.a.iter().map(|a| a * scale + shift).collect();
    predictors(&[("b", sample.b.clone()), ("a", a)])
}

fn of<'a>(coefficients: &'a [Coefficient], name: &str) -> &'a Coefficient {
    coefficients.iter().find(|c| c.name == name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn unit_origin_and_order_of_predictors_do_not_matter(
        seed in any::<u64>(), scale in 1e-6_f64..1e6, shift in -1e4_f64..1e4
    ) {
        let sample = sample(seed, 120);
        let plain = predictors(&[("a", sample.a.clone()), ("b", sample.b.clone())]);
        let moved = rescaled(&sample, scale, shift * scale);
        let same = |plain: &[Coefficient], moved: &[Coefficient]| {
            close(of(plain, "a").estimate, of(moved, "a").estimate * scale, 1e-6);
            close(of(plain, "a").standard_error, of(moved, "a").standard_error * scale, 1e-6);
            close(of(plain, "b").estimate, of(moved, "b").estimate, 1e-6);
            close(of(plain, "b").standard_error, of(moved, "b").standard_error, 1e-6);
        };
        let fit = |p: &Predictors| linear_regression(&sample.value, p).unwrap();
        same(&fit(&plain).coefficients, &fit(&moved).coefficients);
        let fit = |p: &Predictors| logistic_regression(&sample.outcome, p).unwrap();
        same(&fit(&plain).coefficients, &fit(&moved).coefficients);
        let follow = Follow::new(sample.time.clone(), sample.event.clone()).unwrap();
        let fit = |p: &Predictors| cox(&follow, p).unwrap();
        same(&fit(&plain).coefficients, &fit(&moved).coefficients);
    }

    #[test]
    fn residuals_of_a_linear_model_are_orthogonal_to_its_predictors(seed in any::<u64>()) {
        let sample = sample(seed, 80);
        let p = predictors(&[("a", sample.a.clone()), ("b", sample.b.clone())]);
        let fit = linear_regression(&sample.value, &p).unwrap();
        let [intercept, a, b] = [0, 1, 2].map(|i| fit.coefficients[i].estimate);
        let residuals: Vec<f64> = (0..80)
            .map(|i| sample.value[i] - intercept - a * sample.a[i] - b * sample.b[i])
            .collect();
        for column in [&vec![1.0; 80], &sample.a, &sample.b] {
            let product: f64 = residuals.iter().zip(column).map(|(r, x)| r * x).sum();
            prop_assert!(product.abs() < 1e-10, "{product}");
        }
    }

    #[test]
    fn score_test_of_an_indicator_without_ties_is_the_log_rank_test(seed in any::<u64>()) {
        let sample = sample(seed, 60);
        // No two times are one.
        let times: Vec<f64> = (0_u32..).zip(&sample.time).map(|(i, t)| t + f64::from(i) * 1e-6).collect();
        let follow = Follow::new(times, sample.event.clone()).unwrap();
        let groups: Vec<u32> = sample.b.iter().map(|b| u32::from(*b > 0.5)).collect();
        let Ok(model) = cox(&follow, &predictors(&[("b", sample.b.clone())])) else {
            return Ok(());
        };
        close(model.score.statistic, log_rank(&follow, &groups).unwrap().test.statistic, 1e-8);
    }

    #[test]
    fn concordance_is_the_count_of_all_pairs(seed in any::<u64>()) {
        let sample = sample(seed, 50);
        let follow = Follow::new(sample.time.clone(), sample.event.clone()).unwrap();
        let a: Vec<f64> = sample.a.iter().map(|a| a.round()).collect();
        let Ok(model) = cox(&follow, &predictors(&[("a", a.clone())])) else {
            return Ok(());
        };
        let sign = model.coefficients[0].estimate.signum();
        let (mut concordant, mut comparable) = (0.0, 0.0);
        for i in 0..50 {
            for j in 0..50 {
                let is_first = sample.event[i]
                    && (sample.time[i] < sample.time[j]
                        || sample.time[i] == sample.time[j] && !sample.event[j]);
                if is_first {
                    comparable += 1.0;
                    let difference = sign * (a[i] - a[j]);
                    concordant += if difference > 0.0 { 1.0 } else if difference == 0.0 { 0.5 } else { 0.0 };
                }
            }
        }
        close(model.concordance.unwrap(), concordant / comparable, 1e-12);
    }
}

#[test]
fn separated_outcomes_are_refused_by_the_predictor_that_separates_them() {
    let sample = sample(7, 200);
    // Complete: the outcome follows from `a`.
    let outcome: Vec<bool> = sample.a.iter().map(|a| *a > 2.0).collect();
    let p = predictors(&[("b", sample.b.clone()), ("a", sample.a.clone())]);
    let separated = |name: &str| Err(FitError::Separated(name.to_owned()));
    assert_eq!(logistic_regression(&outcome, &p), separated("a"));
    // In part: whoever has `b` had the outcome, of the others some.
    let outcome: Vec<bool> = (0..200)
        .map(|i| sample.b[i] > 0.5 || sample.outcome[i])
        .collect();
    assert_eq!(logistic_regression(&outcome, &p), separated("b"));
    assert_eq!(
        logistic_regression(&[true; 200], &p),
        Err(FitError::ConstantOutcome)
    );
}

#[test]
fn hazard_that_rises_without_end_is_refused_by_its_predictor() {
    let sample = sample(9, 200);
    let event: Vec<bool> = (0..200)
        .map(|i| sample.event[i] && sample.b[i] > 0.5)
        .collect();
    let follow = Follow::new(sample.time.clone(), event).unwrap();
    let p = predictors(&[("a", sample.a.clone()), ("b", sample.b.clone())]);
    assert_eq!(cox(&follow, &p), Err(FitError::Separated("b".to_owned())));
    let few: Vec<bool> = (0..200).map(|i| i < 2).collect();
    let follow = Follow::new(sample.time.clone(), few).unwrap();
    assert_eq!(cox(&follow, &p), Err(FitError::TooFewEvents { needed: 3 }));
}

#[test]
fn nearly_separated_and_rare_outcomes_are_fitted() {
    // One exception is enough for a finite estimate.
    let n = 2000;
    let x: Vec<f64> = (0_u32..n).map(f64::from).collect();
    let mut outcome: Vec<bool> = x.iter().map(|x| *x >= 1000.0).collect();
    outcome[1000] = false;
    outcome[998] = true;
    let fit = logistic_regression(&outcome, &predictors(&[("x", x.clone())])).unwrap();
    let slope = &fit.coefficients[1];
    assert!(
        slope.estimate > 0.1 && slope.standard_error.is_finite(),
        "{slope:?}"
    );
    // Four of two thousand.
    let rare: Vec<bool> = (0..n).map(|i| i % 500 == 7).collect();
    let fit = logistic_regression(&rare, &predictors(&[("x", x)])).unwrap();
    assert!(fit.coefficients[0].estimate < -4.0);
}

#[test]
fn person_who_alone_tells_two_indicators_apart_holds_their_coefficients() {
    let sample = sample(3, 100);
    let persons: Vec<u32> = (0..100).collect();
    let mut other = sample.b.clone();
    let alone = 41;
    other[alone] = 1.0 - other[alone];
    let p = predictors(&[("b", sample.b.clone()), ("other", other)]);
    let found = shares(&p, None, &persons).unwrap();
    // The intercept is everybody's; of the difference, that one person holds all.
    assert!(found[0].largest < 0.1, "{found:?}");
    assert!(
        found[1].largest > 0.9 && found[2].largest > 0.9,
        "{found:?}"
    );
    // An indicator of ten persons: each holds about a tenth.
    let ten: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 10 == 0))).collect();
    let found = shares(&predictors(&[("ten", ten)]), None, &persons).unwrap();
    assert!((found[1].largest - 0.09).abs() < 0.001, "{found:?}");
}

#[test]
fn million_rows_are_fitted() {
    let sample = sample(1, 1_000_000);
    let variables = [("a", sample.a), ("b", sample.b)].map(|(name, values)| Variable {
        name: name.to_owned(),
        values,
    });
    let p = Predictors::new(variables.to_vec()).unwrap();
    let follow = Follow::new(sample.time, sample.event).unwrap();
    // What the sample was made with, within five standard errors.
    for (fit, of_a) in [
        (cox(&follow, &p).unwrap().coefficients, 0.3),
        (
            logistic_regression(&sample.outcome, &p)
                .unwrap()
                .coefficients,
            0.3,
        ),
        (
            linear_regression(&sample.value, &p).unwrap().coefficients,
            0.3,
        ),
    ] {
        let a = of(&fit, "a");
        // Ties are by rounding up: the hazard's ratio suffers a little.
        let tolerance = 5.0 * a.standard_error + 0.01;
        assert!((a.estimate - of_a).abs() < tolerance, "{a:?}");
    }
}
