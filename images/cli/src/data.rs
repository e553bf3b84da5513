//! Raw data in, a registered dataset out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kekkai_dataset::Manifest;
use kekkai_ingest::sample::SampleFormat;
use kekkai_ingest::{Progress, PseudonymKey, Step};
use kekkai_policy_api::{Enrolments, RegisterDataset};
use kekkai_types::{KeyText, Lang, Recipient};
use zeroize::Zeroizing;

use crate::Outcome;
use crate::admin::Connect;

#[derive(Args)]
pub(crate) struct Sample {
    /// A new folder, or one without these files.
    #[arg(long)]
    out: PathBuf,
    /// Patients: 1 to 10,000,000.
    #[arg(long, default_value_t = 100_000)]
    patients: u64,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// How tables are written.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// CSV in UTF-8.
    Csv,
    /// CSV in CP932, as hospital systems write it.
    CsvCp932,
    /// Parquet.
    Parquet,
}

impl From<Format> for SampleFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::CsvUtf8,
            Format::CsvCp932 => Self::CsvCp932,
            Format::Parquet => Self::Parquet,
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn bar(length: u64, unit: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let template = format!("{{msg:24}} {{bar:30}} {{human_pos}}/{{human_len}} {unit} ({{eta}})");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

pub(crate) fn sample(sample: &Sample, lang: Lang) -> Outcome {
    let format = SampleFormat::from(sample.format);
    let bar = bar(sample.patients, lang.pick("人", "patients"));
    let made = kekkai_ingest::sample::write(
        &sample.out,
        sample.seed,
        sample.patients,
        format,
        |patients| bar.set_position(patients),
    )?;
    bar.finish_and_clear();
    let manifest = sample.out.join("manifest.toml");
    std::fs::write(&manifest, kekkai_ingest::sample::manifest(format))?;
    println!(
        "patients {} · labs {} · dpc {} · drugs {} · {} MB",
        made.patients,
        made.labs,
        made.dpc,
        made.drugs,
        made.bytes / 1_000_000
    );
    println!(
        "{}: {}",
        lang.pick("マニフェスト", "manifest"),
        manifest.display()
    );
    Ok(())
}

#[derive(Args)]
pub(crate) struct Ingest {
    /// The dataset's manifest (TOML).
    #[arg(long)]
    manifest: PathBuf,
    /// The folder with the raw tables.
    #[arg(long)]
    source: PathBuf,
    /// The analysis server's data folder, or a folder to be moved there.
    #[arg(long)]
    out: PathBuf,
    /// The producer's recovery key, public (PEM).
    #[arg(long)]
    recovery: PathBuf,
    /// The producer's pseudonym secret (64 hexadecimal digits), so that the next version has the same
    /// pseudonyms; without it they are made once and can't be made again.
    #[arg(long)]
    pseudonym_secret: Option<PathBuf>,
    /// The producer's offline key, public (PEM; `kekkai extract keygen`): each person's id is sealed to
    /// it, so that a regulator's enquiry can be answered. Without it nobody can say whose a pseudonym is.
    #[arg(long)]
    offline_key: Option<PathBuf>,
    /// Register the dataset with the policy service, its key wrapped to every enrolled server. Without
    /// it, only the recovery key can open the dataset.
    #[arg(long, env = "KEKKAI_CONNECT")]
    connect: Option<PathBuf>,
}

/// Reads a secret of 64 hexadecimal digits.
pub(crate) fn read_secret(path: &Path) -> Result<KeyText, Box<dyn std::error::Error>> {
    let text = Zeroizing::new(
        std::fs::read_to_string(path)
            .map_err(|e| format!("\"{}\" can't be read: {e}", path.display()))?,
    );
    let quoted = Zeroizing::new(format!("\"{}\"", text.trim()));
    Ok(serde_json::from_str(&quoted).map_err(|e| format!("\"{}\": {e}", path.display()))?)
}

pub(crate) async fn ingest(ingest: &Ingest, lang: Lang) -> Outcome {
    let text = std::fs::read_to_string(&ingest.manifest)
        .map_err(|e| format!("\"{}\" can't be read: {e}", ingest.manifest.display()))?;
    let manifest =
        Manifest::parse(&text).map_err(|e| format!("{}:{e}", ingest.manifest.display()))?;
    let policy = ingest
        .connect
        .clone()
        .map(|connect| Connect { connect }.policy())
        .transpose()?;
    let mut recipients = vec![(
        Recipient::Recovery,
        kekkai_deploy::ec_public_of_file(&ingest.recovery)?,
    )];
    if let Some(policy) = &policy {
        for server in policy.call(&Enrolments {}).await? {
            let public = STANDARD.decode(&server.unwrap_public)?;
            recipients.push((Recipient::Server(server.server), public));
        }
    }
    let pseudonym_key = ingest
        .pseudonym_secret
        .as_ref()
        .map(|path| -> Result<PseudonymKey, Box<dyn std::error::Error>> {
            Ok(PseudonymKey::derive(&read_secret(path)?, &manifest.id)?)
        })
        .transpose()?;
    let bar = bar(0, "");
    let offline = ingest
        .offline_key
        .as_deref()
        .map(kekkai_deploy::ec_public_of_file)
        .transpose()?;
    let progress = |progress: &Progress<'_>| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes);
        let doing = match progress.step {
            Step::Remember => lang.pick("名前を覚える", "remembering names"),
            Step::Write => lang.pick("仮名化と検査", "checking"),
            Step::Sort => lang.pick("人の順に並べ替え", "sorting by person"),
        };
        bar.set_message(format!("{doing} {}", progress.table));
    };
    let (source, out) = (&ingest.source, &ingest.out);
    let key = pseudonym_key.as_ref();
    let done = match &offline {
        Some(offline) => kekkai_ingest::ingest_with_escrow(
            &manifest,
            source,
            out,
            &recipients,
            key,
            offline,
            progress,
        ),
        None => kekkai_ingest::ingest(&manifest, source, out, &recipients, key, progress),
    }
    .map_err(|error| error.message(lang))?;
    bar.finish_and_clear();
    println!("{}: {}", lang.pick("人数", "persons"), done.report.persons);
    for table in &done.report.tables {
        println!(
            "  {}\t{} {}\t{} → {} MB\t{}: {}",
            table.table,
            table.rows,
            lang.pick("行", "rows"),
            table.source_bytes / 1_000_000,
            table.written_bytes / 1_000_000,
            lang.pick("削除した列", "dropped"),
            table.dropped.join(" ")
        );
    }
    match policy {
        Some(policy) => {
            let call = RegisterDataset {
                catalog: done.catalog,
                keys: done.keys,
            };
            policy.call(&call).await?;
            println!("{}", lang.pick("登録しました", "registered"));
        }
        None => println!(
            "{}",
            lang.pick(
                "登録していません:--connect を付けると方針サービスに登録します",
                "not registered: --connect registers it with the policy service",
            )
        ),
    }
    Ok(())
}
