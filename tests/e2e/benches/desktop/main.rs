//! N scripted researchers at desktops of one analysis server: typing, scrolling a table of 100,000 rows,
//! changing charts. Prints the time from an input to its whole frame as the gateway would get it, bytes
//! after the connection's deflate, processor and memory for each session, active and idle. Sign-in and the
//! gateway's relay are not in it: the bench takes the gateway's place, by its certificate. The same pictures
//! are shown to a client of TigerVNC in the same run.
//!
//! `KEKKAI_SEATS=N` limits N; `KEKKAI_BESIDE=0` leaves TigerVNC out; `KEKKAI_PICTURES=FOLDER` keeps what the first seat sees of each kind of work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

mod machine;
mod scene;
#[path = "../../../../sandbox/screen/benches/tiger/mod.rs"]
mod tiger;

use std::path::Path;
use std::time::{Duration, Instant};

use kekkai_demo::Kind;
use kekkai_e2e::seat::{Door, Seat};
use kekkai_e2e::{TestWorld, world_with};
use kekkai_frames::{Canvas, Output, Rect};
use kekkai_types::TerminalClass;
use machine::{Usage, load, usage};
use scene::{Act, SIZE};

const ACTIVE: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(20);
/// Between two things that a person does: each person has their own pace, or all would work in step.
fn pause(number: usize, step: usize) -> Duration {
    let spread = (number * 7919 + step * 104_729) % 101;
    Duration::from_millis(150 + spread as u64)
}
const LIMIT: Duration = Duration::from_secs(5);
/// Things done one after the other beside TigerVNC, of each kind.
const BESIDE: usize = 60;
/// Nothing came for so long: everything is as it is going to be.
const REST: Duration = Duration::from_millis(600);

/// What one researcher's work took, by kind.
#[derive(Default)]
struct Times {
    took: [Vec<Duration>; 3],
    /// Steps that changed nothing on the screen, or nothing within the limit.
    unanswered: Vec<usize>,
}

impl Times {
    fn note(&mut self, act: Act, took: Duration) {
        if let Some(place) = Act::ALL.iter().position(|kind| *kind == act) {
            self.took[place].push(took);
        }
    }

    fn take(&mut self, other: Self) {
        for (sum, own) in self.took.iter_mut().zip(other.took) {
            sum.extend(own);
        }
        self.unanswered.extend(other.unanswered);
    }
}

async fn work(seat: &mut Seat, number: usize) -> Times {
    let mut times = Times::default();
    let start = Instant::now();
    let mut step = scene::first_step(number);
    tokio::time::sleep(pause(number, 0) * 2).await;
    while start.elapsed() < ACTIVE {
        let (act, inputs) = scene::act(step);
        step += 1;
        match seat.act(&inputs, LIMIT).await {
            Some(took) => times.note(act, took),
            None => {
                times.unanswered.push((step - 1) % 20);
                keep_picture(seat, &format!("unanswered-{number}-{step}"));
            }
        }
        tokio::time::sleep(pause(number, step)).await;
    }
    // Back to where everybody begins.
    for input in scene::sql_pane() {
        seat.send(input);
    }
    times
}

fn quantile(sorted: &[Duration], permille: usize) -> f64 {
    let at = (sorted.len().saturating_sub(1) * permille) / 1000;
    sorted
        .get(at)
        .map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

fn bytes(seats: &[Seat]) -> u64 {
    seats.iter().map(|seat| seat.shown().bytes).sum()
}

async fn round(world: &TestWorld, door: &Door, count: usize) {
    let broker = world.pid(Kind::Analysis).unwrap().unwrap();
    let without = usage(broker);
    let mut seats = Vec::new();
    // A few at a time: sitting down isn't what is measured.
    let numbers: Vec<usize> = (1..=count).collect();
    for numbers in numbers.chunks(5) {
        let sitting = numbers.iter().map(|number| async move {
            let who = format!("r{number}");
            let mut seat = door.sit(world, &who, "sample-2026", SIZE).await;
            scene::prepare(&mut seat).await;
            seat
        });
        seats.extend(futures::future::join_all(sitting).await);
    }
    // Pools fill up again, and what was freed is given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle_from = (bytes(&seats), usage(broker));
    tokio::time::sleep(IDLE).await;
    let idle_to = (bytes(&seats), usage(broker));

    let own = machine::own_ticks();
    let before = (bytes(&seats), usage(broker));
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
        all.take(times);
        seats.push(seat);
    }
    let took = start.elapsed().as_secs_f64();
    let after = (bytes(&seats), usage(broker));
    let mut every: Vec<Duration> = all.took.iter().flatten().copied().collect();
    every.sort();
    println!(
        "\nN = {count}: {} frames in {took:.0} s; load of the machine {}",
        every.len(),
        load()
    );
    for (act, times) in Act::ALL.iter().zip(&mut all.took) {
        times.sort();
        println!(
            "  {:9} {:5} frames: input to frame p50 {:6.1} ms, p99 {:6.1} ms",
            act.name(),
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
    if !all.unanswered.is_empty() {
        println!(
            "  without a frame within {} s, by step of the scene: {:?}",
            LIMIT.as_secs(),
            all.unanswered
        );
    }
    // A tick is 10 ms: ticks a second are percent of a core.
    let share = |from: u64, to: u64, seconds: f64| (to - from) as f64 / seconds / count as f64;
    let of = |kind: fn(&Usage) -> u64| share(kind(&before.1), kind(&after.1), took);
    println!(
        "  active, each session: {:.1} KB/s; of a core {:.2} % desktop, {:.2} % SQL worker, {:.2} % broker; {:.2} % this client and the gateway's deflate",
        (after.0 - before.0) as f64 / took / count as f64 / 1e3,
        of(|usage| usage.desktop.ticks),
        of(|usage| usage.worker.ticks),
        of(|usage| usage.broker.ticks),
        share(own, machine::own_ticks(), took),
    );
    let idle = IDLE.as_secs_f64();
    let memory = |of: fn(&Usage) -> u64| {
        of(&idle_to.1).saturating_sub(of(&without)) as f64 / count as f64 / 1e3
    };
    println!(
        "  idle, each session: {:.1} B/s, {:.3} % of a core for all three; private memory {:.1} MB desktop, {:.1} MB SQL worker, {:.1} MB broker (goals: 0; 0.2 %; 60 MB)",
        (idle_to.0 - idle_from.0) as f64 / idle / count as f64,
        share(idle_from.1.ticks(), idle_to.1.ticks(), idle),
        memory(|usage| usage.desktop.private_kib),
        memory(|usage| usage.worker.private_kib),
        memory(|usage| usage.broker.private_kib),
    );
    for seat in seats {
        seat.leave().await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// The same pictures of one session, marks included, to our client and to TigerVNC's.
async fn beside(world: &TestWorld, door: &Door) {
    if !tiger::is_there() {
        println!("Xvnc is not there: apt install tigervnc-standalone-server");
        return;
    }
    let mut seat = door.sit(world, "r1", "sample-2026", SIZE).await;
    scene::prepare(&mut seat).await;
    println!("\nthe same pictures, bytes to a client (goal: half of TigerVNC's)");
    let (mut ours_all, mut theirs_all) = (0, 0);
    for act in Act::ALL {
        for input in act.begin() {
            seat.send(input);
        }
        seat.settle(REST).await;
        let (before, first) = (seat.shown(), copy(&seat.canvas.lock().unwrap()));
        seat.keep();
        for number in 0..BESIDE {
            seat.act(&act.inputs(number), LIMIT).await;
            seat.settle(Duration::from_millis(120)).await;
        }
        // What was lossy is sent without loss.
        seat.settle(REST).await;
        let (ours, outputs) = (seat.shown().bytes - before.bytes, seat.take());
        let theirs = Tiger::start(&first).show_all(first, &outputs);
        keep_picture(&seat, act.name());
        println!(
            "  {:9} {} pictures: ours {ours}, TigerVNC {theirs}: {:.2} of it",
            act.name(),
            seat.shown().frames - before.frames,
            ours as f64 / theirs as f64
        );
        (ours_all, theirs_all) = (ours_all + ours, theirs_all + theirs);
    }
    println!(
        "  all: {:.2} of TigerVNC's",
        ours_all as f64 / theirs_all as f64
    );
    seat.leave().await;
}

fn keep_picture(seat: &Seat, name: &str) {
    if let Some(folder) = std::env::var_os("KEKKAI_PICTURES") {
        let file = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, seat.picture()).unwrap();
    }
}

fn copy(canvas: &Canvas) -> Canvas {
    let mut copy = Canvas::new(canvas.width(), canvas.height()).unwrap();
    let whole = Rect::of_size(canvas.width(), canvas.height());
    copy.put(whole, canvas.rgba()).unwrap();
    copy
}

/// Xvnc with its client, and what it was shown last.
struct Tiger {
    _server: tiger::Server,
    screen: tiger::X,
    client: tiger::Client,
    before: Vec<u8>,
}

impl Tiger {
    /// One that shows a picture.
    fn start(first: &Canvas) -> Self {
        let server = tiger::Server::start(SIZE);
        let mut tiger = Self {
            screen: tiger::X::open(&server.display, SIZE),
            client: tiger::Client::connect(server.port, SIZE),
            before: Vec::new(),
            _server: server,
        };
        tiger.show(first);
        tiger
    }

    /// Shows one picture after the other, and gives the bytes that they took.
    fn show_all(mut self, mut canvas: Canvas, outputs: &[Output]) -> u64 {
        let before = self.client.wait_until_quiet();
        for output in outputs {
            canvas.apply(output).unwrap();
            if let Output::Tiles {
                ends_frame: true, ..
            } = output
            {
                self.show(&canvas);
            }
        }
        self.client.wait_until_quiet() - before
    }

    fn show(&mut self, canvas: &Canvas) {
        let now = canvas.rgba();
        for (column, row, tile) in tiger::changed(now, &self.before, SIZE) {
            self.screen.put(column, row, tile);
        }
        self.before = now.to_vec();
        self.screen.sync();
        self.client.wait_until_quiet();
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
    println!("{} x {}; load of the machine {}", SIZE.0, SIZE.1, load());
    if std::env::var("KEKKAI_BESIDE").as_deref() != Ok("0") {
        beside(&world, &door).await;
    }
    for count in [1, 10, 50] {
        if count <= most {
            round(&world, &door, count).await;
        }
    }
}
