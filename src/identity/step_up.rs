//! The `WWW-Authenticate` values that tell a client what to show: a token, a better one, or a
//! stronger and fresher factor (RFC 6750, RFC 9470).

use http::HeaderValue;

use super::DPOP_ALGORITHMS;

/// Asks for any credential: the request showed none.
#[must_use]
pub fn missing() -> HeaderValue {
    HeaderValue::from_static("Bearer")
}

/// Asks for another credential: the one shown is not, or no longer, good.
#[must_use]
pub fn invalid() -> HeaderValue {
    HeaderValue::from_static(r#"Bearer error="invalid_token""#)
}

/// Asks for another proof of possession: `error` is a word of RFC 9449.
#[must_use]
pub fn proof(error: &'static str) -> HeaderValue {
    let value = format!(r#"DPoP error="{error}", algs="{DPOP_ALGORITHMS}""#);
    HeaderValue::try_from(value).unwrap_or_else(|_never_for_our_words| invalid())
}

/// Asks for a stronger or fresher factor.
///
/// `acr_values` are those that would do, the assurance level for local accounts or the words of an
/// issuer; `max_age_s` is how long ago the factor may have been presented at most. What cannot stand
/// between quotes is left out.
#[must_use]
pub fn insufficient(acr_values: &[&str], max_age_s: Option<u64>, why: &str) -> HeaderValue {
    let acr_values: Vec<_> = acr_values.iter().map(|acr| quotable(acr, false)).collect();
    let mut value = format!(
        r#"Bearer error="insufficient_user_authentication", error_description="{}", acr_values="{}""#,
        quotable(why, true),
        acr_values.join(" ")
    );
    if let Some(max_age_s) = max_age_s {
        value.push_str(&format!(", max_age={max_age_s}"));
    }
    HeaderValue::try_from(value).unwrap_or_else(|_never_for_quotable_text| invalid())
}

/// Printable ASCII without quote and backslash (RFC 6750 section 3).
fn quotable(text: &str, with_spaces: bool) -> String {
    text.chars()
        .filter(|c| (c.is_ascii_graphic() || (with_spaces && *c == ' ')) && !"\"\\".contains(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_reads_as_rfc_9470_wants_it() {
        let value = insufficient(&["2"], Some(900), "a one-time code is needed");
        assert_eq!(
            value.to_str().unwrap(),
            r#"Bearer error="insufficient_user_authentication", error_description="a one-time code is needed", acr_values="2", max_age=900"#
        );
        assert!(!insufficient(&["2"], None, "x").to_str().unwrap().contains("max_age"));
    }

    #[test]
    fn no_text_can_break_out_of_its_quotes() {
        let value = insufficient(&["a\"b", "c d"], None, "say \"friend\"\r\nX: \\ 门");
        let value = value.to_str().unwrap();
        assert!(value.contains(r#"error_description="say friendX:  ""#), "{value}");
        assert!(value.ends_with(r#"acr_values="ab cd""#), "{value}");
    }
}
