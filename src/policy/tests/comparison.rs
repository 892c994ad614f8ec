//! The comparison of two programs is sound: whoever gets more from the new one was announced.
//!
//! Pairs are a random policy and the same one after a few random edits, asked with random callers,
//! purposes and records. What is compared is what the guard would do, not what rules say.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::plan::{Node, Plan, Verdict};
use super::super::{
    Factor, Grant, Limits, Parameter, Permit, Principal, Program, Query, Scoped, Value, Window,
    compare, compile,
};
use super::{NOW, capture, filter, slot, source};
use crate::route::Path;

const FIELDS: [&str; 5] = ["id", "a", "b", "c", "d"];
const PARTS: [&str; 2] = ["k", "m"];
const ROLES: [&str; 4] = ["r0", "r1", "r2", "any"];
const ACTIONS: [&str; 3] = ["search", "view", "update"];
const WHERES: [&str; 14] = [
    "record.a == caller.x",
    "caller.x == record.a",
    "record.a != caller.x",
    "record.b > 1",
    "record.b >= 1",
    "record.b in 1..3",
    "record.b > 1 || record.a == 0",
    "record.a == 0 || record.b > 1 || record.c == 'u'",
    "record.a == caller.x && record.b > 1",
    "record.c == 'u'",
    "record.c in ['u', 'v']",
    "record.c != 'w'",
    "!(record.c in ['v', 'w'])",
    "!(record.a == 0) && record.c != 'w'",
];
const PART_WHERES: [&str; 2] = ["record.k > 0", "record.k > 1"];
const WHENS: [&str; 8] = [
    "caller.x == 1",
    "caller.x in [0, 1]",
    "caller.assurance >= 2",
    "caller.assurance > 0",
    "caller.zone == 'business'",
    "caller.zone == 'business' && caller.x != 2",
    "caller.assurance > 0 || caller.x == 1",
    "'r0' in caller.roles",
];

/// Random choices; when used up, the first of each.
struct Dice {
    bytes: Vec<u8>,
    at: usize,
}

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) * end / 256
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    fn maybe(&mut self, percent: usize, end: usize) -> Option<usize> {
        self.chance(percent).then(|| self.below(end))
    }

    fn flags<const N: usize>(&mut self) -> [bool; N] {
        std::array::from_fn(|_| self.chance(40))
    }
}

#[derive(Clone, Debug)]
struct Rule {
    allows: bool,
    actions: [bool; 3],
    roles: [bool; 4],
    of_part: bool,
    uses: [[bool; 5]; 4],
    row: Option<usize>,
    when: Option<usize>,
    purposes: [bool; 2],
    assurance: usize,
    fresh: bool,
    grant: bool,
    flag: bool,
}

impl Rule {
    fn random(dice: &mut Dice) -> Self {
        Self {
            allows: dice.chance(70),
            actions: dice.flags(),
            roles: std::array::from_fn(|at| dice.chance(if at == 3 { 15 } else { 40 })),
            of_part: dice.chance(25),
            uses: std::array::from_fn(|_| dice.flags()),
            row: dice.maybe(50, WHERES.len()),
            when: dice.maybe(25, WHENS.len()),
            purposes: [dice.chance(25), dice.chance(15)],
            assurance: dice.maybe(25, 3).unwrap_or(0),
            fresh: dice.chance(10),
            grant: dice.chance(10),
            flag: dice.chance(40),
        }
    }

    fn edit(&mut self, dice: &mut Dice) {
        match dice.below(12) {
            0 => self.allows = !self.allows,
            1 => self.row = dice.maybe(70, WHERES.len()),
            2 => self.when = dice.maybe(60, WHENS.len()),
            3 => flip(&mut self.actions, dice),
            4 => flip(&mut self.roles, dice),
            5 | 6 => flip(&mut self.uses[dice.below(4)], dice),
            7 => flip(&mut self.purposes, dice),
            8 => self.assurance = dice.below(3),
            9 => self.flag = !self.flag,
            10 => self.grant = !self.grant,
            _ => self.fresh = !self.fresh,
        }
    }

    /// As a file has it; an empty text where it would be a fault.
    fn text(&self, index: usize, rest: &Rest) -> String {
        let named = |flags: &[bool], names: &[&str]| -> Vec<String> {
            names.iter().zip(flags).filter(|(_, on)| **on).map(|(n, _)| (*n).to_owned()).collect()
        };
        let actions = named(&self.actions, &ACTIONS);
        let mut roles = named(&self.roles, &ROLES);
        if self.roles[3] {
            roles = vec!["any".to_owned()];
        }
        if actions.is_empty() || roles.is_empty() {
            return String::new();
        }
        let (effect, of) = (
            if self.allows { "allow" } else { "deny" },
            if self.of_part { "part" } else { "thing" },
        );
        let mut text = format!(
            "  - name: n{index}\n    {effect}: [{}]\n    to: [{}]\n    of: {of}\n",
            actions.join(", "),
            roles.join(", ")
        )
        .replace("[any]", "any");
        let names: &[&str] = if self.of_part { &PARTS } else { &FIELDS };
        for (key, flags) in ["clear", "masked", "pseudonym", "write"].iter().zip(&self.uses) {
            let fields = named(flags, names);
            if !fields.is_empty() && (*key != "write" || self.actions[2]) {
                text.push_str(&format!("    {key}: [{}]\n", fields.join(", ")));
            }
        }
        let wheres: &[&str] = if self.of_part { &PART_WHERES } else { &WHERES };
        if let Some(row) = self.row {
            text.push_str(&format!("    where: \"{}\"\n", wheres[row % wheres.len()]));
        }
        if let Some(when) = self.when {
            text.push_str(&format!("    when: \"{}\"\n", WHENS[when]));
        }
        let purposes = named(&self.purposes[..rest.purposes], &["p", "q"]);
        if !purposes.is_empty() {
            text.push_str(&format!("    purpose: [{}]\n", purposes.join(", ")));
        }
        if self.allows && self.flag && rest.flag && !self.of_part {
            text.push_str("    flags: [big]\n");
        }
        if self.allows && self.grant {
            text.push_str("    require: { grant: required }\n");
        } else if self.allows && (self.assurance > 0 || self.fresh) {
            let fresh = if self.fresh { ", fresh: 5m" } else { "" };
            text.push_str(&format!(
                "    require: {{ assurance: {}{fresh} }}\n",
                self.assurance.max(1)
            ));
        }
        text
    }
}

fn flip(flags: &mut [bool], dice: &mut Dice) {
    let at = dice.below(flags.len());
    flags[at] = !flags[at];
}

/// Everything of a policy that is no rule; what is false or 0 is the narrowest.
#[derive(Clone, Debug)]
struct Rest {
    purposes: usize,
    includes: bool,
    subject: bool,
    grade: usize,
    assurance: usize,
    fresh: bool,
    kind: bool,
    reference: bool,
    flag: bool,
    tenant: bool,
    ticket: bool,
    query: [bool; 4],
    total: bool,
    next: bool,
    top: bool,
    list_zones: usize,
    list_asks: usize,
    upstream: bool,
    limits: Vec<[usize; 3]>,
}

impl Rest {
    fn random(dice: &mut Dice) -> Self {
        let count = dice.below(4);
        Self {
            purposes: 1 + dice.below(2),
            includes: dice.chance(50),
            subject: !dice.chance(20),
            grade: 1 + dice.below(2),
            assurance: dice.below(3),
            fresh: dice.chance(30),
            kind: dice.chance(50),
            reference: dice.chance(50),
            flag: dice.chance(30),
            tenant: dice.chance(30),
            ticket: dice.chance(30),
            query: std::array::from_fn(|_| dice.chance(60)),
            total: dice.chance(50),
            next: dice.chance(50),
            top: dice.chance(40),
            list_zones: dice.below(3),
            list_asks: dice.below(3),
            upstream: false,
            limits: (0..count).map(|_| std::array::from_fn(|_| dice.below(15))).collect(),
        }
    }

    fn edit(&mut self, dice: &mut Dice) {
        match dice.below(20) {
            0 => self.purposes = 3 - self.purposes,
            1 => self.includes = !self.includes,
            2 => self.subject = !self.subject,
            3 => self.grade = 3 - self.grade,
            4 => self.assurance = dice.below(3),
            5 => self.fresh = !self.fresh,
            6 => self.kind = !self.kind,
            7 => self.reference = !self.reference,
            8 => flip(&mut self.query, dice),
            9 => self.total = !self.total,
            10 => self.next = !self.next,
            11 => self.top = !self.top,
            12 => self.list_zones = dice.below(3),
            13 => self.list_asks = dice.below(3),
            14 => self.upstream = !self.upstream,
            15 => self.limits.truncate(1),
            16 => self.flag = !self.flag,
            17 => self.tenant = !self.tenant,
            18 => self.ticket = !self.ticket,
            _ => self.limits.push(std::array::from_fn(|_| dice.below(15))),
        }
    }

    fn text(&self) -> String {
        let on = |on: bool, text: &'static str| if on { text } else { "" };
        let mut text = format!(
            "grades: {{ 1: {{}}, 2: {{ assurance: {}{} }} }}\n",
            self.assurance.max(1),
            on(self.fresh, ", fresh: 5m")
        );
        text.push_str(&format!(
            "purposes: {{ p: {{{}}}{} }}\n",
            on(self.ticket, " ticket: 'T-*' "),
            on(self.purposes == 2, ", q: {}")
        ));
        text.push_str(&format!(
            "roles: {{ r0: {{}}, r1: {{ {} }}, r2: {{}} }}\n",
            on(self.includes, "includes: r0")
        ));
        text.push_str(&format!(
            "entities:
  thing: {{ {} {} {} fields: {{ id: 1, a: 1, b: 1, c: {}, d: {{ grade: {}{} }}{} }} }}
  part: {{ fields: {{ k: 1, m: 1 }} }}\n",
            on(self.subject, "subject: id,"),
            on(self.tenant, "tenant: c,"),
            on(self.flag, "flags: { big: record.b > 1 },"),
            self.grade,
            self.grade,
            on(self.kind, ", kind: phone"),
            on(self.reference, ", inner: part"),
        ));
        let query: Vec<&str> = ["a: thing.a", "c: thing.c", "s: sort", "n: page-size"]
            .into_iter()
            .zip(self.query)
            .filter_map(|(text, on)| on.then_some(text))
            .collect();
        let passes = [on(self.total, ", \"$.total\""), on(self.next, ", \"$.next\"")].concat();
        let zones = ["", "zones: [business, branch]", "zones: [business]"][self.list_zones];
        let asks = ["", "require: { assurance: 1 }", "require: { assurance: 2 }"][self.list_asks];
        text.push_str(&format!(
            "routes:
  thing.list:
    match: GET bank.example/things
    to: {}
    action: search
    query: {{ {} }}
    returns: {{ thing: \"$.items[]\", pass: [\"$.page\"{passes}] }}
    {zones}
    {asks}
  thing.view: {{ match: 'GET bank.example/things/{{id}}', to: u, action: view, returns: {{ thing: $ }} }}
  thing.update:
    match: PATCH bank.example/things/{{id}}
    to: u
    action: update
    reads: thing.view
    accepts: {{ thing: $ }}
    returns: {{ part: $ }}
",
            if self.upstream { "v" } else { "u" },
            query.join(", "),
        ));
        text.push_str(on(
            self.top,
            "  thing.top: { match: GET bank.example/things/top, to: u, action: view, returns: { part: $ } }\n",
        ));
        text.push_str(&self.limits_text());
        text
    }

    fn limits_text(&self) -> String {
        let mut text = String::new();
        if !self.limits.is_empty() {
            text.push_str("limits:\n");
        }
        for [role, what, count] in &self.limits {
            let what = [
                format!("page: {}", count + 1),
                format!("concurrent: {}", count + 1),
                format!("records: {}/h", count + 1),
                format!("records: [{}/h, 9/day]", count + 1),
                format!("subjects: {}/day", count + 1),
                format!("rate: {}/min", count + 1),
                format!("rate: 1/s burst {}", count + 1),
                format!("bytes: {}KiB/h", count + 1),
                format!("records: {}/calendar-day", count + 1),
                format!("on: {{ action: view }}, records: {}/h", count + 1),
                format!("on: {{ route: thing.list, action: search }}, page: {}", count + 1),
                format!("per: tenant, subjects: {}/day", count + 1),
                format!(
                    "records: {}/h, off-hours: {{ hours: Mon-Fri 08:00-20:00, factor: 0.5 }}",
                    count + 1
                ),
                format!("zero-hits: {}/h", count + 1),
                format!("per: partner, on: {{ purpose: p }}, subjects: {}/h", count + 1),
            ][*what]
                .clone();
            text.push_str(&format!("  - {{ to: {}, {what} }}\n", ROLES[role % 4]));
        }
        text
    }
}

#[derive(Clone, Debug)]
struct Policy {
    rest: Rest,
    rules: Vec<Rule>,
}

impl Policy {
    fn random(dice: &mut Dice) -> Self {
        let rest = Rest::random(dice);
        let count = if dice.chance(8) { 9 } else { 1 + dice.below(5) };
        Self { rest, rules: (0..count).map(|_| Rule::random(dice)).collect() }
    }

    fn edited(&self, dice: &mut Dice) -> Self {
        let mut edited = self.clone();
        for _ in 0..=dice.below(2) {
            let at = dice.below(edited.rules.len().max(1));
            match dice.below(10) {
                0 if !edited.rules.is_empty() => drop(edited.rules.remove(at)),
                1 => edited.rules.push(Rule::random(dice)),
                2..6 => edited.rest.edit(dice),
                _ => edited.rules.iter_mut().skip(at).take(1).for_each(|rule| rule.edit(dice)),
            }
        }
        edited
    }

    fn text(&self) -> String {
        let rules = self.rules.iter().enumerate();
        let rules: String = rules.map(|(at, rule)| rule.text(at, &self.rest)).collect();
        let head = if rules.is_empty() { "" } else { "rules:\n" };
        format!("{}{head}{rules}", self.rest.text())
    }
}

/// A caller, and everything else that a decision looks at.
#[derive(Clone, Debug)]
struct Asking {
    zone: &'static str,
    principal: Arc<Principal>,
    purpose: Option<&'static str>,
    ticket: Option<&'static str>,
    grant: Option<Arc<Grant>>,
}

impl Asking {
    fn random(dice: &mut Dice) -> Self {
        let roles = ROLES[..3].iter().filter(|_| dice.chance(45)).map(|r| (*r).to_owned());
        let roles = roles.collect();
        let assurance = [2, 1, 0][dice.below(3)];
        let age = [0, 600][dice.below(2)];
        let x = dice.maybe(75, 3);
        let x = x.map(|x| ("x".to_owned(), Value::Integer(i64::try_from(x).unwrap())));
        let tenant = dice.maybe(25, 2).map(|c| ("tenant".to_owned(), Value::from(["u", "v"][c])));
        Self {
            zone: ["business", "branch", "public"][dice.below(3)],
            ticket: [Some("T-1"), None][dice.below(2)],
            grant: dice.chance(50).then(|| Arc::new(Grant::of_everything("", [].into()))),
            principal: Arc::new(Principal {
                account: "lin".to_owned(),
                roles,
                attributes: x.into_iter().chain(tenant).collect(),
                factors: vec![Factor { level: assurance, at_unix_s: NOW - age }],
                assurance,
                ..Principal::default()
            }),
            purpose: [None, Some("p"), Some("q")][dice.below(3)],
        }
    }

    fn ask(&self, program: &Program, method: &str, path: &str) -> Option<Permit> {
        let path = Path::parse(path).unwrap();
        let met = program.find(self.zone, "bank.example", method, &path)?;
        let query = Query {
            zone: self.zone,
            principal: &self.principal,
            route: &met.route,
            params: &met.params,
            search: None,
            method,
            host: "bank.example",
            purpose: self.purpose,
            ticket: self.ticket,
            grant: self.grant.as_ref(),
            ties: None,
            now_unix_s: NOW,
        };
        program.decide(&query).ok()
    }
}

fn record(dice: &mut Dice) -> Json {
    let mut record = serde_json::Map::new();
    for name in ["id", "a", "b", "d"] {
        if dice.chance(85) {
            record.insert(name.to_owned(), dice.below(3).into());
        }
    }
    if dice.chance(85) {
        record.insert("c".to_owned(), ["u", "v", "w"][dice.below(3)].into());
    }
    record.insert("inner".to_owned(), part(dice));
    Json::Object(record)
}

fn part(dice: &mut Dice) -> Json {
    json!({ "k": dice.below(3), "m": 7 })
}

/// Whether the new answer holds anything that the old one does not, or in a stronger form.
fn is_more(new: Option<&Json>, old: Option<&Json>) -> bool {
    match (new, old) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Json::Object(new)), Some(Json::Object(old))) => {
            new.iter().any(|(name, value)| is_more(Some(value), old.get(name)))
        }
        (Some(Json::Array(new)), Some(Json::Array(old))) => {
            new.len() > old.len()
                || new.iter().zip(old).any(|(new, old)| is_more(Some(new), Some(old)))
        }
        (Some(new), Some(old)) => strength(new) > strength(old),
    }
}

fn strength(value: &Json) -> u8 {
    match value.as_str() {
        Some("pseudonym") => 1,
        Some("masked") => 2,
        _ => 3,
    }
}

/// The permit once the record was read, if it must be; `None` if the change is refused.
fn settled(permit: Permit, record: &Json) -> Option<Permit> {
    let Some(reading) = permit.pre_read() else { return Some(permit) };
    let plan: &Plan = reading.plan();
    let Verdict::Enter(root) = plan.root.verdict else { return None };
    let Some(Node::Object(object)) = plan.node(root) else { return None };
    let id = object.record.unwrap();
    let described = plan.record(id).unwrap();
    let mut captures = vec![None; usize::from(described.captures)];
    capture(plan, root, record.as_object().unwrap(), &mut captures);
    if let Some(subject) = described.subject {
        captures[usize::from(subject)].as_ref()?;
    }
    permit.settle(reading.case(id, &captures)).ok()
}

/// What the new limits allow that the old ones do not.
fn is_looser(new: &Limits, old: &Limits) -> bool {
    let above =
        |new: Option<u32>, old: Option<u32>| old.is_some_and(|old| new.is_none_or(|new| new > old));
    let windows = |new: &[Window], old: &[Window]| {
        old.iter().any(|old| !new.iter().any(|n| n.per.covers(&old.per) && n.count <= old.count))
    };
    let rate = old.rate.is_some_and(|old| {
        new.rate.is_none_or(|new| {
            new.burst > old.burst
                || f64::from(new.count) / f64::from(new.per_s)
                    > f64::from(old.count) / f64::from(old.per_s)
        })
    });
    rate || above(new.concurrent, old.concurrent)
        || above(new.page, old.page)
        || windows(&new.records, &old.records)
        || windows(&new.subjects, &old.subjects)
        || windows(&new.kibibytes, &old.kibibytes)
        || windows(&new.zero_hits, &old.zero_hits)
}

/// What may be asked for in a query, one word each.
fn searches(permit: &Permit) -> Vec<String> {
    let mut found = Vec::new();
    for (name, parameter) in &permit.search().parameters {
        match parameter {
            Parameter::Field { clear: false, .. } => {}
            Parameter::Sort { clear } | Parameter::Filter { clear, .. } => {
                found.extend(clear.iter().map(|field| format!("{name} {field}")))
            }
            Parameter::Fields { seen, .. } => {
                found.extend(seen.iter().map(|field| format!("{name} {field}")))
            }
            Parameter::Field { .. }
            | Parameter::Page
            | Parameter::PageSize(_)
            | Parameter::Include { .. }
            | Parameter::Free => {
                found.push(name.to_string());
            }
        }
    }
    found
}

/// What this caller gets more, if anything.
fn more(old: &Program, new: &Program, asking: &Asking, dice: &mut Dice) -> Option<String> {
    let record = record(dice);
    let list = json!({ "items": [record], "total": 1, "next": 2, "page": 3 });
    let part = part(dice);
    for (method, path, body) in [
        ("GET", "/things", &list),
        ("GET", "/things/1", &record),
        ("GET", "/things/top", &part),
        ("PATCH", "/things/1", &part),
    ] {
        let said = |what: &str| Some(format!("{what} at {method} {path}, {asking:?}, {body}"));
        let Some(after) = asking.ask(new, method, path) else { continue };
        let Some(before) = asking.ask(old, method, path) else { return said("the route opened") };
        if before.upstream() != after.upstream() {
            return said("another upstream");
        }
        for old in before.limits() {
            let mut bounding = Limits::default();
            let mine = |new: &&Scoped| {
                let whenever =
                    new.scope.off_hours.is_none() || new.scope.off_hours == old.scope.off_hours;
                new.scope.holder == old.scope.holder
                    && new.scope.slice.covers(&old.scope.slice)
                    && whenever
            };
            after.limits().filter(mine).for_each(|new| bounding.tighten(&new.limits));
            if is_looser(&bounding, &old.limits) {
                return said(&format!("looser limits{}", old.scope));
            }
        }
        let known = searches(&before);
        if let Some(search) = searches(&after).into_iter().find(|search| !known.contains(search)) {
            return said(&format!("the search `{search}`"));
        }
        if before
            .search()
            .page_limit
            .is_some_and(|old| after.search().page_limit.is_none_or(|new| new > old))
        {
            return said("a larger page");
        }
        let Some(after) = settled(after, &record) else { continue };
        let Some(before) = settled(before, &record) else { return said("a change is let through") };
        if is_more(filter(&after, body).as_ref(), filter(&before, body).as_ref()) {
            return said("the answer holds more");
        }
        let written = |permit: &Permit| {
            let plan = permit.write_plan()?.clone();
            slot(permit, &plan, plan.root, &record)
        };
        if is_more(written(&after).as_ref(), written(&before).as_ref()) {
            return said("more may be written");
        }
    }
    None
}

fn dice(length: usize) -> impl Strategy<Value = Dice> {
    proptest::collection::vec(any::<u8>(), length).prop_map(|bytes| Dice { bytes, at: 0 })
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} choices", self.bytes.len())
    }
}

/// Two programs that compile, and their texts.
fn pair(dice: &mut Dice) -> Option<(Program, Program, String, String)> {
    let old = Policy::random(dice);
    let new = old.edited(dice);
    let texts = (old.text(), new.text());
    let old = compile(&[source(&texts.0)]).ok()?;
    let new = compile(&[source(&texts.1)]).ok()?;
    Some((old, new, texts.0, texts.1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_global_rejects: 40_000, ..ProptestConfig::default() })]

    #[test]
    fn whoever_gets_more_was_announced(mut dice in dice(220), mut asked in dice(1600)) {
        let Some((old, new, before, after)) = pair(&mut dice) else {
            return Err(TestCaseError::reject("a policy with a fault"));
        };
        let comparison = compare(&old, &new);
        if !comparison.widens() {
            for _ in 0..25 {
                let asking = Asking::random(&mut asked);
                let more = more(&old, &new, &asking, &mut asked);
                prop_assert!(more.is_none(), "{}\nold\n{before}\nnew\n{after}\n{comparison}", more.unwrap());
            }
        }
    }
}

#[test]
fn a_policy_compared_with_itself_has_no_changes() {
    let demo = super::demo();
    assert_eq!(compare(&demo, &super::demo()).changes, []);
}

/// The property above is worth nothing if all pairs are of one kind.
#[test]
fn random_pairs_are_of_every_kind() {
    let (mut pairs, mut within, mut got_more) = (0, 0, 0);
    let mut state = 1_u64;
    let mut roll = |length: usize| {
        let byte = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        Dice { bytes: (0..length).map(byte).collect(), at: 0 }
    };
    for _ in 0..150 {
        let Some((old, new, ..)) = pair(&mut roll(220)) else { continue };
        pairs += 1;
        if !compare(&old, &new).widens() {
            within += 1;
            continue;
        }
        let mut asked = roll(1600);
        let mut gets_more = || more(&old, &new, &Asking::random(&mut asked), &mut asked).is_some();
        got_more += usize::from((0..25).any(|_| gets_more()));
    }
    assert!(
        pairs > 100 && within * 5 > pairs && got_more * 8 > pairs,
        "{within}, {got_more} of {pairs}"
    );
}

/// A policy in which single words are edited below.
const BANK: &str = r#"
grades: { 1: {}, 2: { assurance: 1 }, 3: { assurance: 2, fresh: 15m, zone: business }, 4: { assurance: 3, fresh: 5m, zone: business, grant: required } }
purposes: { service: {}, risk: { ticket: "R-*" } }
roles: { clerk: {}, boss: { includes: clerk }, guest: {} }
entities:
  customer:
    subject: id
    tenant: branch
    flags: { minor: age(record.birth) < 14 }
    fields: { id: 1, branch: 1, birth: 1, phone: { grade: 3, kind: phone }, name: 2, score: 1, secret: sealed }
routes:
  c.list:
    match: GET bank.example/c
    to: core
    action: search
    query: { name: customer.name, sort: sort }
    returns: { customer: "$.items[]", pass: "$.total" }
    zones: [business, branch]
  c.top: { match: GET bank.example/c/top, to: core, action: view, returns: { customer: $ } }
  c.view: { match: "GET bank.example/c/{id}", to: core, action: view, require: { assurance: 1 }, returns: { customer: $ } }
rules:
  - name: clerks
    allow: [view, search]
    to: clerk
    of: customer
    clear: [id, name]
    masked: [phone]
    where: record.branch == caller.branch && record.score > 3
    when: caller.address != null && time.hour('UTC') in 8..20
    purpose: [service, risk]
    require: { assurance: 1, fresh: 1h }
  - { name: bosses, allow: view, to: boss, of: customer, clear: [phone] }
  - name: staff
    deny: [view, search]
    to: [clerk, guest]
    of: customer
    where: record.score == 7 || record.score == 8
limits:
  - { to: clerk, rate: 10/min burst 5, records: 10/h, page: 20 }
"#;

/// What an edit of the policy comes to, and in which words.
fn edit(from: &str, to: &str) -> (bool, String) {
    assert!(BANK.contains(from), "`{from}` is not in the policy");
    let comparison = compare(&super::program(BANK), &super::program(&BANK.replacen(from, to, 1)));
    (comparison.widens(), comparison.to_string())
}

/// What takes away.
const NARROWER: &[(&str, &str)] = &[
    ("purpose: [service, risk]", "purpose: service"),
    ("record.score > 3", "record.score > 4"),
    ("record.score > 3", "record.score > 3 && record.id != 'x'"),
    ("in 8..20", "in 9..19"),
    (
        "require: { assurance: 1, fresh: 1h }",
        "require: { assurance: 2, fresh: 30m, zone: business }",
    ),
    (
        "require: { assurance: 1, fresh: 1h }",
        "require: { assurance: 1, fresh: 1h, grant: required }",
    ),
    ("fresh: 15m, zone: business", "fresh: 5m, zone: business, grant: required"),
    ("phone: { grade: 3", "phone: { grade: 4"),
    ("    masked: [phone]\n", ""),
    ("clear: [id, name]\n    masked: [phone]", "clear: [id]\n    masked: [name, phone]"),
    ("    where: record.score == 7 || record.score == 8\n", ""),
    ("record.score == 7 ||", "record.score == 6 || record.score == 7 ||"),
    ("to: [clerk, guest]", "to: any"),
    ("records: 10/h", "records: 10/day"),
    ("rate: 10/min burst 5", "rate: 10/min burst 4"),
    ("page: 20 }", "page: 20, concurrent: 2, subjects: 3/h }"),
    ("zones: [business, branch]", "zones: business"),
    ("action: view, require: { assurance: 1 }", "action: view, require: { assurance: 2 }"),
    (", pass: \"$.total\"", ""),
    ("name: customer.name, ", ""),
    ("purposes: { service: {}", "purposes: { service: { ticket: 'S-#*' }"),
    (
        "flags: { minor: age(record.birth) < 14 }",
        "flags: { minor: age(record.birth) < 14, odd: record.score < 5 }",
    ),
    (" require: { assurance: 1 }, returns", " require: { assurance: 1, device: bound }, returns"),
];

/// What says the same in other words.
const ALIKE: &[(&str, &str)] = &[
    (
        "record.branch == caller.branch && record.score > 3",
        "(3 < record.score)  &&  (caller.branch == record.branch)",
    ),
    ("record.score == 7 || record.score == 8", "\"!(record.score != 8 && record.score != 7)\""),
    ("in 8..20", "in 8..20 && !(caller.address == null)"),
    ("name: clerks", "name: those who serve"),
    ("c.top:", "c.first:"),
    ("boss: { includes: clerk }", "boss: { includes: clerk, rank: 3 }"),
    ("rate: 10/min burst 5", "rate: 20/2m burst 5"),
    ("[id, name]", "[name, id]"),
];

/// What gives, or may give: where in doubt, it must be announced.
const WIDER: &[(&str, &str, &str)] = &[
    ("purpose: [service, risk]\n", "\n", "was only for risk, service"),
    ("record.score > 3", "record.score > 2", "on other conditions"),
    (" && record.score > 3", "", "on other conditions"),
    ("record.score > 3", "(record.score > 3 || record.id == 'x')", "cannot be told"),
    ("in 8..20", "in 8..21", "on other conditions"),
    ("fresh: 1h }", "fresh: 2h }", "less proof"),
    ("fresh: 15m, zone: business", "zone: business", "less proof"),
    ("action: view, require: { assurance: 1 }, ", "action: view, ", "wider"),
    ("phone: { grade: 3", "phone: { grade: 2", "grade 2, was grade 3"),
    ("kind: phone", "kind: email", "masked in another way"),
    ("[id, name]\n", "[id, name, phone]\n", "clear `customer.phone`"),
    ("guest: {}", "guest: { includes: clerk }", "guest gains clear"),
    ("boss: { includes: clerk }", "boss: {}", "boss: the limit of requests is loosened"),
    ("to: [clerk, guest]", "to: clerk", "guest is no longer denied"),
    // What is missing on a record makes the part that is gone apply.
    ("record.score == 7 || record.score == 8", "record.score == 7", "no longer denied"),
    (
        "record.score == 7 || record.score == 8",
        "record.score == 7 && record.score == 8",
        "no longer denied",
    ),
    ("deny: [view, search]", "deny: [view]", "no longer denied"),
    ("records: 10/h", "records: 11/h", "loosened"),
    ("records: 10/h", "records: 10/min", "loosened"),
    (", page: 20 }", " }", "loosened: none, was 20"),
    ("burst 5", "burst 6", "loosened"),
    ("zones: [business, branch]", "zones: [business, public]", "now exists in the zone public"),
    ("    zones: [business, branch]\n", "", "now exists in every zone"),
    ("sort: sort }", "sort: sort, q: free }", "takes the parameter `q`"),
    ("name: customer.name,", "name: free,", "any text"),
    ("pass: \"$.total\"", "pass: [\"$.total\", \"$.next\"]", "may hold more: $.next"),
    ("service: {}, risk", "service: {}, fun: {}, risk", "`fun` may be declared"),
    ("{ ticket: \"R-*\" }", "{}", "without a ticket"),
    ("R-*", "Q-*", "other tickets"),
    ("    subject: id\n", "", "not counted"),
    ("    tenant: branch\n", "", "no tenant"),
    ("    flags: { minor: age(record.birth) < 14 }\n", "", "on other conditions"),
    ("< 14 }", "< 12 }", "on other conditions"),
    (
        "c.top: { match: GET bank.example/c/top, to: core",
        "c.top: { match: GET bank.example/c/top, to: other",
        "upstream `other`",
    ),
    (
        "  c.top: { match: GET bank.example/c/top, to: core, action: view, returns: { customer: $ } }\n",
        "",
        "now meet `c.view`",
    ),
    ("c/{id}", "v/{id}", "is published"),
    ("returns: { customer: \"$.items[]\"", "returns: { customer: \"$.rows[]\"", "may hold more"),
];

#[test]
fn what_takes_away_is_not_called_widening() {
    for (from, to) in NARROWER {
        let (widens, said) = edit(from, to);
        assert!(!widens && said.starts_with("narrower"), "`{from}` to `{to}`\n{said}");
    }
}

#[test]
fn what_says_the_same_changes_nothing_for_anybody() {
    for (from, to) in ALIKE {
        let (widens, said) = edit(from, to);
        assert!(!widens && !said.contains("narrower"), "`{from}` to `{to}`\n{said}");
    }
}

#[test]
fn what_gives_is_announced_in_its_words() {
    for (from, to, words) in WIDER {
        let (widens, said) = edit(from, to);
        assert!(widens && said.contains(words), "`{from}` to `{to}`\n{said}");
    }
}

#[test]
fn one_rule_less_may_open_a_search_and_is_announced() {
    let two = BANK.replace(
        "  - name: staff",
        "  - name: ids
    allow: search
    to: clerk
    of: customer
    clear: id
  - name: staff",
    );
    let comparison = compare(&super::program(&two), &super::program(BANK));
    assert!(comparison.to_string().contains("by `customer.name`"), "{comparison}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_is_no_wider_than_itself_whatever_it_says(mut dice in dice(220)) {
        let text = Policy::random(&mut dice).text();
        if let Ok(program) = compile(&[source(&text)]) {
            prop_assert_eq!(compare(&program, &super::program(&text)).changes, []);
        }
    }
}
