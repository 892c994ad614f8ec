//! The whole way of a request, a stage a line. Each stage takes what the one before gave: without a
//! route nobody is authenticated for it, without a permit nothing is admitted, and only a permit
//! opens the backend.

use std::sync::Arc;

use http::Response;
use http::request::Parts as RequestHead;

use super::body::Answer;
use super::head::Head;
use super::heard::Heard;
use super::park::{Asking, is_confirmation};
use super::question::Question;
use super::rejection::Rejection;
use super::release::Granted;
use super::sent::Sent;
use super::standing::Shown;
use super::trail::Trail;
use super::{Gate, sign_in};
use crate::listen::Facts;
use crate::policy::Permit;
use crate::telemetry::Stage;

impl Gate {
    /// Takes a request from its head to its answer.
    pub(super) async fn pass(
        &self,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let head = self.read_head(parts, body, facts, trail).await?;
        if is_confirmation(&head) {
            // What was kept goes the whole way anew, from its head on.
            let mut kept = self.take_kept(&head, parts, body, facts, trail).await?;
            let head = self.read_head(&kept.head, &mut kept.body, facts, trail).await?;
            return self.go_through(head, &kept.head, &mut kept.body, facts, trail).await;
        }
        if head.path.as_str().starts_with(sign_in::PREFIX) {
            // Boxed, since other requests would carry its size along.
            return Box::pin(self.sign_in(&head, parts, body, facts, trail)).await;
        }
        self.go_through(head, parts, body, facts, trail).await
    }

    /// From the route on.
    async fn go_through(
        &self,
        head: Head,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let entrance = self.route(&head, facts, trail)?;
        let caller = self.authenticate(&head, parts, facts, trail).await?;
        trail.kept_by(&entrance.program, &caller);
        self.refuse_old_password(&head, parts, facts, &caller).await?;
        self.note_order(&caller, &entrance.found.params, trail);
        let elsewhere = self.identity.roles_elsewhere(&caller.account);
        let now = trail.time_unix_s();
        let question = Question::new(entrance, &head, &caller, elsewhere, facts, now);
        let heard = Arc::new(Heard::new(&self.ties));
        trail.hears(&heard);
        let mut question = question.tied_by(heard);
        self.refuse_switched(&question, trail).await?;
        self.refuse_unfit(&question, trail)?;
        self.take_case_ticket(&parts.headers, &caller).await?;
        let named = head.grant.as_deref();
        let now = (question.program().as_ref(), trail.time_unix_s());
        let granted = self.granted(&caller, named, now);
        question.bring(granted, head.query.as_deref());
        let question = Arc::new(question);
        let asking = Asking { head: &head, parts, caller: &caller, question: &question };
        let held = self.check_curbs(&caller, trail.time_unix_s());
        let passed = match held.and_then(|()| self.decide(&question, trail)) {
            Ok(permit) => self.go_on(permit, &asking, body, facts, trail).await,
            Err(denied) => Err(denied),
        };
        match passed {
            Ok(answer) => Ok(answer),
            // Also where the record that was read asks for a factor.
            Err(denied) => Err(self.lead_back(denied, asking, body, facts, trail).await),
        }
    }

    /// From the permit on.
    async fn go_on(
        &self,
        permit: Permit,
        asking: &Asking<'_>,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let Asking { head, parts, caller, question } = *asking;
        self.check_contract(&permit, question, trail)?;
        let query = self.guard_query(&permit, head, trail)?;
        let shown = Shown::keep(&permit, asking, facts)?;
        let handshake = self.handshake(&permit, parts, (caller, shown.as_deref()))?;
        self.check_reviewed(caller, &permit, trail.time_unix_s())?;
        let seat = self.admit(caller, &permit).await?;
        self.take_use(&permit, &seat).await?;
        self.record(&permit, trail)?;
        self.note_own(question, trail);
        if !permit.action().only_reads() {
            trail.durable().await?;
        }
        let (permit, subject) = self.read_first(permit, question, trail).await?;
        let mut onward = self.guard_request(&permit, head, &query, parts, body, trail).await?;
        self.vouch(&permit, question, trail, "", onward.headers_mut())?;
        trail.asks(Stage::Forward, onward.headers_mut());
        self.use_now(&permit, &seat).await?;
        if permit.route().answers_constantly() {
            return self.answer_constantly(permit, seat, onward, facts, trail).await;
        }
        if let Some(handshake) = handshake {
            let granted = Granted { permit, question: Arc::clone(question), shown, asking };
            let begun = (granted, handshake);
            // Boxed, since other requests would carry its size along.
            return Box::pin(self.open_socket(begun, (subject, seat), onward, facts, trail)).await;
        }
        let asked = self.upstreams.forward(&permit, onward).await;
        trail.enters(Stage::Recorded);
        trail.durable().await?;
        trail.retried(asked.retries);
        let answer = asked.answer.map_err(Rejection::Upstream)?;
        let granted = Granted { permit, question: Arc::clone(question), shown, asking };
        match granted.permit.opaque() {
            Some(_) => self.pass_unread(granted, subject, seat, answer, facts, trail).await,
            None => self.guard_response(granted, seat, answer, facts, trail).await,
        }
    }
}
