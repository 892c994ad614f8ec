//! Signing in at an issuer.

use super::{Html, Page, escaped, filled, form, paragraph, render};

/// Links to the issuers at which people can sign in.
pub(super) fn ways_in(page: &Page<'_>) -> String {
    let next = percent_encoding::utf8_percent_encode(page.next, percent_encoding::NON_ALPHANUMERIC);
    let link = |issuer: &&str| {
        let text = filled(page.words.issuer_sign_in, &[("issuer", &escaped(issuer))]);
        format!("<p><a href=\"/.menshen/oidc/{}?next={next}\">{text}</a></p>", escaped(issuer))
    };
    page.issuers.iter().map(link).collect()
}

/// Somebody is signed in and goes on.
pub(in crate::proxy) fn issuer_done(page: &Page<'_>) -> Html {
    let words = page.words;
    let on = format!("<p><a href=\"{}\">{}</a></p>", escaped(page.next), escaped(words.go_on));
    render(page, words.session_title, &[on])
}

/// Somebody is signed in, but with less than was asked for.
pub(in crate::proxy) fn issuer_missed(page: &Page<'_>, level: u8) -> Html {
    let words = page.words;
    let text = words.issuer_missed.replace("{level}", &level.to_string());
    render(page, words.step_needed, &[paragraph(&text)])
}

/// Nobody is signed in; the page's problem says why.
pub(in crate::proxy) fn issuer_refused(page: &Page<'_>) -> Html {
    let again = form(page, ("get", "/.menshen/login"), "", page.words.sign_in_again);
    render(page, page.words.sign_in, &[again])
}

/// What was asked for is kept at the issuer, with the way there.
pub(in crate::proxy) fn at_issuer(page: &Page<'_>, issuer: &str, there: &str) -> Html {
    let words = page.words;
    let show = format!("<p><a href=\"{}\">{}</a></p>", escaped(there), escaped(words.show_factor));
    let back =
        form(&Page { next: "", ..*page }, ("get", "/.menshen/session"), "", words.to_session);
    render(page, words.at_issuer_title, &[kept_there(page, issuer), show, back])
}

/// Where password and factors are.
pub(super) fn kept_there(page: &Page<'_>, issuer: &str) -> String {
    format!("<p>{}</p>", filled(page.words.at_issuer, &[("issuer", &escaped(issuer))]))
}
