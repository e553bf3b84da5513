//! Each refusal has its code and its place, and none of them says anything of the data.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{gibleed, gibleed_sources, refused, run, run_on, terms};
use kekkai_analysis_api::SqlErrorCode::{self, *};
use kekkai_engine::{AGGREGATE_FUNCTIONS, QUANTILE_FUNCTIONS, Session};

/// A statement, its code, its place, its name.
type Case = (&'static str, SqlErrorCode, Option<(u32, u32)>, &'static str);

const CASES: &[Case] = &[
    // Not SQL.
    ("", Syntax, Some((1, 1)), ""),
    ("SELEC count(*) FROM person", Syntax, Some((1, 1)), "SELEC"),
    ("SELECT count(* FROM person", Syntax, Some((1, 16)), "FROM"),
    (
        "SELECT count(*) FROM person WHERE",
        Syntax,
        Some((1, 34)),
        "",
    ),
    (
        "SELECT count(*) FROM person\nGROUP gender_concept_id",
        Syntax,
        Some((2, 1)),
        "GROUP",
    ),
    (
        "SELECT count(*) FROM person WHERE location_id = 'x",
        Syntax,
        Some((1, 49)),
        "",
    ),
    // More than one, or no query.
    (
        "SELECT count(*) FROM person; SELECT 1",
        SeveralStatements,
        Some((1, 30)),
        "",
    ),
    (
        "SELECT count(*) FROM person; DROP TABLE person",
        SeveralStatements,
        Some((1, 30)),
        "",
    ),
    (
        "DROP TABLE person",
        StatementNotAllowed,
        Some((1, 1)),
        "DROP",
    ),
    (
        "CREATE TABLE x AS SELECT * FROM person",
        StatementNotAllowed,
        Some((1, 1)),
        "CREATE",
    ),
    (
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/data'",
        StatementNotAllowed,
        Some((1, 1)),
        "CREATE",
    ),
    (
        "CREATE VIEW v AS SELECT * FROM person",
        StatementNotAllowed,
        Some((1, 1)),
        "CREATE",
    ),
    (
        "COPY person TO '/tmp/out.csv'",
        StatementNotAllowed,
        Some((1, 1)),
        "COPY",
    ),
    (
        "COPY (SELECT * FROM person) TO '/tmp/out.csv'",
        StatementNotAllowed,
        Some((1, 1)),
        "COPY",
    ),
    (
        "INSERT INTO person VALUES (1)",
        StatementNotAllowed,
        Some((1, 1)),
        "INSERT",
    ),
    (
        "UPDATE person SET gender_concept_id = 1",
        StatementNotAllowed,
        Some((1, 1)),
        "UPDATE",
    ),
    (
        "DELETE FROM person",
        StatementNotAllowed,
        Some((1, 1)),
        "DELETE",
    ),
    (
        "SET datafusion.execution.batch_size = 1",
        StatementNotAllowed,
        Some((1, 1)),
        "SET",
    ),
    ("SHOW TABLES", StatementNotAllowed, Some((1, 1)), "SHOW"),
    // A plan is shown of what may run.
    (
        "EXPLAIN SELECT person_id FROM person",
        RowsNotAllowed,
        Some((1, 9)),
        "SELECT",
    ),
    (
        "EXPLAIN VERBOSE SELECT count(*) FROM person",
        StatementNotAllowed,
        Some((1, 1)),
        "EXPLAIN",
    ),
    // Temporary tables.
    (
        "CREATE TEMPORARY TABLE person AS SELECT * FROM visit_occurrence",
        TableExists,
        Some((1, 24)),
        "person",
    ),
    (
        "CREATE TEMP TABLE x AS SELECT person_source_value FROM person",
        ColumnUnknown,
        Some((1, 31)),
        "person_source_value",
    ),
    (
        "CREATE TEMP TABLE x AS SELECT gender_concept_id, count(*) AS n FROM person GROUP BY 1",
        NotFollowed,
        Some((1, 76)),
        "GROUP BY",
    ),
    (
        "CREATE TEMP TABLE x AS SELECT * FROM person WHERE person_id < 9",
        ClauseNotAllowed,
        Some((1, 51)),
        "person_id",
    ),
    (
        "CREATE TEMP TABLE x AS SELECT * FROM person LIMIT 10",
        NotFollowed,
        Some((1, 45)),
        "LIMIT",
    ),
    ("CREATE TEMP TABLE x (a bigint)", Syntax, Some((1, 21)), "("),
    ("DROP TABLE persons", TableUnknown, Some((1, 12)), "persons"),
    ("DROP TABLE death", TableUnknown, Some((1, 12)), "death"),
    (
        "EXPLAIN ANALYZE SELECT count(*) FROM person",
        StatementNotAllowed,
        Some((1, 1)),
        "EXPLAIN",
    ),
    (
        "DESCRIBE person",
        StatementNotAllowed,
        Some((1, 1)),
        "DESCRIBE",
    ),
    (
        "PREPARE p AS SELECT 1",
        StatementNotAllowed,
        Some((1, 1)),
        "PREPARE",
    ),
    ("VALUES (1)", StatementNotAllowed, Some((1, 1)), "VALUES"),
    (
        "SELECT * INTO x FROM person",
        StatementNotAllowed,
        Some((1, 10)),
        "INTO",
    ),
    // Rows.
    (
        "SELECT * FROM person",
        RowsNotAllowed,
        Some((1, 1)),
        "SELECT",
    ),
    (
        "SELECT year_of_birth FROM person LIMIT 1",
        RowsNotAllowed,
        Some((1, 1)),
        "SELECT",
    ),
    (
        "SELECT p.person_id FROM person p JOIN visit_occurrence v USING (person_id)",
        RowsNotAllowed,
        Some((1, 1)),
        "SELECT",
    ),
    ("SELECT 1", RowsNotAllowed, Some((1, 1)), "SELECT"),
    // Names.
    (
        "SELECT count(*) FROM persons",
        TableUnknown,
        Some((1, 22)),
        "persons",
    ),
    (
        "SELECT count(*) FROM death",
        TableUnknown,
        Some((1, 22)),
        "death",
    ),
    (
        "SELECT count(*) FROM information_schema.tables",
        TableUnknown,
        Some((1, 41)),
        "information_schema.tables",
    ),
    (
        "SELECT count(*) FROM '/etc/passwd'",
        TableUnknown,
        Some((1, 22)),
        "/etc/passwd",
    ),
    (
        "SELECT count(gendr_concept_id) FROM person",
        ColumnUnknown,
        Some((1, 14)),
        "gendr_concept_id",
    ),
    (
        "SELECT count(*)\nFROM person\nWHERE p.year_of_birth = 1",
        ColumnUnknown,
        Some((3, 7)),
        "p",
    ),
    // There, but not granted: the same answer.
    (
        "SELECT count(person_source_value) FROM person",
        ColumnUnknown,
        Some((1, 14)),
        "person_source_value",
    ),
    (
        "SELECT count(__kekkai_p1) FROM person",
        ColumnUnknown,
        Some((1, 14)),
        "__kekkai_p1",
    ),
    (
        "SELECT count(visit_concept_id) FROM visit_occurrence a JOIN visit_occurrence b ON a.person_id = b.person_id",
        ColumnAmbiguous,
        Some((1, 14)),
        "visit_concept_id",
    ),
    // Functions.
    (
        "SELECT max(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "max",
    ),
    (
        "SELECT count(*), min(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 18)),
        "min",
    ),
    (
        "SELECT approx_median(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "approx_median",
    ),
    (
        "SELECT approx_percentile_cont(year_of_birth, 0.5) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "approx_percentile_cont",
    ),
    (
        "SELECT array_agg(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "array_agg",
    ),
    (
        "SELECT string_agg(gender_source_value, ',') FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "string_agg",
    ),
    (
        "SELECT first_value(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "first_value",
    ),
    (
        "SELECT any_value(year_of_birth) FROM person",
        FunctionNotAllowed,
        Some((1, 8)),
        "any_value",
    ),
    (
        "SELECT count(*) FROM read_parquet('/data/x.parquet')",
        FunctionNotAllowed,
        Some((1, 22)),
        "read_parquet",
    ),
    (
        "SELECT count(*) FROM generate_series(1, 10)",
        FunctionNotAllowed,
        Some((1, 22)),
        "generate_series",
    ),
    (
        "SELECT count(*) FROM person WHERE random() < 0.5",
        FunctionNotAllowed,
        Some((1, 35)),
        "random",
    ),
    (
        "SELECT count(*), now() FROM person",
        FunctionNotAllowed,
        Some((1, 18)),
        "now",
    ),
    (
        "SELECT count(repeat(gender_source_value, 1000000000)) FROM person",
        FunctionNotAllowed,
        Some((1, 14)),
        "repeat",
    ),
    (
        "SELECT count(arrow_cast(year_of_birth, 'Utf8')) FROM person",
        FunctionNotAllowed,
        Some((1, 14)),
        "arrow_cast",
    ),
    (
        "SELECT cuont(*) FROM person",
        FunctionUnknown,
        Some((1, 8)),
        "cuont",
    ),
    // Types.
    (
        "SELECT sum(gender_source_value) FROM person",
        Type,
        Some((1, 8)),
        "sum",
    ),
    (
        "SELECT count(*) FROM person WHERE gender_concept_id = 1 AND birth_datetime > true",
        Type,
        Some((1, 61)),
        "birth_datetime",
    ),
    (
        "SELECT count(CAST(year_of_birth AS decimal(10, 2))) FROM person",
        Type,
        Some((1, 19)),
        "DECIMAL(10,2)",
    ),
    (
        "SELECT count(*) FROM person WHERE NOT year_of_birth",
        Type,
        Some((1, 39)),
        "year_of_birth",
    ),
    // Grouping.
    (
        "SELECT gender_concept_id, count(*) FROM person",
        NotGrouped,
        Some((1, 8)),
        "gender_concept_id",
    ),
    (
        "SELECT count(*) FROM person GROUP BY gender_concept_id HAVING year_of_birth > 1",
        NotGrouped,
        Some((1, 63)),
        "year_of_birth",
    ),
    // What can't be followed.
    (
        "SELECT DISTINCT gender_concept_id FROM person",
        NotFollowed,
        Some((1, 8)),
        "DISTINCT",
    ),
    (
        "SELECT count(*) FROM person UNION ALL SELECT count(*) FROM visit_occurrence",
        NotFollowed,
        Some((1, 29)),
        "UNION",
    ),
    (
        "SELECT row_number() OVER () FROM person",
        NotFollowed,
        Some((1, 21)),
        "OVER",
    ),
    (
        "SELECT count(*) OVER () FROM person",
        NotFollowed,
        Some((1, 17)),
        "OVER",
    ),
    (
        "SELECT avg(n) FROM (SELECT gender_concept_id, count(*) AS n FROM person GROUP BY 1) t",
        NotFollowed,
        Some((1, 73)),
        "GROUP BY",
    ),
    (
        "SELECT count(*) FROM (SELECT * FROM person LIMIT 100) t",
        NotFollowed,
        Some((1, 44)),
        "LIMIT",
    ),
    (
        "SELECT count(*) FROM (SELECT * FROM person ORDER BY year_of_birth LIMIT 100) t",
        NotFollowed,
        Some((1, 67)),
        "LIMIT",
    ),
    (
        "SELECT count(*) FROM (SELECT DISTINCT visit_concept_id FROM visit_occurrence) t",
        NotFollowed,
        Some((1, 30)),
        "DISTINCT",
    ),
    (
        "SELECT count(*) FROM person WHERE year_of_birth > (SELECT avg(year_of_birth) FROM person)",
        NotFollowed,
        Some((1, 52)),
        "SELECT",
    ),
    (
        "SELECT (SELECT count(*) FROM person)",
        NotFollowed,
        Some((1, 9)),
        "SELECT",
    ),
    (
        "SELECT a.n FROM (SELECT count(*) AS n FROM person) a CROSS JOIN (SELECT count(*) AS m FROM person) b",
        NotFollowed,
        Some((1, 60)),
        "JOIN",
    ),
    (
        "SELECT count(*) FROM person p JOIN LATERAL (SELECT 1 FROM visit_occurrence v WHERE v.person_id = p.person_id) x ON true",
        ClauseNotAllowed,
        Some((1, 36)),
        "LATERAL",
    ),
    // Clauses.
    (
        "SELECT grouping(gender_concept_id), count(*) FROM person GROUP BY ROLLUP (gender_concept_id)",
        FunctionNotAllowed,
        Some((1, 8)),
        "grouping",
    ),
    (
        "SELECT gender_concept_id, count(*) FROM person GROUP BY ALL",
        ClauseNotAllowed,
        Some((1, 48)),
        "GROUP BY",
    ),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        ClauseNotAllowed,
        Some((1, 6)),
        "RECURSIVE",
    ),
    (
        "SELECT count(*) FROM person TABLESAMPLE BERNOULLI (10)",
        ClauseNotAllowed,
        Some((1, 22)),
        "person",
    ),
    (
        "SELECT sum(DISTINCT year_of_birth) FROM person",
        ClauseNotAllowed,
        Some((1, 8)),
        "DISTINCT",
    ),
    (
        "SELECT count(*) FROM person WHERE year_of_birth = $1",
        ClauseNotAllowed,
        Some((1, 51)),
        "$1",
    ),
    (
        "SELECT count(*) FROM person WHERE person_id = 5",
        ClauseNotAllowed,
        Some((1, 35)),
        "person_id",
    ),
    (
        "SELECT count(*) FROM person WHERE gender_source_value SIMILAR TO 'M'",
        ClauseNotAllowed,
        Some((1, 35)),
        "gender_source_value SIMILAR TO '",
    ),
    (
        "SELECT count(*) FROM person WHERE year_of_birth | 1 = 1",
        ClauseNotAllowed,
        Some((1, 35)),
        "|",
    ),
    (
        "SELECT count(ARRAY[1, 2]) FROM person",
        ClauseNotAllowed,
        Some((1, 20)),
        "ARRAY[1, 2]",
    ),
    (
        "SELECT count(*) FROM person FOR UPDATE",
        ClauseNotAllowed,
        Some((1, 29)),
        "FOR",
    ),
    // Values.
    (
        "SELECT count(*) / 0 FROM person",
        Evaluation,
        Some((1, 19)),
        "",
    ),
];

#[test]
fn each_wrong_statement_has_its_code_and_place() {
    let mut wrong = Vec::new();
    for (sql, code, at, name) in CASES {
        match run_on(&gibleed(), sql) {
            Ok(_) => wrong.push(format!("{sql}\n    was answered")),
            Err(error) => {
                if (error.code, error.at, error.name.as_str()) != (*code, *at, *name) {
                    wrong.push(format!(
                        "{sql}\n    expected {code:?} {at:?} {name:?}\n    found    {:?} {:?} {:?}",
                        error.code, error.at, error.name
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
}

#[test]
fn checking_refuses_what_running_would() {
    // The last one fails only when it runs.
    for (sql, code, ..) in CASES.iter().filter(|(_, code, ..)| *code != Evaluation) {
        let session = gibleed();
        let sql = (*sql).to_owned();
        let check = common::runtime().spawn(async move { session.check(&sql) });
        assert_eq!(
            common::runtime().block_on(check).unwrap().unwrap_err().code,
            *code
        );
    }
}

#[test]
fn names_that_were_perhaps_meant_are_granted_ones() {
    assert_eq!(refused("SELECT count(*) FROM persn").candidates, ["person"]);
    assert_eq!(
        refused("SELECT count(year_of_brith) FROM person").candidates,
        ["year_of_birth"]
    );
    assert!(
        refused("SELECT cuont(*) FROM person")
            .candidates
            .contains(&"count".to_owned())
    );
    // Not granted: not offered.
    let hidden = refused("SELECT count(person_source_valu) FROM person").candidates;
    assert!(
        !hidden.iter().any(|name| name == "person_source_value"),
        "{hidden:?}"
    );
}

#[test]
fn deep_and_long_statements_are_refused_or_answered_but_never_kill() {
    let chain = |n: usize, op: &str| {
        let terms = vec!["year_of_birth > 1"; n].join(op);
        format!("SELECT count(*) FROM person WHERE {terms}")
    };
    assert_eq!(refused(&chain(2000, " AND ")).code, TooLong);
    assert_eq!(common::int(&run(&chain(150, " AND ")).rows[0][0]), 2694);
    assert_eq!(common::int(&run(&chain(150, " OR ")).rows[0][0]), 2694);
    let sum = format!(
        "SELECT count({}) FROM person",
        vec!["year_of_birth"; 300].join(" + ")
    );
    assert_eq!(common::int(&run(&sum).rows[0][0]), 2694);
    let nested = |n: usize| {
        let mut sql = "SELECT * FROM person".to_owned();
        for i in 0..n {
            sql = format!("SELECT * FROM ({sql}) t{i}");
        }
        format!("SELECT count(*) FROM ({sql}) t")
    };
    assert_eq!(common::int(&run(&nested(10)).rows[0][0]), 2694);
    assert_eq!(refused(&nested(390)).code, TooLong);
    let parentheses = format!(
        "SELECT count({}1{}) FROM person",
        "(".repeat(390),
        ")".repeat(390)
    );
    assert_eq!(refused(&parentheses).code, TooLong);
    // Here the parser gives up without saying that depth is why.
    let nots = format!(
        "SELECT count(*) FROM person WHERE {} true",
        "NOT ".repeat(390)
    );
    assert!(matches!(refused(&nots).code, TooLong | Syntax));
    let cases = format!(
        "SELECT count({}1{}) FROM person",
        "CASE WHEN true THEN ".repeat(200),
        " END".repeat(200)
    );
    assert!(matches!(refused(&cases).code, TooLong | Syntax));
    let joins: Vec<String> = (0..40).map(|i| format!("person p{i}")).collect();
    assert_eq!(
        refused(&format!("SELECT count(*) FROM {}", joins.join(", "))).code,
        TooLong
    );
    assert_eq!(refused(&" ".repeat(70_000)).code, TooLong);
    let codes: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
    let list = format!(
        "SELECT count(*) FROM person WHERE year_of_birth IN ({})",
        codes.join(",")
    );
    assert_eq!(common::int(&run(&list).rows[0][0]), 2694);
}

#[test]
fn only_listed_aggregates_answer() {
    for name in AGGREGATE_FUNCTIONS {
        let args = if ["corr", "covar_pop", "covar_samp"].contains(name) {
            "year_of_birth, month_of_birth"
        } else {
            "year_of_birth"
        };
        run(&format!("SELECT {name}({args}) FROM person"));
    }
    assert_eq!(QUANTILE_FUNCTIONS, ["median", "percentile_cont"]);
    run("SELECT median(year_of_birth), percentile_cont(year_of_birth, 0.5) FROM person");
    let unlisted: Vec<String> =
        datafusion::execution::SessionStateDefaults::default_aggregate_functions()
            .iter()
            .map(|function| function.name().to_owned())
            .filter(|name| !AGGREGATE_FUNCTIONS.contains(&name.as_str()))
            .filter(|name| !QUANTILE_FUNCTIONS.contains(&name.as_str()))
            .collect();
    assert!(unlisted.len() > 20);
    for name in unlisted {
        let error = refused(&format!("SELECT {name}(year_of_birth) FROM person"));
        assert_eq!(error.code, FunctionNotAllowed, "{name}");
    }
}

#[test]
fn too_little_memory_is_an_error_and_nothing_spills() {
    let mut small = terms();
    small.memory_limit_bytes = 200_000;
    let session = std::sync::Arc::new(Session::new(small, gibleed_sources()).unwrap());
    let sql = "SELECT drug_exposure_start_date, drug_concept_id, count(DISTINCT person_id) FROM drug_exposure GROUP BY 1, 2";
    assert_eq!(run_on(&session, sql).unwrap_err().code, Memory);
    run(sql);
}

#[test]
fn two_datasets_with_one_table_name_are_told_apart() {
    let open = |name: &str| std::fs::File::open(common::gibleed_path(name)).unwrap();
    let sources = vec![
        common::source("a1", "person", open("person"), Some("person_id"), &[]),
        common::source("b-2", "person", open("person"), Some("person_id"), &[]),
    ];
    let session = std::sync::Arc::new(Session::new(terms(), sources).unwrap());
    let error = run_on(&session, "SELECT count(*) FROM person").unwrap_err();
    assert_eq!(
        (error.code, error.candidates),
        (
            TableUnknown,
            vec!["\"a1\".person".to_owned(), "\"b-2\".person".to_owned()]
        )
    );
    let table = run_on(&session, "SELECT count(*) FROM \"b-2\".person").unwrap();
    assert_eq!(table.lineage.datasets[0].0.as_str(), "b-2");
    // The same pseudonym in two datasets need not be the same person.
    let left = run_on(
        &session,
        "SELECT count(*) FROM a1.person a LEFT JOIN \"b-2\".person b ON a.person_id = b.person_id",
    );
    assert_eq!(left.unwrap_err().code, NotFollowed);
}
