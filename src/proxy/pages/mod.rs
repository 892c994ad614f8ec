//! The sign-in pages: plain HTML forms that need no script and load nothing from elsewhere.

use std::fmt::Write as _;

/// The one style sheet, served from the gate itself.
pub(super) const STYLE: &str = include_str!("style.css");

/// What the browser may load and where a form may go: this origin only.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

/// What a page says besides its form.
pub(super) struct Page<'a> {
    /// The host whose page this is; a person who was lured elsewhere can see it.
    pub(super) host: &'a str,
    /// What went wrong with the last try.
    pub(super) problem: Option<&'a str>,
    /// Where to go afterwards: a path on this host.
    pub(super) next: &'a str,
}

/// The page that asks for account and password.
pub(super) fn password(page: &Page<'_>) -> String {
    let form = "<form method=\"post\" action=\"/.menshen/login\">\
         <label for=\"account\">Account</label>\
         <input id=\"account\" name=\"account\" autocomplete=\"username\" autocapitalize=\"none\" required autofocus>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>";
    render(
        page,
        "Sign in",
        "Sign in with your own account. Every access is recorded.",
        form,
        "Sign in",
    )
}

/// The page that asks for the one-time code.
pub(super) fn code(page: &Page<'_>) -> String {
    let form = "<form method=\"post\" action=\"/.menshen/code\">\
         <label for=\"code\">One-time code</label>\
         <input id=\"code\" name=\"code\" inputmode=\"numeric\" pattern=\"[0-9]{6}\" maxlength=\"6\" \
         autocomplete=\"one-time-code\" required autofocus>";
    let lead = "Enter the six digits that your authenticator app shows for this account.";
    render(page, "One-time code", lead, form, "Continue")
}

/// The page after signing in, with the way out.
pub(super) fn signed_in(page: &Page<'_>, account: &str, assurance: u8) -> String {
    let lead = format!("You are signed in as {} at assurance level {assurance}.", escaped(account));
    let form = "<form method=\"post\" action=\"/.menshen/logout\">";
    render_html(page, "Signed in", &lead, form, "Sign out")
}

/// The page after signing out.
pub(super) fn signed_out(page: &Page<'_>) -> String {
    let form = "<form method=\"get\" action=\"/.menshen/login\">";
    render(page, "Signed out", "Your session on this host has ended.", form, "Sign in again")
}

fn render(page: &Page<'_>, title: &str, lead: &str, form: &str, button: &str) -> String {
    render_html(page, title, &escaped(lead), form, button)
}

fn render_html(page: &Page<'_>, title: &str, lead: &str, form: &str, button: &str) -> String {
    let problem = page.problem.map_or_else(String::new, |text| {
        format!("<p class=\"problem\" role=\"alert\">{}</p>", escaped(text))
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · {host}</title><link rel=\"stylesheet\" href=\"/.menshen/style.css\"></head>\
         <body><main><h1>{title}</h1><p>{lead}</p>{problem}{form}\
         <input type=\"hidden\" name=\"next\" value=\"{next}\">\
         <button>{button}</button></form>\
         <small>This page belongs to <span class=\"host\">{host}</span>. \
         If your browser shows another address, close it and tell your security team.</small>\
         </main></body></html>\n",
        host = escaped(page.host),
        next = escaped(page.next),
    )
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
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_typed_cannot_become_markup() {
        let page = Page {
            host: "bank.example",
            problem: Some("<script>alert(1)</script>"),
            next: "/\"><img src=x>",
        };
        let html = password(&page);
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }

    #[test]
    fn every_page_names_its_host() {
        let page = Page { host: "bank.example", problem: None, next: "/" };
        for html in [password(&page), code(&page), signed_in(&page, "li", 2), signed_out(&page)] {
            assert!(html.contains("bank.example"));
        }
    }
}
