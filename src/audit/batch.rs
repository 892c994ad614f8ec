//! One group commit in the journal: its entries, the signed head of the tree after them, a digest.
//!
//! Pure. The digest tells a batch that was torn by a crash, the signed root one that was altered:
//! who can write the file but has no key can make neither a new batch nor another order.

use super::merkle::{Hash, sha256};
use super::note::Signature;
use super::tile::{decode_bundle, encode_bundle};

const MAGIC: &[u8; 8] = b"mslogb1\n";

/// Bytes before the entries.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 32 + 64 + 32;

/// A group commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Index of the first entry.
    pub(super) first: u64,
    /// The entries.
    pub(super) entries: Vec<Vec<u8>>,
    /// Root of the tree after them.
    pub(super) root: Hash,
    /// The log's signature over the checkpoint with that root.
    pub(super) signature: Signature,
}

impl Batch {
    /// The index after the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The bytes on the disk; `None` if an entry or all together are too long for the format.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let body = encode_bundle(&self.entries)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.entries.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.signature);
        let digest = sha256(&[&bytes, &body]);
        bytes.extend_from_slice(&digest);
        bytes.extend_from_slice(&body);
        Some(bytes)
    }

    /// The batch at the start of `bytes` and its length; `None` if no whole batch stands there.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let body_bytes = body_length(header)?;
        let body = rest.get(..body_bytes)?;
        let (signed, digest) = header.split_at_checked(HEADER_BYTES - 32)?;
        if sha256(&[signed, body]).as_slice() != digest {
            return None;
        }
        let mut fields = Fields(signed.get(12..)?);
        let count = u32::from_be_bytes(fields.take()?);
        let first = u64::from_be_bytes(fields.take()?);
        let (root, signature) = (fields.take()?, fields.take()?);
        let (entries, after) = decode_bundle(body);
        let whole = after.is_empty() && u32::try_from(entries.len()).ok()? == count && count > 0;
        let entries = entries.into_iter().map(<[u8]>::to_vec).collect();
        whole.then_some((Self { first, entries, root, signature }, HEADER_BYTES + body_bytes))
    }
}

/// How many bytes follow this header; `None` if it is none.
pub(super) fn body_length(header: &[u8]) -> Option<usize> {
    let mut fields = Fields(header);
    if fields.take::<8>()? != *MAGIC {
        return None;
    }
    usize::try_from(u32::from_be_bytes(fields.take()?)).ok()
}

/// The batches of a segment with entries at `index` or behind. Those before are passed over by their headers: whoever follows a
/// log has read them, and looks several times a second.
pub(super) fn batches_from(bytes: &[u8], index: u64) -> Vec<Batch> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some((end, length)) = reach(rest) {
        if end > index {
            let Some((batch, _)) = Batch::decode(rest) else { break };
            found.push(batch);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// What a header says: the index after its last entry, and the length of the batch.
fn reach(bytes: &[u8]) -> Option<(u64, usize)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let length = HEADER_BYTES.checked_add(body_length(header)?)?;
    let mut fields = Fields(header.get(12..)?);
    let count = u32::from_be_bytes(fields.take()?);
    let first = u64::from_be_bytes(fields.take()?);
    let end = first.checked_add(u64::from(count))?;
    (length <= bytes.len()).then_some((end, length))
}

/// Reads fixed-length fields one after another.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

/// What a segment of the journal holds.
#[derive(Debug)]
pub(super) struct Segment {
    /// The whole batches from its start, each with its position.
    pub(super) batches: Vec<(usize, Batch)>,
    /// The position after the last of them.
    pub(super) end: usize,
    /// What stands there.
    pub(super) tail: Tail,
}

/// What stands after the last whole batch of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing but prepared zeros.
    Clean,
    /// Something that is no batch: a write that never finished, or an altered one.
    Torn,
    /// Something that is no batch, and whole batches after it. A crash cannot leave that behind:
    /// the next batch is written only when the one before is durable.
    Altered,
}

impl Segment {
    /// Reads a whole segment file.
    pub(super) fn scan(bytes: &[u8]) -> Self {
        let mut batches = Vec::new();
        let mut end = 0;
        let mut rest = bytes;
        while let Some((batch, length)) = Batch::decode(rest) {
            batches.push((end, batch));
            end += length;
            rest = rest.get(length..).unwrap_or_default();
        }
        Self { batches, end, tail: Self::judge(rest) }
    }

    fn judge(rest: &[u8]) -> Tail {
        if rest.iter().all(|byte| *byte == 0) {
            return Tail::Clean;
        }
        let later = rest.windows(MAGIC.len()).enumerate().skip(1).any(|(at, window)| {
            window == MAGIC && rest.get(at..).and_then(Batch::decode).is_some()
        });
        if later { Tail::Altered } else { Tail::Torn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(first: u64) -> Batch {
        let entries = vec![b"one".to_vec(), vec![b'x'; 700], Vec::new()];
        Batch { first, entries, root: [5; 32], signature: [6; 64] }
    }

    #[test]
    fn whoever_follows_gets_the_batches_from_their_place_on() {
        let mut bytes: Vec<u8> =
            [7, 10, 13].iter().flat_map(|n| batch(*n).encode().unwrap()).collect();
        let whole = bytes.len();
        bytes.resize(whole + 1000, 0);
        let firsts = |bytes: &[u8], index| {
            let found = batches_from(bytes, index);
            found.into_iter().map(|batch| batch.first).collect::<Vec<_>>()
        };
        assert_eq!(firsts(&bytes, 0), [7, 10, 13]);
        assert_eq!(firsts(&bytes, 9), [7, 10, 13]);
        assert_eq!(firsts(&bytes, 10), [10, 13]);
        assert!(firsts(&bytes, 16).is_empty());
        // One that was altered ends what is read; one that was read before is not looked at.
        let second = batch(7).encode().unwrap().len() + HEADER_BYTES + 3;
        bytes[second] ^= 1;
        assert_eq!((firsts(&bytes, 0), firsts(&bytes, 13)), (vec![7], vec![13]));
        assert_eq!(firsts(&bytes[..whole - 1], 0), [7]);
        assert!(firsts(&[], 0).is_empty());
    }

    #[test]
    fn a_segment_reads_back_with_its_prepared_zeros() {
        let mut bytes = batch(7).encode().unwrap();
        bytes.extend(batch(10).encode().unwrap());
        let end = bytes.len();
        bytes.resize(end + 1000, 0);
        let segment = Segment::scan(&bytes);
        assert_eq!(
            segment.batches.iter().map(|(_, b)| b).collect::<Vec<_>>(),
            [&batch(7), &batch(10)]
        );
        assert_eq!((segment.end, segment.tail), (end, Tail::Clean));
    }

    proptest! {
        #[test]
        fn a_batch_cut_anywhere_is_a_torn_tail(cut in 1_usize..800) {
            let mut bytes = batch(0).encode().unwrap();
            let whole = bytes.len();
            let second = batch(3).encode().unwrap();
            prop_assume!(cut < second.len());
            bytes.extend(&second[..cut]);
            bytes.resize(4096, 0);
            let segment = Segment::scan(&bytes);
            prop_assert_eq!((segment.end, segment.tail), (whole, Tail::Torn));
        }

        #[test]
        fn a_flipped_bit_before_another_batch_is_an_alteration(at in 0_usize..800, bit in 0_u8..8) {
            let mut bytes = batch(0).encode().unwrap();
            prop_assume!(at < bytes.len());
            bytes[at] ^= 1 << bit;
            bytes.extend(batch(3).encode().unwrap());
            prop_assert_eq!(Segment::scan(&bytes).tail, Tail::Altered);
        }
    }
}
