//! Any text as a policy file: the compiler ends with a program or with faults, and its canonical form,
//! where it has one, is that of itself. Seeds: `tests/policy_cases/*/policy.yaml` and `policies/*/*.yaml`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use menshen::document::Source;
use menshen::policy::{compile, format};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = Source { name: "policy.yaml".to_owned(), text: text.to_owned() };
    match compile(std::slice::from_ref(&source)) {
        Ok(program) => drop(program.warnings().len()),
        Err(faults) => drop(faults.to_string()),
    }
    if let Ok(text) = format(&source) {
        let again = Source { name: source.name, text: text.clone() };
        assert_eq!(format(&again).ok(), Some(text));
    }
});
