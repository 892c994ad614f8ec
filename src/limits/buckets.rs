//! Amounts by bucket of time, few and in order: sixteen bytes each, since there may be a million of these.

/// What is in each bucket that has something.
#[derive(Debug, Default)]
pub(super) struct Buckets(Vec<(i64, u64)>);

impl Buckets {
    /// The oldest bucket.
    pub(super) fn first(&self) -> Option<i64> {
        self.0.first().map(|(bucket, _)| *bucket)
    }

    pub(super) fn get(&self, bucket: i64) -> Option<u64> {
        let at = self.find(bucket).ok()?;
        self.0.get(at).map(|(_, amount)| *amount)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().copied()
    }

    /// Adds to a bucket; the sum must fit.
    pub(super) fn add(&mut self, bucket: i64, amount: u64) {
        match self.find(bucket) {
            Ok(at) => {
                if let Some((_, held)) = self.0.get_mut(at) {
                    *held = held.saturating_add(amount);
                }
            }
            Err(at) => {
                // Most have few: room for more than one more would be room for nothing.
                if self.0.len() < 4 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (bucket, amount));
            }
        }
    }

    /// Takes from a bucket what is there of an amount; gives that.
    pub(super) fn subtract(&mut self, bucket: i64, amount: u64) -> u64 {
        let Ok(at) = self.find(bucket) else { return 0 };
        let Some((_, held)) = self.0.get_mut(at) else { return 0 };
        let taken = amount.min(*held);
        *held -= taken;
        if *held == 0 {
            self.0.remove(at);
        }
        taken
    }

    /// Drops the buckets that are older; gives what was in them.
    pub(super) fn drop_before(&mut self, oldest: i64) -> u64 {
        if self.first().is_none_or(|first| first >= oldest) {
            return 0;
        }
        let over = self.0.partition_point(|(bucket, _)| *bucket < oldest);
        self.0.drain(..over).fold(0, |sum: u64, (_, amount)| sum.saturating_add(amount))
    }

    fn find(&self, bucket: i64) -> Result<usize, usize> {
        // Nearly always the newest.
        match self.0.last() {
            Some((last, _)) if *last == bucket => Ok(self.0.len() - 1),
            Some((last, _)) if *last < bucket => Err(self.0.len()),
            Some(_) | None => self.0.binary_search_by_key(&bucket, |(known, _)| *known),
        }
    }
}
