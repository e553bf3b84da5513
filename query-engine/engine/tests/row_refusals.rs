//! What rows for programs refuse: the same names, statements and functions as statistics do, whatever the shape
//! around them, and no error holds a value.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use common::{gibleed, gibleed_sources, plain_file, rows, rows_refused, source, stream_on, terms};
use datafusion::execution::SessionStateDefaults;
use kekkai_analysis_api::SqlErrorCode::{self, *};
use kekkai_engine::{
    AGGREGATE_FUNCTIONS, ROW_AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, Session, WINDOW_FUNCTIONS,
};
use kekkai_output::Value;

const CASES: &[(&str, SqlErrorCode)] = &[
    // No queries.
    ("", Syntax),
    ("DROP TABLE person", StatementNotAllowed),
    (
        "CREATE TABLE x AS SELECT * FROM person",
        StatementNotAllowed,
    ),
    (
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
        StatementNotAllowed,
    ),
    (
        "COPY (SELECT * FROM person) TO '/tmp/x'",
        StatementNotAllowed,
    ),
    (
        "INSERT INTO person SELECT * FROM person",
        StatementNotAllowed,
    ),
    (
        "SET datafusion.execution.batch_size = 1",
        StatementNotAllowed,
    ),
    ("EXPLAIN ANALYZE SELECT * FROM person", StatementNotAllowed),
    ("SHOW TABLES", StatementNotAllowed),
    ("SELECT * INTO x FROM person", StatementNotAllowed),
    ("SELECT 1; SELECT 2", SeveralStatements),
    ("VALUES (1)", StatementNotAllowed),
    ("SELECT * FROM (VALUES (1), (2)) t", ClauseNotAllowed),
    // Tables that are not there, or not granted, or files.
    ("SELECT * FROM death", TableUnknown),
    ("SELECT * FROM information_schema.columns", TableUnknown),
    ("SELECT * FROM pg_catalog.pg_class", TableUnknown),
    ("SELECT * FROM other.gibleed.person", TableUnknown),
    ("SELECT * FROM '/etc/passwd'", TableUnknown),
    (
        "SELECT * FROM \"https://example.org/x.parquet\"",
        TableUnknown,
    ),
    (
        "SELECT * FROM read_parquet('/etc/passwd')",
        FunctionNotAllowed,
    ),
    (
        "SELECT * FROM generate_series(1, 1000000000)",
        FunctionNotAllowed,
    ),
    ("SELECT * FROM unnest(ARRAY[1, 2])", FunctionNotAllowed),
    (
        "SELECT person_id FROM person UNION ALL SELECT person_id FROM death",
        TableUnknown,
    ),
    ("SELECT (SELECT count(*) FROM death)", TableUnknown),
    (
        "WITH d AS (SELECT * FROM death) SELECT * FROM d",
        TableUnknown,
    ),
    // Clauses.
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        ClauseNotAllowed,
    ),
    (
        "SELECT DISTINCT ON (person_id) * FROM person",
        ClauseNotAllowed,
    ),
    (
        "SELECT * FROM person TABLESAMPLE BERNOULLI (10)",
        ClauseNotAllowed,
    ),
    ("SELECT * FROM person FOR UPDATE", ClauseNotAllowed),
    (
        "SELECT * FROM person p JOIN LATERAL (SELECT 1 FROM visit_occurrence v WHERE v.person_id = p.person_id) x ON true",
        ClauseNotAllowed,
    ),
    (
        "SELECT gender_concept_id, count(*) FROM person GROUP BY ROLLUP (gender_concept_id)",
        ClauseNotAllowed,
    ),
    (
        "SELECT person_id FROM person UNION BY NAME SELECT person_id FROM person",
        ClauseNotAllowed,
    ),
    ("SELECT ARRAY[person_id] FROM person", ClauseNotAllowed),
    (
        "SELECT person_id FROM person WHERE person_id = $1",
        ClauseNotAllowed,
    ),
    ("SELECT row_number() FROM person", ClauseNotAllowed),
    ("SELECT person_id | 1 FROM person", ClauseNotAllowed),
    // Functions.
    ("SELECT now() FROM person", FunctionNotAllowed),
    ("SELECT random() FROM person", FunctionNotAllowed),
    ("SELECT uuid() FROM person", FunctionNotAllowed),
    ("SELECT repeat('x', 1000000000)", FunctionNotAllowed),
    ("SELECT lpad('x', 1000000000)", FunctionNotAllowed),
    (
        "SELECT array_agg(person_id) FROM person",
        FunctionNotAllowed,
    ),
    (
        "SELECT string_agg(gender_source_value, ',') FROM person",
        FunctionNotAllowed,
    ),
    (
        "SELECT array_agg(person_id) OVER (PARTITION BY year_of_birth) FROM person",
        FunctionNotAllowed,
    ),
    ("SELECT unnest(ARRAY[1, 2])", FunctionNotAllowed),
    (
        "SELECT arrow_cast(person_id, 'Utf8') FROM person",
        FunctionNotAllowed,
    ),
    ("SELECT version()", FunctionNotAllowed),
    ("SELECT mediam(person_id) FROM person", FunctionUnknown),
    // Types.
    ("SELECT INTERVAL '1 day' FROM person", Type),
    (
        "SELECT CAST(birth_datetime AS timestamp) - TIMESTAMP '1970-01-01' AS x FROM person",
        Type,
    ),
    ("SELECT sum(gender_source_value) FROM person", Type),
    ("SELECT CAST(person_id AS bytea) FROM person", Type),
    ("SELECT gender_concept_id, count(*) FROM person", NotGrouped),
    // Values on some row.
    (
        "SELECT 1 / (year_of_birth - year_of_birth) FROM person",
        Evaluation,
    ),
    (
        "SELECT CAST(gender_source_value AS bigint) FROM person",
        Evaluation,
    ),
    ("SELECT year_of_birth / 0 FROM person", Evaluation),
];

#[test]
fn each_wrong_statement_has_its_code() {
    let mut wrong = Vec::new();
    for (sql, code) in CASES {
        match stream_on(&gibleed(), sql, &[], true) {
            Ok(_) => wrong.push(format!("{sql}\n    was answered")),
            Err(error) if error.code != *code => {
                wrong.push(format!("{sql}\n    expected {code:?}, found {error:?}"));
            }
            Err(_) => {}
        }
    }
    assert!(CASES.len() >= 30);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_shape_reaches_a_column_that_is_not_granted() {
    // One of the data, one of ours.
    for column in ["person_source_value", "__kekkai_p1", "__kekkai_r0"] {
        let shapes = [
            "SELECT {} FROM person",
            "SELECT p.{} FROM person p",
            "SELECT 1 FROM person WHERE {} = '1'",
            "SELECT 1 FROM person ORDER BY {}",
            "SELECT min({}) FROM person",
            "SELECT count(*) FROM person GROUP BY {}",
            "SELECT row_number() OVER (PARTITION BY {}) FROM person",
            "SELECT row_number() OVER (ORDER BY {}) FROM person",
            "SELECT lag({}) OVER (ORDER BY person_id) FROM person",
            "SELECT sum(1) OVER w FROM person WINDOW w AS (ORDER BY {})",
            "SELECT person_id FROM person QUALIFY first_value({}) OVER (ORDER BY person_id) = '1'",
            "SELECT DISTINCT {} FROM person",
            "SELECT gender_source_value FROM person UNION SELECT {} FROM person",
            "SELECT gender_source_value FROM person EXCEPT SELECT {} FROM person",
            "SELECT gender_source_value FROM person INTERSECT SELECT {} FROM person",
            "SELECT (SELECT max({}) FROM person)",
            "SELECT 1 FROM person WHERE '1' IN (SELECT {} FROM person)",
            "SELECT 1 FROM concept c WHERE EXISTS (SELECT 1 FROM person p WHERE p.{} = c.concept_name)",
            "SELECT 1 FROM person a JOIN person b ON a.{} = b.gender_source_value",
            "SELECT 1 FROM person a LEFT JOIN person b USING ({})",
            "WITH x AS (SELECT {} FROM person) SELECT * FROM x",
            "SELECT x.* FROM (SELECT {} FROM person) x",
            "SELECT count(*) FILTER (WHERE {} = '1') FROM person",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY {}) FROM person",
            "SELECT CASE WHEN {} IS NULL THEN 1 END FROM person",
            "SELECT coalesce({}, '') FROM person",
        ];
        for shape in shapes {
            let error = rows_refused(&shape.replace("{}", column));
            assert_eq!(error.code, ColumnUnknown, "{shape}: {error:?}");
            assert!(
                !error.candidates.iter().any(|name| name == column),
                "{shape}"
            );
        }
    }
    let all = rows("SELECT * FROM person LIMIT 1", &[]);
    let names: Vec<String> = all
        .batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert!(names.contains(&"person_id".to_owned()) && names.len() > 10);
    assert!(
        !names
            .iter()
            .any(|name| name == "person_source_value" || name.starts_with("__"))
    );
}

#[test]
fn only_listed_functions_make_rows() {
    let listed = |name: &str| {
        SCALAR_FUNCTIONS.contains(&name)
            || AGGREGATE_FUNCTIONS.contains(&name)
            || ROW_AGGREGATE_FUNCTIONS.contains(&name)
    };
    let scalar = SessionStateDefaults::default_scalar_functions();
    let aggregate = SessionStateDefaults::default_aggregate_functions();
    let names = scalar
        .iter()
        .map(|f| f.name())
        .chain(aggregate.iter().map(|f| f.name()));
    let unlisted: Vec<&str> = names
        .filter(|name| !listed(name) && !WINDOW_FUNCTIONS.contains(name))
        .collect();
    assert!(unlisted.len() > 60, "{}", unlisted.len());
    for name in unlisted {
        for sql in [
            format!("SELECT {name}(year_of_birth) FROM person"),
            format!("SELECT {name}(year_of_birth) OVER (ORDER BY person_id) FROM person"),
        ] {
            // Some have a grammar of their own that leaves no room for arguments.
            let code = rows_refused(&sql).code;
            assert!(matches!(code, FunctionNotAllowed | Syntax), "{sql}: {code}");
        }
    }
    for name in WINDOW_FUNCTIONS {
        let args = match *name {
            "ntile" => "3",
            "nth_value" => "year_of_birth, 2",
            "lag" | "lead" | "first_value" | "last_value" => "year_of_birth",
            _ => "",
        };
        rows(
            &format!("SELECT {name}({args}) OVER (ORDER BY person_id) AS x FROM person"),
            &[],
        );
    }
    for name in ROW_AGGREGATE_FUNCTIONS {
        let args = match *name {
            "bool_and" | "bool_or" => "year_of_birth > 1950",
            "approx_percentile_cont" | "percentile_cont" => "year_of_birth, 0.5",
            _ => "year_of_birth",
        };
        rows(&format!("SELECT {name}({args}) AS x FROM person"), &[]);
    }
}

#[test]
fn parameters_and_question_marks_are_of_one_number() {
    let session = gibleed();
    let refused = |sql: &str, parameters: &[Value], rows: bool| {
        stream_on(&session, sql, parameters, rows)
            .map(|_| ())
            .unwrap_err()
    };
    let one = [Value::Int(1)];
    let sql = "SELECT count(*) FROM person\nWHERE person_id = ? OR year_of_birth = ?";
    for rows in [true, false] {
        let error = refused(sql, &one, rows);
        assert_eq!(
            (error.code, error.at, error.name.as_str()),
            (Parameters, Some((2, 40)), "?")
        );
        let error = refused("SELECT count(*) FROM person", &one, rows);
        assert_eq!((error.code, error.at), (Parameters, None));
    }
    // A position in the list of columns is part of the statement.
    for sql in [
        "SELECT person_id FROM person ORDER BY ?",
        "SELECT person_id, count(*) FROM person GROUP BY (?)",
    ] {
        assert_eq!(refused(sql, &one, true).code, ClauseNotAllowed, "{sql}");
    }
    for sql in [
        "SELECT ? FROM person",
        "SELECT count(*) FROM person WHERE gender_source_value = ?",
    ] {
        let long = [Value::Text("x".repeat(70_000))];
        assert_eq!(refused(sql, &long, true).code, TooLong, "{sql}");
    }
    // A value stands where a value may: not as a table, a column's name or a type.
    for (sql, code) in [
        ("SELECT * FROM ?", Syntax),
        ("SELECT person.? FROM person", ColumnUnknown),
        ("SELECT CAST(1 AS ?)", Syntax),
    ] {
        let error = refused(sql, &[Value::Text("person_id".to_owned())], true);
        assert_eq!(error.code, code, "{sql}");
    }
}

#[test]
fn no_error_holds_a_value_of_the_data() {
    const SECRET: &str = "KEKKAI-SENTINEL-91c4";
    let batch = RecordBatch::try_from_iter([
        ("p", Arc::new((0..50).collect::<Int64Array>()) as _),
        (
            "n",
            Arc::new((918_273_645..918_273_695).collect::<Int64Array>()) as _,
        ),
        ("t", Arc::new(StringArray::from(vec![SECRET; 50])) as _),
    ])
    .unwrap();
    let source = source("secret", "t", plain_file(&batch), Some("p"), &[]);
    let session = Arc::new(Session::new(terms(), vec![source]).unwrap());
    let cases: &[(&str, Option<(u32, u32)>)] = &[
        ("SELECT CAST(t AS bigint) FROM t", Some((1, 8))),
        ("SELECT t::date FROM t", Some((1, 9))),
        (
            "SELECT CAST(t AS bigint) AS a, CAST(t AS double) AS b FROM t",
            None,
        ),
        ("SELECT CAST(t AS timestamp) FROM t", Some((1, 8))),
        ("SELECT to_timestamp(t) FROM t", None),
        ("SELECT to_date(t) FROM t", None),
        ("SELECT CAST(n AS smallint) FROM t", Some((1, 8))),
        ("SELECT 7 / (n - 918273650) FROM t", Some((1, 10))),
        ("SELECT n % (n - n) FROM t", Some((1, 10))),
        ("SELECT CAST(n AS decimal(3, 2)) FROM t", Some((1, 8))),
        ("SELECT make_date(n, 13, 1) FROM t", None),
        ("SELECT 'a' ~ concat('(', t) FROM t", None),
        ("SELECT (SELECT t FROM t) AS x", None),
        ("SELECT chr(n) FROM t", None),
    ];
    for (sql, at) in cases {
        let error = stream_on(&session, sql, &[], true).map(|_| ()).unwrap_err();
        let said = format!("{error:?}");
        assert!(
            !said.contains("SENTINEL") && !said.contains("91827"),
            "{sql}: {said}"
        );
        assert_eq!((error.code, error.at), (Evaluation, *at), "{sql}");
    }
}

#[test]
fn too_little_memory_is_an_error_and_nothing_spills() {
    let mut small = terms();
    small.memory_limit_bytes = 2_000_000;
    let session = Arc::new(Session::new(small, gibleed_sources()).unwrap());
    for sql in [
        "SELECT drug_exposure_id, person_id, drug_concept_id, drug_exposure_start_date FROM drug_exposure ORDER BY drug_concept_id",
        "SELECT drug_exposure_id, drug_source_value, count(*) FROM drug_exposure GROUP BY 1, 2",
        "SELECT a.drug_exposure_id FROM drug_exposure a JOIN drug_exposure b ON a.drug_exposure_id = b.drug_exposure_id",
        "SELECT drug_source_value, sum(drug_exposure_id) OVER () AS s FROM drug_exposure",
        "SELECT person_id, max(drug_exposure_id) OVER (PARTITION BY drug_type_concept_id) AS s FROM drug_exposure",
        "SELECT median(drug_exposure_id), percentile_cont(drug_exposure_id, 0.1), count(DISTINCT drug_exposure_id) FROM drug_exposure",
    ] {
        let error = stream_on(&session, sql, &[], true).map(|_| ()).unwrap_err();
        assert_eq!(error.code, Memory, "{sql}");
        rows(sql, &[]);
    }
    // What needs none goes through, however much it is.
    let all = stream_on(
        &session,
        "SELECT person_id, drug_concept_id FROM drug_exposure",
        &[],
        true,
    )
    .unwrap();
    assert_eq!(all.sent.rows, 67_707);
}

#[test]
fn deep_and_long_statements_are_refused_or_answered_but_never_kill() {
    let union = vec!["SELECT person_id FROM person WHERE person_id = 6"; 30].join(" UNION ALL ");
    assert_eq!(rows(&union, &[]).sent.rows, 30);
    let unions = vec!["SELECT 1"; 500].join(" UNION ");
    assert_eq!(rows_refused(&unions).code, TooLong);
    let windows = vec!["sum(person_id) OVER (ORDER BY person_id)"; 40].join(" + ");
    assert_eq!(
        rows(&format!("SELECT {windows} AS x FROM person"), &[])
            .sent
            .rows,
        2694
    );
    let mut scalar = "SELECT max(person_id) FROM person".to_owned();
    for _ in 0..10 {
        scalar = format!("SELECT max(person_id) FROM person WHERE person_id <= ({scalar})");
    }
    assert_eq!(rows(&scalar, &[]).sent.rows, 1);
    for _ in 0..40 {
        scalar = format!("SELECT ({scalar})");
    }
    assert_eq!(rows_refused(&scalar).code, TooLong);
    let tables: Vec<String> = (0..40).map(|i| format!("person p{i}")).collect();
    let sql = format!("SELECT 1 FROM {}", tables.join(", "));
    assert_eq!(rows_refused(&sql).code, TooLong);
    let marks = vec!["?"; 5000].join(", ");
    let values: Vec<Value> = (0..5000).map(Value::Int).collect();
    let sql = format!("SELECT person_id FROM person WHERE person_id IN ({marks})");
    assert!(rows(&sql, &values).sent.rows > 100);
}
