//! A tenant: who it is, whom to ask, and whether it is served. Pure.

use serde::{Deserialize, Serialize};

use super::RegistryError;

/// Somebody who works on the platform with data of its own, such as a merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// As callers have it as their attribute `tenant`.
    pub name: String,
    /// Who it is.
    pub particulars: Particulars,
    /// Whether it is served.
    pub turn: Turn,
    /// When it was registered, Unix milliseconds.
    pub since_ms: i64,
}

/// Who a tenant is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// Its number in a register of companies or of the platform.
    pub registration: String,
    /// Who answers for it.
    pub owner: String,
    /// Whom to ask, and how.
    pub contact: String,
}

/// Where a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It is served.
    Active,
    /// Not until it is resumed.
    Suspended,
    /// Not unless it is put anew.
    Ended,
}

impl Turn {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
        }
    }

    /// The step that leads there.
    #[must_use]
    pub fn of(step: &str) -> Option<Self> {
        match step {
            "suspend" => Some(Self::Suspended),
            "resume" => Some(Self::Active),
            "end" => Some(Self::Ended),
            _ => None,
        }
    }

    /// The word of the log.
    pub(super) fn act(self) -> &'static str {
        match self {
            Self::Active => "tenant_resumed",
            Self::Suspended => "tenant_suspended",
            Self::Ended => "tenant_ended",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Active => "resumed",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
        }
    }
}

impl Tenant {
    /// Turns it; from which place which one can be reached.
    ///
    /// # Errors
    /// [`RegistryError::State`]; nothing changed then.
    pub fn turn_to(&mut self, to: Turn) -> Result<(), RegistryError> {
        let fits = match to {
            Turn::Active => self.turn == Turn::Suspended,
            Turn::Suspended => self.turn == Turn::Active,
            Turn::Ended => self.turn != Turn::Ended,
        };
        if !fits {
            return Err(RegistryError::State { state: self.turn.word(), step: to.done() });
        }
        self.turn = to;
        Ok(())
    }
}
