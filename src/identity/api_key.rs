//! API keys: what a program shows that acts for a local account, in some of its roles, in some zones, for a time.
//!
//! `mshn_`, 8 letters that name the key, 43 of secret, 8 of a checksum: a scanner finds a key that leaked into
//! a repository, and knows a mistyped one from a real one without asking. The gate keeps a keyed hash. A key
//! is worth a password that nobody typed: assurance 1, and never fresh.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::account::{Account, is_account_name};
use super::caller::{Caller, CredentialRef, Factor, FactorMethod};
use super::claims::is_name;
use super::{AuthError, Identity, Place};
use crate::secret::{Secret, SecretError, random_token};
use crate::state::{ApiKeyRow, StateError};

const PREFIX: &str = "mshn_";
const ID_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 43;
const CHECK_LENGTH: usize = 8;
/// The length of a key.
const LENGTH: usize = PREFIX.len() + ID_LENGTH + SECRET_LENGTH + CHECK_LENGTH;
/// The longest that a key may live: 400 days.
pub const API_KEY_LONGEST_S: u32 = 400 * 24 * 3600;
/// A use is noted at most once in so many seconds.
const TOUCH_AFTER_S: i64 = 60;
/// The most roles or zones of a key.
const LIST_LIMIT: usize = 64;

/// What a new key may do.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The local account that it acts for.
    pub account: String,
    /// Which of the account's roles it has; those that the account loses it loses too.
    pub roles: Vec<String>,
    /// The zones in which it is good.
    pub zones: Vec<String>,
    /// How long it lives, in seconds.
    pub life_s: u32,
}

/// A key, for people; without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// What names it, in the log too.
    pub id: String,
    /// For whom it acts.
    pub account: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its zones.
    pub zones: Vec<String>,
    /// When it ends, Unix seconds.
    pub expires_s: i64,
    /// When it was issued, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds; coarse.
    pub used_s: Option<i64>,
    /// When it was revoked, Unix seconds.
    pub revoked_s: Option<i64>,
}

/// Why a key could not be issued, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// There is no such account.
    #[error("account `{0}` does not exist; `menshen account list` shows those that do")]
    NoAccount(String),
    /// No role or zone, or too many, or one with other letters.
    #[error("a key must have 1 to 64 roles and 1 to 64 zones of 1 to 255 visible characters")]
    Scope,
    /// The account does not have the role.
    #[error("account `{account}` does not have the role `{role}`")]
    Role {
        /// The account.
        account: String,
        /// The role.
        role: String,
    },
    /// It would live for no time, or for too long.
    #[error("a key must end within 400 days")]
    Life,
    /// The account has as many keys as it may have.
    #[error("account `{0}` has 100 keys already, or there are too many in all")]
    TooMany(String),
    /// There is no such key.
    #[error("key `{0}` does not exist or is revoked; `menshen key list` shows those that do")]
    Unknown(String),
    /// What is stored does not read.
    #[error("key `{0}` is damaged in the state")]
    Damaged(String),
    /// The key library refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The state could not be read or written.
    #[error(transparent)]
    State(StateError),
}

/// A key as it was shown, of the right form.
struct Shown<'k> {
    id: &'k str,
    secret: &'k str,
}

impl Identity {
    /// Issues a key; its text is given only here.
    ///
    /// # Errors
    /// [`ApiKeyError`]; nothing was issued then.
    pub async fn issue_api_key(
        &self,
        new: NewApiKey,
    ) -> Result<(ApiKeyInfo, Secret<String>), ApiKeyError> {
        if !is_scope(&new.roles) || !is_scope(&new.zones) {
            return Err(ApiKeyError::Scope);
        }
        if new.life_s == 0 || new.life_s > API_KEY_LONGEST_S {
            return Err(ApiKeyError::Life);
        }
        let name = if is_account_name(&new.account) { new.account.as_str() } else { "" };
        let account = self.store.account(name).await.map_err(ApiKeyError::State)?;
        let account = account.ok_or_else(|| ApiKeyError::NoAccount(new.account.clone()))?;
        let damaged = |_| ApiKeyError::Damaged(new.account.clone());
        let account = Account::try_from(account).map_err(damaged)?;
        if let Some(role) = new.roles.iter().find(|role| !account.roles.contains(role)) {
            return Err(ApiKeyError::Role { account: account.name, role: role.clone() });
        }
        let secret = random_token::<32>()?;
        let id = random_id()?;
        let now = self.clock.unix_s();
        let mut row = ApiKeyRow {
            id,
            account: account.name,
            roles: list(&new.roles)?,
            zones: list(&new.zones)?,
            expires_s: now.saturating_add(i64::from(new.life_s)),
            tag: [0; 32],
            created_s: now,
            used_s: None,
            revoked_s: None,
        };
        row.tag = self.api_key_tag(&row, secret.expose());
        let info = ApiKeyInfo::try_from(row.clone())?;
        let text = Secret::new(format!("{PREFIX}{}{}", row.id, secret.expose()));
        let check = format!("{:08x}", crc32(text.expose().as_bytes()));
        match self.store.insert_api_key(row).await {
            Ok(()) => Ok((info, Secret::new(format!("{}{check}", text.expose())))),
            Err(StateError::Unknown(account)) => Err(ApiKeyError::NoAccount(account)),
            Err(StateError::Full) => Err(ApiKeyError::TooMany(new.account)),
            Err(error) => Err(ApiKeyError::State(error)),
        }
    }

    /// All keys, by account.
    ///
    /// # Errors
    /// [`ApiKeyError::Damaged`] or [`ApiKeyError::State`].
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyInfo>, ApiKeyError> {
        let rows = self.store.api_keys().await.map_err(ApiKeyError::State)?;
        rows.into_iter().map(ApiKeyInfo::try_from).collect()
    }

    /// Revokes a key for ever; gives its account.
    ///
    /// # Errors
    /// [`ApiKeyError::Unknown`] or [`ApiKeyError::State`].
    pub async fn revoke_api_key(&self, id: &str) -> Result<String, ApiKeyError> {
        match self.store.revoke_api_key(id).await {
            Ok(account) => Ok(account),
            Err(StateError::Unknown(id)) => Err(ApiKeyError::Unknown(id)),
            Err(error) => Err(ApiKeyError::State(error)),
        }
    }

    /// The caller who shows a key. An unknown one costs the same work as a wrong one.
    pub(super) async fn key_caller(
        &self,
        key: &Secret<String>,
        place: &Place,
    ) -> Result<Caller, AuthError> {
        let shown = take_apart(key.expose()).ok_or(AuthError::Malformed)?;
        let found = self.store.api_key(shown.id.to_owned()).await?;
        let nobody = ApiKeyRow::default();
        let row = found.as_ref().map_or(&nobody, |(row, _)| row);
        let is_right =
            verify_slices_are_equal(&self.api_key_tag(row, shown.secret), &row.tag).is_ok();
        let (row, account) = found.filter(|_| is_right).ok_or(AuthError::ApiKey)?;
        let now = self.clock.unix_s();
        let key = ApiKeyInfo::try_from(row).map_err(|_damaged| StateError::Value("an API key"))?;
        let is_here = key.zones.iter().any(|zone| **zone == *place.zone);
        if key.revoked_s.is_some() || now >= key.expires_s || account.is_disabled || !is_here {
            return Err(AuthError::ApiKey);
        }
        let account =
            Account::try_from(account).map_err(|_damaged| StateError::Value("an account"))?;
        if key.used_s.is_none_or(|used| now.saturating_sub(used) >= TOUCH_AFTER_S) {
            self.store.touch_api_key(key.id.clone());
        }
        let roles = account.roles.into_iter().filter(|role| key.roles.contains(role)).collect();
        Ok(Caller {
            account: account.name,
            kind: account.kind,
            roles,
            attributes: account.attributes,
            assurance: 1,
            factors: vec![Factor { level: 1, at_unix_s: None, method: FactorMethod::ApiKey }],
            credential: CredentialRef::ApiKey { id: key.id },
            ..Caller::default()
        })
    }

    /// Whoever can write the file but has not the master key can neither make a key nor widen one.
    fn api_key_tag(&self, row: &ApiKeyRow, secret: &str) -> [u8; 32] {
        self.api_key_tagger.tag(&[
            secret.as_bytes(),
            row.id.as_bytes(),
            row.account.as_bytes(),
            row.roles.as_bytes(),
            row.zones.as_bytes(),
            &row.expires_s.to_be_bytes(),
        ])
    }
}

fn take_apart(text: &str) -> Option<Shown<'_>> {
    let (body, check) = text.split_at_checked(LENGTH.checked_sub(CHECK_LENGTH)?)?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_at_checked(ID_LENGTH)?;
    let is_whole = text.len() == LENGTH && check == format!("{:08x}", crc32(body.as_bytes()));
    is_whole.then_some(Shown { id, secret })
}

/// Eight letters and digits that cannot be taken for each other.
fn random_id() -> Result<String, SecretError> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut bytes = [0; ID_LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)?;
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied();
    Ok(bytes.iter().filter_map(letter).map(char::from).collect())
}

fn is_scope(words: &[String]) -> bool {
    (1..=LIST_LIMIT).contains(&words.len()) && words.iter().all(|word| is_name(word))
}

fn list(words: &[String]) -> Result<String, ApiKeyError> {
    serde_json::to_string(words).map_err(|_never| ApiKeyError::Scope)
}

impl TryFrom<ApiKeyRow> for ApiKeyInfo {
    type Error = ApiKeyError;

    fn try_from(row: ApiKeyRow) -> Result<Self, ApiKeyError> {
        let damaged = |_| ApiKeyError::Damaged(row.id.clone());
        Ok(Self {
            roles: serde_json::from_str(&row.roles).map_err(damaged)?,
            zones: serde_json::from_str(&row.zones).map_err(damaged)?,
            account: row.account,
            expires_s: row.expires_s,
            created_s: row.created_s,
            used_s: row.used_s,
            revoked_s: row.revoked_s,
            id: row.id,
        })
    }
}

/// CRC-32 as of Ethernet and zip (reflected polynomial 0xEDB88320): a check of typing, no secret.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(u32::MAX, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn only_a_whole_key_is_taken_apart() {
        let body = format!("{PREFIX}{}{}", "a".repeat(ID_LENGTH), "B".repeat(SECRET_LENGTH));
        let key = format!("{body}{:08x}", crc32(body.as_bytes()));
        let shown = take_apart(&key).unwrap();
        assert_eq!((shown.id, shown.secret.len()), ("aaaaaaaa", SECRET_LENGTH));
        let mut wrong = vec![String::new(), "mshn_".into(), key.replace("mshn_", "mshm_")];
        wrong.push(key.to_uppercase());
        wrong.push(format!("{key}0"));
        wrong.push(format!("门{key}"));
        wrong.extend(key.char_indices().map(|(end, _)| key.chars().take(end).collect()));
        wrong.push(key.replacen('B', "C", 1));
        for text in wrong {
            assert!(take_apart(&text).is_none(), "{text}");
        }
    }
}
