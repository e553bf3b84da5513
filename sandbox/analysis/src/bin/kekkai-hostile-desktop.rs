//! A process that draws what it must not, for the broker's tests. What it does is said by the project's title.
//! The honest one draws what it was told as black and white pixels, so that a test can read it off the screen
//! that a viewer sees. Not installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: a panic is a failed test"
)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use kekkai_frames::{Input, Key, Rect, TILE, caret_none};
use kekkai_sys::{JailSpec, ProcessKind, jail, scm};
use kekkai_worker_api::{
    Answer, Ask, Begin, Frame, FromDesktop, Receiver, Sender, TILE_BYTES, ToDesktop, worker_channel,
};

type To = Sender<FromDesktop>;
type From = Receiver<ToDesktop>;

fn main() {
    let spec = JailSpec::from_args(ProcessKind::Desktop, std::env::args()).unwrap();
    let layers = jail::enter(&spec).unwrap().layers;
    let socket = jail::take_socket().unwrap();
    let raw = socket.try_clone().unwrap();
    let (to, mut from) = worker_channel::<FromDesktop, ToDesktop>(socket);
    let greet = || FromDesktop::Jailed {
        layers: layers.clone(),
    };
    to.send(&greet()).unwrap();
    let Some((ToDesktop::Begin(begin), files)) = from.receive().unwrap() else {
        return;
    };
    let mut files = files.into_iter();
    let pixels = File::from(files.next().unwrap());
    // Two processes at once read it each from its beginning.
    assert_eq!(whole(files.next().unwrap()), b"a font");
    let mut desk = Desk::new(&begin, pixels, to);
    match begin.project.as_str() {
        "frame-early" => desk.frame(),
        "never-ready" => sleep(),
        _ => desk.to.send(&FromDesktop::Ready).unwrap(),
    }
    match begin.project.as_str() {
        "honest" => return desk.serve(&mut from),
        "second-greeting" => desk.to.send(&greet()).unwrap(),
        "ready-twice" => desk.to.send(&FromDesktop::Ready).unwrap(),
        "out-of-turn" => {
            desk.number = 1;
            desk.frame();
        }
        "waits-for-nothing" => (0..3).for_each(|_| desk.frame()),
        "tile-outside" => {
            let (columns, rows) = desk.tiles();
            desk.send(vec![(columns, rows - 1)], |_| {});
        }
        "tile-far-outside" => desk.send(vec![(u16::MAX, u16::MAX)], |_| {}),
        "too-many-tiles" => {
            let (columns, rows) = desk.tiles();
            let most = usize::from(columns) * usize::from(rows);
            desk.send(vec![(0, 0); most + 1], |_| {});
        }
        "other-size" => desk.send(vec![(0, 0)], |frame| frame.width += 1),
        "no-size" => desk.send(vec![(0, 0)], |frame| {
            (frame.width, frame.height) = (0, 0);
        }),
        "caret-outside" => desk.send(vec![(0, 0)], |frame| {
            frame.cursor.caret = Some(rect(frame.width - 1, 0, 2, 2));
        }),
        "empty-caret" => desk.send(vec![(0, 0)], |frame| {
            frame.cursor.caret = Some(rect(0, 0, 0, 0));
        }),
        "movement-outside" => desk.send(vec![(0, 0)], |frame| {
            frame.scrolls = vec![(rect(0, 0, u16::MAX, u16::MAX), 1, 1)];
        }),
        "lying-movements" => {
            // Within the screen, and wrong: allowed, and believed by nobody.
            loop {
                let (width, height) = (desk.width / 2, desk.height / 2);
                let dx = i16::try_from(width / 3).unwrap();
                desk.noise();
                desk.send(desk.all_tiles(), |frame| {
                    frame.scrolls = vec![(rect(0, 0, width, height), dx, -dx)];
                });
                if !desk.until_taken(&mut from) {
                    return;
                }
            }
        }
        "asks-too-much" => {
            for request in 0..33 {
                desk.ask(request, Ask::Outputs);
            }
        }
        "asks-twice" => {
            for _ in 0..2 {
                let sql = "slow-rows".to_owned();
                desk.ask(7, Ask::Rows { sql });
            }
        }
        "flood" => loop {
            desk.ask(1, Ask::Typing { admit: false });
        },
        "garbage" => {
            scm::send(raw.as_fd(), b"\0\0\0\x05\0\0\0\0hello", &[]).unwrap();
        }
        "oversized" => {
            scm::send(raw.as_fd(), &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], &[]).unwrap();
        }
        // No process of ours asks for this.
        "forbidden" => drop(nix::unistd::setsid()),
        "dies" => return,
        "deaf" => {}
        other => panic!("{other}"),
    }
    sleep();
}

/// Waits to be killed.
fn sleep() {
    std::thread::sleep(Duration::from_secs(3600));
}

fn rect(x: u16, y: u16, width: u16, height: u16) -> Rect {
    Rect {
        x,
        y,
        width,
        height,
    }
}

/// Without asking for the length: the jail knows no such call.
fn whole(file: OwnedFd) -> Vec<u8> {
    let mut file = File::from(file);
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return bytes,
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

struct Desk {
    width: u16,
    height: u16,
    pixels: File,
    to: To,
    number: u32,
    is_under_way: bool,
    /// What it was told, a line each: what is drawn.
    said: Vec<String>,
    requests: u32,
    seed: u32,
}

impl Desk {
    fn new(begin: &Begin, pixels: File, to: To) -> Self {
        let need: Vec<String> = begin
            .rows_need
            .iter()
            .map(|(table, class)| format!("{table} {class:?}"))
            .collect();
        Self {
            width: begin.size.0,
            height: begin.size.1,
            pixels,
            to,
            number: 0,
            is_under_way: false,
            said: vec![format!(
                "begin {} {} {} {}",
                begin.person,
                begin.emulated,
                begin.functions.join(","),
                need.join(",")
            )],
            requests: 0,
            seed: 1,
        }
    }

    fn tiles(&self) -> (u16, u16) {
        (self.width.div_ceil(TILE), self.height.div_ceil(TILE))
    }

    fn all_tiles(&self) -> Vec<(u16, u16)> {
        let (columns, rows) = self.tiles();
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (column, row)))
            .collect()
    }

    fn put(&self, column: u16, row: u16, rgba: &[u8]) {
        let (columns, _) = self.tiles();
        let tile = u64::from(row) * u64::from(columns) + u64::from(column);
        let place = tile * u64::try_from(TILE_BYTES).unwrap();
        self.pixels.write_all_at(rgba, place).unwrap();
    }

    /// Fills the screen with something else each time.
    fn noise(&mut self) {
        for (column, row) in self.all_tiles() {
            let mut tile = Vec::with_capacity(TILE_BYTES);
            while tile.len() < TILE_BYTES {
                self.seed = self
                    .seed
                    .wrapping_mul(1_664_525)
                    .wrapping_add(1_013_904_223);
                tile.extend(self.seed.to_be_bytes());
            }
            self.put(column, row, &tile);
        }
    }

    /// The text as bits, in black and white, row of tiles by row of tiles: its length, then its bytes.
    fn draw(&self) {
        let text = self.said.join("\n");
        let (columns, rows) = self.tiles();
        let per_tile = usize::from(TILE) * usize::from(TILE) / 8;
        let room = per_tile * usize::from(columns) * usize::from(rows) - 4;
        let text = &text.as_bytes()[text.len().saturating_sub(room)..];
        let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(text);
        let mut pieces = bytes.chunks(per_tile);
        for (column, row) in self.all_tiles() {
            // The lowest row and the last column may be cut off: nothing is there.
            let is_whole = (column + 1) * TILE <= self.width && (row + 1) * TILE <= self.height;
            let piece = if is_whole { pieces.next() } else { None };
            let mut tile = Vec::with_capacity(TILE_BYTES);
            for byte in piece.unwrap_or_default() {
                for bit in (0..8).rev() {
                    let level = if byte >> bit & 1 == 1 { 0xff } else { 0 };
                    tile.extend([level, level, level, 0xff]);
                }
            }
            tile.resize(TILE_BYTES, 0x40);
            self.put(column, row, &tile);
        }
    }

    fn send(&mut self, tiles: Vec<(u16, u16)>, change: impl Fn(&mut Frame)) {
        self.number += 1;
        let mut frame = Frame {
            number: self.number,
            width: self.width,
            height: self.height,
            scrolls: Vec::new(),
            tiles,
            cursor: caret_none(),
        };
        change(&mut frame);
        self.is_under_way = true;
        // A broker that killed us already is what a test waits for.
        let _ = self.to.send(&FromDesktop::Frame(frame));
    }

    fn frame(&mut self) {
        self.draw();
        self.send(self.all_tiles(), |_| {});
    }

    fn ask(&self, request: u32, ask: Ask) {
        let _ = self.to.send(&FromDesktop::Ask { request, ask });
    }

    /// False when the broker is gone.
    fn until_taken(&mut self, from: &mut From) -> bool {
        loop {
            match from.receive().unwrap() {
                None => return false,
                Some((ToDesktop::Taken { frame }, _)) => {
                    assert_eq!(frame, self.number);
                    return true;
                }
                Some((ToDesktop::Input(inputs), _)) => self.resized(&inputs),
                Some(_) => {}
            }
        }
    }

    fn resized(&mut self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Resize { width, height, .. } = input {
                (self.width, self.height) = (*width, *height);
            }
        }
    }

    /// Draws what it is told, and does what is typed: `die`, or a question as JSON.
    fn serve(&mut self, from: &mut From) {
        self.frame();
        let mut is_old = false;
        while let Some((message, files)) = from.receive().unwrap() {
            is_old |= self.told(message, files);
            if is_old && !self.is_under_way {
                self.frame();
                is_old = false;
            }
        }
    }

    /// True where there is something to draw.
    fn told(&mut self, message: ToDesktop, files: Vec<OwnedFd>) -> bool {
        let line = match message {
            ToDesktop::Begin(_) => panic!("begun twice"),
            ToDesktop::Taken { frame } => {
                assert_eq!(frame, self.number);
                self.is_under_way = false;
                return false;
            }
            ToDesktop::Input(inputs) => {
                self.resized(&inputs);
                for input in inputs {
                    self.input(&input);
                }
                return true;
            }
            ToDesktop::Answer {
                answer: Answer::Rows(job),
                ..
            } => {
                let rows = whole(files.into_iter().next().unwrap());
                format!("rows {job} {}", String::from_utf8(rows).unwrap())
            }
            ToDesktop::Answer { request, answer } => {
                format!(
                    "answer {request} {}",
                    serde_json::to_string(&answer).unwrap()
                )
            }
            ToDesktop::Job(mut job) => {
                job.elapsed_ms = 0;
                format!("job {}", serde_json::to_string(&job).unwrap())
            }
            ToDesktop::RowsEnd { job, outcome } => {
                format!(
                    "rows-end {job} {}",
                    serde_json::to_string(&outcome).unwrap()
                )
            }
            ToDesktop::Outputs(outputs) => format!("outputs {}", outputs.len()),
            ToDesktop::TypingHeld { chars, left } => format!("held {chars} {left}"),
            ToDesktop::Watched { watchers } => format!("watched {watchers}"),
            ToDesktop::Closes { at } => format!("closes {at}"),
        };
        self.said.push(line);
        true
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::Text(text) if text == "die" => std::process::exit(3),
            Input::Text(text) if text.starts_with('{') || text.starts_with('"') => {
                self.requests += 1;
                let ask = serde_json::from_str(text).unwrap();
                self.ask(self.requests, ask);
            }
            Input::Key {
                key: key @ (Key::F1 | Key::F2),
                ..
            } => {
                self.requests += 1;
                let admit = *key == Key::F1;
                self.ask(self.requests, Ask::Typing { admit });
            }
            Input::Text(text) => self.said.push(format!("typed {text}")),
            Input::Resize { width, height, .. } => {
                self.said.push(format!("size {width} {height}"));
            }
            other => self.said.push(format!("{other:?}")),
        }
    }
}
