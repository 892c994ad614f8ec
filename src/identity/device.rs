//! Devices: keys of client certificates, and passkeys, that an operator enrolled for a person or a program.
//!
//! Whoever comes with such a key, or in a session in which such a passkey was shown, has a bound device. Whoever has devices and comes without one of them is
//! worth less: their assurance is capped, whatever factors they show. Revocations count within about a second.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::account::is_account_name;
use super::claims::is_name;
use super::enrolled::Found;
use super::{AuthError, Caller, Certificate, CertificateFault, Identity, Place};
use crate::state::{DeviceRow, StateError};

/// A device, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What the operator calls it; what policy and log know as the device.
    pub name: String,
    /// Whose it is.
    pub account: String,
    /// SHA-256 of its key.
    pub key: [u8; 32],
    /// Whether it is a passkey.
    pub is_passkey: bool,
    /// When it was enrolled, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds; coarse.
    pub used_s: Option<i64>,
    /// When it was revoked, Unix seconds.
    pub revoked_s: Option<i64>,
}

/// Why a device could not be enrolled, listed or revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name has other letters.
    #[error(
        "device name `{0}`: must be 1 to 64 of a-z, 0-9, `.`, `_`, `-`, `@`, beginning with a letter or digit"
    )]
    Name(String),
    /// The account is neither a local one nor `issuer:subject`.
    #[error("account `{0}`: must be a local account's name or `issuer:subject`")]
    Account(String),
    /// There is no such local account.
    #[error("account `{0}` does not exist; `menshen account list` shows those that do")]
    NoAccount(String),
    /// The certificate does not read, or has ended.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// The name or the key is taken, perhaps by a device that was revoked.
    #[error("the name or the key is that of device `{0}`; neither is enrolled twice")]
    Taken(String),
    /// The account has no such passkey.
    #[error(
        "account `{account}` has no passkey `{id}`; `menshen account passkeys {account}` shows those it has"
    )]
    NoPasskey {
        /// The account.
        account: String,
        /// The id that was given.
        id: String,
    },
    /// The passkey may be on several devices.
    #[error(
        "passkey `{0}` may be copied to other devices by its maker; a device is a passkey that stays where it is"
    )]
    Copied(String),
    /// There is no such device.
    #[error("device `{0}` does not exist or is revoked; `menshen device list` shows those that do")]
    Unknown(String),
    /// The state could not be read or written.
    #[error(transparent)]
    State(StateError),
}

impl Identity {
    /// Enrols the key of a certificate in DER for an account.
    ///
    /// # Errors
    /// [`DeviceError`]; nothing was enrolled then.
    pub async fn add_device(
        &self,
        name: &str,
        account: &str,
        certificate: &[u8],
    ) -> Result<DeviceInfo, DeviceError> {
        let is_account = is_account_name(account) || (account.contains(':') && is_name(account));
        if !is_account {
            return Err(DeviceError::Account(account.to_owned()));
        }
        let now = self.clock.unix_s();
        let certificate = Certificate::read(certificate)?;
        certificate.check(now)?;
        self.insert_device(name, account, *certificate.key(), None).await
    }

    /// Enrols one of an account's passkeys, which must be one that its maker does not copy; `id` is in base64url.
    ///
    /// # Errors
    /// [`DeviceError`]; nothing was enrolled then.
    pub async fn add_passkey_device(
        &self,
        name: &str,
        account: &str,
        id: &str,
    ) -> Result<DeviceInfo, DeviceError> {
        let unknown = || DeviceError::NoPasskey { account: account.to_owned(), id: id.to_owned() };
        let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_no_id| unknown())?;
        let passkey = self.store.passkey(bytes).await.map_err(DeviceError::State)?;
        let passkey = passkey.filter(|row| row.account == account && self.is_passkey_whole(row));
        let passkey = passkey.ok_or_else(unknown)?;
        if passkey.is_backup_eligible || passkey.is_backed_up {
            return Err(DeviceError::Copied(id.to_owned()));
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &passkey.public_key).as_ref());
        self.insert_device(name, account, key, Some(passkey.id)).await
    }

    async fn insert_device(
        &self,
        name: &str,
        account: &str,
        key: [u8; 32],
        passkey: Option<Vec<u8>>,
    ) -> Result<DeviceInfo, DeviceError> {
        if !is_account_name(name) {
            return Err(DeviceError::Name(name.to_owned()));
        }
        let mut row = DeviceRow {
            name: name.to_owned(),
            account: account.to_owned(),
            key,
            passkey,
            tag: [0; 32],
            created_s: self.clock.unix_s(),
            used_s: None,
            revoked_s: None,
        };
        row.tag = self.device_tag(&row);
        match self.store.insert_device(row.clone()).await {
            Ok(()) => {
                self.devices.changed();
                Ok(row.into())
            }
            Err(StateError::Unknown(account)) => Err(DeviceError::NoAccount(account)),
            Err(StateError::Exists(name)) => Err(DeviceError::Taken(name)),
            Err(error) => Err(DeviceError::State(error)),
        }
    }

    /// All devices by name, revoked ones among them.
    ///
    /// # Errors
    /// [`DeviceError::State`].
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError> {
        let rows = self.store.devices().await.map_err(DeviceError::State)?;
        Ok(rows.into_iter().map(DeviceInfo::from).collect())
    }

    /// The ids of the account's passkeys that are devices of it.
    pub(super) async fn device_passkeys(&self, account: &str) -> Result<Vec<Vec<u8>>, StateError> {
        let rows = self.store.device_passkeys(account).await?.into_iter();
        let whole = rows.filter(|row| row.tag == self.device_tag(row));
        Ok(whole.filter_map(|row| row.passkey).collect())
    }

    /// Revokes a device for ever, with the passkey that it is, and ends its account's sessions; gives the account.
    ///
    /// # Errors
    /// [`DeviceError::Unknown`] or [`DeviceError::State`].
    pub async fn revoke_device(&self, name: &str) -> Result<String, DeviceError> {
        match self.store.revoke_device(name).await {
            Ok(account) => {
                self.devices.changed();
                Ok(account)
            }
            Err(StateError::Unknown(name)) => Err(DeviceError::Unknown(name)),
            Err(error) => Err(DeviceError::State(error)),
        }
    }

    /// The caller with the device that it uses, which is that of the connection's certificate or the passkey that was
    /// shown in the session; or worth less without one.
    pub(super) async fn on_device(
        &self,
        caller: Arc<Caller>,
        place: &Place,
        passkey: Option<Vec<u8>>,
    ) -> Result<Arc<Caller>, AuthError> {
        let now = self.clock.unix_s();
        self.devices.look(now, |row| row.tag == self.device_tag(row)).await?;
        let key = place.certificate.as_ref().map(|certificate| certificate.key());
        match self.devices.find(&caller.account, key, passkey.as_deref()) {
            Found::Own(device) => {
                self.devices.touch(&device, now);
                let mut caller = Arc::unwrap_or_clone(caller);
                caller.device = Some(device.name.clone());
                Ok(Arc::new(caller))
            }
            Found::Without => Ok(Arc::new(self.without_device(Arc::unwrap_or_clone(caller)))),
            Found::NoneToHave => Ok(caller),
        }
    }

    /// Whether a device of the account is none any more.
    pub(super) async fn is_device_gone(
        &self,
        name: &str,
        account: &str,
    ) -> Result<bool, StateError> {
        self.devices.look(self.clock.unix_s(), |row| row.tag == self.device_tag(row)).await?;
        Ok(!self.devices.has(name, account))
    }

    /// Whoever has devices and comes without: no factor counts for more than the cap.
    fn without_device(&self, mut caller: Caller) -> Caller {
        let most = self.settings().unknown_device_assurance;
        caller.assurance = caller.assurance.min(most);
        for factor in &mut caller.factors {
            factor.level = factor.level.min(most);
        }
        caller.most_assurance = Some(most);
        caller
    }

    /// Whoever can write the file but has not the master key cannot enrol a key of theirs in it.
    fn device_tag(&self, row: &DeviceRow) -> [u8; 32] {
        let DeviceRow { name, account, key, passkey, .. } = row;
        let (name, account) = (name.as_bytes(), account.as_bytes());
        match passkey {
            None => self.device_tagger.tag(&[b"row", name, account, key]),
            Some(id) => self.device_tagger.tag(&[b"passkey", name, account, key, id]),
        }
    }
}

impl From<DeviceRow> for DeviceInfo {
    fn from(row: DeviceRow) -> Self {
        let DeviceRow { name, account, key, passkey, tag: _, created_s, used_s, revoked_s } = row;
        Self { name, account, key, is_passkey: passkey.is_some(), created_s, used_s, revoked_s }
    }
}
