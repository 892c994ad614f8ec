//! What was done to accounts comes into the log before anybody can use it: a change ends the account's
//! sessions, and nobody signs in while an act is not recorded.

use super::Gate;
use super::rejection::Rejection;
use crate::audit::{Act, Actor, ActorKind, Event, Moment, Text, Why};
use crate::identity::AccountAct;

impl Gate {
    /// Records every act that the log does not have, oldest first.
    ///
    /// A crash between the two writes records an act twice, never not at all.
    ///
    /// # Errors
    /// [`Rejection::LogUnavailable`] or [`Rejection::StoreUnavailable`].
    pub(super) async fn record_acts(&self) -> Result<(), Rejection> {
        let _only_one = self.ledger.lock().await;
        loop {
            let pending = self.identity.pending_acts().await.map_err(unreadable)?;
            if pending.is_empty() {
                return Ok(());
            }
            for act in &pending {
                self.record_act(act).await?;
            }
        }
    }

    async fn record_act(&self, act: &AccountAct) -> Result<(), Rejection> {
        let is_step = act.name.starts_with("grant_") || act.name.starts_with("glass_broken");
        let grant = act.object.strip_prefix("grant ").filter(|_| is_step);
        let event = if grant.is_some() { Event::Grant } else { Event::Change };
        let entry = self.log.entry(event);
        let mut entry = entry.map_err(|_no_randomness| Rejection::LogUnavailable)?;
        entry.actor = Some(Actor {
            account: act.done_by.as_str().into(),
            person: self.identity.person(&act.done_by).as_deref().unwrap_or_default().into(),
            // Whoever changes their own account does it as nobody else's.
            kind: (act.done_by != act.account).then_some(ActorKind::Admin),
            ..Actor::default()
        });
        entry.act = Some(Act {
            name: act.name.as_str().into(),
            object: object(act).as_str().into(),
            detail: act.detail.as_str().into(),
            succeeded: Some(true),
            at: Some(Moment(act.at_ms)),
            approved_by: act.approved_by.as_str().into(),
            number: u64::try_from(act.seq).ok(),
            ..Act::default()
        });
        if !act.reason.is_empty() {
            entry.why = Some(Why { reason: Text::reason(&act.reason), ..Why::default() });
        }
        if let Some(grant) = grant {
            entry.why.get_or_insert_default().grant = grant.into();
        }
        self.log.append(entry).await.map_err(|error| {
            tracing::error!(%error, "a change to an account could not be recorded");
            Rejection::LogUnavailable
        })?;
        self.identity.act_recorded(act).await.map_err(unreadable)
    }
}

fn object(act: &AccountAct) -> String {
    if !act.object.is_empty() {
        return act.object.clone();
    }
    let of = if act.thing.is_empty() { "" } else { " of " };
    format!("{}{of}account {}", act.thing, act.account)
}

fn unreadable(error: crate::identity::AccountError) -> Rejection {
    tracing::error!(%error, "changes to accounts could not be handed to the log");
    Rejection::StoreUnavailable
}
