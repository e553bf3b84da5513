//! Any message that the protocol allows.
#![allow(dead_code, reason = "each test takes what it needs")]

use bytes::Bytes;
use kekkai_frames::{
    Codec, Cursor, CursorShape, HEIGHT_MAX, Input, Key, Modifiers, Output, Rect, SIDE_MIN,
    TEXT_BYTES_MAX, TILE, Tile, WHEEL_MAX, WIDTH_MAX,
};
use proptest::prelude::*;

pub(crate) fn rect() -> impl Strategy<Value = Rect> {
    (0..WIDTH_MAX, 0..HEIGHT_MAX).prop_flat_map(|(x, y)| {
        (1..=WIDTH_MAX - x, 1..=HEIGHT_MAX - y).prop_map(move |(width, height)| Rect {
            x,
            y,
            width,
            height,
        })
    })
}

fn side() -> impl Strategy<Value = (u16, u16)> {
    (0..TILE).prop_flat_map(|from| (Just(from), 1..=TILE - from))
}

pub(crate) fn tile(data_max: usize) -> impl Strategy<Value = Tile> {
    let cell = (0..WIDTH_MAX / TILE, 0..HEIGHT_MAX / TILE);
    let data = proptest::collection::vec(any::<u8>(), 1..=data_max);
    let codec = proptest::sample::select(Codec::ALL);
    (cell, side(), side(), codec, data).prop_map(
        |((column, row), (x, width), (y, height), codec, data)| Tile {
            at: Rect {
                x: column * TILE + x,
                y: row * TILE + y,
                width,
                height,
            },
            codec,
            data: Bytes::from(data),
        },
    )
}

pub(crate) fn output() -> impl Strategy<Value = Output> {
    let tiles = (
        any::<u32>(),
        any::<bool>(),
        proptest::collection::vec(tile(300), 0..6),
    )
        .prop_map(|(frame, ends_frame, tiles)| Output::Tiles {
            frame,
            ends_frame: ends_frame || tiles.is_empty(),
            tiles,
        });
    let scroll = (any::<u32>(), rect(), rect())
        .prop_map(|(frame, one, other)| {
            let (width, height) = (one.width.min(other.width), one.height.min(other.height));
            let by = |to: u16, from: u16| i16::try_from(i32::from(to) - i32::from(from)).unwrap();
            Output::Scroll {
                frame,
                from: Rect {
                    width,
                    height,
                    ..one
                },
                dx: by(other.x, one.x),
                dy: by(other.y, one.y),
            }
        })
        .prop_filter("a scroll moves", |scroll| {
            !matches!(scroll, Output::Scroll { dx: 0, dy: 0, .. })
        });
    let cursor = (
        proptest::sample::select(CursorShape::ALL),
        proptest::option::of(rect()),
    )
        .prop_map(|(shape, caret)| Output::Cursor(Cursor { shape, caret }));
    let size = (SIDE_MIN..=WIDTH_MAX, SIDE_MIN..=HEIGHT_MAX)
        .prop_map(|(width, height)| Output::Size { width, height });
    let ping = any::<u32>().prop_map(|number| Output::Ping { number });
    prop_oneof![tiles, scroll, cursor, size, ping]
}

fn modifiers() -> impl Strategy<Value = Modifiers> {
    any::<(bool, bool, bool)>().prop_map(|(shift, ctrl, alt)| Modifiers { shift, ctrl, alt })
}

pub(crate) fn input() -> impl Strategy<Value = Input> {
    let key = (
        proptest::sample::select(Key::ALL),
        any::<bool>(),
        modifiers(),
    )
        .prop_map(|(key, is_down, modifiers)| Input::Key {
            key,
            is_down,
            modifiers,
        });
    let text = "\\PC{1,120}"
        .prop_filter("no control characters, not too long", |text| {
            text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
        })
        .prop_map(Input::Text);
    let pointer = (
        0..WIDTH_MAX,
        0..HEIGHT_MAX,
        0..8_u8,
        -WHEEL_MAX..=WHEEL_MAX,
        -WHEEL_MAX..=WHEEL_MAX,
        modifiers(),
    )
        .prop_map(
            |(x, y, buttons, wheel_x, wheel_y, modifiers)| Input::Pointer {
                x,
                y,
                buttons,
                wheel_x,
                wheel_y,
                modifiers,
            },
        );
    let resize = (SIDE_MIN..=WIDTH_MAX, SIDE_MIN..=HEIGHT_MAX, 100..=400_u16).prop_map(
        |(width, height, scale)| Input::Resize {
            width,
            height,
            scale,
        },
    );
    let ack = any::<(u32, bool)>().prop_map(|(number, is_ping)| Input::Ack { number, is_ping });
    prop_oneof![key, text, pointer, resize, ack]
}
