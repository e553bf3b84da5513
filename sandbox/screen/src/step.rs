//! From what a viewer shows to what is: what to send.

use std::sync::Arc;

use kekkai_frames::{self as frames, Codec, Rect, encode_over};

use crate::picture::{Grid, Tile, cut, differing};
use crate::scroll::{self, Move};

/// What a viewer shows at one tile's place.
#[derive(Clone, Copy)]
pub(crate) enum Ground<'a> {
    /// Exactly this.
    Exact(&'a Arc<Tile>),
    /// Something that nothing can be built on: it is sent whole.
    Unknown,
    /// What it should show, or near enough for now.
    Enough,
}

/// Whether to look for what moved.
#[derive(Clone, Copy)]
pub(crate) enum Moves<'a> {
    /// Yes; these are worth trying.
    Sought(&'a [Move]),
    /// No.
    None,
}

/// What makes one picture of another.
pub(crate) struct Step {
    /// The picture before; of meaning only to who keeps steps.
    pub(crate) from: u64,
    /// The picture after.
    pub(crate) to: u64,
    /// What moves first.
    pub(crate) moved: Option<Move>,
    /// What is drawn then: the place's index, and its pixels.
    pub(crate) tiles: Vec<(usize, frames::Tile)>,
    /// Bytes of all tiles' data.
    pub(crate) bytes: usize,
}

impl Step {
    /// `ground` and `target`: all places of the grid.
    pub(crate) fn make(
        grid: Grid,
        ground: &[Ground<'_>],
        target: &[&Arc<Tile>],
        moves: Moves<'_>,
    ) -> Self {
        let moved = match moves {
            Moves::Sought(hints) => scroll::find(grid, ground, target, hints),
            Moves::None => None,
        };
        let mut composed = match &moved {
            Some(moved) => scroll::compose(grid, ground, moved),
            None => Vec::new(),
        };
        composed.reverse();
        let mut tiles = Vec::new();
        let places = grid.rects().zip(ground.iter().zip(target)).enumerate();
        for (index, (at, (ground, target))) in places {
            // Composed tiles come in the order of places.
            let there = composed.pop_if(|(place, _)| *place == index);
            let tile = match (ground, &there) {
                (Ground::Enough, _) => None,
                (Ground::Unknown, _) => Some(frames::Tile {
                    at,
                    codec: Codec::Lossless,
                    data: target.encoded(at),
                }),
                (Ground::Exact(_), Some((_, there))) => change(at, there, target.marked()),
                (Ground::Exact(shown), None) if Arc::ptr_eq(shown, target) => None,
                (Ground::Exact(shown), None) => change(at, shown.marked(), target.marked()),
            };
            tiles.extend(tile.map(|tile| (index, tile)));
        }
        Self {
            from: 0,
            to: 0,
            moved,
            bytes: tiles.iter().map(|(_, tile)| tile.data.len()).sum(),
            tiles,
        }
    }
}

/// The smallest rectangle of a tile that makes one of the other.
fn change(at: Rect, shown: &[u8], target: &[u8]) -> Option<frames::Tile> {
    let part = differing(shown, target)?;
    let (new, old) = (cut(target, part), cut(shown, part));
    // Both have the size of `part`, which lies within a tile.
    let (codec, data) = encode_over(&new, &old, part.width, part.height).ok()?;
    Some(frames::Tile {
        at: Rect {
            x: at.x + part.x,
            y: at.y + part.y,
            ..part
        },
        codec,
        data,
    })
}
