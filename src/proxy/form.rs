//! What a sign-in request brings, as JSON from a program or as a form from a page.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::pages::local_path;

/// What a sign-in request brings.
pub(super) struct Form {
    pub(super) fields: Vec<(String, Zeroizing<String>)>,
    /// It came from a page, so a page is the answer.
    pub(super) from_page: bool,
}

impl Form {
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Where to go afterwards: only a path on this host.
    pub(super) fn next(&self) -> &str {
        local_path(self.field("next")).unwrap_or("/.menshen/session")
    }
}

pub(super) fn json_fields(body: &[u8]) -> Option<Form> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let fields = object
        .into_iter()
        .map(|(name, value)| Some((name, Zeroizing::new(value.as_str()?.to_owned()))));
    Some(Form { fields: fields.collect::<Option<_>>()?, from_page: false })
}

pub(super) fn form_fields(body: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(body).ok()?;
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
    };
    let fields = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, Zeroizing::new(decode(value)?)))
    });
    Some(Form { fields: fields.collect::<Option<_>>()?, from_page: true })
}
