//! What a resource is: its paths and methods, who may use it, how it answers.

use std::pin::Pin;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Admin;
use crate::command::{CommandError, Doer};
use crate::identity::Caller;
use crate::proxy::Refused;

/// Statuses with which any operation may answer.
const COMMON: &[u16] = &[400, 401, 403, 404, 421, 429, 431, 503, 505];
/// Those of a body besides.
const OF_BODIES: &[u16] = &[408, 413, 415, 422];

/// What belongs together under one right.
#[derive(Debug)]
pub(super) struct Resource {
    /// The key under `rights` in the configuration; empty for whoever has any right.
    pub(super) right: &'static str,
    pub(super) operations: &'static [Operation],
}

/// One method of one path.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// With parameters in braces, a segment each.
    pub(super) path: &'static str,
    /// The word of the log.
    pub(super) name: &'static str,
    /// How it answers when it does what was asked, or cannot.
    pub(super) answers: &'static [u16],
    /// Whether it changes anything.
    pub(super) acts: bool,
    /// What a call is about, for the log.
    pub(super) about: fn(&Call) -> String,
    pub(super) run: for<'a> fn(&'a Admin, &'a Call) -> Running<'a>,
}

/// An answer on its way.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Result<Told, Refused>> + Send + 'a>>;

/// Who asks, and what was sent.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) doer: Doer,
    pub(super) caller: Caller,
    pub(super) roles: Vec<String>,
    pub(super) params: Vec<String>,
    pub(super) body: Value,
}

/// What is told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) content_type: &'static str,
    /// A text instead of the JSON.
    pub(super) text: Option<&'static str>,
}

impl Told {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, body, content_type: super::JSON, text: None }
    }
}

impl Call {
    /// A member of the body that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// A member of the body that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refused> {
        self.text(name).ok_or_else(|| Refused::Body(format!("`{name}` must be there, as text")))
    }

    /// A member of the body that may be left out. One that is no text is not taken for one that was left out.
    pub(super) fn given(&self, name: &'static str) -> Result<Option<&str>, Refused> {
        if self.body.get(name).is_none() { Ok(None) } else { self.required(name).map(Some) }
    }

    /// A parameter of the path.
    pub(super) fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }

    /// Refuses members that mean nothing here: a typing error must not be passed over.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Refused> {
        let members = self.body.as_object().into_iter().flat_map(|object| object.keys());
        match members.into_iter().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(Refused::Body(format!("`{name}` means nothing here")))
            }
        }
    }
}

impl Operation {
    /// All statuses with which it may answer.
    pub(super) fn statuses(&self) -> Vec<u16> {
        let of_bodies = if self.method == "POST" { OF_BODIES } else { &[] };
        let mut all: Vec<u16> =
            self.answers.iter().chain(COMMON).chain(of_bodies).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

type Found = (&'static Resource, &'static Operation, Vec<String>);

/// The operation of a request, with the parameters of its path.
pub(super) fn find(
    resources: &[&'static Resource],
    method: &str,
    path: &str,
) -> Result<Found, Refused> {
    for resource in resources {
        for operation in resource.operations {
            if operation.method == method
                && let Some(params) = matched(operation.path, path)
            {
                return Ok((resource, operation, params));
            }
        }
    }
    Err(Refused::NotFound)
}

fn matched(template: &str, path: &str) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            let decoded = percent_decode_str(segment).decode_utf8().ok()?;
            params.push(decoded.into_owned());
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(params)
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::State(error) => {
                tracing::error!(%error, "a command could not be given");
                Self::NotYet
            }
            CommandError::Kind(_)
            | CommandError::Name { .. }
            | CommandError::NoName
            | CommandError::Right
            | CommandError::Reason => Self::Body(error.to_string()),
            CommandError::NotAsked(_) => Self::NotFound,
            CommandError::SamePerson
            | CommandError::OtherWays(_)
            | CommandError::NotHeld(_)
            | CommandError::Uses(_)
            | CommandError::Oneself
            | CommandError::Full => Self::Conflict(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_whole_and_its_parameters_are_decoded() {
        let found = |path| matched("/v1/requests/{id}/confirm", path);
        assert_eq!(found("/v1/requests/7/confirm"), Some(vec!["7".to_owned()]));
        assert_eq!(found("/v1/requests/a%3Ab/confirm"), Some(vec!["a:b".to_owned()]));
        for other in ["/v1/requests/7", "/v1/requests/7/confirm/", "/v1/requests/7/confirm/x", ""] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(matched("/v1/{a}", "/v1/%ff"), None);
    }
}
