//! `kekkai extract`: the offline key, and the way back from a project's pseudonym to the source's id.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kekkai_dataset::{FilePlace, Manifest, open_reader, unwrap_with_recovery};
use kekkai_deploy::{ec_key_pair, ec_private_of_file, ec_public_of_file};
use kekkai_extract::{Agreed, Extracted, ProjectKey, Source, Target, extract};
use kekkai_ingest::sample::{self, SampleFormat};
use kekkai_types::{AgreementId, DatasetId, KeyText, Recipient, ServerId};

fn kekkai(lang: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kekkai"))
        .args(["--lang", lang])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(bytes).unwrap()
}

/// A producer's machine: raw data, the dataset, a project's extract, keys.
struct Producer {
    root: tempfile::TempDir,
    dataset: PathBuf,
    extract: Extracted,
    server: KeyText,
}

impl Producer {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let keys = path("keys");
        let made = kekkai(
            "en",
            &["extract", "keygen", "--out", keys.to_str().unwrap()],
        );
        assert!(made.status.success(), "{}", text(&made));
        for name in ["recovery", "server"] {
            ec_key_pair(&keys, name).unwrap();
        }
        let public = |name: &str| ec_public_of_file(&keys.join(format!("{name}.pub"))).unwrap();
        sample::write(&path("raw"), 7, 60, SampleFormat::CsvUtf8, |_| {}).unwrap();
        let manifest = Manifest::parse(sample::MANIFEST).unwrap();
        let ingested = kekkai_ingest::ingest_with_escrow(
            &manifest,
            &path("raw"),
            &path("data"),
            &[(Recipient::Recovery, public("recovery"))],
            None,
            &public("offline"),
            |_| {},
        )
        .unwrap();
        let recovery = ec_private_of_file(&keys.join("recovery.key")).unwrap();
        let key = unwrap_with_recovery(&recovery, &ingested.keys[0]).unwrap();
        let agreed = Agreed {
            columns: ["person_id", "sex", "prefecture"]
                .map(str::to_owned)
                .to_vec(),
            rows: Vec::new(),
        };
        let extract = extract(
            &Source {
                folder: &ingested.folder,
                catalog: &ingested.catalog,
                key: &key,
            },
            &Target {
                agreement: &AgreementId::new("p1").unwrap(),
                tables: &BTreeMap::from([("patients".to_owned(), agreed)]),
                extract: (DatasetId::new("p1.sample").unwrap(), 1),
                out: &path("data"),
                servers: &[(ServerId::new("a1").unwrap(), public("server"))],
                offline: &public("offline"),
            },
            &ProjectKey::random().unwrap(),
            |_| {},
        )
        .unwrap();
        let server = ec_private_of_file(&keys.join("server.key")).unwrap();
        Self {
            dataset: ingested.folder,
            extract,
            server,
            root,
        }
    }

    fn key(&self, name: &str) -> String {
        let path = self.root.path().join("keys").join(name);
        path.display().to_string()
    }

    /// The project's pseudonyms, each with its person's sex and prefecture.
    fn pseudonyms(&self) -> Vec<(i64, [String; 2])> {
        let catalog = &self.extract.catalog;
        let key = unwrap_with_recovery(&self.server, &self.extract.keys[0]).unwrap();
        let entry = &catalog.tables[0].files[0];
        let place = FilePlace::new(&catalog.id, 1, &entry.name);
        let file = File::open(self.extract.folder.join(&entry.name)).unwrap();
        let reader = open_reader(file, &key, &place).unwrap().build().unwrap();
        let mut all = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let data = |name: &str| batch.column_by_name(name).unwrap().to_data();
            let text = |name: &str, at: usize| {
                let data = data(name);
                let ends = &data.buffers()[0].typed_data::<i32>()[data.offset() + at..];
                let [from, to] = [ends[0], ends[1]].map(|end| usize::try_from(end).unwrap());
                String::from_utf8(data.buffers()[1].as_slice()[from..to].to_vec()).unwrap()
            };
            let ids = data("person_id");
            let values = &ids.buffers()[0].typed_data::<i64>()[ids.offset()..];
            for (at, id) in values[..ids.len()].iter().enumerate() {
                all.push((*id, [text("sex", at), text("prefecture", at)]));
            }
        }
        all
    }

    /// The raw table's patients: number, sex, address.
    fn patients(&self) -> Vec<[String; 3]> {
        let raw = std::fs::read_to_string(self.root.path().join("raw/patients.csv")).unwrap();
        let mut lines = raw.trim_start_matches('\u{feff}').lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let at = ["患者ID", "性別", "住所"]
            .map(|name| header.iter().position(|column| *column == name).unwrap());
        lines
            .map(|line| at.map(|at| line.split(',').nth(at).unwrap().to_owned()))
            .collect()
    }

    fn reidentify(&self, lang: &str, key: &str, folders: [Option<&Path>; 2], whom: i64) -> Output {
        let key = self.key(key);
        let whom = whom.to_string();
        let mut arguments = vec![
            "extract",
            "reidentify",
            "--offline-key",
            &key,
            "--enquiry",
            "12",
        ];
        for (name, folder) in ["--extract", "--dataset"].into_iter().zip(folders) {
            if let Some(folder) = folder {
                arguments.extend([name, folder.to_str().unwrap()]);
            }
        }
        arguments.push(&whom);
        kekkai(lang, &arguments)
    }
}

#[test]
fn the_offline_key_leads_from_a_projects_pseudonym_to_the_patient_and_no_other_key_does() {
    let producer = Producer::new();
    let both = [
        Some(producer.extract.folder.as_path()),
        Some(producer.dataset.as_path()),
    ];
    let (pseudonyms, patients) = (producer.pseudonyms(), producer.patients());
    assert_eq!((pseudonyms.len(), patients.len()), (60, 60));
    let mut found = Vec::new();
    for (pseudonym, [sex, prefecture]) in [0, 12, 25, 31, 44, 59].map(|at| &pseudonyms[at]) {
        let output = producer.reidentify("en", "offline.key", both, *pseudonym);
        assert!(output.status.success(), "{}", text(&output));
        let number = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let patient = patients
            .iter()
            .find(|patient| patient[0] == number)
            .unwrap();
        assert_eq!(&patient[1], sex);
        assert!(patient[2].starts_with(prefecture.as_str()));
        assert!(!found.contains(&number));
        // The record names the enquiry and the extract, and nobody.
        let record = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(record.contains("\"enquiry\":12") && record.contains("\"extract\":\"p1.sample\""));
        assert!(!record.contains(&number) && !record.contains(&pseudonym.to_string()));
        found.push(number);
    }
    let whom = pseudonyms[0].0;
    // Without the dataset's folder: its pseudonym, which is neither.
    let output = producer.reidentify("en", "offline.key", [both[0], None], whom);
    let in_dataset = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(in_dataset.parse::<i64>().is_ok_and(|id| id != whom));
    for key in ["recovery.key", "server.key"] {
        let output = producer.reidentify("en", key, both, whom);
        assert!(!output.status.success());
        assert!(output.stdout.is_empty() && !text(&output).contains(&found[0]));
        assert!(
            text(&output).contains("another offline key"),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn what_cant_be_answered_says_why_in_both_languages() {
    let producer = Producer::new();
    let (extract, dataset) = (producer.extract.folder.clone(), producer.dataset.clone());
    let cases: [(&str, [Option<&Path>; 2], &str, &str); 3] = [
        (
            "nobody",
            [Some(&extract), Some(&dataset)],
            "nobody in this extract",
            "いません",
        ),
        (
            "a dataset's folder",
            [Some(&dataset), None],
            "--extract",
            "--extract",
        ),
        (
            "an extract as dataset",
            [Some(&extract), Some(&extract)],
            "nobody",
            "いません",
        ),
    ];
    for (what, folders, english, japanese) in cases {
        for (lang, expected) in [("en", english), ("ja", japanese)] {
            let output = producer.reidentify(lang, "offline.key", folders, 4711);
            assert!(!output.status.success(), "{what}");
            assert!(output.stdout.is_empty());
            assert!(
                text(&output).contains(expected),
                "{what}: {}",
                text(&output)
            );
        }
    }
    let none = kekkai("en", &["extract"]);
    assert!(!none.status.success());
    for name in [
        "--agreement",
        "--data",
        "--recovery-key",
        "--offline-key",
        "--connect",
    ] {
        assert!(text(&none).contains(name), "{name}: {}", text(&none));
    }
    // All of it: what is wrong then is the first file.
    let whole = kekkai(
        "en",
        &[
            "extract",
            "--agreement",
            "a.toml",
            "--data",
            "d",
            "--recovery-key",
            "r",
            "--offline-key",
            "o",
            "--connect",
            "c",
        ],
    );
    assert!(
        text(&whole).contains("\"a.toml\" can't be read"),
        "{}",
        text(&whole)
    );
    let help = kekkai("en", &["extract", "--help"]);
    for word in [
        "keygen",
        "enquiry",
        "reidentify",
        "--agreement",
        "--offline-key",
    ] {
        assert!(text(&help).contains(word), "{word}: {}", text(&help));
    }
}
