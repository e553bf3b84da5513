//! From a dataset's files to a project's: what is agreed is there, under keys of its own, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use arrow::record_batch::RecordBatch;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Kem as _, Serializable as _};
use kekkai_dataset::escrow::{self, ESCROW};
use kekkai_dataset::{
    EncryptedFile, FileError, FilePlace, check_magic, is_sorted_by_person, layout, open_reader,
    read_metadata, unwrap_with_recovery, verify_digest,
};
use kekkai_extract::{Agreed, ExtractError, Extracted, ProjectKey, Source, Target, extract};
use kekkai_types::{
    AgreementId, ColumnCatalog, ColumnRole, Constant, DatasetCatalog, DatasetId, KeyText,
    PERSON_NUMBER_COLUMN, Recipient, RowCondition, RowTest, ServerId, TableCatalog, Text,
};

const SECRET: [u8; 32] = [9; 32];
/// Stands in a column that nobody was granted.
const SENTINEL: &str = "SENTINEL of a note";

fn pair() -> (KeyText, Vec<u8>) {
    let (private, public) = DhP256HkdfSha256::gen_keypair();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&private.to_bytes());
    (KeyText::new(bytes), public.to_bytes().to_vec())
}

/// A dataset on disk, as ingest would have left it, and who may do what with it.
struct Scene {
    root: tempfile::TempDir,
    catalog: DatasetCatalog,
    key: KeyText,
    server: (KeyText, Vec<u8>),
    offline: (KeyText, Vec<u8>),
    /// The agreements' row conditions, by table.
    rows_of: Vec<(&'static str, RowCondition)>,
}

struct Column {
    name: &'static str,
    role: ColumnRole,
    values: ArrayRef,
}

fn column(name: &'static str, role: ColumnRole, values: ArrayRef) -> Column {
    Column { name, role, values }
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// As ingest makes them: 63 bits that look like chance.
fn pseudonym(domain: i64, at: i64) -> i64 {
    let mixed = (domain * 1_000_003 + at).wrapping_mul(0x2545_F491_4F6C_DD1D);
    mixed & i64::MAX
}

/// Rows of visits: three for each of these persons.
fn visits(persons: i64) -> impl Iterator<Item = (i64, i64)> + Clone {
    (0..persons * 3).map(move |row| (row % persons, row))
}

/// Writes a table in files of `rows_of` rows each, with numbers unless `numbers` is `None`.
fn table(
    folder: &Path,
    key: &KeyText,
    name: &str,
    columns: &[Column],
    numbers: Option<Vec<u32>>,
    files: usize,
) -> TableCatalog {
    let person_key = columns.iter().find(|c| c.role == ColumnRole::PersonKey);
    let mut fields: Vec<Field> = columns
        .iter()
        .map(|c| {
            Field::new(
                c.name,
                c.values.data_type().clone(),
                c.role != ColumnRole::PersonKey,
            )
        })
        .collect();
    let mut arrays: Vec<ArrayRef> = columns.iter().map(|c| Arc::clone(&c.values)).collect();
    if let Some(numbers) = numbers {
        fields.push(Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false));
        arrays.push(Arc::new(UInt32Array::from(numbers)));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    fs::create_dir_all(folder.join(name)).unwrap();
    let each = batch.num_rows().div_ceil(files).max(1);
    let entries = (0..files)
        .map(|part| {
            let entry = layout::part_name(name, part);
            let place = FilePlace::new(&DatasetId::new("hospital").unwrap(), 1, &entry);
            let path = folder.join(&entry);
            let mut file = EncryptedFile::create(&path, Arc::clone(&schema), key, place).unwrap();
            let from = (part * each).min(batch.num_rows());
            let rows = each.min(batch.num_rows() - from);
            file.write(&batch.slice(from, rows)).unwrap();
            file.finish().unwrap()
        })
        .collect();
    TableCatalog {
        name: name.to_owned(),
        description: Text::default(),
        person_key: person_key.map(|c| c.name.to_owned()),
        columns: columns
            .iter()
            .map(|c| ColumnCatalog {
                name: c.name.to_owned(),
                sql_type: match c.values.data_type() {
                    DataType::Int64 => "bigint",
                    _ => "text",
                }
                .to_owned(),
                role: c.role,
                description: Text::default(),
            })
            .collect(),
        files: entries,
        rows: batch.num_rows() as u64,
    }
}

impl Scene {
    fn new(persons: i64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let key = KeyText::random().unwrap();
        let folder = root.path().join("data/hospital/1");
        let number = |person: i64| u32::try_from(person).unwrap();
        let rows = visits(persons);
        let tables = vec![
            table(
                &folder,
                &key,
                "patients",
                &[
                    column(
                        "person_id",
                        ColumnRole::PersonKey,
                        ints((0..persons).map(|p| pseudonym(1, p))),
                    ),
                    column(
                        "sex",
                        ColumnRole::QuasiIdentifier,
                        texts((0..persons).map(|p| ["f", "m"][usize::from(p % 2 == 0)].to_owned())),
                    ),
                ],
                Some((0..persons).map(number).collect()),
                1,
            ),
            table(
                &folder,
                &key,
                "visits",
                &[
                    column(
                        "visit_id",
                        ColumnRole::Key,
                        ints(rows.clone().map(|(_, v)| pseudonym(2, v / 2))),
                    ),
                    column(
                        "person_id",
                        ColumnRole::PersonKey,
                        ints(rows.clone().map(|(p, _)| pseudonym(1, p))),
                    ),
                    column(
                        "note",
                        ColumnRole::FreeText,
                        texts(rows.clone().map(|_| SENTINEL.to_owned())),
                    ),
                    column(
                        "ward",
                        ColumnRole::Code,
                        texts(rows.clone().map(|(_, v)| format!("ward {v}"))),
                    ),
                ],
                Some(rows.map(|(p, _)| number(p)).collect()),
                3,
            ),
            table(
                &folder,
                &key,
                "wards",
                &[column("ward", ColumnRole::Code, texts(["a".to_owned()]))],
                None,
                1,
            ),
            table(
                &folder,
                &key,
                "deaths",
                &[column("person_id", ColumnRole::PersonKey, ints([]))],
                Some(Vec::new()),
                1,
            ),
        ];
        let catalog = DatasetCatalog {
            id: DatasetId::new("hospital").unwrap(),
            version: 1,
            title: Text::default(),
            description: Text::default(),
            tables,
        };
        Self {
            root,
            catalog,
            key,
            server: pair(),
            offline: pair(),
            rows_of: Vec::new(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("data/hospital/1")
    }

    fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    fn extract(
        &self,
        agreement: &str,
        version: u32,
        tables: &[(&str, &[&str])],
        secret: Option<[u8; 32]>,
    ) -> Result<Extracted, ExtractError> {
        let agreement = AgreementId::new(agreement).unwrap();
        let tables: BTreeMap<String, Agreed> = tables
            .iter()
            .map(|(name, columns)| {
                let columns = columns.iter().map(|c| (*c).to_owned()).collect();
                let rows = self.rows_of.iter().filter(|(table, _)| table == name);
                let rows = rows.map(|(_, condition)| condition.clone()).collect();
                ((*name).to_owned(), Agreed { columns, rows })
            })
            .collect();
        let project_key = match secret {
            Some(secret) => {
                ProjectKey::derive(&KeyText::new(secret), &self.catalog.id, &agreement).unwrap()
            }
            None => ProjectKey::random().unwrap(),
        };
        let id = DatasetId::new(format!("{agreement}.hospital")).unwrap();
        let (mut last, mut total) = (0, 0);
        let done = extract(
            &Source {
                folder: &self.folder(),
                catalog: &self.catalog,
                key: &self.key,
            },
            &Target {
                agreement: &agreement,
                tables: &tables,
                extract: (id, version),
                out: &self.out(),
                servers: &[(ServerId::new("a1").unwrap(), self.server.1.clone())],
                offline: &self.offline.1,
            },
            &project_key,
            |progress| {
                assert!(progress.rows >= last && progress.rows <= progress.rows_total);
                (last, total) = (progress.rows, progress.rows_total);
            },
        )?;
        assert_eq!(last, total, "progress ends at the whole");
        Ok(done)
    }

    fn granted(&self, agreement: &str, version: u32) -> Extracted {
        self.extract(agreement, version, GRANTED, Some(SECRET))
            .unwrap()
    }

    /// The extract's key, as the server opens it.
    fn key_of(&self, extracted: &Extracted) -> KeyText {
        unwrap_with_recovery(&self.server.0, &extracted.keys[0]).unwrap()
    }

    fn rows(&self, extracted: &Extracted, name: &str) -> RecordBatch {
        let key = self.key_of(extracted);
        read(&extracted.folder, &extracted.catalog, &key, name)
    }
}

const GRANTED: &[(&str, &[&str])] = &[
    ("patients", &["person_id", "sex"]),
    ("visits", &["visit_id", "ward"]),
];

fn read(folder: &Path, catalog: &DatasetCatalog, key: &KeyText, name: &str) -> RecordBatch {
    let table = catalog.tables.iter().find(|t| t.name == name).unwrap();
    let batches: Vec<RecordBatch> = table
        .files
        .iter()
        .flat_map(|entry| {
            let place = FilePlace::new(&catalog.id, catalog.version, &entry.name);
            let file = File::open(folder.join(&entry.name)).unwrap();
            let reader = open_reader(file, key, &place).unwrap();
            reader.build().unwrap().map(Result::unwrap)
        })
        .collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn ids(batch: &RecordBatch, column: &str) -> Vec<i64> {
    let column = batch.column_by_name(column).unwrap();
    column.as_primitive::<Int64Type>().values().to_vec()
}

fn numbers(batch: &RecordBatch) -> Vec<u32> {
    let column = batch.column_by_name(PERSON_NUMBER_COLUMN).unwrap();
    column.as_primitive::<UInt32Type>().values().to_vec()
}

fn wards(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column_by_name("ward").unwrap();
    let texts = arrow::compute::cast(column, &DataType::Utf8).unwrap();
    texts
        .as_string::<i32>()
        .iter()
        .map(|t| t.unwrap().to_owned())
        .collect()
}

/// Each visit's id in a column, by its ward: no two visits have one in common.
fn by_ward(visits: &RecordBatch, column: &str) -> BTreeMap<String, i64> {
    wards(visits).into_iter().zip(ids(visits, column)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn extract_holds_what_is_agreed_and_nothing_else() {
    let scene = Scene::new(500);
    let done = scene.granted("p1", 1);
    assert_eq!(done.persons, 500);
    let names: Vec<&str> = done
        .catalog
        .tables
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(names, ["patients", "visits"]);
    let before = read(&scene.folder(), &scene.catalog, &scene.key, "visits");
    let after = scene.rows(&done, "visits");
    let columns: Vec<_> = after
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(
        columns,
        ["visit_id", "person_id", "ward", PERSON_NUMBER_COLUMN]
    );
    let named: Vec<_> = done.catalog.tables[1]
        .columns
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(
        named,
        ["visit_id", "person_id", "ward"],
        "the number is in no catalogue"
    );
    assert_eq!(
        BTreeSet::from_iter(wards(&before)),
        BTreeSet::from_iter(wards(&after))
    );

    // Ids are others, one for one, and join as before.
    let patients = scene.rows(&done, "patients");
    let person: BTreeMap<i64, u32> = ids(&patients, "person_id")
        .into_iter()
        .zip(numbers(&patients))
        .collect();
    assert_eq!(person.len(), 500);
    let mut dense: Vec<u32> = person.values().copied().collect();
    dense.sort_unstable();
    assert_eq!(dense, (0..500).collect::<Vec<u32>>());
    for (id, number) in ids(&after, "person_id").iter().zip(numbers(&after)) {
        assert_eq!(person[id], number, "one person, one number, in every table");
    }
    for name in ["person_id", "visit_id"] {
        let (old, new) = (by_ward(&before, name), by_ward(&after, name));
        assert_eq!((old.len(), new.len()), (1_500, 1_500));
        let (old, new): (Vec<i64>, Vec<i64>) =
            (old.into_values().collect(), new.into_values().collect());
        let pairs: BTreeSet<(i64, i64)> = old.iter().copied().zip(new.iter().copied()).collect();
        let (old, new) = (BTreeSet::from_iter(old), BTreeSet::from_iter(new));
        assert_eq!((pairs.len(), pairs.len()), (old.len(), new.len()), "{name}");
        assert!(old.is_disjoint(&new), "{name}");
    }
    assert_ne!(numbers(&before), numbers(&after));
}

#[test]
fn every_file_is_encrypted_under_a_key_of_the_extract_that_is_written_nowhere() {
    let scene = Scene::new(300);
    let done = scene.granted("p1", 1);
    let key = scene.key_of(&done);
    assert_eq!(layout::read_catalog(&done.folder).unwrap(), done.catalog);
    assert_eq!(done.keys.len(), 1);
    assert_eq!(
        done.keys[0].recipient,
        Recipient::Server(ServerId::new("a1").unwrap())
    );
    for entry in done.catalog.tables.iter().flat_map(|t| &t.files) {
        let open = || File::open(done.folder.join(&entry.name)).unwrap();
        let place = FilePlace::new(&done.catalog.id, 1, &entry.name);
        check_magic(&open(), &place).unwrap();
        verify_digest(&open(), entry).unwrap();
        open_reader(open(), &key, &place).unwrap();
        assert!(matches!(
            open_reader(open(), &scene.key, &place),
            Err(FileError::DoesNotOpen { .. })
        ));
        let elsewhere = FilePlace::new(&scene.catalog.id, 1, &entry.name);
        assert!(open_reader(open(), &key, &elsewhere).is_err());
    }
    // And the extract's key opens nothing of the dataset.
    let entry = &scene.catalog.tables[1].files[0];
    let place = FilePlace::new(&scene.catalog.id, 1, &entry.name);
    let file = || File::open(scene.folder().join(&entry.name)).unwrap();
    assert!(open_reader(file(), &key, &place).is_err());
    open_reader(file(), &scene.key, &place).unwrap();

    let found = files(&scene.out());
    assert!(
        !found
            .iter()
            .any(|path| path.ends_with(layout::WRAPPED_KEYS))
    );
    for path in &found {
        let bytes = fs::read(path).unwrap();
        for secret in [
            key.expose(),
            scene.key.expose(),
            &SECRET,
            scene.offline.0.expose(),
        ] {
            assert!(!contains(&bytes, secret), "{path:?}");
        }
        assert!(
            !contains(&bytes, done.keys[0].ciphertext.as_bytes()),
            "{path:?}"
        );
        assert!(!contains(&bytes, SENTINEL.as_bytes()), "{path:?}");
        for person in 0..20 {
            let id = pseudonym(1, person);
            assert!(!contains(&bytes, id.to_string().as_bytes()), "{path:?}");
            assert!(!contains(&bytes, &id.to_le_bytes()), "{path:?}");
        }
    }
}

#[test]
fn two_projects_have_no_id_in_common_and_no_order_of_persons() {
    let scene = Scene::new(400);
    let (one, two) = (scene.granted("p1", 1), scene.granted("p2", 1));
    let (first, second) = (scene.rows(&one, "visits"), scene.rows(&two, "visits"));
    for name in ["person_id", "visit_id"] {
        let (a, b) = (ids(&first, name), ids(&second, name));
        assert!(
            BTreeSet::from_iter(a).is_disjoint(&BTreeSet::from_iter(b)),
            "{name}"
        );
    }
    // Differences and exclusive ors between a person's two ids, were they the same for all, would be a
    // relation.
    let pairs: BTreeSet<(i64, i64)> = by_ward(&first, "person_id")
        .into_values()
        .zip(by_ward(&second, "person_id").into_values())
        .collect();
    assert_eq!(pairs.len(), 400);
    let relations: [fn(i64, i64) -> i64; 2] = [|a, b| a.wrapping_sub(b), |a, b| a ^ b];
    for relation in relations {
        let found: BTreeSet<i64> = pairs.iter().map(|(a, b)| relation(*a, *b)).collect();
        assert_eq!(found.len(), pairs.len());
    }
    // A row of one is no row of the other's person, nor of the dataset's.
    let before = read(&scene.folder(), &scene.catalog, &scene.key, "visits");
    let agree = |a: &RecordBatch, b: &RecordBatch| {
        let (a, b) = (wards(a), wards(b));
        let person = |ward: &String| ward[5..].parse::<usize>().unwrap() % 400;
        let same = a.iter().zip(&b).filter(|(a, b)| person(a) == person(b));
        same.count()
    };
    assert_eq!(agree(&first, &first), 1_200);
    for (a, b) in [(&first, &second), (&first, &before), (&second, &before)] {
        let agree = agree(a, b);
        assert!(agree < 60, "{agree} of 1200 rows are of the same person");
    }
    // The key of one opens nothing of the other.
    let entry = &two.catalog.tables[0].files[0];
    let place = FilePlace::new(&two.catalog.id, 1, &entry.name);
    let file = File::open(two.folder.join(&entry.name)).unwrap();
    assert!(open_reader(file, &scene.key_of(&one), &place).is_err());
}

#[test]
fn rows_are_sorted_by_the_extracts_own_numbers_and_files_say_so() {
    let scene = Scene::new(300);
    let done = scene.granted("p1", 1);
    let key = scene.key_of(&done);
    for table in &done.catalog.tables {
        assert!(numbers(&scene.rows(&done, &table.name)).is_sorted());
        for entry in &table.files {
            let file = File::open(done.folder.join(&entry.name)).unwrap();
            let place = FilePlace::new(&done.catalog.id, 1, &entry.name);
            let metadata = read_metadata(&file, &key, &place).unwrap();
            assert!(is_sorted_by_person(&metadata), "{}", entry.name);
        }
    }
    // A person's visits keep their order: in the dataset it is that of their numbers.
    let visits = scene.rows(&done, "visits");
    let visit = |ward: String| ward[5..].parse::<u32>().unwrap();
    let rows: Vec<(u32, u32)> = numbers(&visits)
        .into_iter()
        .zip(wards(&visits).into_iter().map(visit))
        .collect();
    assert!(rows.is_sorted());
}

#[test]
fn a_project_keeps_its_pseudonyms_in_its_next_extract_with_the_secret_only() {
    let scene = Scene::new(200);
    let first = scene.rows(&scene.granted("p1", 1), "visits");
    let again = scene.rows(&scene.granted("p1", 2), "visits");
    assert_eq!(first, again);
    let other = scene.extract("p1", 3, GRANTED, None).unwrap();
    let other = scene.rows(&other, "visits");
    assert_eq!(
        BTreeSet::from_iter(wards(&first)),
        BTreeSet::from_iter(wards(&other))
    );
    let (a, b) = (ids(&first, "person_id"), ids(&other, "person_id"));
    assert!(BTreeSet::from_iter(a).is_disjoint(&BTreeSet::from_iter(b)));
}

#[test]
fn only_the_offline_key_leads_from_a_projects_pseudonym_to_the_datasets() {
    let scene = Scene::new(150);
    let done = scene.granted("p1", 1);
    let sealed = fs::read(done.folder.join(ESCROW)).unwrap();
    let look = |key: &KeyText, pseudonym| escrow::find(sealed.as_slice(), key, pseudonym);
    let patients = ids(&scene.rows(&done, "patients"), "person_id");
    // The ward of a visit says whose it is.
    let visits = by_ward(&scene.rows(&done, "visits"), "person_id");
    for person in 0..150 {
        let id = &visits[&format!("ward {person}")];
        assert!(patients.contains(id));
        let found = look(&scene.offline.0, *id).unwrap();
        assert_eq!(
            found.header.agreement,
            Some(AgreementId::new("p1").unwrap())
        );
        assert_eq!(found.header.of, Some((scene.catalog.id.clone(), 1)));
        assert_eq!(found.id.unwrap().as_str(), pseudonym(1, person).to_string());
    }
    assert!(look(&scene.offline.0, 12_345).unwrap().id.is_none());
    let others = [
        scene.key_of(&done),
        scene.key.duplicate(),
        scene.server.0.duplicate(),
        KeyText::new(SECRET),
        pair().0,
    ];
    for key in others {
        assert!(look(&key, patients[0]).is_err());
    }
    // One project's pseudonyms are nobody's in another's escrow.
    let two = scene.granted("p2", 1);
    let sealed = fs::read(two.folder.join(ESCROW)).unwrap();
    for id in &patients {
        let found = escrow::find(sealed.as_slice(), &scene.offline.0, *id).unwrap();
        assert!(found.id.is_none());
    }
}

#[test]
fn a_person_key_that_is_not_agreed_is_there_under_its_pseudonym_and_empty_tables_too() {
    let scene = Scene::new(50);
    let done = scene
        .extract(
            "p1",
            1,
            &[
                ("visits", &["ward"]),
                ("deaths", &["person_id"]),
                ("wards", &["ward"]),
            ],
            None,
        )
        .unwrap();
    let visits = scene.rows(&done, "visits");
    assert_eq!(visits.num_columns(), 3, "person key, ward, number");
    assert_eq!(numbers(&visits).len(), 150);
    let key = scene.key_of(&done);
    let deaths = done
        .catalog
        .tables
        .iter()
        .find(|t| t.name == "deaths")
        .unwrap();
    let place = FilePlace::new(&done.catalog.id, 1, &deaths.files[0].name);
    let file = File::open(done.folder.join(&deaths.files[0].name)).unwrap();
    let schema = open_reader(file, &key, &place).unwrap().schema().clone();
    assert!(schema.index_of(PERSON_NUMBER_COLUMN).is_ok());
    assert_eq!(wards(&scene.rows(&done, "wards")), ["a"]);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let mut scene = Scene::new(60);
    let refused = |scene: &Scene, tables: &[(&str, &[&str])]| {
        let error = scene.extract("p1", 1, tables, None).unwrap_err();
        for lang in [kekkai_types::Lang::Ja, kekkai_types::Lang::En] {
            let text = error.message(lang);
            assert!(!text.is_empty() && !text.contains(SENTINEL));
        }
        let left = scene.out().join("p1.hospital");
        assert!(!left.join("1").exists());
        if left.exists() {
            let folders = fs::read_dir(&left)
                .unwrap()
                .filter(|e| e.as_ref().unwrap().path().is_dir());
            assert_eq!(folders.count(), 0, "{error}");
        }
        error
    };
    assert!(matches!(refused(&scene, &[]), ExtractError::Nothing));
    assert!(matches!(
        refused(&scene, &[("drugs", &["yj"])]),
        ExtractError::NoTable(name) if name == "drugs"
    ));
    assert!(matches!(
        refused(&scene, &[("visits", &["diagnosis"])]),
        ExtractError::NoColumn { column, .. } if column == "diagnosis"
    ));
    // Another catalogue than the files': a file less, or another's bytes.
    let files = scene.catalog.tables[1].files.clone();
    scene.catalog.tables[1].files.pop();
    assert!(matches!(
        refused(&scene, GRANTED),
        ExtractError::Contradiction(_)
    ));
    scene.catalog.tables[1].files = files.clone();
    scene.catalog.tables[1].files[0].sha256 = files[1].sha256;
    assert!(matches!(
        refused(&scene, GRANTED),
        ExtractError::File(FileError::Differs { .. })
    ));
    scene.catalog.tables[1].files = files;
    // Numbers that contradict pseudonyms, none at all, and a key that is no pseudonym.
    let broken = |scene: &mut Scene, numbers: Option<Vec<u32>>, key: ArrayRef| {
        let columns = [
            column("person_id", ColumnRole::PersonKey, ints([1, 2])),
            column("key", ColumnRole::Key, key),
        ];
        let name = format!("broken{}", scene.catalog.tables.len());
        let made = table(&scene.folder(), &scene.key, &name, &columns, numbers, 1);
        scene.catalog.tables.push(made);
        name
    };
    let name = broken(&mut scene, Some(vec![4, 4]), ints([1, 2]));
    let agreed: &[&str] = &["person_id", "key"];
    assert!(matches!(
        refused(&scene, &[(name.as_str(), agreed)]),
        ExtractError::Contradiction(_)
    ));
    let name = broken(&mut scene, None, ints([1, 2]));
    assert!(matches!(
        refused(&scene, &[(name.as_str(), agreed)]),
        ExtractError::NotNumbered(_)
    ));
    let name = broken(
        &mut scene,
        Some(vec![0, 1]),
        texts(["x".to_owned(), "y".to_owned()]),
    );
    assert!(matches!(
        refused(&scene, &[(name.as_str(), agreed)]),
        ExtractError::KeyType { .. }
    ));
    // Control: the right thing is made after all this.
    scene.granted("p1", 1);
}

#[test]
fn rows_that_are_not_provided_are_not_there_and_their_persons_neither() {
    let mut scene = Scene::new(90);
    let text = |text: &str| Constant::Text(text.to_owned());
    // Of 270 visits three, of two persons: rows 4 and 94 are one person's.
    let wards = ["ward 4", "ward 94", "ward 7"].map(text).to_vec();
    scene.rows_of.push((
        "visits",
        RowCondition {
            column: "ward".to_owned(),
            test: RowTest::OneOf(wards),
        },
    ));
    let done = scene
        .extract("p1", 1, &[("visits", &["visit_id"])], Some(SECRET))
        .unwrap();
    assert_eq!((done.persons, done.catalog.tables[0].rows), (2, 3));
    let visits = scene.rows(&done, "visits");
    assert_eq!(visits.num_rows(), 3);
    assert_eq!(
        BTreeSet::from_iter(numbers(&visits)),
        BTreeSet::from([0, 1])
    );
    // What the condition is on is there, since the session applies it again.
    assert!(visits.column_by_name("ward").is_some());
    // Nobody outside can be asked about either.
    let sealed = fs::read(done.folder.join(ESCROW)).unwrap();
    let patients = scene.extract("p1", 2, GRANTED, Some(SECRET)).unwrap();
    let known = ids(&visits, "person_id");
    for id in ids(&scene.rows(&patients, "patients"), "person_id") {
        let found = escrow::find(sealed.as_slice(), &scene.offline.0, id).unwrap();
        assert_eq!(found.id.is_some(), known.contains(&id));
    }
    for (column, test) in [
        ("visit_id", RowTest::AtLeast(Constant::Int(1))),
        ("ward", RowTest::Is(Constant::Int(1))),
    ] {
        let column = column.to_owned();
        scene.rows_of = vec![("visits", RowCondition { column, test })];
        assert!(matches!(
            scene.extract("p2", 1, GRANTED, None),
            Err(ExtractError::Condition(_))
        ));
    }
}

/// The child of the test below: makes a dataset and its extract, until it is killed.
#[test]
fn killed_child() {
    let Ok(root) = std::env::var("KEKKAI_TEST_KILLED") else {
        return;
    };
    let scene = Scene::new(20_000);
    fs::write(PathBuf::from(&root).join("began"), "").unwrap();
    let id = DatasetId::new("p1.hospital").unwrap();
    let agreement = AgreementId::new("p1").unwrap();
    let agreed = Agreed {
        columns: vec!["ward".to_owned()],
        rows: Vec::new(),
    };
    let tables = BTreeMap::from([("visits".to_owned(), agreed)]);
    extract(
        &Source {
            folder: &scene.folder(),
            catalog: &scene.catalog,
            key: &scene.key,
        },
        &Target {
            agreement: &agreement,
            tables: &tables,
            extract: (id, 1),
            out: Path::new(&root),
            servers: &[(ServerId::new("a1").unwrap(), scene.server.1.clone())],
            offline: &scene.offline.1,
        },
        &ProjectKey::random().unwrap(),
        |_| {},
    )
    .unwrap();
}

#[test]
fn killed_extract_is_whole_or_not_there() {
    let root = tempfile::tempdir().unwrap();
    let version = root.path().join("p1.hospital/1");
    let child = |kill_after: Option<u64>| {
        let began = root.path().join("began");
        let _ = fs::remove_file(&began);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_child"])
            .env("KEKKAI_TEST_KILLED", root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if let Some(after) = kill_after {
            while !began.exists() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(after));
            // SIGKILL; it may have finished already.
            child.kill().unwrap();
        }
        child.wait().unwrap()
    };
    let mut kills = 0;
    for after in (0..10).map(|step| step * 15) {
        let ended = child(Some(after));
        if version.exists() {
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
    let left = fs::read_dir(root.path().join("p1.hospital"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_dir())
        .count();
    assert_eq!(left, 1, "what the killed ones left was removed");
}
