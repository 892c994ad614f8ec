//! Files that mean harm: the compiler answers in bounded time and never panics.

use std::time::Duration;

use proptest::prelude::*;

use super::super::compile;
use super::source;
use crate::document::Code;

fn first_code(text: &str) -> Code {
    compile(&[source(text)]).map(|_| ()).unwrap_err().as_slice()[0].code
}

/// Far above what any of these takes, far below what a blow-up would. Time of this thread on a
/// processor, so that a busy machine fails nothing.
fn in_bounded_time(text: &str) {
    let before = busy();
    drop(compile(&[source(text)]));
    assert!(busy() - before < Duration::from_secs(10));
}

fn busy() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn nesting_is_refused_and_not_followed() {
    assert_eq!(first_code(&format!("entities: {}", "[".repeat(30_000))), Code::TooLarge);
    assert_eq!(first_code(&format!("entities: {}", "{a: ".repeat(10_000))), Code::TooLarge);
    let mut block = String::from("entities:\n");
    for depth in 1..200 {
        block.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    assert!(compile(&[source(&block)]).is_err());
}

#[test]
fn aliases_and_tags_are_refused() {
    assert_eq!(first_code("purposes: &a [x]\n"), Code::Indirection);
    assert_eq!(first_code("purposes: *a\n"), Code::Indirection);
    assert_eq!(first_code("rules: [{ when: !time.within('x') }]\n"), Code::Indirection);
}

#[test]
fn size_is_capped() {
    assert_eq!(first_code(&" ".repeat((1 << 20) + 1)), Code::TooLarge);
    assert_eq!(first_code(&format!("purposes: [{}]", "a,".repeat(120_000))), Code::TooLarge);
}

#[test]
fn long_scalars_and_many_faults_take_bounded_time() {
    in_bounded_time(&format!("rules:\n  - name: \"{}\"\n", "x".repeat(1_000_000)));
    in_bounded_time(&format!("rules: |\n{}", "  line\n".repeat(100_000)));
    in_bounded_time(&format!("roles:\n{}", "  r: {}\n".repeat(40_000)));
    let names: String = (0..40_000).map(|n| format!("key{n}: 1\n")).collect();
    in_bounded_time(&names);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_faults_of_others() {
    let good = super::Source { name: "b.yaml".to_owned(), text: "roles: { any: {} }".to_owned() };
    let faults = compile(&[source("a: [unclosed"), good]).unwrap_err();
    let codes: Vec<Code> = faults.as_slice().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [Code::WrongValue, Code::Yaml]);
}

#[test]
fn a_file_cannot_steer_the_terminal() {
    let faults = compile(&[source("\"\\e[31m\": 1\nx\u{1b}[0m: 1")]).unwrap_err();
    assert!(!faults.to_string().contains('\u{1b}'), "{faults:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..65_536)) {
        drop(compile(&[source(&String::from_utf8_lossy(&bytes))]));
    }

    #[test]
    fn random_yaml_of_known_words_never_panics(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "grades", "entities", "routes", "roles", "rules", "limits", "fields", "match", "where", ":",
            ": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ",", "\"", "'", "1", "sealed", "$.items[]",
            "record.id == 1", "GET a.b/{id}", "customer", "allow", "deny", "view", "to", "of", "any", "#", "|", ">",
        ]), 0..400)
    ) {
        drop(compile(&[source(&words.concat())]));
    }
}
