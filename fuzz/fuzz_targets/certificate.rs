//! The target `certificate` of `menshen_fuzz` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menshen_fuzz::run("certificate", data));
