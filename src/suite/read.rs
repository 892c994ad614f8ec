//! From files to tests: every fault of every test found in one run.

use super::exchange::{self, Given};
use super::expectation::{self, Expectation};
use super::fixtures::{self, Fixtures};
use super::matrix::{self, Matrix};
use crate::document::{Code, Content, Fault, Faults, Keys, Node, Reader, Source, parse};
use crate::policy::Program;

/// The most tests of a policy.
const TEST_LIMIT: usize = 2000;
/// The most requests of all tests.
const REQUEST_LIMIT: usize = 20_000;
const NAME_LIMIT_BYTES: usize = 200;
const KEYS: &[&str] =
    &["name", "caller", "request", "record", "backend", "reply", "now", "expect", "matrix"];

/// A test.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) check: Check,
}

/// What a test checks.
#[derive(Clone, Debug)]
pub(super) enum Check {
    One(Box<Given>, Box<Expectation>),
    Matrix(Matrix),
}

/// Reads the tests of all sources, in their order.
pub(super) fn read(sources: &[Source], program: &Program) -> Result<Vec<Test>, Faults> {
    let mut reader = Reader::new(sources);
    let mut trees = Vec::new();
    for index in 0..sources.len() {
        match parse(sources, index) {
            Ok(tree) => trees.extend(tree),
            Err(faults) => reader.unreadable(faults),
        }
    }
    let shared = Fixtures::read(&mut reader, &section(&trees, "fixtures"));
    let fields =
        program.field_forms().iter().map(|forms| expectation::plain(&forms.name)).collect();
    let (tests, requests) = (Vec::new(), 0);
    let mut reading = Reading { reader, sources, program, shared, fields, tests, requests };
    for node in section(&trees, "tests") {
        for item in reading.reader.list(node, "`tests`") {
            reading.test(item);
        }
    }
    reading.check_unused();
    let Reading { reader, tests, .. } = reading;
    let faults = reader.finish();
    if faults.is_empty() { Ok(tests) } else { Err(Faults::new(faults, "tests of the policy")) }
}

/// The contents of a top-level key, over all files.
fn section<'t>(trees: &'t [Node], key: &str) -> Vec<&'t Node> {
    let pairs = trees.iter().filter_map(|tree| match &tree.content {
        Content::Map(pairs) => Some(pairs),
        Content::Null | Content::Text(_) | Content::List(_) => None,
    });
    pairs.flatten().filter(|pair| pair.key == key).map(|pair| &pair.value).collect()
}

struct Reading<'s, 't> {
    reader: Reader<'s>,
    sources: &'s [Source],
    program: &'t Program,
    shared: Fixtures<'t>,
    /// The names of all fields, without the marks of arrays.
    fields: Vec<String>,
    tests: Vec<Test>,
    requests: usize,
}

impl Reading<'_, '_> {
    fn test(&mut self, node: &Node) -> Option<()> {
        let keys = self.reader.keys(node, "a test", KEYS);
        let name = self.name(&keys, node)?;
        let now_unix_s = match keys.find("now") {
            Some(pair) => fixtures::time(&mut self.reader, &pair.value)?,
            None => self.shared.now_unix_s,
        };
        let check = match keys.find("matrix") {
            Some(pair) => {
                self.alone(&keys);
                let (reader, shared) = (&mut self.reader, &self.shared);
                let program = (self.program, self.fields.as_slice());
                let read = matrix::read(reader, shared, program, &pair.value, now_unix_s);
                Check::Matrix(read?)
            }
            None => self.one(&keys, node, now_unix_s)?,
        };
        self.requests += match &check {
            Check::One(..) => 1,
            Check::Matrix(matrix) => matrix.requests(),
        };
        if self.tests.len() >= TEST_LIMIT || self.requests > REQUEST_LIMIT {
            let message =
                format!("at most {TEST_LIMIT} tests with {REQUEST_LIMIT} requests are run");
            self.reader.fault(node.span, Code::TooLarge, message, None);
            return None;
        }
        let place = Fault::at(self.sources, node.span, Code::WrongValue, String::new());
        self.tests.push(Test { name, file: place.file, line: place.line, check });
        Some(())
    }

    fn name(&mut self, keys: &Keys<'_>, node: &Node) -> Option<String> {
        let Some(pair) = keys.find("name") else {
            self.reader.missing(node.span, "a test", "name", "a teller sees a masked phone");
            return None;
        };
        let name = self.reader.text(&pair.value, "`name`")?;
        if name.is_empty() || name.len() > NAME_LIMIT_BYTES || name.chars().any(char::is_control) {
            let message = "`name` must be one line of at most 200 bytes".to_owned();
            self.reader.fault(pair.value.span, Code::WrongValue, message, None);
            return None;
        }
        Some(name.to_owned())
    }

    /// One caller, one request. Every part is read, so that all faults are found at once.
    fn one(&mut self, keys: &Keys<'_>, node: &Node, now_unix_s: i64) -> Option<Check> {
        let (reader, shared, program) = (&mut self.reader, &self.shared, self.program);
        let caller = match keys.find("caller") {
            Some(pair) => super::caller::read(reader, shared, program, &pair.value),
            None => {
                reader.missing(node.span, "a test", "caller", "{ roles: [teller] }");
                None
            }
        };
        let asked = exchange::read(reader, shared, keys, ("a test", node));
        let expectation = match keys.find("expect") {
            Some(pair) => expectation::read(reader, shared, program, &pair.value),
            None => {
                reader.missing(node.span, "a test", "expect", "{ status: 200 }");
                None
            }
        };
        let given = Given { caller: caller?, now_unix_s, asked: asked? };
        Some(Check::One(Box::new(given), Box::new(expectation?)))
    }

    /// A matrix has its own callers and requests.
    fn alone(&mut self, keys: &Keys<'_>) {
        let others = exchange::KEYS.iter().chain(&["caller", "expect"]);
        for pair in others.filter_map(|key| keys.find(key)) {
            let message = format!("`{}` has no meaning beside `matrix`", pair.key);
            let help = "write it inside the matrix".to_owned();
            self.reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        }
    }

    /// Callers and records that no test names are read all the same, or their faults would wait.
    fn check_unused(&mut self) {
        for node in sorted(self.shared.callers.values()) {
            super::caller::read(&mut self.reader, &self.shared, self.program, node);
        }
        for node in sorted(self.shared.records.values()) {
            super::value::json(&mut self.reader, &self.shared, node);
        }
    }
}

fn sorted<'a, 't: 'a>(nodes: impl Iterator<Item = &'a &'t Node>) -> Vec<&'t Node> {
    let mut nodes: Vec<&Node> = nodes.copied().collect();
    nodes.sort_by_key(|node| node.span);
    nodes
}
