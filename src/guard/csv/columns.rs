//! What each column means, by the names in the header row. A field inside an object is `address.city`;
//! lists cannot stand in a cell, so nothing of them passes.

use std::collections::{HashMap, HashSet};

use crate::guard::json::Report;
use crate::policy::plan::{Node, NodeId, ObjectNode, Plan, RecordId, Slot, Verdict};

use super::treatment::{Treatment, passes};

/// The columns of a body, without those that the plan does not list.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) record: RecordId,
    pub(super) subject: Subject,
    /// The cells that are looked at, in the order in which they stand.
    pub(super) listed: Vec<Listed>,
    /// Cells that conditions read, with the capture slot each fills.
    pub(super) captures: Vec<(usize, u16)>,
    /// What happens to a record, for each node that it can have.
    treatments: Vec<Treatment>,
    /// For each outcome of the conditions, the place of its treatment.
    cases: Vec<Option<usize>>,
}

/// Where the data subject's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The record has none.
    None,
    /// The record has one, of which there is no column.
    Missing,
    /// In the cell at this place.
    At(usize),
}

/// A column that the plan lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    /// Its place in the row.
    pub(super) place: usize,
    /// Whether it passes for any record. If not, it leaves no trace.
    pub(super) is_shown: bool,
}

/// By column name, the slots of an object and of the objects inside it.
type Slots = HashMap<String, Slot>;

impl Columns {
    /// Finds the meaning of columns with these names; `None` if the plan's body is no array of records.
    ///
    /// Notes in the report which names the plan does not list, if it lists any: a first row of which it
    /// lists none is no header, but perhaps a customer.
    pub(super) fn of(plan: &Plan, names: &[String], report: &mut Report) -> Option<Self> {
        let (record, standing) = record(plan)?;
        let assumed = slots(plan, standing);
        // Of an object of which nothing passes, the plan does not list what is inside.
        let is_closed = |name: &str| assumed.get(name).is_some_and(|slot| *slot == ABSENT);
        let is_listed = |name: &str| {
            let mut outer = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
            assumed.contains_key(name) || outer.any(is_closed)
        };
        let (known, unknown): (Vec<_>, Vec<_>) =
            names.iter().enumerate().partition(|(_, name)| is_listed(name));
        if !known.is_empty() {
            report.unlisted_members += unknown.len() as u64;
            for (_, name) in unknown {
                report.note_unlisted(standing, name);
            }
        }
        let plan_of_record = plan.record(record)?;
        let mut nodes: Vec<NodeId> = plan_of_record.cases.iter().flatten().copied().collect();
        nodes.sort_by_key(|node| node.0);
        nodes.dedup();
        let slots_of = |node: &NodeId| {
            let slots = slots(plan, *node);
            let slot = |name: &str| slots.get(name).copied().unwrap_or(ABSENT);
            known.iter().map(|(_, name)| slot(name)).collect::<Vec<Slot>>()
        };
        let by_node: Vec<Vec<Slot>> = nodes.iter().map(slots_of).collect();
        let is_shown =
            |index: usize| by_node.iter().filter_map(|slots| slots.get(index)).any(passes);
        let listed: Vec<Listed> = known
            .iter()
            .enumerate()
            .map(|(index, (place, _))| Listed { place: *place, is_shown: is_shown(index) })
            .collect();
        let treatments = nodes.iter().zip(by_node).map(|(node, slots)| {
            let columns: Vec<(Listed, Slot)> = listed.iter().copied().zip(slots).collect();
            Treatment::of(plan, *node, &columns)
        });
        let cases = plan_of_record.cases.iter();
        let cases = cases.map(|case| nodes.iter().position(|node| Some(*node) == *case));
        let captures: Vec<(usize, u16)> = known
            .iter()
            .filter_map(|(place, name)| Some((*place, assumed.get(name.as_str())?.capture?)))
            .collect();
        let place = |wanted| captures.iter().rev().find(|(_, slot)| *slot == wanted);
        let subject = plan_of_record.subject.map_or(Subject::None, |wanted| {
            place(wanted).map_or(Subject::Missing, |(place, _)| Subject::At(*place))
        });
        Some(Self {
            record,
            subject,
            captures,
            treatments: treatments.collect(),
            cases: cases.collect(),
            listed,
        })
    }

    /// How many outcomes the conditions can have.
    pub(super) fn cases(&self) -> usize {
        self.cases.len()
    }

    /// What happens to a record whose conditions had this outcome; `None` if it is withheld.
    #[inline]
    pub(super) fn treatment(&mut self, case: usize) -> Option<&mut Treatment> {
        let place = self.cases.get(case).copied().flatten()?;
        self.treatments.get_mut(place).filter(|treatment| treatment.passes)
    }

    /// Counts what happened to the cells of the rows that were written.
    pub(super) fn settle(&mut self, report: &mut Report) {
        self.treatments.iter_mut().for_each(|treatment| treatment.settle(report));
    }

    /// How many columns pass for any record.
    pub(super) fn shown(&self) -> usize {
        self.listed.iter().filter(|column| column.is_shown).count()
    }
}

const ABSENT: Slot =
    Slot { verdict: Verdict::Absent, capture: None, field: None, mask: None, detect: None };

/// Whether two columns have one name.
pub(super) fn has_duplicate(names: &[String]) -> bool {
    let mut seen = HashSet::new();
    !names.iter().all(|name| seen.insert(name.as_str()))
}

/// The record that each element of the body is, and the node that stands there.
fn record(plan: &Plan) -> Option<(RecordId, NodeId)> {
    let entered = |slot: &Slot| match slot.verdict {
        Verdict::Enter(node) => Some(node),
        Verdict::Absent | Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => None,
    };
    let Node::Array(element) = plan.node(entered(&plan.root)?)? else { return None };
    let standing = entered(element)?;
    let Node::Object(object) = plan.node(standing)? else { return None };
    Some((object.record?, standing))
}

fn slots(plan: &Plan, node: NodeId) -> Slots {
    let mut slots = Slots::new();
    let mut ahead = vec![(String::new(), node)];
    // A plan is a tree of records; the count only bounds one that contradicts itself.
    for _ in 0..=plan.nodes.len() {
        let Some((prefix, node)) = ahead.pop() else { break };
        let Some(Node::Object(object)) = plan.node(node) else { continue };
        let is_record_inside = !prefix.is_empty() && object.record.is_some();
        if !is_record_inside {
            add(object, &prefix, &mut slots, &mut ahead);
        }
    }
    slots
}

fn add(object: &ObjectNode, prefix: &str, slots: &mut Slots, ahead: &mut Vec<(String, NodeId)>) {
    for (name, slot) in &object.members {
        let name = format!("{prefix}{name}");
        if let Verdict::Enter(inside) = slot.verdict {
            ahead.push((format!("{name}."), inside));
        }
        // Two ways to one name: nobody can say which field is meant.
        slots.entry(name).and_modify(|slot| *slot = ABSENT).or_insert(*slot);
    }
}
