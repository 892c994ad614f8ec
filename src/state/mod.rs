//! What must survive a restart: accounts, sessions, sign-in failures, requests that wait for a factor,
//! and what was counted.
//!
//! One SQLite file in one folder. SQL stays inside this folder: the other parts call typed methods
//! that resolve when the write is durable. One process serves; others (`menshen account`) may write
//! beside it, so nothing here is cached.

mod account;
mod act;
mod agreed;
mod api_key;
mod backup;
mod bulletin;
mod campaign;
mod challenge;
mod claim;
mod command;
mod condition;
mod connection;
mod device;
mod error;
mod failure;
mod feed;
mod field;
mod finding;
mod grant;
mod hold;
mod invitation;
mod issuer_keys;
mod issuer_session;
mod link;
mod memory;
mod migration;
mod new_password;
mod notice;
mod own_sessions;
mod parked;
mod passkey;
mod policy;
mod reader;
mod recovery;
mod registry;
mod replay;
mod reset;
mod restored;
mod review;
mod revocation;
mod roster;
mod session;
mod shared_act;
mod subject_word;
mod summary;
mod usage;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

pub use account::{AccountRow, NewAccountRow};
pub use act::ActRow;
pub use agreed::AgreedTo;
pub use api_key::ApiKeyRow;
pub use backup::check_restored;
pub use bulletin::{BulletinRow, BulletinTaken};
pub use campaign::{CampaignRow, RightRow, VerdictRow};
pub use challenge::{ChallengeId, ChallengeRow};
pub use claim::Claim;
pub use command::{AskedRow, CommandRow, Leave, SwitchRow};
pub use device::DeviceRow;
pub use error::StateError;
pub use failure::{Attempt, Charge, Charged, FailureRules, Settled};
pub use feed::{
    FeedBatch, FeedItem, FeedRow, FeedSlice, FeedStand, FeedsTaken, Lane, MOST_TOLD_BYTES,
};
pub use field::FieldRow;
pub use finding::{CurbRow, FindingRow, NewFinding};
pub use grant::{GrantRow, GrantStep, GrantTold, StepTold};
pub use hold::HoldRow;
pub use invitation::Invited;
pub use issuer_keys::IssuerKeysRow;
pub use issuer_session::{IssuerSessionRow, IssuerTag};
pub use link::{LinkRow, LinkTold, NewLink, Taken, TicketRow};
pub use new_password::NewPasswordRow;
pub use notice::{NewNotice, NoticeRow};
pub use own_sessions::OwnSessionRow;
pub use parked::ParkedRow;
pub use passkey::{PasskeyAdded, PasskeyRow, PasskeyUse};
pub use policy::PolicyRow;
pub use recovery::RecoveryTag;
pub use registry::{NewRegistryRow, RegistryRow, RegistryStep};
pub use replay::ProofTaken;
pub use reset::{ResetRow, counted_as};
pub use restored::{Before, RestoreRow, end_after_restore};
pub use review::ReviewRow;
pub use revocation::{RevocationRow, RevocationTag};
pub use roster::RosterRow;
pub use session::{Elevated, Elevation, NewSessionRow, Proof, SessionId, SessionRow};
pub use subject_word::{NewSubjectWord, SubjectAct, SubjectWordRow, SubjectWords, WordTold};
pub use summary::SummaryRow;
pub use usage::{SeenRow, Usage, UsageChange, UsageRow};

use crate::clock::Clock;
use crate::secret::MasterKey;

/// The longest wait for the state: a caller is told to come back rather than kept hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open state folder; clones share its threads.
#[derive(Clone, Debug)]
pub struct Store {
    writer: writer::Writer,
    readers: reader::Readers,
    clock: Clock,
    path: PathBuf,
    /// In whose name acts are noted.
    actor: Arc<str>,
}

impl Store {
    /// Opens the folder, or makes it, and starts the threads that write and read.
    ///
    /// Blocks for a few disk accesses: call it before the server runs.
    ///
    /// # Errors
    /// [`StateError::OtherKey`] if the folder was made under another master key,
    /// [`StateError::Newer`] if by a newer program, else what the disk or SQLite said.
    pub fn open(dir: &Path, master: &MasterKey, clock: Clock) -> Result<Self, StateError> {
        let path = connection::prepare(dir)?;
        let mut first = connection::open_writer(&path)?;
        migration::migrate(&mut first)?;
        check_key(&first, master)?;
        let readers = reader::Readers::start(&path)?;
        let writer = writer::Writer::start(first, path.clone())?;
        Ok(Self { writer, readers, clock, path, actor: "gate".into() })
    }

    /// The same store in somebody's name: acts on accounts are noted as theirs.
    #[must_use]
    pub fn acting_as(self, name: &str) -> Self {
        Self { actor: name.into(), ..self }
    }

    fn doer(&self) -> act::Doer {
        act::Doer { name: Arc::clone(&self.actor), at_ms: self.clock.unix_ms() }
    }

    /// Whether there is a state in this folder.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        dir.join(connection::FILE).is_file()
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written now is likely to be lost: a commit failed or hangs, and nothing was written on trial since.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// Writes something that says nothing; if that is durable, the state fails no more.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn write_on_trial(&self) -> Result<(), StateError> {
        let done = tokio::time::timeout(PATIENCE, self.writer.write_on_trial()).await;
        done.map_err(|_elapsed| StateError::TimedOut)?
    }

    /// Runs `work` on the writer's thread; what it did is durable when this resolves to `Ok`.
    async fn write<T, F>(&self, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    {
        let done = tokio::time::timeout(PATIENCE, self.writer.write(work)).await;
        done.map_err(|_elapsed| StateError::TimedOut)?
    }

    /// Runs `lookup` on a reader's thread.
    async fn read<T, F>(&self, lookup: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    {
        let done = tokio::time::timeout(PATIENCE, self.readers.read(lookup)).await;
        done.map_err(|_elapsed| StateError::TimedOut)?
    }
}

/// Sets the key check of a new folder, then compares it with that of `master`.
fn check_key(connection: &Connection, master: &MasterKey) -> Result<(), StateError> {
    let check = master.tagger("state-folder")?.reference(&[b"check"]);
    connection.execute(
        "INSERT INTO folder (key_check) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM folder)",
        [&check],
    )?;
    let found: String =
        connection.query_row("SELECT key_check FROM folder", [], |row| row.get(0))?;
    if found == check { Ok(()) } else { Err(StateError::OtherKey) }
}

#[cfg(test)]
mod tests;
