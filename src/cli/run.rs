//! `menshen run`: the gate itself, until it is told to stop.

use std::path::PathBuf;

use clap::Args;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, Outcome, supervised};
use crate::clock::Clock;
use crate::config::Config;
use crate::server::{self, Confinement, Server, Sockets, StartError};

/// Arguments of `menshen run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The operator's file.
    ///
    /// Example: menshen run --config /etc/menshen/menshen.yaml
    #[arg(long, default_value = "menshen.yaml")]
    config: PathBuf,
    /// How much to tell of what happens.
    #[arg(long, env = "MENSHEN_EVENTS", value_enum, default_value = "info")]
    events: super::Level,
    /// Write events as JSON lines, for a collector.
    #[arg(long)]
    json_events: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    super::events(arguments.events, arguments.json_events);
    no_core_dumps().map_err(Failure::internal)?;
    let config = Config::load(&arguments.config).map_err(Failure::fault)?;
    let sockets = Sockets::handed_over().map_err(Failure::internal)?;
    // Before there is a second thread, which it would not hold.
    confined(&config)?;
    without_calls(&config)?;
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(serve(config, sockets));
    // A look-up of a name or a disk that hangs must not keep a stopped gate from ending.
    runtime.shutdown_background();
    outcome
}

fn confined(config: &Config) -> Outcome {
    if !config.confine {
        tracing::warn!("the gate may write wherever its user may (`confine: false`)");
        return Ok(());
    }
    match server::confine(config).map_err(Failure::internal)? {
        Confinement::Whole => {
            tracing::info!("writes below its own folders only, and starts nothing")
        }
        Confinement::Partial => {
            tracing::info!("writes below its own folders only, as far as this system can keep it")
        }
        Confinement::None => {
            tracing::warn!(
                "this system has no Landlock that would do (Linux 5.19): the gate may write wherever its user may"
            )
        }
    }
    Ok(())
}

fn without_calls(config: &Config) -> Outcome {
    if !config.confine_calls {
        tracing::warn!("the gate may make every call of the system (`confine-calls: false`)");
        return Ok(());
    }
    server::give_up_calls(config).map_err(Failure::internal)?;
    tracing::info!("has given up the calls of the system that it does not need");
    Ok(())
}

async fn serve(config: Config, sockets: Sockets) -> Outcome {
    let hang_ups = hang_ups().map_err(Failure::internal)?;
    let server = Server::start_on(config, Clock::system(), sockets).await;
    let server = server.map_err(start_failure)?;
    let served = async {
        supervised::tell(NotifyState::Ready);
        stop_signal(hang_ups, || server.reload()).await.map_err(Failure::internal)?;
        tracing::info!("stopping: no new connections, open requests may end");
        supervised::tell(NotifyState::Stopping);
        server.drain().await;
        tracing::info!("stopped");
        Ok(())
    };
    tokio::select! {
        outcome = served => outcome,
        never = supervised::watched() => match never {},
    }
}

pub(super) fn start_failure(error: StartError) -> Failure {
    if error.is_fault() { Failure::fault(error) } else { Failure::internal(error) }
}

/// SIGHUP from now on: one that comes while the gate starts waits, and does not end the process.
pub(super) fn hang_ups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Waits for SIGTERM or SIGINT; SIGHUP has `reload` called.
pub(super) async fn stop_signal(mut hang_ups: Signal, reload: impl Fn()) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            interrupted = tokio::signal::ctrl_c() => return interrupted,
            _ = hang_ups.recv() => reload(),
        }
    }
}

/// A dump of the memory would hold keys and customers' data.
fn no_core_dumps() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
