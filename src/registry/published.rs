//! Who receives data, for a page that everybody may read. No numbers of contracts and no names of whoever agreed.

use serde::Serialize;

use super::{Contract, Kind, Noted, Office, Partner, RegistryError, Said, Standing};

/// What may be published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Who receives data now, by name.
    pub partners: Vec<Receiver>,
    /// What changed, the newest first.
    pub changes: Vec<Change>,
}

/// Somebody who receives data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receiver {
    /// The partner.
    pub name: String,
    /// What it does.
    pub task: String,
    /// Where.
    pub country: String,
    /// Since which day.
    pub since: String,
}

/// What changed, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The day, in UTC.
    pub day: String,
    /// The partner.
    pub name: String,
    /// `added`, `changed`, `renewed` or `ended`.
    pub change: &'static str,
    /// What it does since, or did.
    pub task: String,
}

impl Office {
    /// What may be published, as it is now.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn published(&self) -> Result<Published, RegistryError> {
        let (mut published, now_s) = (Published::default(), self.now_s());
        for noted in self.all(Kind::Partner).await?.noted {
            let Some(partner) = partner(&noted) else { continue };
            published.partners.extend(receiver(partner, now_s));
            let steps = self.history(Kind::Partner, &partner.name).await?;
            published.changes.extend(changes_of(&steps, now_s));
        }
        published.changes.sort_by(|a, b| (&b.day, &a.name).cmp(&(&a.day, &b.name)));
        Ok(published)
    }
}

fn partner(noted: &Noted) -> Option<&Partner> {
    match &noted.said {
        Said::Partner(partner) => Some(partner),
        Said::Tenant(_) => None,
    }
}

/// Who is suspended is so for a while, and still named.
fn receiver(partner: &Partner, now_s: i64) -> Option<Receiver> {
    let contract = partner.contract.as_ref().filter(|contract| !contract.is_over(now_s))?;
    let is_one = matches!(partner.standing, Standing::Active | Standing::Suspended);
    is_one.then(|| Receiver {
        name: partner.name.clone(),
        task: contract.task.clone(),
        country: contract.country.clone(),
        since: day(partner.since_ms.unwrap_or_default()),
    })
}

pub(super) fn changes_of(steps: &[Noted], now_s: i64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut before: Option<&Contract> = None;
    // Of what began before that nobody knows here whether it was changed.
    let known_ms = steps.first().map_or(i64::MAX, |noted| noted.at_ms);
    for noted in steps {
        let Some(partner) = partner(noted) else { continue };
        let Some(contract) = &partner.contract else { continue };
        let is_first = before.is_none() && partner.since_ms.is_some_and(|since| since >= known_ms);
        let is_same = before.is_some_and(|before| {
            (&before.task, &before.country) == (&contract.task, &contract.country)
        });
        let change = match noted.act.as_str() {
            "partner_activated" if is_first => "added",
            "partner_activated" if is_same => "renewed",
            "partner_activated" => "changed",
            "partner_ended" => "ended",
            _ => continue,
        };
        let (name, task) = (partner.name.clone(), contract.task.clone());
        changes.push(Change { day: day(noted.at_ms), name, change, task });
        before = Some(contract);
    }
    changes.extend(steps.last().and_then(|noted| ended_by_itself(partner(noted)?, now_s)));
    changes
}

fn ended_by_itself(partner: &Partner, now_s: i64) -> Option<Change> {
    let contract = partner.contract.as_ref()?;
    let has_ended = partner.standing != Standing::Ended && contract.is_over(now_s);
    let (name, task) = (partner.name.clone(), contract.task.clone());
    has_ended.then(|| Change { day: contract.until.clone(), name, change: "ended", task })
}

fn day(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms);
    at.map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string())
}
