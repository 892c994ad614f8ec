//! What a thread keeps of the bodies before: for each of the plans used last, the names in the order in which
//! they came. Working that out anew costs more than reading a small body.
//!
//! It holds names of members, never values, and changes nothing but speed.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};

use crate::policy::plan::Plan;

use super::shape::Shapes;

/// So many plans are remembered by each thread.
const MOST_PLANS: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<(Weak<Plan>, Shapes)>> = const { RefCell::new(Vec::new()) };
}

/// The shapes of a plan, given back when they are dropped.
#[derive(Debug)]
pub(super) struct Lent {
    plan: Arc<Plan>,
    shapes: Shapes,
}

impl Lent {
    /// The shapes of this plan: those of an earlier body, or new ones.
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        let known = KEPT.with_borrow_mut(|kept| {
            // The pointer of a plan that is gone is not used again while somebody still points at it.
            let place = kept.iter().rposition(|(known, _)| known.as_ptr() == Arc::as_ptr(plan))?;
            let (_, mut shapes) = kept.remove(place);
            shapes.begin();
            Some(shapes)
        });
        Self { plan: Arc::clone(plan), shapes: known.unwrap_or_else(|| Shapes::of(plan)) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (plan, shapes) = (Arc::downgrade(&self.plan), std::mem::take(&mut self.shapes));
        // A thread that ends keeps nothing, which is no fault.
        let _ended = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() == MOST_PLANS {
                kept.remove(0);
            }
            kept.push((plan, shapes));
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
