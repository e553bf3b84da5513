//! From raw data to encrypted files and back: what must be there is, what must not be is not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, UInt32Type};
use common::{Scene, contains};
use kekkai_dataset::escrow::{self, ESCROW};
use kekkai_dataset::{
    FileError, FilePlace, Manifest, check_magic, layout, read_metadata, verify_digest,
};
use kekkai_ingest::{Ingested, PseudonymKey, Step, ingest, sample};
use kekkai_types::{ColumnRole, DatasetId, KeyText, PERSON_NUMBER_COLUMN, Recipient};
use sample::SampleFormat;

const SEED: u64 = 20_250_331;

fn sampled(patients: u64, format: SampleFormat) -> Scene {
    let scene = Scene::new();
    sample::write(&scene.raw(), SEED, patients, format, |_| {}).unwrap();
    scene
}

#[test]
fn same_seed_gives_the_same_bytes_and_another_seed_others() {
    let names = ["patients.csv", "labs.csv", "dpc.csv", "drugs.csv"];
    let make = |seed| {
        let scene = Scene::new();
        sample::write(&scene.raw(), seed, 300, SampleFormat::CsvUtf8, |_| {}).unwrap();
        names.map(|name| fs::read(scene.raw().join(name)).unwrap())
    };
    let (one, two, other) = (make(1), make(1), make(2));
    assert_eq!(one, two);
    for (a, b) in one.iter().zip(&other) {
        assert_ne!(a, b);
    }
    // More patients do not change those that were there.
    let scene = Scene::new();
    sample::write(&scene.raw(), 1, 400, SampleFormat::CsvUtf8, |_| {}).unwrap();
    for (name, short) in names.iter().zip(&one) {
        assert!(
            fs::read(scene.raw().join(name)).unwrap().starts_with(short),
            "{name}"
        );
    }
}

#[test]
fn sample_refuses_no_patients_too_many_and_files_that_are_there() {
    let scene = Scene::new();
    let write = |patients| sample::write(&scene.raw(), 1, patients, SampleFormat::CsvUtf8, |_| {});
    assert!(write(0).is_err());
    assert!(write(sample::PATIENTS_MAX + 1).is_err());
    write(3).unwrap();
    assert!(write(3).is_err());
}

/// What the tests compare: computed from the raw CSV here, by other code than the crate's.
#[derive(Debug, PartialEq)]
struct Summary {
    patients: usize,
    by_sex_and_prefecture: BTreeMap<(String, String), usize>,
    /// Count and sum by JLAC10 code.
    labs: BTreeMap<String, (usize, f64)>,
    /// Admissions and distinct patients by ICD-10 code.
    diseases: BTreeMap<String, (usize, usize)>,
    /// Mean HbA1c of those who take metformin, and of those who don't, times a thousand.
    hba1c: (f64, f64),
}

const HBA1C: &str = "3D046000001906202";
const METFORMIN: &str = "3962002F3023";

type Row = HashMap<String, String>;

fn raw_rows(scene: &Scene, table: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(scene.raw().join(format!("{table}.csv"))).unwrap();
    let header = reader.headers().unwrap().clone();
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            header
                .iter()
                .map(str::to_owned)
                .zip(record.iter().map(str::to_owned))
                .collect()
        })
        .collect()
}

fn decrypted_rows(scene: &Scene, ingested: &Ingested, table: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in scene.recovery.table(ingested, table) {
        for at in 0..batch.num_rows() {
            let mut row = Row::new();
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let text = arrow::util::display::array_value_to_string(column, at).unwrap();
                row.insert(field.name().clone(), text);
            }
            rows.push(row);
        }
    }
    rows
}

/// `names` gives the column's name for the raw one.
fn summary(tables: [Vec<Row>; 4], names: impl Fn(&'static str) -> &'static str) -> Summary {
    let [patients, labs, dpc, drugs] = tables;
    let get = |row: &Row, name: &'static str| row[names(name)].clone();
    let mut by_sex_and_prefecture = BTreeMap::new();
    for row in &patients {
        let address = get(row, "住所");
        let end = ["都", "道", "府", "県"]
            .iter()
            .filter_map(|ending| {
                address
                    .char_indices()
                    .skip(2)
                    .find(|(_, c)| c.to_string() == **ending)
            })
            .map(|(at, c)| at + c.len_utf8())
            .min()
            .unwrap();
        let key = (get(row, "性別"), address[..end].to_owned());
        *by_sex_and_prefecture.entry(key).or_default() += 1;
    }
    let metformin: BTreeSet<String> = drugs
        .iter()
        .filter(|row| get(row, "YJコード") == METFORMIN)
        .map(|row| get(row, "患者ID"))
        .collect();
    let mut by_code: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    let mut hba1c = [(0, 0.0), (0, 0.0)];
    for row in &labs {
        let value: f64 = get(row, "結果値").parse().unwrap();
        let entry = by_code.entry(get(row, "JLAC10")).or_default();
        entry.0 += 1;
        entry.1 += value;
        if get(row, "JLAC10") == HBA1C {
            let side = &mut hba1c[usize::from(!metformin.contains(&get(row, "患者ID")))];
            side.0 += 1;
            side.1 += value;
        }
    }
    let mut diseases: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    for row in &dpc {
        let entry = diseases.entry(get(row, "ICD10")).or_default();
        entry.0 += 1;
        entry.1.insert(get(row, "患者ID"));
    }
    let mean = |(count, sum): (i32, f64)| (sum / f64::from(count) * 1000.0).round();
    Summary {
        patients: patients
            .iter()
            .map(|row| get(row, "患者ID"))
            .collect::<BTreeSet<_>>()
            .len(),
        by_sex_and_prefecture,
        labs: by_code
            .into_iter()
            .map(|(code, (n, sum))| (code, (n, (sum * 100.0).round())))
            .collect(),
        diseases: diseases
            .into_iter()
            .map(|(code, (n, p))| (code, (n, p.len())))
            .collect(),
        hba1c: (mean(hba1c[0]), mean(hba1c[1])),
    }
}

const TABLES: [&str; 4] = ["patients", "labs", "dpc", "drugs"];

fn ingested_name(raw: &'static str) -> &'static str {
    match raw {
        "患者ID" => "person_id",
        "住所" => "prefecture",
        "性別" => "sex",
        "JLAC10" => "jlac10",
        "結果値" => "value",
        "ICD10" => "icd10",
        "YJコード" => "yj_code",
        other => other,
    }
}

#[test]
fn aggregates_over_decrypted_data_equal_those_over_raw_data() {
    let scene = sampled(3_000, SampleFormat::CsvUtf8);
    let ingested = scene.ingest(sample::MANIFEST).unwrap();
    let raw = summary(TABLES.map(|table| raw_rows(&scene, table)), |name| name);
    let kept = summary(
        TABLES.map(|table| decrypted_rows(&scene, &ingested, table)),
        ingested_name,
    );
    assert_eq!(raw, kept);
    assert_eq!(raw.patients, 3_000);
    assert_eq!(ingested.report.persons, 3_000);
    // The sample is worth analysing: diabetes shows in HbA1c, and few diseases are common.
    assert!(raw.hba1c.0 > raw.hba1c.1 + 700.0, "{:?}", raw.hba1c);
    assert!(raw.diseases.len() > 20);
    // Pseudonyms are positive, and none is a patient's number.
    for batch in scene.recovery.table(&ingested, "patients") {
        let ids = batch
            .column_by_name("person_id")
            .unwrap()
            .as_primitive::<Int64Type>()
            .clone();
        assert_eq!(ids.null_count(), 0);
        assert!(
            ids.values()
                .iter()
                .all(|id| *id > 0 && !(10_000_000..10_003_000).contains(id))
        );
    }
}

#[test]
fn coarsened_columns_hold_what_the_rule_leaves() {
    let scene = sampled(500, SampleFormat::CsvUtf8);
    let ingested = scene.ingest(sample::MANIFEST).unwrap();
    let raw = raw_rows(&scene, "patients");
    let kept = decrypted_rows(&scene, &ingested, "patients");
    for (raw, kept) in raw.iter().zip(&kept) {
        let age: i32 = {
            let born: Vec<i32> = raw["生年月日"]
                .split('-')
                .map(|p| p.parse().unwrap())
                .collect();
            2025 - born[0] - i32::from((born[1], born[2]) > (3, 31))
        };
        let band = &kept["age_band"];
        if age >= 90 {
            assert_eq!(band, "90+");
        } else {
            let (from, to) = band.split_once('-').unwrap();
            assert!(
                (from.parse().unwrap()..=to.parse::<i32>().unwrap()).contains(&age),
                "{age} {band}"
            );
        }
        assert!(raw["住所"].starts_with(&kept["prefecture"]));
        assert_eq!(
            kept["first_visit_month"],
            format!("{}-01", &raw["初診日"][..7])
        );
        // Five columns, and the hidden number.
        assert_eq!(kept.len(), 5 + 1);
        assert!(kept.contains_key(PERSON_NUMBER_COLUMN));
    }
}

#[test]
fn three_formats_of_the_same_sample_become_the_same_data() {
    let made: Vec<Vec<Vec<Row>>> = [
        SampleFormat::CsvUtf8,
        SampleFormat::CsvCp932,
        SampleFormat::Parquet,
    ]
    .into_iter()
    .map(|format| {
        let scene = sampled(400, format);
        let ingested = scene.ingest(&sample::manifest(format)).unwrap();
        TABLES
            .iter()
            .map(|table| decrypted_rows(&scene, &ingested, table))
            .collect()
    })
    .collect();
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
}

#[test]
fn nothing_of_what_was_dropped_or_replaced_is_in_any_output_file() {
    let scene = sampled(200, SampleFormat::CsvUtf8);
    // Sentinels in a dropped name, a dropped free text, an address that is made coarser, a key.
    let sentinels = ["SENTINELname", "SENTINELnote", "SENTINELlot", "SENTINELkey"];
    let mut patients = fs::read_to_string(scene.raw().join("patients.csv")).unwrap();
    patients.push_str(
        "SENTINELkey,SENTINELname,ﾅﾅｼ,1960-01-01,女,1000001,東京都SENTINELlot,,,,,2024-01-01\n",
    );
    scene.put("patients.csv", &patients);
    let mut dpc = fs::read_to_string(scene.raw().join("dpc.csv")).unwrap();
    dpc.push_str("SENTINELkey,131,2024-01-01,2024-01-09,J189,肺炎,軽快,5000,SENTINELnote\n");
    scene.put("dpc.csv", &dpc);
    let ingested = scene.ingest(sample::MANIFEST).unwrap();

    let said = format!("{ingested:?}");
    let encrypted: Vec<_> = scene.files();
    assert!(encrypted.len() >= 6);
    for sentinel in sentinels {
        assert!(contains(patients.as_bytes(), b"SENTINEL"));
        assert!(!said.contains(sentinel));
        for path in &encrypted {
            assert!(
                !contains(&fs::read(path).unwrap(), sentinel.as_bytes()),
                "{sentinel} in {path:?}"
            );
        }
        // Not in what a researcher could see either.
        for table in TABLES {
            let rows = decrypted_rows(&scene, &ingested, table);
            assert!(
                !format!("{rows:?}").contains(sentinel),
                "{sentinel} in {table}"
            );
        }
    }
    // Positive control: what is kept does come back, and is not readable on disk.
    let dpc = format!("{:?}", decrypted_rows(&scene, &ingested, "dpc"));
    assert!(dpc.contains("誤嚥性肺炎") || dpc.contains("肺炎"));
    for path in &encrypted {
        assert!(
            !contains(&fs::read(path).unwrap(), "肺炎".as_bytes()),
            "{path:?}"
        );
    }
    // No key in plain: neither the dataset's nor the one of the pseudonyms nor its secret.
    let key = scene.recovery.dataset_key(&ingested);
    for path in &encrypted {
        let bytes = fs::read(path).unwrap();
        assert!(!contains(&bytes, key.expose()), "{path:?}");
        assert!(!contains(&bytes, hex(key.expose()).as_bytes()), "{path:?}");
        assert!(!contains(&bytes, &[9; 32]), "{path:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_file_is_encrypted_as_the_catalogue_says_and_opens_at_its_place_only() {
    let scene = sampled(300, SampleFormat::CsvUtf8);
    let ingested = scene.ingest(sample::MANIFEST).unwrap();
    let catalog = layout::read_catalog(&ingested.folder).unwrap();
    assert_eq!(catalog, ingested.catalog);
    assert_eq!(
        layout::read_wrapped_keys(&ingested.folder).unwrap(),
        ingested.keys
    );
    let key = scene.recovery.dataset_key(&ingested);
    let entries: Vec<_> = catalog
        .tables
        .iter()
        .flat_map(|table| &table.files)
        .collect();
    assert_eq!(entries.len(), 4);
    for entry in &entries {
        let open = || File::open(ingested.folder.join(&entry.name)).unwrap();
        let place = |dataset: &str, version, name: &str| {
            FilePlace::new(&DatasetId::new(dataset).unwrap(), version, name)
        };
        check_magic(&open(), &place("sample", 1, &entry.name)).unwrap();
        verify_digest(&open(), entry).unwrap();
        read_metadata(&open(), &key, &place("sample", 1, &entry.name)).unwrap();
        let mut elsewhere = vec![
            place("other", 1, &entry.name),
            place("sample", 2, &entry.name),
        ];
        elsewhere.extend(
            entries
                .iter()
                .filter(|e| e.name != entry.name)
                .map(|e| place("sample", 1, &e.name)),
        );
        for place in elsewhere {
            let error = read_metadata(&open(), &key, &place).unwrap_err();
            assert!(matches!(error, FileError::DoesNotOpen { .. }), "{error}");
        }
    }
    // Direct identifiers are not even in the catalogue.
    let roles: BTreeSet<_> = catalog
        .tables
        .iter()
        .flat_map(|t| &t.columns)
        .map(|c| format!("{:?}", c.role))
        .collect();
    assert!(!roles.contains(&format!("{:?}", ColumnRole::DirectIdentifier)));
}

#[test]
fn pseudonyms_stay_the_same_in_the_next_version_with_the_same_secret_only() {
    let scene = sampled(100, SampleFormat::CsvUtf8);
    let ids = |ingested: &Ingested, table: &str| -> BTreeSet<String> {
        decrypted_rows(&scene, ingested, table)
            .iter()
            .map(|row| row["person_id"].clone())
            .collect()
    };
    let first = scene.ingest(sample::MANIFEST).unwrap();
    let second = scene
        .ingest(&sample::MANIFEST.replace("version = 1", "version = 2"))
        .unwrap();
    assert_eq!(ids(&first, "patients"), ids(&second, "patients"));
    assert!(ids(&first, "labs").is_subset(&ids(&first, "patients")));
    let third = Manifest::parse(&sample::MANIFEST.replace("version = 1", "version = 3")).unwrap();
    let other = PseudonymKey::derive(&KeyText::new([8; 32]), &third.id).unwrap();
    let recipients = [(Recipient::Recovery, scene.recovery.public.clone())];
    for (version, key) in [(3, Some(&other)), (4, None)] {
        let manifest = Manifest {
            version,
            ..third.clone()
        };
        let ingested = ingest(
            &manifest,
            &scene.raw(),
            &scene.out(),
            &recipients,
            key,
            |_| {},
        )
        .unwrap();
        assert!(ids(&ingested, "patients").is_disjoint(&ids(&first, "patients")));
    }
}

#[test]
fn gibleed_is_ingested_with_its_warts() {
    let manifest = Manifest::parse(sample::GIBLEED_MANIFEST).unwrap();
    let scene = Scene::new();
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/gibleed");
    let key = PseudonymKey::derive(&KeyText::new([9; 32]), &manifest.id).unwrap();
    let recipients = [(Recipient::Recovery, scene.recovery.public.clone())];
    let mut last = 0;
    let ingested = ingest(
        &manifest,
        &data,
        &scene.out(),
        &recipients,
        Some(&key),
        |progress| {
            assert!(progress.bytes >= last && progress.bytes <= progress.bytes_total);
            last = progress.bytes;
        },
    )
    .unwrap();
    let rows: BTreeMap<&str, u64> = ingested
        .catalog
        .tables
        .iter()
        .map(|t| (t.name.as_str(), t.rows))
        .collect();
    // The numbers of tests/data/gibleed/README.md.
    let expected = [
        ("person", 2_694),
        ("observation_period", 5_343),
        ("visit_occurrence", 1_037),
        ("condition_occurrence", 65_332),
        ("condition_era", 65_719),
        ("drug_exposure", 67_707),
        ("drug_era", 52_508),
        ("procedure_occurrence", 37_409),
        ("measurement", 44_053),
        ("observation", 1_477),
        ("concept", 442),
    ];
    assert_eq!(rows, BTreeMap::from(expected));
    // A wart: observation periods of people whom `person` does not know.
    assert_eq!(ingested.report.persons, 5_343);
    let concept = ingested
        .catalog
        .tables
        .iter()
        .find(|t| t.name == "concept")
        .unwrap();
    assert_eq!(concept.person_key, None);

    // Gastrointestinal hemorrhage: records and persons, against the plain file.
    let plain = {
        let file = File::open(data.join("condition_occurrence.parquet")).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    let count = |batches: &[arrow::record_batch::RecordBatch]| {
        let mut persons = BTreeSet::new();
        let (mut records, mut days) = (0, 0_i64);
        for batch in batches {
            let column = |name: &str| batch.column_by_name(name).unwrap();
            let concepts = column("condition_concept_id").as_primitive::<Int64Type>();
            let ids = column("person_id").as_primitive::<Int64Type>();
            let starts = column("condition_start_date").as_primitive::<Date32Type>();
            for at in 0..batch.num_rows() {
                if concepts.value(at) == 192_671 {
                    records += 1;
                    days += i64::from(starts.value(at));
                    persons.insert(ids.value(at));
                }
            }
        }
        (records, persons.len(), days)
    };
    let kept = scene.recovery.table(&ingested, "condition_occurrence");
    assert_eq!(count(&plain), count(&kept));
    assert!(count(&kept).1 > 100);
    // Its tables come in no order of persons.
    for table in rows.keys().filter(|table| **table != "concept") {
        let batches = scene.recovery.table(&ingested, table);
        let persons = batches.iter().flat_map(|batch| {
            let numbers = batch.column_by_name(PERSON_NUMBER_COLUMN).unwrap();
            numbers.as_primitive::<UInt32Type>().values().to_vec()
        });
        assert!(persons.is_sorted(), "{table}");
    }
    let doubles = scene.recovery.table(&ingested, "measurement");
    let values = doubles[0].column_by_name("value_as_number").unwrap();
    assert_eq!(
        values.as_primitive::<Float64Type>().null_count(),
        doubles[0].num_rows()
    );
}

/// The child of the test below: ingests until it is killed.
#[test]
fn killed_child() {
    let Ok(root) = std::env::var("KEKKAI_TEST_KILLED") else {
        return;
    };
    let root = PathBuf::from(root);
    let manifest = Manifest::parse(sample::MANIFEST).unwrap();
    let recovery = common::Recovery::new();
    let recipients = [(Recipient::Recovery, recovery.public)];
    let done = ingest(
        &manifest,
        &root.join("raw"),
        &root.join("out"),
        &recipients,
        None,
        |_| {},
    );
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn killed_ingest_leaves_a_whole_version_or_none() {
    let scene = sampled(4_000, SampleFormat::CsvUtf8);
    let version = scene.out().join("sample/1");
    let child = |kill_after: Option<u64>| {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_child"])
            .env("KEKKAI_TEST_KILLED", scene.root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if let Some(after) = kill_after {
            std::thread::sleep(Duration::from_millis(after));
            // SIGKILL; it may have finished already.
            child.kill().unwrap();
        }
        child.wait().unwrap()
    };
    let mut kills = 0;
    for after in (0..14).map(|step| step * 60) {
        let ended = child(Some(after));
        if version.exists() {
            // Complete: its catalogue is there and every file is what it says.
            let catalog = layout::read_catalog(&version).unwrap();
            for entry in catalog.tables.iter().flat_map(|table| &table.files) {
                verify_digest(&File::open(version.join(&entry.name)).unwrap(), entry).unwrap();
            }
            fs::remove_dir_all(&version).unwrap();
        }
        kills += usize::from(!ended.success());
    }
    assert!(kills > 0, "no kill came in time");
    assert!(child(None).success());
    layout::read_catalog(&version).unwrap();
    let left = fs::read_dir(scene.out().join("sample"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_dir())
        .count();
    assert_eq!(left, 1, "what the killed ones left was removed");
}

#[test]
fn persons_have_one_number_in_all_tables_and_no_catalogue_names_it() {
    let scene = sampled(300, SampleFormat::CsvUtf8);
    let ingested = scene.ingest(sample::MANIFEST).unwrap();
    let mut numbers: HashMap<i64, u32> = HashMap::new();
    for table in TABLES {
        for batch in scene.recovery.table(&ingested, table) {
            let schema = batch.schema();
            let field = schema.field_with_name(PERSON_NUMBER_COLUMN).unwrap();
            assert!(!field.is_nullable());
            let persons = batch.column_by_name("person_id").unwrap();
            let found = batch.column_by_name(PERSON_NUMBER_COLUMN).unwrap();
            for (person, number) in persons
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .zip(found.as_primitive::<UInt32Type>().values())
            {
                assert_eq!(numbers.entry(*person).or_insert(*number), number);
            }
        }
        let known = ingested.catalog.tables.iter().find(|t| t.name == table);
        let columns = &known.unwrap().columns;
        assert!(columns.iter().all(|c| c.name != PERSON_NUMBER_COLUMN));
    }
    // From 0 without gaps, each once.
    let mut all: Vec<u32> = numbers.into_values().collect();
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<u32>>());
}

#[test]
fn only_the_offline_key_leads_from_a_pseudonym_to_its_patient_number() {
    let scene = sampled(200, SampleFormat::CsvUtf8);
    let manifest = Manifest::parse(sample::MANIFEST).unwrap();
    let offline = common::Recovery::new();
    let secret = KeyText::new([9; 32]);
    let ingested = kekkai_ingest::ingest_with_escrow(
        &manifest,
        &scene.raw(),
        &scene.out(),
        &[(Recipient::Recovery, scene.recovery.public.clone())],
        Some(&PseudonymKey::derive(&secret, &manifest.id).unwrap()),
        &offline.public,
        |_| {},
    )
    .unwrap();
    let path = ingested.folder.join(ESCROW);
    let raw = raw_rows(&scene, "patients");
    let kept = decrypted_rows(&scene, &ingested, "patients");
    assert_eq!(raw.len(), kept.len());
    let bytes = fs::read(&path).unwrap();
    // Persons are numbered as they come in this table, so that each pseudonym's patient number is known here.
    for (raw, kept) in raw.iter().zip(&kept) {
        let number = &raw["患者ID"];
        let pseudonym = kept["person_id"].parse().unwrap();
        let found = escrow::find(bytes.as_slice(), &offline.private, pseudonym).unwrap();
        assert_eq!(found.header.dataset, ingested.catalog.id);
        assert_eq!(found.id.unwrap().as_str(), number);
        assert!(!contains(&bytes, number.as_bytes()), "{number}");
    }
    let found = escrow::find(bytes.as_slice(), &offline.private, 1).unwrap();
    assert!(found.id.is_none(), "nobody's");
    // Nothing else opens it: not the dataset's key, nor the pseudonyms' secret, nor the recovery key.
    let pseudonym = kept[0]["person_id"].parse().unwrap();
    let dataset_key = scene.recovery.dataset_key(&ingested);
    for key in [dataset_key, secret, scene.recovery.private.duplicate()] {
        assert!(escrow::find(bytes.as_slice(), &key, pseudonym).is_err());
    }
}

#[test]
fn progress_tells_of_both_steps_and_ends_at_the_whole() {
    let scene = sampled(200, SampleFormat::CsvUtf8);
    let manifest = Manifest::parse(sample::MANIFEST).unwrap();
    let recipients = [(Recipient::Recovery, scene.recovery.public.clone())];
    let mut steps = BTreeSet::new();
    let mut end = (0, 0);
    ingest(
        &manifest,
        &scene.raw(),
        &scene.out(),
        &recipients,
        None,
        |progress| {
            steps.insert((progress.table.to_owned(), progress.step == Step::Write));
            end = (progress.bytes, progress.bytes_total);
        },
    )
    .unwrap();
    let expected = [
        ("dpc", true),
        ("drugs", true),
        ("labs", false),
        ("labs", true),
        ("patients", false),
        ("patients", true),
    ];
    assert_eq!(
        steps
            .iter()
            .map(|(t, w)| (t.as_str(), *w))
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(end.0, end.1);
}
