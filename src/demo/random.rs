//! A small seeded generator (splitmix64), so that the demo's people are the same on every machine.
//!
//! Not for secrets: whoever knows the seed knows every value.

/// Draws numbers, digits and table entries from a seed.
pub(super) struct Random(u64);

/// The odd constant of splitmix64: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Random {
    /// The generator of one item: item 7 is the same whether ten or ten thousand are made.
    pub(super) fn for_item(seed: u64, index: u64) -> Self {
        let mut start = Self(seed ^ index.wrapping_mul(GOLDEN));
        Self(start.number())
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `bound`; 0 where `bound` is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let scaled = ((self.number() >> 32) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True in `percent` of a hundred draws.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One entry of `table`; the type's default if the table is empty.
    pub(super) fn pick<T: Copy + Default>(&mut self, table: &[T]) -> T {
        let bound = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let at = usize::try_from(self.below(bound)).unwrap_or(0);
        table.get(at).copied().unwrap_or_default()
    }

    /// `count` decimal digits.
    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).filter_map(|_| char::from_digit(self.below(10), 10)).collect()
    }

    /// `count` characters of the base64 alphabet.
    pub(super) fn base64(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(self.pick(BASE64))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_item_draw_the_same_numbers() {
        let draw = |index| Random::for_item(1, index).digits(40);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn the_generator_gives_the_published_sequence_of_splitmix64() {
        let mut random = Random(1_234_567);
        assert_eq!(random.number(), 6_457_827_717_110_365_317);
        assert_eq!(random.number(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_both_ends() {
        let mut random = Random::for_item(3, 0);
        let drawn: Vec<u32> = (0..1_000).map(|_| random.between(4, 6)).collect();
        assert!(drawn.iter().all(|n| (4..=6).contains(n)));
        assert!(drawn.contains(&4) && drawn.contains(&6));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), 0);
    }
}
