//! Reference values: what a good analysis server measures to, signed by the producer.

use std::path::PathBuf;

use clap::Subcommand;
use kekkai_attest::{PolicyKey, ReferenceValues};
use kekkai_policy_api::{AddReference, WithdrawReference};
use kekkai_types::{Digest, Lang};
use zeroize::Zeroizing;

use crate::Outcome;
use crate::admin::Connect;

#[derive(Subcommand)]
pub(crate) enum Reference {
    /// Sign what `kekkai-measure --config FILE --print-reference LABEL` printed, with the producer's
    /// PCR policy key; prints the signed values.
    Sign {
        /// JSON.
        file: PathBuf,
        /// The PCR policy key, private (PEM, PKCS #8); kept offline.
        #[arg(long)]
        key: PathBuf,
    },
    /// Put signed values in force.
    Add {
        #[command(flatten)]
        connect: Connect,
        /// JSON.
        file: PathBuf,
    },
    /// Withdraw values: sessions on servers that met only these end within 5 s.
    Withdraw {
        #[command(flatten)]
        connect: Connect,
        /// From `add`.
        reference: Digest,
    },
}

fn read(file: &PathBuf) -> Result<ReferenceValues, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("\"{}\" can't be read: {e}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|e| format!("{}:{e}", file.display()))?)
}

pub(crate) async fn run(command: Reference, lang: Lang) -> Outcome {
    match command {
        Reference::Sign { file, key } => {
            let pem = Zeroizing::new(std::fs::read_to_string(&key)?);
            let signed = read(&file)?.sign(&PolicyKey::from_pem(&pem)?)?;
            println!("{}", serde_json::to_string_pretty(&signed)?);
        }
        Reference::Add { connect, file } => {
            let reference = read(&file)?;
            println!(
                "{}",
                connect.policy()?.call(&AddReference { reference }).await?
            );
        }
        Reference::Withdraw { connect, reference } => {
            connect
                .policy()?
                .call(&WithdrawReference { reference })
                .await?;
            println!("{}", lang.pick("取り消しました", "withdrawn"));
        }
    }
    Ok(())
}
