//! What is known as bytes, in cells that are kept one by one, so that after a restart the fold goes on where it was.

use std::collections::BTreeMap;

use super::Review;
use super::approvals::Approvals;
use super::person::Person;
use super::staff::Staff;
use super::subjects::{Openers, SHARDS};

/// A part of what is known: its name, and its bytes, or nothing if it is not known any more.
pub type Cell = (String, Option<Vec<u8>>);

const PERSON: &str = "person:";
const SUBJECTS: &str = "subjects:";
const APPROVALS: &str = "approvals:";

impl Review {
    /// What was kept. A cell that cannot be read is left out: somebody is then as new.
    #[must_use]
    pub fn restore(cells: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut review = Self::default();
        for (name, bytes) in cells {
            if let Some(holder) = name.strip_prefix(PERSON) {
                if let Ok(person) = serde_json::from_slice::<Person>(&bytes) {
                    review.people.insert(holder.to_owned(), person);
                }
            } else if name == APPROVALS {
                review.approvals = serde_json::from_slice::<Approvals>(&bytes).unwrap_or_default();
            } else if name.starts_with(SUBJECTS)
                && let Ok(subjects) = serde_json::from_slice::<BTreeMap<u64, Openers>>(&bytes)
            {
                review.subjects.known.extend(subjects);
            }
        }
        review.staff = Staff::of(&review.people);
        review
    }

    /// Takes back cells that could not be kept: they are still to be.
    pub fn not_kept(&mut self, cells: Vec<Cell>) {
        for (name, _) in cells {
            if let Some(holder) = name.strip_prefix(PERSON) {
                self.dirty.insert(holder.to_owned());
            } else if name == APPROVALS {
                self.approvals.is_dirty = true;
            } else if let Some(shard) = name.strip_prefix(SUBJECTS) {
                self.subjects.dirty.extend(shard.parse::<u64>().ok());
            }
        }
    }

    /// The cells that changed since the last time.
    pub fn changed(&mut self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for holder in std::mem::take(&mut self.dirty) {
            let bytes = self.people.get(&holder).and_then(|one| serde_json::to_vec(one).ok());
            cells.push((format!("{PERSON}{holder}"), bytes));
        }
        if std::mem::take(&mut self.approvals.is_dirty) {
            cells.push((APPROVALS.to_owned(), serde_json::to_vec(&self.approvals).ok()));
        }
        for shard in std::mem::take(&mut self.subjects.dirty) {
            let bytes = serde_json::to_vec(&self.subjects.shard(shard)).ok();
            cells.push((format!("{SUBJECTS}{}", shard % SHARDS), bytes));
        }
        cells
    }
}
