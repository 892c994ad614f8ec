//! `menshen log`: verify the log offline, show who saw whom.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::log_hold::{self, HoldArgs};
use super::log_keys::{LogKeys, unread};
use super::log_retention::{self, RetentionArgs};
use super::log_trace::{TraceArgs, hash_of, run_trace};
use super::{Failure, Outcome};
use crate::audit::note::{Checkpoint, NoteError, Verifier, Witness};
use crate::audit::{
    Access, Accesses, Alert, Broken, Concern, Data, Difference, Entry, Event, Fault, Filter, Found,
    ReadError, Reader, SubjectSealer, Verified, check_keys, verify,
};
use crate::secret::SecretError;

/// Subjects that a line names.
const NAMED_SUBJECTS: usize = 5;

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
    /// Legal holds, which keep what would be destroyed.
    Hold(HoldArgs),
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
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    /// An earlier checkpoint that the log must continue, kept elsewhere.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The key of a witness that must have cosigned that earlier checkpoint; may be given again.
    #[arg(long, value_name = "NAME+HASH+KEY", requires = "from")]
    witness: Vec<String>,
    /// The verifier key you kept elsewhere; else the one in the log's folder is used.
    #[arg(long, value_name = "NAME+HASH+KEY")]
    verifier: Option<String>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    #[command(flatten)]
    keys: LogKeys,
    /// Only accesses to this data subject, such as customer:10017.
    #[arg(long, value_name = "ENTITY:KEY", requires = "key")]
    subject: Option<String>,
    /// Only what this account did.
    #[arg(long, value_name = "ACCOUNT")]
    actor: Option<String>,
    /// Only events of this kind.
    #[arg(long, value_parser = event)]
    event: Option<Event>,
    /// Only the file that carries this mark, as in its name or its column.
    #[arg(long, value_name = "MARK")]
    watermark: Option<String>,
    /// Only files whose bytes have this SHA-256, as `sha256sum` prints it.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// Only files whose bytes are those of this one.
    #[arg(long, value_name = "PATH", conflicts_with = "sha256")]
    file: Option<PathBuf>,
    /// How many, counted from the end of the log.
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

fn sha256(hex: &str) -> Result<String, String> {
    let hex = hex.to_ascii_lowercase();
    let is_hash = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash
        .then_some(hex)
        .ok_or_else(|| String::from("must be the 64 characters of a SHA-256 in hex"))
}

fn event(word: &str) -> Result<Event, String> {
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
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
            | Self::Key(_) => 64,
            Self::Read(_) | Self::Print(_) => 70,
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
        LogCommand::Hold(args) => log_hold::run(&args, out),
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
    }
}

fn run_verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    need_log(&args.dir)?;
    let result = match verifier(args)? {
        Ok(verifier) => {
            let earlier = args
                .from
                .as_deref()
                .map(|path| earlier(path, &verifier, &args.witness))
                .transpose()?;
            verify(&args.dir, &verifier, earlier.as_ref()).and_then(|verified| {
                Ok(Holds { verified, destroyed: check_keys(&args.dir, &verifier)? })
            })
        }
        Err(broken) => Err(broken),
    };
    match args.format {
        Format::Human => print_verified(&result, args.verifier.is_none(), out)?,
        Format::Json => writeln!(out, "{}", verified_json(&result))?,
    }
    Ok(u8::from(result.is_err()))
}

/// The key to verify with. One that was given wrongly is the caller's mistake, one that is wrong in
/// the log's folder is a finding.
fn verifier(args: &VerifyArgs) -> Result<Result<Verifier, Broken>, LogCommandError> {
    if let Some(key) = &args.verifier {
        let wrong = |source| LogCommandError::Note { path: String::from("--verifier"), source };
        return key.parse().map(Ok).map_err(wrong);
    }
    let broken = |fault| Broken { file: String::from("verifier.key"), index: None, fault };
    let Ok(key) = std::fs::read_to_string(args.dir.join("verifier.key")) else {
        return Ok(Err(broken(Fault::Missing)));
    };
    let key = key.strip_suffix('\n').unwrap_or(&key).parse();
    Ok(key.map_err(|error| broken(Fault::Checkpoint(error))))
}

/// A folder in which no log ever was is the caller's mistake; an empty answer would look like an empty log.
pub(super) fn need_log(dir: &Path) -> Result<(), LogCommandError> {
    let traces = ["checkpoint", "verifier.key", "tile", "journal"];
    if traces.iter().any(|name| dir.join(name).exists()) {
        return Ok(());
    }
    Err(LogCommandError::NoLog(dir.display().to_string()))
}

/// The earlier checkpoint, which its witnesses must have cosigned.
fn earlier(
    path: &Path,
    verifier: &Verifier,
    witnesses: &[String],
) -> Result<Checkpoint, LogCommandError> {
    let note = read(path)?;
    let path = path.display().to_string();
    for witness in witnesses {
        let option = String::from("--witness");
        let witness: Witness =
            witness.parse().map_err(|source| LogCommandError::Note { path: option, source })?;
        let cosigned = witness.cosigned(note.as_bytes());
        cosigned.map_err(|source| LogCommandError::Note { path: path.clone(), source })?;
    }
    verifier.open(note.as_bytes()).map_err(|source| LogCommandError::Note { path, source })
}

fn read(path: &Path) -> Result<String, LogCommandError> {
    std::fs::read_to_string(path)
        .map_err(|source| LogCommandError::File { path: path.display().to_string(), source })
}

/// A log that holds.
struct Holds {
    verified: Verified,
    /// Keys that were destroyed, each named by a certificate.
    destroyed: u64,
}

fn print_verified(
    result: &Result<Holds, Broken>,
    own_key: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Holds { verified, destroyed } = match result {
        Err(broken) => return writeln!(out, "BROKEN  {broken}"),
        Ok(holds) => holds,
    };
    writeln!(
        out,
        "ok  {} entries, unaltered and in order: {} under the checkpoint, {} in the journal",
        verified.entries, verified.checkpoint_size, verified.journal_entries
    )?;
    if *destroyed > 0 {
        writeln!(
            out,
            "destroyed what {destroyed} keys of a class and day opened; certificates say so"
        )?;
    }
    writeln!(out, "root      {}", hex(&verified.checkpoint_root))?;
    writeln!(out, "verifier  {}", verified.verifier)?;
    if own_key {
        writeln!(
            out,
            "          taken from the log's own folder: compare it with the one you kept"
        )?;
    }
    Ok(())
}

fn verified_json(result: &Result<Holds, Broken>) -> serde_json::Value {
    match result {
        Ok(Holds { verified, destroyed }) => serde_json::json!({
            "ok": true,
            "destroyed_keys": destroyed,
            "entries": verified.entries,
            "checkpoint_size": verified.checkpoint_size,
            "checkpoint_root": hex(&verified.checkpoint_root),
            "journal_entries": verified.journal_entries,
            "verifier": verified.verifier,
        }),
        Err(broken) => serde_json::json!({
            "ok": false,
            "file": broken.file,
            "entry": broken.index,
            "fault": broken.fault.to_string(),
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn run_show(args: &ShowArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    need_log(&args.dir)?;
    let key = args.keys.master()?;
    let sealer = key.as_ref().map(SubjectSealer::new).transpose()?;
    let subject = match (&args.subject, &sealer) {
        (Some(name), Some(sealer)) => Some(token(name, sealer)?),
        (_, _) => None,
    };
    let sha256 = match &args.file {
        Some(path) => Some(hash_of(path)?),
        None => args.sha256.clone(),
    };
    let (actor, event) = (args.actor.clone(), args.event);
    // Somebody may have written it down in capitals.
    let watermark = args.watermark.as_ref().map(|mark| mark.trim().to_ascii_lowercase());
    let filter = Filter { subject, actor, event, watermark, sha256, ..Filter::default() };
    let keep = usize::try_from(args.last).unwrap_or(usize::MAX);
    let mut accesses = Accesses::new(filter, keep);
    for read in Reader::new(&args.dir, 0, args.keys.opener(&args.dir)?) {
        let (index, record) = read?;
        accesses.add(index, record);
    }
    for (closed, count) in accesses.closed() {
        let line = match args.format {
            Format::Human => unread(&closed, count),
            Format::Json => serde_json::json!({ "not_read": closed, "count": count }).to_string(),
        };
        writeln!(out, "{line}")?;
    }
    for access in accesses.finish() {
        let line = match args.format {
            Format::Human => human(&access, sealer.as_ref()),
            Format::Json => json(&access, sealer.as_ref()),
        };
        writeln!(out, "{line}")?;
    }
    Ok(0)
}

fn token(name: &str, sealer: &SubjectSealer) -> Result<String, LogCommandError> {
    let (entity, key) =
        name.split_once(':').ok_or_else(|| LogCommandError::Subject(name.to_owned()))?;
    Ok(sealer.token(entity, key))
}

/// The names of the subjects where the key is given and fits, else their tokens.
fn names(access: &Access, sealer: Option<&SubjectSealer>) -> Vec<String> {
    let open = |subject: &_| sealer.and_then(|sealer| sealer.open(subject).ok());
    // A key that a backend chose may hold anything; a reviewer's terminal must not obey it.
    let clean = |name: String| crate::audit::Text::reason(&name).to_string();
    let named = |subject| open(subject).map_or_else(|| format!("#{}", subject.token()), clean);
    access.subjects.iter().map(named).collect()
}

fn json(access: &Access, sealer: Option<&SubjectSealer>) -> String {
    let mut value = serde_json::to_value(access).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("subjects".into(), names(access, sealer).into());
        object.insert("without_outcome".into(), access.is_without_outcome().into());
    }
    value.to_string()
}

/// One line on who did what, and one on what was disclosed where there is something to say.
fn human(access: &Access, sealer: Option<&SubjectSealer>) -> String {
    let mut line = who_and_what(&access.entry);
    verdict(access, &mut line);
    let given = what_was_given(access, sealer);
    if !given.is_empty() {
        line.push_str("\n    ");
        line.push_str(&given.join("; "));
    }
    line
}

pub(super) fn who_and_what(entry: &Entry) -> String {
    let mut line = format!("{}  {}", entry.time, entry.event);
    if let Some(actor) = &entry.actor {
        let is_gathered = matches!(entry.event, Event::Shadow | Event::Alert);
        let is_unknown = actor.account.is_empty() && !is_gathered;
        let account = if is_unknown { "somebody unknown" } else { actor.account.as_str() };
        add(&mut line, "", account);
        let roles: Vec<_> = actor.roles.iter().collect();
        if !roles.is_empty() {
            add(&mut line, "", &format!("({})", roles.join(", ")));
        }
    }
    if let Some(address) = entry.origin.as_ref().and_then(|origin| origin.address) {
        add(&mut line, "from ", &address.to_string());
    }
    if let Some(request) = &entry.request {
        add(&mut line, "", request.method.as_str());
        let is_known = !request.route.is_empty();
        add(&mut line, "", if is_known { request.route.as_str() } else { "(no such route)" });
    }
    if let Some(why) = &entry.why {
        add(&mut line, "for ", why.purpose.as_str());
        add(&mut line, "ticket ", why.ticket.as_str());
    }
    if let Some(act) = &entry.act {
        add(&mut line, "", act.name.as_str());
        add(&mut line, "of ", act.object.as_str());
        add(&mut line, "", act.succeeded.map_or("", |did| if did { "done" } else { "failed" }));
        add(&mut line, "× ", &act.count.map(|n| n.to_string()).unwrap_or_default());
    }
    line
}

fn add(line: &mut String, label: &str, text: &str) {
    if !text.is_empty() {
        line.push(' ');
        line.push_str(label);
        line.push_str(text);
    }
}

fn verdict(access: &Access, line: &mut String) {
    if let Some(decision) = &access.entry.decision {
        add(line, "→ ", decision.effect.word());
        let unmet: Vec<_> = decision.unmet.iter().collect();
        add(line, "unmet: ", &unmet.join(", "));
    }
    let result = access.outcome.as_ref().unwrap_or(&access.entry).result.as_ref();
    let result = result.or(access.entry.result.as_ref());
    if let Some(status) = result.and_then(|result| result.status) {
        add(line, "", &status.to_string());
    }
}

fn what_was_given(access: &Access, sealer: Option<&SubjectSealer>) -> Vec<String> {
    let mut given = Vec::new();
    if access.subject_count > 0 {
        let names = names(access, sealer);
        let mut whose = names.iter().take(NAMED_SUBJECTS).cloned().collect::<Vec<_>>().join(", ");
        let further = access.subject_count.saturating_sub(names.len().min(NAMED_SUBJECTS) as u64);
        if further > 0 {
            whose = format!("{whose} and {further} more");
        }
        given.push(format!("whose: {whose}"));
    }
    // Where there is an outcome, what the decision would have let pass is not what was given.
    let told = access.outcome.as_ref().unwrap_or(&access.entry);
    if let Some(data) = &told.data {
        fields(data, &mut given);
    }
    if let Some(difference) = &access.entry.difference {
        differs(difference, &mut given);
    }
    if let Some(alert) = &access.entry.alert {
        noticed(alert, &mut given);
    }
    if access.is_without_outcome() {
        given.push(String::from("no outcome: possibly disclosed up to its permit"));
    } else if let Some(ended) = told.result.as_ref().and_then(|result| result.ended) {
        given.push(ended.word().replace('_', " "));
    }
    given
}

/// What was noticed, how often, and where to look at one.
fn noticed(alert: &Alert, given: &mut Vec<String>) {
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    let mut what = match alert.concern {
        Concern::Detected => format!("what looks like {}", joined(&mut alert.kinds.iter())),
        Concern::NewField => "a field that is not in the catalogue".to_owned(),
        Concern::ForeignTenant => {
            format!("records of `{}` of a foreign tenant, withheld", alert.entity)
        }
        Concern::ClonedPasskey => {
            "a passkey whose counter went back: there may be a copy, it was refused".to_owned()
        }
        Concern::Finding => found(alert),
        Concern::SharedStoreLost => {
            "the shared store of budgets lost: limits are stricter until it is back".to_owned()
        }
        Concern::Others => "further alerts, too many to be told apart".to_owned(),
    };
    if !alert.fields.is_empty() {
        what.push_str(&format!(" in {}", joined(&mut alert.fields.iter())));
    }
    if !alert.found_in.is_empty() {
        what.push_str(&format!(" (in the {})", alert.found_in));
    }
    given.push(what);
    given.push(format!("× {}", alert.count));
    given.extend(alert.example.map(|id| format!("such as {id}")));
}

/// What a detection found, and what follows.
fn found(alert: &Alert) -> String {
    let Some(found) = &alert.found else { return "a finding".to_owned() };
    let drill = if found.drill { "drill, nobody did it: " } else { "" };
    let Found { finding, detection, said, action, .. } = found;
    format!("{drill}finding {finding} of `{detection}`: {said}; {action}")
}

/// What a candidate policy would have decided otherwise, how often, and where to look at one.
fn differs(difference: &Difference, given: &mut Vec<String>) {
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    given.push(format!("candidate: {}", joined(&mut difference.changes.iter())));
    if !difference.rules.is_empty() {
        given.push(format!("by: {}", joined(&mut difference.rules.iter())));
    }
    given.push(format!("× {}", difference.count));
    given.extend(difference.example.map(|id| format!("such as {id}")));
}

fn fields(data: &Data, given: &mut Vec<String>) {
    let lists = [
        ("clear", &data.clear),
        ("masked", &data.masked),
        ("pseudonym", &data.pseudonym),
        ("withheld", &data.withheld),
    ];
    for (label, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        let mut text = format!("{label}: {}", names.iter().collect::<Vec<_>>().join(", "));
        if names.beyond() > 0 {
            text.push_str(&format!(" and {} more", names.beyond()));
        }
        given.push(text);
    }
    let mut counts = Vec::new();
    let records = if data.records == Some(1) { "record" } else { "records" };
    for (count, label) in [
        (data.records, records),
        (data.held_back, "held back"),
        (data.withheld_records, "withheld"),
        (data.suppressed, "of them suppressed"),
        (data.bytes, "bytes"),
    ] {
        counts.extend(count.map(|count| format!("{count} {label}")));
    }
    if !counts.is_empty() {
        given.push(counts.join(", "));
    }
    file(data, given);
}

/// What a file that was given can be known by.
fn file(data: &Data, given: &mut Vec<String>) {
    if !data.watermark.is_empty() {
        given.push(format!("file marked {}", data.watermark));
    }
    if let Some(extent) = data.file {
        let bytes = data.file_bytes.unwrap_or_default();
        given.push(format!("{extent} in {bytes} bytes, sha256 {}", data.sha256));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        Actor, Answer, Decision, Effect, Ending, Log, Origin, Request, Settings, Why,
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
                "    whose: customer:10017; clear: customer.name; masked: customer.phone; withheld: password_hash; 1 record; complete",
            ]
        );
        assert!(lines[2].contains("somchai") && lines[2].ends_with("→ deny"));
        assert!(lines[4].ends_with("possibly disclosed up to its permit"));
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
