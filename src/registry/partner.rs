//! A partner: drafted, reviewed, agreed to by two, active; suspended or ended. Pure.
//!
//! What is on its way to hold stands beside what holds: a contract that is renewed goes on until the new one is active.

use serde::{Deserialize, Serialize};

use super::RegistryError;
use super::contract::Contract;
use crate::command::Doer;

/// So many persons agree.
const AGREE: usize = 2;

/// Somebody who receives data for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// As callers have it as their attribute `partner`, or as their account if they are of that kind.
    pub name: String,
    /// Whether it may receive anything.
    pub standing: Standing,
    /// What holds, or held until it was suspended or ended.
    pub contract: Option<Contract>,
    /// What is on its way to hold.
    pub proposal: Option<Proposal>,
    /// When it became active for the first time, Unix milliseconds.
    pub since_ms: Option<i64>,
}

/// Whether a partner may receive anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It never could.
    Proposed,
    /// Until its contract is over.
    Active,
    /// Not until it is resumed.
    Suspended,
    /// Not unless it is drafted anew.
    Ended,
}

/// A contract that does not hold yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What it says.
    pub contract: Contract,
    /// How far it is.
    pub stage: Stage,
    /// Who drafted it.
    pub drafted: Signature,
    /// Who reviewed it.
    pub reviewed: Option<Signature>,
    /// Who agreed.
    pub approved: Vec<Signature>,
}

/// How far a proposal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody wrote it down.
    Draft,
    /// Somebody else looked at it.
    Reviewed,
    /// Two persons agreed.
    Approved,
}

/// Who took a step, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// As the log names them.
    pub name: String,
    /// Who that is, whichever account they used.
    pub person: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// What can be done with a partner that is drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody looks at the draft.
    Review,
    /// Somebody agrees.
    Approve,
    /// It holds from now on.
    Activate,
    /// It receives nothing for a while.
    Suspend,
    /// It goes on.
    Resume,
    /// It receives nothing any more.
    End,
}

/// What the policy in force asks of partners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// The least attested level.
    pub level: u8,
    /// The purposes that there are.
    pub purposes: Vec<String>,
}

impl Stage {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Reviewed => "reviewed",
            Self::Approved => "approved",
        }
    }
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 6] =
        [Self::Review, Self::Approve, Self::Activate, Self::Suspend, Self::Resume, Self::End];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Approve => "approve",
            Self::Activate => "activate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::End => "end",
        }
    }

    /// What it is then.
    #[must_use]
    pub fn done(self) -> &'static str {
        match self {
            Self::Review => "reviewed",
            Self::Approve => "approved",
            Self::Activate => "activated",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::End => "ended",
        }
    }

    /// The word of the log.
    pub(super) fn act(self) -> &'static str {
        match self {
            Self::Review => "partner_reviewed",
            Self::Approve => "partner_approved",
            Self::Activate => "partner_activated",
            Self::Suspend => "partner_suspended",
            Self::Resume => "partner_resumed",
            Self::End => "partner_ended",
        }
    }
}

impl Partner {
    /// Nobody said anything of it yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (name, standing) = (name.to_owned(), Standing::Proposed);
        Self { name, standing, contract: None, proposal: None, since_ms: None }
    }

    /// The word for where it is.
    #[must_use]
    pub fn state(&self, now_s: i64) -> &'static str {
        let is_over = self.contract.as_ref().is_none_or(|contract| contract.is_over(now_s));
        match (self.standing, &self.proposal) {
            (Standing::Proposed, Some(proposal)) => proposal.stage.word(),
            (Standing::Proposed, None) => "unknown",
            (Standing::Active, _) if is_over => "expired",
            (Standing::Active, _) => "active",
            (Standing::Suspended, _) => "suspended",
            (Standing::Ended, _) => "ended",
        }
    }

    /// Somebody writes down what shall hold; what was on its way before is dropped.
    pub fn draft(&mut self, contract: Contract, by: Signature) {
        let (stage, reviewed, approved) = (Stage::Draft, None, Vec::new());
        self.proposal = Some(Proposal { contract, stage, drafted: by, reviewed, approved });
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing changed then.
    pub fn take(
        &mut self,
        step: Step,
        doer: &Doer,
        at_ms: i64,
        demands: &Demands,
    ) -> Result<(), RegistryError> {
        let now_s = at_ms.div_euclid(1000);
        match step {
            Step::Review => self.review(doer, at_ms),
            Step::Approve => self.approve(doer, at_ms),
            Step::Activate => self.activate(demands, at_ms),
            Step::Suspend => self.turn(&[Standing::Active], Standing::Suspended, step, now_s),
            Step::Resume => self.turn(&[Standing::Suspended], Standing::Active, step, now_s),
            Step::End => {
                let from = [Standing::Proposed, Standing::Active, Standing::Suspended];
                self.turn(&from, Standing::Ended, step, now_s)?;
                self.proposal = None;
                Ok(())
            }
        }
    }

    fn review(&mut self, doer: &Doer, at_ms: i64) -> Result<(), RegistryError> {
        let proposal = self.proposal_at(Stage::Draft, Step::Review, at_ms)?;
        doer.other_than(&proposal.drafted.person)?;
        (proposal.stage, proposal.reviewed) = (Stage::Reviewed, Some(Signature::of(doer, at_ms)));
        Ok(())
    }

    fn approve(&mut self, doer: &Doer, at_ms: i64) -> Result<(), RegistryError> {
        let proposal = self.proposal_at(Stage::Reviewed, Step::Approve, at_ms)?;
        doer.other_than(&proposal.drafted.person)?;
        for earlier in &proposal.approved {
            doer.other_than(&earlier.person)?;
        }
        proposal.check_complete(at_ms)?;
        proposal.approved.push(Signature::of(doer, at_ms));
        if proposal.approved.len() >= AGREE {
            proposal.stage = Stage::Approved;
        }
        Ok(())
    }

    fn activate(&mut self, demands: &Demands, at_ms: i64) -> Result<(), RegistryError> {
        let proposal = self.proposal_at(Stage::Approved, Step::Activate, at_ms)?;
        proposal.check_complete(at_ms)?;
        let contract = proposal.contract.clone();
        if contract.level < demands.level {
            return Err(RegistryError::Level { has: contract.level, asks: demands.level });
        }
        let unknown = contract.purposes.iter().find(|name| !demands.purposes.contains(name));
        if let Some(unknown) = unknown {
            return Err(RegistryError::Purpose(unknown.clone()));
        }
        if self.standing == Standing::Suspended {
            // A new contract is no way around whoever suspended it.
            return Err(RegistryError::State { state: "suspended", step: "activated" });
        }
        (self.contract, self.proposal) = (Some(contract), None);
        self.standing = Standing::Active;
        self.since_ms.get_or_insert(at_ms);
        Ok(())
    }

    fn turn(
        &mut self,
        from: &[Standing],
        to: Standing,
        step: Step,
        now_s: i64,
    ) -> Result<(), RegistryError> {
        if !from.contains(&self.standing) {
            return Err(RegistryError::State { state: self.state(now_s), step: step.done() });
        }
        self.standing = to;
        Ok(())
    }

    fn proposal_at(
        &mut self,
        stage: Stage,
        step: Step,
        at_ms: i64,
    ) -> Result<&mut Proposal, RegistryError> {
        let state = match &self.proposal {
            Some(proposal) => proposal.stage.word(),
            None => self.state(at_ms.div_euclid(1000)),
        };
        let proposal = self.proposal.as_mut().filter(|proposal| proposal.stage == stage);
        proposal.ok_or(RegistryError::State { state, step: step.done() })
    }
}

impl Proposal {
    fn check_complete(&self, at_ms: i64) -> Result<(), RegistryError> {
        let lacks = self.contract.lacks();
        if !lacks.is_empty() {
            return Err(RegistryError::Missing(lacks));
        }
        match self.contract.is_over(at_ms.div_euclid(1000)) {
            true => Err(RegistryError::Over(self.contract.until.clone())),
            false => Ok(()),
        }
    }
}

impl Signature {
    pub(super) fn of(doer: &Doer, at_ms: i64) -> Self {
        Self { name: doer.name.clone(), person: doer.person.clone(), at_ms }
    }
}
