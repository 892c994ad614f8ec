//! Consistency proofs (RFC 6962, section 2.1.2): that a log of some size began as it was at a smaller one.
//!
//! Pure, like `merkle.rs`: who asks for them is `witness.rs`.

use super::merkle::{Hash, node_hash, range_root, split};

/// The hashes that prove that the tree of `size` leaves begins with that of the first `old`; empty where these are none or all.
///
/// `node(level, n)` gives the root of the perfect subtree over leaves `n << level ..`. There is no proof that a tree begins
/// with a larger one: `None`.
///
/// # Errors
/// What `node` returns.
pub fn consistency_proof<E>(
    old: u64,
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old > size {
        return Ok(None);
    }
    let mut proof = Vec::new();
    if old == 0 {
        return Ok(Some(proof));
    }
    let (mut start, mut end) = (0, size);
    while end > old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range_root(middle, end, node)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, node)?);
            start = middle;
        }
    }
    // The old tree's own left edge is known to whoever has its root.
    if start > 0 {
        proof.push(range_root(start, end, node)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Whether `proof` shows that the tree of `size` leaves with `root` begins with that of the first `old` with `old_root`.
#[must_use]
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (size, root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old > size {
        return false;
    }
    if old == 0 || old == size {
        return proof.is_empty() && (old == 0 || old_root == root);
    }
    // RFC 9162, section 2.1.4.2.
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut of_old, mut of_new) = (*first, *first);
    let (mut position, mut last) = (old - 1, size - 1);
    let shared = position.trailing_ones();
    (position, last) = (position >> shared, last >> shared);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            (of_old, of_new) = (node_hash(hash, &of_old), node_hash(hash, &of_new));
            let shift = if position & 1 == 1 { 0 } else { position.trailing_zeros() };
            (position, last) = (position >> shift, last >> shift);
        } else {
            of_new = node_hash(&of_new, hash);
        }
        (position, last) = (position >> 1, last >> 1);
    }
    last == 0 && of_old == *old_root && of_new == *root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::audit::merkle::{Frontier, leaf_hash, perfect_root};

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn root(leaves: &[Hash]) -> Hash {
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree.root()
    }

    fn proof(old: u64, leaves: &[Hash]) -> Option<Vec<Hash>> {
        let mut node = |level: u32, n: u64| {
            let (first, width) = (usize::try_from(n << level).unwrap(), 1_usize << level);
            Ok::<_, Infallible>(perfect_root(&leaves[first..first + width]))
        };
        consistency_proof(old, leaves.len() as u64, &mut node).unwrap()
    }

    #[test]
    fn every_tree_begins_with_every_smaller_one_and_the_proof_fits_no_other() {
        let all = leaves(70);
        for size in 0..=all.len() {
            let (now, tree) = (root(&all[..size]), &all[..size]);
            for old in 0..=size {
                let (then, hashes) = (root(&all[..old]), proof(old as u64, tree).unwrap());
                let holds = |old: usize, then: &Hash, now: &Hash, hashes: &[Hash]| {
                    verify_consistency((old as u64, then), (size as u64, now), hashes)
                };
                assert!(holds(old, &then, &now, &hashes), "{old} of {size}");
                assert!(old == 0 || !holds(old, &[7; 32], &now, &hashes));
                assert!(old == 0 || !holds(old, &then, &[7; 32], &hashes));
                assert!(!holds(old, &then, &now, &[hashes.as_slice(), &[[7; 32]]].concat()));
                for at in 0..hashes.len() {
                    let mut other = hashes.clone();
                    other[at][0] ^= 1;
                    assert!(!holds(old, &then, &now, &other), "{old} of {size}, hash {at}");
                    other.remove(at);
                    assert!(!holds(old, &then, &now, &other), "{old} of {size}, without {at}");
                }
            }
        }
    }

    #[test]
    fn no_tree_begins_with_a_larger_one() {
        assert_eq!(proof(6, &leaves(5)), None);
        let (five, six) = (root(&leaves(5)), root(&leaves(6)));
        assert!(!verify_consistency((6, &six), (5, &five), &[]));
    }

    /// RFC 6962, section 2.1.3: the proofs between trees of 3, 4 and 6 leaves and that of 7.
    #[test]
    fn the_examples_of_the_specification_have_the_hashes_that_it_names() {
        let all = leaves(7);
        let at = |from: usize, to: usize| root(&all[from..to]);
        let (c, d, g, l) = (at(2, 3), at(3, 4), at(0, 2), at(4, 7));
        assert_eq!(proof(3, &all).unwrap(), [c, d, g, l]);
        assert_eq!(proof(4, &all).unwrap(), [l]);
        let (i, j, k) = (at(4, 6), at(6, 7), at(0, 4));
        assert_eq!(proof(6, &all).unwrap(), [i, j, k]);
    }
}
