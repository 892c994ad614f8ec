//! Recorded decisions made again on another policy: what would be different, and for whom.
//!
//! It takes the bytes of entries and gives a report; who runs it reads the log. What an entry does not hold
//! is never guessed: a decision that depends on it is counted as undetermined.

mod question;
mod recorded;
mod tally;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

pub use question::Question;
use recorded::Recorded;
use tally::{Case, Changes, Groups};
pub use tally::{Changed, Group, Tally};

use crate::policy::{Finding, Program, Route, Ruling, Treatment};

/// Different questions that are remembered; then what is known so far is added up and forgotten.
const CASES: usize = 100_000;
/// Different routes of the log that are remembered.
const ROUTES: usize = 10_000;

/// Why a recorded decision is not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// It ended before the policy was asked, or after it allowed: no caller, no route, a limit, a query.
    NotByPolicy,
    /// It is not of the form of an entry of this log.
    Unreadable,
    /// An entry, of a decision or of anything else, that is sealed or destroyed.
    Closed,
}

/// What replaying found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Decisions of the log's policies that were made again.
    pub decisions: u64,
    /// Those that would be as they were.
    pub same: u64,
    /// Those that would be different.
    pub different: u64,
    /// Those that depend on what the entry does not hold.
    pub undetermined: u64,
    /// Decisions that were not made again, by why.
    pub left_out: BTreeMap<LeftOut, u64>,
    /// Each difference, and how often.
    pub changes: Vec<Changed>,
    /// Differences by route.
    pub routes: Vec<Group>,
    /// By rule of either policy.
    pub rules: Vec<Group>,
    /// By role of the caller.
    pub roles: Vec<Group>,
    /// By account.
    pub accounts: Vec<Group>,
    /// The rules that leave decisions undetermined, or what was not recorded in brackets.
    pub open: Vec<Group>,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay<'p> {
    new: Side<'p>,
    /// The policy to compare with; without it, what was recorded is.
    old: Option<Side<'p>>,
    cases: Vec<Case>,
    known: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
    report: Report,
    /// What was asked before is passed over.
    begin_unix_s: i64,
    changes: Changes,
    groups: [Groups; 5],
}

/// One of the programs, and what of it is remembered.
#[derive(Debug)]
struct Side<'p> {
    program: &'p Program,
    routes: HashMap<Box<[u8]>, Option<Arc<Route>>>,
    /// The last minute of which the time key was asked.
    minute: Option<(i64, Vec<u8>)>,
}

impl<'p> Replay<'p> {
    /// Replays on `new`, and compares with what was recorded, or with what `old` says.
    #[must_use]
    pub fn new(new: &'p Program, old: Option<&'p Program>) -> Self {
        Self {
            new: Side::new(new),
            old: old.map(Side::new),
            cases: Vec::new(),
            known: HashMap::new(),
            key: Vec::new(),
            report: Report::default(),
            begin_unix_s: i64::MIN,
            changes: Changes::default(),
            groups: Default::default(),
        }
    }

    /// Passes over what was asked before this time.
    pub fn begin_at(&mut self, unix_s: i64) {
        self.begin_unix_s = unix_s;
    }

    /// Takes the stored bytes of the next entry of the log, whatever it is about.
    ///
    /// Time: that of reading them where an equal question was decided before.
    pub fn take(&mut self, frame: &[u8]) {
        match Recorded::read(frame) {
            Ok(Some(recorded)) => self.decide(&recorded),
            Ok(None) => {}
            Err(_) => self.leave_out(LeftOut::Unreadable),
        }
    }

    /// Notes that the next entry of the log cannot be opened.
    pub fn take_closed(&mut self) {
        self.leave_out(LeftOut::Closed);
    }

    fn decide(&mut self, recorded: &Recorded<'_>) {
        let Some(time) = recorded.unix_s() else {
            return self.leave_out(LeftOut::Unreadable);
        };
        if time < self.begin_unix_s {
            return;
        }
        let by_policy = recorded.decision.policy.some().is_some()
            && recorded.actor.account.some().is_some()
            && recorded.request.route.some().is_some();
        if !by_policy {
            return self.leave_out(LeftOut::NotByPolicy);
        }
        let question = Question::of(recorded, time);
        self.report.decisions += 1;
        let route = self.new.route(&question);
        let old_route = self.old.as_mut().map(|old| old.route(&question));
        self.write_key(recorded, &question, route.as_ref(), old_route.as_ref());
        let at = match self.known.get(self.key.as_slice()) {
            Some(at) => *at,
            None => self.remember(recorded, &question, route.as_ref(), old_route),
        };
        if let Some(case) = self.cases.get_mut(at) {
            case.add(recorded.actor.account.as_str(), recorded.id.as_str());
        }
    }

    fn leave_out(&mut self, why: LeftOut) {
        *self.report.left_out.entry(why).or_default() += 1;
    }

    /// All that this decision and its record depend on.
    fn write_key(
        &mut self,
        recorded: &Recorded<'_>,
        question: &Question,
        route: Option<&Arc<Route>>,
        old_route: Option<&Option<Arc<Route>>>,
    ) {
        let key = &mut self.key;
        key.clear();
        self.new.write_key(question, route, key);
        match (&mut self.old, old_route) {
            (Some(old), Some(route)) => old.write_key(question, route.as_ref(), key),
            (_, _) => {
                let data = &recorded.data;
                let lists = [&data.clear, &data.masked, &data.pseudonym, &recorded.decision.rules];
                for names in lists {
                    names.iter().for_each(|name| put(key, name));
                    key.push(u8::from(names.is_cut));
                }
                put(key, recorded.decision.effect.as_str());
                put(key, recorded.result.cause.as_str());
            }
        }
        put(key, recorded.request.route.as_str());
        recorded.actor.roles.iter().for_each(|role| put(key, role));
        searched(recorded).for_each(|name| put(key, name));
    }

    fn remember(
        &mut self,
        recorded: &Recorded<'_>,
        question: &Question,
        route: Option<&Arc<Route>>,
        old_route: Option<Option<Arc<Route>>>,
    ) -> usize {
        if self.cases.len() >= CASES {
            self.add_up();
        }
        let mut case = Case {
            route: recorded.request.route.as_str().to_owned(),
            roles: recorded.actor.roles.iter().map(str::to_owned).collect(),
            ..Case::default()
        };
        let names: Vec<&str> = searched(recorded).collect();
        let (new, mut open) = found(self.new.program, question, route, &names);
        let old = match (&self.old, old_route) {
            (Some(old), Some(route)) => {
                let (old, further) = found(old.program, question, route.as_ref(), &names);
                open.extend(further);
                old
            }
            (_, _) => as_recorded(recorded),
        };
        open.sort_unstable();
        open.dedup();
        if open.is_empty() {
            case.changes = old.changes_to(&new);
            case.rules = old.rules_behind(&new).into_iter().map(str::to_owned).collect();
        }
        case.open = open.into_iter().map(str::to_owned).collect();
        self.cases.push(case);
        let at = self.cases.len() - 1;
        self.known.insert(self.key.as_slice().into(), at);
        at
    }

    /// Adds up what is known, and forgets the questions.
    fn add_up(&mut self) {
        self.known.clear();
        for case in std::mem::take(&mut self.cases) {
            let [routes, rules, roles, accounts, open] = &mut self.groups;
            if !case.open.is_empty() {
                self.report.undetermined += case.count;
                for name in &case.open {
                    open.add(name, case.count, &case.examples, &[]);
                }
                continue;
            }
            if case.changes.is_empty() {
                self.report.same += case.count;
                continue;
            }
            self.report.different += case.count;
            let (count, examples, changes) = (case.count, &case.examples, &case.changes);
            self.changes.add(changes, count, examples);
            routes.add(&case.route, count, examples, changes);
            case.rules.iter().for_each(|rule| rules.add(rule, count, examples, changes));
            if case.rules.is_empty() {
                rules.add("(no rule)", count, examples, changes);
            }
            case.roles.iter().for_each(|role| roles.add(role, count, examples, changes));
            for (account, tally) in &case.accounts {
                accounts.add(account, tally.count, &tally.examples, changes);
            }
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.add_up();
        let [routes, rules, roles, accounts, open] = self.groups.map(Groups::finish);
        let changes = self.changes.finish();
        Report { changes, routes, rules, roles, accounts, open, ..self.report }
    }
}

impl<'p> Side<'p> {
    fn new(program: &'p Program) -> Self {
        Self { program, routes: HashMap::new(), minute: None }
    }

    fn route(&mut self, question: &Question) -> Option<Arc<Route>> {
        let mut key = Vec::new();
        [&question.zone, &question.host, &question.method, &question.template]
            .into_iter()
            .for_each(|part| put(&mut key, part));
        if let Some(route) = self.routes.get(key.as_slice()) {
            return route.clone();
        }
        if self.routes.len() >= ROUTES {
            self.routes.clear();
        }
        let route = question.route_in(self.program);
        self.routes.insert(key.into(), route.clone());
        route
    }

    fn write_key(&mut self, question: &Question, route: Option<&Arc<Route>>, key: &mut Vec<u8>) {
        let Some(route) = route else {
            key.push(0);
            return;
        };
        key.push(1);
        question.key(self.program, route, key);
        let minute = question.now_unix_s().div_euclid(60);
        if self.minute.as_ref().is_none_or(|(last, _)| *last != minute) {
            self.minute = Some((minute, self.program.time_key(minute.saturating_mul(60))));
        }
        if let Some((_, times)) = &self.minute {
            key.extend_from_slice(times);
        }
    }
}

/// Decides, and says on which rules it depends that cannot be judged.
fn found<'p>(
    program: &'p Program,
    question: &Question,
    route: Option<&Arc<Route>>,
    parameters: &[&str],
) -> (Finding, Vec<&'p str>) {
    let Some(route) = route else { return (Finding::nothing(), Vec::new()) };
    let decided = program.decide(&question.query(route));
    let finding = Finding::of(&decided, parameters.iter().copied());
    (finding, question.undetermined(program, route))
}

fn as_recorded(recorded: &Recorded<'_>) -> Finding {
    let ruling = match (recorded.decision.effect.as_str(), recorded.result.cause.as_str()) {
        ("allow", _) => Ruling::Allowed,
        (_, "step_up") => Ruling::StepUp,
        (_, _) => Ruling::Denied,
    };
    let data = &recorded.data;
    let lists = [
        (&data.clear, Treatment::Clear),
        (&data.masked, Treatment::Masked),
        (&data.pseudonym, Treatment::Pseudonym),
    ];
    let is_cut = lists.iter().any(|(names, _)| names.is_cut);
    let fields = lists.iter().flat_map(|(names, how)| names.iter().map(|name| (name, *how)));
    // The entry of a refusal has its reasons in words only.
    let rules = &recorded.decision.rules;
    let rules = (ruling == Ruling::Allowed && !rules.is_cut).then(|| rules.iter());
    Finding::recorded(ruling, rules, fields, is_cut)
}

/// The query parameters of a request; those of the path stand in braces.
fn searched<'r>(recorded: &'r Recorded<'_>) -> impl Iterator<Item = &'r str> {
    let names = recorded.request.query.parameters.iter().map(|used| used.parameter.as_str());
    names.filter(|name| !name.starts_with('{'))
}

fn put(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&text.len().to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

/// The question behind one entry, and the version of the policy that decided it; `None` if the entry is
/// no decision that a policy made.
#[must_use]
pub fn question_of(frame: &[u8]) -> Option<(Question, String)> {
    let recorded = Recorded::read(frame).ok()??;
    let policy = recorded.decision.policy.some()?.to_owned();
    recorded.request.route.some()?;
    Some((Question::of(&recorded, recorded.unix_s()?), policy))
}

#[cfg(test)]
mod tests;
