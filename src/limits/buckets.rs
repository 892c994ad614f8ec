//! Amounts by bucket of time, few and in order: sixteen bytes each, since there may be a million of these.

/// What is in each bucket that has something.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    list: Vec<(i64, u64)>,
    /// The oldest bucket, here as well: whether anything is over is asked by every request, and what lies elsewhere in
    /// memory is dear among a million.
    first: Option<i64>,
}

impl Buckets {
    /// The oldest bucket.
    pub(super) fn first(&self) -> Option<i64> {
        self.first
    }

    pub(super) fn get(&self, bucket: i64) -> Option<u64> {
        let at = self.find(bucket).ok()?;
        self.list.get(at).map(|(_, amount)| *amount)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.list.iter().copied()
    }

    /// Adds to a bucket; the sum must fit.
    pub(super) fn add(&mut self, bucket: i64, amount: u64) {
        match self.find(bucket) {
            Ok(at) => {
                if let Some((_, held)) = self.list.get_mut(at) {
                    *held = held.saturating_add(amount);
                }
            }
            Err(at) => {
                // Most have few: room for more than one more would be room for nothing.
                if self.list.len() < 4 {
                    self.list.reserve_exact(1);
                }
                self.list.insert(at, (bucket, amount));
                self.look();
            }
        }
    }

    /// Takes from a bucket what is there of an amount; gives that.
    pub(super) fn subtract(&mut self, bucket: i64, amount: u64) -> u64 {
        let Ok(at) = self.find(bucket) else { return 0 };
        let Some((_, held)) = self.list.get_mut(at) else { return 0 };
        let taken = amount.min(*held);
        *held -= taken;
        if *held == 0 {
            self.list.remove(at);
            self.look();
        }
        taken
    }

    /// Drops the buckets that are older; gives what was in them.
    pub(super) fn drop_before(&mut self, oldest: i64) -> u64 {
        if self.first().is_none_or(|first| first >= oldest) {
            return 0;
        }
        let over = self.list.partition_point(|(bucket, _)| *bucket < oldest);
        let gone = self.list.drain(..over);
        let sum = gone.fold(0, |sum: u64, (_, amount)| sum.saturating_add(amount));
        self.look();
        sum
    }

    fn look(&mut self) {
        self.first = self.list.first().map(|(bucket, _)| *bucket);
    }

    fn find(&self, bucket: i64) -> Result<usize, usize> {
        // Nearly always the newest.
        match self.list.last() {
            Some((last, _)) if *last == bucket => Ok(self.list.len() - 1),
            Some((last, _)) if *last < bucket => Err(self.list.len()),
            Some(_) | None => self.list.binary_search_by_key(&bucket, |(known, _)| *known),
        }
    }
}
