//! What is written is read again, exactly, and nothing else is read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use bytes::Bytes;
use kekkai_frames::{
    Canvas, Codec, Compressor, Decompressor, Deframer, Input, OUTPUT_BYTES_MAX, Output, Rect, Tile,
    WireError, decode_input, decode_lossless, decode_lossy, decode_output, encode_input,
    encode_lossless, encode_lossy, encode_output, encode_over, prefix,
};
use proptest::prelude::*;

mod common;

/// Pixels as screens have them: few colours or many, flat or noisy.
fn pixels() -> impl Strategy<Value = (u16, u16, Vec<u8>)> {
    let colours = prop_oneof![
        Just(1_usize),
        Just(2),
        Just(4),
        Just(16),
        Just(200),
        Just(4096)
    ];
    (1..=64_u16, 1..=64_u16, colours, any::<u32>(), 1..9_u32).prop_map(
        |(width, height, colours, seed, run)| {
            let mut state = seed | 1;
            let mut random = move || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state
            };
            let palette: Vec<[u8; 4]> = (0..colours)
                .map(|_| {
                    let [red, green, blue, _] = random().to_be_bytes();
                    [red, green, blue, 255]
                })
                .collect();
            let mut colour = palette[0];
            let rgba = (0..u32::from(width) * u32::from(height))
                .flat_map(|place| {
                    if place % run == 0 {
                        colour = palette[random() as usize % palette.len()];
                    }
                    colour
                })
                .collect();
            (width, height, rgba)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn output_comes_back(output in common::output()) {
        let bytes = encode_output(&output);
        prop_assert_eq!(decode_output(&bytes), Ok(output));
    }

    #[test]
    fn input_comes_back(input in common::input()) {
        let bytes = encode_input(&input);
        prop_assert_eq!(decode_input(&bytes), Ok(input));
    }

    #[test]
    fn byte_after_a_message_is_refused(output in common::output(), input in common::input()) {
        let longer = [&encode_output(&output)[..], &[0]].concat();
        prop_assert_eq!(decode_output(&longer), Err(WireError::Trailing(1)));
        let longer = [&encode_input(&input)[..], &[0]].concat();
        prop_assert_eq!(decode_input(&longer), Err(WireError::Trailing(1)));
    }

    #[test]
    fn shortened_message_is_refused(output in common::output(), cut in 1..50_usize) {
        let bytes = encode_output(&output);
        let shorter = &bytes[..bytes.len().saturating_sub(cut)];
        prop_assert!(decode_output(shorter).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn pixels_come_back((width, height, rgba) in pixels()) {
        let data = encode_lossless(&rgba, width, height).unwrap();
        prop_assert_eq!(decode_lossless(&data, width, height).unwrap(), rgba);
    }

    #[test]
    fn canvas_shows_what_was_written_over_it(
        (width, height, old) in pixels(),
        (_, _, new) in pixels(),
    ) {
        let new: Vec<u8> = new.iter().copied().cycle().take(old.len()).collect();
        let mut canvas = Canvas::new(320, 320).unwrap();
        let at = Rect::of_size(width, height);
        canvas.put(at, &old).unwrap();
        let (codec, data) = encode_over(&new, &old, width, height).unwrap();
        let tile = Tile { at, codec, data };
        let changed = canvas
            .apply(&Output::Tiles { frame: 1, ends_frame: true, tiles: vec![tile] })
            .unwrap();
        prop_assert_eq!(changed, vec![at]);
        prop_assert_eq!(canvas.crop(at).unwrap(), new);
    }

    #[test]
    fn jpeg_has_exactly_its_size((width, height, rgba) in pixels()) {
        let data = encode_lossy(&rgba, width, height, 70).unwrap();
        prop_assert_eq!(decode_lossy(&data, width, height).unwrap().len(), rgba.len());
        prop_assert!(decode_lossy(&data, width % 64 + 1, height).is_err());
    }

    #[test]
    fn each_chunk_holds_exactly_its_message(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9_000), 1..8),
    ) {
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        for message in messages {
            let chunk = compressor.chunk(&message).unwrap();
            prop_assert_eq!(decompressor.next(&chunk).unwrap(), message);
        }
    }

    #[test]
    fn stream_is_cut_where_messages_end(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..20),
        piece in 1..300_usize,
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| prefix(message)).collect();
        let mut deframer = Deframer::new(200);
        let mut seen = Vec::new();
        for piece in stream.chunks(piece) {
            deframer.feed(piece);
            while let Some(message) = deframer.next().unwrap() {
                seen.push(message.to_vec());
            }
        }
        prop_assert_eq!(seen, messages);
        prop_assert!(deframer.is_between_messages());
    }
}

#[test]
fn empty_message_has_no_chunk_and_harms_no_other() {
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    for message in [&b"one"[..], b"another"] {
        assert!(matches!(compressor.chunk(&[]), Err(WireError::Truncated)));
        let chunk = compressor.chunk(message).unwrap();
        assert_eq!(decompressor.next(&chunk).unwrap(), message);
    }
}

#[test]
fn every_form_of_a_tile_is_written_and_read() {
    let noise: Vec<u8> = (0..64 * 64_u32)
        .flat_map(|place| {
            let [red, green, blue, _] = place.wrapping_mul(0x9e37_79b1).to_be_bytes();
            [red, green, blue, 255]
        })
        .collect();
    let ramp: Vec<u8> = (0..64 * 64_u32)
        .flat_map(|place| {
            let (x, y) = (place % 64, place / 64);
            let level = |value: u32| u8::try_from(value).unwrap();
            [level(x * 3), level(y * 3), level(x + y), 255]
        })
        .collect();
    let grey: Vec<u8> = (0..64 * 64_u32)
        .flat_map(|place| {
            let level = u8::try_from(place % 7 * 30).unwrap();
            let mark = u8::try_from(place / 16 % 2 * 5).unwrap();
            [level, level, level + mark, 255]
        })
        .collect();
    let two: Vec<u8> = (0..64 * 64_u32)
        .flat_map(|place| [[200, 10, 90, 255], [0, 0, 99, 255]][(place % 3 / 2) as usize])
        .collect();
    let mut forms = Vec::new();
    for rgba in [&noise, &ramp, &grey, &two, &[9, 8, 7, 255].repeat(64 * 64)] {
        let data = encode_lossless(rgba, 64, 64).unwrap();
        assert_eq!(decode_lossless(&data, 64, 64).unwrap(), *rgba);
        forms.push(data[0]);
    }
    forms.sort_unstable();
    forms.dedup();
    assert_eq!(forms, [0, 1, 2, 3]);
}

#[test]
fn overlapping_scroll_moves_as_a_whole() {
    for (dx, dy) in [(0, 7), (0, -7), (5, 0), (-5, 0), (3, 9), (-3, -9), (4, -2)] {
        let mut canvas = Canvas::new(320, 320).unwrap();
        let all = Rect::of_size(320, 320);
        let rgba: Vec<u8> = (0..320 * 320_u32)
            .flat_map(|place| {
                let [_, red, green, blue] = place.to_be_bytes();
                [red, green, blue, 255]
            })
            .collect();
        canvas.put(all, &rgba).unwrap();
        let from = Rect {
            x: 20,
            y: 30,
            width: 100,
            height: 90,
        };
        let before = canvas.crop(from).unwrap();
        let scroll = Output::Scroll {
            frame: 1,
            from,
            dx,
            dy,
        };
        let to = canvas.apply(&scroll).unwrap();
        assert_eq!(to, [from.moved(dx, dy).unwrap()]);
        assert_eq!(canvas.crop(to[0]).unwrap(), before, "{dx}, {dy}");
    }
}

#[test]
fn what_leaves_the_screen_is_not_drawn() {
    let mut canvas = Canvas::new(320, 320).unwrap();
    let data = encode_lossless(&[1, 2, 3, 255], 1, 1).unwrap();
    let tile = Tile {
        at: Rect {
            x: 320,
            y: 0,
            width: 1,
            height: 1,
        },
        codec: Codec::Lossless,
        data,
    };
    let outside = Output::Tiles {
        frame: 1,
        ends_frame: true,
        tiles: vec![tile],
    };
    // On the largest screen there is such a place, so that only the canvas can know.
    assert_eq!(
        decode_output(&encode_output(&outside)).as_ref(),
        Ok(&outside)
    );
    assert!(canvas.apply(&outside).is_err());
    assert_eq!(canvas.rgba(), Canvas::new(320, 320).unwrap().rgba());
}

#[test]
fn bomb_is_refused_before_it_unfolds() {
    use flate2::{Compress, Compression, FlushCompress};
    let mut bomb = Compress::new(Compression::best(), false);
    let mut chunk = Vec::with_capacity(1024 * 1024);
    let zeros = vec![0; 64 * OUTPUT_BYTES_MAX];
    bomb.compress_vec(&zeros, &mut chunk, FlushCompress::Sync)
        .unwrap();
    assert!(chunk.len() < 20_000 && chunk.ends_with(&[0, 0, 255, 255]));
    let mut decompressor = Decompressor::new();
    let refused = decompressor.next(&chunk);
    assert!(
        matches!(refused, Err(WireError::TooLong { .. })),
        "{refused:?}"
    );
    assert_eq!(decompressor.next(&chunk), Err(WireError::Failed));
}

#[test]
fn chunk_without_a_flush_or_after_the_end_is_refused() {
    let chunk = Compressor::new().chunk(b"message").unwrap();
    let cut = &chunk[..chunk.len() - 1];
    assert_eq!(Decompressor::new().next(cut), Err(WireError::Deflate));
    // A last block, and then what looks like a flush.
    let ended = [0x03, 0x00, 0, 0, 0xff, 0xff];
    assert_eq!(Decompressor::new().next(&ended), Err(WireError::Deflate));
}

#[test]
fn longest_message_fits_its_chunk() {
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..OUTPUT_BYTES_MAX)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        })
        .collect();
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    let chunk = compressor.chunk(&noise).unwrap();
    assert!(chunk.len() <= kekkai_frames::CHUNK_BYTES_MAX);
    assert_eq!(decompressor.next(&chunk).unwrap(), noise);
    assert!(compressor.chunk(&[&noise[..], &[0]].concat()).is_err());
}

#[test]
fn announced_length_is_refused_before_anything_is_kept() {
    for length in [0_u32, 1_001, u32::MAX] {
        let mut deframer = Deframer::new(1_000);
        deframer.feed(&length.to_be_bytes());
        assert!(deframer.next().is_err());
        deframer.feed(&[0; 100]);
        assert_eq!(deframer.next(), Err(WireError::Failed));
        assert!(deframer.is_between_messages(), "nothing is kept");
    }
}

#[test]
fn text_with_control_characters_is_refused() {
    for text in ["", "a\n", "\u{7f}", "\u{85}", "\0"] {
        let bytes = encode_input(&Input::Text(text.to_owned()));
        assert_eq!(
            decode_input(&bytes),
            Err(WireError::Field("text")),
            "{text:?}"
        );
    }
    let longest = Input::Text("é".repeat(256));
    assert_eq!(decode_input(&encode_input(&longest)), Ok(longest));
    let longer = Input::Text("a".repeat(513));
    assert!(decode_input(&encode_input(&longer)).is_err());
    let not_utf8 = [0x82, 2, 0xc3, 0x28];
    assert_eq!(decode_input(&not_utf8), Err(WireError::Field("text")));
}

#[test]
fn number_written_long_is_refused() {
    // A tile of 1 x 1: its width as one byte, and as two.
    let tile = |width: &[u8]| {
        let mut bytes = vec![1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0];
        bytes.extend(width);
        bytes.extend([1, 0, 4, 0, 1, 2, 3]);
        Bytes::from(bytes)
    };
    assert!(decode_output(&tile(&[1])).is_ok());
    assert_eq!(
        decode_output(&tile(&[0x81, 0])),
        Err(WireError::Field("at"))
    );
    assert_eq!(decode_output(&tile(&[65])), Err(WireError::Field("at")));
}
