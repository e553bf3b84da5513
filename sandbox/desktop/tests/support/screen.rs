//! A workspace with a screen that tests look at: its texts, its pixels, pictures for people's eyes.

use std::path::PathBuf;

use egui::epaint::{ClippedShape, Shape};
use egui::{FullOutput, Pos2, Rect};
use kekkai_desktop::{Raster, Workspace};
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_types::Timestamp;
use kekkai_worker_api::{Answer, Ask, Begin, ToDesktop};

use super::samples;

const TILE: usize = 64;

/// A text that is drawn, and where, in points.
#[derive(Debug, Clone)]
pub struct Seen {
    pub text: String,
    pub at: Rect,
}

/// A workspace, its screen, and a broker that answers by hand.
pub struct Screen {
    pub workspace: Workspace,
    pub seen: Vec<Seen>,
    /// Asked and not answered.
    pub asked: Vec<(u32, Ask)>,
    /// Tiles that the last frame sent.
    pub tiles: usize,
    raster: Raster,
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    seconds: f64,
    pointer: (u16, u16),
    /// Pixels per point.
    scale: f32,
}

/// Every text that a pass drew and that its clip lets through.
pub fn texts_on_screen(output: &FullOutput) -> Vec<Seen> {
    fn walk(shape: &Shape, clip: Rect, seen: &mut Vec<Seen>) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| walk(shape, clip, seen)),
            Shape::Text(text) => {
                let at = text.visual_bounding_rect();
                let is_there = at.is_finite() && clip.intersects(at);
                // What is elided is read as it is drawn.
                let drawn: String = text
                    .galley
                    .rows
                    .iter()
                    .map(|row| row.text())
                    .collect::<Vec<_>>()
                    .join("\n");
                if is_there && !drawn.trim().is_empty() {
                    seen.push(Seen {
                        text: drawn,
                        at: at.intersect(clip),
                    });
                }
            }
            _ => {}
        }
    }
    let mut seen = Vec::new();
    for ClippedShape { clip_rect, shape } in &output.shapes {
        walk(shape, *clip_rect, &mut seen);
    }
    seen
}

impl Screen {
    pub fn new(begin: Begin) -> Self {
        let (width, height, scale) = begin.size;
        let mut raster = Raster::default();
        raster.resize(width, height);
        let (width, height) = (usize::from(width), usize::from(height));
        let mut screen = Self {
            workspace: Workspace::new(begin, &[samples::font_bytes()]),
            seen: Vec::new(),
            asked: Vec::new(),
            tiles: 0,
            raster,
            width,
            height,
            pixels: vec![255; width * height * 4],
            seconds: 0.0,
            pointer: (0, 0),
            scale: f32::from(scale) / 100.0,
        };
        screen.draw();
        screen
    }

    /// One pass, as the process makes it.
    pub fn draw(&mut self) {
        self.seconds += 0.1;
        let now = Timestamp(1_795_338_000_000 - 95 * 60_000);
        let mut drawn = self.workspace.pass(self.seconds, now);
        self.seen = texts_on_screen(&drawn.output);
        self.asked.extend(self.workspace.asks().drain());
        let primitives = self.workspace.tessellate(&mut drawn.output);
        let Self {
            raster,
            pixels,
            width,
            height,
            ..
        } = self;
        let tiles = raster
            .draw(
                &primitives,
                &drawn.output.textures_delta,
                drawn.output.pixels_per_point,
                |x, y, bytes| {
                    for (dy, line) in bytes.chunks(TILE * 4).enumerate() {
                        let (x, y) = (usize::from(x) * TILE, usize::from(y) * TILE + dy);
                        if y < *height {
                            let count = TILE.min(*width - x) * 4;
                            pixels[(y * *width + x) * 4..][..count].copy_from_slice(&line[..count]);
                        }
                    }
                    Ok(())
                },
            )
            .unwrap();
        self.tiles = tiles.len();
    }

    pub fn take(&mut self, message: ToDesktop) {
        self.workspace.take(message).unwrap();
        self.draw();
    }

    pub fn input(&mut self, inputs: Vec<Input>) {
        self.take(ToDesktop::Input(inputs));
    }

    /// Types as a person does: letter by letter.
    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.key(Key::Enter),
                c => self.input(vec![Input::Text(c.to_string())]),
            }
        }
    }

    pub fn key(&mut self, key: Key) {
        self.press(key, Modifiers::default());
    }

    pub fn ctrl(&mut self, key: Key) {
        self.press(
            key,
            Modifiers {
                ctrl: true,
                ..Modifiers::default()
            },
        );
    }

    pub fn press(&mut self, key: Key, modifiers: Modifiers) {
        let input = |is_down| Input::Key {
            key,
            is_down,
            modifiers,
        };
        self.input(vec![input(true), input(false)]);
    }

    fn point(&self, buttons: u8) -> Input {
        Input::Pointer {
            x: self.pointer.0,
            y: self.pointer.1,
            buttons,
            wheel_x: 0,
            wheel_y: 0,
            modifiers: Modifiers::default(),
        }
    }

    /// Moves the pointer, in points.
    pub fn hover(&mut self, at: Pos2) {
        let at = at.to_vec2() * self.scale;
        self.pointer = (at.x.round() as u16, at.y.round() as u16);
        let input = self.point(0);
        self.input(vec![input]);
    }

    pub fn click_at(&mut self, at: Pos2) {
        self.hover(at);
        let (down, up) = (self.point(1), self.point(0));
        self.input(vec![down]);
        self.input(vec![up]);
    }

    pub fn wheel(&mut self, down: i16) {
        let Input::Pointer {
            x,
            y,
            buttons,
            modifiers,
            ..
        } = self.point(0)
        else {
            unreachable!()
        };
        self.input(vec![Input::Pointer {
            x,
            y,
            buttons,
            wheel_x: 0,
            wheel_y: down,
            modifiers,
        }]);
    }

    /// Where a text is, which must be there.
    pub fn find(&self, text: &str) -> Rect {
        let found = self.seen.iter().find(|seen| seen.text == text);
        let found = found.or_else(|| self.seen.iter().find(|seen| seen.text.contains(text)));
        found
            .unwrap_or_else(|| panic!("{text:?} is not on the screen:\n{}", self.text()))
            .at
    }

    pub fn click(&mut self, text: &str) {
        let at = self.find(text).center();
        self.click_at(at);
    }

    pub fn has(&self, text: &str) -> bool {
        self.seen.iter().any(|seen| seen.text.contains(text))
    }

    /// Everything that can be read.
    pub fn text(&self) -> String {
        self.seen
            .iter()
            .map(|seen| seen.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The oldest question of a kind; it counts as answered from here on.
    pub fn asked(&mut self, is: impl Fn(&Ask) -> bool) -> (u32, Ask) {
        let at = self.asked.iter().position(|(_, ask)| is(ask));
        let at = at.unwrap_or_else(|| panic!("not asked: {:?}", self.asked));
        self.asked.remove(at)
    }

    pub fn answer(&mut self, request: u32, answer: Answer) {
        self.take(ToDesktop::Answer { request, answer });
    }

    /// A pixel's red, green and blue.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 4;
        self.pixels[at..at + 3].try_into().unwrap()
    }

    /// A picture for people's eyes, in the target folder.
    pub fn save(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screens");
        std::fs::create_dir_all(&folder).unwrap();
        let mut opaque = self.pixels.clone();
        opaque.chunks_mut(4).for_each(|pixel| pixel[3] = 255);
        let (width, height) = (self.width as u32, self.height as u32);
        let picture = image::RgbaImage::from_raw(width, height, opaque).unwrap();
        picture.save(folder.join(format!("{name}.png"))).unwrap();
    }
}
