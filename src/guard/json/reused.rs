//! Things that come and go in the same order again and again, kept for their memory.

/// A vector whose elements stay, as they were left, when they are taken off its end.
#[derive(Debug)]
pub(super) struct Reused<T> {
    items: Vec<T>,
    length: usize,
}

impl<T> Default for Reused<T> {
    fn default() -> Self {
        Self { items: Vec::new(), length: 0 }
    }
}

impl<T> Reused<T> {
    /// Adds an element as it was left, or a new one.
    #[inline(always)]
    pub(super) fn push(&mut self, new: impl FnOnce() -> T) -> Option<&mut T> {
        if self.length == self.items.len() {
            self.items.push(new());
        }
        self.length += 1;
        self.items.get_mut(self.length - 1)
    }

    /// Takes all elements behind the first `length` off.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Visits what is left of all elements there ever were, of which only the first `most` stay.
    pub(super) fn each(&mut self, most: usize, visit: impl FnMut(&mut T)) {
        self.items.truncate(most);
        self.length = self.length.min(most);
        self.items.iter_mut().for_each(visit);
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        self.items.get(..self.length).unwrap_or_default()
    }

    #[inline]
    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.items.get_mut(self.length.checked_sub(1)?)
    }
}
