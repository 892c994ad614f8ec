//! What detections found, and letting somebody go on whom they hold.

use super::desk::{Desk, check_reason};
use super::{CommandError, Doer};
use crate::state::StateError;
pub use crate::state::{FindingRow, NewFinding};

impl Desk {
    /// The last findings, the newest first; those only that still hold somebody, if so wished.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn findings(&self, only_holding: bool) -> Result<Vec<FindingRow>, CommandError> {
        Ok(self.store.findings(only_holding).await?)
    }

    /// One finding.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn finding(&self, number: i64) -> Result<Option<FindingRow>, CommandError> {
        Ok(self.store.finding(number).await?)
    }

    /// Lets somebody go on: an account, or a person as `person/…`. Gives the numbers of the findings that held them.
    /// The gate knows within a quarter of a second.
    ///
    /// # Errors
    /// [`CommandError::NotHeld`] if nothing holds them, [`CommandError::Oneself`], [`CommandError::Reason`].
    pub async fn release(
        &self,
        doer: &Doer,
        holder: &str,
        reason: &str,
    ) -> Result<Vec<i64>, CommandError> {
        check_reason(reason)?;
        if doer.person == holder || doer.name == holder {
            return Err(CommandError::Oneself);
        }
        let store = self.store.clone().acting_as(&doer.name);
        match store.release_findings(holder, reason).await {
            Err(StateError::Unknown(_)) => Err(CommandError::NotHeld(holder.to_owned())),
            released => Ok(released?),
        }
    }

    /// Keeps what a drill found, for the gate to record.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn drilled(&self, found: Vec<NewFinding>) -> Result<(), CommandError> {
        Ok(self.store.add_findings(found).await?)
    }
}
