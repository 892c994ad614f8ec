//! A purpose that a browser's user chooses, since a browser sends no `Menshen-Purpose`: the request is kept
//! meanwhile and sent for the purpose that its user says, decided anew.

use super::Gate;
use super::entrance::place;
use super::kept::Asked;
use super::park::{Asking, NotKept, PATH, is_navigation};
use super::rejection::Rejection;
use super::sent::Sent;
use super::trail::Trail;
use crate::identity::Credentials;
use crate::listen::Facts;

impl Gate {
    /// What is told where a purpose is missing: a browser with a session is led to choose one of these, and says it
    /// from then on; programs say it in the header.
    pub(super) async fn ask_purpose(
        &self,
        accepted: Vec<String>,
        asking: &Asking<'_>,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Rejection {
        let can_choose = asking.head.purpose.is_none()
            && !accepted.is_empty()
            && is_navigation(asking.head, asking.parts);
        let here = match place(asking.head, facts) {
            Ok(here) => here,
            Err(refused) => return refused,
        };
        let Ok(Credentials::Session(cookie)) =
            Credentials::from_headers(&asking.parts.headers, &here)
        else {
            return Rejection::Purpose(accepted);
        };
        if !can_choose {
            return Rejection::Purpose(accepted);
        }
        match self.keep(Asked::purpose(&accepted), asking, &cookie, body, trail).await {
            Ok(name) => Rejection::PurposeKept(format!("{PATH}?r={name}")),
            Err(NotKept::Refused(refused)) => refused,
            Err(NotKept::Because(_)) => Rejection::Purpose(accepted),
        }
    }
}
