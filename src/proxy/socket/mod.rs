//! The last stage of a route that is a WebSocket: nothing in it can be judged, so it passes unread, both ways, within the
//! terms of the policy and for no longer than the right to it.
//!
//! Only the permit of an opaque route that says so opens this way. Whatever else asks for another protocol is answered as
//! if it had not asked, and its connection ends with that answer.

mod ending;
mod frames;
mod handshake;
mod places;
mod tunnel;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts as RequestHead;
use http::{Request, Response};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

pub(super) use handshake::{HandshakeFault, NotAgreed};
pub(super) use places::{Full as SocketsFull, Places, SocketPlace};

use super::Gate;
use super::answer_headers::Standpoint;
use super::body::Answer;
use super::meter::Subject;
use super::outcome::{Disclosure, Outcome};
use super::rejection::{Rejection, Unjudged};
use super::release::{Granted, judge_status};
use super::respond;
use super::right::Right;
use super::standing::Shown;
use super::trail::{Trail, micros};
use super::unread::take_one;
use crate::audit::Data;
use crate::identity::Caller;
use crate::limits::Seat;
use crate::listen::Facts;
use crate::policy::{Opaque, Permit, Socket};
use crate::telemetry::Stage;
use crate::upstream::{Switch, UpstreamSocket};

use ending::End;
use handshake::{Agreed, Asked};
use tunnel::{Giving, Tunnel, Watched};

/// How long the connection may take to be handed over once the handshake was answered.
const HANDOVER: Duration = Duration::from_secs(10);

/// A handshake that was read, before anybody is asked for it.
pub(super) struct Handshake {
    asked: Asked,
    connection: OnUpgrade,
    place: SocketPlace,
}

impl Gate {
    /// Reads the handshake where the route is a WebSocket, and takes a place; `None` on every other route.
    pub(super) fn handshake(
        &self,
        permit: &Permit,
        parts: &RequestHead,
        (caller, shown): (&Caller, Option<&Shown>),
    ) -> Result<Option<Box<Handshake>>, Rejection> {
        let Some(terms) = permit.route().socket() else { return Ok(None) };
        let by_cookie = shown.is_none_or(Shown::is_cookie);
        let asked = handshake::read(parts, terms, by_cookie).map_err(Rejection::Handshake)?;
        let connection = parts.extensions.get::<OnUpgrade>().cloned();
        let connection = connection.ok_or(Rejection::Handshake(HandshakeFault::NotAsked))?;
        let person = self.identity.counted_as(&caller.account);
        let taken = self.sockets.take(permit.route().name(), &person, terms.caps());
        let place = taken.map_err(Rejection::Sockets)?;
        Ok(Some(Box::new(Handshake { asked, connection, place })))
    }

    /// Asks the backend, and opens the way where it agrees.
    pub(super) async fn open_socket(
        &self,
        (granted, handshake): (Granted<'_>, Box<Handshake>),
        (subject, seat): (Option<Subject>, Seat),
        mut onward: Request<Full<Bytes>>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let Granted { permit, question, shown, asking: _ } = granted;
        let handshake = *handshake;
        let permit = Arc::new(permit);
        let opaque = permit.opaque().ok_or(Rejection::NotFound)?;
        let terms = opaque.socket().ok_or(Rejection::NotFound)?;
        handshake.asked.ask(onward.headers_mut()).map_err(Rejection::Handshake)?;
        let (answer, retries) = self.upstreams.switch(&permit, onward).await;
        trail.retried(retries);
        trail.enters(Stage::GuardResponse);
        let (head, backend) = match answer.map_err(Rejection::Upstream)? {
            Switch::Done(head, backend) => (head, backend),
            Switch::Refused(status) => {
                let judged = judge_status(status);
                let means_nothing = || Rejection::Unjudged(Unjudged::Status(status));
                return Err(judged.err().unwrap_or_else(means_nothing));
            }
        };
        let agreed = handshake.asked.judge(&head.headers);
        let agreed = agreed.map_err(|fault| Rejection::Unjudged(Unjudged::Handshake(fault)))?;
        let passed = Standpoint::of(&permit, &question).pass(&head.headers);
        let right = Right::lasting(self, question, Arc::clone(&permit), shown).await?;
        right.check()?;
        let outcome = trail.outcome().ok_or(Rejection::LogUnavailable)?;
        let disclosure = outcome.disclosure();
        disclosure.with(|entry| {
            let result = entry.result.get_or_insert_default();
            (result.status, result.upstream_status) = (Some(101), Some(101));
            result.upstream_us = Some(micros(trail.started));
            passed.note(entry);
        });
        self.take_socket(opaque, subject, &seat, &disclosure).await?;
        let mut response = Response::new(Answer::whole(Bytes::new(), None, &facts.progress));
        response.headers_mut().extend(passed.headers);
        handshake.asked.tell(&agreed, &mut response);
        respond::limits(response.headers_mut(), &seat.quotas());
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let watched = Watched { right, ends: facts.ends.clone() };
        let opened = Opened { backend, seat, disclosure, outcome, place: handshake.place };
        self.pass_socket(handshake.connection, (terms, &agreed), opaque, opened, watched);
        Ok(response)
    }

    /// Counts it as one record, and records whom it is about, durably.
    async fn take_socket(
        &self,
        opaque: &Opaque,
        subject: Option<Subject>,
        seat: &Seat,
        disclosure: &Disclosure,
    ) -> Result<(), Rejection> {
        take_one(opaque, subject, (seat, disclosure), &self.keys)?;
        disclosure.with(|entry| {
            let entity = opaque.entity().into();
            entry.data = Some(Data { entity, records: Some(1), bytes: Some(0), ..Data::default() });
        });
        seat.is_used();
        let (counted, recorded) = tokio::join!(seat.persist(), disclosure.record_parts());
        counted.map_err(|error| {
            tracing::error!(%error, "a WebSocket could not be counted, so it is not opened");
            Rejection::StoreUnavailable
        })?;
        recorded.map_err(|error| {
            tracing::error!(%error, "a WebSocket could not be recorded, so it is not opened");
            Rejection::LogUnavailable
        })
    }

    /// Passes what comes, from a task of its own, once the connection is no connection of HTTP any more.
    fn pass_socket(
        &self,
        connection: OnUpgrade,
        (terms, agreed): (&Socket, &Agreed),
        opaque: &Opaque,
        opened: Opened,
        mut watched: Watched,
    ) {
        let (caps, is_packed) = (*terms.caps(), agreed.is_packed());
        let entity = opaque.entity().to_owned();
        let patience = self.configured().settings.unread_time;
        let telemetry = Arc::clone(&self.telemetry);
        self.tasks.spawn(async move {
            let Opened { backend, seat, disclosure, outcome, place } = opened;
            let handed = tokio::time::timeout(HANDOVER, connection).await;
            let Ok(Ok(caller)) = handed else {
                end(&disclosure, outcome, End::CallerLeft);
                return;
            };
            telemetry.socket_opened();
            let caller = TokioIo::new(caller);
            let giving = Giving { seat: &seat, disclosure: &disclosure, entity: &entity };
            let tunnel = Tunnel { caller, backend, caps, is_packed, patience, giving };
            let (why, farewell) = Box::pin(tunnel.run(&mut watched)).await;
            end(&disclosure, outcome, why);
            telemetry.socket_ended(why.word());
            if why.is_withdrawn() {
                telemetry.withdrawn();
            }
            tracing::debug!(why = why.word(), "a WebSocket ended");
            farewell.say((seat, place, watched)).await;
        });
    }
}

/// What an open WebSocket has.
struct Opened {
    backend: UpstreamSocket,
    seat: Seat,
    disclosure: Disclosure,
    outcome: Outcome,
    place: SocketPlace,
}

/// Writes how it ended.
fn end(disclosure: &Disclosure, outcome: Outcome, why: End) {
    disclosure.with(|entry| entry.result.get_or_insert_default().cause = why.word().into());
    outcome.ended(why.ending());
}
