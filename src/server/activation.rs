//! Whoever writes a policy does not put it in force alone: where the policy in force says so, one that makes anything
//! wider waits until two persons have agreed to it.
//!
//! The policy in force is kept in the state, so that a gate that starts compares with that and not with nothing.

use std::sync::Arc;

use super::StartError;
use super::policies::{Backends, admit};
use crate::command::Desk;
use crate::document::Source;
use crate::policy::{Program, may_wait, version_of, waits_for};
use crate::proxy::Waiting;
use crate::state::{PolicyRow, StateError, Store};

/// Whether a program may be put in force in the place of another.
///
/// # Errors
/// Any [`StateError`] of a read: then it may not.
pub(super) async fn must_wait(
    store: &Store,
    words: &[String],
    old: Arc<Program>,
    new: Arc<Program>,
) -> Result<Option<Waiting>, StateError> {
    if !may_wait(words) || store.is_policy_agreed(new.version()).await? {
        return Ok(None);
    }
    let (version, words) = (new.version().to_owned(), words.to_vec());
    // Comparing takes longer than a task may.
    let wider = tokio::task::spawn_blocking(move || waits_for(&words, &old, &new)).await;
    let wider = wider.unwrap_or_else(|_broken| vec!["it could not be compared".to_owned()]);
    Ok((!wider.is_empty()).then_some(Waiting { version, wider }))
}

/// The program to start with: that of the files, or while they have to wait the one that was in force before.
///
/// # Errors
/// [`StartError::PolicyWaits`] if that one cannot be put in force any more.
pub(super) async fn at_start(
    store: &Store,
    desk: &Desk,
    (files, sources): (Arc<Program>, Vec<Source>),
    backends: &Backends,
) -> Result<(Arc<Program>, Vec<Source>, Option<Waiting>), StartError> {
    let words = desk.two_person().await?;
    let waits = |why: &str| StartError::PolicyWaits {
        version: files.version().to_owned(),
        why: why.to_owned(),
    };
    let is_agreed = store.is_policy_agreed(files.version()).await?;
    if !may_wait(&words) || is_agreed {
        return Ok((files, sources, None));
    }
    let kept = store.kept_policy().await?.ok_or_else(|| waits("the state has lost it"))?;
    if kept.version == files.version() {
        return Ok((files, sources, None));
    }
    let before = kept_sources(&kept).ok_or_else(|| waits("it does not read"))?;
    let old = admit(&before, backends).map_err(|error| waits(&error.summary().1))?;
    let old = Arc::new(old);
    match must_wait(store, &words, Arc::clone(&old), Arc::clone(&files)).await? {
        None => Ok((files, sources, None)),
        Some(waiting) => Ok((old, before, Some(waiting))),
    }
}

/// Keeps the policy that is in force.
///
/// # Errors
/// Any [`StateError`] of a write.
pub(super) async fn keep(
    store: &Store,
    program: &Program,
    sources: &[Source],
) -> Result<(), StateError> {
    let texts: Vec<_> = sources.iter().map(|source| (&source.name, &source.text)).collect();
    let sources = serde_json::json!(texts).to_string();
    store.keep_policy(PolicyRow { version: program.version().to_owned(), sources }).await
}

/// The files that were kept; `None` if they are not those of their version.
#[must_use]
pub fn kept_sources(kept: &PolicyRow) -> Option<Vec<Source>> {
    let texts: Vec<(String, String)> = serde_json::from_str(&kept.sources).ok()?;
    let sources: Vec<_> = texts.into_iter().map(|(name, text)| Source { name, text }).collect();
    (version_of(&sources) == kept.version).then_some(sources)
}

/// Tells an operator that a policy waits, and what to do.
pub(super) fn tell(waiting: &Waiting) {
    let (version, wider) = (waiting.version.as_str(), waiting.wider.len());
    let first = waiting.wider.first().map_or("", String::as_str);
    tracing::warn!(
        version,
        wider,
        first,
        "the new policy is wider and waits for two persons, so the old one stays: `menshen policy activate`, then another person `menshen policy confirm`"
    );
}
