//! `menshen account list`, `sessions`: which accounts there are, by what they sign in, and where they are.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::passkey::time;
use super::{AccountCommandError, Format, List, Place, open_existing};
use crate::identity::Summary;

#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// The account.
    name: String,
    /// End all of them at once.
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn list(list: &List, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let accounts = open_existing(&list.place)?.summaries().await?;
    match list.format {
        Format::Human => table(&accounts, out)?,
        Format::Json => lines(&accounts, out)?,
    }
    Ok(())
}

pub(super) async fn sessions(
    sessions: &Sessions,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    let identity = open_existing(&sessions.place)?;
    if sessions.end {
        let ended = identity.end_sessions_of(&sessions.name).await?;
        writeln!(out, "account `{}`: {ended} sessions have ended", sessions.name)?;
        return Ok(());
    }
    writeln!(out, "{:<5} {:<20} {:<20} {:<20} FROM", "LEVEL", "BEGAN", "USED", "HOST")?;
    for session in identity.sessions_of(&sessions.name).await? {
        let (began, used) = (time(session.began.at_s), time(session.last_seen_s));
        let (level, host, from) = (session.assurance, session.host, session.began.from);
        writeln!(out, "{level:<5} {began:<20} {used:<20} {host:<20} {from}")?;
    }
    Ok(())
}

fn factors(summary: &Summary) -> String {
    let mut factors = Vec::new();
    if summary.has_password {
        factors.push("password".to_owned());
    }
    if summary.account.has_totp {
        factors.push("codes".to_owned());
    }
    for (count, what) in [(summary.passkeys, "passkeys"), (summary.recovery_codes, "recovery")] {
        if count > 0 {
            factors.push(format!("{count} {what}"));
        }
    }
    if factors.is_empty() { "none".to_owned() } else { factors.join(", ") }
}

fn table(accounts: &[Summary], out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<24} {:<9} {:<9} {:<42} {:<20} ROLES",
        "NAME", "KIND", "STANDING", "FACTORS", "SIGNED IN"
    )?;
    for summary in accounts {
        let account = &summary.account;
        let signed_in = summary.signed_in.as_ref().map_or("never".to_owned(), |at| time(at.at_s));
        writeln!(
            out,
            "{:<24} {:<9} {:<9} {:<42} {signed_in:<20} {}",
            account.name,
            account.kind.as_str(),
            summary.standing,
            factors(summary),
            account.roles.join(", ")
        )?;
    }
    Ok(())
}

fn lines(accounts: &[Summary], out: &mut dyn Write) -> std::io::Result<()> {
    for summary in accounts {
        let account = &summary.account;
        let line = json!({
            "name": account.name,
            "display_name": account.display_name,
            "kind": account.kind.as_str(),
            "roles": account.roles,
            "attributes": account.attributes,
            "standing": summary.standing,
            "password": summary.has_password,
            "totp": account.has_totp,
            "passkeys": summary.passkeys,
            "recovery_codes": summary.recovery_codes,
            "sessions": summary.sessions,
            "signed_in": summary.signed_in.as_ref().map(|at| at.at_s),
            "signed_in_from": summary.signed_in.as_ref().map(|at| at.from.as_str()),
            "disabled": account.is_disabled,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
