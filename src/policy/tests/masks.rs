//! The style that a policy names for a kind, on its way into plans and explanations.

use super::super::plan::{Node, Plan, Slot, Verdict};
use super::super::{Kind, Mask, compile};
use super::{NOW, ask, caller, program, source};
use crate::document::Code;
use crate::policy::{Program, Query};
use crate::route::Path;

const SHOP: &str = r"
grades: { 1: {} }
entities:
  order:
    subject: id
    fields:
      id: 1
      pan: { grade: 1, kind: bank-card }
      phone: { grade: 1, kind: phone }
      note: 1
      remark: 1
routes:
  order.view:
    match: GET bank.example/orders/{id}
    to: core
    action: view
    returns: { order: $ }
  order.create:
    match: POST bank.example/orders
    to: core
    action: create
    accepts: { order: $ }
    returns: { order: $ }
roles: { clerk: {} }
rules:
  - name: clerks see orders
    allow: [view, create]
    to: clerk
    of: order
    clear: [id, remark]
    masked: [pan, phone, note]
    write: [pan, phone, note, remark]
";

fn shop(masks: &str) -> Program {
    program(&format!("{SHOP}masks: {masks}\n"))
}

/// The slot of a member of the outermost object.
fn slot(plan: &Plan, member: &str) -> Slot {
    let Verdict::Enter(root) = plan.root.verdict else { panic!("nothing passes") };
    let Some(Node::Object(object)) = plan.node(root) else { panic!("no object") };
    object.members.iter().find(|(name, _)| **name == *member).unwrap().1
}

fn answer_mask(shop: &Program, member: &str) -> Option<Mask> {
    let permit = ask(shop, caller(&["clerk"]), "GET /orders/1", None).unwrap();
    slot(permit.plan(), member).mask
}

#[test]
fn a_kind_is_masked_in_the_style_that_the_policy_names() {
    let shop = shop("{ bank-card: bin-last4 }");
    assert_eq!(answer_mask(&shop, "pan"), Mask::styled(Kind::BankCard, "bin-last4"));
    assert_eq!(answer_mask(&shop, "phone"), Some(Mask::of(Kind::Phone)));
    assert_eq!(answer_mask(&shop, "note"), Some(Mask::of(Kind::Opaque)));
    assert_eq!(answer_mask(&shop, "remark"), None);
}

#[test]
fn requests_know_the_masked_form_of_every_field_that_is_masked() {
    let shop = shop("{ phone: last4 }");
    let permit = ask(&shop, caller(&["clerk"]), "POST /orders", None).unwrap();
    let plan = permit.write_plan().unwrap();
    assert_eq!(slot(plan, "phone").mask, Mask::styled(Kind::Phone, "last4"));
    let note = slot(plan, "note");
    assert_eq!((note.verdict, note.mask), (Verdict::Clear, Some(Mask::of(Kind::Opaque))));
    assert_eq!(slot(plan, "remark").mask, None);
}

#[test]
fn a_style_is_named_once_in_all_files() {
    let sources =
        [source(&format!("{SHOP}masks: {{ phone: last4 }}")), source("masks: { phone: all }")];
    let faults = compile(&sources).unwrap_err();
    let codes: Vec<Code> = faults.as_slice().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [Code::DefinedTwice]);
}

#[test]
fn a_style_changes_the_version_of_the_policy() {
    assert_ne!(shop("{ phone: last4 }").version(), shop("{ phone: ends }").version());
}

#[test]
fn an_explanation_names_a_style_that_is_not_the_first() {
    let shop = shop("{ bank-card: bin-last4, phone: ends }");
    let path = Path::parse("/orders/1").unwrap();
    let met = shop.find("business", "bank.example", "GET", &path).unwrap();
    let explanation = shop.explain(&Query {
        zone: "business",
        principal: &std::sync::Arc::new(caller(&["clerk"])),
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
    });
    let style =
        |name: &str| explanation.fields.iter().find(|field| field.name == name).unwrap().style;
    assert_eq!((style("order.pan"), style("order.phone")), (Some("bin-last4"), None));
    assert!(explanation.to_string().contains("order.pan     grade 1       masked     bin-last4\n"));
}

#[test]
fn the_example_of_the_guide_is_a_policy() {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/masks.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, example) = guide.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    program(example);
}
