//! The C2SP tlog-tiles form of a log: which files there are, and what is in them.
//!
//! Pure: paths are text and files are bytes here; `folder.rs` reads and writes them.

use super::merkle::{Frontier, Hash, perfect_root};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 256;

/// The largest entry that a bundle can hold: its length is a 16-bit number.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// What a tile file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Entries, `tile/entries/…`.
    Entries,
    /// Hashes of a level; level 0 holds leaf hashes, each level above roots of 256 of the level below.
    Hashes(u8),
}

/// The name of a tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Its number on its level, from the left.
    pub index: u64,
    /// How many hashes or entries it holds: 1–256; less than 256 makes it a partial tile.
    pub width: u64,
}

impl Tile {
    /// A full tile.
    #[must_use]
    pub fn full(kind: Kind, index: u64) -> Self {
        Self { kind, index, width: WIDTH }
    }

    /// Its path below the log's folder, such as `tile/0/x001/x234/067.p/8`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = match self.kind {
            Kind::Entries => String::from("tile/entries/"),
            Kind::Hashes(level) => format!("tile/{level}/"),
        };
        path.push_str(&encode_index(self.index));
        if self.width < WIDTH {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// The tile that has exactly this path.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|level| *level < 64)?),
        };
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => (digits, width.parse().ok()?),
            None => (rest, WIDTH),
        };
        let index = digits.replace(['x', '/'], "").parse().ok()?;
        let tile = Self { kind, index, width };
        (tile.path() == path && tile.width > 0).then_some(tile)
    }
}

/// `1234067` as `x001/x234/067`.
fn encode_index(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// Entries in the form of a bundle: a big-endian 16-bit length before each.
///
/// `None` if an entry is longer than [`MAX_ENTRY_BYTES`].
#[must_use]
pub fn encode_bundle(entries: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
    let total = entries.iter().map(|e| e.as_ref().len() + 2).sum();
    let mut bundle = Vec::with_capacity(total);
    for entry in entries {
        let length = u16::try_from(entry.as_ref().len()).ok()?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry.as_ref());
    }
    Some(bundle)
}

/// The entries of a bundle, and the bytes after the last whole entry.
#[must_use]
pub fn decode_bundle(bundle: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((entry, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        else {
            break;
        };
        entries.push(entry);
        rest = after;
    }
    (entries, rest)
}

/// The bytes of a hash tile.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes of a hash tile; `None` if its length is no multiple of 32.
#[must_use]
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// The right edge of a tree in tiles: for each level the hashes of its last, not yet full tile.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves from its partial tiles, level 0 first.
    ///
    /// `None` if a level has another number of hashes than the size asks for.
    #[must_use]
    pub fn from_levels(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let right = partial_widths(size);
        let fits = levels.len() == right.len()
            && levels.iter().zip(&right).all(|(hashes, (_, width))| hashes.len() as u64 == *width);
        if !fits {
            return None;
        }
        let mut subtrees = Vec::new();
        for hashes in levels.iter().rev() {
            let mut rest = hashes.as_slice();
            for bit in (0..8).rev() {
                if hashes.len() & (1 << bit) != 0 {
                    let (left, right) = rest.split_at_checked(1 << bit)?;
                    subtrees.push(perfect_root(left));
                    rest = right;
                }
            }
        }
        Some(Self { frontier: Frontier::from_subtrees(size, subtrees), levels })
    }

    /// Adds a leaf; `filled` is given each tile that it completes, lowest level first.
    pub fn push(&mut self, leaf: Hash, mut filled: impl FnMut(Tile, &[Hash])) {
        let mut node = self.frontier.size();
        self.frontier.push(leaf);
        let mut hash = leaf;
        for level in 0_u8..8 {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(at) else { return };
            hashes.push(hash);
            if (hashes.len() as u64) < WIDTH {
                return;
            }
            let full = std::mem::take(hashes);
            hash = perfect_root(&full);
            filled(Tile::full(Kind::Hashes(level), node / WIDTH), &full);
            node /= WIDTH;
        }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The tree's frontier.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The partial tiles, lowest level first; levels whose last tile is full have none.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        let named = partial_widths(self.size());
        named.into_iter().zip(&self.levels).enumerate().filter_map(
            |(level, ((index, width), hashes))| {
                let kind = Kind::Hashes(u8::try_from(level).ok()?);
                (width > 0).then_some((Tile { kind, index, width }, hashes.as_slice()))
            },
        )
    }
}

/// For each level of a tree of `size` leaves: number and width (0–255) of the tile after the full ones.
#[must_use]
pub fn partial_widths(size: u64) -> Vec<(u64, u64)> {
    let mut widths = Vec::new();
    let mut nodes = size;
    while nodes > 0 {
        widths.push((nodes / WIDTH, nodes % WIDTH));
        nodes /= WIDTH;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle::leaf_hash;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = Tile { kind: Kind::Hashes(0), index: 1_234_067, width: 8 };
        assert_eq!(tile.path(), "tile/0/x001/x234/067.p/8");
        assert_eq!(Tile::full(Kind::Entries, 0).path(), "tile/entries/000");
        assert_eq!(Tile::full(Kind::Hashes(2), 1000).path(), "tile/2/x001/000");
    }

    #[test]
    fn a_path_in_another_spelling_is_no_tile() {
        for path in [
            "tile/0/0",
            "tile/00/000",
            "tile/64/000",
            "tile/0/x000/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/08",
            "tile/0/001/000",
            "tile/0/x01/000",
            "tile/x/000",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn paths_read_back(index in any::<u64>(), width in 1_u64..=256, level in 0_u8..64) {
            for kind in [Kind::Entries, Kind::Hashes(level)] {
                let tile = Tile { kind, index, width };
                prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
            }
        }

        #[test]
        fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let bundle = encode_bundle(&entries).unwrap();
            let (read, rest) = decode_bundle(&bundle);
            prop_assert_eq!(read, entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn an_edge_restored_from_its_tiles_grows_like_the_original(size in 0_u64..3000, more in 0_u64..600) {
            let mut original = Edge::default();
            for n in 0..size {
                original.push(leaf_hash(&n.to_be_bytes()), |_, _| {});
            }
            let mut restored = Edge::from_levels(size, original.levels.clone()).unwrap();
            for n in size..size + more {
                original.push(leaf_hash(&n.to_be_bytes()), |_, _| {});
                restored.push(leaf_hash(&n.to_be_bytes()), |_, _| {});
            }
            prop_assert_eq!(original.root(), restored.root());
            prop_assert_eq!(original.levels, restored.levels);
        }
    }

    #[test]
    fn a_tree_of_65537_leaves_fills_257_tiles_and_keeps_one_partial_of_each_level() {
        let mut edge = Edge::default();
        let mut full = Vec::new();
        for n in 0..65_537_u64 {
            edge.push(leaf_hash(&n.to_be_bytes()), |tile, hashes| {
                assert_eq!(hashes.len(), 256);
                full.push(tile);
            });
        }
        assert_eq!(full.iter().filter(|t| t.kind == Kind::Hashes(0)).count(), 256);
        assert_eq!(full.iter().filter(|t| t.kind == Kind::Hashes(1)).count(), 1);
        let partial: Vec<_> = edge.partial_tiles().map(|(tile, _)| tile.path()).collect();
        assert_eq!(partial, ["tile/0/256.p/1", "tile/2/000.p/1"]);
    }
}
