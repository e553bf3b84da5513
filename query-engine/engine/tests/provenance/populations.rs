//! What the guard against differencing is told.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::{Answer, Session};

use crate::common::{alone, answer_on, gibleed, plain_file, source, terms};
use crate::found::populations;
use crate::statistic::Persons;

fn answer(sql: &str) -> Answer {
    answer_on(&gibleed(), sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"))
}

fn of(answer: &Answer, row: usize, column: Option<usize>) -> Vec<Persons> {
    populations(answer)
        .remove(&(row, column))
        .unwrap_or_default()
}

#[test]
fn populations_of_two_queries_differ_by_the_person_who_was_left_out() {
    let all = of(&answer("SELECT count(*) FROM person"), 0, None);
    let but_one = of(
        &answer(&format!(
            "SELECT count(*) FROM person WHERE NOT {}",
            alone()
        )),
        0,
        None,
    );
    assert_eq!((all.len(), but_one.len()), (1, 1));
    assert_eq!(all[0].len(), 2694);
    assert_eq!(all[0].difference(&but_one[0]).count(), 1);
    assert!(but_one[0].is_subset(&all[0]));
}

#[test]
fn cell_of_two_aggregates_tells_of_both() {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE gender_concept_id = 8507) - \
         count(*) FILTER (WHERE gender_concept_id = 8507 AND NOT {}) FROM person",
        alone()
    );
    let both = of(&answer(&sql), 0, Some(0));
    let apart = |a: &Persons, b: &Persons| a.symmetric_difference(b).count();
    // One population where the person is of the other sex, so that both are one.
    match both.as_slice() {
        [a, b] => assert_eq!(apart(a, b), 1),
        [_] => {
            let other = of(&answer(&sql.replace("8507", "8532")), 0, Some(0));
            assert_eq!(apart(&other[0], &other[1]), 1);
        }
        other => panic!("{} populations", other.len()),
    }
}

#[test]
fn groups_that_having_and_order_decided_on_are_told_beside_the_rows() {
    let sql = "SELECT gender_concept_id, count(*) FROM person GROUP BY 1";
    let shown = answer(sql);
    assert_eq!(shown.table.rows.len(), 2);
    let groups: Vec<Persons> = (0..2).flat_map(|row| of(&shown, row, None)).collect();
    assert!(of(&shown, 2, None).is_empty(), "nothing beside the rows");

    let none = answer(&format!("{sql} HAVING sum(year_of_birth) > 999999999"));
    assert!(none.table.rows.is_empty());
    let sorted = |mut groups: Vec<Persons>| {
        groups.sort();
        groups
    };
    let groups = sorted(groups);
    assert_eq!(sorted(of(&none, 0, None)), groups);

    let first = answer(&format!("{sql} ORDER BY avg(year_of_birth) LIMIT 1"));
    assert_eq!(first.table.rows.len(), 1);
    let mut told = of(&first, 0, None);
    told.extend(of(&first, 1, None));
    assert_eq!(sorted(told), groups);

    // A name alone decides nothing that depends on persons.
    let named = answer(&format!("{sql} HAVING gender_concept_id = 8507"));
    assert!(of(&named, 1, None).is_empty());
}

#[test]
fn aggregate_that_only_having_knows_is_told() {
    let having = format!("HAVING count(*) FILTER (WHERE NOT {}) > 0", alone());
    let answer = answer(&format!(
        "SELECT gender_concept_id FROM person GROUP BY 1 {having}"
    ));
    assert_eq!(answer.table.rows.len(), 2);
    let beside = of(&answer, 2, None);
    assert_eq!(beside.len(), 1, "the other group is whole in it");
    let whole = |row| of(&answer, row, None)[0].clone();
    let apart = (0..2).map(|row| whole(row).symmetric_difference(&beside[0]).count());
    assert_eq!(apart.min(), Some(1));
}

#[test]
fn answer_about_nobody_has_no_population() {
    let answer = answer("SELECT vocabulary_id, count(*) FROM concept GROUP BY 1");
    assert!(!answer.table.rows.is_empty());
    assert!(answer.populations.cells.is_empty());
}

#[test]
fn more_populations_than_are_passed_on_are_refused() {
    let rows = kekkai_output::POPULATIONS_MAX as i64 + 1;
    let schema = Schema::new(vec![Field::new("pid", DataType::Int64, false)]);
    let numbers = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![numbers]).unwrap();
    let mut terms = terms();
    terms.threshold = 1;
    let file = plain_file(&batch);
    let session =
        Arc::new(Session::new(terms, vec![source("made", "t", file, Some("pid"), &[])]).unwrap());
    let error = answer_on(&session, "SELECT pid, count(*) FROM t GROUP BY pid").unwrap_err();
    assert_eq!(error.code, SqlErrorCode::TooLarge);
    answer_on(&session, "SELECT count(*) FROM t").unwrap();
}
