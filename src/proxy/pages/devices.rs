//! Sessions and devices: what an account is signed in by, each with a button that ends it.

use super::oidc::kept_there;
use super::{Html, Page, escaped, filled, form, heading, marked, paragraph, render, time};
use crate::identity::{Overview, PasskeyInfo, SessionInfo};

/// The page of all sessions and passkeys of an account.
pub(in crate::proxy) fn devices(page: &Page<'_>, overview: &Overview) -> Html {
    let words = page.words;
    let page = &Page { next: "", ..*page };
    let sessions: String = overview.sessions.iter().map(|one| session(page, one)).collect();
    let everywhere = "<input type=\"hidden\" name=\"everywhere\" value=\"1\">";
    let mut parts = vec![
        paragraph(words.devices_lead),
        heading(words.sessions),
        format!("<ul>{sessions}</ul>"),
        form(page, ("post", "/.menshen/devices"), everywhere, words.everywhere),
    ];
    match &overview.issuer {
        Some(issuer) => parts.push(kept_there(page, issuer)),
        None => parts.extend(passkeys(page, overview)),
    }
    parts.push(form(page, ("get", "/.menshen/session"), "", words.to_session));
    render(page, words.devices, &parts)
}

fn passkeys(page: &Page<'_>, overview: &Overview) -> Vec<String> {
    let words = page.words;
    let mut parts = vec![heading(words.passkeys)];
    if overview.passkeys.is_empty() {
        parts.push(paragraph(words.passkey_none));
    } else {
        if let Some(level) = overview.unproved {
            let text = filled(words.remove_unproved, &[("level", &level.to_string())]);
            parts.push(format!(
                "<p>{text} <a href=\"/.menshen/code?next=/.menshen/devices\">{}</a></p>",
                escaped(words.show_factor)
            ));
        }
        let can_remove = overview.unproved.is_none();
        let items = overview.passkeys.iter().map(|one| passkey(page, one, can_remove));
        parts.push(format!("<ul>{}</ul>", items.collect::<String>()));
    }
    parts
}

fn session(page: &Page<'_>, session: &SessionInfo) -> String {
    let words = page.words;
    let (host, level) = (marked(&session.host), session.assurance.to_string());
    let (began, seen) = (time(session.began.at_s), time(session.last_seen_s));
    let text = filled(
        words.session_item,
        &[
            ("host", &host),
            ("level", &level),
            ("time", &began),
            ("address", &marked(&session.began.from)),
            ("seen", &seen),
        ],
    );
    let this = if session.is_this {
        format!(" <strong>{}</strong>", escaped(words.this_session))
    } else {
        String::new()
    };
    let field = format!("<input type=\"hidden\" name=\"end\" value=\"{}\">", session.number);
    let end = form(page, ("post", "/.menshen/devices"), &field, words.end_session);
    format!("<li>{text}{this}{end}</li>")
}

fn passkey(page: &Page<'_>, passkey: &PasskeyInfo, can_remove: bool) -> String {
    let words = page.words;
    let level = if passkey.verifies { "3" } else { "2" };
    let used = passkey.used_s.map_or_else(|| escaped(words.not_yet), time);
    let text = filled(
        words.passkey_detail,
        &[
            ("name", &marked(&passkey.name)),
            ("host", &marked(&passkey.host)),
            ("level", level),
            ("time", &time(passkey.created_s)),
            ("seen", &used),
        ],
    );
    let remove = if can_remove {
        let field =
            format!("<input type=\"hidden\" name=\"remove\" value=\"{}\">", escaped(&passkey.id));
        form(page, ("post", "/.menshen/devices"), &field, words.remove)
    } else {
        String::new()
    };
    format!("<li>{text}{remove}</li>")
}
