//! Persons that the files number.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_output::{Cell, Table};
use kekkai_types::{DatasetId, Digest, PERSON_NUMBER_COLUMN};
use parquet::arrow::ArrowWriter;

use crate::count::{count, cut};
use crate::follow::Follow;
use crate::functions::Purpose;
use crate::runtime::Joins;
use crate::text::Text;
use crate::{
    Answer, Cancel, GrantedColumn, LoadError, STACK_BYTES, Session, Stopped, TableFile,
    TableSource, Terms,
};

/// Rows `(person, value)`; with numbers, person `p` has `number(p)`.
struct Rows<'a> {
    rows: &'a [(i64, i64)],
    number: Option<&'a dyn Fn(i64) -> u32>,
    is_text: bool,
    is_nullable: bool,
}

impl<'a> Rows<'a> {
    fn new(rows: &'a [(i64, i64)]) -> Self {
        Self {
            rows,
            number: None,
            is_text: false,
            is_nullable: false,
        }
    }

    fn numbered(rows: &'a [(i64, i64)], number: &'a dyn Fn(i64) -> u32) -> Self {
        Self {
            number: Some(number),
            ..Self::new(rows)
        }
    }

    fn file(&self) -> File {
        let persons = self.rows.iter().map(|(person, _)| *person);
        let keys: ArrayRef = if self.is_text {
            Arc::new(StringArray::from_iter_values(
                persons.clone().map(|person| format!("p{person}")),
            ))
        } else {
            Arc::new(Int64Array::from_iter_values(persons.clone()))
        };
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(
            self.rows.iter().map(|(_, value)| *value),
        ));
        let mut fields = vec![
            Field::new("person_id", keys.data_type().clone(), false),
            Field::new("value", DataType::Int64, true),
        ];
        let mut columns = vec![keys, values];
        if let Some(number) = self.number {
            fields.push(Field::new(
                PERSON_NUMBER_COLUMN,
                DataType::UInt32,
                self.is_nullable,
            ));
            columns.push(Arc::new(UInt32Array::from_iter_values(persons.map(number))));
        }
        let schema = Arc::new(Schema::new(fields));
        let file = tempfile::tempfile().unwrap();
        let mut writer =
            ArrowWriter::try_new(file.try_clone().unwrap(), Arc::clone(&schema), None).unwrap();
        writer
            .write(&RecordBatch::try_new(schema, columns).unwrap())
            .unwrap();
        writer.close().unwrap();
        file
    }

    fn source(&self, name: &str, version: u32, columns: &[&str]) -> TableSource {
        TableSource {
            dataset: DatasetId::new("d1").unwrap(),
            version,
            name: name.to_owned(),
            columns: columns
                .iter()
                .map(|name| GrantedColumn {
                    name: (*name).to_owned(),
                    sql_type: None,
                })
                .collect(),
            person_key: Some("person_id".to_owned()),
            rows: Vec::new(),
            files: vec![TableFile {
                file: self.file(),
                decryption: None,
            }],
        }
    }
}

const ALL: &[&str] = &["person_id", "value"];

fn load(sources: Vec<TableSource>) -> Result<Session, LoadError> {
    let terms = Terms {
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"test terms"),
        memory_limit_bytes: 64 << 20,
        threads: 2,
    };
    Session::new(terms, sources)
}

fn run(session: &Arc<Session>, sql: &str) -> Result<Table, Stopped> {
    answer(session, sql).map(|answer| answer.table)
}

fn answer(session: &Arc<Session>, sql: &str) -> Result<Answer, Stopped> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .unwrap();
    let (session, sql) = (Arc::clone(session), sql.to_owned());
    runtime
        .block_on(runtime.spawn(async move { session.run(&sql, &Cancel::new(), |_| {}).await }))
        .unwrap()
}

/// Persons 1000 to 1029, person `1000 + i` with `i % 3 + 1` rows and a value of its own.
fn visits() -> Vec<(i64, i64)> {
    (0..30)
        .flat_map(|i| (0..=i % 3).map(move |visit| (1000 + i, i * 10 + visit)))
        .collect()
}

/// The second half of them.
fn drugs() -> Vec<(i64, i64)> {
    (15..30).rev().map(|i| (1000 + i, 7)).collect()
}

fn number(person: i64) -> u32 {
    u32::try_from(person - 1000).unwrap()
}

#[test]
fn persons_count_alike_by_numbers_of_the_files_and_by_their_keys() {
    let (visits, drugs) = (visits(), drugs());
    let numbered = [
        Rows::numbered(&visits, &number).source("visits", 1, ALL),
        Rows::numbered(&drugs, &number).source("drugs", 1, ALL),
    ];
    let plain = [&visits, &drugs].map(|rows| Rows::new(rows));
    let by_key = [
        plain[0].source("visits", 1, ALL),
        plain[1].source("drugs", 1, ALL),
    ];
    let text = |rows| Rows {
        is_text: true,
        ..Rows::numbered(rows, &number)
    };
    let numbered_texts = [
        text(&visits).source("visits", 1, ALL),
        text(&drugs).source("drugs", 1, ALL),
    ];
    let sessions =
        [numbered, by_key, numbered_texts].map(|all| Arc::new(load(all.into()).unwrap()));
    for sql in [
        "SELECT count(*) AS n, count(DISTINCT person_id) AS p, avg(value) AS a FROM visits",
        "SELECT value % 3 AS g, count(*) AS n FROM visits GROUP BY g ORDER BY g",
        "SELECT count(*) AS n, sum(v.value) AS s FROM visits v JOIN drugs d ON v.person_id = d.person_id",
        "SELECT count(*) AS n FROM visits WHERE person_id IN (SELECT person_id FROM drugs)",
        "SELECT count(*) AS n FROM drugs WHERE value > 7",
    ] {
        let [a, b, c] = sessions
            .each_ref()
            .map(|session| run(session, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}")));
        assert_eq!((&a.rows, &a.rows), (&b.rows, &c.rows), "{sql}");
    }
}

#[test]
fn contributors_are_counted_by_the_numbers_where_the_files_have_them() {
    let rows = visits();
    // As if ingest had found that all these keys are of three persons.
    let few = |person: i64| number(person) % 3;
    let shown = |numbered: Rows<'_>| {
        let session = Arc::new(load(vec![numbered.source("visits", 1, ALL)]).unwrap());
        let table = run(&session, "SELECT count(*) AS n FROM visits").unwrap();
        matches!(table.rows[0][0], Cell::Shown { .. })
    };
    assert!(shown(Rows::numbered(&rows, &number)));
    assert!(!shown(Rows::numbered(&rows, &few)));
}

#[test]
fn populations_are_the_files_numbers_and_said_to_be_stable_only_then() {
    let rows = visits();
    // Far from the order in which rows come.
    let reversed = |person: i64| 29 - number(person);
    let sql = "SELECT count(*) AS n FROM visits WHERE value >= 100";
    let populations = |rows: Rows<'_>| {
        let session = Arc::new(load(vec![rows.source("visits", 1, ALL)]).unwrap());
        let first = answer(&session, sql).unwrap().populations;
        let again = Arc::new(load(vec![rows.source("visits", 1, ALL)]).unwrap());
        // Another statement before it: a register would number otherwise.
        run(&again, "SELECT count(*) AS n FROM visits WHERE value > 150").unwrap();
        (first, answer(&again, sql).unwrap().populations)
    };
    let (first, again) = populations(Rows::numbered(&rows, &reversed));
    assert!(first.stable && again.stable);
    assert!(!first.cells.is_empty());
    assert_eq!(first, again);
    // Values of 100 and more are those of persons 1010 to 1029.
    let expected: roaring::RoaringBitmap = (0..20).collect();
    let found = roaring::RoaringBitmap::deserialize_from(first.cells[0].persons.as_slice());
    assert_eq!(found.unwrap(), expected);
    assert!(!populations(Rows::new(&rows)).0.stable);
}

#[test]
fn numbers_of_persons_are_hidden_from_grants_stars_and_names() {
    let rows = visits();
    let numbered = Rows::numbered(&rows, &number);
    let error = load(vec![numbered.source(
        "visits",
        1,
        &["value", PERSON_NUMBER_COLUMN],
    )])
    .err();
    assert!(
        matches!(&error, Some(LoadError::MissingColumn { column, .. }) if column == PERSON_NUMBER_COLUMN),
        "{error:?}"
    );
    let session = Arc::new(load(vec![numbered.source("visits", 1, ALL)]).unwrap());
    for sql in [
        "SELECT count(DISTINCT __kekkai_person) AS n FROM visits",
        "SELECT count(*) AS n FROM visits WHERE visits.__kekkai_person > 3",
        "SELECT count(*) AS n FROM visits GROUP BY \"__kekkai_person\"",
        "SELECT count(*) AS n FROM visits AS v (a, b, c) WHERE c > 3",
        "SELECT count(*) AS n FROM visits GROUP BY __KEKKAI_PERSON",
    ] {
        match run(&session, sql) {
            Err(Stopped::Failed(error)) => {
                assert_ne!(error.code, SqlErrorCode::Internal, "{sql}");
                assert!(
                    !error.candidates.iter().any(|near| near.contains("kekkai")),
                    "{sql}: {error:?}"
                );
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    // A near miss isn't led there either.
    let Err(Stopped::Failed(error)) = run(&session, "SELECT avg(kekkai_person) AS a FROM visits")
    else {
        panic!("there is no such column");
    };
    assert!(error.candidates.iter().all(|near| !near.contains("kekkai")));
    // A star has what was granted: one column less than it takes.
    let sql = "SELECT count(x) AS n FROM (SELECT * FROM visits) AS v (p, x)";
    assert!(matches!(
        run(&session, sql).unwrap().rows[0][0],
        Cell::Shown { .. }
    ));
}

#[test]
fn tables_that_disagree_on_numbers_are_not_loaded() {
    let (visits, drugs) = (visits(), drugs());
    let numbered = || Rows::numbered(&visits, &number);
    let refused = |sources: Vec<TableSource>| load(sources).err();
    assert_eq!(
        refused(vec![
            numbered().source("visits", 1, ALL),
            Rows::new(&drugs).source("drugs", 1, ALL),
        ]),
        Some(LoadError::PersonNumbers("drugs".to_owned()))
    );
    let mut two_files = numbered().source("visits", 1, ALL);
    two_files.files.push(TableFile {
        file: Rows::new(&drugs).file(),
        decryption: None,
    });
    assert_eq!(
        refused(vec![two_files]),
        Some(LoadError::PersonNumbers("visits".to_owned()))
    );
    let nobody = TableSource {
        person_key: None,
        ..numbered().source("visits", 1, ALL)
    };
    assert_eq!(
        refused(vec![nobody]),
        Some(LoadError::PersonNumbers("visits".to_owned()))
    );
    let nullable = Rows {
        is_nullable: true,
        ..numbered()
    };
    assert!(matches!(
        refused(vec![nullable.source("visits", 1, ALL)]),
        Some(LoadError::ColumnType { .. })
    ));
}

#[test]
fn persons_of_two_versions_are_known_by_their_keys() {
    let (visits, drugs) = (visits(), drugs());
    // The next version counted anew: its numbers mean other persons.
    let next = |person: i64| 29 - number(person);
    let session = Arc::new(
        load(vec![
            Rows::numbered(&visits, &number).source("visits", 1, ALL),
            Rows::numbered(&drugs, &next).source("drugs", 2, ALL),
        ])
        .unwrap(),
    );
    let by_key = Arc::new(
        load(vec![
            Rows::new(&visits).source("visits", 1, ALL),
            Rows::new(&drugs).source("drugs", 2, ALL),
        ])
        .unwrap(),
    );
    let sql = "SELECT count(*) AS n FROM visits v JOIN drugs d ON v.person_id = d.person_id";
    assert_eq!(
        run(&session, sql).map(|table| table.rows),
        run(&by_key, sql).map(|table| table.rows)
    );
}

/// A table of several files.
fn in_files(name: &str, files: &[&[(i64, i64)]]) -> TableSource {
    let mut source = Rows::numbered(&[], &number).source(name, 1, ALL);
    let files = files.iter().map(|rows| TableFile {
        file: Rows::numbered(rows, &number).file(),
        decryption: None,
    });
    source.files = files.collect();
    source
}

/// Whether a statement is run in the expectation that persons come in their order.
fn expects_order(session: &Arc<Session>, sql: &str) -> bool {
    let text = Text::new(sql).unwrap();
    let plan = session.persons_plan(&text, &Arc::default()).unwrap();
    let mut follow = Follow::new(&text, Purpose::Statistic);
    let counted = count(&cut(&plan, &follow).unwrap(), &mut follow).unwrap();
    let optimized = session.optimize(&counted.plan).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let physical = runtime.block_on(session.physical(&optimized, Joins::Hashed));
    session.ordered(&physical.unwrap()).unwrap().is_some()
}

/// A row for each ward of a few hundred persons' visits.
fn wards() -> Vec<(i64, i64)> {
    (0..300)
        .flat_map(|i| (0..=i % 4).map(move |visit| (1000 + i, i % 3 + visit)))
        .collect()
}

const OF_WARDS: [&str; 4] = [
    "SELECT value, count(*), sum(value), avg(value + 1), count(DISTINCT person_id) FROM wards GROUP BY value",
    "SELECT count(*), sum(value * value) FROM wards WHERE value > 1",
    "SELECT value, count(*) FILTER (WHERE value < 3) FROM \
     (SELECT person_id, value + 1 AS value FROM wards) GROUP BY value",
    "SELECT w.value, count(*), sum(d.value) FROM drugs d JOIN wards w ON w.person_id = d.person_id GROUP BY 1",
];

#[test]
fn persons_in_order_take_less_and_tell_the_same() {
    let all = wards();
    let (mut first, second) = all.split_at(412);
    let drugs = drugs();
    let few = || Rows::numbered(&drugs, &number).source("drugs", 1, ALL);
    let session =
        |files: &[&[(i64, i64)]]| Arc::new(load(vec![in_files("wards", files), few()]).unwrap());
    // A person's rows begin in one file and end in the next.
    assert_eq!(first.last().unwrap().0, second[0].0);
    let sorted = session(&[first, second]);
    let turned = session(&[second, first]);
    let mut exchanged = first.to_vec();
    exchanged.swap(3, 300);
    first = &exchanged;
    let nearly = session(&[first, second]);
    for sql in OF_WARDS {
        let expected = answer(&turned, sql).unwrap();
        assert!(!expects_order(&turned, sql), "{sql}");
        for (session, what) in [(&sorted, "sorted"), (&nearly, "nearly")] {
            assert!(expects_order(session, sql), "{what}: {sql}");
            assert_eq!(answer(session, sql).unwrap(), expected, "{what}: {sql}");
        }
    }
}

#[test]
fn order_is_expected_of_nothing_that_mixes_persons() {
    let all = wards();
    let (first, second) = all.split_at(412);
    let by_key = Rows::new(&all).source("wards", 1, ALL);
    let by_key = Arc::new(load(vec![by_key]).unwrap());
    assert!(!expects_order(&by_key, OF_WARDS[0]));
    let other = in_files("drugs", &[first, second]);
    let session = Arc::new(load(vec![in_files("wards", &[first, second]), other]).unwrap());
    for sql in [
        "SELECT count(*) FROM (SELECT person_id FROM wards UNION ALL SELECT person_id FROM drugs)",
        "SELECT count(*) FROM (SELECT person_id, max(value) AS value FROM wards GROUP BY person_id)",
    ] {
        assert!(!expects_order(&session, sql), "{sql}");
    }
}
