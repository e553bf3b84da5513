//! The right edge of a Merkle tree (RFC 6962 §2.1): all that appending needs.

use tlog_tiles::{EMPTY_HASH, HASH_SIZE, Hash, node_hash};

use crate::path::{TILE_WIDTH, count_at};

/// Bytes of a full tile.
pub(crate) const TILE_BYTES: usize = 256 * HASH_SIZE;
/// Binary levels within a tile.
const TILE_HEIGHT: u8 = 8;

/// A tree that grows. Keeps the roots of its perfect subtrees and its unfinished tiles.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    /// Perfect subtrees from left to right, with their heights, which fall.
    subtrees: Vec<(u8, Hash)>,
    /// The unfinished tile of each level.
    tiles: Vec<Vec<u8>>,
}

impl Tree {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The unfinished tiles, from level 0; an empty one is not a tile.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (u8, &[u8])> {
        (0_u8..).zip(self.tiles.iter().map(Vec::as_slice))
    }

    /// Adds a leaf. Each tile that it fills goes to `filled`: level, number, bytes.
    pub(crate) fn push(&mut self, leaf: Hash, filled: impl FnMut(u8, u64, &[u8])) {
        self.push_at(0, leaf, filled);
    }

    /// Adds the root of 256 leaves at once. The caller's tree is a multiple of 256 leaves.
    pub(crate) fn push_tile(&mut self, root: Hash, filled: impl FnMut(u8, u64, &[u8])) {
        self.push_at(TILE_HEIGHT, root, filled);
    }

    fn push_at(&mut self, height: u8, hash: Hash, mut filled: impl FnMut(u8, u64, &[u8])) {
        let first = self.size;
        self.size = self.size.saturating_add(1 << height);
        let (mut height, mut hash) = (height, hash);
        loop {
            if height % TILE_HEIGHT == 0 {
                let level = height / TILE_HEIGHT;
                while self.tiles.len() <= usize::from(level) {
                    self.tiles.push(Vec::new());
                }
                if let Some(tile) = self.tiles.get_mut(usize::from(level)) {
                    tile.extend_from_slice(&hash.0);
                    if tile.len() == TILE_BYTES {
                        filled(level, count_at(level, first) / TILE_WIDTH, tile);
                        tile.clear();
                    }
                }
            }
            match self.subtrees.pop_if(|(h, _)| *h == height) {
                Some((_, left)) => {
                    hash = node_hash(left, hash);
                    height += 1;
                }
                None => {
                    self.subtrees.push((height, hash));
                    return;
                }
            }
        }
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        match subtrees.next() {
            None => EMPTY_HASH,
            Some(last) => subtrees.fold(last, |right, left| node_hash(left, right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::{Tile, record_hash};

    use super::*;

    /// RFC 6962 §2.1, word by word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_HASH,
            [one] => *one,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(mth(&leaves[..k]), mth(&leaves[k..]))
            }
        }
    }

    #[test]
    fn root_is_that_of_rfc_6962() {
        let leaves: Vec<Hash> = (0..1100_u32)
            .map(|i| record_hash(&i.to_be_bytes()))
            .collect();
        let mut tree = Tree::default();
        assert_eq!(tree.root(), mth(&[]));
        for (i, leaf) in leaves.iter().enumerate() {
            tree.push(*leaf, |_, _, _| {});
            assert_eq!(tree.root(), mth(&leaves[..=i]), "{i}");
        }
    }

    #[test]
    fn tiles_can_stand_for_their_leaves() {
        let leaves: Vec<Hash> = (0..66_000_u32)
            .map(|i| record_hash(&i.to_be_bytes()))
            .collect();
        let mut one = Tree::default();
        let mut tiles = Vec::new();
        for leaf in &leaves {
            one.push(*leaf, |level, n, tile| {
                tiles.push((level, n, tile.to_vec()))
            });
        }
        let mut two = Tree::default();
        let mut higher = Vec::new();
        let mut keep = |level, n, tile: &[u8]| higher.push((level, n, tile.to_vec()));
        for (_, _, tile) in tiles.iter().filter(|(level, _, _)| *level == 0) {
            two.push_tile(Tile::subtree_hash(tile), &mut keep);
        }
        for leaf in &leaves[two.size().try_into().unwrap()..] {
            two.push(*leaf, &mut keep);
        }
        assert_eq!(one.root(), two.root());
        tiles.retain(|(level, _, _)| *level > 0);
        assert_eq!(tiles, higher);
        assert!(one.unfinished().eq(two.unfinished()));
    }
}
