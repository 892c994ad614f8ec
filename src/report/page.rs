//! The customer's version: one page that can be printed, without names of employees, scripts or anything loaded.

use std::fmt::Write as _;

use super::Hours;
use super::subject::{How, Look, Post};
use super::words::Words;

const STYLE: &str = "\
body{font:11pt/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:start;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #bbb}\
th{border-bottom:2px solid #1a1a1a}footer{margin-top:2rem;font-size:.85em;overflow-wrap:anywhere}\
@media print{@page{size:A4;margin:18mm}body{margin:0;padding:0;max-width:none;font-size:9.5pt}\
thead{display:table-header-group}tr{break-inside:avoid}}";

/// The page on these looks at `whom`. `state` is the log's size and root.
#[must_use]
pub fn page(
    words: &Words,
    whom: &str,
    looks: &[Look],
    (from, to): (&str, &str),
    hours: &dyn Hours,
    (entries, root): (u64, &str),
) -> String {
    let told: Vec<&Look> = looks.iter().filter(|look| look.how != How::Refused).collect();
    let lead = words.lead.replace("{from}", from).replace("{to}", to);
    let foot = words.foot.replace("{entries}", &entries.to_string()).replace("{root}", root);
    let mut rows = String::new();
    for look in &told {
        let why = escaped(&look.purpose);
        // Writing to a text cannot fail.
        writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{why}</td></tr>",
            escaped(&hours.shown(look.at_ms)),
            escaped(&who(words, &look.post)),
            seen(words, look),
            how(words, look.how),
        )
        .unwrap_or_default();
    }
    let body = if told.is_empty() {
        format!("<p>{}</p>", words.nobody)
    } else {
        format!(
            "<p>{}</p>\n<table>\n<thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th>\
             <th scope=\"col\">{}</th><th scope=\"col\">{}</th><th scope=\"col\">{}</th></tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table>",
            words.times.replace("{n}", &told.len().to_string()),
            words.when,
            words.who,
            words.what,
            words.how,
            words.why,
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main>\n<h1>{title}</h1>\n<p><strong>{}</strong></p>\n<p>{}</p>\n{body}\n</main>\n\
         <footer>{}</footer></body>\n</html>\n",
        words.lang,
        escaped(whom),
        escaped(&lead),
        escaped(&foot),
        title = words.title,
    )
}

fn who(words: &Words, post: &Post) -> String {
    match post {
        Post::Yourself => words.yourself.to_owned(),
        Post::Staff(roles) if roles.is_empty() => words.staff.to_owned(),
        Post::Staff(roles) => format!("{} ({})", words.staff, roles.join(", ")),
        Post::Partner(name) => words.partner.replace("{name}", name),
        Post::Program => words.program.to_owned(),
        Post::Operator => words.operator.to_owned(),
    }
}

fn how(words: &Words, how: How) -> &'static str {
    match how {
        How::Shown => words.shown,
        How::File => words.file,
        How::Possibly | How::Refused => words.possibly,
        How::Reviewed => words.reviewed,
    }
}

fn seen(words: &Words, look: &Look) -> String {
    let mut parts = Vec::new();
    for (label, names) in [
        (words.clear, &look.clear),
        (words.masked, &look.masked),
        (words.pseudonym, &look.pseudonym),
    ] {
        let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
        if !plain.is_empty() {
            parts.push(format!("{label}{}", escaped(&plain.join(", "))));
        }
    }
    if parts.is_empty() { words.nothing.to_owned() } else { parts.join("<br>") }
}

/// `customer.home_address` as `home address`.
fn plain(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).replace('_', " ")
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}
