//! What a run of tests came to, for people and programs.

use serde::Serialize;

use crate::proxy::RehearsalError;

/// What a run of tests came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Each test, in the order of the files.
    pub tests: Vec<TestReport>,
    /// What the tests touched.
    pub coverage: Coverage,
}

/// One test.
#[derive(Clone, Debug, Serialize)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// Whether all was as expected.
    pub passed: bool,
    /// What was not.
    pub differences: Vec<Difference>,
}

/// Something that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: `status`, `body`, `header menshen-step-up`, a cell of a matrix.
    pub part: String,
    /// What was expected; may have several lines.
    pub expected: String,
    /// What came; may have several lines.
    pub got: String,
}

/// What tests touched of a policy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// Rules: those that allow gave something, those that deny took something.
    pub rules: Part,
    /// Fields, each in every form in which a rule shows it.
    pub fields: Part,
    /// Routes that were asked.
    pub routes: Part,
}

/// What tests touched of one kind of things.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Part {
    /// How many there are.
    pub total: usize,
    /// How many were touched.
    pub touched: usize,
    /// The names of the others, in the order of the files.
    pub untouched: Vec<String>,
}

impl Report {
    /// Whether every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.tests.iter().all(|test| test.passed)
    }

    /// The tests that failed.
    pub fn failures(&self) -> impl Iterator<Item = &TestReport> {
        self.tests.iter().filter(|test| !test.passed)
    }
}

impl Difference {
    pub(super) fn new(
        part: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        Self { part: part.into(), expected: expected.to_string(), got: got.to_string() }
    }

    /// The request did not come to an answer.
    pub(super) fn broken(error: &RehearsalError) -> Self {
        Self::new("request", "an answer", error)
    }
}

impl Coverage {
    /// How much was touched of everything, in whole percent, rounded down; 100 of nothing.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let parts = [&self.rules, &self.fields, &self.routes];
        let total: usize = parts.iter().map(|part| part.total).sum();
        let touched: usize = parts.iter().map(|part| part.touched).sum();
        (touched * 100).checked_div(total).and_then(|n| u8::try_from(n).ok()).unwrap_or(100)
    }
}

impl Part {
    /// Splits `names` by whether they were touched.
    pub(super) fn of(
        names: impl IntoIterator<Item = String>,
        is_touched: impl Fn(&str) -> bool,
    ) -> Self {
        let mut part = Self::default();
        for name in names {
            part.total += 1;
            if is_touched(&name) {
                part.touched += 1;
            } else {
                part.untouched.push(name);
            }
        }
        part
    }
}
