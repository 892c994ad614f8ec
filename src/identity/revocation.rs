//! Tokens of issuers that count no more before they expire: all of an account up to a moment, or one by its id.
//!
//! The gate keeps the list in memory and reads what is new about once a second, since `menshen account`
//! writes beside it. While it cannot be read no token is good.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::Identity;
use super::account::AccountError;
use super::claims::{TokenFault, is_name};
use super::due::Due;
use super::judged::Judged;
use crate::secret::Tagger;
use crate::state::{RevocationRow, RevocationTag, StateError, Store};

/// Seconds between two looks for new ones.
const INTERVAL_S: i64 = 1;
/// For how long a revocation is kept: 400 days, longer than any token should live.
const KEPT_S: i64 = 400 * 24 * 3600;

/// What is revoked, as known here.
#[derive(Debug)]
pub(super) struct Revocations {
    store: Store,
    tagger: Tagger,
    due: Due,
    newest: AtomicI64,
    known: RwLock<HashMap<RevocationTag, RevocationRow>>,
}

impl Revocations {
    pub(super) fn new(store: Store, tagger: Tagger) -> Self {
        let (newest, known) = (AtomicI64::new(0), RwLock::default());
        Self { store, tagger, due: Due::every(INTERVAL_S), newest, known }
    }

    /// Reads what is new if it is time, and says whether there was anything.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; the next asker tries again.
    pub(super) async fn look(&self, now: i64) -> Result<bool, StateError> {
        if !self.due.is_now(now) {
            return Ok(false);
        }
        // Dropped in the middle, this look counts as failed.
        let unread = Again(&self.due);
        let rows = self.store.revocations_after(self.newest.load(Ordering::Relaxed)).await?;
        std::mem::forget(unread);
        let Some(newest) = rows.last().map(|row| row.seq) else { return Ok(false) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, row| row.until_s > now);
        known.extend(rows.into_iter().map(|row| (row.tag, row)));
        drop(known);
        self.newest.fetch_max(newest, Ordering::Relaxed);
        Ok(true)
    }

    /// Refuses a token that was revoked; one that does not say when it was issued may be older than any
    /// revocation of its account.
    pub(super) fn check(
        &self,
        judged: &Judged,
        issuer: &str,
        leeway_s: u32,
    ) -> Result<(), TokenFault> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return Ok(());
        }
        let of_account = known.get(&account_tag(&self.tagger, &judged.caller.account));
        let is_old = of_account.is_some_and(|row| {
            let upto = row.upto_s.saturating_add(i64::from(leeway_s));
            judged.issued_s.is_none_or(|issued| issued <= upto)
        });
        let by_id = |id: &String| known.contains_key(&id_tag(&self.tagger, issuer, id));
        if is_old || judged.jti.as_ref().is_some_and(by_id) {
            return Err(TokenFault::Revoked);
        }
        Ok(())
    }
}

impl Revocations {
    /// Whether what an account began at that time is revoked.
    pub(super) fn covers(&self, account: &str, began_s: i64) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let of_account = known.get(&account_tag(&self.tagger, account));
        of_account.is_some_and(|row| began_s <= row.upto_s)
    }
}

/// Has somebody look again unless it is forgotten.
struct Again<'d>(&'d Due);

impl Drop for Again<'_> {
    fn drop(&mut self) {
        self.0.again();
    }
}

fn account_tag(tagger: &Tagger, account: &str) -> RevocationTag {
    tagger.tag(&[b"account", account.as_bytes()])
}

fn id_tag(tagger: &Tagger, issuer: &str, id: &str) -> RevocationTag {
    tagger.tag(&[b"token", issuer.as_bytes(), id.as_bytes()])
}

impl Identity {
    /// Revokes the tokens of an issuer's account that were issued up to now, or only the one with this id.
    /// A running gate knows of it within about a second.
    ///
    /// # Errors
    /// [`AccountError::NoToken`] if it is not `issuer:subject`, or the id is none.
    pub async fn revoke_tokens(
        &self,
        account: &str,
        token_id: Option<&str>,
    ) -> Result<(), AccountError> {
        let issuer = account.split_once(':').map(|(issuer, _)| issuer);
        let issuer = issuer.ok_or_else(|| AccountError::NoToken(account.to_owned()))?;
        let upto_s = self.clock.unix_s();
        let tagger = &self.bearer.revocations().tagger;
        let (tag, act) = match token_id {
            None => (account_tag(tagger, account), "tokens_revoked"),
            Some(id) if is_name(id) => (id_tag(tagger, issuer, id), "token_revoked"),
            Some(id) => return Err(AccountError::NoToken(id.to_owned())),
        };
        let row = RevocationRow { seq: 0, tag, upto_s, until_s: upto_s.saturating_add(KEPT_S) };
        Ok(self.store.revoke(row, account, act).await?)
    }
}
