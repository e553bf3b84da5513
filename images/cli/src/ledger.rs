//! What an auditor does: verify, read, export. Needs files and a public key, and no service.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use kekkai_policy_api::Entry;
use kekkai_types::{Lang, Timestamp};

use crate::Outcome;

#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// Recompute everything from the entries up: exit code 0 only if nothing is missing or changed.
    Verify {
        #[command(flatten)]
        log: Log,
        /// The independent witness file: without it, truncation can't be seen.
        #[arg(long)]
        witness: Option<PathBuf>,
    },
    /// Print entries for people.
    Show {
        #[command(flatten)]
        log: Log,
        /// Only entries whose event type contains this.
        #[arg(long)]
        event: Option<String>,
        /// At most this many of the newest entries.
        #[arg(long, default_value_t = 200)]
        last: u64,
    },
    /// Print all entries as JSON lines, with their indexes.
    Export {
        #[command(flatten)]
        log: Log,
    },
}

#[derive(Args)]
pub(crate) struct Log {
    /// The ledger's directory (C2SP tlog-tiles).
    dir: PathBuf,
    /// The verifier key (`NAME+ID+KEY`), or a file that holds it.
    #[arg(long)]
    vkey: String,
}

impl Log {
    fn vkey(&self) -> String {
        std::fs::read_to_string(&self.vkey)
            .map_or_else(|_| self.vkey.clone(), |text| text.trim().to_owned())
    }
}

pub(crate) fn run(command: Ledger, lang: Lang) -> Outcome {
    match command {
        Ledger::Verify { log, witness } => {
            let start = std::time::Instant::now();
            let report = kekkai_ledger::verify(&log.dir, &log.vkey(), witness.as_deref())?;
            println!("{}: {}", lang.pick("台帳", "ledger"), report.origin);
            println!("{}: {}", lang.pick("記録の数", "entries"), report.size);
            println!("{}: {}", lang.pick("ルートハッシュ", "root"), report.root);
            match report.witness {
                Some(seen) => println!(
                    "{}: {} ({})",
                    lang.pick(
                        "証人と一致するチェックポイント",
                        "checkpoints that agree with the witness"
                    ),
                    seen.checkpoints,
                    seen.newest_size
                ),
                None => println!(
                    "{}",
                    lang.pick(
                        "証人ファイルなし:末尾の切り捨ては検出できません",
                        "no witness file: a cut-off end can't be seen"
                    )
                ),
            }
            println!(
                "{} ({:.2} s)",
                lang.pick(
                    "検証に成功:欠落・改変なし",
                    "verified: nothing missing, nothing changed"
                ),
                start.elapsed().as_secs_f64()
            );
        }
        Ledger::Show { log, event, last } => {
            kekkai_ledger::verify(&log.dir, &log.vkey(), None)?;
            let entries = kekkai_ledger::entries(&log.dir)?;
            let first = entries.size().saturating_sub(last);
            for entry in entries {
                let (index, bytes) = entry?;
                if index >= first {
                    show(index, &bytes, event.as_deref())?;
                }
            }
        }
        Ledger::Export { log } => {
            kekkai_ledger::verify(&log.dir, &log.vkey(), None)?;
            let mut out = std::io::stdout().lock();
            for entry in kekkai_ledger::entries(&log.dir)? {
                let (index, bytes) = entry?;
                let value: serde_json::Value = serde_json::from_slice(&bytes)?;
                writeln!(
                    out,
                    "{}",
                    serde_json::json!({"index": index, "entry": value})
                )?;
            }
        }
    }
    Ok(())
}

fn show(index: u64, bytes: &[u8], filter: Option<&str>) -> Outcome {
    let entry: Entry = serde_json::from_slice(bytes)
        .map_err(|e| format!("entry {index} is none that this version knows: {e}"))?;
    let mut event = serde_json::to_value(&entry.event)?;
    let kind = event
        .as_object_mut()
        .and_then(|fields| fields.remove("type"))
        .and_then(|kind| kind.as_str().map(str::to_owned))
        .unwrap_or_default();
    if filter.is_some_and(|filter| !kind.contains(filter)) {
        return Ok(());
    }
    let details: Vec<String> = event
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={}", plain(text)),
            None => format!("{key}={}", plain(&value.to_string())),
        })
        .collect();
    let at: Timestamp = entry.at;
    println!(
        "{index:>6}  {at}  {kind:<20}  {}  ({})",
        details.join(" "),
        entry.source
    );
    Ok(())
}

/// A statement or a program's name is a researcher's text: on an auditor's terminal nothing of it may move
/// the cursor, begin a line, or hide or turn around what stands beside it.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        if c.is_control() || is_hidden {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn text_of_an_entry_neither_drives_the_auditors_terminal_nor_makes_a_line_of_its_own() {
        let hostile = "SELECT 1\n     7  forged\u{1b}[2J\u{9b}31m\u{202e}x\u{200b}";
        assert_eq!(
            plain(hostile),
            "SELECT 1\\n     7  forged\\u{1b}[2J\\u{9b}31m\\u{202e}x\\u{200b}"
        );
        assert_eq!(plain("脳卒中 'é'"), "脳卒中 'é'");
    }
}
