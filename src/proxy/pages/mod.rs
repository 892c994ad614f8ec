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

const CODE_FORM: &str = "<form method=\"post\" action=\"/.menshen/code\">\
     <label for=\"code\">One-time code</label>\
     <input id=\"code\" name=\"code\" inputmode=\"numeric\" pattern=\"[0-9]{6}\" maxlength=\"6\" \
     autocomplete=\"one-time-code\" required autofocus>";

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
    let lead = "Enter the six digits that your authenticator app shows for this account.";
    render(page, "One-time code", lead, CODE_FORM, "Continue")
}

/// What to do where no factor that would do is enrolled.
pub(super) const ENROL: &str = "No factor of your account that this page can take would do. Ask whoever runs this gate to \
     enrol an authenticator app or a key for it, then sign in again.";

/// The page that asks for the code that a kept request waits for.
pub(super) fn code_first(page: &Page<'_>) -> String {
    let lead = "Your request needs a fresh one-time code. It is kept meanwhile; enter the six digits that your \
         authenticator app shows for this account.";
    render(page, "One more step", lead, CODE_FORM, "Continue")
}

/// The page that shows a kept request, by method, path and size, and sends it.
pub(super) fn send_now(
    page: &Page<'_>,
    name: &str,
    (method, path, bytes): (&str, &str, usize),
) -> String {
    let lead = format!(
        "Your request was kept: <span class=\"host\">{} {}</span>, {bytes} bytes. It is sent once.",
        escaped(method),
        escaped(path)
    );
    let form = format!(
        "<form method=\"post\" action=\"/.menshen/step-up\">\
         <input type=\"hidden\" name=\"r\" value=\"{}\">",
        escaped(name)
    );
    render_html(page, "Send your request", &lead, &form, "Send it now")
}

/// The page that says why a request that needs a factor is not kept.
pub(super) fn step_up_refused(host: &str, asked: &str, why: &str, has_code: bool) -> String {
    let page = Page { host, problem: Some(why), next: "" };
    let lead = format!("For this request {asked}.");
    let (form, button) = if has_code {
        ("<form method=\"get\" action=\"/.menshen/code\">", "Show the factor")
    } else {
        ("<form method=\"get\" action=\"/.menshen/session\">", "To your session")
    };
    render(&page, "One more step is needed", &lead, form, button)
}

/// The page for a kept request that is not, or no longer, there.
pub(super) fn nothing_kept(host: &str) -> String {
    let page = Page { host, problem: None, next: "" };
    let lead =
        "No request of yours is kept here: it was sent already, or too long ago. Start again.";
    let form = "<form method=\"get\" action=\"/.menshen/session\">";
    render(&page, "Nothing is kept", lead, form, "To your session")
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
