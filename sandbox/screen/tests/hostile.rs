//! A workspace that was taken over draws, resizes and hints as it likes. Whatever comes of it is a valid
//! message, bounded, and the viewer sees what is on the screen.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use kekkai_frames::{Canvas, Cursor, CursorShape, FRAMES_UNACKNOWLEDGED_MAX, Rect};
use kekkai_screen::{Marker, Screen, TILE_BYTES, View};
use kekkai_types::Timestamp;
use proptest::prelude::*;

mod common;
use common::{Client, Ramp};

/// What a workspace can make the broker do.
#[derive(Debug, Clone)]
enum Act {
    Tile {
        column: u16,
        row: u16,
        bytes: usize,
        /// The tile is this row pattern from a running offset on, or noise.
        pattern: u32,
        offset: u32,
    },
    Hint {
        from: Rect,
        dx: i16,
        dy: i16,
    },
    Resize(u16, u16),
    Cursor(Rect),
    Present(i64),
    /// The viewer looks; so many frames are acknowledged then.
    Look(usize),
    /// The viewer acknowledges what it likes.
    Acknowledge(u32, bool),
}

fn any_rect() -> impl Strategy<Value = Rect> {
    let side = || prop_oneof![0..700_u16, any::<u16>()];
    (side(), side(), side(), side()).prop_map(|(x, y, width, height)| Rect {
        x,
        y,
        width,
        height,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let shift = || prop_oneof![-70..70_i16, any::<i16>()];
    prop_oneof![
        8 => (0..12_u16, 0..9_u16, prop_oneof![20 => Just(TILE_BYTES), 1 => 0..TILE_BYTES * 2],
              0..4_u32, 0..64_u32)
            .prop_map(|(column, row, bytes, pattern, offset)| Act::Tile {
                column, row, bytes, pattern, offset
            }),
        1 => (any::<u16>(), any::<u16>())
            .prop_map(|(column, row)| Act::Tile { column, row, bytes: TILE_BYTES, pattern: 1, offset: 0 }),
        2 => (any_rect(), shift(), shift()).prop_map(|(from, dx, dy)| Act::Hint { from, dx, dy }),
        1 => prop_oneof![
            (320..700_u16, 320..500_u16),
            (any::<u16>(), any::<u16>()),
        ].prop_map(|(width, height)| Act::Resize(width, height)),
        1 => any_rect().prop_map(Act::Cursor),
        4 => prop_oneof![0..120_000_i64, any::<i64>()].prop_map(Act::Present),
        4 => (0..6_usize).prop_map(Act::Look),
        1 => (any::<u32>(), any::<bool>()).prop_map(|(number, is_ping)| Act::Acknowledge(number, is_ping)),
    ]
}

fn pixels(bytes: usize, pattern: u32, offset: u32) -> Vec<u8> {
    (0..bytes / 4)
        .flat_map(|place| {
            let (x, y) = (place as u32 % 64, place as u32 / 64 + offset);
            let value = match pattern {
                0 => 0,
                1 => x
                    .wrapping_mul(y.wrapping_add(977))
                    .wrapping_mul(0x9e37_79b1),
                2 => y.wrapping_mul(0x9e37_79b1) & 0xf0f0_f000,
                _ => (y / 7).wrapping_mul(0x0101_0100),
            };
            value.to_be_bytes()
        })
        .chain(std::iter::repeat_n(3, bytes % 4))
        .collect()
}

/// The marked picture as a screen must show it, kept apart from the code that is tested.
struct Expected {
    raw: Vec<u8>,
    width: u16,
    height: u16,
}

impl Expected {
    fn new(width: u16, height: u16) -> Self {
        let raw = vec![0; usize::from(width) * usize::from(height) * 4];
        Self { raw, width, height }
    }

    fn put(&mut self, column: u16, row: u16, tile: &[u8]) {
        for y in 0..64.min(self.height - row * 64) {
            let wide = usize::from(64.min(self.width - column * 64)) * 4;
            let to = (usize::from(row * 64 + y) * usize::from(self.width)
                + usize::from(column) * 64)
                * 4;
            let from = usize::from(y) * 256;
            self.raw[to..to + wide].copy_from_slice(&tile[from..from + wide]);
        }
    }

    fn marked(&self, marker: &Ramp) -> Vec<u8> {
        let mut rgba = self.raw.clone();
        marker.apply(&mut rgba, Rect::of_size(self.width, self.height));
        for pixel in rgba.chunks_exact_mut(4) {
            pixel[3] = 255;
        }
        rgba
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn workspace_can_only_change_pixels(acts in proptest::collection::vec(act(), 1..80)) {
        let mut screen = Screen::new(Ramp::new(), 640, 400).unwrap();
        let mut drawn = Expected::new(640, 400);
        let (mut view, mut client) = (View::new(), Client::new());
        let (mut recorder, mut tape) = (View::recorder(), Client::new());
        let (mut under_way, mut now_ms) = (Vec::new(), 0);
        for act in acts {
            now_ms += 7;
            match act {
                Act::Tile { column, row, bytes, pattern, offset } => {
                    let tile = pixels(bytes, pattern, offset);
                    if screen.put_tile(column, row, &tile).is_ok() {
                        drawn.put(column, row, &tile);
                    }
                }
                Act::Hint { from, dx, dy } => screen.hint_scroll(from, dx, dy),
                Act::Resize(width, height) => {
                    let is_allowed = Canvas::new(width, height).is_ok();
                    prop_assert_eq!(screen.resize(width, height).is_ok(), is_allowed);
                    if is_allowed {
                        drawn = Expected::new(width, height);
                    }
                }
                Act::Cursor(caret) => screen.set_cursor(Cursor {
                    shape: CursorShape::Text,
                    caret: Some(caret),
                }),
                Act::Present(now) => {
                    screen.present(Timestamp(now));
                    while let Some(outputs) = recorder.next(&mut screen, now_ms) {
                        tape.take(outputs);
                    }
                    prop_assert!(tape.shows() == drawn.marked(screen.marker()));
                }
                Act::Look(acknowledged) => {
                    if let Some(outputs) = view.next(&mut screen, now_ms) {
                        client.take(outputs);
                        under_way.append(&mut client.frames);
                    }
                    prop_assert!(under_way.len() <= FRAMES_UNACKNOWLEDGED_MAX);
                    for number in under_way.drain(..acknowledged.min(under_way.len())) {
                        view.acknowledge(number, false, now_ms).unwrap();
                    }
                }
                Act::Acknowledge(number, is_ping) => {
                    let is_next = !is_ping && under_way.first() == Some(&number);
                    let is_pinged = is_ping && client.pings.contains(&number);
                    let answer = view.acknowledge(number, is_ping, now_ms);
                    prop_assert_eq!(answer.is_ok(), is_next || is_pinged);
                    if is_next {
                        under_way.remove(0);
                    }
                    client.pings.retain(|ping| !is_pinged || *ping != number);
                }
            }
        }
        // In the end everybody sees the same.
        screen.present(Timestamp(0));
        for number in under_way {
            view.acknowledge(number, false, now_ms).unwrap();
        }
        loop {
            while let Some(outputs) = view.next(&mut screen, now_ms) {
                client.take(outputs);
                for number in client.frames.drain(..) {
                    view.acknowledge(number, false, now_ms).unwrap();
                }
            }
            match view.wake_at() {
                Some(at) => now_ms = now_ms.max(at),
                None => break,
            }
        }
        prop_assert!(client.shows() == drawn.marked(screen.marker()));
    }
}
