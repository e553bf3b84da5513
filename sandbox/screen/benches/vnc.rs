//! The same pictures through TigerVNC (Debian package `tigervnc-standalone-server`) and through ours, in one
//! run: bytes to a client. `cargo bench -p kekkai-screen --bench vnc`.
//!
//! Pictures are drawn into Xvnc by `PutImage`, tile by tile where something changed, as a toolkit without
//! server-side drawing does; Xvnc compares by itself what really changed. The client asks for Tight without
//! JPEG, compression level 2 (the default of `vncviewer`), and reads what comes. A picture is drawn when the
//! one before has arrived, so that neither leaves any out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kekkai_frames::{Compressor, Output, Rect, encode_output};
use kekkai_screen::{Marker, Screen, TILE_BYTES, View};
use kekkai_types::Timestamp;
use kekkai_watermark::{Mark, Watermark};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateGCAux, CreateWindowAux, ImageFormat, WindowClass,
};
use x11rb::rust_connection::RustConnection;

#[path = "scenes/mod.rs"]
mod scenes;
use scenes::{HEIGHT, Painter, Scene, WIDTH};

const START: Timestamp = Timestamp(1_790_000_000_000);
/// Nothing came for so long: the picture has arrived.
const QUIET: Duration = Duration::from_millis(80);

fn main() {
    if Command::new("Xvnc").arg("-version").output().is_err() {
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

/// Every tile of a picture that is not as before.
fn changed<'a>(rgba: &'a [u8], before: &'a [u8]) -> impl Iterator<Item = (u16, u16, Vec<u8>)> + 'a {
    let places = (0..HEIGHT.div_ceil(64))
        .flat_map(|row| (0..WIDTH.div_ceil(64)).map(move |column| (column, row)));
    places.filter_map(|(column, row)| {
        let mut tile = Vec::with_capacity(TILE_BYTES);
        let mut is_same = true;
        for y in row * 64..(row * 64 + 64).min(HEIGHT) {
            let from = (usize::from(y) * usize::from(WIDTH) + usize::from(column) * 64) * 4;
            tile.extend_from_slice(&rgba[from..from + 256]);
            is_same &= before.get(from..from + 256) == Some(&rgba[from..from + 256]);
        }
        (!is_same).then_some((column, row, tile))
    })
}

fn ours(scene: Scene, is_marked: bool) -> u64 {
    let marker = Maybe(is_marked.then(watermark), false);
    let mut screen = Screen::new(marker, WIDTH, HEIGHT).unwrap();
    let (mut view, mut stream) = (View::new(), Compressor::new());
    let (mut painter, mut before, mut sum) = (Painter::new(), Vec::new(), 0);
    for frame in 0..scene.frames() {
        let rgba = painter.draw(scene, frame).to_vec();
        for (column, row, mut tile) in changed(&rgba, &before) {
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
    let server = Server::start();
    let screen = X::open(&server.display);
    let client = Client::connect(server.port);
    let mut marker = is_marked.then(watermark);
    let (mut painter, mut before, mut first) = (Painter::new(), Vec::new(), 0);
    for frame in 0..scene.frames() {
        let mut rgba = painter.draw(scene, frame).to_vec();
        if let Some(marker) = &mut marker {
            let _ = marker.set_time(START);
            Marker::apply(marker, &mut rgba, Rect::of_size(WIDTH, HEIGHT));
        }
        for (column, row, tile) in changed(&rgba, &before) {
            screen.put(column, row, tile);
        }
        before = rgba;
        screen.sync();
        let came = client.wait_until_quiet();
        if frame == 0 {
            first = came;
        }
    }
    client.bytes.load(Ordering::SeqCst) - first
}

/// An Xvnc of our own; ended when dropped.
struct Server {
    process: Child,
    display: String,
    port: u16,
}

impl Server {
    fn start() -> Self {
        // A port that is free now.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut process = Command::new("Xvnc")
            .args([
                "-displayfd",
                "1",
                "-geometry",
                &format!("{WIDTH}x{HEIGHT}"),
                "-depth",
                "24",
            ])
            .args([
                "-SecurityTypes",
                "None",
                "-localhost",
                "-rfbport",
                &port.to_string(),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            process,
            display: format!(":{}", line.trim()),
            port,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A window over the whole screen.
struct X {
    connection: RustConnection,
    window: u32,
    context: u32,
}

impl X {
    fn open(display: &str) -> Self {
        let (connection, number) = x11rb::connect(Some(display)).unwrap();
        let screen = &connection.setup().roots[number];
        let (window, context) = (
            connection.generate_id().unwrap(),
            connection.generate_id().unwrap(),
        );
        connection
            .create_window(
                screen.root_depth,
                window,
                screen.root,
                0,
                0,
                WIDTH,
                HEIGHT,
                0,
                WindowClass::INPUT_OUTPUT,
                0,
                &CreateWindowAux::new().override_redirect(1),
            )
            .unwrap();
        connection
            .create_gc(context, window, &CreateGCAux::new())
            .unwrap();
        connection.map_window(window).unwrap();
        let x = Self {
            connection,
            window,
            context,
        };
        x.sync();
        x
    }

    fn put(&self, column: u16, row: u16, mut tile: Vec<u8>) {
        for pixel in tile.chunks_exact_mut(4) {
            pixel.swap(0, 2);
        }
        let height = (tile.len() / 256) as u16;
        let (x, y) = ((column * 64) as i16, (row * 64) as i16);
        self.connection
            .put_image(
                ImageFormat::Z_PIXMAP,
                self.window,
                self.context,
                64,
                height,
                x,
                y,
                0,
                24,
                &tile,
            )
            .unwrap();
    }

    fn sync(&self) {
        self.connection.get_input_focus().unwrap().reply().unwrap();
    }
}

/// Reads updates (RFC 6143, and Tight as TigerVNC sends it) and counts their bytes.
struct Client {
    bytes: Arc<AtomicU64>,
}

impl Client {
    fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut version = [0; 12];
        stream.read_exact(&mut version).unwrap();
        stream.write_all(b"RFB 003.008\n").unwrap();
        let mut count = [0];
        stream.read_exact(&mut count).unwrap();
        let mut kinds = vec![0; usize::from(count[0])];
        stream.read_exact(&mut kinds).unwrap();
        assert!(kinds.contains(&1), "it offers no security type: {kinds:?}");
        stream.write_all(&[1]).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0; 4]);
        stream.write_all(&[1]).unwrap();
        let mut begin = [0; 24];
        stream.read_exact(&mut begin).unwrap();
        let name = u32::from_be_bytes([begin[20], begin[21], begin[22], begin[23]]);
        stream.read_exact(&mut vec![0; name as usize]).unwrap();
        // 32 bits, 24 deep, little-endian, true colour.
        stream
            .write_all(&[
                0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
            ])
            .unwrap();
        // Tight, CopyRect, compression level 2, last rectangle.
        let encodings = [7_i32, 1, -256 + 2, -224];
        let mut message = vec![2, 0, 0, encodings.len() as u8];
        message.extend(encodings.iter().flat_map(|encoding| encoding.to_be_bytes()));
        stream.write_all(&message).unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut updates = Updates {
                stream: BufReader::new(stream),
                counted,
            };
            updates.ask(false);
            while updates.read().is_some() {
                updates.ask(true);
            }
        });
        let client = Self { bytes };
        client.wait_until_quiet();
        client
    }

    /// All bytes that came.
    fn wait_until_quiet(&self) -> u64 {
        let mut last = (self.bytes.load(Ordering::SeqCst), Instant::now());
        while last.1.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(2));
            let now = self.bytes.load(Ordering::SeqCst);
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.0
    }
}

struct Updates {
    stream: BufReader<TcpStream>,
    counted: Arc<AtomicU64>,
}

impl Updates {
    fn ask(&mut self, is_incremental: bool) {
        let mut message = vec![3, u8::from(is_incremental), 0, 0, 0, 0];
        message.extend(WIDTH.to_be_bytes());
        message.extend(HEIGHT.to_be_bytes());
        // A server that has gone is seen at the next reading.
        let _ = self.stream.get_mut().write_all(&message);
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).ok()?;
        self.counted.fetch_add(count as u64, Ordering::SeqCst);
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// One message; `None` when the server is gone.
    fn read(&mut self) -> Option<()> {
        let kind = self.byte()?;
        assert_eq!(kind, 0, "an update");
        self.byte()?;
        for _ in 0..self.u16()? {
            let (_x, _y) = (self.u16()?, self.u16()?);
            let (width, height) = (usize::from(self.u16()?), usize::from(self.u16()?));
            let encoding = self.take(4)?;
            match i32::from_be_bytes([encoding[0], encoding[1], encoding[2], encoding[3]]) {
                7 => self.tight(width, height)?,
                1 => drop(self.take(4)?),
                -224 => break,
                other => panic!("encoding {other} was not asked for"),
            }
        }
        Some(())
    }

    fn tight(&mut self, width: usize, height: usize) -> Option<()> {
        let control = self.byte()?;
        let bytes = match control >> 4 {
            8 => {
                self.take(3)?;
                return Some(());
            }
            9 => panic!("JPEG was not asked for"),
            kind if kind & 4 == 0 => width * height * 3,
            _ => match self.byte()? {
                1 => {
                    let colours = usize::from(self.byte()?) + 1;
                    self.take(colours * 3)?;
                    match colours {
                        2 => width.div_ceil(8) * height,
                        _ => width * height,
                    }
                }
                _ => width * height * 3,
            },
        };
        let length = match bytes {
            0..12 => bytes,
            _ => self.compact()?,
        };
        self.take(length).map(drop)
    }

    fn compact(&mut self) -> Option<usize> {
        let mut length = 0;
        for place in 0..3 {
            let byte = self.byte()?;
            let bits = if place == 2 { byte } else { byte & 0x7f };
            length |= usize::from(bits) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(length)
    }
}
