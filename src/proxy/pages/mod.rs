//! The gate's own pages: plain HTML that is read and used without a script, but for passkeys.
//!
//! Whatever is filled in is escaped here. Nothing is loaded from elsewhere and nothing stands inline.

mod devices;
mod enrol;
mod grant_words;
mod grants;
mod new_password;
mod oidc;
mod passkey;
mod recovery;
mod session;
mod sign_in;
mod step_up;
mod too_much;
mod words;

use std::fmt::Write as _;

use crate::identity::Ways;

pub(super) use devices::devices;
pub(super) use enrol::{codes, scan};
pub(super) use grants::{GrantLine, encoded, grant_needed, grants};
pub(super) use new_password::{invitation, new_password, no_invitation, welcome};
pub(super) use oidc::{at_issuer, issuer_done, issuer_missed, issuer_refused};
pub(super) use recovery::{recovery, recovery_codes};
pub(super) use session::{Standing, session};
pub(super) use sign_in::{code, password, signed_out};
pub(super) use step_up::{factor_first, nothing_kept, refused, send_now};
pub(super) use too_much::{TooMuch, too_much};
pub(super) use words::Words;

/// The one style sheet, served from the gate itself.
pub(super) const STYLE: &str = include_str!("style.css");
/// The one script, likewise; only pages on which passkeys are used load it.
pub(super) const SCRIPT: &str = include_str!("passkey.js");

/// What a page says besides its content.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    /// The host whose page this is; a person who was lured elsewhere can see it.
    pub(super) host: &'a str,
    /// The language.
    pub(super) words: &'static Words,
    /// What went wrong with the last try.
    pub(super) problem: Option<&'a str>,
    /// What went well.
    pub(super) done: Option<&'a str>,
    /// Where to go afterwards: a path on this host.
    pub(super) next: &'a str,
    /// The issuers at which people can sign in as well.
    pub(super) issuers: &'a [&'a str],
}

impl<'a> Page<'a> {
    /// A page with nothing to tell yet.
    pub(super) fn new(host: &'a str, words: &'static Words) -> Self {
        Self { host, words, problem: None, done: None, next: "", issuers: &[] }
    }
}

/// A whole page.
#[derive(Clone, Debug)]
pub(super) struct Html {
    pub(super) text: String,
    has_script: bool,
}

impl Html {
    /// What the browser may load and where a form may go: this origin only, and a script only where it
    /// has something to do.
    pub(super) fn content_security_policy(&self) -> &'static str {
        if self.has_script {
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        } else {
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        }
    }
}

/// Where the person may go from a page, if that is a path on this host.
pub(super) fn local_path(path: &str) -> Option<&str> {
    let is_local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    (is_local && path.chars().all(|c| c.is_ascii_graphic())).then_some(path)
}

/// A page whose parts are HTML already; the script is loaded where one of them asks for it.
fn render(page: &Page<'_>, title: &str, parts: &[String]) -> Html {
    let content = parts.concat();
    let has_script = content.contains(passkey::MARK);
    let script = if has_script { "<script src=\"/.menshen/passkey.js\"></script>" } else { "" };
    let told = |class: &str, role: &str, text: Option<&str>| {
        text.map_or_else(String::new, |text| {
            format!("<p class=\"{class}\" role=\"{role}\">{}</p>", escaped(text))
        })
    };
    let host = escaped(page.host);
    let text = format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · {host}</title><link rel=\"stylesheet\" href=\"/.menshen/style.css\">{script}</head>\
         <body><main><h1>{title}</h1>{done}{problem}{content}<footer><small>{note}</small></footer>\
         </main></body></html>\n",
        lang = page.words.lang,
        title = escaped(title),
        done = told("done", "status", page.done),
        problem = told("problem", "alert", page.problem),
        note = filled(page.words.host_note, &[("host", &marked(page.host))]),
    );
    Html { text, has_script }
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

fn heading(text: &str) -> String {
    format!("<h2>{}</h2>", escaped(text))
}

/// A moment to the minute, in UTC.
fn time(unix_s: i64) -> String {
    let moment = jiff::Timestamp::from_second(unix_s);
    moment
        .map_or_else(|_unknown| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// How a session shows more: what leads back to the page's `next` afterwards.
fn raise(page: &Page<'_>, ways: Ways) -> Vec<String> {
    let words = page.words;
    let mut parts = Vec::new();
    if ways.code {
        let next =
            if page.next.is_empty() { String::new() } else { format!("?next={}", page.next) };
        let link = format!(
            "<a href=\"/.menshen/code{}\">{}</a>",
            escaped(&next),
            escaped(words.raise_code)
        );
        parts.push(format!("<p>{link}</p>"));
    }
    if ways.passkey {
        parts.push(passkey::part(page, passkey::Part::Raise { level: 0 }));
    }
    parts
}

/// A form with its fields, where to go afterwards, and its button.
fn form(page: &Page<'_>, (method, action): (&str, &str), fields: &str, button: &str) -> String {
    let next = match page.next {
        "" => String::new(),
        next => format!("<input type=\"hidden\" name=\"next\" value=\"{}\">", escaped(next)),
    };
    format!(
        "<form method=\"{method}\" action=\"{action}\">{fields}{next}<button>{}</button></form>",
        escaped(button)
    )
}

/// A host or a path, which nobody should take for prose.
fn marked(text: &str) -> String {
    format!("<span class=\"host\">{}</span>", escaped(text))
}

/// The text with HTML in place of what stands in braces.
fn filled(text: &str, html: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, named)| Some((before, named.split_once('}')?)))
    {
        out.push_str(&escaped(before));
        let found = html.iter().find(|(known, _)| *known == name);
        out.push_str(found.map_or("", |(_, html)| html));
        rest = after;
    }
    out + &escaped(rest)
}

/// Text as it may stand in HTML, also in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a `String` cannot fail.
                write!(out, "&#{};", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
