//! What others do with the same body. Each gives the length of what it wrote.

use std::hint::black_box;

use bytes::Bytes;
use jiter::Jiter;

use super::bodies::{DROPPED, MASKED};

type Peer = fn(&Bytes) -> usize;

pub const ALL: [(&str, Peer); 6] = [
    ("jiter, skip and copy", jiter_skip),
    ("sonic-rs, lazy, copy", sonic_lazy),
    ("simd-json, to a tape only", simd_tape),
    ("serde_json::Value, edit, encode", serde_value),
    ("UTF-8 alone", utf8),
    ("memcpy", memcpy),
];

fn put(out: &mut Vec<u8>, is_first: &mut bool, name: &str, raw: &[u8]) {
    if DROPPED.contains(&name) {
        return;
    }
    if !std::mem::replace(is_first, false) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(if MASKED.contains(&name) { b"\"***\"" } else { raw });
}

pub fn jiter_skip(body: &Bytes) -> usize {
    let mut out = Vec::with_capacity(body.len());
    let mut reader = Jiter::new(body);
    let mut name = String::new();
    let mut next = reader.next_array().expect("an array");
    while next.is_some() {
        out.push(b'{');
        let mut is_first = true;
        let mut key = reader.next_object().expect("an object").map(str::to_owned);
        while let Some(found) = key {
            name.clear();
            name.push_str(&found);
            let peek = reader.peek().expect("a value");
            let start = reader.current_index();
            reader.known_skip(peek).expect("a value");
            put(&mut out, &mut is_first, &name, reader.slice_to_current(start));
            key = reader.next_key().expect("a key").map(str::to_owned);
        }
        out.extend_from_slice(b"},");
        next = reader.array_step().expect("an element");
    }
    black_box(out).len()
}

fn sonic_lazy(body: &Bytes) -> usize {
    let mut out = Vec::with_capacity(body.len());
    for record in sonic_rs::to_array_iter(body.as_ref()) {
        let record = record.expect("a record");
        out.push(b'{');
        let mut is_first = true;
        for member in sonic_rs::to_object_iter(record.as_raw_str()) {
            let (name, value) = member.expect("a member");
            put(&mut out, &mut is_first, &name, value.as_raw_str().as_bytes());
        }
        out.extend_from_slice(b"},");
    }
    black_box(out).len()
}

fn simd_tape(body: &Bytes) -> usize {
    let mut copy = body.to_vec();
    let tape = simd_json::to_tape(&mut copy).expect("JSON");
    black_box(tape.0.len())
}

pub fn serde_value(body: &Bytes) -> usize {
    let mut value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    for record in value.as_array_mut().expect("an array") {
        let record = record.as_object_mut().expect("an object");
        for name in DROPPED {
            record.remove(name);
        }
        for name in MASKED {
            if let Some(value) = record.get_mut(name) {
                *value = "***".into();
            }
        }
    }
    serde_json::to_vec(&value).expect("JSON").len()
}

fn utf8(body: &Bytes) -> usize {
    usize::from(black_box(simdutf8::basic::from_utf8(body)).is_ok())
}

fn memcpy(body: &Bytes) -> usize {
    black_box(body.to_vec()).len()
}
