//! Fields that nobody has graded: closed for reading, writing and searching, whatever rules say.

use serde_json::json;

use super::super::Parameter;
use super::{ask, caller, filter, program};

#[test]
fn an_ungraded_field_neither_leaves_nor_is_searched() {
    let shop = program(
        "
grades: { 1: {} }
entities:
  pet: { fields: { id: 1, name: ungraded, owner: { phone: { grade: ungraded, kind: phone }, city: 1 } } }
routes:
  pets:
    match: GET bank.example/pets
    to: core
    action: search
    query: { name: pet.name, id: pet.id, sort: sort }
    returns: { pet: \"$[]\" }
roles: { keeper: {} }
rules:
  - { name: all, allow: search, to: keeper, of: pet, clear: [id, owner] }
",
    );
    let permit = ask(&shop, caller(&["keeper"]), "GET /pets", None).unwrap();
    let body = json!([{"id": 1, "name": "Rex", "owner": {"phone": "13812345678", "city": "Bonn"}}]);
    assert_eq!(filter(&permit, &body), Some(json!([{"id": 1, "owner": {"city": "Bonn"}}])));
    let clear = |name: &str| {
        let found = permit.search().parameters.iter().find(|(known, _)| **known == *name);
        match &found.unwrap().1 {
            Parameter::Field { clear, .. } => *clear,
            Parameter::Sort { clear } => clear.iter().any(|field| **field == *"name"),
            Parameter::Page
            | Parameter::PageSize(_)
            | Parameter::Filter { .. }
            | Parameter::Fields { .. }
            | Parameter::Include { .. }
            | Parameter::Free => panic!("{name}"),
        }
    };
    assert!(clear("id") && !clear("name") && !clear("sort"));
}
