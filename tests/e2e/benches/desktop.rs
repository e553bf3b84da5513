//! N scripted researchers at desktops of one analysis server: typing, scrolling a table of 100,000 rows,
//! changing panes. Prints the time from an input to its whole frame as the gateway would get it, bytes
//! after the connection's deflate, processor and memory for each session, active and idle. Sign-in and the
//! gateway's relay are not in it: the bench takes the gateway's place, by its certificate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

use std::time::{Duration, Instant};

use kekkai_e2e::seat::{Door, Seat};
use kekkai_e2e::{TestWorld, world_with};
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_types::TerminalClass;

const SIZE: (u16, u16) = (1280, 800);
const ACTIVE: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(10);
/// Between two things that a person does.
const PAUSE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(5);
const STATEMENT: &str = "SELECT * FROM labs LIMIT 100000";

const NONE: Modifiers = Modifiers {
    shift: false,
    ctrl: false,
    alt: false,
};

fn key(key: Key, modifiers: Modifiers) -> [Input; 2] {
    [true, false].map(|is_down| Input::Key {
        key,
        is_down,
        modifiers,
    })
}

fn wheel(pixels: i16) -> Input {
    Input::Pointer {
        x: 700,
        y: 600,
        buttons: 0,
        wheel_x: 0,
        wheel_y: pixels,
        modifiers: NONE,
    }
}

/// Opens the SQL pane and has 100,000 rows shown.
async fn prepare(seat: &mut Seat) {
    let rest = Duration::from_millis(500);
    seat.settle(rest).await;
    let alt = Modifiers { alt: true, ..NONE };
    for input in key(Key::Num2, alt) {
        seat.send(input);
    }
    seat.settle(rest).await;
    for letter in STATEMENT.chars() {
        seat.send(Input::Text(letter.to_string()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ctrl_shift = Modifiers {
        shift: true,
        ctrl: true,
        alt: false,
    };
    for input in key(Key::Enter, ctrl_shift) {
        seat.send(input);
    }
    seat.settle(Duration::from_secs(3)).await;
}

/// What one researcher's work took: typing, scrolling, changing panes.
#[derive(Default)]
struct Times([Vec<Duration>; 3]);

async fn work(seat: &mut Seat, number: usize) -> Times {
    let mut times = Times::default();
    let start = Instant::now();
    let mut step = number;
    let alt = Modifiers { alt: true, ..NONE };
    while start.elapsed() < ACTIVE {
        step += 1;
        let (kind, inputs) = match step % 20 {
            0 => (2, key(Key::Num3, alt).to_vec()),
            1 => (2, key(Key::Num2, alt).to_vec()),
            4 | 8 | 12 | 16 => (1, vec![wheel(if step % 40 < 20 { 240 } else { -240 })]),
            _ => (0, vec![Input::Text("a".to_owned())]),
        };
        if let Some(took) = seat.act(&inputs, LIMIT).await {
            times.0[kind].push(took);
        }
        tokio::time::sleep(PAUSE).await;
    }
    times
}

fn quantile(sorted: &[Duration], permille: usize) -> f64 {
    let at = (sorted.len().saturating_sub(1) * permille) / 1000;
    sorted
        .get(at)
        .map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

/// Processes by their name: how many, processor time in ticks, private memory in KiB.
fn processes(name: &str) -> (u64, u64, u64) {
    let mut sum = (0, 0, 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Ok(comm) = std::fs::read_to_string(path.join("comm")) else {
            continue;
        };
        if !name.starts_with(comm.trim()) || comm.trim().is_empty() {
            continue;
        }
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let memory = std::fs::read_to_string(path.join("smaps_rollup")).unwrap_or_default();
        let private: u64 = memory
            .lines()
            .filter(|line| line.starts_with("Private_"))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum();
        sum = (sum.0 + 1, sum.1 + ticks(11) + ticks(12), sum.2 + private);
    }
    sum
}

async fn round(world: &TestWorld, door: &Door, count: usize) {
    let mut seats = Vec::new();
    for number in 1..=count {
        let mut seat = door
            .sit(world, &format!("r{number}"), "sample-2026", SIZE)
            .await;
        prepare(&mut seat).await;
        seats.push(seat);
    }
    let bytes = |seats: &[Seat]| seats.iter().map(|seat| seat.shown().bytes).sum::<u64>();
    let idle_from = (
        bytes(&seats),
        processes("kekkai-desktop"),
        processes("kekkai-analysis"),
    );
    tokio::time::sleep(IDLE).await;
    let idle_to = (
        bytes(&seats),
        processes("kekkai-desktop"),
        processes("kekkai-analysis"),
    );

    let before = (
        bytes(&seats),
        processes("kekkai-desktop").1,
        processes("kekkai-analysis").1,
    );
    let start = Instant::now();
    let mut tasks = Vec::new();
    for (number, mut seat) in seats.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let times = work(&mut seat, number).await;
            (seat, times)
        }));
    }
    let mut all = Times::default();
    let mut seats = Vec::new();
    for task in tasks {
        let (seat, times) = task.await.unwrap();
        for (sum, own) in all.0.iter_mut().zip(times.0) {
            sum.extend(own);
        }
        seats.push(seat);
    }
    let took = start.elapsed().as_secs_f64();
    let after = (
        bytes(&seats),
        processes("kekkai-desktop"),
        processes("kekkai-analysis").1,
    );
    let mut every: Vec<Duration> = all.0.iter().flatten().copied().collect();
    every.sort();
    println!("N = {count}: {} frames in {took:.0} s", every.len());
    for (name, times) in ["typing", "scrolling", "panes"].iter().zip(&mut all.0) {
        times.sort();
        println!(
            "  {name:9} {:5} frames: input to frame p50 {:6.1} ms, p99 {:6.1} ms",
            times.len(),
            quantile(times, 500),
            quantile(times, 990)
        );
    }
    println!(
        "  all: p50 {:.1} ms, p99 {:.1} ms (goals: 8 ms for a key at N = 1; p99 50 ms at N = 50)",
        quantile(&every, 500),
        quantile(&every, 990)
    );
    // A tick is 10 ms.
    let share = |ticks: u64, seconds: f64| ticks as f64 / seconds / count as f64;
    println!(
        "  active: {:.1} KB/s for each session, {:.2} % of a core in its desktop, {:.2} % in the broker",
        (after.0 - before.0) as f64 / took / count as f64 / 1e3,
        share(after.1.1 - before.1, took),
        share(after.2 - before.2, took),
    );
    let idle = IDLE.as_secs_f64();
    println!(
        "  idle: {:.1} B/s, {:.3} % of a core with the broker's share, {:.1} MB private in its desktop (goals: 0; 0.2 %; 60 MB)",
        (idle_to.0 - idle_from.0) as f64 / idle / count as f64,
        share(
            idle_to.1.1 - idle_from.1.1 + idle_to.2.1 - idle_from.2.1,
            idle
        ),
        idle_to.1.2 as f64 / count as f64 / 1e3,
    );
    for seat in seats {
        seat.leave().await;
    }
}

#[tokio::main]
async fn main() {
    let most = std::env::var("KEKKAI_SEATS").map_or(50, |text| text.parse().unwrap());
    let world = world_with(|options| {
        options.desktop = true;
        options.patients = 20_000;
        options.extra_researchers = u32::try_from(most).unwrap();
        options.extra_terminals = TerminalClass::Onsite;
    })
    .await;
    let door = Door::of(&world);
    for count in [1, 10, 50] {
        if count <= most {
            round(&world, &door, count).await;
        }
    }
}
