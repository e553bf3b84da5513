//! Why bytes are refused. None of these holds a byte of what came: it may be patient data or typed text.

/// Bytes that are no message of this protocol. The peer broke it: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than any message of its direction.
    #[error("a message of {bytes} bytes is longer than {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// It ends before its last field does.
    #[error("the message ends within a field")]
    Truncated,
    /// Something follows its last field.
    #[error("{0} bytes follow the message's last field")]
    Trailing(usize),
    /// No message of this direction has this number.
    #[error("no message has the number {0}")]
    UnknownMessage(u8),
    /// A field has a value that it can't have, or one that is written another way.
    #[error("the field `{0}` has no allowed value")]
    Field(&'static str),
    /// The compressed stream is damaged, has ended, or holds more than one message may.
    #[error("the compressed stream is damaged")]
    Deflate,
    /// After an error, nothing more is taken from a stream.
    #[error("the stream failed before")]
    Failed,
}

/// A tile's pixels can't be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not 1 to [`TILE`](crate::TILE) pixels either way, or not as many bytes as that takes.
    #[error("a tile of {width} x {height} pixels doesn't have that size")]
    Size {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// The bytes end before the pixels do.
    #[error("a tile's data ends too early")]
    Truncated,
    /// Something follows the last pixel.
    #[error("a tile's data is longer than its pixels")]
    Trailing,
    /// A field of it has a value that it can't have.
    #[error("the tile's field `{0}` has no allowed value")]
    Field(&'static str),
    /// Not a JPEG of exactly this size, or longer than [`TILE_DATA_MAX`](crate::TILE_DATA_MAX).
    #[error("the tile's JPEG can't be used")]
    Jpeg,
}

/// An [`Output`](crate::Output) that doesn't fit the screen it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanvasError {
    /// A rectangle leaves the screen.
    #[error("a rectangle leaves the screen of {width} x {height} pixels")]
    Outside {
        /// The screen's width.
        width: u16,
        /// The screen's height.
        height: u16,
    },
    /// No screen has this size.
    #[error("no screen has {width} x {height} pixels")]
    Size {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// A tile's pixels.
    #[error(transparent)]
    Tile(#[from] TileError),
}
