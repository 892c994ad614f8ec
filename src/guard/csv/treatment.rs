//! What happens to the cells of a record, column by column. Worked out once from the header: rows only follow it.

use crate::guard::json::Report;
use crate::guard::json::report::Fate;
use crate::policy::kind::Mask;
use crate::policy::plan::{DetectId, FieldId, Node, NodeId, Plan, Slot, Verdict};

use super::columns::Listed;

/// What happens to a record with one node.
#[derive(Debug)]
pub(super) struct Treatment {
    /// Whether any cell passes.
    pub(super) passes: bool,
    /// See [`ObjectNode::unmasks`](crate::policy::plan::ObjectNode::unmasks).
    pub(super) unmasks: bool,
    /// What is written, in order.
    pub(super) steps: Vec<Step>,
    /// What happens to each cell that is not looked through, in every row.
    fates: Vec<(FieldId, Fate)>,
    /// How many rows were written since that was last counted.
    pub(super) rows: u64,
}

/// What is written of one or more columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The first column's place in the row.
    pub(super) place: usize,
    pub(super) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The cells up to the one at this place pass as they came.
    Pass(usize),
    /// The cell passes if nothing is found in it.
    Search(DetectId, Option<FieldId>),
    /// The cell is replaced by its masked form; wholly, where no kind says how.
    Mask(Option<Mask>),
    /// The cell is replaced by a pseudonym.
    Pseudonym(Option<FieldId>),
    /// The cell is empty, since the column passes only for other records.
    Blank,
}

impl Treatment {
    /// What happens to the listed columns, each with its slot.
    pub(super) fn of(plan: &Plan, node: NodeId, columns: &[(Listed, Slot)]) -> Self {
        let unmasks = matches!(plan.node(node), Some(Node::Object(object)) if object.unmasks);
        let mut steps: Vec<Step> = Vec::new();
        let mut fates = Vec::new();
        for (column, slot) in columns {
            let how = how(slot, column.place);
            if !matches!(how, How::Search(..)) {
                fates.extend(slot.field.map(|field| (field, fate(slot))));
            }
            match (steps.last_mut().map(|step| &mut step.how), how) {
                _ if !column.is_shown => {}
                (Some(How::Pass(to)), How::Pass(end)) if *to == column.place => *to = end,
                _ => steps.push(Step { place: column.place, how }),
            }
        }
        let passes = columns.iter().any(|(_, slot)| passes(slot));
        Self { passes, unmasks, steps, fates, rows: 0 }
    }

    /// Counts what happened to the cells of the rows that were written.
    pub(super) fn settle(&mut self, report: &mut Report) {
        let rows = std::mem::take(&mut self.rows);
        if rows > 0 {
            self.fates.iter().for_each(|(field, fate)| report.count_field(*field, *fate, rows));
        }
    }
}

/// Whether a cell judged by this slot goes out.
pub(super) fn passes(slot: &Slot) -> bool {
    match slot.verdict {
        Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => true,
        Verdict::Absent | Verdict::Enter(_) => false,
    }
}

fn how(slot: &Slot, place: usize) -> How {
    match (slot.verdict, slot.detect) {
        (Verdict::Clear, Some(detection)) => How::Search(detection, slot.field),
        (Verdict::Clear, None) => How::Pass(place + 1),
        (Verdict::Mask, _) => How::Mask(slot.mask),
        (Verdict::Pseudonym, _) => How::Pseudonym(slot.field),
        (Verdict::Absent | Verdict::Enter(_), _) => How::Blank,
    }
}

fn fate(slot: &Slot) -> Fate {
    match slot.verdict {
        Verdict::Clear => Fate::Clear,
        Verdict::Mask => Fate::Masked,
        Verdict::Pseudonym => Fate::Pseudonym,
        Verdict::Absent | Verdict::Enter(_) => Fate::Withheld,
    }
}
