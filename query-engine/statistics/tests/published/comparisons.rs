//! Tests of two groups, tables of counts, and the tails beneath them.

use kekkai_statistics::{
    ChiSquare, Contingency, Method, TTest, Variances, chi_square, fisher_exact, mann_whitney,
    paired_t_test, t_test,
};
use serde_json::Value;

use super::golden::{counts, golden, near, numbers, truths};

/// Texture of malignant and of benign tumours.
fn textures(golden: &Value) -> [Vec<f64>; 2] {
    let values = numbers(&golden["data"]["predictors"]["texture"]);
    let outcomes = truths(&golden["data"]["outcome"]);
    [true, false].map(|of| {
        let pairs = values.iter().zip(&outcomes);
        pairs.filter(|(_, o)| **o == of).map(|(v, _)| *v).collect()
    })
}

#[track_caller]
fn same_test(found: &TTest, expected: &Value) {
    near("t", found.t, &expected["t"], 1e-11);
    near(
        "df",
        found.degrees_of_freedom,
        &expected["degrees_of_freedom"],
        1e-11,
    );
    near("p", found.p, &expected["p"], 1e-8);
    near("lower", found.lower, &expected["lower"], 1e-10);
    near("upper", found.upper, &expected["upper"], 1e-10);
}

#[test]
fn tests_of_means_are_those_of_scipy() {
    let golden = golden("breast");
    let [malignant, benign] = textures(&golden);
    let welch = t_test(&malignant, &benign, Variances::Unequal).unwrap();
    same_test(&welch, &golden["welch"]);
    let student = t_test(&malignant, &benign, Variances::Equal).unwrap();
    same_test(&student, &golden["student"]);
    let pairs: Vec<(f64, f64)> = numbers(&golden["worst_texture"])
        .into_iter()
        .zip(numbers(&golden["data"]["predictors"]["texture"]))
        .collect();
    same_test(&paired_t_test(&pairs).unwrap(), &golden["paired"]);
}

#[test]
fn mann_whitney_with_ties_and_exact_are_those_of_scipy() {
    let golden = golden("breast");
    let [malignant, benign] = textures(&golden);
    let found = mann_whitney(&malignant, &benign).unwrap();
    assert_eq!(found.method, Method::Normal);
    near("u", found.u, &golden["mann_whitney"]["u"], 0.0);
    near("p", found.p, &golden["mann_whitney"]["p"], 1e-10);
    let few = &golden["mann_whitney_exact"];
    let found = mann_whitney(&numbers(&few["first"]), &numbers(&few["second"])).unwrap();
    assert_eq!(found.method, Method::Exact);
    near("u", found.u, &few["u"], 0.0);
    near("p", found.p, &few["p"], 1e-12);
}

#[test]
fn chi_square_with_and_without_yates_is_that_of_scipy() {
    let golden = golden("breast");
    for name in ["chi_square", "chi_square_many"] {
        let expected = &golden[name];
        let table = Contingency::new(counts(&expected["table"])).unwrap();
        let found = chi_square(&table);
        let same = |test: ChiSquare, statistic: &str, p: &str| {
            near(name, test.statistic, &expected[statistic], 1e-12);
            near(name, test.p, &expected[p], 1e-9);
            assert_eq!(
                Some(u64::from(test.degrees_of_freedom)),
                expected["degrees_of_freedom"].as_u64()
            );
        };
        same(found.plain, "statistic", "p");
        match found.yates {
            Some(yates) => same(yates, "yates_statistic", "yates_p"),
            None => assert_eq!(name, "chi_square_many"),
        }
        near(
            name,
            found.least_expected,
            &expected["least_expected"],
            1e-12,
        );
    }
}

#[test]
fn exact_tests_from_four_to_fifty_thousand_persons_are_those_of_scipy() {
    for expected in golden("fisher")["fisher"].as_array().unwrap() {
        let table = counts(&expected["table"]);
        let what = format!("{table:?}");
        let found = fisher_exact(&Contingency::new(table).unwrap()).unwrap();
        match expected["odds_ratio"].as_f64() {
            Some(_) => near(&what, found.odds_ratio, &expected["odds_ratio"], 1e-14),
            None => assert!(found.odds_ratio.is_infinite(), "{what}"),
        }
        // scipy takes differences of logarithms of large factorials: in tables of thousands its own digits
        // end at 1e-9.
        near(&what, found.p, &expected["p"], 1e-8);
        near(&what, found.p_less, &expected["less"], 1e-8);
        near(&what, found.p_greater, &expected["greater"], 1e-8);
    }
}

#[test]
fn exact_test_of_tea_is_the_one_that_fisher_published() {
    // The Design of Experiments (1935): 3 of 4 cups told, one-sided 17 of 70; both sides 34 of 70.
    let table = Contingency::new(vec![vec![3, 1], vec![1, 3]]).unwrap();
    let found = fisher_exact(&table).unwrap();
    assert!((found.p_greater - 17.0 / 70.0).abs() < 1e-15);
    assert!((found.p - 34.0 / 70.0).abs() < 1e-15);
}
