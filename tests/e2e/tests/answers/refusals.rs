//! Statements that are no statistics: each is refused with its place, in both languages, shows no row,
//! says nothing of the data, and is in the ledger.

use std::collections::BTreeSet;
use std::path::Path;

use kekkai_e2e::{Connection, TestWorld, said};
use kekkai_policy_api::Event;

use crate::plain::Plain;

/// In a column that is kept, of one person.
pub(crate) const PLANTED: &str = "奇病ZQXK";

/// A statement, its code, and what stands above the caret; empty where no place can be told.
type Case = (&'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    // Rows.
    ("SELECT * FROM patients", "rows-not-allowed", "SELECT"),
    (
        "SELECT person_id, sex FROM patients",
        "rows-not-allowed",
        "SELECT",
    ),
    (
        "SELECT sex FROM patients LIMIT 1",
        "rows-not-allowed",
        "SELECT",
    ),
    (
        "SELECT DISTINCT prefecture FROM patients",
        "not-followed",
        "DISTINCT",
    ),
    (
        "SELECT p.sex, d.icd10 FROM patients p JOIN dpc d ON p.person_id = d.person_id",
        "rows-not-allowed",
        "SELECT",
    ),
    // Statements that change or copy something.
    (
        "CREATE TABLE x AS SELECT * FROM patients",
        "statement-not-allowed",
        "CREATE",
    ),
    (
        "CREATE VIEW x AS SELECT * FROM patients",
        "statement-not-allowed",
        "CREATE",
    ),
    ("DROP TABLE patients", "statement-not-allowed", "DROP"),
    (
        "INSERT INTO patients VALUES (1)",
        "statement-not-allowed",
        "INSERT",
    ),
    (
        "UPDATE patients SET sex = 'x'",
        "statement-not-allowed",
        "UPDATE",
    ),
    ("DELETE FROM patients", "statement-not-allowed", "DELETE"),
    (
        "COPY patients TO '/tmp/kekkai-loot.csv'",
        "statement-not-allowed",
        "COPY",
    ),
    (
        "COPY (SELECT * FROM patients) TO '/tmp/kekkai-loot.parquet'",
        "statement-not-allowed",
        "COPY",
    ),
    (
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "statement-not-allowed",
        "CREATE",
    ),
    (
        "SELECT * INTO x FROM patients",
        "statement-not-allowed",
        "INTO",
    ),
    (
        "EXPLAIN ANALYZE SELECT count(*) FROM patients",
        "statement-not-allowed",
        "EXPLAIN",
    ),
    (
        "SET datafusion.execution.batch_size = 1",
        "statement-not-allowed",
        "SET",
    ),
    ("SHOW TABLES", "statement-not-allowed", "SHOW"),
    ("DESCRIBE patients", "statement-not-allowed", "DESCRIBE"),
    (
        "SELECT count(*) FROM patients; DROP TABLE patients",
        "several-statements",
        "D",
    ),
    // Files and the engine's own tables.
    (
        "SELECT count(*) FROM read_csv('/etc/passwd')",
        "function-not-allowed",
        "read_csv",
    ),
    (
        "SELECT count(*) FROM read_parquet('/etc/passwd')",
        "function-not-allowed",
        "read_parquet",
    ),
    (
        "SELECT count(pg_read_file('/etc/passwd')) FROM patients",
        "function-not-allowed",
        "pg_read_file",
    ),
    ("SELECT count(*) FROM '/etc/passwd'", "table-unknown", "'"),
    (
        "SELECT count(*) FROM information_schema.tables",
        "table-unknown",
        "t",
    ),
    // Another project's data.
    ("SELECT count(*) FROM person", "table-unknown", "person"),
    // One person's value.
    (
        "SELECT sex, max(first_visit_month) FROM patients GROUP BY sex",
        "function-not-allowed",
        "max",
    ),
    (
        "SELECT icd10, min(points) FROM dpc GROUP BY icd10",
        "function-not-allowed",
        "min",
    ),
    (
        "SELECT min(disease_name) FROM dpc",
        "function-not-allowed",
        "min",
    ),
    (
        "SELECT array_agg(disease_name) FROM dpc",
        "function-not-allowed",
        "array_agg",
    ),
    (
        "SELECT string_agg(disease_name, ',') FROM dpc",
        "function-not-allowed",
        "string_agg",
    ),
    (
        "SELECT approx_median(points) FROM dpc",
        "function-not-allowed",
        "approx_median",
    ),
    (
        "SELECT first_value(disease_name) FROM dpc",
        "function-not-allowed",
        "first_value",
    ),
    // Shapes whose persons can't be followed.
    (
        "SELECT sex, row_number() OVER (ORDER BY age_band) FROM patients",
        "not-followed",
        "OVER",
    ),
    (
        "SELECT sex, sum(count(*)) OVER () FROM patients GROUP BY sex",
        "not-followed",
        "OVER",
    ),
    (
        "SELECT count(*) FROM patients UNION ALL SELECT count(*) FROM dpc",
        "not-followed",
        "UNION",
    ),
    (
        "SELECT count(*) FROM patients WHERE person_id = 5",
        "clause-not-allowed",
        "person_id",
    ),
    // Names.
    (
        "SELECT count(phone) FROM patients",
        "column-unknown",
        "phone",
    ),
    ("SELEC count(*) FROM patients", "syntax", "SELEC"),
];

/// Computations that fail for some value: whether they do would tell of it, so they don't.
const PROBES: &[&str] = &[
    "SELECT icd10, count(*) FROM dpc WHERE CAST(disease_name AS BIGINT) > 0 GROUP BY icd10",
    "SELECT count(*) FROM dpc WHERE 1 / (length(disease_name) - length(disease_name)) > 0",
    "SELECT CAST(disease_name AS DATE), count(*) FROM dpc WHERE disease_name LIKE '奇病%' GROUP BY 1",
];

/// What stands above the first caret.
fn above_caret(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.trim_start_matches([' ', '|']).starts_with('^'))?;
    let columns = lines[at].chars().filter(|c| *c == '^').count();
    let from = lines[at].find('^')?;
    let line = lines.get(at.checked_sub(1)?)?;
    line.get(from..from + columns).map(str::to_owned)
}

/// Texts of the raw data that are somebody's: names, numbers, what was planted.
fn personal(raw: &Path) -> BTreeSet<String> {
    let patients = Plain::csv(&raw.join("patients.csv"));
    let mut found: BTreeSet<String> = patients
        .rows()
        .flat_map(|row| ["患者ID", "氏名", "カナ氏名", "電話番号"].map(|name| row.text(name)))
        .collect();
    found.insert(PLANTED.to_owned());
    found.insert("ZQXK".to_owned());
    assert!(
        found.len() > 4_000,
        "the control: there are names to look for"
    );
    found
}

/// Without digests and random ids: in 64 hexadecimal digits any short number may stand by chance. A long
/// run of digits alone stays.
fn without_digests(text: &str) -> String {
    const RANDOM_MIN: usize = 16;
    let is_random =
        |word: &str| word.len() >= RANDOM_MIN && word.contains(|c: char| c.is_ascii_lowercase());
    let mut kept = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        kept.push_str(if is_random(word) {
            &piece[word.len()..]
        } else {
            piece
        });
    }
    kept
}

/// Runs each statement, in English, and some of them in Japanese.
pub(crate) fn each_is_said_where_and_recorded(
    world: &TestWorld,
    english: &Connection,
    japanese: &Connection,
    raw: &Path,
) {
    let personal = personal(raw);
    let quiet = |what: &str, text: &str| {
        let text = without_digests(text);
        for value in &personal {
            assert!(!text.contains(value), "{what} tells \"{value}\":\n{text}");
        }
    };
    let mut wrong = Vec::new();
    for (number, (sql, code, at)) in CASES.iter().enumerate() {
        let output = english.run(&format!("sql {sql}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        quiet(sql, &said(&output));
        let is_refused = output.status.code() == Some(1)
            && output.stdout.is_empty()
            && text.contains("error [")
            && text.contains("next: ");
        let is_there = above_caret(&text).unwrap_or_default() == *at;
        if !is_refused || !text.contains(&format!("[{code}]")) || !is_there {
            wrong.push(format!("{sql}\n{}", said(&output)));
        }
        if number % 4 == 0 {
            let output = japanese.run(&format!("sql {sql}"));
            let text = said(&output);
            quiet(sql, &text);
            let is_refused = output.status.code() == Some(1)
                && output.stdout.is_empty()
                && text.contains(&format!("エラー [{code}]"))
                && text.contains("次に: ");
            if !is_refused || above_caret(&text).unwrap_or_default() != *at {
                wrong.push(format!("{sql}\n{text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    for loot in ["/tmp/kekkai-loot.csv", "/tmp/kekkai-loot.parquet"] {
        assert!(!Path::new(loot).exists(), "{loot}");
    }

    for sql in PROBES {
        let output = english.run(&format!("sql {sql}"));
        quiet(sql, &said(&output));
        let shown = crate::shown::read(&output);
        let is_nothing = shown.rows.is_empty() || shown.rows == [["*"]];
        assert!(is_nothing, "{}", said(&output));
    }

    // The control: the sentence's other half is answered, in either language.
    let ok = japanese.run("sql SELECT sex, count(*) FROM patients GROUP BY sex");
    assert!(ok.status.success(), "{}", said(&ok));
    assert!(String::from_utf8_lossy(&ok.stdout).contains("(2 行)"));
    let ok = japanese.run("sql SELECT prefecture, count(*) FROM patients GROUP BY prefecture");
    assert!(
        String::from_utf8_lossy(&ok.stdout).contains("10人未満のグループ 4 件は表示していません。"),
        "{}",
        said(&ok)
    );

    // A terminal's locale, then the console's own word, decide the language.
    let wrong = "sql SELECT count(phone) FROM patients";
    let locale = english.run_in("ja_JP.UTF-8", wrong);
    assert!(said(&locale).contains("エラー ["), "{}", said(&locale));
    let locale = english.run_in("en_GB.UTF-8", wrong);
    assert!(said(&locale).contains("error ["), "{}", said(&locale));

    // Each was recorded before it ran, and how it ended.
    let events = world.events();
    for (sql, code, _) in CASES {
        let started: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::QueryStarted {
                    session,
                    job,
                    sql: s,
                } if s == sql => Some((session, job)),
                _ => None,
            })
            .collect();
        assert!(!started.is_empty(), "{sql} is not in the ledger");
        for (session, job) in started {
            let outcome = events.iter().find_map(|event| match event {
                Event::QueryEnded {
                    session: s,
                    job: j,
                    outcome,
                    rows,
                    ..
                } if s == session && j == job => Some((outcome.as_str(), *rows)),
                _ => None,
            });
            let expected = format!("failed: {code}");
            assert_eq!(outcome, Some((expected.as_str(), 0)), "{sql}");
        }
    }
    for event in &events {
        let text = serde_json::to_string(event).unwrap();
        quiet("the ledger", &text);
    }
}
