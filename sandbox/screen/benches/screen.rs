//! Bytes and time of one viewer's pictures: `cargo bench -p kekkai-screen --bench screen`.
//!
//! Bytes are those on the wire, after the deflate stream. Time is all that the analysis server and the gateway
//! do for a picture: taking tiles, marking, comparing, encoding, deflating; drawing it isn't in it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use std::time::{Duration, Instant};

use kekkai_frames::{Codec, Compressor, Output, encode_output};
use kekkai_screen::{Marker, Screen, View};
use kekkai_types::Timestamp;
use kekkai_watermark::{Mark, Watermark};

#[path = "scenes/mod.rs"]
mod scenes;
use scenes::{HEIGHT, Painter, Scene, WIDTH};

const START: Timestamp = Timestamp(1_790_000_000_000);
/// Pictures of a second.
const RATE: u32 = 30;

/// What a scene cost.
#[derive(Default)]
struct Cost {
    bytes: Vec<usize>,
    times: Vec<Duration>,
    plain: usize,
    scrolls: usize,
    tiles: [usize; 3],
    first: usize,
}

/// No marks, to see what they cost.
struct NoMark(Option<i64>);

impl Marker for NoMark {
    fn apply(&self, _rgba: &mut [u8], _at: kekkai_frames::Rect) {}

    fn minute(&self) -> Option<i64> {
        self.0
    }

    fn set_time(&mut self, now: Timestamp) -> bool {
        let minute = Some(now.0.div_euclid(60_000));
        std::mem::replace(&mut self.0, minute) != minute
    }
}

fn main() {
    println!("{WIDTH} x {HEIGHT}, lossless viewer, all acknowledged at once");
    println!(
        "| scene | mark | first, kB | a frame p50 | p99 | mean, B | before deflate | scrolls | lossless/difference/lossy tiles | time p50, ms | p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut painter = Painter::new();
    let only = std::env::args().nth(1);
    for scene in Scene::ALL {
        if only
            .as_deref()
            .is_some_and(|only| scene.name() != only && !only.starts_with('-'))
        {
            continue;
        }
        let mark = Watermark::new(
            "0badc0de".parse::<Mark>().unwrap(),
            "sato",
            "s-2026-11-22-0001",
        );
        report(scene, "yes", &run(scene, &mut painter, mark));
        report(scene, "no", &run(scene, &mut painter, NoMark(None)));
    }
}

fn run<M: Marker>(scene: Scene, painter: &mut Painter, marker: M) -> Cost {
    let mut screen = Screen::new(marker, WIDTH, HEIGHT).unwrap();
    let (mut view, mut stream) = (View::new(), Compressor::new());
    let mut cost = Cost::default();
    let mut before: std::collections::HashSet<(u16, u16, Vec<u8>)> = Default::default();
    for frame in 0..scene.frames() {
        let mut tiles = cut(painter.draw(scene, frame));
        let drawn = tiles.clone();
        // As a workspace does: only what changed.
        tiles.retain(|tile| !before.contains(tile));
        before = drawn;
        let now = START.plus_ms(i64::try_from(frame).unwrap() * 1_000 / i64::from(RATE));
        let now_ms = now.0.unsigned_abs();
        let start = Instant::now();
        for (column, row, tile) in &tiles {
            screen.put_tile(*column, *row, tile).unwrap();
        }
        screen.present(now);
        let mut bytes = 0;
        let mut number = None;
        while let Some(outputs) = view.next(&mut screen, now_ms) {
            for output in &outputs {
                let message = encode_output(output);
                cost.plain += message.len();
                bytes += stream.chunk(&message).unwrap().len();
                cost.count(output);
                match output {
                    Output::Ping { number } => view.acknowledge(*number, true, now_ms).unwrap(),
                    Output::Tiles { frame, .. } => number = Some(*frame),
                    _ => {}
                }
            }
            view.acknowledge(number.unwrap(), false, now_ms).unwrap();
        }
        match frame {
            0 => (cost.first, cost.plain) = (bytes, 0),
            _ => {
                cost.times.push(start.elapsed());
                cost.bytes.push(bytes);
            }
        }
    }
    cost
}

impl Cost {
    fn count(&mut self, output: &Output) {
        match output {
            Output::Scroll { .. } => self.scrolls += 1,
            Output::Tiles { tiles, .. } => {
                for tile in tiles {
                    let place = match tile.codec {
                        Codec::Lossless => 0,
                        Codec::Difference => 1,
                        Codec::Lossy => 2,
                    };
                    self.tiles[place] += 1;
                }
            }
            _ => {}
        }
    }
}

fn cut(rgba: &[u8]) -> std::collections::HashSet<(u16, u16, Vec<u8>)> {
    let mut tiles = std::collections::HashSet::new();
    for row in 0..HEIGHT.div_ceil(64) {
        for column in 0..WIDTH.div_ceil(64) {
            let mut tile = vec![0; kekkai_screen::TILE_BYTES];
            for y in row * 64..(row * 64 + 64).min(HEIGHT) {
                let from = (usize::from(y) * usize::from(WIDTH) + usize::from(column) * 64) * 4;
                let to = usize::from(y - row * 64) * 256;
                tile[to..to + 256].copy_from_slice(&rgba[from..from + 256]);
            }
            tiles.insert((column, row, tile));
        }
    }
    tiles
}

fn report(scene: Scene, mark: &str, cost: &Cost) {
    let mut bytes = cost.bytes.clone();
    bytes.sort_unstable();
    let mut times = cost.times.clone();
    times.sort_unstable();
    let at = |percent: usize, length: usize| (length - 1) * percent / 100;
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    println!(
        "| {} | {mark} | {} | {} | {} | {} | {} | {} | {:?} | {} | {} |",
        scene.name(),
        cost.first / 1_000,
        bytes[at(50, bytes.len())],
        bytes[at(99, bytes.len())],
        bytes.iter().sum::<usize>() / bytes.len(),
        cost.plain / bytes.len(),
        cost.scrolls,
        cost.tiles,
        ms(times[at(50, times.len())]),
        ms(times[at(99, times.len())]),
    );
}
