use kekkai_analysis_api::{LogPart, SqlError, SqlErrorCode};
use kekkai_types::{ColumnCatalog, DatasetId, Text, Timestamp};

use super::*;
use crate::message::tests::check;

fn text(ja: &str, en: &str) -> Text {
    Text {
        ja: ja.into(),
        en: en.into(),
    }
}

fn catalog() -> DatasetCatalog {
    let column = |name: &str, sql_type: &str, role, ja: &str, en: &str| ColumnCatalog {
        name: name.into(),
        sql_type: sql_type.into(),
        role,
        description: text(ja, en),
    };
    DatasetCatalog {
        id: DatasetId::new("sample").unwrap(),
        version: 2,
        title: text("病院データ", "hospital data"),
        description: text(
            "電子カルテの検査結果とDPCの入院です。",
            "Laboratory results and admissions.",
        ),
        tables: vec![
            TableCatalog {
                name: "patient".into(),
                description: text("患者1人が1行", "a row is a patient"),
                person_key: Some("pid".into()),
                columns: vec![
                    column("pid", "bigint", ColumnRole::PersonKey, "患者", "patient"),
                    column(
                        "age_band",
                        "text",
                        ColumnRole::QuasiIdentifier,
                        "5歳きざみの年齢。90歳以上は1つにまとめてあります。",
                        "age in bands of five years; 90 and above are one band",
                    ),
                ],
                files: Vec::new(),
                rows: 100_000,
            },
            TableCatalog {
                name: "icd10".into(),
                description: text("病名コードの一覧", "a vocabulary"),
                person_key: None,
                columns: Vec::new(),
                files: Vec::new(),
                rows: 14_000,
            },
        ],
    }
}

#[test]
fn schema_lists_tables_with_their_meaning() {
    let ja = "\
病院データ (sample 第2版)
  電子カルテの検査結果とDPCの入院です。
  patient  約 100000 行  患者1人が1行
  icd10     約 14000 行  病名コードの一覧

次に: schema 表名 で列が見られます。
";
    assert_eq!(schema(&[catalog()], None, Lang::Ja, 80), ja);
    let en = "\
hospital data (sample, version 2)
  Laboratory results and admissions.
  patient  about 100000 rows  a row is a patient
  icd10     about 14000 rows  a vocabulary

next: schema TABLE shows a table's columns.
";
    assert_eq!(schema(&[catalog()], None, Lang::En, 80), en);
}

#[test]
fn schema_of_a_table_wraps_descriptions() {
    let ja = "\
patient: 患者1人が1行
  約 100000 行。pid が1人を表します。
  pid       bigint  患者 [個人の仮名]
  age_band  text    5歳きざみの年齢。90歳以
                    上は1つにまとめてありま
                    す。 [準識別子]
";
    assert_eq!(schema(&[catalog()], Some("PATIENT"), Lang::Ja, 44), ja);
    let en = "\
patient: a row is a patient
  about 100000 rows; pid stands for a person.
  pid       bigint  patient [person's pseudonym]
  age_band  text    age in bands of five years; 90 and above are
                    one band [quasi-identifier]
";
    assert_eq!(schema(&[catalog()], Some("patient"), Lang::En, 64), en);
}

#[test]
fn unknown_table_is_answered_with_its_neighbours() {
    for lang in [Lang::Ja, Lang::En] {
        let shown = schema(&[catalog()], Some("patiant\u{1b}"), lang, 80);
        check(&shown, lang);
        assert!(shown.contains(": patient"), "{shown}");
        check(&schema(&[catalog()], Some("xyzzyxyzzy"), lang, 80), lang);
    }
    assert_eq!(distance("kitten", "sitting"), 3);
    assert_eq!(distance("", "abc"), 3);
}

fn job_in(number: &str, elapsed_ms: u64, state: JobState) -> Job {
    Job {
        job: JobId::new(number).unwrap(),
        work: Work::Query("SELECT sex,\n       count(*)\nFROM patient".into()),
        elapsed_ms,
        state,
        log: LogPart::default(),
    }
}

#[test]
fn jobs_have_a_bar_and_an_estimate() {
    let failed = SqlError {
        code: SqlErrorCode::TableUnknown,
        name: "x".into(),
        at: None,
        candidates: Vec::new(),
        hint: None,
    };
    let all = [
        job_in("1", 1_234, JobState::Done(None)),
        job_in(
            "2",
            10_000,
            JobState::Running {
                rows_read: 25,
                rows_total: 100,
            },
        ),
        job_in(
            "3",
            500,
            JobState::Running {
                rows_read: 0,
                rows_total: 0,
            },
        ),
        job_in("4", 20, JobState::Failed(failed)),
        job_in("5", 61_000, JobState::Cancelled { by_limit: true }),
    ];
    let en = "  \
  1  done  1.2 s                                            SELECT sex, count(*) FROM patient
  2  [#####...............]  25% about 30.0 s left  10.0 s  SELECT sex, count(*) FROM patient
  3  running  0.5 s                                         SELECT sex, count(*) FROM patient
  4  failed (table-unknown)  0.0 s                          SELECT sex, count(*) FROM patient
  5  over its time limit  1 min 1 s                         SELECT sex, count(*) FROM patient
";
    assert_eq!(jobs(&all, Lang::En, 100), en);
    let ja = jobs(&all, Lang::Ja, 80);
    assert!(
        ja.contains(
            "  2  [#####...............]  25% 残り約 30.0 秒  10.0 秒  SELECT sex, count(*).."
        ),
        "{ja}"
    );
    for lang in [Lang::Ja, Lang::En] {
        check(&jobs(&[], lang, 80), lang);
        for one in &all {
            if !matches!(one.state, JobState::Done(None)) {
                let _ = job(one, lang, TableView::terminal(80));
            }
        }
        check(&job(&all[1], lang, TableView::terminal(80)), lang);
        check(&job(&all[3], lang, TableView::terminal(80)), lang);
        check(&job(&all[4], lang, TableView::terminal(80)), lang);
    }
}

#[test]
fn progress_never_divides_by_zero_or_passes_the_end() {
    for (read, total) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (5, 3),
        (u64::MAX, u64::MAX),
        (u64::MAX / 2, u64::MAX),
    ] {
        let shown = progress(read, total, u64::MAX, Lang::En);
        assert!(columns(&shown) < 80, "{shown}");
    }
    assert!(progress(5, 3, 1000, Lang::En).contains("100% about 0.0 s left"));
}

#[test]
fn every_output_state_says_what_comes_next() {
    let states = [
        OutputState::Waiting,
        OutputState::HalfVoted,
        OutputState::Released,
        OutputState::Rejected,
        OutputState::Returned,
        OutputState::FailedChecks,
    ];
    let output = |state| OutputSummary {
        output: OutputId::new("o1").unwrap(),
        title: "性別の人数\u{7}".into(),
        submitted: Timestamp(1_767_225_600_000),
        state,
        comments: vec!["列を減らしてください\u{1b}[0m".into()],
    };
    for next in states {
        for lang in [Lang::Ja, Lang::En] {
            let shown = outputs(&[output(next)], lang, 80);
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
            assert!(shown.contains(lang.pick("次に: ", "next: ")), "{shown}");
        }
    }
    let ja = "\
o1  2026-01-01 09:00  差戻し
    性別の人数\\u{7}
    審査担当者: 列を減らしてください\\u{1b}[0m
    次に: コメントに沿って直し、申請し直してください。
";
    assert_eq!(outputs(&[output(OutputState::Returned)], Lang::Ja, 80), ja);
    for lang in [Lang::Ja, Lang::En] {
        check(&outputs(&[], lang, 80), lang);
        let (job, output) = (JobId::new("1").unwrap(), OutputId::new("o1").unwrap());
        check(&submitted(&job, &output, lang), lang);
    }
}
