//! The same job done by others, each in the fastest ways that it offers.

use bytes::Bytes;

use super::job::Job;

mod jiter;
mod serde_json;
mod simd_json;
mod sonic_rs;

/// Reads a body, leaves out, masks, and writes.
pub type Peer = fn(&Job, &Bytes) -> Vec<u8>;

/// Those that do the job.
pub const ALL: [(&str, Peer); 6] = [
    ("jiter", jiter::copy),
    ("sonic-rs lazy", sonic_rs::copy),
    ("sonic-rs tree", sonic_rs::tree),
    ("simd-json tape", simd_json::tape),
    ("simd-json tree", simd_json::tree),
    ("serde_json", serde_json::tree),
];

/// What a part of the job takes.
pub const PARTS: [(&str, Peer); 3] =
    [("tape alone", simd_json::tape_alone), ("UTF-8 alone", utf8), ("memcpy", memcpy)];

fn utf8(_: &Job, body: &Bytes) -> Vec<u8> {
    simdutf8::basic::from_utf8(body).expect("UTF-8");
    Vec::new()
}

fn memcpy(_: &Job, body: &Bytes) -> Vec<u8> {
    body.to_vec()
}

/// Puts a comma before all but the first.
#[inline]
fn comma(is_first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::replace(is_first, false) {
        out.push(b',');
    }
}

/// Puts a comma before all but the first, and a name. The names of these bodies need no escapes.
#[inline]
fn begin_member(is_first: &mut bool, name: &str, out: &mut Vec<u8>) {
    comma(is_first, out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
