//! Somebody at a workspace: types, clicks what stands on the screen, reads it, photographs it.

use egui::{Rect, Shape};
use kekkai_desktop::{Raster, Workspace};
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_types::{Lang, Timestamp};
use kekkai_worker_api::{Answer, Ask, Begin, ToDesktop};

/// Pixels of a tile's edge.
const TILE: usize = 64;
/// A morning of a working day.
const NOW: Timestamp = Timestamp(1_795_310_000_000);

/// A seat with its screen.
pub struct Seat {
    pub workspace: Workspace,
    raster: Raster,
    seconds: f64,
    /// Words on the screen and where they stand, in pixels.
    pub texts: Vec<(String, Rect)>,
    screen: image::RgbaImage,
    /// Tiles that the last pass changed.
    pub changed: usize,
    /// When the last pass wants another.
    pub next: Option<std::time::Duration>,
}

impl Seat {
    pub fn new(begin: Begin, lang: Lang) -> Self {
        let begin = Begin { lang, ..begin };
        let (width, height, _) = begin.size;
        let mut raster = Raster::default();
        raster.resize(width, height);
        let mut seat = Self {
            workspace: Workspace::new(begin, &[crate::samples::font_bytes()]),
            raster,
            seconds: 1.0,
            texts: Vec::new(),
            screen: image::RgbaImage::new(width.into(), height.into()),
            changed: 0,
            next: None,
        };
        seat.pass();
        seat
    }

    /// One pass, a little later.
    pub fn pass(&mut self) {
        self.later(0.02);
    }

    /// One pass, so many seconds later.
    pub fn later(&mut self, seconds: f64) {
        self.seconds += seconds;
        let mut drawn = self.workspace.pass(self.seconds, NOW);
        let scale = drawn.output.pixels_per_point;
        self.texts.clear();
        for clipped in &drawn.output.shapes {
            read(&clipped.shape, clipped.clip_rect, scale, &mut self.texts);
        }
        let primitives = self.workspace.tessellate(&mut drawn.output);
        let screen = &mut self.screen;
        let changed = self
            .raster
            .draw(
                &primitives,
                &drawn.output.textures_delta,
                scale,
                |x, y, bytes| {
                    put(screen, x, y, bytes);
                    Ok(())
                },
            )
            .unwrap();
        self.changed = changed.len();
        self.next = drawn.next;
    }

    pub fn tell(&mut self, message: ToDesktop) {
        self.workspace.take(message).unwrap();
        self.pass();
    }

    /// What was asked since the last time.
    pub fn asked(&mut self) -> Vec<(u32, Ask)> {
        self.workspace.asks().drain()
    }

    pub fn answer(&mut self, request: u32, answer: Answer) {
        self.tell(ToDesktop::Answer { request, answer });
    }

    pub fn input(&mut self, input: Input) {
        self.workspace.input(&[input]);
        self.pass();
    }

    pub fn press(&mut self, key: Key, modifiers: Modifiers) {
        for is_down in [true, false] {
            self.input(Input::Key {
                key,
                is_down,
                modifiers,
            });
        }
        self.pass();
    }

    pub fn type_text(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.press(Key::Enter, Modifiers::default());
            }
            if !line.is_empty() {
                self.input(Input::Text(line.to_owned()));
            }
        }
    }

    /// All words on the screen.
    pub fn words(&self) -> String {
        let texts: Vec<&str> = self.texts.iter().map(|(text, _)| text.as_str()).collect();
        texts.join("\n")
    }

    pub fn shows(&self, text: &str) -> bool {
        self.texts.iter().any(|(shown, _)| shown.contains(text))
    }

    #[track_caller]
    pub fn assert_shows(&self, text: &str) {
        assert!(
            self.shows(text),
            "{text:?} is not on the screen:\n{}",
            self.words()
        );
    }

    #[track_caller]
    fn place(&self, text: &str, nth: usize) -> Rect {
        let exact: Vec<Rect> = self
            .texts
            .iter()
            .filter(|(shown, _)| shown.trim() == text)
            .map(|(_, rect)| *rect)
            .collect();
        let found = exact.get(nth).copied().or_else(|| {
            let holding = self.texts.iter().filter(|(shown, _)| shown.contains(text));
            holding.map(|(_, rect)| *rect).nth(nth)
        });
        found.unwrap_or_else(|| panic!("{text:?} is not on the screen:\n{}", self.words()))
    }

    #[track_caller]
    pub fn click(&mut self, text: &str) {
        self.click_nth(text, 0);
    }

    #[track_caller]
    pub fn click_nth(&mut self, text: &str, nth: usize) {
        let at = self.place(text, nth).center();
        self.click_at(at.x as u16, at.y as u16);
    }

    pub fn click_at(&mut self, x: u16, y: u16) {
        self.point(x, y, 0);
        self.point(x, y, 1);
        self.point(x, y, 0);
        self.pass();
    }

    pub fn point(&mut self, x: u16, y: u16, buttons: u8) {
        self.input(Input::Pointer {
            x,
            y,
            buttons,
            wheel_x: 0,
            wheel_y: 0,
            modifiers: Modifiers::default(),
        });
    }

    /// All pixels.
    pub fn picture(&self) -> Vec<u8> {
        self.screen.as_raw().clone()
    }

    /// The screen as a picture, in the test's folder for temporary files, for people to look at.
    pub fn photograph(&self, name: &str) {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("workspace");
        std::fs::create_dir_all(&folder).unwrap();
        self.screen
            .save(folder.join(format!("{name}.png")))
            .unwrap();
    }
}

fn put(screen: &mut image::RgbaImage, column: u16, row: u16, bytes: &[u8]) {
    for (at, pixel) in bytes.as_chunks::<4>().0.iter().enumerate() {
        let x = usize::from(column) * TILE + at % TILE;
        let y = usize::from(row) * TILE + at / TILE;
        let (x, y) = (x as u32, y as u32);
        if x < screen.width() && y < screen.height() {
            screen.put_pixel(x, y, image::Rgba([pixel[0], pixel[1], pixel[2], 255]));
        }
    }
}

/// Words that are in sight.
fn read(shape: &Shape, clip: Rect, scale: f32, texts: &mut Vec<(String, Rect)>) {
    match shape {
        Shape::Vec(shapes) => shapes
            .iter()
            .for_each(|shape| read(shape, clip, scale, texts)),
        Shape::Text(text) => {
            let seen = text.visual_bounding_rect().intersect(clip);
            if seen.is_positive() {
                texts.push((text.galley.text().to_owned(), seen * scale));
            }
        }
        _ => {}
    }
}
