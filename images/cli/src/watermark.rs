//! From a picture of a screen to the session that it was taken in. Needs files, and no service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use kekkai_ledger::{entries, verify};
use kekkai_policy_api::{Entry, Event};
use kekkai_types::{Lang, SessionId};
use kekkai_watermark::{Hints, NotFound, Picture, Reading};

use crate::Outcome;

#[derive(Subcommand)]
pub(crate) enum Watermark {
    /// Find the invisible mark in a screenshot or a photograph of a screen, and whose session it was.
    ///
    /// The picture may be cut, scaled, turned, mirrored, taken at an angle, or saved as JPEG; it should hold
    /// a good part of the screen (400 x 300 of its pixels or more), as sharp as there is one. Exit code 0
    /// only if a mark was read.
    Read(Read),
}

#[derive(Args)]
pub(crate) struct Read {
    /// PNG or JPEG.
    image: PathBuf,
    /// Where the screen's corners are in a photograph, in its pixels, for one that is not read without:
    /// upper left, upper right, lower right, lower left.
    #[arg(long, num_args = 4, value_names = ["X,Y", "X,Y", "X,Y", "X,Y"], value_parser = corner, allow_negative_numbers = true)]
    corners: Option<Vec<(f64, f64)>>,
    /// The ledger's directory (C2SP tlog-tiles): also say whose session it was, and when.
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// The ledger's verifier key (`NAME+ID+KEY`), or a file that holds it: verify the ledger first.
    #[arg(long, value_name = "KEY", requires = "ledger")]
    vkey: Option<String>,
}

/// A place in the picture: `X,Y`.
fn corner(text: &str) -> Result<(f64, f64), String> {
    text.split_once(',')
        .and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)))
        .filter(|(x, y): &(f64, f64)| x.is_finite() && y.is_finite())
        .ok_or_else(|| format!("\"{text}\" is no place: write X,Y in pixels, as in 120,85"))
}

pub(crate) fn run(command: Watermark, lang: Lang) -> Outcome {
    let Watermark::Read(args) = command;
    let picture = load(&args.image)?;
    let corners = args
        .corners
        .and_then(|corners| <[(f64, f64); 4]>::try_from(corners).ok());
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    progress.set_message(lang.pick("印を探しています", "looking for the mark"));
    let found = kekkai_watermark::read(&picture, &Hints { corners });
    progress.finish_and_clear();
    let reading = found.map_err(|error| unreadable(&error, corners.is_some(), lang))?;
    print(&reading, lang);
    if let Some(dir) = args.ledger {
        trace(&reading, &dir, args.vkey.as_deref(), lang)?;
    }
    Ok(())
}

fn load(path: &Path) -> Result<Picture, Box<dyn std::error::Error>> {
    let unreadable =
        |e: &dyn std::fmt::Display| format!("\"{}\" can't be read: {e}", path.display());
    let image = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| unreadable(&e))?
        .decode()
        .map_err(|e| unreadable(&e))?
        .into_rgb8();
    let size = |n: u32| usize::try_from(n);
    let (width, height) = (size(image.width())?, size(image.height())?);
    Picture::new(width, height, image.into_raw())
        .ok_or_else(|| unreadable(&"its pixels don't fill it").into())
}

fn say(lang: Lang, ja: String, en: String) -> String {
    match lang {
        Lang::Ja => ja,
        Lang::En => en,
    }
}

/// What was not found, and what a person can try.
fn unreadable(error: &NotFound, has_corners: bool, lang: Lang) -> String {
    let what = match error {
        NotFound::TooSmall { width, height } => say(
            lang,
            format!("画像が小さすぎます({width} x {height} 画素)"),
            format!("the picture is too small ({width} x {height} pixels)"),
        ),
        NotFound::Corners => lang
            .pick(
                "四隅が四角形になっていません",
                "the corners make no quadrilateral",
            )
            .to_owned(),
        NotFound::NoPattern => lang
            .pick(
                "印は見つかりません:繰り返す模様がありません",
                "no mark was found: nothing in the picture repeats",
            )
            .to_owned(),
        NotFound::Unreadable => lang
            .pick(
                "印は読めません:模様はあるかもしれませんが、どの印とも合いません",
                "no mark was read: there may be a pattern, but it fits no mark",
            )
            .to_owned(),
    };
    let tips = match error {
        NotFound::Corners => lang.pick(
            "左上、右上、右下、左下の順に、画像の画素で指定してください",
            "give them in the picture's pixels: upper left, upper right, lower right, lower left",
        ),
        _ if has_corners => lang.pick(
            "できるだけ元のままの画像(縮小・再圧縮・加工の前)で試してください。読める文字の透かし(氏名・時刻・セッション)も確かめてください",
            "try the picture as it was first saved, before it was reduced, sent or edited; and look for the \
             visible text (person, time, session)",
        ),
        _ => lang.pick(
            "できるだけ元のままの画像で試し、斜めの写真では --corners で画面の四隅を指定してください。読める文字の透かし(氏名・時刻・セッション)も確かめてください",
            "try the picture as it was first saved, before it was reduced, sent or edited; for a photograph \
             taken at an angle give the screen's corners with --corners; and look for the visible text \
             (person, time, session)",
        ),
    };
    format!("{what}\n{tips}")
}

fn print(reading: &Reading, lang: Lang) {
    println!("{}: {}", lang.pick("印", "mark"), reading.mark);
    println!(
        "{}: {:.0} %",
        lang.pick("印との一致", "agreement with the mark"),
        reading.agreement * 100.0
    );
    println!(
        "{}: < {:.0e}",
        lang.pick(
            "印のない画像から何かの印が読まれる確率",
            "probability that a picture without a mark gives one"
        ),
        reading.false_positive
    );
}

/// What a ledger says about a session.
#[derive(Default)]
struct Found {
    sessions: Vec<SessionId>,
    lines: Vec<String>,
}

/// Prints what the ledger says about the sessions with this mark.
fn trace(reading: &Reading, dir: &Path, vkey: Option<&str>, lang: Lang) -> Outcome {
    match vkey {
        Some(vkey) => {
            let key = std::fs::read_to_string(vkey)
                .map_or_else(|_| vkey.to_owned(), |text| text.trim().to_owned());
            verify(dir, &key, None)?;
            println!("{}", lang.pick("台帳: 検証済み", "ledger: verified"));
        }
        None => println!(
            "{}",
            lang.pick(
                "台帳: 検証していません(--vkey で検証します)",
                "ledger: not verified (--vkey verifies it)"
            )
        ),
    }
    let mark = reading.mark.to_string();
    let mut found = Found::default();
    // First which sessions carry the mark, then all that was written about them: a session opens before its
    // recording begins.
    for entry in entries(dir)? {
        if let Some(session) = session_of(&parse(&entry?.1)?.event, &mark)
            && !found.sessions.contains(session)
        {
            found.sessions.push(session.clone());
        }
    }
    for entry in entries(dir)? {
        let (index, bytes) = entry?;
        let entry = parse(&bytes)?;
        if let Some(line) = line(&entry, &found.sessions, lang) {
            found
                .lines
                .push(format!("{index:>6}  {}  {line}", entry.at));
        }
    }
    if found.sessions.is_empty() {
        return Err(lang
            .pick(
                "この台帳には、この印のセッションがありません",
                "no session of this ledger has this mark",
            )
            .into());
    }
    for line in found.lines {
        println!("{line}");
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Entry, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(bytes)?)
}

/// The session that an event gives the mark to.
fn session_of<'e>(event: &'e Event, mark: &str) -> Option<&'e SessionId> {
    match event {
        Event::RecordingBegan {
            session,
            mark: given,
            ..
        } => (given == mark).then_some(session),
        Event::ScreenAttached {
            session,
            mark: given,
            ..
        } => (given.as_deref() == Some(mark)).then_some(session),
        _ => None,
    }
}

/// What an entry says about one of the sessions, for people.
fn line(entry: &Entry, sessions: &[SessionId], lang: Lang) -> Option<String> {
    let (session, text) = match &entry.event {
        Event::SessionOpened {
            session,
            person,
            terminal,
            agreement,
            ..
        } => (
            session,
            say(
                lang,
                format!("セッション {session} 開始: {person}、端末 {terminal}、契約 {agreement}"),
                format!(
                    "session {session} opened: {person}, terminal {terminal}, agreement {agreement}"
                ),
            ),
        ),
        Event::RecordingBegan {
            session, recording, ..
        } => (
            session,
            say(
                lang,
                format!("録画 {recording} 開始"),
                format!("recording {recording} began"),
            ),
        ),
        Event::ScreenAttached {
            session,
            terminal,
            address,
            ..
        } => (
            session,
            say(
                lang,
                format!("画面の表示: 端末 {terminal}({address})"),
                format!("screen shown at terminal {terminal} ({address})"),
            ),
        ),
        Event::SessionWatched {
            session,
            by,
            terminal,
        } => (
            session,
            say(
                lang,
                format!("画面の確認: 職員 {by}、端末 {terminal}"),
                format!("screen watched by {by}, terminal {terminal}"),
            ),
        ),
        Event::SessionEnded { session, reason } => (
            session,
            say(
                lang,
                format!("セッション終了({reason:?})"),
                format!("session ended ({reason:?})"),
            ),
        ),
        _ => return None,
    };
    sessions.contains(session).then_some(text)
}
