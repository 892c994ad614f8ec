//! The registry as a gate knows it: read on from the state many times a second, asked for each request.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{Mutex, MutexGuard, watch};

use super::{Contract, Kind, Office, RegistryError, Said, Standing, Turn};

/// So many rows are read in one step.
const BATCH: u32 = 1000;

/// What a gate knows of partners and tenants.
#[derive(Debug)]
pub struct Registry {
    office: Office,
    known: RwLock<Listing>,
    are_any: AtomicBool,
    /// The last row that holds.
    seq: AtomicI64,
    looking: Mutex<()>,
    changes: watch::Sender<()>,
}

/// Partners and tenants, as far as somebody knows of them.
#[derive(Clone, Debug, Default)]
pub struct Listing(HashMap<(Kind, String), Held>);

/// What is known of one.
#[derive(Clone, Debug)]
enum Held {
    /// Nothing holds of it yet.
    Proposed,
    Partner {
        standing: Standing,
        /// When its contract is over, Unix seconds; `None` for always.
        over_s: Option<i64>,
        contract: Box<Contract>,
    },
    Tenant(Turn),
    /// It does not read, so nothing of it holds.
    Damaged,
}

/// What was read and does not hold yet.
#[derive(Debug)]
pub struct News {
    rows: Vec<(Kind, String, Held)>,
    /// The number of the last row, whether or not it says something.
    last: i64,
}

/// Who asks, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The partners in whose names the caller asks.
    pub partners: &'a [String],
    /// The tenants that the caller is of.
    pub tenants: &'a [String],
    /// The purpose that was declared.
    pub purpose: Option<&'a str>,
    /// Now, Unix seconds.
    pub now_s: i64,
}

/// What the policy asks of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asks {
    /// Whether a partner that is not registered may ask nothing.
    pub partners: bool,
    /// The same of tenants.
    pub tenants: bool,
    /// The least attested level of partners.
    pub level: u8,
}

/// Why a request is refused, with what the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The partner is not admitted: where it is instead.
    Partner(String, &'static str),
    /// It was attested less than the policy asks.
    Level(String, u8, u8),
    /// Its contract ended with this day.
    Over(String, String),
    /// The contract is not for that purpose.
    Purpose(String, String),
    /// The contract does not have that field, or whatever stands in a file about that entity.
    Field(String, String),
    /// The tenant is not served: where it is instead.
    Tenant(String, &'static str),
}

impl Unfit {
    /// The word for it.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Partner(..) | Self::Level(..) => "partner_not_admitted",
            Self::Over(..) => "contract_over",
            Self::Purpose(..) => "purpose_not_in_contract",
            Self::Field(..) => "field_not_in_contract",
            Self::Tenant(..) => "tenant_not_active",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(name, state) => write!(f, "partner `{name}` is {state}"),
            Self::Level(name, has, asks) => {
                write!(f, "partner `{name}` is of level {has}, and the policy asks for {asks}")
            }
            Self::Over(name, until) => {
                write!(f, "the contract of partner `{name}` ended with {until}")
            }
            Self::Purpose(name, purpose) if purpose.is_empty() => {
                write!(f, "partner `{name}` declares no purpose of its contract")
            }
            Self::Purpose(name, purpose) => {
                write!(f, "the contract of partner `{name}` is not for `{purpose}`")
            }
            Self::Field(name, field) => {
                write!(f, "the contract of partner `{name}` is not for `{field}`")
            }
            Self::Tenant(name, state) => write!(f, "tenant `{name}` is {state}"),
        }
    }
}

impl Registry {
    /// Nothing is known yet: [`Registry::look`] comes before the first request.
    #[must_use]
    pub fn new(office: Office) -> Self {
        let (known, are_any, looking) = Default::default();
        let (seq, changes) = (AtomicI64::new(0), watch::Sender::new(()));
        Self { office, known, are_any, seq, looking, changes }
    }

    /// Where steps are taken.
    #[must_use]
    pub fn office(&self) -> &Office {
        &self.office
    }

    /// Lets one look at a time.
    pub async fn only_one(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Reads some of what was done since the last look; nothing where nothing was.
    ///
    /// # Errors
    /// [`RegistryError`]; what is known is as old as it was.
    pub async fn look(&self) -> Result<Option<News>, RegistryError> {
        let rows = self.office.rows_after(self.seq.load(Ordering::Acquire), BATCH).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let last = rows.last().map_or(0, |row| row.seq);
        let mut read = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(kind) = Kind::of(&row.kind) else {
                tracing::error!("a row of a newer menshen in the registry counts for nothing");
                continue;
            };
            let held = match self.office.open(&row) {
                Ok(noted) => Held::of(noted.said),
                Err(error) => {
                    tracing::error!(%error, "nothing of it holds");
                    Held::Damaged
                }
            };
            read.push((kind, row.name, held));
        }
        Ok(Some(News { rows: read, last }))
    }

    /// Lets what was read hold. Unless it `is_recorded`, only what lets nobody ask does, and it is read again.
    pub fn install(&self, news: News, is_recorded: bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut newest: HashMap<(Kind, String), Held> = HashMap::new();
        newest.extend(news.rows.into_iter().map(|(kind, name, held)| ((kind, name), held)));
        newest.retain(|_, held| is_recorded || held.admits_nobody());
        known.0.extend(newest);
        self.are_any.store(!known.0.is_empty(), Ordering::Release);
        drop(known);
        if is_recorded {
            self.seq.fetch_max(news.last, Ordering::AcqRel);
        }
        self.changes.send_replace(());
    }

    /// Tells when something changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether somebody is refused for what the registry says of them, or does not say.
    #[must_use]
    pub fn unfit(&self, asked: &Asked<'_>, asks: Asks) -> Option<Unfit> {
        if !self.are_any.load(Ordering::Acquire) && !asks.partners && !asks.tenants {
            return None;
        }
        self.read().unfit(asked, asks)
    }

    /// Whether one of these is a partner whose contract says for what it asks.
    #[must_use]
    pub fn needs_purpose<'n>(&self, partners: &'n [String]) -> Option<&'n String> {
        self.read().needs_purpose(partners)
    }

    /// Whether one of these partners would receive more than its contract has; `fields` in whatever form.
    #[must_use]
    pub fn beyond<'f>(
        &self,
        partners: &[String],
        fields: impl Iterator<Item = &'f str> + Clone,
    ) -> Option<Unfit> {
        self.read().beyond(partners, fields)
    }

    /// The number of the contract that a partner has; empty where it has none.
    #[must_use]
    pub fn contract_of(&self, name: &str) -> String {
        match self.read().0.get(&(Kind::Partner, name.to_owned())) {
            Some(Held::Partner { contract, .. }) => contract.contract.clone(),
            Some(Held::Proposed | Held::Tenant(_) | Held::Damaged) | None => String::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Listing> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    /// Adds a partner that two persons admitted under this contract.
    pub fn admit(&mut self, name: &str, contract: Contract) {
        let (standing, over_s) = (Standing::Active, contract.over_s());
        let held = Held::Partner { standing, over_s, contract: Box::new(contract) };
        self.0.insert((Kind::Partner, name.to_owned()), held);
    }

    /// Adds a tenant that is served.
    pub fn serve(&mut self, name: &str) {
        self.0.insert((Kind::Tenant, name.to_owned()), Held::Tenant(Turn::Active));
    }

    /// Whether somebody is refused for what is known of them, or is not known.
    #[must_use]
    pub fn unfit(&self, asked: &Asked<'_>, asks: Asks) -> Option<Unfit> {
        let partner = |name: &String| unfit_partner(&self.0, name, asked, asks);
        let tenant = |name: &String| unfit_tenant(&self.0, name, asks);
        let unfit = asked.tenants.iter().find_map(tenant);
        unfit.or_else(|| asked.partners.iter().find_map(partner))
    }

    /// Whether one of these is a partner whose contract says for what it asks.
    #[must_use]
    pub fn needs_purpose<'n>(&self, partners: &'n [String]) -> Option<&'n String> {
        let is_held = |name: &&String| {
            let key = (Kind::Partner, (*name).clone());
            matches!(self.0.get(&key), Some(Held::Partner { .. }))
        };
        partners.iter().find(is_held)
    }

    /// Whether one of these partners would receive more than its contract has; `fields` in whatever form.
    #[must_use]
    pub fn beyond<'f>(
        &self,
        partners: &[String],
        fields: impl Iterator<Item = &'f str> + Clone,
    ) -> Option<Unfit> {
        partners.iter().find_map(|name| match self.0.get(&(Kind::Partner, name.clone())) {
            Some(Held::Partner { contract, .. }) => {
                let field = fields.clone().find(|field| !contract.covers(field))?;
                Some(Unfit::Field(name.clone(), field.to_owned()))
            }
            Some(Held::Proposed | Held::Tenant(_) | Held::Damaged) | None => None,
        })
    }
}

impl Held {
    fn of(said: Said) -> Self {
        match said {
            Said::Tenant(tenant) => Self::Tenant(tenant.turn),
            Said::Partner(partner) => match (partner.standing, partner.contract) {
                (Standing::Proposed, _) => Self::Proposed,
                (standing, contract) => {
                    let contract = Box::new(contract.unwrap_or_default());
                    Self::Partner { standing, over_s: contract.over_s(), contract }
                }
            },
        }
    }

    fn admits_nobody(&self) -> bool {
        match self {
            Self::Proposed => false,
            Self::Partner { standing, .. } => *standing != Standing::Active,
            Self::Tenant(turn) => *turn != Turn::Active,
            Self::Damaged => true,
        }
    }
}

fn unfit_tenant(known: &HashMap<(Kind, String), Held>, name: &str, asks: Asks) -> Option<Unfit> {
    let state = match known.get(&(Kind::Tenant, name.to_owned())) {
        Some(Held::Tenant(Turn::Active)) => return None,
        Some(Held::Tenant(turn)) => turn.word(),
        Some(Held::Damaged | Held::Proposed | Held::Partner { .. }) => "not readable",
        None if asks.tenants => "not registered",
        None => return None,
    };
    Some(Unfit::Tenant(name.to_owned(), state))
}

fn unfit_partner(
    known: &HashMap<(Kind, String), Held>,
    name: &str,
    asked: &Asked<'_>,
    asks: Asks,
) -> Option<Unfit> {
    let not_admitted = |state| Some(Unfit::Partner(name.to_owned(), state));
    let (over_s, contract) = match known.get(&(Kind::Partner, name.to_owned())) {
        None | Some(Held::Proposed) if !asks.partners => return None,
        None => return not_admitted("not registered"),
        Some(Held::Proposed) => return not_admitted("not admitted yet"),
        Some(Held::Damaged | Held::Tenant(_)) => return not_admitted("not readable"),
        Some(Held::Partner { standing, over_s, contract }) => match standing {
            Standing::Active => (over_s, contract),
            Standing::Proposed => return not_admitted("not admitted yet"),
            Standing::Suspended => return not_admitted("suspended"),
            Standing::Ended => return not_admitted("ended"),
        },
    };
    if over_s.is_none_or(|over| asked.now_s >= over) {
        return Some(Unfit::Over(name.to_owned(), contract.until.clone()));
    }
    if contract.level < asks.level {
        return Some(Unfit::Level(name.to_owned(), contract.level, asks.level));
    }
    let purpose = asked.purpose?;
    let is_in = contract.purposes.iter().any(|known| known == purpose);
    (!is_in).then(|| Unfit::Purpose(name.to_owned(), purpose.to_owned()))
}
