//! `menshen account`: local accounts from the command line, beside a running gate or before its
//! first start. Passwords come from a file or standard input, never from an argument.

mod arrive;
mod list;
mod passkey;
mod people;
mod place;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use zeroize::Zeroize as _;

use crate::config::ConfigError;
use crate::identity::{
    AccountError, Attribute, CallerKind, Identity, IdentityError, NewAccount, Standing,
};
use crate::secret::{Secret, SecretError};
use crate::state::StateError;
use place::open;
pub(super) use place::{Place, open_existing, open_of, open_state, open_state_and_key, operator};

/// The most bytes read of a password file.
const PASSWORD_FILE_LIMIT: u64 = 4096;

/// Manage local accounts.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen account add wang --role teller --attr branch=sh01 --totp \\\n           --password-file - --state /var/lib/menshen --key /etc/menshen/master.key"
)]
pub(super) struct AccountArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an account.
    Add(Add),
    /// List the accounts: how they stand, by what they sign in, and when somebody last did.
    List(List),
    /// List an account's sessions, or end them all.
    ///
    /// Example: menshen account sessions wang --end --state … --key …
    Sessions(list::Sessions),
    /// Replace a password; the account's sessions end.
    Passwd(Passwd),
    /// Give an account a new secret for one-time codes; its sessions end.
    #[command(visible_alias = "enrol")]
    Totp(Named),
    /// List an account's passkeys.
    Passkeys(Named),
    /// Print a ticket that lets an account register one passkey within a day, without a second factor.
    PasskeyTicket(Named),
    /// Remove a passkey; the account's sessions end.
    PasskeyRemove(passkey::Remove),
    /// Print a link by which a person sets the first password, within a day and once; the account is added if there
    /// is none.
    ///
    /// Example: menshen account invite wang --host bank.example --role teller --state … --key …
    Invite(arrive::Invite),
    /// Print ten recovery codes in place of any that the account has; each is good once, beside the password.
    Recovery(Named),
    /// Switch an account off; its sessions end at once. An account of an issuer is `issuer:subject`.
    Disable(Named),
    /// Suspend an account, local or of an issuer, until it is enabled again.
    Suspend(Named),
    /// Let an account go for good: it never signs in again, and nobody else under its name.
    Leave(Named),
    /// Make an account welcome again that is switched off or suspended.
    Enable(Named),
    /// Replace the roles of a local account; they count from its next request on.
    Roles(people::Roles),
    /// Say whose an account is: all accounts of a person share budgets and rates.
    ///
    /// Example: menshen account link corp:wang e1042 --state … --key …
    Link(people::Link),
    /// Take that back; what the person has used counts for the account as well.
    Unlink(Named),
    /// List accounts that are linked to a person or not welcome, those of issuers included.
    People(people::Listed),
    /// Let an account sign in again at once that too many wrong passwords or codes have locked.
    Unlock(Named),
    /// Revoke tokens of an issuer's account: those issued up to now, or one.
    ///
    /// Example: menshen account revoke corp:wang --state … --key …
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Add {
    /// The name that signs in: a-z, 0-9, `.`, `_`, `-`, `@`.
    name: String,
    /// The name for people; the account's name if left out.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// staff, merchant, partner, machine, customer or admin.
    #[arg(long, default_value = "staff")]
    kind: CallerKind,
    /// A role; may be given again.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// An attribute for conditions, as text; may be given again.
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// Enrol one-time codes as well and print the address and the QR code.
    #[arg(long)]
    totp: bool,
    /// A file whose first line is the password, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct List {
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Debug, Args)]
struct Passwd {
    /// The account.
    name: String,
    /// A file whose first line is the password, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Named {
    /// The account.
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The account, as the log names it: `corp:wang`.
    name: String,
    /// Only the token with this id (`jti`).
    #[arg(long, value_name = "JTI")]
    token_id: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Why the command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountCommandError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] Box<ConfigError>),
    /// The master key cannot be read.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// There is no state folder yet.
    #[error("`{0}` holds no accounts yet; `menshen account add` makes the first one")]
    NoState(String),
    /// The state folder cannot be opened.
    #[error(transparent)]
    State(#[from] StateError),
    /// Identity does not start.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The password file cannot be read.
    #[error("password file `{path}`: {source}")]
    PasswordFile {
        /// The file as the operator named it.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first line of the password file is empty, too long or no text.
    #[error("password file `{0}`: its first line must be the password, in UTF-8")]
    NoPassword(String),
    /// The same attribute was given twice.
    #[error("attribute `{0}` is given twice")]
    TwiceGiven(String),
    /// There is no such account.
    #[error("account `{0}` does not exist; `menshen account list` shows those that do")]
    Unknown(String),
    /// The account exists; it gets no roles by an invitation.
    #[error(
        "account `{0}` exists already; leave out `--display-name`, `--kind`, `--role` and `--attr` to invite it again"
    )]
    Standing(String),
    /// The account was added, but its one-time codes were not enrolled.
    #[error(
        "account `{name}` was added without one-time codes ({source}); run `menshen account totp {name}`"
    )]
    Half {
        /// The account.
        name: String,
        /// Why the enrolment failed.
        source: AccountError,
    },
    /// The account cannot be made or changed.
    #[error(transparent)]
    Account(AccountError),
    /// The result cannot be printed.
    #[error("the result could not be printed: {0}")]
    Output(#[from] std::io::Error),
}

impl From<AccountError> for AccountCommandError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::State(StateError::Unknown(name)) => Self::Unknown(name),
            AccountError::Name(_)
            | AccountError::NoToken(_)
            | AccountError::NotAnAccount(_)
            | AccountError::Person(_)
            | AccountError::DisplayName
            | AccountError::Role(_)
            | AccountError::Attribute(_)
            | AccountError::Password(_)
            | AccountError::Busy
            | AccountError::Hash
            | AccountError::Enrolment
            | AccountError::Damaged(_)
            | AccountError::Passkey { .. }
            | AccountError::Invitation(_)
            | AccountError::Secret(_)
            | AccountError::State(_) => Self::Account(error),
        }
    }
}

/// Does what the arguments ask; `input` stands for standard input, the result goes to `out`.
///
/// # Errors
/// [`AccountCommandError`], worded for the operator. Nothing was changed, except after
/// [`AccountCommandError::Half`] and [`AccountCommandError::Output`].
pub(super) fn run(
    args: AccountArgs,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    match args.command {
        Command::Add(add) => runtime.block_on(add_account(add, input, out)),
        Command::List(list) => runtime.block_on(list::list(&list, out)),
        Command::Sessions(sessions) => runtime.block_on(list::sessions(&sessions, out)),
        Command::Passwd(passwd) => runtime.block_on(change_password(passwd, input, out)),
        Command::Totp(named) => runtime.block_on(enrol(&named, out)),
        Command::Passkeys(named) => runtime.block_on(passkey::list(&named, out)),
        Command::PasskeyTicket(named) => runtime.block_on(passkey::ticket(&named, out)),
        Command::PasskeyRemove(remove) => runtime.block_on(passkey::remove(&remove, out)),
        Command::Invite(invite) => runtime.block_on(arrive::invite(invite, out)),
        Command::Recovery(named) => runtime.block_on(arrive::recovery(&named, out)),
        Command::Disable(named) => runtime.block_on(people::stand(&named, Standing::Disabled, out)),
        Command::Suspend(named) => {
            runtime.block_on(people::stand(&named, Standing::Suspended, out))
        }
        Command::Leave(named) => runtime.block_on(people::stand(&named, Standing::Left, out)),
        Command::Enable(named) => runtime.block_on(people::stand(&named, Standing::Active, out)),
        Command::Roles(roles) => runtime.block_on(people::roles(roles, out)),
        Command::Link(link) => runtime.block_on(people::link(&link, out)),
        Command::Unlink(named) => runtime.block_on(people::unlink(&named, out)),
        Command::People(listed) => runtime.block_on(people::list(&listed, out)),
        Command::Unlock(named) => runtime.block_on(unlock(&named, out)),
        Command::Revoke(revoke) => runtime.block_on(revoke_tokens(&revoke, out)),
    }
}

async fn add_account(
    add: Add,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    let attributes = attributes(add.attributes)?;
    let password = read_password(&add.password_file, input)?;
    let identity = open(&add.place)?;
    let account = NewAccount {
        display_name: add.display_name.unwrap_or_else(|| add.name.clone()),
        name: add.name.clone(),
        kind: add.kind,
        roles: add.roles,
        attributes,
        password,
    };
    identity.add_account(account).await?;
    writeln!(out, "account `{}` was added", add.name)?;
    if add.totp {
        let enrolled = print_enrolment(&identity, &add.name, out).await;
        enrolled.map_err(|error| match error {
            EnrolmentError::Account(source) => {
                AccountCommandError::Half { name: add.name.clone(), source }
            }
            EnrolmentError::Output(error) => AccountCommandError::Output(error),
        })?;
    }
    Ok(())
}

async fn change_password(
    passwd: Passwd,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), AccountCommandError> {
    let password = read_password(&passwd.password_file, input)?;
    open_existing(&passwd.place)?.set_password(&passwd.name, password).await?;
    writeln!(out, "account `{}` has a new password; its sessions have ended", passwd.name)?;
    Ok(())
}

async fn enrol(named: &Named, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let identity = open_existing(&named.place)?;
    print_enrolment(&identity, &named.name, out).await.map_err(|error| match error {
        EnrolmentError::Account(error) => error.into(),
        EnrolmentError::Output(error) => error.into(),
    })
}

async fn unlock(named: &Named, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    open_existing(&named.place)?.unlock(&named.name).await?;
    writeln!(out, "account `{}` may sign in again at once", named.name)?;
    Ok(())
}

async fn revoke_tokens(revoke: &Revoke, out: &mut dyn Write) -> Result<(), AccountCommandError> {
    let identity = open_existing(&revoke.place)?;
    identity.revoke_tokens(&revoke.name, revoke.token_id.as_deref()).await?;
    let which = match &revoke.token_id {
        None => "its tokens issued up to now are",
        Some(_) => "that token is",
    };
    writeln!(out, "account `{}`: {which} refused from the next second on", revoke.name)?;
    Ok(())
}

enum EnrolmentError {
    Account(AccountError),
    Output(std::io::Error),
}

async fn print_enrolment(
    identity: &Identity,
    name: &str,
    out: &mut dyn Write,
) -> Result<(), EnrolmentError> {
    let enrolment = identity.enrol_totp(name).await.map_err(EnrolmentError::Account)?;
    writeln!(
        out,
        "Scan this with an authenticator app; it is shown only now.\n\n{}\n\n{}",
        enrolment.qr_terminal.expose(),
        enrolment.uri.expose()
    )
    .map_err(EnrolmentError::Output)
}

fn read_password(path: &Path, input: &mut dyn Read) -> Result<Secret<String>, AccountCommandError> {
    let shown = path.display().to_string();
    let fault = |source| AccountCommandError::PasswordFile { path: shown.clone(), source };
    let mut bytes = Vec::with_capacity(usize::try_from(PASSWORD_FILE_LIMIT).unwrap_or_default());
    let read = if path == Path::new("-") {
        input.take(PASSWORD_FILE_LIMIT).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(fault)?;
        file.take(PASSWORD_FILE_LIMIT).read_to_end(&mut bytes)
    };
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let password = std::str::from_utf8(line).ok().filter(|text| !text.is_empty());
    let password = password.map(|text| Secret::new(text.to_owned()));
    bytes.zeroize();
    read.map_err(fault)?;
    password.ok_or(AccountCommandError::NoPassword(shown))
}

fn attributes(
    given: Vec<(String, String)>,
) -> Result<BTreeMap<String, Attribute>, AccountCommandError> {
    let mut attributes = BTreeMap::new();
    for (name, value) in given {
        if attributes.insert(name.clone(), Attribute::Text(value)).is_some() {
            return Err(AccountCommandError::TwiceGiven(name));
        }
    }
    Ok(attributes)
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be NAME=VALUE, such as branch=sh01".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::secret::MasterKey;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        account: AccountArgs,
    }

    /// A folder with a master key and a command line on it.
    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            let desk = Self(tempfile::tempdir().unwrap());
            MasterKey::from_bytes([5; 32]).write_new(&desk.0.path().join("key")).unwrap();
            desk
        }

        fn run(&self, words: &str, input: &str) -> Result<String, String> {
            let (state, key) = (self.0.path().join("state"), self.0.path().join("key"));
            let mut line = vec!["account"];
            line.extend(words.split(' '));
            line.extend(["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()]);
            let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
            let mut out = Vec::new();
            run(line.account, &mut input.as_bytes(), &mut out).map_err(|e| e.to_string())?;
            Ok(String::from_utf8(out).unwrap())
        }
    }

    const ADD: &str = "add wang --role teller --attr branch=sh01 --password-file -";

    #[test]
    fn an_account_is_added_listed_changed_and_switched() {
        let desk = Desk::new();
        assert_eq!(desk.run(ADD, "a quiet lantern\n").unwrap(), "account `wang` was added\n");
        let list = desk.run("list", "").unwrap();
        let row = list.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(row, ["wang", "staff", "active", "password", "never", "teller"]);
        let totp = desk.run("totp wang", "").unwrap();
        assert!(totp.contains("otpauth://totp/menshen:wang?") && totp.contains('█'));
        desk.run("passwd wang --password-file -", "another lantern\r\nrest").unwrap();
        desk.run("disable wang", "").unwrap();
        let list: serde_json::Value =
            serde_json::from_str(&desk.run("list --format json", "").unwrap()).unwrap();
        assert_eq!(list["attributes"], json!({ "branch": "sh01" }));
        assert_eq!((&list["totp"], &list["disabled"]), (&json!(true), &json!(true)));
        assert_eq!((&list["standing"], &list["signed_in"]), (&json!("disabled"), &json!(null)));
        assert!(desk.run("enable wang", "").unwrap().contains("is welcome again"));
    }

    #[test]
    fn an_invited_account_is_listed_as_such_and_recovery_codes_are_printed_once() {
        let desk = Desk::new();
        let invited = desk.run("invite lin --host bank.example --role teller", "").unwrap();
        assert!(invited.contains("https://bank.example/.menshen/invitation?t="), "{invited}");
        let again = desk.run("invite lin --host bank.example", "").unwrap();
        assert!(!again.contains("was added"), "{again}");
        let error = desk.run("invite lin --host bank.example --role boss", "").unwrap_err();
        assert!(error.contains("`lin` exists already"), "{error}");
        let error = desk.run("invite lin --host https://bank.example/x", "").unwrap_err();
        assert!(error.contains("must be a host name"), "{error}");
        let codes = desk.run("recovery lin", "").unwrap();
        assert_eq!(codes.lines().filter(|line| line.len() == 11).count(), 10, "{codes}");
        let list = desk.run("list", "").unwrap();
        assert!(list.contains("invited   10 recovery"), "{list}");
        assert!(desk.run("recovery li", "").unwrap_err().contains("does not exist"));
    }

    #[test]
    fn with_the_configuration_the_words_of_the_house_make_no_password_better() {
        let desk = Desk::new();
        let file = desk.0.path().join("menshen.yaml");
        let text = "node: gate-1\nstate: state\nlog: log\nkey: key\npolicies: policies\n\
            listeners:\n  - { address: \"127.0.0.1:0\", zone: z, certificate: c, key: k }\n\
            upstreams: { core: { address: \"10.0.0.5:8443\", server-name: c, ca: c } }\n\
            sign-in:\n  house-words: [quiet lantern bank]\n";
        std::fs::write(&file, text).unwrap();
        let run = |words: &str, password: &str| {
            let mut line = vec!["account"];
            line.extend(words.split(' '));
            line.extend(["--config", file.to_str().unwrap()]);
            let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
            let mut out = Vec::new();
            let done = super::run(line.account, &mut password.as_bytes(), &mut out);
            done.map_err(|error| error.to_string())
        };
        let error = run(ADD, "quietlanternbank").unwrap_err();
        assert!(error.contains("guess"), "{error}");
        run(ADD, "a marble otter hums").unwrap();
        run("list", "").unwrap();
        assert!(desk.run("passwd wang --password-file -", "quietlanternbank").is_ok());
        assert!(run(&format!("{ADD} --state s"), "").unwrap_err().contains("cannot be used with"));
        std::fs::write(&file, "node: 7: 8").unwrap();
        assert!(run("list", "").unwrap_err().contains("menshen.yaml"));
    }

    #[test]
    fn sessions_are_listed_and_ended() {
        let desk = Desk::new();
        desk.run(ADD, "a quiet lantern").unwrap();
        let none = desk.run("sessions wang", "").unwrap();
        assert_eq!(none.lines().count(), 1, "{none}");
        let ended = desk.run("sessions wang --end", "").unwrap();
        assert!(ended.contains("0 sessions have ended"), "{ended}");
        assert!(desk.run("sessions li --end", "").unwrap_err().contains("does not exist"));
    }

    #[test]
    fn adding_with_totp_prints_the_code_to_scan() {
        let shown = Desk::new().run(&format!("{ADD} --totp"), "a quiet lantern").unwrap();
        assert!(shown.contains("otpauth://totp/menshen:wang?secret="), "{shown}");
    }

    #[test]
    fn errors_say_what_to_do() {
        let desk = Desk::new();
        let error = |words: &str, input: &str| desk.run(words, input).unwrap_err();
        assert!(error("list", "").contains("`menshen account add` makes the first one"));
        assert!(!desk.0.path().join("state").exists());
        assert!(error(ADD, "short\n").contains("12 to 128 characters"));
        assert!(error(ADD, "\nx").contains("first line must be the password"));
        let elsewhere = ADD.replace("file -", "file /nowhere");
        assert!(error(&elsewhere, "").contains("password file `/nowhere`"));
        assert!(
            error(&format!("{ADD} --attr branch=x"), "a quiet lantern").contains("given twice")
        );
        assert!(error(&format!("{ADD} --attr branch"), "").contains("NAME=VALUE"));
        assert!(error(&format!("{ADD} --kind boss"), "").contains("must be one of staff"));
        desk.run(ADD, "a quiet lantern").unwrap();
        assert!(error(ADD, "a quiet lantern").contains("`wang` exists already"));
        assert!(error("disable li", "").contains("`menshen account list` shows"));
    }
}
