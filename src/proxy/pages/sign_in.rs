//! Signing in and out.

use super::passkey::{self, Part};
use super::recovery::recovery_form;
use super::{Html, Page, escaped, form, paragraph, render};

/// The page that asks for account and password, or a passkey.
pub(in crate::proxy) fn password(page: &Page<'_>) -> Html {
    let words = page.words;
    let fields = format!(
        "<label for=\"account\">{}</label>\
         <input id=\"account\" name=\"account\" autocomplete=\"username\" autocapitalize=\"none\" required autofocus>\
         <label for=\"password\">{}</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>",
        escaped(words.account),
        escaped(words.password)
    );
    let parts = [
        paragraph(words.sign_in_lead),
        form(page, ("post", "/.menshen/login"), &fields, words.sign_in),
        passkey::part(page, Part::SignIn),
        super::oidc::ways_in(page),
    ];
    render(page, words.sign_in, &parts)
}

/// The page that asks for the one-time code, or a passkey.
pub(in crate::proxy) fn code(page: &Page<'_>) -> Html {
    let words = page.words;
    let parts = [
        paragraph(words.code_lead),
        code_form(page),
        recovery_form(page),
        passkey::part(page, Part::Raise { level: 0 }),
    ];
    render(page, words.code_title, &parts)
}

pub(super) fn code_form(page: &Page<'_>) -> String {
    form(page, ("post", "/.menshen/code"), &code_field(page), page.words.go_on)
}

pub(super) fn code_field(page: &Page<'_>) -> String {
    format!(
        "<label for=\"code\">{}</label>\
         <input id=\"code\" name=\"code\" inputmode=\"numeric\" pattern=\"[0-9]{{6}}\" maxlength=\"6\" \
         autocomplete=\"one-time-code\" required autofocus>",
        escaped(page.words.code)
    )
}

/// The page after signing out.
pub(in crate::proxy) fn signed_out(page: &Page<'_>) -> Html {
    let words = page.words;
    let again = form(page, ("get", "/.menshen/login"), "", words.sign_in_again);
    render(page, words.signed_out, &[paragraph(words.signed_out_lead), again])
}
