//! Through the engine, from granted tables, the published numbers come out.

use kekkai_output::{Aggregate, ColumnKind};

use crate::study::{golden, named, number, numbers, same, study};

const STUDIES: [(&str, usize); 4] = [("gbsg2", 2), ("rossi", 2), ("lung", 2), ("waltons", 2)];

#[test]
fn curves_of_each_arm_are_those_of_lifelines_at_the_times_shown() {
    for (name, arms) in STUDIES {
        let golden = golden(name);
        let sql = "SELECT arm, kaplan_meier(days, is_event) FROM t GROUP BY arm";
        let found = named(&study(name), sql);
        let expected = golden["kaplan_meier_by_group"].as_array().unwrap();
        assert_eq!(expected.len(), arms);
        for (arm, expected) in (0_u32..).zip(expected) {
            let times = numbers(&expected["time"]);
            let rows: Vec<usize> = (0..found.rows.len())
                .filter(|row| found.at(*row, "arm") == f64::from(arm))
                .collect();
            // Of 34 flies, ten died before the first time that may be shown, and few are left after it.
            assert!(rows.len() >= 2, "{name}: {}", rows.len());
            assert_eq!(
                found.at(rows[0], "at_risk"),
                expected["at_risk"][0].as_f64().unwrap()
            );
            for row in &rows[1..] {
                let time = found.at(*row, "time");
                let last = times.iter().rposition(|t| *t <= time).unwrap();
                for (column, golden) in [
                    ("survival", "survival"),
                    ("lower", "lower"),
                    ("upper", "upper"),
                ] {
                    let exact = expected[golden][last].as_f64().unwrap();
                    let shown = found.at(*row, column);
                    assert!(
                        (shown - exact).abs() <= 5.0001e-5,
                        "{name} {column} at {time}"
                    );
                }
            }
        }
    }
}

#[test]
fn log_rank_tests_are_those_of_lifelines() {
    for (name, _) in STUDIES {
        let expected = &golden(name)["log_rank"];
        let found = named(
            &study(name),
            "SELECT log_rank(days, is_event, CAST(arm AS BIGINT)) FROM t",
        );
        same(
            name,
            found.at(0, "statistic"),
            expected["statistic"].as_f64().unwrap(),
        );
        same(name, found.at(0, "p"), expected["p"].as_f64().unwrap());
        assert_eq!(found.at(0, "degrees_of_freedom"), 1.0);
    }
}

#[test]
fn hazard_ratios_are_those_of_lifelines() {
    // Of rossi's predictors all but three rest on fewer than ten persons in some cell.
    for (name, terms) in [
        (
            "gbsg2",
            vec!["age", "tsize", "pnodes", "progrec", "estrec", "hormonal"],
        ),
        ("lung", vec!["age", "sex", "ph_ecog"]),
    ] {
        let golden = golden(name);
        let expected = &golden["cox"];
        let sql = format!("SELECT cox(days, is_event, {}) FROM t", terms.join(", "));
        let found = named(&study(name), &sql);
        for (place, term) in terms.iter().enumerate() {
            let row = found.term(term);
            let of = |column: &str| expected[column][place].as_f64().unwrap();
            let shown = |column: &str| number(&row[column]).unwrap();
            same(term, shown("coefficient"), of("coefficient"));
            same(term, shown("hazard_ratio"), of("coefficient").exp());
            same(term, shown("standard_error"), of("standard_error"));
            same(term, shown("p"), of("p"));
        }
        let ratio = found.term("[likelihood_ratio]");
        same(
            name,
            number(&ratio["coefficient"]).unwrap(),
            expected["likelihood_ratio"].as_f64().unwrap(),
        );
        let concordance = number(&found.term("[concordance]")["coefficient"]).unwrap();
        same(name, concordance, expected["concordance"].as_f64().unwrap());
    }
}

#[test]
fn regressions_are_those_of_statsmodels() {
    for (name, function, kind) in [
        ("diabetes", "linear_regression", "linear"),
        ("breast", "logistic_regression", "logistic"),
    ] {
        let golden = golden(name);
        let expected = &golden[kind];
        let terms = expected["term"].as_array().unwrap();
        let predictors: Vec<&str> = terms.iter().skip(1).map(|t| t.as_str().unwrap()).collect();
        let sql = format!(
            "SELECT {function}(outcome, {}) FROM t",
            predictors.join(", ")
        );
        let found = named(&study(name), &sql);
        for (place, term) in terms.iter().enumerate() {
            let term = term.as_str().unwrap();
            let row = found.term(term);
            for column in ["coefficient", "standard_error", "p"] {
                let exact = expected[column][place].as_f64().unwrap();
                same(term, number(&row[column]).unwrap(), exact);
            }
        }
        let is_model = |kind: &ColumnKind| {
            *kind == ColumnKind::Key || *kind == ColumnKind::Statistic(vec![Aggregate::Coefficient])
        };
        assert!(
            found
                .table
                .columns
                .iter()
                .all(|column| is_model(&column.kind))
        );
    }
    let linear = &golden("diabetes")["linear"];
    let found = named(
        &study("diabetes"),
        "SELECT linear_regression(outcome, age, sex, bmi, bp, s1, s2, s3, s4, s5, s6) FROM t",
    );
    let squared = number(&found.term("[r_squared]")["coefficient"]).unwrap();
    same("r²", squared, linear["r_squared"].as_f64().unwrap());
    assert_eq!(
        number(&found.term("[observations]")["coefficient"]),
        Some(442.0)
    );
}

#[test]
fn tests_of_groups_are_those_of_scipy() {
    let golden = golden("breast");
    let study = study("breast");
    for (function, name) in [("t_test", "welch"), ("student_t_test", "student")] {
        let found = named(
            &study,
            &format!("SELECT {function}(texture, outcome) FROM t"),
        );
        for column in ["t", "p", "degrees_of_freedom", "lower", "upper"] {
            let exact = golden[name][column].as_f64().unwrap();
            same(column, found.at(0, column), exact);
        }
    }
    let found = named(&study, "SELECT mann_whitney(texture, outcome) FROM t");
    for column in ["u", "p"] {
        same(
            column,
            found.at(0, column),
            golden["mann_whitney"][column].as_f64().unwrap(),
        );
    }
    let expected = &golden["chi_square"];
    let found = named(&study, "SELECT chi_square(texture > 20, outcome) FROM t");
    for column in ["statistic", "p", "yates_statistic", "yates_p"] {
        same(
            column,
            found.at(0, column),
            expected[column].as_f64().unwrap(),
        );
    }
    let found = named(&study, "SELECT fisher_exact(texture > 20, outcome) FROM t");
    let table = &expected["table"];
    let cell = |row: usize, column: usize| table[row][column].as_f64().unwrap();
    let odds = cell(0, 0) * cell(1, 1) / (cell(0, 1) * cell(1, 0));
    same("odds ratio", found.at(0, "odds_ratio"), odds);
    assert!(found.at(0, "p") < 1e-10);
}
