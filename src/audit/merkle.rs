//! The RFC 6962 Merkle tree: hashes, the growing right edge, inclusion proofs.
//!
//! Pure: values in, values out. Where hashes are stored is `tile.rs`, who signs a root is `note.rs`.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// SHA-256 over the parts one after another.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// The hash of an entry as a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root over nodes that stand side by side on one level; their number must be a power of two.
#[must_use]
pub fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                [single] => Some(*single),
                _ => None,
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(|| sha256(&[]))
}

/// The right edge of a tree: the roots of its perfect subtrees, largest first.
///
/// Enough to add leaves and to tell the root; at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// A tree known by its size and the roots of its perfect subtrees, largest first.
    #[must_use]
    pub fn from_subtrees(size: u64, subtrees: Vec<Hash>) -> Self {
        Self { size, subtrees }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The root of the tree as it stands.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.subtrees.iter().rev();
        let Some(last) = from_right.next() else { return sha256(&[]) };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The hashes that prove that leaf `index` stands in the tree of `size` leaves, leaf side first.
///
/// `node(level, n)` gives the root of the perfect subtree over leaves `n << level ..`; it is asked
/// at most 64 × 64 times. An `index` outside the tree has no proof: `None`.
///
/// # Errors
/// What `node` returns.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(middle, end, node)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, node)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// The largest power of two smaller than `n`, for `n` above 1.
pub(super) fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The root over the leaves `start..end`, which must not be empty; `start` is aligned as RFC 6962 splits.
pub(super) fn range_root<E>(
    start: u64,
    end: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut lefts = Vec::new();
    let (mut start, size) = (start, end - start);
    let mut rest = size;
    while !rest.is_power_of_two() {
        let left = split(rest);
        let level = left.trailing_zeros();
        lefts.push(node(level, start >> level)?);
        start += left;
        rest -= left;
    }
    let level = rest.trailing_zeros();
    let last = node(level, start >> level)?;
    Ok(lefts.iter().rev().fold(last, |right, left| node_hash(left, &right)))
}

/// Whether `proof` shows that `leaf` is leaf `index` of the tree of `size` leaves with this `root`.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    // RFC 9162 section 2.1.3.2.
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            let shift = if position & 1 == 1 { 0 } else { position.trailing_zeros() };
            position >>= shift;
            last >>= shift;
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    fn entry(n: u64) -> Vec<u8> {
        format!("entry {n}").into_bytes()
    }

    fn subtree(level: u32, n: u64) -> Result<Hash, std::convert::Infallible> {
        let leaves: Vec<_> = (n << level..(n + 1) << level).map(|i| leaf_hash(&entry(i))).collect();
        Ok(perfect_root(&leaves))
    }

    #[test]
    fn every_root_equals_the_one_of_another_implementation() {
        let mut ours = Frontier::default();
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for n in 0..1_100 {
            ours.push(leaf_hash(&entry(n)));
            theirs.push(entry(n));
            assert_eq!(ours.root().as_slice(), theirs.root().as_bytes().as_slice());
        }
    }

    #[test]
    fn the_root_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(Frontier::default().root(), sha256(&[]));
    }

    proptest! {
        #[test]
        fn proofs_equal_those_of_another_implementation(size in 1_u64..700, pick in any::<u64>()) {
            let index = pick % size;
            let mut ours = Frontier::default();
            let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
            for n in 0..size {
                ours.push(leaf_hash(&entry(n)));
                theirs.push(entry(n));
            }
            let proof = inclusion_proof(index, size, &mut subtree).unwrap().unwrap();
            let flat: Vec<u8> = proof.iter().flatten().copied().collect();
            let expected = theirs.prove_inclusion(usize::try_from(index).unwrap());
            prop_assert_eq!(flat.as_slice(), expected.as_bytes());
            let leaf = leaf_hash(&entry(index));
            prop_assert!(verify_inclusion(&leaf, index, size, &proof, &ours.root()));
            prop_assert!(!verify_inclusion(&leaf_hash(b"x"), index, size, &proof, &ours.root()));
            if size > 1 {
                let other = (index + 1) % size;
                prop_assert!(!verify_inclusion(&leaf, other, size, &proof, &ours.root()));
                prop_assert!(!verify_inclusion(&leaf, index, size, &proof[1..], &ours.root()));
            }
        }
    }

    #[test]
    fn a_leaf_outside_the_tree_has_no_proof() {
        assert_eq!(inclusion_proof(3, 3, &mut subtree), Ok(None));
        assert!(!verify_inclusion(&leaf_hash(&entry(0)), 0, 0, &[], &sha256(&[])));
    }
}
