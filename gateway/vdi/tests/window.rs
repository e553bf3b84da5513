//! The real program on a display of its own (Xvfb), typed at by XTEST: what the window shows is read back
//! from the display.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::collections::HashSet;
use std::future::Future;

use common::gateway::{CODE, Gateway};
use common::xvfb::{self, Client, Display};
use common::{Person, Terminal};
use kekkai_frames::{
    Canvas, Codec, Cursor, CursorShape, Input, Key, Modifiers, Output, Rect, TILE, Tile,
    encode_lossless,
};
use tokio::runtime::Runtime;
use x11rb::connection::Connection as _;
use x11rb::protocol::record::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt as _};

const ENTER: u32 = 0xff0d;
const ESCAPE: u32 = 0xff1b;
const CONTROL: u32 = 0xffe3;

/// A person, their gateway, a terminal and its display.
struct Stage {
    runtime: Runtime,
    gateway: Gateway,
    terminal: Terminal,
    display: Display,
    _person: Person,
}

impl Stage {
    fn new(more: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let person = Person::enrol();
        let gateway = runtime.block_on(Gateway::start(&person));
        let terminal = Terminal::new(&gateway, &person, more);
        Self {
            terminal,
            gateway,
            runtime,
            display: Display::start(),
            _person: person,
        }
    }

    fn wait<T>(&self, for_it: impl Future<Output = T>) -> T {
        self.runtime.block_on(for_it)
    }

    fn client(&self, who: Option<&str>) -> Client {
        let client = Client::start(&self.display, &self.terminal.config, who);
        self.display.window();
        client
    }

    /// The token's code, once it is asked for.
    fn enter_code(&self) {
        let before = self.gateway.heard().len();
        self.wait(common::gateway::until("no sign-in", || {
            let heard = self.gateway.heard();
            let asked = heard.iter().filter(|h| h.starts_with("submethods")).count();
            let answered = heard.iter().filter(|h| *h == "signed in").count();
            asked > answered
        }));
        // The finger takes a moment, and then the form is there.
        self.display.rest();
        self.display.type_text(CODE);
        self.display.stroke(ENTER);
        self.wait(self.gateway.attached());
        assert!(self.gateway.heard().len() > before);
    }

    /// The area that the client asked for last.
    fn area(&self) -> (u16, u16) {
        let resize = self
            .gateway
            .input("no size", |input| matches!(input, Input::Resize { .. }));
        match self.wait(resize) {
            Input::Resize { width, height, .. } => (width, height),
            _ => unreachable!(),
        }
    }

    fn acknowledged(&self, frame: u32) {
        let ack = Input::Ack {
            number: frame,
            is_ping: false,
        };
        self.wait(self.gateway.input("no ack", |input| *input == ack));
    }

    fn show(&self, canvas: &mut Canvas, outputs: &[Output]) {
        for output in outputs {
            canvas.apply(output).unwrap();
        }
        self.wait(self.gateway.show(outputs));
    }

    /// Whether the display is the canvas, pixel by pixel.
    fn shows(&self, canvas: &Canvas) {
        let width = usize::from(canvas.width());
        self.display.until("the window isn't the canvas", |pixels| {
            let (rgba, _) = canvas.rgba().as_chunks::<4>();
            rgba.chunks(width)
                .zip(pixels.chunks(usize::from(xvfb::WIDTH)))
                .all(|(row, shown)| {
                    row.iter()
                        .zip(shown)
                        .all(|([r, g, b, _], shown)| u32::from_be_bytes([0, *r, *g, *b]) == *shown)
                })
        });
    }
}

/// Every pixel of a session is of a kind that the client's own screens don't draw.
fn is_of_a_session(pixel: u32) -> bool {
    pixel & 0x00ff_00ff == 0x00c1_00e7
}

/// Tiles of a picture whose pixels differ from place to place, and from `seed` to seed.
fn frame(number: u32, at: Rect, seed: u8) -> Output {
    let mut tiles = Vec::new();
    let (right, bottom) = (at.x + at.width, at.y + at.height);
    let mut y = at.y;
    while y < bottom {
        let height = (TILE - y % TILE).min(bottom - y);
        let mut x = at.x;
        while x < right {
            let width = (TILE - x % TILE).min(right - x);
            let mut rgba = Vec::new();
            for row in y..y + height {
                for column in x..x + width {
                    let [low, high] =
                        (row.wrapping_mul(31) ^ column.wrapping_mul(17)).to_le_bytes();
                    rgba.extend([0xc1, low ^ high ^ seed, 0xe7, 255]);
                }
            }
            let data = encode_lossless(&rgba, width, height).unwrap();
            let at = Rect {
                x,
                y,
                width,
                height,
            };
            tiles.push(Tile {
                at,
                codec: Codec::Lossless,
                data,
            });
            x += width;
        }
        y += height;
    }
    Output::Tiles {
        frame: number,
        ends_frame: true,
        tiles,
    }
}

/// A whole first frame; in rows, since one message is bounded.
fn first_frame(width: u16, height: u16) -> Vec<Output> {
    let mut outputs = vec![Output::Size { width, height }];
    let mut y = 0;
    while y < height {
        let rows = TILE.min(height - y);
        let mut part = frame(
            1,
            Rect {
                x: 0,
                y,
                width,
                height: rows,
            },
            5,
        );
        y += rows;
        if let Output::Tiles { ends_frame, .. } = &mut part {
            *ends_frame = y == height;
        }
        outputs.push(part);
    }
    outputs
}

fn signed_in(more: &str) -> (Stage, Client, Canvas) {
    let stage = Stage::new(more);
    let client = stage.client(Some("hanako"));
    stage.enter_code();
    let (width, height) = stage.area();
    let mut canvas = Canvas::new(width, height).unwrap();
    stage.show(&mut canvas, &first_frame(width, height));
    stage.acknowledged(1);
    (stage, client, canvas)
}

#[test]
fn person_signs_in_by_name_and_sees_exactly_the_canvas() {
    let stage = Stage::new("");
    let _client = stage.client(None);
    stage.display.rest();
    // What can't be a name is not sent anywhere.
    stage.display.type_text("two words");
    stage.display.stroke(ENTER);
    stage.display.rest();
    assert_eq!(stage.gateway.heard(), Vec::<String>::new());
    for _ in 0.." words".len() {
        stage.display.stroke(0xff08);
    }
    stage.display.type_text("+cohort");
    stage.display.stroke(ENTER);
    stage.enter_code();
    assert_eq!(stage.gateway.heard()[0], "user two+cohort");
    let (width, height) = stage.area();
    let mut canvas = Canvas::new(width, height).unwrap();
    stage.show(&mut canvas, &first_frame(width, height));
    stage.acknowledged(1);
    stage.shows(&canvas);
    // A part, a scroll, a part: only what changed is drawn, and nothing is lost.
    let from = Rect {
        x: 64,
        y: 128,
        width: 640,
        height: 320,
    };
    let moved = Output::Scroll {
        frame: 2,
        from,
        dx: 0,
        dy: -40,
    };
    let rest = frame(
        2,
        Rect {
            x: 64,
            y: 408,
            width: 640,
            height: 40,
        },
        77,
    );
    stage.show(&mut canvas, &[moved, rest]);
    stage.acknowledged(2);
    stage.shows(&canvas);
    let small = frame(
        3,
        Rect {
            x: 70,
            y: 70,
            width: 3,
            height: 2,
        },
        99,
    );
    stage.show(&mut canvas, &[small]);
    stage.acknowledged(3);
    stage.shows(&canvas);
    // At rest, nothing is sent.
    let before = stage.gateway.inputs().len();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(stage.gateway.inputs().len(), before);
}

#[test]
fn keys_text_and_pointer_arrive_as_they_were_made() {
    let (stage, _client, mut canvas) = signed_in("");
    let caret = Some(Rect {
        x: 40,
        y: 60,
        width: 1,
        height: 20,
    });
    let cursor = Cursor {
        shape: CursorShape::Text,
        caret,
    };
    stage.show(
        &mut canvas,
        &[Output::Cursor(cursor), Output::Ping { number: 77 }],
    );
    let pong = Input::Ack {
        number: 77,
        is_ping: true,
    };
    stage.wait(stage.gateway.input("no pong", |input| *input == pong));
    let before = stage.gateway.inputs().len();
    stage.display.type_text("Select 1");
    stage.display.stroke(ENTER);
    stage.display.chord(CONTROL, 'c'.into());
    stage.display.move_pointer(123, 45);
    stage.display.button(1);
    stage.display.button(5);
    let turned = |input: &Input| matches!(input, Input::Pointer { wheel_y, .. } if *wheel_y > 0);
    stage.wait(stage.gateway.input("no wheel", turned));
    let inputs = stage.gateway.inputs().split_off(before);
    let text: String = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "Select 1");
    let control = Modifiers {
        ctrl: true,
        ..Modifiers::default()
    };
    let key = |key, is_down, modifiers| Input::Key {
        key,
        is_down,
        modifiers,
    };
    for expected in [
        key(Key::Enter, true, Modifiers::default()),
        key(Key::Enter, false, Modifiers::default()),
        key(Key::C, true, control),
        key(Key::C, false, control),
    ] {
        assert!(inputs.contains(&expected), "{expected:?} in {inputs:?}");
    }
    let pressed = |buttons| move |input: &&Input| matches!(input, Input::Pointer { x: 123, y: 45, buttons: held, .. } if *held == buttons);
    assert!(inputs.iter().any(|input| pressed(1)(&input)), "{inputs:?}");
    assert!(inputs.iter().rfind(pressed(0)).is_some(), "{inputs:?}");
}

#[test]
fn window_of_another_size_asks_for_another_screen() {
    let (stage, _client, _) = signed_in("");
    let window = stage.display.window();
    let size = ConfigureWindowAux::new().width(900).height(620);
    stage.display.x.configure_window(window, &size).unwrap();
    stage.display.x.flush().unwrap();
    let asked = Input::Resize {
        width: 900,
        height: 620,
        scale: 100,
    };
    stage.wait(stage.gateway.input("no new size", |input| *input == asked));
    let mut canvas = Canvas::new(900, 620).unwrap();
    stage.show(&mut canvas, &first_frame(900, 620));
    stage.shows(&canvas);
}

#[test]
fn locked_cut_and_ended_screens_show_no_pixel_of_the_session() {
    let (stage, mut client, canvas) = signed_in("");
    stage.shows(&canvas);
    // The control: the session's pixels can be told from the client's own.
    assert!(stage.display.pixels().into_iter().any(is_of_a_session));
    let hidden = |why: &str| {
        stage
            .display
            .until(why, |pixels| !pixels.iter().copied().any(is_of_a_session));
        // There is a notice, not just a black window.
        let colours: HashSet<_> = stage.display.rest().into_iter().collect();
        assert!(colours.len() > 20, "{why}: {}", colours.len());
        assert!(!colours.into_iter().any(is_of_a_session));
    };
    let again = || {
        stage.display.stroke(ENTER);
        stage.enter_code();
        let (width, height) = stage.area();
        let mut canvas = Canvas::new(width, height).unwrap();
        stage.show(&mut canvas, &first_frame(width, height));
        stage.shows(&canvas);
    };
    stage.wait(stage.gateway.exit(3, ""));
    hidden("locked");
    again();
    stage.gateway.cut();
    hidden("cut");
    again();
    stage.wait(stage.gateway.exit(4, "ended-by-staff\n"));
    hidden("ended");
    // Each time both factors were given anew.
    let heard = stage.gateway.heard();
    assert_eq!(heard.iter().filter(|h| *h == "signed in").count(), 3);
    stage.display.stroke(ESCAPE);
    assert!(client.0.wait().unwrap().success());
}

#[test]
fn kiosk_is_left_by_no_key() {
    let (stage, mut client, _) = signed_in("kiosk = true");
    stage.wait(stage.gateway.exit(3, ""));
    let pixels = stage.display.rest();
    assert!(!pixels.into_iter().any(is_of_a_session));
    stage.display.stroke(ESCAPE);
    stage.display.rest();
    stage.display.stroke(ESCAPE);
    stage.display.rest();
    assert!(client.0.try_wait().unwrap().is_none());
    // Another person's turn: their name is asked.
    stage.display.type_text("taro");
    stage.display.stroke(ENTER);
    stage.enter_code();
    assert!(stage.gateway.heard().contains(&"user taro".to_owned()));
}

/// A client that records the display's input, as key loggers and remote controls do.
fn record(display: &Display) -> x11rb::rust_connection::RustConnection {
    let (x, _) = x11rb::connect(Some(&display.name)).unwrap();
    let context = x.generate_id().unwrap();
    let nothing = record::Range8 { first: 0, last: 0 };
    let none = record::ExtRange {
        major: nothing,
        minor: record::Range16 { first: 0, last: 0 },
    };
    let range = record::Range {
        core_requests: nothing,
        core_replies: nothing,
        ext_requests: none,
        ext_replies: none,
        delivered_events: nothing,
        device_events: record::Range8 { first: 2, last: 6 },
        errors: nothing,
        client_started: false,
        client_died: false,
    };
    let all = record::CS::ALL_CLIENTS.into();
    x.record_create_context(context, 0, &[all], &[range])
        .unwrap()
        .check()
        .unwrap();
    x
}

#[test]
fn nothing_starts_beside_a_recorder() {
    let stage = Stage::new("");
    let recorder = record(&stage.display);
    let refused =
        xvfb::refused(xvfb::command(&stage.terminal.config).env("DISPLAY", &stage.display.name));
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("records this display"), "{said}");
    assert_eq!(stage.gateway.heard(), Vec::<String>::new());
    // The control: it is gone, and the window opens.
    drop(recorder);
    let _client = stage.client(None);
}

#[test]
fn recorder_that_begins_later_ends_the_view() {
    let (stage, _client, canvas) = signed_in("");
    stage.shows(&canvas);
    let _recorder = record(&stage.display);
    stage
        .display
        .until("the recorder sees the session", |pixels| {
            !pixels.iter().copied().any(is_of_a_session)
        });
    // Signing in again is refused for as long as it is there.
    stage.display.rest();
    stage.display.stroke(ENTER);
    stage.display.rest();
    let heard = stage.gateway.heard();
    assert_eq!(
        heard.iter().filter(|h| h.starts_with("submethods")).count(),
        1
    );
}

#[test]
fn remote_logins_and_unprotected_displays_are_refused() {
    let stage = Stage::new("");
    let run = |config: &std::path::Path, more: &[(&str, &str)]| {
        let output = xvfb::refused(
            xvfb::command(config)
                .env("DISPLAY", &stage.display.name)
                .envs(more.iter().copied()),
        );
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let config = &stage.terminal.config;
    let (status, said) = run(config, &[("SSH_CONNECTION", "192.0.2.7 1 192.0.2.1 22")]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("remote login"), "{said}");
    let (status, said) = run(config, &[("DISPLAY", "localhost:10.0")]);
    assert_eq!(status, Some(3), "{said}");
    let text = std::fs::read_to_string(config).unwrap();
    let strict = stage.terminal.folder.path().join("strict.toml");
    let accepted = "unprotected_display = \"accepted\"\n";
    assert!(text.contains(accepted));
    std::fs::write(&strict, text.replace(accepted, "")).unwrap();
    let (status, said) = run(&strict, &[]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("unprotected_display"), "{said}");
    assert_eq!(stage.gateway.heard(), Vec::<String>::new());
}

#[test]
fn bad_configuration_says_what_to_do() {
    let stage = Stage::new("");
    let text = std::fs::read_to_string(&stage.terminal.config).unwrap();
    let bad = stage.terminal.folder.path().join("bad.toml");
    for (from, to, said) in [
        ("host_keys", "known_hosts", "known_hosts"),
        ("SHA256:", "MD5:", "SHA256"),
        ("[terminal]\nkey", "[terminal]\nagent", "public_key"),
    ] {
        std::fs::write(&bad, text.replace(from, to)).unwrap();
        let output = xvfb::refused(xvfb::command(&bad).env("DISPLAY", &stage.display.name));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    let absent = xvfb::command(std::path::Path::new("/absent.toml"))
        .output()
        .unwrap();
    assert_eq!(absent.status.code(), Some(2));
}
