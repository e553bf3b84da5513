//! From the key that asks for rows to the first of them on a researcher's screen: gateway's door, broker, the
//! jailed worker, the encrypted table, the drawn picture, its frame. A scan of a whole table beside five rows of
//! it, in turns; medians and their ratio. The bench takes the gateway's place, by its certificate, as
//! `--bench desktop` does. Each pair has a deployment of its own: whoever asks for whole tables again and again
//! is slowed down, and that is not what is measured.
//!
//! `KEKKAI_PATIENTS=N` makes another sample (default 200,000 patients).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::time::{Duration, Instant};

use kekkai_e2e::seat::{Door, Seat};
use kekkai_e2e::world_with;
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_types::TerminalClass;

const SIZE: (u16, u16) = (1280, 800);
const RUNS: usize = 5;
const GOAL_MS: f64 = 100.0;
/// A whole table, and a few rows of it.
const STATEMENTS: [(&str, &str); 2] = [
    ("whole table", "SELECT * FROM labs"),
    ("five rows", "SELECT * FROM labs LIMIT 5"),
];
/// Not faster than people type: what comes faster is held.
const KEY_PAUSE: Duration = Duration::from_millis(60);
/// Nothing came for so long: everything is as it is going to be.
const REST: Duration = Duration::from_millis(2000);
/// Of what changes between asking and the end, what is there once the first rows are: the rest are counters.
const FIRST_SHARE: f64 = 0.8;

/// Pixels that a few rows change at least; words that something is under way change a tenth of it.
const ROWS_PIXELS_MIN: usize = 8_000;

const NONE: Modifiers = Modifiers {
    shift: false,
    ctrl: false,
    alt: false,
};

fn pixels(seat: &Seat) -> Vec<u8> {
    seat.canvas.lock().unwrap().rgba().to_vec()
}

/// Pixels that differ.
fn difference(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.chunks_exact(4).zip(other.chunks_exact(4));
    pairs.filter(|(a, b)| a != b).count()
}

/// What a person who asked for rows sees, and when.
struct Asked {
    /// From the key to any change.
    any: Duration,
    /// From the key to the first picture with the rows.
    rows: Duration,
}

/// Asks in a session of its own, with an empty editor.
async fn ask(seat: &mut Seat, sql: &str) -> Asked {
    seat.settle(REST).await;
    seat.press(Key::Num2, Modifiers { alt: true, ..NONE });
    seat.settle(REST).await;
    for letter in sql.chars() {
        seat.send(Input::Text(letter.to_string()));
        tokio::time::sleep(KEY_PAUSE).await;
    }
    seat.settle(REST).await;
    let mut pictures = vec![(Duration::ZERO, pixels(seat))];
    let mut frames = seat.shown().frames;
    let start = Instant::now();
    let enter = Modifiers {
        ctrl: true,
        shift: true,
        alt: false,
    };
    seat.press(Key::Enter, enter);
    let mut changed = start;
    while changed.elapsed() < REST {
        tokio::time::sleep(Duration::from_micros(200)).await;
        let shown = seat.shown();
        if shown.frames > frames {
            frames = shown.frames;
            changed = shown.last.unwrap();
            pictures.push((changed.duration_since(start), pixels(seat)));
        }
    }
    keep_picture(seat, sql);
    let ((_, before), (_, end)) = (pictures.first().unwrap(), pictures.last().unwrap());
    let all = difference(before, end);
    assert!(all >= ROWS_PIXELS_MIN, "{all} pixels changed: no rows came");
    let is_there =
        |picture: &[u8]| difference(picture, end) as f64 <= all as f64 * (1.0 - FIRST_SHARE);
    let (rows, _) = pictures
        .iter()
        .find(|(_, picture)| is_there(picture))
        .unwrap();
    let (any, _) = pictures.get(1).expect("a frame");
    Asked {
        any: *any,
        rows: *rows,
    }
}

/// For whoever doubts that these are rows.
fn keep_picture(seat: &Seat, name: &str) {
    if let Ok(folder) = std::env::var("KEKKAI_PICTURES") {
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("{folder}/{}.png", name.replace(' ', "-"));
        std::fs::write(name, seat.picture()).unwrap();
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let patients = match std::env::var("KEKKAI_PATIENTS") {
        Ok(count) => count.parse().expect("KEKKAI_PATIENTS is no number"),
        Err(_) => 200_000,
    };
    let mut times: [Vec<Asked>; 2] = Default::default();
    for run in 0..RUNS {
        let world = world_with(|options| {
            options.desktop = true;
            options.patients = patients;
            options.extra_researchers = 2;
            options.extra_terminals = TerminalClass::Onsite;
        })
        .await;
        let door = Door::of(&world);
        for turn in 0..STATEMENTS.len() {
            let side = (run + turn) % STATEMENTS.len();
            let (Some((_, sql)), Some(times)) = (STATEMENTS.get(side), times.get_mut(side)) else {
                continue;
            };
            let who = format!("r{}", side + 1);
            let mut seat = door.sit(&world, &who, "sample-2026", SIZE).await;
            times.push(ask(&mut seat, sql).await);
            seat.leave().await;
        }
    }
    println!(
        "rows on a screen of {} x {}, {patients} patients, median of {RUNS} in turns; ms",
        SIZE.0, SIZE.1
    );
    println!("{:<12} {:>12} {:>12}", "", "any change", "first rows");
    let mut medians = Vec::new();
    for ((name, _), times) in STATEMENTS.iter().zip(&times) {
        let any = median(times.iter().map(|asked| asked.any));
        let rows = median(times.iter().map(|asked| asked.rows));
        println!("{name:<12} {any:>12.1} {rows:>12.1}");
        medians.push(rows);
    }
    let [whole, few] = medians.as_slice() else {
        return;
    };
    let verdict = if *whole <= GOAL_MS {
        "kept".to_owned()
    } else {
        format!("missed by {:.1}", whole - GOAL_MS)
    };
    println!(
        "first rows of a scan {whole:.1} ms, goal {GOAL_MS} ms: {verdict}; whole table / five rows {:.2}",
        whole / few
    );
}

fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
