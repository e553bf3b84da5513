//! Where such a function may stand, and what it may be given.

use std::sync::Arc;

use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::Session;

use crate::common::{run_on, stream_on};
use crate::study::{named, study};

fn refusal(session: &Arc<Session>, sql: &str) -> SqlErrorCode {
    match run_on(session, sql) {
        Err(error) => {
            assert!(error.at.is_some(), "{sql}: {error:?}");
            assert_eq!(
                session.check(sql).err().map(|e| e.code),
                Some(error.code),
                "{sql}"
            );
            error.code
        }
        Ok(_) => panic!("{sql}\nwas answered"),
    }
}

#[test]
fn one_function_beside_its_groups_and_nothing_else() {
    use SqlErrorCode::{ClauseNotAllowed, FunctionNotAllowed, FunctionUnknown, NotFollowed};
    let session = study("gbsg2");
    for (sql, code) in [
        (
            "SELECT count(*), t_test(age, is_event) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT t_test(age, is_event), t_test(tsize, is_event) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT arm, kaplan_meier(days, is_event) FROM t GROUP BY arm ORDER BY arm",
            ClauseNotAllowed,
        ),
        (
            "SELECT kaplan_meier(days, is_event) FROM t LIMIT 3",
            ClauseNotAllowed,
        ),
        (
            "SELECT arm, log_rank(days, is_event, arm > 0) FROM t GROUP BY arm HAVING count(*) > 5",
            ClauseNotAllowed,
        ),
        (
            "SELECT arm + 1, kaplan_meier(days, is_event) FROM t GROUP BY arm",
            ClauseNotAllowed,
        ),
        (
            "SELECT upper(CAST(kaplan_meier(days, is_event) AS TEXT)) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT t_test(DISTINCT age, is_event) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT count(x) FROM (SELECT person_id, t_test(age, is_event) AS x FROM t GROUP BY person_id) s",
            FunctionNotAllowed,
        ),
        ("SELECT t_test(age, is_event) OVER () FROM t", NotFollowed),
        ("SELECT t_tst(age, is_event) FROM t", FunctionUnknown),
        ("SELECT cox(days, is_event) FROM t", ClauseNotAllowed),
        ("SELECT kaplan_meier(days) FROM t", ClauseNotAllowed),
        (
            "SELECT kaplan_meier(days, is_event, age) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT linear_regression(age, person_id) FROM t",
            ClauseNotAllowed,
        ),
        (
            "SELECT chi_square(person_id, is_event) FROM t",
            ClauseNotAllowed,
        ),
    ] {
        assert_eq!(refusal(&session, sql), code, "{sql}");
    }
}

#[test]
fn arguments_of_another_kind_are_refused_with_their_place() {
    let session = study("gbsg2");
    for sql in [
        // No coding is guessed: 1 and 2, or 0 and 1?
        "SELECT kaplan_meier(days, hormonal) FROM t",
        "SELECT logistic_regression(hormonal, age) FROM t",
        "SELECT t_test(age, hormonal) FROM t",
        "SELECT t_test('a', is_event) FROM t",
        "SELECT chi_square(age, is_event) FROM t",
        "SELECT linear_regression(age, DATE '2020-01-01') FROM t",
    ] {
        assert_eq!(refusal(&session, sql), SqlErrorCode::Type, "{sql}");
    }
}

#[test]
fn predictors_may_be_computed_filtered_and_joined() {
    let session = study("gbsg2");
    let found = named(
        &session,
        "WITH adults AS (SELECT person_id, days, is_event, age, hormonal FROM t WHERE age >= 40)
         SELECT cox(days / 365.25, is_event AND days < 2000, (age - 50) / 10, hormonal = 1)
         FROM adults",
    );
    assert!(!found.is_withheld());
    assert_eq!(found.table.columns[0].name, "term");
    let filtered = named(
        &session,
        "SELECT t_test(age, is_event) FILTER (WHERE hormonal = 1) FROM t",
    );
    let where_clause = named(
        &session,
        "SELECT t_test(age, is_event) FROM t WHERE hormonal = 1",
    );
    assert_eq!(filtered.table.rows, where_clause.table.rows);
    let joined = named(
        &session,
        "SELECT a.arm, kaplan_meier(b.days, b.is_event) FROM t a JOIN t b ON a.person_id = b.person_id
         GROUP BY a.arm",
    );
    let plain = named(
        &session,
        "SELECT arm, kaplan_meier(days, is_event) FROM t GROUP BY arm",
    );
    assert_eq!(joined.table.rows, plain.table.rows);
}

#[test]
fn what_has_no_estimate_is_said_with_the_predictor() {
    let session = study("gbsg2");
    let error = |sql: &str| run_on(&session, sql).unwrap_err();
    let collinear = error("SELECT linear_regression(days, age, tsize, age * 2 + 1) FROM t");
    assert_eq!(collinear.code, SqlErrorCode::ModelCollinear);
    assert!(
        collinear.name.contains("age") && !collinear.name.contains("tsize"),
        "{}",
        collinear.name
    );
    let separated = error("SELECT logistic_regression(age > 50, age, tsize) FROM t");
    assert_eq!(
        (separated.code, separated.name.as_str()),
        (SqlErrorCode::ModelSeparated, "age")
    );
    let levels = error(
        "SELECT fisher_exact(CAST(round(age / 15) AS BIGINT), is_event) FROM t WHERE age BETWEEN 31 AND 67",
    );
    assert_eq!(levels.code, SqlErrorCode::ModelLevels);
}

#[test]
fn programs_get_the_same_table_and_no_such_function_of_rows() {
    let session = study("gbsg2");
    let sql = "SELECT arm, kaplan_meier(days, is_event) FROM t GROUP BY arm";
    let table = run_on(&session, sql).unwrap();
    let streamed = stream_on(&session, sql, &[], false).unwrap();
    assert_eq!(streamed.batch.num_rows(), table.rows.len());
    let rows = stream_on(&session, sql, &[], true).map(drop).unwrap_err();
    assert_eq!(rows.code, SqlErrorCode::FunctionNotAllowed);
}
