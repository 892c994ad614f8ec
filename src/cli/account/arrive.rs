//! `menshen account invite`, `recovery`: how people come in who have no password yet, or no second factor any more.

use std::io::Write;

use clap::Args;

use super::{AccountCommandError, Named, Place, attribute, attributes, open, open_existing};
use crate::identity::{CallerKind, NewAccount};
use crate::secret::Secret;

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The name that signs in: a-z, 0-9, `.`, `_`, `-`, `@`.
    name: String,
    /// The host of the gate on which the link is good, with its port if that is not 443.
    #[arg(long, value_name = "HOST")]
    host: String,
    /// The name for people, of an account that is added; its name if left out.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// staff, merchant, partner, machine, customer or admin; staff if left out.
    #[arg(long)]
    kind: Option<CallerKind>,
    /// A role; may be given again.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// An attribute for conditions, as text; may be given again.
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    #[command(flatten)]
    place: Place,
}

impl Invite {
    /// Whether it says anything of a new account.
    fn describes(&self) -> bool {
        let Self { display_name, kind, roles, attributes, .. } = self;
        display_name.is_some() || kind.is_some() || !roles.is_empty() || !attributes.is_empty()
    }
}

pub(super) async fn invite(invite: Invite, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let identity = open(&invite.place)?;
    let is_standing = identity.has_account(&invite.name).await?;
    if is_standing && invite.describes() {
        return Err(AccountCommandError::Standing(invite.name));
    }
    let Invite { name, host, display_name, kind, roles, .. } = invite;
    if !is_standing {
        let new = NewAccount {
            display_name: display_name.unwrap_or_else(|| name.clone()),
            name: name.clone(),
            kind: kind.unwrap_or(CallerKind::Staff),
            roles,
            attributes: attributes(invite.attributes)?,
            password: Secret::new(String::new()),
        };
        identity.add_invited_account(new).await?;
        writeln!(out, "account `{name}` was added")?;
    }
    let invitation = identity.invite(&name, &host).await?;
    writeln!(
        out,
        "By this link `{name}` sets a password within 24 hours, once; it is shown only now. Give it to nobody else.\n\n{}",
        invitation.link().expose()
    )?;
    Ok(())
}

pub(super) async fn recovery(
    named: &Named,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    let codes = open_existing(&named.place)?.make_recovery_codes(&named.name).await?;
    writeln!(
        out,
        "Recovery codes of `{}`, each good once beside the password; they are shown only now, and older ones are dead.\n",
        named.name
    )?;
    for code in codes.shown() {
        writeln!(out, "{code}")?;
    }
    Ok(())
}
