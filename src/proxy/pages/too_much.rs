//! What a browser is shown when its request is one too many.

use super::{Html, Page, escaped, filled, marked, paragraph, render};

/// Why, and until when.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct TooMuch<'a> {
    /// The limit that is reached, by its name; `None` if something else slows the caller.
    pub(in crate::proxy) limit: Option<&'a str>,
    /// Whether others use it up as well.
    pub(in crate::proxy) is_shared: bool,
    /// Seconds until it is worth trying again.
    pub(in crate::proxy) wait_s: u64,
    /// Whom to ask.
    pub(in crate::proxy) contact: Option<&'a str>,
}

/// The page that says that a limit is reached, when it frees, and whom to ask.
pub(in crate::proxy) fn too_much(page: &Page<'_>, why: TooMuch<'_>) -> Html {
    const MINUTES_UNTIL_S: u64 = 3 * 3600;
    let words = page.words;
    let mut parts = Vec::new();
    match why.limit {
        Some(limit) => {
            parts.push(paragraph(words.much_lead));
            parts.push(format!("<p>{}</p>", marked(limit)));
        }
        None => parts.push(paragraph(words.much_slowed)),
    }
    if why.is_shared {
        parts.push(paragraph(words.much_shared));
    }
    let (text, unit_s) = match why.wait_s {
        0..=MINUTES_UNTIL_S => (words.much_minutes, 60),
        _ => (words.much_hours, 3600),
    };
    let count = why.wait_s.div_ceil(unit_s).max(1).to_string();
    parts.push(format!("<p>{}</p>", filled(text, &[("n", &count)])));
    if let Some(contact) = why.contact {
        let text = filled(words.much_contact, &[("contact", &escaped(contact))]);
        parts.push(format!("<p>{text}</p>"));
    }
    render(page, words.much_title, &parts)
}
