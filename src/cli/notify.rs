//! `menshen notify`: whether targets take notices, and what waits for them.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::device::time;
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::config::Config;
use crate::notify::{Kind, Message, Notice, Settings, send};
use crate::secret::{MasterKey, random_token};
use crate::state::Store;

/// Arguments of `menshen notify`.
#[derive(Debug, Args)]
#[command(after_help = "Example: menshen notify test --config /etc/menshen/menshen.yaml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test to the targets of `notify`, and say which of them took it.
    Test {
        /// Only to this one.
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List how many notices wait for each target, and since when.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The operator's file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(async {
        match &arguments.action {
            Action::Test { to, file } => test(to.as_deref(), &file.config, out).await,
            Action::List { file } => list(&file.config, out).await,
        }
    })
}

async fn test(to: Option<&str>, file: &std::path::Path, out: &mut dyn Write) -> Outcome {
    let config = Config::load(file).map_err(Failure::fault)?;
    let chosen: Vec<&Settings> =
        config.notify.iter().filter(|one| to.is_none_or(|name| name == one.name)).collect();
    if chosen.is_empty() {
        let what = to.map_or("no target".to_owned(), |name| format!("no target `{name}`"));
        return Err(Failure::fault(format!("`notify` names {what}")));
    }
    let mut all_took_it = true;
    for target in chosen {
        let told = match send(target, &message(&config.node)?).await {
            Ok(delivered) if delivered.refused.is_empty() => "took it".to_owned(),
            Ok(delivered) => {
                all_took_it = false;
                format!("did not take all recipients: {}", delivered.refused.join("; "))
            }
            Err(error) => {
                all_took_it = false;
                format!("did not take it: {error}")
            }
        };
        writeln!(out, "`{}` {told}", target.name).map_err(Failure::internal)?;
    }
    if all_took_it { Ok(()) } else { Err(Failure::Finding) }
}

fn message(node: &str) -> Result<Message, Failure> {
    let id = random_token::<12>().map_err(Failure::internal)?;
    let id = format!("test-{}", id.expose());
    let at_ms = Clock::system().unix_ms();
    let notice = Notice {
        kind: Kind::Test,
        entry: id.clone(),
        at_ms,
        node: node.to_owned(),
        who: String::new(),
        what: String::new(),
        count: 1,
        number: 0,
    };
    Ok(Message { id, notice, at_ms })
}

async fn list(file: &std::path::Path, out: &mut dyn Write) -> Outcome {
    let config = Config::load(file).map_err(Failure::fault)?;
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    if !Store::exists(&config.state) {
        return Err(Failure::fault(format!("`{}`: there is no state", config.state.display())));
    }
    let store = Store::open(&config.state, &master, Clock::system()).map_err(Failure::internal)?;
    let waiting = store.notices_waiting().await.map_err(Failure::internal)?;
    for target in &config.notify {
        let row = waiting.iter().find(|(name, ..)| *name == target.name);
        let told = match row {
            None => "nothing waits".to_owned(),
            Some((_, count, since_ms)) => {
                format!("{count} wait, since {}", time(since_ms.div_euclid(1000)))
            }
        };
        writeln!(out, "`{}`: {told}", target.name).map_err(Failure::internal)?;
    }
    Ok(())
}
