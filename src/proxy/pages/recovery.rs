//! Recovery codes: how many are left, new ones, and the field that takes one.

use super::{Html, Page, escaped, filled, form, marked, paragraph, raise, render};
use crate::identity::{RecoveryCodes, Ways};

/// The page that says how many codes are left and makes new ones.
pub(in crate::proxy) fn recovery(
    page: &Page<'_>,
    left: u32,
    unproved: Option<u8>,
    ways: Ways,
) -> Html {
    let words = page.words;
    let page = &Page { next: "/.menshen/recovery", ..*page };
    let left = filled(words.recovery_left, &[("count", &left.to_string())]);
    let mut parts = vec![paragraph(words.recovery_lead), format!("<p>{left}</p>")];
    if let Some(level) = unproved {
        let text = filled(words.recovery_unproved, &[("level", &level.to_string())]);
        parts.push(format!("<p>{text}</p>"));
        parts.extend(raise(page, ways));
    } else {
        let make = Page { next: "", ..*page };
        parts.push(form(&make, ("post", "/.menshen/recovery"), "", words.recovery_make));
    }
    render(page, words.recovery, &parts)
}

/// The page that shows new codes, once.
pub(in crate::proxy) fn recovery_codes(page: &Page<'_>, codes: &RecoveryCodes) -> Html {
    let words = page.words;
    let items: String = codes.shown().map(|code| format!("<li>{}</li>", marked(code))).collect();
    let on = Page { next: "", ..*page };
    let parts = [
        paragraph(words.recovery_shown),
        format!("<ol class=\"codes\">{items}</ol>"),
        form(&on, ("get", "/.menshen/session"), "", words.to_session),
    ];
    render(page, words.recovery, &parts)
}

/// The form that takes a recovery code in place of a one-time code, folded away.
pub(super) fn recovery_form(page: &Page<'_>) -> String {
    let words = page.words;
    let field = format!(
        "<label for=\"recovery\">{}</label>\
         <input id=\"recovery\" name=\"code\" maxlength=\"20\" autocomplete=\"off\" autocapitalize=\"none\" \
         spellcheck=\"false\" required>",
        escaped(words.recovery_code)
    );
    let form = form(page, ("post", "/.menshen/code"), &field, words.go_on);
    format!("<details><summary>{}</summary>{form}</details>", escaped(words.recovery_instead))
}
