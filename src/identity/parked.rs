//! Requests of browsers that wait for a factor. What is kept is sealed, and opens only for the account,
//! host and zone that it came from.

use super::{Cookie, Identity, Place};
use crate::secret::random_token;
use crate::state::{ParkedRow, StateError};

/// How many requests may wait in all; one more is not kept.
const MOST_PARKED: u32 = 1000;

/// Whose request it is, and where it came in.
#[derive(Clone, Copy, Debug)]
pub struct Parker<'a> {
    /// The session cookie, and where it was shown.
    pub cookie: &'a Cookie,
    /// The account of that session.
    pub account: &'a str,
}

impl Identity {
    /// The largest request that is kept, in bytes; 0 where none is.
    #[must_use]
    pub fn parks_bytes(&self) -> usize {
        self.settings().session.parked_bytes
    }

    /// Keeps a request in place of the last one of this session and gives the name to ask for it; `None`
    /// if there is no room. Durable when it resolves.
    ///
    /// # Errors
    /// Any [`StateError`]; nothing is kept then.
    pub async fn park(
        &self,
        parker: Parker<'_>,
        request: &[u8],
    ) -> Result<Option<String>, StateError> {
        let name = random_token::<16>()?.expose().clone();
        let sealed = self.parked_sealer.seal(&label(parker, &name), request)?;
        let until_s = self.clock.unix_s() + i64::from(self.settings().session.parked_s);
        let session = self.session_id(parker.cookie);
        let row = ParkedRow { id: self.parked_id(parker, &name), session, sealed, until_s };
        Ok(self.store.park(row, MOST_PARKED).await?.then_some(name))
    }

    /// The request of that name, left where it is.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn parked(
        &self,
        parker: Parker<'_>,
        name: &str,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let id = self.parked_id(parker, name);
        let sealed = self.store.parked(id, self.session_id(parker.cookie)).await?;
        Ok(self.unsealed(parker, name, sealed))
    }

    /// Takes the request of that name out, so that it is sent once at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn take_parked(
        &self,
        parker: Parker<'_>,
        name: &str,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let id = self.parked_id(parker, name);
        let sealed = self.store.take_parked(id, self.session_id(parker.cookie)).await?;
        Ok(self.unsealed(parker, name, sealed))
    }

    /// Forgets the requests that nobody came back for.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_parked(&self) -> Result<(), StateError> {
        self.store.forget_parked().await
    }

    /// Under what the log names a request that is kept.
    #[must_use]
    pub fn parked_reference(&self, name: &str) -> String {
        self.log_tagger.reference(&[b"parked", name.as_bytes()])
    }

    fn unsealed(&self, parker: Parker<'_>, name: &str, sealed: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let opened = self.parked_sealer.open(&label(parker, name), &sealed?);
        opened.map_err(|error| tracing::error!(%error, "a kept request is not sent")).ok()
    }

    fn parked_id(&self, parker: Parker<'_>, name: &str) -> [u8; 32] {
        let Place { host, zone, .. } = parker.cookie.place();
        let parts = [b"parked".as_slice(), name.as_bytes(), host.as_bytes(), zone.as_bytes()];
        self.session_tagger.tag(&parts)
    }
}

/// What a sealed request is bound to. None of the parts can hold a line's end.
fn label(Parker { account, cookie }: Parker<'_>, name: &str) -> String {
    let Place { host, zone, .. } = cookie.place();
    format!("parked\n{name}\n{account}\n{host}\n{zone}")
}
