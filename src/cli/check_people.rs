//! `menshen check --people`: whether anybody holds roles that the policy keeps apart, by one local account or several.

use std::collections::BTreeMap;
use std::io::Write;

use super::account::open_of;
use super::{Failure, Outcome};
use crate::config::Config;
use crate::identity::{Account, AccountError, Identity, Standing};
use crate::policy::Program;

/// The accounts of somebody, and the roles of all.
#[derive(Default)]
struct Person {
    accounts: Vec<String>,
    roles: Vec<String>,
}

/// Tells everybody who holds two such roles; that is a finding.
pub(super) fn check(config: Config, program: &Program, out: &mut dyn Write) -> Outcome {
    let identity = open_of(config).map_err(Failure::fault)?;
    let persons = super::runtime()?.block_on(persons(&identity)).map_err(Failure::fault)?;
    let found: Vec<String> = persons
        .iter()
        .filter_map(|(name, person)| {
            let (one, other) = program.held_together(&person.roles, &[])?;
            let accounts = person.accounts.join("`, `");
            Some(format!(
                "`{name}` holds `{one}` and `{other}`, which the policy keeps apart (accounts: `{accounts}`)"
            ))
        })
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let help =
        "take a role away with `menshen account roles`; until then the gate lets them do nothing";
    writeln!(out, "{}\n{help}", found.join("\n")).map_err(Failure::internal)?;
    Err(Failure::Finding)
}

/// Everybody by the name of the person, or of an account that is nobody's in particular. Accounts that were left count
/// no more.
async fn persons(identity: &Identity) -> Result<BTreeMap<String, Person>, AccountError> {
    let mut whose = BTreeMap::new();
    let mut has_left = std::collections::BTreeSet::new();
    for row in identity.roster().await? {
        if row.standing == Standing::Left.as_str() {
            has_left.insert(row.account.clone());
        }
        if let Some(person) = row.person {
            whose.insert(row.account, person);
        }
    }
    let mut persons: BTreeMap<String, Person> = BTreeMap::new();
    for Account { name, roles, .. } in identity.accounts().await? {
        if has_left.contains(&name) {
            continue;
        }
        let person =
            persons.entry(whose.remove(&name).unwrap_or_else(|| name.clone())).or_default();
        person.accounts.push(name);
        person.roles.extend(roles);
    }
    Ok(persons)
}
