//! What an auditor does with recordings of screens: list, verify, look. Needs files and a key, and no
//! service.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kekkai_policy_api::{Entry, Event};
use kekkai_recording::{AuditorKey, End, Expected, Fault, Player, Report};
use kekkai_types::{Lang, SessionId, Timestamp};
use zeroize::Zeroizing;

use crate::Outcome;
use crate::data::bar;

/// The name of the auditors' key pair.
const KEY_NAME: &str = "auditors";
/// Pictures that one export may write.
const PICTURES_MAX: i64 = 20_000;

#[derive(Subcommand)]
pub(crate) enum Recording {
    /// Make the auditors' key pair: recordings are encrypted to its public half.
    Keygen {
        /// The folder: DIR/auditors.key (keep it away from the servers) and DIR/auditors.pub.
        #[arg(long)]
        out: PathBuf,
    },
    /// List a folder's recordings.
    List {
        /// The folder.
        dir: PathBuf,
    },
    /// Read all of a recording: exit code 0 only if nothing is missing or changed.
    Verify(Verify),
    /// Write what a screen showed: one picture, one every so often, or a film.
    Export(Export),
}

#[derive(Args)]
pub(crate) struct Verify {
    /// All parts of one recording.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The ledger's directory: without it, a cut-off end or a recording written anew can't be seen.
    #[arg(long, requires = "vkey")]
    ledger: Option<PathBuf>,
    /// The ledger's verifier key (`NAME+ID+KEY`), or a file that holds it.
    #[arg(long)]
    vkey: Option<String>,
    /// The auditors' private key (PEM): replays every message, too.
    #[arg(long)]
    key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Export {
    /// All parts of one recording.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The auditors' private key (PEM).
    #[arg(long)]
    key: PathBuf,
    /// The moment of one picture: 2026-11-22T15:04:05+09:00, or +H:MM:SS after the recording's beginning.
    #[arg(long, requires = "png", conflicts_with_all = ["from", "to"])]
    at: Option<Moment>,
    /// The first moment of several; the beginning without it.
    #[arg(long)]
    from: Option<Moment>,
    /// The last moment; the end without it.
    #[arg(long)]
    to: Option<Moment>,
    /// Seconds between pictures.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), requires = "png_dir")]
    every: u32,
    #[command(flatten)]
    out: Out,
}

/// Where pictures go. Each file is new, and readable by its owner only: it shows patients' data.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Out {
    /// One picture (PNG).
    #[arg(long, requires = "at")]
    png: Option<PathBuf>,
    /// A new folder of pictures.
    #[arg(long)]
    png_dir: Option<PathBuf>,
    /// A film with the true times (animated PNG: browsers and ffmpeg play it).
    #[arg(long)]
    apng: Option<PathBuf>,
}

/// A moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    At(Timestamp),
    /// Milliseconds after its beginning.
    After(i64),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(after) = text.strip_prefix('+') else {
            return text
                .parse()
                .map(|at: jiff::Timestamp| Self::At(Timestamp(at.as_millisecond())))
                .map_err(|_| format!("\"{text}\" is no time such as 2026-11-22T15:04:05+09:00"));
        };
        let wrong = || format!("\"{text}\" is not +H:MM:SS, +MM:SS or +SS");
        let mut seconds: i64 = 0;
        for (index, part) in after.split(':').enumerate() {
            let number: u32 = part.parse().map_err(|_| wrong())?;
            if index > 2 || (index > 0 && number > 59) {
                return Err(wrong());
            }
            seconds = seconds.saturating_mul(60).saturating_add(number.into());
        }
        Ok(Self::After(seconds.saturating_mul(1000)))
    }
}

impl Moment {
    fn since(self, start: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(ms) => start.plus_ms(ms),
        }
    }
}

pub(crate) fn run(command: Recording, lang: Lang) -> Outcome {
    match command {
        Recording::Keygen { out } => keygen(&out, lang),
        Recording::List { dir } => list(&dir, lang),
        Recording::Verify(verify) => check(&verify, lang),
        Recording::Export(export) => write(&export, lang),
    }
}

fn keygen(out: &Path, lang: Lang) -> Outcome {
    kekkai_deploy::ec_key_pair(out, KEY_NAME)?;
    let file = |end: &str| out.join(format!("{KEY_NAME}.{end}"));
    println!(
        "{}: {}",
        lang.pick(
            "秘密鍵(監査人が保管し、サーバーに置かないでください)",
            "private key (auditors keep it, no server has it)"
        ),
        file("key").display()
    );
    println!(
        "{}: {}",
        lang.pick(
            "公開鍵(解析サーバーの設定に指定します)",
            "public key (named in the analysis server's configuration)"
        ),
        file("pub").display()
    );
    Ok(())
}

fn list(dir: &Path, lang: Lang) -> Outcome {
    let (found, others) = kekkai_recording::list(dir).map_err(|fault| said(&fault, lang))?;
    for one in &found {
        let until = one
            .until
            .map_or_else(|| "-".to_owned(), |at| at.to_string());
        println!(
            "{}\t{} → {until}\t{} {}\t{} MB\t{}\t{}",
            one.session,
            one.began,
            one.paths.len(),
            lang.pick("部", "parts"),
            one.bytes / 1_000_000,
            match one.is_finished {
                true => lang.pick("終了", "finished"),
                false => lang.pick("未終了", "not finished"),
            },
            one.mark
        );
    }
    for path in &others {
        println!(
            "{}: {}",
            path.display(),
            lang.pick("録画ではありません", "this is no recording")
        );
    }
    Ok(())
}

fn check(verify: &Verify, lang: Lang) -> Outcome {
    let key = verify.key.as_deref().map(read_key).transpose()?;
    let first = verify.files.first().ok_or("no file was named")?;
    let session = kekkai_recording::header_of(first)
        .map_err(|fault| said(&fault, lang))?
        .session;
    let expected = match (&verify.ledger, &verify.vkey) {
        (Some(dir), Some(vkey)) => Some(from_ledger(dir, vkey, &session, lang)?),
        _ => None,
    };
    let bytes: u64 = verify
        .files
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|file| file.len())
        .sum();
    let bar = bar(bytes, lang.pick("バイト", "bytes"));
    bar.set_message(lang.pick("検証しています", "verifying"));
    let began = std::time::Instant::now();
    let report = kekkai_recording::verify(
        &verify.files,
        expected.as_ref().unwrap_or(&Expected::default()),
        key.as_ref(),
        |more| bar.inc(more),
    );
    bar.finish_and_clear();
    let report = report.map_err(|fault| said(&fault, lang))?;
    show(&report, lang);
    conclude(&report, verify, lang)?;
    println!(
        "{} ({:.2} s)",
        lang.pick(
            "検証に成功:欠落・改変なし",
            "verified: nothing missing, nothing changed"
        ),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn show(report: &Report, lang: Lang) {
    let line = |ja: &str, en: &str, value: String| println!("{}: {value}", lang.pick(ja, en));
    line("セッション", "session", report.session.to_string());
    line("不可視の印", "mark", report.mark.clone());
    line("宛先の鍵", "recipient's key", report.recipient.to_string());
    if let Some((from, to)) = report.span {
        line("時間", "time", format!("{from} → {to}"));
    }
    line("部", "parts", report.parts.to_string());
    line(
        "チャンク(うちキーフレーム)",
        "chunks (keyframes)",
        format!("{} ({})", report.chunks, report.keyframes),
    );
    line("バイト", "bytes", report.bytes.to_string());
    line("先頭行のハッシュ", "header", report.header.to_string());
    line("連鎖の末尾", "last link", report.head.to_string());
    match report.after_ledger {
        Some(after) => line(
            "台帳の最後の記録より後のチャンク",
            "chunks after the ledger's last entry",
            after.to_string(),
        ),
        None => println!(
            "{}",
            lang.pick(
                "台帳との照合なし:末尾の切り捨てや全体の書き直しは検出できません(--ledger)",
                "not compared with a ledger: a cut-off end, or a recording written anew, can't be seen (--ledger)"
            )
        ),
    }
}

/// A recording that is not finished is whole only as far as the ledger says so.
fn conclude(report: &Report, verify: &Verify, lang: Lang) -> Outcome {
    let how = match &report.end {
        End::Finished => return Ok(()),
        End::Unfinished => lang
            .pick(
                "終了の記録がありません:記録中に停止したか、末尾が切り捨てられています",
                "not finished: its recorder was stopped, or its end was cut off",
            )
            .to_owned(),
        End::CutWithin(place) => format!(
            "{}: {place}",
            lang.pick(
                "チャンクの途中で終わっています(その前までは完全です)",
                "it ends within a chunk (what is before is whole)"
            )
        ),
    };
    println!("{how}");
    if verify.ledger.is_some() && report.after_ledger.is_some() {
        return Ok(());
    }
    Err(lang
        .pick(
            "どこまであるべきかは台帳だけが示します:--ledger と --vkey を指定してください",
            "only the ledger says how far it should go: name it with --ledger and --vkey",
        )
        .into())
}

/// What a ledger that verifies says of a session's recording.
fn from_ledger(
    dir: &Path,
    vkey: &str,
    session: &SessionId,
    lang: Lang,
) -> Result<Expected, Box<dyn std::error::Error>> {
    let vkey = std::fs::read_to_string(vkey)
        .map_or_else(|_| vkey.to_owned(), |text| text.trim().to_owned());
    kekkai_ledger::verify(dir, &vkey, None)?;
    let mut expected = Expected::default();
    let mut failures = 0_u64;
    for entry in kekkai_ledger::entries(dir)? {
        let (index, bytes) = entry?;
        let entry: Entry = serde_json::from_slice(&bytes)
            .map_err(|e| format!("entry {index} is none that this version knows: {e}"))?;
        match entry.event {
            Event::RecordingBegan {
                session: of,
                header,
                ..
            } if of == *session => expected.header = Some(header),
            Event::RecordingReached {
                session: of,
                chunks,
                head,
                ..
            } if of == *session => expected.reached.push((chunks, head)),
            Event::RecordingFailed { session: of, .. } if of == *session => {
                failures = failures.saturating_add(1);
            }
            _ => {}
        }
    }
    if expected.header.is_none() {
        return Err(format!(
            "{}: {session}",
            lang.pick(
                "台帳に、このセッションの録画の記録がありません",
                "the ledger knows of no recording of this session"
            )
        )
        .into());
    }
    if failures > 0 {
        println!(
            "{}: {failures}",
            lang.pick(
                "録画できず画面を止めた回数(台帳)",
                "times that the screen stood still because nothing could be recorded (ledger)"
            )
        );
    }
    Ok(expected)
}

fn write(export: &Export, lang: Lang) -> Outcome {
    let key = read_key(&export.key)?;
    let fault = |fault: Fault| said(&fault, lang);
    let mut player = Player::open(&export.files, &key).map_err(fault)?;
    let (start, end) = player.span().ok_or(lang.pick(
        "録画には何も記録されていません",
        "nothing was recorded in it",
    ))?;
    let from = export.from.map_or(start, |moment| moment.since(start));
    let to = export.to.map_or(end, |moment| moment.since(start));
    if to < from {
        return Err(lang
            .pick("--to が --from より前です", "--to is before --from")
            .into());
    }
    if let (Some(path), Some(at)) = (&export.out.png, export.at) {
        let at = at.since(start);
        let canvas = player.seek(at).map_err(fault)?;
        let mut out = create(path)?;
        kekkai_recording::png(canvas, &mut out).map_err(fault)?;
        finish(out, path)?;
        println!("{at}\t{}", path.display());
    }
    if let Some(path) = &export.out.apng {
        let bar = bar(0, "ms");
        bar.set_message(lang.pick("書き出しています", "writing"));
        let mut out = create(path)?;
        let filmed = kekkai_recording::film(&mut player, from, to, &mut out, |done, all| {
            bar.set_length(all.unsigned_abs());
            bar.set_position(done.unsigned_abs());
        });
        bar.finish_and_clear();
        let filmed = filmed.map_err(|found| {
            // Half a film looks like a whole one.
            let _ = std::fs::remove_file(path);
            fault(found)
        })?;
        finish(out, path)?;
        println!(
            "{from} → {to}\t{} × {}\t{} {}\t{}",
            filmed.size.0,
            filmed.size.1,
            filmed.pictures,
            lang.pick("枚", "pictures"),
            path.display()
        );
    }
    if let Some(dir) = &export.out.png_dir {
        pictures(&mut player, export, (from, to), dir, lang)?;
    }
    Ok(())
}

/// One picture every so many seconds.
fn pictures(
    player: &mut Player,
    export: &Export,
    (from, to): (Timestamp, Timestamp),
    dir: &Path,
    lang: Lang,
) -> Outcome {
    let step = i64::from(export.every).saturating_mul(1000);
    let count = to.ms_since(from) / step + 1;
    if count > PICTURES_MAX {
        return Err(format!(
            "{} ({count} > {PICTURES_MAX})",
            lang.pick(
                "画像が多すぎます:期間を短くするか --every を大きくしてください",
                "too many pictures: choose a shorter time or a larger --every"
            )
        )
        .into());
    }
    std::fs::create_dir(dir).map_err(|e| format!("\"{}\" can't be created: {e}", dir.display()))?;
    let session = player.session().cloned().ok_or("bug: no session")?;
    let bar = bar(count.unsigned_abs(), lang.pick("枚", "pictures"));
    for number in 0..count {
        let at = from.plus_ms(number.saturating_mul(step));
        let canvas = player.seek(at).map_err(|fault| said(&fault, lang))?;
        let name = format!("{session}-{}.png", at.in_japan().strftime("%Y%m%dT%H%M%S"));
        let path = dir.join(name);
        let mut out = create(&path)?;
        kekkai_recording::png(canvas, &mut out).map_err(|fault| said(&fault, lang))?;
        finish(out, &path)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{from} → {to}\t{count} {}\t{}",
        lang.pick("枚", "pictures"),
        dir.display()
    );
    Ok(())
}

fn read_key(path: &Path) -> Result<AuditorKey, Box<dyn std::error::Error>> {
    let pem = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|e| format!("\"{}\" can't be read: {e}", path.display()))?;
    AuditorKey::from_pem(&pem).map_err(|e| format!("\"{}\": {e}", path.display()).into())
}

fn create(path: &Path) -> Result<BufWriter<File>, Box<dyn std::error::Error>> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(BufWriter::new)
        .map_err(|e| format!("\"{}\" can't be created: {e}", path.display()).into())
}

fn finish(mut out: BufWriter<File>, path: &Path) -> Outcome {
    out.flush()
        .map_err(|e| format!("\"{}\" can't be written: {e}", path.display()).into())
}

/// A fault in the person's language, with its cause.
fn said(fault: &Fault, lang: Lang) -> Box<dyn std::error::Error> {
    let mut text = fault.message(lang);
    let mut cause = std::error::Error::source(fault);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn moments_are_times_or_distances_from_the_beginning() {
        let start = Timestamp(1_000);
        for (text, at) in [
            ("+0", 1_000),
            ("+90", 91_000),
            ("+1:30", 91_000),
            ("+3:25:10", 12_311_000),
            ("1970-01-01T09:00:05+09:00", 5_000),
            ("1970-01-01T00:00:05Z", 5_000),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.since(start), Timestamp(at), "{text}");
        }
        for text in ["", "+", "+1:60", "+1:2:3:4", "+-1", "15:04", "2026-11-22"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
