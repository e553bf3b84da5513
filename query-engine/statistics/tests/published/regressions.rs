//! Linear and logistic regression.

use kekkai_statistics::{linear_regression, logistic_regression, shares};

use super::golden::{golden, near, near_coefficients, numbers, predictors, texts, truths};

#[test]
fn linear_model_of_diabetes_is_that_of_statsmodels() {
    let golden = golden("diabetes");
    let (data, expected) = (&golden["data"], &golden["linear"]);
    let predictors = predictors(data, &texts(&expected["term"]));
    let found = linear_regression(&numbers(&data["outcome"]), &predictors).unwrap();
    near_coefficients("diabetes", &found.coefficients, expected, "statistic", 1e-9);
    for (what, found) in [
        ("r_squared", found.r_squared),
        ("adjusted_r_squared", found.adjusted_r_squared),
        ("f", found.f),
        ("residual_standard_error", found.residual_standard_error),
    ] {
        near(what, found, &expected[what], 1e-11);
    }
    near("p of F", found.p, &expected["p_of_f"], 1e-8);
    assert_eq!(found.residual_degrees_of_freedom, 442 - 11);
}

#[test]
fn logistic_model_of_breast_cancer_is_that_of_statsmodels() {
    let golden = golden("breast");
    let (data, expected) = (&golden["data"], &golden["logistic"]);
    let predictors = predictors(data, &texts(&expected["term"]));
    let found = logistic_regression(&truths(&data["outcome"]), &predictors).unwrap();
    near_coefficients("breast", &found.coefficients, expected, "statistic", 1e-9);
    let of = |column: &str| &expected[column];
    near("ll", found.log_likelihood, of("log_likelihood"), 1e-12);
    near(
        "null",
        found.log_likelihood_null,
        of("log_likelihood_null"),
        1e-12,
    );
    let test = found.likelihood_ratio;
    near("ratio", test.statistic, of("likelihood_ratio"), 1e-11);
    near("p", test.p, of("likelihood_ratio_p"), 1e-8);
}

#[test]
fn shares_of_coefficients_are_what_their_change_without_a_person_says() {
    // The partial leverage of an observation is what it alone adds to a coefficient's information: with
    // weights of 1, all shares of a coefficient add up to 1, and the leverage is their joint bound.
    let golden = golden("diabetes");
    let (data, expected) = (&golden["data"], &golden["linear"]);
    let leverage = numbers(&expected["leverage"]);
    let predictors = predictors(data, &texts(&expected["term"]));
    let persons: Vec<u32> = (0..442).collect();
    let alone = shares(&predictors, None, &persons).unwrap();
    let top = leverage.iter().copied().fold(0.0, f64::max);
    for share in &alone {
        assert!(share.largest <= top + 1e-12, "{share:?}");
        assert!(share.second <= share.largest && share.second > 0.0);
    }
    // All rows are one person's: that person holds everything.
    let one = shares(&predictors, None, &[7; 442]).unwrap();
    for share in one {
        assert!((share.largest - 1.0).abs() < 1e-9 && share.second == 0.0);
    }
}
