//! A screen that is drawn on, and clients that draw what they are sent.
#![allow(dead_code, reason = "each test takes what it needs")]

use kekkai_frames::{Canvas, Compressor, Decompressor, Output, Rect, decode_output, encode_output};
use kekkai_screen::{Marker, Screen, TILE_BYTES};
use kekkai_types::Timestamp;

/// Marks by place and minute, so that a pixel in the wrong place or of another minute is seen.
pub(crate) struct Ramp {
    minute: Option<i64>,
}

impl Ramp {
    pub(crate) fn new() -> Self {
        Self { minute: None }
    }
}

impl Marker for Ramp {
    fn apply(&self, rgba: &mut [u8], at: Rect) {
        let minute = self.minute.unwrap_or(0).to_le_bytes()[0];
        let width = usize::from(at.width);
        for (place, pixel) in rgba.chunks_exact_mut(4).enumerate() {
            let (x, y) = (
                usize::from(at.x) + place % width,
                usize::from(at.y) + place / width,
            );
            let sign = u8::try_from((x / 16 + y / 16) % 2).unwrap();
            pixel[2] = pixel[2].wrapping_add(sign * 5);
            if (x + 3 * y) % 61 == 0 {
                pixel[0] ^= 8 + (minute & 3);
            }
        }
    }

    fn minute(&self) -> Option<i64> {
        self.minute
    }

    fn set_time(&mut self, now: Timestamp) -> bool {
        let minute = Some(now.0.div_euclid(60_000));
        std::mem::replace(&mut self.minute, minute) != minute
    }
}

/// What a workspace draws on: plain rows of pixels.
pub(crate) struct Paper {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) rgba: Vec<u8>,
}

impl Paper {
    pub(crate) fn new(width: u16, height: u16) -> Self {
        Self {
            width,
            height,
            rgba: vec![0; usize::from(width) * usize::from(height) * 4],
        }
    }

    pub(crate) fn fill(&mut self, at: Rect, colour: [u8; 3]) {
        for y in at.y..at.y + at.height {
            for x in at.x..at.x + at.width {
                self.set(x, y, colour);
            }
        }
    }

    pub(crate) fn set(&mut self, x: u16, y: u16, [red, green, blue]: [u8; 3]) {
        let at = (usize::from(y) * usize::from(self.width) + usize::from(x)) * 4;
        self.rgba[at..at + 4].copy_from_slice(&[red, green, blue, 7]);
    }

    /// One of the tiles as it lies in the memory file; beyond the edge it holds rubbish.
    pub(crate) fn tile(&self, column: u16, row: u16) -> Vec<u8> {
        let mut tile = vec![0xa5; TILE_BYTES];
        let (left, top) = (column * 64, row * 64);
        for y in top..(top + 64).min(self.height) {
            let wide = usize::from(64.min(self.width - left)) * 4;
            let from = (usize::from(y) * usize::from(self.width) + usize::from(left)) * 4;
            let to = usize::from(y - top) * 256;
            tile[to..to + wide].copy_from_slice(&self.rgba[from..from + wide]);
        }
        tile
    }

    pub(crate) fn put_all(&self, screen: &mut Screen<Ramp>) {
        for row in 0..self.height.div_ceil(64) {
            for column in 0..self.width.div_ceil(64) {
                screen
                    .put_tile(column, row, &self.tile(column, row))
                    .unwrap();
            }
        }
    }

    /// What a viewer has to see.
    pub(crate) fn marked(&self, marker: &Ramp) -> Vec<u8> {
        let mut rgba = self.rgba.clone();
        marker.apply(&mut rgba, Rect::of_size(self.width, self.height));
        for pixel in rgba.chunks_exact_mut(4) {
            pixel[3] = 255;
        }
        rgba
    }
}

/// A client: draws what comes over the wire.
pub(crate) struct Client {
    pub(crate) canvas: Option<Canvas>,
    pub(crate) frames: Vec<u32>,
    pub(crate) pings: Vec<u32>,
    pub(crate) lossy: usize,
    pub(crate) scrolls: usize,
    /// On the wire.
    pub(crate) bytes: usize,
    way: (Compressor, Decompressor),
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            canvas: None,
            frames: Vec::new(),
            pings: Vec::new(),
            lossy: 0,
            scrolls: 0,
            bytes: 0,
            way: (Compressor::new(), Decompressor::new()),
        }
    }

    /// Panics at anything that is not allowed on the wire or on the screen.
    pub(crate) fn take(&mut self, outputs: Vec<Output>) {
        assert!(!outputs.is_empty());
        let last = outputs.len() - 1;
        let mut number = None;
        for (place, output) in outputs.into_iter().enumerate() {
            let chunk = self.way.0.chunk(&encode_output(&output)).unwrap();
            self.bytes += chunk.len();
            let output = decode_output(&self.way.1.next(&chunk).unwrap()).unwrap();
            match &output {
                Output::Size { width, height } => {
                    self.canvas = Some(Canvas::new(*width, *height).unwrap());
                    continue;
                }
                Output::Ping { number } => self.pings.push(*number),
                Output::Tiles {
                    frame,
                    ends_frame,
                    tiles,
                } => {
                    assert_eq!(
                        *ends_frame,
                        place == last,
                        "a frame ends with its last message"
                    );
                    assert!(number.is_none_or(|number| number == *frame));
                    number = Some(*frame);
                    let is_lossy =
                        |tile: &&kekkai_frames::Tile| tile.codec == kekkai_frames::Codec::Lossy;
                    self.lossy += tiles.iter().filter(is_lossy).count();
                }
                Output::Scroll { frame, .. } => {
                    number = Some(*frame);
                    self.scrolls += 1;
                }
                Output::Cursor(_) => {}
            }
            self.canvas.as_mut().unwrap().apply(&output).unwrap();
        }
        self.frames.push(number.unwrap());
    }

    pub(crate) fn shows(&self) -> &[u8] {
        self.canvas.as_ref().unwrap().rgba()
    }
}
