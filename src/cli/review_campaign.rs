//! `menshen review campaign`: who has which right and when it was used last, somebody who attests or takes it away, and
//! what becomes of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::account::open_of;
use super::device::time;
use super::gate_file::GateFile;
use super::log::LogCommandError;
use super::log_custody::Custody;
use super::log_place::LogPlace;
use super::progress::Progress;
use super::switch::doer;
use super::verdict_table::{self, read_verdicts};
use super::{Failure, Outcome};
use crate::audit::{Effect, Entry, Event, Reader, Reading};
use crate::campaign::{
    Campaign, CampaignError, Campaigns, Held, Judged, MAX_QUIET_DAYS, Right, Used, proposed,
};
use crate::clock::Clock;
use crate::command::Target;
use crate::config::Config;
use crate::identity::Identity;
use crate::policy::Program;
use crate::server::load_policies;

const DAY_MS: i64 = 86_400_000;
/// The highest grade, whose rights are reviewed twice as often.
const HIGHEST: u8 = 4;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Open a review: list the rights and when each was used last, from the log and the accounts.
    ///
    /// Example: menshen review campaign open --grade 4 --for-days 14 --about "2026, second half" --config menshen.yaml
    Open(Box<Open>),
    /// List the reviews.
    List(GateFile),
    /// Show the rights of one.
    Show {
        /// Its number.
        number: i64,
        /// How to print: `csv` is what `decide` reads.
        #[arg(long, value_enum, default_value_t)]
        format: Form,
        #[command(flatten)]
        at: GateFile,
    },
    /// Attest that a right stays.
    Attest(One),
    /// Take a right away, at once.
    Remove(One),
    /// Decide many rights: a CSV with the columns `whose`, `role`, `verdict` (attested or removed) and perhaps `remark`.
    Decide {
        /// Its number.
        number: i64,
        /// The file, or `-`. Rows without a verdict stay open.
        file: PathBuf,
        #[command(flatten)]
        at: GateFile,
    },
    /// List the roles that were not reviewed for too long; exit code 1 if there are any.
    Due {
        /// Days after which a role is due.
        #[arg(long, default_value_t = 182)]
        every: u32,
        /// Days after which a role is due that reaches fields of grade 4.
        #[arg(long, default_value_t = 91)]
        every_high: u32,
        #[command(flatten)]
        at: GateFile,
    },
}

/// Who has a role by the tokens of an issuer is seen if they asked within so many days.
const HELD_DAYS: i64 = 365;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people.
    #[default]
    Human,
    /// A line for each right.
    Json,
    /// A table that can be filled in.
    Csv,
}

#[derive(Debug, Args)]
pub(super) struct Open {
    /// Only this role; may be given again.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// Only roles that reach a field of this grade or a higher one, in clear or to write.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    grade: Option<u8>,
    /// How long rights are attested, in days.
    #[arg(long, default_value_t = 14)]
    for_days: u32,
    /// A right that was not used for so many days is proposed for removal.
    #[arg(long, default_value_t = MAX_QUIET_DAYS)]
    quiet_days: u32,
    /// How far the log is read back, in days.
    #[arg(long, default_value_t = 190)]
    look_back: u32,
    /// What it is for; the log has it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    about: String,
    #[command(flatten)]
    at: GateFile,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The number of the review.
    number: i64,
    /// Whose right, as the review names them.
    whose: String,
    /// The role.
    role: String,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    remark: String,
    #[command(flatten)]
    at: GateFile,
}

/// The reviews of a gate.
fn campaigns_of(gate: &GateFile) -> Result<(Config, Campaigns), Failure> {
    let (config, store) = gate.open()?;
    Ok((config, Campaigns::new(store, Clock::system())))
}

/// Whose accounts are whose.
async fn people_of(gate: &GateFile) -> Result<Identity, Failure> {
    let config = Config::load(&gate.path).map_err(Failure::fault)?;
    let identity = open_of(config).map_err(Failure::fault)?;
    identity.load_roster().await.map_err(Failure::fault)?;
    Ok(identity)
}

pub(super) fn run(action: &Action, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::Open(open) => Box::pin(opened(open)).await?,
        Action::List(at) => {
            let campaigns = campaigns_of(at)?.1.list().await.map_err(failure)?;
            campaigns.iter().map(line).collect()
        }
        Action::Show { number, format, at } => {
            let campaigns = campaigns_of(at)?.1;
            let list = campaigns.list().await.map_err(failure)?;
            let rights = campaigns.rights(*number).await.map_err(failure)?;
            let head = list.iter().find(|known| known.id == *number).map(line);
            shown(&head.unwrap_or_default(), &rights, *format)
        }
        Action::Attest(one) => decided(one, "attested").await?,
        Action::Remove(one) => decided(one, "removed").await?,
        Action::Decide { number, file, at } => {
            let judged = read_verdicts(file)?;
            decide(at, *number, judged).await?
        }
        Action::Due { every, every_high, at } => {
            let due = Box::pin(due(at, *every, *every_high)).await?;
            out.write_all(due.concat().as_bytes()).map_err(Failure::internal)?;
            return if due.is_empty() { Ok(()) } else { Err(Failure::Finding) };
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

async fn opened(open: &Open) -> Result<String, Failure> {
    let (config, campaigns) = campaigns_of(&open.at)?;
    let program = load_policies(&config.policies).map_err(Failure::fault)?;
    let roles = roles(open, &program)?;
    let identity = people_of(&open.at).await?;
    let now_ms = Clock::system().unix_ms();
    let since_ms = now_ms.saturating_sub(i64::from(open.look_back) * DAY_MS);
    let mut used = Used::default();
    let place = LogPlace::of_config(&open.at.path);
    let (read, closed) =
        gather(&place, (&program, &identity), since_ms, &mut used).map_err(Failure::fault)?;
    for account in identity.summaries().await.map_err(Failure::fault)? {
        if account.standing != "left" {
            let whose = whose(&identity, &account.account.name);
            used.has(&whose, &account.account.roles);
        }
    }
    let rights = proposed(used, &roles, now_ms, open.quiet_days);
    let mut denied = program.roles_denied();
    denied.retain(|role| rights.iter().any(|right| right.role == *role));
    let denied: Vec<&str> = denied.into_iter().collect();
    let (all, going) = (rights.len(), rights.iter().filter(|r| r.proposal != "keep").count());
    let opened = campaigns.open(&doer(), &open.about, open.for_days, rights).await;
    let id = opened.map_err(failure)?;
    let mut said = format!(
        "review {id}: {all} rights, {going} of them proposed for removal; {read} entries of the log were read\n"
    );
    if closed > 0 {
        said.push_str(&format!(
            "{closed} entries could not be read, so a right may look unused that is not\n"
        ));
    }
    if !denied.is_empty() {
        said.push_str(&format!(
            "rules deny something to {}: who loses such a role loses that, too\n",
            denied.join(", ")
        ));
    }
    let until = time(now_ms.div_euclid(1000) + i64::from(open.for_days) * DAY_MS / 1000);
    said.push_str(&format!("what nobody attests until {until} is switched off then\n"));
    Ok(said)
}

/// The roles that are asked for; none means all.
fn roles(open: &Open, program: &Program) -> Result<BTreeSet<String>, Failure> {
    for role in &open.role {
        if !program.roles().any(|(name, ..)| name == role) {
            return Err(Failure::fault(format!("the policy has no role `{role}`")));
        }
    }
    let mut roles: BTreeSet<String> = open.role.iter().cloned().collect();
    if let Some(grade) = open.grade {
        roles.extend(program.roles_reaching(grade).into_iter().map(str::to_owned));
        if roles.is_empty() {
            return Err(Failure::fault(format!("no role reaches a field of grade {grade}")));
        }
    }
    Ok(roles)
}

/// Reads who asked with which roles; gives how many entries were read, and how many could not be.
fn gather(
    place: &LogPlace,
    (program, identity): (&Program, &Identity),
    since_ms: i64,
    used: &mut Used,
) -> Result<(u64, u64), LogCommandError> {
    let log = place.find()?;
    let mut progress = Progress::new("reading the log", "entries", log.size());
    let (mut read, mut closed) = (0, 0);
    for record in Reader::new(&log.dir, 0, log.opener.clone()) {
        let (index, record) = record?;
        progress.at(index);
        match record.entry() {
            Some(entry) if entry.time.0 >= since_ms => {
                read += 1;
                take(&entry, (program, identity), used);
            }
            Some(_before) => {}
            None => closed += 1,
        }
    }
    let seen = usize::try_from(read).unwrap_or(usize::MAX);
    Custody::new(&log.dir, &log.master)?.leave(Reading {
        name: "report_made".to_owned(),
        object: "review campaign".to_owned(),
        asked: format!("who used which role since {}", time(since_ms.div_euclid(1000))),
        seen: Some(seen as u64),
        ..Reading::default()
    })?;
    Ok((read, closed))
}

/// A role was used where a rule for it allowed something. A rule that the policy no longer has counts for every role, so
/// that no right looks unused that is not.
fn take(entry: &Entry, (program, identity): (&Program, &Identity), used: &mut Used) {
    let (Event::Decision, Some(actor)) = (entry.event, &entry.actor) else { return };
    if actor.account.is_empty() {
        return;
    }
    // Whose it is now, not whose it was then: that is whom a switch names.
    let whose = whose(identity, actor.account.as_str());
    let is_role = |role: &&str| program.roles().any(|(known, ..)| known == *role);
    let roles: Vec<&str> = actor.roles.iter().filter(is_role).collect();
    if Target::right("role", &whose).is_err() {
        return;
    }
    let allowed = entry.decision.as_ref().filter(|decision| decision.effect == Effect::Allow);
    let rules: Vec<&str> =
        allowed.map(|decision| decision.rules.iter().collect()).unwrap_or_default();
    let held = Held { whose: &whose, roles: &roles, at_ms: entry.time.0 };
    used.asked(held, |role| {
        rules.iter().any(|rule| program.rule_is_for(rule, role).unwrap_or(true))
    });
}

/// As the log names whoever has an account.
fn whose(identity: &Identity, account: &str) -> String {
    identity.person(account).map_or_else(|| account.to_owned(), |person| person.to_string())
}

async fn decided(one: &One, verdict: &str) -> Result<String, Failure> {
    let One { number, whose, role, remark, at } = one;
    let judged = Judged {
        whose: whose.clone(),
        role: role.clone(),
        verdict: verdict.parse().map_err(failure)?,
        remark: remark.clone(),
    };
    decide(at, *number, vec![judged]).await
}

async fn decide(at: &GateFile, number: i64, judged: Vec<Judged>) -> Result<String, Failure> {
    let campaigns = campaigns_of(at)?.1;
    let identity = people_of(at).await?;
    let count = judged.len();
    let counted_as = |account: &str| identity.counted_as(account).to_string();
    campaigns.decide(&doer(), number, judged, counted_as).await.map_err(failure)?;
    Ok(format!("{count} decided\n"))
}

async fn due(at: &GateFile, every: u32, every_high: u32) -> Result<Vec<String>, Failure> {
    let (config, campaigns) = campaigns_of(at)?;
    let program = load_policies(&config.policies).map_err(Failure::fault)?;
    let high = program.roles_reaching(HIGHEST);
    let reviewed = campaigns.reviewed().await.map_err(failure)?;
    let reviewed: BTreeMap<String, i64> = reviewed.into_iter().collect();
    let now_ms = Clock::system().unix_ms();
    let mut lines = Vec::new();
    let held = held(at, &program, now_ms).await?;
    let is_held = |role: &str| held.as_ref().is_none_or(|held| held.contains(role));
    for (role, ..) in program.roles().filter(|(role, ..)| is_held(role)) {
        let days = if high.contains(role) { every_high } else { every };
        let since = reviewed.get(role);
        let is_due = since.is_none_or(|at| now_ms - at > i64::from(days) * DAY_MS);
        if is_due {
            let when = since.map_or("never".to_owned(), |at| time(at.div_euclid(1000)));
            lines.push(format!("{role}: reviewed {when}, due every {days} days\n"));
        }
    }
    Ok(lines)
}

/// The roles that anybody has, by the accounts and by who asked lately; none where entries do not read, so that each may be
/// somebody's.
async fn held(
    at: &GateFile,
    program: &Program,
    now_ms: i64,
) -> Result<Option<BTreeSet<String>>, Failure> {
    let identity = people_of(at).await?;
    let since_ms = now_ms.saturating_sub(HELD_DAYS * DAY_MS);
    let mut used = Used::default();
    let place = LogPlace::of_config(&at.path);
    let (_, closed) =
        gather(&place, (program, &identity), since_ms, &mut used).map_err(Failure::fault)?;
    for account in identity.summaries().await.map_err(Failure::fault)? {
        if account.standing != "left" {
            let whose = whose(&identity, &account.account.name);
            used.has(&whose, &account.account.roles);
        }
    }
    let rights = proposed(used, &BTreeSet::new(), now_ms, 0);
    Ok((closed == 0).then(|| rights.into_iter().map(|right| right.role).collect()))
}

fn line(row: &Campaign) -> String {
    let Campaign { id, about, opened_by, opened_ms, until_ms, closed_ms, rights } = row;
    let at = |ms: &i64| time(ms.div_euclid(1000));
    let state = match closed_ms {
        Some(closed) => format!("closed {}", at(closed)),
        None => format!("runs until {}", at(until_ms)),
    };
    let (all, decided) = rights;
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    format!(
        "{id}: {decided} of {all} decided, opened {} by {opened_by}, {state}{about}\n",
        at(opened_ms)
    )
}

fn shown(head: &str, rights: &[Right], format: Form) -> String {
    let used = |right: &Right| match right.used_ms {
        Some(at) => time(at.div_euclid(1000)),
        None => String::new(),
    };
    match format {
        Form::Human => {
            let mut text = format!("{head}{:<32} {:<20} {:<20} {:<9} VERDICT\n", "WHOSE", "ROLE", "USED", "PROPOSAL");
            for right in rights {
                let by = match right.decided_by.as_str() {
                    "" => String::new(),
                    by => format!(" by {by}"),
                };
                let used = if right.used_ms.is_none() { "never".to_owned() } else { used(right) };
                text.push_str(&format!(
                    "{:<32} {:<20} {used:<20} {:<9} {}{by}\n",
                    right.whose, right.role, right.proposal, right.verdict
                ));
            }
            text
        }
        Form::Json => rights
            .iter()
            .map(|right| {
                format!("{}\n", json!({
                    "whose": right.whose, "role": right.role, "used": used(right), "proposal": right.proposal,
                    "verdict": right.verdict, "by": right.decided_by, "remark": right.remark,
                }))
            })
            .collect(),
        Form::Csv => verdict_table::written(rights, used),
    }
}

fn failure(error: CampaignError) -> Failure {
    let is_ours = matches!(error, CampaignError::State(_));
    if is_ours { Failure::internal(error) } else { Failure::fault(error) }
}
