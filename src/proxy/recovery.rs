//! Recovery codes that people make themselves: how many are left, and ten new ones, shown once.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::pages::{self, Page};
use super::rejection::Rejection;
use super::respond::plain;
use super::session::Own;
use super::sign_in::{JSON, page};

pub(super) const PATH: &str = "/.menshen/recovery";

impl Gate {
    pub(super) async fn show_recovery(
        &self,
        own: &mut Own<'_>,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "recovery_shown").await?;
        let left = self.identity.recovery_codes_left(&cookie).await;
        let left = left.map_err(Rejection::SignInFailed)?;
        let factors = self.identity.factors(&cookie).await.map_err(Rejection::Credential)?;
        step.succeeded(&account).await?;
        if !own.head.wants_page {
            let said = Bytes::from(format!("{}\n", json!({ "left": left })));
            return Ok(plain(StatusCode::OK, JSON, said, own.facts));
        }
        let html = pages::recovery(&own.page(), left, factors.unproved, factors.ways);
        Ok(page(html, StatusCode::OK, own.facts))
    }

    pub(super) async fn make_recovery(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "recovery_make").await?;
        let made = self.identity.make_own_recovery_codes(&cookie).await;
        if let Err(error) = &made {
            step.failed(&account, error).await?;
        } else {
            step.succeeded(&account).await?;
            self.record_acts().await?;
        }
        match made {
            Ok(codes) if form.from_page => {
                Ok(page(pages::recovery_codes(&own.page(), &codes), StatusCode::OK, own.facts))
            }
            Ok(codes) => {
                let said = json!({ "codes": codes.shown().collect::<Vec<_>>() });
                Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), own.facts))
            }
            Err(error) if form.from_page => {
                let left = self.identity.recovery_codes_left(&cookie).await;
                let left = left.map_err(Rejection::SignInFailed)?;
                let factors = self.identity.factors(&cookie).await;
                let factors = factors.map_err(Rejection::Credential)?;
                let blank = own.page();
                let problem = blank.words.problem(&error);
                let shown = Page { problem: Some(&problem), ..blank };
                let html = pages::recovery(&shown, left, factors.unproved, factors.ways);
                Ok(page(html, StatusCode::FORBIDDEN, own.facts))
            }
            Err(error) => Err(Rejection::SignInFailed(error)),
        }
    }
}
