use super::words::LANGUAGES;
use super::*;
use crate::identity::{Overview, PasskeyInfo, SessionInfo, SignedIn, Ways};
use crate::secret::Secret;

fn page<'a>() -> Page<'a> {
    Page { next: "/", ..Page::new("bank.example", LANGUAGES[0]) }
}

fn key(name: &str) -> PasskeyInfo {
    PasskeyInfo {
        id: "AAAA".into(),
        name: name.into(),
        host: "bank.example".into(),
        verifies: true,
        is_backed_up: false,
        created_s: 0,
        used_s: None,
    }
}

fn overview(typed: &str) -> Overview {
    let began = SignedIn { at_s: 0, from: typed.into() };
    let session = SessionInfo {
        number: 1,
        is_this: true,
        host: typed.into(),
        assurance: 2,
        began: began.clone(),
        last_seen_s: 0,
    };
    Overview {
        issuer: None,
        account: typed.into(),
        before: Some(began),
        password_is_old: false,
        password_days: 91,
        sessions: vec![session],
        passkeys: vec![key(typed)],
        unproved: None,
    }
}

fn all(page: &Page<'_>, typed: &str) -> Vec<Html> {
    let keys = [key(typed)];
    let both = Ways { code: true, passkey: true };
    let overview = overview(typed);
    let old = Overview { password_is_old: true, ..overview.clone() };
    let standing = Standing {
        account: typed,
        assurance: 2,
        passkeys: &keys,
        unproved: None,
        ways: both,
        overview: Some(&overview),
    };
    let unproved = Standing { unproved: Some(3), ..standing };
    vec![
        password(page),
        code(page),
        signed_out(page),
        too_much(
            page,
            TooMuch { limit: Some(typed), is_shared: true, wait_s: 61, contact: Some(typed) },
        ),
        too_much(page, TooMuch { limit: None, is_shared: false, wait_s: 86_400, contact: None }),
        session(page, &standing),
        session(page, &unproved),
        session(page, &Standing { overview: Some(&old), ..standing }),
        devices(page, &overview),
        devices(page, &Overview { unproved: Some(3), ..overview.clone() }),
        codes(page, Some(2), both),
        codes(page, None, both),
        factor_first(page, both, 3),
        factor_first(page, Ways::default(), 3),
        send_now(page, typed, ("POST", typed, 5), &[]),
        send_now(page, typed, ("POST", typed, 5), &[typed.to_owned()]),
        refused(page, 2, Some(900), typed, true),
        refused(page, 3, None, typed, false),
        nothing_kept(page),
        recovery(page, 7, Some(2), both),
        recovery(page, 0, None, both),
        new_password(page, Some(2), both),
        new_password(page, None, Ways::default()),
        invitation(page, typed, &Secret::new(typed.to_owned())),
        welcome(page, &Secret::new(typed.to_owned())),
        no_invitation(page),
    ]
}

#[test]
fn what_a_caller_typed_cannot_become_markup() {
    let evil = "\"><img src=x><script>alert(1)</script>'";
    let page = Page { problem: Some(evil), done: Some(evil), next: evil, ..page() };
    for html in all(&page, evil) {
        let loaded = html.text.replace("<script src=\"/.menshen/passkey.js\"></script>", "");
        assert!(!loaded.contains("<script") && !loaded.contains("<img"), "{loaded}");
    }
}

#[test]
fn every_page_names_its_host_and_its_language_and_holds_nothing_inline() {
    let pages = LANGUAGES.into_iter().flat_map(|words| {
        let in_it = Page { words, ..page() };
        all(&in_it, "li").into_iter().map(|html| (words.lang, html))
    });
    for (lang, html) in pages {
        assert!(html.text.contains("bank.example"), "{}", html.text);
        assert!(html.text.contains(&format!("<html lang=\"{lang}\">")), "{}", html.text);
        assert!(!html.text.contains("style=") && !html.text.contains("<style"), "{}", html.text);
        let policy = html.content_security_policy();
        assert!(!policy.contains("unsafe") && policy.starts_with("default-src 'none'"));
        assert_eq!(policy.contains("script-src 'self'"), html.text.contains("<script"));
        assert_eq!(html.text.contains("<script"), html.text.contains("data-passkey="));
    }
}

#[test]
fn where_a_page_leads_on_is_a_path_of_this_host() {
    for path in ["/", "/a?b=c&d=%2f", "/.menshen/session"] {
        assert_eq!(local_path(path), Some(path));
    }
    for path in [
        "",
        "a",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a b",
        "javascript:1",
    ] {
        assert_eq!(local_path(path), None, "{path}");
    }
}

#[test]
fn what_is_filled_in_is_not_filled_in_again() {
    let text = filled("a {x} & {y} {z", &[("x", "{y}"), ("y", "<b>")]);
    assert_eq!(text, "a {y} &#38; <b> {z");
}
