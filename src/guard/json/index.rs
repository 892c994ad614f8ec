//! Where the quotes, backslashes and control characters of a text stand, found in a pass of its own just
//! ahead of the filter: whoever reads one string after the other need not find the end of each before the
//! next can be looked at.

use fearless_simd::{Level, Simd, SimdBase, SimdInto, SimdMask, dispatch, u8x64, u32x16};

/// So many bytes are compared at once.
const BLOCK_BYTES: usize = 64;
/// So many places are written at once, wanted or not.
const GROUP: usize = 16;

type Block = [u8; BLOCK_BYTES];

/// The special bytes of a chunk, as far as it was looked at and not yet gone by.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Places in the chunk, in order. What lies behind `length` means nothing.
    places: Vec<u32>,
    length: usize,
    /// The first that was not gone by.
    next: usize,
    /// How far the chunk was looked at.
    end: usize,
}

impl Index {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), length: 0, next: 0, end: 0 }
    }

    /// Starts on a chunk.
    pub(super) fn begin(&mut self) {
        (self.length, self.next, self.end) = (0, 0, 0);
    }

    /// Looks at the chunk up to `end`. What lies before `pos` is forgotten.
    #[inline]
    pub(super) fn look(&mut self, chunk: &[u8], pos: usize, end: usize) {
        if self.end < end {
            self.go_by(pos);
            self.look_on(chunk.get(self.end..end).unwrap_or_default());
            self.end = end;
        }
    }

    fn look_on(&mut self, window: &[u8]) {
        // Beyond 4 GiB of one chunk nothing is noted: strings are read the long way there.
        let Ok(from) = u32::try_from(self.end) else { return };
        self.places.copy_within(self.next..self.length, 0);
        self.length -= self.next;
        self.next = 0;
        let room = self.length + window.len() + BLOCK_BYTES + GROUP;
        if self.places.len() < room {
            self.places.resize(room, 0);
        }
        let places = self.places.get_mut(self.length..).unwrap_or_default();
        self.length += find(window, from, places);
    }

    fn go_by(&mut self, pos: usize) {
        let known = self.places.get(self.next..self.length).unwrap_or_default();
        self.next = self.length - seek(known, pos).len();
    }

    /// The places from `pos` on.
    #[inline]
    pub(super) fn from(&mut self, pos: usize) -> &[u32] {
        self.go_by(pos);
        self.places.get(self.next..self.length).unwrap_or_default()
    }

    /// Goes by all places but the last ones, `left` of them.
    #[inline]
    pub(super) fn leave(&mut self, left: usize) {
        self.next = self.length.saturating_sub(left);
    }
}

/// The places from `pos` on.
#[inline]
pub(super) fn seek(places: &[u32], pos: usize) -> &[u32] {
    let gone_by = places.iter().position(|place| *place as usize >= pos);
    places.get(gone_by.unwrap_or(places.len())..).unwrap_or_default()
}

/// Writes the places of the special bytes of a window that starts at `from`, and says how many there are.
fn find(window: &[u8], from: u32, places: &mut [u32]) -> usize {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = level.as_avx512() {
        return find_avx512(avx512, window, from, places);
    }
    dispatch!(level, simd => find_any(simd, window, from, places))
}

/// What every processor can do, with the widest registers that it has.
#[inline(always)]
fn find_any<S: Simd>(simd: S, window: &[u8], mut from: u32, places: &mut [u32]) -> usize {
    let mut length = 0;
    let (blocks, last) = blocks(window);
    for block in blocks.iter().chain(&last) {
        let mut special = special(simd, block);
        let end = length + special.count_ones() as usize;
        while length < end
            && let Some(group) = group(places, length)
        {
            for place in group {
                *place = from.wrapping_add(special.trailing_zeros());
                special &= special.wrapping_sub(1);
            }
            length += GROUP;
        }
        (length, from) = (end, from.wrapping_add(64));
    }
    length
}

#[cfg(target_arch = "x86_64")]
fearless_simd::kernel!(
    /// The same where one instruction packs the places of a block side by side.
    fn find_avx512(simd: Avx512, window: &[u8], from: u32, places: &mut [u32]) -> usize {
        use core::arch::x86_64::{
            _mm512_castsi512_si128, _mm512_cvtepu8_epi32, _mm512_maskz_compress_epi8,
            _mm512_shuffle_i64x2,
        };
        let mut length = 0;
        let counting: u8x64<_> = COUNTING.simd_into(simd);
        let mut from = u32x16::splat(simd, from);
        let (blocks, last) = blocks(window);
        for block in blocks.iter().chain(&last) {
            let special = special(simd, block);
            let mut packed = _mm512_maskz_compress_epi8(special, counting.into());
            let end = length + special.count_ones() as usize;
            while length < end
                && let Some(group) = group(places, length)
            {
                let offsets = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed));
                let offsets: u32x16<_> = offsets.simd_into(simd);
                *group = (offsets + from).into();
                // The next sixteen bytes come to the front.
                packed = _mm512_shuffle_i64x2::<0b00_11_10_01>(packed, packed);
                length += GROUP;
            }
            (length, from) = (end, from + 64);
        }
        length
    }
);

/// 0, 1, 2 and so on.
#[cfg(target_arch = "x86_64")]
const COUNTING: Block = {
    let mut counting = [0; BLOCK_BYTES];
    let mut rest: &mut [u8] = &mut counting;
    let mut place = 0;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = place;
        place += 1;
        rest = others;
    }
    counting
};

/// Room for a group of places.
#[inline(always)]
fn group(places: &mut [u32], length: usize) -> Option<&mut [u32; GROUP]> {
    places.get_mut(length..)?.first_chunk_mut()
}

/// The blocks of a window, the last one filled up with spaces.
#[inline(always)]
fn blocks(window: &[u8]) -> (&[Block], Option<Block>) {
    let (blocks, rest) = window.as_chunks();
    let mut last = [b' '; BLOCK_BYTES];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    (blocks, (!rest.is_empty()).then_some(last))
}

/// Has a bit set for each special byte of a block, the first byte's lowest.
#[inline(always)]
fn special<S: Simd>(simd: S, block: &Block) -> u64 {
    let block: u8x64<S> = (*block).simd_into(simd);
    let is = block.simd_eq(b'"') | block.simd_eq(b'\\') | block.simd_lt(b' ');
    is.to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_special(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | ..0x20)
    }

    /// What the index should hold, found by a look at each byte.
    fn wanted(text: &[u8]) -> Vec<u32> {
        let places = text.iter().zip(0..).filter(|(byte, _)| is_special(**byte));
        places.map(|(_, place)| place).collect()
    }

    #[test]
    fn each_byte_is_special_or_not_at_each_place_of_a_block() {
        for byte in 0..=u8::MAX {
            for place in 0..130 {
                let mut text = vec![b'x'; 130];
                text[place] = byte;
                let mut index = Index::new();
                index.look(&text, 0, text.len());
                assert_eq!(index.from(0), wanted(&text), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn every_processor_finds_the_same() {
        let text: Vec<u8> = (0..1000_u32).map(|n| (n * n % 251).to_le_bytes()[0] % 40).collect();
        for level in [Level::baseline(), Level::new()] {
            let mut places = vec![0; text.len() + 100];
            let length = dispatch!(level, simd => find_any(simd, &text, 0, &mut places));
            assert_eq!(places[..length], wanted(&text));
        }
    }

    #[test]
    fn what_was_gone_by_needs_no_memory() {
        let text = vec![b'"'; 1 << 20];
        let mut index = Index::new();
        for end in (0..=text.len()).step_by(4096) {
            index.look(&text, end.saturating_sub(100), end);
        }
        assert!(index.places.len() < 3 * 4096);
    }

    proptest! {
        #[test]
        fn windows_of_any_size_find_what_one_look_finds(
            text in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'"')], 0..600),
            steps in prop::collection::vec(1..150_usize, 1..40),
        ) {
            let (mut index, mut end, mut pos) = (Index::new(), 0, 0);
            for step in steps {
                end = text.len().min(end + step);
                index.look(&text, pos, end);
                let from: Vec<u32> = wanted(&text[..end]).into_iter().filter(|p| *p as usize >= pos).collect();
                prop_assert_eq!(index.from(pos), &from);
                if step % 3 == 0 {
                    let left = from.len() / 2;
                    index.leave(left);
                    pos = from.get(from.len() - left).map_or(end, |place| *place as usize);
                } else {
                    pos = end.saturating_sub(step / 2).max(pos);
                }
            }
        }
    }
}
