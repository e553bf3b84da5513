//! Stands in for the analysis server in the tests of `kekkai-measure`: takes what was handed over and does
//! with the TPM what it is told, a JSON command a line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{BufRead, Read};

use kekkai_attest::ReferenceValues;
use kekkai_tpm::{Tpm, TpmConfig, measured};
use kekkai_types::{Digest, ServerId, WrappedKey};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    Show,
    Enrol(ServerId),
    Activate { blob: String, secret: String },
    Quote(Digest),
    Unwrap(Box<(WrappedKey, ReferenceValues)>),
}

fn main() {
    let measured = match measured::take() {
        Ok(measured) => measured,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            return;
        }
    };
    let configuration: toml::Table = measured.configuration.parse().unwrap();
    let config: TpmConfig = configuration["tpm"].clone().try_into().unwrap();
    let tpm = Tpm::open(&measured.connection, &config.policy_key().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for line in std::io::stdin().lock().lines() {
        let command: Command = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = runtime.block_on(answer(command, &tpm, &measured));
        println!(
            "{}",
            answer.unwrap_or_else(|error| json!({ "error": error.to_string() }))
        );
    }
}

async fn answer(
    command: Command,
    tpm: &Tpm,
    measured: &measured::Measured,
) -> Result<serde_json::Value, kekkai_tpm::TpmError> {
    Ok(match command {
        Command::Show => json!({
            "configuration": measured.configuration,
            "event_log": measured.event_log,
            "images": measured.images.iter().map(|(name, mut file)| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                (name.clone(), text)
            }).collect::<std::collections::BTreeMap<_, _>>(),
            "descriptors": descriptors(),
            "environment": std::env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
            "emulated": tpm.is_emulated(),
            "connection": measured.connection,
        }),
        Command::Enrol(server) => json!(tpm.enrolment_request(&server).await?),
        Command::Activate { blob, secret } => {
            json!(tpm.activate(&blob, &secret).await?.as_slice())
        }
        Command::Quote(qualifying) => json!(tpm.quote(qualifying, &measured.event_log).await?),
        Command::Unwrap(case) => json!(tpm.unwrap(&case.0, &case.1).await?),
    })
}

/// What this process's open descriptors are, and whether they survive another `execve`.
fn descriptors() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let number = entry.unwrap().file_name().into_string().unwrap();
        let Ok(target) = std::fs::read_link(format!("/proc/self/fd/{number}")) else {
            continue;
        };
        let info =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap_or("0")
            .trim();
        let is_closed_on_exec = i64::from_str_radix(flags, 8).unwrap() & 0o2_000_000 != 0;
        found.push((target.to_string_lossy().into_owned(), is_closed_on_exec));
    }
    found
}
