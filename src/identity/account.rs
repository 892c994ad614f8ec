//! Local accounts: made, listed and changed by an operator. Whoever calls this has been authorised.

use std::collections::BTreeMap;

use super::AccountAct;
use super::Identity;
use super::caller::{Attribute, CallerKind};
use super::claims::is_name;
use super::judged::is_small;
use super::password::HashError;
use super::strength::{PasswordFault, Whose, check_new_password};
use super::totp::{Enrolment, new_secret};
use crate::secret::{Secret, SecretError};
use crate::state::{AccountRow, NewAccountRow, StateError};

/// The longest account name.
const NAME_LIMIT: usize = 64;
/// The most accounts listed.
pub(super) const LIST_LIMIT: u32 = 100_000;

/// What a new account starts with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name that signs in: a-z, 0-9, `.`, `_`, `-`, `@`; it never changes.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// What the person is.
    pub kind: CallerKind,
    /// Role names.
    pub roles: Vec<String>,
    /// What conditions may ask, such as `branch`.
    pub attributes: BTreeMap<String, Attribute>,
    /// The first password.
    pub password: Secret<String>,
}

/// A local account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name that signs in.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// What the person is.
    pub kind: CallerKind,
    /// Role names, sorted.
    pub roles: Vec<String>,
    /// What conditions may ask.
    pub attributes: BTreeMap<String, Attribute>,
    /// Whether one-time codes are enrolled.
    pub has_totp: bool,
    /// Whether the account is switched off.
    pub is_disabled: bool,
}

/// Why an account could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name has other letters.
    #[error(
        "account name `{0}`: must be 1 to 64 of a-z, 0-9, `.`, `_`, `-`, `@`, beginning with a letter or digit"
    )]
    Name(String),
    /// Tokens are revoked of accounts of issuers only, and by an id that can stand in a token.
    #[error(
        "`{0}`: must be the account of an issuer, such as `corp:wang`, and a token id of 1 to 255 characters"
    )]
    NoToken(String),
    /// It names no account: neither a local name nor `issuer:subject`.
    #[error("`{0}` is no account: write a local name, or `issuer:subject` as the log has it")]
    NotAnAccount(String),
    /// A person's name has other letters.
    #[error(
        "person `{0}`: must be 1 to 64 of a-z, 0-9, `.`, `_`, `-`, `@`, beginning with a letter or digit"
    )]
    Person(String),
    /// The display name is empty, long or has control characters.
    #[error("the display name must have 1 to 255 visible characters")]
    DisplayName,
    /// A role is empty, long or has control characters.
    #[error("role `{0}`: must have 1 to 255 visible characters")]
    Role(String),
    /// An attribute is too large or its name is empty.
    #[error(
        "attribute `{0}`: must have a name, and a value of at most 255 characters or 256 items"
    )]
    Attribute(String),
    /// The password breaks a rule.
    #[error(transparent)]
    Password(#[from] PasswordFault),
    /// Too many sign-ins at once, try again.
    #[error("too many password hashes at once; try again")]
    Busy,
    /// The password hash could not be computed.
    #[error("the password hash could not be computed")]
    Hash,
    /// The enrolment could not be drawn: the issuer or the name is too long or has a colon.
    #[error(
        "the one-time code cannot be enrolled: its issuer or account name is too long or has a colon"
    )]
    Enrolment,
    /// What is stored of the account does not read.
    #[error("account `{0}` is damaged in the state; restore it from a backup")]
    Damaged(String),
    /// The account has no such passkey.
    #[error(
        "account `{account}` has no passkey `{id}`; `menshen account passkeys {account}` shows those it has"
    )]
    Passkey {
        /// The account.
        account: String,
        /// The credential id.
        id: String,
    },
    /// An invitation is good on one host.
    #[error("host `{0}`: must be a host name that the gate serves, such as `bank.example`")]
    Invitation(String),
    /// The key library refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The state could not be read or written, or the account exists already or not at all.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<HashError> for AccountError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Failed => Self::Hash,
        }
    }
}

impl Identity {
    /// Adds an account with a password and no second factor yet.
    ///
    /// # Errors
    /// [`AccountError`]; nothing was added then.
    pub async fn add_account(&self, new: NewAccount) -> Result<(), AccountError> {
        let new = checked(new)?;
        let password = new.password.clone();
        let hash = self.hash_new_password(&new.name, &new.display_name, password).await?;
        self.insert_account(new, hash).await
    }

    /// Adds an account whose password has this hash.
    pub(super) async fn insert_account(
        &self,
        new: NewAccount,
        password_hash: Secret<String>,
    ) -> Result<(), AccountError> {
        let new = checked(new)?;
        let row = NewAccountRow {
            roles: json(&new.roles, &new.name)?,
            attributes: json(&new.attributes, &new.name)?,
            name: new.name,
            display_name: new.display_name,
            kind: new.kind.as_str().to_owned(),
            password_hash,
        };
        Ok(self.store.insert_account(row).await?)
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// [`AccountError::Damaged`] or [`AccountError::State`].
    pub async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        let rows = self.store.accounts(LIST_LIMIT).await?;
        rows.into_iter().map(Account::try_from).collect()
    }

    /// Replaces the password and ends the account's sessions.
    ///
    /// # Errors
    /// [`AccountError`]; the old password stands then.
    pub async fn set_password(
        &self,
        name: &str,
        password: Secret<String>,
    ) -> Result<(), AccountError> {
        let known = self.store.account(name).await?;
        let known = known.ok_or_else(|| StateError::Unknown(name.to_owned()))?;
        let hash = self.hash_new_password(name, &known.display_name, password).await?;
        Ok(self.store.set_password(name, hash).await?)
    }

    /// Gives the account a new secret for one-time codes and ends its sessions. Older codes die.
    ///
    /// # Errors
    /// [`AccountError`]; an old secret stands then.
    pub async fn enrol_totp(&self, name: &str) -> Result<Enrolment, AccountError> {
        let secret = new_secret()?;
        let enrolment = Enrolment::new(&secret, &self.settings().totp_issuer, name)?;
        let sealed = self.seal_totp(name, &secret)?;
        self.store.set_totp(name, sealed).await?;
        Ok(enrolment)
    }

    /// Lets an account sign in again at once that too many failures have locked.
    ///
    /// # Errors
    /// [`AccountError::State`], also if there is no such account.
    pub async fn unlock(&self, name: &str) -> Result<(), AccountError> {
        Ok(self.store.unlock(name, self.failure_name(name)).await?)
    }

    /// What was done to accounts and is not in the log yet, oldest first; a batch at a time.
    ///
    /// # Errors
    /// [`AccountError::State`].
    pub async fn pending_acts(&self) -> Result<Vec<AccountAct>, AccountError> {
        Ok(self.store.pending_acts().await?)
    }

    /// Forgets an act whose entry is durable.
    ///
    /// # Errors
    /// [`AccountError::State`]; it would then be recorded once more.
    pub async fn act_recorded(&self, act: &AccountAct) -> Result<(), AccountError> {
        Ok(self.store.act_recorded(act.seq).await?)
    }

    /// A secret of one-time codes as it is stored.
    pub(super) fn seal_totp(
        &self,
        name: &str,
        secret: &Secret<Vec<u8>>,
    ) -> Result<Vec<u8>, SecretError> {
        self.sealer.seal(&totp_label(name), secret.expose())
    }

    /// The secret of the account's one-time codes, if it has one.
    pub(super) fn totp_secret(
        &self,
        account: &AccountRow,
    ) -> Result<Option<Secret<Vec<u8>>>, SecretError> {
        let Some(sealed) = &account.totp_secret else { return Ok(None) };
        let opened = self.sealer.open(&totp_label(&account.name), sealed)?;
        Ok(Some(Secret::new(opened)))
    }

    /// The hash of a password that somebody has chosen, which must be a good one.
    pub(super) async fn hash_new_password(
        &self,
        name: &str,
        display_name: &str,
        password: Secret<String>,
    ) -> Result<Secret<String>, AccountError> {
        let seat = self.hasher.seat()?;
        let (account, display_name) = (name.to_owned(), display_name.to_owned());
        let house = self.settings().house_words.clone();
        let check = move |password: &Secret<String>| {
            let whose = Whose { account: &account, display_name: &display_name, house: &house };
            check_new_password(&whose, password)
        };
        Ok(self.hasher.hash_chosen(seat, password, check).await??)
    }
}

/// The seal says whose secret it is, so that rows cannot be swapped in the file.
fn totp_label(name: &str) -> String {
    format!("accounts/totp_secret/{name}")
}

/// Whether the text could be an account's name.
pub(super) fn is_account_name(name: &str) -> bool {
    let is_inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@');
    let is_first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= NAME_LIMIT
        && name.bytes().all(is_inner)
        && name.as_bytes().first().is_some_and(is_first)
}

fn checked(mut new: NewAccount) -> Result<NewAccount, AccountError> {
    if !is_account_name(&new.name) {
        return Err(AccountError::Name(new.name));
    }
    if !is_name(&new.display_name) {
        return Err(AccountError::DisplayName);
    }
    if let Some(role) = new.roles.iter().find(|role| !is_name(role)) {
        return Err(AccountError::Role(role.clone()));
    }
    let is_sound = |(name, value): &(&String, &Attribute)| is_name(name) && is_small(value);
    if let Some((name, _)) = new.attributes.iter().find(|pair| !is_sound(pair)) {
        return Err(AccountError::Attribute(name.clone()));
    }
    new.roles.sort_unstable();
    new.roles.dedup();
    Ok(new)
}

fn json<T: serde::Serialize>(value: &T, account: &str) -> Result<String, AccountError> {
    serde_json::to_string(value).map_err(|_never| AccountError::Damaged(account.to_owned()))
}

impl TryFrom<AccountRow> for Account {
    type Error = AccountError;

    fn try_from(row: AccountRow) -> Result<Self, AccountError> {
        let damaged = || AccountError::Damaged(row.name.clone());
        Ok(Self {
            kind: row.kind.parse().map_err(|_unknown| damaged())?,
            roles: serde_json::from_str(&row.roles).map_err(|_unread| damaged())?,
            attributes: serde_json::from_str(&row.attributes).map_err(|_unread| damaged())?,
            has_totp: row.totp_secret.is_some(),
            is_disabled: row.is_disabled,
            name: row.name,
            display_name: row.display_name,
        })
    }
}
