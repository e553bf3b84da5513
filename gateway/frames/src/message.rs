//! The messages as types. Their bytes: `codec.rs`.

use serde::{Deserialize, Serialize};

/// A rectangle of the screen, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// From the left.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// At least 1.
    pub width: u16,
    /// At least 1.
    pub height: u16,
}

impl Rect {
    /// From the upper left corner to this size.
    pub const fn of_size(width: u16, height: u16) -> Self {
        Self {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// The first column to its right.
    pub fn right(&self) -> u32 {
        u32::from(self.x) + u32::from(self.width)
    }

    /// The first row below it.
    pub fn bottom(&self) -> u32 {
        u32::from(self.y) + u32::from(self.height)
    }

    /// Whether it has pixels and all of them lie on a screen of this size.
    pub fn lies_on(&self, width: u16, height: u16) -> bool {
        self.width > 0
            && self.height > 0
            && self.right() <= u32::from(width)
            && self.bottom() <= u32::from(height)
    }

    /// The same rectangle elsewhere; `None` left of or above the screen, or beyond 65,535.
    pub fn moved(&self, dx: i16, dy: i16) -> Option<Self> {
        Some(Self {
            x: self.x.checked_add_signed(dx)?,
            y: self.y.checked_add_signed(dy)?,
            ..*self
        })
    }
}

/// To a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Pixels that changed.
    Tiles {
        /// The frame's number; counts up by one from 1 and wraps.
        frame: u32,
        /// Nothing more belongs to this frame.
        ends_frame: bool,
        /// In the order in which they are drawn.
        tiles: Vec<Tile>,
    },
    /// Pixels that are on the screen already, elsewhere. Drawn before the tiles of its frame.
    Scroll {
        /// The frame's number.
        frame: u32,
        /// What moves: all of it is on the screen, before and after.
        from: Rect,
        /// To the right, in pixels.
        dx: i16,
        /// Downwards, in pixels.
        dy: i16,
    },
    /// The pointer's shape and where text is being entered.
    Cursor(Cursor),
    /// The screen has another size from here on, and is black.
    Size {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// Answered by [`Input::Ack`] with the same number, so that the way's time is known.
    Ping {
        /// Any.
        number: u32,
    },
}

/// A rectangle's pixels; at most [`TILE`](crate::TILE) pixels either way, within one tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Where.
    pub at: Rect,
    /// How its pixels are written.
    pub codec: Codec,
    /// Its pixels.
    pub data: bytes::Bytes,
}

/// How pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// Exactly.
    Lossless,
    /// Exactly, as what is to be added to the pixels that are there, channel by channel, modulo 256: a mark
    /// that stays in place while what is under it moves costs little this way.
    Difference,
    /// JPEG, while a region changes fast; refined when it rests.
    Lossy,
}

impl Codec {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Lossless, Self::Difference, Self::Lossy];

    /// Its number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Lossless => 0,
            Self::Difference => 1,
            Self::Lossy => 2,
        }
    }

    /// The codec of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|codec| codec.number() == number)
    }
}

/// The pointer's shape and the place of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The shape.
    pub shape: CursorShape,
    /// Where the caret is, so that the client's input method opens there; `None`: no text is entered.
    pub caret: Option<Rect>,
}

/// No caret.
pub const fn caret_none() -> Cursor {
    Cursor {
        shape: CursorShape::Arrow,
        caret: None,
    }
}

/// Shapes that every platform has. A client draws its own: no picture is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CursorShape {
    /// An arrow.
    Arrow,
    /// Over text.
    Text,
    /// Over what can be pressed.
    Hand,
    /// Over a border that moves sideways.
    ResizeColumn,
    /// Over a border that moves up and down.
    ResizeRow,
    /// Something takes long.
    Wait,
    /// Not here.
    Forbidden,
    /// None is drawn.
    Hidden,
}

impl CursorShape {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Arrow,
        Self::Text,
        Self::Hand,
        Self::ResizeColumn,
        Self::ResizeRow,
        Self::Wait,
        Self::Forbidden,
        Self::Hidden,
    ];

    /// Its number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Arrow => 1,
            Self::Text => 2,
            Self::Hand => 3,
            Self::ResizeColumn => 4,
            Self::ResizeRow => 5,
            Self::Wait => 6,
            Self::Forbidden => 7,
            Self::Hidden => 8,
        }
    }

    /// The shape of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|shape| shape.number() == number)
    }
}

/// From a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Input {
    /// A key that is no text: editing, movement, shortcuts.
    Key {
        /// Which.
        key: Key,
        /// Down or up.
        is_down: bool,
        /// Held at the same time.
        modifiers: Modifiers,
    },
    /// Text that was typed or that the input method committed: without control characters, at most
    /// [`TEXT_BYTES_MAX`](crate::TEXT_BYTES_MAX) bytes.
    Text(String),
    /// The pointer.
    Pointer {
        /// From the left, in pixels; within the screen.
        x: u16,
        /// From the top.
        y: u16,
        /// Bit 0: primary, 1: secondary, 2: middle.
        buttons: u8,
        /// Turned right since the last message, in pixels: at most [`WHEEL_MAX`](crate::WHEEL_MAX) either way.
        wheel_x: i16,
        /// Turned down since the last message, in pixels.
        wheel_y: i16,
        /// Held at the same time.
        modifiers: Modifiers,
    },
    /// The client's area has this size.
    Resize {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
        /// Device pixels per point, in percent: 100 to 400.
        scale: u16,
    },
    /// A frame was drawn, or a ping arrived.
    Ack {
        /// The frame's or the ping's number.
        number: u32,
        /// True for a ping.
        is_ping: bool,
    },
}

/// Keys held at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modifiers {
    /// Shift.
    pub shift: bool,
    /// Control, or Command.
    pub ctrl: bool,
    /// Alt, or Option.
    pub alt: bool,
}

macro_rules! keys {
    ($($name:ident = $number:literal),+ $(,)?) => {
        /// Keys that are no text by themselves; letters and digits stand here for shortcuts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "named as on the key")]
        pub enum Key {
            $($name),+
        }

        impl Key {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its number on the wire.
            pub fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number),+
                }
            }

            /// The key of a number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Its name, as in browsers' `KeyboardEvent.code` without `Key` and `Digit`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }
    };
}

keys! {
    Escape = 1, Tab = 2, Backspace = 3, Enter = 4, Space = 5, Insert = 6, Delete = 7, Home = 8, End = 9,
    PageUp = 10, PageDown = 11, ArrowLeft = 12, ArrowRight = 13, ArrowUp = 14, ArrowDown = 15,
    F1 = 16, F2 = 17, F3 = 18, F4 = 19, F5 = 20, F6 = 21, F7 = 22, F8 = 23, F9 = 24, F10 = 25, F11 = 26,
    F12 = 27, Minus = 28, Equal = 29, Comma = 30, Period = 31, Slash = 32,
    Num0 = 48, Num1 = 49, Num2 = 50, Num3 = 51, Num4 = 52, Num5 = 53, Num6 = 54, Num7 = 55, Num8 = 56,
    Num9 = 57,
    A = 65, B = 66, C = 67, D = 68, E = 69, F = 70, G = 71, H = 72, I = 73, J = 74, K = 75, L = 76,
    M = 77, N = 78, O = 79, P = 80, Q = 81, R = 82, S = 83, T = 84, U = 85, V = 86, W = 87, X = 88,
    Y = 89, Z = 90,
}
