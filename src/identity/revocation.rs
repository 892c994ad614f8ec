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
use super::totp::newest_step;
use crate::secret::Tagger;
use crate::state::{Before, RevocationRow, RevocationTag, StateError, Store};

/// Seconds between two looks for new ones.
const INTERVAL_S: i64 = 1;
/// For how long a revocation is kept: 400 days, longer than any token should live.
const KEPT_S: i64 = 400 * 24 * 3600;
/// For how long after a restore a token is refused that does not say when it was issued.
const UNDATED_S: i64 = 24 * 3600;

/// What a token says of itself.
#[derive(Debug)]
pub(super) struct Issued<'t> {
    /// Whose it is.
    pub(super) account: &'t str,
    /// The configured name of who issued it.
    pub(super) issuer: &'t str,
    /// Its id.
    pub(super) id: Option<&'t str>,
    /// When it was issued, Unix seconds.
    pub(super) issued_s: Option<i64>,
}

/// What is revoked, as known here.
#[derive(Debug)]
pub(super) struct Revocations {
    store: Store,
    tagger: Tagger,
    due: Due,
    looking: tokio::sync::Mutex<()>,
    newest: AtomicI64,
    known: RwLock<HashMap<RevocationTag, RevocationRow>>,
}

impl Revocations {
    pub(super) fn new(store: Store, tagger: Tagger) -> Self {
        let (newest, known) = (AtomicI64::new(0), RwLock::default());
        let (due, looking) = (Due::every(INTERVAL_S), tokio::sync::Mutex::new(()));
        Self { store, tagger, due, looking, newest, known }
    }

    /// Reads what is new if it is time; `forget` what was verified before it. Whoever comes meanwhile waits, so that no
    /// token is good by what was: right after the start nothing is known yet.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; the next asker tries again.
    pub(super) async fn look(&self, now: i64, forget: impl Fn()) -> Result<(), StateError> {
        if !self.due.is_due(now) {
            return Ok(());
        }
        let _only_one = self.looking.lock().await;
        if self.due.is_due(now) {
            let rows = self.store.revocations_after(self.newest.load(Ordering::Acquire)).await?;
            if let Some(newest) = rows.last().map(|row| row.seq) {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                known.retain(|_, row| row.until_s > now);
                known.extend(rows.into_iter().map(|row| (row.tag, row)));
                drop(known);
                self.newest.fetch_max(newest, Ordering::AcqRel);
                forget();
            }
            self.due.looked(now);
        }
        Ok(())
    }

    /// Refuses a token that was revoked.
    pub(super) fn check(
        &self,
        judged: &Judged,
        issuer: &str,
        now_and_leeway: (i64, u32),
    ) -> Result<(), TokenFault> {
        let (account, id) = (judged.caller.account.as_str(), judged.jti.as_deref());
        let issued = Issued { account, issuer, id, issued_s: judged.issued_s };
        if self.is_revoked(&issued, now_and_leeway) { Err(TokenFault::Revoked) } else { Ok(()) }
    }

    /// Whether a token was revoked; one that does not say when it was issued may be older than any
    /// revocation of its account.
    pub(super) fn is_revoked(&self, token: &Issued<'_>, (now, leeway_s): (i64, u32)) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return false;
        }
        let of_account = known.get(&account_tag(&self.tagger, token.account));
        let is_old = of_account.is_some_and(|row| {
            let upto = row.upto_s.saturating_add(i64::from(leeway_s));
            token.issued_s.is_none_or(|issued| issued <= upto)
        });
        let of_before = known.get(&every_tag(&self.tagger)).is_some_and(|row| {
            let upto = row.upto_s.saturating_add(i64::from(leeway_s));
            let is_undated = || now < row.upto_s.saturating_add(UNDATED_S);
            token.issued_s.map_or_else(is_undated, |issued| issued <= upto)
        });
        let by_id = |id: &str| known.contains_key(&id_tag(&self.tagger, token.issuer, id));
        is_old || of_before || token.id.is_some_and(by_id)
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

fn account_tag(tagger: &Tagger, account: &str) -> RevocationTag {
    tagger.tag(&[b"account", account.as_bytes()])
}

/// Of every token of every issuer.
fn every_tag(tagger: &Tagger) -> RevocationTag {
    tagger.tag(&[b"every"])
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

    /// On a state that was restored: codes of before count no more, nor do tokens that were issued before, since
    /// nobody knows which were used or revoked after the backup. Does nothing where an earlier start did.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn begin_after_restore(&self) -> Result<(), StateError> {
        let now = self.clock.unix_s();
        let before = Before {
            totp_step: newest_step(now),
            tag: every_tag(&self.bearer.revocations().tagger),
            upto_s: now,
            until_s: now.saturating_add(KEPT_S),
        };
        self.store.begin_after_restore(before).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::secret::MasterKey;

    #[tokio::test]
    async fn nobody_who_comes_while_revocations_are_read_goes_on_without_them() {
        let folder = tempfile::tempdir().unwrap();
        let master = MasterKey::generate().unwrap();
        let store = Store::open(folder.path(), &master, Clock::fixed(1_000_000)).unwrap();
        let tagger = master.tagger("token-revocation").unwrap();
        let tag = account_tag(&tagger, "corp:wang");
        let row = RevocationRow { seq: 0, tag, upto_s: 1_000, until_s: 100_000 };
        store.revoke(row, "corp:wang", "tokens_revoked").await.unwrap();
        // As after a restart: two requests at once, of which one reads.
        let revocations = Revocations::new(store, tagger);
        let forgotten = std::cell::Cell::new(0);
        let ask = async || {
            let forget = || forgotten.set(forgotten.get() + 1);
            revocations.look(1_000, forget).await.unwrap();
            revocations.covers("corp:wang", 1_000)
        };
        let known = tokio::join!(ask(), ask(), ask());
        assert_eq!((known, forgotten.get()), ((true, true, true), 1));
    }
}
