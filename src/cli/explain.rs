//! `menshen explain`: one caller, one request, and every reason of the decision.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::explain_entry::{self, Recorded};
use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::policy::{
    Factor, FieldReport, Grant, KnownCases, Principal, Query, RuleReport, Said, Stage, Ties, Value,
};
use crate::route::Path;
use crate::server::load_policies;

/// Arguments of `menshen explain`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The request: a method, and a host with a path.
    ///
    /// Example: menshen explain --role teller --attr branch=sh01 --assurance 2 --zone business
    /// --purpose service 'GET bank.example/api/customers/1001'
    #[arg(required_unless_present = "entry")]
    request: Option<String>,
    #[command(flatten)]
    recorded: Recorded,
    /// The policy folder, or one file.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// A role of the caller; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// An attribute of the caller; may be given several times.
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// The caller's account.
    #[arg(long, default_value = "somebody")]
    account: String,
    /// How sure it is who asks: 1 password, 2 with a one-time code, 3 with a key.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=3))]
    assurance: u8,
    /// Seconds since the newest factor was shown.
    #[arg(long, default_value_t = 0)]
    factor_age: i64,
    /// The zone that the caller stands in.
    #[arg(long, default_value = "business")]
    zone: String,
    /// The declared purpose.
    #[arg(long)]
    purpose: Option<String>,
    /// The ticket that the request belongs to.
    #[arg(long)]
    ticket: Option<String>,
    /// The device whose key is bound to the caller.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Asks under a grant with this attribute; may be given several times. `[a, b]` is a list.
    #[arg(long, value_name = "NAME=VALUE")]
    grant: Vec<String>,
    /// Asks while a case ties the caller: of this kind, to the data subject of an entity; may be given several times.
    #[arg(long = "link", value_name = "KIND:ENTITY:KEY")]
    links: Vec<String>,
    /// Asks while a data subject said this of a purpose: `explicit`, `separate/3@partner`, `no`; may be given several times.
    #[arg(long, value_name = "ANSWER:PURPOSE:ENTITY:KEY")]
    said: Vec<String>,
    /// Asks while a data subject has this mark; may be given several times.
    #[arg(long = "mark", value_name = "MARK:ENTITY:KEY")]
    marks: Vec<String>,
    /// The caller's address.
    #[arg(long)]
    address: Option<IpAddr>,
    /// The time in Unix seconds instead of now.
    #[arg(long)]
    now: Option<i64>,
    /// Text for people, or one JSON document; an entry of the log is told in text.
    #[arg(long, value_enum, default_value_t, conflicts_with = "entry")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let program = load_policies(&arguments.policies).map_err(Failure::fault)?;
    if let (Some(id), Some(log)) = (&arguments.recorded.entry, &arguments.recorded.log) {
        return explain_entry::run(id, log, &arguments.recorded.keys, &program, out);
    }
    let (method, host, path) = target(arguments.request.as_deref().unwrap_or_default())?;
    let path = Path::parse(path).map_err(Failure::fault)?;
    let now = arguments.now.unwrap_or_else(|| Clock::system().unix_s());
    let Some(found) = program.find(&arguments.zone, host, method, &path) else {
        writeln!(
            out,
            "route  none: nothing is published there for zone `{}`, so the answer is 404",
            arguments.zone
        )
        .map_err(Failure::internal)?;
        return Err(Failure::Finding);
    };
    let principal = Arc::new(principal(arguments, now)?);
    let grant = grant(&arguments.grant)?.map(Arc::new);
    let mut known = links(&arguments.links)?;
    registry(&arguments.said, &arguments.marks, &mut known)?;
    let ties: Arc<dyn Ties> = Arc::new(known);
    let explanation = program.explain(&Query {
        zone: &arguments.zone,
        principal: &principal,
        route: &found.route,
        params: &found.params,
        search: None,
        method,
        host,
        purpose: arguments.purpose.as_deref(),
        ticket: arguments.ticket.as_deref(),
        grant: grant.as_ref(),
        ties: Some(&ties),
        now_unix_s: now,
    });
    match arguments.format {
        Format::Human => writeln!(out, "{explanation}").map_err(Failure::internal),
        Format::Json => output::json(
            out,
            &Report {
                request: &explanation.request,
                allowed: explanation.decision.is_ok(),
                stages: &explanation.stages,
                rules: &explanation.rules,
                fields: &explanation.fields,
                changes: &explanation.changes,
            },
        ),
    }
}

/// The result for programs.
#[derive(Serialize)]
struct Report<'a> {
    request: &'a str,
    allowed: bool,
    stages: &'a [Stage],
    rules: &'a [RuleReport],
    fields: &'a [FieldReport],
    changes: &'a [String],
}

/// `GET host/path` in its three parts.
fn target(request: &str) -> Result<(&str, &str, &str), Failure> {
    let shape = || Failure::Fault(format!("request `{request}`: must read `GET host/path`"));
    let (method, rest) = request.trim().split_once(' ').ok_or_else(shape)?;
    let slash = rest.find('/').ok_or_else(shape)?;
    let (host, path) = rest.split_at_checked(slash).ok_or_else(shape)?;
    Ok((method, host, path))
}

/// The grant that the attributes describe; without any there is none. `id=` names it.
fn grant(pairs: &[String]) -> Result<Option<Grant>, Failure> {
    let mut grant = Grant::of_everything("explained", std::collections::BTreeMap::new());
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Fault(format!("grant `{pair}`: must read `name=value`")))?;
        if name == "id" {
            grant.id = value.to_owned();
            continue;
        }
        let list = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let value = list.map_or_else(
            || Value::from(value),
            |list| Value::List(list.split(',').map(|item| Value::from(item.trim())).collect()),
        );
        grant.attributes.insert(name.to_owned(), value);
    }
    Ok((!pairs.is_empty()).then_some(grant))
}

/// Adds what `separate/3@acme:marketing:customer:42` and its like describe, and marks such as `vip:customer:42`.
fn registry(said: &[String], marks: &[String], known: &mut KnownCases) -> Result<(), Failure> {
    for text in said {
        let mut parts = text.splitn(4, ':');
        let read = parts.next().and_then(Said::read);
        let (Some((said, to)), Some(purpose), Some(entity), Some(key)) =
            (read, parts.next(), parts.next(), parts.next())
        else {
            let form = "must read `answer:purpose:entity:key`, where the answer is such as `explicit`, `separate/3@partner` or `no`";
            return Err(Failure::Fault(format!("said `{text}`: {form}")));
        };
        known.say(entity, key, (purpose, &to), said);
    }
    for text in marks {
        let mut parts = text.splitn(3, ':');
        let (Some(mark), Some(entity), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Failure::Fault(format!("mark `{text}`: must read `mark:entity:key`")));
        };
        known.mark(entity, key, mark);
    }
    Ok(())
}

/// The cases that `call:customer:42` and its like describe; what follows the second colon is the key.
fn links(texts: &[String]) -> Result<KnownCases, Failure> {
    let mut links = KnownCases::default();
    for text in texts {
        let parts =
            text.split_once(':').and_then(|(kind, rest)| Some((kind, rest.split_once(':')?)));
        let (kind, (entity, key)) = parts
            .ok_or_else(|| Failure::Fault(format!("link `{text}`: must read `kind:entity:key`")))?;
        links.add(kind, entity, key);
    }
    Ok(links)
}

fn principal(arguments: &Arguments, now: i64) -> Result<Principal, Failure> {
    let attributes = attributes(&arguments.attributes)?;
    let at_unix_s = now - arguments.factor_age;
    let factors = (1..=arguments.assurance).map(|level| Factor { level, at_unix_s }).collect();
    Ok(Principal {
        account: arguments.account.clone(),
        roles: arguments.roles.clone(),
        roles_elsewhere: Vec::new(),
        attributes,
        factors,
        assurance: arguments.assurance,
        address: arguments.address,
        device: arguments.device.clone(),
    })
}

/// What identity would bring: the kind is always there, and `staff` unless said.
fn attributes(pairs: &[String]) -> Result<BTreeMap<String, Value>, Failure> {
    let mut attributes = BTreeMap::from([("kind".to_owned(), Value::from("staff"))]);
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Fault(format!("attribute `{pair}`: must read `name=value`")))?;
        // As local accounts hold them: attributes are text.
        attributes.insert(name.to_owned(), Value::from(value));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_staff_unless_said() {
        let kind = |pairs: &[&str]| {
            let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            attributes(&pairs).unwrap().get("kind").cloned()
        };
        assert_eq!(kind(&["branch=sh01"]), Some(Value::from("staff")));
        assert_eq!(kind(&["kind=customer"]), Some(Value::from("customer")));
    }
}
