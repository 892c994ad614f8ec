//! Once with its lazy iterators, once with its tree.

use bytes::Bytes;
use sonic_rs::{JsonType, JsonValueMutTrait as _, JsonValueTrait as _, LazyValue, Value};

use super::{begin_member, comma};
use crate::job::{Fate, Job, masked, write_masked};

pub fn copy(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    // Its iterators check nothing beyond what they pass, so the text is checked here.
    let body = simdutf8::basic::from_utf8(body).expect("UTF-8").trim();
    inside(job, body, body.as_bytes()[0], &mut out);
    out
}

fn inside(job: &Job, raw: &str, first: u8, out: &mut Vec<u8>) {
    match first {
        b'[' => {
            out.push(b'[');
            let mut is_first = true;
            for element in sonic_rs::to_array_iter(raw) {
                comma(&mut is_first, out);
                value(job, &element.expect("an element"), out);
            }
            out.push(b']');
        }
        b'{' => {
            out.push(b'{');
            let mut is_first = true;
            for member in sonic_rs::to_object_iter(raw) {
                let (name, inner) = member.expect("a member");
                self::member(job, &name, &inner, &mut is_first, out);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(raw.as_bytes()),
    }
}

fn value(job: &Job, value: &LazyValue<'_>, out: &mut Vec<u8>) {
    let raw = value.as_raw_str();
    inside(job, raw, raw.as_bytes()[0], out);
}

fn member(job: &Job, name: &str, inner: &LazyValue<'_>, is_first: &mut bool, out: &mut Vec<u8>) {
    match job.fate(name) {
        Fate::Dropped => {}
        Fate::Masked(mask) if inner.get_type() == JsonType::String => {
            begin_member(is_first, name, out);
            write_masked(mask, inner.as_str().expect("a text"), out);
        }
        Fate::Masked(_) | Fate::Passes => {
            begin_member(is_first, name, out);
            value(job, inner, out);
        }
    }
}

pub fn tree(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut value: Value = sonic_rs::from_slice(body).expect("JSON");
    edit(job, &mut value);
    sonic_rs::to_vec(&value).expect("JSON")
}

fn edit(job: &Job, value: &mut Value) {
    if let Some(elements) = value.as_array_mut() {
        elements.iter_mut().for_each(|element| edit(job, element));
    } else if let Some(members) = value.as_object_mut() {
        for name in &job.dropped {
            members.remove(name);
        }
        for (name, inner) in members.iter_mut() {
            match job.fate(name) {
                Fate::Masked(mask) => {
                    if let Some(text) = inner.as_str() {
                        *inner = masked(mask, text).as_str().into();
                    }
                }
                Fate::Dropped | Fate::Passes => edit(job, inner),
            }
        }
    }
}
