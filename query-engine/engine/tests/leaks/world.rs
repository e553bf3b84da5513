//! Data sets that differ in what is hidden and in nothing else, and what can be seen of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::{ParquetReadOptions, SessionConfig};
use kekkai_engine::{Cancel, Piece, Progress, Session, Statement, Stopped, Terms};
use kekkai_output::Value;
use kekkai_types::{Constant, RowCondition, RowTest};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tokio::runtime::Handle;

use crate::common::{runtime, source, terms};

/// Which data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Nothing remarkable is hidden.
    Base,
    /// Other rows outside the agreement, more of them, other values in columns that are not granted and one
    /// more such column. The agreement's condition is written otherwise, and provides the same rows.
    Hidden,
    /// As `Base`, but the group `rare` of `dx`, which is too small to be shown, has other people and values.
    Rare,
}

/// Columns of `visit` that are not granted. `extra` is in [`World::Hidden`] only.
const UNGRANTED: &[&str] = &["site", "secret", "code", "extra", "__kekkai_n"];
/// The same of `person`.
const UNGRANTED_OF_PERSONS: &[&str] = &["secret", "name"];
const PERSONS: i64 = 150;
const VISITS: i64 = 20;

/// A row of `visit`.
#[derive(Clone)]
struct Visit {
    id: i64,
    person: i64,
    dx: &'static str,
    n: i64,
    x: f64,
    digits: String,
    date: String,
    pattern: String,
    amount: f64,
    site: i64,
    secret: &'static str,
    code: i64,
}

fn visible(world: World, person: i64, visit: i64) -> Visit {
    let id = person * VISITS + visit;
    let is_rare = visit == 0 && person <= if world == World::Rare { 5 } else { 3 };
    let dx = match (is_rare, visit) {
        (true, _) => "rare",
        // Of these persons only, so that no shown group has one more or fewer.
        (_, 0) if person <= 5 => "left out",
        _ => ["flu", "cold", "asthma"][usize::try_from(id % 3).unwrap()],
    };
    let is_other = is_rare && world == World::Rare;
    Visit {
        id,
        person,
        dx,
        n: if is_other { 888 } else { 1 + id % 6 },
        x: 4.0,
        digits: format!("{}", 10 + id % 50),
        date: format!("200{}-03-04", id % 10),
        pattern: "a+".to_owned(),
        amount: if is_other { 99.0 } else { 10.5 },
        site: 1 + id % 3,
        secret: match (world, id % 7) {
            (World::Hidden, 0) => "SENTINEL-positive",
            _ => "negative",
        },
        code: if world == World::Hidden { id % 5 } else { 1 },
    }
}

/// The rows outside the agreement that stand before a visible row.
fn outside(world: World, id: i64) -> Vec<Visit> {
    let harmless = Visit {
        n: 5,
        site: 9,
        id: 9_000_000 + id,
        ..visible(World::Base, 7, 7)
    };
    match world {
        World::Hidden if id % 4 == 0 => {
            let n = [0, 777, i64::MIN, 100_000, -1][usize::try_from(id / 4 % 5).unwrap()];
            vec![
                Visit {
                    n,
                    // Some of people who have no other row.
                    person: 7 + id / 4 % 2 * 1000,
                    x: -1.0,
                    digits: "SENTINEL-7c1".to_owned(),
                    date: "SENTINEL-day".to_owned(),
                    pattern: "(".to_owned(),
                    amount: 1_000_000.0,
                    dx: "SENTINEL-dx",
                    id: 8_000_000 + id,
                    ..harmless.clone()
                },
                Visit { n, ..harmless },
            ]
        }
        World::Base | World::Rare if id % 10 == 0 => vec![harmless],
        _ => Vec::new(),
    }
}

fn visits(world: World) -> RecordBatch {
    let rows: Vec<Visit> = (1..=PERSONS)
        .flat_map(|person| (0..VISITS).map(move |visit| (person, visit)))
        .flat_map(|(person, visit)| {
            let row = visible(world, person, visit);
            let mut rows = outside(world, row.id);
            rows.push(row);
            rows
        })
        .collect();
    let ints =
        |of: fn(&Visit) -> i64| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let floats = |of: fn(&Visit) -> f64| {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let texts = |of: fn(&Visit) -> &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let days = rows.iter().map(|row| match (world, row.site) {
        (World::Hidden, 9) => 20_000,
        _ => 10_000 + i32::try_from(row.id % 1000).unwrap(),
    });
    let sex: StringArray = (rows
        .iter()
        .map(|row| ["f", "m"].get(usize::try_from(row.person % 2).unwrap())))
    .collect();
    // A code's type is nobody's business either.
    let codes = match world {
        World::Hidden => Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| format!("c{}", row.code)),
        )) as _,
        _ => ints(|row| row.code),
    };
    let numbers = rows
        .iter()
        .map(|row| u32::try_from(row.person * if world == World::Hidden { 2 } else { 1 }).unwrap());
    let mut columns = vec![
        ("id", ints(|row| row.id)),
        ("person", ints(|row| row.person)),
        ("sex", Arc::new(sex) as _),
        ("dx", texts(|row| row.dx)),
        ("n", ints(|row| row.n)),
        ("x", floats(|row| row.x)),
        ("digits", texts(|row| &row.digits)),
        ("date", texts(|row| &row.date)),
        ("pattern", texts(|row| &row.pattern)),
        ("amount", floats(|row| row.amount)),
        ("day", Arc::new(Date32Array::from_iter_values(days)) as _),
        ("site", ints(|row| row.site)),
        ("secret", texts(|row| row.secret)),
        ("code", codes),
        (
            "__kekkai_n",
            Arc::new(UInt32Array::from_iter_values(numbers)) as _,
        ),
    ];
    if world == World::Hidden {
        columns.push(("extra", ints(|row| row.code)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn persons(world: World) -> RecordBatch {
    let numbers = || 1..=PERSONS;
    let secret = numbers().map(|person| match (world, person % 7) {
        (World::Hidden, 0) => "SENTINEL-positive",
        _ => "negative",
    });
    RecordBatch::try_from_iter([
        (
            "person",
            Arc::new(numbers().collect::<Int64Array>()) as ArrayRef,
        ),
        (
            "born",
            Arc::new(
                numbers()
                    .map(|person| 1940 + person % 60)
                    .collect::<Int64Array>(),
            ) as _,
        ),
        (
            "secret",
            Arc::new(StringArray::from_iter_values(secret)) as _,
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                numbers().map(|person| format!("{world:?} {person}")),
            )) as _,
        ),
    ])
    .unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A data set on disk and a session over it.
pub struct Data {
    pub world: World,
    folder: tempfile::TempDir,
    session: Arc<Session>,
}

/// The agreement's condition: the same rows, written in two ways.
fn provided(world: World) -> Vec<RowCondition> {
    let condition = |test| RowCondition {
        column: "site".to_owned(),
        test,
    };
    match world {
        World::Hidden => vec![
            condition(RowTest::AtLeast(Constant::Int(1))),
            condition(RowTest::Below(Constant::Int(4))),
        ],
        _ => vec![condition(RowTest::OneOf(
            (1..=3).map(Constant::Int).collect(),
        ))],
    }
}

impl Data {
    pub fn new(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(&path("visit.parquet"), &visits(world));
        write(&path("person.parquet"), &persons(world));
        let open = |name: &str| File::open(path(name)).unwrap();
        let mut visit = source(
            "d",
            "visit",
            open("visit.parquet"),
            Some("person"),
            UNGRANTED,
        );
        visit.rows = provided(world);
        let person = source(
            "d",
            "person",
            open("person.parquet"),
            Some("person"),
            UNGRANTED_OF_PERSONS,
        );
        // With several threads the order of rows differs from run to run, whatever the data are.
        let terms = Terms {
            threads: 1,
            ..terms()
        };
        Self {
            world,
            session: Arc::new(Session::new(terms, vec![visit, person]).unwrap()),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.parquet"))
    }

    /// All that a person sees of a statement, asked as a statistic and, if so, for rows.
    pub fn seen(&self, sql: &str, parameters: &[Value], also_rows: bool) -> String {
        if !also_rows {
            return self.seen_as(sql, parameters, false);
        }
        [
            self.seen_as(sql, parameters, false),
            self.seen_as(sql, parameters, true),
        ]
        .join("\n")
    }

    fn seen_as(&self, sql: &str, parameters: &[Value], rows: bool) -> String {
        let statement = Statement {
            sql: sql.to_owned(),
            parameters: parameters.to_vec(),
        };
        let (session, last) = (
            Arc::clone(&self.session),
            Arc::new(Mutex::new(Progress::default())),
        );
        let told = Arc::clone(&last);
        let is_statistic = !rows && parameters.is_empty();
        let work = runtime().spawn(async move {
            let progress = move |now| *told.lock().unwrap() = now;
            let (cancel, compute) = (Cancel::new(), Handle::current());
            if is_statistic {
                let table = session.run(&statement.sql, &cancel, progress).await?.table;
                return Ok(format!(
                    "{:?} {:?} {}",
                    table.columns, table.rows, table.groups_withheld
                ));
            }
            let (out, mut pieces) = Session::pieces();
            let collecting = tokio::spawn(async move {
                let mut bytes = Vec::new();
                while let Some(piece) = pieces.recv().await {
                    if let Piece::Bytes(buffers) = piece {
                        buffers
                            .iter()
                            .for_each(|buffer| bytes.extend_from_slice(buffer));
                    }
                }
                bytes
            });
            let sent = if rows {
                session
                    .rows_on(&compute, statement, &cancel, progress, out)
                    .await?
            } else {
                session
                    .statistic_on(&compute, statement, &cancel, progress, out)
                    .await?
            };
            // The stream itself, byte for byte: where it is cut may tell as much as what it holds.
            let bytes = collecting.await.unwrap();
            let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
            let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
            let sizes: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
            Ok::<_, Stopped>(format!("{sent:?} {sizes:?}\n{}", pretty(&batches)))
        });
        let seen = match runtime().block_on(work).unwrap() {
            Ok(seen) => seen,
            Err(stopped) => format!("{stopped:?}"),
        };
        assert!(!seen.contains("Internal"), "{sql}: {seen}");
        format!("{seen}\n{:?}", last.lock().unwrap())
    }

    /// DataFusion as it is over the same files.
    pub async fn unprotected(&self, control: Protection) -> SessionContext {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_information_schema(true);
        let context = SessionContext::new_with_config(config);
        let options = ParquetReadOptions::default;
        for table in ["visit", "person"] {
            let name = match control {
                Protection::View => format!("{table}_file"),
                Protection::None => table.to_owned(),
            };
            let path = self.path(table);
            context
                .register_parquet(&name, path.to_str().unwrap(), options())
                .await
                .unwrap();
        }
        if control == Protection::View {
            let condition = match self.world {
                World::Hidden => "site >= 1 AND site < 4",
                _ => "site IN (1, 2, 3)",
            };
            for view in [
                format!(
                    "CREATE VIEW visit AS SELECT id, person, sex, dx, n, x, digits, date, pattern, amount, day FROM visit_file WHERE {condition}"
                ),
                "CREATE VIEW person AS SELECT person, born FROM person_file".to_owned(),
            ] {
                context.sql(&view).await.unwrap().collect().await.unwrap();
            }
        } else if self.world == World::Hidden {
            let ward = context.read_batch(persons(self.world)).unwrap();
            context.register_table("ward", ward.into_view()).unwrap();
        }
        context
    }

    /// What the same trick shows where nothing, or only a view, stands between.
    pub fn shown(&self, control: Protection, sql: &str) -> String {
        runtime().block_on(async {
            let context = self.unprotected(control).await;
            let calls = Arc::new(AtomicU64::new(0));
            context.register_udf(slow(&calls));
            let answer = async { context.sql(sql).await?.collect().await };
            let shown = match answer.await {
                Ok(batches) => pretty(&batches),
                Err(error) => error.to_string(),
            };
            let calls = calls.load(Ordering::Relaxed);
            // The folder's name differs each time, and proves nothing.
            shown.replace(
                self.folder.path().to_str().unwrap().trim_start_matches('/'),
                "",
            ) + &format!("\n{calls} calls")
        })
    }
}

/// What stands between a statement of the control and the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `CREATE VIEW … AS SELECT granted columns FROM file WHERE condition`.
    View,
    /// Nothing.
    None,
}

/// A function whose calls can be counted, one for each row: it stands for one that takes its time.
fn slow(calls: &Arc<AtomicU64>) -> ScalarUDF {
    let calls = Arc::clone(calls);
    let counting = move |args: &[ColumnarValue]| {
        let rows = match &args[0] {
            ColumnarValue::Array(rows) => rows.len() as u64,
            ColumnarValue::Scalar(_) => 1,
        };
        calls.fetch_add(rows, Ordering::Relaxed);
        Ok(args[0].clone())
    };
    let int = || DataType::Int64;
    create_udf(
        "slow",
        vec![int()],
        int(),
        Volatility::Immutable,
        Arc::new(counting),
    )
}

fn pretty(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_display_error(true);
    pretty_format_batches_with_options(batches, &options)
        .unwrap()
        .to_string()
}
