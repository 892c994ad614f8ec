//! `menshen backup`: makes a backup now, beside a running gate or without one; lists those that there are.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::account::operator;
use super::log_custody::Custody;
use super::output::Format;
use super::{Failure, Outcome};
use crate::audit::{Moment, Reading};
use crate::backup::{Maker, Settings, make};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::server::maker;
use crate::state::Store;

/// Arguments of `menshen backup`.
#[derive(Debug, Args)]
#[command(after_help = "Example: menshen backup --config /etc/menshen/menshen.yaml")]
pub(super) struct Arguments {
    /// The gate's `menshen.yaml`, whose `backup` names the places.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also the listeners' certificates and private keys, and the log's own key; never the master key.
    #[arg(long)]
    with_keys: bool,
    /// List the backups that there are instead.
    #[arg(long)]
    list: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = Config::load(&args.config).map_err(Failure::fault)?;
    let Some(settings) = &config.backup else {
        return Err(Failure::Fault(
            "`menshen.yaml` has no `backup`, so there is no place for one".to_owned(),
        ));
    };
    let runtime = super::runtime()?;
    if args.list {
        return list(settings, args.format, runtime.handle(), out);
    }
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let maker = described(&config, &master, args.with_keys)?;
    let made = make(&maker, settings, runtime.handle()).map_err(Failure::internal)?;
    let failed: Vec<_> = made.failed.iter().map(|(place, _)| place.as_str()).collect();
    let custody = Custody::new(&config.log, &master).map_err(Failure::internal)?;
    let keys = if args.with_keys { ", with private keys" } else { "" };
    let places = made.places.join(", ");
    let reading = Reading {
        name: "backup_made".to_owned(),
        object: made.name.clone(),
        asked: format!("in {places}, not in [{}]{keys}", failed.join(", ")),
        seen: Some(made.entries),
        ..Reading::default()
    };
    custody.leave(reading).map_err(Failure::internal)?;
    let said = match args.format {
        Format::Human => {
            let mut said = format!(
                "{}  {} bytes, {} entries of the log, in {places}\n",
                made.name, made.bytes, made.entries
            );
            for (place, why) in &made.failed {
                said.push_str(&format!("NOT in {place}: {why}\n"));
            }
            said
        }
        Format::Json => {
            let failed: Vec<_> = made
                .failed
                .iter()
                .map(|(place, why)| json!({ "place": place, "why": why }))
                .collect();
            let (name, bytes, entries) = (&made.name, made.bytes, made.entries);
            let places = &made.places;
            format!(
                "{}\n",
                json!({ "name": name, "bytes": bytes, "entries": entries, "places": places, "failed": failed, "removed": made.removed })
            )
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)?;
    if made.failed.is_empty() { Ok(()) } else { Err(Failure::Finding) }
}

/// What a backup is made of.
fn described(config: &Config, master: &MasterKey, with_keys: bool) -> Result<Maker, Failure> {
    let store = Store::open(&config.state, master, Clock::system()).map_err(Failure::internal)?;
    let store = store.acting_as(&operator().0);
    let key = config.log.join("verifier.key");
    let text = std::fs::read_to_string(&key).map_err(|error| {
        Failure::Fault(format!("`{}`: {error}; there is no log yet", key.display()))
    })?;
    let verifier = text.trim_end().parse().map_err(Failure::fault)?;
    let mut maker = maker(config, store, verifier, (Clock::system(), master.clone()));
    if with_keys {
        let all = config.listeners.iter().enumerate();
        for (number, listener) in all.filter(|(_, listener)| !listener.tls.is_awaited()) {
            let name = |kind: &str| format!("private/listener-{number}.{kind}");
            maker.files.push((name("pem"), listener.tls.certificate.clone()));
            maker.files.push((name("key"), listener.tls.key.clone()));
        }
        maker.files.extend(config.log_key.clone().map(|key| ("private/log.key".to_owned(), key)));
    }
    Ok(maker)
}

fn list(
    settings: &Settings,
    format: Format,
    runtime: &tokio::runtime::Handle,
    out: &mut dyn Write,
) -> Outcome {
    let mut has_failed = false;
    for place in &settings.places {
        let found = match place.place.found(&Clock::system(), runtime) {
            Ok(found) => found,
            Err(error) => {
                has_failed = true;
                writeln!(std::io::stderr(), "menshen: {}: {error}", place.name).unwrap_or_default();
                continue;
            }
        };
        for one in found {
            let at = Moment(one.at_s.saturating_mul(1000));
            let line = match format {
                Format::Human => format!("{}  {at}  {}", place.name, one.name),
                Format::Json => {
                    json!({ "place": place.name, "name": one.name, "at": at }).to_string()
                }
            };
            writeln!(out, "{line}").map_err(Failure::internal)?;
        }
    }
    if has_failed { Err(Failure::Finding) } else { Ok(()) }
}
