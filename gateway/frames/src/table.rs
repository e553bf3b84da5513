//! The protocol as a table: the documentation is written from it, and a test reads encoded messages by it.

use std::fmt::Write;

use crate::codec::number;
use crate::{INPUT_BYTES_MAX, OUTPUT_BYTES_MAX};

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The screen.
    ToClient,
    /// The client.
    FromClient,
}

/// What a field is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// One byte.
    U8,
    /// One byte, 0 or 1.
    Bool,
    /// Two bytes, big-endian.
    U16,
    /// Two bytes, big-endian, two's complement.
    I16,
    /// Four bytes, big-endian.
    U32,
    /// Four `U16`: x, y, width, height.
    Rect,
    /// A varint length, then that many bytes.
    Bytes,
    /// A varint count, then that many times these fields.
    List(&'static [Field]),
    /// A `Bool`; if 1, then a `Rect`.
    RectIf,
    /// A varint.
    Varint,
}

impl FieldKind {
    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::Rect => "rect",
            Self::Bytes => "bytes",
            Self::List(_) => "list",
            Self::RectIf => "bool, rect",
            Self::Varint => "varint",
        }
    }
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub kind: FieldKind,
    /// What it may be.
    pub bound: &'static str,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRow {
    /// Its name.
    pub name: &'static str,
    /// Who says it.
    pub direction: Direction,
    /// Its first byte.
    pub number: u8,
    /// What follows, in order.
    pub fields: &'static [Field],
    /// The longest, in bytes, with its first.
    pub bytes_max: usize,
}

const fn field(name: &'static str, kind: FieldKind, bound: &'static str) -> Field {
    Field { name, kind, bound }
}

const TILE_FIELDS: &[Field] = &[
    field("x", FieldKind::U16, "pixels from the left, below 2560"),
    field("y", FieldKind::U16, "pixels from the top, below 1600"),
    field("width", FieldKind::Varint, "1 to 64, within one tile"),
    field("height", FieldKind::Varint, "1 to 64, within one tile"),
    field("codec", FieldKind::U8, "0 lossless, 1 difference, 2 lossy"),
    field("data", FieldKind::Bytes, "1 to 16384 bytes: see \"Pixels\""),
];

const FRAME: Field = field("frame", FieldKind::U32, "counts up by one from 1 and wraps");
const MODIFIERS: Field = field(
    "modifiers",
    FieldKind::U8,
    "sum of 1 shift, 2 control or command, 4 alt or option",
);

/// All messages. There is no other: a decoder refuses each number that isn't here.
pub const MESSAGES: &[MessageRow] = &[
    MessageRow {
        name: "Tiles",
        direction: Direction::ToClient,
        number: number::TILES,
        fields: &[
            FRAME,
            field(
                "ends_frame",
                FieldKind::Bool,
                "1: acknowledge the frame once this is drawn",
            ),
            field(
                "tiles",
                FieldKind::List(TILE_FIELDS),
                "at most 1000; 0 only where a frame ends",
            ),
        ],
        bytes_max: OUTPUT_BYTES_MAX,
    },
    MessageRow {
        name: "Scroll",
        direction: Direction::ToClient,
        number: number::SCROLL,
        fields: &[
            FRAME,
            field("from", FieldKind::Rect, "on the screen"),
            field(
                "dx",
                FieldKind::I16,
                "to the right; the target is on the screen",
            ),
            field("dy", FieldKind::I16, "downwards; not both 0"),
        ],
        bytes_max: 17,
    },
    MessageRow {
        name: "Cursor",
        direction: Direction::ToClient,
        number: number::CURSOR,
        fields: &[
            field(
                "shape",
                FieldKind::U8,
                "1 arrow, 2 text, 3 hand, 4 resize-column, 5 resize-row, 6 wait, 7 forbidden, 8 hidden",
            ),
            field(
                "caret",
                FieldKind::RectIf,
                "where text is entered; 0: none is",
            ),
        ],
        bytes_max: 11,
    },
    MessageRow {
        name: "Size",
        direction: Direction::ToClient,
        number: number::SIZE,
        fields: &[
            field(
                "width",
                FieldKind::U16,
                "320 to 2560; the screen is black now",
            ),
            field("height", FieldKind::U16, "320 to 1600"),
        ],
        bytes_max: 5,
    },
    MessageRow {
        name: "Ping",
        direction: Direction::ToClient,
        number: number::PING,
        fields: &[field("number", FieldKind::U32, "any; comes back in an Ack")],
        bytes_max: 5,
    },
    MessageRow {
        name: "Key",
        direction: Direction::FromClient,
        number: number::KEY,
        fields: &[
            field("key", FieldKind::U8, "see \"Keys\""),
            field("is_down", FieldKind::Bool, "0: up"),
            MODIFIERS,
        ],
        bytes_max: 4,
    },
    MessageRow {
        name: "Text",
        direction: Direction::FromClient,
        number: number::TEXT,
        fields: &[field(
            "text",
            FieldKind::Bytes,
            "1 to 512 bytes of UTF-8 without control characters",
        )],
        bytes_max: 515,
    },
    MessageRow {
        name: "Pointer",
        direction: Direction::FromClient,
        number: number::POINTER,
        fields: &[
            field("x", FieldKind::U16, "below 2560"),
            field("y", FieldKind::U16, "below 1600"),
            field(
                "buttons",
                FieldKind::U8,
                "sum of 1 primary, 2 secondary, 4 middle",
            ),
            field("wheel_x", FieldKind::I16, "-4096 to 4096, to the right"),
            field("wheel_y", FieldKind::I16, "-4096 to 4096, downwards"),
            MODIFIERS,
        ],
        bytes_max: 11,
    },
    MessageRow {
        name: "Resize",
        direction: Direction::FromClient,
        number: number::RESIZE,
        fields: &[
            field("width", FieldKind::U16, "320 to 2560"),
            field("height", FieldKind::U16, "320 to 1600"),
            field(
                "scale",
                FieldKind::U16,
                "device pixels per point, 100 to 400 percent",
            ),
        ],
        bytes_max: 7,
    },
    MessageRow {
        name: "Ack",
        direction: Direction::FromClient,
        number: number::ACK,
        fields: &[
            field("number", FieldKind::U32, "of the frame or of the ping"),
            field("is_ping", FieldKind::Bool, "1: of a ping"),
        ],
        bytes_max: 6,
    },
];

/// The tables of `PROTOCOL.md`, as Markdown.
pub fn protocol_tables() -> String {
    let mut text = String::new();
    for direction in [Direction::ToClient, Direction::FromClient] {
        let (title, bound) = match direction {
            Direction::ToClient => ("To a client", OUTPUT_BYTES_MAX),
            Direction::FromClient => ("From a client", INPUT_BYTES_MAX),
        };
        let _ = writeln!(text, "\n### {title}: at most {bound} bytes\n");
        let _ = writeln!(
            text,
            "| message | number | at most | field | shape | bounds |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|---|");
        for row in MESSAGES.iter().filter(|row| row.direction == direction) {
            let mut first = format!("{} | 0x{:02x} | {}", row.name, row.number, row.bytes_max);
            for field in row.fields {
                write_field(&mut text, &first, "", field);
                first = " | |".to_owned();
            }
        }
    }
    text
}

fn write_field(text: &mut String, first: &str, within: &str, field: &Field) {
    let _ = writeln!(
        text,
        "| {first} | {within}{} | {} | {} |",
        field.name,
        field.kind.name(),
        field.bound
    );
    if let FieldKind::List(parts) = field.kind {
        for part in parts {
            write_field(text, " | |", &format!("{}: ", field.name), part);
        }
    }
}
