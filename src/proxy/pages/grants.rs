//! Asking for a grant, and what was asked for: forms without a script.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::grant_words::{GrantWords, words_of};
use super::{Html, Page, escaped, form, heading, marked, paragraph, render};

/// The fields of the form that a denial fills in.
const FIELDS: [&str; 8] =
    ["route", "action", "subjects", "query", "rows", "fields", "uses", "purpose"];

/// A grant in a list.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct GrantLine {
    pub(in crate::proxy) id: String,
    pub(in crate::proxy) sentence: String,
    pub(in crate::proxy) reason: String,
    pub(in crate::proxy) state: &'static str,
    /// Whether it opened at once and holds: the page says so loudly.
    pub(in crate::proxy) is_open_emergency: bool,
}

/// What a browser is shown whose request needs a grant; `there` is the form, filled in.
pub(in crate::proxy) fn grant_needed(page: &Page<'_>, there: &str) -> Html {
    let words = words_of(page.words.lang);
    let link = format!("<p><a href=\"{}\">{}</a></p>", escaped(there), escaped(words.ask));
    render(page, words.needed, &[paragraph(words.needed_lead), link])
}

/// One's own grants, those to decide on, and the form, filled in by the query `asked`.
pub(in crate::proxy) fn grants(
    page: &Page<'_>,
    asked: &str,
    mine: &[GrantLine],
    waiting: &[GrantLine],
) -> Html {
    let words = words_of(page.words.lang);
    let page = &Page { next: "", ..*page };
    let mut parts = Vec::new();
    for line in mine.iter().filter(|line| line.is_open_emergency) {
        let told = format!("{} {}", words.banner, line.sentence);
        parts.push(format!("<p class=\"problem\" role=\"alert\">{}</p>", escaped(&told)));
    }
    if !asked.is_empty() {
        parts.push(heading(words.ask));
        parts.push(ask(page, asked, words));
    }
    if !waiting.is_empty() {
        parts.push(heading(words.to_decide));
        let items: String = waiting.iter().map(|line| decide(page, line, words)).collect();
        parts.push(format!("<ul>{items}</ul>"));
    }
    parts.push(heading(words.mine));
    if mine.is_empty() {
        parts.push(paragraph(words.none));
    }
    let items: String = mine.iter().map(|line| own(page, line, words)).collect();
    parts.push(format!("<ul>{items}</ul>"));
    render(page, words.title, &parts)
}

fn ask(page: &Page<'_>, asked: &str, words: &GrantWords) -> String {
    let value = |name: &str| {
        let mut pairs = asked.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value);
        percent_decode_str(found).decode_utf8_lossy().into_owned()
    };
    let mut fields = String::new();
    for name in FIELDS {
        let value = value(name);
        if !value.is_empty() {
            let told = escaped(&value);
            fields.push_str(&format!(
                "<p>{}</p><input type=\"hidden\" name=\"{name}\" value=\"{told}\">",
                marked(&value)
            ));
        }
    }
    fields.push_str(&reason(words));
    form(page, ("post", "/.menshen/grants"), &fields, words.ask)
}

fn reason(words: &GrantWords) -> String {
    format!(
        "<label>{}<input name=\"reason\" maxlength=\"500\" required></label>",
        escaped(words.reason)
    )
}

fn line(line: &GrantLine) -> String {
    format!("{} {}<br>{}", marked(&line.id), escaped(&line.sentence), escaped(&line.reason))
}

fn own(page: &Page<'_>, grant: &GrantLine, words: &GrantWords) -> String {
    let state = words.state(grant.state);
    let back = match grant.state {
        "asked" | "approved" => button(page, grant, ("revoke", words.take_back), words),
        _ => String::new(),
    };
    format!("<li>{} <strong>{}</strong>{back}</li>", line(grant), escaped(state))
}

fn decide(page: &Page<'_>, grant: &GrantLine, words: &GrantWords) -> String {
    let hidden = format!("<input type=\"hidden\" name=\"id\" value=\"{}\">", escaped(&grant.id));
    let agrees = format!("{hidden}<input type=\"hidden\" name=\"decision\" value=\"approve\">");
    let agree = form(page, ("post", "/.menshen/grants/decide"), &agrees, words.approve);
    format!(
        "<li>{}{agree}{}</li>",
        line(grant),
        button(page, grant, ("refuse", words.refuse), words)
    )
}

fn button(
    page: &Page<'_>,
    grant: &GrantLine,
    (decision, text): (&str, &str),
    words: &GrantWords,
) -> String {
    let fields = format!(
        "<input type=\"hidden\" name=\"id\" value=\"{}\">\
         <input type=\"hidden\" name=\"decision\" value=\"{decision}\">{}",
        escaped(&grant.id),
        reason(words)
    );
    form(page, ("post", "/.menshen/grants/decide"), &fields, text)
}

/// A value as it may stand in a query.
pub(in crate::proxy) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
