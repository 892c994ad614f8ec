//! The page of a session: who is signed in, how more is shown, and the passkeys of this host.

use super::passkey::{self, Part};
use super::{Html, Page, escaped, filled, form, marked, paragraph, render};
use crate::identity::{PasskeyInfo, Ways};

/// What the page tells of a session.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Standing<'a> {
    pub(in crate::proxy) account: &'a str,
    pub(in crate::proxy) assurance: u8,
    /// The passkeys of this host.
    pub(in crate::proxy) passkeys: &'a [PasskeyInfo],
    /// What must be shown before a passkey is registered without a ticket.
    pub(in crate::proxy) unproved: Option<u8>,
    /// What the session could be raised by.
    pub(in crate::proxy) ways: Ways,
}

/// The page after signing in, with the way out.
pub(in crate::proxy) fn session(page: &Page<'_>, standing: &Standing<'_>) -> Html {
    let words = page.words;
    let level = standing.assurance.to_string();
    let account = marked(standing.account);
    let lead = filled(words.session_lead, &[("account", &account), ("level", &level)]);
    let mut parts = vec![
        format!("<p>{lead}</p>"),
        form(page, ("post", "/.menshen/logout"), "", words.sign_out),
    ];
    parts.extend(raise(page, standing.ways));
    parts.extend(passkeys(page, standing));
    render(page, words.session_title, &parts)
}

fn raise(page: &Page<'_>, ways: Ways) -> Vec<String> {
    let words = page.words;
    if ways == Ways::default() {
        return Vec::new();
    }
    let mut parts = vec![heading(words.raise_title)];
    if ways.code {
        parts.push(format!("<p><a href=\"/.menshen/code\">{}</a></p>", escaped(words.raise_code)));
    }
    if ways.passkey {
        parts.push(passkey::part(page, Part::Raise { level: 0 }));
    }
    parts
}

fn passkeys(page: &Page<'_>, standing: &Standing<'_>) -> Vec<String> {
    let words = page.words;
    let mut parts = vec![heading(words.passkeys)];
    if standing.passkeys.is_empty() {
        parts.push(paragraph(words.passkey_none));
    } else {
        let item = |key: &PasskeyInfo| {
            let level = if key.verifies { "3" } else { "2" };
            let name = marked(&key.name);
            format!("<li>{}</li>", filled(words.passkey_item, &[("name", &name), ("level", level)]))
        };
        let items: String = standing.passkeys.iter().map(item).collect();
        parts.push(format!("<ul>{items}</ul>"));
    }
    if let Some(level) = standing.unproved {
        let unproved = filled(words.unproved, &[("level", &level.to_string())]);
        parts.push(format!("<p>{unproved}</p>"));
    }
    parts.push(passkey::part(page, Part::Register));
    parts
}

fn heading(text: &str) -> String {
    format!("<h2>{}</h2>", escaped(text))
}
