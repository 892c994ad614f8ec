//! A well-known description, and descriptions that mean harm: whatever is made of them compiles and stays closed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::compile;
use super::{ImportOptions, Imported, import};
use crate::document::{Code, Source};

fn source(text: &str) -> Source {
    Source { name: "openapi.yaml".to_owned(), text: text.to_owned() }
}

fn options() -> ImportOptions {
    ImportOptions { host: Some("api.example".to_owned()), upstream: "shop".to_owned() }
}

/// Imports, and has the policy compiler read the result: no fault, and nothing open.
fn imported(text: &str) -> Imported {
    let imported = import(&source(text), &options()).unwrap_or_else(|faults| panic!("{faults}"));
    let files = [source(&imported.routes), source(&imported.catalogue)];
    let program = compile(&files)
        .unwrap_or_else(|faults| panic!("{faults}\n{}\n{}", imported.routes, imported.catalogue));
    let codes: BTreeSet<&str> = program.warnings().iter().map(|w| w.code.as_str()).collect();
    assert!(codes.is_subset(&["W002", "W010"].into()), "{codes:?}");
    assert_eq!(program.routes().len(), imported.route_count);
    let closed = program.warnings().iter().filter(|w| w.code == Code::ClosedRoute).count();
    assert_eq!(closed, imported.route_count, "a route is open");
    imported
}

fn fault(text: &str, options: &ImportOptions) -> String {
    let faults = import(&source(text), options).unwrap_err();
    let fault = &faults.as_slice()[0];
    format!("{} {}", fault.code.as_str(), fault.message)
}

/// A description with these schemas, of which `A` is what the one route answers.
fn answering(schemas: &str) -> String {
    format!(
        r##"openapi: 3.1.0
paths:
  /a/{{id}}:
    get:
      responses:
        "200": {{ content: {{ application/json: {{ schema: {{ $ref: "#/components/schemas/A" }} }} }} }}
components:
  schemas:
{schemas}
"##
    )
}

#[test]
fn the_pet_store_becomes_a_policy_that_is_closed() {
    let text = include_str!("../../../tests/fixtures/petstore.yaml");
    let shop = ImportOptions { host: None, upstream: "shop".to_owned() };
    let from_servers = import(&source(text), &shop).unwrap();
    assert!(from_servers.routes.contains("match: GET petstore3.swagger.io/api/v3/pet/{petId}"));
    let found = imported(text);
    assert_eq!((found.route_count, found.entity_count, found.field_count), (16, 5, 22));
    for route in [
        "getPetById:\n    match: GET api.example/api/v3/pet/{petId}\n    to: shop\n    action: view\n    returns: { pet: $ }",
        "action: search\n    query: { status: pet.status }\n    returns: { pet: \"$[]\" }",
        "action: update\n    accepts: { user: $ }\n    reads: getUserByName",
        "action: delete\n    reads: getOrderById",
    ] {
        assert!(found.routes.contains(route), "{route}\n{}", found.routes);
    }
    for field in [
        "category: category\n      photoUrls[]: ungraded\n      tags[]: tag",
        "email: { grade: ungraded, kind: email }\n      password: sealed\n      phone: { grade: ungraded, kind: phone }",
        "username: { grade: ungraded, kind: user-name }",
        "user:\n    # subject: id # whose data it is; needed, since this looks like people's data\n",
        "pet:\n    # subject: id # whose data it is, if it is a person's\n",
    ] {
        assert!(found.catalogue.contains(field), "{field}\n{}", found.catalogue);
    }
    assert_eq!(
        found.left_out,
        [
            "POST /pet/{petId}/uploadImage: takes application/octet-stream, not JSON",
            "GET /store/inventory: answers what has no fields: an object whose members have no fixed names",
            "GET /user/login: answers a bare value and no record",
            "findPetsByTags: the parameter `tags` is refused until `query` says what it means",
            "updatePetWithForm: the parameter `name` is refused until `query` says what it means",
            "updatePetWithForm: the parameter `status` is refused until `query` says what it means",
        ]
    );
}

#[test]
fn json_is_read_like_yaml() {
    let yaml = include_str!("../../../tests/fixtures/petstore.yaml");
    let json: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
    let found = imported(&serde_json::to_string(&json).unwrap());
    assert_eq!((found.route_count, found.entity_count, found.field_count), (16, 5, 22));
}

#[test]
fn what_is_no_openapi_3_is_told_as_such() {
    assert_eq!(fault("swagger: \"2.0\"\npaths: {}", &options()), "P010 Swagger 2.0 is not read");
    assert_eq!(fault("openapi: 4.0.0", &options()), "P010 OpenAPI `4.0.0` is not read");
    assert_eq!(fault("a: 1", &options()), "P010 not an OpenAPI document: no `openapi`");
    assert_eq!(fault("[]", &options()), "P010 not an OpenAPI document: no `openapi`");
    assert_eq!(fault("", &options()), "P007 the file is empty");
    assert!(fault("<html>\n\t: {", &options()).starts_with("P001 "));
    let nowhere = ImportOptions { host: None, upstream: "u".to_owned() };
    for servers in ["", "servers: [{ url: /api }]", "servers: [{ url: \"https://u:p@h/\" }]"] {
        let text = format!("openapi: 3.0.0\npaths: {{}}\n{servers}");
        assert!(fault(&text, &nowhere).starts_with("P013 "), "{servers}");
    }
}

#[test]
fn schemas_that_stand_inside_themselves_are_cut() {
    let found = imported(&answering(
        "    A: { type: object, properties: { id: { type: string }, parent: { $ref: \"#/components/schemas/A\" },
           b: { $ref: \"#/components/schemas/B\" } } }
    B: { type: object, properties: { n: { type: string }, all: { type: array, items: { $ref: \"#/components/schemas/A\" } } } }",
    ));
    assert!(found.catalogue.contains("# parent is left out: stands inside itself"), "{found:#?}");
    assert!(found.catalogue.contains("b: b"));
    assert_eq!(found.left_out.len(), 2);
    let endless =
        "    A: { $ref: \"#/components/schemas/B\" }\n    B: { $ref: \"#/components/schemas/A\" }";
    assert_eq!(imported(&answering(endless)).route_count, 0);
    let all = "    A: { allOf: [{ $ref: \"#/components/schemas/A\" }, { properties: { x: { type: string } } }] }";
    assert!(imported(&answering(all)).catalogue.contains("x: ungraded"));
}

#[test]
fn forms_are_joined_and_it_is_said() {
    let found = imported(&answering(
        "    A: { allOf: [{ $ref: \"#/components/schemas/Base\" }, { properties: { own: { type: [\"null\", integer] } } }] }
    Base: { properties: { id: { type: string }, kind: { anyOf: [{ type: string }, { type: \"null\" }] },
            pay: { oneOf: [{ $ref: \"#/components/schemas/Card\" }, { $ref: \"#/components/schemas/Cash\" }] } } }
    Card: { properties: { cardNumber: { type: string }, cvv: { type: string } } }
    Cash: { properties: { till: { type: string } } }",
    ));
    for line in [
        "own: ungraded",
        "kind: ungraded",
        "cardNumber: { grade: ungraded, kind: bank-card }",
        "cvv: sealed",
        "till: ungraded",
        "# has several forms",
    ] {
        assert!(found.catalogue.contains(line), "{line}\n{}", found.catalogue);
    }
    assert_eq!(found.entity_count, 1);
}

#[test]
fn the_records_of_a_page_are_found_in_it() {
    let found = imported(&answering(
        "    A: { properties: { items: { type: array, items: { $ref: \"#/components/schemas/B\" } }, total: { type: integer } } }
    B: { properties: { id: { type: string } } }",
    ));
    assert!(
        found.routes.contains("action: search\n    returns: { b: \"$.items[]\" }"),
        "{}",
        found.routes
    );
    assert_eq!(found.entity_count, 1, "the page is no record");
}

#[test]
fn names_that_mean_something_else_are_left_out_or_changed() {
    let found = imported(&answering(
        "    A: { properties: { grade: { type: string }, \"a.b\": { type: string }, \"x y\": { type: string }, 店: { type: string },
          \"yes\": { type: string }, inner: { properties: { grade: { type: string }, id: { type: string } } },
          s: { $ref: \"#/components/schemas/Sealed\" }, p: { $ref: \"#/components/schemas/pass\" } } }
    Sealed: { properties: { q: { type: string } } }
    pass: { properties: { q: { type: string } } }",
    ));
    for line in [
        "grade: ungraded",
        "店: ungraded",
        "\"yes\": ungraded",
        "s: sealed_record",
        "p: pass_record",
        "# a.b is left out",
        "# grade is left out: a member of a member",
    ] {
        assert!(found.catalogue.contains(line), "{line}\n{}", found.catalogue);
    }
    let twins = "openapi: 3.0.0\npaths:\n  /a/{x}: { get: { operationId: \"a b\" } }\n  /a/{y-z}: { get: {} }\n  /b: { get: { operationId: a-b } }\n  \"/c/{d}.json\": { get: {} }";
    let found = imported(twins);
    assert!(found.routes.contains("a-b:") && found.routes.contains("a-b-2:"), "{}", found.routes);
    assert_eq!(found.left_out.len(), 2, "{:?}", found.left_out);
}

#[test]
fn what_is_large_or_entangled_takes_bounded_time() {
    let many: String = (0..100_000)
        .map(|n| format!("      p{n}: {{ $ref: \"#/components/schemas/B\" }}\n"))
        .collect();
    let found = imported(&answering(&format!(
        "    A:\n     properties:\n{many}    B: {{ properties: {{ id: {{ type: string }} }} }}"
    )));
    assert_eq!(found.entity_count, 2);
    let doubling: String = (0..60)
        .map(|n| {
            let next = format!("{{ $ref: \"#/components/schemas/S{}\" }}", n + 1);
            format!("    S{n}: {{ allOf: [{next}, {next}, {next}, {{ properties: {{ f{n}: {{ type: string }} }} }}] }}\n")
        })
        .collect();
    let text = answering(&format!("    A: {{ $ref: \"#/components/schemas/S0\" }}\n{doubling}"));
    assert!(fault(&text, &options()).starts_with("P002 the schemas refer"));
    let chain: String = (0..5000)
        .map(|n| format!("    S{n}: {{ properties: {{ a: {{ type: string }}, n: {{ $ref: \"#/components/schemas/S{}\" }} }} }}\n", n + 1))
        .collect();
    let found =
        imported(&answering(&format!("    A: {{ $ref: \"#/components/schemas/S0\" }}\n{chain}")));
    assert!(found.entity_count > 10 && found.entity_count < 40, "{}", found.entity_count);
    let wide: String = (0..3000).map(|n| format!("      p{n}: {{ type: string }}\n")).collect();
    let found = imported(&answering(&format!("    A:\n     properties:\n{wide}")));
    assert_eq!(found.field_count, 255);
    let paths: String = (0..5001).map(|n| format!("  /p{n}: {{ get: {{}} }}\n")).collect();
    assert!(
        fault(&format!("openapi: 3.0.0\npaths:\n{paths}"), &options())
            .starts_with("P002 5001 paths")
    );
    assert!(
        fault(&"x".repeat(17 << 20), &options()).starts_with("P002 a file must be at most 16 MiB")
    );
    assert!(fault(&format!("openapi: {}", "[".repeat(10_000)), &options()).starts_with("P002 "));
    let deep =
        format!("{}{{ type: string }}{}", "{ properties: { a: ".repeat(40), " } }".repeat(40));
    assert_eq!(imported(&answering(&format!("    A: {deep}"))).route_count, 0);
}

#[test]
fn a_description_cannot_write_policy_of_its_own() {
    let text = "openapi: 3.0.0\npaths:\n  \"/a\\n  evil: {}\": { get: { operationId: \"x\\nrules:\\n\" } }\n  /b: { get: { operationId: \"x: {}\\nrules: []\", parameters: [{ in: query, name: \"q\\nrules: \" }, { in: query, name: \"q }\\u2028\" }] } }";
    let found = imported(text);
    assert!(
        !found.routes.lines().any(|line| line.starts_with("rules") || line.trim() == "evil: {}")
    );
    let schemas = "    A: { properties: { \"a\\nrules: []\": { type: string }, \"b\\u001b[31m\": { type: string }, c: { type: string } } }";
    let found = imported(&answering(schemas));
    assert!(!found.catalogue.contains('\u{1b}') && !found.catalogue.contains("\nrules"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_imported_compiles(words in proptest::collection::vec(proptest::sample::select(vec![
        "{ type: string }", "{ type: array, items: ", "{ properties: { a: ", "{ properties: { id: { type: integer }, grade: ",
        "{ $ref: \"#/components/schemas/A\" }", "{ $ref: \"#/components/schemas/B\" }", "{ allOf: [", "{ oneOf: [", "]", "}", "} }", ",",
        "{ type: object }", "{ $ref: other.yaml }", "{ properties: { items: { type: array, items: ", "{ properties: { \"x[]\": ", "{}", "1", "[]", "null",
    ]), 1..40), name in "\\PC{0,12}") {
        let quoted = serde_json::to_string(&name).unwrap();
        let text = answering(&format!(
            "    A: {}\n    B: {{ properties: {{ {quoted}: {{ $ref: \"#/components/schemas/A\" }}, b: {{ type: string, format: {quoted} }} }} }}",
            words.concat()
        ));
        if import(&source(&text), &options()).is_ok() {
            imported(&text);
        }
        // The member that names the other schema must not stand twice.
        prop_assume!(name != "d");
        let sure = answering(&format!(
            "    A: {{ properties: {{ {quoted}: {{ type: string }}, c: {{ properties: {{ {quoted}: {{ type: integer }} }} }}, d: {{ $ref: \"#/components/schemas/B\" }} }} }}\n    B: {{ properties: {{ x: {{ type: string }} }} }}"
        ));
        prop_assert_eq!(imported(&sure).entity_count, 2);
    }
}
