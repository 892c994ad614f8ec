//! The account: made once for each directory, and kept with its key where only the gate reads.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};

use super::client::Directory;
use super::stored::{short_print, write_private};
use super::{AcmeError, Settings};
use crate::secret;

/// The accounts of a folder.
#[derive(Clone, Debug)]
pub struct Accounts {
    folder: PathBuf,
}

impl Accounts {
    /// Kept in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The account at the directory: the one that is kept, or a new one, which is kept before it is used.
    pub(super) async fn at(
        &self,
        settings: &Settings,
        directory: &Directory,
    ) -> Result<Account, AcmeError> {
        let path = self.path(settings);
        let builder = Account::builder_with_http(Box::new(directory.clone()));
        match std::fs::read(&path) {
            Ok(kept) => {
                let kept: AccountCredentials = serde_json::from_slice(&kept)
                    .map_err(|_not_one| AcmeError::Account(path.clone()))?;
                return Ok(builder.from_credentials(kept).await?);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(AcmeError::File { path, source }),
        }
        let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            // The operator's file says so, or there are no settings.
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let external = settings.external.as_ref().map(|external| {
            let key = external_key(&external.key)?;
            Ok::<_, AcmeError>(ExternalAccountKey::new(external.id.clone(), &key))
        });
        let external = external.transpose()?;
        let made = builder.create(&new, settings.directory.clone(), external.as_ref()).await?;
        let (account, credentials) = made;
        let text = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
        write_private(&path, &text)?;
        Ok(account)
    }

    /// One of each directory and account known from elsewhere.
    fn path(&self, settings: &Settings) -> PathBuf {
        let id = settings.external.as_ref().map_or("", |external| external.id.as_str());
        let print = short_print(&[settings.directory.as_str(), id]);
        self.folder.join(format!("account-{print}.json"))
    }
}

/// Reads the key of an account known from elsewhere.
pub(super) fn external_key(path: &Path) -> Result<Vec<u8>, AcmeError> {
    let text = secret::read_private(path)?;
    let text = text.expose().trim().trim_end_matches('=');
    let key = URL_SAFE_NO_PAD.decode(text).ok().filter(|key| !key.is_empty());
    key.ok_or_else(|| AcmeError::ExternalKey(path.to_owned()))
}
