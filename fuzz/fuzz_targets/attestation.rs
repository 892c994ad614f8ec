//! The target `attestation` of `menshen_fuzz` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menshen_fuzz::run("attestation", data));
