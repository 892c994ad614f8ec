//! Sessions and devices: where an account is signed in and by which passkeys it may be, and the end of either.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::json;

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::pages::{self, Page};
use super::rejection::Rejection;
use super::respond::plain;
use super::session::{Own, signed_out};
use super::sign_in::{JSON, page};
use crate::identity::{Cookie, Overview, SignInError};

pub(super) const PATH: &str = "/.menshen/devices";

/// What is to end.
enum Change<'a> {
    Session(i64),
    Everywhere,
    Passkey(&'a str),
}

impl Change<'_> {
    fn of(form: &Form) -> Option<Change<'_>> {
        match (form.field("end"), form.field("everywhere"), form.field("remove")) {
            (number, "", "") if !number.is_empty() => number.parse().ok().map(Change::Session),
            ("", everywhere, "") if !everywhere.is_empty() => Some(Change::Everywhere),
            ("", "", id) if !id.is_empty() => Some(Change::Passkey(id)),
            _ => None,
        }
    }

    /// The word for the log.
    fn name(&self) -> &'static str {
        match self {
            Self::Session(_) => "session_end",
            Self::Everywhere => "sign_out_everywhere",
            Self::Passkey(_) => "passkey_remove",
        }
    }
}

impl Gate {
    pub(super) async fn show_devices(
        &self,
        own: &mut Own<'_>,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "devices_shown").await?;
        let overview = self.identity.overview(&cookie).await.map_err(Rejection::Credential)?;
        step.succeeded(&account).await?;
        if own.head.wants_page {
            let blank = own.page();
            let done = own.is_done("session").then_some(blank.words.ended);
            let html = pages::devices(&Page { done, ..blank }, &overview);
            return Ok(page(html, StatusCode::OK, own.facts));
        }
        Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{}\n", listed(&overview))), own.facts))
    }

    pub(super) async fn change_devices(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let change = Change::of(form).ok_or(Rejection::Form)?;
        let (cookie, account, mut step) = self.in_session(own, change.name()).await?;
        let words = own.page().words;
        let done = match change {
            Change::Session(number) => self
                .end_one(&cookie, number)
                .await
                .map(|ends_this| if ends_this { Some(words.ended) } else { None }),
            Change::Everywhere => self.identity.end_sessions(&cookie).await.map(|count| {
                step.counted(count);
                Some(words.ended_all)
            }),
            Change::Passkey(id) => {
                let removed = self.identity.remove_own_passkey(&cookie, id).await;
                removed.map(|()| Some(words.removed))
            }
        };
        match done {
            Ok(ended_here) => {
                step.succeeded(&account).await?;
                self.record_acts().await?;
                Ok(match ended_here {
                    Some(done) => signed_out(own, form, Some(done)),
                    None => back(own, form),
                })
            }
            Err(error) => {
                step.failed(&account, &error).await?;
                Err(Rejection::SignInFailed(error))
            }
        }
    }

    /// Ends one session and says whether it is the one that asked.
    async fn end_one(&self, cookie: &Cookie, number: i64) -> Result<bool, SignInError> {
        let overview = self.identity.overview(cookie).await?;
        let this = overview.sessions.iter().find(|session| session.is_this);
        let ends_this = this.is_some_and(|session| session.number == number);
        // One that has ended by itself meanwhile is as it should be.
        self.identity.end_session(cookie, number).await.map(|_was_there| ends_this)
    }
}

fn back(own: &Own<'_>, form: &Form) -> Response<Answer> {
    if !form.from_page {
        return plain(StatusCode::NO_CONTENT, JSON, Bytes::new(), own.facts);
    }
    let mut response = plain(StatusCode::SEE_OTHER, JSON, Bytes::new(), own.facts);
    let to = HeaderValue::from_static("/.menshen/devices?done=session");
    response.headers_mut().insert(LOCATION, to);
    response
}

fn listed(overview: &Overview) -> serde_json::Value {
    let sessions = overview.sessions.iter().map(|session| {
        json!({
            "session": session.number.to_string(), "this": session.is_this, "host": session.host,
            "assurance": session.assurance, "began": session.began.at_s, "from": session.began.from,
            "used": session.last_seen_s,
        })
    });
    let passkeys = overview.passkeys.iter().map(|passkey| {
        json!({
            "passkey": passkey.id, "name": passkey.name, "host": passkey.host,
            "assurance": if passkey.verifies { 3 } else { 2 }, "made": passkey.created_s,
            "used": passkey.used_s,
        })
    });
    json!({
        "account": overview.account,
        "sessions": sessions.collect::<Vec<_>>(),
        "passkeys": passkeys.collect::<Vec<_>>(),
    })
}
