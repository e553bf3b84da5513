//! Where tiles are, as tlog-tiles says: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`.
//!
//! `tlog_tiles` writes the height into its paths, as Go's checksum database does, and panics on
//! some malformed ones; these come from a directory that nobody vouches for.

use std::fmt::Write as _;

/// Hashes in a full tile, entries in a full bundle.
pub(crate) const TILE_WIDTH: u64 = 256;
/// The highest level that a tile may have.
const LEVEL_MAX: u8 = 63;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// One file below `tile/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TilePath {
    pub(crate) kind: Kind,
    /// Counted from 0 within its level.
    pub(crate) n: u64,
    /// 1 to 256.
    pub(crate) width: u64,
}

impl TilePath {
    pub(crate) fn new(kind: Kind, n: u64, width: u64) -> Self {
        Self { kind, n, width }
    }

    pub(crate) fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    pub(crate) fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    pub(crate) fn level(self) -> u8 {
        match self.kind {
            Kind::Hashes(level) => level,
            Kind::Entries => 0,
        }
    }

    /// Hashes or entries of its level up to and with the last one in this file.
    pub(crate) fn end(self) -> u64 {
        self.n.saturating_mul(TILE_WIDTH).saturating_add(self.width)
    }

    /// The path below the log's directory.
    pub(crate) fn to_path(self) -> String {
        let mut path = match self.kind {
            Kind::Hashes(level) => format!("tile/{level}/"),
            Kind::Entries => "tile/entries/".to_owned(),
        };
        let mut groups = vec![self.n % 1000];
        let mut rest = self.n / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            // Writing to a string can't fail.
            let _ = if groups.is_empty() {
                write!(path, "{group:03}")
            } else {
                write!(path, "x{group:03}/")
            };
        }
        if !self.is_full() {
            let _ = write!(path, ".p/{}", self.width);
        }
        path
    }

    /// Reads a path below the log's directory; only the one spelling that [`Self::to_path`] gives.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|l| *l <= LEVEL_MAX)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, TILE_WIDTH),
        };
        let mut n: u64 = 0;
        for group in number.split('/') {
            let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            n = n.checked_mul(1000)?.checked_add(group)?;
        }
        let tile = Self { kind, n, width };
        // A round trip refuses zero widths, leading zeroes, signs and misplaced 'x'.
        ((1..=TILE_WIDTH).contains(&width) && tile.to_path() == path).then_some(tile)
    }
}

/// How many hashes of a level a tree of this size has.
pub(crate) fn count_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(8))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_the_specifications_example() {
        let tile = TilePath::new(Kind::Entries, 1_234_067, TILE_WIDTH);
        assert_eq!(tile.to_path(), "tile/entries/x001/x234/067");
        let tile = TilePath::new(Kind::Hashes(3), 0, 8);
        assert_eq!(tile.to_path(), "tile/3/000.p/8");
        for n in [0, 5, 999, 1000, 256_000, 1_234_067, u64::MAX] {
            for width in [1, 8, 255, 256] {
                for kind in [Kind::Entries, Kind::Hashes(0), Kind::Hashes(63)] {
                    let tile = TilePath::new(kind, n, width);
                    assert_eq!(TilePath::parse(&tile.to_path()), Some(tile));
                }
            }
        }
    }

    #[test]
    fn path_has_one_spelling_only() {
        for bad in [
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/08",
            "tile/0/0000",
            "tile/0/00",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/00/001",
            "tile/64/001",
            "tile/256/001",
            "tile/0/+01",
            "tile/data/000",
            "tile/0/000.p/1/2",
            "tile/0/000.p",
            "tile/0/x18/446/744/073/709/551/616",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }
}
