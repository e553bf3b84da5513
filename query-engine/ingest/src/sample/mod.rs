//! Raw Japanese hospital data that nobody lived: patients, 電子カルテ laboratory values, DPC admissions,
//! レセプト prescriptions.
//!
//! A patient is made from the seed and their own number alone, so any count of patients streams, and the
//! same seed gives the same bytes. Distributions are skewed as real ones are: old patients, large
//! prefectures, a few diseases of one in ten thousand. Diseases, laboratory values and drugs of a patient
//! agree with each other.

mod clinic;
mod people;
mod random;
mod sink;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use random::Random;
use sink::{Kind, Sink};

/// Patients in one sample.
pub const PATIENTS_MAX: u64 = 10_000_000;
/// Patients between two calls of the progress callback.
const PROGRESS_PATIENTS: u64 = 5_000;
/// The manifest of the sample as UTF-8 CSV; [`manifest`] gives it for other formats.
pub const MANIFEST: &str = include_str!("../../../../images/etc/sample.manifest.toml");
/// The manifest of the GiBleed tables in `tests/data`.
pub const GIBLEED_MANIFEST: &str = include_str!("../../manifests/gibleed.toml");

/// How the raw tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// CSV in UTF-8.
    CsvUtf8,
    /// CSV in CP932, lines ending in CR LF, as hospital systems write it.
    CsvCp932,
    /// Parquet.
    Parquet,
}

/// Why no sample was made.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// More than [`PATIENTS_MAX`], or none.
    #[error("{0} patients: expected 1 to {PATIENTS_MAX}")]
    Patients(u64),
    /// A file is there already, or can't be written.
    #[error("\"{path}\" can't be written")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Patients.
    pub patients: u64,
    /// Laboratory values.
    pub labs: u64,
    /// Admissions.
    pub dpc: u64,
    /// Prescriptions.
    pub drugs: u64,
    /// Bytes of the four files.
    pub bytes: u64,
}

/// The manifest that fits a format.
pub fn manifest(format: SampleFormat) -> String {
    match format {
        SampleFormat::CsvUtf8 => MANIFEST.to_owned(),
        SampleFormat::CsvCp932 => MANIFEST.replace("encoding = \"utf-8\"", "encoding = \"cp932\""),
        SampleFormat::Parquet => MANIFEST
            .replace("encoding = \"utf-8\"\n", "")
            .replace("format = \"csv\"", "format = \"parquet\"")
            .replace(".csv\"", ".parquet\""),
    }
}

/// Writes `patients`, `labs`, `dpc` and `drugs` into `folder`, which is made if it is not there; files
/// that are there are not replaced. `progress` gets the patients so far.
///
/// # Errors
/// See [`SampleError`].
pub fn write(
    folder: &Path,
    seed: u64,
    patients: u64,
    format: SampleFormat,
    mut progress: impl FnMut(u64),
) -> Result<Sample, SampleError> {
    if !(1..=PATIENTS_MAX).contains(&patients) {
        return Err(SampleError::Patients(patients));
    }
    fs::create_dir_all(folder).map_err(|source| SampleError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let mut people = Sink::create(folder, "patients", format, people::COLUMNS)?;
    let mut labs = Sink::create(folder, "labs", format, clinic::LAB_COLUMNS)?;
    let mut dpc = Sink::create(folder, "dpc", format, clinic::DPC_COLUMNS)?;
    let mut drugs = Sink::create(folder, "drugs", format, clinic::DRUG_COLUMNS)?;
    for number in 0..patients {
        let mut random = Random::new(seed, number);
        let person = people::Person::make(&mut random, number);
        people.row(&person.row(&mut random))?;
        let health = clinic::Health::make(&mut random, &person);
        clinic::labs(&mut random, &person, &health, &mut labs)?;
        clinic::admissions(&mut random, &person, &health, &mut dpc)?;
        clinic::prescriptions(&mut random, &person, &health, &mut drugs)?;
        if (number + 1) % PROGRESS_PATIENTS == 0 {
            progress(number + 1);
        }
    }
    progress(patients);
    let mut sample = Sample {
        patients,
        labs: 0,
        dpc: 0,
        drugs: 0,
        bytes: 0,
    };
    let counts = [
        None,
        Some(&mut sample.labs),
        Some(&mut sample.dpc),
        Some(&mut sample.drugs),
    ];
    for (sink, count) in [people, labs, dpc, drugs].into_iter().zip(counts) {
        let (rows, bytes) = sink.finish()?;
        sample.bytes += bytes;
        if let Some(count) = count {
            *count = rows;
        }
    }
    Ok(sample)
}
