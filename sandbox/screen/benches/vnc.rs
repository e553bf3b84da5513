//! The same pictures through TigerVNC (see `tiger`) and through ours, in one run: bytes to a client.
//! `cargo bench -p kekkai-screen --bench vnc`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use kekkai_frames::{Compressor, Output, Rect, encode_output};
use kekkai_screen::{Marker, Screen, TILE_BYTES, View};
use kekkai_types::Timestamp;
use kekkai_watermark::{Mark, Watermark};

#[path = "scenes/mod.rs"]
mod scenes;
#[path = "tiger/mod.rs"]
mod tiger;
use scenes::{HEIGHT, Painter, Scene, WIDTH};
use tiger::{Client, Server, X, changed};

const START: Timestamp = Timestamp(1_790_000_000_000);

fn main() {
    if !tiger::is_there() {
        println!("Xvnc is not there: apt install tigervnc-standalone-server");
        return;
    }
    println!("{WIDTH} x {HEIGHT}, bytes to a client for a whole scene after its first picture");
    println!("| scene | mark | pictures | Kekkai | TigerVNC | ours/theirs |");
    println!("|---|---|---|---|---|---|");
    for scene in Scene::ALL {
        for is_marked in [false, true] {
            let (ours, theirs) = (ours(scene, is_marked), theirs(scene, is_marked));
            println!(
                "| {} | {} | {} | {ours} | {theirs} | {:.2} |",
                scene.name(),
                if is_marked { "yes" } else { "no" },
                scene.frames() - 1,
                ours as f64 / theirs as f64,
            );
        }
    }
}

fn watermark() -> Watermark {
    let mark: Mark = "0badc0de".parse().unwrap();
    Watermark::new(mark, "sato", "s-2026-11-22-0001")
}

/// The session's marks, or none.
struct Maybe(Option<Watermark>, bool);

impl Marker for Maybe {
    fn apply(&self, rgba: &mut [u8], at: Rect) {
        if let Some(watermark) = &self.0 {
            Marker::apply(watermark, rgba, at);
        }
    }

    fn minute(&self) -> Option<i64> {
        self.1.then_some(0)
    }

    fn set_time(&mut self, now: Timestamp) -> bool {
        let watermark = self.0.as_mut();
        let has_changed = watermark.is_some_and(|watermark| watermark.set_time(now));
        !std::mem::replace(&mut self.1, true) || has_changed
    }
}

fn ours(scene: Scene, is_marked: bool) -> u64 {
    let marker = Maybe(is_marked.then(watermark), false);
    let mut screen = Screen::new(marker, WIDTH, HEIGHT).unwrap();
    let (mut view, mut stream) = (View::new(), Compressor::new());
    let (mut painter, mut before, mut sum) = (Painter::new(), Vec::new(), 0);
    for frame in 0..scene.frames() {
        let rgba = painter.draw(scene, frame).to_vec();
        for (column, row, mut tile) in changed(&rgba, &before, (WIDTH, HEIGHT)) {
            tile.resize(TILE_BYTES, 0);
            screen.put_tile(column, row, &tile).unwrap();
        }
        before = rgba;
        screen.present(START);
        let now_ms = frame as u64 * 100;
        while let Some(outputs) = view.next(&mut screen, now_ms) {
            for output in outputs {
                let bytes = stream.chunk(&encode_output(&output)).unwrap().len() as u64;
                sum += if frame == 0 { 0 } else { bytes };
                match output {
                    Output::Ping { number } => view.acknowledge(number, true, now_ms).unwrap(),
                    Output::Tiles {
                        frame,
                        ends_frame: true,
                        ..
                    } => view.acknowledge(frame, false, now_ms).unwrap(),
                    _ => {}
                }
            }
        }
    }
    sum
}

fn theirs(scene: Scene, is_marked: bool) -> u64 {
    let server = Server::start((WIDTH, HEIGHT));
    let screen = X::open(&server.display, (WIDTH, HEIGHT));
    let client = Client::connect(server.port, (WIDTH, HEIGHT));
    let mut marker = is_marked.then(watermark);
    let (mut painter, mut before, mut first) = (Painter::new(), Vec::new(), 0);
    for frame in 0..scene.frames() {
        let mut rgba = painter.draw(scene, frame).to_vec();
        if let Some(marker) = &mut marker {
            let _ = marker.set_time(START);
            Marker::apply(marker, &mut rgba, Rect::of_size(WIDTH, HEIGHT));
        }
        for (column, row, tile) in changed(&rgba, &before, (WIDTH, HEIGHT)) {
            screen.put(column, row, tile);
        }
        before = rgba;
        screen.sync();
        let came = client.wait_until_quiet();
        if frame == 0 {
            first = came;
        }
    }
    client.wait_until_quiet() - first
}
