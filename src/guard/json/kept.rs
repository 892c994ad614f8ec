//! What a thread keeps of the bodies before: for each of the plans used last, the names in the order in which
//! they came. Working that out anew costs more than reading a small body.
//!
//! With them goes the memory that the last of those bodies needed, emptied. It holds names of members, never values,
//! and changes nothing but speed.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};

use crate::policy::plan::Plan;

use super::record::Records;
use super::report::Tally;
use super::shape::Shapes;
use super::token::Frame;

/// So many plans are remembered by each thread.
const MOST_PLANS: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// What is kept of the bodies of a plan.
type Kept = (Weak<Plan>, Shapes, Box<Memory>);

/// What a filter works with, for its memory: another body of the same plan needs as much.
#[derive(Debug)]
struct Memory {
    frames: Vec<Frame>,
    records: Records,
    tally: Tally,
}

impl Memory {
    fn of(plan: &Plan) -> Self {
        Self { frames: Vec::new(), records: Records::of(plan), tally: Tally::default() }
    }
}

/// The shapes of a plan and memory for a body, given back when they are dropped.
#[derive(Debug)]
pub(super) struct Lent {
    plan: Arc<Plan>,
    shapes: Shapes,
    /// Boxed: moved about, it would cost more than it saves.
    memory: Option<Box<Memory>>,
    /// Whether a filter has the memory, and the one here is only in its place.
    is_out: bool,
}

impl Lent {
    /// The shapes of this plan and memory: those of an earlier body, or new ones.
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        let known = KEPT.with_borrow_mut(|kept| {
            // The pointer of a plan that is gone is not used again while somebody still points at it.
            let place = kept.iter().rposition(|kept| kept.0.as_ptr() == Arc::as_ptr(plan))?;
            let (_, mut shapes, memory) = kept.swap_remove(place);
            shapes.begin();
            Some((shapes, memory))
        });
        let new = || (Shapes::of(plan), Box::new(Memory::of(plan)));
        let (shapes, memory) = known.unwrap_or_else(new);
        Self { plan: Arc::clone(plan), shapes, memory: Some(memory), is_out: false }
    }

    /// Gives the memory to a filter for what it has, and takes it back once a body was read to its end.
    pub(super) fn swap(
        &mut self,
        frames: &mut Vec<Frame>,
        records: &mut Records,
        tally: &mut Tally,
    ) {
        if let Some(memory) = &mut self.memory {
            self.is_out = !self.is_out;
            std::mem::swap(&mut memory.frames, frames);
            std::mem::swap(&mut memory.records, records);
            std::mem::swap(&mut memory.tally, tally);
        }
    }

    /// The memory without any values, and without what is more than most bodies need.
    fn emptied(&mut self) -> Box<Memory> {
        let back = self.memory.take().filter(|_| !self.is_out);
        let emptied = back.and_then(|mut memory| {
            memory.tally.begin();
            (memory.frames.is_empty() && memory.records.empty()).then_some(memory)
        });
        emptied.unwrap_or_else(|| Box::new(Memory::of(&self.plan)))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (plan, shapes) = (Arc::downgrade(&self.plan), std::mem::take(&mut self.shapes));
        let memory = self.emptied();
        // A thread that ends keeps nothing, which is no fault.
        let _ended = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() == MOST_PLANS {
                kept.remove(0);
            }
            kept.push((plan, shapes, memory));
        });
    }
}

impl Deref for Lent {
    type Target = Shapes;

    fn deref(&self) -> &Shapes {
        &self.shapes
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Shapes {
        &mut self.shapes
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::super::rules::{customers, filter};
    use super::*;

    const BODY: &str =
        r#"[{"id":"Alice","state":"half","name":"Alice"},{"id":"Bob","state":"open"}]"#;

    #[test]
    fn no_value_stays_behind() {
        filter(&customers(), Mode::Drop, 9, BODY.as_bytes()).unwrap();
        let kept = KEPT.with_borrow(|kept| format!("{kept:?}"));
        assert!(kept.contains("Text(\"\")"), "the memory of a value: {kept}");
        assert!(!kept.contains("Alice") && !kept.contains("Bob"), "{kept}");
    }

    #[test]
    fn a_body_that_was_refused_or_cut_off_changes_nothing_for_the_next_one() {
        let plan = customers();
        let wanted = filter(&plan, Mode::Drop, 9, BODY.as_bytes());
        for end in 0..BODY.len() {
            let broken = [BODY.as_bytes().get(..end).unwrap(), b"\x01"].concat();
            filter(&plan, Mode::Drop, 9, &broken).unwrap_err();
            assert_eq!(filter(&plan, Mode::Drop, 9, BODY.as_bytes()), wanted, "{end}");
        }
    }
}
