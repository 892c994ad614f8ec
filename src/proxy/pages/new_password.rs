//! New passwords: a person's own, and the first one by an invitation.

use super::{Html, Page, escaped, filled, form, marked, paragraph, raise, render};
use crate::identity::Ways;
use crate::secret::Secret;

/// The page on which people replace their own password.
pub(in crate::proxy) fn new_password(page: &Page<'_>, unproved: Option<u8>, ways: Ways) -> Html {
    let words = page.words;
    let page = &Page { next: "/.menshen/password", ..*page };
    let mut parts = vec![paragraph(words.password_lead)];
    if let Some(level) = unproved.filter(|_| ways.any()) {
        let text = filled(words.password_unproved, &[("level", &level.to_string())]);
        parts.push(format!("<p>{text}</p>"));
        parts.extend(raise(page, ways));
    } else {
        let fields = format!(
            "<label for=\"old\">{}</label>\
             <input id=\"old\" name=\"old\" type=\"password\" autocomplete=\"current-password\" required>{}",
            escaped(words.password_old),
            new_field(page, "new")
        );
        let change = Page { next: "", ..*page };
        parts.push(form(&change, ("post", "/.menshen/password"), &fields, words.password_change));
    }
    render(page, words.password_change, &parts)
}

/// The page on which somebody who was invited sets the first one.
pub(in crate::proxy) fn invitation(page: &Page<'_>, account: &str, token: &Secret<String>) -> Html {
    let words = page.words;
    let lead = filled(words.invited_lead, &[("account", &marked(account))]);
    let fields = format!(
        "<input type=\"hidden\" name=\"t\" value=\"{}\">\
         <input type=\"hidden\" name=\"account\" autocomplete=\"username\" value=\"{}\">{}",
        escaped(token.expose()),
        escaped(account),
        new_field(page, "password")
    );
    let set = form(page, ("post", "/.menshen/invitation"), &fields, words.invited_set);
    render(page, words.invited, &[format!("<p>{lead}</p>"), set])
}

/// The page that leads whoever has set the first password to one-time codes.
pub(in crate::proxy) fn welcome(page: &Page<'_>, ticket: &Secret<String>) -> Html {
    let words = page.words;
    let field =
        format!("<input type=\"hidden\" name=\"ticket\" value=\"{}\">", escaped(ticket.expose()));
    let parts = [
        paragraph(words.welcome_lead),
        form(page, ("post", "/.menshen/enrol"), &field, words.codes_begin),
        form(page, ("get", "/.menshen/session"), "", words.to_session),
    ];
    render(page, words.welcome, &parts)
}

/// The page of a link that is not good.
pub(in crate::proxy) fn no_invitation(page: &Page<'_>) -> Html {
    let words = page.words;
    render(page, words.invited, &[form(page, ("get", "/.menshen/login"), "", words.sign_in)])
}

fn new_field(page: &Page<'_>, name: &str) -> String {
    format!(
        "<label for=\"{name}\">{}</label><input id=\"{name}\" name=\"{name}\" type=\"password\" minlength=\"12\" \
         maxlength=\"128\" autocomplete=\"new-password\" aria-describedby=\"rules\" required><p id=\"rules\">{}</p>",
        escaped(page.words.password_new),
        escaped(page.words.password_rules)
    )
}
