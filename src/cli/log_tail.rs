//! `menshen log tail`: the log's entries as they are, on the standard output or carried to a place of `ship`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::log_agreed::{Agreed, AskArgs, Errands};
use super::log_custody::Custody;
use super::{Failure, Outcome};
use crate::audit::{Frame, OpenedFrames, Reading};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::server::{cursors, ship_source};
use crate::ship::{Carrier, Carrying, Cursor, Settings, Source};

/// How often to look for new entries.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a place that takes nothing is tried.
const TRIES: u32 = 5;

/// Arguments of `menshen log tail`.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// The gate's `menshen.yaml`, which names the log, its keys and the places of `ship`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A place of `ship`; without one, lines of JSON on the standard output.
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// The place of the first entry. Without it, the log's first, or where the place's cursor stands; with it that
    /// cursor is left alone, and a gate may run.
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// Go on as entries are written, until interrupted.
    #[arg(long)]
    follow: bool,
    /// Why you read this; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &TailArgs, out: &mut dyn Write) -> Outcome {
    let config = Config::load(&args.config).map_err(Failure::fault)?;
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let source = ship_source(&config, &master).map_err(Failure::fault)?;
    super::log::need_log(&source.dir).map_err(Failure::fault)?;
    let from = args.from.map_or("the beginning".to_owned(), |from| from.to_string());
    let asked = format!("from {from}");
    let approved_by = match agreed(args, &source, &master, &asked)? {
        Agreed::By(name) => name,
        Agreed::Asked(said) => return out.write_all(said.as_bytes()).map_err(Failure::internal),
    };
    let reading = Reading {
        name: "log_tailed".to_owned(),
        object: args.to.clone().unwrap_or_default(),
        asked,
        reason: args.reason.clone().unwrap_or_default(),
        approved_by,
        ..Reading::default()
    };
    // Before anything is shown.
    let custody = Custody::new(&source.dir, &master).map_err(Failure::fault)?;
    custody.leave(reading).map_err(Failure::internal)?;
    let Some(name) = &args.to else { return print(args, &source, out) };
    let Some(settings) = config.ship.iter().find(|settings| settings.name == *name) else {
        let known: Vec<_> = config.ship.iter().map(|settings| settings.name.as_str()).collect();
        let known = known.join(", ");
        return Err(Failure::Fault(format!("--to: `ship` has no `{name}`, only: {known}")));
    };
    let cursor = match args.from {
        Some(from) => Cursor::passing(from),
        None => Cursor::open(&cursors(&config), name).map_err(Failure::fault)?,
    };
    // Whoever waits at a terminal does not want a batch gathered first.
    let settings = Settings { gather: Duration::ZERO, ..settings.clone() };
    let carrier = Carrier::new(settings, source, cursor, Clock::system());
    let carried = super::runtime()?.block_on(carry(carrier, args.follow))?;
    writeln!(out, "{carried} entries are at `{name}`").map_err(Failure::internal)
}

/// Whether two persons agreed to print these entries, where they have to. Places of `ship` the operator named, and the
/// gate carries the log there by itself.
fn agreed(
    args: &TailArgs,
    source: &Source,
    master: &MasterKey,
    asked: &str,
) -> Result<Agreed, Failure> {
    if args.to.is_some() {
        return Ok(Agreed::By(String::new()));
    }
    let follow = args.follow.to_string();
    let errand = Errands {
        config: Some(&args.config),
        dir: &source.dir,
        master,
        parts: &[b"tail", asked.as_bytes(), follow.as_bytes()],
        told: &format!("entries as they are {asked}"),
        reason: args.reason.as_deref().unwrap_or_default(),
    };
    errand.settle(&args.ask).map_err(|error| match error.exit_code() {
        64 => Failure::fault(error),
        _ => Failure::internal(error),
    })
}

/// Carries what there is, and on if asked to.
async fn carry(mut carrier: Carrier, follow: bool) -> Result<u64, Failure> {
    let (mut carried, mut failures) = (0, 0);
    loop {
        match carrier.step().await {
            Ok(Carrying::Carried(entries)) => (carried, failures) = (carried + entries, 0),
            Ok(Carrying::Gathering | Carrying::Nothing) if follow => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(Carrying::Gathering | Carrying::Nothing) => return Ok(carried),
            Err(error) if failures >= TRIES && !follow => return Err(Failure::internal(error)),
            Err(error) => {
                failures += 1;
                tokio::time::sleep(carrier.pause(&error)).await;
            }
        }
    }
}

fn print(args: &TailArgs, source: &Source, out: &mut dyn Write) -> Outcome {
    let mut next = args.from.unwrap_or(0);
    loop {
        for read in OpenedFrames::new(&source.dir, next, source.opener.clone()) {
            let (index, frame) = read.map_err(Failure::internal)?;
            let line = match frame {
                Frame::Json(json) => json,
                Frame::Closed(closed) => {
                    serde_json::json!({ "index": index, "not_read": closed }).to_string().into()
                }
            };
            out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(Failure::internal)?;
            next = index + 1;
        }
        out.flush().map_err(Failure::internal)?;
        if !args.follow {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
