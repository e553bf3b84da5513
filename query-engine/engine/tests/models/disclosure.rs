//! What would tell of too few persons is withheld.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use kekkai_engine::{Session, Terms};
use kekkai_output::{Cell, Suppression};

use crate::common::{run_on, terms};
use crate::study::{Columns, bools, floats, named, number, session};

const PERSONS: usize = 300;

/// Numbers that look random, from 0 to 1.
fn noise(row: usize, salt: usize) -> f64 {
    ((row * 7919 + salt * 104_729 + 13) % 10_007) as f64 / 10_007.0
}

fn column(value: impl Fn(usize) -> f64) -> ArrayRef {
    floats((0..PERSONS).map(value).collect())
}

fn truth(is: impl Fn(usize) -> bool) -> ArrayRef {
    bools((0..PERSONS).map(is).collect())
}

/// A study in which nothing is rare.
fn plain() -> Columns {
    vec![
        ("days", column(|i| (noise(i, 1) * 1000.0).ceil())),
        ("is_event", truth(|i| noise(i, 2) < 0.6)),
        ("outcome", truth(|i| noise(i, 3) < 0.4)),
        ("cost", column(|i| 100.0 + 50.0 * noise(i, 4))),
        ("age", column(|i| 20.0 + (60.0 * noise(i, 5)).round())),
        ("is_treated", truth(|i| noise(i, 6) < 0.5)),
    ]
}

fn with(extra: Columns) -> Arc<Session> {
    session(plain().into_iter().chain(extra).collect(), terms())
}

/// A statement with each model that takes a predictor.
fn models(predictors: &str) -> [String; 3] {
    [
        format!("SELECT cox(days, is_event, {predictors}) FROM t"),
        format!("SELECT linear_regression(cost, {predictors}) FROM t"),
        format!("SELECT logistic_regression(outcome, {predictors}) FROM t"),
    ]
}

fn withheld(session: &Arc<Session>, sql: &str) -> bool {
    named(session, sql).is_withheld()
}

#[test]
fn models_of_enough_persons_are_shown() {
    let session = with(Vec::new());
    for sql in models("age, is_treated") {
        assert!(!withheld(&session, &sql), "{sql}");
    }
}

#[test]
fn coefficient_of_a_few_persons_is_withheld_as_one_of_nobody_is() {
    for few in [0, 1, 9] {
        let session = with(vec![("is_rare", column(|i| f64::from(u8::from(i < few))))]);
        for sql in models("age, is_rare") {
            assert!(withheld(&session, &sql), "{few}: {sql}");
        }
    }
    // Ten have it, and ten not; for odds and hazards also with and without the outcome.
    let session = with(vec![("is_rare", column(|i| f64::from(u8::from(i < 10))))]);
    let [hazards, line, odds] = models("age, is_rare");
    assert!(!withheld(&session, &line));
    assert!(withheld(&session, &hazards) && withheld(&session, &odds));
    // A number that only some have, and another that all others share.
    let session = with(vec![(
        "dose",
        column(|i| if i < 9 { 5.0 + noise(i, 9) } else { 0.0 }),
    )]);
    for sql in models("age, dose") {
        assert!(withheld(&session, &sql), "{sql}");
    }
}

#[test]
fn two_predictors_that_differ_in_one_person_are_withheld() {
    let is_treated = |i: usize| noise(i, 6) < 0.5;
    let session = with(vec![(
        "is_nearly_treated",
        truth(move |i| is_treated(i) != (i == 77)),
    )]);
    for sql in models("age, is_treated, is_nearly_treated") {
        let found = named(&session, &sql);
        assert!(found.is_withheld(), "{sql}");
        let cells = found.rows[0].values();
        assert!(
            cells
                .clone()
                .any(|cell| *cell == Cell::Suppressed(Suppression::Dominance))
        );
    }
    // Each of them alone is fine.
    for sql in models("age, is_nearly_treated") {
        assert!(!withheld(&session, &sql), "{sql}");
    }
}

#[test]
fn outcome_that_is_mostly_one_person_s_is_withheld() {
    let session = with(vec![(
        "bill",
        column(|i| if i == 5 { 1e7 } else { 100.0 + noise(i, 8) }),
    )]);
    for sql in [
        "SELECT linear_regression(bill, is_treated) FROM t",
        "SELECT t_test(bill, is_treated) FROM t",
        "SELECT student_t_test(bill, is_treated) FROM t",
        "SELECT paired_t_test(bill, cost) FROM t",
    ] {
        assert!(withheld(&session, sql), "{sql}");
    }
    // Ranks know no size.
    assert!(!withheld(
        &session,
        "SELECT mann_whitney(bill, is_treated) FROM t"
    ));
}

#[test]
fn outcome_of_a_few_persons_is_withheld() {
    for few in [0, 1, 9] {
        let session = with(vec![
            ("is_rare", truth(move |i| i < few)),
            ("is_common", truth(move |i| i >= few)),
        ]);
        for sql in [
            "SELECT logistic_regression(is_rare, age) FROM t",
            "SELECT logistic_regression(is_common, age) FROM t",
            "SELECT cox(days, is_rare, age) FROM t",
            "SELECT log_rank(days, is_rare, is_treated) FROM t",
            "SELECT log_rank(days, is_event, is_rare) FROM t",
            "SELECT t_test(cost, is_rare) FROM t",
            "SELECT mann_whitney(cost, is_common) FROM t",
            "SELECT chi_square(is_rare, is_treated) FROM t",
            "SELECT fisher_exact(is_treated, is_common) FROM t",
        ] {
            assert!(withheld(&session, sql), "{few}: {sql}");
        }
    }
}

#[test]
fn table_of_counts_with_one_small_cell_is_withheld() {
    // Margins of 150, and one cell of 9 or of nobody.
    for few in [0, 9] {
        let session = with(vec![
            ("a", truth(|i| i % 2 == 0)),
            (
                "b",
                truth(move |i| i % 2 == 0 && i / 2 >= few || i % 2 == 1 && i / 2 < 20),
            ),
        ]);
        for sql in [
            "SELECT chi_square(a, b) FROM t",
            "SELECT fisher_exact(a, b) FROM t",
        ] {
            assert!(withheld(&session, sql), "{few}: {sql}");
        }
    }
}

#[test]
fn small_groups_are_withheld_with_their_names() {
    let session = with(vec![(
        "hospital",
        column(|i| if i < 9 { 1.0 } else { 2.0 }),
    )]);
    for sql in [
        "SELECT hospital, kaplan_meier(days, is_event) FROM t GROUP BY hospital",
        "SELECT hospital, t_test(cost, is_treated) FROM t GROUP BY hospital",
    ] {
        let found = named(&session, sql);
        assert!(
            found
                .rows
                .iter()
                .all(|row| number(&row["hospital"]) == Some(2.0)),
            "{sql}"
        );
        // Nine persons in one group: that it is there at all is not told.
        assert_eq!(found.table.groups_withheld, 0);
    }
    // A condition that leaves too few leaves nothing.
    assert!(withheld(
        &session,
        "SELECT kaplan_meier(days, is_event) FROM t WHERE hospital = 1"
    ));
}

#[test]
fn rows_of_one_person_do_not_make_a_population() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..300).map(|i| i % 9)));
    let columns = plain().into_iter().chain([("person_id", ids)]).collect();
    let session = session(columns, terms());
    for sql in models("age, is_treated").iter().map(String::as_str).chain([
        "SELECT kaplan_meier(days, is_event) FROM t",
        "SELECT t_test(cost, is_treated) FROM t",
        "SELECT chi_square(is_treated, outcome) FROM t",
    ]) {
        assert!(withheld(&session, sql), "{sql}");
    }
}

#[test]
fn one_impossible_value_neither_fails_nor_shows() {
    let strange = |value: f64| {
        let days = column(move |i| if i == 3 { value } else { noise(i, 1) * 900.0 });
        let columns = plain().into_iter().map(|(name, values)| {
            if name == "days" {
                (name, Arc::clone(&days))
            } else {
                (name, values)
            }
        });
        session(columns.collect(), terms())
    };
    let sql = "SELECT cox(days, is_event, age) FROM t";
    let reference = run_on(&strange(f64::NAN), sql).unwrap();
    for value in [f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, -1e-9] {
        let found = run_on(&strange(value), sql).unwrap();
        assert_eq!(found.rows, reference.rows, "{value}");
    }
}

#[test]
fn answer_does_not_depend_on_the_order_of_rows_or_threads() {
    let backwards = |columns: Columns| -> Columns {
        let order = Int64Array::from_iter_values((0..PERSONS as i64).rev());
        let take = |values: ArrayRef| arrow::compute::take(&values, &order, None).unwrap();
        columns
            .into_iter()
            .map(|(name, values)| (name, take(values)))
            .collect()
    };
    let forwards = session(
        plain(),
        Terms {
            threads: 1,
            ..terms()
        },
    );
    let other = session(
        backwards(plain()),
        Terms {
            threads: 4,
            ..terms()
        },
    );
    for sql in models("age, is_treated")
        .iter()
        .map(String::as_str)
        .chain(["SELECT is_treated, kaplan_meier(days, is_event) FROM t GROUP BY is_treated"])
    {
        let (a, b) = (
            run_on(&forwards, sql).unwrap(),
            run_on(&other, sql).unwrap(),
        );
        assert_eq!(a.rows, b.rows, "{sql}");
    }
}

#[test]
fn gathered_rows_count_against_the_session_s_memory() {
    let many = 400_000;
    let columns: Columns = vec![
        ("days", floats((0..many).map(|i| noise(i, 1)).collect())),
        (
            "is_event",
            bools((0..many).map(|i| noise(i, 2) < 0.5).collect()),
        ),
    ];
    let tight = Terms {
        memory_limit_bytes: 4 << 20,
        ..terms()
    };
    let error = run_on(
        &session(columns, tight),
        "SELECT kaplan_meier(days, is_event) FROM t",
    );
    assert_eq!(
        error.unwrap_err().code,
        kekkai_analysis_api::SqlErrorCode::Memory
    );
}
