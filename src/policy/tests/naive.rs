//! The compiled decision equals a naive interpreter that works straight from the words of the rules.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use std::collections::BTreeMap;

use super::super::{Grant, Principal};
use super::{Asked, Value, ask_with, caller, filter, program};
use crate::document::Code;

/// With their grades; grade 2 asks assurance, grade 3 a device and a grant as well.
const FIELDS: [(&str, u8); 6] = [("id", 1), ("a", 1), ("b", 1), ("c", 2), ("d", 3), ("t", 1)];
const ROLES: [&str; 3] = ["r0", "r1", "r2"];
/// A condition as written, and what it says; `None` where it cannot be evaluated.
type Said = (&'static str, fn(&Facts) -> Option<bool>);

const WHERES: [Said; 7] = [
    ("record.a == caller.x", |f| Some(f.a? == f.x?)),
    ("record.a != caller.x", |f| Some(f.a? != f.x?)),
    ("record.b > 1", |f| Some(f.b? > 1)),
    ("record.b > 1 || record.a == 0", |f| {
        let (b, a) = (f.b, f.a);
        Some((b? > 1) | (a? == 0))
    }),
    ("record.a in grant.things", |f| Some(f.things.as_ref()?.contains(&f.a?))),
    ("flag.odd", |f| FLAGS[0].1(f)),
    ("true && !flag.shy", |f| FLAGS[1].1(f).map(|shy| !shy)),
];
const FLAGS: [Said; 2] = [
    ("odd: record.b == 1", |f| Some(f.b? == 1)),
    ("shy: record.c > record.a", |f| Some(f.c? > f.a?)),
];
const WHENS: [Said; 4] = [
    ("caller.device == 'd1'", |f| f.device.map(|device| device == "d1")),
    ("caller.x == 1", |f| Some(f.x? == 1)),
    ("caller.assurance >= 2", |f| Some(f.assurance >= 2)),
    ("caller.x in [0, 2] && caller.zone == 'business'", |f| f.x.map(|x| x == 0 || x == 2)),
];

/// What conditions look at.
struct Facts {
    a: Option<i64>,
    b: Option<i64>,
    c: Option<i64>,
    x: Option<i64>,
    things: Option<Vec<i64>>,
    device: Option<&'static str>,
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
    device: bool,
    grant: bool,
    flags: Vec<bool>,
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
        (
            proptest::bool::weighted(0.2),
            proptest::bool::weighted(0.2),
            proptest::collection::vec(any::<bool>(), FLAGS.len()),
        ),
    );
    let build = |(
        (allows, role, clear, masked, pseudonym),
        (row, when, purpose, assurance),
        (device, grant, flags),
    )| Rule {
        allows,
        role,
        clear,
        masked,
        pseudonym,
        row,
        when,
        purpose,
        assurance: if allows { assurance } else { 0 },
        device: allows && device,
        grant: allows && grant,
        flags: if allows { flags } else { Vec::new() },
    };
    proptest::collection::vec(rule.prop_map(build), 1..6)
}

fn text(rules: &[Rule]) -> String {
    let mut text = String::from(
        "grades: { 1: {}, 2: { assurance: 2 }, 3: { assurance: 2, device: bound, grant: required } }
purposes: [p, q]
roles: { r0: {}, r1: { includes: r0 }, r2: {} }
entities:
  thing:
    subject: id
    tenant: t
    fields: { id: 1, a: 1, b: 1, c: 2, d: 3, t: 1 }
    flags: { FLAGS }
routes: { thing.list: { match: GET bank.example/things, to: u, action: search, returns: { thing: '$[]' } } }
rules:\n",
    )
    .replace("FLAGS", &FLAGS.map(|(text, _)| text).join(", "));
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
                FIELDS.iter().zip(flags).filter(|(_, f)| **f).map(|((n, _), _)| *n).collect();
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
        let mut asked: Vec<String> = Vec::new();
        asked.extend((rule.assurance > 0).then(|| format!("assurance: {}", rule.assurance)));
        asked.extend(rule.device.then(|| "device: bound".to_owned()));
        asked.extend(rule.grant.then(|| "grant: required".to_owned()));
        if !asked.is_empty() {
            text.push_str(&format!("    require: {{ {} }}\n", asked.join(", ")));
        }
        let named = FLAGS.iter().zip(&rule.flags).filter(|(_, named)| **named);
        let named: Vec<&str> =
            named.map(|((text, _), _)| text.split_once(':').unwrap().0).collect();
        if !named.is_empty() {
            text.push_str(&format!("    flags: [{}]\n", named.join(", ")));
        }
    }
    text
}

#[derive(Clone, Debug)]
enum Tenant {
    One(&'static str),
    Some(Vec<&'static str>),
    /// Of a type that no tenant has.
    Number,
}

impl Tenant {
    fn value(&self) -> Value {
        match self {
            Self::One(tenant) => Value::from(*tenant),
            Self::Some(tenants) => Value::List(tenants.iter().map(|t| Value::from(*t)).collect()),
            Self::Number => Value::Integer(1),
        }
    }

    fn has(&self, tenant: &str) -> bool {
        match self {
            Self::One(mine) => *mine == tenant,
            Self::Some(mine) => mine.contains(&tenant),
            Self::Number => false,
        }
    }
}

struct Case {
    rules: Vec<Rule>,
    roles: Vec<usize>,
    purpose: Option<&'static str>,
    x: Option<i64>,
    assurance: u8,
    device: Option<&'static str>,
    /// The things of a grant that may name none.
    grant: Option<Option<Vec<i64>>>,
    tenant: Option<Tenant>,
}

impl Case {
    fn holds_role(&self, role: usize) -> bool {
        role == 3 || self.roles.contains(&role) || (role == 0 && self.roles.contains(&1))
    }

    fn facts(&self, record: &Map<String, Json>) -> Facts {
        let number = |name| record.get(name).and_then(Json::as_i64);
        Facts {
            a: number("a"),
            b: number("b"),
            c: number("c"),
            x: self.x,
            things: self.grant.clone().flatten(),
            device: self.device,
            assurance: self.assurance,
        }
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
            && (!rule.device || self.device.is_some())
            && (!rule.grant || self.grant.is_some())
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
        if let Some(tenant) = &self.tenant {
            let theirs = record.get("t")?;
            let theirs = theirs.as_str().map_or_else(|| theirs.to_string(), str::to_owned);
            tenant.has(&theirs).then_some(())?;
        }
        let facts = self.facts(record);
        let raised: Vec<bool> = FLAGS.iter().map(|flag| flag.1(&facts).unwrap_or(true)).collect();
        let in_force = |rule: &&&Rule| {
            let mut named = rule.flags.iter().zip(&raised);
            rule.row.is_none_or(|row| WHERES[row].1(&facts).unwrap_or(!rule.allows))
                && named.all(|(named, raised)| *named || !*raised)
        };
        let rules: Vec<&&Rule> = applied.iter().filter(in_force).collect();
        if !rules.iter().any(|rule| rule.allows) || rules.iter().any(|rule| self.takes_all(rule)) {
            return None;
        }
        let mut seen = Map::new();
        for (at, (name, grade)) in FIELDS.iter().enumerate() {
            let Some(value) = record.get(*name) else { continue };
            let said = |allows, list: fn(&Rule) -> &Vec<bool>| {
                rules.iter().any(|rule| rule.allows == allows && list(rule)[at])
            };
            let taken = said(false, |r| &r.clear)
                || said(false, |r| &r.masked)
                || said(false, |r| &r.pseudonym);
            let met = match grade {
                1 => true,
                2 => self.assurance >= 2,
                _ => self.assurance >= 2 && self.device.is_some() && self.grant.is_some(),
            };
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
    let values = proptest::collection::vec(proptest::option::weighted(0.9, 0..3_i64), FIELDS.len());
    (values, any::<bool>()).prop_map(|(values, texts)| {
        let present = FIELDS.iter().zip(values).filter_map(|((name, _), value)| {
            let value = value?;
            let is_text = texts && *name == "t";
            let value = if is_text { value.to_string().into() } else { value.into() };
            Some(((*name).to_owned(), value))
        });
        Json::Object(present.chain([("extra".to_owned(), json!(1))]).collect())
    })
}

fn tenant() -> impl Strategy<Value = Tenant> {
    prop_oneof![
        3 => proptest::sample::select(vec!["0", "1"]).prop_map(Tenant::One),
        3 => proptest::sample::subsequence(vec!["0", "1", "2"], 0..=3).prop_map(Tenant::Some),
        1 => Just(Tenant::Number),
    ]
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
        device in proptest::sample::select(vec![None, Some("d1"), Some("d2")]),
        grant in proptest::option::of(proptest::option::weighted(
            0.8,
            proptest::collection::vec(0..3_i64, 0..3),
        )),
        tenant in proptest::option::weighted(0.4, tenant()),
        records in proptest::collection::vec(record(), 0..5),
    ) {
        let case = Case { rules, roles, purpose, x, assurance, device, grant, tenant };
        let program = program(&text(&case.rules));
        let names: Vec<&str> = case.roles.iter().map(|role| ROLES[*role]).collect();
        let mut attributes = BTreeMap::new();
        attributes.extend(case.x.map(|x| ("x".to_owned(), Value::Integer(x))));
        attributes.extend(case.tenant.as_ref().map(|t| ("tenant".to_owned(), t.value())));
        let device = case.device.map(str::to_owned);
        let principal = Principal { attributes, assurance, device, ..caller(&names) };
        let grant = case.grant.clone().map(|things| {
            let things = things.map(|all| Value::List(all.into_iter().map(Value::Integer).collect()));
            let attributes = things.map(|things| ("things".to_owned(), things));
            Grant::of_everything("g", attributes.into_iter().collect())
        });
        let asked = Asked { purpose: case.purpose, grant, ..Asked::default() };
        let answer = ask_with(&program, principal, "GET /things", asked)
            .ok()
            .map(|permit| filter(&permit, &Json::Array(records.clone())).unwrap_or(json!([])));
        prop_assert_eq!(answer, case.answer(&records), "{}", text(&case.rules));
    }

    #[test]
    fn a_rule_that_is_called_shadowed_may_go(
        mut rules in rules(),
        (role, fewer) in (0..4_usize, proptest::collection::vec(any::<bool>(), FIELDS.len())),
        (keeps_role, keeps_row, purpose) in (any::<bool>(), any::<bool>(), any::<bool>()),
        roles in proptest::sample::subsequence(vec![0, 1, 2], 0..=3),
        declared in proptest::sample::select(vec![None, Some("p"), Some("q")]),
        x in proptest::option::weighted(0.8, 0..3_i64),
        assurance in 0..3_u8,
        device in proptest::sample::select(vec![None, Some("d1"), Some("d2")]),
        things in proptest::option::of(Just(Some(vec![0, 1]))),
        records in proptest::collection::vec(record(), 0..5),
    ) {
        // Alike enough that one often covers the other.
        let mut alike = rules[0].clone();
        for list in [&mut alike.clear, &mut alike.masked, &mut alike.pseudonym] {
            list.iter_mut().zip(&fewer).for_each(|(named, keeps)| *named &= keeps);
        }
        alike.role = if keeps_role { alike.role } else { role };
        alike.row = alike.row.filter(|_| keeps_row);
        alike.purpose |= purpose;
        rules.push(alike);
        let program = program(&text(&rules));
        let shadowed = |index: &usize| {
            let name = format!("`n{index}` ");
            let mut warnings = program.warnings().iter();
            warnings.any(|w| w.code == Code::ShadowedRule && w.message.starts_with(&name))
        };
        let left = (0..rules.len()).filter(|index| !shadowed(index));
        let left: Vec<Rule> = left.map(|index| rules[index].clone()).collect();
        let answer = |rules| {
            let case = Case {
                rules,
                roles: roles.clone(),
                purpose: declared,
                x,
                assurance,
                device,
                grant: things.clone(),
                tenant: None,
            };
            case.answer(&records)
        };
        let written = text(&rules);
        prop_assert_eq!(answer(rules), answer(left), "{}", written);
    }
}
