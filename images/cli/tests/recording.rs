//! `kekkai recording`: what an auditor does with the auditors' key, the files and the ledger, and what each
//! mistake says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::AnimationDecoder;
use kekkai_frames::{Codec, Output as Message, Rect, Tile, encode_lossless};
use kekkai_policy_api::{Entry, Event};
use kekkai_recording::{Reached, Recipient, Recorder};
use kekkai_types::{Digest, SessionId, Timestamp};

/// 2026-11-22T15:00:00+09:00.
const BEGAN: i64 = 1_795_327_200_000;

struct Auditor {
    dir: tempfile::TempDir,
}

impl Auditor {
    fn new() -> Self {
        let auditor = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(auditor.path("recordings")).unwrap();
        auditor.good(&["keygen", "--out", &auditor.text("keys")]);
        auditor
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn run(&self, lang: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_kekkai"))
            .args(["--lang", lang, "recording"])
            .args(args)
            .output()
            .unwrap()
    }

    fn good(&self, args: &[&str]) -> String {
        let output = self.run("en", args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn bad(&self, args: &[&str]) -> String {
        let output = self.run("en", args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A screen of one colour that changes every ten seconds, five times.
    fn record(&self, session: &str) -> Recorded {
        let pem = std::fs::read_to_string(self.path("keys/auditors.pub")).unwrap();
        let recipient = Recipient::from_pem(&pem).unwrap();
        let id = SessionId::new(session).unwrap();
        let dir = self.path("recordings");
        let (mut recorder, header) =
            Recorder::create(&dir, &id, "00ff", &recipient, Timestamp(BEGAN)).unwrap();
        let mut reached = Vec::new();
        for number in 0..5_u8 {
            let at = Timestamp(BEGAN + i64::from(number) * 10_000);
            recorder.append(at, &picture(number)).unwrap();
            reached.push(recorder.reached());
        }
        reached.push(recorder.finish().unwrap());
        Recorded {
            id,
            header,
            reached,
            file: dir.join(format!("{session}-0001.rec")),
        }
    }

    /// A ledger that heard of a recording; its verifier key.
    fn ledger(&self, name: &str, of: &Recorded, reached: &[Reached]) -> String {
        let (skey, vkey) = kekkai_ledger::generate_key("example.com/test").unwrap();
        let ledger = kekkai_ledger::Ledger::open(&self.path(name), &skey, None).unwrap();
        let began = Event::RecordingBegan {
            session: of.id.clone(),
            recording: of.id.to_string(),
            header: of.header,
            recipient: Digest::of(b"key"),
            mark: "00ff".to_owned(),
        };
        let reached = reached.iter().map(|reached| Event::RecordingReached {
            session: of.id.clone(),
            recording: of.id.to_string(),
            chunks: reached.chunks,
            bytes: reached.bytes,
            head: reached.head,
            ended: false,
        });
        for event in std::iter::once(began).chain(reached) {
            let entry = Entry {
                v: kekkai_policy_api::ENTRY_VERSION,
                at: Timestamp(BEGAN),
                source: "kekkai://analysis/a1".to_owned(),
                event,
            };
            ledger.append(serde_json::to_vec(&entry).unwrap()).unwrap();
        }
        vkey
    }
}

struct Recorded {
    id: SessionId,
    header: Digest,
    reached: Vec<Reached>,
    file: PathBuf,
}

impl Recorded {
    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

fn picture(number: u8) -> Vec<Message> {
    let at = Rect::of_size(64, 64);
    let pixels = [number * 50, 10, 20, 255].repeat(64 * 64);
    let tiles = Message::Tiles {
        frame: u32::from(number) + 1,
        ends_frame: true,
        tiles: vec![Tile {
            at,
            codec: Codec::Lossless,
            data: encode_lossless(&pixels, at.width, at.height).unwrap(),
        }],
    };
    let size = Message::Size {
        width: 320,
        height: 320,
    };
    match number {
        0 => vec![size, tiles],
        _ => vec![tiles],
    }
}

fn red(path: &Path) -> u8 {
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it shows patients' data");
    let picture = image::open(path).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (320, 320));
    picture.get_pixel(5, 5).0[0]
}

/// A command's arguments.
fn joined<'a>(start: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [start, more].concat()
}

#[test]
fn private_key_is_its_owners_and_is_not_written_over() {
    let auditor = Auditor::new();
    let key = auditor.path("keys/auditors.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    auditor.bad(&["keygen", "--out", &auditor.text("keys")]);
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn recording_verifies_against_the_ledger_and_a_cut_or_changed_one_does_not() {
    let auditor = Auditor::new();
    let recorded = auditor.record("s-1");
    let vkey = auditor.ledger("ledger", &recorded, &recorded.reached[1..5]);
    let ledger = auditor.text("ledger");
    let key = auditor.text("keys/auditors.key");
    let start = ["verify", recorded.file()];
    let with_ledger = joined(
        &start,
        &["--ledger", &ledger, "--vkey", &vkey, "--key", &key],
    );

    let said = auditor.good(&with_ledger);
    assert!(said.contains("verified: nothing missing"), "{said}");
    assert!(
        said.contains("chunks after the ledger's last entry: 1"),
        "{said}"
    );
    assert!(said.contains("chunks (keyframes): 6 (1)"), "{said}");
    let said = auditor.good(&joined(&start, &[]));
    assert!(said.contains("not compared with a ledger"), "{said}");
    let japanese = auditor.run("ja", &joined(&start, &[]));
    assert!(String::from_utf8_lossy(&japanese.stdout).contains("検証に成功"));
    assert!(
        auditor
            .bad(&joined(&start, &["--ledger", &ledger]))
            .contains("--vkey")
    );

    let whole = std::fs::read(&recorded.file).unwrap();
    // Cut after the third chunk: nobody but the ledger can tell.
    let third = usize::try_from(recorded.reached[2].bytes).unwrap();
    std::fs::write(&recorded.file, &whole[..third]).unwrap();
    assert!(
        auditor
            .bad(&joined(&start, &[]))
            .contains("only the ledger says")
    );
    let said = auditor.bad(&with_ledger);
    assert!(
        said.contains("only 3 chunks are there, the ledger knows of 5"),
        "{said}"
    );
    // Cut within the end: all that the ledger knows is there.
    std::fs::write(&recorded.file, &whole[..whole.len() - 1]).unwrap();
    let said = auditor.good(&with_ledger);
    assert!(said.contains("it ends within a chunk"), "{said}");
    // A flipped bit.
    let mut changed = whole.clone();
    changed[third + 30] ^= 1;
    std::fs::write(&recorded.file, &changed).unwrap();
    let said = auditor.bad(&joined(&start, &[]));
    assert!(
        said.contains("chunk 3") && said.contains("were changed"),
        "{said}"
    );
    let japanese = auditor.run("ja", &joined(&start, &[]));
    assert!(String::from_utf8_lossy(&japanese.stderr).contains("改変"));

    // A ledger that knows of other sessions only, and one of another recording of this session.
    std::fs::write(&recorded.file, &whole).unwrap();
    let other = auditor.record("s-2");
    let vkey = auditor.ledger("elsewhere", &other, &other.reached);
    let elsewhere = auditor.text("elsewhere");
    let said = auditor.bad(&joined(&start, &["--ledger", &elsewhere, "--vkey", &vkey]));
    assert!(
        said.contains("knows of no recording of this session"),
        "{said}"
    );
    let forged = Recorded {
        header: other.header,
        ..recorded
    };
    let vkey = auditor.ledger("forged", &forged, &[]);
    let ledger = auditor.text("forged");
    let said = auditor.bad(&[
        "verify",
        forged.file(),
        "--ledger",
        &ledger,
        "--vkey",
        &vkey,
    ]);
    assert!(said.contains("is not the one in the ledger"), "{said}");
}

#[test]
fn pictures_show_what_was_shown_at_that_time() {
    let auditor = Auditor::new();
    let recorded = auditor.record("s-1");
    let key = auditor.text("keys/auditors.key");
    let start = ["export", recorded.file(), "--key", &key];
    for (at, wanted) in [
        ("2026-11-22T15:00:00+09:00", 0),
        ("+19", 50),
        ("+0:20", 100),
        ("2026-11-22T06:00:35Z", 150),
        ("+9:00:00", 200),
    ] {
        let out = auditor.text(&format!("{wanted}.png"));
        auditor.good(&joined(&start, &["--at", at, "--png", &out]));
        assert_eq!(red(Path::new(&out)), wanted, "{at}");
        // Nothing is written over.
        auditor.bad(&joined(&start, &["--at", at, "--png", &out]));
    }
    let out = auditor.text("before.png");
    let said = auditor.bad(&joined(
        &start,
        &["--at", "2026-11-22T14:59:59+09:00", "--png", &out],
    ));
    assert!(said.contains("nothing was shown yet"), "{said}");
    assert!(!auditor.path("before.png").exists());

    let dir = auditor.text("pictures");
    auditor.good(&joined(
        &start,
        &["--png-dir", &dir, "--every", "20", "--from", "+5"],
    ));
    let mut names: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let shown: Vec<u8> = names.iter().map(|path| red(path)).collect();
    assert_eq!(shown, [0, 100]);
    assert!(names[1].ends_with("s-1-20261122T150025.png"), "{names:?}");

    let film = auditor.text("film.png");
    auditor.good(&joined(&start, &["--apng", &film, "--to", "+45"]));
    let file = std::io::BufReader::new(std::fs::File::open(&film).unwrap());
    let decoder = image::codecs::png::PngDecoder::new(file).unwrap();
    let frames = decoder
        .apng()
        .unwrap()
        .into_frames()
        .collect_frames()
        .unwrap();
    let shown: Vec<(u8, u32)> = frames
        .iter()
        .map(|frame| {
            let (ms, per) = frame.delay().numer_denom_ms();
            (frame.buffer().get_pixel(5, 5).0[0], ms / per)
        })
        .collect();
    let tens = |red| (red, 10_000);
    assert_eq!(
        shown,
        [tens(0), tens(50), tens(100), tens(150), (200, 5_000)]
    );

    // Another key, and no key.
    auditor.good(&["keygen", "--out", &auditor.text("others")]);
    let other = auditor.text("others/auditors.key");
    let out = auditor.text("never.png");
    let said = auditor.bad(&[
        "export",
        recorded.file(),
        "--key",
        &other,
        "--at",
        "+1",
        "--png",
        &out,
    ]);
    assert!(said.contains("the recording is for the key"), "{said}");
    let public = auditor.text("keys/auditors.pub");
    let said = auditor.bad(&["export", recorded.file(), "--key", &public, "--apng", &out]);
    assert!(said.contains("no private key"), "{said}");
    let said = auditor.bad(&joined(&start, &[]));
    assert!(said.contains("--png-dir"), "{said}");
}

#[test]
fn list_names_recordings_and_files_that_are_none() {
    let auditor = Auditor::new();
    auditor.record("s-1");
    std::fs::write(auditor.path("recordings/x.rec"), "no").unwrap();
    let said = auditor.good(&["list", &auditor.text("recordings")]);
    let first = said.lines().next().unwrap();
    assert!(
        first.starts_with("s-1\t2026-11-22T15:00:00+09:00"),
        "{said}"
    );
    assert!(first.contains("finished") && !first.contains("not finished"));
    assert!(said.contains("x.rec: this is no recording"), "{said}");
}
