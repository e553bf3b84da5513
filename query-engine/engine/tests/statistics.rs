//! What is shown equals an independent computation, and what is not shown can't be had.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{alone, answer_on, csv, float, gibleed, int, integers, refused, run, run_on};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_output::{Aggregate, Cell, ColumnKind, Suppression, Value};

#[test]
fn grouped_counts_equal_a_plain_count_and_small_groups_stay_inside() {
    let table = run(
        "SELECT condition_concept_id AS c, count(*) AS n, count(DISTINCT person_id) AS p \
         FROM condition_occurrence GROUP BY condition_concept_id ORDER BY c",
    );
    let mut rows: BTreeMap<i64, (i64, BTreeSet<i64>)> = BTreeMap::new();
    let concepts = integers("condition_occurrence", "condition_concept_id");
    let persons = integers("condition_occurrence", "person_id");
    for (concept, person) in concepts.iter().zip(&persons) {
        let entry = rows.entry(concept.unwrap()).or_default();
        entry.0 += 1;
        entry.1.insert(person.unwrap());
    }
    let small: Vec<&(i64, BTreeSet<i64>)> = rows.values().filter(|(_, p)| p.len() < 10).collect();
    let in_small: BTreeSet<i64> = small.iter().flat_map(|(_, p)| p.iter().copied()).collect();
    let shown: Vec<(i64, i64, i64)> = rows
        .iter()
        .filter(|(_, (_, p))| p.len() >= 10)
        .map(|(concept, (n, p))| (*concept, *n, p.len() as i64))
        .collect();
    assert!(
        !small.is_empty() && !shown.is_empty(),
        "the test needs both"
    );
    let found: Vec<(i64, i64, i64)> = table
        .rows
        .iter()
        .map(|row| (int(&row[0]), int(&row[1]), int(&row[2])))
        .collect();
    assert_eq!(found, shown);
    let expected = if in_small.len() >= 10 {
        small.len() as u64
    } else {
        0
    };
    assert_eq!(table.groups_withheld, expected);
    for row in &table.rows {
        let Cell::Shown { evidence, .. } = &row[1] else {
            panic!()
        };
        assert_eq!(evidence.contributors as i64, int(&row[2]));
        assert!((1..=1000).contains(&evidence.largest_permille));
    }
    assert_eq!(table.columns[0].kind, ColumnKind::Key);
    assert_eq!(
        table.columns[1].kind,
        ColumnKind::Statistic(vec![Aggregate::Count])
    );
    assert_eq!(
        table.columns[2].kind,
        ColumnKind::Statistic(vec![Aggregate::CountDistinct])
    );
    assert_eq!(table.lineage.datasets[0].0.as_str(), "gibleed");
    assert!(table.lineage.engine.starts_with("kekkai-engine "));
}

#[test]
fn a_join_on_the_person_counts_that_person_once() {
    let table = run(
        "SELECT p.gender_concept_id, count(*), avg(2020 - p.year_of_birth) FROM person p \
         JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1 ORDER BY 1",
    );
    let gender: BTreeMap<i64, i64> = integers("person", "person_id")
        .into_iter()
        .zip(integers("person", "gender_concept_id"))
        .map(|(p, g)| (p.unwrap(), g.unwrap()))
        .collect();
    let born: BTreeMap<i64, i64> = integers("person", "person_id")
        .into_iter()
        .zip(integers("person", "year_of_birth"))
        .map(|(p, y)| (p.unwrap(), y.unwrap()))
        .collect();
    let mut expected: BTreeMap<i64, (i64, f64, BTreeSet<i64>)> = BTreeMap::new();
    for person in integers("condition_occurrence", "person_id") {
        let person = person.unwrap();
        let entry = expected.entry(gender[&person]).or_default();
        entry.0 += 1;
        entry.1 += (2020 - born[&person]) as f64;
        entry.2.insert(person);
    }
    assert_eq!(table.rows.len(), expected.len());
    for (row, (gender, (n, sum, persons))) in table.rows.iter().zip(&expected) {
        assert_eq!(int(&row[0]), *gender);
        assert_eq!(int(&row[1]), *n);
        assert!((float(&row[2]) - sum / *n as f64).abs() < 1e-9);
        let Cell::Shown { evidence, .. } = &row[2] else {
            panic!()
        };
        assert_eq!(evidence.contributors, persons.len() as u64);
        assert!(evidence.largest_permille >= 1 && evidence.second_permille >= 1);
    }
}

#[test]
fn a_count_of_one_or_of_nobody_looks_the_same() {
    let alone = alone();
    let one = run(&format!("SELECT count(*) FROM person WHERE {alone}"));
    let nobody = run("SELECT count(*) FROM person WHERE year_of_birth = 1700");
    assert_eq!(
        one.rows,
        vec![vec![Cell::Suppressed(Suppression::Threshold)]]
    );
    assert_eq!(nobody.rows, one.rows);
    assert_eq!((one.groups_withheld, nobody.groups_withheld), (0, 0));
    let grouped = "SELECT gender_concept_id, count(*) FROM person WHERE ";
    assert_eq!(
        run(&format!("{grouped}{alone} GROUP BY 1")).rows,
        Vec::<Vec<Cell>>::new()
    );
    // The number of withheld groups would tell, were it shown for few people.
    let one = run(&format!("{grouped}{alone} GROUP BY 1"));
    let nobody = run(&format!("{grouped}year_of_birth = 1700 GROUP BY 1"));
    assert_eq!(one.groups_withheld, nobody.groups_withheld);
}

#[test]
fn having_and_order_see_nothing_that_is_suppressed() {
    for sql in [
        "SELECT person_id, count(*) FROM condition_occurrence GROUP BY person_id HAVING count(*) = 1",
        "SELECT year_of_birth, count(*) FROM person GROUP BY 1 HAVING count(*) = 1",
        "SELECT year_of_birth, count(*) FROM person GROUP BY 1 HAVING count(*) < 10 ORDER BY count(*)",
        "SELECT sum(n) OVER () FROM (SELECT count(*) AS n FROM person) t",
    ] {
        match run_on(&gibleed(), sql) {
            Ok(table) => assert!(table.rows.is_empty(), "{sql}\n{}", csv(&table)),
            Err(error) => assert_eq!(error.code, SqlErrorCode::NotFollowed, "{sql}"),
        }
    }
    let having = run(&format!(
        "SELECT 1 FROM person HAVING count(*) FILTER (WHERE {}) = 1",
        alone()
    ));
    assert!(having.rows.is_empty());
    let ordered = run(
        "SELECT year_of_birth, count(*) FILTER (WHERE gender_concept_id = 8507 AND month_of_birth = 1) AS n \
         FROM person GROUP BY 1 ORDER BY n DESC NULLS LAST, 1",
    );
    let hidden_from = ordered
        .rows
        .iter()
        .position(|row| matches!(row[1], Cell::Suppressed(_)))
        .expect("some are suppressed");
    let years: Vec<i64> = ordered.rows[hidden_from..]
        .iter()
        .map(|row| int(&row[0]))
        .collect();
    assert!(
        years.is_sorted(),
        "the order of suppressed cells tells: {years:?}"
    );
    assert!(
        ordered.rows[hidden_from..]
            .iter()
            .all(|row| matches!(row[1], Cell::Suppressed(_)))
    );
}

#[test]
fn a_value_computed_from_a_suppressed_one_is_suppressed_too() {
    let alone = alone();
    let table = run(&format!(
        "SELECT coalesce(count(*) FILTER (WHERE {alone}), -1) + count(*) AS x, count(*) AS n, \
         CASE WHEN count(*) FILTER (WHERE {alone}) > 0 THEN 'yes' ELSE 'no' END FROM person",
    ));
    assert_eq!(table.rows[0][0], Cell::Suppressed(Suppression::Threshold));
    assert_eq!(int(&table.rows[0][1]), 2694);
    assert_eq!(table.rows[0][2], Cell::Suppressed(Suppression::Threshold));
}

#[test]
fn a_left_join_invents_no_contributors() {
    let with = run(
        "SELECT count(*), count(v.person_id), count(DISTINCT v.person_id) FROM person p \
         LEFT JOIN visit_occurrence v ON v.person_id = p.person_id",
    );
    let visits = integers("visit_occurrence", "person_id");
    let visitors: BTreeSet<i64> = visits.iter().map(|p| p.unwrap()).collect();
    let rows = visits.len() + 2694 - visitors.len();
    assert_eq!(int(&with.rows[0][0]), rows as i64);
    assert_eq!(int(&with.rows[0][1]), visits.len() as i64);
    assert_eq!(int(&with.rows[0][2]), visitors.len() as i64);
    let contributors = |cell: &Cell| match cell {
        Cell::Shown { evidence, .. } => evidence.contributors,
        other => panic!("{other:?}"),
    };
    assert_eq!(contributors(&with.rows[0][0]), 2694);
    assert_eq!(contributors(&with.rows[0][1]), visitors.len() as u64);
    let without = run(
        "SELECT count(*) FROM person p LEFT JOIN visit_occurrence v USING (person_id) WHERE v.visit_concept_id IS NULL",
    );
    assert_eq!(int(&without.rows[0][0]), (2694 - visitors.len()) as i64);
    // Vocabulary rows without a person count as nobody.
    let vocabulary = run(
        "SELECT c.concept_id, count(*) FROM concept c LEFT JOIN visit_occurrence v \
         ON v.visit_concept_id = c.concept_id GROUP BY 1",
    );
    assert!(
        vocabulary.rows.iter().all(
            |row| matches!(row[1], Cell::Shown { evidence, .. } if evidence.contributors >= 10)
        )
    );
    assert!(vocabulary.rows.len() <= 3);
}

#[test]
fn one_person_that_dominates_a_total_is_not_shown() {
    let alone = alone();
    let table = run(&format!(
        "SELECT sum(CASE WHEN {alone} THEN 1000000 ELSE 1 END), count(*), \
         avg(CASE WHEN {alone} THEN 1e9 ELSE 1 END), stddev(CASE WHEN {alone} THEN 1e9 ELSE 0 END) FROM person",
    ));
    assert_eq!(table.rows[0][0], Cell::Suppressed(Suppression::Dominance));
    assert_eq!(table.rows[0][2], Cell::Suppressed(Suppression::Dominance));
    assert_eq!(table.rows[0][3], Cell::Suppressed(Suppression::Dominance));
    assert_eq!(int(&table.rows[0][1]), 2694);
}

#[test]
fn no_row_can_make_a_statement_fail() {
    // Each fails in plain SQL exactly when that one person is there.
    let alone = alone();
    for secret in [
        format!("1 / CASE WHEN {alone} THEN 0 ELSE 1 END"),
        format!("1 % CASE WHEN {alone} THEN 0 ELSE 1 END"),
        format!("CAST(CASE WHEN {alone} THEN 'x' ELSE '1' END AS bigint)"),
        format!("CASE WHEN {alone} THEN date_part('year', to_timestamp('x')) ELSE 1 END"),
        format!("regexp_like('a', CASE WHEN {alone} THEN '(' ELSE 'a' END)"),
        format!("'a' ~ CASE WHEN {alone} THEN '(' ELSE 'a' END"),
        format!("CASE WHEN {alone} THEN 'a' ~ '(' ELSE true END"),
        format!(
            "DATE '2020-01-01' + CASE WHEN {alone} THEN INTERVAL '9999999' YEAR ELSE INTERVAL '1' DAY END"
        ),
    ] {
        let table = match run_on(
            &gibleed(),
            &format!("SELECT count({secret}) AS n FROM person"),
        ) {
            Ok(table) => table,
            Err(error) => panic!("{secret}: {error:?}"),
        };
        assert_eq!(int(&table.rows[0][0]), 2693, "{secret}");
    }
}

#[test]
fn division_by_zero_above_the_aggregate_is_an_error_without_a_value() {
    let error = refused("SELECT count(*) / 0 FROM person");
    assert_eq!(error.code, SqlErrorCode::Evaluation);
    assert_eq!(error.at, Some((1, 19)));
    assert_eq!(error.name, "");
}

#[test]
fn subqueries_shapes_that_can_be_followed_are() {
    let direct = run("SELECT count(*) FROM person WHERE gender_concept_id = 8507");
    for sql in [
        "WITH men AS (SELECT * FROM person WHERE gender_concept_id = 8507) SELECT count(*) FROM men",
        "SELECT count(*) FROM (SELECT year_of_birth AS y FROM person WHERE gender_concept_id = 8507) t",
        "SELECT n FROM (SELECT gender_concept_id AS g, count(*) AS n FROM person GROUP BY 1) t WHERE g = 8507",
        "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM person q WHERE q.person_id = p.person_id AND q.gender_concept_id = 8507)",
        "SELECT count(*) FROM person WHERE person_id IN (SELECT person_id FROM person WHERE gender_concept_id = 8507)",
        "SELECT count(*) FROM person p JOIN person q ON p.person_id = q.person_id WHERE q.gender_concept_id = 8507",
        "SELECT count(*) FROM person p, person q WHERE p.person_id = q.person_id AND q.gender_concept_id = 8507",
        "SELECT count(*) FROM person p LEFT SEMI JOIN (SELECT person_id FROM person WHERE gender_concept_id = 8507) q ON p.person_id = q.person_id",
        "SELECT count(*) FROM person FULL JOIN visit_occurrence v ON v.person_id = person.person_id WHERE gender_concept_id = 8507 AND v.visit_concept_id IS NULL",
    ] {
        let table = run(sql);
        if sql.contains("FULL") {
            assert!(matches!(table.rows[0][0], Cell::Shown { .. }), "{sql}");
            continue;
        }
        assert_eq!(table.rows, direct.rows, "{sql}");
    }
    let per_person = run(
        "SELECT avg(n), count(*) FROM (SELECT person_id, count(*) AS n FROM condition_occurrence GROUP BY person_id) t",
    );
    let persons: BTreeSet<i64> = integers("condition_occurrence", "person_id")
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(int(&per_person.rows[0][1]), persons.len() as i64);
    let rows = integers("condition_occurrence", "person_id").len();
    assert!((float(&per_person.rows[0][0]) - rows as f64 / persons.len() as f64).abs() < 1e-9);
    let cohort = run("SELECT count(*) FROM person WHERE person_id IN \
         (SELECT person_id FROM drug_exposure GROUP BY person_id HAVING count(*) > 20)");
    let mut exposures: BTreeMap<i64, usize> = BTreeMap::new();
    for person in integers("drug_exposure", "person_id") {
        *exposures.entry(person.unwrap()).or_default() += 1;
    }
    assert_eq!(
        int(&cohort.rows[0][0]),
        exposures.values().filter(|n| **n > 20).count() as i64
    );
}

#[test]
fn one_persons_rows_cant_switch_other_persons_rows() {
    let alone = alone();
    for sql in [
        // All persons would be counted, or none, by what one person has.
        "SELECT count(*) FROM person WHERE EXISTS (SELECT 1 FROM person WHERE {alone} AND gender_concept_id = 8507)",
        "SELECT count(*) FROM person WHERE gender_concept_id IN (SELECT gender_concept_id FROM person WHERE {alone})",
        "SELECT count(*) FROM person p LEFT SEMI JOIN (SELECT gender_concept_id FROM person WHERE {alone}) q ON p.gender_concept_id = q.gender_concept_id",
        "SELECT count(*) FROM person p LEFT JOIN (SELECT * FROM person WHERE {alone}) q ON p.gender_concept_id = q.gender_concept_id WHERE q.year_of_birth IS NULL",
        "SELECT count(*) FROM concept WHERE concept_id IN (SELECT gender_concept_id FROM person WHERE {alone})",
        "SELECT count(*) FROM person WHERE person_id NOT IN (SELECT v.person_id FROM person p LEFT JOIN visit_occurrence v ON v.person_id = p.person_id WHERE v.visit_concept_id = 1)",
        "SELECT count(*) FROM person WHERE year_of_birth > (SELECT avg(year_of_birth) FROM person)",
        "SELECT count(*) FROM person p FULL JOIN person q ON p.year_of_birth = q.year_of_birth + 1",
    ] {
        let sql = sql.replace("{alone}", alone);
        assert_eq!(refused(&sql).code, SqlErrorCode::NotFollowed, "{sql}");
    }
    // An inner join with another person's row counts both persons: the smaller count decides.
    let joined = run(&format!(
        "SELECT count(*) FROM person p JOIN (SELECT * FROM person WHERE {alone}) q \
         ON p.gender_concept_id = q.gender_concept_id",
    ));
    assert_eq!(joined.rows[0][0], Cell::Suppressed(Suppression::Threshold));
}

#[test]
fn a_person_key_is_joined_and_counted_but_not_compared() {
    for sql in [
        "SELECT count(*) FROM person WHERE person_id < 100",
        "SELECT count(*) FROM person WHERE person_id % 7 = 1",
        "SELECT sum(person_id) FROM person",
        "SELECT count(*) FROM (SELECT person_id + 0 AS x FROM person) t WHERE x < 100",
        "SELECT count(*) FROM (SELECT person_id AS x FROM person) t WHERE x < 100",
        "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM visit_occurrence v WHERE v.person_id = p.person_id AND p.person_id < 5)",
        "SELECT count(*) FROM person WHERE person_id IN (1, 2, 3)",
        "SELECT count(DISTINCT person_id) FILTER (WHERE person_id = 5) FROM person",
    ] {
        assert_eq!(refused(sql).code, SqlErrorCode::ClauseNotAllowed, "{sql}");
    }
    let grouped = run("SELECT person_id, count(*) FROM condition_occurrence GROUP BY person_id");
    assert!(grouped.rows.is_empty());
    assert!(grouped.groups_withheld > 2000);
}

#[test]
fn statistics_of_vocabularies_are_shown() {
    let table = run("SELECT domain_id, count(*) FROM concept GROUP BY 1 ORDER BY 2 DESC LIMIT 1");
    assert_eq!(table.rows.len(), 1);
    assert!(matches!(&table.rows[0][0], Cell::Key(Value::Text(_))));
    assert!(matches!(&table.rows[0][1], Cell::Key(Value::Int(n)) if *n > 1));
}

#[test]
fn several_shapes_of_values_come_out_as_they_are() {
    let table = run(
        "SELECT date_trunc('year', min_date) AS y, count(*) AS n, sum(d) AS s, stddev_pop(d) AS sd, corr(d, d) AS r, \
         count(*) > 100 AS many FROM (SELECT drug_exposure_start_date AS min_date, days_supply AS d FROM drug_exposure) t \
         GROUP BY 1 ORDER BY n DESC LIMIT 3",
    );
    assert_eq!(table.rows.len(), 3);
    let Cell::Key(Value::Text(year)) = &table.rows[0][0] else {
        panic!("{:?}", table.rows[0][0])
    };
    assert!(year.contains("-01-01"), "{year}");
    assert!(matches!(
        table.rows[0][5],
        Cell::Shown {
            value: Value::Bool(_),
            ..
        }
    ));
}

/// What the only row of a statement's answer measures: kind, columns without their dataset, whether plain.
fn measured(sql: &str) -> Vec<(Aggregate, Option<Vec<String>>, bool)> {
    let answer = answer_on(&gibleed(), sql).unwrap();
    let all: BTreeSet<_> = answer
        .populations
        .cells
        .into_iter()
        .flat_map(|population| population.measures)
        .collect();
    let short = |name: String| name.split_once('.').unwrap().1.to_owned();
    all.into_iter()
        .map(|m| {
            let columns = m.columns.map(|c| c.into_iter().map(short).collect());
            (m.kind, columns, m.is_plain)
        })
        .collect()
}

#[test]
fn populations_say_what_was_measured_of_them_however_it_is_renamed() {
    let is = |sql: &str, kind, columns: Option<&[&str]>, plain| {
        let columns = columns.map(|all| all.iter().map(|&c| c.to_owned()).collect::<Vec<_>>());
        assert_eq!(measured(sql), [(kind, columns, plain)], "{sql}");
    };
    let year = &["person.year_of_birth"][..];
    let both = &["person.gender_concept_id", "person.year_of_birth"][..];
    is(
        "SELECT count(*) FROM person",
        Aggregate::Count,
        Some(&[]),
        true,
    );
    is(
        "SELECT avg(year_of_birth) FROM person",
        Aggregate::Mean,
        Some(year),
        true,
    );
    is(
        "SELECT sum(CASE WHEN gender_concept_id = 8532 THEN year_of_birth END) FROM person",
        Aggregate::Sum,
        Some(both),
        false,
    );
    is(
        "SELECT sum(year_of_birth) FILTER (WHERE gender_concept_id = 8532) FROM person",
        Aggregate::Sum,
        Some(both),
        false,
    );
    is(
        "WITH a AS (SELECT person_id, year_of_birth AS y FROM person) \
         SELECT avg(b.z) FROM (SELECT y AS z FROM a) b",
        Aggregate::Mean,
        Some(year),
        true,
    );
    is(
        "SELECT avg(b.z) FROM (SELECT CASE WHEN gender_concept_id = 8532 THEN year_of_birth END AS z \
         FROM person) b",
        Aggregate::Mean,
        Some(both),
        false,
    );
    is(
        "SELECT avg(p.year_of_birth) FROM condition_occurrence c JOIN person p \
         ON p.person_id = c.person_id",
        Aggregate::Mean,
        Some(year),
        true,
    );
}
