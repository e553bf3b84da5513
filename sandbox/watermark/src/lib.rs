//! Marks on every screen: one that people read, one that only the reader finds.

#[cfg(test)]
use proptest as _;

mod code;
mod mark;
mod pattern;
mod read;
mod visible;
mod watermark;

pub use mark::{Mark, MarkError};
pub use read::{Hints, NotFound, Picture, Reading, read};
pub use watermark::{Rect, Watermark};
