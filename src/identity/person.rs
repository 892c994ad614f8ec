//! What is asked and said of people: how an account stands, whose it is, which roles it has.

use std::sync::Arc;

use tokio::sync::watch;

use super::account::{AccountError, is_account_name};
use super::claims::is_name;
use super::counted_as;
use super::roster::{Joined, Standing};
use super::{AuthError, Identity, TokenFault};
use crate::state::{RosterRow, StateError};

impl Identity {
    /// Reads the roster before anybody is counted.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn load_roster(&self) -> Result<(), StateError> {
        self.roster.load().await
    }

    /// Reads what is new of the roster if it is time, for streams of people who ask for nothing more.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn look_at_roster(&self) -> Result<(), StateError> {
        self.roster.look(self.clock.unix_s()).await
    }

    /// Refuses an account that is not welcome, though what it shows is good.
    pub(super) fn check_standing(&self, account: &str) -> Result<(), AuthError> {
        match self.is_welcome(account) {
            true => Ok(()),
            false => Err(AuthError::Token(TokenFault::Unwelcome)),
        }
    }

    /// Whether an account is welcome, as far as is known here.
    #[must_use]
    pub fn is_welcome(&self, account: &str) -> bool {
        self.roster.standing(account) == Standing::Active
    }

    /// Tells when anything of the roster changed.
    #[must_use]
    pub fn roster_changes(&self) -> watch::Receiver<()> {
        self.roster.changes()
    }

    /// The person whose account it is, where that was said.
    #[must_use]
    pub fn person(&self, account: &str) -> Option<Arc<str>> {
        self.roster.person(account).map(|(person, _)| person)
    }

    /// The roles of the local accounts that the same person has beside this one.
    #[must_use]
    pub fn roles_elsewhere(&self, account: &str) -> Vec<String> {
        self.roster.roles_elsewhere(account)
    }

    /// The other accounts of the same person.
    #[must_use]
    pub fn accounts_beside(&self, account: &str) -> Vec<String> {
        self.roster.accounts_beside(account)
    }

    /// Under what an account is counted: itself, or the person whose it is.
    #[must_use]
    pub fn counted_as(&self, account: &str) -> Arc<str> {
        self.roster.person(account).map_or_else(|| account.into(), |(_, counted)| counted)
    }

    /// The oldest of the accounts that are counted with others since a moment and were not before.
    #[must_use]
    pub fn next_joined(&self) -> Option<Joined> {
        self.roster.next_joined()
    }

    /// Says that the oldest is counted with the others.
    pub fn joined_is_counted(&self) {
        self.roster.joined_is_counted();
    }

    /// The roster as it is stored: accounts of which something was said.
    ///
    /// # Errors
    /// [`AccountError::State`].
    pub async fn roster(&self) -> Result<Vec<RosterRow>, AccountError> {
        Ok(self.store.roster_after(0).await?)
    }

    /// Says how an account stands, a local one or one of an issuer (`issuer:subject`). A running gate knows within
    /// about a second; a local account's sessions end at once.
    ///
    /// # Errors
    /// [`AccountError::NotAnAccount`], or [`AccountError::State`], also if the account is unknown or has left.
    pub async fn set_standing(
        &self,
        account: &str,
        standing: Standing,
    ) -> Result<(), AccountError> {
        kind_of(account)?;
        Ok(self.store.set_standing(account, standing.as_str(), standing.act()).await?)
    }

    /// Says whose an account is; `None` that it is nobody's in particular. All accounts of a person share budgets and
    /// rates, and what each has used counts from then on; a person has one local account and one of each issuer.
    ///
    /// # Errors
    /// [`AccountError::NotAnAccount`], [`AccountError::Person`], or [`AccountError::State`], also if the person has
    /// another account of that kind.
    pub async fn set_person(
        &self,
        account: &str,
        person: Option<&str>,
    ) -> Result<(), AccountError> {
        let kind = kind_of(account)?;
        if let Some(person) = person.filter(|person| !is_account_name(person)) {
            return Err(AccountError::Person(person.to_owned()));
        }
        let person = person.map(str::to_owned);
        Ok(self.store.set_person(account, kind, person, counted_as).await?)
    }

    /// Replaces the roles of a local account; they count from its next request on.
    ///
    /// # Errors
    /// [`AccountError::Role`] or [`AccountError::State`], also if there is no such account.
    pub async fn set_roles(&self, name: &str, mut roles: Vec<String>) -> Result<(), AccountError> {
        if let Some(role) = roles.iter().find(|role| !is_name(role)) {
            return Err(AccountError::Role(role.clone()));
        }
        roles.sort_unstable();
        roles.dedup();
        let json = serde_json::to_string(&roles);
        let json = json.map_err(|_never| AccountError::Damaged(name.to_owned()))?;
        Ok(self.store.set_roles(name, json, format!("roles {}", roles.join(", "))).await?)
    }
}

/// The issuer of an account, with its colon; empty for a local one.
fn kind_of(account: &str) -> Result<&str, AccountError> {
    let fault = || AccountError::NotAnAccount(account.to_owned());
    match account.find(':') {
        None if is_account_name(account) => Ok(""),
        Some(at) if at > 0 && is_name(account) => {
            account.get(..at.saturating_add(1)).ok_or_else(fault)
        }
        _ => Err(fault()),
    }
}
