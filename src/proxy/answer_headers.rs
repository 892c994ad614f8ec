//! The head of an answer: which of the backend's headers the caller gets.
//!
//! None but those that the route names, and each of those only if it meets the rule of its name. A place
//! passes only if it is a published route, and a link tells no key that the caller did not bring, so that
//! neither can name a record that the body would have withheld.

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};

use super::head::named_by_connection;
use super::question::Question;
use super::rejection::{Rejection, Unjudged};
use crate::audit::Entry;
use crate::guard::check_query;
use crate::policy::{Action, HeaderRule, Headers, Permit, Program};
use crate::route::{Path, normalise_host};

const LONGEST_VALUE: usize = 1024;
const LONGEST_COOKIE: usize = 4096;
const MOST_LINKS: usize = 16;
const MOST_COOKIES: usize = 16;

/// What an answer's head is judged by.
pub(super) struct Standpoint<'a> {
    pub(super) permit: &'a Permit,
    pub(super) program: &'a Program,
    pub(super) zone: &'a str,
    pub(super) params: &'a [(String, String)],
}

/// The headers that pass, and the names of those that were named and did not.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) headers: HeaderMap,
    pub(super) removed: Vec<String>,
}

impl Passed {
    /// Notes in the log what did not pass.
    pub(super) fn note(&self, entry: &mut Entry) {
        let result = entry.result.get_or_insert_default();
        result.removed = self.removed.iter().map(String::as_str).collect();
    }
}

/// Further headers of a request that the route sends on.
///
/// # Errors
/// The name of one that stands twice, is too long or is no plain text.
pub(super) fn sent(headers: &HeaderMap, rules: &Headers) -> Result<HeaderMap, HeaderName> {
    let mut out = HeaderMap::new();
    for name in rules.send().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
        if headers.contains_key(&name) {
            let value = plain(headers, &name).ok_or_else(|| name.clone())?;
            out.insert(name, value);
        }
    }
    if rules.has_cookies() {
        let pairs = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = pairs.flat_map(|line| line.split(';')).map(str::trim);
        let named = pairs.filter(|pair| {
            pair.split_once('=').is_some_and(|(name, value)| {
                rules.has_cookie(name) && value.bytes().all(is_cookie_byte)
            })
        });
        let cookies = named.take(MOST_COOKIES).collect::<Vec<_>>().join("; ");
        if !cookies.is_empty() {
            let value = HeaderValue::try_from(cookies).map_err(|_not_text| COOKIE)?;
            out.insert(COOKIE, value);
        }
    }
    Ok(out)
}

impl<'a> Standpoint<'a> {
    pub(super) fn of(permit: &'a Permit, question: &'a Question) -> Self {
        let (program, zone) = (question.program().as_ref(), question.zone());
        Self { permit, program, zone, params: question.params() }
    }

    /// Judges the head of an answer whose body passes.
    pub(super) fn pass(&self, from: &HeaderMap) -> Passed {
        let mut passed = Passed::default();
        for (name, rule) in self.permit.route().headers().pass() {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            if !from.contains_key(&name) {
                continue;
            }
            match self.value(from, &name, rule) {
                Some(value) => {
                    passed.headers.insert(name, value);
                }
                None => passed.removed.push(name.to_string()),
            }
        }
        self.set_cookies(from, &mut passed);
        for name in named_by_connection(from) {
            if passed.headers.remove(&name).is_some() {
                passed.removed.push(name.to_string());
            }
        }
        passed
    }

    /// An answer that sends the caller to another place, where the route lets it.
    ///
    /// # Errors
    /// [`Unjudged::Redirect`] for any that leads elsewhere than to a published route. Of an answer that only
    /// reads it would tell what the body was to be judged for.
    pub(super) fn redirect(
        &self,
        status: StatusCode,
        from: &HeaderMap,
    ) -> Result<Passed, Rejection> {
        let is_one = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let passed = self.pass(from);
        if is_one && !self.permit.action().only_reads() && passed.headers.contains_key(LOCATION) {
            Ok(passed)
        } else {
            Err(Rejection::Unjudged(Unjudged::Redirect))
        }
    }

    fn value(&self, from: &HeaderMap, name: &HeaderName, rule: HeaderRule) -> Option<HeaderValue> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        match rule {
            HeaderRule::Plain => plain(from, name),
            HeaderRule::Count if self.permit.row_conditions() => None,
            HeaderRule::Count => {
                plain(from, name).filter(|v| v.as_bytes().iter().all(u8::is_ascii_digit))
            }
            HeaderRule::OfBytes => plain(from, name).filter(|_| self.permit.opaque().is_some()),
            HeaderRule::Place => {
                // Only what makes a record has a key to tell that the caller cannot know yet.
                let is_new = self.permit.action() == Action::Create;
                let place = self.place(&text(&plain(from, name)?)?, is_new)?;
                HeaderValue::try_from(place).ok()
            }
            HeaderRule::Links => {
                let lines = from.get_all(name).iter().filter_map(text).collect::<Vec<_>>();
                let lines = lines.join(",");
                let links = links(&lines)?;
                let kept = links.iter().filter_map(|(target, rel)| {
                    let tells_total = *rel == "last" && self.permit.row_conditions();
                    let place = self.place(target, false).filter(|_| !tells_total)?;
                    Some(format!("<{place}>; rel=\"{rel}\""))
                });
                let kept = kept.collect::<Vec<_>>().join(", ");
                HeaderValue::try_from(kept).ok().filter(|value| !value.is_empty())
            }
        }
    }

    /// A reference as a path of this host, if a published route answers there.
    fn place(&self, target: &str, may_be_new: bool) -> Option<String> {
        let route = self.permit.route();
        let rest = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://"));
        let path = match rest {
            Some(rest) => {
                let (host, _) = rest.split_at_checked(rest.find('/')?)?;
                normalise_host(host).filter(|host| host == route.host())?;
                rest.strip_prefix(host)?
            }
            None => target,
        };
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let path = Path::parse(path).ok()?;
        let method = Method::GET;
        let found = self.program.find(self.zone, route.host(), method.as_str(), &path)?;
        for (name, value) in &found.params {
            let is_known = self.params.iter().any(|(_, known)| known == value);
            if found.route.searches(name).is_some() || !(is_known || may_be_new) {
                return None;
            }
        }
        let Some(query) = query else { return Some(path.as_str().to_owned()) };
        // Whether other routes' parameters may be used here nobody has asked the policy.
        if found.route.name() != route.name() {
            return None;
        }
        let checked = check_query(Some(query), self.permit.search()).ok()?;
        Some(format!("{}?{}", path.as_str(), checked.canonical))
    }

    fn set_cookies(&self, from: &HeaderMap, passed: &mut Passed) {
        let rules = self.permit.route().headers();
        if !rules.has_cookies() {
            return;
        }
        for line in from.get_all(SET_COOKIE) {
            let cookie = line.to_str().ok().and_then(|line| hardened(line, rules));
            let is_room = passed.headers.get_all(SET_COOKIE).iter().count() < MOST_COOKIES;
            match cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
                Some(cookie) if is_room => {
                    passed.headers.append(SET_COOKIE, cookie);
                }
                Some(_) | None => passed.removed.push(SET_COOKIE.to_string()),
            }
        }
    }
}

/// The value of a header that stands once, is printable and not too long.
fn plain(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next().filter(|value| value.len() <= LONGEST_VALUE)?;
    let is_plain = value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
    (is_plain && lines.next().is_none()).then(|| value.clone())
}

/// Targets and relations of a `Link` (RFC 8288); `None` if it can be read in two ways. Of parameters
/// only `rel` is read, which holds one plain word.
fn links(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let (parameters, next) = after.split_at_checked(end)?;
        let parameters = parameters.trim().strip_suffix(',').unwrap_or(parameters.trim());
        let mut relations = parameters.split(';').filter_map(|parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
        });
        let relation = relations.next()?;
        let is_word = !relation.is_empty()
            && relation.len() <= 32
            && relation.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if !is_word || relations.next().is_some() || found.len() >= MOST_LINKS {
            return None;
        }
        found.push((target, relation));
        rest = next.trim();
    }
    Some(found)
}

/// A cookie that the route names, out of reach of scripts, of other sites and of plain connections.
fn hardened(line: &str, rules: &Headers) -> Option<String> {
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let is_fine =
        rules.has_cookie(name) && line.len() <= LONGEST_COOKIE && value.bytes().all(is_cookie_byte);
    let mut cookie = is_fine.then(|| format!("{name}={value}"))?;
    let mut same_site = "Lax";
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        let is_plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b" ,:-/_.~".contains(&b));
        match attribute.to_ascii_lowercase().as_str() {
            "max-age" | "expires" if is_plain => cookie.push_str(&format!("; {attribute}={value}")),
            "path" if is_plain && value.starts_with('/') => {
                cookie.push_str(&format!("; Path={value}"));
            }
            "samesite" if value.eq_ignore_ascii_case("strict") => same_site = "Strict",
            _ => {}
        }
    }
    Some(format!("{cookie}; Secure; HttpOnly; SameSite={same_site}"))
}

/// RFC 6265, `cookie-octet`.
fn is_cookie_byte(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_two_readings_is_none() {
        let fine = links("</a?page=2>; rel=\"next\", </a?page=9>; rel=last; title=\"x\"").unwrap();
        assert_eq!(fine, [("/a?page=2", "next"), ("/a?page=9", "last")]);
        for odd in [
            "/a; rel=next",
            "</a; rel=next",
            "</a>",
            "</a>; rel=\"next prev\"",
            "</a>; rel=next; rel=last",
            "</a>; rel=\"a>b\"",
            "x, </a>; rel=next",
        ] {
            assert_eq!(links(odd), None, "{odd}");
        }
    }
}
