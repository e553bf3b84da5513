//! A screen that is typed on and scrolled, and keys to record it for.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use kekkai_frames::{Canvas, Codec, Output, Rect, TILE, Tile, encode_lossless};
use kekkai_recording::{AuditorKey, Limits, Recipient, Recorder};
use kekkai_types::{Digest, SessionId, Timestamp};

/// A key pair: another for each number.
pub(crate) fn pair(number: u8) -> (AuditorKey, Recipient) {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
    let secret = p256::SecretKey::from_slice(&[number.max(1); 32]).unwrap();
    let pem = secret.to_pkcs8_pem(LineEnding::LF).unwrap();
    let public = secret.public_key().to_sec1_point(false);
    (
        AuditorKey::from_pem(&pem).unwrap(),
        Recipient::from_sec1(public.as_bytes()).unwrap(),
    )
}

/// Small bounds, so that a test has several keyframes and parts.
pub(crate) const SMALL: Limits = Limits {
    keyframe_ms: 60_000,
    keyframe_bytes: 2_000,
    part_bytes: 12_000,
    total_bytes: 1 << 30,
};

pub(crate) fn session() -> SessionId {
    SessionId::new("s-1").unwrap()
}

pub(crate) fn recorder(limits: Limits, dir: &Path, at: i64) -> (Recorder, Digest) {
    let (_, recipient) = pair(7);
    Recorder::create_within(
        limits,
        dir,
        &session(),
        "0123456789abcdef",
        &recipient,
        Timestamp(at),
    )
    .unwrap()
}

/// The recording's files in a directory, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rec"))
        .collect();
    files.sort();
    files
}

/// A screen with text on it.
pub(crate) struct Scene {
    pub(crate) canvas: Canvas,
    frame: u32,
    seed: u64,
    caret: (u16, u16),
    letters: Vec<Vec<u8>>,
}

const GLYPH: (u16, u16) = (8, 16);

impl Scene {
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let mut scene = Self {
            canvas: Canvas::new(width, height).unwrap(),
            frame: 0,
            seed: 1,
            caret: (0, 0),
            letters: (1..=64).map(drawn).collect(),
        };
        let white = vec![255; usize::from(width) * usize::from(height) * 4];
        scene
            .canvas
            .put(Rect::of_size(width, height), &white)
            .unwrap();
        scene
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    /// All that is shown.
    pub(crate) fn keyframe(&mut self) -> Vec<Output> {
        let (width, height) = (self.canvas.width(), self.canvas.height());
        let mut outputs = vec![Output::Size { width, height }];
        outputs.extend(self.tiles(Rect::of_size(width, height)));
        outputs
    }

    /// A letter where the caret is.
    pub(crate) fn type_letter(&mut self) -> Vec<Output> {
        let (x, y) = self.caret;
        let at = Rect {
            x,
            y,
            width: GLYPH.0,
            height: GLYPH.1,
        };
        self.letter(at);
        self.caret = (x + GLYPH.0, y);
        if self.caret.0 + GLYPH.0 > self.canvas.width() {
            self.caret = (0, (y + GLYPH.1) % (self.canvas.height() - GLYPH.1));
        }
        self.tiles(at)
    }

    /// One line up, and a new one below.
    pub(crate) fn scroll(&mut self) -> Vec<Output> {
        let (width, height) = (self.canvas.width(), self.canvas.height());
        let from = Rect {
            x: 0,
            y: GLYPH.1,
            width,
            height: height - GLYPH.1,
        };
        self.canvas.scroll(from, 0, -16).unwrap();
        let below = Rect {
            x: 0,
            y: height - GLYPH.1,
            width,
            height: GLYPH.1,
        };
        for x in (0..width - GLYPH.0).step_by(usize::from(GLYPH.0)) {
            if !self.random().is_multiple_of(5) {
                self.letter(Rect {
                    x,
                    y: below.y,
                    width: GLYPH.0,
                    height: GLYPH.1,
                });
            }
        }
        self.frame += 1;
        let mut outputs = vec![Output::Scroll {
            frame: self.frame,
            from,
            dx: 0,
            dy: -16,
        }];
        outputs.extend(self.tiles(below));
        outputs
    }

    /// Pixels that nothing shrinks.
    pub(crate) fn noise(&mut self) -> Vec<Output> {
        let all = Rect::of_size(self.canvas.width(), self.canvas.height());
        let pixels: Vec<u8> = (0..usize::from(all.width) * usize::from(all.height))
            .flat_map(|_| {
                let [r, g, b, ..] = self.random().to_le_bytes();
                [r, g, b, 255]
            })
            .collect();
        self.canvas.put(all, &pixels).unwrap();
        self.tiles(all)
    }

    fn letter(&mut self, at: Rect) {
        // Text repeats itself.
        let which = usize::try_from(self.random() % 64).unwrap();
        self.canvas.put(at, &self.letters[which]).unwrap();
    }

    fn tiles(&mut self, part: Rect) -> Vec<Output> {
        self.frame += 1;
        let (right, bottom) = (
            u16::try_from(part.right()).unwrap(),
            u16::try_from(part.bottom()).unwrap(),
        );
        let mut tiles = Vec::new();
        for y in (part.y / TILE * TILE..bottom).step_by(usize::from(TILE)) {
            for x in (part.x / TILE * TILE..right).step_by(usize::from(TILE)) {
                let at = Rect {
                    x,
                    y,
                    width: TILE.min(self.canvas.width() - x),
                    height: TILE.min(self.canvas.height() - y),
                };
                let pixels = self.canvas.crop(at).unwrap();
                tiles.push(Tile {
                    at,
                    codec: Codec::Lossless,
                    data: encode_lossless(&pixels, at.width, at.height).unwrap(),
                });
            }
        }
        tiles
            .chunks(12)
            .map(|tiles| Output::Tiles {
                frame: self.frame,
                ends_frame: false,
                tiles: tiles.to_vec(),
            })
            .collect()
    }

    /// What is shown, in short.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.canvas.rgba())
    }
}

/// A letter's pixels.
fn drawn(letter: u64) -> Vec<u8> {
    let mut shape = letter.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..GLYPH.0 * GLYPH.1)
        .flat_map(|_| {
            shape = shape.rotate_left(5).wrapping_mul(0xd134_2543_de82_ef95);
            let ink = if shape.is_multiple_of(3) { 20 } else { 255 };
            [ink, ink, ink, 255]
        })
        .collect()
}

/// Appends as a broker does: a keyframe in place of changes where one is due.
pub(crate) fn append(recorder: &mut Recorder, scene: &mut Scene, at: i64, changes: &[Output]) {
    let at = Timestamp(at);
    match recorder.keyframe_due(at) {
        true => recorder.append(at, &scene.keyframe()).unwrap(),
        false => recorder.append(at, changes).unwrap(),
    }
}

/// A short recording of several parts, and what was shown when.
pub(crate) fn short(dir: &Path, letters: i64) -> Vec<(Timestamp, Digest)> {
    let (mut recorder, _) = recorder(SMALL, dir, 1_000);
    let mut scene = Scene::new(640, 320);
    let mut shown = Vec::new();
    for number in 0..letters {
        let changes = match number % 7 {
            6 => scene.scroll(),
            _ => scene.type_letter(),
        };
        let at = 1_000 + number * 250;
        append(&mut recorder, &mut scene, at, &changes);
        shown.push((Timestamp(at), scene.digest()));
    }
    recorder.finish().unwrap();
    shown
}
