//! `PROTOCOL.md` says what the code does: its tables are written from the code
//! (`KEKKAI_REGENERATE=1 cargo test -p kekkai-frames --test protocol`), and the code's messages are read by
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::fmt::Write;

use kekkai_frames::{
    Direction, Field, FieldKind, Input, Key, MESSAGES, MessageRow, Output, encode_input,
    encode_output, protocol_tables,
};
use proptest::prelude::*;

mod common;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md");

#[test]
fn document_has_every_message_and_key() {
    let old = std::fs::read_to_string(DOCUMENT).unwrap();
    let with_messages = put_between(&old, "messages", &protocol_tables());
    let new = put_between(&with_messages, "keys", &keys_table());
    if std::env::var_os("KEKKAI_REGENERATE").is_some() {
        std::fs::write(DOCUMENT, &new).unwrap();
        return;
    }
    assert_eq!(
        old, new,
        "PROTOCOL.md is not what the code says: KEKKAI_REGENERATE=1"
    );
}

fn put_between(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{table}{end}{after}")
}

fn keys_table() -> String {
    let mut table = String::from("\n");
    for keys in Key::ALL.chunks(8) {
        let names: Vec<String> = keys
            .iter()
            .map(|key| format!("{} {}", key.number(), key.name()))
            .collect();
        let _ = writeln!(table, "- {}", names.join(" · "));
    }
    table
}

/// Without a `_`: a new message doesn't compile until it is named here, and then needs its row.
fn name_of_output(output: &Output) -> &'static str {
    match output {
        Output::Tiles { .. } => "Tiles",
        Output::Scroll { .. } => "Scroll",
        Output::Cursor(_) => "Cursor",
        Output::Size { .. } => "Size",
        Output::Ping { .. } => "Ping",
    }
}

fn name_of_input(input: &Input) -> &'static str {
    match input {
        Input::Key { .. } => "Key",
        Input::Text(_) => "Text",
        Input::Pointer { .. } => "Pointer",
        Input::Resize { .. } => "Resize",
        Input::Ack { .. } => "Ack",
    }
}

fn row(name: &str, direction: Direction) -> &'static MessageRow {
    MESSAGES
        .iter()
        .find(|row| row.name == name && row.direction == direction)
        .unwrap_or_else(|| panic!("{name} has no row"))
}

#[test]
fn no_two_messages_share_a_number() {
    let numbers: BTreeSet<u8> = MESSAGES.iter().map(|row| row.number).collect();
    assert_eq!(numbers.len(), MESSAGES.len());
}

#[test]
fn no_number_without_a_row_is_understood() {
    for number in 0..=u8::MAX {
        let knows = |direction| {
            MESSAGES
                .iter()
                .any(|row| row.direction == direction && row.number == number)
        };
        let is_unknown = |error| error == kekkai_frames::WireError::UnknownMessage(number);
        assert_eq!(
            !is_unknown(kekkai_frames::decode_output(&[number]).unwrap_err()),
            knows(Direction::ToClient)
        );
        assert_eq!(
            !is_unknown(kekkai_frames::decode_input(&[number]).unwrap_err()),
            knows(Direction::FromClient)
        );
    }
}

/// Reads a message by its row alone; what is left over, if the row fits.
fn read_by<'a>(fields: &[Field], mut rest: &'a [u8]) -> Option<&'a [u8]> {
    for field in fields {
        rest = match field.kind {
            FieldKind::U8 | FieldKind::Bool => rest.get(1..)?,
            FieldKind::U16 | FieldKind::I16 => rest.get(2..)?,
            FieldKind::U32 => rest.get(4..)?,
            FieldKind::Rect => rest.get(8..)?,
            FieldKind::RectIf => match rest.split_first()? {
                (0, rest) => rest,
                (_, rest) => rest.get(8..)?,
            },
            FieldKind::Varint => varint(rest)?.1,
            FieldKind::Bytes => {
                let (length, rest) = varint(rest)?;
                rest.get(length..)?
            }
            FieldKind::List(parts) => {
                let (count, mut rest) = varint(rest)?;
                for _ in 0..count {
                    rest = read_by(parts, rest)?;
                }
                rest
            }
        };
    }
    Some(rest)
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..=last]
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 7) | usize::from(byte & 0x7f));
    Some((value, &bytes[last + 1..]))
}

proptest! {
    #[test]
    fn every_output_is_what_its_row_says(output in common::output()) {
        let bytes = encode_output(&output);
        let row = row(name_of_output(&output), Direction::ToClient);
        prop_assert_eq!(bytes[0], row.number);
        prop_assert!(bytes.len() <= row.bytes_max);
        prop_assert_eq!(read_by(row.fields, &bytes[1..]), Some(&[][..]));
    }

    #[test]
    fn every_input_is_what_its_row_says(input in common::input()) {
        let bytes = encode_input(&input);
        let row = row(name_of_input(&input), Direction::FromClient);
        prop_assert_eq!(bytes[0], row.number);
        prop_assert!(bytes.len() <= row.bytes_max);
        prop_assert_eq!(read_by(row.fields, &bytes[1..]), Some(&[][..]));
    }
}
