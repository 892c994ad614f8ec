//! The command line: one file per subcommand, and what they share of exit codes and output.

mod account;
mod backup;
mod catalog;
mod check;
mod check_people;
mod columns;
mod csv;
mod demo;
mod detection;
mod device;
mod diff;
mod doctor;
mod explain;
mod explain_entry;
mod fmt;
mod gate_file;
mod grant;
mod import;
mod journal;
mod jwks;
mod key;
mod limits;
mod link;
mod log;
mod log_agreed;
mod log_custody;
mod log_export;
mod log_filter;
mod log_hold;
mod log_index;
mod log_keys;
mod log_place;
mod log_print;
mod log_prove;
mod log_purge;
mod log_question;
mod log_retention;
mod log_search;
mod log_show;
mod log_tail;
mod log_trace;
mod log_verify;
mod matrix;
mod notify;
mod output;
mod policy;
mod progress;
mod registry;
mod registry_file;
mod registry_partner;
mod registry_public;
mod registry_steps;
mod registry_subject;
mod registry_tenant;
mod replay;
mod report;
mod restore;
mod restored;
mod restored_acts;
mod restored_again;
mod restored_grants;
mod restored_source;
mod review;
mod review_campaign;
mod run;
mod schema;
mod supervised;
mod switch;
mod table;
mod test;
mod verdict_table;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The access gateway that decides field by field who may see customer data.
#[derive(Debug, Parser)]
#[command(name = "menshen", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate.
    Run(run::Arguments),
    /// Try the gate on a bundled bank, by hand or as a tour.
    Demo(demo::Arguments),
    /// Check policy files and, if given, the configuration: every fault at once.
    Check(check::Arguments),
    /// Look at the machine, the files, the ports and the backends: what would stop the gate, or weaken it.
    Doctor(doctor::Arguments),
    /// Run the tests that stand beside the policy.
    Test(test::Arguments),
    /// Explain one decision: every stage, every rule, every field.
    Explain(explain::Arguments),
    /// Bring policy files into one canonical form, comments kept.
    Fmt(fmt::Arguments),
    /// Make routes and a catalogue of an OpenAPI description, with every field closed.
    Import(import::Arguments),
    /// Print the JSON Schema of policy files, for completion and hover in editors.
    Schema(schema::Arguments),
    /// Show who sees what: roles, fields and actions in one table.
    Matrix(matrix::Arguments),
    /// Compare two policies: who gains and who loses what.
    Diff(diff::Arguments),
    /// Make recorded decisions again on another policy: what would be different, and for whom.
    Replay(replay::Arguments),
    /// Say what of the backends the catalogue does not know.
    Catalog(catalog::Arguments),
    /// Make a backup of state, log and policy now, or list those that there are.
    Backup(backup::Arguments),
    /// Bring a backup back into a new folder, or try whether it could be.
    Restore(restore::Arguments),
    /// Answer for what was done after the backup that a state was restored from; the gate does not start before.
    Restored(restored::Arguments),
    /// Read and verify the log.
    Log(log::LogArgs),
    /// Reports from the log: who saw a customer, what one employee did, the monthly review.
    Report(report::Arguments),
    /// Sign a review with a reviewer's own key, and check it.
    Review(review::Arguments),
    /// The policy in force, and one that waits for two persons.
    Policy(policy::Arguments),
    /// Manage local accounts.
    Account(account::AccountArgs),
    /// Look at the keys of an issuer, and verify a token with them.
    Jwks(jwks::Arguments),
    /// What detections found: list, release, drill, and read a log again.
    Detection(detection::Arguments),
    /// Manage the devices of accounts.
    Device(device::Arguments),
    /// Show how budgets stand, and let one begin anew.
    Limits(limits::Arguments),
    /// Ask a running gate for a grant, and decide on what others ask for.
    Grant(grant::Arguments),
    /// Switch off a person, a role, a tenant, a partner, a route or all exports, and let it go on.
    Switch(switch::Arguments),
    /// Try whether people can be told, and list what waits to be.
    Notify(notify::Arguments),
    /// Tie an account and a customer by a case, and end that.
    Link(link::Arguments),
    /// Say what the gate itself knows of whom data are about: consents, objections, marks.
    /// Who receives data for a task, and who works on the platform: partners and tenants.
    Registry(registry::Arguments),
    /// Manage the master key.
    Key(key::Arguments),
}

/// How a subcommand ends when it does not simply succeed.
#[derive(Debug)]
enum Failure {
    /// It worked, and found something: exit 1.
    Finding,
    /// A fault in the arguments or in a file that a human wrote: exit 64.
    Fault(String),
    /// The same, and the result that was printed says what it is.
    ToldFault,
    /// Anything else: exit 70.
    Internal(String),
}

impl Failure {
    fn fault(error: impl std::fmt::Display) -> Self {
        Self::Fault(error.to_string())
    }

    fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

type Outcome = Result<(), Failure>;

/// Parses the arguments, runs the subcommand and gives the exit code: 0 ok, 1 finding, 64 fault, 70 internal.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            return match error.print() {
                Ok(()) if asked_for => ExitCode::SUCCESS,
                _ => ExitCode::from(64),
            };
        }
    };
    let mut out = std::io::stdout().lock();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments, &mut out),
        Command::Check(arguments) => check::run(&arguments, &mut out),
        Command::Doctor(arguments) => doctor::run(&arguments, &mut out),
        Command::Test(arguments) => test::run(&arguments, &mut out),
        Command::Explain(arguments) => explain::run(&arguments, &mut out),
        Command::Fmt(arguments) => fmt::run(&arguments, &mut out),
        Command::Import(arguments) => import::run(&arguments, &mut out),
        Command::Schema(arguments) => schema::run(&arguments, &mut out),
        Command::Matrix(arguments) => matrix::run(&arguments, &mut out),
        Command::Diff(arguments) => diff::run(&arguments, &mut out),
        Command::Replay(arguments) => replay::run(&arguments, &mut out),
        Command::Catalog(arguments) => catalog::run(&arguments, &mut out),
        Command::Backup(arguments) => backup::run(&arguments, &mut out),
        Command::Restore(arguments) => restore::run(&arguments, &mut out),
        Command::Restored(arguments) => restored::run(&arguments, &mut out),
        Command::Log(arguments) => log::run(arguments, &mut out),
        Command::Report(arguments) => report::run(&arguments, &mut out),
        Command::Review(arguments) => review::run(&arguments, &mut out),
        Command::Policy(arguments) => policy::run(&arguments, &mut out),
        Command::Account(arguments) => {
            account::run(arguments, &mut std::io::stdin().lock(), &mut out).map_err(Failure::fault)
        }
        Command::Jwks(arguments) => jwks::run(&arguments, &mut out),
        Command::Detection(arguments) => detection::run(&arguments, &mut out),
        Command::Device(arguments) => device::run(&arguments, &mut out),
        Command::Limits(arguments) => limits::run(&arguments, &mut out),
        Command::Grant(arguments) => grant::run(&arguments, &mut out),
        Command::Switch(arguments) => switch::run(&arguments, &mut out),
        Command::Notify(arguments) => notify::run(&arguments, &mut out),
        Command::Link(arguments) => link::run(&arguments, &mut out),
        Command::Registry(arguments) => registry::run(&arguments, &mut out),
        Command::Key(arguments) => key::run(&arguments, &mut out),
    };
    exit(outcome.and_then(|()| out.flush().map_err(Failure::internal)))
}

/// The runtime of commands that serve.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)
}

/// How much is told of what happens.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Sends events to the error stream: life cycle and failures, never a value of a customer.
///
/// Libraries stay at warnings whatever is asked for: below, they print heads and frames.
fn events(level: Level, as_json: bool) {
    use tracing_subscriber::filter::EnvFilter;
    let ours = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    // h2 warns of what strangers send it, which must not fill the operator's disk.
    let filter = EnvFilter::new(format!("warn,h2=error,menshen={ours}"));
    let stream = journal::ErrorStream::open();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stream);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    if as_json { builder.json().init() } else { builder.with_ansi(ansi).init() }
}

fn exit(outcome: Outcome) -> ExitCode {
    let (code, said) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Finding) => return ExitCode::from(1),
        Err(Failure::ToldFault) => return ExitCode::from(64),
        Err(Failure::Fault(said)) => (64, said),
        Err(Failure::Internal(said)) => (70, said),
    };
    // Nothing is left to do if even the error stream is closed.
    let name = if said.contains('\n') { "" } else { "menshen: " };
    let level = journal::of_failure();
    let said = said.replace('\n', &format!("\n{level}"));
    writeln!(std::io::stderr(), "{level}{name}{said}").unwrap_or_default();
    ExitCode::from(code)
}
