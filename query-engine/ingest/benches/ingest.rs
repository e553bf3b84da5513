//! Ingest against writing the same rows as plain Parquet, in the same run: what checks, pseudonyms and
//! encryption cost. The sample comes in the order of persons: it is looked at, and not sorted. With
//! `--shuffled` its labs come in no order, and what sorting costs is in it, too.
//!
//! `cargo bench -p kekkai-ingest`, or `-- --patients 1000000`. Prints one line of JSON last.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark stops at the first surprise"
)]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use hpke::kem::DhP256HkdfSha256;
use hpke::{Kem as _, Serializable as _};
use kekkai_dataset::{
    FilePlace, Manifest, open_reader, plain_writer_properties, unwrap_with_recovery,
};
use kekkai_ingest::{PseudonymKey, ingest, sample};
use kekkai_types::{KeyText, Recipient};
use parquet::arrow::ArrowWriter;
use sample::SampleFormat;

const RUNS: u32 = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut patients = 50_000;
    let mut shuffled = false;
    while let Some(argument) = arguments.next() {
        if argument == "--patients" {
            patients = arguments
                .next()
                .and_then(|text| text.parse().ok())
                .expect("a number");
        }
        shuffled |= argument == "--shuffled";
    }
    let root = tempfile::tempdir().unwrap();
    let raw = root.path().join("raw");
    let start = Instant::now();
    let made = sample::write(&raw, 1, patients, SampleFormat::CsvUtf8, |_| {}).unwrap();
    let rows = made.patients + made.labs + made.dpc + made.drugs;
    println!(
        "sample: {patients} patients, {rows} rows, {} in {:.1?}",
        mib(made.bytes),
        start.elapsed()
    );

    if shuffled {
        shuffle(&raw.join("labs.csv"));
    }

    let manifest = Manifest::parse(sample::MANIFEST).unwrap();
    let (private, public) = DhP256HkdfSha256::gen_keypair();
    let recipients = [(Recipient::Recovery, public.to_bytes().to_vec())];
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&private.to_bytes());
    let private = KeyText::new(bytes);
    let key = PseudonymKey::derive(&KeyText::new([1; 32]), &manifest.id).unwrap();

    let (mut best_ingest, mut best_plain) = (Duration::MAX, Duration::MAX);
    let mut written = 0;
    for run in 0..RUNS {
        let out = root.path().join(format!("out-{run}"));
        let start = Instant::now();
        let done = ingest(&manifest, &raw, &out, &recipients, Some(&key), |_| {}).unwrap();
        best_ingest = best_ingest.min(start.elapsed());
        written = done
            .report
            .tables
            .iter()
            .map(|table| table.written_bytes)
            .sum();

        // The same batches, from memory, as plain Parquet with the same options.
        let dataset_key = unwrap_with_recovery(&private, &done.keys[0]).unwrap();
        let mut plain = Duration::ZERO;
        for table in &done.catalog.tables {
            for entry in &table.files {
                let place = FilePlace::new(&manifest.id, manifest.version, &entry.name);
                let file = File::open(done.folder.join(&entry.name)).unwrap();
                let reader = open_reader(file, &dataset_key, &place).unwrap();
                let schema = reader.schema().clone();
                let batches: Vec<_> = reader
                    .with_batch_size(16 * 1024)
                    .build()
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                let path = root.path().join("plain.parquet");
                let start = Instant::now();
                let to = File::create(&path).unwrap();
                let properties = plain_writer_properties().build();
                let mut writer = ArrowWriter::try_new(to, schema, Some(properties)).unwrap();
                for batch in &batches {
                    writer.write(batch).unwrap();
                }
                writer.into_inner().unwrap().sync_all().unwrap();
                plain += start.elapsed();
                fs::remove_file(&path).unwrap();
            }
        }
        best_plain = best_plain.min(plain);
        fs::remove_dir_all(&out).unwrap();
    }
    let rate = |time: Duration| made.bytes as f64 / 1e6 / time.as_secs_f64();
    let ratio = best_ingest.as_secs_f64() / best_plain.as_secs_f64();
    println!(
        "ingest: {best_ingest:.2?}, {:.1} MB/s of CSV, {:.0} rows/s, {} written",
        rate(best_ingest),
        rows as f64 / best_ingest.as_secs_f64(),
        mib(written)
    );
    println!(
        "plain parquet of the same rows: {best_plain:.2?}, {:.1} MB/s of the same CSV",
        rate(best_plain)
    );
    println!(
        "{{\"bench\":\"ingest\",\"patients\":{patients},\"shuffled\":{shuffled},\"rows\":{rows},\"csv_bytes\":{},\"ingest_s\":{:.3},\"plain_parquet_s\":{:.3},\"ingest_mb_per_s\":{:.1},\"plain_mb_per_s\":{:.1},\"ratio\":{ratio:.2}}}",
        made.bytes,
        best_ingest.as_secs_f64(),
        best_plain.as_secs_f64(),
        rate(best_ingest),
        rate(best_plain),
    );
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

/// Puts a file's rows in an order that tells nothing of the one before.
fn shuffle(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    // SplitMix64's constant: the same order each time.
    rows.sort_by_cached_key(|row| {
        row.bytes().fold(0_u64, |hash, byte| {
            (hash ^ u64::from(byte))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        })
    });
    fs::write(path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
}
