//! A display of a test's own: Xvfb on a number that it chooses, ended with the test, also when that fails.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

pub const WIDTH: u16 = 1400;
pub const HEIGHT: u16 = 900;

pub struct Display {
    server: Child,
    pub name: String,
    pub x: RustConnection,
    root: Window,
}

impl Display {
    /// Needs the package `xvfb`.
    pub fn start() -> Self {
        let screen = format!("{WIDTH}x{HEIGHT}x24");
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                &screen,
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb: install the package xvfb");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut number)
            .unwrap();
        let name = format!(":{}", number.trim());
        let (x, screen) = x11rb::connect(Some(&name)).unwrap();
        let root = x.setup().roots[screen].root;
        Self {
            server,
            name,
            x,
            root,
        }
    }

    /// The display's pixels, `0x00RRGGBB`, row by row.
    pub fn pixels(&self) -> Vec<u32> {
        let image = self
            .x
            .get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, WIDTH, HEIGHT, !0)
            .unwrap()
            .reply()
            .unwrap();
        let (pixels, rest) = image.data.as_chunks::<4>();
        assert!(rest.is_empty());
        pixels
            .iter()
            .map(|p| u32::from_le_bytes(*p) & 0x00ff_ffff)
            .collect()
    }

    /// Waits until the display looks so.
    pub fn until(&self, what: &str, is_it: impl Fn(&[u32]) -> bool) {
        let begun = Instant::now();
        while !is_it(&self.pixels()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until nothing changes any more.
    pub fn rest(&self) -> Vec<u32> {
        let mut before = self.pixels();
        let mut same = 0;
        while same < 5 {
            std::thread::sleep(Duration::from_millis(60));
            let now = self.pixels();
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
        before
    }

    /// The client's window.
    pub fn window(&self) -> Window {
        let begun = Instant::now();
        loop {
            let children = self
                .x
                .query_tree(self.root)
                .unwrap()
                .reply()
                .unwrap()
                .children;
            let shown = children.into_iter().find(|window| {
                let attributes = self.x.get_window_attributes(*window).unwrap().reply();
                let geometry = self.x.get_geometry(*window).unwrap().reply();
                attributes.is_ok_and(|a| a.map_state == x11rb::protocol::xproto::MapState::VIEWABLE)
                    && geometry.is_ok_and(|g| g.width > 100)
            });
            if let Some(window) = shown {
                // No window manager gives it the focus.
                let focus = x11rb::protocol::xproto::InputFocus::PARENT;
                self.x
                    .set_input_focus(focus, window, x11rb::CURRENT_TIME)
                    .unwrap();
                self.x.flush().unwrap();
                return window;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "no window");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) {
        self.x
            .xtest_fake_input(kind, detail, 0, self.root, x, y, 0)
            .unwrap();
        self.x.flush().unwrap();
        std::thread::sleep(Duration::from_millis(8));
    }

    /// Types key codes of the server's keyboard, as a person would.
    pub fn stroke(&self, keysym: u32) {
        let (code, is_shifted) = self.code(keysym);
        let (shift, _) = self.code(0xffe1);
        if is_shifted {
            self.fake(2, shift, 0, 0);
        }
        self.fake(2, code, 0, 0);
        self.fake(3, code, 0, 0);
        if is_shifted {
            self.fake(3, shift, 0, 0);
        }
    }

    pub fn chord(&self, modifier: u32, keysym: u32) {
        self.chord_of(&[modifier], keysym);
    }

    pub fn chord_of(&self, modifiers: &[u32], keysym: u32) {
        let codes: Vec<u8> = modifiers.iter().map(|m| self.code(*m).0).collect();
        for code in &codes {
            self.fake(2, *code, 0, 0);
        }
        self.stroke(keysym);
        for code in codes.iter().rev() {
            self.fake(3, *code, 0, 0);
        }
    }

    /// Latin text: keysyms are its characters.
    pub fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.stroke(character.into());
        }
    }

    pub fn move_pointer(&self, x: i16, y: i16) {
        self.fake(6, 0, x, y);
    }

    pub fn button(&self, number: u8) {
        self.fake(4, number, 0, 0);
        self.fake(5, number, 0, 0);
    }

    fn code(&self, keysym: u32) -> (u8, bool) {
        let setup = self.x.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = self
            .x
            .get_keyboard_mapping(first, last - first + 1)
            .unwrap()
            .reply()
            .unwrap();
        let each = usize::from(map.keysyms_per_keycode);
        for (index, syms) in map.keysyms.chunks(each).enumerate() {
            for (level, sym) in syms.iter().take(2).enumerate() {
                if *sym == keysym {
                    return (first + u8::try_from(index).unwrap(), level == 1);
                }
            }
        }
        panic!("no key writes 0x{keysym:x}");
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A running client, ended with the test.
pub struct Client(pub Child);

impl Client {
    pub fn start(display: &Display, config: &std::path::Path, who: Option<&str>) -> Self {
        Self(
            command(config)
                .env("DISPLAY", &display.name)
                .args(who)
                .spawn()
                .unwrap(),
        )
    }
}

/// What a program says that ends by itself. One that stays is ended, and the test fails.
pub fn refused(command: &mut Command) -> std::process::Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it started: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// The built client: cargo names it for tests of its own crate; those of others find it where their own
/// programs lie.
fn program() -> PathBuf {
    option_env!("CARGO_BIN_EXE_kekkai-vdi").map_or_else(
        || {
            let own = std::env::current_exe().unwrap();
            own.ancestors()
                .map(|folder| folder.join("kekkai-vdi"))
                .find(|program| program.is_file())
                .expect("kekkai-vdi: cargo build --workspace --bins")
        },
        PathBuf::from,
    )
}

/// The real program, without what a tester's own login would tell it.
pub fn command(config: &std::path::Path) -> Command {
    let mut command = Command::new(program());
    command.arg("--config").arg(config);
    command.env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("LANG", "C.UTF-8").env("KEKKAI_LOG", "info");
    command
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
