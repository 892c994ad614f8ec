//! Routes whose answer is constant: what the backend says, and how long it takes, tells the caller
//! nothing. A visitor who leaves a message for a guest must not learn whether there is such a guest.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;

use super::Gate;
use super::body::{Answer, Cut};
use super::outcome::Ending;
use super::passage::Halt;
use super::rejection::Rejection;
use super::trail::Trail;
use crate::limits::Seat;
use crate::listen::Facts;
use crate::policy::Permit;

impl Gate {
    /// Answers at once and asks the backend beside it. The outcome says what the backend said.
    pub(super) async fn answer_constantly(
        &self,
        permit: Permit,
        seat: Seat,
        onward: Request<Full<Bytes>>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        trail.durable().await?;
        seat.persist().await.map_err(Halt::Uncounted)?;
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let upstreams = Arc::clone(&self.upstreams);
        self.tasks.spawn(async move {
            let disclosure = outcome.disclosure();
            let ending = match upstreams.forward(&permit, onward).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    disclosure.with(|entry| {
                        let result = entry.result.get_or_insert_default();
                        result.upstream_status = Some(parts.status.as_u16());
                    });
                    body.discard().await;
                    Ending::Complete
                }
                Err(error) => {
                    let route = permit.route().name();
                    tracing::warn!(%error, route, "a request that was answered constantly failed");
                    Ending::Cut(Cut::Upstream)
                }
            };
            // The place among the requests of one person is taken for as long as the backend works.
            drop(seat);
            disclosure.with(|entry| {
                entry.result.get_or_insert_default().status = Some(STATUS.as_u16());
            });
            outcome.ended(ending);
        });
        let mut response = Response::new(Answer::whole(Bytes::new(), None, &facts.progress));
        *response.status_mut() = STATUS;
        Ok(response)
    }
}

/// The status of every answer.
pub(super) const STATUS: StatusCode = StatusCode::ACCEPTED;
