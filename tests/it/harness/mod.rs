//! What every test of the whole gate stands on: a gate on port 0, a client over TLS, a backend that
//! does what the test says. Everything is real but the time.

#[allow(dead_code, reason = "the tests of the verifier use the rest of it")]
pub(crate) mod authenticator;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod clients;
pub(crate) mod gate;
pub(crate) mod process;
pub(crate) mod store;
pub(crate) mod tokens;
pub(crate) mod upstream;

use std::time::Duration;

pub(crate) use client::{Answer, Ask, Connection};
pub(crate) use gate::{Gate, Setup};
pub(crate) use process::Process;
pub(crate) use store::SharedStore;
pub(crate) use upstream::{Reply, Step, Upstream};

/// 2027-01-15 08:00:00 UTC, a Friday; where the injected clock stands at the start.
pub(crate) const NOW_S: i64 = 1_800_000_000;

/// No wait of a test takes longer; it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Whether `needle` stands anywhere in `hay`.
pub(crate) fn holds(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Whether `word` stands in `text` by itself: a short number is now and then a part of a random identifier.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|sign: char| !sign.is_ascii_alphanumeric()).any(|part| part == word)
}

/// A policy without conditions, requirements or limits; a test adds what it is about.
pub(crate) const OPEN_BANK: &str = include_str!("open_bank.yaml");
