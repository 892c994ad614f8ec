//! `menshen log`: verify the log offline, show and search who saw whom.

use std::io::{self, Write};
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};

use super::log_export::{ExportArgs, run_export};
use super::log_hold::{self, HoldArgs};
use super::log_index::{IndexArgs, run_index};
use super::log_prove::{CheckProofArgs, ProveArgs, run_check, run_prove};
use super::log_purge::{self, PurgeArgs};
use super::log_retention::{self, RetentionArgs};
use super::log_search::{SearchArgs, run_search};
use super::log_show::{ShowArgs, run_show};
use super::log_tail::{self, TailArgs};
use super::log_trace::{TraceArgs, run_trace};
use super::log_verify::{VerifyArgs, run_verify};
use super::{Failure, Outcome};
use crate::audit::note::NoteError;
use crate::audit::{Broken, Event, ReadError};
use crate::command::CommandError;
use crate::config::ConfigError;
use crate::index::IndexError;
use crate::secret::SecretError;

/// Verify and read the log.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    #[command(flatten)]
    Read(ReadCommand),
    /// What of the log goes when, by the policy; or the schedule of it, for everybody to see.
    ///
    /// Example: menshen log retention ./log --policies policies --config /etc/menshen/menshen.yaml
    Retention(RetentionArgs),
    /// Ask that entries may go when their time is over, where the policy wants two persons for that.
    ///
    /// Example: menshen log purge --until 2024-06-30 --reason "retention of July" --config /etc/menshen/menshen.yaml
    Purge(PurgeArgs),
    /// Legal holds, which keep what would be destroyed.
    Hold(HoldArgs),
    /// The entries as they are, a line of JSON each; or carried to a place that `ship` names.
    ///
    /// Example: menshen log tail --config /etc/menshen/menshen.yaml --to siem
    Tail(TailArgs),
}

/// What reads a log and chooses its own exit codes.
#[derive(Debug, Subcommand)]
enum ReadCommand {
    /// Is every entry there, in order, unaltered? Offline, without secret keys.
    ///
    /// Example: menshen log verify ./log --from checkpoint-of-last-month
    Verify(VerifyArgs),
    /// Show who saw whom.
    ///
    /// Example: menshen log show ./log --key master.key --subject customer:10017
    Show(ShowArgs),
    /// Whose copy is this file? By its bytes, its marks, and the order of its records.
    ///
    /// Example: menshen log trace ./log --file found.csv --key master.key --column id
    Trace(TraceArgs),
    /// Search who saw whom, by the index.
    ///
    /// Example: menshen log search --config /etc/menshen/menshen.yaml --subject customer:42 --month 2026-10
    Search(Box<SearchArgs>),
    /// Export a part of the log for another tool: JSON Lines, OCSF, CEF.
    ///
    /// Example: menshen log export --config /etc/menshen/menshen.yaml --month 2026-10 --view ocsf
    Export(Box<ExportArgs>),
    /// Prove that one entry is in the log, to somebody who has neither the log nor a key.
    ///
    /// Example: menshen log prove 01a0c450-6c7b-7101-8101-010101010101 --config /etc/menshen/menshen.yaml > proof
    Prove(ProveArgs),
    /// Check such a proof, offline.
    ///
    /// Example: menshen log check-proof proof --verifier "$(cat verifier.key)"
    CheckProof(CheckProofArgs),
    /// Make the index of the log, by which it is searched; a running gate does so by itself.
    ///
    /// Example: menshen log index --config /etc/menshen/menshen.yaml --rebuild
    Index(IndexArgs),
}

/// How to print a result of several.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// The hash of a file, as somebody typed it.
pub(super) fn sha256(hex: &str) -> Result<String, String> {
    let hex = hex.to_ascii_lowercase();
    let is_hash = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash
        .then_some(hex)
        .ok_or_else(|| String::from("must be the 64 characters of a SHA-256 in hex"))
}

/// The event with this name.
pub(super) fn event(word: &str) -> Result<Event, String> {
    let known = Event::ALL.iter().find(|event| event.word() == word);
    known.copied().ok_or_else(|| {
        let words: Vec<_> = Event::ALL.iter().map(|event| event.word()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

/// Why a `menshen log` command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogCommandError {
    /// The folder holds no log.
    #[error("`{0}`: there is no log in this folder; name the folder with `checkpoint` in it")]
    NoLog(String),
    /// A file that was named could not be read.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A key or a checkpoint that was given does not hold.
    #[error("`{path}`: {source}")]
    Note {
        /// The file or the option.
        path: String,
        /// What is wrong with it.
        source: NoteError,
    },
    /// The subject is not in the form `entity:key`.
    #[error("--subject: must be `entity:key`, such as `customer:10017`, got `{0}`")]
    Subject(String),
    /// The master key could not be used.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// Something is missing or does not go together.
    #[error("{0}")]
    Asked(String),
    /// The configuration that was named cannot be used.
    #[error(transparent)]
    Config(#[from] Box<ConfigError>),
    /// What two persons agreed to could not be asked.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The reading could not be recorded, so nothing is shown.
    #[error(
        "`{path}`: {source}: every reading is recorded there first; run it as a user who may write to the log's folder"
    )]
    Custody {
        /// The log's folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not hold, so nothing is said of it.
    #[error("{0}; look into it with `menshen log verify`, nothing is signed about a broken log")]
    Broken(#[from] Broken),
    /// The result could not be printed.
    #[error("the result could not be printed: {0}")]
    Print(#[from] io::Error),
}

impl LogCommandError {
    /// The exit code that says whose fault it is: 64 the caller's, 70 ours.
    #[must_use]
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoLog(_)
            | Self::File { .. }
            | Self::Note { .. }
            | Self::Subject(_)
            | Self::Asked(_)
            | Self::Config(_)
            | Self::Custody { .. }
            | Self::Index(IndexError::FewLetters(_) | IndexError::File { .. })
            | Self::Key(_) => 64,
            Self::Command(CommandError::State(_)) => 70,
            Self::Command(_) => 64,
            Self::Read(_) | Self::Broken(_) | Self::Print(_) | Self::Index(_) => 70,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: LogArgs, out: &mut dyn Write) -> Outcome {
    match args.command {
        LogCommand::Read(command) => match read_log(command, out) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Failure::Finding),
            Err(error) if error.exit_code() == 64 => Err(Failure::fault(error)),
            Err(error) => Err(Failure::internal(error)),
        },
        LogCommand::Retention(args) => log_retention::run(&args, out),
        LogCommand::Purge(args) => log_purge::run(&args, out),
        LogCommand::Hold(args) => log_hold::run(&args, out),
        LogCommand::Tail(args) => log_tail::run(&args, out),
    }
}

/// Gives the exit code: 0 if all is well, 1 if the log does not hold.
///
/// # Errors
/// [`LogCommandError`], which knows its exit code.
fn read_log(command: ReadCommand, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    match command {
        ReadCommand::Verify(args) => run_verify(&args, out),
        ReadCommand::Show(args) => run_show(&args, out),
        ReadCommand::Trace(args) => run_trace(&args, out),
        ReadCommand::Search(args) => run_search(&args, out),
        ReadCommand::Export(args) => run_export(&args, out),
        ReadCommand::Prove(args) => run_prove(&args, out),
        ReadCommand::CheckProof(args) => run_check(&args, out),
        ReadCommand::Index(args) => run_index(&args, out),
    }
}

/// A folder in which no log ever was is the caller's mistake; an empty answer would look like an empty log.
pub(super) fn need_log(dir: &Path) -> Result<(), LogCommandError> {
    let traces = ["checkpoint", "verifier.key", "tile", "journal"];
    if traces.iter().any(|name| dir.join(name).exists()) {
        return Ok(());
    }
    Err(LogCommandError::NoLog(dir.display().to_string()))
}

/// The digits of a hash.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        Actor, Answer, Data, Decision, Effect, Ending, Log, Origin, Request, Settings,
        SubjectSealer, Why,
    };
    use crate::clock::Clock;
    use crate::secret::MasterKey;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        log: LogArgs,
    }

    fn call(args: &[&str]) -> (Result<u8, LogCommandError>, String) {
        let cli = Cli::try_parse_from([&["log"], args].concat()).unwrap();
        let mut out = Vec::new();
        let LogCommand::Read(command) = cli.log.command else { panic!("{args:?}") };
        let code = read_log(command, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    /// A log with one look at a customer, one denial, and one look whose outcome never came.
    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let keys = MasterKey::from_bytes([8; 32]);
        keys.write_new(&dir.path().join("master.key")).unwrap();
        let clock = Clock::fixed(1_790_000_000_000);
        let (log, _) =
            Log::open(&dir.path().join("log"), Settings::default(), clock, &keys).unwrap();
        let sealer = SubjectSealer::new(&keys).unwrap();
        let mut seen = None;
        for (effect, account) in
            [(Effect::Allow, "wang.li"), (Effect::Deny, "somchai"), (Effect::Allow, "kim")]
        {
            let mut entry = log.entry(Event::Decision).unwrap();
            let roles = ["teller"].into_iter().collect();
            entry.actor = Some(Actor { account: account.into(), roles, ..Actor::default() });
            entry.origin = Some(Origin { address: "10.0.0.5".parse().ok(), ..Origin::default() });
            let (method, route) = ("GET".into(), "customer.view".into());
            entry.request = Some(Request { method, route, ..Request::default() });
            entry.why = Some(Why { purpose: "loan".into(), ..Why::default() });
            entry.decision = Some(Decision::new(effect));
            seen.get_or_insert(entry.id);
            log.append_detached(entry);
        }
        let mut outcome = log.entry(Event::Outcome).unwrap();
        outcome.decided_by = seen;
        outcome.add_subject(sealer.seal("customer", "10017").unwrap()).unwrap();
        outcome.data = Some(Data {
            clear: ["customer.name"].into_iter().collect(),
            masked: ["customer.phone"].into_iter().collect(),
            withheld: ["password_hash"].into_iter().collect(),
            records: Some(1),
            ..Data::default()
        });
        let ended = Some(Ending::Complete);
        outcome.result = Some(Answer { status: Some(200), ended, ..Answer::default() });
        log.append_detached(outcome);
        log.close();
        dir
    }

    fn path(dir: &tempfile::TempDir, name: &str) -> String {
        dir.path().join(name).display().to_string()
    }

    #[test]
    fn show_tells_who_saw_whom_and_names_them_only_with_the_key() {
        let dir = sample();
        let (log, key) = (path(&dir, "log"), path(&dir, "master.key"));
        let (code, text) = call(&["show", &log, "--key", &key]);
        assert_eq!(code.unwrap(), 0);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "2026-09-21T14:13:20.000Z  decision wang.li (teller) from 10.0.0.5 GET customer.view for loan → allow 200",
                "    whose: customer:\u{2026}17; clear: customer.name; masked: customer.phone; withheld: password_hash; 1 record; complete",
            ]
        );
        assert!(lines[2].contains("somchai") && lines[2].ends_with("→ deny"));
        assert!(lines[4].ends_with("possibly disclosed up to its permit"));
        let named = call(&["show", &log, "--key", &key, "--unmask", "--reason", "case 7"]).1;
        assert!(named.contains("whose: customer:10017;"), "{named}");
        let asked = call(&["show", &log, "--key", &key, "--subject", "customer:10017"]).1;
        assert!(asked.contains("whose: customer:10017;"), "who asks by name knows it: {asked}");
        let left = std::fs::read_dir(dir.path().join("log/readings")).unwrap().count();
        assert_eq!(left, 3, "each reading waits to come into the log");
        let (_, without) = call(&["show", &log]);
        assert_eq!(without.lines().count(), 1, "{without}");
        assert!(
            without.starts_with("not read: 4 entries, staff_access of 2026-09-21: sealed under"),
            "{without}"
        );
    }

    #[test]
    fn show_does_not_list_what_a_refused_answer_would_have_held() {
        let dir = tempfile::tempdir().unwrap();
        let keys = MasterKey::from_bytes([8; 32]);
        let clock = Clock::fixed(1_790_000_000_000);
        let log = dir.path().join("log");
        let (writer, _) = Log::open(&log, Settings::default(), clock, &keys).unwrap();
        let mut decision = writer.entry(Event::Decision).unwrap();
        decision.decision = Some(Decision::new(Effect::Allow));
        let clear = ["customer.name"].into_iter().collect();
        decision.data = Some(Data { clear, ..Data::default() });
        let mut outcome = writer.entry(Event::Outcome).unwrap();
        outcome.decided_by = Some(decision.id);
        let ended = Some(Ending::Refused);
        outcome.result = Some(Answer { status: Some(429), ended, ..Answer::default() });
        writer.append_detached(decision);
        writer.append_detached(outcome);
        writer.close();
        let key = dir.path().join("master.key");
        keys.write_new(&key).unwrap();
        let (log, key) = (log.display().to_string(), key.display().to_string());
        let (_, text) = call(&["show", &log, "--key", &key]);
        assert!(text.ends_with("→ allow 429\n    refused\n"), "{text}");
    }

    #[test]
    fn show_finds_a_subject_an_account_and_the_last_ones() {
        let dir = sample();
        let (log, key) = (path(&dir, "log"), path(&dir, "master.key"));
        let count = |args: &[&str]| {
            let all =
                [&["show", log.as_str(), "--key", key.as_str(), "--format", "json"], args].concat();
            call(&all).1.lines().count()
        };
        assert_eq!(count(&["--subject", "customer:10017"]), 1);
        assert_eq!(count(&["--subject", "customer:10018"]), 0);
        assert_eq!(count(&["--actor", "kim"]), 1);
        assert_eq!(count(&["--last", "2"]), 2);
        assert_eq!(count(&["--event", "session"]), 0);
        let (refused, _) = call(&["show", &log, "--key", &key, "--subject", "10017"]);
        assert_eq!(refused.unwrap_err().exit_code(), 64);
    }

    #[test]
    fn verify_exits_0_on_a_whole_log_and_1_with_the_position_on_an_altered_one() {
        let dir = sample();
        let log = path(&dir, "log");
        let checkpoint = path(&dir, "log/checkpoint");
        let (code, text) = call(&["verify", &log, "--from", &checkpoint]);
        assert_eq!(code.unwrap(), 0);
        assert!(text.starts_with("ok  4 entries"), "{text}");
        let bundle = dir.path().join("log/tile/entries/000.p/4");
        let mut bytes = std::fs::read(&bundle).unwrap();
        bytes[10] ^= 1;
        std::fs::write(&bundle, bytes).unwrap();
        let (code, text) = call(&["verify", &log]);
        assert_eq!(code.unwrap(), 1);
        std::fs::remove_file(dir.path().join("log/verifier.key")).unwrap();
        assert_eq!(call(&["verify", &log]).0.unwrap(), 1);
        assert!(text.starts_with("BROKEN  `tile/entries/000.p/4`, entry 0: "), "{text}");
    }

    #[test]
    fn a_folder_without_a_log_is_the_callers_mistake() {
        let dir = tempfile::tempdir().unwrap();
        for command in ["verify", "show"] {
            let (refused, _) = call(&[command, &path(&dir, "nothing")]);
            assert_eq!(refused.unwrap_err().exit_code(), 64);
        }
    }
}
