//! An order of records that tells whose copy they are: within a few records side by side, they stand in the
//! order of a keyed hash of the file's mark and each record's key. Who has the master key can
//! hold a list against every mark in the log, also if its marked column was taken out.

use crate::secret::{MasterKey, SecretError, Tagger};

/// The key of such orders.
#[derive(Clone, Debug)]
pub struct OrderKey(Tagger);

/// How a list of keys goes with a mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Neighbours in the list that differ.
    pub pairs: u32,
    /// Of these, how many stand in the mark's order.
    pub in_order: u32,
}

impl OrderKey {
    /// Derives the key.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn new(master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self(master.tagger("watermark-order")?))
    }

    /// Where the record with this key belongs in a file with this mark.
    #[must_use]
    pub fn rank(&self, mark: &str, key: &str) -> u64 {
        self.0.short(&[mark.as_bytes(), key.as_bytes()])
    }

    /// Holds a list against a mark. Its cost is a hash for each key.
    #[must_use]
    pub fn fit(&self, mark: &str, keys: &[String]) -> Fit {
        let ranks: Vec<u64> = keys.iter().map(|key| self.rank(mark, key)).collect();
        let mut fit = Fit::default();
        let pairs = ranks.iter().zip(ranks.iter().skip(1));
        // Rows about one person, one after another, say nothing.
        for (first, second) in pairs.filter(|(first, second)| first != second) {
            fit.pairs = fit.pairs.saturating_add(1);
            fit.in_order = fit.in_order.saturating_add(u32::from(first < second));
        }
        fit
    }
}

impl Fit {
    /// Whether chance does not explain it.
    ///
    /// Of `n` neighbours in no order, about `n / 2` stand in any given one, with a variance of `(n + 2) / 12`. Six
    /// deviations above that are met by less than one list in 10^9.
    #[must_use]
    pub fn is_telling(self) -> bool {
        let (pairs, in_order) = (u64::from(self.pairs), u64::from(self.in_order));
        let excess = (2 * in_order).saturating_sub(pairs);
        // excess / 2 >= 6 * sqrt((pairs + 2) / 12), without roots.
        self.pairs > 0 && excess * excess >= 12 * (pairs + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys in windows of sixteen, each in the order of the mark.
    fn marked(key: &OrderKey, mark: &str, count: u32) -> Vec<String> {
        let mut keys: Vec<String> = (0..count).map(|n| format!("C{n}")).collect();
        for window in keys.chunks_mut(16) {
            window.sort_by_key(|one| key.rank(mark, one));
        }
        keys
    }

    #[test]
    fn a_list_in_the_order_of_a_mark_tells_it_and_no_other() {
        let key = OrderKey::new(&MasterKey::from_bytes([3; 32])).unwrap();
        let keys = marked(&key, "wabc", 200);
        let fit = key.fit("wabc", &keys);
        assert!(fit.is_telling() && fit.in_order >= 187, "{fit:?}");
        let other = OrderKey::new(&MasterKey::from_bytes([4; 32])).unwrap();
        assert!(!other.fit("wabc", &keys).is_telling());
        for n in 0..500 {
            assert!(!key.fit(&format!("w{n}"), &keys).is_telling(), "{n}");
        }
    }

    #[test]
    fn some_of_the_rows_tell_it_as_well_and_a_handful_does_not() {
        let key = OrderKey::new(&MasterKey::from_bytes([3; 32])).unwrap();
        let keys = marked(&key, "wabc", 400);
        let part = |step: usize| keys.iter().step_by(step).cloned().collect::<Vec<_>>();
        assert!(key.fit("wabc", &part(2)).is_telling());
        assert!(key.fit("wabc", &keys[100..160]).is_telling());
        assert!(!key.fit("wabc", &keys[..9]).is_telling());
        assert!(!key.fit("wabc", &[]).is_telling());
        assert!(!key.fit("wabc", &vec!["C1".to_owned(); 500]).is_telling());
    }
}
