//! `menshen account`: how an account stands, whose it is, which roles it has. Accounts of issuers are written as the
//! log has them, `issuer:subject`.

use std::io::Write;

use clap::Args;

use super::{AccountCommandError, Named, Place, open, open_existing};
use crate::identity::Standing;

#[derive(Debug, Args)]
pub(super) struct Roles {
    /// The local account.
    name: String,
    /// A role; may be given again. Without any the account has none.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Link {
    /// The account: a local name, or `issuer:subject`.
    account: String,
    /// The person, such as a number of the staff register.
    person: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Listed {
    #[command(flatten)]
    place: Place,
}

pub(super) async fn stand(
    named: &Named,
    standing: Standing,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    identity(&named.name, &named.place)?.set_standing(&named.name, standing).await?;
    let told = match standing {
        Standing::Active => "is welcome again",
        Standing::Disabled => "is switched off; its sessions have ended",
        Standing::Suspended => "is suspended; its sessions have ended, its tokens are refused",
        Standing::Left => {
            "has left for good; its sessions have ended, its tokens are refused, its name is not used again"
        }
    };
    writeln!(out, "account `{}` {told}", named.name)?;
    Ok(())
}

pub(super) async fn roles(args: Roles, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let told = if args.roles.is_empty() { "none".to_owned() } else { args.roles.join(", ") };
    open_existing(&args.place)?.set_roles(&args.name, args.roles).await?;
    writeln!(out, "account `{}` has from its next request on the roles: {told}", args.name)?;
    Ok(())
}

pub(super) async fn link(args: &Link, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let identity = identity(&args.account, &args.place)?;
    identity.set_person(&args.account, Some(&args.person)).await?;
    writeln!(
        out,
        "account `{}` is person `{}`'s; all accounts of that person share one budget",
        args.account, args.person
    )?;
    Ok(())
}

pub(super) async fn unlink(named: &Named, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    identity(&named.name, &named.place)?.set_person(&named.name, None).await?;
    writeln!(
        out,
        "account `{}` is counted by itself again, with all that its person has used so far",
        named.name
    )?;
    Ok(())
}

pub(super) async fn list(args: &Listed, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let rows = open_existing(&args.place)?.roster().await?;
    writeln!(out, "{:<32} {:<10} PERSON", "ACCOUNT", "STANDING")?;
    for row in rows {
        let person = row.person.as_deref().unwrap_or("-");
        writeln!(out, "{:<32} {:<10} {person}", row.account, row.standing)?;
    }
    Ok(())
}

/// Of an issuer's account there may be something to say before there is any local one.
fn identity(
    account: &str,
    place: &Place,
) -> Result<crate::identity::Identity, AccountCommandError> {
    if account.contains(':') { open(place) } else { open_existing(place) }
}
