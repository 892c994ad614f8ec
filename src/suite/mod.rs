//! Tests that stand beside the policy: callers, requests and what the backend says, against what the
//! caller must be told. They run through the gate's own stages ([`crate::proxy::Rehearsal`]).
//!
//! Pure: no files, no clock. Who runs it brings the texts and the compiled program.

mod caller;
mod coverage;
mod exchange;
mod expectation;
mod fixtures;
mod json;
mod matrix;
mod read;
mod report;
mod value;

use crate::document::{Faults, Source};
use crate::policy::Program;
use crate::proxy::{Rehearsal, RehearsalError};
use coverage::Seen;
use read::{Check, Test};
pub use report::{Coverage, Difference, Part, Report, TestReport};

/// Why tests were not run.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// Faults in the tests themselves.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// Nothing can be rehearsed.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
}

/// Runs the tests that stand in the sources of `program`; those whose name holds `filter`, if one is given.
///
/// Takes time and memory in proportion to the sources: at most 2,000 tests, 20,000 requests and 256 KiB a body.
///
/// # Errors
/// [`SuiteError`]; no test has run then. A test that fails is no error but stands in the report.
pub fn run(
    sources: &[Source],
    program: &Program,
    filter: Option<&str>,
) -> Result<Report, SuiteError> {
    let tests = read::read(sources, program)?;
    let rehearsal = Rehearsal::new(program)?;
    let mut seen = Seen::default();
    let mut report = Report::default();
    for test in tests.iter().filter(|test| filter.is_none_or(|text| test.name.contains(text))) {
        let differences = differences(test, &rehearsal, &mut seen);
        report.tests.push(TestReport {
            name: test.name.clone(),
            file: test.file.clone(),
            line: test.line,
            passed: differences.is_empty(),
            differences,
        });
    }
    report.coverage = seen.coverage(program);
    Ok(report)
}

fn differences(test: &Test, rehearsal: &Rehearsal<'_>, seen: &mut Seen) -> Vec<Difference> {
    match &test.check {
        Check::One(exchange, expectation) => match exchange.rehearse(rehearsal) {
            Ok(told) => {
                seen.note(&told);
                expectation.hold(&told, exchange)
            }
            Err(error) => vec![Difference::broken(&error)],
        },
        Check::Matrix(matrix) => matrix.hold(rehearsal, seen),
    }
}

#[cfg(test)]
mod tests;
