//! Finds the one credential of a request in its headers. Two are refused: whoever sends both a
//! token and a session is confused or is confusing somebody.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderValue};

use super::place::{Cookie, Place};
use super::{AuthError, DpopFault};
use crate::secret::Secret;

/// The name of the session cookie. The prefix makes browsers insist on `Secure`, `Path=/` and no domain.
pub const COOKIE_NAME: &str = "__Host-menshen";
/// The header value that makes a browser forget its session.
pub const CLEAR_COOKIE: &str =
    "__Host-menshen=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";
/// The longest bearer token.
pub(super) const TOKEN_LIMIT: usize = 8 * 1024;
/// The length of a cookie value: 256 bits in base64url.
pub(super) const COOKIE_LENGTH: usize = 43;

/// What a request showed; not verified yet.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A bearer token.
    Bearer(Secret<String>),
    /// The session cookie.
    Session(Cookie),
    /// A token, and the proof that its holder has the key that it is bound to.
    Dpop {
        /// The token.
        token: Secret<String>,
        /// The proof.
        proof: Secret<String>,
    },
    /// An API key.
    ApiKey(Secret<String>),
    /// Nothing but the client certificate of the connection.
    Certificate,
}

impl Credentials {
    /// Takes the credential out of the headers: one `Authorization` of a known scheme, or one session cookie.
    /// Beside either, a client certificate is not one more but what it may be bound to.
    /// `place` is where the request came in.
    ///
    /// # Errors
    /// [`AuthError::Missing`] if there is none, else what is wrong with their number or form.
    pub fn from_headers(headers: &HeaderMap, place: &Place) -> Result<Self, AuthError> {
        match (authorization(headers)?, session(headers)?) {
            (Some(_), Some(_)) => Err(AuthError::TwoCredentials),
            (Some(shown), None) => Ok(shown),
            (None, Some(value)) => Ok(Self::Session(Cookie::shown(value, place.clone()))),
            (None, None) if place.certificate.is_some() => Ok(Self::Certificate),
            (None, None) => Err(AuthError::Missing),
        }
    }
}

/// The `Set-Cookie` value that gives a browser its session until `max_age_s` from now.
#[must_use]
pub fn set_cookie(value: &Secret<String>, max_age_s: u32) -> Secret<String> {
    let value = value.expose();
    Secret::new(format!(
        "{COOKIE_NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={max_age_s}"
    ))
}

fn authorization(headers: &HeaderMap) -> Result<Option<Credentials>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::TwoCredentials);
    }
    let (scheme, token) = text(value)?.split_once(' ').ok_or(AuthError::Scheme)?;
    let known = ["bearer", "dpop", "apikey"];
    let scheme = scheme.to_ascii_lowercase();
    let scheme = known.into_iter().find(|known| *known == scheme).ok_or(AuthError::Scheme)?;
    if token.len() > TOKEN_LIMIT {
        return Err(AuthError::TokenTooLong);
    }
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err(AuthError::Malformed);
    }
    let token = Secret::new(token.to_owned());
    Ok(Some(match scheme {
        "apikey" => Credentials::ApiKey(token),
        "dpop" => Credentials::Dpop { token, proof: proof(headers)? },
        _ => Credentials::Bearer(token),
    }))
}

/// The one proof that stands beside a token.
fn proof(headers: &HeaderMap) -> Result<Secret<String>, AuthError> {
    let mut values = headers.get_all("dpop").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(DpopFault::Missing.into());
    };
    let proof = text(value)?;
    if proof.len() > TOKEN_LIMIT {
        return Err(DpopFault::Missing.into());
    }
    Ok(Secret::new(proof.to_owned()))
}

fn session(headers: &HeaderMap) -> Result<Option<Secret<String>>, AuthError> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        // The other cookies of a site may hold bytes that are no text; ours never does.
        for pair in header.as_bytes().split(|b| *b == b';') {
            let pair = pair.trim_ascii();
            let Some(value) = pair.strip_prefix(COOKIE_NAME.as_bytes()) else { continue };
            let Some(value) = value.strip_prefix(b"=") else { continue };
            if found.replace(cookie_value(value)?).is_some() {
                return Err(AuthError::TwoCredentials);
            }
        }
    }
    Ok(found)
}

fn cookie_value(value: &[u8]) -> Result<Secret<String>, AuthError> {
    let is_ours = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
    if value.len() != COOKIE_LENGTH || !value.iter().all(is_ours) {
        return Err(AuthError::Malformed);
    }
    let text = std::str::from_utf8(value).map_err(|_never_for_ascii| AuthError::Malformed)?;
    Ok(Secret::new(text.to_owned()))
}

fn text(value: &HeaderValue) -> Result<&str, AuthError> {
    value.to_str().map_err(|_not_ascii| AuthError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn place() -> Place {
        Place { host: "bank.example".into(), zone: "business".into(), certificate: None }
    }

    fn fault(pairs: &[(http::HeaderName, &str)]) -> AuthError {
        Credentials::from_headers(&headers(pairs), &place()).unwrap_err()
    }

    fn cookie(letter: char) -> String {
        format!("{COOKIE_NAME}={}", letter.to_string().repeat(COOKIE_LENGTH))
    }

    #[test]
    fn a_bearer_token_is_taken_whatever_the_case_of_its_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c"] {
            let found = Credentials::from_headers(&headers(&[(AUTHORIZATION, value)]), &place());
            let found = found.unwrap();
            assert!(matches!(found, Credentials::Bearer(token) if token.expose() == "a.b.c"));
        }
    }

    #[test]
    fn the_session_cookie_is_found_among_others_and_in_a_second_header() {
        let ours = cookie('x');
        for pairs in [
            vec![(COOKIE, format!("a=b; {ours}; c=d"))],
            vec![(COOKIE, "a=b".into()), (COOKIE, ours.clone())],
        ] {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.clone(), v.as_str())).collect();
            let found = Credentials::from_headers(&headers(&pairs), &place()).unwrap();
            assert!(matches!(found, Credentials::Session(_)));
        }
    }

    #[test]
    fn no_credential_is_missing() {
        assert_eq!(fault(&[]), AuthError::Missing);
        assert_eq!(fault(&[(COOKIE, "__Host-menshenx=1; __host-menshen=2")]), AuthError::Missing);
    }

    #[test]
    fn two_credentials_of_any_kind_are_refused() {
        let (one, two) = (cookie('x'), cookie('y'));
        let both = format!("{one}; {two}");
        let token = (AUTHORIZATION, "Bearer a.b.c");
        assert_eq!(fault(&[token.clone(), token.clone()]), AuthError::TwoCredentials);
        assert_eq!(fault(&[token, (COOKIE, &one)]), AuthError::TwoCredentials);
        assert_eq!(fault(&[(COOKIE, &both)]), AuthError::TwoCredentials);
        assert_eq!(fault(&[(COOKIE, &one), (COOKIE, &two)]), AuthError::TwoCredentials);
    }

    #[test]
    fn other_schemes_and_shapes_are_refused() {
        assert_eq!(fault(&[(AUTHORIZATION, "Basic YTpi")]), AuthError::Scheme);
        assert_eq!(fault(&[(AUTHORIZATION, "Bearer")]), AuthError::Scheme);
        assert_eq!(fault(&[(AUTHORIZATION, "Bearer ")]), AuthError::Malformed);
        assert_eq!(fault(&[(AUTHORIZATION, "Bearer a b")]), AuthError::Malformed);
        assert_eq!(fault(&[(COOKIE, "__Host-menshen=short")]), AuthError::Malformed);
        let long = format!("Bearer {}", "a".repeat(TOKEN_LIMIT + 1));
        assert_eq!(fault(&[(AUTHORIZATION, &long)]), AuthError::TokenTooLong);
    }

    #[test]
    fn debug_shows_neither_token_nor_cookie() {
        let found = Credentials::Bearer(Secret::new("a.b.c".into()));
        assert_eq!(format!("{found:?}"), "Bearer((secret))");
    }
}
