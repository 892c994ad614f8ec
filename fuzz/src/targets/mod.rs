//! What the fuzz targets run: a function for each, from bytes to nothing, that panics where a promise is broken.
//!
//! The fuzz package builds them under libFuzzer; `tests/it/fuzz_corpora.rs` includes this very file and
//! runs the saved inputs through them with an ordinary compiler. Nothing here knows either.

mod charset;
mod content_type;
mod csv;
mod encoding;
mod framed;
mod input;
mod json;
mod looked_through;
mod naive;
mod passkey;
mod plans;
mod policy;
mod query;
mod table;
mod tokens;
mod tree;

/// A target: its name, which is also that of its folder in `corpus`, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("json", json::filter),
    ("json_tree", json::tree),
    ("ndjson", json::lines),
    ("request", json::request),
    ("trimmed", json::trimmed),
    ("detect", looked_through::detect),
    ("mask", looked_through::masked),
    ("sequence", framed::sequence),
    ("events", framed::events),
    ("csv", csv::filter),
    ("charset", charset::charset),
    ("encoding", encoding::decoder),
    ("round_trip", encoding::round_trip),
    ("query", query::query),
    ("content_type", content_type::content_type),
    ("policy", policy::policy),
    ("condition", policy::condition),
    ("passkey", passkey::passkey),
    ("attestation", passkey::attestation),
    ("certificate", tokens::certificate),
    ("jws", tokens::jws),
];

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        panic!("there is no target `{name}`");
    };
    target(data);
}
