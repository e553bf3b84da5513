//! Rows for programs: equal to plain DataFusion over the same files, and their persons counted exactly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use common::{gibleed, plain_file, rows, run_on, runtime, source, stream_on, terms};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::{Cancel, Piece, Session, Statement, Stopped};
use kekkai_output::Value;
use tokio::runtime::Handle;

/// A statement for both, and a statement whose only value is the number of persons; `""` where there is none.
const CASES: &[(&str, &str)] = &[
    // Filter, projection, order, limit.
    (
        "SELECT person_id, year_of_birth, gender_source_value FROM person",
        "SELECT count(DISTINCT person_id) FROM person",
    ),
    (
        "SELECT person_id, year_of_birth + 1 AS y FROM person WHERE year_of_birth < 1930",
        "SELECT count(DISTINCT person_id) FROM person WHERE year_of_birth < 1930",
    ),
    (
        "SELECT year_of_birth FROM person ORDER BY year_of_birth DESC, person_id LIMIT 17",
        "SELECT 17",
    ),
    (
        "SELECT condition_occurrence_id FROM condition_occurrence ORDER BY 1 LIMIT 40 OFFSET 100",
        "SELECT count(DISTINCT person_id) FROM (SELECT * FROM condition_occurrence ORDER BY condition_occurrence_id LIMIT 40 OFFSET 100)",
    ),
    (
        "SELECT concept_id, concept_name FROM concept WHERE concept_name LIKE '%itis%'",
        "SELECT 0",
    ),
    ("SELECT 1 AS one, 'a' AS a, NULL AS nothing", "SELECT 0"),
    // Joins.
    (
        "SELECT p.person_id, c.condition_concept_id FROM person p JOIN condition_occurrence c ON c.person_id = p.person_id \
         WHERE p.year_of_birth > 1975",
        "SELECT count(DISTINCT p.person_id) FROM person p JOIN condition_occurrence c ON c.person_id = p.person_id \
         WHERE p.year_of_birth > 1975",
    ),
    (
        "SELECT p.person_id, c.condition_occurrence_id FROM person p LEFT JOIN condition_occurrence c \
         ON c.person_id = p.person_id AND c.condition_concept_id = 40481087",
        "SELECT count(DISTINCT person_id) FROM person",
    ),
    (
        "SELECT p.person_id, c.condition_occurrence_id FROM condition_occurrence c RIGHT JOIN person p \
         ON c.person_id = p.person_id AND c.condition_concept_id = 40481087",
        "SELECT count(DISTINCT person_id) FROM person",
    ),
    (
        "SELECT a.person_id AS a, b.person_id AS b FROM (SELECT person_id FROM person WHERE year_of_birth < 1950) a \
         FULL JOIN (SELECT person_id FROM person WHERE year_of_birth > 1940) b ON a.person_id = b.person_id",
        "SELECT count(DISTINCT person_id) FROM person",
    ),
    (
        "SELECT a.person_id AS a, b.person_id AS b FROM person a JOIN person b \
         ON a.year_of_birth = b.year_of_birth AND a.person_id < b.person_id WHERE a.year_of_birth < 1925",
        "SELECT count(DISTINCT p) FROM (SELECT unnest([a.person_id, b.person_id]) AS p FROM person a JOIN person b \
         ON a.year_of_birth = b.year_of_birth AND a.person_id < b.person_id WHERE a.year_of_birth < 1925)",
    ),
    (
        "SELECT a.person_id AS a, b.person_id AS b FROM person a LEFT JOIN person b \
         ON a.year_of_birth = b.year_of_birth + 60 AND a.month_of_birth = b.month_of_birth WHERE a.year_of_birth > 1970",
        "SELECT count(DISTINCT p) FROM (SELECT unnest([a.person_id, b.person_id]) AS p FROM person a LEFT JOIN person b \
         ON a.year_of_birth = b.year_of_birth + 60 AND a.month_of_birth = b.month_of_birth WHERE a.year_of_birth > 1970) \
         WHERE p IS NOT NULL",
    ),
    (
        "SELECT p.person_id, v.vocabulary_id FROM person p CROSS JOIN vocabulary v WHERE p.person_id < 20",
        "SELECT count(DISTINCT person_id) FROM person WHERE person_id < 20",
    ),
    (
        "SELECT p.person_id FROM person p LEFT SEMI JOIN drug_exposure d ON d.person_id = p.person_id AND d.drug_concept_id = 40213160",
        "SELECT count(DISTINCT person_id) FROM drug_exposure WHERE drug_concept_id = 40213160",
    ),
    // Subqueries.
    (
        "SELECT person_id FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id \
         AND c.condition_concept_id = 40481087)",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE condition_concept_id = 40481087",
    ),
    (
        "SELECT person_id FROM person p WHERE NOT EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id \
         AND c.condition_concept_id = 40481087)",
        "SELECT count(*) FROM person WHERE person_id NOT IN (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 40481087)",
    ),
    (
        "SELECT person_id, birth_datetime FROM person WHERE person_id IN (SELECT person_id FROM drug_exposure \
         GROUP BY person_id HAVING count(*) > 40)",
        "SELECT count(*) FROM (SELECT person_id FROM drug_exposure GROUP BY person_id HAVING count(*) > 40)",
    ),
    // Switched by somebody else's rows: not counted.
    (
        "SELECT person_id FROM person WHERE year_of_birth IN (SELECT year_of_birth FROM person WHERE person_id = 6)",
        "",
    ),
    (
        "SELECT person_id FROM person WHERE year_of_birth > (SELECT avg(year_of_birth) FROM person)",
        "",
    ),
    (
        "SELECT concept_id, (SELECT max(year_of_birth) FROM person) AS y FROM concept WHERE concept_id < 50",
        "",
    ),
    (
        "SELECT concept_id FROM concept WHERE concept_id IN (SELECT condition_concept_id FROM condition_occurrence WHERE person_id = 6)",
        "",
    ),
    (
        "SELECT p.person_id, (SELECT count(*) FROM condition_occurrence c WHERE c.person_id = p.person_id) AS n FROM person p",
        "",
    ),
    (
        "WITH old AS (SELECT person_id, gender_concept_id FROM person WHERE year_of_birth < 1930), \
         ill AS (SELECT DISTINCT person_id FROM condition_occurrence WHERE condition_concept_id = 80180) \
         SELECT old.* FROM old JOIN ill ON ill.person_id = old.person_id",
        "SELECT count(*) FROM person WHERE year_of_birth < 1930 AND person_id IN (SELECT person_id FROM condition_occurrence \
         WHERE condition_concept_id = 80180)",
    ),
    // Sets.
    (
        "SELECT person_id, condition_start_date AS d FROM condition_occurrence WHERE condition_concept_id = 80180 \
         UNION ALL SELECT person_id, drug_exposure_start_date FROM drug_exposure WHERE drug_concept_id = 40213160",
        "SELECT count(DISTINCT person_id) FROM (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 80180 \
         UNION ALL SELECT person_id FROM drug_exposure WHERE drug_concept_id = 40213160)",
    ),
    (
        "SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 80180 \
         UNION SELECT person_id FROM drug_exposure WHERE drug_concept_id = 40213160",
        "SELECT count(DISTINCT person_id) FROM (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 80180 \
         UNION ALL SELECT person_id FROM drug_exposure WHERE drug_concept_id = 40213160)",
    ),
    (
        "SELECT person_id FROM person WHERE person_id < 30 UNION ALL SELECT concept_id FROM concept WHERE concept_id < 30",
        "SELECT count(*) FROM person WHERE person_id < 30",
    ),
    (
        "SELECT condition_concept_id FROM condition_occurrence INTERSECT SELECT concept_id FROM concept",
        "",
    ),
    (
        "SELECT concept_id FROM concept EXCEPT SELECT condition_concept_id FROM condition_occurrence",
        "",
    ),
    (
        "SELECT DISTINCT person_id, condition_concept_id FROM condition_occurrence",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence",
    ),
    (
        "SELECT DISTINCT condition_concept_id FROM condition_occurrence",
        "",
    ),
    // Aggregates.
    (
        "SELECT person_id, count(*) AS n, min(condition_start_date) AS first, max(condition_start_date) AS last, \
         median(condition_concept_id) AS m FROM condition_occurrence GROUP BY person_id",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence",
    ),
    (
        "SELECT gender_concept_id, min(year_of_birth), max(year_of_birth), median(year_of_birth), avg(month_of_birth), \
         stddev(year_of_birth), percentile_cont(0.25) WITHIN GROUP (ORDER BY year_of_birth) FROM person GROUP BY 1",
        "",
    ),
    (
        "SELECT count(DISTINCT condition_concept_id), sum(DISTINCT condition_concept_id), bool_or(condition_concept_id = 80180) \
         FROM condition_occurrence",
        "",
    ),
    (
        "SELECT condition_concept_id, count(*) FILTER (WHERE condition_end_date IS NOT NULL) AS ended FROM condition_occurrence \
         GROUP BY 1 HAVING count(*) > 500",
        "",
    ),
    // Windows.
    (
        "SELECT person_id, condition_occurrence_id, row_number() OVER (PARTITION BY person_id ORDER BY condition_start_date, \
         condition_occurrence_id) AS n FROM condition_occurrence WHERE person_id < 200",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE person_id < 200",
    ),
    (
        "SELECT person_id, condition_start_date, lag(condition_start_date) OVER w AS before, lead(condition_start_date, 2) OVER w AS after \
         FROM condition_occurrence WHERE person_id < 200 WINDOW w AS (PARTITION BY person_id ORDER BY condition_start_date, condition_occurrence_id)",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE person_id < 200",
    ),
    (
        "SELECT person_id, rank() OVER (ORDER BY year_of_birth) AS r, dense_rank() OVER (ORDER BY year_of_birth) AS d, \
         ntile(4) OVER (ORDER BY year_of_birth, person_id) AS q, sum(year_of_birth) OVER (ORDER BY person_id) AS s FROM person",
        "",
    ),
    (
        "SELECT person_id, avg(year_of_birth) OVER () AS mean, first_value(person_id) OVER (PARTITION BY year_of_birth ORDER BY person_id) AS f \
         FROM person",
        "",
    ),
    (
        "SELECT person_id, drug_concept_id FROM drug_exposure \
         QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY drug_exposure_start_date, drug_exposure_id) = 1",
        "SELECT count(DISTINCT person_id) FROM drug_exposure",
    ),
    // Expressions.
    (
        "SELECT person_id, CASE WHEN year_of_birth < 1950 THEN 'old' ELSE 'young' END AS age, coalesce(location_id, -1) AS l, \
         year_of_birth / 7 AS q, year_of_birth % 7 AS m, year_of_birth / 7.0 AS f FROM person",
        "SELECT count(*) FROM person",
    ),
    (
        "SELECT c.person_id, c.condition_start_date, d.drug_exposure_start_date FROM condition_occurrence c JOIN drug_exposure d \
         ON d.person_id = c.person_id AND d.drug_exposure_start_date BETWEEN c.condition_start_date \
         AND c.condition_start_date + INTERVAL '30 days' WHERE c.condition_concept_id = 80180",
        "SELECT count(DISTINCT c.person_id) FROM condition_occurrence c JOIN drug_exposure d \
         ON d.person_id = c.person_id AND d.drug_exposure_start_date BETWEEN c.condition_start_date \
         AND c.condition_start_date + INTERVAL '30 days' WHERE c.condition_concept_id = 80180",
    ),
    (
        "SELECT person_id, date_trunc('month', condition_start_date) AS month, date_part('year', condition_start_date) AS year, \
         condition_start_date - DATE '2000-01-01' AS days FROM condition_occurrence WHERE person_id < 100",
        "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE person_id < 100",
    ),
    (
        "SELECT concept_id, regexp_replace(concept_name, '[aeiou]', '_', 'g') AS n, upper(left(concept_name, 3)) AS u \
         FROM concept WHERE concept_name ~ '^A.*s$'",
        "SELECT 0",
    ),
    (
        "SELECT CAST(year_of_birth AS DECIMAL(10, 2)) AS d, CAST(person_id AS TEXT) AS t, birth_datetime FROM person",
        "SELECT count(*) FROM person",
    ),
];

fn plain() -> &'static SessionContext {
    static PLAIN: OnceLock<SessionContext> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let context = SessionContext::new();
        runtime().block_on(async {
            for table in common::PERSON_TABLES.iter().chain(common::VOCABULARIES) {
                let path = common::gibleed_path(table);
                context
                    .register_parquet(
                        *table,
                        path.to_str().unwrap(),
                        ParquetReadOptions::default(),
                    )
                    .await
                    .unwrap();
            }
        });
        context
    })
}

fn plainly(sql: &str) -> Vec<RecordBatch> {
    let sql = sql.to_owned();
    let plain = plain();
    let work = runtime().spawn(async move { plain.sql(&sql).await?.collect().await });
    runtime().block_on(work).unwrap().unwrap()
}

/// Rows as texts, sorted, floats to nine digits: sums of floats depend on their order.
fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Timestamp(_, _) => {
                    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                    arrow::compute::cast(column, &micros).unwrap()
                }
                _ => Arc::clone(column),
            })
            .collect();
        let formatters: Vec<ArrayFormatter<'_>> = columns
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells =
                columns.iter().zip(&formatters).map(|(column, formatter)| {
                    match column.as_primitive_opt::<Float64Type>() {
                        Some(floats) if floats.is_valid(row) => {
                            format!("{:.9e}", floats.value(row))
                        }
                        _ => formatter.value(row).to_string(),
                    }
                });
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort_unstable();
    lines
}

#[test]
fn rows_equal_plain_datafusion_and_persons_a_count() {
    let mut counted = 0;
    for (sql, persons) in CASES {
        let ours = rows(sql, &[]);
        let expected = texts(&plainly(sql));
        assert!(!expected.is_empty(), "{sql}: nothing to compare");
        assert_eq!(texts(&[ours.batch]), expected, "{sql}");
        let expected = match *persons {
            "" => None,
            sql => Some(
                plainly(sql)[0]
                    .column(0)
                    .as_primitive::<Int64Type>()
                    .value(0),
            ),
        };
        let found = ours.sent.persons.map(|n| i64::try_from(n).unwrap());
        assert_eq!(found, expected, "{sql}");
        counted += usize::from(expected.is_some());
    }
    assert!(CASES.len() >= 30 && counted >= 20);
}

#[test]
fn order_is_kept() {
    let ours = rows(
        "SELECT person_id FROM person ORDER BY year_of_birth, person_id DESC",
        &[],
    );
    let plain = plainly("SELECT person_id FROM person ORDER BY year_of_birth, person_id DESC");
    let plain: Vec<i64> = plain
        .iter()
        .flat_map(|batch| {
            let ids = arrow::compute::cast(batch.column(0), &DataType::Int64).unwrap();
            ids.as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(
        ours.batch.column(0).as_primitive::<Int64Type>().values(),
        plain.as_slice()
    );
}

#[test]
fn parameters_are_values_and_never_syntax() {
    let evil = "x' OR '1' = '1";
    let text = |text: &str| Value::Text(text.to_owned());
    let cases: &[(&str, Vec<Value>, &str)] = &[
        (
            "SELECT person_id FROM person WHERE year_of_birth > ? AND gender_source_value = ?",
            vec![Value::Int(1970), text("F")],
            "SELECT person_id FROM person WHERE year_of_birth > 1970 AND gender_source_value = 'F'",
        ),
        (
            "SELECT person_id FROM person WHERE person_id IN (?, ?, ?) ORDER BY person_id LIMIT ? OFFSET ?",
            vec![
                Value::Int(6),
                Value::Int(123),
                Value::Int(129),
                Value::Int(1),
                Value::Int(1),
            ],
            "SELECT person_id FROM person WHERE person_id IN (6, 123, 129) ORDER BY person_id LIMIT 1 OFFSET 1",
        ),
        (
            "SELECT ? AS t, ?||'b' AS u, -? AS n, 5-? AS m, ? AS f, ? AS b, ? AS x FROM person WHERE person_id = ?",
            vec![
                text(evil),
                text("a"),
                Value::Int(-7),
                Value::Int(i64::MIN + 6),
                Value::Float(3.0),
                Value::Bool(true),
                Value::Null,
                Value::Int(6),
            ],
            "SELECT 'x'' OR ''1'' = ''1' AS t, 'ab' AS u, 7 AS n, 5 - (-9223372036854775802) AS m, CAST(3 AS double) AS f, \
             true AS b, NULL AS x FROM person WHERE person_id = 6",
        ),
        (
            "SELECT person_id FROM condition_occurrence WHERE condition_start_date >= ? AND condition_concept_id = ?",
            vec![text("2010-01-01"), Value::Int(40481087)],
            "SELECT person_id FROM condition_occurrence WHERE condition_start_date >= '2010-01-01' AND condition_concept_id = 40481087",
        ),
        (
            "SELECT (SELECT count(*) FROM person WHERE year_of_birth < ?) AS n, concept_name FROM concept WHERE concept_name LIKE ?",
            vec![Value::Int(1950), text("Ac%")],
            "SELECT (SELECT count(*) FROM person WHERE year_of_birth < 1950) AS n, concept_name FROM concept WHERE concept_name LIKE 'Ac%'",
        ),
        (
            "SELECT '?' AS \"?\" /* ? */ FROM person WHERE person_id = ? -- ?",
            vec![Value::Int(6)],
            "SELECT '?' AS \"?\" FROM person WHERE person_id = 6",
        ),
    ];
    for (sql, parameters, same) in cases {
        let ours = rows(sql, parameters);
        let expected = texts(&plainly(same));
        assert!(!expected.is_empty(), "{sql}");
        assert_eq!(texts(&[ours.batch]), expected, "{sql}");
    }
    // Nothing matches what would match everybody as syntax.
    let none = rows(
        "SELECT person_id FROM person WHERE gender_source_value = ?",
        &[text(evil)],
    );
    assert_eq!(none.sent.rows, 0);
    assert_eq!(none.batch.schema().field(0).data_type(), &DataType::Int64);
}

#[test]
fn every_type_comes_as_the_documented_one() {
    let ours = rows(
        "SELECT true AS b, CAST(1 AS smallint) AS i, CAST(1 AS real) AS f, gender_source_value AS t, DATE '2020-02-29' AS d, \
         CAST(birth_datetime AS timestamp) AS ts, CAST(1.5 AS decimal(5, 2)) AS de, NULL AS n, row_number() OVER () AS u FROM person LIMIT 1",
        &[],
    );
    let types: Vec<DataType> = ours
        .batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    assert_eq!(
        types,
        [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Decimal128(5, 2),
            DataType::Null,
            DataType::Int64,
        ]
    );
}

#[test]
fn statistic_for_a_program_is_the_consoles_suppressed() {
    let sql = "SELECT condition_concept_id, count(*) AS n, avg(condition_type_concept_id) AS m, count(*) > 100 AS many \
               FROM condition_occurrence WHERE condition_concept_id > ? GROUP BY 1 ORDER BY 1";
    let session = gibleed();
    let ours = stream_on(&session, sql, &[Value::Int(4_000_000)], false).unwrap();
    let shown = run_on(&session, &sql.replace('?', "4000000")).unwrap();
    assert_eq!(ours.sent.rows, shown.rows.len() as u64);
    assert_eq!(ours.sent.persons, None);
    let types: Vec<&DataType> = ours.batch.columns().iter().map(|c| c.data_type()).collect();
    assert_eq!(
        types,
        [
            &DataType::Int64,
            &DataType::Int64,
            &DataType::Float64,
            &DataType::Boolean
        ]
    );
    for (row, cells) in shown.rows.iter().enumerate() {
        assert_eq!(
            ours.batch.column(0).as_primitive::<Int64Type>().value(row),
            common::int(&cells[0])
        );
        assert_eq!(
            ours.batch.column(1).as_primitive::<Int64Type>().value(row),
            common::int(&cells[1])
        );
    }
    // One person: the console suppresses it, so does the stream.
    let alone = format!("SELECT count(*) AS n FROM person WHERE {}", common::alone());
    let batch = stream_on(&session, &alone, &[], false).unwrap().batch;
    assert_eq!((batch.num_rows(), batch.column(0).null_count()), (1, 1));
    // And rows aren't statistics, whoever asks.
    for sql in [
        "SELECT person_id FROM person",
        "SELECT max(year_of_birth) FROM person",
    ] {
        assert!(stream_on(&session, sql, &[], false).is_err(), "{sql}");
    }
}

fn one_table(columns: Vec<(&str, ArrayRef)>) -> Arc<Session> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let source = source("big", "t", plain_file(&batch), Some("p"), &[]);
    Arc::new(Session::new(terms(), vec![source]).unwrap())
}

#[test]
fn pieces_are_bounded_and_a_row_above_four_mebibytes_is_refused() {
    let persons: Int64Array = (0..40).collect();
    let texts: StringArray = (0..40).map(|i| Some("x".repeat(i * 10_000))).collect();
    let session = one_table(vec![("p", Arc::new(persons)), ("t", Arc::new(texts))]);
    let whole = stream_on(&session, "SELECT p, t FROM t ORDER BY p", &[], true).unwrap();
    assert_eq!(whole.sent.rows, 40);
    let texts = whole.batch.column(1).as_string::<i32>();
    assert!((0..40).all(|i| texts.value(i).len() == i * 10_000));
    assert!(whole.largest <= 1024 * 1024 + 4096, "{}", whole.largest);
    // Rows of up to 2.7 MiB, of 14 texts each; then one of 5 MiB.
    let wide = ["t"; 7].join(", ");
    let named: Vec<String> = (0..7).map(|i| format!("t AS t{i}")).collect();
    let sql = format!("SELECT {} FROM t", named.join(", "));
    let whole = stream_on(&session, &sql, &[], true).unwrap();
    assert_eq!(whole.sent.rows, 40);
    assert!(whole.largest <= 4 * 1024 * 1024, "{}", whole.largest);
    let sql = format!("SELECT concat({wide}, {wide}) AS t FROM t");
    let error = stream_on(&session, &sql, &[], true)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.code, SqlErrorCode::TooLarge);
}

#[test]
fn nothing_is_gathered_for_a_reader_that_takes_its_time() {
    let session = gibleed();
    let work = runtime().spawn(async move {
        let (out, mut pieces) = Session::pieces();
        let statement = Statement {
            // 4.4 thousand million rows.
            sql: "SELECT a.condition_occurrence_id AS a, b.drug_exposure_id AS b FROM condition_occurrence a CROSS JOIN drug_exposure b"
                .to_owned(),
            parameters: Vec::new(),
        };
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let answer = tokio::spawn(async move {
            session
                .rows_on(&Handle::current(), statement, &cancel, |_| {}, out)
                .await
        });
        let mut bytes = 0;
        for _ in 0..500 {
            if let Some(Piece::Bytes(buffers)) = pieces.recv().await {
                bytes += buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
            }
        }
        // Nobody takes any more: the reading must stop within a few pieces.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(pieces.len() <= 2);
        let asked = std::time::Instant::now();
        stop.cancel();
        assert_eq!(answer.await.unwrap(), Err(Stopped::Cancelled));
        assert!(asked.elapsed() < std::time::Duration::from_secs(1));
        bytes
    });
    assert!(runtime().block_on(work).unwrap() > 20_000_000);
}

#[test]
fn answer_ends_when_its_receiver_is_gone() {
    let session = gibleed();
    let work = runtime().spawn(async move {
        let (out, mut pieces) = Session::pieces();
        let statement = Statement {
            sql: "SELECT a.person_id FROM condition_occurrence a CROSS JOIN drug_exposure b"
                .to_owned(),
            parameters: Vec::new(),
        };
        let cancel = Cancel::new();
        let answer = tokio::spawn(async move {
            session
                .rows_on(&Handle::current(), statement, &cancel, |_| {}, out)
                .await
        });
        pieces.recv().await.unwrap();
        drop(pieces);
        answer.await.unwrap()
    });
    assert_eq!(runtime().block_on(work).unwrap(), Err(Stopped::Cancelled));
}

#[test]
fn integers_that_do_not_fit_fail_by_their_columns_name() {
    let persons: Int64Array = (0..10).collect();
    let large = UInt64Array::from(vec![u64::MAX; 10]);
    let session = one_table(vec![("p", Arc::new(persons)), ("n", Arc::new(large))]);
    let error = stream_on(&session, "SELECT p, n FROM t", &[], true)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        (error.code, error.name.as_str(), error.at),
        (SqlErrorCode::Evaluation, "n", Some((1, 11)))
    );
}
