//! TigerVNC (Debian package `tigervnc-standalone-server`), shown pictures and asked for them by a client that
//! counts bytes.
//!
//! Pictures are drawn into Xvnc by `PutImage`, tile by tile where something changed, as a toolkit without
//! server-side drawing does; Xvnc compares by itself what really changed. The client asks for Tight without
//! JPEG, compression level 2 (the default of `vncviewer`), and reads what comes. A picture is drawn when the
//! one before has arrived, so that neither side leaves any out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateGCAux, CreateWindowAux, ImageFormat, WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// Nothing came for so long: the picture has arrived.
const QUIET: Duration = Duration::from_millis(80);
/// A tile's side, in pixels.
const SIDE: u16 = 64;

/// Whether there is one on this machine.
pub(crate) fn is_there() -> bool {
    Command::new("Xvnc").arg("-version").output().is_ok()
}

/// Every tile of a picture that is not as before, in whole rows of 64 pixels: column, row, pixels.
pub(crate) fn changed<'a>(
    rgba: &'a [u8],
    before: &'a [u8],
    (width, height): (u16, u16),
) -> impl Iterator<Item = (u16, u16, Vec<u8>)> + 'a {
    let places = (0..height.div_ceil(SIDE))
        .flat_map(move |row| (0..width.div_ceil(SIDE)).map(move |column| (column, row)));
    places.filter_map(move |(column, row)| {
        let mut tile = Vec::new();
        let mut is_same = true;
        for y in row * SIDE..(row * SIDE + SIDE).min(height) {
            let from = (usize::from(y) * usize::from(width) + usize::from(column * SIDE)) * 4;
            tile.extend_from_slice(&rgba[from..from + 256]);
            is_same &= before.get(from..from + 256) == Some(&rgba[from..from + 256]);
        }
        (!is_same).then_some((column, row, tile))
    })
}

/// An Xvnc of our own; ended when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) display: String,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start((width, height): (u16, u16)) -> Self {
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
                &format!("{width}x{height}"),
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
pub(crate) struct X {
    connection: RustConnection,
    window: u32,
    context: u32,
}

impl X {
    pub(crate) fn open(display: &str, (width, height): (u16, u16)) -> Self {
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
                width,
                height,
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

    /// Draws a tile, in rows of 64 pixels.
    pub(crate) fn put(&self, column: u16, row: u16, mut tile: Vec<u8>) {
        for pixel in tile.chunks_exact_mut(4) {
            pixel.swap(0, 2);
        }
        let height = u16::try_from(tile.len() / 256).unwrap();
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

    /// Everything that was drawn is drawn.
    pub(crate) fn sync(&self) {
        self.connection.get_input_focus().unwrap().reply().unwrap();
    }
}

/// Reads updates (RFC 6143, and Tight as TigerVNC sends it) and counts their bytes.
pub(crate) struct Client {
    bytes: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn connect(port: u16, size: (u16, u16)) -> Self {
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
        let mut message = vec![2, 0, 0, u8::try_from(encodings.len()).unwrap()];
        message.extend(encodings.iter().flat_map(|encoding| encoding.to_be_bytes()));
        stream.write_all(&message).unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut updates = Updates {
                stream: BufReader::new(stream),
                counted,
                size,
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
    pub(crate) fn wait_until_quiet(&self) -> u64 {
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
    size: (u16, u16),
}

impl Updates {
    fn ask(&mut self, is_incremental: bool) {
        let mut message = vec![3, u8::from(is_incremental), 0, 0, 0, 0];
        message.extend(self.size.0.to_be_bytes());
        message.extend(self.size.1.to_be_bytes());
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
