//! The compiled decision equals a naive interpreter that works straight from the words of the rules.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::Principal;
use super::{ask, caller, filter, program};

const FIELDS: [&str; 5] = ["id", "a", "b", "c", "d"];
const ROLES: [&str; 3] = ["r0", "r1", "r2"];
/// A condition as written, and what it says; `None` where it cannot be evaluated.
type Said = (&'static str, fn(&Facts) -> Option<bool>);

const WHERES: [Said; 4] = [
    ("record.a == caller.x", |f| Some(f.a? == f.x?)),
    ("record.a != caller.x", |f| Some(f.a? != f.x?)),
    ("record.b > 1", |f| Some(f.b? > 1)),
    ("record.b > 1 || record.a == 0", |f| {
        let (b, a) = (f.b, f.a);
        Some((b? > 1) | (a? == 0))
    }),
];
const WHENS: [Said; 3] = [
    ("caller.x == 1", |f| Some(f.x? == 1)),
    ("caller.assurance >= 2", |f| Some(f.assurance >= 2)),
    ("caller.x in [0, 2] && caller.zone == 'business'", |f| f.x.map(|x| x == 0 || x == 2)),
];

/// What conditions look at.
struct Facts {
    a: Option<i64>,
    b: Option<i64>,
    x: Option<i64>,
    assurance: u8,
}

#[derive(Clone, Debug)]
struct Rule {
    allows: bool,
    /// Three is `any`.
    role: usize,
    clear: Vec<bool>,
    masked: Vec<bool>,
    pseudonym: Vec<bool>,
    row: Option<usize>,
    when: Option<usize>,
    purpose: bool,
    assurance: u8,
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let flags = || proptest::collection::vec(proptest::bool::weighted(0.35), FIELDS.len());
    let rule = (
        (proptest::bool::weighted(0.7), 0..4_usize, flags(), flags(), flags()),
        (
            proptest::option::weighted(0.5, 0..WHERES.len()),
            proptest::option::weighted(0.3, 0..WHENS.len()),
            proptest::bool::weighted(0.2),
            0..3_u8,
        ),
    );
    let build =
        |((allows, role, clear, masked, pseudonym), (row, when, purpose, assurance))| Rule {
            allows,
            role,
            clear,
            masked,
            pseudonym,
            row,
            when,
            purpose,
            assurance: if allows { assurance } else { 0 },
        };
    proptest::collection::vec(rule.prop_map(build), 1..6)
}

fn text(rules: &[Rule]) -> String {
    let mut text = String::from(
        "grades: { 1: {}, 2: { assurance: 2 } }
purposes: [p, q]
roles: { r0: {}, r1: { includes: r0 }, r2: {} }
entities: { thing: { subject: id, fields: { id: 1, a: 1, b: 1, c: 2, d: 2 } } }
routes: { thing.list: { match: GET bank.example/things, to: u, action: search, returns: { thing: '$[]' } } }
rules:\n",
    );
    for (index, rule) in rules.iter().enumerate() {
        let effect = if rule.allows { "allow" } else { "deny" };
        let role = ROLES.get(rule.role).unwrap_or(&"any");
        text.push_str(&format!(
            "  - name: n{index}\n    {effect}: [search]\n    to: {role}\n    of: thing\n"
        ));
        for (key, flags) in
            [("clear", &rule.clear), ("masked", &rule.masked), ("pseudonym", &rule.pseudonym)]
        {
            let named: Vec<&str> =
                FIELDS.iter().zip(flags).filter(|(_, f)| **f).map(|(n, _)| *n).collect();
            if !named.is_empty() {
                text.push_str(&format!("    {key}: [{}]\n", named.join(", ")));
            }
        }
        if let Some(row) = rule.row {
            text.push_str(&format!("    where: {}\n", WHERES[row].0));
        }
        if let Some(when) = rule.when {
            text.push_str(&format!("    when: {}\n", WHENS[when].0));
        }
        if rule.purpose {
            text.push_str("    purpose: p\n");
        }
        if rule.assurance > 0 {
            text.push_str(&format!("    require: {{ assurance: {} }}\n", rule.assurance));
        }
    }
    text
}

struct Case {
    rules: Vec<Rule>,
    roles: Vec<usize>,
    purpose: Option<&'static str>,
    x: Option<i64>,
    assurance: u8,
}

impl Case {
    fn holds_role(&self, role: usize) -> bool {
        role == 3 || self.roles.contains(&role) || (role == 0 && self.roles.contains(&1))
    }

    fn facts(&self, record: &Map<String, Json>) -> Facts {
        let number = |name| record.get(name).and_then(Json::as_i64);
        Facts { a: number("a"), b: number("b"), x: self.x, assurance: self.assurance }
    }

    /// Whether the rule applies to the request, its row condition left aside.
    fn applies(&self, rule: &Rule) -> bool {
        let facts = self.facts(&Map::new());
        let when = rule.when.map_or(Some(true), |when| WHENS[when].1(&facts));
        let purpose = match (rule.purpose, rule.allows, self.purpose) {
            (false, ..) | (true, _, Some("p")) | (true, false, None) => true,
            (true, ..) => false,
        };
        self.holds_role(rule.role)
            && purpose
            && self.assurance >= rule.assurance
            && when.unwrap_or(!rule.allows)
    }

    fn takes_all(&self, rule: &Rule) -> bool {
        let named = [&rule.clear, &rule.masked, &rule.pseudonym];
        !rule.allows && named.iter().all(|flags| !flags.contains(&true))
    }

    /// `None`: denied.
    fn answer(&self, records: &[Json]) -> Option<Json> {
        let applied: Vec<&Rule> = self.rules.iter().filter(|rule| self.applies(rule)).collect();
        if applied.iter().any(|rule| self.takes_all(rule) && rule.row.is_none()) {
            return None;
        }
        applied.iter().any(|rule| rule.allows).then_some(())?;
        Some(records.iter().filter_map(|record| self.record(&applied, record)).collect())
    }

    fn record(&self, applied: &[&Rule], record: &Json) -> Option<Json> {
        let record = record.as_object().unwrap();
        record.get("id")?;
        let facts = self.facts(record);
        let in_force = |rule: &&&Rule| {
            rule.row.is_none_or(|row| WHERES[row].1(&facts).unwrap_or(!rule.allows))
        };
        let rules: Vec<&&Rule> = applied.iter().filter(in_force).collect();
        if !rules.iter().any(|rule| rule.allows) || rules.iter().any(|rule| self.takes_all(rule)) {
            return None;
        }
        let mut seen = Map::new();
        for (at, name) in FIELDS.iter().enumerate() {
            let Some(value) = record.get(*name) else { continue };
            let said = |allows, list: fn(&Rule) -> &Vec<bool>| {
                rules.iter().any(|rule| rule.allows == allows && list(rule)[at])
            };
            let taken = said(false, |r| &r.clear)
                || said(false, |r| &r.masked)
                || said(false, |r| &r.pseudonym);
            let met = at < 3 || self.assurance >= 2;
            if taken {
            } else if said(true, |r| &r.clear) && met {
                seen.insert((*name).to_owned(), value.clone());
            } else if said(true, |r| &r.masked) {
                seen.insert((*name).to_owned(), "masked".into());
            } else if said(true, |r| &r.pseudonym) {
                seen.insert((*name).to_owned(), "pseudonym".into());
            }
        }
        Some(Json::Object(seen))
    }
}

fn record() -> impl Strategy<Value = Json> {
    proptest::collection::vec(proptest::option::weighted(0.9, 0..3_i64), FIELDS.len()).prop_map(
        |values| {
            let present = FIELDS
                .iter()
                .zip(values)
                .filter_map(|(name, v)| Some(((*name).to_owned(), v?.into())));
            Json::Object(present.chain([("extra".to_owned(), json!(1))]).collect())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_compiled_policy_equals_a_naive_interpreter(
        rules in rules(),
        roles in proptest::sample::subsequence(vec![0, 1, 2], 0..=3),
        purpose in proptest::sample::select(vec![None, Some("p"), Some("q")]),
        x in proptest::option::weighted(0.8, 0..3_i64),
        assurance in 0..3_u8,
        records in proptest::collection::vec(record(), 0..5),
    ) {
        let case = Case { rules, roles, purpose, x, assurance };
        let program = program(&text(&case.rules));
        let names: Vec<&str> = case.roles.iter().map(|role| ROLES[*role]).collect();
        let attributes = case.x.map(|x| ("x".to_owned(), super::Value::Integer(x))).into_iter().collect();
        let principal = Principal { attributes, assurance, ..caller(&names) };
        let answer = ask(&program, principal, "GET /things", case.purpose)
            .ok()
            .map(|permit| filter(&permit, &Json::Array(records.clone())).unwrap_or(json!([])));
        prop_assert_eq!(answer, case.answer(&records), "{}", text(&case.rules));
    }
}
