//! Raw data that can't be ingested as it is: a clear error, no value in it, and nothing left.

use std::path::{Path, PathBuf};
use std::process::Output;

use kekkai_e2e::{repository, said};

use crate::run::{files, refuses, run};

/// Rows that an identifier is put into.
const PLANTED_ROWS: usize = 3;

/// Raw data and where its ingest goes.
pub(crate) struct Scene {
    dir: PathBuf,
}

impl Scene {
    /// Raw data of a few patients.
    pub(crate) fn new(dir: PathBuf, format: &str) -> Self {
        let scene = Self { dir };
        let raw = scene.raw().display().to_string();
        let made = run(
            "kekkai",
            &[
                "sample",
                "--out",
                &raw,
                "--patients",
                "300",
                "--seed",
                "7",
                "--format",
                format,
            ],
        );
        assert!(made.status.success(), "{}", said(&made));
        kekkai_deploy::ec_key_pair(&scene.dir, "recovery").unwrap();
        scene
    }

    pub(crate) fn raw(&self) -> PathBuf {
        self.dir.join("raw")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.raw().join("manifest.toml")
    }

    fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// `kekkai ingest` with a manifest.
    pub(crate) fn ingest(&self, manifest: &Path, lang: &str) -> Output {
        let text = |path: PathBuf| path.display().to_string();
        run(
            "kekkai",
            &[
                "--lang",
                lang,
                "ingest",
                "--manifest",
                &manifest.display().to_string(),
                "--source",
                &text(self.raw()),
                "--out",
                &text(self.out()),
                "--recovery",
                &text(self.dir.join("recovery.pub")),
            ],
        )
    }

    /// Nothing but the lock of an ingest that is over.
    fn is_untouched(&self) {
        let left: Vec<PathBuf> = files(&self.out())
            .into_iter()
            .filter(|path| !path.ends_with(".ingest.lock"))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        for entry in std::fs::read_dir(self.out().join("sample"))
            .into_iter()
            .flatten()
        {
            let name = entry.unwrap().file_name();
            assert_eq!(name, ".ingest.lock", "left behind");
        }
    }

    /// Ingests twice, in each language; both refuse, say this and none of that, and leave nothing.
    pub(crate) fn refuses(&self, what: &str, says: &[&str], never: &[&str]) {
        for lang in ["en", "ja"] {
            let output = self.ingest(&self.manifest(), lang);
            let text = refuses(what, &output, says);
            assert!(output.stdout.is_empty(), "{what}: {text}");
            for value in never {
                assert!(!text.contains(value), "{what}: it says \"{value}\": {text}");
            }
            if lang == "ja" {
                let is_japanese = text.chars().any(|c| ('ぁ'..='ん').contains(&c));
                assert!(is_japanese, "{what}: {text}");
            }
            self.is_untouched();
        }
    }

    /// The control: as it is now it can be ingested. Takes the result away again.
    pub(crate) fn accepts(&self) -> PathBuf {
        let output = self.ingest(&self.manifest(), "en");
        assert!(output.status.success(), "{}", said(&output));
        let folder = self.out().join("sample/1");
        for path in files(&folder) {
            if path.extension().is_some_and(|e| e == "parquet") {
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(&bytes[..4], b"PARE", "{path:?} is not encrypted");
            }
        }
        let kept = self.dir.join("ingested");
        std::fs::rename(folder, &kept).unwrap();
        kept
    }

    fn change(&self, table: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Changed {
        let path = self.raw().join(table);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, change(before.clone())).unwrap();
        Changed { path, before }
    }
}

/// A changed source file; dropping it puts the old one back.
struct Changed {
    path: PathBuf,
    before: Vec<u8>,
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.path, &self.before);
    }
}

/// Puts a text into a column of some rows of a CSV file.
fn put(bytes: &[u8], column: &str, text: &str, rows: usize) -> Vec<u8> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().unwrap().clone();
    let at = header.iter().position(|name| name == column).unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).unwrap();
    for (row, record) in reader.records().enumerate() {
        let record = record.unwrap();
        let cells =
            record.iter().enumerate().map(
                |(cell, old)| {
                    if cell == at && row < rows { text } else { old }
                },
            );
        writer.write_record(cells).unwrap();
    }
    writer.into_inner().unwrap()
}

/// What each check must find, and how it is named.
const IDENTIFIERS: &[(&str, &str)] = &[
    ("佐藤 太郎", "name"),
    ("サトウ タロウ", "name"),
    ("123456789018", "my-number"),
    ("個人番号は１２３４５６７８９０１８です", "my-number"),
    ("保険者番号01130012", "insurance"),
    ("記号12-34 番号567", "insurance"),
    ("090-1234-5678", "phone"),
    ("+81 90 1234 5678", "phone"),
    ("hanako.y@example.jp", "email"),
    ("4111 1111 1111 1111", "card"),
    ("普通預金 1234567", "bank"),
    ("〒100-0001", "postal-code"),
    ("千代田区丸の内1丁目9番1号", "address"),
    ("TK1234567", "passport"),
];

pub(crate) fn identifiers(scene: &Scene) {
    for (value, rule) in IDENTIFIERS {
        let _changed = scene.change("dpc.csv", |old| put(&old, "傷病名", value, PLANTED_ROWS));
        let finding = format!("{rule} in {PLANTED_ROWS} rows");
        let output = scene.ingest(&scene.manifest(), "en");
        refuses(
            value,
            &output,
            &["table \"dpc\"", "column \"disease_name\"", &finding],
        );
        scene.refuses(value, &["dpc", "disease_name", rule, "3"], &[value]);
    }
    // Twelve digits whose last does not check are no My Number: the check looks at the digit.
    {
        let _changed = scene.change("dpc.csv", |old| put(&old, "傷病名", "検体 123456789019", 1));
        let output = scene.ingest(&scene.manifest(), "en");
        assert!(
            !said(&output).contains("my-number"),
            "the control: {}",
            said(&output)
        );
        let _ = std::fs::remove_dir_all(scene.out());
    }
    // Somebody's own name and number, known from the columns that are dropped.
    let patients = std::fs::read(scene.raw().join("patients.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(patients.as_slice());
    let first = reader.records().next().unwrap().unwrap();
    for at in [1, 7] {
        let value = first[at].to_owned();
        let _changed = scene.change("labs.csv", |old| put(&old, "検査名", &value, PLANTED_ROWS));
        scene.refuses(
            &value,
            &["labs", "test_name", "dropped-value", "3"],
            &[&value],
        );
    }
    // One eight-digit code may be a patient's number by chance; a column of them is not.
    {
        let _changed = scene.change("labs.csv", |old| {
            let mut reader = csv::Reader::from_reader(old.as_slice());
            let header = reader.headers().unwrap().clone();
            let at = header.iter().position(|name| name == "検査名").unwrap();
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&header).unwrap();
            for record in reader.records() {
                let record = record.unwrap();
                let number = record[0].to_owned();
                let cells = record.iter().enumerate();
                let cells = cells.map(|(cell, old)| if cell == at { &number } else { old });
                writer.write_record(cells).unwrap();
            }
            writer.into_inner().unwrap()
        });
        let number = first[0].to_owned();
        scene.refuses(
            "patients' numbers",
            &["labs", "test_name", "dropped-value"],
            &[&number],
        );
    }
    // All of it is told at once.
    let _labs = scene.change("labs.csv", |old| {
        put(&old, "単位", "hanako.y@example.jp", 5)
    });
    let _dpc = scene.change("dpc.csv", |old| put(&old, "転帰", "090-1234-5678", 2));
    scene.refuses(
        "two tables",
        &["labs", "unit", "email", "5", "dpc", "outcome", "phone", "2"],
        &["hanako", "090-1234", "5678"],
    );
}

pub(crate) fn rows_and_cells(scene: &Scene) {
    let lines = |old: &[u8], line: usize, change: fn(&str) -> String| -> Vec<u8> {
        let text = String::from_utf8(old.to_vec()).unwrap();
        let changed = text.lines().enumerate().map(|(at, old)| {
            if at + 1 == line {
                change(old)
            } else {
                old.to_owned()
            }
        });
        changed.collect::<Vec<_>>().join("\n").into_bytes()
    };
    // One field less, one more, an unclosed quotation mark.
    {
        let _changed = scene.change("drugs.csv", |old| {
            lines(&old, 6, |line| line.rsplit_once(',').unwrap().0.to_owned())
        });
        scene.refuses("a field less", &["drugs.csv", "6", "7", "8"], &["2329030"]);
        let output = scene.ingest(&scene.manifest(), "en");
        refuses("a field less", &output, &["line 6: 7 fields, expected 8"]);
    }
    {
        let _changed = scene.change("drugs.csv", |old| {
            lines(&old, 9, |line| format!("{line},SECRET-ZQX"))
        });
        scene.refuses("a field more", &["drugs.csv", "9", "8"], &["SECRET", "ZQX"]);
    }
    // A text among numbers, a day that does not exist.
    for (column, value, type_) in [
        ("日数", "SECRET-ZQX", "bigint"),
        ("数量", "SECRET-ZQX", "double"),
        ("処方日", "2025-02-30", "date"),
    ] {
        let _changed = scene.change("drugs.csv", |old| put(&old, column, value, 1));
        scene.refuses(column, &["drugs.csv", "2", column, type_], &[value]);
    }
    // Nobody's row.
    {
        let _changed = scene.change("labs.csv", |old| put(&old, "患者ID", "", 4));
        scene.refuses("nobody", &["labs", "person_id", "4"], &[]);
    }
    // Headers: one missing, one unknown; neither is repeated, since a header may be data.
    {
        let _changed = scene.change("dpc.csv", |old| {
            lines(&old, 1, |line| line.replace("請求点数", "SECRET-ZQX"))
        });
        scene.refuses("a header", &["dpc.csv"], &["SECRET", "ZQX"]);
    }
    {
        let _changed = scene.change("dpc.csv", |_| Vec::new());
        scene.refuses("empty", &["dpc.csv"], &[]);
    }
    {
        let _changed = scene.change("dpc.csv", |mut old| {
            let at = old.len() / 2;
            old[at] = 0xff;
            old
        });
        scene.refuses("not UTF-8", &["dpc.csv"], &[]);
    }
    let other = scene.raw().join("other.csv");
    std::fs::rename(scene.raw().join("dpc.csv"), &other).unwrap();
    scene.refuses("no file", &["dpc"], &[]);
    std::fs::rename(&other, scene.raw().join("dpc.csv")).unwrap();
}

/// Undeclared CP932 is refused with the remedy; declared, it is taken.
pub(crate) fn encodings(cp932: &Scene) {
    let declared = std::fs::read_to_string(cp932.manifest()).unwrap();
    let undeclared = declared.replace("\"cp932\"", "\"utf-8\"");
    assert_ne!(declared, undeclared);
    std::fs::write(cp932.manifest(), undeclared).unwrap();
    cp932.refuses(
        "undeclared CP932",
        &["patients.csv", "1", "encoding = \"cp932\""],
        &["藤田"],
    );
    std::fs::write(cp932.manifest(), declared).unwrap();
    cp932.accepts();
}

pub(crate) fn parquet(scene: &Scene) {
    let ingested = scene.accepts();
    let encrypted = files(&ingested.join("dpc")).swap_remove(0);
    let foreign = std::fs::read(repository().join("tests/data/gibleed/person.parquet")).unwrap();
    for (what, make) in [
        (
            "half of it",
            Box::new(|old: Vec<u8>| old[..old.len() / 2].to_vec())
                as Box<dyn Fn(Vec<u8>) -> Vec<u8>>,
        ),
        (
            "its end missing",
            Box::new(|old: Vec<u8>| old[..old.len() - 1].to_vec()),
        ),
        ("no Parquet", Box::new(|_| b"PAR1 SECRET-ZQX PAR1".to_vec())),
        ("nothing", Box::new(|_| Vec::new())),
        (
            "an encrypted file",
            Box::new(move |_| std::fs::read(&encrypted).unwrap()),
        ),
    ] {
        let _changed = scene.change("dpc.parquet", &*make);
        scene.refuses(what, &["dpc.parquet", "arquet"], &["SECRET", "肺炎"]);
    }
    // Pages in the middle damaged, the footer whole.
    {
        let _changed = scene.change("dpc.parquet", |mut old| {
            let middle = old.len() / 3;
            old[middle..middle + 64].fill(0x5a);
            old
        });
        scene.refuses("damaged", &["dpc.parquet"], &["肺炎"]);
    }
    // Somebody else's Parquet.
    {
        let _changed = scene.change("dpc.parquet", move |_| foreign.clone());
        scene.refuses("foreign", &["dpc.parquet"], &["8507", "8532"]);
    }
    // The control: put back, it is taken again.
    std::fs::remove_dir_all(scene.dir.join("ingested")).unwrap();
    scene.accepts();
}
