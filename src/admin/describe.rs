//! `/v1/openapi.yaml`: the description of the interface.

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};

const DESCRIPTION: &str = include_str!("../../docs/guide/admin-api.yaml");

pub(super) const RESOURCE: Resource = Resource {
    right: "",
    operations: &[Operation {
        method: "GET",
        path: "/v1/openapi.yaml",
        name: "description_read",
        answers: &[200],
        acts: false,
        about: |_| "openapi.yaml".to_owned(),
        run: read,
    }],
};

fn read<'a>(_admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async {
        let mut told = Told::json(200, serde_json::Value::Null);
        (told.content_type, told.text) = ("application/yaml", Some(DESCRIPTION));
        Ok(told)
    })
}
