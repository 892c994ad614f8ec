//! `menshen test`: the tests that stand beside the policy, once or at every change of the folder.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use clap::Args;
use notify_debouncer_full::notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use serde::Serialize;

use super::output::{self, Format, Ink};
use super::{Failure, Outcome, columns};
use crate::document::Fault;
use crate::server::{PolicyError, compile_policies, read_policies};
use crate::suite::{self, Coverage, Part, Report, SuiteError, TestReport};

/// An editor writes a file in several steps; so long after the last of them tests run again.
const QUIET_TIME: Duration = Duration::from_millis(200);

/// Arguments of `menshen test`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy folder, or one file.
    ///
    /// Example: menshen test policies/demo
    #[arg(default_value = "policies")]
    policies: PathBuf,
    /// Run only tests whose name holds this text; coverage is not told then.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Run again at each change of the folder, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Fail if tests touch less than this percentage of rules, forms of fields and routes.
    #[arg(long, value_name = "PERCENT", conflicts_with = "filter",
          value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
}

/// The result for programs.
#[derive(Serialize)]
struct Told<'a> {
    faults: &'a [Fault],
    passed: usize,
    failed: usize,
    tests: &'a [TestReport],
    coverage: Option<&'a Coverage>,
    coverage_percent: Option<u8>,
}

/// Why there is no report.
enum Refused {
    Policy(PolicyError),
    Suite(SuiteError),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    if arguments.watch { watch(arguments, out) } else { once(arguments, out) }
}

fn once(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let report = match report(&arguments.policies, arguments.filter.as_deref()) {
        Ok(report) => report,
        Err(refused) => return refuse(refused, arguments.format, out),
    };
    let unmatched = arguments.filter.as_ref().filter(|_| report.tests.is_empty());
    if let Some(text) = unmatched {
        return Err(Failure::Fault(format!("no test's name holds `{text}`")));
    }
    match arguments.format {
        Format::Human => tell(arguments, &report, out).map_err(Failure::internal)?,
        Format::Json => tell_programs(arguments, &report, out)?,
    }
    let percent = report.coverage.percent();
    let is_enough = arguments.min_coverage.is_none_or(|least| percent >= least);
    if report.passed() && is_enough { Ok(()) } else { Err(Failure::Finding) }
}

fn report(policies: &Path, filter: Option<&str>) -> Result<Report, Refused> {
    let sources = read_policies(policies).map_err(Refused::Policy)?;
    let program = compile_policies(&sources).map_err(Refused::Policy)?;
    suite::run(&sources, &program, filter).map_err(Refused::Suite)
}

fn refuse(refused: Refused, format: Format, out: &mut dyn Write) -> Outcome {
    let (faults, failure) = match refused {
        Refused::Policy(PolicyError::Faults(faults))
        | Refused::Suite(SuiteError::Faults(faults)) => {
            let failure = Failure::fault(&faults);
            (faults, failure)
        }
        Refused::Policy(error) => return Err(Failure::fault(error)),
        Refused::Suite(error) => return Err(Failure::internal(error)),
    };
    if format == Format::Human {
        return Err(failure);
    }
    let faults = faults.as_slice();
    let (coverage, coverage_percent) = (None, None);
    let told = Told { faults, passed: 0, failed: 0, tests: &[], coverage, coverage_percent };
    output::json(out, &told)?;
    Err(Failure::ToldFault)
}

fn tell_programs(arguments: &Arguments, report: &Report, out: &mut dyn Write) -> Outcome {
    let failed = report.failures().count();
    let is_whole = arguments.filter.is_none();
    output::json(
        out,
        &Told {
            faults: &[],
            passed: report.tests.len() - failed,
            failed,
            tests: &report.tests,
            coverage: is_whole.then_some(&report.coverage),
            coverage_percent: is_whole.then(|| report.coverage.percent()),
        },
    )
}

fn tell(arguments: &Arguments, report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let ink = Ink::of_stdout();
    for test in report.failures() {
        writeln!(out, "{} {}", ink.red("FAILED"), test.name)?;
        writeln!(out, "       {}", ink.dim(&format!("{}:{}", test.file, test.line)))?;
        for difference in &test.differences {
            writeln!(out, "\n    {}", difference.part)?;
            columns::print(out, (&difference.expected, &difference.got), 4, ink)?;
        }
        writeln!(out)?;
    }
    let folder = arguments.policies.display();
    let (all, failed) = (report.tests.len(), report.failures().count());
    let noun = if all == 1 { "test" } else { "tests" };
    let said = match (all, failed) {
        (0, _) => ink.dim("no tests"),
        (_, 0) => ink.green(&format!("{all} {noun} passed")),
        (_, _) => ink.red(&format!("{failed} of {all} {noun} failed")),
    };
    writeln!(out, "{folder}: {said}")?;
    match arguments.filter {
        None => tell_coverage(arguments, &report.coverage, ink, out),
        Some(_) => Ok(()),
    }
}

fn tell_coverage(
    arguments: &Arguments,
    coverage: &Coverage,
    ink: Ink,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let percent = coverage.percent();
    let share = |part: &Part| format!("{} of {}", part.touched, part.total);
    let said = format!(
        "coverage {percent} %: rules {}, forms of fields {}, routes {}",
        share(&coverage.rules),
        share(&coverage.fields),
        share(&coverage.routes)
    );
    let lacks = arguments.min_coverage.filter(|least| percent < *least);
    match lacks {
        None => writeln!(out, "{said}")?,
        Some(least) => {
            writeln!(out, "{}", ink.red(&format!("{said}; at least {least} % is asked")))?
        }
    }
    let parts = [
        ("rules that no test touches", &coverage.rules),
        ("forms of fields that no test sees", &coverage.fields),
        ("routes that no test asks", &coverage.routes),
    ];
    for (what, part) in parts.iter().filter(|(_, part)| !part.untouched.is_empty()) {
        writeln!(out, "  {what}:")?;
        for name in &part.untouched {
            writeln!(out, "    {name}")?;
        }
    }
    Ok(())
}

/// Runs the tests at each change; ends on Ctrl-C, which ends the program.
fn watch(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    // One note of a change is enough, however many come while tests run.
    let (sender, changes) = sync_channel(1);
    let noted = move |events: DebounceEventResult| {
        // Reading the folder is an event too, and would run the tests again for ever.
        let is_change = events
            .as_ref()
            .map_or(true, |events| events.iter().any(|event| !event.kind.is_access()));
        if is_change {
            sender.try_send(()).unwrap_or_default();
        }
    };
    let mut debouncer = new_debouncer(QUIET_TIME, None, noted).map_err(Failure::internal)?;
    // The folder and not the file: editors write a new file and rename it.
    let folder = match (arguments.policies.is_file(), arguments.policies.parent()) {
        (true, Some(parent)) if parent.as_os_str().is_empty() => Path::new("."),
        (true, Some(parent)) => parent,
        (false, _) | (true, None) => &arguments.policies,
    };
    debouncer.watch(folder, RecursiveMode::NonRecursive).map_err(Failure::fault)?;
    loop {
        begin_round(arguments.format, out).map_err(Failure::internal)?;
        match once(arguments, out) {
            Ok(()) | Err(Failure::Finding | Failure::ToldFault) => {}
            Err(Failure::Fault(said)) => writeln!(out, "{said}").map_err(Failure::internal)?,
            Err(error @ Failure::Internal(_)) => return Err(error),
        }
        end_round(arguments, out).map_err(Failure::internal)?;
        let unwatched = |_ended| Failure::Internal("the folder is no longer watched".to_owned());
        changes.recv().map_err(unwatched)?;
    }
}

/// A terminal is cleared, so that what stands there is the last run alone.
fn begin_round(format: Format, out: &mut dyn Write) -> std::io::Result<()> {
    if format == Format::Human && std::io::stdout().is_terminal() {
        write!(out, "\u{1b}[2J\u{1b}[3J\u{1b}[H")?;
    }
    Ok(())
}

fn end_round(arguments: &Arguments, out: &mut dyn Write) -> std::io::Result<()> {
    if arguments.format == Format::Human {
        let folder = arguments.policies.display();
        writeln!(out, "\nwaiting for a change of {folder}; Ctrl-C ends")?;
    }
    out.flush()
}
