//! It writes into what it reads, so that each body is copied first.

use bytes::Bytes;
use simd_json::prelude::Writable as _;
use simd_json::{BorrowedValue, Node};

use super::{begin_member, comma};
use crate::job::{Fate, Job, masked, write_masked};

pub fn tape_alone(_: &Job, body: &Bytes) -> Vec<u8> {
    let mut copy = body.to_vec();
    std::hint::black_box(simd_json::to_tape(&mut copy).expect("JSON"));
    Vec::new()
}

/// Writes from the tape, without a tree.
pub fn tape(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut copy = body.to_vec();
    let tape = simd_json::to_tape(&mut copy).expect("JSON");
    let mut out = Vec::with_capacity(body.len());
    write(job, &mut tape.0.iter(), &mut out);
    out
}

type Nodes<'t> = std::slice::Iter<'t, Node<'t>>;

fn write(job: &Job, nodes: &mut Nodes<'_>, out: &mut Vec<u8>) {
    match *nodes.next().expect("a value") {
        Node::String(text) => BorrowedValue::from(text).write(out).expect("a buffer"),
        Node::Static(value) => BorrowedValue::Static(value).write(out).expect("a buffer"),
        Node::Array { len, .. } => {
            out.push(b'[');
            let mut is_first = true;
            for _ in 0..len {
                comma(&mut is_first, out);
                write(job, nodes, out);
            }
            out.push(b']');
        }
        Node::Object { len, .. } => {
            out.push(b'{');
            let mut is_first = true;
            for _ in 0..len {
                let Some(Node::String(name)) = nodes.next() else { panic!("a name") };
                member(job, name, nodes, &mut is_first, out);
            }
            out.push(b'}');
        }
    }
}

fn member(job: &Job, name: &str, nodes: &mut Nodes<'_>, is_first: &mut bool, out: &mut Vec<u8>) {
    match (job.fate(name), nodes.as_slice().first()) {
        (Fate::Dropped, value) => {
            let inside = match value {
                Some(Node::Object { count, .. } | Node::Array { count, .. }) => *count,
                _ => 0,
            };
            nodes.nth(inside);
        }
        (Fate::Masked(mask), Some(Node::String(text))) => {
            begin_member(is_first, name, out);
            write_masked(mask, text, out);
            nodes.next();
        }
        (Fate::Masked(_) | Fate::Passes, _) => {
            begin_member(is_first, name, out);
            write(job, nodes, out);
        }
    }
}

pub fn tree(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut copy = body.to_vec();
    let mut value = simd_json::to_borrowed_value(&mut copy).expect("JSON");
    edit(job, &mut value);
    let mut out = Vec::with_capacity(body.len());
    value.write(&mut out).expect("a buffer");
    out
}

fn edit(job: &Job, value: &mut BorrowedValue<'_>) {
    match value {
        BorrowedValue::Array(elements) => {
            elements.iter_mut().for_each(|element| edit(job, element))
        }
        BorrowedValue::Object(members) => members.retain(|name, value| match job.fate(name) {
            Fate::Dropped => false,
            Fate::Masked(mask) => {
                if let BorrowedValue::String(text) = value {
                    *text = masked(mask, text).into();
                }
                true
            }
            Fate::Passes => {
                edit(job, value);
                true
            }
        }),
        BorrowedValue::String(_) | BorrowedValue::Static(_) => {}
    }
}
