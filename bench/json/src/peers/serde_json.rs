//! What one writes without a filter.

use bytes::Bytes;
use serde_json::Value;

use crate::job::{Fate, Job, masked};

pub fn tree(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).expect("JSON");
    edit(job, &mut value);
    serde_json::to_vec(&value).expect("JSON")
}

fn edit(job: &Job, value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| edit(job, element)),
        Value::Object(members) => members.retain(|name, value| match job.fate(name) {
            Fate::Dropped => false,
            Fate::Masked(mask) => {
                if let Value::String(text) = value {
                    *text = masked(mask, text);
                }
                true
            }
            Fate::Passes => {
                edit(job, value);
                true
            }
        }),
        _ => {}
    }
}
