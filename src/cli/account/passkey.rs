//! `menshen account passkeys`, `passkey-ticket`, `passkey-remove`: what an operator does about passkeys.

use std::io::Write;

use clap::Args;

use super::{AccountCommandError, Named, Place, open_existing};

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The account.
    name: String,
    /// The passkey's id, as `menshen account passkeys` shows it.
    passkey: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn list(named: &Named, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let passkeys = open_existing(&named.place)?.passkeys(&named.name).await?;
    writeln!(
        out,
        "{:<5} {:<20} {:<20} {:<20} {:<6} NAME, ID",
        "LEVEL", "HOST", "MADE", "USED", "COPIED"
    )?;
    for passkey in passkeys {
        let level = if passkey.verifies { 3 } else { 2 };
        let used = passkey.used_s.map_or_else(|| "never".to_owned(), time);
        let copied = if passkey.is_backed_up { "yes" } else { "no" };
        writeln!(
            out,
            "{level:<5} {:<20} {:<20} {used:<20} {copied:<6} {}\n      {}",
            passkey.host,
            time(passkey.created_s),
            passkey.name,
            passkey.id
        )?;
    }
    Ok(())
}

pub(super) async fn ticket(named: &Named, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let ticket = open_existing(&named.place)?.allow_passkey(&named.name).await?;
    writeln!(
        out,
        "This ticket lets `{}` register one passkey within 24 hours; it is shown only now. Give it to \
         nobody else.\n\n{}",
        named.name,
        ticket.expose()
    )?;
    Ok(())
}

pub(super) async fn remove(
    remove: &Remove,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    open_existing(&remove.place)?.remove_passkey(&remove.name, &remove.passkey).await?;
    writeln!(
        out,
        "the passkey of `{}` was removed; the account's sessions have ended",
        remove.name
    )?;
    Ok(())
}

pub(super) fn time(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_far| unix_s.to_string(), |at| at.to_string())
}
