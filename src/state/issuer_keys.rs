//! Rows of the keys that issuers published last; one an issuer.

use rusqlite::{OptionalExtension as _, params};

use super::{StateError, Store};

/// What an issuer published last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKeysRow {
    /// The issuer's short name.
    pub issuer: String,
    /// Where.
    pub url: String,
    /// The JWK Set as it was.
    pub document: Vec<u8>,
    /// When it was fetched, Unix seconds.
    pub fetched_s: i64,
    /// Keyed hash of all above.
    pub tag: [u8; 32],
}

impl Store {
    /// Keeps what an issuer published, in place of what it published before.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn put_issuer_keys(&self, row: IssuerKeysRow) -> Result<(), StateError> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO issuer_keys (issuer, url, document, fetched_s, tag)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![row.issuer, row.url, row.document, row.fetched_s, row.tag])?;
            Ok(())
        })
        .await
    }

    /// What that issuer published last.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn issuer_keys(&self, issuer: &str) -> Result<Option<IssuerKeysRow>, StateError> {
        let issuer = issuer.to_owned();
        self.read(move |connection| {
            let sql = "SELECT url, document, fetched_s, tag FROM issuer_keys WHERE issuer = ?1";
            let row = connection.prepare_cached(sql)?.query_row([&issuer], |row| {
                Ok(IssuerKeysRow {
                    issuer: issuer.clone(),
                    url: row.get(0)?,
                    document: row.get(1)?,
                    fetched_s: row.get(2)?,
                    tag: row.get(3)?,
                })
            });
            Ok(row.optional()?)
        })
        .await
    }
}
