//! Whether whoever opened a WebSocket would still be let in: it may be open for longer than a token or session is good, or a
//! factor is fresh.

use std::sync::Arc;
use std::time::Duration;

use super::super::Gate;
use super::super::policies::Policies;
use super::super::question::Question;
use crate::clock::Clock;
use crate::identity::{AuthError, Caller, Credentials, Identity, Place};
use crate::policy::Permit;

/// How often that is asked: what ends does so within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was shown, and what it was good for.
pub(super) struct Standing {
    identity: Arc<Identity>,
    policies: Arc<Policies>,
    clock: Clock,
    shown: Credentials,
    place: Place,
    caller: Arc<Caller>,
    question: Arc<Question>,
    permit: Arc<Permit>,
}

impl Standing {
    /// What stands now.
    pub(super) async fn begin(
        gate: &Gate,
        (shown, place): (Credentials, Place),
        (question, permit): (Arc<Question>, Arc<Permit>),
    ) -> Result<Self, AuthError> {
        let caller = gate.identity.look_again(&shown, &place).await?;
        Ok(Self {
            identity: Arc::clone(&gate.identity),
            policies: Arc::clone(&gate.policies),
            clock: gate.clock.clone(),
            shown,
            place,
            caller,
            question,
            permit,
        })
    }

    /// Ends when it stands no more: the credential is good no longer or for somebody with other rights, or the same
    /// question is answered otherwise at this time. Cancel safe.
    pub(super) async fn lost(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let again = self.identity.look_again(&self.shown, &self.place).await;
            let is_same = again.is_ok_and(|again| is_alike(&again, &self.caller));
            if !is_same || !self.is_permitted() {
                return;
            }
        }
    }

    fn is_permitted(&self) -> bool {
        let again = self.question.decide_at(&self.policies.live(), self.clock.unix_s());
        again.is_some_and(|answer| answer.is_ok_and(|again| again.releases_as(&self.permit)))
    }
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
