//! What the receiver of a release does.

use std::path::PathBuf;

use clap::Subcommand;
use kekkai_bundle::ReleaseKey;
use kekkai_types::Lang;

use crate::Outcome;

#[derive(Subcommand)]
pub(crate) enum Release {
    /// Verify a bundle's signature, files and record.
    Verify {
        /// The bundle.
        bundle: PathBuf,
        /// The producer's release key (base64), or a file that holds it.
        #[arg(long)]
        key: String,
        /// Write the bundle's files into this new folder once it verifies.
        #[arg(long)]
        extract: Option<PathBuf>,
    },
}

pub(crate) fn run(command: Release, lang: Lang) -> Outcome {
    let Release::Verify {
        bundle,
        key,
        extract,
    } = command;
    let text = std::fs::read_to_string(&key).map_or(key, |text| text.trim().to_owned());
    let key: ReleaseKey = text.parse()?;
    let bytes = std::fs::read(&bundle)
        .map_err(|e| format!("\"{}\" can't be read: {e}", bundle.display()))?;
    let verified = kekkai_bundle::verify(&bytes, &key)?;
    println!(
        "{}: {}",
        lang.pick("署名", "signature"),
        lang.pick("正しい", "good")
    );
    println!(
        "{}: {}",
        lang.pick("成果物", "output"),
        verified.record.output
    );
    println!("{}: {}", lang.pick("ハッシュ", "digest"), verified.digest);
    println!(
        "{}: {}",
        lang.pick("台帳の番号", "ledger entry"),
        verified.ledger_index
    );
    for (name, content) in &verified.files {
        println!(
            "  {name}\t{} {}",
            content.len(),
            lang.pick("バイト", "bytes")
        );
    }
    if let Some(folder) = extract {
        std::fs::create_dir(&folder)
            .map_err(|e| format!("\"{}\" can't be created: {e}", folder.display()))?;
        for (name, content) in &verified.files {
            std::fs::write(folder.join(name), content)?;
        }
    }
    Ok(())
}
