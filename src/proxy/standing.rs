//! Whether whoever opened what stays open, a stream of events or a WebSocket, would still be let in: it may last for longer
//! than a token or session is good, or a factor is fresh. Of an answer that ends but takes long it is asked only whether that
//! by which it was begun was taken back.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::Gate;
use super::body::Cut;
use super::entrance::{place, rejection};
use super::park::Asking;
use super::policies::Policies;
use super::question::Question;
use super::rejection::Rejection;
use super::switched::without_rights;
use crate::clock::Clock;
use crate::command::Switches;
use crate::identity::{AuthError, Begun, Caller, Credentials, Identity, Place};
use crate::listen::Facts;
use crate::policy::Permit;

/// How often that is asked,
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// and how long the answer may take.
const LOOK_TIME: Duration = Duration::from_secs(1);
/// The same for an answer that ends: of one that is over sooner nothing is asked,
const LOOK_EVERY_LONG: Duration = Duration::from_secs(1);
/// and as long as its counts may take to be written, it is not cut off for a store that is slow.
const LOOK_TIME_LONG: Duration = Duration::from_secs(5);

/// What a request showed, and who it was found to be from.
pub(super) struct Shown {
    credentials: Credentials,
    place: Place,
    caller: Arc<Caller>,
}

impl Shown {
    /// Keeps it, where what is answered stays open.
    pub(super) fn keep(
        permit: &Permit,
        asking: &Asking<'_>,
        facts: &Facts,
    ) -> Result<Option<Box<Self>>, Rejection> {
        if !permit.route().stays_open() {
            return Ok(None);
        }
        let (credentials, place) = read(asking, facts)?;
        let caller = Arc::clone(asking.caller);
        Ok(Some(Box::new(Self { credentials, place, caller })))
    }

    /// Whether the caller is known by what a browser sends along by itself.
    pub(super) fn is_cookie(&self) -> bool {
        matches!(self.credentials, Credentials::Session(_))
    }
}

/// What a request shows, and where.
fn read(asking: &Asking<'_>, facts: &Facts) -> Result<(Credentials, Place), Rejection> {
    let place = place(asking.head, facts)?;
    let credentials = Credentials::from_headers(&asking.parts.headers, &place);
    Ok((credentials.map_err(Rejection::Credential)?, place))
}

/// The same question, asked again and again, on a task of its own: a look holds what other requests wait for, and has to go on
/// also while nobody asks for what came of it, as when a slow client takes the end of its stream.
pub(super) struct Standing(Option<AbortOnDropHandle<Cut>>);

impl Standing {
    /// Asks for the first time.
    ///
    /// # Errors
    /// [`Rejection`], where the caller is not any more who they were when the permit was given, or the answer is another.
    pub(super) async fn begin(
        gate: &Gate,
        shown: Shown,
        question: Arc<Question>,
        permit: Arc<Permit>,
    ) -> Result<Self, Rejection> {
        let asked = Arc::new(Asked {
            identity: Arc::clone(&gate.identity),
            switches: Arc::clone(&gate.switches),
            policies: Arc::clone(&gate.policies),
            clock: gate.clock.clone(),
            shown,
            question,
            permit,
        });
        asked.again().await?;
        Ok(Self::for_as_long_as(&gate.tasks, LOOK_EVERY, move || {
            let asked = Arc::clone(&asked);
            async move { asked.again().await.map_err(|_refused| Cut::Withdrawn) }
        }))
    }

    /// Of an answer that ends: whether that by which it was begun a moment ago was taken back.
    pub(super) fn of_long(
        gate: &Gate,
        asking: &Asking<'_>,
        facts: &Facts,
    ) -> Result<Self, Rejection> {
        let (credentials, _) = read(asking, facts)?;
        let begun = Arc::new(gate.identity.begun(&credentials, asking.caller));
        let identity = Arc::clone(&gate.identity);
        Ok(Self::for_as_long_as(&gate.tasks, LOOK_EVERY_LONG, move || {
            let (identity, begun) = (Arc::clone(&identity), Arc::clone(&begun));
            async move { still_begun(&identity, &begun).await }
        }))
    }

    fn for_as_long_as<F>(
        tasks: &TaskTracker,
        every: Duration,
        look: impl Fn() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Cut>> + Send,
    {
        let asking = async move {
            loop {
                tokio::time::sleep(every).await;
                // Boxed, so that what is open does not carry all the time what a look takes.
                if let Err(cut) = Box::pin(look()).await {
                    return cut;
                }
            }
        };
        Self(Some(AbortOnDropHandle::new(tasks.spawn(asking))))
    }

    /// Ends when it stands no more, and says how it is cut off. Cancel safe.
    pub(super) async fn lost(&mut self) -> Cut {
        let cut = match &mut self.0 {
            // After a panic nothing is known, so it does not stand either.
            Some(asking) => asking.await.unwrap_or(Cut::Withdrawn),
            None => Cut::Withdrawn,
        };
        self.0 = None;
        cut
    }
}

/// Whether that by which an answer was begun still stands.
async fn still_begun(identity: &Identity, begun: &Begun) -> Result<(), Cut> {
    match tokio::time::timeout(LOOK_TIME_LONG, identity.is_withdrawn(begun)).await {
        Ok(Ok(false)) => Ok(()),
        Ok(Ok(true)) => Err(Cut::Revoked),
        unknown => {
            tracing::warn!(?unknown, "whether a token or session was revoked cannot be known");
            Err(Cut::Withdrawn)
        }
    }
}

/// What is asked.
struct Asked {
    identity: Arc<Identity>,
    switches: Arc<Switches>,
    policies: Arc<Policies>,
    clock: Clock,
    shown: Shown,
    question: Arc<Question>,
    permit: Arc<Permit>,
}

impl Asked {
    /// The credential must be good for somebody with the same rights, and the question answered in the same way, as of now.
    async fn again(&self) -> Result<(), Rejection> {
        let Shown { credentials, place, caller } = &self.shown;
        let now = in_time(self.identity.look_again(credentials, place)).await?;
        let (now, _) = without_rights(&self.switches, &self.identity, now);
        if !is_alike(&now, caller) {
            return Err(Rejection::Forbidden);
        }
        let elsewhere = self.identity.roles_elsewhere(&now.account);
        let answer = self.question.decide_at(&self.policies.live(), elsewhere, self.clock.unix_s());
        let permit = answer.ok_or(Rejection::NotFound)?.map_err(rejection)?;
        if permit.releases_as(&self.permit) { Ok(()) } else { Err(Rejection::Forbidden) }
    }
}

/// Nothing goes on because nothing can be known.
async fn in_time<T>(look: impl Future<Output = Result<T, AuthError>>) -> Result<T, Rejection> {
    let looked = tokio::time::timeout(LOOK_TIME, look).await;
    looked.map_err(|_late| Rejection::StoreUnavailable)?.map_err(Rejection::Credential)
}

/// Whether what the policy asks of callers is the same of both.
fn is_alike(one: &Caller, other: &Caller) -> bool {
    one.account == other.account
        && one.kind == other.kind
        && one.roles == other.roles
        && one.attributes == other.attributes
        && one.device == other.device
        && one.most_assurance == other.most_assurance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_goes_on_while_nobody_waits_and_ends_with_what_it_was_for() {
        let (tasks, shared) = (TaskTracker::new(), Arc::new(tokio::sync::Mutex::new(0)));
        let looks = Arc::clone(&shared);
        let mut standing = Standing::for_as_long_as(&tasks, LOOK_EVERY, move || {
            let looks = Arc::clone(&looks);
            async move {
                let mut looks = looks.lock().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                *looks += 1;
                if *looks < 5 { Ok(()) } else { Err(Cut::Revoked) }
            }
        });
        // In the middle of a look it is left alone, as by a stream whose client takes its time.
        let waited = tokio::time::timeout(Duration::from_millis(550), standing.lost()).await;
        assert!(waited.is_err());
        let held = tokio::time::timeout(Duration::from_secs(1), shared.lock()).await;
        assert_eq!(*held.unwrap(), 1, "what a look holds is free again");
        assert_eq!(standing.lost().await, Cut::Revoked);
        standing.lost().await;
        assert_eq!(*shared.lock().await, 5);
        let looks = Arc::clone(&shared);
        let gone = Standing::for_as_long_as(&tasks, LOOK_EVERY, move || {
            let looks = Arc::clone(&looks);
            async move {
                *looks.lock().await += 1;
                Ok(())
            }
        });
        drop(gone);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(*shared.lock().await, 5, "nobody looks for what is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_ends_what_it_is_asked_for() {
        let began = tokio::time::Instant::now();
        let looked = in_time(std::future::pending::<Result<(), AuthError>>()).await;
        assert!(matches!(looked, Err(Rejection::StoreUnavailable)));
        assert_eq!(began.elapsed(), LOOK_TIME);
        let ended = in_time(std::future::ready(Err::<(), _>(AuthError::SessionEnded))).await;
        assert!(matches!(ended, Err(Rejection::Credential(AuthError::SessionEnded))));
        assert!(in_time(std::future::ready(Ok(()))).await.is_ok());
    }
}
