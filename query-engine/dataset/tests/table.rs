//! A table's files: sorted by person whatever the order of the source, with nothing left beside them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray as _, Int64Array, StringArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
use kekkai_dataset::{
    EncryptedFile, FILE_TARGET_BYTES, FileError, FilePlace, Merged, RUN_BYTES, TablePlace,
    TableWriter, is_sorted_by_person, open_reader, read_metadata, verify_digest,
};
use kekkai_types::{DatasetId, FileEntry, KeyText, PERSON_NUMBER_COLUMN};

const SENTINEL: &str = "SENTINEL-8e21aa";

/// SplitMix64, so that a failure replays from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("note", DataType::Utf8, true),
        Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false),
    ]))
}

/// Rows of these persons, each with its place in the source.
fn rows(persons: &[u32]) -> RecordBatch {
    let notes = (0..persons.len()).map(|row| (row % 3 > 0).then(|| format!("{SENTINEL} {row}")));
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(0..persons.len() as i64)),
            Arc::new(StringArray::from_iter(notes)),
            Arc::new(UInt32Array::from(persons.to_vec())),
        ],
    )
    .unwrap()
}

/// The same rows in the order that files must have.
fn sorted(rows: &RecordBatch) -> RecordBatch {
    let persons = rows.column(2).as_primitive::<UInt32Type>().values();
    let mut order: Vec<u32> = (0..persons.len() as u32).collect();
    order.sort_by_key(|row| persons[*row as usize]);
    arrow::compute::take_record_batch(rows, &UInt32Array::from(order)).unwrap()
}

/// A version's folder with the table's in it, and the dataset's key.
struct Scene {
    root: tempfile::TempDir,
    dataset: DatasetId,
    key: KeyText,
    file_target: u64,
    run_bytes: usize,
}

impl Scene {
    fn new(file_target: u64, run_bytes: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("labs")).unwrap();
        Self {
            root,
            dataset: DatasetId::new("d1").unwrap(),
            key: KeyText::random().unwrap(),
            file_target,
            run_bytes,
        }
    }

    fn writer(&self, schema: SchemaRef) -> TableWriter<'_> {
        let place = TablePlace {
            folder: self.root.path(),
            dataset: &self.dataset,
            version: 3,
            table: "labs",
            key: &self.key,
            file_target: self.file_target,
            run_bytes: self.run_bytes,
        };
        TableWriter::new(place, schema).unwrap()
    }

    fn place(&self, name: &str) -> FilePlace {
        FilePlace::new(&self.dataset, 3, name)
    }

    fn open(&self, name: &str) -> File {
        File::open(self.root.path().join(name)).unwrap()
    }

    /// Everything in the table's folder.
    fn files(&self) -> Vec<String> {
        let folder = fs::read_dir(self.root.path().join("labs")).unwrap();
        let mut names: Vec<String> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| format!("labs/{name}"))
            .collect();
        names.sort();
        names
    }

    fn runs(&self) -> Vec<PathBuf> {
        let files = self.files().into_iter();
        files
            .filter(|name| name.contains("run-"))
            .map(|name| self.root.path().join(name))
            .collect()
    }

    fn read(&self, entries: &[FileEntry], schema: &SchemaRef) -> RecordBatch {
        let batches: Vec<RecordBatch> = entries
            .iter()
            .flat_map(|entry| {
                verify_digest(&self.open(&entry.name), entry).unwrap();
                let place = self.place(&entry.name);
                let reader = open_reader(self.open(&entry.name), &self.key, &place).unwrap();
                reader.build().unwrap().map(Result::unwrap)
            })
            .collect();
        concat_batches(schema, &batches).unwrap()
    }

    fn says_sorted(&self, name: &str) -> bool {
        let metadata = read_metadata(&self.open(name), &self.key, &self.place(name)).unwrap();
        is_sorted_by_person(&metadata)
    }
}

fn contains(path: &Path, text: &[u8]) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).any(|window| window == text)
}

/// Writes rows in batches of `each` rows; says how far merging was when it was last told, and how many
/// runs were there before.
fn write(
    scene: &Scene,
    rows: &RecordBatch,
    mut each: impl FnMut() -> usize,
) -> (Vec<FileEntry>, Option<Merged>, usize) {
    let mut writer = scene.writer(rows.schema());
    let mut at = 0;
    while at < rows.num_rows() {
        let count = each().min(rows.num_rows() - at);
        writer.write(rows.slice(at, count)).unwrap();
        at += count;
    }
    let runs = scene.runs().len();
    let mut last: Option<Merged> = None;
    let entries = writer
        .finish(|merged| {
            let before = last.map_or((0, merged.rows_total), |m| (m.rows, m.rows_total));
            assert!(merged.rows > before.0 && merged.rows <= merged.rows_total);
            assert_eq!(merged.rows_total, before.1);
            last = Some(merged);
        })
        .unwrap();
    (entries, last, runs)
}

#[test]
fn rows_of_any_order_come_back_sorted_and_those_of_one_person_keep_theirs() {
    let (mut merged_some, mut split_some) = (false, false);
    for seed in 0..60 {
        let mut random = Random(seed);
        let count = random.pick(&[0, 1, 7, 400, 1_500]);
        let persons = random.pick(&[1, 3, 40, 5_000]);
        let mut source: Vec<u32> = (0..count).map(|_| random.below(persons) as u32).collect();
        match random.below(5) {
            0 => source.sort_unstable(),
            1 => source.sort_unstable_by(|a, b| b.cmp(a)),
            // Two files that are sorted each by itself, and one that is but for its end.
            2 => source.chunks_mut(900).for_each(<[u32]>::sort_unstable),
            3 => {
                let end = source.len().saturating_sub(2);
                source[..end].sort_unstable();
            }
            _ => {}
        }
        let source = rows(&source);
        let scene = Scene::new(
            random.pick(&[1, 4_000, FILE_TARGET_BYTES]),
            random.pick(&[1, 4_000, 60_000, RUN_BYTES]),
        );
        let longest = random.pick(&[30, 300]);
        let (entries, merged, _) = write(&scene, &source, || random.below(longest) as usize);

        let kept = scene.read(&entries, &source.schema());
        assert_eq!(kept, sorted(&source), "seed {seed}");
        // These files and no other, all of which say that they are sorted.
        let names: Vec<String> = (0..entries.len())
            .map(|part| format!("labs/part-{part:05}.parquet"))
            .collect();
        assert_eq!(
            entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>(),
            names,
            "seed {seed}"
        );
        assert_eq!(scene.files(), names, "seed {seed}");
        assert!(names.iter().all(|name| scene.says_sorted(name)));
        if let Some(merged) = merged {
            assert_eq!(merged.rows, merged.rows_total, "seed {seed}");
        }
        merged_some |= merged.is_some();
        split_some |= merged.is_some() && entries.len() > 1;
    }
    assert!(merged_some && split_some);
}

#[test]
fn rows_that_come_in_order_are_written_once() {
    let source = rows(&(0..2_000).map(|row| row / 3).collect::<Vec<u32>>());
    let scene = Scene::new(4_000, 1);
    let (entries, merged, runs) = write(&scene, &source, || 50);
    assert_eq!(scene.read(&entries, &source.schema()), source);
    assert!(entries.len() > 1);
    assert_eq!((merged, runs), (None, 0));
}

#[test]
fn files_that_are_sorted_each_by_itself_are_one_run_each() {
    let one: Vec<u32> = (0..1_000).map(|row| row / 2).collect();
    let source = rows(&[one.clone(), one.clone(), one].concat());
    let scene = Scene::new(FILE_TARGET_BYTES, 1);
    let (entries, merged, runs) = write(&scene, &source, || 100);
    assert_eq!(scene.read(&entries, &source.schema()), sorted(&source));
    // The first lies where it was written until its turn comes.
    assert_eq!(runs, 3);
    assert_eq!(merged.map(|merged| merged.rows_total), Some(3_000));
}

#[test]
fn runs_of_more_than_one_pass_are_merged_all() {
    let falling: Vec<u32> = (0..1_100).map(|row| (1_100 - row) / 2).collect();
    let source = rows(&falling);
    let scene = Scene::new(FILE_TARGET_BYTES, 1);
    let (entries, merged, runs) = write(&scene, &source, || 1);
    assert!(runs > 500);
    assert_eq!(scene.read(&entries, &source.schema()), sorted(&source));
    assert!(merged.is_some_and(|merged| merged.rows_total > 1_100));
    assert_eq!(scene.files(), ["labs/part-00000.parquet"]);
}

#[test]
fn what_is_set_aside_is_encrypted_opens_at_its_place_only_and_is_removed() {
    let source = rows(
        &(0..600)
            .map(|row| (row * 7_919) % 601)
            .collect::<Vec<u32>>(),
    );
    let scene = Scene::new(FILE_TARGET_BYTES, 10_000);
    let mut writer = scene.writer(source.schema());
    for at in (0..600).step_by(50) {
        writer.write(source.slice(at, 50)).unwrap();
    }
    let runs = scene.runs();
    // The last is still being written.
    let (_, done) = runs.split_last().unwrap();
    assert!(done.len() > 2);
    for path in done {
        let bytes = fs::read(path).unwrap();
        assert_eq!(
            (&bytes[..4], &bytes[bytes.len() - 4..]),
            (&b"PARE"[..], &b"PARE"[..])
        );
        for text in [SENTINEL, "note", PERSON_NUMBER_COLUMN, "d1/3"] {
            assert!(!contains(path, text.as_bytes()), "{text} in {path:?}");
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let opens = |name: &str, key| {
            let place = scene.place(name);
            read_metadata(&File::open(path).unwrap(), key, &place).is_ok()
        };
        // The first is what had been written to the final file.
        let own = match name {
            "run-00001.parquet" => "labs/part-00000.parquet".to_owned(),
            name => format!("labs/{name}"),
        };
        assert!(opens(&own, &scene.key), "{name}");
        assert!(!opens("labs/run-00099.parquet", &scene.key));
        assert!(!opens(&own, &KeyText::random().unwrap()));
    }
    let entries = writer.finish(|_| {}).unwrap();
    assert_eq!(scene.files(), ["labs/part-00000.parquet"]);
    assert_eq!(scene.read(&entries, &source.schema()), sorted(&source));
}

#[test]
fn what_is_set_aside_and_changed_cut_or_lost_is_an_error_that_holds_no_value() {
    type Harm = fn(&Path);
    let harms: [Harm; 4] = [
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 3;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(100).unwrap();
        },
        |path| fs::write(path, b"PAR1 person,note").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for harm in harms {
        let source = rows(&(0..600).rev().collect::<Vec<u32>>());
        let scene = Scene::new(FILE_TARGET_BYTES, 1);
        let mut writer = scene.writer(source.schema());
        for at in (0..600).step_by(100) {
            writer.write(source.slice(at, 100)).unwrap();
        }
        harm(&scene.runs()[2]);
        let error = writer.finish(|_| {}).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("labs/run-") && !text.contains(SENTINEL),
            "{text}"
        );
        assert!(!matches!(error, FileError::Internal(_)), "{text}");
    }
    // And where nothing can be set aside, it is said of which file.
    let scene = Scene::new(FILE_TARGET_BYTES, 1);
    let mut writer = scene.writer(schema());
    writer.write(rows(&[2, 2])).unwrap();
    fs::remove_dir_all(scene.root.path().join("labs")).unwrap();
    let error = writer.write(rows(&[1])).unwrap_err();
    assert!(matches!(error, FileError::Io { file, .. } if file == "labs/run-00000.parquet"));
}

#[test]
fn table_that_numbers_nobody_keeps_its_order_and_says_nothing_of_one() {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let ids = Int64Array::from_iter_values((0..500).map(|row| (row * 7_919) % 501));
    let source = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids)]).unwrap();
    let scene = Scene::new(1, 1);
    let (entries, merged, runs) = write(&scene, &source, || 100);
    assert_eq!(entries.len(), 5);
    assert_eq!((merged, runs), (None, 0));
    let kept = scene.read(&entries, &schema);
    assert_eq!(
        kept.column(0).as_primitive::<Int64Type>(),
        source.column(0).as_primitive::<Int64Type>()
    );
    assert!(entries.iter().all(|entry| !scene.says_sorted(&entry.name)));
}

#[test]
fn file_that_nobody_sorted_does_not_say_so() {
    let scene = Scene::new(FILE_TARGET_BYTES, RUN_BYTES);
    let name = "labs/part-00000.parquet";
    let path = scene.root.path().join(name);
    let mut file = EncryptedFile::create(&path, schema(), &scene.key, scene.place(name)).unwrap();
    file.write(&rows(&[3, 1, 2])).unwrap();
    file.finish().unwrap();
    assert!(!scene.says_sorted(name));
}
