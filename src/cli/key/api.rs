//! `menshen key issue`, `list`, `revoke`: what a program shows that acts for an account.

use std::io::Write;

use clap::Args;
use serde_json::json;

use crate::cli::account::{Place, open_existing};
use crate::cli::device::time;
use crate::cli::output::Format;
use crate::cli::{Failure, Outcome};
use crate::identity::{ApiKeyInfo, Identity, NewApiKey};

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// The local account that it acts for.
    #[arg(long)]
    account: String,
    /// A role of the account that the key has; may be given again.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// A zone in which it is good; may be given again.
    #[arg(long = "zone", value_name = "ZONE", required = true)]
    zones: Vec<String>,
    /// For how many days, 400 at most.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// What names the key: the eight letters after `mshn_`.
    id: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn issue(issue: &Issue, out: &mut dyn Write) -> Outcome {
    let new = NewApiKey {
        account: issue.account.clone(),
        roles: issue.roles.clone(),
        zones: issue.zones.clone(),
        life_s: issue.days.saturating_mul(24 * 3600),
    };
    let issued = open(&issue.place)?.issue_api_key(new).await;
    let (info, key) = issued.map_err(Failure::fault)?;
    writeln!(
        out,
        "key `{}` acts for `{}` until {}. It is shown only now:\n\n{}\n\nSend it as \
         `Authorization: ApiKey …`.",
        info.id,
        info.account,
        time(info.expires_s),
        key.expose()
    )
    .map_err(Failure::internal)
}

pub(super) async fn list(list: &List, out: &mut dyn Write) -> Outcome {
    let keys = open(&list.place)?.api_keys().await.map_err(Failure::internal)?;
    let said: String = match list.format {
        Format::Human => table(&keys),
        Format::Json => keys.iter().map(|key| format!("{}\n", line(key))).collect(),
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

pub(super) async fn revoke(revoke: &Revoke, out: &mut dyn Write) -> Outcome {
    let account = open(&revoke.place)?.revoke_api_key(&revoke.id).await;
    let account = account.map_err(Failure::fault)?;
    writeln!(out, "key `{}` of `{account}` is revoked", revoke.id).map_err(Failure::internal)
}

fn open(place: &Place) -> Result<Identity, Failure> {
    open_existing(place).map_err(Failure::fault)
}

fn table(keys: &[ApiKeyInfo]) -> String {
    let head = ("ID", "ACCOUNT", "ENDS", "USED");
    let mut lines =
        vec![format!("{:<8} {:<24} {:<20} {:<20} ROLES, ZONES\n", head.0, head.1, head.2, head.3)];
    for key in keys {
        let ends = match key.revoked_s {
            Some(_) => "revoked".to_owned(),
            None => time(key.expires_s),
        };
        let used = key.used_s.map_or_else(|| "never".to_owned(), time);
        let (roles, zones) = (key.roles.join(", "), key.zones.join(", "));
        lines.push(format!(
            "{:<8} {:<24} {ends:<20} {used:<20} {roles}; {zones}\n",
            key.id, key.account
        ));
    }
    lines.concat()
}

fn line(key: &ApiKeyInfo) -> serde_json::Value {
    json!({
        "id": key.id,
        "account": key.account,
        "roles": key.roles,
        "zones": key.zones,
        "expires": time(key.expires_s),
        "created": time(key.created_s),
        "used": key.used_s.map(time),
        "revoked": key.revoked_s.map(time),
    })
}
