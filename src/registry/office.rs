//! Where steps are taken and looked up: each is kept sealed, with its act in the same transaction. Whoever can write the
//! state and has no key admits nobody.

use serde::{Deserialize, Serialize};

use super::{
    Contract, Demands, KEPT_YEARS, Kind, Particulars, Partner, RegistryError, Signature, Standing,
    Step, Tenant, Turn, check_name,
};
use crate::clock::Clock;
use crate::command::{Doer, check_reason};
use crate::secret::{MasterKey, Sealer, SecretError};
use crate::state::{NewRegistryRow, RegistryRow, RegistryStep, StateError, Store};

/// The most bytes of what is said, so that other gates can be told.
const MOST_BYTES: usize = 7 * 1024;
/// What one is, or that it does not read.
type Opened = Result<Said, RegistryError>;
const YEAR_MS: i64 = 366 * 86_400_000;

/// What somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A partner.
    Partner(Box<Partner>),
    /// A tenant.
    Tenant(Tenant),
}

/// What somebody is since a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What it is.
    pub said: Said,
    /// The step, in the log's word.
    pub act: String,
    /// Who took it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

/// All of a kind, as they were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Those that read, by name.
    pub noted: Vec<Noted>,
    /// The names of those that do not, of which nothing holds.
    pub unreadable: Vec<String>,
}

/// Where steps are taken.
#[derive(Debug)]
pub struct Office {
    store: Store,
    sealer: Sealer,
    clock: Clock,
}

impl Office {
    /// On this state.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn new(store: Store, master: &MasterKey, clock: Clock) -> Result<Self, SecretError> {
        Ok(Self { store, sealer: master.sealer("registry")?, clock })
    }

    /// Writes down what shall hold of a partner; what was on its way before is dropped, what holds goes on.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was kept.
    pub async fn draft(
        &self,
        doer: &Doer,
        name: &str,
        contract: Contract,
        reason: &str,
    ) -> Result<Partner, RegistryError> {
        check_name(Kind::Partner, name)?;
        let (known, after) = self.known(Kind::Partner, name).await?;
        let mut partner = match known {
            Some(Ok(Said::Partner(partner))) => *partner,
            None => Partner::new(name),
            // What does not read is mended by another draft, and nothing holds until others agree to that.
            Some(Ok(Said::Tenant(_)) | Err(_)) => {
                Partner { standing: Standing::Ended, ..Partner::new(name) }
            }
        };
        let detail = contract.words();
        partner.draft(contract, Signature::of(doer, self.clock.unix_ms()));
        let mut step = said("partner_drafted", detail, reason);
        step.is_told = false;
        self.put(doer, Said::Partner(Box::new(partner.clone())), after, step).await?;
        Ok(partner)
    }

    /// Takes a step with a partner.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing changed.
    pub async fn take(
        &self,
        doer: &Doer,
        name: &str,
        step: Step,
        reason: &str,
    ) -> Result<Partner, RegistryError> {
        let (mut partner, after) = match self.newest(Kind::Partner, name).await? {
            (Some(Said::Partner(partner)), after) => (*partner, after),
            (Some(Said::Tenant(_)) | None, _) => return Err(unknown(Kind::Partner, name)),
        };
        let proposal = partner.proposal.clone();
        partner.take(step, doer, self.clock.unix_ms(), &self.demands().await?)?;
        let about = proposal.as_ref().map(|proposal| &proposal.contract);
        let contract = match step {
            Step::Review | Step::Approve | Step::Activate => about,
            Step::Suspend | Step::Resume | Step::End => partner.contract.as_ref(),
        };
        let detail = contract.map(Contract::words).unwrap_or_default();
        let mut noted = said(step.act(), detail, reason);
        // What does not hold yet stays at the gate where it was drafted. Nothing of it comes over a suspension that
        // this gate has not heard of.
        noted.is_told = match step {
            Step::Review | Step::Approve => false,
            Step::Activate | Step::Suspend | Step::Resume | Step::End => true,
        };
        if step == Step::Activate {
            let names = proposal.iter().flat_map(|proposal| &proposal.approved);
            let names: Vec<&str> = names.map(|signature| signature.name.as_str()).collect();
            noted.approved_by = names.join(", ");
        }
        self.put(doer, Said::Partner(Box::new(partner.clone())), after, noted).await?;
        Ok(partner)
    }

    /// Registers a tenant, or says anew who it is; one that was ended is served again.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was kept.
    pub async fn put_tenant(
        &self,
        doer: &Doer,
        name: &str,
        particulars: Particulars,
        reason: &str,
    ) -> Result<Tenant, RegistryError> {
        check_name(Kind::Tenant, name)?;
        let (known, after) = self.known(Kind::Tenant, name).await?;
        let (turn, since_ms) = match known {
            // Who corrects an address does not resume what somebody suspended.
            Some(Ok(Said::Tenant(tenant))) if tenant.turn == Turn::Suspended => {
                (Turn::Suspended, tenant.since_ms)
            }
            Some(Ok(Said::Tenant(tenant))) => (Turn::Active, tenant.since_ms),
            None => (Turn::Active, self.clock.unix_ms()),
            Some(Ok(Said::Partner(_)) | Err(_)) => (Turn::Suspended, self.clock.unix_ms()),
        };
        let detail = format!("registration {}", particulars.registration);
        let tenant = Tenant { name: name.to_owned(), particulars, turn, since_ms };
        let step = said("tenant_put", detail, reason);
        self.put(doer, Said::Tenant(tenant.clone()), after, step).await?;
        Ok(tenant)
    }

    /// Turns a tenant.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing changed.
    pub async fn turn_tenant(
        &self,
        doer: &Doer,
        name: &str,
        to: Turn,
        reason: &str,
    ) -> Result<Tenant, RegistryError> {
        let (mut tenant, after) = match self.newest(Kind::Tenant, name).await? {
            (Some(Said::Tenant(tenant)), after) => (tenant, after),
            (Some(Said::Partner(_)) | None, _) => return Err(unknown(Kind::Tenant, name)),
        };
        tenant.turn_to(to)?;
        let detail = format!("registration {}", tenant.particulars.registration);
        let step = said(to.act(), detail, reason);
        self.put(doer, Said::Tenant(tenant.clone()), after, step).await?;
        Ok(tenant)
    }

    /// All of a kind, by name, as they are now.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn all(&self, kind: Kind) -> Result<Listed, RegistryError> {
        let mut listed = Listed::default();
        for row in self.store.all_registered(kind.word()).await? {
            match self.open(&row) {
                Ok(noted) => listed.noted.push(noted),
                Err(_damaged) => listed.unreadable.push(row.name),
            }
        }
        Ok(listed)
    }

    /// What one was, step by step, as far as that reads; the last is what it is now.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none of that name, [`RegistryError::Damaged`] if the last step does not
    /// read.
    pub async fn history(&self, kind: Kind, name: &str) -> Result<Vec<Noted>, RegistryError> {
        let rows = self.store.registered_history(kind.word(), name).await?;
        if rows.is_empty() {
            return Err(unknown(kind, name));
        }
        let mut steps: Vec<_> = rows.iter().map(|row| self.open(row)).collect();
        let last = steps.pop().transpose()?;
        Ok(steps.into_iter().flatten().chain(last).collect())
    }

    /// What the policy in force asks, as the last gate said that ran here.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn demands(&self) -> Result<Demands, RegistryError> {
        let text = self.store.registry_demands().await?;
        // What does not read asks for what nobody attests.
        let strictest = Demands { level: u8::MAX, purposes: Vec::new() };
        match text.as_str() {
            "" => Ok(Demands::default()),
            text => Ok(serde_json::from_str(text).unwrap_or(strictest)),
        }
    }

    /// Says so, for a policy that comes into force.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn set_demands(&self, demands: &Demands) -> Result<(), StateError> {
        // What could not be written down asks for what nobody attests.
        let text = serde_json::to_string(demands).unwrap_or_else(|_never| "?".to_owned());
        self.store.set_registry_demands(text).await
    }

    /// Forgets what was so more than [`KEPT_YEARS`] ago and is not so any more.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn tidy(&self) -> Result<(), RegistryError> {
        let before_ms = self.clock.unix_ms().saturating_sub(KEPT_YEARS.saturating_mul(YEAR_MS));
        Ok(self.store.forget_registered(before_ms).await?)
    }

    pub(super) fn now_s(&self) -> i64 {
        self.clock.unix_s()
    }

    /// Rows after one, in order, and at most so many.
    pub(super) async fn rows_after(
        &self,
        seq: i64,
        most: u32,
    ) -> Result<Vec<RegistryRow>, RegistryError> {
        Ok(self.store.registered_after(seq, most).await?)
    }

    pub(super) fn open(&self, row: &RegistryRow) -> Result<Noted, RegistryError> {
        let kind = Kind::of(&row.kind).unwrap_or(Kind::Partner);
        let damaged = || RegistryError::Damaged(kind, row.name.clone());
        let label = label(&row.kind, &row.name);
        let opened = self.sealer.open(&label, &row.sealed).map_err(|_altered| damaged())?;
        serde_json::from_slice(&opened).map_err(|_form| damaged())
    }

    /// What one is now, and the number of that row.
    async fn newest(&self, kind: Kind, name: &str) -> Result<(Option<Said>, i64), RegistryError> {
        let (known, seq) = self.known(kind, name).await?;
        Ok((known.transpose()?, seq))
    }

    /// The same, where it need not read.
    async fn known(&self, kind: Kind, name: &str) -> Result<(Option<Opened>, i64), RegistryError> {
        let row = self.store.registered(kind.word(), name).await?;
        let seq = row.as_ref().map_or(0, |row| row.seq);
        Ok((row.map(|row| Ok(self.open(&row)?.said)), seq))
    }

    async fn put(
        &self,
        doer: &Doer,
        said: Said,
        after: i64,
        step: RegistryStep,
    ) -> Result<(), RegistryError> {
        check_reason(&step.reason)?;
        let (kind, name) = match &said {
            Said::Partner(partner) => (Kind::Partner, partner.name.clone()),
            Said::Tenant(tenant) => (Kind::Tenant, tenant.name.clone()),
        };
        let noted = Noted {
            said,
            act: step.act.to_owned(),
            by: doer.name.clone(),
            reason: step.reason.clone(),
            at_ms: self.clock.unix_ms(),
        };
        let text = serde_json::to_vec(&noted).map_err(|_never| RegistryError::TooLong)?;
        if text.len() > MOST_BYTES {
            return Err(RegistryError::TooLong);
        }
        let kind = kind.word().to_owned();
        let sealed = self.sealer.seal(&label(&kind, &name), &text)?;
        let row = NewRegistryRow { kind, name, sealed, after };
        Ok(self.store.clone().acting_as(&doer.name).put_registered(row, step).await?)
    }
}

fn said(act: &'static str, detail: String, reason: &str) -> RegistryStep {
    RegistryStep {
        act,
        detail,
        reason: reason.to_owned(),
        approved_by: String::new(),
        is_told: true,
    }
}

fn unknown(kind: Kind, name: &str) -> RegistryError {
    RegistryError::Unknown(kind, name.chars().take(64).collect())
}

fn label(kind: &str, name: &str) -> String {
    format!("registry\n{kind}\n{name}")
}
