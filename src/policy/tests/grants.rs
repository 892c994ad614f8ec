//! What a grant reaches: whom it is about, which fields, which role, until when, and never further.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::Subjects;
use super::super::{Action, Coverage, Denial, DenialKind, Grant, Lack, Permit, Query, Reason};
use super::{Asked, NOW, Program, ask_with, caller, filter, program};
use crate::route::Path;

const HOTEL: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: { grant: required } }
purposes: [check-in]
roles: { clerk: {}, manager: { rank: 5 }, auditor: {} }
entities:
  guest: { subject: id, fields: { id: 1, name: 2, phone: 3, passport: 4, scan: 4 } }
  stay: { subject: guest_id, fields: { guest_id: 1, room: 1, bill: 2 } }
routes:
  guest.view: { match: "GET bank.example/guests/{id}", to: core, action: view, returns: { guest: $ } }
  guest.list: { match: GET bank.example/guests, to: core, action: search, returns: { guest: "$[]" } }
  guest.scan: { match: "GET bank.example/guests/{id}/scan", to: core, action: view, opaque: { types: [image/png], size: 1MiB, grade: 4, of: guest, subject: id } }
  guest.all: { match: GET bank.example/export, to: core, action: export, returns: { guest: "$[]" } }
  guest.drop: { match: "DELETE bank.example/guests/{id}", to: core, action: delete, reads: guest.view }
  stay.view: { match: "GET bank.example/stays/{room}", to: core, action: view, returns: { stay: $ } }
  stay.make: { match: POST bank.example/stays, to: core, action: create, accepts: { stay: $ }, returns: { stay: $ } }
rules:
  - { name: desk, allow: [view, search, export], to: clerk, of: guest, clear: [id, name, passport, scan], masked: [passport] }
  - { name: papers, allow: view, to: clerk, route: guest.scan }
  - { name: checked, allow: view, to: auditor, of: guest, clear: [id, name, phone], require: { grant: required } }
  - { name: boss, allow: [view, delete, create], to: manager, of: guest, clear: [id, name, phone] }
  - { name: stays, allow: [view, create], to: manager, of: stay, clear: [guest_id, room, bill], write: [guest_id, room] }
limits:
  - { to: clerk, export: { rows: 100/file, grant: required } }
"#;

fn guest(id: &str) -> Json {
    json!({ "id": id, "name": "n", "phone": "p", "passport": "x", "scan": "s" })
}

fn only(subjects: &[&str]) -> Coverage {
    let pairs = subjects.iter().map(|key| ("guest".to_owned(), (*key).to_owned()));
    Coverage { subjects: Some(Subjects::from_iter(pairs)), ..Coverage::everything() }
}

fn grant(coverage: Coverage) -> Grant {
    Grant { id: "G1".to_owned(), attributes: BTreeMap::new(), coverage }
}

fn under(role: &str, request: &str, coverage: Coverage) -> Result<Permit, Denial> {
    let asked = Asked { grant: Some(grant(coverage)), ..Asked::default() };
    ask_with(&program(HOTEL), caller(&[role]), request, asked)
}

fn lack(denied: &Result<Permit, Denial>) -> Option<Lack> {
    let mut reasons = denied.as_ref().err()?.reasons.iter();
    reasons.find_map(
        |reason| {
            if let Reason::NotCovered { lack, .. } = reason { Some(*lack) } else { None }
        },
    )
}

#[test]
fn a_grant_about_one_guest_shows_nothing_more_of_another_even_if_the_backend_gives_them() {
    let permit = under("clerk", "GET /guests/G7", only(&["G7"])).unwrap();
    assert_eq!(permit.grant().unwrap().id, "G1");
    let clear = json!({ "id": "G7", "name": "n", "passport": "x", "scan": "s" });
    assert_eq!(filter(&permit, &guest("G7")), Some(clear));
    let masked = json!({ "id": "G8", "name": "n", "passport": "masked" });
    assert_eq!(filter(&permit, &guest("G8")), Some(masked.clone()));
    // In a list each record is judged by itself, and a number counts as its digits.
    let list = under("clerk", "GET /guests", only(&["7"])).unwrap();
    let seen = filter(&list, &json!([{ "id": 7, "passport": "x" }, guest("G8")])).unwrap();
    assert_eq!(seen, json!([{ "id": 7, "passport": "x" }, masked]));
    // Without its key a record is nobody's.
    assert_eq!(filter(&list, &json!([{ "name": "n", "passport": "x" }])), Some(json!([])));
}

#[test]
fn the_path_of_another_guest_does_not_use_the_grant_at_all() {
    let permit = under("clerk", "GET /guests/G8", only(&["G7"])).unwrap();
    assert!(permit.grant().is_none(), "nothing is used up");
    let denied = under("auditor", "GET /guests/G8", only(&["G7"]));
    assert_eq!(lack(&denied), Some(Lack::Subject));
    assert_eq!(denied.unwrap_err().kind, DenialKind::Grant);
}

#[test]
fn what_only_a_grant_opens_is_withheld_of_other_guests() {
    let permit = under("auditor", "GET /guests/G7", only(&["G7"])).unwrap();
    assert_eq!(
        filter(&permit, &guest("G7")),
        Some(json!({ "id": "G7", "name": "n", "phone": "p" }))
    );
    assert_eq!(filter(&permit, &guest("G8")), None);
    let export = under("clerk", "GET /export", only(&["G7"])).unwrap();
    let rows = filter(&export, &json!([guest("G7"), guest("G8")])).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
}

#[test]
fn a_file_passes_for_the_guest_of_its_path_only() {
    assert!(under("clerk", "GET /guests/G7/scan", only(&["G7"])).unwrap().grant().is_some());
    let denied = under("clerk", "GET /guests/G8/scan", only(&["G7"]));
    assert_eq!(lack(&denied), Some(Lack::Subject));
    assert_eq!(denied.unwrap_err().kind, DenialKind::Grant);
    let without =
        ask_with(&program(HOTEL), caller(&["clerk"]), "GET /guests/G7/scan", Asked::default());
    assert_eq!(without.unwrap_err().kind, DenialKind::Grant);
}

#[test]
fn a_grant_of_certain_fields_opens_no_file_since_nobody_reads_which_are_in_it() {
    let narrow = Coverage { fields: Some(vec!["guest.passport".to_owned()]), ..only(&["G7"]) };
    assert_eq!(lack(&under("clerk", "GET /guests/G7/scan", narrow)), Some(Lack::Unread));
}

#[test]
fn an_answer_without_records_is_about_nobody_that_could_be_tested() {
    let points = "
  guest.points: { match: \"GET bank.example/guests/{id}/points\", to: core, action: view, returns: { pass: $.points } }
rules:
  - { name: points, allow: view, to: clerk, route: guest.points, require: { grant: required } }
";
    let hotel = program(&HOTEL.replace("\nrules:\n", points));
    let asked = |coverage| Asked { grant: Some(grant(coverage)), ..Asked::default() };
    let ask = |path, coverage| ask_with(&hotel, caller(&["clerk"]), path, asked(coverage));
    let denied = ask("GET /guests/G8/points", only(&["G7"]));
    assert_eq!(lack(&denied), Some(Lack::Untestable));
    assert!(ask("GET /guests/G8/points", Coverage::everything()).is_ok());
}

#[test]
fn what_denies_the_own_roles_denies_under_a_lent_one_too() {
    let denies = |when: &str| {
        let deny = format!(
            "\n  - {{ name: no, deny: view, to: any, of: guest, when: '{when}' }}\nlimits:"
        );
        program(&HOTEL.replace("\nlimits:", &deny))
    };
    let lent = Coverage { role: Some("manager".to_owned()), ..only(&["G7"]) };
    let asked = || Asked { grant: Some(grant(lent.clone())), ..Asked::default() };
    for when in [r#"!("manager" in caller.roles)"#, r#""manager" in caller.roles"#] {
        let denied = ask_with(&denies(when), caller(&["clerk"]), "GET /guests/G7", asked());
        assert!(matches!(&denied.unwrap_err().reasons[..], [Reason::Denied { .. }, ..]), "{when}");
    }
}

#[test]
fn no_field_opens_that_was_not_asked_for() {
    let narrow = Coverage { fields: Some(vec!["guest.passport".to_owned()]), ..only(&["G7"]) };
    let permit = under("clerk", "GET /guests/G7", narrow.clone()).unwrap();
    let seen = json!({ "id": "G7", "name": "n", "passport": "x" });
    assert_eq!(filter(&permit, &guest("G7")), Some(seen));
    // Where the grant opens the record itself, nothing but its fields passes.
    let permit = under(
        "auditor",
        "GET /guests/G7",
        Coverage { fields: Some(vec!["guest.name".to_owned()]), ..only(&["G7"]) },
    )
    .unwrap();
    assert_eq!(filter(&permit, &guest("G7")), Some(json!({ "name": "n" })));
}

#[test]
fn a_lent_role_shows_what_it_shows_and_of_the_guest_alone() {
    let lent = Coverage { role: Some("manager".to_owned()), ..only(&["G7"]) };
    let permit = under("clerk", "GET /guests/G7", lent.clone()).unwrap();
    let seen = filter(&permit, &guest("G7")).unwrap();
    assert_eq!(seen["phone"], "p");
    assert_eq!(filter(&permit, &guest("G8")).unwrap().get("phone"), None);
    // The role's other entities are about other keys, and its changes about a record that is read first.
    let stay = under("clerk", "GET /stays/12", lent.clone()).unwrap();
    assert_eq!(filter(&stay, &json!({ "guest_id": "G7", "room": "12" })), None);
    let made = under("clerk", "POST /stays", lent.clone());
    assert_eq!(lack(&made), Some(Lack::Untestable));
    let drop = under("clerk", "DELETE /guests/G7", lent).unwrap();
    let reading = drop.pre_read().unwrap();
    let captured = |key: &str| [Some(super::Value::from(key))];
    let case = |key: &str| reading.case(super::RecordId(0), &captured(key));
    let (mine, other) = (case("G7"), case("G8"));
    assert!(drop.settle(other).is_err(), "the backend gave another guest");
    let lent = Coverage { role: Some("manager".to_owned()), ..only(&["G7"]) };
    assert!(under("clerk", "DELETE /guests/G7", lent).unwrap().settle(mine).is_ok());
}

#[test]
fn no_role_is_lent_that_the_policy_keeps_apart_from_one_of_the_person() {
    let hotel = program(&format!("{HOTEL}apart: [[clerk, manager]]\n"));
    let lent = Coverage { role: Some("manager".to_owned()), ..only(&["G7"]) };
    let asked = Asked { grant: Some(grant(lent)), ..Asked::default() };
    let permit = ask_with(&hotel, caller(&["clerk"]), "GET /guests/G7", asked).unwrap();
    assert!(permit.grant().is_none());
    assert_eq!(filter(&permit, &guest("G7")).unwrap().get("phone"), None);
}

#[test]
fn a_grant_without_people_holds_for_everybody_that_the_rules_show() {
    let permit = under("clerk", "GET /guests", Coverage::everything()).unwrap();
    let seen = filter(&permit, &json!([guest("G7"), guest("G8")])).unwrap();
    assert_eq!((&seen[0]["passport"], &seen[1]["passport"]), (&json!("x"), &json!("x")));
}

#[test]
fn it_covers_its_action_route_purpose_zone_device_assurance_and_time_only() {
    let all = Coverage::everything;
    for (coverage, wanted) in [
        (Coverage::default(), Lack::Action),
        (Coverage { actions: vec![Action::Search], ..all() }, Lack::Action),
        (Coverage { routes: vec!["guest.view".to_owned()], ..all() }, Lack::Route),
        (Coverage { purpose: Some("check-in".to_owned()), ..all() }, Lack::Purpose),
        (Coverage { zones: vec!["office".to_owned()], ..all() }, Lack::Zone),
        (Coverage { device: true, ..all() }, Lack::Device),
        (Coverage { assurance: 3, ..all() }, Lack::Assurance),
        (Coverage { from_unix_s: Some(NOW + 1), ..all() }, Lack::Early),
        (Coverage { until_unix_s: Some(NOW), ..all() }, Lack::Over),
        (Coverage { parameters: vec![("id".to_owned(), "G9".to_owned())], ..all() }, Lack::Subject),
        (Coverage { role: Some("gone".to_owned()), ..all() }, Lack::Dead),
        (Coverage { fields: Some(vec!["guest.gone".to_owned()]), ..all() }, Lack::Dead),
    ] {
        let denied = under("clerk", "GET /guests/G7/scan", coverage);
        assert_eq!(lack(&denied), Some(wanted));
        assert_eq!(denied.unwrap_err().kind, DenialKind::Grant, "{wanted:?}");
    }
    let fits = Coverage { until_unix_s: Some(NOW + 1), from_unix_s: Some(NOW), ..all() };
    assert!(under("clerk", "GET /guests/G7/scan", fits).is_ok());
}

#[test]
fn of_several_grants_the_first_that_leads_further_is_used_and_none_where_none_is_needed() {
    let hotel = program(HOTEL);
    let grants: Vec<Arc<Grant>> = [only(&["G8"]), only(&["G7"]), Coverage::everything()]
        .into_iter()
        .zip(["A", "B", "C"])
        .map(|(coverage, id)| Arc::new(Grant { id: id.to_owned(), ..grant(coverage) }))
        .collect();
    let used = |role: &str, path: &str, grants: &[Arc<Grant>]| {
        let principal = Arc::new(caller(&[role]));
        let met = hotel.find("business", "bank.example", "GET", &Path::parse(path).unwrap());
        let met = met.unwrap();
        let query = Query {
            zone: "business",
            principal: &principal,
            route: &met.route,
            params: &met.params,
            search: None,
            method: "GET",
            host: "bank.example",
            purpose: None,
            ticket: None,
            grant: None,
            ties: None,
            now_unix_s: NOW,
        };
        let decided = hotel.decide_under(&query, grants);
        decided.map(|permit| permit.grant().map(|grant| grant.id.clone()))
    };
    assert_eq!(used("clerk", "/guests/G7/scan", &grants), Ok(Some("B".to_owned())));
    assert_eq!(used("clerk", "/guests/G9/scan", &grants), Ok(Some("C".to_owned())));
    assert_eq!(used("manager", "/guests/G7", &grants), Ok(None), "whoever needs none uses none");
    let denied = used("clerk", "/guests/G9/scan", &grants[..2]).unwrap_err();
    assert_eq!(denied.kind, DenialKind::Grant);
    let named = denied.reasons.iter().filter(|r| matches!(r, Reason::NotCovered { .. })).count();
    assert_eq!(named, 2, "each says why it does not count");
}

const GRANTS: &str = "
grants:
  - { to: clerk, action: view, grade: 4, uses: 3, longest: 2h, subjects: 5, break-glass: {} }
  - { to: clerk, route: guest.scan, grade: 4, by: manager, number: 2, uses: 1, fresh: 5m, break-glass: { review: 1h } }
  - { to: any, action: search, lends: manager, subjects: any, grade: 4 }
";

#[test]
fn of_all_that_is_said_of_a_grant_the_strictest_binds() {
    let hotel = program(&format!("{HOTEL}{GRANTS}"));
    let clerk = ["clerk".to_owned()];
    let scan = |routes: &[&str], actions: &[Action]| Coverage {
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        actions: actions.to_vec(),
        ..Coverage::default()
    };
    let found = hotel.granting(&clerk, &scan(&["guest.scan"], &[Action::View])).unwrap();
    let terms = &found.terms;
    assert_eq!((terms.number, terms.uses, terms.fresh_s), (2, Some(1), 300));
    assert_eq!((terms.longest_s, terms.subjects), (3600, Some(1)));
    assert_eq!(terms.break_glass.unwrap().review_s, 3600);
    // Both a higher rank and the role are asked.
    let may = |roles: &[&str], found: &super::super::Granting| {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        hotel.may_grant(found, &roles, &clerk)
    };
    assert!(may(&["manager"], &found) && !may(&["auditor"], &found) && !may(&[], &found));
    let wide = hotel.granting(&clerk, &scan(&["guest.view"], &[Action::View])).unwrap();
    assert_eq!((wide.terms.uses, wide.terms.subjects), (Some(3), Some(5)));
    // Whoever asks for more than the second entry is about is bound by it all the same.
    for routes in [&[][..], &["guest.scan", "guest.view"]] {
        let more = hotel.granting(&clerk, &scan(routes, &[Action::View])).unwrap();
        assert_eq!((more.terms.number, more.terms.uses), (2, Some(1)));
    }
    // No entry alone is about both actions; a change is what none is about.
    assert!(
        hotel.granting(&clerk, &scan(&["guest.view"], &[Action::View, Action::Search])).is_err()
    );
    assert!(hotel.granting(&clerk, &scan(&["guest.drop"], &[Action::Delete])).is_err());
    assert!(hotel.granting(&clerk, &scan(&["guest.scan"], &[])).is_err());
    let lent =
        Coverage { role: Some("manager".to_owned()), ..scan(&["guest.list"], &[Action::Search]) };
    assert_eq!(hotel.granting(&clerk, &lent).unwrap().terms.subjects, None);
    let lent = Coverage { role: Some("auditor".to_owned()), ..lent };
    assert!(hotel.granting(&clerk, &lent).is_err());
}

#[test]
fn nobody_sheds_an_entry_by_asking_for_a_role_or_a_higher_grade_as_well() {
    let hotel = program(&format!(
        "{HOTEL}grants:
  - {{ to: clerk, grade: 4, lends: manager, subjects: 5 }}
  - {{ to: clerk, action: view, route: guest.view, number: 2 }}
"
    ));
    let clerk = ["clerk".to_owned()];
    let view = |role: Option<&str>, fields: &[&str]| Coverage {
        routes: vec!["guest.view".to_owned()],
        actions: vec![Action::View],
        role: role.map(str::to_owned),
        fields: Some(fields.iter().map(|name| (*name).to_owned()).collect())
            .filter(|fields: &Vec<String>| !fields.is_empty()),
        ..Coverage::default()
    };
    for (role, fields) in [
        (None, &["guest.name"][..]),
        (None, &["guest.name", "guest.passport"]),
        (None, &[]),
        (Some("manager"), &["guest.name"]),
        (Some("manager"), &[]),
    ] {
        let found = hotel.granting(&clerk, &view(role, fields)).unwrap();
        assert_eq!((found.terms.number, found.terms.subjects), (2, Some(1)), "{role:?} {fields:?}");
    }
    assert!(hotel.granting(&clerk, &view(Some("auditor"), &["guest.name"])).is_err());
}

#[test]
fn what_may_be_granted_otherwise_counts_as_wider() {
    let compare = |old: &str, new: &str| {
        super::super::compare(
            &program(&format!("{HOTEL}{old}")),
            &program(&format!("{HOTEL}{new}")),
        )
    };
    assert!(compare("", GRANTS).widens());
    assert!(!compare(GRANTS, "").widens());
    assert!(!compare(GRANTS, GRANTS).widens());
    let other = compare(GRANTS, &GRANTS.replace("number: 2", "number: 1"));
    assert!(other.widens() && other.to_string().contains("cannot be told"), "{other}");
}

#[test]
fn an_entry_that_means_nothing_is_a_fault() {
    for (entry, said) in [
        ("{ route: guest.scan }", "needs `to`"),
        ("{ to: clerk, route: guest.scam }", "guest.scam"),
        ("{ to: clerk, lends: chief }", "chief"),
        ("{ to: clerk, route: [] }", "`route`"),
        ("{ to: clerk, action: [] }", "`action`"),
        ("{ to: clerk, by: any }", "not everybody agrees"),
        ("{ to: clerk, ring: 3 }", "`ring`"),
        ("{ to: clerk, longest: 400d }", "`longest`"),
        ("{ to: clerk, uses: 0 }", "`uses`"),
    ] {
        let text = format!("{HOTEL}grants:\n  - {entry}\n");
        let faults = super::super::compile(&[super::source(&text)]).unwrap_err().to_string();
        assert!(faults.contains(said), "{entry}: {faults}");
    }
}

#[test]
fn where_grade_4_takes_two_nobody_opens_it_alone_and_lower_grades_are_as_they_were() {
    let entry = "{ to: clerk, grade: 4, by: higher-rank, subjects: any, break-glass: { longest: 30m, assurance: 1, fresh: 5m, review: 1h, subjects: 1 } }";
    let lax = program(&format!("{HOTEL}grants: [{entry}]\n"));
    let strict = program(&format!("{HOTEL}grants: [{entry}]\ntwo-person: grade-4\n"));
    let clerk = ["clerk".to_owned()];
    let terms = |hotel: &Program, fields: Option<&[&str]>, route: &str| {
        let coverage = Coverage {
            actions: vec![Action::View],
            routes: vec![route.to_owned()],
            fields: fields.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            ..Coverage::default()
        };
        let terms = hotel.granting(&clerk, &coverage).unwrap().terms;
        (terms.number, terms.break_glass.is_some())
    };
    assert_eq!(terms(&lax, Some(&["guest.passport"]), "guest.view"), (1, true));
    for (fields, route) in [
        (Some(["guest.passport"].as_slice()), "guest.view"),
        (None, "guest.view"),
        (None, "guest.scan"),
    ] {
        assert_eq!(terms(&strict, fields, route), (2, false), "{route} {fields:?}");
    }
    assert_eq!(terms(&strict, Some(&["guest.phone"]), "guest.view"), (1, true));
}
