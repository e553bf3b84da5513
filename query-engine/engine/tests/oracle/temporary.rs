//! Temporary tables: their statistics equal those over the definitions, persons and all; they belong to the
//! session's memory and to nobody else.

use std::sync::Arc;

use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::Session;
use kekkai_output::Table;

use crate::common::{gibleed_sources, run_on, stream_on, terms};

fn session() -> Arc<Session> {
    Arc::new(Session::new(terms(), gibleed_sources()).unwrap())
}

fn shown(session: &Arc<Session>, sql: &str) -> Table {
    run_on(session, sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"))
}

/// Definitions, each followed by statistics over it.
const CASES: &[(&str, &[&str])] = &[
    (
        "SELECT * FROM person",
        &[
            "SELECT gender_source_value, count(*), avg(year_of_birth) FROM {} GROUP BY 1",
            "SELECT count(DISTINCT d.person_id) FROM {} t JOIN drug_exposure d ON d.person_id = t.person_id",
            "SELECT count(*) FROM {} WHERE person_id IN (SELECT person_id FROM visit_occurrence)",
        ],
    ),
    (
        "SELECT person_id, min(condition_start_date) AS first, max(condition_start_date) AS last, count(*) AS n \
         FROM condition_occurrence WHERE condition_concept_id = 40481087 GROUP BY person_id",
        &[
            "SELECT n, count(*), sum(last - first) FROM {} GROUP BY n",
            "SELECT p.gender_concept_id, count(*) FROM person p LEFT JOIN {} t ON t.person_id = p.person_id \
             WHERE t.n > 3 GROUP BY 1",
            "SELECT count(*) FROM person p WHERE NOT EXISTS (SELECT 1 FROM {} t WHERE t.person_id = p.person_id)",
            "SELECT count(*), sum(a.n) FROM {} a JOIN {} b ON a.person_id = b.person_id",
        ],
    ),
    // The key under another name, and not at all.
    (
        "SELECT person_id AS who, year_of_birth / 10 AS decade FROM person",
        &[
            "SELECT decade, count(*) FROM {} GROUP BY decade",
            "SELECT count(DISTINCT d.person_id) FROM {} t JOIN drug_exposure d ON d.person_id = t.who WHERE t.decade < 195",
        ],
    ),
    (
        "SELECT condition_concept_id AS c FROM condition_occurrence",
        &[
            "SELECT c, count(*) FROM {} GROUP BY c",
            "SELECT count(DISTINCT c) FROM {}",
        ],
    ),
    // Persons on one side of an outer join, two persons in a row, nobody.
    (
        "SELECT p.person_id, c.condition_concept_id AS c FROM person p LEFT JOIN condition_occurrence c \
         ON c.person_id = p.person_id AND c.condition_concept_id = 80180",
        &["SELECT c IS NULL, count(*), count(c) FROM {} GROUP BY 1"],
    ),
    (
        "SELECT a.year_of_birth AS y FROM person a JOIN person b ON a.year_of_birth = b.year_of_birth \
         AND a.month_of_birth = b.month_of_birth AND a.day_of_birth = b.day_of_birth",
        &["SELECT y, count(*) FROM {} GROUP BY y"],
    ),
    (
        "SELECT concept_id, upper(concept_name) AS name FROM concept",
        &[
            "SELECT t.name, count(DISTINCT c.person_id) FROM condition_occurrence c JOIN {} t \
           ON t.concept_id = c.condition_concept_id GROUP BY t.name",
        ],
    ),
];

#[test]
fn statistics_over_a_temporary_table_equal_those_over_its_definition() {
    let session = session();
    for (number, (definition, statements)) in CASES.iter().enumerate() {
        let name = format!("kept{number}");
        let create = format!("CREATE TEMPORARY TABLE {name} AS {definition}");
        let made = shown(&session, &create);
        assert_eq!(made.lineage.sql, create);
        let counted = shown(
            &session,
            &format!("SELECT count(*) AS rows FROM ({definition}) d"),
        );
        assert_eq!(
            (&made.columns, &made.rows),
            (&counted.columns, &counted.rows),
            "{create}"
        );
        for statement in *statements {
            let over = |table: &str| statement.replace("{}", table);
            let ours = shown(&session, &over(&name));
            let expected = shown(&session, &over(&format!("({definition})")));
            // Evidence is part of the cells: as many persons, the same shares.
            assert_eq!(ours.rows, expected.rows, "{statement}");
            assert_eq!(
                ours.groups_withheld, expected.groups_withheld,
                "{statement}"
            );
            assert_eq!(ours.lineage.datasets, expected.lineage.datasets);
            assert!(!ours.rows.is_empty(), "{statement}: nothing to compare");
        }
    }
}

#[test]
fn a_result_carries_the_definitions_that_it_was_made_of() {
    let session = session();
    let old = "CREATE TEMP TABLE old AS SELECT person_id FROM person WHERE year_of_birth < 1950";
    let ill = "CREATE TEMP TABLE ill AS SELECT o.person_id FROM old o JOIN condition_era c ON c.person_id = o.person_id";
    let other = "CREATE TEMP TABLE other AS SELECT person_id FROM person";
    for sql in [old, other, ill] {
        shown(&session, sql);
    }
    let last = "SELECT count(*) FROM ill";
    assert_eq!(
        shown(&session, last).lineage.sql,
        format!("{old};\n{ill};\n{last}")
    );
    // Also of a table that is gone.
    shown(&session, "DROP TABLE old");
    assert_eq!(
        shown(&session, last).lineage.sql,
        format!("{old};\n{ill};\n{last}")
    );
    let plain = "SELECT count(*) FROM person";
    assert_eq!(shown(&session, plain).lineage.sql, plain);
}

#[test]
fn temporary_tables_are_of_one_session_and_not_for_programs() {
    let session = session();
    shown(&session, "CREATE TEMP TABLE mine AS SELECT * FROM person");
    let other = self::session();
    let code = |session: &Arc<Session>, sql: &str| run_on(session, sql).unwrap_err().code;
    assert_eq!(
        code(&other, "SELECT count(*) FROM mine"),
        SqlErrorCode::TableUnknown
    );
    for rows in [true, false] {
        let asked = |sql: &str| stream_on(&session, sql, &[], rows).map(|_| ()).unwrap_err();
        let error = asked("SELECT count(*) FROM mine");
        assert_eq!(
            (error.code, error.candidates.len()),
            (SqlErrorCode::TableUnknown, 0)
        );
        for (sql, word) in [
            ("CREATE TEMP TABLE x AS SELECT * FROM person", "CREATE"),
            ("DROP TABLE mine", "DROP"),
            ("EXPLAIN SELECT count(*) FROM person", "EXPLAIN"),
        ] {
            let error = asked(sql);
            assert_eq!(
                (error.code, error.name.as_str()),
                (SqlErrorCode::StatementNotAllowed, word)
            );
        }
    }
}

#[test]
fn temporary_tables_share_the_sessions_memory_and_give_it_back() {
    let mut small = terms();
    small.memory_limit_bytes = 6 << 20;
    let session = Arc::new(Session::new(small, gibleed_sources()).unwrap());
    let create = |n: usize| {
        format!(
            "CREATE TEMP TABLE t{n} AS SELECT person_id, drug_exposure_id, drug_concept_id FROM drug_exposure"
        )
    };
    let made = (0..8)
        .take_while(|n| run_on(&session, &create(*n)).is_ok())
        .count();
    assert!((1..8).contains(&made), "{made} fit");
    // A table that could not be made is not there; one more can be made when another has gone.
    assert_eq!(
        run_on(&session, &create(made)).unwrap_err().code,
        SqlErrorCode::Memory
    );
    let missing = format!("SELECT count(*) FROM t{made}");
    assert_eq!(
        run_on(&session, &missing).unwrap_err().code,
        SqlErrorCode::TableUnknown
    );
    for n in 0..made {
        shown(&session, &format!("DROP TABLE t{n}"));
    }
    shown(&session, &create(made));
}

#[test]
fn a_session_has_so_many_temporary_tables_and_no_more() {
    let session = session();
    let create = |n: usize| format!("CREATE TEMP TABLE t{n} AS SELECT concept_id FROM concept");
    for n in 0..32 {
        shown(&session, &create(n));
    }
    let error = run_on(&session, &create(32)).unwrap_err();
    assert_eq!(
        (error.code, error.name.as_str(), error.at),
        (SqlErrorCode::Memory, "t32", Some((1, 19)))
    );
    shown(&session, "DROP TABLE t0");
    shown(&session, &create(32));
}
