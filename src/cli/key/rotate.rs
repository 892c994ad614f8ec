//! `menshen key rotate`: wraps the keys of the log's entries under the key that the configuration names now.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::audit::{Act, Actor, ActorKind, AtRest, Event, Log, RestKey};
use crate::cli::account::operator;
use crate::cli::{Failure, Outcome};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::server;

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The configuration, with the new key as `log-key`; without it the master key is the new one.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The key that the log's keys are under, the master key among them; may be given again.
    #[arg(long, value_name = "FILE", required = true)]
    from: Vec<PathBuf>,
}

pub(super) fn rotate(rotate: &Rotate, out: &mut dyn Write) -> Outcome {
    let config = Config::load(&rotate.config).map_err(Failure::fault)?;
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let to = match server::at_rest(&config).map_err(Failure::fault)? {
        AtRest::Under(own) => own,
        AtRest::UnderMaster | AtRest::Legible => RestKey::new(&master).map_err(Failure::fault)?,
    };
    let mut from = Vec::new();
    for file in &rotate.from {
        let key = MasterKey::read(file).and_then(|key| RestKey::new(&key));
        from.push(key.map_err(Failure::fault)?);
    }
    super::super::log::need_log(&config.log).map_err(Failure::fault)?;
    let done = Log::rewrap(&config.log, &from, &to).map_err(Failure::fault)?;
    let log = server::open_log(&config, &Clock::system(), &master).map_err(Failure::fault)?;
    let mut entry = log.entry(Event::Custody).map_err(Failure::internal)?;
    let (account, kind) = (operator().0.as_str().into(), Some(ActorKind::Admin));
    entry.actor = Some(Actor { account, kind, ..Actor::default() });
    entry.act = Some(Act {
        name: "log_keys_rewrapped".into(),
        object: format!("key {}", to.id()).as_str().into(),
        count: Some(done.wrapped),
        succeeded: Some(true),
        ..Act::default()
    });
    super::super::runtime()?.block_on(log.append(entry)).map_err(Failure::internal)?;
    log.close();
    writeln!(
        out,
        "{} keys of the log are under the key `{}` now, {} were before, {} are destroyed. Keep the old key \
         as long as a backup of the log's `keys` folder is kept, then destroy it.",
        done.wrapped,
        to.id(),
        done.already,
        done.destroyed
    )
    .map_err(Failure::internal)
}
