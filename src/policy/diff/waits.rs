//! What a new policy does for which one person is not enough, by the words of the one in force.

use super::super::program::Program;
use super::super::survey::Survey;
use super::super::two_person::{DETECTIONS, LOG_PURGE, POLICIES, POLICY};
use super::{Comparison, compare, detections, retention, two_person};

/// Whether a policy may have to wait under these words.
#[must_use]
pub fn may_wait(words: &[String]) -> bool {
    words.iter().any(|word| POLICIES.contains(&word.as_str()))
}

/// For what a new policy waits for two persons under these words, each in words; empty if it waits for nobody. One
/// that takes a word out waits wherever any may have to.
#[must_use]
pub fn waits_for(words: &[String], old: &Program, new: &Program) -> Vec<String> {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    if has(POLICY) {
        return compare(old, new).wider();
    }
    if !may_wait(words) {
        return Vec::new();
    }
    let (before, after) = (Survey::of(old, ""), Survey::of(new, ""));
    let mut changes = two_person::changes(&before, &after);
    if has(DETECTIONS) {
        changes.extend(detections::changes(&before.detections, &after.detections));
    }
    if has(LOG_PURGE) {
        changes.extend(retention::all_changes(old, new));
    }
    Comparison { changes }.wider()
}
