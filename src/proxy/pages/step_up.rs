//! A request that needs a factor: the page that asks for it, and the page that sends the request.

use super::passkey::{self, Part};
use super::recovery::recovery_form;
use super::sign_in::code_form;
use super::{Html, Page, escaped, filled, form, marked, paragraph, render};
use crate::identity::Ways;

/// The page that asks for the factor that a kept request waits for.
pub(in crate::proxy) fn factor_first(page: &Page<'_>, ways: Ways, level: u8) -> Html {
    let words = page.words;
    let mut parts = vec![paragraph(words.step_lead)];
    if ways.code {
        parts.push(paragraph(words.step_code));
        parts.push(code_form(page));
        parts.push(recovery_form(page));
    }
    if ways.passkey {
        parts.push(passkey::part(page, Part::Raise { level }));
    }
    if ways == Ways::default() {
        parts.push(paragraph(words.no_factor));
    }
    render(page, words.step_title, &parts)
}

/// The page that shows a kept request, by method, path and size, and sends it, for a purpose if one is to be chosen.
pub(in crate::proxy) fn send_now(
    page: &Page<'_>,
    name: &str,
    (method, path, bytes): (&str, &str, usize),
    purposes: &[String],
) -> Html {
    let words = page.words;
    let request = marked(&format!("{method} {path}"));
    let lead = filled(words.send_lead, &[("request", &request), ("bytes", &bytes.to_string())]);
    let field = format!("<input type=\"hidden\" name=\"r\" value=\"{}\">", escaped(name));
    let field = field + &choice(page, purposes);
    let send = form(page, ("post", "/.menshen/step-up"), &field, words.send_now);
    let title = if purposes.is_empty() { words.send_title } else { words.purpose_title };
    render(page, title, &[format!("<p>{lead}</p>"), send])
}

/// One of the purposes that would do, none of them chosen in advance.
fn choice(page: &Page<'_>, purposes: &[String]) -> String {
    if purposes.is_empty() {
        return String::new();
    }
    let one = |purpose: &String| {
        let word = escaped(purpose);
        format!(
            "<label class=\"choice\"><input type=\"radio\" id=\"purpose-{word}\" name=\"purpose\" value=\"{word}\" \
             required>{word}</label>"
        )
    };
    let choices: String = purposes.iter().map(one).collect();
    format!("<fieldset><legend>{}</legend>{choices}</fieldset>", escaped(page.words.purpose_lead))
}

/// The page that says why a request that needs a factor is not kept, and leads to the factor if there is one.
pub(in crate::proxy) fn refused(
    page: &Page<'_>,
    level: u8,
    max_age_s: Option<u32>,
    why: &str,
    has_factor: bool,
) -> Html {
    let words = page.words;
    let factor = escaped(match level {
        0 | 1 => words.a_password,
        2 => words.a_code,
        _ => words.a_key,
    });
    let asks = match max_age_s {
        Some(age) => {
            filled(words.step_asks_fresh, &[("factor", &factor), ("seconds", &age.to_string())])
        }
        None => filled(words.step_asks, &[("factor", &factor)]),
    };
    let on = if has_factor {
        form(page, ("get", "/.menshen/code"), "", words.show_factor)
    } else {
        form(page, ("get", "/.menshen/session"), "", words.to_session)
    };
    let page = Page { problem: Some(why), ..*page };
    render(&page, words.step_needed, &[format!("<p>{asks}</p>"), on])
}

/// The page for a kept request that is not, or no longer, there.
pub(in crate::proxy) fn nothing_kept(page: &Page<'_>) -> Html {
    let words = page.words;
    let on = form(page, ("get", "/.menshen/session"), "", words.to_session);
    render(page, words.nothing_title, &[paragraph(words.nothing_lead), on])
}
