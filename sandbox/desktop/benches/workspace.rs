//! What a frame costs the workspace: the pass over the interface, triangles, and tiles that changed, for
//! what researchers do most. One thread, 1,920 x 1,080 pixels.
//!
//! `cargo bench -p kekkai-desktop --bench workspace`; figures are milliseconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a bench"
)]

#[path = "../tests/support/samples.rs"]
mod samples;

use std::time::Instant;

use kekkai_analysis_api::{JobState, Work};
use kekkai_desktop::panes::{Go, Section};
use kekkai_desktop::rows::Piece;
use kekkai_desktop::{Raster, Workspace};
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_types::Timestamp;
use kekkai_worker_api::{Begin, ToDesktop};

const WIDTH: u16 = 1920;
const HEIGHT: u16 = 1080;
const ROWS: usize = 100_000;

struct Desk {
    workspace: Workspace,
    raster: Raster,
    seconds: f64,
}

/// Milliseconds of each step of one frame, and its tiles.
#[derive(Default)]
struct Figures {
    pass: Vec<f64>,
    triangles: Vec<f64>,
    tiles: Vec<f64>,
    whole: Vec<f64>,
    changed: usize,
}

impl Desk {
    fn new() -> Self {
        let begin = Begin {
            size: (WIDTH, HEIGHT, 100),
            ..samples::begin()
        };
        let mut raster = Raster::default();
        raster.resize(WIDTH, HEIGHT);
        Self {
            workspace: Workspace::new(begin, &[samples::font_bytes()]),
            raster,
            seconds: 0.0,
        }
    }

    fn frame(&mut self, figures: &mut Figures) {
        self.seconds += 0.05;
        let begin = Instant::now();
        let mut drawn = self.workspace.pass(self.seconds, Timestamp(0));
        let passed = begin.elapsed();
        let primitives = self.workspace.tessellate(&mut drawn.output);
        let shaped = begin.elapsed();
        let tiles = self
            .raster
            .draw(
                &primitives,
                &drawn.output.textures_delta,
                drawn.output.pixels_per_point,
                |_, _, bytes| {
                    std::hint::black_box(bytes);
                    Ok(())
                },
            )
            .unwrap();
        let whole = begin.elapsed();
        self.workspace.asks().drain();
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        figures.pass.push(ms(passed));
        figures.triangles.push(ms(shaped - passed));
        figures.tiles.push(ms(whole - shaped));
        figures.whole.push(ms(whole));
        figures.changed += tiles.len();
    }

    fn input(&mut self, inputs: &[Input], figures: &mut Figures) {
        self.workspace.input(inputs);
        self.frame(figures);
    }
}

fn key(key: Key, ctrl: bool) -> [Input; 2] {
    let modifiers = Modifiers {
        ctrl,
        ..Modifiers::default()
    };
    [true, false].map(|is_down| Input::Key {
        key,
        is_down,
        modifiers,
    })
}

fn pointer(wheel_y: i16) -> Input {
    Input::Pointer {
        x: 900,
        y: 600,
        buttons: 0,
        wheel_x: 0,
        wheel_y,
        modifiers: Modifiers::default(),
    }
}

fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

fn report(name: &str, mut figures: Figures) {
    let frames = figures.whole.len();
    let mut line = format!("{name:<28}{frames:>5} frames");
    for (step, values) in [
        ("pass", &mut figures.pass),
        ("triangles", &mut figures.triangles),
        ("tiles", &mut figures.tiles),
        ("whole", &mut figures.whole),
    ] {
        let (p50, p99) = (percentile(values, 0.5), percentile(values, 0.99));
        line.push_str(&format!("   {step} {p50:.2}/{p99:.2}"));
    }
    println!(
        "{line}   tiles a frame {:.1}",
        figures.changed as f64 / frames as f64
    );
}

/// Memory of this process that is its own, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

fn main() {
    println!("milliseconds p50/p99; {WIDTH} x {HEIGHT}");
    let mut warm = Figures::default();
    let mut desk = Desk::new();
    desk.frame(&mut warm);
    println!("first frame {:.1} ms, {} MiB", warm.whole[0], resident());

    desk.input(&key(Key::Num2, true), &mut warm);
    desk.workspace
        .take(samples::done(1, samples::table()))
        .unwrap();
    desk.frame(&mut warm);
    let mut typing = Figures::default();
    for _ in 0..8 {
        for c in "SELECT region, avg(sbp) FROM visit ".chars() {
            desk.input(&[Input::Text(c.to_string())], &mut typing);
        }
        desk.input(&key(Key::Enter, false), &mut warm);
    }
    report("typing SQL", typing);

    let job = samples::job_id(2);
    let running = JobState::Running {
        rows_read: 0,
        rows_total: 0,
    };
    let work = Work::Query("SELECT * FROM visit".to_owned());
    desk.workspace
        .take(samples::job(2, work, 1, running))
        .unwrap();
    desk.workspace
        .take_rows(&job, Piece::Schema(samples::batch(0, 1).schema()));
    for first in (0..ROWS).step_by(1_000) {
        desk.workspace
            .take_rows(&job, Piece::Rows(samples::batch(first, 1_000)));
    }
    desk.workspace
        .take(ToDesktop::RowsEnd {
            job: job.clone(),
            outcome: Ok(ROWS as u64),
        })
        .unwrap();
    desk.workspace.shell().go(Go::Result(job));
    desk.input(&[pointer(0)], &mut warm);
    let mut scrolling = Figures::default();
    for _ in 0..300 {
        desk.input(&[pointer(110)], &mut scrolling);
    }
    report("scrolling 100,000 rows", scrolling);

    let mut other = samples::table();
    other.rows.truncate(8);
    desk.workspace.take(samples::done(3, other)).unwrap();
    let mut charts = Figures::default();
    for turn in 0..100 {
        let job = samples::job_id(if turn % 2 == 0 { 1 } else { 3 });
        desk.workspace.shell().go(Go::Chart(job));
        desk.frame(&mut charts);
    }
    report("changing charts", charts);

    desk.workspace.shell().go(Go::To(Section::Sql));
    desk.frame(&mut warm);
    let mut moving = Figures::default();
    for x in 0..200 {
        let input = Input::Pointer {
            x: 300 + x * 5,
            y: 500,
            buttons: 0,
            wheel_x: 0,
            wheel_y: 0,
            modifiers: Modifiers::default(),
        };
        desk.input(&[input], &mut moving);
    }
    report("moving the pointer", moving);
    println!("at the end {} MiB", resident());
}
