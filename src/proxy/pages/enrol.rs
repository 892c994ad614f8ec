//! Setting up one-time codes.

use super::sign_in::code_field;
use super::{Html, Page, escaped, filled, form, marked, paragraph, raise, render};
use crate::identity::{PendingCodes, Ways};

/// The page that says what is needed to set codes up, and begins.
pub(in crate::proxy) fn codes(page: &Page<'_>, unproved: Option<u8>, ways: Ways) -> Html {
    let words = page.words;
    let page = &Page { next: "/.menshen/enrol", ..*page };
    let mut parts = vec![paragraph(words.codes_lead)];
    let mut fields = String::new();
    if let Some(level) = unproved {
        let text = filled(words.codes_unproved, &[("level", &level.to_string())]);
        parts.push(format!("<p>{text}</p>"));
        parts.extend(raise(page, ways));
        fields = format!(
            "<label for=\"ticket\">{}</label><input id=\"ticket\" name=\"ticket\" maxlength=\"64\" autocomplete=\"off\" \
             autocapitalize=\"none\" spellcheck=\"false\" required>",
            escaped(words.ticket)
        );
    }
    let begin = Page { next: "", ..*page };
    parts.push(form(&begin, ("post", "/.menshen/enrol"), &fields, words.codes_begin));
    render(page, words.codes, &parts)
}

/// The page that shows the new secret, and takes its first code.
pub(in crate::proxy) fn scan(page: &Page<'_>, codes: &PendingCodes) -> Html {
    let words = page.words;
    let label = format!("<svg aria-label=\"{}\" ", escaped(words.qr_label));
    let drawn = codes.enrolment.qr_svg.expose().replacen("<svg ", &label, 1);
    let key = marked(codes.enrolment.key.expose());
    let pending = format!(
        "<input type=\"hidden\" name=\"pending\" value=\"{}\">{}",
        escaped(&codes.pending),
        code_field(page)
    );
    let parts = [
        format!("<p>{}</p>", filled(words.codes_scan, &[("key", &key)])),
        drawn,
        form(page, ("post", "/.menshen/enrol"), &pending, words.go_on),
    ];
    render(page, words.codes, &parts)
}
