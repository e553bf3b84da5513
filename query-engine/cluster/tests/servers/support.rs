//! Encrypted files, sessions over them, and servers whose streams can be watched, held and cut.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_analysis_api::SqlError;
use kekkai_cluster::{Member, wire};
use kekkai_dataset::{EncryptedFile, FilePlace, check_magic, decryption_properties};
use kekkai_engine::{
    Answer, Cancel, GrantedColumn, STACK_BYTES, Session, Stopped, TableFile, TableSource, Terms,
};
use kekkai_output::{Cell, Value};
use kekkai_types::{DatasetId, Digest, KeyText, PERSON_NUMBER_COLUMN, ServerId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub const PERSONS: i64 = 3_000;
pub const VISITS: i64 = 24_000;
/// Files of each table, of one row group each.
pub const PARTS: i64 = 6;

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// An encrypted dataset on disk, written once.
pub struct Data {
    folder: PathBuf,
    pub key: KeyText,
    _kept: tempfile::TempDir,
}

fn pseudonym(person: i64) -> String {
    format!("p-{:016x}", person.wrapping_mul(0x1E37_79B9_7F4A_7C15))
}

/// Rows `from..to` of a table, with the persons' numbers or without.
fn rows(table: &str, from: i64, to: i64, numbered: bool) -> RecordBatch {
    let each = || from..to;
    // Every person's visits lie in every file.
    let person = |row: i64| if table == "visit" { row % PERSONS } else { row };
    let mut columns: Vec<(&str, DataType, ArrayRef)> = match table {
        "kind" => vec![
            (
                "kind",
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(
                    each().map(|k| format!("k{k}")),
                )),
            ),
            (
                "label",
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(
                    each().map(|k| format!("Label {}", k % 3)),
                )),
            ),
        ],
        "person" => vec![
            (
                "person_id",
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(each().map(pseudonym))),
            ),
            (
                "sex",
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(
                    each().map(|p| if p % 3 == 0 { "f" } else { "m" }),
                )),
            ),
            (
                "birth_year",
                DataType::Int64,
                Arc::new(Int64Array::from_iter_values(each().map(|p| 1930 + p % 80))),
            ),
        ],
        _ => vec![
            (
                "person_id",
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(
                    each().map(|v| pseudonym(person(v))),
                )),
            ),
            (
                "visit_id",
                DataType::Int64,
                Arc::new(Int64Array::from_iter_values(each())),
            ),
            (
                "kind",
                DataType::Utf8,
                Arc::new(StringArray::from_iter(
                    each().map(|v| (v % 17 != 0).then(|| format!("k{}", v % 7))),
                )),
            ),
            // Whole numbers: their sums are the same in any order.
            (
                "cost",
                DataType::Float64,
                Arc::new(Float64Array::from_iter(each().map(|v| {
                    (v % 11 != 0).then_some(f64::from(i32::try_from(v * 37 % 1000).unwrap()))
                }))),
            ),
            (
                "days",
                DataType::Int64,
                Arc::new(Int64Array::from_iter_values(each().map(|v| v % 5))),
            ),
        ],
    };
    if numbered && table != "kind" {
        let numbers = each().map(|row| u32::try_from(person(row)).unwrap());
        let numbers = Arc::new(UInt32Array::from_iter_values(numbers));
        columns.push((PERSON_NUMBER_COLUMN, DataType::UInt32, numbers));
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, data_type, _)| {
            Field::new(*name, data_type.clone(), *name != PERSON_NUMBER_COLUMN)
        })
        .collect();
    let columns = columns.into_iter().map(|(_, _, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

const TABLES: [(&str, i64); 3] = [("person", PERSONS), ("visit", VISITS), ("kind", 7)];

fn dataset() -> DatasetId {
    DatasetId::new("d1").unwrap()
}

fn place(table: &str, part: i64) -> FilePlace {
    FilePlace::new(&dataset(), 1, &format!("{table}/part-{part}.parquet"))
}

fn path(folder: &Path, table: &str, part: i64) -> PathBuf {
    folder.join(format!("{table}-{part}"))
}

fn parts(table: &str) -> i64 {
    if table == "kind" { 1 } else { PARTS }
}

impl Data {
    fn write(numbered: bool) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let key = KeyText::random().unwrap();
        for (table, count) in TABLES {
            for part in 0..parts(table) {
                let (from, to) = (
                    count * part / parts(table),
                    count * (part + 1) / parts(table),
                );
                let batch = rows(table, from, to, numbered);
                let path = path(kept.path(), table, part);
                let mut file =
                    EncryptedFile::create(&path, batch.schema(), &key, place(table, part)).unwrap();
                file.write(&batch).unwrap();
                file.finish().unwrap();
            }
        }
        Self {
            folder: kept.path().to_owned(),
            key,
            _kept: kept,
        }
    }

    /// Files that number their persons, as ingest writes them.
    pub fn numbered() -> &'static Self {
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| Self::write(true))
    }

    /// Files that don't, as earlier builds wrote them.
    pub fn unnumbered() -> &'static Self {
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| Self::write(false))
    }

    /// A session over files that it opens for itself, without the columns of `without`.
    pub fn session(&self, without: &[&str]) -> Arc<Session> {
        let sources = TABLES.iter().map(|(table, _)| {
            let columns = rows(table, 0, 1, false);
            let names = columns.schema();
            let names = names.fields().iter().map(|field| field.name().clone());
            TableSource {
                dataset: dataset(),
                version: 1,
                name: (*table).to_owned(),
                columns: names
                    .filter(|name| !without.contains(&format!("{table}.{name}").as_str()))
                    .map(|name| GrantedColumn {
                        name,
                        sql_type: None,
                    })
                    .collect(),
                person_key: (*table != "kind").then(|| "person_id".to_owned()),
                rows: Vec::new(),
                files: (0..parts(table))
                    .map(|part| self.open(table, part))
                    .collect(),
            }
        });
        Arc::new(Session::new(terms(), sources.collect()).unwrap())
    }

    fn open(&self, table: &str, part: i64) -> TableFile {
        let file = File::open(path(&self.folder, table, part)).unwrap();
        let place = place(table, part);
        check_magic(&file, &place).unwrap();
        TableFile {
            file,
            decryption: Some(decryption_properties(&self.key, &place).unwrap()),
        }
    }
}

fn terms() -> Terms {
    Terms {
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"test terms"),
        memory_limit_bytes: 256 << 20,
        threads: 2,
    }
}

/// The bytes between one member that asks and one that answers.
pub struct Way {
    pub from: usize,
    pub to: usize,
    /// Answers that may still pass, in bytes.
    budget: Arc<watch::Sender<u64>>,
    /// Set when an answer waits for more budget.
    held: watch::Receiver<bool>,
    pub passed: Arc<AtomicU64>,
    pub seen: Arc<Mutex<Vec<u8>>>,
    copying: Vec<tokio::task::AbortHandle>,
}

/// Analysis servers with one session each: what their brokers would be to each other, in one process.
pub struct Servers {
    pub sessions: Vec<Arc<Session>>,
    pub members: Vec<Arc<Member>>,
    pub ways: Vec<Way>,
}

pub fn name(server: usize) -> ServerId {
    ServerId::new(format!("a{}", server + 1)).unwrap()
}

impl Servers {
    /// The first of the sessions leads.
    pub fn new(sessions: Vec<Arc<Session>>) -> Self {
        runtime().block_on(async move {
            let members: Vec<_> = sessions
                .iter()
                .enumerate()
                .map(|(number, session)| Member::new(name(number), session))
                .collect();
            let mut ways = Vec::new();
            let mut asking = Vec::new();
            for from in 0..members.len() {
                for to in (0..members.len()).filter(|to| *to != from) {
                    let (asks, near) = UnixStream::pair().unwrap();
                    let (far, answers) = UnixStream::pair().unwrap();
                    ways.push(Way::new(from, to, near, far));
                    let (asks, answers) = (passed_on(asks), passed_on(answers));
                    let answering = members[to].clone();
                    tokio::spawn(async move { answering.answer(answers).await });
                    let asker = members[from].clone();
                    asking.push(tokio::spawn(async move { asker.ask(name(to), asks).await }));
                }
            }
            for asked in asking {
                asked.await.unwrap().unwrap();
            }
            members[0].lead();
            Self {
                sessions,
                members,
                ways,
            }
        })
    }

    /// Three servers over the same files.
    pub fn three(data: &Data) -> Self {
        Self::new((0..3).map(|_| data.session(&[])).collect())
    }

    pub fn run(&self, sql: &str) -> Result<Answer, SqlError> {
        run(&self.sessions[0], sql)
    }

    /// Bytes that went between the servers so far.
    pub fn passed(&self) -> u64 {
        let each = self
            .ways
            .iter()
            .map(|way| way.passed.load(Ordering::SeqCst));
        each.sum()
    }

    /// After so many more bytes, answers of `server` wait.
    pub fn hold(&self, server: usize, after: u64) {
        for way in self.ways.iter().filter(|way| way.to == server) {
            way.budget.send_replace(after);
        }
    }

    /// Waits until an answer of `server` waits.
    pub async fn held(&self, server: usize) {
        let ways = self.ways.iter().filter(|way| way.to == server);
        let held = ways.map(|way| {
            let mut held = way.held.clone();
            Box::pin(async move {
                held.wait_for(|held| *held).await.unwrap();
            })
        });
        futures::future::select_all(held).await;
    }

    /// As if the server's power had gone.
    pub fn cut(&self, server: usize) {
        let touching = |way: &&Way| way.to == server || way.from == server;
        for way in self.ways.iter().filter(touching) {
            way.copying.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

/// As a jailed worker gets it.
fn passed_on(stream: UnixStream) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
    wire(stream.into_std().unwrap().into()).unwrap()
}

impl Way {
    fn new(from: usize, to: usize, near: UnixStream, far: UnixStream) -> Self {
        let (asks_in, answers_out) = near.into_split();
        let (answers_in, asks_out) = far.into_split();
        let budget = Arc::new(watch::Sender::new(u64::MAX));
        let (holds, held) = watch::channel(false);
        let passed = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let unbounded = Arc::new(watch::Sender::new(u64::MAX));
        let asks = Copying {
            from: asks_in,
            to: asks_out,
            budget: unbounded,
            holds: watch::Sender::new(false),
            passed: passed.clone(),
            seen: seen.clone(),
        };
        let answers = Copying {
            from: answers_in,
            to: answers_out,
            budget: budget.clone(),
            holds,
            passed: passed.clone(),
            seen: seen.clone(),
        };
        let copying = [asks, answers].map(|copying| tokio::spawn(copying.run()).abort_handle());
        Self {
            from,
            to,
            budget,
            held,
            passed,
            seen,
            copying: copying.into(),
        }
    }
}

struct Copying {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    budget: Arc<watch::Sender<u64>>,
    holds: watch::Sender<bool>,
    passed: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Copying {
    async fn run(mut self) {
        let mut piece = vec![0; 4096];
        let mut budgets = self.budget.subscribe();
        while let Ok(n @ 1..) = self.from.read(&mut piece).await {
            let bytes = n as u64;
            if *budgets.borrow() < bytes {
                self.holds.send_replace(true);
                if budgets.wait_for(|budget| *budget >= bytes).await.is_err() {
                    return;
                }
            }
            self.budget.send_modify(|budget| {
                if *budget != u64::MAX {
                    *budget -= bytes;
                }
            });
            self.passed.fetch_add(bytes, Ordering::SeqCst);
            self.seen.lock().unwrap().extend_from_slice(&piece[..n]);
            if self.to.write_all(&piece[..n]).await.is_err() {
                return;
            }
        }
    }
}

pub async fn answer(session: &Arc<Session>, sql: &str, cancel: &Cancel) -> Result<Answer, Stopped> {
    session.run(sql, cancel, |_| {}).await
}

pub fn run(session: &Arc<Session>, sql: &str) -> Result<Answer, SqlError> {
    let (session, sql) = (session.clone(), sql.to_owned());
    let work = runtime().spawn(async move { answer(&session, &sql, &Cancel::new()).await });
    match runtime().block_on(work).unwrap() {
        Ok(answer) => {
            answer.table.check_shape().unwrap();
            Ok(answer)
        }
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Cancelled) => panic!("nobody cancelled"),
    }
}

/// The same cells with the same evidence; means and spreads may differ in their last digits, since servers add
/// up in another order.
pub fn assert_same(sql: &str, one: &Answer, three: &Answer) {
    // Whose answer it is, person by person. Those of groups that are not shown come as their groups came.
    let persons = |answer: &Answer| {
        let each = answer.populations.cells.iter();
        let mut each: Vec<_> = each.map(|p| serde_json::to_string(p).unwrap()).collect();
        each.sort();
        each
    };
    assert_eq!(one.populations.stable, three.populations.stable, "{sql}");
    // Otherwise persons are numbered as their rows happen to be read.
    let are_comparable = one.populations.stable;
    assert!(
        !are_comparable || persons(one) == persons(three),
        "{sql}: other persons"
    );
    let (one, three) = (&one.table, &three.table);
    let about = format!("{sql}\n{one:?}\n{three:?}");
    assert_eq!(one.rows.len(), three.rows.len(), "{about}");
    assert_eq!(one.groups_withheld, three.groups_withheld, "{about}");
    for (a, b) in one.rows.iter().flatten().zip(three.rows.iter().flatten()) {
        match (a, b) {
            (
                Cell::Shown {
                    value: Value::Float(x),
                    evidence,
                },
                Cell::Shown {
                    value: Value::Float(y),
                    evidence: other,
                },
            ) => {
                assert_eq!(evidence, other, "{about}");
                assert!((x - y).abs() <= 1e-9 * x.abs().max(1.0), "{about}");
            }
            (a, b) => assert_eq!(a, b, "{about}"),
        }
    }
}
