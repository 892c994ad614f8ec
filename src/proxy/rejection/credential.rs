//! What is told of who asks: credentials, sign-ins, and what they must show or say first.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};

use super::{Told, UNSAID};
use crate::identity::{AuthError, SignInError, step_up as challenge};
use crate::proxy::new_password;
use crate::proxy::pages::Html;

pub(super) fn sign_in(next: Option<&str>) -> Told {
    const CAUSE: &str = "no_credential";
    const TITLE: &str = "Sign in first";
    let page =
        next.and_then(|next| HeaderValue::try_from(format!("/.menshen/login?next={next}")).ok());
    match page {
        Some(page) => Told::new(StatusCode::SEE_OTHER, CAUSE, TITLE).header(LOCATION, page),
        None => Told::new(StatusCode::UNAUTHORIZED, CAUSE, TITLE)
            .header(WWW_AUTHENTICATE, challenge::missing()),
    }
}

pub(super) fn password_old(is_browser: bool) -> Told {
    const CAUSE: &str = "password_old";
    const TITLE: &str = "The password must be changed first";
    if is_browser {
        let page = HeaderValue::from_static(new_password::PATH);
        return Told::new(StatusCode::SEE_OTHER, CAUSE, TITLE).header(LOCATION, page);
    }
    Told::new(StatusCode::FORBIDDEN, CAUSE, TITLE)
        .detail("post `old` and `new` to /.menshen/password, then repeat this request")
}

pub(super) fn credential(error: &AuthError) -> Told {
    const CAUSE: &str = "credential";
    const TITLE: &str = "The credential is not accepted";
    let refused = Told::new(StatusCode::UNAUTHORIZED, CAUSE, TITLE)
        .header(WWW_AUTHENTICATE, challenge::invalid());
    match error {
        AuthError::State(error) => {
            Told::new(StatusCode::SERVICE_UNAVAILABLE, CAUSE, TITLE).note(error)
        }
        AuthError::KeysUnavailable => Told::new(StatusCode::SERVICE_UNAVAILABLE, CAUSE, TITLE)
            .detail(error)
            .header(RETRY_AFTER, 30)
            .note(error),
        // A new proof may be believed: by a store that is back, or was long enough.
        AuthError::ProofsUnavailable => Told::new(StatusCode::SERVICE_UNAVAILABLE, CAUSE, TITLE)
            .detail(error)
            .header(RETRY_AFTER, 5)
            .note(error),
        AuthError::AtIssuer(_) => at_issuer().detail(error),
        AuthError::TwoCredentials => refused.detail(error),
        AuthError::Proof(_) => refused
            .detail("show a proof for this request, made just now and once")
            .header(WWW_AUTHENTICATE, challenge::proof("invalid_dpop_proof")),
        AuthError::UseNonce(nonce) => {
            let refused =
                refused.detail(error).header(WWW_AUTHENTICATE, challenge::proof("use_dpop_nonce"));
            match HeaderValue::try_from(nonce.as_str()) {
                Ok(nonce) => refused.header(HeaderName::from_static("dpop-nonce"), nonce),
                Err(_never_for_base64) => refused,
            }
        }
        // Which part of a token is wrong helps whoever forges one.
        AuthError::Missing
        | AuthError::Scheme
        | AuthError::Malformed
        | AuthError::TokenTooLong
        | AuthError::Token(_)
        | AuthError::Certificate(_)
        | AuthError::ApiKey
        | AuthError::SessionEnded => refused.detail("show a valid token, or sign in again"),
    }
}

pub(super) fn at_issuer() -> Told {
    let title = "Your factors are kept where you sign in";
    Told::new(StatusCode::FORBIDDEN, "at_issuer", title)
}

pub(super) fn sign_in_failed(error: &SignInError) -> Told {
    let told = |status| Told::new(status, "sign_in", "The sign-in was not accepted");
    match error {
        SignInError::Refused
        | SignInError::SessionEnded
        | SignInError::NoSecondFactor
        | SignInError::EnrolmentEnded
        | SignInError::NoPasskey
        | SignInError::Invitation
        | SignInError::Cloned { .. }
        | SignInError::Passkey(_)
        | SignInError::Issuer(_) => told(StatusCode::UNAUTHORIZED).detail(error),
        SignInError::AtIssuer(_) => at_issuer().detail(error),
        SignInError::Unproved { .. } => told(StatusCode::FORBIDDEN).detail(error),
        SignInError::Password(_) => told(StatusCode::UNPROCESSABLE_ENTITY).detail(error),
        SignInError::TryLater { retry_after_s } => {
            told(StatusCode::TOO_MANY_REQUESTS).detail(error).header(RETRY_AFTER, *retry_after_s)
        }
        SignInError::Busy => told(StatusCode::SERVICE_UNAVAILABLE).detail(error),
        SignInError::Unchecked => told(StatusCode::SERVICE_UNAVAILABLE),
        SignInError::State(error) => told(StatusCode::SERVICE_UNAVAILABLE).note(error),
    }
}

/// Where a browser gives what its request waits for.
pub(super) fn led(to: &str, cause: &'static str, title: &'static str) -> Told {
    match HeaderValue::try_from(to) {
        Ok(to) => Told::new(StatusCode::SEE_OTHER, cause, title).header(LOCATION, to),
        Err(_never_for_our_paths) => Told::new(StatusCode::FORBIDDEN, cause, title),
    }
}

pub(super) fn purpose(accepted: &[String]) -> Told {
    let detail = if accepted.is_empty() {
        "send no `Menshen-Purpose`: the policy knows no purposes".to_owned()
    } else {
        format!("send `Menshen-Purpose` with one of: {}", accepted.join(", "))
    };
    Told::new(StatusCode::FORBIDDEN, "purpose", UNSAID).detail(detail)
}

pub(super) fn nothing_kept(html: &Html) -> Told {
    Told::new(StatusCode::NOT_FOUND, "nothing_kept", "No such request is kept").page(html)
}
