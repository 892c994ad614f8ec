//! The keys as JSON Schema.

use serde_json::{Map, Value, json};

use super::super::kind::Kind;
use super::keys::{FIELD, GRADE, PASS, TOTAL};
use super::{Form, Key, Table};

/// The names of members: no dots or brackets but `[]` behind an array, no blanks.
const MEMBER: &str = r"^[^.\[\]*\s]+(\[\]){0,4}$";
/// `$`, `$[]`, `$.items[]`.
const PLACE: &str = r"^\$(\[\]|\.[^.\[\]*]+)*$";
/// Letters of any script are names too, so that only what no name has is refused.
const NAME: &str = r"^[^\s:/{}\[\],]{1,128}$";

/// The whole schema. Every table stands once under `$defs`.
pub(super) fn document(file: &Table) -> Value {
    let mut definitions = Map::new();
    let mut body = table(file, &mut definitions);
    members(&mut definitions);
    if let Some(body) = body.as_object_mut() {
        body.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        body.insert("title".to_owned(), json!("A policy file of menshen"));
        body.insert("$defs".to_owned(), Value::Object(definitions));
    }
    body
}

fn table(table: &Table, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> = table
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), described(form(&key.form, definitions), key.doc)))
        .collect();
    let required: Vec<&str> =
        table.keys.iter().filter(|key| key.required).map(|key: &Key| key.name).collect();
    let mut body = json!({
        "type": if table.may_be_empty { json!(["object", "null"]) } else { json!("object") },
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        put(&mut body, "required", json!(required));
    }
    if !table.one_of.is_empty() {
        let one = |name: &&str| json!({ "required": [name] });
        put(&mut body, "oneOf", table.one_of.iter().map(one).collect());
    }
    body
}

fn form(written: &Form, definitions: &mut Map<String, Value>) -> Value {
    match written {
        Form::Table(inner) => {
            if !definitions.contains_key(inner.name) {
                let body = table(inner, definitions);
                definitions.insert(inner.name.to_owned(), body);
            }
            reference(inner.name)
        }
        Form::Named(inner) => json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": NAME },
            "additionalProperties": form(inner, definitions),
        }),
        Form::List(inner) => {
            json!({ "type": ["array", "null"], "items": form(inner, definitions) })
        }
        Form::OneOrMany(inner) => {
            let one = form(inner, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        Form::Either(forms) => {
            let forms: Vec<Value> = forms.iter().map(|inner| form(inner, definitions)).collect();
            json!({ "anyOf": forms })
        }
        Form::Words(words) => json!({ "enum": words() }),
        Form::Pattern(pattern, example) => {
            json!({ "type": "string", "pattern": pattern, "examples": [example] })
        }
        Form::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Form::Fraction => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Text => json!({ "type": "string", "minLength": 1 }),
        Form::Condition => json!({ "type": ["string", "boolean"], "maxLength": 2048 }),
        Form::Masks => masks(),
        Form::Members => reference("members"),
        Form::Places { pass } => places(*pass),
        Form::Anything => json!({}),
        Form::Empty => json!({ "type": "object", "additionalProperties": false }),
    }
}

/// The members of a record, which may hold members of their own.
fn members(definitions: &mut Map<String, Value>) {
    let grade = form(&GRADE, definitions);
    let field = table(&FIELD, definitions);
    definitions.insert("field".to_owned(), field);
    let written = json!({
        "description": "A grade, `{ grade: 3, kind: phone }`, `sealed`, a map of members, or the name of an entity.",
        "anyOf": [
            grade,
            described(json!({ "type": "string", "minLength": 1 }), "The name of an entity: its record stands here."),
            reference("field"),
            { "allOf": [reference("members")], "not": { "required": ["grade"] }, "minProperties": 1 },
        ],
    });
    definitions.insert(
        "members".to_owned(),
        json!({
            "type": "object",
            "propertyNames": { "pattern": MEMBER },
            "additionalProperties": written,
        }),
    );
}

/// Each kind with the styles that it has.
fn masks() -> Value {
    let style = |(name, kind): &(&str, Kind)| {
        let styles: Vec<&str> = kind.styles().iter().map(|style| style.name()).collect();
        let doc = format!("How every value of the kind `{name}` is masked.");
        ((*name).to_owned(), described(json!({ "enum": styles }), &doc))
    };
    let properties: Map<String, Value> = Kind::NAMES.iter().map(style).collect();
    json!({
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn places(pass: bool) -> Value {
    let place =
        json!({ "type": "string", "pattern": PLACE, "examples": ["$", "$[]", "$.items[]"] });
    let one_or_many = json!({ "anyOf": [place, { "type": "array", "items": place }] });
    let mut body = json!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": NAME },
        "additionalProperties": one_or_many,
    });
    if pass {
        let pass = described(one_or_many.clone(), PASS);
        let total = described(one_or_many, TOTAL);
        put(&mut body, "properties", json!({ "pass": pass, "total": total }));
    }
    body
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn described(mut body: Value, doc: &str) -> Value {
    put(&mut body, "description", json!(doc));
    body
}

fn put(body: &mut Value, key: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(key.to_owned(), value);
    }
}
