//! What is looked for in values: where the planner puts it, and that taking it away counts as wider.

use super::super::plan::{OnHit, Plan};
use super::super::{Class, Kind, compare};
use super::{ask, caller, program};

const SHOP: &str = r#"
grades: { 1: {} }
entities:
  order:
    subject: id
    fields: { id: 1, note: 1, phone: { grade: 1, kind: phone }, card: { grade: 1, kind: bank-account }, paper: { grade: 1, kind: national-id } }
routes:
  order.view: { match: "GET bank.example/orders/{id}", to: core, action: view, returns: { order: $.order, pass: $.next } }
  order.update: { match: "PATCH bank.example/orders/{id}", to: core, action: update, accepts: { order: $ } }
roles: { clerk: {} }
rules:
  - { name: clerks, allow: [view, update], to: clerk, of: order, clear: [id, note, card, paper], masked: phone, write: [note, phone] }
"#;

/// Place, kind and consequence of all that a plan has looked for.
fn sought(plan: &Plan) -> Vec<(String, Kind, OnHit)> {
    let in_place = |detection: &super::super::plan::Detection| {
        let name = detection.name.to_string();
        let all = detection.sought.clone().into_iter();
        all.map(move |sought| (name.clone(), sought.mask.kind(), sought.on_hit)).collect::<Vec<_>>()
    };
    let mut sought: Vec<_> = plan.detections.iter().flat_map(in_place).collect();
    sought.sort_by_key(|(name, kind, _)| (name.clone(), kind.name()));
    sought
}

#[test]
fn a_kind_is_looked_for_in_clear_values_of_other_kinds_only() {
    let detect = "detect: { answers: { bank-card: mask, phone: alert, th-national-id: withhold }, \
                  requests: { phone: refuse }, except: { order.id: [phone] } }\n";
    let program = program(&format!("{SHOP}{detect}"));
    let view = ask(&program, caller(&["clerk"]), "GET /orders/1", None).unwrap();
    let (card, phone, thai) = (Kind::BankCard, Kind::Phone, Kind::ThNationalId);
    let wanted = [
        ("$.next", card, OnHit::Mask),
        ("$.next", phone, OnHit::Alert),
        ("$.next", thai, OnHit::Withhold),
        ("order.card", phone, OnHit::Alert),
        ("order.card", thai, OnHit::Withhold),
        ("order.id", card, OnHit::Mask),
        ("order.id", thai, OnHit::Withhold),
        ("order.note", card, OnHit::Mask),
        ("order.note", phone, OnHit::Alert),
        ("order.note", thai, OnHit::Withhold),
        ("order.paper", card, OnHit::Mask),
        ("order.paper", phone, OnHit::Alert),
    ];
    let wanted = wanted.map(|(name, kind, on_hit)| (name.to_owned(), kind, on_hit));
    assert_eq!(sought(view.plan()), wanted);
    let update = ask(&program, caller(&["clerk"]), "PATCH /orders/1", None).unwrap();
    let plan = update.write_plan().unwrap();
    assert_eq!(sought(plan), [("order.note".to_owned(), phone, OnHit::Refuse)]);
}

#[test]
fn looking_less_is_wider_and_looking_more_narrower() {
    let with = |detect: &str| program(&format!("{SHOP}{detect}\n"));
    let strict =
        "detect: { answers: { bank-card: mask, phone: mask }, requests: { phone: refuse } }";
    for (less, sentence) in [
        ("detect: {}", "values like `bank-card` in answers: not looked for, was mask"),
        (
            "detect: { answers: { bank-card: alert, phone: mask }, requests: { phone: refuse } }",
            "values like `bank-card` in answers: alert, was mask",
        ),
        (
            "detect: { answers: { bank-card: mask, phone: mask }, requests: { phone: alert } }",
            "values like `phone` in request bodies: alert, was refuse",
        ),
        (
            "detect: { answers: { bank-card: mask, phone: mask }, requests: { phone: refuse }, except: { order.note: phone } }",
            "values like `phone` are no longer looked for in `order.note`",
        ),
        (
            "detect: { answers: { bank-card: mask, phone: mask }, requests: { phone: refuse }, except-routes: { order.view: phone } }",
            "values like `phone` are no longer looked for on `order.view`",
        ),
    ] {
        let widening = compare(&with(strict), &with(less));
        let told = |class: Class| {
            move |change: &&super::super::Change| {
                change.class == class && change.sentence.starts_with("values like")
            }
        };
        let sentences: Vec<_> = widening
            .changes
            .iter()
            .filter(told(Class::Widens))
            .map(|c| c.sentence.as_str())
            .collect();
        assert!(sentences.contains(&sentence), "{sentences:?}");
        let narrowing = compare(&with(less), &with(strict));
        assert!(!narrowing.widens() && narrowing.changes.iter().any(|c| told(Class::Narrows)(&c)));
    }
    // A field of the kind is no longer looked through for it, though its value stays in clear.
    let before = with(strict);
    let after = program(&format!(
        "{}{strict}\n",
        SHOP.replace("note: 1", "note: { grade: 1, kind: bank-card }")
    ));
    assert!(compare(&before, &after).changes.iter().any(|change| {
        change.class == Class::Widens
            && change.sentence.contains("no longer looked for in `order.note`")
    }));
}
