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
use super::trail::{Trail, note_retries};
use crate::limits::Seat;
use crate::listen::Facts;
use crate::policy::Permit;
use crate::upstream::UpstreamError;

/// Requests that were answered and are still with a backend, of all callers.
pub(super) const BESIDE_LIMIT: usize = 1024;

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
        let place = Arc::clone(&self.beside).try_acquire_owned();
        let place = place.map_err(|_full| Rejection::Upstream(UpstreamError::QueueFull))?;
        trail.durable().await?;
        seat.persist().await.map_err(Halt::Uncounted)?;
        // Held for longer, the place among one person's requests would tell how long the backend takes.
        drop(seat);
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let upstreams = Arc::clone(&self.upstreams);
        self.tasks.spawn(async move {
            let disclosure = outcome.disclosure();
            let asked = upstreams.forward(&permit, onward).await;
            note_retries(&disclosure, asked.retries);
            let ending = match asked.answer {
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
            drop(place);
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
