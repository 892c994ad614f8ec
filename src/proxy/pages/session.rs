//! The page of a session: who is signed in, how more is shown, and the passkeys of this host.

use super::oidc::kept_there;
use super::passkey::{self, Part};
use super::{Html, Page, escaped, filled, form, heading, marked, paragraph, raise, render, time};
use crate::identity::{Overview, PasskeyInfo, SignedIn, Ways};

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
    /// Nothing for whoever shows a token.
    pub(in crate::proxy) overview: Option<&'a Overview>,
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
    parts.extend(standing.overview.map(|overview| facts(page, overview)));
    if standing.ways.any() {
        parts.push(heading(words.raise_title));
        parts.extend(raise(page, standing.ways));
    }
    if standing.overview.is_none_or(|overview| overview.issuer.is_none()) {
        parts.extend(passkeys(page, standing));
    }
    render(page, words.session_title, &parts)
}

/// The sign-in before this one and the age of the password; whoever finds something strange there can look further.
fn facts(page: &Page<'_>, overview: &Overview) -> String {
    let words = page.words;
    if let Some(issuer) = &overview.issuer {
        let link = format!("<p><a href=\"/.menshen/devices\">{}</a></p>", escaped(words.devices));
        return kept_there(page, issuer) + &link;
    }
    let at = |signed_in: &SignedIn| {
        let (at, from) = (time(signed_in.at_s), marked(&signed_in.from));
        filled(words.time_from, &[("time", &at), ("address", &from)])
    };
    let before = overview.before.as_ref().map_or_else(|| escaped(words.not_yet), at);
    let age = match overview.password_days {
        0 => escaped(words.today),
        days => filled(words.days_ago, &[("days", &days.to_string())]),
    };
    let old = if overview.password_is_old {
        format!("<p class=\"problem\">{}</p>", escaped(words.password_is_old))
    } else {
        String::new()
    };
    format!(
        "{old}<dl><dt>{}</dt><dd id=\"before\">{before}</dd><dt>{}</dt><dd id=\"password-age\">{age}</dd></dl>\
         <p><a href=\"/.menshen/devices\">{}</a></p><p><a href=\"/.menshen/enrol\">{}</a></p>\
         <p><a href=\"/.menshen/recovery\">{}</a></p><p><a href=\"/.menshen/password\">{}</a></p>",
        escaped(words.last_sign_in),
        escaped(words.password_set),
        escaped(words.devices),
        escaped(words.codes),
        escaped(words.recovery),
        escaped(words.password_change),
    )
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
