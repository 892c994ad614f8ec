//! The last good keys of issuers, kept over a restart: an issuer that is down just then locks nobody out.
//!
//! They are public; a keyed hash keeps whoever can write the file from adding a key of their own.

use crate::secret::Tagger;
use crate::state::{IssuerKeysRow, StateError, Store};

/// Where they are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    store: Store,
    tagger: Tagger,
}

impl Shelf {
    pub(super) fn new(store: Store, tagger: Tagger) -> Self {
        Self { store, tagger }
    }

    /// Keeps what was published there at that time.
    pub(super) async fn put(
        &self,
        issuer: &str,
        url: &str,
        document: Vec<u8>,
        fetched_s: i64,
    ) -> Result<(), StateError> {
        let mut row = IssuerKeysRow {
            issuer: issuer.to_owned(),
            url: url.to_owned(),
            document,
            fetched_s,
            tag: [0; 32],
        };
        row.tag = self.tag(&row);
        self.store.put_issuer_keys(row).await
    }

    /// What was published there last, and when that was.
    pub(super) async fn get(
        &self,
        issuer: &str,
        url: &str,
    ) -> Result<Option<(Vec<u8>, i64)>, StateError> {
        let Some(row) = self.store.issuer_keys(issuer).await? else { return Ok(None) };
        if row.tag != self.tag(&row) {
            tracing::error!(
                issuer,
                "the issuer's keys were altered in the state; they are not used"
            );
            return Ok(None);
        }
        // Another address may be another party.
        Ok((row.url == url).then_some((row.document, row.fetched_s)))
    }

    fn tag(&self, row: &IssuerKeysRow) -> [u8; 32] {
        let IssuerKeysRow { issuer, url, document, fetched_s, .. } = row;
        let at = fetched_s.to_be_bytes();
        self.tagger.tag(&[b"keys", issuer.as_bytes(), url.as_bytes(), document, &at])
    }
}
