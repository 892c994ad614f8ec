//! `menshen demo`: the gate in front of a bundled bank, to try by hand or as a tour that checks itself.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::demo::stage::{Options, Stage};
use crate::demo::template::{self, Template};
use crate::demo::{DemoError, codes, guide, tour};

/// Arguments of `menshen demo`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: menshen demo --dir ./bank, then in another terminal: cd bank && menshen demo code li.na"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Where the gate listens, on loopback; 127.0.0.1:8443, or a free port for the tour.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// An empty or new folder that stays; else a temporary one is removed at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Run a story that checks itself, then end: exit 0 only if every step held.
    #[arg(long)]
    tour: bool,
    /// Play a shipped policy template: its people, records and story.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Template::names()))]
    template: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the current one-time code of an account of a running demo.
    ///
    /// Example: menshen demo code li.na
    Code {
        /// The account.
        account: String,
        /// The demo's folder.
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    if let Some(Action::Code { account, dir }) = &arguments.action {
        let code = codes::current(dir, account, Clock::system().unix_s()).map_err(failure)?;
        return writeln!(out, "{}", code.digits).map_err(Failure::internal);
    }
    if arguments.tour { take_tour(arguments, out) } else { stay_up(arguments, out) }
}

fn take_tour(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let options =
        Options { listen: arguments.listen.unwrap_or(free_port), folder: arguments.dir.clone() };
    let runtime = super::runtime()?;
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let told = match template(arguments)? {
        None => runtime.block_on(tour::run(&options, &program, out)),
        Some(template) => runtime.block_on(template::run(template, &options, out)),
    };
    let told = told.map_err(failure)?;
    if told.held() { Ok(()) } else { Err(Failure::Finding) }
}

fn template(arguments: &Arguments) -> Result<Option<Template>, Failure> {
    arguments.template.as_deref().map(Template::named).transpose().map_err(failure)
}

fn stay_up(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let usual_port = SocketAddr::from(([127, 0, 0, 1], 8443));
    let options =
        Options { listen: arguments.listen.unwrap_or(usual_port), folder: arguments.dir.clone() };
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let folder = program.parent().map(|path| path.display().to_string()).unwrap_or_default();
    let template = template(arguments)?;
    super::runtime()?.block_on(async {
        let clock = Clock::system();
        let stage = match template {
            None => Stage::set(&options, clock).await,
            Some(template) => match template.script(&clock) {
                Ok(script) => Stage::play(script, &options, clock).await,
                Err(error) => Err(error),
            },
        };
        let stage = stage.map_err(failure)?;
        let printed = match template {
            None => guide::print(&stage, &folder, out),
            Some(template) => template::print(template, &stage, &folder, out),
        };
        let ended = match printed {
            Ok(()) => wait(&stage).await,
            Err(error) => Err(failure(error)),
        };
        stage.strike().await;
        ended
    })
}

async fn wait(stage: &Stage) -> Outcome {
    // From here on, so that no event stands between the lines of the guide.
    super::events(super::Level::Warn, false);
    let hang_ups = super::run::hang_ups().map_err(Failure::internal)?;
    super::run::stop_signal(hang_ups, || stage.reload()).await.map_err(Failure::internal)
}

fn failure(error: DemoError) -> Failure {
    if error.is_fault() { Failure::fault(error) } else { Failure::internal(error) }
}
