//! Brings the database file to the newest schema: numbered SQL files, `PRAGMA user_version`.
//!
//! A file from a newer menshen is refused rather than guessed at.

use rusqlite::{Connection, TransactionBehavior};

use super::StateError;

/// The steps in order; step `n` (from 1) brings a file from version `n - 1` to `n`.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_acts.sql"),
    include_str!("migrations/0003_fields.sql"),
    include_str!("migrations/0004_networks.sql"),
    include_str!("migrations/0005_passkeys.sql"),
    include_str!("migrations/0006_parked.sql"),
    include_str!("migrations/0007_revocations.sql"),
    include_str!("migrations/0008_sign_ins.sql"),
    include_str!("migrations/0009_devices.sql"),
    include_str!("migrations/0010_roster.sql"),
    include_str!("migrations/0011_recovery.sql"),
    include_str!("migrations/0012_api_keys.sql"),
    include_str!("migrations/0013_issuer_sessions.sql"),
    include_str!("migrations/0014_proofs.sql"),
    include_str!("migrations/0015_commands.sql"),
    include_str!("migrations/0016_passkey_devices.sql"),
    include_str!("migrations/0017_issuer_keys.sql"),
    include_str!("migrations/0018_resets.sql"),
    include_str!("migrations/0019_findings.sql"),
    include_str!("migrations/0020_holds.sql"),
    include_str!("migrations/0021_device_changes.sql"),
    include_str!("migrations/0022_grants.sql"),
    include_str!("migrations/0023_notices.sql"),
    include_str!("migrations/0024_bulletin.sql"),
    include_str!("migrations/0025_grant_reviews.sql"),
    include_str!("migrations/0026_links.sql"),
    include_str!("migrations/0027_restores.sql"),
    include_str!("migrations/0028_link_tickets.sql"),
    include_str!("migrations/0029_subjects.sql"),
    include_str!("migrations/0030_registry.sql"),
    include_str!("migrations/0031_campaigns.sql"),
    include_str!("migrations/0032_policies.sql"),
    include_str!("migrations/0033_agreed.sql"),
    include_str!("migrations/0034_subject_words_kept.sql"),
    include_str!("migrations/0035_feeds.sql"),
    include_str!("migrations/0036_trial.sql"),
];

/// Runs the steps that the file lacks, all in one transaction.
///
/// # Errors
/// [`StateError::Newer`] if the file knows more steps than this program.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    // Immediate: two processes opening a new folder at once must not both run the steps.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let newest = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let missing = STEPS.get(done..).ok_or(StateError::Newer { found: version, newest })?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", newest)?;
    Ok(transaction.commit()?)
}
