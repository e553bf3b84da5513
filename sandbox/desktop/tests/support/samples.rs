//! What tests and benches show: a project as a broker would tell it, with invented numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use kekkai_analysis_api::{Job, JobState, LogPart, Programs, ToolEntry, Work};
use kekkai_desktop::rows::{KeptRows, Piece};
use kekkai_output::{
    Aggregate, Cell, Column, ColumnKind, Evidence, Lineage, Suppression, Table, Value, ValueType,
};
use kekkai_types::{
    ColumnCatalog, ColumnRole, DatasetCatalog, DatasetId, Digest, DisplayClass, JobId, Lang,
    ServerId, SessionId, TableCatalog, Text, Timestamp,
};
use kekkai_worker_api::{Begin, ToDesktop};

/// Rows of one piece of a stream.
const PIECE: usize = 1_000;

/// Where [`table`] is suppressed: row and column.
pub const SUPPRESSED: (usize, usize) = (2, 2);

pub fn job_id(number: u64) -> JobId {
    JobId::new(number.to_string()).unwrap()
}

fn text(ja: &str, en: &str) -> Text {
    Text {
        ja: ja.to_owned(),
        en: en.to_owned(),
    }
}

fn column(name: &str, sql_type: &str, role: ColumnRole, ja: &str, en: &str) -> ColumnCatalog {
    ColumnCatalog {
        name: name.to_owned(),
        sql_type: sql_type.to_owned(),
        role,
        description: text(ja, en),
    }
}

pub fn catalog() -> DatasetCatalog {
    use ColumnRole::{Code, Key, PersonKey, QuasiIdentifier, Value as Measure};
    let table = |name: &str, ja: &str, en: &str, key: Option<&str>, columns| TableCatalog {
        name: name.to_owned(),
        description: text(ja, en),
        person_key: key.map(str::to_owned),
        columns,
        files: Vec::new(),
        rows: 123_000,
    };
    DatasetCatalog {
        id: DatasetId::new("demo-rwd").unwrap(),
        version: 3,
        title: text("外来診療データ", "Outpatient care"),
        description: text(
            "市内の診療所から集めた仮名加工医療情報。",
            "Pseudonymized records of clinics of one city.",
        ),
        tables: vec![
            table(
                "patient",
                "患者1人につき1行",
                "One row for each patient",
                Some("patient_id"),
                vec![
                    column(
                        "patient_id",
                        "text",
                        PersonKey,
                        "仮名化した患者",
                        "The patient's pseudonym",
                    ),
                    column("sex", "text", QuasiIdentifier, "性別 (M, F)", "Sex (M, F)"),
                    column(
                        "birth_year",
                        "bigint",
                        QuasiIdentifier,
                        "生年 (西暦)",
                        "Year of birth",
                    ),
                    column(
                        "region",
                        "text",
                        QuasiIdentifier,
                        "居住地域",
                        "Region of residence",
                    ),
                ],
            ),
            table(
                "visit",
                "受診1回につき1行",
                "One row for each visit",
                Some("patient_id"),
                vec![
                    column(
                        "visit_id",
                        "bigint",
                        Key,
                        "受診の番号",
                        "The visit's number",
                    ),
                    column(
                        "patient_id",
                        "text",
                        PersonKey,
                        "仮名化した患者",
                        "The patient's pseudonym",
                    ),
                    column(
                        "visit_date",
                        "date",
                        QuasiIdentifier,
                        "受診日",
                        "Date of the visit",
                    ),
                    column(
                        "icd10",
                        "text",
                        Code,
                        "傷病名 (ICD-10)",
                        "Diagnosis (ICD-10)",
                    ),
                    column(
                        "sbp",
                        "double",
                        Measure,
                        "収縮期血圧 (mmHg)",
                        "Systolic blood pressure (mmHg)",
                    ),
                    column("smoker", "boolean", Measure, "喫煙", "Smokes"),
                ],
            ),
        ],
    }
}

pub fn begin() -> Begin {
    Begin {
        session: SessionId::random().unwrap(),
        person: "mori".to_owned(),
        project: "血圧と喫煙".to_owned(),
        lang: Lang::En,
        server: ServerId::new("analysis-1").unwrap(),
        emulated: true,
        display: DisplayClass::Browser,
        rows_need: BTreeMap::from([
            ("demo-rwd.patient".to_owned(), DisplayClass::Onsite),
            ("demo-rwd.visit".to_owned(), DisplayClass::Onsite),
        ]),
        catalogs: vec![catalog()],
        threshold: 10,
        programs: Programs {
            python: true,
            rows: true,
            scripts: vec![("study.py".to_owned(), 120)],
            tools: vec![ToolEntry {
                name: "riskratio".to_owned(),
                digest: Digest::of(b"tool"),
                description: "Risk ratios with intervals".to_owned(),
            }],
        },
        functions: [
            "avg",
            "count",
            "date_trunc",
            "extract",
            "max",
            "median",
            "min",
            "stddev",
            "sum",
        ]
        .map(str::to_owned)
        .to_vec(),
        closes: Timestamp(1_795_338_000_000),
        size: (1280, 800, 100),
        fonts: vec!["ipaexg.ttf".to_owned()],
    }
}

fn lineage(sql: &str) -> Lineage {
    Lineage {
        sql: sql.to_owned(),
        datasets: vec![(DatasetId::new("demo-rwd").unwrap(), 3)],
        threshold: 10,
        dominance_permille: 850,
        engine: "test 0".to_owned(),
        policy: Digest::of(b"policy"),
    }
}

pub const SQL: &str = "SELECT region, sex, avg(sbp) AS mean_sbp, count(*) AS n\n\
                       FROM visit JOIN patient USING (patient_id)\nGROUP BY region, sex";

/// Mean blood pressure by region and sex; one cell is suppressed.
pub fn table() -> Table {
    let key = |name: &str| Column {
        name: name.to_owned(),
        value_type: ValueType::Text,
        kind: ColumnKind::Key,
    };
    let statistic = |name: &str, value_type, aggregate| Column {
        name: name.to_owned(),
        value_type,
        kind: ColumnKind::Statistic(vec![aggregate]),
    };
    let shown = |value, contributors| Cell::Shown {
        value,
        evidence: Evidence {
            contributors,
            largest_permille: 12,
            second_permille: 9,
            zeros: 0,
            missing: 0,
        },
    };
    let regions = ["東区", "西区", "南区", "北区", "中央区", "港区"];
    let mut rows = Vec::new();
    for (r, region) in regions.into_iter().enumerate() {
        for (s, sex) in ["F", "M"].into_iter().enumerate() {
            let n = 40 + 17 * r as u64 + 5 * s as u64;
            let mean = 121.25 + 2.5 * r as f64 + 3.75 * s as f64;
            let mean = match (rows.len(), 2) {
                SUPPRESSED => Cell::Suppressed(Suppression::Threshold),
                _ => shown(Value::Float(mean), n),
            };
            rows.push(vec![
                Cell::Key(Value::Text(region.to_owned())),
                Cell::Key(Value::Text(sex.to_owned())),
                mean,
                shown(Value::Int(n as i64), n),
            ]);
        }
    }
    Table {
        columns: vec![
            key("region"),
            key("sex"),
            statistic("mean_sbp", ValueType::Float, Aggregate::Mean),
            statistic("n", ValueType::Int, Aggregate::Count),
        ],
        rows,
        groups_withheld: 2,
        lineage: lineage(SQL),
    }
}

/// A table of one column with so many cells.
pub fn large_table(cells: usize) -> Table {
    let mut table = table();
    table.columns.truncate(1);
    table.rows = (0..cells)
        .map(|n| vec![Cell::Key(Value::Int(n as i64))])
        .collect();
    table
}

/// Rows from `first` on: a number, a word, a measure with gaps, a truth.
pub fn batch(first: usize, count: usize) -> RecordBatch {
    let numbers = first..first + count;
    let words = ["東区", "西区", "south", "north"];
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "visit_id",
            Arc::new(Int64Array::from_iter_values(
                numbers.clone().map(|n| n as i64),
            )),
        ),
        (
            "region",
            Arc::new(StringArray::from_iter_values(
                numbers.clone().map(|n| words[n * 7 % 4]),
            )),
        ),
        (
            "sbp",
            Arc::new(Float64Array::from_iter(numbers.clone().map(|n| {
                (n % 10 != 3).then_some(100.0 + (n * 37 % 800) as f64 / 10.0)
            }))),
        ),
        (
            "smoker",
            Arc::new(BooleanArray::from_iter(numbers.map(|n| Some(n % 3 == 0)))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// So many rows, in pieces.
pub fn rows(count: usize) -> KeptRows {
    let mut rows = KeptRows::default();
    rows.push(Piece::Schema(batch(0, 1).schema()));
    for first in (0..count).step_by(PIECE) {
        rows.push(Piece::Rows(batch(first, PIECE.min(count - first))));
    }
    rows
}

/// An Arrow IPC stream, as a broker's pipe brings it.
pub fn write_stream(to: impl std::io::Write, count: usize) {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(to, &batch(0, 1).schema()).unwrap();
    for first in (0..count).step_by(PIECE) {
        // A reader that has enough closes the pipe.
        if writer
            .write(&batch(first, PIECE.min(count - first)))
            .is_err()
        {
            return;
        }
    }
    let _ = writer.finish();
}

pub fn job(number: u64, work: Work, elapsed_ms: u64, state: JobState) -> ToDesktop {
    ToDesktop::Job(Box::new(Job {
        job: job_id(number),
        work,
        elapsed_ms,
        state,
        log: LogPart::default(),
    }))
}

/// A statement that is done.
pub fn done(number: u64, table: Table) -> ToDesktop {
    let sql = table.lineage.sql.clone();
    job(number, Work::Query(sql), 1_234, JobState::Done(Some(table)))
}

/// The font of people's texts, as Debian's fonts-ipaexfont-gothic installs it.
pub const FONT: &str = "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf";

pub fn font() -> std::fs::File {
    std::fs::File::open(FONT).expect("install fonts-ipaexfont-gothic")
}

/// Its bytes, once for all tests.
pub fn font_bytes() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(FONT).expect("install fonts-ipaexfont-gothic"))
}
